/** What a host says to several questions at once is, for each, what it would have said to that one alone. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Inspection } from '../../src/connection/connection.js';
import { together } from '../../src/connection/together.js';
import apt from '../../src/modules/apt.js';
import { file } from '../../src/modules/file.js';
import { look, seen } from '../../src/modules/look.js';
import { hostPath } from '../../src/modules/words.js';
import service from '../../src/modules/service.js';
import user from '../../src/modules/user.js';
import { Question } from '../../src/shell/question.js';
import type { Output } from '../../src/shell/step.js';
import { sh, type Sh } from '../../src/shell/sh.js';
import { inShells, type Place } from './harness.js';

const asked = (script: Sh, more: Partial<Inspection> = {}): Inspection => ({ script, become: undefined, environment: {}, ...more });

/** Asks one by one and all at once. @returns how many scripts all at once took */
async function alike(t: ExecutionContext, place: Place, scripts: readonly Sh[], read: (output: Output, index: number) => unknown = (output) => output): Promise<number> {
  const alone = await Promise.all(scripts.map((script) => place.run(script)));
  const { carried, apart } = together(scripts.map((script) => asked(script)));
  const answers = apart(await Promise.all(carried.map(({ script }) => place.run(script))));
  t.deepEqual(answers.map((answer, i) => read(answer!, i)), alone.map(read));
  return carried.length;
}

inShells(test, 'looks', async (t, place) => {
  await mkdir(join(place.dir, 'folder'));
  await writeFile(join(place.dir, 'a file'), 'text');
  await writeFile(join(place.dir, 'line\nend'), 'more');
  await symlink('folder', join(place.dir, 'link'));
  await symlink('nowhere', join(place.dir, 'dangling'));
  // The first to read a file moves its access time on.
  await place.run(sh`cat ${join(place.dir, 'a file')} ${join(place.dir, 'line\nend')}`);
  const names = ['a file', 'folder', 'gone', 'line\nend', 'link', 'dangling', 'a file'];
  for (const options of [{}, { follow: true }, { checksum: true }, { follow: true, checksum: true }]) {
    const groups = [names.slice(0, 3), ...names.map((name) => [name])];
    t.is(await alike(t, place, groups.map((group) => look(group.map(hostPath), options)), (output, i) => seen(output, groups[i]!.length, 'looking', options)), 1);
  }
  // Links followed or not, hashed or not, each for itself, in one.
  const mixed = [{ checksum: true }, { follow: true }, {}, { follow: true, checksum: true }, { checksum: true }];
  const scripts = mixed.map((options, i) => look([...names.slice(i), 'link'].map(hostPath), options));
  t.is(await alike(t, place, scripts, (output, i) => seen(output, names.length - i + 1, 'looking', mixed[i])), 1);
});

inShells(test, 'a path that comes out empty is absent, and makes nothing else so', async (t, place) => {
  await writeFile(join(place.dir, 'there'), '');
  const scripts = [look([sh`"$(readlink -f -- ${join(place.dir, 'gone/gone')})"`]), look([hostPath(join(place.dir, 'there'))])];
  const stats: boolean[] = [];
  await alike(t, place, scripts, (output) => {
    const { stat } = seen(output, 1, 'looking').entries[0]!;
    stats.push(stat !== undefined);
    return stat;
  });
  t.deepEqual(stats.slice(0, 2), [false, true]);
});

inShells(test, 'a look that fails spoils no other: each is asked alone', async (t, place) => {
  const scripts = [look([hostPath('~nobody-of-that-name/x')]), look([hostPath(place.dir)])];
  const { carried, apart } = together(scripts.map((script) => asked(script)));
  t.is(carried.length, 1);
  const output = await place.run(carried[0]!.script);
  t.not(output.rc, 0);
  t.deepEqual(apart([output]), [undefined, undefined]);
});

inShells(test, 'users, of whom some are not there', async (t, place) => {
  const wanted = [{ name: 'root', groups: ['root'] }, { name: 'daemon', group: '0' }, { name: 'no-such-user' }, { name: 'bin', group: 'no-such-group', home: '/' }, { name: 'nobody', state: 'absent' }, { name: 'root', home: '/no such home' }].map((args) => user.params.parse(args));
  const read = (output: Output, i: number) => user.parse(output, wanted[i]!);
  t.is(await alike(t, place, wanted.map((each) => user.inspect(each)), read), 1);
  // Those that are all there are told by one process of each kind.
  const there = wanted.filter(({ name, group }) => ![name, group].some((one) => one?.startsWith('no-such')));
  t.is(await alike(t, place, there.map((each) => user.inspect(each)), (output, i) => user.parse(output, there[i]!)), 1);
  const local = wanted.map((each) => user.inspect({ ...each, local: true }));
  t.is(await alike(t, place, local, read), 1);
  const root = read(await place.run(user.inspect(wanted[0]!)), 0);
  t.deepEqual([root.account!.groups[0], root.account!.homeExists, root.namesake], [{ name: 'root', gid: 0 }, true, true]);
});

test('users whose service spells them otherwise are asked about alone', (t) => {
  const both = ['Ann', 'bob'].map((name) => user.params.parse({ name }));
  const { kind } = user.inspect(both[0]!) as Question<(typeof both)[0]>;
  const ids = ['ann', 'bob'].map((name) => `uid=1(${name}) gid=1(x y) groups=1(x y),2`).join('\n');
  const told = (first: string) => kind.apart(`@passwd\n${first}:x:1:1::/:/bin/sh\nbob:x:1:1::/:/bin/sh\n@groups\nBob:x:7:\n@home\nbob\n@ids\n${ids.replace('(ann)', `(${first})`)}\n@end\n`, both);
  t.is(told('ann'), undefined);
  const bob = user.parse({ rc: 0, stdout: told('Ann')![1]!, stderr: '' }, both[1]!);
  t.deepEqual([bob.account!.groups, bob.account!.homeExists, bob.namesake], [[{ gid: 1, name: 'x y' }, { gid: 2, name: '2' }], true, true]);
});

inShells(test, 'init scripts', async (t, place) => {
  const scripts = ['no-such-service', 'nor-this'].map((name) => service.inspect(service.params.parse({ name, state: 'started' })));
  t.is(await alike(t, place, scripts), 1);
});

test('units: each has its own properties, and what init scripts say', (t) => {
  const script = service.inspect(service.params.parse({ name: 'ssh', state: 'started' })) as Question<{ name: string }>;
  const both = [{ name: 'ssh' }, { name: 'cron' }];
  const rest = 'sysv script ssh\nsysv enabled ssh\nlooked\n';
  const texts = script.kind.apart(`manager systemd\nId=ssh.service\nDescription=\n\nId=cron.service\nWants=\n${rest}`, both);
  t.deepEqual(texts, [`manager systemd\nId=ssh.service\nDescription=\n${rest}`, `manager systemd\nId=cron.service\nWants=\n${rest}`]);
  t.is(script.kind.apart(`manager systemd\nId=ssh.service\n${rest}`, both), undefined);
});

test('packages: what is said of all holds for each', (t) => {
  const wanted = (args: object) => apt.params.parse(args);
  const scripts = [{ name: 'nginx' }, { name: ['curl', 'git'] }, { name: 'ed', state: 'absent' }, { name: 'less', update_cache: true }, { name: 'less', state: 'latest' }, { upgrade: 'dist' }].map((args) => apt.inspect(wanted(args)));
  const { carried } = together(scripts.map((script) => asked(script)));
  t.is(carried.length, 5);
  t.regex(carried[0]!.script.text, /dpkg-query -W -f \S+ -- nginx curl git /);
});

test('only what one user asks in one environment goes together', (t) => {
  const script = look([sh`/etc`]);
  const become = { method: 'sudo', user: 'root', flags: undefined, password: undefined } as const;
  const { carried } = together([asked(script), asked(script, { become }), asked(script, { environment: { A: '1' } }), asked(script), asked(script, { become }), asked(sh`true`), asked(sh`true`)]);
  t.deepEqual(carried.map(({ become, environment }) => [become?.user, environment]), [[undefined, {}], ['root', {}], [undefined, { A: '1' }], [undefined, {}], [undefined, {}]]);
});

test('where nobody could become their user, each is told so and none asked alone', (t) => {
  const { apart } = together([asked(look([sh`/etc`])), asked(look([sh`/var`])), asked(sh`true`)]);
  const refused = { rc: 126, stdout: '', stderr: 'sudo cannot become nobody' };
  const other = { rc: 0, stdout: '', stderr: '' };
  t.deepEqual(apart([refused, other]), [refused, refused, other]);
  t.deepEqual(apart([{ ...refused, rc: 1 }, other]), [undefined, undefined, other]);
});

test('a folder that a task wants is such a question', (t) => {
  t.true(file.inspect(file.params.parse({ path: '/srv', state: 'directory' })) instanceof Question);
});
