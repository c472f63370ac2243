import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gitModule as git } from '../../src/modules/git.js';
import { converge, inShells, look, type Place } from './harness.js';

/** A bare repository with branches main and other and an annotated tag; and how to add commits to it. */
function origin(place: Place) {
  const root = join(place.dir, '..');
  const [bare, work] = [join(root, 'origin.git'), join(root, 'work')];
  Object.assign(place.env, { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'protocol.file.allow', GIT_CONFIG_VALUE_0: 'always' });
  // busybox has no git of its own.
  if (place.shell === 'busybox') place.env['PATH'] = `${place.env['PATH']}:${process.env['PATH']}`;
  const run = (cwd: string, ...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'protocol.file.allow=always', ...args], { cwd, env: { PATH: process.env['PATH'], GIT_CONFIG_GLOBAL: '/dev/null' }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  mkdirSync(bare);
  run(root, 'init', '-q', '--bare', '-b', 'main', bare);
  run(root, 'init', '-q', '-b', 'main', work);
  run(work, 'remote', 'add', 'origin', bare);
  const commit = (text: string, branch = 'main'): string => {
    writeFileSync(join(work, 'file'), text);
    run(work, 'add', 'file');
    run(work, 'commit', '-qm', text);
    run(work, 'push', '-q', 'origin', `HEAD:${branch}`, '--tags');
    return run(work, 'rev-parse', 'HEAD');
  };
  return { bare, work, run, commit };
}

inShells(test, 'a repository is cloned, followed, and put at tags, branches and commits', async (t, place) => {
  const { bare, work, run, commit } = origin(place);
  const one = commit('one');
  run(work, 'tag', '-a', 'v1', '-m', 'v1');
  const two = commit('two');
  const other = commit('three', 'other');
  const dest = join(place.dir, 'deep', "it's a clone");
  const at = async (args: object) => {
    const { result } = await converge(t, place, git, { repo: bare, dest, ...args });
    t.is(run(dest, 'rev-parse', 'HEAD'), result['after'] as string);
    return [result['before'], result['after'], await readFile(join(dest, 'file'), 'utf8')];
  };
  t.deepEqual(await at({ version: 'v1' }), [null, one, 'one']);
  t.deepEqual(await at({ version: 'v1' }), [one, one, 'one']);
  t.deepEqual(await at({}), [one, two, 'two']);
  t.is(run(dest, 'symbolic-ref', 'HEAD'), 'refs/heads/main');
  t.deepEqual(await at({ version: 'other' }), [two, other, 'three']);
  t.deepEqual(await at({ version: two }), [other, two, 'two']);
  const four = commit('four', 'main');
  t.deepEqual(await at({ version: 'main', update: false }), [two, two, 'two']);
  t.deepEqual(await at({ version: 'main' }), [two, four, 'four']);

  writeFileSync(join(dest, 'file'), 'mine');
  await t.throwsAsync(at({ version: 'main' }), { message: /Local modifications.*: file/ });
  t.deepEqual(await at({ version: 'main', force: true }), [four, four, 'four']);
  writeFileSync(join(dest, 'untracked'), '');
  t.deepEqual((await look(t, place, git, { repo: bare, dest })).changes, []);

  const moved = `${bare}/`;
  t.like((await converge(t, place, git, { repo: moved, dest })).result, { remote_url_changed: true, after: four });
  await t.throwsAsync(at({ version: 'nothing' }), { message: /has no version nothing/ });
  await t.throwsAsync(converge(t, place, git, { repo: `${bare}-none`, dest: `${dest}2` }), { message: /cannot reach/ });
  await t.throwsAsync(look(t, place, git, { repo: '--upload-pack=x', dest }), { message: /cannot be/ });
});

inShells(test, 'an archive of the version', async (t, place) => {
  const { bare, work, run, commit } = origin(place);
  const one = commit('one');
  run(work, 'tag', 'v1');
  const dest = join(place.dir, 'clone');
  const archive = join(place.dir, "it's.tar.gz");
  const args = { repo: bare, dest, archive, archive_prefix: 'app/' };
  const first = await converge(t, place, git, args);
  t.deepEqual(first.changes.map(({ field, from }) => [field, from]), [['version', null], ['archive', null]]);
  const held = (): string => execFileSync('tar', ['-xzOf', archive, 'app/file'], { encoding: 'utf8' });
  t.is(held(), 'one');
  t.is((await readdir(place.dir)).length, 2);

  const two = commit('two');
  const second = await converge(t, place, git, args);
  t.deepEqual(second.changes, [{ field: 'version', from: one, to: two }, { field: 'archive', from: `${archive} of another version`, to: archive }]);
  t.deepEqual(git.undo!(second.wanted, second.observed, second.changes).map((back) => ('module' in back ? back.module : back.cannot)), ['copy', 'git']);
  t.is(held(), 'two');
  writeFileSync(archive, '');
  const third = await converge(t, place, git, { ...args, update: false });
  t.deepEqual(third.changes.map(({ field }) => field), ['archive']);
  t.like(third.result, { before: two, after: two, remote_url_changed: false });
  t.is(held(), 'two');
  t.deepEqual((await look(t, place, git, { ...args, clone: false, dest: `${dest}2` })).changes.map(({ field }) => field), ['version']);
  t.regex(git.params.safeParse({ ...args, archive: '/a.rar' }).error!.issues[0]!.message, /Unable to get file extension/);
});

inShells(test, 'shallow, bare, and with submodules', async (t, place) => {
  const { bare, work, run, commit } = origin(place);
  commit('one');
  const two = commit('two');
  const url = `file://${bare}`;
  const dest = join(place.dir, 'shallow');
  await converge(t, place, git, { repo: url, dest, depth: 1 });
  t.is(run(dest, 'rev-list', '--count', 'HEAD'), '1');
  const three = commit('three');
  t.like((await converge(t, place, git, { repo: url, dest, depth: 1, version: 'main' })).result, { before: two, after: three });
  t.is(run(dest, 'rev-list', '--count', 'HEAD'), '1');

  const mirror = join(place.dir, 'mirror.git');
  await converge(t, place, git, { repo: url, dest: mirror, bare: true });
  t.false((await readdir(mirror)).includes('.git'));
  const four = commit('four');
  t.like((await converge(t, place, git, { repo: url, dest: mirror, bare: true, version: 'main' })).result, { before: three, after: four });
  t.is(run(mirror, 'rev-parse', 'main'), four);
  t.like((await converge(t, place, git, { repo: url, dest: join(place.dir, 'never'), clone: false })).result, { before: null, after: four });
  const told = await converge(t, place, git, { repo: url, clone: false, update: false });
  t.deepEqual([told.changes, told.result], [[{ field: 'version', from: null, to: four }], { before: null, after: four, remote_url_changed: false }]);

  run(work, 'submodule', 'add', '-q', bare, 'sub');
  commit('five');
  const whole = join(place.dir, 'whole');
  await converge(t, place, git, { repo: url, dest: whole, separate_git_dir: join(place.dir, 'apart') });
  t.is(await readFile(join(whole, 'sub', 'file'), 'utf8'), 'four');
  t.true((await stat(join(whole, '.git'))).isFile());
}, ['dash', 'bash']);
