import test from 'ava';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesystem } from '../../src/modules/filesystem.js';
import { sh } from '../../src/shell/sh.js';
import { converge, inShells, look } from './harness.js';

const asked = (args: object, answer: [string, string, string, string, string]) => {
  const wanted = filesystem.params.parse({ dev: '/dev/vdb', ...args });
  return filesystem.compare(wanted, filesystem.parse({ rc: 0, stdout: answer.map((field) => `${field}\0`).join(''), stderr: '' }, wanted));
};

test('what is on a device stays unless another is forced, and grows where there is room', (t) => {
  const mib = String(1024 ** 2);
  t.deepEqual(asked({ fstype: 'xfs' }, ['y', 'xfs', '', '', '']), []);
  t.deepEqual(asked({ fstype: 'lvm' }, ['y', 'LVM2_member', '', '', '']), []);
  t.deepEqual(asked({ fstype: 'xfs' }, ['y', '', '', '', '']), [{ field: 'fstype', from: null, to: 'xfs' }]);
  t.throws(() => asked({ fstype: 'xfs' }, ['y', 'ext4', '', '', '']), { message: "'/dev/vdb' is already used as ext4, use force=true to overwrite" });
  t.deepEqual(asked({ fstype: 'xfs', force: true }, ['y', 'ext4', '', '', '']), [{ field: 'fstype', from: 'ext4', to: 'xfs' }]);
  t.throws(() => asked({ fstype: 'xfs' }, ['', '', '', '', '']), { message: 'Device /dev/vdb not found.' });
  t.deepEqual(asked({ state: 'absent' }, ['', '', '', '', '']), []);
  t.deepEqual(asked({ state: 'absent' }, ['y', 'swap', '', '', '']), [{ field: 'fstype', from: 'swap', to: null }]);
  t.deepEqual(asked({ fstype: 'ext4', resizefs: true }, ['y', 'ext4', mib, mib, '']), []);
  t.deepEqual(asked({ fstype: 'ext4', resizefs: true }, ['y', 'ext4', '2097152', mib, '']), [{ field: 'size', from: 1048576, to: 2097152 }]);
  t.deepEqual(asked({ fstype: 'xfs', resizefs: true }, ['y', 'xfs', '1210719', mib, '/mnt']), [], 'less than an allocation group takes');
  t.throws(() => asked({ fstype: 'btrfs', resizefs: true }, ['y', 'btrfs', mib, '', '']), { message: '/dev/vdb needs to be mounted for btrfs operations' });
  t.throws(() => asked({ fstype: 'vfat', resizefs: true }, ['y', 'vfat', '', '', '']), { message: /does not support resizing vfat/ });
  t.is(filesystem.params.safeParse({ dev: '/x' }).success, false);
  t.is(filesystem.params.safeParse({ dev: '/x', fstype: 'vfat', uuid: 'random' }).success, false);
  t.is(filesystem.params.safeParse({ dev: '/x', fstype: 'ext4', uuid: 'random', resizefs: true }).success, false);
});

inShells(test, 'a file becomes a file system, grows and is wiped', async (t, place) => {
  place.env['PATH'] = `${process.env['PATH']}:/sbin:/usr/sbin`;
  const dev = join(place.dir, "it's");
  await writeFile(dev, '');
  await truncate(dev, 8 * 1024 ** 2);
  await converge(t, place, filesystem, { dev, fstype: 'ext4', opts: '-q -m 0' });
  await t.throwsAsync(look(t, place, filesystem, { dev, fstype: 'swap' }), { message: /already used as ext4/ });
  await truncate(dev, 16 * 1024 ** 2);
  t.deepEqual((await converge(t, place, filesystem, { dev, fstype: 'ext4', resizefs: true })).changes, [{ field: 'size', from: 8388608, to: 16777216 }]);
  const again = await converge(t, place, filesystem, { dev, fstype: 'ext4', resizefs: true });
  t.deepEqual(again.changes, []);
  t.regex(again.result['msg'] as string, /is using the whole device/);
  const uuid = '01234567-89ab-cdef-0123-456789abcdef';
  t.deepEqual((await converge(t, place, filesystem, { dev, fstype: 'ext4', uuid })).changes.map(({ field, to }) => [field, to]), [['uuid', uuid]]);
  await converge(t, place, filesystem, { dev, state: 'absent' });
  const made = { dev, fstype: 'ext4', opts: '-q', uuid, label: 'data' };
  t.deepEqual((await converge(t, place, filesystem, made)).changes.map(({ field }) => field), ['fstype']);
  t.deepEqual((await look(t, place, filesystem, { ...made, force: true })).changes, []);
  t.regex((await place.run(sh`tune2fs -l ${dev}`)).stdout, /volume name: +data\n/);
  await converge(t, place, filesystem, { dev, state: 'absent' });
  t.deepEqual((await look(t, place, filesystem, { dev, state: 'absent' })).changes, []);
}, ['dash', 'bash']);
