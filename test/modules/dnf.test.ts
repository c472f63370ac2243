/** Recorded cases: stand-ins for rpm and dnf answer from a list of packages, and dnf changes it. */
import test from 'ava';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dnf } from '../../src/modules/dnf.js';
import { compareVersions } from '../../src/modules/rpm.js';
import { converge, inShells as inAll, look, type Place } from './harness.js';

/** No host has busybox' tools alone and dnf. */
const inShells: typeof inAll = (test, title, body) => inAll(test, title, body, ['dash', 'bash']);

const LINES = ['rpm\t0\t4.16.1.3\t29.el9\tx86_64', 'bash\t0\t5.1.8\t6.el9\tx86_64', 'httpd\t0\t2.4.57\t5.el9\tx86_64', 'httpd-tools\t0\t2.4.57\t5.el9\tx86_64', 'bind-libs\t32\t9.16.23\t11.el9\tx86_64'];

const RPM = `tab=$(printf '\\t')
nevras() { while IFS="$tab" read -r n e v r a; do echo "$n-$v-$r.$a"; done <"$S/db"; }
case "$*" in
'-q rpm') echo rpm-4.16.1.3-29.el9.x86_64; exit ;;
'-qa') nevras; exit ;;
esac
case $1 in
-qa) shift 3
  for p in "$@"; do while IFS= read -r l; do case $l in $p"$tab"*) echo "$l" ;; esac; done <"$S/db"; done; exit ;;
-qp) shift 4; printf 'epel-release\\t0\\t9\\t7.el9\\tnoarch\\n'; exit ;;
esac
rc=0
case "$*" in
*--whatprovides*) for last in "$@"; do :; done
  case $last in webserver | /usr/sbin/httpd) grep "^httpd$tab" "$S/db" && exit ;; esac
  echo "no package provides $last"; exit 1 ;;
esac
qf=$3; shift 3
for n in "$@"; do
  found=
  while IFS="$tab" read -r m e v r a; do
    case $n in "$m" | "$m.$a" | "$m-$v" | "$m-$v-$r" | "$m-$v-$r.$a")
      case $qf in *EPOCH*) printf '%s\\t%s\\t%s\\t%s\\t%s\\n' "$m" "$e" "$v" "$r" "$a" ;; *) printf '%s\\t\\n' "$m" ;; esac; found=y ;; esac
  done <"$S/db"
  [ "$found" ] || { echo "package $n is not installed"; rc=$((rc + 1)); }
done
exit $rc`;

const DNF = `tab=$(printf '\\t')
case "$*" in --version) cat "$S/version"; exit ;; esac
for o in "$@"; do case $o in -y | -q) ;; -*) o="\${o%%
*}" ;; esac; printf '%s ' "$o" | tr '\\n' ' ' >>"$S/calls"; done; echo >>"$S/calls"
nl='
'
words=; for o in "$@"; do case $o in -*) ;; *) words="$words$o$nl" ;; esac; done
IFS=$nl; set -f; set -- $words
verb=$1; shift
case $verb in
group | environment) cat "$S/groups.$verb" ;;
repoquery) case "$(tail -n 1 "$S/calls")" in *--unneeded*) cat "$S/unneeded" ;; *) cat "$S/upgrades" ;; esac ;;
makecache) echo 'Metadata cache created.' ;;
install)
  echo 'Dependencies resolved.'
  for n in "$@"; do case $n in
    @*) printf '   %s (%s)\\n' "Development Tools" "\${n#@}" >>"$S/groups.group" ;;
    https*) printf 'epel-release\\t0\\t9\\t7.el9\\tnoarch\\n' >>"$S/db" ;;
    nosuch) echo "Error: Unable to find a match: nosuch" >&2; exit 1 ;;
    httpd-2.4.62) sed "s/^httpd\\t.*/httpd\\t0\\t2.4.62\\t1.el9\\tx86_64/" "$S/db" >"$S/new"; mv "$S/new" "$S/db" ;;
    *) printf '%s\\t0\\t1.0\\t1.el9\\tx86_64\\n' "\${n%% *}" >>"$S/db" ;;
  esac; done ;;
upgrade) sed 's/^bash\\t.*/bash\\t0\\t5.1.8\\t9.el9\\tx86_64/' "$S/db" >"$S/new"; mv "$S/new" "$S/db"; : >"$S/upgrades" ;;
remove) for n in "$@"; do while IFS="$tab" read -r m e v r a; do [ "$m-$v-$r.$a" = "$n" ] || printf '%s\\t%s\\t%s\\t%s\\t%s\\n' "$m" "$e" "$v" "$r" "$a"; done <"$S/db" >"$S/new"; mv "$S/new" "$S/db"; case $n in @*) : >"$S/groups.group" ;; esac; done ;;
autoremove) : >"$S/unneeded" ;;
esac`;

/** @returns what dnf was asked since the last time */
async function stand(place: Place): Promise<{ calls: () => Promise<string[]>; keep: (name: string, text: string) => Promise<void> }> {
  const bin = join(place.dir, '..', 'bin');
  const state = join(place.dir, '..', 'state');
  await mkdir(bin);
  await mkdir(state);
  const keep = (name: string, text: string): Promise<void> => writeFile(join(state, name), text);
  for (const name of ['upgrades', 'unneeded', 'groups.group', 'groups.environment', 'calls']) await keep(name, '');
  await keep('db', `${LINES.join('\n')}\n`);
  await keep('version', '4.14.0\n');
  for (const [name, text] of Object.entries({ rpm: RPM, dnf: DNF })) await writeFile(join(bin, name), `#!/bin/sh\nS=${state}\n${text}\n`, { mode: 0o755 });
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  return {
    keep,
    async calls() {
      const text = await readFile(join(state, 'calls'), 'utf8');
      await keep('calls', '');
      return text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    },
  };
}

inShells(test, 'packages come and go, and dnf is not asked where rpm knows', async (t, place) => {
  const { calls } = await stand(place);
  t.deepEqual((await converge(t, place, dnf, { name: 'bash,httpd-2.4.57,bash.x86_64,webserver,/usr/sbin/httpd,bind-libs-32:9.16.23,httpd >= 2.4' })).result, { msg: 'Nothing to do', rc: 0, results: [] });
  t.deepEqual(await calls(), []);
  const { changes, result } = await converge(t, place, dnf, { name: ['git', 'bash', 'make >= 0.9'], enablerepo: 'crb', disablerepo: ['a', 'b'], update_cache: true, best: false, exclude: 'x*', skip_broken: true });
  t.deepEqual(changes, [{ field: 'packages', from: 'git absent, make >= 0.9 absent', to: 'git present, make >= 0.9 present' }]);
  t.deepEqual(result, { msg: '', rc: 0, results: ['Installed: git-1.0-1.el9.x86_64', 'Installed: make-1.0-1.el9.x86_64'] });
  t.deepEqual(await calls(), ['-y --disablerepo=a --disablerepo=b --enablerepo=crb --exclude=x* --setopt=best=0 --refresh --skip-broken --setopt=skip_unavailable=1 install git make >= 0.9']);
  t.deepEqual((await converge(t, place, dnf, { name: ['httpd*', 'git', 'none'], state: 'removed' })).result['results'], ['Removed: git-1.0-1.el9.x86_64', 'Removed: httpd-2.4.57-5.el9.x86_64', 'Removed: httpd-tools-2.4.57-5.el9.x86_64']);
  t.deepEqual(await calls(), ['-y --setopt=clean_requirements_on_remove=0 remove httpd-2.4.57-5.el9.x86_64 httpd-tools-2.4.57-5.el9.x86_64 git-1.0-1.el9.x86_64']);
  await t.throwsAsync(converge(t, place, dnf, { name: 'nosuch' }), { message: /Unable to find a match: nosuch/ });
});

inShells(test, 'versions: a higher one is taken, a lower one only where it may be', async (t, place) => {
  const { calls } = await stand(place);
  for (const name of ['httpd-2.4.51', 'httpd < 2.4', 'httpd = 2.4.51']) t.deepEqual((await look(t, place, dnf, { name })).changes, [], name);
  t.deepEqual((await look(t, place, dnf, { name: 'httpd-2.4.51', allow_downgrade: true })).changes, [{ field: 'packages', from: 'httpd-2.4.57-5.el9.x86_64', to: 'httpd-2.4.51 present' }]);
  const { changes, wanted, observed } = await converge(t, place, dnf, { name: 'httpd-2.4.62' });
  t.deepEqual(changes, [{ field: 'packages', from: 'httpd-2.4.57-5.el9.x86_64', to: 'httpd-2.4.62 present' }]);
  t.deepEqual(dnf.undo!(wanted, observed, changes), [{ cannot: 'httpd-2.4.57-5.el9.x86_64 was upgraded' }]);
  t.deepEqual(await calls(), ['-y install httpd-2.4.62']);
});

inShells(test, 'the latest is what dnf would upgrade to', async (t, place) => {
  const { calls, keep } = await stand(place);
  await keep('upgrades', '\nbash.x86_64 5.1.8-9.el9\n');
  const { changes, result } = await converge(t, place, dnf, { name: ['bash', 'git', 'httpd'], state: 'latest' });
  t.deepEqual(changes, [{ field: 'packages', from: 'bash.x86_64 5.1.8-6.el9, git absent', to: 'bash.x86_64 5.1.8-9.el9, git present' }]);
  t.deepEqual(result['results'], ['Removed: bash-5.1.8-6.el9.x86_64', 'Installed: bash-5.1.8-9.el9.x86_64', 'Installed: git-1.0-1.el9.x86_64']);
  const asked = await calls();
  t.regex(asked[0]!, /^-q repoquery --upgrades --latest-limit=1 --queryformat %\{name\}.%\{arch\} %\{evr\} +bash httpd$/);
  t.deepEqual(asked.slice(1, 3), ['-y install git', '-y upgrade bash.x86_64']);
  await keep('upgrades', 'bash.x86_64 5.1.8-9.el9\nkernel.x86_64 5.14.0-1\n');
  await converge(t, place, dnf, { name: '*', state: 'latest', security: true });
  t.is((await calls())[1], '-y upgrade --security');
  t.deepEqual((await look(t, place, dnf, { name: 'zsh', state: 'latest', update_only: true })).changes, []);
  t.deepEqual(await calls(), []);
});

inShells(test, 'groups, files and what nothing needs any more', async (t, place) => {
  const { calls, keep } = await stand(place);
  await converge(t, place, dnf, { name: '@development' });
  t.deepEqual((await look(t, place, dnf, { name: '@Development Tools' })).changes, []);
  await calls();
  await keep('version', 'dnf5 version 5.2.6.2\n');
  await keep('groups.group', 'ID                   Name                         Installed\ndevelopment-tools    Development Tools                  yes\n');
  t.deepEqual((await look(t, place, dnf, { name: ['@development-tools', '@development tools'] })).changes, []);
  t.deepEqual(await calls(), ['-q group list --installed --hidden', '-q environment list --installed']);
  await keep('version', '4.14.0\n');
  await keep('groups.group', '   Development Tools (development)\n');
  await converge(t, place, dnf, { name: '@development', state: 'absent' });
  const url = 'https://dl.example.com/epel-release-latest-9.noarch.rpm';
  const added = await converge(t, place, dnf, { name: url, disable_gpg_check: true });
  t.deepEqual(added.result['results'], ['Installed: epel-release-9-7.el9.noarch']);
  t.deepEqual(dnf.undo!(added.wanted, added.observed, added.changes), [{ module: 'dnf', args: { name: ['epel-release'], state: 'absent' } }]);
  await keep('unneeded', 'httpd-tools-2.4.57-5.el9.x86_64\n');
  const gone = await converge(t, place, dnf, { autoremove: true });
  t.deepEqual(gone.changes, [{ field: 'autoremove', from: 'httpd-tools-2.4.57-5.el9.x86_64', to: 'absent' }]);
  t.deepEqual(dnf.undo!(gone.wanted, gone.observed, gone.changes), [{ module: 'dnf', args: { name: ['httpd-tools'], state: 'present' } }]);
  await calls();
  t.deepEqual((await converge(t, place, dnf, { update_cache: true })).changes, []);
  t.deepEqual(await calls(), ['-q --refresh makecache']);
});

test('what is not there is said before', (t) => {
  const refused = (args: object): string => dnf.params.safeParse(args).error!.issues.map(({ message }) => message).join();
  t.regex(refused({}), /give packages/);
  t.regex(refused({ name: '@php:8.2' }), /streams of modules/);
  t.regex(refused({ name: 'php-*' }), /patterns/);
  t.regex(refused({ name: 'httpd>=2.4' }), /"httpd >= 2.4"/);
  t.regex(refused({ name: 'x', state: 'latest', autoremove: true }), /autoremove stands alone/);
  t.regex(refused({ list: 'installed' }), /package_facts/);
});

// The pairs are those rpm-version(7) explains.
test('versions are compared as rpm does', (t) => {
  const sorted = ['1.0~rc1', '1.0', '1.0^git1', '1.0.a', '1.0.1', '1.0.010', '1.10', '2.0.1a', '10'];
  for (let i = 1; i < sorted.length; i++) t.true(compareVersions(sorted[i - 1]!, sorted[i]!) < 0 && compareVersions(sorted[i]!, sorted[i - 1]!) > 0, `${sorted[i - 1]} < ${sorted[i]}`);
  for (const [a, b] of [['1.0', '1_0'], ['1.05', '1.5']] as const) t.is(compareVersions(a, b), 0);
});
