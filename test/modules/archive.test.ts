import test from 'ava';
import { chmod, link, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { archive } from '../../src/modules/archive.js';
import { permissions } from '../../src/modules/archive_members.js';
import { sh } from '../../src/shell/sh.js';
import { converge, inShells, look, modeOf, type Place } from './harness.js';

/** A folder with a bit of everything. */
async function tree(place: Place): Promise<string> {
  const app = join(place.dir, "it's");
  await mkdir(join(app, 'sub/empty'), { recursive: true });
  await writeFile(join(app, '-a b'), 'text\n');
  await writeFile(join(app, 'sub/ü.log'), 'log');
  await chmod(join(app, '-a b'), 0o4751);
  await utimes(join(app, '-a b'), 1000, 1_000_000_001);
  await symlink('nowhere', join(app, 'link'));
  await link(join(app, '-a b'), join(app, 'sub/hard'));
  return app;
}

const names = async (place: Place, list: ReturnType<typeof sh>) => (await place.run(list)).stdout.split('\n').filter((name) => name !== '').map((name) => name.replace(/^\.\//, '').replace(/\/$/, '')).sort();

for (const [format, shells] of [['gz', undefined], ['tar', undefined], ['bz2', undefined], ['xz', ['dash', 'bash']]] as const) {
  inShells(test, `a folder becomes an archive, format ${format}, and again when something in it is another`, async (t, place) => {
    const app = await tree(place);
    const dest = join(place.dir, 'out.x');
    const { result } = await converge(t, place, archive, { path: app, dest, format, mode: '0600' });
    t.is(await modeOf(dest), '0600');
    t.like(result, { dest, dest_state: 'archive', arcroot: `${place.dir}/`, missing: [], expanded_paths: [app] });
    const all = ["it's/-a b", "it's/link", "it's/sub", "it's/sub/empty", "it's/sub/hard", "it's/sub/ü.log"];
    t.deepEqual((result['archived'] as string[]).sort(), all.map((name) => join(place.dir, name)));
    if (place.shell !== 'busybox') t.deepEqual(await names(place, sh`tar --quoting-style=literal -tf ${dest}`), all);
    for (const change of [() => chmod(join(app, 'sub'), 0o700), () => writeFile(join(app, 'sub/ü.log'), 'longer'), () => rm(join(app, 'link')), () => utimes(join(app, '-a b'), 1000, 5000), () => writeFile(dest, 'broken')]) {
      t.deepEqual((await look(t, place, archive, { path: app, dest, format })).changes, []);
      await change();
      t.deepEqual((await converge(t, place, archive, { path: app, dest, format })).changes.map(({ field }) => field), ['content']);
    }
  }, shells);
}

inShells(test, 'a program that is not there is named', async (t, place) => {
  const app = await tree(place);
  const tools = join(place.dir, '..', 'few');
  await mkdir(tools);
  for (const name of ['mktemp', 'rm', 'stat', 'find', 'sh', 'readlink', 'head', 'base64', 'tar']) await symlink(`/usr/bin/${name}`, join(tools, name));
  place.env['PATH'] = tools;
  await t.throwsAsync(converge(t, place, archive, { path: app, dest: join(place.dir, 'x'), format: 'xz' }), { message: 'the host has no xz; install the package xz-utils or xz on it' });
  t.deepEqual(await readdir(place.dir), ["it's"]);
}, ['dash', 'bash']);

inShells(test, 'a zip has what links lead to', async (t, place) => {
  const app = await tree(place);
  await rm(join(app, 'link'));
  await symlink('sub/ü.log', join(app, 'link'));
  const args = { path: `${app}/`, dest: join(place.dir, 'out.zip'), format: 'zip', exclusion_patterns: ['*/hard', '*empty'] };
  const { result } = await converge(t, place, archive, args);
  t.is(result['arcroot'], `${app}/`);
  t.is((await place.run(sh`unzip -p ${args.dest} link`)).stdout, 'log');
  t.deepEqual((result['archived'] as string[]).length, 4);
  await writeFile(join(app, 'sub/ü.log'), 'another');
  t.deepEqual((await converge(t, place, archive, args)).changes.map(({ field }) => field), ['content']);
}, ['dash', 'bash']);

inShells(test, 'patterns stand for what fits them, some of it may be left out, names count from what is common', async (t, place) => {
  const app = await tree(place);
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await writeFile(join(app, 'sub', name), name);
  const { result } = await converge(t, place, archive, { path: [`${app}/sub/*.txt`, join(app, '-a b'), join(app, 'gone')], dest: join(place.dir, 'x.tgz'), exclude_path: [`${app}/*/b*`] });
  t.deepEqual((result['archived'] as string[]).map((path) => path.slice(app.length + 1)), ['-a b', 'sub/a.txt', 'sub/c.txt']);
  t.like(result, { arcroot: `${app}/`, missing: [join(app, 'gone')], dest_state: 'incomplete', expanded_exclude_paths: [join(app, 'sub/b.txt')] });
  await t.throwsAsync(look(t, place, archive, { path: `${app}/*.none`, dest: '/x' }), { message: 'Error, no source paths were found' });
  await t.throwsAsync(look(t, place, archive, { path: `${app}/*` }), { message: /must specify "dest"/ });
  await t.throwsAsync(look(t, place, archive, { path: app }), { message: /must specify "dest"/ });
});

inShells(test, 'a single file is compressed beside itself, or becomes an archive; what went in may be removed', async (t, place) => {
  const file = join(place.dir, "a'b");
  await writeFile(file, 'text\n');
  const { result } = await converge(t, place, archive, { path: file });
  t.like(result, { dest: `${file}.gz`, dest_state: 'compress', archived: [file] });
  t.is((await place.run(sh`gzip -dc <${`${file}.gz`}`)).stdout, 'text\n');
  await writeFile(file, 'else\n');
  await converge(t, place, archive, { path: file });
  t.like((await converge(t, place, archive, { path: file, dest: join(place.dir, 'x.tgz'), force_archive: true })).result, { dest_state: 'archive' });
  await converge(t, place, archive, { path: file, remove: true });
  t.deepEqual((await readdir(place.dir)).sort(), ["a'b.gz", 'x.tgz']);
  t.like((await converge(t, place, archive, { path: file })).result, { dest_state: 'compress', missing: [file] });
  await mkdir(join(place.dir, 'd'));
  await writeFile(join(place.dir, 'd/f'), '');
  await t.throwsAsync(look(t, place, archive, { path: join(place.dir, 'd'), dest: join(place.dir, 'd/x.tgz'), remove: true }), { message: /can not be contained in source paths/ });
  await converge(t, place, archive, { path: join(place.dir, 'd'), dest: join(place.dir, 'd/x.tgz') });
  await rm(join(place.dir, 'd/x.tgz'));
  await converge(t, place, archive, { path: join(place.dir, 'd'), dest: join(place.dir, 'y.tgz'), remove: true });
  t.deepEqual((await readdir(place.dir)).sort(), ["a'b.gz", 'x.tgz', 'y.tgz']);
  t.true((await readFile(join(place.dir, 'y.tgz'))).length > 20);
});

test('permissions are written as ls does', (t) => {
  t.deepEqual([0o644, 0o4755, 0o2640, 0o1777, 0o7000].map(permissions), ['rw-r--r--', 'rwsr-xr-x', 'rw-r-S---', 'rwxrwxrwt', '--S--S--T']);
});
