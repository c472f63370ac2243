import test from 'ava';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { iniFile } from '../../src/modules/ini_file.js';
import { converge, inShells, look } from './harness.js';

const args = (written: object) => iniFile.params.parse({ path: '/x', ...written });

/** What a task makes of a text, and what it says. */
function made(text: string | undefined, written: object): [string, string] {
  const content = text === undefined ? undefined : Buffer.from(text);
  const found = { entry: { path: '/x', stat: undefined, target: undefined, sha256: undefined }, umask: 0o022, content };
  const wanted = args(written);
  const changes = iniFile.compare(wanted, found);
  return [changes[0]?.text?.after ?? text ?? '', String(iniFile.result(wanted, found)['msg'])];
}

test('ini_file: options and sections, as the collection places them', (t) => {
  const text = '; first\n[a]\nx = 1\n; y = 2\n\n[b]\nx=3\n';
  t.deepEqual(made(text, { section: 'a', option: 'x', value: '1' }), [text, 'OK']);
  t.deepEqual(made(text, { section: 'a', option: 'x', value: '2' }), [text.replace('x = 1', 'x = 2'), 'option changed']);
  t.deepEqual(made(text, { section: 'a', option: 'y', value: '2' }), [text.replace('; y = 2', 'y = 2'), 'option changed']);
  t.deepEqual(made(text, { section: 'a', option: 'y', value: '2', modify_inactive_option: false }), [text.replace('x = 1\n', 'x = 1\ny = 2\n'), 'option added']);
  t.deepEqual(made(text, { section: 'b', option: 'x', value: '3' }), [text.replace('x=3', 'x = 3'), 'option changed']);
  t.deepEqual(made(text, { section: 'b', option: 'x', value: '3', ignore_spaces: true }), [text, 'OK']);
  t.deepEqual(made(text, { section: 'b', option: 'z', value: '4', no_extra_spaces: true }), [`${text}z=4\n`, 'option added']);
  t.deepEqual(made(text, { section: 'c', option: 'z', value: '4' }), [`${text}[c]\nz = 4\n`, 'section and option added']);
  t.deepEqual(made(text, { section: 'c', allow_no_value: true }), [`${text}[c]\n`, 'only section added']);
  t.deepEqual(made(text, { option: 'top', value: '0' }), [`top = 0\n${text}`, 'option added']);
  t.deepEqual(made(text, { section: 'a', option: 'x', state: 'absent' }), [text.replace('x = 1\n', ''), 'option changed']);
  t.deepEqual(made(text, { section: 'a', option: 'y', state: 'absent' }), [text, 'OK']);
  t.deepEqual(made(text, { section: 'a', state: 'absent' }), ['; first\n[b]\nx=3\n', 'section removed']);
  t.deepEqual(made(text, { section: 'b', option: 'flag', allow_no_value: true }), [`${text}flag\n`, 'option added']);
  t.deepEqual(made('[a]\nflag\n', { section: 'a', option: 'flag', allow_no_value: true }), ['[a]\nflag\n', 'OK']);
  t.deepEqual(made('[a]\nx = 1', { section: 'a', option: 'x', value: '1' }), ['[a]\nx = 1\n', 'OK']);
  t.deepEqual(made(undefined, { section: 'a', option: 'x', value: '1' }), ['\n[a]\nx = 1\n', 'section and option added']);
  t.deepEqual(made(undefined, { section: 'a', option: 'x', state: 'absent' }), ['', 'OK']);
});

test('ini_file: an option that stands there several times', (t) => {
  const text = '[a]\nip = 1\nip = 2\nip = 3\nother = x\n';
  t.deepEqual(made(text, { section: 'a', option: 'ip', values: ['3', '4'] })[0], '[a]\nip = 4\nip = 3\nother = x\n');
  t.deepEqual(made(text, { section: 'a', option: 'ip', values: ['5', '6'], exclusive: false })[0], `${text}ip = 5\nip = 6\n`);
  t.deepEqual(made(text, { section: 'a', option: 'ip', value: '2', exclusive: false, state: 'absent' })[0], text.replace('ip = 2\n', ''));
  t.deepEqual(made(text, { section: 'a', option: 'ip', state: 'absent' })[0], '[a]\nother = x\n');
  const peers = '[Peer]\nKey = a\nip = 1\n[Peer]\nKey = b\nip = 2\n';
  const of = (key: string) => [{ option: 'Key', value: key }];
  t.is(made(peers, { section: 'Peer', section_has_values: of('b'), option: 'ip', value: '9' })[0], peers.replace('ip = 2', 'ip = 9'));
  t.is(made(peers, { section: 'Peer', section_has_values: of('a'), state: 'absent' })[0], '[Peer]\nKey = b\nip = 2\n');
  t.is(made(peers, { section: 'Peer', section_has_values: of('c'), option: 'ip', value: '9' })[0], `${peers}[Peer]\nKey = c\nip = 9\n`);
});

test('ini_file: what cannot be', (t) => {
  t.throws(() => args({ section: 'a', option: 'x' }), { message: /needs value or values/ });
  t.throws(() => args({ option: 'x', value: '1', values: ['2'] }), { message: /not both/ });
  t.throws(() => made(undefined, { option: 'x', value: '1', create: false }), { message: /does not exist/ });
});

inShells(test, 'ini_file on a host', async (t, place) => {
  const path = join(place.dir, 'new folder', 'app.ini');
  const { result } = await converge(t, place, iniFile, { path, section: 'Größe', option: 'x y', value: "it's", mode: '0640' });
  t.is(await readFile(path, 'utf8'), "\n[Größe]\nx y = it's\n");
  t.like(result, { path, mode: '0640', state: 'file', msg: 'section and option added' });
  await writeFile(path, Buffer.from('[a]\r\nn\xe9 = 1\r\nx = 1\r\n', 'latin1'));
  const kept = await converge(t, place, iniFile, { path, section: 'a', option: 'x', value: '2', backup: true });
  t.is((await readFile(path)).toString('latin1'), '[a]\r\nn\xe9 = 1\r\nx = 2\r\n');
  t.true((await stat(String(kept.result['backup_file']))).isFile());
  t.deepEqual((await look(t, place, iniFile, { path, section: 'a', option: 'x', value: 2 })).changes, []);
});
