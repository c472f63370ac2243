import { join, raw, sh, type Sh } from '../shell/sh.js';
import { inspect, parse, weighs, type Observed } from './apt_look.js';
import { ALL, bare, rules, specsOf, updates, upgradeVerb, type Wanted } from './apt_params.js';
import { fits, installable, installArgument, isPattern, nameOf, satisfies, type Spec } from './dpkg.js';
import { defineModule, ModuleError, type Back, type Change, type Output, type Step } from './module.js';
import { hostPath } from './words.js';

const matching = (spec: Spec, observed: Observed) =>
  observed.packages.filter((each) => fits(spec.name, each.name) && (spec.arch === undefined || spec.arch === each.arch));
const versionOf = (spec: Spec, observed: Observed) => matching(spec, observed).find((each) => each.status === 'installed')?.version;

/** The wanted specs, with what there is in place of the patterns of what is to be there. */
function namedBy(wanted: Wanted, { matching }: Observed): Spec[] {
  if (wanted.state === 'absent') return specsOf(wanted);
  const all = specsOf(wanted).flatMap((spec) => {
    if (!isPattern(spec.name)) return [spec];
    const names = matching.filter((name) => fits(spec.name, name)).sort();
    if (!names.length) throw new ModuleError(`no package fits "${spec.name}" in the lists the host has; if it should, update them in a task before: update_cache: true`);
    return names.map((name) => ({ ...spec, name }));
  });
  return [...new Map(all.map((spec) => [installArgument(spec), spec])).values()];
}

/** The specs that are not as they should be, with what is there and what shall be. */
function due(wanted: Wanted, observed: Observed): { spec: Spec; names: string[]; from: string; to: string }[] {
  if (wanted.state === 'fixed' || wanted.state === 'build-dep') return [];
  return namedBy(wanted, observed).flatMap((spec) => {
    const found = matching(spec, observed);
    const version = versionOf(spec, observed);
    const broken = found.some((each) => each.status === 'broken');
    if (wanted.state === 'absent') {
      const gone = found.filter((each) => each.status !== 'config' || wanted.purge);
      const fitting = gone.filter((each) => each.status !== 'installed' || satisfies(spec, each.version));
      return fitting.map((each) => ({ spec, names: [spec.arch === undefined ? each.name : `${each.name}:${each.arch}`], from: `${each.name} ${each.status === 'config' ? 'configuration' : each.version}`, to: `${each.name} absent` }));
    }
    const best = weighs(wanted, spec) ? installable(spec, observed.policies.get(nameOf(spec))) : undefined;
    const newer = wanted.state === 'latest' && best !== undefined && best !== version;
    const fine = version === undefined ? observed.provided.has(spec.name) && spec.version === undefined : satisfies(spec, version) && !newer;
    if ((fine && !broken) || (version === undefined && !broken && wanted.only_upgrade)) return [];
    const isFresh = !updates(wanted) || !stale(wanted, observed);
    if (spec.version !== undefined && best === undefined && weighs(wanted, spec) && isFresh) throw new ModuleError(`no available installation candidate for ${spec.written}`);
    const asked = best ?? (spec.version === undefined ? 'present' : `${spec.relation === '>=' ? '>= ' : ''}${spec.version}`);
    const argument = spec.version !== undefined && best !== undefined && isFresh ? `${nameOf(spec)}=${best}` : installArgument(spec);
    return [{ spec, names: [argument], from: `${spec.name} ${broken ? 'half installed' : (version ?? 'absent')}`, to: `${spec.name} ${asked}` }];
  });
}

/** Packages that are asked for by name and there as dependencies only: apt would take them away when nothing else needs them. */
function unmarked(wanted: Wanted, observed: Observed): string[] {
  if (!['present', 'latest'].includes(wanted.state) || wanted.only_upgrade) return [];
  return namedBy(wanted, observed).flatMap((spec) => {
    const found = matching(spec, observed);
    const isMarked = found.length !== 1 || ![...observed.automatic].some((each) => each === nameOf(spec) || (spec.arch === undefined && each.startsWith(`${spec.name}:`)));
    return isMarked || versionOf(spec, observed) === undefined ? [] : [nameOf(spec)];
  });
}

/** Lists are stale when they are older than they may be; without a time they always are. */
function stale(wanted: Wanted, observed: Observed): boolean {
  return observed.updated === undefined || wanted.cache_valid_time === 0 || observed.now - observed.updated > wanted.cache_valid_time;
}

/** Whether the lists are worth an update: for their own sake, for what is due, or to know what is the latest. */
function updateDue(wanted: Wanted, observed: Observed, pending: boolean): boolean {
  if (!updates(wanted) || !stale(wanted, observed)) return false;
  const alone = !specsOf(wanted).length && wanted.deb === undefined;
  return pending || alone || wanted.state === 'latest' || wanted.upgrade !== 'no';
}

const listed = (all: readonly string[]) => all.join(', ');

export function compare(wanted: Wanted, observed: Observed): Change[] {
  const packages = due(wanted, observed);
  const changes: Change[] = [];
  if (packages.length) changes.push({ field: 'packages', from: listed(packages.map(({ from }) => from)), to: listed(packages.map(({ to }) => to)) });
  const manual = unmarked(wanted, observed);
  if (manual.length) changes.push({ field: 'manual', from: `${listed(manual)} as dependencies`, to: `${listed(manual)} by themselves` });
  if (wanted.deb !== undefined) {
    const there = observed.packages.find((each) => each.name === observed.deb?.name && each.status === 'installed')?.version;
    if (there === undefined || there !== observed.deb?.version) changes.push({ field: 'deb', from: there ?? 'absent', to: observed.deb?.version ?? wanted.deb });
  }
  const simulated = (field: 'upgrade' | 'autoremove' | 'fix' | 'autoclean' | 'build_dep') => {
    const all = observed[field] ?? [];
    if (all.length) changes.push({ field, from: listed(all.map((each) => `${each.name} ${each.from ?? 'absent'}`)), to: listed(all.map((each) => `${each.name} ${each.to ?? 'absent'}`)) });
  };
  simulated('fix');
  simulated('upgrade');
  simulated('autoremove');
  simulated('autoclean');
  if (observed.build_dep === undefined) changes.push({ field: 'build_dep', from: 'unknown before the lists are updated', to: `what building ${listed(wanted.name!)} takes` });
  else simulated('build_dep');
  if (observed.archives) changes.push({ field: 'clean', from: 'package files', to: 'none' });
  if (updateDue(wanted, observed, changes.some(({ field }) => ['packages', 'deb', 'build_dep'].includes(field)))) {
    // Without a number that grows by itself: the same finding reads the same a minute later.
    const age = observed.updated === undefined ? 'no lists' : wanted.cache_valid_time === 0 ? 'lists' : `older than ${wanted.cache_valid_time} s`;
    changes.unshift({ field: 'cache', from: age, to: 'updated' });
  }
  return changes;
}

/** Keeps apt-get from writing its caches, which a plan must not. */
const CACHELESS = ['-o', 'Dir::Cache::pkgcache=', '-o', 'Dir::Cache::srcpkgcache='];

/** Ends with apt-get's exit status and, where the cause is one of the common three, with who is at fault or what to do about it. */
function failing(wanted: Wanted): Sh {
  const lists = sh`  for f in /var/lib/apt/lists/*Packages* /var/lib/apt/lists/*Release; do [ ! -e "$f" ] || exit $r; done
  echo 'the host has no lists of packages yet: add update_cache: true' >&2`;
  return sh`failing() {
  r=$?
  ! apt-get -q -o DPkg::Lock::Timeout=0 ${CACHELESS} check 2>&1 | grep -F 'It is held by' >&2 || exit $r
  for f in /var/lib/dpkg/updates/[0-9]*; do
    if [ -e "$f" ]; then echo 'dpkg was interrupted earlier; finish that first by running: dpkg --configure -a' >&2; exit $r; fi
  done
${wanted.state === 'absent' ? sh`` : lists}
  exit $r
}`;
}

const ENVIRONMENT = sh`export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none`;

export function apply(wanted: Wanted, observed: Observed, changes: readonly Change[]): Step {
  const has = (field: string) => changes.some((change) => change.field === field);
  const get = sh`apt-get -y -q -o ${`DPkg::Lock::Timeout=${wanted.lock_timeout}`} ${wanted.dpkg_options.flatMap((option) => ['-o', `Dpkg::Options::=--${option}`])}`;
  return {
    script: join([
      ENVIRONMENT,
      failing(wanted),
      wanted.policy_rc_d === undefined ? sh`` : policy(wanted.policy_rc_d),
      has('cache') ? update(wanted) : sh``,
      ...steps(wanted, observed, changes, get),
      has('manual') ? sh`apt-mark -q manual -- ${unmarked(wanted, observed)} || failing` : sh``,
    ]),
  };
}

/** What apt-get says it would do. Before the lists are updated, or of what has to be fetched first, it cannot say. */
export function rehearse(wanted: Wanted, observed: Observed, changes: readonly Change[]): Sh | undefined {
  if (changes.some(({ field }) => field === 'cache' || (field === 'deb' && wanted.deb!.includes('://')))) return undefined;
  return join([ENVIRONMENT, failing(wanted), ...steps(wanted, observed, changes, sh`apt-get -s -q -o Debug::NoLocking=true ${CACHELESS}`)]);
}

/** @param get apt-get with the options that all calls of it have */
function steps(wanted: Wanted, observed: Observed, changes: readonly Change[], get: Sh): Sh[] {
  const has = (field: string) => changes.some((change) => change.field === field);
  const allowing = (flag: boolean, option: string) => (flag || wanted.force ? [option] : []);
  const options = [
    ...(wanted.default_release === undefined ? [] : ['-t', wanted.default_release]),
    ...(wanted.install_recommends === undefined ? [] : ['-o', `APT::Install-Recommends=${wanted.install_recommends ? 'yes' : 'no'}`]),
    ...(wanted.only_upgrade ? ['--only-upgrade'] : []),
    ...(wanted.fail_on_autoremove ? ['--no-remove'] : []),
    ...(wanted.autoremove && wanted.state !== 'build-dep' ? ['--auto-remove'] : []),
    ...allowing(wanted.allow_downgrade, '--allow-downgrades'),
    ...allowing(wanted.allow_change_held_packages, '--allow-change-held-packages'),
    ...allowing(wanted.allow_unauthenticated, '--allow-unauthenticated'),
    ...allowing(false, '--allow-remove-essential'),
  ];
  const parts: Sh[] = [];
  if (has('clean')) parts.push(sh`${get} clean || failing`);
  if (has('fix')) parts.push(sh`${get} --fix-broken install ${options} || failing`);
  if (has('upgrade') || (has('cache') && wanted.upgrade !== 'no')) parts.push(sh`${get} ${raw(upgradeVerb(wanted))} ${options} || failing`);
  if (has('build_dep')) parts.push(sh`${get} ${options} build-dep -- ${specsOf(wanted).map(installArgument)} || failing`);
  const names = due(wanted, observed).flatMap((each) => each.names);
  // Fresh lists may hold versions the old ones did not: with `latest` all are asked for again.
  const asked = wanted.state === 'latest' && has('cache') ? latestOf(wanted, observed) : names;
  if (asked.length) {
    const verb = wanted.state !== 'absent' ? 'install' : wanted.purge ? 'purge' : 'remove';
    parts.push(sh`${get} ${options} ${raw(verb)} -- ${asked} || failing`);
  }
  if (has('deb')) parts.push(deb(wanted.deb!, sh`${get} ${options}`));
  if (has('autoremove') && !asked.length) parts.push(sh`${get} ${wanted.purge ? ['--purge'] : []} autoremove || failing`);
  if (has('autoclean')) parts.push(sh`${get} autoclean || failing`);
  return parts;
}

function latestOf(wanted: Wanted, observed: Observed): string[] {
  return namedBy(wanted, observed).filter((spec) => !wanted.only_upgrade || versionOf(spec, observed) !== undefined).map(installArgument);
}

/** Updates the lists: waits for their lock, tries again when the net fails. What apt-get wrote last tells the reason. */
export function update(wanted: Pick<Wanted, 'lock_timeout' | 'update_cache_retries' | 'update_cache_retry_max_delay'>): Sh {
  return sh`n=0 w=0
while :; do
  { e=$(apt-get -q -o APT::Update::Error-Mode=any update 2>&1 >&3); r=$?; } 3>&1
  [ $r -ne 0 ] || break
  case $e in
    *'/var/lib/apt/lists/lock'*) [ $w -lt ${wanted.lock_timeout} ] || { printf '%s\\n' "$e" >&2; printf '%s\\n' "$e" | grep -F 'It is held by' >&2; exit $r; }; w=$((w + 1)); sleep 1 ;;
    *) [ $n -lt ${wanted.update_cache_retries} ] || { printf '%s\\n' "$e" "Failed to update apt cache after $n retries: $(printf '%s\\n' "$e" | grep '^E:' | tr '\\n' ' ')" >&2; exit $r; }
      d=$((1 << n)); [ $d -lt ${wanted.update_cache_retry_max_delay} ] || d=${wanted.update_cache_retry_max_delay}
      n=$((n + 1)); sleep $d ;;
  esac
done
touch /var/lib/apt/lists`;
}

/** Answers packages that ask whether their services may start, until this task is over. */
function policy(status: number): Sh {
  return sh`p=/usr/sbin/policy-rc.d
[ ! -e $p ] || mv $p $p.muster || exit
trap 'rm -f $p; [ ! -e $p.muster ] || mv $p.muster $p' EXIT
printf '#!/bin/sh\\nexit %s\\n' ${status} >$p && chmod 755 $p || exit`;
}

function deb(written: string, get: Sh): Sh {
  if (!written.includes('://')) return sh`${get} install -- "$(readlink -f ${hostPath(written)})" || failing`;
  return sh`d=$(mktemp -d) && chmod 755 "$d" && /usr/lib/apt/apt-helper download-file ${written} "$d/package.deb" || { rm -rf "$d"; exit 1; }
${get} install -- "$d/package.deb"; r=$?
rm -rf "$d"
[ $r -eq 0 ] || exit $r`;
}

/** Packages that were not there go again, with their configuration; those that were removed come back, in the version there is. */
export function undo(wanted: Wanted, observed: Observed, changes: readonly Change[]): (Back | { cannot: string })[] {
  const back: (Back | { cannot: string })[] = [];
  const [added, removed]: string[][] = [[], []];
  for (const { spec, names, from } of due(wanted, observed)) {
    const was = versionOf(spec, observed);
    if (wanted.state === 'absent') removed!.push(...names);
    else if (was === undefined && matching(spec, observed).length === 0) added!.push(nameOf(spec));
    else back.push({ cannot: `${from} was upgraded or mended` });
  }
  if (changes.some(({ field }) => field === 'deb')) {
    const { name } = observed.deb ?? {};
    if (name !== undefined && !observed.packages.some((each) => each.name === name)) added!.push(name);
    else back.push({ cannot: `${name ?? wanted.deb} was upgraded` });
  }
  if (changes.some(({ field }) => field === 'build_dep')) {
    for (const { verb, name, from } of observed.build_dep ?? []) if (verb === 'Inst' && from === undefined) added!.push(name);
    if (!observed.build_dep?.every(({ verb, from }) => verb === 'Inst' && from === undefined)) back.push({ cannot: `what building ${listed(wanted.name!)} takes replaced other packages, or was not known before` });
  }
  for (const { field, from } of changes) if (['upgrade', 'autoremove', 'fix', 'manual'].includes(field)) back.push({ cannot: `${field}: ${String(from)}` });
  if (added!.length > 0) back.push({ module: 'apt', args: { name: added, state: 'absent', purge: true } });
  if (removed!.length > 0) back.push({ module: 'apt', args: { name: removed, state: 'present' } });
  return back;
}

export const returns = {
  cache_updated: 'Whether the lists of packages were updated.',
  cache_update_time: 'When the lists were last updated, in seconds since the epoch.',
  stdout: 'What apt-get wrote to standard output; in a plan, what it says it would do.',
  stderr: 'What apt-get wrote to standard error.',
};

export function result(wanted: Wanted, observed: Observed, output?: Output) {
  const updated = output !== undefined && compare(wanted, observed).some(({ field }) => field === 'cache');
  const stdout = output?.stdout ?? observed.printed;
  const told = output && wanted.diff ? account(output.stdout) : undefined;
  return {
    cache_updated: updated,
    cache_update_time: (updated ? observed.now : observed.updated) ?? 0,
    ...(stdout === undefined ? {} : { stdout, stderr: output?.stderr ?? '' }),
    ...(stdout !== undefined && wanted.upgrade !== 'no' ? { msg: stdout } : {}),
    ...(told === undefined ? {} : { diff: { prepared: told } }),
  };
}

/** What apt-get says of the packages, between reading its lists and working on them. */
function account(stdout: string): string {
  const lines = stdout.split('\n');
  const from = lines.findLastIndex((line) => line.startsWith('Reading state information...')) + 1;
  const to = lines.findIndex((line, i) => i >= from && /^\d+ upgraded/.test(line));
  return lines.slice(from, to < 0 ? undefined : to + 1).join('\n');
}

/** Lists without a time they stay valid are stale again at once, where an update is wanted for itself. */
export function verify(wanted: Wanted): boolean {
  return !(updates(wanted) && wanted.cache_valid_time === 0 && (wanted.state === 'latest' || wanted.upgrade !== 'no' || (!specsOf(wanted).length && wanted.deb === undefined)));
}

export default defineModule({
  name: 'apt',
  summary: 'Installs, upgrades and removes packages of Debian and its kin.',
  params: bare.check(rules),
  returns,
  // All packages of the latest version are what an upgrade gives.
  prepare: async (args, { diff }): Promise<Wanted> => ({ ...args, ...(args.state === 'latest' && args.name?.includes(ALL) ? { name: [], state: 'present', upgrade: 'yes' } : {}), diff }),
  examples: [
    '- apt:\n    name: [nginx, php-fpm]\n    update_cache: true\n    cache_valid_time: 3600',
    '- apt:\n    name: nginx=1.22*\n    state: present',
    '- apt:\n    name: apache2*\n    state: absent\n    purge: true\n    autoremove: true',
    '- apt:\n    upgrade: dist',
    '- apt:\n    name: nginx\n    state: build-dep',
  ],
  verify,
  inspect,
  parse,
  compare,
  apply,
  rehearse,
  undo,
  result,
});
