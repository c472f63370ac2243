import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import group from '../../src/modules/group.js';
import type { Output } from '../../src/modules/module.js';
import user from '../../src/modules/user.js';
import { inShells, look, type Place } from './harness.js';

const HASH = '$6$salt$hash';
function answer(parts: { passwd?: string; group?: string; ids?: string; shadow?: string; home?: boolean; key?: string; namesake?: string }): Output {
  const ids = 'uid=1000(ann) gid=1000(ann) groups=1000(ann),27(sudo),33(www-data)';
  const text = `@passwd\n${parts.passwd ?? ''}\n@groups\n${parts.namesake ?? ''}\n${parts.group ?? ''}\n@wanted\n${parts.home === false ? '' : '0'}\n@home\n${parts.home === false ? '' : 'ann'}\n@ids\n${parts.ids ?? ids}\n`;
  return { rc: 0, stdout: `${text}${parts.shadow === undefined ? '' : `@shadow\n${parts.shadow}\n`}@key\n${parts.key ?? ''}\n@end\n`, stderr: '' };
}
const ann = { passwd: 'ann:x:1000:1000:Ann,,,:/home/ann:/bin/sh', shadow: `ann:${HASH}:19000:0:99999:7:::` };

const cases: [string, object, Parameters<typeof answer>[0], [string, unknown][]][] = [
  ['there', {}, ann, []],
  ['not there', { password: HASH }, {}, [['state', 'present'], ['password', HASH]]],
  ['gone already', { state: 'absent' }, {}, []],
  ['to go', { state: 'absent' }, ann, [['state', 'absent']]],
  ['attributes', { uid: 1001, shell: '/bin/bash', home: '/srv/ann', comment: 'Ann' }, ann, [['uid', 1001], ['comment', 'Ann'], ['home', '/srv/ann'], ['shell', '/bin/bash']]],
  ['groups in another order, one by number', { groups: 'www-data,27' }, ann, []],
  ['groups too many', { groups: ['sudo'] }, ann, [['groups', ['sudo']]]],
  ['groups appended', { groups: ['docker', 'sudo'], append: true }, ann, [['groups', ['sudo', 'www-data', 'docker']]]],
  ['out of all groups', { groups: '' }, ann, [['groups', []]]],
  ['the primary group among the others', { groups: 'ann,sudo,www-data' }, ann, []],
  ['primary group by name', { group: 'ann' }, { ...ann, group: 'ann:x:1000:' }, []],
  ['primary group by number', { group: '1000' }, ann, []],
  ['another primary group', { group: 'staff' }, { ...ann, group: 'staff:x:50:' }, [['group', 'staff']]],
  ['the same password', { password: HASH }, ann, []],
  ['the same password, locked', { password: HASH }, { ...ann, shadow: `ann:!${HASH}:19000:0:99999:7:::` }, []],
  ['another password', { password: '$6$salt$other' }, ann, [['password', '$6$salt$other']]],
  ['another password only for new users', { password: '$6$salt$other', update_password: 'on_create' }, ann, []],
  ['locking', { password_lock: true }, ann, [['password_lock', true]]],
  ['expiry', { expires: 1735689600.0, password_expire_max: 90, password_expire_account_disable: 7 }, ann, [['expires', '20089'], ['password_expire_max', 90], ['password_expire_account_disable', 7]]],
  ['never expires', { expires: -1 }, ann, []],
  ['never expires, where shadow knows nobody', { expires: -1 }, { ...ann, shadow: '' }, [['expires', 'never']]],
  ['home folder lost', {}, { ...ann, home: false }, [['home folder', '/home/ann']]],
  ['home folder not wanted', { create_home: false }, { ...ann, home: false }, []],
  ['a key', { generate_ssh_key: true }, ann, [['ssh_key', 'new']]],
  ['a public key alone', { generate_ssh_key: true }, { ...ann, key: '@halfkey' }, []],
  ['a public key alone, by force', { generate_ssh_key: true, force: true }, { ...ann, key: '@halfkey' }, [['ssh_key', 'new']]],
  ['a key that is there', { generate_ssh_key: true }, { ...ann, key: '256 SHA256:x ann (ED25519)\nssh-ed25519 AAAA ann' }, []],
];
for (const [name, args, parts, expected] of cases) {
  test(`user: ${name}`, (t) => {
    const wanted = user.params.parse({ name: 'ann', ...args });
    const changes = user.compare(wanted, user.parse(answer(parts), wanted));
    t.deepEqual(changes.map(({ field, to }) => [field, to]), expected);
    for (const change of changes) if (change.field === 'password') t.true(change.secret);
  });
}

test('user: what cannot be told is an error', (t) => {
  const wanted = user.params.parse({ name: 'ann', password: HASH });
  t.throws(() => user.compare(wanted, user.parse(answer({ passwd: ann.passwd }), wanted)), { message: /takes root/ });
  t.throws(() => user.parse({ rc: 0, stdout: '@passwd\n', stderr: '' }, wanted), { message: /cannot look up/ });
  t.throws(() => user.parse(answer({ passwd: 'ann:x:nonsense' }), wanted), { message: /cannot read/ });
});

test('user: arguments', (t) => {
  const good = (args: object) => user.params.safeParse({ name: 'ann', ...args }).success;
  t.true(good({ password: '!' }));
  t.false(good({ password: 'plain:text' }));
  t.true(good({ login_class: 'staff', hidden: true, profile: 'x', authorization: 'x', role: 'x' }));
  t.false(good({ name: '-rf' }));
  t.false(good({ comment: 'a:b' }));
  t.false(good({ umask: '9' }));
  t.false(good({ umask: '077', local: true }));
});

/** Tools that write down what they are called with, instead of the host's. */
async function faked(place: Place, tools: readonly string[]): Promise<() => Promise<string[]>> {
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin);
  for (const name of tools) {
    await writeFile(join(bin, name), `#!/bin/sh\n{ printf '%s' "${name}"; printf ' <%s>' "$@"; echo; } >>"$HOME/calls"\n${name === 'chpasswd' ? 'cat >>"$HOME/calls"' : ''}\n`);
    await chmod(join(bin, name), 0o755);
  }
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  return async () => (await readFile(join(place.dir, 'calls'), 'utf8')).trim().split('\n');
}

test('user: what is passed over is warned of', (t) => {
  const wanted = user.params.parse({ name: 'ann', append: true, generate_ssh_key: true });
  const { warnings } = user.result(wanted, user.parse(answer({ ...ann, key: '@halfkey' }), wanted)) as { warnings: string[] };
  t.regex(warnings[0]!, /^'append' is set, but no 'groups'/);
  t.regex(warnings[1]!, /^Found existing ssh key public file ".ssh\/id_rsa.pub"/);
});

test('user: a password that is no hash is warned of, not shown', (t) => {
  const warned = (password: string) => {
    const wanted = user.params.parse({ name: 'ann', password });
    const { warnings } = user.result(wanted, user.parse(answer(ann), wanted)) as { warnings?: string[] };
    t.false(JSON.stringify(warnings ?? []).includes(password || 'nothing'));
    return warnings !== undefined;
  };
  const of = (method: string, length: number) => `$${method}$salt$${'a./0Z'.repeat(20).slice(0, length)}`;
  for (const good of ['', '!', '*', '*************', of('1', 22), of('5', 43), of('6', 86), `!${of('6', 86)}`, `$6$rounds=5000$salt$${'x'.repeat(86)}`, `$y$jCT$salt$${'x'.repeat(43)}`, `$2b$12$${'x'.repeat(53)}`]) t.false(warned(good), good);
  for (const bad of ['plaintextpassword', 'thirteenchars', of('6', 43), `$6$salt$${'+'.repeat(86)}`, '$6$salt', '$price']) t.true(warned(bad), bad);
});

inShells(test, 'user: a change, and no password in arguments', async (t, place) => {
  const calls = await faked(place, ['usermod', 'chpasswd', 'chage']);
  const me = userInfo().username;
  const wanted = user.params.parse({ name: me, comment: "It's $me; `x`", groups: 'a,b', append: true, password: HASH, password_expire_max: 30 });
  const observed = user.parse(answer({ ...ann, passwd: `${me}:x:1000:1000:Old:/home/x:/bin/sh`, shadow: `${me}:*:1:0:99999:7:::` }), wanted);
  const output = await place.run(user.apply(wanted, observed, user.compare(wanted, observed)));
  t.is(output.rc, 0, output.stderr);
  t.deepEqual(await calls(), [`usermod <-a> <-G> <a,b> <-c> <It's $me; \`x\`> <--> <${me}>`, 'chpasswd <-e>', `${me}:${HASH}`, `chage <-M> <30> <--> <${me}>`]);
  t.is(user.result(wanted, observed, output)['uid'], userInfo().uid);
});

inShells(test, 'user: whose primary group is gone can still be looked up', async (t, place) => {
  await faked(place, []);
  await writeFile(join(place.dir, '..', 'bin', 'id'), '#!/bin/sh\necho "uid=1($2) gid=1001 groups=1001"\nexit 1\n', { mode: 0o755 });
  t.deepEqual((await look(t, place, user, { name: userInfo().username, state: 'absent' })).changes, [{ field: 'state', from: 'present', to: 'absent' }]);
});

inShells(test, 'user: a home folder and shell with ~', async (t, place) => {
  const wanted = user.params.parse({ name: 'no-such-user-here', shell: '~/my shell', home: '~root/x' });
  const observed = user.parse(await place.run(user.inspect(wanted)), wanted);
  const refined = await user.refine!(wanted, observed);
  t.deepEqual([refined.shell, refined.home], [join(place.dir, 'my shell'), '/root/x']);
});

inShells(test, 'user: a new one', async (t, place) => {
  const calls = await faked(place, ['useradd']);
  const me = userInfo().username;
  const wanted = user.params.parse({ name: me, uid: 7, system: true, umask: '077', uid_min: 5, uid_max: 9, seuser: 'staff_u', shell: '/bin/ba sh', expires: 1735689600 });
  const observed = user.parse(answer({ ids: '', namesake: `${me}:x:1:` }), wanted);
  const output = await place.run(user.apply(wanted, observed, user.compare(wanted, observed)));
  t.is(output.rc, 0, output.stderr);
  t.deepEqual(await calls(), [`useradd <-u> <7> <-N> <-s> </bin/ba sh> <-e> <2025-01-01> <-m> <-K> <UMASK=077> <-K> <UID_MIN=5> <-K> <UID_MAX=9> <-Z> <staff_u> <-r> <--> <${me}>`]);
});

inShells(test, 'users and groups of this machine are found, others are not', async (t, place) => {
  const me = userInfo();
  t.deepEqual((await look(t, place, user, { name: me.username, uid: me.uid, shell: me.shell, home: me.homedir })).changes, []);
  t.deepEqual((await look(t, place, user, { name: 'no-such-user-here', state: 'absent' })).changes, []);
  t.deepEqual((await look(t, place, user, { name: me.username, local: true })).changes, []);
  t.deepEqual((await look(t, place, group, { name: 'root', gid: 0 })).changes, []);
  t.is((await look(t, place, group, { name: 'no-such-group-here' })).changes.length, 1);
  t.deepEqual((await look(t, place, group, { name: 'root', gid: 5, local: true })).changes, [{ field: 'gid', from: 0, to: 5 }]);
});

inShells(test, 'group: made, renumbered, removed', async (t, place) => {
  const calls = await faked(place, ['groupadd', 'groupmod', 'groupdel']);
  const apply = async (args: object, observed: { gid: number } | undefined) => {
    const wanted = group.params.parse({ name: 'deploy', ...args });
    return place.run(group.apply(wanted, observed, group.compare(wanted, observed)));
  };
  t.is((await apply({ gid: 1500, system: true, non_unique: true }, undefined)).rc, 0);
  t.is((await apply({ gid_min: 1600, gid_max: 1601 }, undefined)).rc, 0);
  t.is((await apply({ gid: 1501 }, { gid: 1500 })).rc, 0);
  t.is((await apply({ state: 'absent', force: true }, { gid: 1500 })).rc, 0);
  await t.throwsAsync(look(t, place, group, { name: 'deploy', gid_min: 1600, local: true }), { message: /do not go with local/ });
  t.deepEqual(await calls(), ['groupadd <-r> <-o> <-g> <1500> <deploy>', 'groupadd <-K> <GID_MIN=1600> <-K> <GID_MAX=1601> <deploy>', 'groupmod <-g> <1501> <deploy>', 'groupdel <-f> <deploy>']);
});
