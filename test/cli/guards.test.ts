import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { folder } from './folder.js';
import { muster } from './muster.js';

const SITE = `- hosts: all
  gather_facts: false
  tasks:
    - name: Write the greeting
      copy: {content: "hello\\n", dest: "{{ playbook_dir }}/out-{{ inventory_hostname }}"}
    - name: Write the other
      copy: {content: "other\\n", dest: "{{ playbook_dir }}/other-{{ inventory_hostname }}"}
`;
const HOSTS = `all:
  vars: {ansible_connection: local}
  children:
    web: {hosts: {w1: , w2: }}
    db: {hosts: {d1: , d2: }}
`;

/** A project whose hosts are as described, but for some files. */
async function drifted(t: ExecutionContext, files: string[], settings = ''): Promise<{ fix: (...args: string[]) => ReturnType<typeof muster>; left: () => Promise<string[]>; cwd: string }> {
  const cwd = await folder(t, { 'site.yml': SITE, 'hosts.yml': HOSTS, 'muster.yml': `inventory: hosts.yml\n${settings}` });
  const applied = await muster(['apply', 'site.yml'], { cwd });
  t.is(applied.code, 0, applied.stdout + applied.stderr);
  for (const file of files) await writeFile(join(cwd, file), 'by hand\n');
  return {
    cwd,
    fix: (...args) => muster(['drift', 'site.yml', '--fix', ...args], { cwd }),
    left: async () => {
      const texts = await Promise.all(files.map((file) => readFile(join(cwd, file), 'utf8')));
      return files.filter((_, i) => texts[i] === 'by hand\n');
    },
  };
}

test('more changes than allowed: all is told, nothing is changed, exit 6; as many are brought back', async (t) => {
  const { fix, left } = await drifted(t, ['out-w1', 'other-w1', 'out-w2']);
  const held = await fix('--max-changes', '2');
  t.is(held.code, 6);
  t.regex(held.stdout, /^drifted {6}Write the greeting · w1, w2 \(new\)\n[^]*^drifted {6}Write the other · w1 \(new\)\n/m);
  t.is(held.stderr, 'muster: guarded, nothing was changed: 3 changes, and at most 2 may be made by themselves (max_changes)\n');
  t.deepEqual(await left(), ['out-w1', 'other-w1', 'out-w2']);
  const fixed = await fix('--max-changes', '3');
  t.is(fixed.code, 0, fixed.stderr);
  t.regex(fixed.stdout, /^corrected/m);
  t.deepEqual(await left(), []);
});

test('the last line for programs is the recap', async (t) => {
  const { fix } = await drifted(t, ['out-w1', 'out-d1']);
  const held = await fix('--max-hosts', '1', '--output', 'json');
  t.is(held.code, 6);
  const events = held.stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as { event: string; message?: string });
  t.is(events.at(-1)!.event, 'recap');
  t.true(events.some(({ event, message }) => event === 'warning' && message!.includes('2 hosts would change, and at most 1 may (max_hosts): w1, d1')));
});

const limited: { [title: string]: { guards: string; files: string[]; says: RegExp | undefined } } = {
  'hosts of a group': { guards: '{groups: {web: 1}}', files: ['out-w1', 'out-w2', 'out-d1'], says: /2 hosts of web would change, and at most 1 may: w1, w2/ },
  'hosts of another group': { guards: '{groups: {web: 1}}', files: ['out-w1', 'out-d1', 'out-d2'], says: undefined },
  'groups that are kept apart': { guards: '{apart: [[web, db]]}', files: ['out-w1', 'out-d2'], says: /web and db would change in one run, and must not: w1, d2/ },
  'one of those groups': { guards: '{apart: [[web, db]]}', files: ['out-w1', 'out-w2'], says: undefined },
  'no change at all': { guards: '{max_changes: 0}', files: ['out-d1'], says: /1 changes, and at most 0/ },
};
for (const [title, { guards, files, says }] of Object.entries(limited)) {
  test(`guards of muster.yml: ${title}`, async (t) => {
    const { fix, left } = await drifted(t, files, `guards: ${guards}\n`);
    const ran = await fix();
    t.is(ran.code, says ? 6 : 0, ran.stdout + ran.stderr);
    if (says) t.regex(ran.stderr, says);
    t.deepEqual(await left(), says ? files : []);
  });
}

test('where the look finds nothing, it is the only run', async (t) => {
  const { fix, cwd } = await drifted(t, ['out-w1']);
  const runs = async () => (await readdir(join(cwd, '.muster', 'runs'))).length;
  const applied = await runs();
  t.is((await fix('--max-changes', '1')).code, 0);
  t.is(await runs(), applied + 2, 'a look, and the run that brings it back');
  t.is((await fix('--max-changes', '1')).code, 0);
  t.is(await runs(), applied + 3);
});

test('a clean fleet is silent, and a guard that cannot be meant is told', async (t) => {
  const { fix } = await drifted(t, []);
  t.deepEqual(await fix('--max-changes', '0'), { code: 0, stdout: '', stderr: '' });
  t.regex((await fix('--max-hosts', '-1')).stderr, /--max-hosts must be a whole number/);
  const misspelt = await drifted(t, ['out-d1'], 'guards: {groups: {wbe: 1}}\n');
  const ran = await misspelt.fix();
  t.is(ran.code, 1);
  t.regex(ran.stderr, /the inventory has no group "wbe", which guards in muster\.yml name; did you mean "web"\?/);
  t.deepEqual(await misspelt.left(), ['out-d1']);
});
