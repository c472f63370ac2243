import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { folder } from './folder.js';
import { muster } from './muster.js';

const SITE = `- hosts: all
  gather_facts: false
  tasks:
    - name: Write the greeting
      copy:
        content: "hello {{ inventory_hostname }}\\n"
        dest: "{{ playbook_dir }}/out-{{ inventory_hostname }}"
    - name: Break
      command: /bin/false
      when: fails is defined
`;
const HERE = ['-c', 'local', '-i', 'h1,h2,'];

test('history lists runs, the newest first; show tells one again as it was told', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  t.deepEqual(await muster(['history'], { cwd }), { code: 0, stdout: `No run is kept in ${join(cwd, '.muster/runs')}.\n`, stderr: '' });
  const planned = await muster(['plan', 'site.yml', ...HERE], { cwd });
  const failed = await muster(['apply', 'site.yml', '-l', 'h1', '-t', 'all', '-e', 'fails=yes', ...HERE], { cwd });
  t.deepEqual([planned.code, failed.code], [2, 3]);

  const runs = (await readdir(join(cwd, '.muster/runs'))).filter((name) => name !== 'undo.key').sort().reverse();
  const { stdout } = await muster(['history'], { cwd });
  const rows = stdout.trim().split('\n').map((line) => line.split(/ {2,}/));
  t.is(rows[0]!.join(' '), 'RUN WHEN VERB PLAYBOOKS HOSTS CHANGED FAILED UNREACHABLE EXIT TOOK');
  const sorted = rows.slice(1).sort((a, b) => a[2]!.localeCompare(b[2]!));
  t.deepEqual(sorted.map((row) => row.slice(2, 9)), [['apply', 'site.yml', '1', '1', '1', '0', '3'], ['plan', 'site.yml', '2', '2', '0', '0', '2']]);
  t.deepEqual(rows.slice(1).map(([run]) => run), runs);

  const lines = (await muster(['history', '--output', 'json'], { cwd })).stdout.trim().split('\n').map((line) => JSON.parse(line) as { [key: string]: unknown });
  const apply = lines.find(({ verb }) => verb === 'apply')!;
  t.like(apply, { playbooks: ['site.yml'], inventory: ['h1,h2,'], limit: 'h1', tags: ['all'], check: false, hosts: 1, changed: 1, failed: 1, exitCode: 3, underWay: false });
  t.is((await muster(['history', '-n', '1'], { cwd })).stdout.trim().split('\n').length, 2);

  const again = await muster(['history', 'show', String(apply['run'])], { cwd });
  t.true(again.stdout.startsWith(`${String(apply['run'])}: apply site.yml -i h1,h2, -l h1 -t all, by `), again.stdout);
  t.true(again.stdout.includes(failed.stdout.trimEnd()), `${again.stdout}\nis not what was told:\n${failed.stdout}`);
  t.regex(again.stdout, /exit 3\n$/);
  t.is(again.code, 0);
  const plan = lines.find(({ verb }) => verb === 'plan')!;
  t.true((await muster(['history', 'show', String(plan['run'])], { cwd })).stdout.includes(planned.stdout.trimEnd()));
  const events = (await muster(['history', 'show', 'last', '--output', 'json'], { cwd })).stdout.trim().split('\n').map((line) => JSON.parse(line) as { event: string; at: string });
  t.is(events.at(-1)!.event, 'recap');
  t.true(events.every(({ at }) => !Number.isNaN(Date.parse(at))));
});

test('a run that is not there, and wrong words, are told', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  t.like(await muster(['history', 'show', 'last'], { cwd }), { code: 1, stderr: `there is no run in ${join(cwd, '.muster/runs')}\n` });
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  t.like(await muster(['history', 'show', '19'], { cwd }), { code: 1, stderr: `no run "19" is kept in ${join(cwd, '.muster/runs')}; muster history lists those there are\n` });
  t.is((await muster(['history', '-n', '0'], { cwd })).code, 1);
  t.is((await muster(['history', 'shwo', 'last'], { cwd })).code, 1);
  t.like(await muster(['history', 'show', 'last'], { cwd, env: { MUSTER_JOURNAL: 'no' } }), { code: 1, stderr: 'no journal is kept; set "journal" in muster.yml to a folder\n' });
});

test('a run that was killed did not end; what it was at is told', async (t) => {
  const cwd = await folder(t, { 'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Take long\n      shell: echo $$ > {{ playbook_dir }}/begun; exec sleep 600\n' });
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), 'apply', 'site.yml', '-c', 'local', '-i', 'h1,'], { cwd, stdio: 'ignore' });
  const closed = once(child, 'close');
  while (!(await readFile(join(cwd, 'begun'), 'utf8').catch(() => ''))) await new Promise((resolve) => setTimeout(resolve, 50));
  t.regex((await muster(['history'], { cwd })).stdout, /apply {2}site\.yml .*under way$/m);
  child.kill('SIGKILL');
  process.kill(Number(await readFile(join(cwd, 'begun'), 'utf8')));
  await closed;
  const [run] = await readdir(join(cwd, '.muster/runs'));
  await appendFile(join(cwd, '.muster/runs', run!, 'events.ndjson'), '{"at":"2026-');
  t.regex((await muster(['history'], { cwd })).stdout, /apply {2}site\.yml .*did not end$/m);
  t.regex((await muster(['history', 'show', 'last'], { cwd })).stdout, /^The run did not end; at work: h1 \(Take long\)\.$/m);
});

test('muster.yml says how many runs are kept', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE, 'muster.yml': 'journal_keep: {runs: 2}\n' });
  for (let i = 0; i < 3; i++) await muster(['apply', 'site.yml', ...HERE], { cwd });
  await muster(['plan', 'site.yml', ...HERE], { cwd });
  const verbs = (await muster(['history', '--output', 'json'], { cwd })).stdout.trim().split('\n').map((line) => (JSON.parse(line) as { verb: string }).verb).sort();
  t.deepEqual(verbs, ['apply', 'apply', 'plan']);
});

test('runs are in the order they began, several in a second too', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  const verbs = ['apply', 'plan', 'apply', 'drift', 'plan', 'apply'];
  for (const verb of verbs) await muster([verb, 'site.yml', '-i', 'h1,', '-c', 'local'], { cwd });
  const told = await muster(['history', '--output', 'json'], { cwd });
  t.deepEqual(told.stdout.trim().split('\n').map((line) => (JSON.parse(line) as { verb: string }).verb), verbs.toReversed());
});
