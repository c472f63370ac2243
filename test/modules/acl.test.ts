import test from 'ava';
import { writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { acl } from '../../src/modules/acl.js';
import { xattr } from '../../src/modules/xattr.js';
import { sh } from '../../src/shell/sh.js';
import { inShells, look } from './harness.js';

/** What setfacl 2.3 and getfacl say on a Debian host. */
const SAID = {
  same: "*,*\0user::rw-\nuser:www-data:r--\ngroup::r--\nmask::r--\nother::r--\0",
  other: '/srv/x: u::rw-,u:www-data:r--,g::r--,m::r--,o::r--,*\n/srv/x/y: *,*\0user::rw-\ngroup::r--\nother::r--\0',
};

const asked = (args: object, stdout: string) => {
  const wanted = acl.params.parse({ path: '/srv/x', ...args });
  const observed = acl.parse({ rc: 0, stdout, stderr: '' }, wanted);
  return { wanted, observed, changes: acl.compare(wanted, observed) };
};

test('a list is right where setfacl would change nothing', (t) => {
  const entry = { etype: 'user', entity: 'www-data', permissions: 'r', state: 'present' };
  const right = asked(entry, SAID.same.replace('*,*', '/srv/x: *,*'));
  t.deepEqual(right.changes, []);
  t.deepEqual(acl.result(right.wanted, right.observed), { acl: ['user::rw-', 'user:www-data:r--', 'group::r--', 'mask::r--', 'other::r--'], msg: 'user:www-data:r is present' });
  const wrong = asked(entry, SAID.other);
  t.deepEqual(wrong.changes, [{ field: 'acl', from: 'user::rw-,group::r--,other::r--', to: '/srv/x: u::rw-,u:www-data:r--,g::r--,m::r--,o::r--,*' }]);
  t.regex(acl.apply(wrong.wanted, wrong.observed, wrong.changes).script.text, /^setfacl +-m user:www-data:r -- \/srv\/x \|\| exit\n/);
  t.deepEqual(acl.result(wrong.wanted, wrong.observed, { rc: 0, stdout: 'user::rw-\n# comment\0', stderr: '' }), { acl: ['user::rw-'], msg: 'user:www-data:r is present' });
});

test('entries are told in all of their spellings', (t) => {
  const command = (args: object) => acl.apply(acl.params.parse({ path: '/x', ...args }), undefined as never, []).script.text.split('\n')[0];
  t.is(command({ entry: 'default:u:joe:rwX', state: 'present', recursive: true }), 'setfacl -d --recursive -m user:joe:rwX -- /x || exit');
  t.is(command({ entry: 'group:staff', state: 'absent' }), 'setfacl  -x group:staff -- /x || exit');
  t.is(command({ etype: 'mask', permissions: 'rx', state: 'present', default: true, recalculate_mask: 'no_mask', follow: false }), 'setfacl -d --physical --no-mask -m mask::rx -- /x || exit');
  const wrong = (args: object) => acl.params.safeParse({ path: '/x', ...args }).error!.issues[0]!.message;
  t.regex(wrong({ state: 'present' }), /'etype' MUST be set/);
  t.regex(wrong({ state: 'absent', etype: 'user' }), /'entity' MUST be set/);
  t.regex(wrong({ entry: 'u:joe:r' }), /MUST NOT be set when 'state=query'/);
  t.regex(wrong({ entry: 'u:joe', state: 'present' }), /3 or 4 sections/);
  t.regex(wrong({ recursive: true }), /'recursive' MUST NOT/);
});

inShells(test, 'a host without the tools, and a path that is not there, are told', async (t, place) => {
  place.env['PATH'] = join(place.dir, 'none');
  await t.throwsAsync(look(t, place, acl, { path: '/' }), { message: /has no setfacl; install the package acl/ });
  await t.throwsAsync(look(t, place, xattr, { path: '/' }), { message: /has no getfattr; install the package attr/ });
  await mkdir(place.env['PATH']);
  for (const tool of ['setfacl', 'getfattr']) await writeFile(join(place.env['PATH'], tool), '#!/bin/sh\n', { mode: 0o755 });
  await t.throwsAsync(look(t, place, acl, { path: '/none' }), { message: /Path not found or not accessible/ });
  await t.throwsAsync(look(t, place, xattr, { path: '/none' }), { message: /path not found or not accessible!/ });
});

test('extended attributes are read with any bytes, set and removed', (t) => {
  const found = (args: object, stdout: string) => {
    const wanted = xattr.params.parse({ path: '/x', ...args });
    const observed = xattr.parse({ rc: 0, stdout: `${stdout}\0`, stderr: '' }, wanted);
    return { wanted, observed, changes: xattr.compare(wanted, observed) };
  };
  const listed = '# file: /x\nuser.a=0sYiJj\nuser.none\n';
  t.deepEqual(found({ state: 'all' }, listed).observed, { 'user.a': 'b"c', 'user.none': '' });
  t.deepEqual(found({ key: 'a', value: 'b"c' }, listed).changes, []);
  const set = found({ key: 'user.a', value: 'd', state: 'present' }, listed);
  t.deepEqual(set.changes, [{ field: 'user.a', from: 'b"c', to: 'd' }]);
  t.is(xattr.apply(set.wanted, set.observed, set.changes).script.text, sh`setfattr  -n user.a -v 0sZA== -- /x`.text);
  t.like(xattr.result(set.wanted, set.observed), { msg: 'user.a set to d', xattr: { 'user.a': 'b"c', 'user.none': '' } });
  const gone = found({ key: 'a', state: 'absent', namespace: 'trusted' }, listed);
  t.deepEqual(gone.changes, []);
  t.is(xattr.params.safeParse({ path: '/x', state: 'present', value: 'x' }).success, false);
});
