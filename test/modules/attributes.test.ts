import test from 'ava';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareAttributes, describe, octal, resolveMode } from '../../src/modules/attributes.js';
import type { Stat } from '../../src/modules/look.js';

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
