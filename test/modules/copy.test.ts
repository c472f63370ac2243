import test from 'ava';
import { chmod, chown, lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { copy } from '../../src/modules/copy.js';
import { ModuleError } from '../../src/modules/module.js';
import { before, controller, converge, inShells, look, modeOf } from './harness.js';

const HOSTILE = ['plain', 'two words', "it's", '$(touch pwned)', '`id`', '-rf', 'new\nline', 'quote"d', 'ünï', '*', 'back\\slash', '~'];

inShells(test, 'copy writes a text with mode and owner', async (t, place) => {
  const dest = join(place.dir, 'motd');
  const { changes, result } = await converge(t, place, copy, { content: 'hello\n', dest, mode: '0640', owner: 'root', group: '0' });
  t.deepEqual(changes.map(({ field }) => field), ['content']);
  t.is(await readFile(dest, 'utf8'), 'hello\n');
  t.is(await modeOf(dest), '0640');
  t.like(result, { dest, mode: '0640', owner: 'root', state: 'file', size: 6, checksum: 'f572d396fae9206628714fb2ce00f72e94f2258f' });
});

inShells(test, 'a new file gets the mode the umask gives, an old one keeps its own', async (t, place) => {
  const dest = join(place.dir, 'a');
  await converge(t, place, copy, { content: 'one', dest });
  t.is(await modeOf(dest), '0644');
  await chown(dest, 1234, 4321);
  await chmod(dest, 0o4751);
  await converge(t, place, copy, { content: 'two', dest });
  const info = await stat(dest);
  t.deepEqual([info.mode & 0o7777, info.uid, info.gid], [0o4751, 1234, 4321]);
});

inShells(test, 'names and contents that a shell could take for commands stay what they are', async (t, place) => {
  for (const name of HOSTILE) {
    const content = `${name}\0\n'"$(exit 1)\n\\000 %s`;
    await converge(t, place, copy, { content, dest: join(place.dir, name) });
    t.is(await readFile(join(place.dir, name), 'utf8'), content);
  }
  t.deepEqual((await readdir(place.dir)).sort(), [...HOSTILE].sort());
  await converge(t, place, copy, { content: 'home', dest: '~/in home' });
  await converge(t, place, copy, { content: 'relative', dest: '-n' });
  await converge(t, place, copy, { content: 'env', dest: '$HOME/$UNSET in home' });
  t.is(await readFile(join(place.dir, 'in home'), 'utf8'), 'home');
  t.is(await readFile(join(place.dir, '$UNSET in home'), 'utf8'), 'env');
  t.is(await readFile(join(place.dir, '-n'), 'utf8'), 'relative');
});

inShells(test, 'content that differs shows both texts, equal content with another mode only the mode', async (t, place) => {
  const dest = join(place.dir, 'f');
  await writeFile(dest, 'old\n', { mode: 0o600 });
  const looked = await look(t, place, copy, { content: 'new\n', dest });
  t.like(looked.changes[0]!.text, { path: dest, after: 'new\n' });
  t.is(await before(place, copy, looked, looked.changes[0]!), 'old\n');
  const { changes } = await converge(t, place, copy, { content: 'old\n', dest, mode: 'u=rw,go=r' });
  t.deepEqual(changes, [{ field: 'mode', from: '0600', to: '0644' }]);
});

inShells(test, 'a file goes into a folder under its own name, also through a link and into a new one', async (t, place) => {
  const src = join(place.dir, 'src file');
  await writeFile(src, 'x', { mode: 0o751 });
  await mkdir(join(place.dir, 'folder'));
  await symlink('folder', join(place.dir, 'link'));
  for (const dest of ['folder', 'link', 'made/new/']) {
    await converge(t, place, copy, { src, dest: join(place.dir, dest) + (dest.endsWith('/') ? '/' : ''), mode: 'preserve' });
    t.is(await readFile(join(place.dir, dest, 'src file'), 'utf8'), 'x');
    t.is(await modeOf(join(place.dir, dest, 'src file')), '0751');
  }
  t.true((await lstat(join(place.dir, 'link'))).isSymbolicLink());
  await t.throwsAsync(look(t, place, copy, { content: 'x', dest: join(place.dir, 'folder') }), { instanceOf: ModuleError, message: 'can not use content with a dir as dest' });
});

inShells(test, 'a link at the destination is replaced, or followed when asked', async (t, place) => {
  const dest = join(place.dir, 'dest');
  const target = join(place.dir, 'target');
  await symlink('target', dest);
  await converge(t, place, copy, { content: 'through', dest, follow: true });
  t.is(await readFile(target, 'utf8'), 'through');
  t.true((await lstat(dest)).isSymbolicLink());
  await converge(t, place, copy, { content: 'through', dest });
  t.true((await lstat(dest)).isFile());
  await mkdir(join(place.dir, 'd'));
  await symlink('loop', join(place.dir, 'loop'));
  await t.throwsAsync(look(t, place, copy, { content: 'x', dest: join(place.dir, 'loop'), follow: true }), { message: /too many levels/ });
});

inShells(test, 'the old file stays when its successor is not valid', async (t, place) => {
  const dest = join(place.dir, 'conf');
  await writeFile(dest, 'good');
  const validate = `sh -c 'echo "line 1: $(cat "$1")" >&2; exit 7' '' %s`;
  const error = await t.throwsAsync(converge(t, place, copy, { content: 'bad', dest, validate }), { instanceOf: ModuleError });
  t.regex(error!.message, /validation of content for .*\/conf failed.*exit status 7\nline 1: bad/s);
  t.is(await readFile(dest, 'utf8'), 'good');
  t.deepEqual(await readdir(place.dir), ['conf'], 'a temporary file was left behind');
  await converge(t, place, copy, { content: 'fine', dest, validate: 'grep -q fine %s' });
  t.is(await readFile(dest, 'utf8'), 'fine');
  await t.throwsAsync(converge(t, place, copy, { content: 'x', dest, validate: 'true' }), { message: /must contain %s/ });
});

inShells(test, 'a backup keeps the old file', async (t, place) => {
  const dest = join(place.dir, 'conf');
  await writeFile(dest, 'old', { mode: 0o600 });
  const { result } = await converge(t, place, copy, { content: 'new', dest, backup: true });
  const kept = result['backup_file'] as string;
  t.regex(kept, /\/conf\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~$/);
  t.is(await readFile(kept, 'utf8'), 'old');
  t.is(await modeOf(kept), '0600');
});

inShells(test, 'without force only what is missing is written, owner and mode count all the same', async (t, place) => {
  const dest = join(place.dir, 'f');
  await writeFile(dest, 'mine', { mode: 0o600 });
  const { changes } = await converge(t, place, copy, { content: 'yours', dest, force: false, mode: '0640' });
  t.deepEqual(changes.map(({ field }) => field), ['mode']);
  t.is(await readFile(dest, 'utf8'), 'mine');
});

inShells(test, 'a long file travels beside the script', async (t, place) => {
  const src = join(place.dir, 'long');
  const content = Buffer.alloc(600_000, '\0\xff\n');
  await writeFile(src, content);
  await converge(t, place, copy, { src, dest: join(place.dir, 'copy') });
  t.deepEqual(await readFile(join(place.dir, 'copy')), content);
});

inShells(test, 'a folder is copied with its name, with a slash only what is in it', async (t, place) => {
  const src = join(place.dir, 'site');
  await mkdir(join(src, 'sub', 'empty'), { recursive: true });
  for (const name of HOSTILE) await writeFile(join(src, 'sub', name), name);
  await symlink('plain', join(src, 'sub', 'link'));
  const dest = join(place.dir, 'www');
  await converge(t, place, copy, { src, dest, mode: '0640', directory_mode: '0750' });
  t.deepEqual((await readdir(join(dest, 'site', 'sub'))).sort(), [...HOSTILE, 'empty', 'link'].sort());
  t.is(await readFile(join(dest, 'site', 'sub', 'link'), 'utf8'), 'plain');
  for (const made of [dest, join(dest, 'site'), join(dest, 'site', 'sub')]) t.is(await modeOf(made), '0750');
  t.is(await modeOf(join(dest, 'site', 'sub', 'plain')), '0640');
  await writeFile(join(dest, 'site', 'sub', "it's"), 'drift');
  await chmod(join(dest, 'site', 'sub', '-rf'), 0o600);
  const { changes } = await converge(t, place, copy, { src, dest, mode: '0640' });
  t.deepEqual(changes.map(({ field }) => field), ['mode of sub/-rf', "content of sub/it's"]);
  await converge(t, place, copy, { src: `${src}/`, dest: join(place.dir, 'flat'), local_follow: false });
  t.is(await readlink(join(place.dir, 'flat', 'sub', 'link')), 'plain');
});

inShells(test, 'many new files get owner, mode and long names, and none is left half done', async (t, place) => {
  const src = join(place.dir, 'many');
  const names = Array.from({ length: 20 }, (_, i) => join(`part${i % 3}${i > 10 ? '/de ep/er' : ''}`, `${'ü'.repeat(i * 6)}${i}`));
  for (const name of names) {
    await mkdir(join(src, name, '..'), { recursive: true });
    await writeFile(join(src, name), `\0${name.repeat(60)}`);
  }
  await chmod(join(src, names[4]!), 0o604);
  const dest = join(place.dir, 'there');
  const all = async (): Promise<void> => {
    await converge(t, place, copy, { src: `${src}/`, dest, mode: 'preserve', directory_mode: '0750', owner: '1234', group: '4321' });
    t.deepEqual((await readdir(dest)).sort(), ['part0', 'part1', 'part2']);
    for (const name of names) {
      t.is(await readFile(join(dest, name), 'utf8'), `\0${name.repeat(60)}`);
      t.is(await modeOf(join(dest, dirname(name))), '0750');
      for (const path of [name, dirname(name)]) {
        const { uid, gid } = await stat(join(dest, path));
        t.deepEqual([uid, gid], [1234, 4321]);
      }
    }
    t.is(await modeOf(join(dest, names[4]!)), '0604');
  };
  await all();
  // Some are there, and some of the folders.
  for (const gone of ['part0', 'part1/de ep', names[4]!, names[7]!]) await rm(join(dest, gone), { recursive: true });
  await all();
});

test('a pipe is no source, and nobody waits for what would come through it', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'muster-copy-'));
  t.teardown(() => rm(dir, { recursive: true }));
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  await t.throwsAsync(copy.prepare!(copy.params.parse({ src: join(dir, 'pipe'), dest: '/x' }), controller()), { message: /pipe is neither a file nor a folder/ });
});

inShells(test, 'remote_src copies on the host', async (t, place) => {
  const src = join(place.dir, 'there');
  await writeFile(src, 'abc\0', { mode: 0o604 });
  await mkdir(join(place.dir, 'folder'));
  await converge(t, place, copy, { src, dest: join(place.dir, 'folder'), remote_src: true, mode: 'preserve' });
  t.is(await readFile(join(place.dir, 'folder', 'there'), 'utf8'), 'abc\0');
  t.is(await modeOf(join(place.dir, 'folder', 'there')), '0604');
  await mkdir(join(place.dir, 'tree/sub dir'), { recursive: true });
  await writeFile(join(place.dir, "tree/sub dir/it's $(x)"), 'deep');
  await symlink('sub dir', join(place.dir, 'tree/link'));
  const dest = join(place.dir, 'copies');
  await converge(t, place, copy, { src: join(place.dir, 'tree'), dest, remote_src: true, mode: '0640', directory_mode: '0750' });
  t.is(await readFile(join(dest, "tree/sub dir/it's $(x)"), 'utf8'), 'deep');
  t.is(await readlink(join(dest, 'tree/link')), 'sub dir');
  await converge(t, place, copy, { src: `${place.dir}/tree/`, dest: join(place.dir, 'flat'), remote_src: true });
  t.deepEqual((await readdir(join(place.dir, 'flat'))).sort(), ['link', 'sub dir']);
  await t.throwsAsync(look(t, place, copy, { src: join(place.dir, 'nothing'), dest: src, remote_src: true }), { message: /^Source .*\/nothing not found$/ });
});

inShells(test, 'a folder that is not there is an error, not made up', async (t, place) => {
  await t.throwsAsync(converge(t, place, copy, { content: 'x', dest: join(place.dir, 'no', 'x') }), { message: /folder .*\/no does not exist/ });
});

inShells(test, 'where the file cannot be renamed over it is written over, and the result says so', async (t, place) => {
  const tools = join(place.dir, '..', 'bin');
  await mkdir(tools);
  await writeFile(join(tools, 'mv'), '#!/bin/sh\necho "mv: cannot move: Device or resource busy" >&2\nexit 1\n', { mode: 0o755 });
  place.env['PATH'] = `${tools}:${process.env['PATH']}`;
  const dest = join(place.dir, 'hosts');
  await writeFile(dest, 'a longer old text', { mode: 0o604 });
  const { ino } = await stat(dest);
  const { result } = await converge(t, place, copy, { content: 'new', dest });
  t.is(await readFile(dest, 'utf8'), 'new');
  t.is((await stat(dest)).ino, ino);
  t.is(result['written_in_place'], 'mv: cannot move: Device or resource busy');
  t.deepEqual(await readdir(place.dir), ['hosts']);
  await t.throwsAsync(converge(t, place, copy, { content: 'new', dest: join(place.dir, 'fresh') }), { message: /resource busy/ });
}, ['dash', 'bash']);
