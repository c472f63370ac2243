import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import apt from '../../src/modules/apt.js';
import { compareVersions, parseInstalled, parsePolicy, parseSimulation, parseSpec } from '../../src/modules/dpkg.js';
import pkg from '../../src/modules/package.js';
import { verifies } from '../../src/modules/module.js';
import { controller, inShells } from './harness.js';

const packages = 'ii \tnginx\tamd64\t1.22.1-9\nii \tlibc6\tamd64\t2.36-9\nii \tlibc6\ti386\t2.36-9\nrc \told\tall\t1.0\niF \tstuck\tamd64\t2.0\nun \tmail-transport-agent\t\t\nhi \theld\tamd64\t3.0';
const provided = 'ii \tpostfix\tdefault-mta, mail-transport-agent\nrc \tx\tgone-agent\n';
const policy = 'nginx:\n  Installed: 1.22.1-9\n  Candidate: 1.24.0-1\n  Version table:\n     1.26.0-1 100\n        100 https://deb.example.org testing/main amd64 Packages\n     1.24.0-1 500\n        500 https://deb.example.org stable/main amd64 Packages\n *** 1.22.1-9 100\n        100 /var/lib/dpkg/status\nnope:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\nheld:\n  Installed: 3.0\n  Candidate: 3.0\n  Package pin: 3.0\n  Version table:\n     4.0 500\n *** 3.0 1000\n';
const cache = (age: number) => `@cache\n10000\n${10000 - age}\n${10000 - age - 500}\n`;

const cases: [string, object, string, [string, unknown, unknown][]][] = [
  ['all there', { name: 'nginx,libc6:i386,held' }, '', []],
  ['one missing', { name: 'nginx,curl' }, '', [['packages', 'curl absent', 'curl present']]],
  ['another architecture', { name: 'nginx:i386' }, '', [['packages', 'nginx absent', 'nginx present']]],
  ['provided by another', { name: 'mail-transport-agent' }, '', []],
  ['provided by a removed one', { name: 'gone-agent' }, '', [['packages', 'gone-agent absent', 'gone-agent present']]],
  ['stuck half way', { name: 'stuck' }, '', [['packages', 'stuck half installed', 'stuck present']]],
  ['a version', { name: 'nginx=1.22.1-9' }, '', []],
  ['a pattern of versions', { name: 'nginx=1.22*' }, '', []],
  ['another version', { name: 'nginx=1.24*' }, '', [['packages', 'nginx 1.22.1-9', 'nginx 1.24.0-1']]],
  ['latest of a version', { name: 'nginx=1.22.1-9', state: 'latest' }, '', []],
  ['latest of a pattern of versions', { name: 'nginx=1.2[46].*', state: 'latest' }, '', [['packages', 'nginx 1.22.1-9', 'nginx 1.26.0-1']]],
  ['latest at least', { name: 'nginx>=1.20', state: 'latest' }, '', [['packages', 'nginx 1.22.1-9', 'nginx 1.24.0-1']]],
  ['latest by pattern', { name: 'ngin?', state: 'latest' }, '@matching\nnginx\n', [['packages', 'nginx 1.22.1-9', 'nginx 1.24.0-1']]],
  ['there as a dependency only', { name: 'nginx,libc6:i386' }, '@automatic\nnginx:amd64\nlibc6:amd64\n', [['manual', 'nginx as dependencies', 'nginx by themselves']]],
  ['no packages', { name: [] }, '', []],
  ['at least', { name: ['nginx>=1.23', 'held >= 3'] }, '', [['packages', 'nginx 1.22.1-9', 'nginx 1.24.0-1']]],
  ['latest', { name: 'nginx,held', state: 'latest' }, '', [['packages', 'nginx 1.22.1-9', 'nginx 1.24.0-1']]],
  ['only what is there is upgraded', { name: 'curl,held', state: 'latest', only_upgrade: true }, '', []],
  ['absent', { name: 'nginx,curl,old', state: 'absent' }, '', [['packages', 'nginx 1.22.1-9', 'nginx absent']]],
  ['purged', { name: 'old', state: 'absent', purge: true }, '', [['packages', 'old configuration', 'old absent']]],
  ['absent by pattern', { name: 'lib*', state: 'absent' }, '', [['packages', 'libc6 2.36-9, libc6 2.36-9', 'libc6 absent, libc6 absent']]],
  ['present by patterns', { name: 'hel?o,he?lo,ngin?' }, '@matching\nhello\nnginx\n', [['packages', 'hello absent', 'hello present']]],
  ['fresh lists', { update_cache: true, cache_valid_time: 3600 }, cache(100), []],
  ['stale lists', { cache_valid_time: 3600 }, cache(4000), [['cache', 'older than 3600 s', 'updated']]],
  ['no lists', { cache_valid_time: 3600 }, '@cache\n10000\n', [['cache', 'no lists', 'updated']]],
  ['stale lists matter not where all is there', { name: 'nginx', update_cache: true }, cache(4000), []],
  ['stale lists matter where something is to be installed', { name: 'curl', update_cache: true, cache_valid_time: 3600 }, cache(4000), [['cache', 'older than 3600 s', 'updated'], ['packages', 'curl absent', 'curl present']]],
  ['fresh lists are left', { name: 'curl', update_cache: true, cache_valid_time: 3600 }, cache(10), [['packages', 'curl absent', 'curl present']]],
  ['upgrade', { upgrade: true }, '@upgrade\nInst bash [5.2.15-2+b2] (5.2.15-2+b7 Debian:12.9/stable [amd64])\nConf bash (5.2.15-2+b7)\n', [['upgrade', 'bash 5.2.15-2+b2', 'bash 5.2.15-2+b7']]],
  ['nothing to upgrade', { upgrade: 'dist' }, '@upgrade\n0 upgraded, 0 newly installed\n', []],
  ['what a build takes', { name: 'nginx', state: 'build-dep' }, '@builddep\nInst make (4.3-4.1 Debian:12 [amd64])\nInst gcc [11] (12 Debian:12 [amd64])\n', [['build_dep', 'make absent, gcc 11', 'make 4.3-4.1, gcc 12']]],
  ['what a build takes is there', { name: 'nginx', state: 'build-dep', update_cache: true }, `@builddep\n0 upgraded\n${cache(4000)}`, []],
  ['what a build takes is not known yet', { name: 'nginx', state: 'build-dep', update_cache: true }, `@builddep\n@unlisted\n@cache\n10000\n`, [['cache', 'no lists', 'updated'], ['build_dep', 'unknown before the lists are updated', 'what building nginx takes']]],
  ['autoremove', { autoremove: 'yes' }, '@autoremove\nRemv libx [1.0]\n', [['autoremove', 'libx 1.0', 'libx absent']]],
  ['a deb of the version that is there', { deb: '/x.deb' }, '@deb\nPackage: nginx\nVersion: 1.22.1-9\n', []],
  ['a deb', { deb: '/x.deb' }, '@deb\nPackage: nginx\nVersion: 2.0\n', [['deb', '1.22.1-9', '2.0']]],
  ['a deb from a URL', { deb: 'https://example.org/pool/nginx_1.22.1-9_amd64.deb' }, '', []],
];
for (const [name, args, more, expected] of cases) {
  test(`apt: ${name}`, (t) => {
    const wanted = apt.params.parse(args);
    const observed = apt.parse({ rc: 0, stdout: `@packages\n${packages}\n@provided\n${provided}@policy\n${policy}${more}@end\n`, stderr: '' }, wanted);
    t.deepEqual(apt.compare(wanted, observed).map(({ field, from, to }) => [field, from, to]), expected);
  });
}

test('apt: an answer that is cut short, or no apt at all, is an error', (t) => {
  const wanted = apt.params.parse({ name: 'nginx' });
  t.throws(() => apt.parse({ rc: 1, stdout: '', stderr: 'the host has no apt-get\n' }, wanted), { message: /no apt-get/ });
  t.throws(() => apt.parse({ rc: 0, stdout: '@packages\nii \tnginx\tamd64\t1\n', stderr: '' }, wanted), { message: /cannot look/ });
  const old = apt.params.parse({ name: 'held>=9' });
  t.throws(() => apt.compare(old, apt.parse({ rc: 0, stdout: `@packages\n${packages}\n@policy\n${policy}@end\n`, stderr: '' }, old)), { message: 'no available installation candidate for held>=9' });
  const none = apt.params.parse({ name: 'no*such' });
  t.throws(() => apt.compare(none, apt.parse({ rc: 0, stdout: '@packages\n@matching\n@end\n', stderr: '' }, none)), { message: /no package fits "no\*such"/ });
  t.throws(() => parseInstalled(['nonsense']), { message: /dpkg-query/ });
});

test('apt: arguments', (t) => {
  const good = (args: object) => apt.params.safeParse(args).success;
  t.true(good({ name: 'a-b+c.d=1:2.3~rc1-4+deb12u1' }));
  for (const name of ['-y', 'Big', 'a b', 'a;b', '$(x)', 'x=']) t.false(good({ name }), name);
  t.true(good({ name: 'lib*' }));
  t.true(good({ name: 'lib*', state: 'latest' }));
  t.false(good({ name: 'lib*', state: 'build-dep' }));
  t.false(good({ name: '*,nginx', state: 'latest' }));
  t.false(good({ deb: '/x.deb', state: 'latest' }));
  t.true(good({ name: [] }));
  t.false(good({}));
  t.true(good({ name: 'x', state: 'build-dep' }));
  t.false(good({ state: 'build-dep', update_cache: true }));
  t.false(good({ upgrade: 'sometimes' }));
  t.false(verifies(apt, apt.params.parse({ update_cache: true })));
  t.true(verifies(apt, apt.params.parse({ name: 'x', update_cache: true })));
});

test('apt: what apt-get says of the packages is its diff', async (t) => {
  const told = 'Reading package lists...\nReading state information...\nThe following NEW packages will be installed:\n  foo\n0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.\nInst foo (1.0 localhost [all])\n';
  const result = async (diff: boolean) => {
    const wanted = await apt.prepare!(apt.params.parse({ name: 'foo' }), controller({ diff }));
    return apt.result(wanted, apt.parse({ rc: 0, stdout: '@packages\n@end\n', stderr: '' }, wanted), { rc: 0, stdout: told, stderr: '' });
  };
  t.deepEqual((await result(true))['diff'], { prepared: 'The following NEW packages will be installed:\n  foo\n0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.' });
  t.like(await result(false), { diff: undefined, stdout: told });
});

test('apt: all packages of the latest version are an upgrade', async (t) => {
  t.like(await apt.prepare!(apt.params.parse({ name: '*', state: 'latest' }), controller({})), { name: [], upgrade: 'yes' });
});

test("package: the host's package manager takes its own parameters", async (t) => {
  const wanted = (manager: string, args: object) => pkg.prepare!(pkg.params.parse(args), controller({ facts: new Map([['pkg_mgr', manager]]) }));
  await t.throwsAsync(wanted('pacman', { name: 'x' }), { message: /Could not find a matching action for the "pacman" package manager; supported: apt/ });
  await t.throwsAsync(wanted('apt', { name: 'x', enablerepo: 'epel' }), { message: /apt has no parameter "enablerepo"/ });
  await t.throwsAsync(wanted('apt', { name: 'Big' }), { message: /"Big" is not a package/ });
  t.like(await wanted('apt', { name: '*', state: 'latest' }), { manager: 'apt', args: { upgrade: 'yes' } });
  t.like(await wanted('dnf', { name: 'Big, x', enablerepo: 'epel', update_cache: 'yes' }), { manager: 'dnf', args: { name: ['Big', 'x'], enablerepo: ['epel'], update_cache: true, best: undefined } });
  await t.throwsAsync(wanted('dnf', { name: 'x', purge: true }), { message: /dnf has no parameter "purge"/ });
});

test('specs, policies, simulations', (t) => {
  t.like(parseSpec('libc6:i386=2.*'), { name: 'libc6', arch: 'i386', version: '2.*', relation: '=' });
  t.like(parseSpec('nginx/bookworm-backports'), { name: 'nginx', release: 'bookworm-backports' });
  t.deepEqual([...parsePolicy(policy)], [
    ['nginx', { candidate: '1.24.0-1', versions: ['1.26.0-1', '1.24.0-1', '1.22.1-9'] }],
    ['nope', { candidate: undefined, versions: [] }],
    ['held', { candidate: '3.0', versions: ['4.0', '3.0'] }],
  ]);
  t.deepEqual(parseSimulation(['Inst new (1.0 Debian:12 [amd64])', 'Conf new (1.0)', 'Del x 1.2 [3 kB]']).map(({ verb, name, to }) => [verb, name, to]), [['Inst', 'new', '1.0'], ['Del', 'x', undefined]]);
});

test('versions are ordered as Debian orders them', (t) => {
  const rising = ['1.0~rc1-1', '1.0-1', '1.0-1+b1', '1.0-2', '1.0a', '1.0+x', '1.2', '1.10', '2', '1:0.1'];
  for (const [i, low] of rising.entries()) for (const [j, high] of rising.entries()) t.is(compareVersions(low, high), Math.sign(i - j), `${low} ${high}`);
});

inShells(test, 'apt: what apt-get is asked to do', async (t, place) => {
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin);
  const fakes: Record<string, string> = {
    'apt-get': `echo "$@" >>"$HOME/calls"; case "$*" in *update) [ -e "$HOME/again" ] || { : >"$HOME/again"; echo 'E: Could not get lock /var/lib/apt/lists/lock' >&2; exit 100; } ;; esac`,
    touch: ':',
    sleep: ':',
  };
  for (const [name, text] of Object.entries(fakes)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(bin, name), 0o755);
  }
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  const wanted = apt.params.parse({ name: 'curl=8*,nginx', update_cache: true, install_recommends: false, lock_timeout: 5 });
  const observed = apt.parse({ rc: 0, stdout: '@packages\n@end\n', stderr: '' }, wanted);
  const output = await place.run(apt.apply(wanted, observed, apt.compare(wanted, observed)));
  t.like(output, { rc: 0, stderr: '' });
  const options = '-y -q -o DPkg::Lock::Timeout=5 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold';
  t.deepEqual((await readFile(join(place.dir, 'calls'), 'utf8')).trim().split('\n'), [
    '-q -o APT::Update::Error-Mode=any update',
    '-q -o APT::Update::Error-Mode=any update',
    `${options} -o APT::Install-Recommends=no install -- curl=8* nginx`,
  ]);
  const version = apt.params.parse({ name: 'curl=8.?', only_upgrade: true });
  const rehearsed = apt.parse({ rc: 0, stdout: '@packages\nii \tcurl\tamd64\t7.0\n@policy\ncurl:\n  Installed: 7.0\n  Candidate: 9.0\n  Version table:\n     9.0 500\n     8.1 500\n@end\n', stderr: '' }, version);
  t.is((await place.run(apt.rehearse!(version, rehearsed, apt.compare(version, rehearsed))!)).rc, 0);
  t.is((await readFile(join(place.dir, 'calls'), 'utf8')).trim().split('\n').at(-1), '-s -q -o Debug::NoLocking=true -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= --only-upgrade install -- curl=8.1');
  t.is(apt.rehearse!(wanted, observed, apt.compare(wanted, observed)), undefined);
  const building = apt.params.parse({ name: 'curl', state: 'build-dep', autoremove: true, lock_timeout: 5 });
  const simulated = apt.parse({ rc: 0, stdout: '@builddep\nInst make (4.3 Debian:12 [amd64])\n@end\n', stderr: '' }, building);
  t.like(await place.run(apt.inspect(building)), { rc: 0 });
  t.is((await place.run(apt.apply(building, simulated, apt.compare(building, simulated)))).rc, 0);
  const calls = (await readFile(join(place.dir, 'calls'), 'utf8')).trim().split('\n');
  t.true(calls.includes('-s -q -o Debug::NoLocking=true build-dep -- curl'));
  t.is(calls.at(-1), `${options} build-dep -- curl`);
  t.deepEqual(apt.undo!(building, simulated, apt.compare(building, simulated)), [{ module: 'apt', args: { name: ['make'], state: 'absent', purge: true } }]);
});
