import { join, sh, type Sh } from '../shell/sh.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { hostPath, splitWords } from './words.js';

const schema = params({
  name: str('The package; without one all that package.json of the path asks for.').optional(),
  version: str('Its version; with state: absent it means nothing.').optional(),
  path: path('Folder whose node_modules is meant; it is made where there is none.').optional(),
  global: bool('Packages for all, not of a folder.').default(false),
  state: choice(['present', 'absent', 'latest'], 'Whether the package shall be there, and whether newer versions are taken.').default('present'),
  ci: bool('Installs just what package-lock.json says, from scratch each time.').default(false),
  production: bool('Leaves out what is for development only.').default(false),
  ignore_scripts: bool("Runs no scripts of packages.").default(false),
  unsafe_perm: bool('Scripts of packages run as root, with npm 6 and older.').default(false),
  no_optional: bool('Leaves out optional dependencies.').default(false),
  no_bin_links: bool('Makes no links to programs.').default(false),
  force: bool('Fetches what is there already, and goes on where versions conflict.').default(false),
  registry: str('Address of the registry.').optional(),
  executable: path('The npm to use.').optional(),
}).check((context) => {
  const { state, name, global: everywhere, path: folder } = context.value;
  const issue = (message: string, where: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [where] });
  if (state === 'absent' && name === undefined) issue('state is absent but all of the following are missing: name', 'name');
  if (!everywhere && folder === undefined) issue('global is False but all of the following are missing: path', 'path');
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  /** Version by name. */
  installed: Map<string, string>;
  /** What package.json asks for and is not there, or there in another version. */
  missing: string[];
  outdated: string[];
}

/** Whether what is installed tells that all is right: names of packages, and whole versions. */
const isExact = ({ name, version }: Wanted): boolean => (name === undefined || /^(?:@[^/@]+\/)?[^/@:]+$/.test(name)) && (version === undefined || /^\d+\.\d+\.\d+/.test(version));

/** npm with the options all its calls have. */
function npm(wanted: Wanted, words: readonly string[]): Sh {
  const options = [
    ...(wanted.global ? ['--global'] : []), ...(wanted.production && words[0] !== 'uninstall' ? ['--production'] : []), ...(wanted.ignore_scripts ? ['--ignore-scripts'] : []),
    ...(wanted.unsafe_perm ? ['--unsafe-perm'] : []), ...(wanted.registry === undefined ? [] : ['--registry', wanted.registry]), ...(wanted.no_optional ? ['--no-optional'] : []),
    ...(wanted.no_bin_links ? ['--no-bin-links'] : []), ...(wanted.force ? ['--force'] : []),
  ];
  return sh`${wanted.executable === undefined ? ['npm'] : splitWords(wanted.executable)} ${words} ${options}`;
}

export const npmModule = defineModule<typeof schema, Observed>({
  name: 'npm',
  summary: 'Installs and removes packages of Node.js.',
  params: schema,
  returns: { stdout: 'What npm wrote to standard output.', stderr: 'What npm wrote to standard error.' },
  examples: ['- npm:\n    name: pm2\n    global: true', '- npm:\n    path: /srv/shop\n    ci: true'],
  // npm list ends with 1 where something is missing, npm outdated where something is outdated.
  inspect(wanted) {
    const folder = wanted.path === undefined ? sh`` : sh`if [ -d ${hostPath(wanted.path)} ]; then cd -- ${hostPath(wanted.path)} || exit
elif [ -e ${hostPath(wanted.path)} ]; then printf '%s\\n' ${`path ${wanted.path} is not a directory`} >&2; exit 1
else printf '{}\\000{}\\000'; exit; fi`;
    return join([
      wanted.executable === undefined ? sh`command -v npm >/dev/null || { echo 'Failed to find required executable npm' >&2; exit 1; }` : sh``,
      folder,
      wanted.ci ? sh`printf '{}'` : sh`${npm(wanted, ['list', '--json', '--depth=0'])}`,
      sh`printf '\\000'`,
      wanted.state === 'latest' ? npm(wanted, ['outdated', '--json']) : sh`printf '{}'`,
      sh`printf '\\000'`,
    ]);
  },
  parse(output) {
    const [listed, outdated, end] = output.stdout.split('\0');
    if (end !== '') throw new ModuleError(output.stderr.trim() || 'cannot ask npm', { ...output });
    const read = (text: string): { [name: string]: unknown } => {
      try {
        return JSON.parse(text.trim() || '{}') as { [name: string]: unknown };
      } catch {
        throw new ModuleError(`Failed to parse NPM output: ${(output.stderr.trim() || text).slice(0, 300)}`, { ...output });
      }
    };
    const all = Object.entries((read(listed!)['dependencies'] ?? {}) as { [name: string]: { version?: string; missing?: unknown; invalid?: unknown } });
    const isMissing = ([, { missing, invalid }]: (typeof all)[number]): boolean => Boolean(missing) || Boolean(invalid);
    return {
      installed: new Map(all.filter((each) => !isMissing(each)).map(([name, { version }]) => [name, version ?? ''])),
      missing: all.filter(isMissing).map(([name]) => name),
      outdated: Object.keys(read(outdated!)).filter((name) => name !== 'error'),
    };
  },
  compare(wanted, { installed, missing, outdated }) {
    const { name, version, state } = wanted;
    const asked = version === undefined ? name! : `${name}@${version}`;
    if (wanted.ci) return [{ field: 'packages', from: null, to: 'those of package-lock.json' }];
    const there = name === undefined ? undefined : installed.get(name);
    if (state === 'absent') return there === undefined ? [] : [{ field: 'packages', from: `${name} ${there}`, to: null }];
    const changes: Change[] = [];
    if (name !== undefined && (there === undefined || (version !== undefined && version !== there))) changes.push({ field: 'packages', from: there === undefined ? null : `${name} ${there}`, to: asked });
    else if (missing.length > 0) changes.push({ field: 'packages', from: null, to: missing.join(', ') });
    if (outdated.length > 0) changes.push({ field: 'outdated', from: outdated.join(', '), to: 'the latest' });
    return changes;
  },
  apply(wanted, _observed, changes) {
    const has = (name: string): boolean => changes.some(({ field }) => field === name);
    const names = wanted.name === undefined ? [] : [wanted.version === undefined || wanted.state === 'absent' ? wanted.name : `${wanted.name}@${wanted.version}`];
    const verb = wanted.ci ? 'ci' : wanted.state === 'absent' ? 'uninstall' : 'install';
    return {
      script: join([
        wanted.path === undefined ? sh`` : sh`mkdir -p -- ${hostPath(wanted.path)} && cd -- ${hostPath(wanted.path)} || exit`,
        has('packages') ? sh`${npm(wanted, [verb, ...names])} || exit` : sh``,
        has('outdated') ? sh`${npm(wanted, ['update', ...names])} || exit` : sh``,
      ]),
    };
  },
  verify: (wanted) => !wanted.ci && wanted.state !== 'latest' && isExact(wanted),
  undo(wanted, { installed }, changes) {
    const place = { ...(wanted.path === undefined ? {} : { path: wanted.path }), ...(wanted.global ? { global: true } : {}) };
    const { name } = wanted;
    if (wanted.ci || name === undefined || changes.some(({ field }) => field === 'outdated')) return [{ cannot: 'which packages npm brought or replaced was not known before' }];
    const was = installed.get(name);
    return [{ module: 'npm', args: was === undefined ? { name, state: 'absent', ...place } : { name, version: was, ...place } }];
  },
  result(wanted, _observed, output) {
    if (!output) return {};
    const isSame = !isExact(wanted) && /^up to date/m.test(output.stdout);
    return { stdout: output.stdout, stderr: output.stderr, ...(isSame ? { changed: false } : {}) };
  },
});
export default npmModule;
