import test from 'ava';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { find } from '../../src/modules/find.js';
import { converge, inShells, look, type Place } from './harness.js';

interface Result {
  files: { path: string; [field: string]: unknown }[];
  matched: number;
  examined: number;
  skipped_paths: { [path: string]: string };
  msg: string;
}

/** Eight files in eight folders, two by two. */
async function tree(place: Place): Promise<void> {
  for (const folder of ['a/b/c/d', 'e/f/g/h']) await mkdir(join(place.dir, folder), { recursive: true });
  for (const file of ['a/1.txt', 'a/b/2.jpg', 'a/b/c/3', 'a/b/c/d/4.xml', 'e/5.json', 'e/f/6.swp', 'e/f/g/7.img', 'e/f/g/h/8.ogg']) await writeFile(join(place.dir, file), 'data');
}

inShells(test, 'names, kinds, depth, order and limit', async (t, place) => {
  await tree(place);
  const found = async (args: object): Promise<Result> => (await converge(t, place, find, { paths: place.dir, recurse: true, ...args })).result as unknown as Result;
  const names = async (args: object) => (await found(args)).files.map(({ path }) => path.slice(place.dir.length + 1)).sort();
  t.like(await found({ file_type: 'directory' }), { matched: 8, examined: 16, msg: 'All paths examined' });
  t.deepEqual(await names({ patterns: '*.xml,*.img' }), ['a/b/c/d/4.xml', 'e/f/g/7.img']);
  t.deepEqual(await names({ use_regex: true, patterns: ['\\d', '.*\\.o'], excludes: ['[4-7]'] }), ['a/1.txt', 'a/b/2.jpg', 'a/b/c/3', 'e/f/g/h/8.ogg']);
  t.deepEqual(await names({ excludes: ['*.*'] }), ['a/b/c/3']);
  t.like(await found({ file_type: 'any', depth: 2 }), { matched: 6, examined: 10 });
  t.like(await found({ depth: 2 }), { matched: 2, examined: 10 });
  t.like(await found({ recurse: false }), { matched: 0, examined: 2 });
  t.deepEqual(await names({ recurse: false, file_type: 'any' }), ['a', 'e']);
  const limited = await found({ limit: 3 });
  t.deepEqual(limited.files.map(({ path }) => path.slice(place.dir.length + 1).split('/').length), [2, 2, 3]);
  t.is(limited.msg, 'Limit of matches reached');

  await writeFile(join(place.dir, '.hidden'), '');
  await writeFile(join(place.dir, "it's\na name"), '');
  await symlink('a', join(place.dir, 'link'));
  t.deepEqual(await names({ recurse: false, hidden: true }), ['.hidden', "it's\na name"]);
  t.deepEqual(await names({ recurse: false }), ["it's\na name"]);
  t.deepEqual(await names({ file_type: 'link' }), ['link']);
  t.deepEqual(await names({ file_type: 'link', follow: true }), ['link']);
  t.deepEqual(await names({ patterns: '*.txt', follow: true }), ['a/1.txt', 'link/1.txt']);
  t.deepEqual(await names({ paths: '~/link/', patterns: '?.txt' }), ['link/1.txt']);
});

inShells(test, 'size, age, permissions and hashes', async (t, place) => {
  const found = async (args: object) => ((await converge(t, place, find, { paths: [place.dir], ...args })).result as unknown as Result).files;
  const names = async (args: object) => (await found(args)).map(({ path }) => path.slice(place.dir.length + 1)).sort();
  await writeFile(join(place.dir, 'old'), '');
  await utimes(join(place.dir, 'old'), 1.5e9, 1.5e9);
  await writeFile(join(place.dir, 'new'), 'hello world\n');
  await chmod(join(place.dir, 'new'), 0o600);
  await chmod(join(place.dir, 'old'), 0o644);
  t.deepEqual([await names({ age: '1w' }), await names({ age: '-1w' }), await names({ age: '-1w', age_stamp: 'ctime' })], [['old'], ['new'], ['new', 'old']]);
  t.deepEqual([await names({ size: '12' }), await names({ size: '13' }), await names({ size: '-5' }), await names({ size: '-12b' }), await names({ size: '1k' })], [['new'], [], ['old'], ['new', 'old'], []]);
  t.deepEqual([await names({ mode: '0644' }), await names({ mode: 'u=rw' }), await names({ mode: 'o=r', exact_mode: false })], [['old'], ['new'], ['old']]);
  const [file] = await found({ size: '5', get_checksum: true, checksum_algorithm: 'md5' });
  t.like(file, { checksum: '6f5902ac237024bdd0c176cb93063dc4', mode: '0600', isreg: true, isdir: false, size: 12, rusr: true, roth: false, pw_name: 'root' });
  t.is(String((await found({ age: '1w' }))[0]!['mtime']), '1500000000.0');
});

inShells(test, 'content', async (t, place) => {
  const found = async (args: object) => (await converge(t, place, find, { paths: place.dir, ...args })).result as unknown as Result;
  const names = async (args: object) => (await found(args)).files.map(({ path }) => path.slice(place.dir.length + 1)).sort();
  await writeFile(join(place.dir, 'one'), 'This file has\na few lines OK\nthe end KO\n');
  await writeFile(join(place.dir, 'two'), 'nothing\n');
  await mkdir(join(place.dir, 'gbk'));
  t.deepEqual([await names({ contains: 'the (end|rest)' }), await names({ contains: 'few' }), await names({ contains: '.*OK$' })], [['one'], [], ['one']]);
  if (place.shell === 'busybox') {
    await t.throwsAsync(found({ contains: 'x', read_whole_file: true }), { message: /takes perl/ });
    return;
  }
  const whole = (contains: string) => names({ contains, read_whole_file: true });
  t.deepEqual([await whole('OK$'), await whole('KO$'), await whole('KO\\Z'), await whole('has\\na few'), await whole('(?P<x>f)ew')], [[], ['one'], [], ['one'], ['one']]);
  await writeFile(join(place.dir, 'gbk/text'), Buffer.from('c4e3bac3cac0bde7', 'hex'));
  const gbk = { paths: join(place.dir, 'gbk'), contains: '你好世界' };
  t.deepEqual(await names({ ...gbk, encoding: 'gbk' }), ['gbk/text']);
  const wrong = await found({ ...gbk, encoding: 'utf-8' });
  t.deepEqual(wrong.skipped_paths, { [gbk.paths]: `Failed to read the file ${gbk.paths}/text due to an encoding error. current encoding: utf-8` });
  t.deepEqual((await found({ ...gbk, encoding: 'idontexist' })).skipped_paths, { [gbk.paths]: 'unknown encoding: idontexist' });
});

inShells(test, 'what cannot be searched is told', async (t, place) => {
  await tree(place);
  const nowhere = join(place.dir, 'none');
  const { result } = await converge(t, place, find, { paths: [nowhere, join(place.dir, 'a')] });
  t.like(result, { matched: 1, msg: 'Not all paths examined, check warnings for details', skipped_paths: { [nowhere]: `'${nowhere}' is not a directory` } });
  for (const [args, message] of [[{ age: '1y' }, /is no age/], [{ size: 'x' }, /is no size/], [{ mode: 644 }, /must be a string/], [{ limit: 0 }, /above 0/], [{ contains: '(' }, /regex/]] as const) {
    await t.throwsAsync(look(t, place, find, { paths: '/', ...args }), { message });
  }
});

test('folders that may not be read are told, the first of them too', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'muster-'));
  try {
    for (const name of ['open', 'shut', 'shut too']) await mkdir(join(root, name));
    await writeFile(join(root, 'open/f'), '');
    for (const [name, mode] of [['', 0o755], ['open', 0o755], ['shut', 0o700], ['shut too', 0o700]] as const) await chmod(join(root, name), mode);
    const wanted = find.params.parse({ paths: root, recurse: true });
    // Nothing is shut for root.
    const { status, stdout, stderr } = spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'sh'], { input: find.inspect(wanted).text, cwd: '/', encoding: 'utf8' });
    const told = find.result(wanted, find.parse({ rc: status!, stdout, stderr }, wanted));
    t.like(told, { matched: 1, examined: 4 });
    t.deepEqual(Object.keys(told['skipped_paths'] as object).sort(), [join(root, 'shut'), join(root, 'shut too')]);
  } finally {
    await rm(root, { recursive: true });
  }
});
