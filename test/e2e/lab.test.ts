import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { endGroup } from '../../src/lab/cgroup.js';
import { labDown, labSnapshot, labSsh, labStatus, labUp, stateDir, type LabState } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';

const name = 'selftest';
const hosts = [{ name: 'one' }, { name: 'two' }];
let project: string;
let lab: LabState;

const on = async (host: string, command: string) => (await run('ssh', labSsh(lab, host, [command]))).trim();
/** What a lab leaves on a machine while it is up. */
const traces = () => [
  ...readFileSync('/proc/self/mounts', 'utf8').split('\n').filter((line) => line.includes(`/labs/${name}/`)),
  ...[`/sys/class/net/mu-${name}`, `/sys/fs/cgroup/systemd/muster-${name}`, `/sys/fs/cgroup/muster-${name}`, stateDir(project, name)].filter(existsSync),
];

test.before(async () => {
  project = await mkdtemp(join(tmpdir(), 'muster-lab-'));
});
test.after.always(async () => {
  await labDown({ name, project });
  await rm(project, { recursive: true });
});

test.serial('a run that is killed half-way is taken up again', async (t) => {
  const script = `import { labUp } from ${JSON.stringify(join(process.cwd(), 'dist/src/lab/lab.js'))};
    console.log('begun'); await labUp({ name: '${name}', hosts: ${JSON.stringify(hosts)}, project: ${JSON.stringify(project)} });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  // Killed as soon as the first thing it makes stands.
  while (!existsSync(`/sys/class/net/mu-${name}`) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.on('close', resolve));
  lab = await labUp({ name, hosts, project });
  t.deepEqual((await labStatus({ name, project }))?.running, ['one', 'two']);
});

test.serial('hosts are whole machines, without a Python', async (t) => {
  t.is(await on('one', 'hostname; cat /proc/1/comm; systemctl is-system-running --wait; sudo id -u'), 'one\nsystemd\nrunning\n0');
  t.is(await on('two', 'command -v python3 python || echo none'), 'none');
  t.is(await on('two', 'getent hosts one | cut -d" " -f1'), lab.hosts[0]!.address);
  await on('one', 'sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -yqq tzdata >/dev/null 2>&1');
});

test.serial('up twice changes nothing, a reboot is survived', async (t) => {
  const booted = await on('one', 'sudo stat -c %Y /proc/1');
  await labUp({ name, hosts, project });
  t.is(await on('one', 'sudo stat -c %Y /proc/1'), booted);
  const id = await on('two', 'cat /run/boot-mark 2>/dev/null || echo fresh; echo marked | sudo tee /run/boot-mark');
  t.is(id, 'fresh\nmarked');
  await run('ssh', labSsh(lab, 'two', ['sudo systemctl reboot'])).catch(() => {});
  let seen = 'marked';
  for (let tries = 0; tries < 120 && seen !== 'fresh'; tries++) {
    seen = await on('two', 'cat /run/boot-mark 2>/dev/null || echo fresh').catch(() => 'away');
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  t.is(seen, 'fresh');
});

test.serial('a snapshot brings back what was, and forgets what came after', async (t) => {
  await on('one', 'echo kept | sudo tee /srv/file');
  lab = await labSnapshot(lab, 'base');
  await on('one', 'echo lost | sudo tee /srv/file; sudo touch /srv/more');
  lab = await labUp({ name, hosts, project, from: 'base' });
  t.is(await on('one', 'cat /srv/file; ls /srv'), 'kept\nfile');
  await t.throwsAsync(labUp({ name, hosts, project, from: 'nope' }), { message: /no snapshot nope; it has base/ });
});

test.serial("another project's lab of that name, or another set of hosts, is refused", async (t) => {
  await t.throwsAsync(labUp({ name, hosts, project: process.cwd() }), { message: /belongs to/ });
  await t.throwsAsync(labDown({ name, project: process.cwd() }), { message: /belongs to/ });
  await t.throwsAsync(labUp({ name, hosts: [{ name: 'three' }], project }), { message: /is up with other hosts/ });
});

test.serial('a lab of which no host runs any more is taken over by the next project', async (t) => {
  const next = await mkdtemp(join(tmpdir(), 'muster-lab-'));
  t.teardown(() => rm(next, { recursive: true }));
  // As a machine that lost its power leaves it: disks, bridge, and a folder that says whose they are.
  await endGroup(`muster-${name}`);
  try {
    await labUp({ name, hosts: [{ name: 'one' }], project: next });
    t.deepEqual((await labStatus({ name, project: next }))?.running, ['one']);
    t.is(await labStatus({ name, project }), undefined);
  } finally {
    await labDown({ name, project: next });
  }
  lab = await labUp({ name, hosts, project });
});

test.serial('down leaves nothing behind, twice', async (t) => {
  t.true(traces().length > 0);
  await labDown({ name, project });
  t.deepEqual(traces(), []);
  await labDown({ name, project });
});
