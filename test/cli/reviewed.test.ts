import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exists } from '../engine/rig.js';
import { folder } from './folder.js';
import { muster } from './muster.js';

const SITE = `- hosts: all
  gather_facts: false
  vars: {d: "{{ playbook_dir }}/t-{{ inventory_hostname }}"}
  tasks:
    - name: Write
      copy: {content: "port {{ port | default(80) }}\\n", dest: "{{ d }}-conf"}
      notify: tell
    - name: Mode
      file: {path: "{{ d }}-mode", mode: "0600"}
    - name: Each
      copy: {content: "{{ item }}", dest: "{{ d }}-{{ item }}"}
      loop: [one, two]
    - name: Migrate
      command: touch {{ d }}-migrated
      register: migrated
      notify: migrated
    - name: Behind it
      copy: {content: "{{ migrated.rc }}", dest: "{{ d }}-behind"}
  handlers:
    - name: tell
      copy: {content: told, dest: "{{ d }}-told"}
    - name: migrated
      copy: {content: told, dest: "{{ d }}-handled"}
`;
const HERE = ['-c', 'local', '-i', 'h1,h2,'];

async function planned(t: ExecutionContext, more: string[] = [], site = SITE): Promise<string> {
  const cwd = await folder(t, { 'site.yml': site, 't-h1-mode': '', 't-h2-mode': '', 't-h1-one': 'one' });
  for (const host of ['h1', 'h2']) await chmod(join(cwd, `t-${host}-mode`), 0o644);
  const ran = await muster(['plan', 'site.yml', '--out', 'plan.json', ...HERE, ...more], { cwd });
  t.is(ran.code, 2, ran.stdout + ran.stderr);
  t.regex(ran.stdout, /would change Write · h1/);
  return cwd;
}

test.serial('a plan that was kept is applied as it was reviewed, what was not known included', async (t) => {
  const cwd = await planned(t);
  t.is((await stat(join(cwd, 'plan.json'))).mode & 0o777, 0o600);
  t.is((await stat(join(cwd, '.muster/plan.key'))).mode & 0o777, 0o600);
  const ran = await muster(['apply', 'plan.json', '--verify'], { cwd });
  t.is(ran.code, 0, ran.stdout + ran.stderr);
  t.regex(ran.stdout, /^h2 {2}ok=7 changed=7 /m);
  for (const name of ['conf', 'one', 'migrated', 'behind', 'told', 'handled']) t.true(await exists(join(cwd, `t-h2-${name}`)), name);
  const again = await muster(['apply', 'plan.json'], { cwd });
  t.is(again.code, 0, 'what is so already needs no change');
  t.regex(again.stdout, /^as planned already: Write \(site\.yml:5:7\) · h1, h2$/m);
});

test.serial('where something has moved since the host stops there, before the effect; others go on', async (t) => {
  const cwd = await planned(t);
  await chmod(join(cwd, 't-h1-mode'), 0o640);
  await writeFile(join(cwd, 't-h2-two'), 'by hand');
  const ran = await muster(['apply', 'plan.json'], { cwd, env: { COLUMNS: '500' } });
  t.is(ran.code, 3);
  t.regex(ran.stdout, /failed +Mode · h1\n +not as reviewed, so nothing is done: the plan showed mode 0644 → 0600; now it is mode 0640 → 0600\n/);
  t.regex(ran.stdout, /failed +Each · h2\n[^]*not as reviewed, so nothing is done: the plan showed content absent → sha256:/);
  t.is((await stat(join(cwd, 't-h1-mode'))).mode & 0o777, 0o640);
  t.is(await readFile(join(cwd, 't-h2-two'), 'utf8'), 'by hand');
  t.is((await stat(join(cwd, 't-h2-mode'))).mode & 0o777, 0o600, 'what was reviewed of the other host was done');
  t.false(await exists(join(cwd, 't-h1-migrated')));
});

test.serial('another content of the same size and look is another change', async (t) => {
  const site = SITE.replace('gather_facts: false', 'gather_facts: false\n  vars_files: [vars.yml]');
  const cwd = await folder(t, { 'site.yml': site, 'vars.yml': 'port: 81\n', 't-h1-mode': '', 't-h2-mode': '' });
  await muster(['plan', 'site.yml', '--out', 'plan.json', ...HERE], { cwd });
  await writeFile(join(cwd, 'vars.yml'), 'port: 82\n');
  const ran = await muster(['apply', 'plan.json'], { cwd });
  t.is(ran.code, 3);
  t.regex(ran.stdout, /failed +Write · h1, h2\n +not as reviewed/);
  t.false(await exists(join(cwd, 't-h1-conf')));
});

test.serial('a task that was as described when the plan was made may not change anything now; a new one even less', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE.replace(/ {4}- name: Migrate[^]*?(?= {2}handlers)/, '') });
  await muster(['apply', 'site.yml', '-t', 'none', ...HERE], { cwd });
  for (const host of ['h1', 'h2']) await writeFile(join(cwd, `t-${host}-mode`), '');
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  const plan = await muster(['plan', 'site.yml', '--out', 'plan.json', ...HERE], { cwd });
  t.is(plan.code, 0, 'a plan of nothing is kept too');
  await writeFile(join(cwd, 't-h1-conf'), 'by hand');
  const ran = await muster(['apply', 'plan.json'], { cwd });
  t.is(ran.code, 3);
  t.regex(ran.stdout, /not as reviewed, so nothing is done: the plan showed nothing to be done here; now it is content/);
  t.is(await readFile(join(cwd, 't-h1-conf'), 'utf8'), 'by hand');
});

test.serial('what is wrong with a plan is told before any host is touched', async (t) => {
  const cwd = await planned(t);
  const refused = async (args: string[]) => {
    const ran = await muster(['apply', ...args], { cwd });
    t.is(ran.code, 1, args.join(' '));
    t.false(await exists(join(cwd, 't-h1-conf')));
    return ran.stderr;
  };
  const kept = await readFile(join(cwd, 'plan.json'), 'utf8');
  t.regex(await refused(['plan.json', '-l', 'h1']), /the plan settles --limit; plan again/);
  t.regex(await refused(['plan.json', '--skip-tags', 'x']), /the plan settles --skip-tags/);
  t.regex(await refused(['plan.json', '-e', 'a=b']), /the plan settles -e/);
  t.regex(await refused(['plan.json', 'site.yml']), /applied by itself/);
  t.regex(await refused(['plan.json', '--check']), /read, not planned again/);
  await writeFile(join(cwd, 'plan.json'), kept.replace('0600', '0666'));
  t.regex(await refused(['plan.json']), /its seal does not fit/);
  await writeFile(join(cwd, 'plan.json'), kept.slice(0, -20));
  t.regex(await refused(['plan.json']), /no whole plan/);
  await writeFile(join(cwd, 'plan.json'), kept);
  await writeFile(join(cwd, 'site.yml'), SITE.replace('0600', '0666'));
  t.regex(await refused(['plan.json']), /changed since the plan was made: site\.yml; plan again/);
});

test.serial('of secrets a plan holds nothing, not even for who would guess; a secret -e is given again', async (t) => {
  const site = `- hosts: all
  gather_facts: false
  vars_files: [secrets.yml]
  tasks:
    - name: Write
      copy: {content: "password {{ vaulted }}\\n", dest: "{{ playbook_dir }}/t-{{ inventory_hostname }}"}
`;
  const cwd = await folder(t, { 'site.yml': site, 'secrets.yml': 'vaulted: planted-secret\n', pass: 'vault pass\n' });
  t.like(await muster(['vault', 'encrypt', 'secrets.yml', '--vault-password-file', 'pass'], { cwd }), { code: 0, stderr: '' });
  const made = await muster(['plan', 'site.yml', '--out', 'plan.json', '--vault-password-file', 'pass', '-e', 'again=planted-secret', ...HERE], { cwd });
  t.is(made.code, 2, made.stdout + made.stderr);
  const kept = await readFile(join(cwd, 'plan.json'), 'utf8');
  t.notRegex(kept, /planted-secret|cGxhbnRlZC1zZWNyZX/);
  t.regex((await muster(['apply', 'plan.json', '--vault-password-file', 'pass'], { cwd })).stderr, /made with a secret variable, which it does not hold: give the same -e again/);
  const ran = await muster(['apply', 'plan.json', '--vault-password-file', 'pass', '-e', 'again=planted-secret'], { cwd });
  t.is(ran.code, 0, ran.stdout + ran.stderr);
  t.is(await readFile(join(cwd, 't-h1'), 'utf8'), 'password planted-secret\n');
});

test.serial('of a plan that failed nothing is kept', async (t) => {
  const cwd = await folder(t, { 'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - file: {path: /nowhere/at/all, mode: "0600"}\n' });
  const ran = await muster(['plan', 'site.yml', '--out', 'plan.json', ...HERE], { cwd });
  t.is(ran.code, 3);
  t.regex(ran.stderr, /the plan is not whole, so it is not kept/);
  t.false(await exists(join(cwd, 'plan.json')));
});
