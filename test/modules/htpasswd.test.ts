import test from 'ava';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { htpasswd } from '../../src/modules/htpasswd.js';
import { converge, inShells, look, modeOf } from './harness.js';

const openssl = (flag: string, salt: string, password: string) => spawnSync('openssl', ['passwd', flag, '-salt', salt, password], { encoding: 'utf8' }).stdout.trim();

inShells(test, 'users are added, changed and removed; a password that fits stays', async (t, place) => {
  const path = join(place.dir, 'etc', 'web users');
  const first = await converge(t, place, htpasswd, { path, name: 'joe', password: "pa'ss$", mode: '0640' });
  t.is(first.result['msg'], `Created ${path} and added joe`);
  t.true(first.changes.every(({ secret, text }) => secret === true && text === undefined));
  t.is(await modeOf(path), '0640');
  const [, salt] = /^joe:\$apr1\$([^$]{8})\$/.exec(await readFile(path, 'utf8'))!;
  t.is(await readFile(path, 'utf8'), `joe:${openssl('-apr1', salt!, "pa'ss$")}\n`);
  t.is((await converge(t, place, htpasswd, { path, name: 'joe', password: "pa'ss$" })).result['msg'], 'joe already present');
  t.is((await converge(t, place, htpasswd, { path, name: 'joe', password: 'other' })).result['msg'], 'Add/update joe');
  await converge(t, place, htpasswd, { path, name: 'ann', password: 'x', hash_scheme: 'ldap_sha1' });
  t.regex(await readFile(path, 'utf8'), /^joe:.*\nann:\{SHA\}EfatjsUqKYSrqv18O1FlA3hcIHI=\n$/);
  await writeFile(path, `\n${await readFile(path, 'utf8')}`);
  t.is((await converge(t, place, htpasswd, { path, name: 'joe', state: 'absent' })).result['msg'], 'Remove joe');
  t.is((await converge(t, place, htpasswd, { path, name: 'joe', state: 'absent' })).result['msg'], 'joe not present');
  t.regex(await readFile(path, 'utf8'), /^ann:.*\n$/);
  t.is((await converge(t, place, htpasswd, { path: `${path}2`, name: 'joe', state: 'absent' })).changes.length, 0);
  await t.throwsAsync(look(t, place, htpasswd, { path: `${path}2`, name: 'joe', password: 'x', create: false }), { message: /does not exist/ });
});

inShells(test, 'what others hashed is known again', async (t, place) => {
  const path = join(place.dir, 'f');
  const hashes = { apr: openssl('-apr1', 'abcdefgh', 'p'), md5: openssl('-1', 'abcdefgh', 'p'), sha256: openssl('-5', 'abcdefgh', 'p'), sha512: openssl('-6', 'abcdefgh', 'p'), plain: 'p', bcrypt: '$2y$05$abcdefghijklmnopqrstuu' };
  await writeFile(path, Object.entries(hashes).map(([name, hash]) => `${name}:${hash}\n`).join(''));
  for (const name of ['apr', 'md5', 'sha256', 'sha512', 'plain']) {
    t.deepEqual((await look(t, place, htpasswd, { path, name, password: 'p' })).changes, [], name);
    t.is((await look(t, place, htpasswd, { path, name, password: 'q', hash_scheme: 'plaintext' })).changes.length, 1, name);
  }
  await converge(t, place, htpasswd, { path, name: 'bcrypt', password: 'p', hash_scheme: 'bcrypt' });
  t.regex(await readFile(path, 'utf8'), /^bcrypt:\$2y\$12\$/m);
}, ['dash']);

test('what cannot be is refused', (t) => {
  for (const args of [{}, { password: 'x', hash_scheme: 'des_crypt' }, { password: 'x', name: 'a:b' }]) t.is(htpasswd.params.safeParse({ path: '/x', name: 'joe', ...args }).success, false);
});
