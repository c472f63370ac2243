/** Keys that package managers trust: read by the real gpg, kept by stand-ins of apt-key and rpm. */
import test from 'ava';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { aptKey } from '../../src/modules/apt_key.js';
import { readKeys } from '../../src/modules/openpgp.js';
import { rpmKey } from '../../src/modules/rpm_key.js';
import { converge, inShells, look, type Place } from './harness.js';

const KEY = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawhhORYJKwYBBAHaRw8BAQdAQozF8HLreZQvGYmw8YbqFFp5xXW4VVCHNZAi
LC6POCS0JUV4YW1wbGUgYXJjaGl2ZSA8YXJjaGl2ZUBleGFtcGxlLm9yZz6IkAQT
FggAOBYhBG5amTV7mQ5ULYNAluDEb2chtSXHBQJrCGE5AhsDBQsJCAcCBhUKCQgL
AgQWAgMBAh4BAheAAAoJEODEb2chtSXHseIA/2xq4JveU6XDF8UKc5sVbsz7xQ8L
+NaaG2eRBMgWiXIYAP9reEhq2QsJEWZFu4heQBvagKhpr43UGmstPdcI0THyCQ==
=ZxXm
-----END PGP PUBLIC KEY BLOCK-----
`;
const ID = 'E0C46F6721B525C7';
const FINGERPRINT = '6E5A 9935 7B99 0E54 2D83  4096 E0C4 6F67 21B5 25C7';
const OTHER = 'pub:-:4096:1:0123456789ABCDEF:1:::-:::scSC:\nsub:e:4096:1:1111111111111111:1:::::::\n';

/** Programs in front of all others, and gpg beside busybox' tools; a curl that has the key at key.example.org. */
async function tools(place: Place, programs: { [name: string]: string }): Promise<string> {
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin);
  const all = { ...programs, curl: `for f do :; done; case $(cat) in *key.example.org*) cp ${join(bin, 'key')} "$f" ;; *) exit 22 ;; esac` };
  for (const [name, text] of Object.entries(all)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(bin, name), 0o755);
  }
  await writeFile(join(bin, 'key'), KEY);
  await writeFile(join(bin, 'list'), OTHER);
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}${place.shell === 'busybox' ? ':/usr/bin' : ''}`;
  return bin;
}

inShells(test, 'keys of apt', async (t, place) => {
  const list = join(place.dir, '..', 'bin', 'list');
  const bin = await tools(place, {
    'apt-key': `[ "$1" != --keyring ] || shift 2
case $1 in
  add) [ "$2" = - ] && cat >${list}.in || cat "$2" >${list}.in; gpg --homedir / --no-keyring --trust-model always --batch --with-colons --show-keys <${list}.in 2>/dev/null >>${list} ;;
  del) grep -v "$2:" ${list} >${list}.new; mv ${list}.new ${list} ;;
  adv) case $* in *--recv*) for i do :; done; [ "$i" != BAD0BAD0 ] || exit 2; echo "pub:-:4096:1:00000000$i:1:" >>${list} ;; *) echo Executing: gpg; cat ${list} ;; esac ;;
esac`,
    sleep: ':',
  });
  const { result, changes } = await converge(t, place, aptKey, { id: `0x${ID.toLowerCase()}`, url: 'https://key.example.org/x', keyring: list });
  t.is(changes.length, 1);
  t.deepEqual(result, { id: `0x${ID.toLowerCase()}`, key_id: ID, fp: ID, short_id: '21B525C7', before: ['0123456789ABCDEF'], after: ['0123456789ABCDEF', ID] });
  t.deepEqual((await converge(t, place, aptKey, { data: KEY })).changes, []);
  t.deepEqual((await converge(t, place, aptKey, { file: join(bin, 'key'), id: ID.slice(-8) })).result['before'], ['89ABCDEF', '21B525C7']);
  const fetched = await converge(t, place, aptKey, { url: 'https://key.example.org/x' });
  t.like(fetched.result, { changed: false, id: ID });
  const wanted = aptKey.params.parse({ url: 'https://key.example.org/x' });
  const plan = async () => aptKey.result(wanted, fetched.observed as never, await place.run(aptKey.rehearse!(wanted, fetched.observed as never, fetched.changes)!));
  t.like(await plan(), { changed: false, id: ID });
  await converge(t, place, aptKey, { id: FINGERPRINT.replaceAll(' ', ''), state: 'absent' });
  t.is((await converge(t, place, aptKey, { url: 'https://key.example.org/x' })).result['changed'], undefined);
  await converge(t, place, aptKey, { id: 'A1B2C3D4', keyserver: 'keys.example.org' });
  await t.throwsAsync(converge(t, place, aptKey, { id: 'BAD0BAD0', keyserver: 'keys.example.org' }), { message: /Error fetching key BAD0BAD0 from keyserver/ });
  await t.throwsAsync(converge(t, place, aptKey, { id: ID.replace('E', 'F'), file: join(bin, 'key') }), { message: /failed to add the key/ });
  await t.throwsAsync(look(t, place, aptKey, { data: 'nonsense' }), { message: /Unable to extract key from 'inline data'/ });
  await t.throwsAsync(converge(t, place, aptKey, { url: 'https://elsewhere.example.org/x' }), { message: /Failed to download key/ });
  const good = (args: object) => aptKey.params.safeParse(args).success;
  t.deepEqual([{}, { id: ID }, { state: 'absent' }, { id: 'xyz', url: 'x' }, { url: 'x', file: 'y' }, { keyserver: 'x' }].map(good), [false, false, false, false, false, false]);
});

inShells(test, 'keys of rpm', async (t, place) => {
  const keys = join(place.dir, '..', 'rpmkeys');
  const bin = await tools(place, {
    rpm: `case $* in
  '-q gpg-pubkey') [ -s ${keys} ] ;;
  '-q gpg-pubkey --qf '*) cat ${keys} ;;
  '--import '*) cat "$2" >>${keys} ;;
  *) [ "$*" = '--erase --allmatches gpg-pubkey-21b525c7' ] && : >${keys} ;;
esac`,
  });
  const file = join(bin, 'key');
  t.is((await converge(t, place, rpmKey, { key: file, fingerprint: FINGERPRINT })).changes.length, 1);
  t.is(await readFile(keys, 'utf8'), KEY);
  t.deepEqual((await converge(t, place, rpmKey, { key: '0x21b525c7' })).changes, []);
  t.is((await converge(t, place, rpmKey, { key: 'https://key.example.org/x' })).result['changed'], false);
  await converge(t, place, rpmKey, { key: ID, state: 'absent' });
  await t.throwsAsync(look(t, place, rpmKey, { key: file, fingerprint: ['AA BB'] }), { message: /'AABB', does not match/ });
  await t.throwsAsync(converge(t, place, rpmKey, { key: 'https://key.example.org/x', fingerprint: ['AA BB'] }), { message: /does not match/ });
  t.is((await converge(t, place, rpmKey, { key: 'https://key.example.org/x', fingerprint: FINGERPRINT })).result['changed'], undefined);
  t.is((await converge(t, place, rpmKey, { key: 'https://key.example.org/x', state: 'absent' })).result['changed'], undefined);
  t.is((await converge(t, place, rpmKey, { key: 'https://key.example.org/x', state: 'absent' })).result['changed'], false);
  await t.throwsAsync(look(t, place, rpmKey, { key: '21B525C7' }), { message: /a valid file must be given/ });
  await t.throwsAsync(look(t, place, rpmKey, { key: '/nowhere' }), { message: /Not a valid key/ });
// busybox ash prefers its own rpm.
}, ['dash', 'bash']);

test('a list of keys: what has expired does not count', (t) => {
  t.deepEqual(readKeys(`${OTHER}fpr:::::::::AB:\nuid:-::::\n`.split('\n')), { ids: ['0123456789ABCDEF'], fingerprints: ['AB'] });
});
