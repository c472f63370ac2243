import { z } from 'zod';
import { Question, type Kind } from '../shell/question.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fits, installArgument, isPattern, parseInstalled, parsePolicy, parseProvided, parseSimulation, parseSpec, patternRegex, satisfies, type Installed, type Spec } from './dpkg.js';
import { defineModule, ModuleError, type Back, type Change, type Output, type Step } from './module.js';
import { bool, choice, int, list, params, str } from './params.js';
import { hostPath } from './words.js';

const upgrades = z
  .union([z.boolean(), z.string()])
  .transform((value, context) => {
    const word = typeof value === 'boolean' ? (value ? 'yes' : 'no') : value;
    if (['no', 'yes', 'safe', 'full', 'dist'].includes(word)) return word as 'no' | 'yes' | 'safe' | 'full' | 'dist';
    context.addIssue({ code: 'custom', message: `upgrade is one of no, yes, safe, full, dist; not "${word}"` });
    return z.NEVER;
  })
  .meta({ description: 'Upgrades all packages: yes and safe remove none, full and dist may.', title: 'str' });

export const bare = params({
  name: list('Packages: name, name=version (patterns too), name>=version, name/release; * with latest is all there are.').meta({ aliases: ['package', 'pkg'] }).default([]),
  state: choice(['present', 'latest', 'absent', 'fixed', 'build-dep'], 'What the packages shall be; fixed mends broken dependencies, build-dep installs what building them takes.').default('present'),
  deb: str('A .deb file on the host, or a URL to fetch one from.').optional(),
  update_cache: bool('Whether the lists of packages are updated before, where something is to be done.').meta({ aliases: ['update-cache'] }).optional(),
  cache_valid_time: int('Seconds for which lists count as up to date; given, it means update_cache too.').default(0),
  update_cache_retries: int('How often a failed update is tried again.').default(5),
  update_cache_retry_max_delay: int('Most seconds between two tries.').default(12),
  upgrade: upgrades.default('no'),
  purge: bool('Whether configuration files go with removed packages.').default(false),
  autoremove: bool('Whether packages are removed that nothing needs any more.').default(false),
  autoclean: bool('Whether fetched package files are deleted that can no longer be fetched.').default(false),
  clean: bool('Whether all fetched package files are deleted.').default(false),
  install_recommends: bool('Whether recommended packages are installed too; apt decides unless given.').meta({ aliases: ['install-recommends'] }).optional(),
  default_release: str('The release packages are taken from first.').meta({ aliases: ['default-release'] }).optional(),
  only_upgrade: bool('Whether to leave alone what is not installed.').default(false),
  fail_on_autoremove: bool('Whether to fail where packages would be removed.').default(false),
  allow_downgrade: bool('Whether a lower version may replace a higher one.').meta({ aliases: ['allow-downgrade', 'allow_downgrades', 'allow-downgrades'] }).default(false),
  allow_change_held_packages: bool('Whether held packages may change.').default(false),
  allow_unauthenticated: bool('Whether packages without signature are taken.').meta({ aliases: ['allow-unauthenticated'] }).default(false),
  force: bool('All the allowances above at once, and removal of essential packages.').default(false),
  dpkg_options: list('Options for dpkg, without the dashes.').default(['force-confdef', 'force-confold']),
  lock_timeout: int("Seconds to wait while another process holds apt's or dpkg's lock.").default(60),
  policy_rc_d: int('Exit status services get when packages ask whether they may start: 101 keeps them from it.').optional(),
  force_apt_get: bool('Taken for compatibility: it is always apt-get.').default(false),
  auto_install_module_deps: bool('Taken for compatibility: nothing need be installed.').default(true),
});
export type Wanted = z.output<typeof bare>;

/** What must hold between the parameters. */
export function rules(context: z.core.ParsePayload<Wanted>): void {
  const wanted = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: wanted, path: [path] });
  for (const name of wanted.name) {
    try {
      const spec = parseSpec(name);
      if (isPattern(spec.name) && !['present', 'latest', 'absent'].includes(wanted.state)) issue(`patterns of names are understood with state: present, latest and absent only: "${name}"`, 'name');
    } catch (error) {
      issue((error as Error).message, 'name');
    }
  }
  if (wanted.state === 'latest' && wanted.name.length > 1 && wanted.name.includes('*')) issue('with latest * stands alone: it upgrades all packages', 'name');
  if (wanted.state === 'build-dep' && !wanted.name.length) issue('state: build-dep needs packages', 'name');
  const other = wanted.deb ?? (wanted.update_cache || wanted.cache_valid_time || wanted.upgrade !== 'no' || wanted.autoremove || wanted.autoclean || wanted.clean || wanted.state === 'fixed');
  if (!wanted.name.length && !other) issue('give packages, or something else to do (update_cache, upgrade, deb, autoremove, …)', 'name');
}

/** All packages of the latest version are what an upgrade gives. */
export async function prepare(args: Wanted): Promise<Wanted> {
  return args.state === 'latest' && args.name.includes('*') ? { ...args, name: [], state: 'present', upgrade: 'yes' } : args;
}

export interface Observed {
  packages: Installed[];
  provided: Set<string>;
  candidates: Map<string, string>;
  /** Names of packages there are that fit the wanted patterns. */
  matching: string[];
  deb: { name: string; version: string | undefined } | undefined;
  /** Seconds since the epoch, by the host's clock; undefined where there are no lists at all. */
  updated: number | undefined;
  now: number;
  upgrade: ReturnType<typeof parseSimulation>;
  autoremove: ReturnType<typeof parseSimulation>;
  fix: ReturnType<typeof parseSimulation>;
  /** Undefined where it cannot be told before the lists are updated. */
  build_dep: ReturnType<typeof parseSimulation> | undefined;
  autoclean: ReturnType<typeof parseSimulation>;
  archives: boolean;
}

const specsOf = (wanted: Wanted): Spec[] => wanted.name.map(parseSpec);
const updates = (wanted: Wanted): boolean => wanted.update_cache === true || wanted.cache_valid_time > 0;
const upgradeVerb = (wanted: Wanted) => (['full', 'dist'].includes(wanted.upgrade) ? 'dist-upgrade' : 'upgrade --with-new-pkgs');
/** A URL names its package in the file it ends in: `name_version_arch.deb`. */
const debUrl = (deb: string) => (deb.includes('://') ? /([^/_]+)_([^/_]+)_[^/_]+\.deb(?:[?#].*)?$/.exec(deb) : undefined);

/** Tasks that ask for packages and nothing else are answered together: what dpkg says of more packages does no harm. */
const packages = (wanted: Wanted): Kind<Wanted> => ({
  name: `packages ${wanted.state === 'latest'} ${wanted.default_release} ${updates(wanted)}`,
  key: ({ name }) => name.join(' '),
  text: (asked) => inspection({ ...asked[0]!, name: asked.flatMap(({ name }) => name) }),
  apart: (stdout, asked) => asked.map(() => stdout),
});

export function inspect(wanted: Wanted): Sh {
  const isSimple = wanted.deb === undefined && wanted.upgrade === 'no' && !wanted.autoremove && !wanted.autoclean && !wanted.clean && ['present', 'absent', 'latest'].includes(wanted.state);
  if (!isSimple || wanted.name.length > TOGETHER) return inspection(wanted);
  return new Question(packages(wanted), wanted);
}

/** More packages than that are asked about by themselves. */
const TOGETHER = 50;

function inspection(wanted: Wanted): Sh {
  const building = wanted.state === 'build-dep';
  const names = specsOf(building ? { ...wanted, name: [] } : wanted).map((spec) => (spec.arch === undefined ? spec.name : `${spec.name}:${spec.arch}`));
  const patterns = specsOf(wanted).map(({ name }) => name).filter(isPattern);
  const query = '${db:Status-Abbrev}\\t${Package}\\t${Architecture}\\t${Version}\\n';
  const release = wanted.default_release === undefined ? sh`` : sh`-t ${wanted.default_release}`;
  const simulated = (section: string, verb: string) => sh`echo ${`@${section}`}; apt-get -s -q -o Debug::NoLocking=true ${release} ${raw(verb)} || exit`;
  return join([
    sh`command -v apt-get >/dev/null || { echo 'the host has no apt-get' >&2; exit 1; }`,
    names.length
      ? sh`echo @packages; q=$(dpkg-query -W -f ${query} -- ${names} 2>/dev/null); r=$?
printf '%s\\n' "$q"
# What is not installed may be a name others provide; dpkg lists some of those itself.
case $r$q in 0un* | 0*'
un'*) r=1 ;; esac
case $r in
  0) ;;
  1) echo @provided; dpkg-query -W -f ${'${db:Status-Abbrev}\\t${Package}\\t${Provides}\\n'} | grep -Fw ${names.map((name) => sh`-e ${name.split(':')[0]!}`)} ;;
  *) dpkg-query -W -- ${names} >&2; exit $r ;;
esac`
      : sh``,
    wanted.state !== 'absent' && patterns.length ? sh`m=$(apt-cache pkgnames | LC_ALL=C grep -Ex ${patterns.map((pattern) => ['-e', patternRegex(pattern)])}); echo @matching; printf '%s\\n' "$m"` : sh``,
    wanted.state === 'latest' && names.length ? sh`echo @policy; apt-cache ${release} policy ${names.filter((name) => !isPattern(name))} ${patterns.length ? sh`$m` : sh``} || exit` : sh``,
    wanted.deb === undefined || wanted.deb.includes('://')
      ? sh``
      : sh`echo @deb; dpkg-deb -f ${hostPath(wanted.deb)} Package Version || exit`,
    wanted.deb === undefined
      ? sh``
      : sh`p=${debUrl(wanted.deb)?.[1] ?? ''}; [ "$p" ] || p=$(dpkg-deb -f ${hostPath(wanted.deb)} Package 2>/dev/null)
echo @debinstalled; [ -z "$p" ] || dpkg-query -W -f ${query} -- "$p" 2>/dev/null`,
    updates(wanted)
      ? sh`echo @cache; date +%s
for f in /var/lib/apt/lists/*Packages* /var/lib/apt/lists/*Release; do
  if [ -e "$f" ]; then stat -c %Y /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists 2>/dev/null; break; fi
done`
      : sh``,
    wanted.upgrade === 'no' ? sh`` : simulated('upgrade', upgradeVerb(wanted)),
    wanted.autoremove ? simulated('autoremove', 'autoremove') : sh``,
    wanted.state === 'fixed' ? simulated('fix', '--fix-broken install') : sh``,
    building
      ? sh`echo @builddep; apt-get -s -q -o Debug::NoLocking=true ${release} build-dep -- ${specsOf(wanted).map(installArgument)} || ${updates(wanted) ? sh`echo @unlisted` : sh`exit`}`
      : sh``,
    wanted.autoclean ? simulated('autoclean', 'autoclean') : sh``,
    wanted.clean ? sh`for f in /var/cache/apt/archives/*.deb; do if [ -e "$f" ]; then echo @archives; break; fi; done` : sh``,
    sh`echo @end`,
  ]);
}

export function parse(output: Output, wanted: Wanted): Observed {
  const sections = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of output.stdout.split('\n')) {
    if (/^@[a-z]+$/.test(line)) sections.set(line.slice(1), (current = []));
    else if (line !== '') current.push(line);
  }
  if (!sections.has('end')) {
    throw new ModuleError(`cannot look at packages: ${output.stderr.trim().split('\n').at(-1) || `exit status ${output.rc}`}`, { rc: output.rc, stdout: output.stdout, stderr: output.stderr });
  }
  const lines = (section: string) => sections.get(section) ?? [];
  const [now, ...stamps] = lines('cache').map(Number);
  const field = (name: string) => lines('deb').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const url = wanted.deb === undefined ? undefined : debUrl(wanted.deb);
  const name = field('Package') ?? url?.[1];
  return {
    packages: parseInstalled([...lines('packages'), ...lines('debinstalled')]),
    provided: parseProvided(lines('provided')),
    matching: lines('matching'),
    candidates: parsePolicy(lines('policy').join('\n')),
    deb: name === undefined ? undefined : { name, version: field('Version') ?? (url?.[2] && decodeURIComponent(url[2])) },
    now: now ?? 0,
    updated: stamps.length ? Math.max(...stamps) : undefined,
    upgrade: parseSimulation(lines('upgrade')),
    autoremove: parseSimulation(lines('autoremove')),
    fix: parseSimulation(lines('fix')),
    build_dep: sections.has('unlisted') ? undefined : parseSimulation(lines('builddep')),
    autoclean: parseSimulation(lines('autoclean')),
    archives: sections.has('archives'),
  };
}

const matching = (spec: Spec, observed: Observed) =>
  observed.packages.filter((each) => fits(spec.name, each.name) && (spec.arch === undefined || spec.arch === each.arch));
const versionOf = (spec: Spec, observed: Observed) => matching(spec, observed).find((each) => each.status === 'installed')?.version;

/** The wanted specs, with what there is in place of the patterns of what is to be present. */
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
    const candidate = wanted.state === 'latest' ? observed.candidates.get(spec.arch === undefined ? spec.name : `${spec.name}:${spec.arch}`) : undefined;
    const fine = version === undefined ? observed.provided.has(spec.name) && spec.version === undefined : satisfies(spec, version) && (candidate === undefined || candidate === version);
    if ((fine && !broken) || (version === undefined && !broken && wanted.only_upgrade)) return [];
    const asked = spec.version === undefined ? (candidate ?? 'present') : `${spec.relation === '>=' ? '>= ' : ''}${spec.version}`;
    return [{ spec, names: [installArgument(spec)], from: `${spec.name} ${broken ? 'half installed' : (version ?? 'absent')}`, to: `${spec.name} ${asked}` }];
  });
}

/** Lists are stale when they are older than they may be; without a time they always are. */
function stale(wanted: Wanted, observed: Observed): boolean {
  return observed.updated === undefined || wanted.cache_valid_time === 0 || observed.now - observed.updated > wanted.cache_valid_time;
}

/** Whether the lists are worth an update: for their own sake, for what is due, or to know what is the latest. */
function updateDue(wanted: Wanted, observed: Observed, pending: boolean): boolean {
  if (!updates(wanted) || !stale(wanted, observed)) return false;
  const alone = !wanted.name.length && wanted.deb === undefined;
  return pending || alone || wanted.state === 'latest' || wanted.upgrade !== 'no';
}

const listed = (all: readonly string[]) => all.join(', ');

export function compare(wanted: Wanted, observed: Observed): Change[] {
  const packages = due(wanted, observed);
  const changes: Change[] = [];
  if (packages.length) changes.push({ field: 'packages', from: listed(packages.map(({ from }) => from)), to: listed(packages.map(({ to }) => to)) });
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
  if (observed.build_dep === undefined) changes.push({ field: 'build_dep', from: 'unknown before the lists are updated', to: `what building ${listed(wanted.name)} takes` });
  else simulated('build_dep');
  if (observed.archives) changes.push({ field: 'clean', from: 'package files', to: 'none' });
  if (updateDue(wanted, observed, changes.some(({ field }) => ['packages', 'deb', 'build_dep'].includes(field)))) {
    // Without a number that grows by itself: the same finding reads the same a minute later.
    const age = observed.updated === undefined ? 'no lists' : wanted.cache_valid_time === 0 ? 'lists' : `older than ${wanted.cache_valid_time} s`;
    changes.unshift({ field: 'cache', from: age, to: 'updated' });
  }
  return changes;
}

/** Ends with apt-get's exit status and, where the cause is one of the common three, with who is at fault or what to do about it. */
function failing(wanted: Wanted): Sh {
  const lists = sh`  for f in /var/lib/apt/lists/*Packages* /var/lib/apt/lists/*Release; do [ ! -e "$f" ] || exit $r; done
  echo 'the host has no lists of packages yet: add update_cache: true' >&2`;
  return sh`failing() {
  r=$?
  ! apt-get -q -o DPkg::Lock::Timeout=0 check 2>&1 | grep -F 'It is held by' >&2 || exit $r
  for f in /var/lib/dpkg/updates/[0-9]*; do
    if [ -e "$f" ]; then echo 'dpkg was interrupted earlier; finish that first by running: dpkg --configure -a' >&2; exit $r; fi
  done
${wanted.state === 'absent' ? sh`` : lists}
  exit $r
}`;
}

export function apply(wanted: Wanted, observed: Observed, changes: readonly Change[]): Step {
  const has = (field: string) => changes.some((change) => change.field === field);
  const allowing = (flag: boolean, option: string) => (flag || wanted.force ? [option] : []);
  const get = sh`apt-get -y -q -o ${`DPkg::Lock::Timeout=${wanted.lock_timeout}`} ${wanted.dpkg_options.flatMap((option) => ['-o', `Dpkg::Options::=--${option}`])}`;
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
  const parts = [sh`export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none`, failing(wanted)];
  if (wanted.policy_rc_d !== undefined) parts.push(policy(wanted.policy_rc_d));
  if (has('cache')) parts.push(update(wanted));
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
  return { script: join(parts) };
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
    *) [ $n -lt ${wanted.update_cache_retries} ] || { printf '%s\\n' "$e" >&2; exit $r; }
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
    else if (was === undefined && matching(spec, observed).length === 0) added!.push(spec.arch === undefined ? spec.name : `${spec.name}:${spec.arch}`);
    else back.push({ cannot: `${from} was upgraded or mended` });
  }
  if (changes.some(({ field }) => field === 'deb')) {
    const { name } = observed.deb ?? {};
    if (name !== undefined && !observed.packages.some((each) => each.name === name)) added!.push(name);
    else back.push({ cannot: `${name ?? wanted.deb} was upgraded` });
  }
  if (changes.some(({ field }) => field === 'build_dep')) {
    for (const { verb, name, from } of observed.build_dep ?? []) if (verb === 'Inst' && from === undefined) added!.push(name);
    if (!observed.build_dep?.every(({ verb, from }) => verb === 'Inst' && from === undefined)) back.push({ cannot: `what building ${listed(wanted.name)} takes replaced other packages, or was not known before` });
  }
  for (const { field, from } of changes) if (['upgrade', 'autoremove', 'fix'].includes(field)) back.push({ cannot: `${field}: ${String(from)}` });
  if (added!.length > 0) back.push({ module: 'apt', args: { name: added, state: 'absent', purge: true } });
  if (removed!.length > 0) back.push({ module: 'apt', args: { name: removed, state: 'present' } });
  return back;
}

export const returns = {
  cache_updated: 'Whether the lists of packages were updated.',
  cache_update_time: 'When the lists were last updated, in seconds since the epoch.',
  stdout: 'What apt-get wrote to standard output.',
  stderr: 'What apt-get wrote to standard error.',
};

export function result(wanted: Wanted, observed: Observed, output?: Output) {
  const updated = output !== undefined && compare(wanted, observed).some(({ field }) => field === 'cache');
  return {
    cache_updated: updated,
    cache_update_time: (updated ? observed.now : observed.updated) ?? 0,
    ...(output ? { stdout: output.stdout, stderr: output.stderr } : {}),
  };
}

/** Lists without a time they stay valid are stale again at once, where an update is wanted for itself. */
export function verify(wanted: Wanted): boolean {
  return !(updates(wanted) && wanted.cache_valid_time === 0 && (wanted.state === 'latest' || wanted.upgrade !== 'no' || (!wanted.name.length && wanted.deb === undefined)));
}

export default defineModule({
  name: 'apt',
  summary: 'Installs, upgrades and removes packages of Debian and its kin.',
  params: bare.check(rules),
  returns,
  examples: [
    '- apt:\n    name: [nginx, php-fpm]\n    update_cache: true\n    cache_valid_time: 3600',
    '- apt:\n    name: nginx=1.22*\n    state: present',
    '- apt:\n    name: apache2*\n    state: absent\n    purge: true\n    autoremove: true',
    '- apt:\n    upgrade: dist',
    '- apt:\n    name: nginx\n    state: build-dep',
  ],
  prepare,
  verify,
  inspect,
  parse,
  compare,
  apply,
  undo,
  result,
});
