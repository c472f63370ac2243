import test from 'ava';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, readdir, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseListing } from '../../src/modules/archives.js';
import { unarchive } from '../../src/modules/unarchive.js';
import { converge, inShells, look, modeOf, type Place } from './harness.js';

/** A folder with awkward names, packed; the tree lies beside the throwaway folder. */
async function pack(place: Place, suffix: 'tar' | 'tar.gz', plain = false): Promise<string> {
  const tree = join(place.dir, '..', 'tree');
  await mkdir(join(tree, 'app', 'sub'), { recursive: true });
  const names = plain ? ['app/a', 'app/sub/b c'] : ['app/a', "app/it's $(x)", 'app/sub/b c', 'app/ünï', 'app/new\nline', 'app/back\\slash'];
  for (const name of names) await writeFile(join(tree, name), name);
  await symlink('sub/b c', join(tree, 'app', 'link'));
  const archive = join(place.dir, '..', `x.${suffix}`);
  execFileSync('tar', [suffix === 'tar' ? '-cf' : '-czf', archive, '-C', tree, 'app']);
  return archive;
}

inShells(test, 'an archive of the controller is unpacked once', async (t, place) => {
  const src = await pack(place, 'tar.gz');
  const { result } = await converge(t, place, unarchive, { src, dest: place.dir, list_files: true, owner: '7', mode: 'u=rwX,go=rX' });
  const app = join(place.dir, 'app');
  t.is(await readFile(join(app, 'new\nline'), 'utf8'), 'app/new\nline');
  t.is(await readlink(join(app, 'link')), 'sub/b c');
  t.is((await stat(join(app, 'ünï'))).uid, 7);
  t.true((result['files'] as string[]).includes('app/sub/'));
  await writeFile(join(app, 'a'), 'longer than it was');
  const { changes } = await look(t, place, unarchive, { src, dest: place.dir });
  t.is(changes[0]!.from, '1 of 9 members missing or different');
  await converge(t, place, unarchive, { src, dest: place.dir });
  await chmod(join(app, 'a'), 0o600);
  t.deepEqual((await converge(t, place, unarchive, { src, dest: place.dir, mode: 'u=rwX,go=rX' })).changes.map(({ field }) => field), ['mode']);
  await rm(join(app, 'link'));
  const created = await converge(t, place, unarchive, { src, dest: place.dir, creates: join(app, 'a') });
  t.deepEqual(created.result, { skipped: true, msg: `skipped, since ${join(app, 'a')} exists` });
});

inShells(test, 'an archive on the host is listed there', async (t, place) => {
  const src = await pack(place, 'tar.gz', true);
  t.false(unarchive.params.safeParse({ src, dest: place.dir, remote_src: true, copy: false }).success);
  await converge(t, place, unarchive, { src, dest: place.dir, copy: false, mode: '0755' });
  t.is(await readFile(join(place.dir, 'app/sub/b c'), 'utf8'), 'app/sub/b c');
  t.is(await modeOf(join(place.dir, 'app/a')), '0755');
  await rm(join(place.dir, 'app/a'));
  t.is((await look(t, place, unarchive, { src, dest: place.dir, remote_src: true })).changes[0]!.from, '1 of 5 members missing or different');
  await mkdir(join(place.dir, 'flat'));
  await converge(t, place, unarchive, { src, dest: join(place.dir, 'flat'), remote_src: true, extra_opts: ['--strip-components=1'] });
  t.deepEqual((await readdir(join(place.dir, 'flat'))).sort(), ['a', 'link', 'sub']);
  await t.throwsAsync(look(t, place, unarchive, { src: `${src}.no`, dest: place.dir, remote_src: true }), { message: /Source '.*\.no' does not exist/ });
  await t.throwsAsync(look(t, place, unarchive, { src, dest: join(place.dir, 'no') }), { message: /must be an existing dir/ });
});

inShells(test, 'a file of the same size and time that holds something else is unpacked again', async (t, place) => {
  const src = await pack(place, 'tar.gz', true);
  for (const remote_src of [false, true]) {
    await converge(t, place, unarchive, { src, dest: place.dir, remote_src });
    const file = join(place.dir, 'app/a');
    const { atime, mtime } = await stat(file);
    await writeFile(file, 'APP/A');
    await utimes(file, atime, mtime);
    await converge(t, place, unarchive, { src, dest: place.dir, remote_src });
    // busybox' tar cannot tell.
    t.is(await readFile(file, 'utf8'), remote_src && place.shell === 'busybox' ? 'APP/A' : 'app/a');
  }
});

inShells(test, 'folders that the archive does not name get the owner too', async (t, place) => {
  await pack(place, 'tar', true);
  const src = join(place.dir, '..', 'bare.tar');
  execFileSync('tar', ['-cf', src, '-C', join(place.dir, '..', 'tree'), 'app/a']);
  await converge(t, place, unarchive, { src, dest: place.dir, owner: '7' });
  t.is((await stat(join(place.dir, 'app'))).uid, 7);
});

inShells(test, 'an archive that the host fetches changes what differs, and no more', async (t, place) => {
  const archive = await readFile(await pack(place, 'tar.gz', true));
  const server = createServer((request, response) => (request.url === '/x.tar.gz' ? response.end(archive) : request.url === '/empty' ? response.end() : response.writeHead(404).end()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fetched = (more: object = {}) => converge(t, place, unarchive, { src: `${base}/x.tar.gz`, dest: place.dir, remote_src: true, ...more });
  const first = await fetched({ list_files: true });
  t.like(first.result, { handler: 'TarArchive', dest: place.dir, state: 'directory' });
  t.deepEqual(first.result['files'], ['app', 'app/a', 'app/link', 'app/sub', 'app/sub/b c']);
  t.is(first.result['changed'], undefined);
  t.is(await readFile(join(place.dir, 'app/sub/b c'), 'utf8'), 'app/sub/b c');
  t.is((await fetched()).result['changed'], false);
  t.is((await fetched({ mode: 'u=rwX,go=' })).result['changed'], undefined);
  t.is(await modeOf(join(place.dir, 'app/a')), '0600');
  t.is((await fetched({ mode: 'u=rwX,go=' })).result['changed'], false);
  await writeFile(join(place.dir, 'app/a'), 'other');
  t.is((await fetched()).result['changed'], undefined);
  t.is(await readFile(join(place.dir, 'app/a'), 'utf8'), 'app/a');
  await t.throwsAsync(converge(t, place, unarchive, { src: `${base}/none`, dest: place.dir, remote_src: true }), { message: /fetching .*\/none failed/ });
  await t.throwsAsync(converge(t, place, unarchive, { src: `${base}/empty`, dest: place.dir, remote_src: true }), { message: /Invalid archive '.*\/empty', the file is 0 bytes/ });
}, ['dash', 'bash']);

inShells(test, 'only some members, and newer files kept', async (t, place) => {
  const src = await pack(place, 'tar', true);
  t.false(unarchive.params.safeParse({ src, dest: place.dir, include: ['app/sub'], exclude: ['b*'] }).success);
  await converge(t, place, unarchive, { src, dest: place.dir, exclude: ['b*', '[!bls]', 'l*n?'] });
  t.deepEqual(await readdir(join(place.dir, 'app')), ['sub']);
  t.deepEqual(await readdir(join(place.dir, 'app/sub')), []);
  await writeFile(join(place.dir, 'app/a'), 'mine, and newer');
  await utimes(join(place.dir, 'app/a'), 4e9, 4e9);
  await converge(t, place, unarchive, { src, dest: place.dir, include: ['app/a'], keep_newer: true });
  t.is(await readFile(join(place.dir, 'app/a'), 'utf8'), 'mine, and newer');
}, ['dash', 'bash']);

test('listings of GNU tar, busybox and zipinfo are read', (t) => {
  const gnu = 'drwxr-xr-x 0/0               0 2024-01-01 12:00:00 ./d/\n-rw-r--r-- 1000/1000  1234 2024-01-01 12:00:01.123456789 ./d/a\\nb\\303\\274 c\nlrwxrwxrwx 0/0 0 2024-01-01 12:00:00 d/l -> ../x\nhrw-r--r-- 0/0 0 2024-01-01 12:00:00 d/h link to d/a\n';
  const at = Date.parse('2024-01-01T12:00:00Z') / 1000;
  t.deepEqual(parseListing(gnu, 'tar', 0).map(({ mode, owner, ...rest }) => (t.regex(mode, /^rw/), t.regex(owner!, /^\d+\/\d+$/), rest)), [
    { name: 'd', kind: 'directory', size: 0, mtime: at, target: undefined },
    { name: 'd/a\nbü c', kind: 'file', size: 1234, mtime: at + 1, target: undefined },
    { name: 'd/l', kind: 'link', size: 0, mtime: at, target: '../x' },
    { name: 'd/h', kind: 'hardlink', size: 0, mtime: at, target: undefined },
  ]);
  t.deepEqual(parseListing(gnu, 'tar', 1).map(({ name }) => name), ['a\nbü c', 'l', 'h']);
  const zip = 'Archive:  x.zip\nZip file size: 234 bytes, number of entries: 2\ndrwxr-xr-x  2.0 unx        0 b- stor 20240101.120000 d/\n-rw-r--r--  2.0 unx       12 b- stor 20240101.120000 d/a b\n2 files, 12 bytes uncompressed, 12 bytes compressed:  0.0%\n';
  t.deepEqual(parseListing(zip, 'zip', 0).map(({ name, kind, size }) => [name, kind, size]), [['d', 'directory', 0], ['d/a b', 'file', 12]]);
  t.throws(() => parseListing('nonsense', 'tar', 0), { message: /cannot read a line/ });
});
