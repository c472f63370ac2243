import test from 'ava';
import { execFileSync } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { opensshKeypair as keypair } from '../../src/modules/openssh_keypair.js';
import { converge, inShells, look, modeOf } from './harness.js';

inShells(test, 'a pair of keys is made once, and mended', async (t, place) => {
  if (place.shell === 'busybox') place.env['PATH'] = `${place.env['PATH']}:${process.env['PATH']}`;
  const path = join(place.dir, "it's a key");
  const told = (file: string): string => execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' });
  const first = await converge(t, place, keypair, { path: "~/it's a key", type: 'ed25519', comment: 'mine' });
  const line = (await readFile(`${path}.pub`, 'utf8')).trim();
  t.deepEqual(first.result, { filename: path, type: 'ed25519', size: 256, fingerprint: told(`${path}.pub`).split(' ')[1], public_key: line.split(' ').slice(0, 2).join(' '), comment: 'mine' });
  t.deepEqual([await modeOf(path), await modeOf(`${path}.pub`)], ['0600', '0644']);
  t.deepEqual(keypair.undo!(first.wanted, first.observed, first.changes).map((back) => 'args' in back && back.args['state']), ['absent']);
  t.like((await converge(t, place, keypair, { path, type: 'ed25519' })).result, { comment: 'mine' });

  const renamed = await converge(t, place, keypair, { path, type: 'ed25519', comment: 'yours', mode: '0600' });
  t.deepEqual(renamed.changes.map(({ field }) => field), ['public_key', 'mode of .pub']);
  t.like(renamed.result, { comment: 'yours', public_key: first.result['public_key'] });
  await rm(`${path}.pub`);
  await converge(t, place, keypair, { path, type: 'ed25519' });
  t.is((await readFile(`${path}.pub`, 'utf8')).split(' ')[1], line.split(' ')[1]);

  await t.throwsAsync(look(t, place, keypair, { path, type: 'rsa', regenerate: 'fail' }), { message: /Key has wrong type and\/or size: it is ed25519 256/ });
  t.deepEqual((await look(t, place, keypair, { path, type: 'rsa', regenerate: 'never' })).changes, []);
  for (const [type, size] of [['rsa', 1024], ['ecdsa', 384]] as const) {
    const { changes } = await converge(t, place, keypair, { path, type, size });
    t.is(changes[0]!.to, `${type} ${size}`);
    t.regex(told(path), new RegExp(`^${size} `));
  }
  t.is((await look(t, place, keypair, { path, type: 'ecdsa', size: 384, force: true })).changes.length, 1);

  await writeFile(path, 'broken\n');
  await t.throwsAsync(look(t, place, keypair, { path, type: 'ed25519' }), { message: /Unable to read the key/ });
  await converge(t, place, keypair, { path, type: 'ed25519', regenerate: 'full_idempotence' });
  await converge(t, place, keypair, { path, state: 'absent' });
  await t.throwsAsync(stat(path));
});

test('what cannot be is said before', (t) => {
  const refused = (args: object): string => keypair.params.safeParse({ path: '/a', ...args }).error!.issues[0]!.message;
  t.regex(refused({ type: 'rsa', size: 512 }), /minimum size is 1024/);
  t.regex(refused({ type: 'ecdsa', size: 512 }), /256, 384 or 521/);
  t.regex(refused({ passphrase: 'x' }), /not supported/);
});
