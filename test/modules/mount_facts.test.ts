import test from 'ava';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mountFacts } from '../../src/modules/mount_facts.js';
import { inShells, look, type Place } from './harness.js';

interface Told {
  ansible_facts: { mount_points: { [path: string]: { [field: string]: unknown } }; aggregate_mounts: { mount: string; ansible_context: { source: string } }[] };
  warnings?: string[];
}

inShells(test, 'mounts are read from files and from mount, chosen by device and file system', async (t, place: Place) => {
  const gather = async (args: object) => {
    const { wanted, observed } = await look(t, place, mountFacts, args);
    return mountFacts.result(wanted, observed) as unknown as Told;
  };
  const [fstab, other] = [join(place.dir, "it's"), join(place.dir, 'same')];
  await mkdir(join(place.dir, 'a b'));
  await writeFile(fstab, `# comment\nhost:/x ${place.dir}/a\\040b nfs4 ro,soft\n/dev/vdz / ext4 defaults 0 1\n/dev/vdz / ext4 ro 0 1\n`);
  await symlink(fstab, other);
  const told = await gather({ sources: [fstab, other], include_aggregate_mounts: true });
  const { mount_points: points, aggregate_mounts: all } = told.ansible_facts;
  t.deepEqual(Object.keys(points), [`${place.dir}/a b`, '/']);
  t.like(points['/'], { device: '/dev/vdz', fstype: 'ext4', options: 'defaults', dump: 0, passno: 1, uuid: null, ansible_context: { source: fstab, source_data: '/dev/vdz / ext4 defaults 0 1' } });
  t.true((points[`${place.dir}/a b`]!['size_total'] as number) > 0);
  t.is(all.length, 3, 'a link to the same file tells nothing more');
  t.deepEqual(Object.keys((await gather({ sources: [fstab], devices: '[!/]*' })).ansible_facts.mount_points), [`${place.dir}/a b`]);
  t.deepEqual((await gather({ sources: [fstab], fstypes: ['ext*', 'xfs'] })).warnings?.length, 1, 'what covers another is remarked');
  t.true('/proc' in (await gather({ sources: ['dynamic'], fstypes: 'proc', timeout: 5, include_aggregate_mounts: false })).ansible_facts.mount_points);
  t.deepEqual((await gather({ sources: ['mount', 'mount'], mount_binary: '/bin/true' })).ansible_facts.mount_points, {});
});

test('another listing than that of Linux tells nothing; a mount that does not answer is told as wanted', (t) => {
  const parse = (args: object, ...answer: string[]) => {
    const wanted = mountFacts.params.parse(args);
    return mountFacts.parse({ rc: 0, stdout: answer.map((field) => `${field}\0`).join(''), stderr: '' }, wanted);
  };
  const listed = ['source', 'mount', 'mount', '/dev/vda1 on / type ext4 (rw,relatime)\nproc on /proc type proc (rw)', 'uuids', 'lrwxrwxrwx 1 root root 10 Jan  1 00:00 ab-cd -> ../../vda1', 'lsblk', '/dev/vdb ef-01'];
  const { mounts } = parse({ sources: ['mount'] }, ...listed, 'sizes', '4096 10 4 8 2 /');
  t.like(mounts[0], { device: '/dev/vda1', mount: '/', fstype: 'ext4', options: 'rw,relatime', uuid: 'ab-cd', size_total: 40960, size_available: 16384, block_used: 6, inode_used: 6 });
  t.deepEqual(parse({}, 'source', 'mount', 'mount', '/dev/ada0 on / (ufs, local)').mounts, []);
  t.throws(() => parse({ timeout: 1 }, 'timeout', 'Timed out getting mount size for mount /x'), { message: /mount \/x/ });
  t.deepEqual(parse({ timeout: 1, on_timeout: 'warn' }, 'timeout', 'late').warnings, ['late']);
  t.deepEqual(parse({ timeout: 1, on_timeout: 'ignore' }, 'timeout', 'late').warnings, []);
  for (const args of [{ timeout: 0 }, { mount_binary: ['x'] }]) t.is(mountFacts.params.safeParse(args).success, false);
});
