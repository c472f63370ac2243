import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ansibleVault } from '../vault/ansible.js';
import { folder } from './folder.js';
import { muster, type Ran } from './muster.js';

const PLAIN = 'db_password: s3cret-one\n';

interface Place {
  cwd: string;
  vault: (...args: string[]) => Promise<Ran>;
  text: (file: string) => Promise<string>;
}

/** A folder with two passwords and a file. @param env besides */
async function place(t: ExecutionContext, env: NodeJS.ProcessEnv = {}): Promise<Place> {
  const cwd = await folder(t, { pw: 'first password\n', pw2: 'second password\n', 'v.yml': PLAIN });
  return { cwd, vault: (...args) => muster(['vault', ...args], { cwd, env }), text: (file) => readFile(join(cwd, file), 'utf8') };
}

/** An editor that runs a line of shell with the file as $1. */
async function editor(cwd: string, script: string): Promise<string> {
  await writeFile(join(cwd, 'editor'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return join(cwd, 'editor');
}

/** Runs it on a terminal and answers each question when it is asked. */
async function answering(cwd: string, command: string, answers: [question: string, answer: string][]): Promise<{ code: number | null; shown: string }> {
  const child = spawn('script', ['-qec', `${process.execPath} ${join(process.cwd(), 'dist/cli/main.js')} ${command}`, '/dev/null'], { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
  let shown = '';
  child.stdout.on('data', (piece: Buffer) => (shown += piece.toString()));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  for (const [question, answer] of answers) {
    while (!shown.includes(question) && child.exitCode === null) await sleep(20);
    // The question is written before the terminal is made raw; what is typed in between is echoed, but read.
    await sleep(100);
    child.stdin.write(`${answer}\r`);
  }
  const code = await ended;
  return { code, shown };
}

test('encrypt, view, rekey, decrypt: mode and symbolic links stay, nothing is left beside the file', async (t) => {
  const { cwd, vault, text } = await place(t);
  await chmod(join(cwd, 'v.yml'), 0o640);
  await symlink('v.yml', join(cwd, 'link.yml'));
  const before = await readdir(cwd);
  t.deepEqual(await vault('encrypt', 'link.yml', '--vault-password-file', 'pw'), { code: 0, stdout: '', stderr: '' });
  t.regex(await text('v.yml'), /^\$ANSIBLE_VAULT;1\.1;AES256\n/);
  t.is((await stat(join(cwd, 'v.yml'))).mode & 0o777, 0o640);
  t.is((await vault('view', 'v.yml', '--vault-password-file', 'pw')).stdout, PLAIN);
  t.regex((await vault('encrypt', 'v.yml', '--vault-password-file', 'pw')).stderr, /v\.yml is encrypted already/);
  t.is((await vault('rekey', 'v.yml', '--vault-password-file', 'pw', '--new-vault-id', 'prod@pw2')).code, 0);
  t.regex(await text('v.yml'), /^\$ANSIBLE_VAULT;1\.2;AES256;prod\n/);
  const wrong = await vault('view', 'v.yml', '--vault-password-file', 'pw');
  t.is(wrong.code, 1);
  t.regex(wrong.stderr, /v\.yml is encrypted \(vault id "prod"\) and no vault password fits; tried default@\/.*\/pw\n/);
  // The id is a hint only.
  t.is((await vault('decrypt', 'v.yml', '--vault-id', 'pw', '--vault-id', 'other@pw2')).code, 0);
  t.is(await text('v.yml'), PLAIN);
  t.deepEqual(await readdir(cwd), before);
});

test('a file that cannot be opened keeps all from being changed', async (t) => {
  const { vault, cwd, text } = await place(t);
  await writeFile(join(cwd, 'w.yml'), PLAIN);
  await vault('encrypt', 'v.yml', '--vault-password-file', 'pw');
  await vault('encrypt', 'w.yml', '--vault-password-file', 'pw2');
  const [v, w] = [await text('v.yml'), await text('w.yml')];
  for (const args of [['rekey', '--new-vault-password-file', 'pw2'], ['decrypt']]) {
    t.is((await vault(args[0]!, 'v.yml', 'w.yml', ...args.slice(1), '--vault-password-file', 'pw')).code, 1);
    t.deepEqual([await text('v.yml'), await text('w.yml')], [v, w]);
  }
});

test('edit: private, in memory, gone afterwards; the vault id stays; unchanged content leaves the file alone', async (t) => {
  const { cwd, vault, text } = await place(t);
  await vault('encrypt', 'v.yml', '--vault-id', 'prod@pw');
  const before = await text('v.yml');
  const EDITOR = await editor(cwd, `echo "$1 $(stat -c %a "$1") $(stat -c %a "$(dirname "$1")")" >"${cwd}/seen"; touch "$1~"; [ -e "${cwd}/quiet" ] || echo 'more: yes' >>"$1"`);
  await writeFile(join(cwd, 'quiet'), '');
  const edit = (env = {}) => muster(['vault', 'edit', 'v.yml', '--vault-id', 'prod@pw'], { cwd, env: { EDITOR, ...env } });
  t.is((await edit()).code, 0);
  t.is(await text('v.yml'), before);
  const [path, fileMode, folderMode] = (await text('seen')).trim().split(' ') as [string, string, string];
  t.regex(path, /^\/dev\/shm\/muster-\w+\/v\.yml$/);
  t.deepEqual([fileMode, folderMode], ['600', '700']);
  await t.throwsAsync(stat(join(path, '..')), { code: 'ENOENT' });
  await muster(['vault', 'view', 'v.yml'], { cwd });

  await rm(join(cwd, 'quiet'));
  t.is((await edit()).code, 0);
  t.regex(await text('v.yml'), /^\$ANSIBLE_VAULT;1\.2;AES256;prod\n/);
  t.is((await vault('view', 'v.yml', '--vault-id', 'prod@pw')).stdout, `${PLAIN}more: yes\n`);

  const kept = await text('v.yml');
  const failed = await edit({ EDITOR: await editor(cwd, 'echo broken >"$1"; exit 3') });
  t.is(failed.code, 1);
  t.regex(failed.stderr, /ended with exit status 3; nothing was changed/);
  t.is(await text('v.yml'), kept);
  t.regex((await edit({ EDITOR: 'no-such-editor' })).stderr, /the editor no-such-editor cannot be run/);
});

test('edit leaves nothing behind where Muster is killed', async (t) => {
  const { cwd, vault } = await place(t);
  await vault('encrypt', 'v.yml', '--vault-password-file', 'pw');
  const EDITOR = await editor(cwd, `echo "$1" >"${cwd}/seen.new"; mv "${cwd}/seen.new" "${cwd}/seen"; exec sleep 30`);
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), 'vault', 'edit', 'v.yml', '--vault-password-file', 'pw'], { cwd, env: { ...process.env, EDITOR }, detached: true, stdio: 'ignore' });
  t.teardown(() => process.kill(-child.pid!, 'SIGKILL'));
  let path: string | undefined;
  while (path === undefined) {
    await sleep(20);
    path = await readFile(join(cwd, 'seen'), 'utf8').then((text) => text.trim(), () => undefined);
  }
  t.true((await stat(path)).isFile());
  child.kill('SIGKILL');
  while (await stat(join(path!, '..')).then(() => true, () => false)) await sleep(20);
  t.pass();
});

test('create makes a new file, and never overwrites one', async (t) => {
  const { cwd, text } = await place(t);
  const EDITOR = await editor(cwd, 'echo "a: 1" >"$1"');
  const create = (file: string) => muster(['vault', 'create', file, '--vault-password-file', 'pw'], { cwd, env: { EDITOR } });
  t.is((await create('group_vars/all/vault.yml')).code, 0);
  t.is((await stat(join(cwd, 'group_vars/all/vault.yml'))).mode & 0o777, 0o600);
  t.regex((await create('v.yml')).stderr, /v\.yml is there already; muster vault edit changes it/);
  t.is(await text('v.yml'), PLAIN);
});

test('standard input and --output', async (t) => {
  const { cwd, vault, text } = await place(t);
  t.is((await vault('encrypt', 'v.yml', '--output', 'out.yml', '--vault-password-file', 'pw')).code, 0);
  t.is(await text('v.yml'), PLAIN);
  t.is((await vault('decrypt', 'out.yml', '--output', '-', '--vault-password-file', 'pw')).stdout, PLAIN);
  const piped = spawn('/bin/sh', ['-c', `"$0" "$1" vault encrypt --vault-password-file pw <v.yml | "$0" "$1" vault decrypt - --vault-password-file pw`, process.execPath, join(process.cwd(), 'dist/cli/main.js')], { cwd });
  let out = '';
  piped.stdout.on('data', (piece: Buffer) => (out += piece.toString()));
  await new Promise((resolve) => piped.on('close', resolve));
  t.is(out, PLAIN);
  t.regex((await vault('encrypt', 'v.yml', 'pw', '--output', 'x', '--vault-password-file', 'pw')).stderr, /--output takes one file/);
});

test('which password: several ids, scripts, client scripts, settings, the environment', async (t) => {
  const { cwd, vault, text } = await place(t);
  t.regex((await vault('encrypt', 'v.yml', '--vault-id', 'dev@pw', '--vault-id', 'prod@pw2')).stderr, /with which password\? --encrypt-vault-id names one of dev, prod/);
  t.regex((await vault('encrypt', 'v.yml', '--vault-id', 'dev@pw', '--encrypt-vault-id', 'test')).stderr, /no password for the vault id "test"; there is one for dev/);
  t.is((await vault('encrypt', 'v.yml', '--vault-id', 'dev@pw', '--vault-id', 'prod@pw2', '--encrypt-vault-id', 'prod')).code, 0);
  t.regex(await text('v.yml'), /;prod\n/);

  await writeFile(join(cwd, 'ask.sh'), '#!/bin/sh\n[ $# = 0 ] && cat pw2\n', { mode: 0o755 });
  await writeFile(join(cwd, 'keys-client.sh'), '#!/bin/sh\n[ "$1" = --vault-id ] || exit 1\n[ "$2" = prod ] || exit 2\ncat pw2\n', { mode: 0o755 });
  t.is((await vault('view', 'v.yml', '--vault-password-file', 'ask.sh')).stdout, PLAIN);
  t.is((await vault('view', 'v.yml', '--vault-id', 'prod@keys-client.sh')).stdout, PLAIN);
  const unknown = await vault('view', 'v.yml', '--vault-id', 'dev@keys-client.sh');
  t.is(unknown.code, 1);
  t.regex(unknown.stderr, /knows no vault id "dev"/);
  await writeFile(join(cwd, 'broken.sh'), '#!/bin/sh\nexit 4\n', { mode: 0o755 });
  t.regex((await vault('view', 'v.yml', '--vault-password-file', 'broken.sh')).stderr, /broken\.sh failed with exit status 4/);
  await writeFile(join(cwd, 'empty'), '\n');
  t.regex((await vault('view', 'v.yml', '--vault-password-file', 'empty')).stderr, /password file .*empty is empty/);

  await writeFile(join(cwd, 'muster.yml'), 'vault_identity_list: [dev@pw, prod@pw2]\n');
  t.is((await vault('view', 'v.yml')).stdout, PLAIN);
  await writeFile(join(cwd, 'muster.yml'), 'vault_password_file: pw2\n');
  t.is((await vault('view', 'v.yml')).stdout, PLAIN);
  await writeFile(join(cwd, 'muster.yml'), '');
  t.is((await muster(['vault', 'view', 'v.yml'], { cwd, env: { MUSTER_VAULT_PASSWORD_FILE: 'pw2' } })).stdout, PLAIN);
  t.is((await muster(['vault', 'view', 'v.yml'], { cwd, env: { MUSTER_VAULT_IDENTITY_LIST: 'dev@pw, prod@pw2' } })).stdout, PLAIN);
});

test('encrypt-string makes what a file of variables holds', async (t) => {
  const { cwd, vault } = await place(t);
  const made = await vault('encrypt-string', '--vault-id', 'prod@pw', 'one value', 'two', '-n', 'first');
  t.regex(made.stdout, /^first: !vault \|\n {10}\$ANSIBLE_VAULT;1\.2;AES256;prod\n( {10}[0-9a-f]+\n)+!vault \|\n/);
  const named = made.stdout.replace('\n!vault', '\nsecond: !vault');
  await mkdir(join(cwd, 'group_vars'));
  await writeFile(join(cwd, 'group_vars/all.yml'), named);
  await writeFile(join(cwd, 'site.yml'), '- hosts: all\n  gather_facts: false\n  tasks:\n    - assert: {that: ["first == \'one value\'", "second == \'two\'"]}\n');
  const ran = await muster(['apply', 'site.yml', '-i', 'box,', '-c', 'local', '--vault-id', 'prod@pw'], { cwd });
  t.is(ran.code, 0, ran.stdout + ran.stderr);
  t.regex((await vault('encrypt_string', '--vault-password-file', 'pw', 'x')).stdout, /^!vault \|\n/);
  t.regex((await vault('encrypt-string', '--vault-password-file', 'pw', '')).stderr, /nothing to encrypt/);
});

test('asks on the terminal, and twice for a new password', async (t) => {
  const { cwd, vault, text } = await place(t);
  const encrypted = await answering(cwd, 'vault encrypt v.yml', [['New vault password: ', 'typed word'], ['Confirm new vault password: ', 'typed word']]);
  t.is(encrypted.code, 0, encrypted.shown);
  t.notRegex(encrypted.shown, /typed word/);
  t.regex(await text('v.yml'), /^\$ANSIBLE_VAULT;1\.1/);
  t.is((await answering(cwd, 'vault decrypt v.yml --output out.yml -J', [['Vault password: ', 'typed word']])).code, 0);
  t.is(await text('out.yml'), PLAIN);
  const differing = await answering(cwd, 'vault rekey v.yml --new-vault-id prod@prompt', [['Vault password: ', 'typed word'], ['New vault password (prod): ', 'a'], ['Confirm new vault password (prod): ', 'b']]);
  t.is(differing.code, 1);
  t.regex(differing.shown, /the passwords differ/);
  t.regex((await vault('view', 'v.yml')).stderr, /cannot ask for the Vault password: there is no terminal/);
});

test('ansible-vault reads what these verbs write, and they what it writes', async (t) => {
  t.timeout(300_000);
  const { cwd, vault, text } = await place(t);
  const pw = join(cwd, 'pw');
  await vault('encrypt', 'v.yml', '--vault-id', 'prod@pw');
  t.is(ansibleVault(['view', '--vault-id', `prod@${pw}`, join(cwd, 'v.yml')]).toString(), PLAIN);
  ansibleVault(['rekey', '--vault-id', `prod@${pw}`, '--new-vault-password-file', join(cwd, 'pw2'), join(cwd, 'v.yml')]);
  t.is((await vault('decrypt', 'v.yml', '--vault-password-file', 'pw2')).code, 0);
  t.is(await text('v.yml'), PLAIN);
  await writeFile(join(cwd, 'vars.yml'), `${ansibleVault(['encrypt_string', '--vault-password-file', pw, '-n', 'word', 'from Ansible']).toString()}\n`);
  await writeFile(join(cwd, 'site.yml'), '- hosts: all\n  gather_facts: false\n  vars_files: [vars.yml]\n  tasks:\n    - assert: {that: "word == \'from Ansible\'"}\n');
  t.is((await muster(['apply', 'site.yml', '-i', 'box,', '-c', 'local', '--vault-password-file', 'pw'], { cwd })).code, 0);
});
