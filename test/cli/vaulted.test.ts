import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { encrypt } from '../../src/vault/format.js';
import { folder } from './folder.js';
import { muster } from './muster.js';

const PASSWORD = 'the password';
const seal = (text: string, id?: string, password = PASSWORD) => encrypt(Buffer.from(text), Buffer.from(password), id);
const inline = (text: string, id?: string, password?: string) => `!vault |\n${seal(text, id, password).trimEnd().replace(/^/gm, '    ')}\n`;
const play = (tasks: string, more = '') => `- hosts: all\n  gather_facts: false\n${more}  tasks:\n${tasks}`;

/** A project with a password file `pw`, run on this machine. */
async function project(t: ExecutionContext, files: { [path: string]: string }) {
  const cwd = await folder(t, { pw: `${PASSWORD}\n`, 'hosts.yml': 'all:\n  vars: {ansible_connection: local}\n  hosts: {box: }\n', 'muster.yml': 'inventory: hosts.yml\n', ...files });
  return {
    cwd,
    run: (...args: string[]) => muster([...args], { cwd }),
    apply: (...args: string[]) => muster(['apply', 'site.yml', '--vault-password-file', 'pw', ...args], { cwd }),
    put: async (path: string, text: string) => {
      await mkdir(dirname(join(cwd, path)), { recursive: true });
      await writeFile(join(cwd, path), text);
    },
  };
}

test('encrypted files of variables wherever they are read', async (t) => {
  const { apply } = await project(t, {
    'group_vars/all/vault.yml': seal('in_group: one\nnumber: 5432\nlist: [a1b2, {k: c3d4}]\nflag: true\ncomposed: "{{ in_group }}-{{ number + 1 }}"\nliteral: !unsafe "{{ x }}"\n'),
    'host_vars/box.yml': seal('in_host: two\n'),
    'vars/file.yml': seal('in_file: three\n'),
    'vars/included.yml': seal('included: four\n'),
    'roles/r/defaults/main.yml': seal('in_defaults: five\n'),
    'roles/r/vars/main.yml': seal('in_role: six\n'),
    'roles/r/tasks/main.yml': '- assert: {that: ["in_defaults == \'five\'", "in_role == \'six\'"]}\n',
    'extra.yml': seal('extra: seven\n'),
    'site.yml': play(
      `    - include_vars: included.yml
    - assert:
        that:
          - in_group == 'one' and in_host == 'two' and in_file == 'three' and included == 'four' and extra == 'seven'
          - number + 1 == 5433 and composed == 'one-5433' and flag and list[1].k == 'c3d4' and list | length == 2
          - literal == '{' ~ '{ x }' ~ '}'
`,
      '  vars_files: [vars/file.yml]\n  roles: [r]\n',
    ),
  });
  const ran = await apply('-e', '@extra.yml');
  t.is(ran.code, 0, ran.stdout + ran.stderr);
});

test('an encrypted inventory in YAML; one in INI is refused', async (t) => {
  const { run, put } = await project(t, { 'site.yml': play('    - assert: {that: "word == \'hush-hush\'"}\n'), 'secret.yml': seal('all:\n  vars: {ansible_connection: local}\n  hosts: {box: {word: hush-hush}}\n') });
  t.is((await run('apply', 'site.yml', '-i', 'secret.yml', '--vault-password-file', 'pw')).code, 0);
  await put('secret', seal('box word=hush-hush\n'));
  t.regex((await run('apply', 'site.yml', '-i', 'secret', '--vault-password-file', 'pw')).stderr, /^secret:1:1: an encrypted inventory is YAML/);
});

test('!vault values: several ids, data whatever they hold, in plays, tasks and the inventory', async (t) => {
  const { cwd, run, put } = await project(t, {
    other: 'another password\n',
    'group_vars/all.yml': `first: ${inline('one value', 'dev')}second: ${inline('{{ no }} {% x %} {# c #}', 'prod', 'another password')}lines: ${inline('a\nb\n')}`,
    'site.yml': play(
      `    - copy:\n        dest: out\n        content: ${inline('of a task').replaceAll('\n    ', '\n            ')}      args: {}
    - assert: {that: ["first == 'one value'", "second | length == 24", "second[:2] == '{' ~ '{'", "lines == 'a\\nb\\n'", "first.split()[1] == 'value'"]}
    - shell: ${inline('exit 0').replaceAll('\n    ', '\n            ')}
`,
    ),
  });
  const text = await readFile(join(cwd, 'site.yml'), 'utf8');
  await put('site.yml', text.replace('dest: out', `dest: ${cwd}/out`));
  const ran = await run('apply', 'site.yml', '--vault-id', 'dev@pw', '--vault-id', 'prod@other');
  t.is(ran.code, 0, ran.stdout + ran.stderr);
  t.is(await readFile(join(cwd, 'out'), 'utf8'), 'of a task');
});

test('encrypted files that go to hosts: copy, a copied folder, templates, scripts; decrypt: false sends them as they are', async (t) => {
  const { cwd, apply, run } = await project(t, {
    'files/key': seal('a key\n'),
    'files/tree/one': seal('one\n'),
    'files/tree/two': 'two\n',
    'files/long': seal('x'.repeat(400_000)),
    'files/say.sh': seal('#!/bin/sh\necho "said $1"\n'),
    'templates/a.j2': seal('jinja {{ 1 + 1 }}\n'),
    'templates/b.hbs': seal('hbs {{inventory_hostname}}\n'),
    'site.yml': play(
      `    - copy: {src: key, dest: "{{ playbook_dir }}/key.out"}
    - copy: {src: key, dest: "{{ playbook_dir }}/raw.out", decrypt: false}
    - copy: {src: long, dest: "{{ playbook_dir }}/long.out"}
    - copy: {src: tree/, dest: "{{ playbook_dir }}/tree.out"}
    - template: {src: a.j2, dest: "{{ playbook_dir }}/a.out"}
    - template: {src: b.hbs, dest: "{{ playbook_dir }}/b.out"}
    - script: say.sh hello
      register: said
    - assert: {that: ["'said hello' in said.stdout", "lookup('file', 'key') == 'a key'", "lookup('unvault', 'key') == 'a key\\n'", "lookup('template', 'a.j2') == 'jinja 2\\n'"]}
`,
    ),
  });
  const ran = await apply('-D');
  t.is(ran.code, 0, ran.stdout + ran.stderr);
  const read = (file: string) => readFile(join(cwd, file), 'utf8');
  t.deepEqual(await Promise.all(['key.out', 'tree.out/one', 'tree.out/two', 'a.out', 'b.out'].map(read)), ['a key\n', 'one\n', 'two\n', 'jinja 2\n', 'hbs box\n']);
  t.is((await read('long.out')).length, 400_000);
  t.is(await read('raw.out'), await read('files/key'));
  t.notRegex(ran.stdout, /a key|jinja 2|hbs box/);
  const again = await run('plan', 'site.yml', '--vault-password-file', 'pw', '--output', 'json');
  t.deepEqual(again.stdout.split('\n').filter((line) => line.includes('"status":"changed"')), []);
});

test('the filters vault and unvault', async (t) => {
  const { apply } = await project(t, {
    'site.yml': play(
      `    - assert:
        that:
          - "'abc' | vault('p', salt='s') == 'abc' | vault('p', salt='s')"
          - "'abc' | vault('p') is vault_encrypted"
          - "'abc' | vault('p', vault_id='x') | unvault('p') == 'abc'"
          - "'no vault' | unvault('p') == 'no vault'"
    - debug: {msg: "{{ 'abc' | vault('p') | unvault('wrong') }}"}
`,
    ),
  });
  const ran = await apply();
  t.is(ran.code, 3);
  t.regex(ran.stdout, /the password of "unvault" does not fit/);
});

const refused: { [what: string]: { files: { [path: string]: string }; args: string[]; says: RegExp } } = {
  'a file without a password': { files: { 'group_vars/all.yml': seal('a: 1\n') }, args: [], says: /^group_vars\/all\.yml:1:1: the file is encrypted and no vault password was given; give its password with --vault-password-file/ },
  'a file with another password': { files: { 'group_vars/all.yml': seal('a: 1\n', undefined, 'x') }, args: ['--vault-password-file', 'pw'], says: /^group_vars\/all\.yml:1:1: the file is encrypted and no vault password fits; tried default@/ },
  'a template without a password': { files: { 'templates/x.j2': seal('a\n'), 'site.yml': play('    - template: {src: x.j2, dest: "{{ playbook_dir }}/touched"}\n') }, args: [], says: /^templates\/x\.j2:1:1: the file is encrypted and no vault password was given/ },
  'a damaged file': { files: { 'group_vars/all.yml': seal('a: 1\n').slice(0, 300) }, args: ['--vault-password-file', 'pw'], says: /^group_vars\/all\.yml:1:1: the file is no vault text: / },
  'a damaged value': { files: { 'group_vars/all.yml': 'a: !vault abc\n' }, args: ['--vault-password-file', 'pw'], says: /^group_vars\/all\.yml:1:4: the value is no vault text: it does not begin/ },
  'wrong YAML inside, of which nothing is shown': { files: { 'group_vars/all.yml': seal('fine: 1\npass: "x" hush hush\n') }, args: ['--vault-password-file', 'pw'], says: /^group_vars\/all\.yml:2:\d+: YAML: [^\n]*; the line is that of the decrypted text: muster vault edit shows it\n$/ },
  'a wrong expression inside': { files: { 'group_vars/all.yml': seal('a: "{{ (hush hush }}"\n') }, args: ['--vault-password-file', 'pw'], says: /^group_vars\/all\.yml:1:\d+: [^\n]*; the line is that of the decrypted text: muster vault edit shows it\n$/ },
  'encrypted tasks': { files: { 'tasks.yml': seal('- debug:\n'), 'site.yml': play('    - import_tasks: tasks.yml\n') }, args: ['--vault-password-file', 'pw'], says: /^tasks\.yml:1:1: only files of variables are read from a vault, not plays and tasks/ },
  'an encrypted key': { files: { 'group_vars/all.yml': '!vault x: 1\n' }, args: [], says: /encrypted value cannot be a key/ },
  'a password file that is not there': { files: {}, args: ['--vault-id', 'dev@nowhere'], says: /^muster: there is no vault password file nowhere/ },
  'a vault id that cannot be one': { files: {}, args: ['--vault-id', 'a;b@pw'], says: /"a;b" is no vault id/ },
  'an encrypted password file': { files: { 'group_vars/all.yml': seal('a: 1\n'), sealed: seal('x') }, args: ['--vault-password-file', 'sealed'], says: /the vault password file .*sealed is itself encrypted/ },
};
for (const [what, { files, args, says }] of Object.entries(refused)) {
  test(`refused before any host is touched: ${what}`, async (t) => {
    const { cwd, run } = await project(t, { 'site.yml': play(`    - file: {path: "{{ playbook_dir }}/touched", state: touch}\n`), ...files });
    const ran = await run('apply', 'site.yml', ...args);
    t.is(ran.code, 1, ran.stdout);
    t.regex(ran.stderr, says);
    t.notRegex(ran.stderr, /hush/);
    await t.throwsAsync(readFile(join(cwd, 'touched')), { code: 'ENOENT' });
  });
}

test('a value that cannot be opened is told of before the run, and fails the task that reads it', async (t) => {
  const { cwd, run } = await project(t, {
    'group_vars/all.yml': `x: 1\na: ${inline('1', 'dev')}b: ${inline('2', 'dev')}c: ${inline('3', 'other', 'x')}`,
    'unread.yml': play(`    - file: {path: "{{ playbook_dir }}/touched", state: touch}\n`),
    'site.yml': play('    - debug: {msg: "{{ b }}"}\n'),
  });
  const unread = await run('apply', 'unread.yml');
  t.is(unread.code, 0, unread.stderr);
  t.is(await readFile(join(cwd, 'touched'), 'utf8'), '');
  t.is(unread.stdout.split('is encrypted').length - 1, 2, unread.stdout);
  t.regex(unread.stdout, /group_vars\/all\.yml:2:4[^]*the value is encrypted \(vault id "dev"\) and no vault password was given; a task that reads it fails; give its password/);
  const read = await run('apply', 'site.yml');
  t.is(read.code, 3);
  t.regex(read.stdout, /the value is encrypted \(vault id "dev"\) and no vault password was given/);
  const wrong = await run('apply', 'unread.yml', '--vault-password-file', 'pw');
  t.is(wrong.code, 0);
  t.regex(wrong.stdout + wrong.stderr, /the value is encrypted \(vault id "other"\) and no vault password fits; a task that reads it fails/);
});

test('what looks at the encrypted text of a value needs no password', async (t) => {
  const { run } = await project(t, {
    'group_vars/all.yml': `a: ${inline('one')}`,
    'site.yml': play(
      `    - assert:
        that:
          - a is vault_encrypted
          - a | unvault('${PASSWORD}') == 'one'
          - a | type_debug == 'AnsibleVaultEncryptedUnicode'
          - "'x' | vault('p', wrap_object=True) | type_debug == 'AnsibleVaultEncryptedUnicode'"
          - "'x' | vault('p', wrap_object=True) == 'x'"
          - "'x' | vault('p') | type_debug != 'AnsibleVaultEncryptedUnicode'"
`,
    ),
  });
  const ran = await run('apply', 'site.yml');
  t.is(ran.code, 0, ran.stdout + ran.stderr);
});

test('what is only listed or checked needs no password', async (t) => {
  const { run } = await project(t, { 'site.yml': play('    - debug: {var: a}\n'), 'group_vars/all/v.yml': seal('b: 1\n'), 'group_vars/all/p.yml': `a: ${inline('1')}` });
  t.is((await run('apply', 'site.yml', '--list-tasks')).code, 0);
  t.is((await run('inventory', 'list')).code, 0);
  const linted = await run('lint', 'site.yml');
  t.is(linted.code, 0);
  t.regex(linted.stdout, /^group_vars\/all\/v\.yml:1:1: warning: the file is encrypted and no vault password was given, so it is not checked/);
  t.regex((await run('lint', 'site.yml', '--vault-password-file', 'pw')).stdout, /^1 playbook checked: 0 errors, 0 warnings/);
});

test('a hundred values cost no time until they are read', async (t) => {
  const values = Array.from({ length: 100 }, (_, i) => `v${i}: ${inline(`value ${i}`)}`).join('');
  const { apply } = await project(t, { 'group_vars/all.yml': values, 'site.yml': play('    - assert: {that: "v7 == \'value 7\'"}\n') });
  t.is((await apply()).code, 0);
});
