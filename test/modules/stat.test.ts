import test from 'ava';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { slurp } from '../../src/modules/slurp.js';
import { stat } from '../../src/modules/stat.js';
import { converge, inShells } from './harness.js';

inShells(test, 'stat tells what there is', async (t, place) => {
  const path = join(place.dir, 'a "file"\n');
  await writeFile(path, 'hello\n', { mode: 0o4750 });
  const told = async (args: object) => (await converge(t, place, stat, args)).result['stat'] as Record<string, unknown>;
  const file = await told({ path });
  t.like(file, {
    exists: true, path, mode: '4750', isreg: true, isdir: false, islnk: false, isuid: true, xoth: false, size: 6, pw_name: 'root', nlink: 1,
    readable: true, executable: true, checksum: 'f572d396fae9206628714fb2ce00f72e94f2258f',
  });
  t.true((file['mtime'] as number) > 1.6e9);
  t.is((await told({ path, checksum_algorithm: 'sha256' }))['checksum'], '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03');
  t.false('checksum' in (await told({ path, get_checksum: false })));
  t.deepEqual(await told({ path: join(place.dir, 'none') }), { exists: false });
  t.like(await told({ path: place.dir }), { isdir: true });
});

inShells(test, 'stat tells of links, followed or not', async (t, place) => {
  await mkdir(join(place.dir, 'd'));
  await writeFile(join(place.dir, 'd/f'), '');
  const path = join(place.dir, 'l');
  await symlink('d/f', path);
  await symlink('nowhere', join(place.dir, 'dangling'));
  const told = async (args: object) => (await converge(t, place, stat, args)).result['stat'] as Record<string, unknown>;
  t.like(await told({ path }), { islnk: true, isreg: false, lnk_target: 'd/f', lnk_source: join(place.dir, 'd/f') });
  t.like(await told({ path, follow: true }), { islnk: false, isreg: true, path });
  t.like(await told({ path: join(place.dir, 'dangling') }), { exists: true, islnk: true, lnk_source: join(place.dir, 'nowhere') });
  t.deepEqual(await told({ path: join(place.dir, 'dangling'), follow: true }), { exists: false });
});

inShells(test, 'slurp reads any bytes', async (t, place) => {
  const src = join(place.dir, 'x');
  const content = Buffer.from(Array.from({ length: 600 }, (_, i) => i % 256));
  await writeFile(src, content);
  t.is((await converge(t, place, slurp, { src })).result['content'], content.toString('base64'));
  await t.throwsAsync(converge(t, place, slurp, { src: join(place.dir, 'none') }), { message: /none/ });
  await t.throwsAsync(converge(t, place, slurp, { src: place.dir }), { message: /^source is a directory and must be a file:/ });
});
