import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import type { RunOptions } from '../../src/engine/options.js';
import { exists, Rig } from './rig.js';

/** Runs a playbook over a, b, c (three machines, each with a folder of its own under the project). */
export async function play(t: ExecutionContext, site: string, more: Partial<RunOptions> & { files?: { [path: string]: string } } = {}) {
  const { files, ...options } = more;
  const rig = await Rig.make({ 'site.yml': site, ...files });
  t.teardown(() => rig.remove());
  await rig.write({
    'hosts.yml': `all:\n  vars: {project: "${rig.folder}"}\n  hosts:\n${['a', 'b', 'c'].map((host) => `    ${host}: {ansible_connection: ssh, root: "${rig.folder}/hosts/${host}"}`).join('\n')}\n`,
  });
  for (const host of ['a', 'b', 'c']) await mkdir(path.join(rig.folder, 'hosts', host), { recursive: true });
  const summary = await rig.run(options);
  const told = rig.events.flatMap((event) => (event.event === 'result' ? [`${event.task} ${event.host} ${event.result.status}`] : []));
  const read = (file: string) => readFile(path.join(rig.folder, 'hosts', file), 'utf8');
  /** What a `debug` or another task said last on a host, by the task's name. */
  const data = (task: string, host: string) => rig.events.findLast((event) => event.event === 'result' && event.task === task && event.host === host) as any;
  return { rig, summary, told, read, data: (task: string, host = 'a') => data(task, host)?.result.data, has: (file: string) => exists(path.join(rig.folder, 'hosts', file)) };
}

export const head = '- hosts: all\n  gather_facts: false\n';
