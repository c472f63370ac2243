import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { labDown, labUp } from '../../src/lab/lab.js';
import { cases, compareRuns, prepare } from '../peers/differential/run.js';

/** Playbooks of ours for each feature of the language, run by Ansible and by Muster: what they say of each task and leave on the hosts is the same. */
const name = 'peers';
const all = cases();
let project: string;
let parted: string[][];

test.before(async (t) => {
  t.timeout(10 * 60_000);
  project = await mkdtemp(join(tmpdir(), 'muster-peers-'));
  const lab = await labUp({ name, hosts: ['ctl', 'far'].map((host) => ({ name: host, suite: 'trixie' })), project });
  await prepare(lab);
  parted = await compareRuns(lab, all);
});
test.after.always(async () => {
  await labDown({ name, project });
  await rm(project, { recursive: true });
});

all.forEach((each, i) => test(each.name, (t) => t.is(parted[i]!.join('\n'), '')));
