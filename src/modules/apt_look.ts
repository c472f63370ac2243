/** What apt and dpkg are asked, and what they answer. */
import { Question, type Kind } from '../shell/question.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { specsOf, updates, upgradeVerb, type Wanted } from './apt_params.js';
import { installArgument, isPattern, nameOf, parseInstalled, parsePolicy, parseProvided, parseSimulation, patternRegex, type Installed, type Policy, type Spec } from './dpkg.js';
import { ModuleError, type Output } from './module.js';
import { hostPath } from './words.js';

export interface Observed {
  packages: Installed[];
  provided: Set<string>;
  /** By name, where what apt would install matters. */
  policies: Map<string, Policy>;
  /** `name:architecture` of packages that only came as dependencies. */
  automatic: Set<string>;
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
  /** What apt-get printed of what it would do besides packages, where that was asked for. */
  printed: string | undefined;
}

/** A URL names its package in the file it ends in: `name_version_arch.deb`. */
const debUrl = (deb: string) => (deb.includes('://') ? /(?<![^/_])([^/_]+)_([^/_]+)_[^/_]+\.deb(?:[?#].*)?$/.exec(deb) : undefined);

/** Tasks that ask for packages and nothing else are answered together: what dpkg says of more packages does no harm. */
const packages = (wanted: Wanted): Kind<Wanted> => ({
  name: `packages ${wanted.state} ${wanted.default_release} ${updates(wanted)}`,
  key: ({ name = [] }) => name.join(' '),
  text: (asked) => inspection({ ...asked[0]!, name: asked.flatMap(({ name = [] }) => name) }),
  apart: (stdout, asked) => asked.map(() => stdout),
});

export function inspect(wanted: Wanted): Sh {
  const isSimple = wanted.deb === undefined && wanted.upgrade === 'no' && !wanted.autoremove && !wanted.autoclean && !wanted.clean && ['present', 'absent', 'latest'].includes(wanted.state);
  if (!isSimple || specsOf(wanted).length > TOGETHER) return inspection(wanted);
  return new Question(packages(wanted), wanted);
}

/** Whether it matters which version apt would take. */
export function weighs({ state }: Wanted, { version, relation }: Spec): boolean {
  return state === 'latest' || (state === 'present' && version !== undefined && (relation === '>=' || isPattern(version)));
}

/** More packages than that are asked about by themselves. */
const TOGETHER = 50;

function inspection(wanted: Wanted): Sh {
  const building = wanted.state === 'build-dep';
  const specs = building ? [] : specsOf(wanted);
  const names = specs.map(nameOf);
  const patterns = wanted.state === 'absent' ? [] : specs.filter(({ name }) => isPattern(name));
  const weighed = specs.filter((spec) => weighs(wanted, spec));
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
    patterns.length ? sh`m=$(apt-cache pkgnames | LC_ALL=C grep -Ex ${patterns.map(({ name }) => ['-e', patternRegex(name)])}); printf '@matching\\n%s\\n' "$m"` : sh`m=`,
    weighed.length ? sh`set -- ${weighed.map(nameOf).filter((name) => !isPattern(name))} $m; echo @policy; [ $# -eq 0 ] || apt-cache ${release} policy "$@" || exit` : sh``,
    wanted.state !== 'absent' && names.length
      ? sh`echo @automatic
re=${`^(${specs.map(({ name }) => patternRegex(name)).join('|')}):`} LC_ALL=C awk '
  /^Package:/ { p = $2 } /^Architecture:/ { a = $2 } /^Auto-Installed: 1/ && (p ":" a) ~ ENVIRON["re"] { print p ":" a }' /var/lib/apt/extended_states 2>/dev/null`
      : sh``,
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
    wanted.clean ? sh`for f in /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/* /var/cache/apt/pkgcache.bin /var/cache/apt/srcpkgcache.bin; do if [ -e "$f" ]; then echo @archives; break; fi; done` : sh``,
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
  const printed = ['fix', 'upgrade', 'builddep', 'autoremove', 'autoclean'].flatMap(lines);
  const url = wanted.deb === undefined ? undefined : debUrl(wanted.deb);
  const name = field('Package') ?? url?.[1];
  return {
    packages: parseInstalled([...lines('packages'), ...lines('debinstalled')]),
    provided: parseProvided(lines('provided')),
    matching: lines('matching'),
    policies: parsePolicy(lines('policy').join('\n')),
    automatic: new Set(lines('automatic')),
    deb: name === undefined ? undefined : { name, version: field('Version') ?? (url?.[2] && decodeURIComponent(url[2])) },
    now: now ?? 0,
    updated: stamps.length ? Math.max(...stamps) : undefined,
    upgrade: parseSimulation(lines('upgrade')),
    autoremove: parseSimulation(lines('autoremove')),
    fix: parseSimulation(lines('fix')),
    build_dep: sections.has('unlisted') ? undefined : parseSimulation(lines('builddep')),
    autoclean: parseSimulation(lines('autoclean')),
    archives: sections.has('archives'),
    printed: printed.length ? printed.map((line) => `${line}\n`).join('') : undefined,
  };
}
