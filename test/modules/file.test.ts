import test from 'ava';
import { chmod, link, lstat, mkdir, readFile, readdir, readlink, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { file } from '../../src/modules/file.js';
import { ModuleError } from '../../src/modules/module.js';
import { converge, inShells, look, modeOf } from './harness.js';
import { sh } from '../../src/shell/sh.js';

inShells(test, 'a folder is made with its parents, each with owner and mode', async (t, place) => {
  const path = join(place.dir, "a b/it's/$(x)");
  const { result, changes } = await converge(t, place, file, { path, state: 'directory', mode: 'u=rwx,go=', owner: '12', group: '34' });
  t.deepEqual(changes, [{ field: 'state', from: 'absent', to: 'directory' }]);
  for (const each of ['a b', "a b/it's", "a b/it's/$(x)"]) {
    const info = await stat(join(place.dir, each));
    t.deepEqual([info.mode & 0o7777, info.uid, info.gid], [0o700, 12, 34]);
  }
  t.like(result, { path, state: 'directory', mode: '0700', uid: 12 });
  t.is(await modeOf(place.dir), '0755');
});

inShells(test, 'slashes that stand twice in the path of a folder mean one', async (t, place) => {
  const path = `${place.dir}/new//a//b/`;
  await converge(t, place, file, { path, state: 'directory', mode: '0750' });
  t.is(await modeOf(join(place.dir, 'new')), '0750');
  t.is(await modeOf(join(place.dir, 'new/a/b')), '0750');
});

inShells(test, '_diff_peek tells whether a file looks binary, and changes nothing', async (t, place) => {
  const path = join(place.dir, "it's");
  const peek = async () => (await converge(t, place, file, { path, _diff_peek: true, mode: '0600' })).result;
  t.deepEqual(await peek(), { path, appears_binary: false });
  await writeFile(path, 'text\n', { mode: 0o644 });
  t.deepEqual(await peek(), { path, appears_binary: false });
  await writeFile(path, 'a\0b');
  t.deepEqual(await peek(), { path, appears_binary: true });
  t.is(await modeOf(path), '0644');
});

inShells(test, 'owner and mode change, and only they', async (t, place) => {
  const path = join(place.dir, 'd');
  await mkdir(path);
  await chmod(path, 0o2777);
  const { changes } = await converge(t, place, file, { path, mode: '0755', owner: 'root' });
  t.deepEqual(changes, [{ field: 'mode', from: '2777', to: '0755' }]);
});

inShells(test, 'recurse goes through links to what they lead to, once, and passes over those that lead nowhere', async (t, place) => {
  const path = join(place.dir, 'd');
  for (const folder of [path, join(place.dir, 'far/deep')]) await mkdir(folder, { recursive: true });
  await writeFile(join(place.dir, 'far/deep/f'), '', { mode: 0o644 });
  await symlink('../far', join(path, "it's"));
  await symlink('nowhere', join(path, 'dangling'));
  await converge(t, place, file, { path, recurse: true, state: 'directory', mode: 'o-rx', owner: '7' });
  t.is(await modeOf(join(place.dir, 'far/deep/f')), '0640');
  t.deepEqual([(await stat(join(place.dir, 'far/deep'))).uid, (await lstat(join(path, 'dangling'))).uid, (await lstat(join(path, "it's"))).uid], [7, 7, 7]);
});

test('what src and recurse do not go with is said', async (t) => {
  const at = (args: object) => { const wanted = file.params.parse({ path: '/x', ...args }); return file.compare(wanted, file.parse({ rc: 0, stdout: '0022\n\0absent\0/x\0\0' + ('src' in args ? 'absent\0/y\0\0' : '') + '\0' + ('recurse' in args ? '\0\0' : ''), stderr: '' }, wanted)); };
  t.throws(() => at({ src: '/y' }), { message: "src option requires state to be 'link' or 'hard'" });
  t.throws(() => at({ state: 'file', recurse: true }), { message: "recurse option requires state to be 'directory'" });
  const missing = t.throws(() => at({}), { instanceOf: ModuleError, message: /^file \(\/x\) is absent, cannot continue/ });
  t.deepEqual(missing.fields, { path: '/x', state: 'absent' });
});

inShells(test, 'times are written in a format of the task, and a mode has a zero before it', async (t, place) => {
  const path = join(place.dir, 'f');
  const { result } = await converge(t, place, file, { path, state: 'touch', mode: '1644', modification_time: '2020-01-02 03:04:05', modification_time_format: '%Y-%m-%d %H:%M:%S', access_time: 'preserve' });
  t.is(result['mode'], '01644');
  t.is(await place.run(sh`date -d @${Math.floor((await stat(path)).mtimeMs / 1000)} '+%F %T'`).then(({ stdout }) => stdout), '2020-01-02 03:04:05\n');
  await t.throwsAsync(look(t, place, file, { path, access_time: 'x' }), { message: /^Error while obtaining timestamp for time x using format %Y%m%d%H%M\.%S/ });
});

inShells(test, 'a touch of both times asks for no more than leave to write', async (t, place) => {
  const path = join(place.dir, 'f');
  await writeFile(path, '', { mode: 0o666 });
  const { wanted, observed, changes } = await look(t, place, file, { path, state: 'touch' });
  t.regex(file.apply(wanted, observed, changes).script.text, /^touch -c -- \S+\/f \|\| exit$/m);
});

inShells(test, 'what cannot be made as it is wanted is not left behind', async (t, place) => {
  const path = join(place.dir, 'f');
  await t.throwsAsync(converge(t, place, file, { path, state: 'touch', owner: 'nobody-of-that-name' }));
  t.deepEqual(await readdir(place.dir), []);
});

inShells(test, 'a plan is warned of users and groups that are not there', async (t, place) => {
  const remarks = async (args: object) => (await place.run(file.remarks!(file.params.parse({ path: '/x', ...args }))!)).stdout;
  t.is(await remarks({ owner: 'root', group: '0' }), '');
  t.is(await remarks({ owner: 'nobody-of-that-name', group: '4000000' }), 'failed to look up user nobody-of-that-name. Create user up to this point in real play\nfailed to look up group with gid 4000000. Create group up to this point in real play\n');
});

inShells(test, 'recurse reaches everything below, links left alone', async (t, place) => {
  const path = join(place.dir, 'd');
  await mkdir(join(path, 'sub'), { recursive: true });
  await writeFile(join(path, 'sub', 'new\nline'), '', { mode: 0o600 });
  await writeFile(join(place.dir, 'outside'), '', { mode: 0o600 });
  await symlink('../outside', join(path, 'link'));
  const { changes } = await converge(t, place, file, { path, recurse: true, follow: false, mode: 'u=rwX,g=rX,o=rX', group: '7' });
  t.deepEqual(changes.map(({ field, from }) => `${field} ${String(from)}`).sort(), ['group root', 'mode 0600']);
  t.is(await modeOf(join(path, 'sub', 'new\nline')), '0644');
  t.is(await modeOf(join(path, 'sub')), '0755');
  t.is(await modeOf(join(place.dir, 'outside')), '0600');
  t.is((await stat(join(path, 'sub'))).gid, 7);
});

inShells(test, 'links are made, re-pointed without a gap, and refused where they would hide something', async (t, place) => {
  const path = join(place.dir, 'current');
  await mkdir(join(place.dir, 'releases/1'), { recursive: true });
  await mkdir(join(place.dir, 'releases/2'));
  await converge(t, place, file, { path, src: 'releases/1', state: 'link' });
  const { changes, result } = await converge(t, place, file, { path, src: 'releases/2', state: 'link' });
  t.deepEqual(changes, [{ field: 'src', from: 'releases/1', to: 'releases/2' }]);
  t.like(result, { dest: path, src: 'releases/2', state: 'link' });
  t.is(await readlink(path), 'releases/2');
  t.deepEqual((await readdir(place.dir)).sort(), ['current', 'releases']);
  await t.throwsAsync(look(t, place, file, { path, src: 'releases/3', state: 'link' }), { message: /^src file does not exist, use 'force=yes'/ });
  await converge(t, place, file, { path, src: 'releases/3', state: 'link', force: true });
  await converge(t, place, file, { path, src: 'releases/4', state: 'link', force: true });
  await writeFile(join(place.dir, 'plain'), '');
  await t.throwsAsync(look(t, place, file, { path: join(place.dir, 'plain'), src: 'releases/1', state: 'link' }), { message: /^refusing to convert from file to symlink/ });
  await converge(t, place, file, { path: join(place.dir, 'plain'), src: 'releases/1', state: 'link', force: true });
  await mkdir(join(place.dir, 'full'));
  await writeFile(join(place.dir, 'full', 'x'), '');
  await t.throwsAsync(converge(t, place, file, { path: join(place.dir, 'full'), src: 'releases/1', state: 'link', force: true }), { message: /not empty/i });
  t.true((await lstat(join(place.dir, 'full', 'x'))).isFile());
});

inShells(test, 'a hard link is one when both are the same file', async (t, place) => {
  const src = join(place.dir, 'src');
  const path = join(place.dir, 'hard');
  await writeFile(src, 'x');
  await converge(t, place, file, { path, src, state: 'hard' });
  t.is((await stat(src)).ino, (await stat(path)).ino);
  const other = join(place.dir, 'other');
  await writeFile(other, 'y');
  await mkdir(join(place.dir, 'folder'));
  await symlink('src', join(place.dir, 'link'));
  const { result } = await converge(t, place, file, { path: join(place.dir, 'folder'), src: join(place.dir, 'link'), state: 'hard' });
  t.like(result, { dest: join(place.dir, 'folder', 'link'), state: 'hard' });
  t.is((await lstat(join(place.dir, 'folder', 'link'))).ino, (await stat(src)).ino, 'what a link leads to is linked');
  await t.throwsAsync(look(t, place, file, { path: join(place.dir, 'new'), src: 'gone', state: 'hard' }), { message: 'src does not exist' });
  await t.throwsAsync(look(t, place, file, { path: join(place.dir, 'new'), state: 'hard' }), { message: 'src is required for creating new hardlinks' });
  await t.throwsAsync(look(t, place, file, { path: other, src, state: 'hard' }), { message: /^Cannot link, file exists at destination/ });
});

inShells(test, 'absent removes folders whole, links but not what they lead to', async (t, place) => {
  await mkdir(join(place.dir, 'd/e'), { recursive: true });
  await writeFile(join(place.dir, 'd/e/f'), '');
  await writeFile(join(place.dir, 'target'), 'kept');
  await symlink('target', join(place.dir, 'link'));
  const { result } = await converge(t, place, file, { path: `${place.dir}/d/`, state: 'absent' });
  t.deepEqual(result, { path: join(place.dir, 'd'), state: 'absent' });
  await converge(t, place, file, { path: join(place.dir, 'link'), state: 'absent' });
  t.deepEqual(await readdir(place.dir), ['target']);
  const { changes } = await converge(t, place, file, { path: join(place.dir, 'target/x/y'), state: 'absent' });
  t.deepEqual(changes, [], 'below a file there is nothing');
});

inShells(test, 'touch makes an empty file and keeps what is in one', async (t, place) => {
  const path = join(place.dir, 'f');
  await converge(t, place, file, { path, state: 'touch', mode: '0600' });
  t.is(await modeOf(path), '0600');
  await writeFile(path, 'kept');
  await utimes(path, 1000, 2000);
  const { changes } = await converge(t, place, file, { path, state: 'touch' });
  t.deepEqual(changes.map(({ field, to }) => [field, to]), [['access_time', 'now'], ['modification_time', 'now']]);
  t.true((await stat(path)).mtimeMs > 1e12);
  t.is(await readFile(path, 'utf8'), 'kept');
  await converge(t, place, file, { path, state: 'touch', access_time: 'preserve', modification_time: '202001020304.05' });
  t.deepEqual((await look(t, place, file, { path, state: 'touch', access_time: 'preserve', modification_time: '202001020304.5' })).changes, []);
  await converge(t, place, file, { path, state: 'touch', access_time: 'preserve', modification_time: '202001020304.6' });
  await converge(t, place, file, { path, state: 'touch', access_time: 'preserve', modification_time: '202001020304.05' });
  t.is((await stat(path)).mtime.getFullYear(), 2020);
});

inShells(test, 'state file changes what is there and makes nothing', async (t, place) => {
  await t.throwsAsync(look(t, place, file, { path: join(place.dir, 'none') }), { message: /is absent, cannot continue/ });
  await mkdir(join(place.dir, 'd'));
  await t.throwsAsync(look(t, place, file, { path: join(place.dir, 'd'), state: 'file' }), { message: /^file \(.*\) is directory, cannot continue/ });
  await writeFile(join(place.dir, 'f'), '', { mode: 0o600 });
  await link(join(place.dir, 'f'), join(place.dir, 'g'));
  await symlink('f', join(place.dir, 'l'));
  const { result } = await converge(t, place, file, { path: join(place.dir, 'l'), mode: '0640' });
  t.is(await modeOf(join(place.dir, 'f')), '0640');
  t.like(result, { state: 'hard', path: join(place.dir, 'f') });
  await t.throwsAsync(look(t, place, file, { path: join(place.dir, 'f'), state: 'directory' }), { message: /already exists as a hard/ });
});
