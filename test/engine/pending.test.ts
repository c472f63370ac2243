import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RunOptions } from '../../src/engine/options.js';
import { exists, Rig } from './rig.js';

/** Notifications outlive the run that made them; with this machine for three, two names of which are one. */
const HOSTS = { a: 'a', b: 'b', alias: 'a' };

async function play(t: ExecutionContext, site: string, more: { files?: { [path: string]: string }; of?: { rig: Rig; root: string }; shell?: string } = {}) {
  const rig = await Rig.make({ 'site.yml': site, ...more.files }, { ...(more.of && { folder: more.of.rig.machines.folder }), ...(more.shell && { shell: more.shell }) });
  t.teardown(() => rig.remove());
  const root = more.of?.root ?? path.join(rig.folder, 'hosts');
  const lines = Object.entries(HOSTS).map(([name, machine]) => `    ${name}: {ansible_connection: ssh, ansible_host: ${machine}, root: "${root}/${machine}"}`);
  await rig.write({ 'hosts.yml': `all:\n  hosts:\n${lines.join('\n')}\n` });
  for (const machine of ['a', 'b']) await mkdir(path.join(root, machine), { recursive: true });
  const run = async (options: Partial<RunOptions> = {}) => {
    const { exitCode } = await rig.run({ limit: 'a', ...options });
    const told = rig.events.flatMap((event) => (event.event === 'result' ? [`${event.task} ${event.host} ${event.result.status}`] : event.event === 'pending' ? [`pending ${event.handler} ${event.host}`] : []));
    const warnings = rig.events.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
    return { exitCode, told, warnings, trips: rig.trips.map(({ machine, effect }) => `${machine}${effect ? '!' : ''}`) };
  };
  const read = (file: string) => readFile(path.join(root, file), 'utf8').catch(() => '');
  /** What a machine keeps, as `host handler`. */
  const marks = async (machine: string) => (await rig.marks()).filter((mark) => mark.startsWith(`${machine} `)).map((mark) => mark.slice(machine.length + 1));
  return { rig, root, run, read, marks };
}

const head = '- hosts: all\n  gather_facts: false\n';
/** A change that notifies, and what fails behind it while there is a file `broken` on the host. */
const site = `${head}  tasks:
    - {name: change, copy: {dest: "{{ root }}/conf", content: x}, notify: restart}
    - {name: look, stat: {path: "{{ root }}/broken"}, register: broken}
    - {name: stumble, fail: {msg: on purpose}, when: broken.stat.exists}
  handlers:
    - {name: restart, shell: "echo restarted >> {{ root }}/log"}
`;

for (const shell of ['/usr/bin/dash', '/usr/bin/bash', '/usr/bin/busybox'])
  test(`what a run notified and did not come to, the next one does, once (${path.basename(shell)})`, async (t) => {
    const { rig, root, run, read, marks } = await play(t, site, { shell });
    await rig.write({ 'hosts/a/broken': '' });
    const first = await run();
    t.is(first.exitCode, 3);
    t.deepEqual(first.told, ['change a changed', 'look a ok', 'stumble a failed']);
    t.deepEqual(await marks('a'), ['a restart']);
    t.like(rig.events.find(({ event }) => event === 'effect'), { notifies: ['restart'] });
    await rm(path.join(root, 'a/broken'));

    const plan = await run({ check: true, verb: 'plan' });
    t.is(plan.exitCode, 2);
    t.deepEqual(plan.told, ['change a ok', 'look a ok', 'stumble a skipped', 'pending restart a', 'restart a unknown']);
    t.deepEqual(await marks('a'), ['a restart']);

    const second = await run();
    t.is(second.exitCode, 0);
    t.deepEqual(second.told, ['change a ok', 'look a ok', 'stumble a skipped', 'pending restart a', 'restart a changed']);
    // One for all that is asked, one for the handler, whose own trip takes the mark away.
    t.deepEqual(second.trips, ['a', 'a!']);
    t.deepEqual(await marks('a'), []);
    const third = await run();
    t.deepEqual(third.told, ['change a ok', 'look a ok', 'stumble a skipped']);
    t.deepEqual(third.trips, ['a']);
    t.is(await read('a/log'), 'restarted\n');
  });

test('whichever checkout runs next finds it; each name of a machine has its own', async (t) => {
  const here = await play(t, site);
  await here.rig.write({ 'hosts/a/broken': '' });
  await here.run({ limit: 'a,alias' });
  // The second name found the file as it should be.
  t.deepEqual(await here.marks('a'), ['a restart']);
  await rm(path.join(here.root, 'a/broken'));
  const there = await play(t, site, { of: here });
  t.deepEqual((await there.run({ limit: 'alias' })).told, ['change alias ok', 'look alias ok', 'stumble alias skipped']);
  t.deepEqual((await there.run({ limit: 'a,alias' })).told.slice(-2), ['pending restart a', 'restart a changed']);
  t.deepEqual(await here.marks('a'), []);
  t.is(await here.read('a/log'), 'restarted\n');
});

test('a run that ends well leaves nothing, whatever notified whom', async (t) => {
  const { run, marks, read } = await play(
    t,
    `${head}  tasks:
    - {name: loop, copy: {dest: "{{ root }}/{{ item }}", content: x}, loop: [one, two], notify: [first, topic]}
    - {name: ignored, shell: "exit 1", ignore_errors: true, notify: never}
    - {name: unchanged, command: "true", changed_when: "'x' in out.stdout", register: out, notify: never}
    - {name: elsewhere, copy: {dest: "{{ hostvars.b.root }}/conf", content: x}, delegate_to: b, notify: first}
    - {name: only said, debug: , changed_when: true, notify: last}
  handlers:
    - {name: first, shell: "echo first >> {{ root }}/log", notify: second}
    - {name: second, copy: {dest: "{{ root }}/second", content: x}, notify: third}
    - {name: third, shell: "echo {{ item }} >> {{ root }}/log", loop: [third, 3rd]}
    - {name: heard, listen: topic, shell: "echo heard >> {{ root }}/log"}
    - {name: heard too, listen: topic, copy: {dest: "{{ root }}/one", content: x}}
    - {name: never, shell: "echo never >> {{ root }}/log"}
    - {name: last, shell: "echo last >> {{ root }}/log"}
`,
  );
  t.is((await run()).exitCode, 0);
  t.is(await read('a/log'), 'first\nthird\n3rd\nheard\nlast\n');
  t.deepEqual(await marks('a'), []);
  t.deepEqual(await marks('b'), []);
});

test('a handler that fails stays pending, with those behind it; a host that is out of the play too', async (t) => {
  const { rig, root, run, marks, read } = await play(
    t,
    `${head}  tasks:
    - {name: change, copy: {dest: "{{ root }}/conf", content: x}, notify: [one, two, three]}
    - {name: end, meta: end_host, when: ends is defined}
  handlers:
    - {name: one, shell: "echo one >> {{ root }}/log"}
    - {name: two, shell: "test ! -e {{ root }}/broken && echo two >> {{ root }}/log"}
    - {name: three, shell: "echo three >> {{ root }}/log"}
`,
  );
  await rig.write({ 'hosts/a/broken': '' });
  t.is((await run()).exitCode, 3);
  t.deepEqual(await marks('a'), ['a three', 'a two']);
  t.is((await run({ extraVars: new Map([['ends', true]]) })).exitCode, 0);
  t.deepEqual(await marks('a'), ['a three', 'a two']);
  await rm(path.join(root, 'a/broken'));
  t.deepEqual((await run()).told, ['change a ok', 'pending three a', 'pending two a', 'two a changed', 'three a changed'].sort((x, y) => Number(y.startsWith('change a')) - Number(x.startsWith('change a'))));
  t.is(await read('a/log'), 'one\ntwo\nthree\n');
  t.deepEqual(await marks('a'), []);
});

test('an interrupted run leaves its handlers to the next; force_handlers runs them at once', async (t) => {
  const { rig, root, run, marks, read } = await play(t, site);
  const stop = new AbortController();
  await rig.run({ limit: 'a', stop: stop.signal, emit: (event) => event.event === 'effect' && stop.abort() });
  t.deepEqual(await marks('a'), ['a restart']);
  await rig.write({ 'hosts/a/broken': '' });
  t.is((await run({ forceHandlers: true })).exitCode, 3);
  // The failure came before the time of what an earlier run had left.
  t.deepEqual(await marks('a'), ['a restart']);
  await rm(path.join(root, 'a/conf'));
  t.is((await run({ forceHandlers: true })).exitCode, 3);
  t.is(await read('a/log'), 'restarted\n');
  t.deepEqual(await marks('a'), []);
});

test('what a confirmed block took back is not notified again', async (t) => {
  const { run, marks, read } = await play(
    t,
    `${head}  tasks:
    - name: block
      confirm: 30s
      block:
        - {name: change, copy: {dest: "{{ root }}/conf", content: x}, notify: restart}
        - {name: stumble, fail: {msg: on purpose}}
  handlers:
    - {name: restart, copy: {dest: "{{ root }}/restarted", content: x}}
`,
  );
  t.is((await run()).exitCode, 3);
  t.is(await read('a/conf'), '');
  t.deepEqual(await marks('a'), []);
});

test('a handler the playbook no longer has is told once; one that an include may bring stays', async (t) => {
  const { rig, root, run, marks } = await play(t, site, { files: { 'more.yml': '- {name: more, debug: }\n' } });
  await rig.write({ 'hosts/a/broken': '' });
  await run();
  await rm(path.join(root, 'a/broken'));
  const including = site.replace('name: restart, shell', 'name: reload, shell').replace('notify: restart', 'notify: reload');
  await rig.write({ 'site.yml': including.replace('  handlers:', '    - {include_tasks: more.yml, when: false}\n  handlers:') });
  t.regex((await run()).warnings.join('\n'), /^run \S+ ended before the handler "restart" ran, and the play has none of that name this time: it stays pending$/);
  t.deepEqual(await marks('a'), ['a restart']);
  await rig.write({ 'site.yml': including });
  t.regex((await run()).warnings.join('\n'), /^run \S+ ended before the handler "restart" ran, which the playbook no longer has: forgotten$/);
  t.deepEqual(await marks('a'), []);
  t.deepEqual((await run()).warnings, []);
});

test('two plays of a playbook have their own; a play that is gone leaves its own to the next that knows the handler', async (t) => {
  const named = (name: string, log: string) => site.replace('- hosts: all', `- name: ${name}\n  hosts: all`).replace('{{ root }}/log', `{{ root }}/${log}`).replace('/conf', `/${log}.conf`);
  const { rig, root, run, marks, read } = await play(t, `${named('one', 'log1')}\n${named('two', 'log2')}`);
  await run();
  await rm(path.join(root, 'a/log2.conf'));
  await rig.write({ 'hosts/a/broken': '' });
  // The first play stumbles already, so the second has its handler still to run.
  await rig.write({ 'site.yml': named('two', 'log2') });
  await run();
  t.deepEqual(await marks('a'), ['a restart']);
  await rm(path.join(root, 'a/broken'));
  await rig.write({ 'site.yml': `${named('one', 'log1')}\n${named('two', 'log2')}` });
  await run();
  t.is(await read('a/log1'), 'restarted\n');
  t.is(await read('a/log2'), 'restarted\nrestarted\n');
  await rm(path.join(root, 'a/log2.conf'));
  await rig.write({ 'hosts/a/broken': '', 'site.yml': named('two', 'log2') });
  await run();
  await rm(path.join(root, 'a/broken'));
  await rig.write({ 'site.yml': named('one', 'log1') });
  t.true((await run()).told.includes('pending restart a'));
  t.deepEqual(await marks('a'), []);
});

test('who may write nowhere keeps no mark, which is told once', async (t) => {
  if (process.getuid!() !== 0) return t.pass();
  const { run, marks } = await play(
    t,
    `${head}  tasks:
    - {name: as nobody, command: "true", become: true, become_user: nobody, notify: restart}
    - {name: again as nobody, command: "true", become: true, become_user: nobody, notify: other}
  handlers:
    - {name: restart, command: "true"}
    - {name: other, command: "true"}
`,
  );
  const { exitCode, warnings, told } = await run();
  t.is(exitCode, 0);
  t.deepEqual(told.slice(-2), ['restart a changed', 'other a changed']);
  t.deepEqual(warnings, ['the host cannot keep which handlers are pending: should the run end early they will not run']);
  t.deepEqual(await marks('a'), []);
});

test('marks that lie, or cannot be read, are none', async (t) => {
  const { rig, root, run } = await play(t, site);
  await rig.write({ 'hosts/a/broken': '' });
  await run();
  await rm(path.join(root, 'a/broken'));
  if (process.getuid!() !== 0) return t.pass();
  const folder = path.join(rig.machines.folder, 'a/pending');
  const [playbook] = await readdir(folder);
  const lie = (handler: string) => `${JSON.stringify({ host: 'a', play: 'all', handler, by: 'change', run: 'x\u001b[31m', at: 'y' })}\n`;
  await rig.write({
    [`muster/a/pending/${playbook}/0000000000000000`]: lie('restart $(reboot)'),
    [`muster/a/pending/${playbook}/0000000000000001`]: 'not json\n',
    [`muster/a/pending/${playbook}/0000000000000002`]: '{"host": "a"}\n',
    [`muster/a/pending/${playbook}/name`]: lie('restart'),
  });
  const { told, warnings, exitCode } = await run();
  t.is(exitCode, 0);
  t.deepEqual(told.filter((line) => line.startsWith('pending')), ['pending restart a']);
  t.is(warnings.length, 1);
  t.true(await exists(path.join(folder, playbook!, 'name')));
});
