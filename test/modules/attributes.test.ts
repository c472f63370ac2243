import test from 'ava';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyAttributes, compareAttributes, describe, octal, resolveMode } from '../../src/modules/attributes.js';
import { copy } from '../../src/modules/copy.js';
import { file } from '../../src/modules/file.js';
import { compareFlags } from '../../src/modules/flags.js';
import { parseStat, type Stat } from '../../src/modules/look.js';
import type { Back } from '../../src/modules/module.js';
import { raw } from '../../src/shell/sh.js';
import { converge, inShells } from './harness.js';

const MODES = [
  'u=rw,g=r,o=', 'u+x', 'a-w', 'go-rwx', 'u=rwX,g=rX,o=', '+X', 'a+X', '=r', '+w', '-x', 'g=u', 'o=g', 'u+s', 'g+s', 'u-s', 'a+t', '+t', 'u=rwx,go+s',
  'ug+rw-x', 'u=rwxs', 'o+t', 'g=', '=', '-rwx', 'a=', 'u=g-w', 'o=u-w+x', 'o+s', 'u+t', 'ug=rws',
];

test('symbolic modes mean what chmod(1) makes of them', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'muster-'));
  const wrong: string[] = [];
  try {
    for (const directory of [false, true]) {
      for (const start of [0o644, 0o755, 0o4711, 0o2750, 0o1777, 0o000, 0o7777]) {
        for (const mode of MODES) {
          const path = join(dir, 'x');
          if (directory) mkdirSync(path);
          else writeFileSync(path, '');
          chmodSync(path, start);
          // `-rwx` takes away what the umask leaves alone: chmod complains about that, and does it.
          spawnSync('sh', ['-c', 'umask 027; chmod -- "$1" "$2"', 'sh', mode, path]);
          const [ours, theirs] = [resolveMode(mode, start, directory, 0o027), statSync(path).mode & 0o7777];
          if (ours !== theirs) wrong.push(`${mode} on ${octal(start)} ${directory ? 'folder' : 'file'}: ${octal(ours)}, not ${octal(theirs)}`);
          rmSync(path, { recursive: true });
        }
      }
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
  t.deepEqual(wrong, []);
});

const STAT: Stat = { kind: 'file', mode: 0o644, uid: 33, gid: 0, owner: 'www-data', group: 'root', nlink: 1, size: 5, atime: 0, mtime: 0, ctime: 0, inode: 1, dev: 1 };

test('owner and group compare by name or number', (t) => {
  t.deepEqual(compareAttributes({ owner: '33', group: 'root', mode: '0644' }, STAT, 0o022), []);
  t.deepEqual(compareAttributes({ owner: 'www-data', group: '0' }, STAT, 0o022), []);
  t.deepEqual(compareAttributes({ owner: 'root', group: '33', mode: 'u+x' }, STAT, 0o022), [
    { field: 'owner', from: 'www-data', to: 'root' },
    { field: 'group', from: 'root', to: '33' },
    { field: 'mode', from: '0644', to: '0744' },
  ]);
  t.deepEqual(compareAttributes({ owner: 'x' }, { ...STAT, owner: 'UNKNOWN' }, 0o022), [{ field: 'owner', from: '33', to: 'x' }]);
  t.deepEqual(compareAttributes({ mode: '0600' }, { ...STAT, kind: 'link', mode: 0o777 }, 0o022), []);
});

test('a path is described as the file modules return it', (t) => {
  t.deepEqual(describe('/x', undefined), { path: '/x', state: 'absent' });
  t.is(describe('/x', { ...STAT, nlink: 2 })['state'], 'hard');
});

const SELINUX = ['81a4 0 0 1 5 0 0 0 1 1', 'root', 'domain users unconfined_u:object_r:user_home_t:s0:c1,c2'];

test('a SELinux context is read, compared part by part and set by chcon', (t) => {
  const stat = parseStat(SELINUX);
  t.is(stat.group, 'domain users');
  t.deepEqual(compareAttributes({ setype: 'user_home_t', selevel: 's0:c1,c2', seuser: 'unconfined_u' }, stat, 0o022), []);
  const wanted = { setype: 'httpd_sys_content_t', serole: 'object_r' };
  const changes = compareAttributes(wanted, stat, 0o022);
  t.deepEqual(changes, [{ field: 'setype', from: 'user_home_t', to: 'httpd_sys_content_t' }]);
  t.is(applyAttributes(raw('/x'), wanted, stat, 0o022, changes).text, '{ [ ! -e /sys/fs/selinux/enforce ] || chcon -h --role=object_r --type=httpd_sys_content_t -- /x; }');
  t.is(describe('/x', stat)['secontext'], 'unconfined_u:object_r:user_home_t:s0:c1,c2');
});

test('a folder and its file are looked at on a host with SELinux, and what differs is set, with the way back', (t) => {
  const wanted = file.params.parse({ path: '/srv', state: 'directory', recurse: true, setype: 'httpd_sys_content_t' });
  const output = {
    rc: 0,
    stderr: '',
    stdout: '0022\n\0other\0/srv\0\x0041ed 0 0 2 6 0 0 0 1 1\nroot\nroot system_u:object_r:httpd_sys_content_t:s0\n\x0041ed|0|0|root|root|system_u:object_r:httpd_sys_content_t:s0\n81a4|0|0|root|root|unconfined_u:object_r:var_t:s0\n\0\0',
  };
  const observed = file.parse(output, wanted);
  const changes = file.compare(wanted, observed);
  t.deepEqual(changes, [{ field: 'setype', from: 'var_t', to: 'httpd_sys_content_t' }]);
  t.regex(file.apply(wanted, observed, changes).script.text, /find \/srv\/\. -exec sh -c '.*\|\| chcon -h --type=httpd_sys_content_t -- "\$@"; }' sh {} \+ \|\| exit/);
  const one = { ...wanted, recurse: false, setype: 'etc_t' };
  t.deepEqual(file.undo!(one, { ...observed, below: undefined }, file.compare(one, observed)), [{ module: 'file', args: { path: '/srv', setype: 'httpd_sys_content_t' } }]);
});

inShells(test, 'on a host without SELinux a context means nothing', async (t, place) => {
  const path = join(place.dir, 'x');
  const made = await converge(t, place, copy, { dest: path, content: 'x', setype: 'etc_t', selevel: 's0' });
  t.deepEqual(made.changes.map(({ field }) => field), ['content']);
  t.false('secontext' in made.result);
  t.deepEqual((await converge(t, place, file, { path, setype: 'var_t' })).changes, []);
  t.deepEqual((await converge(t, place, file, { path: join(place.dir, 'a/b'), state: 'directory', seuser: 'system_u' })).changes.length, 1);
});

const flags = (path: string): string => spawnSync('lsattr', ['-d', path], { encoding: 'utf8' }).stdout.split(' ')[0]!.replaceAll('-', '').replace('e', '');

test('flags compare as sets; those nobody can clear count for nothing', (t) => {
  const of = (wanted: string, has: string | undefined) => compareFlags(wanted, has).map(({ from, to }) => [from, to]);
  for (const [wanted, has] of [['+i', 'ie'], ['-i', 'Ae'], ['iA', 'AeIi'], ['=', 'e'], ['', 'i'], ['+e', 'e'], ['+i', undefined]] as const) t.deepEqual(of(wanted, has), [], `${wanted} ${has}`);
  t.deepEqual(of('+iA', 'Ae'), [['Ae', '+iA']]);
  t.deepEqual(of('-ie', 'i'), [['i', '-ie']]);
  t.deepEqual(of('A', 'Aie'), [['Aie', '=A']]);
  t.deepEqual(of('+i', ''), [['', '+i']], 'where the file system has no flags, chattr says so');
  for (const attributes of ['i j', '+-i', '++i']) t.is(file.params.safeParse({ path: '/x', attributes }).success, false);
});

inShells(test, 'flags are set on files, new and old, on folders and what is in them, and taken back', async (t, place) => {
  const path = join(place.dir, "it's");
  await converge(t, place, copy, { dest: path, content: 'x', attributes: '+A' });
  t.is(flags(path), 'A');
  t.deepEqual((await converge(t, place, file, { path, attributes: 'Ad' })).changes.map(({ field }) => field), ['attributes']);
  t.is(flags(path), 'dA');
  const { wanted, observed, changes } = await converge(t, place, file, { path, attributes: '-d' });
  t.is(flags(path), 'A');
  const back = file.undo!(wanted, observed, changes)[0] as Back;
  await converge(t, place, file, back.args);
  t.is(flags(path), 'dA');
  t.deepEqual((await converge(t, place, copy, { dest: path, content: 'y', attributes: '+d' })).changes.map(({ field }) => field), ['content']);
  t.is(flags(path), 'd', 'a file that is put whole has those that are asked for');
  mkdirSync(join(place.dir, 'd/e'), { recursive: true });
  symlinkSync('e', join(place.dir, 'd/link'));
  await converge(t, place, file, { path: join(place.dir, 'd'), recurse: true, state: 'directory', attributes: '+A' });
  t.deepEqual([flags(join(place.dir, 'd')), flags(join(place.dir, 'd/e'))], ['A', 'A']);
  await converge(t, place, file, { path: join(place.dir, 'n/m'), state: 'directory', attributes: '=A' });
  t.deepEqual([flags(join(place.dir, 'n')), flags(join(place.dir, 'n/m'))], ['A', 'A']);
}, ['dash', 'bash']);

inShells(test, 'on a host without chattr flags mean nothing', async (t, place) => {
  const path = join(place.dir, 'x');
  await converge(t, place, copy, { dest: path, content: 'x', attributes: '+A' });
  t.deepEqual((await converge(t, place, file, { path, attributes: '+A' })).changes, []);
  t.is(flags(path), '');
}, ['busybox']);

test('what is no part of a context is refused', (t) => {
  for (const setype of ['_default', 'a b', 'u:r:t']) t.is(file.params.safeParse({ path: '/x', setype }).success, false);
  t.true(file.params.safeParse({ path: '/x', selevel: 's0:c1,c2' }).success);
});
