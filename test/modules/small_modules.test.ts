import test from 'ava';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { assemble } from '../../src/modules/assemble.js';
import ping from '../../src/modules/ping.js';
import { getent } from '../../src/modules/getent.js';
import { knownHosts } from '../../src/modules/known_hosts.js';
import { ModuleError } from '../../src/modules/module.js';
import { tempfile } from '../../src/modules/tempfile.js';
import { command, converge, inShells, look, modeOf } from './harness.js';

inShells(test, 'a word comes back', async (t, place) => {
  t.deepEqual((await converge(t, place, ping, { data: "it's $x" })).result, { ping: "it's $x" });
  const failure = await t.throwsAsync(look(t, place, ping, { data: 'crash' }), { instanceOf: ModuleError, message: 'boom' });
  t.deepEqual(failure.fields, { module_stdout: '', module_stderr: 'Exception: boom\n', rc: 1 });
});

inShells(test, 'temporary files and folders', async (t, place) => {
  const file = (await command(t, place, tempfile, { path: '~', prefix: "it's.", suffix: '.x' })).result!;
  t.like(file, { state: 'file', mode: '0600', size: 0 });
  t.regex(basename(file['path'] as string), /^it's\.[a-z0-9_]{8}\.x$/);
  t.is(await modeOf(file['path'] as string), '0600');
  const folder = (await command(t, place, tempfile, { state: 'directory' })).result!;
  t.like(folder, { state: 'directory', mode: '0700' });
  t.regex(folder['path'] as string, /\/ansible\.[a-z0-9_]{8}$/);
  t.true((await stat(folder['path'] as string)).isDirectory());
  await t.throwsAsync(command(t, place, tempfile, { path: join(place.dir, 'none') }), { message: /there is no folder/ });
});

inShells(test, 'databases of the system', async (t, place) => {
  const entries = async (args: object) => (await converge(t, place, getent, args)).result['ansible_facts'];
  t.deepEqual(await entries({ database: 'passwd', key: 'root', service: 'files' }), { getent_passwd: { root: ['x', '0', '0', 'root', '/root', '/bin/bash'] } });
  t.true('daemon' in (Object.values((await entries({ database: 'group' })) as object)[0] as object));
  t.deepEqual(await entries({ database: 'passwd', key: 'nobody-at-all', fail_key: false }), { getent_passwd: { 'nobody-at-all': null } });
  await t.throwsAsync(entries({ database: 'passwd', key: 'nobody-at-all' }), { message: /could not be found/ });
  await t.throwsAsync(entries({ database: 'nothing' }), { message: /database unknown/ });
// busybox has no getent.
}, ['dash', 'bash']);

test('a key that stands several times gives a list of lists', (t) => {
  const stdout = '127.0.0.1       localhost\n127.0.1.1\tone  uno\n127.0.0.1 two\n';
  const wanted = getent.params.parse({ database: 'hosts' });
  t.deepEqual(getent.parse({ rc: 0, stdout, stderr: '' }, wanted).entries, { '127.0.0.1': [['localhost'], ['two']], '127.0.1.1': ['one', 'uno'] });
});

inShells(test, 'a file of fragments', async (t, place) => {
  const src = join(place.dir, 'parts');
  const dest = join(place.dir, 'whole');
  await mkdir(join(src, 'folder'), { recursive: true });
  await t.throwsAsync(converge(t, place, assemble, { src: `${src}/none`, dest }), { message: /does not exist/ });
  for (const [name, text] of [['b', 'two'], ['a 1', 'one\n'], ['Z', 'zero\n'], ['ß', ''], ['.h', 'hidden\n']] as const) await writeFile(join(src, name), text);
  const all = async (args: object) => {
    const { result } = await converge(t, place, assemble, { src, dest, ...args });
    t.is(result['msg'], 'OK');
    return readFile(dest, 'utf8');
  };
  t.is(await all({ mode: '0640' }), 'hidden\nzero\none\ntwo\n');
  t.is(await modeOf(dest), '0640');
  t.is(await all({ ignore_hidden: true, delimiter: '\\x23 --\\n', backup: true }), 'zero\n# --\none\n# --\ntwo\n# --\n');
  t.is(await all({ regexp: '^[aZ]', delimiter: '#' }), 'zero\n#\none\n');
  await t.throwsAsync(all({ validate: 'grep -q nothing %s' }), { message: /validation of the fragments/ });
  t.is(await all({ remote_src: false, regexp: 'b|Z' }), 'zero\ntwo');
  await chmod(join(src, 'b'), 0o600);
  t.is(await all({ regexp: 'none' }), '');
});

const ED = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLE';
const RSA = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQEXAMPLE==';

inShells(test, 'keys of hosts', async (t, place) => {
  const path = join(place.dir, 'known');
  const edit = async (name: string, args: object) => {
    const { changes } = await converge(t, place, knownHosts, { name, path, ...args });
    return [changes.length > 0, (await readFile(path, 'utf8')).split('\n').slice(0, -1)] as const;
  };
  t.deepEqual(await edit('One', { key: `one ${ED} comment` }), [true, [`one ${ED} comment`]]);
  t.is(await modeOf(path), '0600');
  await writeFile(path, `# mine\none,uno ${ED}\n@cert-authority *.example ${RSA}\n`);
  t.deepEqual(await edit('one', { key: `one,uno ${ED} x` }), [false, ['# mine', `one,uno ${ED}`, `@cert-authority *.example ${RSA}`]]);
  t.deepEqual(await edit('one', { key: `one ${ED}NEW` }), [true, ['# mine', `@cert-authority *.example ${RSA}`, `one ${ED}NEW`]]);
  t.deepEqual((await edit('one', { key: `one ${RSA}` }))[1].slice(2), [`one ${ED}NEW`, `one ${RSA}`]);
  t.deepEqual(await edit('one', { key: `one ${ED}OTHER`, state: 'absent' }), [true, ['# mine', `@cert-authority *.example ${RSA}`, `one ${RSA}`]]);
  const [, hashed] = await edit('one', { key: `one ${RSA}`, hash_host: true });
  t.regex(hashed[2]!, /^\|1\|\S{28}\|\S{28} ssh-rsa /);
  t.deepEqual(await edit('one', { key: `one ${RSA}`, hash_host: true }), [false, hashed]);
  t.deepEqual(await edit('one', { state: 'absent' }), [true, hashed.slice(0, 2)]);
  t.deepEqual(await edit('*.example', { key: `@cert-authority *.example ${RSA}`, state: 'absent' }), [true, ['# mine']]);
  await t.throwsAsync(look(t, place, knownHosts, { name: 'two', key: `one ${ED}`, path }), { message: /does not match/ });
  await t.throwsAsync(look(t, place, knownHosts, { name: 'a,b', key: `a,b ${ED}`, path }), { message: /Comma separated/ });
  await t.throwsAsync(look(t, place, knownHosts, { name: 'a', path }), { message: /No key/ });
});
