import { join, sh, type Sh } from '../shell/sh.js';
import { fnmatch } from '../value/glob.js';
import { defineModule, ModuleError, type Back, type Change } from './module.js';
import { bool, choice, int, list, params, path, str } from './params.js';
import { compareTo, cuts, evr, isLabelOf, nevra, parseRpms, parseSpec, QUERY, satisfies, type Rpm, type Spec } from './rpm.js';
import { hostPath } from './words.js';

const schema = params({
  name: list('Packages: name, name-version, "name >= version", a path or another thing they provide, a .rpm file on the host or its URL, @group; * with latest is all there are.').meta({ aliases: ['pkg'] }).default([]),
  state: choice(['present', 'installed', 'latest', 'absent', 'removed'], 'What the packages shall be: present unless given, with autoremove absent.').optional(),
  enablerepo: list('Repositories that are enabled for this task.').default([]),
  disablerepo: list('Repositories that are disabled for this task.').default([]),
  update_cache: bool('Whether what is known of the repositories is fetched anew before dnf is asked or does something.').meta({ aliases: ['expire-cache'] }).default(false),
  update_only: bool('Whether to leave alone what is not installed.').default(false),
  autoremove: bool('Whether packages are removed that came as dependencies and nothing needs any more.').default(false),
  exclude: list('Packages that are left out of installing and upgrading.').default([]),
  security: bool('With latest: only what mends a security issue.').default(false),
  bugfix: bool('With latest: only what mends a fault.').default(false),
  allow_downgrade: bool('Whether a lower version may replace a higher one.').default(false),
  allowerasing: bool('Whether installed packages may be removed where they are in the way.').default(false),
  best: bool('Whether the highest version is taken or none; dnf decides unless given.').optional(),
  nobest: bool('The opposite of best.').optional(),
  skip_broken: bool('Whether packages are skipped that are not to be had or whose dependencies are not.').default(false),
  install_weak_deps: bool('Whether packages are installed too that others only recommend.').default(true),
  disable_gpg_check: bool("Whether packages' signatures are not checked.").default(false),
  sslverify: bool("Whether the repositories' certificates are checked.").default(true),
  cacheonly: bool('Whether nothing is fetched that tells of repositories.').default(false),
  conf_file: path("dnf's configuration on the host, where it is another.").optional(),
  disable_excludes: str("Which configured excludes do not count: all, main or a repository's.").optional(),
  enable_plugin: list('Plugins of dnf that are enabled for this task.').default([]),
  disable_plugin: list('Plugins of dnf that are disabled for this task.').default([]),
  installroot: str('Where packages are installed, if not in the root.').default('/'),
  releasever: str('The release packages are of.').optional(),
  validate_certs: bool('Not supported where false: bring the file by get_url.').default(true),
  list: str('Not supported: package_facts tells what is installed.').optional(),
  download_only: bool('Not supported: run "dnf download" with the command module.').default(false),
  download_dir: path('Not supported, likewise.').optional(),
  lock_timeout: int('Taken for compatibility: dnf waits for its lock.').default(30),
  install_repoquery: bool('Taken for compatibility.').default(true),
  use_backend: choice(['auto', 'yum', 'yum4', 'dnf', 'dnf4', 'dnf5'], 'Taken for compatibility: it is the dnf of the host.').meta({ aliases: ['use'] }).default('auto'),
}).check((context) => {
  const wanted = context.value;
  const issue = (message: string, path: string): unknown => context.issues.push({ code: 'custom', message, input: wanted, path: [path] });
  if (wanted.list !== undefined) issue('list is not supported; package_facts tells what is installed', 'list');
  else if (wanted.name.length === 0 && !wanted.update_cache && !wanted.autoremove) issue('give packages, or update_cache or autoremove', 'name');
  if (wanted.best !== undefined && wanted.nobest !== undefined) issue('give best or nobest, not both', 'nobest');
  if (wanted.autoremove && stateOf(wanted) !== 'absent') issue('autoremove stands alone or with state: absent', 'autoremove');
  if (wanted.download_only || wanted.download_dir !== undefined) issue('downloads are not supported; run "dnf download" with the command module', 'download_only');
  if (!wanted.validate_certs) issue('validate_certs: false is not supported; bring the file by get_url', 'validate_certs');
  for (const spec of wanted.name.map(parseSpec)) {
    const { text, kind } = spec;
    const state = stateOf(wanted);
    if (text.startsWith('-') || text.trim() === '') issue(`"${text}" is not the name of a package`, 'name');
    if (kind === 'label' && /[<>=]/.test(text)) issue(`write blanks around the comparison: "${text.replace(/\s*([<>=]+)\s*/, ' $1 ')}"`, 'name');
    if (kind === 'pattern' && state === 'present') issue(`patterns of names are understood with state: absent and latest only: "${text}"`, 'name');
    if (kind === 'pattern' && state === 'latest' && text !== '*' && !wanted.update_only) issue(`with state: latest a pattern needs update_only: true: "${text}"`, 'name');
    if (kind === 'group' && text.includes(':')) issue(`streams of modules are not supported: "${text}"; run "dnf module install" with the command module`, 'name');
    if (kind === 'group' && state === 'latest') issue(`groups are present or absent, not latest: "${text}"`, 'name');
  }
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  installed: Rpm[];
  /** Whether something installed provides a label that is none's name. */
  providers: Map<string, Rpm[]>;
  /** What is in a .rpm file. */
  files: Map<string, Rpm>;
  /** Name.arch -> the version it would be upgraded to. */
  upgrades: Map<string, string>;
  /** Names and ids of installed groups, in lower case. */
  groups: Set<string>;
  unneeded: string[];
}

function stateOf({ state, autoremove }: Pick<Wanted, 'state' | 'autoremove'>): 'present' | 'latest' | 'absent' {
  if (state === 'latest') return state;
  return state === 'absent' || state === 'removed' || (state === undefined && autoremove) ? 'absent' : 'present';
}

const ofKind = (wanted: Wanted, ...kinds: Spec['kind'][]): string[] => wanted.name.map(parseSpec).flatMap((spec) => (kinds.includes(spec.kind) ? [spec.kind === 'related' ? spec.name : spec.text] : []));
const root = ({ installroot }: Wanted): string[] => (installroot === '/' ? [] : ['--root', installroot]);

const FIND = sh`if command -v dnf >/dev/null; then d=dnf
elif command -v dnf5 >/dev/null; then d=dnf5
else echo 'the host has no dnf' >&2; exit 1; fi`;

/** Options of dnf 4 and dnf 5 alike. */
function options(wanted: Wanted): string[] {
  const each = (option: string, values: readonly string[]): string[] => values.map((value) => `--${option}=${value}`);
  const best = wanted.best ?? (wanted.nobest === undefined ? undefined : !wanted.nobest);
  return [
    ...each('disablerepo', wanted.disablerepo), ...each('enablerepo', wanted.enablerepo), ...each('exclude', wanted.exclude),
    ...each('enableplugin', wanted.enable_plugin), ...each('disableplugin', wanted.disable_plugin),
    ...each('config', wanted.conf_file === undefined ? [] : [wanted.conf_file]), ...each('releasever', wanted.releasever === undefined ? [] : [wanted.releasever]),
    ...each('installroot', wanted.installroot === '/' ? [] : [wanted.installroot]),
    ...each('setopt', [
      ...(best === undefined ? [] : [`best=${Number(best)}`]), ...(wanted.sslverify ? [] : ['sslverify=0']), ...(wanted.install_weak_deps ? [] : ['install_weak_deps=0']),
      ...(wanted.disable_excludes === undefined ? [] : [`disable_excludes=${wanted.disable_excludes}`]),
    ]),
    ...(wanted.cacheonly ? ['--cacheonly'] : []),
    ...(wanted.disable_gpg_check ? ['--nogpgcheck'] : []),
    ...(wanted.update_cache ? ['--refresh'] : []),
  ];
}

const advisories = ({ security, bugfix }: Wanted): string[] => [...(security ? ['--security'] : []), ...(bugfix ? ['--bugfix'] : [])];

export const dnf = defineModule<typeof schema, Observed, Wanted>({
  name: 'dnf',
  aliases: ['dnf5', 'yum'],
  summary: 'Installs, upgrades and removes packages of Red Hat and its kin.',
  params: schema,
  returns: { msg: 'Empty, or that there was nothing to do.', rc: '0.', results: 'What was installed and removed, a line each.' },
  examples: [
    '- dnf:\n    name: [httpd, mariadb-server]\n    state: present',
    '- dnf:\n    name: https://rpm.example.com/tool-1.0-1.noarch.rpm\n    disable_gpg_check: true',
    '- dnf:\n    name: "*"\n    state: latest\n    security: true',
  ],
  // dnf keeps what it fetched of the repositories whenever it is asked; with that the same questions cost less.
  inspect(wanted) {
    const labels = ofKind(wanted, 'label', 'related');
    const bases = ofKind(wanted, 'label').flatMap((label) => cuts(label).map(({ name }) => name));
    const patterns = ofKind(wanted, 'pattern').filter((each) => each !== '*');
    const rpm = sh`rpm ${root(wanted)}`;
    const ask = sh`$d -q ${options(wanted)}`;
    const parts: Sh[] = [FIND, sh`export LC_ALL=C\nrpm -q rpm >/dev/null || exit\necho @packages`];
    if (labels.length > 0) {
      parts.push(sh`${rpm} -q --qf ${QUERY} ${labels} || for n in ${labels}; do
  printf '@provided %s\\n' "$n"
  ${rpm} -q --whatprovides --qf ${QUERY} "$n"
done
echo @packages`);
    }
    if (bases.length > 0) parts.push(sh`${rpm} -q --qf ${QUERY} ${bases}`);
    if (patterns.length > 0) parts.push(sh`${rpm} -qa --qf ${QUERY} ${patterns} || exit`);
    for (const file of ofKind(wanted, 'file')) {
      parts.push(sh`printf '@file %s\\n' ${file}
l=$(rpm -qp --nosignature --qf ${QUERY} ${file.includes('://') ? file : hostPath(file)}) || { echo ${`cannot read ${file}`} >&2; exit 1; }
printf '%s\\n@packages\\n' "$l"
${rpm} -q --qf ${QUERY} "\${l%%\t*}"`);
    }
    if (ofKind(wanted, 'group').length > 0) {
      parts.push(sh`echo @groups
case $($d --version) in
*dnf5*) ${ask} group list --installed --hidden && ${ask} environment list --installed || exit ;;
*) ${ask} group list --installed --hidden --ids || exit ;;
esac`);
    }
    if (stateOf(wanted) === 'latest') {
      const format = '%{name}.%{arch} %{evr}\n';
      const query = sh`${ask} repoquery --upgrades --latest-limit=1 ${advisories(wanted)} --queryformat ${format}`;
      parts.push(wanted.name.includes('*') ? sh`echo @upgrades\n${query} || exit` : sh`set -- $(${rpm} -q --qf '%{NAME}\\t\\n' ${labels} | sed -n ${'s/\t$//p'} | sort -u) ${patterns}
echo @upgrades
[ $# -eq 0 ] || ${query} "$@" || exit`);
    }
    if (wanted.autoremove) parts.push(sh`echo @unneeded\n$d -q ${wanted.installroot === '/' ? [] : [`--installroot=${wanted.installroot}`]} '--disablerepo=*' repoquery --unneeded --queryformat ${'%{name}-%{version}-%{release}.%{arch}\n'} || exit`);
    if (wanted.update_cache && wanted.name.length === 0) parts.push(sh`${ask} makecache >&2 || exit`);
    return join([...parts, sh`echo @end`]);
  },
  parse({ rc, stdout, stderr }): Observed {
    const sections = new Map<string, string[]>();
    let current: string[] = [];
    for (const line of stdout.split('\n')) {
      if (/^@(packages|groups|upgrades|unneeded|end|provided .+|file .+)$/.test(line)) {
        current = sections.get(line.slice(1)) ?? [];
        sections.set(line.slice(1), current);
      } else if (line.trim() !== '') current.push(line);
    }
    if (!sections.has('end')) throw new ModuleError(`cannot look at packages: ${stderr.trim().split('\n').at(-1) || `exit status ${rc}`}`, { rc, stdout, stderr });
    const lines = (section: string): string[] => sections.get(section) ?? [];
    const behind = (word: string): [string, Rpm[]][] => [...sections].flatMap(([key, found]) => (key.startsWith(`${word} `) ? [[key.slice(word.length + 1), parseRpms(found)]] : []));
    return {
      installed: parseRpms(lines('packages')),
      providers: new Map(behind('provided').filter(([, found]) => found.length > 0)),
      files: new Map(behind('file').map(([name, [found]]) => {
        if (found === undefined) throw new ModuleError(`cannot read what rpm says of ${name}`, { stdout, stderr });
        return [name, found];
      })),
      upgrades: new Map(lines('upgrades').map((line) => line.trim().split(' ') as [string, string])),
      groups: new Set(lines('groups').flatMap(parseGroup)),
      unneeded: lines('unneeded').map((line) => line.trim()),
    };
  },
  compare(wanted, observed) {
    const changes: Change[] = [];
    const all = due(wanted, observed);
    if (all.length > 0) changes.push({ field: 'packages', from: all.map(({ from }) => from).join(', '), to: all.map(({ to }) => to).join(', ') });
    if (observed.unneeded.length > 0) changes.push({ field: 'autoremove', from: observed.unneeded.join(', '), to: 'absent' });
    return changes;
  },
  apply(wanted, observed, changes) {
    const names = (verb: Due['verb']): string[] => [...new Set(due(wanted, observed).flatMap((each) => (each.verb === verb ? each.names : [])))];
    const run = sh`$d -y ${options(wanted)} ${wanted.allowerasing ? ['--allowerasing'] : []}`;
    const skip = wanted.skip_broken ? ['--skip-broken', '--setopt=skip_unavailable=1'] : [];
    const [installs, upgrades, removals] = [names('install'), names('upgrade'), names('remove')];
    const files = installs.filter((each) => parseSpec(each).kind === 'file');
    const others = installs.filter((each) => !files.includes(each));
    const parts: Sh[] = [FIND, sh`export LC_ALL=C\nb=$(rpm ${root(wanted)} -qa) || exit`];
    if (installs.length > 0) parts.push(sh`${run} ${skip} install ${others} ${join(files.map((file) => (file.includes('://') ? sh`${file}` : sh`"$(readlink -f ${hostPath(file)})"`)), ' ')} || exit`);
    if (upgrades.length > 0) parts.push(sh`${run} ${skip} upgrade ${advisories(wanted)} ${upgrades.includes('*') ? [] : upgrades} || exit`);
    if (removals.length > 0) parts.push(sh`${run} ${`--setopt=clean_requirements_on_remove=${Number(wanted.autoremove)}`} remove ${removals} || exit`);
    if (changes.some(({ field }) => field === 'autoremove')) parts.push(sh`${run} autoremove || exit`);
    // In one list only: once, it went; twice, it came.
    parts.push(sh`a=$(rpm ${root(wanted)} -qa) || exit
echo @results
printf '%s\\n' "$b" "$a" "$a" | sort | uniq -c | sed -n ${'s/^ *1 /Removed: /p; s/^ *2 /Installed: /p'}`);
    return { script: join(parts) };
  },
  undo(wanted, observed, changes) {
    const back: (Back | { cannot: string })[] = [];
    const [added, removed]: [string[], string[]] = [[], []];
    for (const { verb, names, from, isNew } of due(wanted, observed)) {
      if (verb === 'remove') removed.push(...names.map(nameOf));
      else if (isNew) added.push(...names.map((name) => observed.files.get(name)?.name ?? name));
      else back.push({ cannot: `${from} was upgraded` });
    }
    if (changes.some(({ field }) => field === 'autoremove')) removed.push(...observed.unneeded.map(nameOf));
    if (added.length > 0) back.push({ module: 'dnf', args: { name: added, state: 'absent' } });
    if (removed.length > 0) back.push({ module: 'dnf', args: { name: removed, state: 'present' } });
    return back;
  },
  result(_wanted, _observed, output) {
    const results = output?.stdout.slice(output.stdout.lastIndexOf('@results\n') + 9).split('\n').filter((line) => line !== '') ?? [];
    return { msg: output ? '' : 'Nothing to do', rc: 0, results };
  },
});
export default dnf;

interface Due {
  verb: 'install' | 'upgrade' | 'remove';
  names: string[];
  from: string;
  to: string;
  /** Whether nothing of it was there. */
  isNew: boolean;
}

/** The name in `bash-5.1.8-6.el9.x86_64`; a group is its own. */
const nameOf = (text: string): string => (text.startsWith('@') ? text : text.replace(/-[^-]+-[^-]+$/, ''));

/** What is to be installed, upgraded and removed. */
function due(wanted: Wanted, observed: Observed): Due[] {
  return wanted.name.map(parseSpec).flatMap((spec): Due[] => {
    const found = matching(spec, observed);
    const { text } = spec;
    const there = spec.kind === 'group' ? observed.groups.has(spec.group.toLowerCase()) : found.length > 0;
    if (stateOf(wanted) === 'absent') {
      if (!there) return [];
      return [{ verb: 'remove', names: spec.kind === 'group' ? [text] : found.map(nevra), from: spec.kind === 'group' ? text : found.map(nevra).join(', '), to: `${text} absent`, isNew: false }];
    }
    if (!there && text !== '*' && spec.kind !== 'pattern') {
      const others = olderAndNewer(spec, observed);
      const isNewer = others.some((each) => each.order > 0);
      if ((isNewer && !wanted.allow_downgrade) || (others.length === 0 && wanted.update_only)) return [];
      return [{ verb: 'install', names: [text], from: others.length === 0 ? `${text} absent` : others.map(({ rpm }) => nevra(rpm)).join(', '), to: `${text} present`, isNew: others.length === 0 }];
    }
    if (stateOf(wanted) !== 'latest' || spec.kind === 'file') return [];
    const upgrades = [...observed.upgrades].filter(([name]) => text === '*' || found.some((rpm) => `${rpm.name}.${rpm.arch}` === name));
    if (upgrades.length === 0) return [];
    const from = (name: string): string => found.find((rpm) => `${rpm.name}.${rpm.arch}` === name) === undefined ? name : `${name} ${evr(found.find((rpm) => `${rpm.name}.${rpm.arch}` === name)!)}`;
    return [{ verb: 'upgrade', names: [text === '*' ? '*' : upgrades.map(([name]) => name)].flat(), from: upgrades.map(([name]) => from(name)).join(', '), to: upgrades.map(([name, version]) => `${name} ${version}`).join(', '), isNew: false }];
  });
}

/** The installed packages that are what was asked for. */
function matching(spec: Spec, { installed, providers, files }: Observed): Rpm[] {
  const once = (all: Rpm[]): Rpm[] => [...new Map(all.map((rpm) => [nevra(rpm), rpm])).values()];
  switch (spec.kind) {
    case 'group': return [];
    case 'file': return once(installed.filter((rpm) => nevra(rpm) === nevra(files.get(spec.text)!)));
    case 'pattern': {
      const { test } = fnmatch(spec.text);
      return once(installed.filter((rpm) => [rpm.name, `${rpm.name}.${rpm.arch}`, nevra(rpm), `${rpm.name}-${rpm.version}`, `${rpm.name}-${rpm.version}-${rpm.release}`].some(test)));
    }
    case 'related': return once(installed.filter((rpm) => rpm.name === spec.name && satisfies(rpm, spec.relation, spec.version)));
    case 'label': {
      const named = once(installed.filter((rpm) => isLabelOf(spec.text, rpm)));
      return named.length > 0 ? named : once(providers.get(spec.text) ?? []);
    }
  }
}

/** Other versions of what was asked for that are installed; `order` is above 0 for newer ones. */
function olderAndNewer(spec: Spec, { installed, files }: Observed): { rpm: Rpm; order: number }[] {
  const against = (name: string, version: string): { rpm: Rpm; order: number }[] => installed.filter((rpm) => rpm.name === name).map((rpm) => ({ rpm, order: compareTo(rpm, version) }));
  if (spec.kind === 'related') return against(spec.name, spec.version).map(({ rpm, order }) => ({ rpm, order: spec.relation.startsWith('>') ? -1 : order || 1 }));
  if (spec.kind === 'file') return against(files.get(spec.text)!.name, evr(files.get(spec.text)!));
  return cuts(spec.text).map(({ name, version }) => against(name, version)).find((found) => found.length > 0) ?? [];
}

/** A line of `group list`: `   Name (id)` of dnf 4, `id  Name  yes` of dnf 5. Headings do no harm. */
function parseGroup(line: string): string[] {
  const four = /^\s+(.+?) \((\S+)\)$/.exec(line);
  return (four ? four.slice(1) : line.trim().split(/\s{2,}/)).map((word) => word.toLowerCase());
}
