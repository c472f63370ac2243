import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { RunOptions } from '../../src/engine/options.js';
import { exists, Rig, snapshot } from './rig.js';

/** Confirmed blocks over real shells, with this machine for three; as on hosts, who arms must be root. */
async function play(t: ExecutionContext, site: string, more: Partial<RunOptions> & { files?: { [path: string]: string } } = {}) {
  const { files, ...options } = more;
  const rig = await Rig.make({ 'site.yml': site, ...files });
  t.teardown(() => rig.remove());
  const names = ['a', 'b', 'alias'];
  await rig.write({
    'hosts.yml': `all:\n  hosts:\n${names.map((host) => `    ${host}: {ansible_connection: ssh, ansible_host: ${host === 'alias' ? 'a' : host}, root: "${rig.folder}/hosts/${host === 'alias' ? 'a' : host}"}`).join('\n')}\n`,
  });
  for (const host of ['a', 'b']) await mkdir(path.join(rig.folder, 'hosts', host), { recursive: true });
  const at = (file: string) => path.join(rig.folder, 'hosts', file);
  const run = async (again: Partial<RunOptions> = {}) => {
    const summary = await rig.run({ limit: 'a', ...options, ...again });
    const told = rig.events.flatMap((event) =>
      event.event === 'result' ? [`${event.task} ${event.host} ${event.result.status}`] : event.event === 'confirm' ? [`${event.block} ${event.host} ${event.state}`] : [],
    );
    return { code: summary.exitCode, told, trips: rig.trips.length, failures: rig.failures() };
  };
  const left = async (host: string) => (await exists(path.join(rig.folder, 'muster', host, 'confirm')) ? snapshot(path.join(rig.folder, 'muster', host, 'confirm')) : '');
  return { rig, run, at, left };
}

const head = '- hosts: all\n  gather_facts: false\n';

test('handlers of the block run within it, others wait; the tasks behind go on; the second run asks once and arms nothing', async (t) => {
  const { run, left } = await play(
    t,
    `${head}  tasks:
    - {name: before, copy: {dest: "{{ root }}/before", content: x}, notify: [early, both]}
    - name: change
      confirm: 30s
      block:
        - {name: inside, copy: {dest: "{{ root }}/inside", content: x}, notify: [late, both]}
        - {name: look, command: ls /, changed_when: false, check_mode: false}
    - {name: behind, copy: {dest: "{{ root }}/behind", content: x}}
  handlers:
    - {name: early, shell: "echo early >> {{ root }}/handled"}
    - {name: late, copy: {dest: "{{ root }}/late", content: x}}
    - {name: both, lineinfile: {path: "{{ root }}/both", line: x, create: true}}
`,
  );
  const first = await run();
  t.deepEqual(first.told, [
    'before a changed', 'change a arming', 'inside a changed', 'look a ok', 'late a changed', 'both a changed', 'change a confirmed', 'behind a changed', 'early a changed',
  ]);
  t.is(first.code, 0);
  t.is(await left('a'), '');
  const second = await run();
  t.deepEqual(second.told, ['before a ok', 'inside a ok', 'look a ok', 'behind a ok']);
  // One trip for the look, which is a command, and one for everything before and behind it.
  t.is(second.trips, 2);
});

test('a task that fails brings everything back as it was: content, mode, links, folders, what was absent', async (t) => {
  const { rig, run, at, left } = await play(
    t,
    `${head}  tasks:
    - name: change
      confirm: 30s
      block:
        - {copy: {dest: "{{ root }}/file", content: "new\\n", mode: "0644"}, notify: never}
        - {copy: {dest: "{{ root }}/file", content: "newer\\n"}}
        - {lineinfile: {path: "{{ root }}/link", line: more}}
        - {template: {src: text.hbs, dest: "{{ root }}/replaced"}}
        - {file: {path: "{{ root }}/folder", mode: "0711"}}
        - {blockinfile: {path: "{{ root }}/folder/kept", block: x}}
        - {file: {path: "{{ root }}/folder", state: absent}}
        - {file: {path: "{{ root }}/made/of/folders", state: directory}}
        - {copy: {dest: "{{ root }}/made/of/folders/file", content: x}}
        - {file: {path: "{{ root }}/link2", src: file, state: link}}
        - {replace: {path: "{{ root }}/sub", regexp: a, replace: b}, loop: [1, 2]}
        - {name: broken, fail: {msg: on purpose}}
      rescue:
        - {name: why, copy: {dest: "{{ root }}/why", content: "{{ ansible_failed_task.name }}: {{ ansible_failed_result.msg }}"}}
      always:
        - {name: anyway, debug: }
  handlers:
    - {name: never, file: {path: "{{ root }}/never", state: touch}}
`,
    { files: { 'templates/text.hbs': 'text\n' } },
  );
  await rig.write({ 'hosts/a/file': 'old\n', 'hosts/a/target': 'old\n', 'hosts/a/folder/kept': 'kept\n', 'hosts/a/sub': 'aaa\n' });
  await promisify(execFile)('chmod', ['0640', at('a/file')]);
  await promisify(execFile)('chown', ['12:34', at('a/sub')]);
  await symlink('target', at('a/link'));
  await symlink('nowhere', at('a/replaced'));
  const before = await snapshot(at('a'));
  const { code, told } = await run();
  t.is(code, 0);
  t.deepEqual(told.slice(-5), ['broken a rescued', 'change a unconfirmed', 'change a rolled-back', 'why a changed', 'anyway a ok']);
  t.is(await readFile(at('a/why'), 'utf8'), 'broken: on purpose');
  t.true(rig.events.some((event) => event.event === 'confirm' && event.message === '"broken" failed; the host puts the old state back'));
  await promisify(execFile)('rm', [at('a/why')]);
  t.is(await snapshot(at('a')), before);
  t.is((await promisify(execFile)('stat', ['-c', '%u:%g', at('a/sub')])).stdout, '12:34\n');
  t.is(await left('a'), '');
});

test('a block that takes longer than its time is taken back, and changes nothing more', async (t) => {
  const { rig, run, at } = await play(
    t,
    `${head}  tasks:
    - name: slow
      confirm: "{{ 5 }}"
      block:
        - {name: one, copy: {dest: "{{ root }}/one", content: new}}
        - {name: slow, command: sleep 6, changed_when: false}
        - {name: two, copy: {dest: "{{ root }}/two", content: new}}
    - {name: behind, debug: }
`,
  );
  await rig.write({ 'hosts/a/one': 'old' });
  const { code, told, failures } = await run();
  t.is(code, 3);
  t.deepEqual(told, ['slow a arming', 'one a changed', 'slow a ok', 'two a failed', 'slow a unconfirmed', 'slow a rolled-back']);
  t.regex(failures[0]!, /the time for the confirmation is over: the host has put the old state back/);
  t.is(await readFile(at('a/one'), 'utf8'), 'old');
  t.false(await exists(at('a/two')));
});

test('a block that only comes to its end too late is reported as failed', async (t) => {
  const { run, at } = await play(
    t,
    `${head}  tasks:
    - name: slow
      confirm: 5s
      block:
        - {name: one, copy: {dest: "{{ root }}/one", content: new}}
        - {name: slow, command: sleep 6, changed_when: false}
`,
  );
  const { code, told, failures } = await run();
  t.is(code, 3);
  t.deepEqual(told, ['slow a arming', 'one a changed', 'slow a ok', 'slow a unconfirmed', 'slow a rolled-back', 'slow: confirmation a failed']);
  t.regex(failures[0]!, /not confirmed, so the old state is back: the block took longer than the 5 s it had/);
  t.false(await exists(at('a/one')));
});

test('two names of one machine share its confirmation; a host that fails does not take others back', async (t) => {
  const { run, at } = await play(
    t,
    `${head}  tasks:
    - name: change
      confirm: 30s
      block:
        - {name: one, lineinfile: {path: "{{ root }}/{{ inventory_hostname }}", line: x, create: true}}
        - {name: elsewhere, copy: {dest: "{{ hostvars['b'].root }}/by-{{ inventory_hostname }}", content: x}, delegate_to: b, when: where == 'elsewhere'}
        - {name: broken, fail: {msg: no luck}, when: inventory_hostname == broken}
  vars: {broken: none, where: here}
`,
    { limit: 'all' },
  );
  const broken = await run({ extraVars: new Map([['broken', 'alias']]) });
  t.deepEqual(broken.told.filter((line) => line.startsWith('change ')).sort(), [
    'change a arming', 'change a rolled-back', 'change a unconfirmed', 'change alias rolled-back', 'change alias unconfirmed', 'change b arming', 'change b confirmed',
  ]);
  t.deepEqual(broken.told.filter((line) => line.endsWith('failed')).sort(), ['broken alias failed', 'change: confirmation a failed']);
  t.false(await exists(at('a/a')) || await exists(at('a/alias')));
  t.true(await exists(at('b/b')));
  const delegated = await run({ extraVars: new Map([['broken', 'a'], ['where', 'elsewhere']]) });
  t.is(delegated.code, 3);
  // What a delegated to b is part of what b holds, and goes with it.
  t.false(await exists(at('b/by-a')));
});

test('confirm: 0 arms nothing; a plan neither; who is not root may not change; what an include brings is looked at too', async (t) => {
  const { run, at, left } = await play(
    t,
    `${head}  tasks:
    - name: change
      confirm: "{{ within }}"
      block:
        - {name: one, copy: {dest: "{{ root }}/one", content: new}, become: "{{ nobody }}", become_user: nobody}
        - {include_tasks: more.yml, when: inventory_hostname == 'a'}
  vars: {within: 0, nobody: false}
`,
    { files: { 'more.yml': '- {name: more, shell: "echo >> {{ root }}/more"}\n' } },
  );
  const plain = await run();
  t.deepEqual(plain.told.filter((line) => !line.startsWith('include')), ['one a changed', 'more a changed']);
  await promisify(execFile)('rm', [at('a/one'), at('a/more')]);
  const plan = await run({ check: true, extraVars: new Map([['within', '30s']]) });
  t.false(plan.told.some((line) => line.startsWith('change ')));
  const included = await run({ extraVars: new Map([['within', '30s']]) });
  t.regex(included.failures[0]!, /shell in a confirmed block: what it changes cannot be put back/);
  t.deepEqual(included.told.filter((line) => line.startsWith('change ')), ['change a arming', 'change a unconfirmed', 'change a rolled-back']);
  t.false(await exists(at('a/one')) || await exists(at('a/more')));
  await promisify(execFile)('chmod', ['-R', 'a+rwx', at('..')]);
  const other = await run({ extraVars: new Map<string, string | boolean>([['within', '30s'], ['nobody', true]]) });
  t.regex(other.failures[0]!, /must be root/);
  t.false(await exists(at('a/one')));
  t.is(await left('a'), '');
  const wrong = await run({ extraVars: new Map([['within', 'soon']]) });
  t.regex(wrong.failures[0]!, /confirm is "soon", which is no duration/);
});

test('commands are let in where the block says what they touch', async (t) => {
  const { rig, run, at } = await play(
    t,
    `${head}  tasks:
    - name: change
      confirm: {within: 30s, paths: ["{{ root }}/folder", "{{ root }}/absent"]}
      block:
        - {name: write, shell: "rm {{ root }}/folder/*; echo new > {{ root }}/folder/new; echo new > {{ root }}/absent"}
        - {name: broken, fail: {msg: on purpose}}
`,
  );
  await rig.write({ 'hosts/a/folder/old': 'old\n' });
  const before = await snapshot(at('a'));
  t.is((await run()).code, 3);
  t.is(await snapshot(at('a')), before);
});

/** Another run's change on host a, armed. */
async function armed(rig: Rig, more: { [file: string]: string } = {}): Promise<string> {
  const other = path.join(rig.folder, 'muster/a/confirm/other');
  await mkdir(other, { recursive: true });
  const files = { armed: '', within: '60\n', boot: await readFile('/proc/sys/kernel/random/boot_id', 'utf8'), ...more };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(other, name), text);
  return other;
}

test('where another change waits for its confirmation, none is begun', async (t) => {
  const { rig, run, at } = await play(
    t,
    `${head}  tasks:
    - confirm: 30s
      block:
        - {name: meanwhile, command: "mv /var/lib/muster/other /var/lib/muster/confirm/other", changed_when: false}
        - {name: one, copy: {dest: "{{ root }}/one", content: new}}
`,
  );
  const other = await armed(rig);
  await rename(other, path.join(rig.folder, 'muster/a/other'));
  const { failures, told } = await run();
  t.regex(failures[0]!, /another confirmed change \(other\) is under way on this host/);
  t.deepEqual(told, ['meanwhile a ok', 'confirmed block a arming', 'one a failed', 'confirmed block a unconfirmed', 'confirmed block a rolled-back']);
  t.false(await exists(at('a/one')));
  t.true(await exists(path.join(other, 'armed')));
});

test('what a run that is no more did not confirm is put back first; while it is alive, its lock is waited for', async (t) => {
  const { rig, run, at } = await play(
    t,
    `${head}  tasks:
    - {name: change, confirm: 30s, block: [{name: one, copy: {dest: "{{ root }}/one", content: new}}]}
`,
  );
  await writeFile(at('a/one'), 'new');
  const other = await armed(rig, { rollback: `cd "\${0%/*}" && mv armed rolling && printf old >${at('a/one')} && mv rolling rolled-back\n` });
  const lock = path.join(rig.folder, 'muster/a.run/lock');
  await mkdir(path.dirname(lock), { recursive: true });
  const now = Math.floor(Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]));
  await writeFile(lock, `20200101T000000Z-abcdef ${now} ${now} alice@elsewhere 1 elsewhere:1:1\n`);
  const refused = await run();
  t.is(refused.code, 5);
  t.regex(refused.failures[0]!, /another run holds the lock of a: run 20200101T000000Z-abcdef/);
  t.true(await exists(path.join(other, 'armed')));
  t.is(await readFile(at('a/one'), 'utf8'), 'new');
  await rm(lock);
  // Found as described, it would have been taken back a minute later.
  const { code, told } = await run();
  t.is(code, 0);
  t.deepEqual(told, ['change a rolled-back', 'change a arming', 'one a changed', 'change a confirmed']);
  t.is(await readFile(at('a/one'), 'utf8'), 'new');
  t.false(await exists(other));
});

test('an interrupted block is taken back before the run ends', async (t) => {
  const stop = new AbortController();
  const { rig, run, at, left } = await play(
    t,
    `${head}  tasks:
    - name: change
      confirm: 60s
      block:
        - {name: one, copy: {dest: "{{ root }}/one", content: new}}
        - {name: two, copy: {dest: "{{ root }}/two", content: new}}
`,
  );
  const { code, told } = await run({ stop: stop.signal, emit: (event) => (rig.events.push(event), event.event === 'result' && stop.abort()) });
  t.is(code, 130);
  t.deepEqual(told, ['change a arming', 'one a changed', 'change a unconfirmed', 'change a rolled-back', 'change: confirmation a failed']);
  t.false(await exists(at('a/one')) || await exists(at('a/two')));
  t.is(await left('a'), '');
});
