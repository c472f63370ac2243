import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { RunOptions } from '../../src/engine/options.js';
import { exists, Rig } from './rig.js';

/** The lock of a host, with two projects (two controllers, as it were) that share their machines. */
async function project(t: ExecutionContext, site: string, more: { of?: { rig: Rig; root: string }; shell?: string } = {}) {
  const rig = await Rig.make({ 'site.yml': site }, { ...(more.of && { folder: more.of.rig.machines.folder }), ...(more.shell && { shell: more.shell }) });
  t.teardown(() => rig.remove());
  const root = more.of?.root ?? path.join(rig.folder, 'hosts');
  await rig.write({ 'hosts.yml': `all:\n  hosts:\n${['a', 'b'].map((host) => `    ${host}: {ansible_connection: ssh, root: "${root}/${host}"}`).join('\n')}\n` });
  for (const host of ['a', 'b']) await mkdir(path.join(root, host), { recursive: true });
  const lock = (host: string) => path.join(rig.machines.folder, process.getuid!() === 0 ? `${host}.run/lock` : `${host}/.local/state/muster/lock`);
  const run = async (options: Partial<RunOptions> = {}) => {
    const { exitCode } = await rig.run(options);
    const told = rig.events.flatMap((event) => (event.event === 'result' ? [`${event.task} ${event.host} ${event.result.status}`] : []));
    const notes = rig.events.flatMap((event) => (event.event === 'note' ? [event.message] : []));
    return { exitCode, told, notes, failures: rig.failures(), trips: rig.trips.length };
  };
  return { rig, root, run, lock };
}

const head = '- hosts: all\n  gather_facts: false\n';
const waiting = `${head}  tasks:
    - {name: wait, shell: "touch {{ root }}/there; while [ ! -e {{ root }}/go ]; do sleep 0.05; done", when: inventory_hostname == 'a'}
`;
const changing = `${head}  tasks:
    - block:
        - {name: change, copy: {dest: "{{ root }}/conf", content: x}, ignore_errors: true}
      rescue:
        - {name: rescue, debug: }
      always:
        - {name: always, debug: }
`;

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400 && !(await holds()); i++) await sleep(25);
}

/** Writes a lock as another run would have, once the last run has given back its own. */
async function held(file: string, { beat = 0, pid = '1', identity = 'elsewhere:1:1' }: { beat?: number; pid?: string; identity?: string } = {}): Promise<void> {
  await until(async () => !(await readFile(file, 'utf8').catch(() => '')).includes(` ${process.pid} `));
  const now = Math.floor(Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]));
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `20200101T000000Z-abcdef ${now - beat} ${now - beat - 180} alice@elsewhere ${pid} ${identity}\n`);
}

for (const shell of ['/usr/bin/dash', '/usr/bin/bash', '/usr/bin/busybox'])
  test(`while a run changes a host another changes nothing there, and is told who it is (${path.basename(shell)})`, async (t) => {
    const one = await project(t, waiting, { shell });
    const two = await project(t, changing, { of: one, shell });
    const first = one.run();
    await until(() => exists(path.join(one.root, 'a/there')));
    t.regex(await readFile(one.lock('a'), 'utf8'), /^\d{8}T\d{6}Z-[0-9a-f]{9} \d+ \d+ [\w.-]+@[\w.-]+ \d+ \S+\n$/);
    const refused = await two.run();
    t.is(refused.exitCode, 5);
    // Neither ignored nor rescued; the host that nobody holds goes on.
    t.deepEqual(refused.told.sort(), ['always b ok', 'change a failed', 'change b changed']);
    t.regex(refused.failures[0]!, new RegExp(`^a: another run holds the lock of a: run \\S+ of \\S+@\\S+ \\(process ${process.pid}\\), which took it \\d+ s ago and was last heard of \\d+ s ago$`));
    t.false(await exists(path.join(one.root, 'a/conf')));
    // A plan needs no lock.
    t.is((await two.run({ check: true, verb: 'plan' })).exitCode, 2);

    const patient = two.run({ lockTimeout: 60, limit: 'a' });
    await until(async () => two.rig.events.some(({ event }) => event === 'note'));
    await writeFile(path.join(one.root, 'a/go'), '');
    t.is((await first).exitCode, 0);
    const { exitCode, told, notes } = await patient;
    t.is(exitCode, 0);
    t.deepEqual(told, ['change a changed', 'always a ok']);
    t.regex(notes.join('\n'), /^a: waiting for the lock, which is held by run \S+ of /);
    await until(async () => !(await exists(two.lock('a'))));
    t.false(await exists(two.lock('a')));
  });

test('who changes nothing takes no lock; a lock costs no trip', async (t) => {
  const { rig, run, lock } = await project(t, changing);
  await held(lock('b'));
  t.is((await run({ limit: 'a' })).trips, 2);
  await rig.write({ 'site.yml': changing.replace('copy: {dest: "{{ root }}/conf", content: x}', 'command: ls /, changed_when: false') });
  const { exitCode, trips } = await run({ limit: 'b' });
  t.is(exitCode, 0);
  t.is(trips, 1);
});

test('a lock that nobody renews ends by itself; one of a process that is gone at once', async (t) => {
  const { run, lock, root } = await project(t, changing);
  const again = () => rm(path.join(root, 'a/conf'), { force: true });
  await held(lock('a'), { beat: 50 });
  t.is((await run({ limit: 'a' })).exitCode, 5);
  await held(lock('a'), { beat: 61 });
  t.is((await run({ limit: 'a' })).exitCode, 0);

  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const space = (await readlink('/proc/self/ns/pid')).replace(/\D/g, '');
  const child = spawn('sleep', ['100']);
  const started = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(') ')[1]!.split(' ')[19]!;
  const holder = { pid: String(child.pid), identity: `${boot}:${space}:${started}` };
  await again();
  await held(lock('a'), holder);
  t.is((await run({ limit: 'a' })).exitCode, 5);
  // The number of the process is in use, but not by it.
  await held(lock('a'), { ...holder, identity: `${boot}:${space}:${Number(started) - 1}` });
  t.is((await run({ limit: 'a' })).exitCode, 0);
  await again();
  // Another boot, or another process namespace: nobody knows.
  await held(lock('a'), { ...holder, identity: `${boot}:1:${Number(started) - 1}` });
  t.is((await run({ limit: 'a' })).exitCode, 5);
  await held(lock('a'), holder);
  child.kill('SIGKILL');
  await once(child, 'close');
  t.is((await run({ limit: 'a' })).exitCode, 0);
});

test('of many who come at once one has the lock', async (t) => {
  const one = await project(t, `${head}  tasks:\n    - {name: count, shell: "mkdir {{ root }}/alone && sleep 0.3 && rmdir {{ root }}/alone"}\n`);
  const runs = [one, ...(await Promise.all([1, 2, 3, 4, 5].map(() => project(t, '', { of: one }))))];
  for (const { rig } of runs) await rig.write({ 'site.yml': await readFile(path.join(one.rig.folder, 'site.yml'), 'utf8') });
  await held(one.lock('a'), { beat: 61 });
  const ended = await Promise.all(runs.map(({ run }) => run({ limit: 'a', lockTimeout: 100 })));
  t.deepEqual(ended.map(({ exitCode, failures }) => [exitCode, ...failures]), runs.map(() => [0]));
});

test('of two runs that each hold what the other waits for, the later one gives way', async (t) => {
  const crossing = (mine: string, theirs: string) => `${head}  tasks:
    - {name: mine, shell: "touch {{ root }}/there; while [ ! -e {{ root }}/../${theirs}/there ]; do sleep 0.05; done", when: inventory_hostname == '${mine}'}
    - {name: theirs, shell: "echo ${mine} >>{{ root }}/log", when: inventory_hostname == '${theirs}'}
    - {name: last, shell: "echo last >>{{ root }}/log", when: inventory_hostname == '${mine}'}
`;
  const one = await project(t, crossing('a', 'b'));
  const two = await project(t, crossing('b', 'a'), { of: one });
  const first = one.run({ lockTimeout: 100 });
  await until(() => exists(path.join(one.root, 'a/there')));
  const second = await two.run({ lockTimeout: 100 });
  t.is(second.exitCode, 5);
  t.regex(second.failures[0]!, /^a: another run holds the lock of a: run \S+ of .*; it waits for a host that this run holds, and this run is the later one$/);
  t.deepEqual(second.told.filter((each) => !each.endsWith('skipped')), ['mine b changed', 'theirs a failed', 'last b changed']);
  const { exitCode, told } = await first;
  t.is(exitCode, 0);
  t.deepEqual(told.filter((each) => !each.endsWith('skipped')), ['mine a changed', 'theirs b changed', 'last a changed']);
  t.is(await readFile(path.join(one.root, 'b/log'), 'utf8'), 'last\na\n');
});

test('a run that is killed leaves no lock', async (t) => {
  const one = await project(t, waiting);
  const text = `
    const { Rig } = await import(${JSON.stringify(new URL('rig.js', import.meta.url).href)});
    const rig = await Rig.make({}, { folder: ${JSON.stringify(one.rig.machines.folder)} });
    await rig.run({ playbooks: [${JSON.stringify(path.join(one.rig.folder, 'site.yml'))}], inventory: [${JSON.stringify(path.join(one.rig.folder, 'hosts.yml'))}], projectDir: ${JSON.stringify(one.rig.folder)} });
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: 'inherit', env: { ...process.env, TMPDIR: one.rig.folder } });
  await until(() => exists(path.join(one.root, 'a/there')));
  await until(() => exists(one.lock('a')));
  t.regex(await readFile(one.lock('a'), 'utf8'), new RegExp(` ${child.pid} `));
  child.kill('SIGKILL');
  await once(child, 'close');
  await until(async () => !(await exists(one.lock('a'))));
  t.false(await exists(one.lock('a')));
  await writeFile(path.join(one.root, 'a/go'), '');
});
