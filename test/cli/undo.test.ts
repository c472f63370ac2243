import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { snapshot } from '../engine/rig.js';
import { folder } from './folder.js';
import { muster } from './muster.js';

const HERE = ['-c', 'local', '-i', 'h1,'];
const play = (tasks: string) => `- hosts: all\n  gather_facts: false\n  vars: {d: "{{ playbook_dir }}/t"}\n  tasks:\n${tasks.replace(/^/gm, '    ')}`;

const SITE = play(`- name: New folder
  file: {path: "{{ d }}/made/below", state: directory, mode: "0750"}
- name: File in the new folder
  copy: {content: "new\\n", dest: "{{ d }}/made/below/file"}
- name: Other content and mode
  copy: {content: "changed\\n", dest: "{{ d }}/old", mode: "0600"}
- name: Mode alone
  file: {path: "{{ d }}/mode", mode: "0640"}
- name: Binary
  copy: {content: "text", dest: "{{ d }}/binary"}
- name: Link elsewhere
  file: {path: "{{ d }}/link", src: mode, state: link}
- name: New link
  file: {path: "{{ d }}/newlink", src: mode, state: link}
- name: Gone
  file: {path: "{{ d }}/gone", state: absent}
- name: A loop
  copy: {content: "{{ item }}{{ '{{' }} item }}", dest: "{{ d }}/{{ item }}"}
  loop: [one, "two {{ '{{' }} x }}"]
- name: Replace
  replace: {path: "{{ d }}/text", regexp: b, replace: B}
- name: A line in the same file
  lineinfile: {path: "{{ d }}/text", line: "A"}
- name: Block
  blockinfile: {path: "{{ d }}/text", block: "in\\nside"}
- name: Template
  template: {src: t.hbs, dest: "{{ d }}/template"}
- name: A folder copied
  copy: {src: tree/, dest: "{{ d }}/tree"}
`);

async function start(t: Parameters<typeof folder>[0], site: string): Promise<string> {
  const cwd = await folder(t, { 'site.yml': site, 'templates/t.hbs': 'of {{inventory_hostname}}\n', 'files/tree/x/deep': 'deep', 'files/tree/known': 'new', 't/old': 'old\n', 't/mode': 'mode\n', 't/gone': 'was here\n', 't/text': 'abc\nabc', 't/template': 'before', 't/one': '1', 't/tree/known': 'known' });
  await writeFile(join(cwd, 't/binary'), Buffer.from([0, 255, 1, 10, 13, 128]));
  await chmod(join(cwd, 't/gone'), 0o604);
  await chmod(join(cwd, 't/old'), 0o6755);
  await symlink('old', join(cwd, 't/link'));
  return cwd;
}

const runsOf = async (cwd: string) => (await readdir(join(cwd, '.muster/runs'))).filter((name) => name !== 'undo.key');

test('undo brings all files back as they were, the newest change first, and undo of the undo makes them again', async (t) => {
  const cwd = await start(t, SITE);
  const before = await snapshot(join(cwd, 't'));
  const applied = await muster(['apply', 'site.yml', '--verify', ...HERE], { cwd });
  t.is(applied.code, 0, applied.stdout);
  const after = await snapshot(join(cwd, 't'));
  t.not(after, before);

  const planned = await muster(['undo', 'last', '--check'], { cwd });
  t.is(planned.code, 2, planned.stdout + planned.stderr);
  t.regex(planned.stdout, /would change undo: Block · h1\n[^]*unknown +undo: A line in the same file · h1\n/);
  t.is(await snapshot(join(cwd, 't')), after, 'looking changes nothing');
  const asked = await muster(['undo', 'last'], { cwd });
  t.is(asked.code, 2);
  t.regex(asked.stdout, /Nothing was taken back: say --yes/);

  const undone = await muster(['undo', 'last', '--yes'], { cwd });
  t.is(undone.code, 0, undone.stdout + undone.stderr);
  t.is(await snapshot(join(cwd, 't')), before);
  t.notRegex(undone.stdout, /Cannot be taken back/);
  const redone = await muster(['undo', 'last', '--yes'], { cwd });
  t.is(redone.code, 0, redone.stdout + redone.stderr);
  t.is(await snapshot(join(cwd, 't')), after);
  t.is((await muster(['plan', 'site.yml', ...HERE], { cwd })).code, 0, 'the redone state is what the playbook describes');
});

test('what is no longer as the run left it stays, item by item; the rest goes back', async (t) => {
  const cwd = await start(t, SITE);
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  await writeFile(join(cwd, 't/template'), 'by hand');
  await writeFile(join(cwd, 't/made/below/mine'), 'by hand');
  await writeFile(join(cwd, 't/two {{ x }}'), 'by hand');
  await chmod(join(cwd, 't/mode'), 0o600);
  const undone = await muster(['undo', 'last', '--yes'], { cwd, env: { COLUMNS: '500' } });
  t.is(undone.code, 3, undone.stdout);
  t.regex(undone.stdout, /failed +undo: Template · h1\n +not as the run left it, so it stays: content is "sha256:[^"]*", the run left "sha256:/);
  t.regex(undone.stdout, /failed +undo: Mode alone · h1\n +not as the run left it, so it stays: mode is "0600", the run left "0640"/);
  t.regex(undone.stdout, /the folder [^ ]*t\/made\/below is not empty, so it stays/);
  t.regex(undone.stdout, /two \{\{ x \}\} has another content \(sha256:[0-9a-f]+\), so it stays/);
  t.is(await readFile(join(cwd, 't/template'), 'utf8'), 'by hand');
  t.is(await readFile(join(cwd, 't/old'), 'utf8'), 'old\n');
  t.deepEqual(await readdir(join(cwd, 't/made/below')), ['mine']);
  t.is((await stat(join(cwd, 't/old'))).mode & 0o7777, 0o6755);
  t.is(await readFile(join(cwd, 't/gone'), 'utf8'), 'was here\n');
  const again = await muster(['undo', 'last', '--check'], { cwd });
  t.is(again.code, 2, 'an undo that failed in part can be undone in what it did');
});

test('what has no way back is told: commands, folders that were removed, long files', async (t) => {
  const cwd = await start(t, play(`- name: Migrate
  command: touch {{ d }}/migrated
- name: Look only
  command: "true"
  changed_when: false
- name: Remove the folder
  file: {path: "{{ d }}/tree", state: absent}
- name: Long
  copy: {content: short, dest: "{{ d }}/long"}
`));
  await writeFile(join(cwd, 't/long'), Buffer.alloc(2 * 1024 * 1024, 'x'));
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  const undone = await muster(['undo', 'last', '--yes'], { cwd });
  t.is(undone.code, 0);
  t.regex(undone.stdout, /^There is nothing that can be taken back\.\n\nCannot be taken back:\n/);
  t.regex(undone.stdout, /^ {2}Migrate: what command did is not known · h1$/m);
  t.regex(undone.stdout, /^ {2}Remove the folder: .*t\/tree was a folder, and what was in it was not kept · h1$/m);
  t.regex(undone.stdout, /^ {2}Long: the old content of .*t\/long was not kept: it is longer than 1 MiB, or could not be read · h1$/m);
  t.notRegex(undone.stdout, /Look only/);
});

test('a converged run keeps nothing, and costs no more; what is kept is for the owner alone', async (t) => {
  const cwd = await start(t, SITE);
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  const runs = await Promise.all((await runsOf(cwd)).map(async (run) => ({ run, files: (await readdir(join(cwd, '.muster/runs', run))).sort().join() })));
  t.deepEqual(runs.map(({ files }) => files).sort(), ['events.ndjson', 'events.ndjson,old,undo']);
  const { run } = runs.find(({ files }) => files.includes('undo'))!;
  const modes = async (path: string) => (await stat(join(cwd, '.muster/runs', run, path))).mode & 0o777;
  t.deepEqual(await Promise.all(['.', 'old', 'undo'].map(modes)), [0o700, 0o700, 0o600]);
  for (const name of await readdir(join(cwd, '.muster/runs', run, 'old'))) t.is(await modes(join('old', name)), 0o600);
  t.is((await stat(join(cwd, '.muster/runs/undo.key'))).mode & 0o777, 0o600);
  for (const name of ['undo', ...(await readdir(join(cwd, '.muster/runs', run, 'old'))).map((each) => join('old', each))]) t.notRegex(await readFile(join(cwd, '.muster/runs', run, name), 'latin1'), /was here|copy/, 'sealed');
  const nothing = await muster(['undo', 'last'], { cwd });
  t.is(nothing.stdout, 'There is nothing that can be taken back.\n');
});

test('diffs are in the journal without being asked for, and of no_log nothing is', async (t) => {
  const cwd = await start(t, play(`- name: Shown
  copy: {content: "new line\\n", dest: "{{ d }}/old"}
- name: Hidden
  copy: {content: "hidden line\\n", dest: "{{ d }}/gone"}
  no_log: true
`));
  t.notRegex((await muster(['apply', 'site.yml', ...HERE], { cwd })).stdout, /new line/);
  const again = (await muster(['history', 'show', 'last', '-D'], { cwd })).stdout;
  t.regex(again, /-old\n +\+new line/);
  t.notRegex(again, /hidden line|was here/);
});

test('hosts that changed alike go back together; -l takes some of them back', async (t) => {
  const cwd = await folder(t, { 'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Write\n      copy: {content: "new", dest: "{{ playbook_dir }}/t-{{ inventory_hostname }}"}\n' });
  const all = ['-c', 'local', '-i', 'h1,h2,h3,'];
  await muster(['apply', 'site.yml', ...all], { cwd });
  const [run] = await runsOf(cwd);
  t.is((await muster(['undo', run!, '--yes', '-l', 'h1,h3'], { cwd })).code, 0);
  t.deepEqual((await readdir(cwd)).filter((name) => name.startsWith('t-')), ['t-h2']);
  t.like(await muster(['undo', run!, '--yes', '-i', 'other,'], { cwd }), { code: 1, stderr: 'muster: the inventory has no h1, h2, h3, which the run changed; give the inventory that has, with -i\n' });
});

test('a plan changed nothing; a run that was killed goes back as far as it is known', async (t) => {
  const cwd = await folder(t, { 'site.yml': play('- name: Write\n  copy: {content: new, dest: "{{ d }}/file"}\n- name: Take long\n  shell: echo $$ > {{ d }}/begun; exec sleep 600\n'), 't/file': 'old' });
  await muster(['plan', 'site.yml', ...HERE], { cwd });
  t.regex((await muster(['undo', 'last'], { cwd })).stderr, /was a plan: it changed nothing/);
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), 'apply', 'site.yml', ...HERE], { cwd, stdio: 'ignore' });
  const closed = once(child, 'close');
  while (!(await readFile(join(cwd, 't/begun'), 'utf8').catch(() => ''))) await new Promise((resolve) => setTimeout(resolve, 50));
  t.regex((await muster(['undo', 'last'], { cwd })).stderr, /is still under way/);
  child.kill('SIGKILL');
  process.kill(Number(await readFile(join(cwd, 't/begun'), 'utf8')));
  await closed;
  const undone = await muster(['undo', 'last', '--yes'], { cwd });
  t.is(undone.code, 0, undone.stdout + undone.stderr);
  t.is(await readFile(join(cwd, 't/file'), 'utf8'), 'old');
  t.regex(undone.stdout, /Take long: the run ended while this was under way: whether it was made is not known/);
});

test('folders made on the way go again, as far as they are empty', async (t) => {
  const cwd = await folder(t, { 'site.yml': play('- file: {path: "{{ d }}/a/b/c", state: directory}\n- lineinfile: {path: "{{ d }}/x/y/file", line: here, create: true}\n') });
  await mkdir(join(cwd, 't'));
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  await writeFile(join(cwd, 't/x/mine'), '');
  const undone = await muster(['undo', 'last', '--yes'], { cwd });
  t.is(undone.code, 3);
  t.is(await snapshot(join(cwd, 't')), `x ${((await stat(join(cwd, 't/x'))).mode & 0o7777).toString(8)}/\nx/mine ${((await stat(join(cwd, 't/x/mine'))).mode & 0o7777).toString(8)} ""`);
});
