import { satisfies } from '@renovatebot/pep440';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, list, params, path, str } from './params.js';
import { hostPath, splitWords } from './words.js';

const schema = params({
  name: list('Packages, with their versions where these matter: `django>=4,<5`; addresses and paths too.').optional(),
  version: str('Version of the one package that is named: `1.2`, `>=1.2`.').optional(),
  requirements: str('A file on the host that lists packages.').optional(),
  state: choice(['present', 'absent', 'latest', 'forcereinstall'], 'latest and forcereinstall are done each time; pip tells whether something changed.').default('present'),
  virtualenv: path('A virtual environment to use; it is made where it is not there.').optional(),
  virtualenv_command: str('Command that makes it: `python3 -m venv`.').default('virtualenv'),
  virtualenv_python: str('Python of a new one, where virtualenv makes it.').optional(),
  virtualenv_site_packages: bool("A new one sees the system's packages.").default(false),
  extra_args: str('More arguments for pip.').optional(),
  editable: bool('Install as editable.').default(false),
  chdir: path('Folder to run in.').optional(),
  executable: path('The pip to use: a path or a name (`pip3.11`).').optional(),
  umask: str('The umask for what is installed, octal.').optional(),
  break_system_packages: bool("Install among the packages of the system's own Python (PEP 668).").default(false),
}).check((context) => {
  const args = context.value;
  const issue = (message: string, at: string) => context.issues.push({ code: 'custom', message, input: args, path: [at] });
  if ((args.name === undefined) === (args.requirements === undefined)) issue('one of name and requirements is needed', 'name');
  if (args.executable !== undefined && args.virtualenv !== undefined) issue('executable and virtualenv exclude each other', 'executable');
  if (args.umask !== undefined && !/^(0o?)?[0-7]{1,4}$/.test(args.umask)) issue('umask must be an octal integer', 'umask');
  if (args.virtualenv_python !== undefined && makesVenv(args.virtualenv_command)) issue('virtualenv_python should not be used when using the venv module or pyvenv as virtualenv_command', 'virtualenv_python');
  if (args.version === undefined) return;
  const names = packages(args.name ?? []);
  if (args.state === 'latest') issue('version is incompatible with state=latest', 'version');
  if (names.length !== 1) issue("'version' argument is ambiguous when installing multiple package distributions. Please specify version restrictions next to each package in 'name' argument.", 'version');
  else if (requirement(names[0]!)?.versions) issue("The 'version' argument conflicts with any version specifier provided along with a package name. Please keep the version specifier, but remove the 'version' argument.", 'version');
});
type Args = (typeof schema)['_zod']['output'];

interface Wanted {
  args: Args;
  /** The Python whose pip is used where nothing else is said. */
  python: string;
  /** What is installed or taken away, as pip is told. */
  names: string[];
  /** Path of the virtual environment. */
  env: Sh | undefined;
}

interface Observed {
  /** The command, as words. */
  pip: string[];
  /** Undefined where the virtual environment is not there. */
  installed: string[] | undefined;
}

export const pip = defineModule<typeof schema, Observed, Wanted>({
  name: 'pip',
  summary: "Installs Python's packages, for the whole system or in a virtual environment.",
  params: schema,
  returns: { cmd: 'The command.', name: 'The packages.', version: 'Their version.', requirements: 'The file.', virtualenv: 'The virtual environment.', state: 'As asked for.', stdout: 'What pip said.', stderr: 'What it warned of.' },
  examples: [
    `- pip:
    name: [gunicorn, "django>=4.2,<5"]
    virtualenv: /srv/app/venv
    virtualenv_command: python3 -m venv
- pip:
    requirements: /srv/app/requirements.txt
    virtualenv: /srv/app/venv
`,
  ],
  async prepare(args, controller) {
    const { name, version, virtualenv, chdir } = args;
    const said = controller.variable('ansible_python_interpreter');
    const names = packages(name ?? []);
    if (version !== undefined) names[0] += /^\s*\d/.test(version) ? `==${version.trim()}` : version.trim();
    const env = virtualenv === undefined ? undefined : hostPath(chdir === undefined || /^[~/]/.test(virtualenv) ? virtualenv : `${chdir}/${virtualenv}`);
    return { args, python: typeof said === 'string' && said.startsWith('/') ? said : 'python3', names, env };
  },
  verify: ({ args, names }) => args.state === 'absent' || (args.state === 'present' && args.requirements === undefined && names.every((each) => isKnown(args, each))),
  inspect: (wanted) => sh`${entering(wanted)}
${wanted.env === undefined ? sh`` : sh`if [ ! -e ${wanted.env}/bin/activate ]; then echo none; echo looked; exit 0; fi`}
${finding(wanted)}
printf 'pip'; printf '\\t%s' "$@"; echo
${LIST} || exit
echo looked`,
  parse({ rc, stdout, stderr }, { args }): Observed {
    const [first = '', ...lines] = stdout.split('\n').slice(0, -1);
    if (rc !== 0 || lines.pop() !== 'looked') throw new ModuleError(stderr.trim() || `pip list ended with exit status ${rc}`, { rc, stderr });
    if (first === 'none') return { pip: [`${args.virtualenv}/bin/pip3`], installed: undefined };
    return { pip: first.split('\t').slice(1), installed: lines };
  },
  compare({ args, names }, { installed }) {
    const changes: Change[] = [];
    if (installed === undefined) changes.push({ field: 'virtualenv', from: null, to: args.virtualenv });
    const found = new Map((installed ?? []).flatMap((line) => (line.includes('==') ? [[canonical(line.split('==')[0]!), line.split('==')[1]!.trim()] as const] : [])));
    if (args.requirements !== undefined) changes.push({ field: 'requirements', from: null, to: args.requirements });
    for (const name of names) {
      const { project, versions } = requirement(name) ?? {};
      const now = project === undefined ? undefined : found.get(project);
      if (project !== undefined && args.state === 'absent') {
        if (now !== undefined) changes.push({ field: project, from: now, to: null });
      } else if (args.state !== 'present' || !isKnown(args, name) || now === undefined || !(versions === '' || satisfies(now, versions!, { prereleases: true }))) {
        changes.push({ field: project ?? 'name', from: now ?? null, to: args.state === 'present' ? name : args.state });
      }
    }
    return changes;
  },
  apply(wanted, observed) {
    const { args, env, names } = wanted;
    const { virtualenv_command, virtualenv_site_packages, virtualenv_python } = args;
    const making = splitWords(virtualenv_command);
    const options = [...(virtualenv_site_packages ? ['--system-site-packages'] : []), ...(virtualenv_python === undefined ? [] : [`-p${virtualenv_python}`])];
    return {
      script: join([
        entering(wanted),
        args.umask === undefined ? sh`` : sh`umask ${args.umask.replace('o', '')}`,
        args.break_system_packages ? sh`export PIP_BREAK_SYSTEM_PACKAGES=1` : sh``,
        observed.installed === undefined
          ? sh`command -v ${making[0]!} >/dev/null || { echo 'the host has no '${making[0]!}' to make the virtual environment; install it, or say virtualenv_command: python3 -m venv' >&2; exit 1; }
${making} ${options} ${env!} || exit`
          : sh``,
        env === undefined ? sh`` : sh`PATH=${env}/bin:$PATH; export PATH`,
        names.length === 0 && args.requirements === undefined
          ? sh``
          : sh`${finding(wanted)}
"$@" ${work(wanted)} || exit`,
        // What a file or an address brings is seen only by what is there afterwards.
        byList(wanted) ? sh`printf '\\000'; ${LIST} || exit` : sh``,
      ]),
    };
  },
  result(wanted, { pip, installed }, output) {
    const { args, names } = wanted;
    const { name, version, state, requirements, virtualenv } = args;
    const [stdout = '', after] = (output?.stdout ?? '').split('\0');
    const told = { cmd: [...pip, ...work(wanted)], name: name ?? null, version: version ?? null, state, requirements: requirements ?? null, virtualenv: virtualenv ?? null, stdout, stderr: output?.stderr ?? '' };
    if (output === undefined) return told;
    const changed = installed === undefined || (names.length > 0 || requirements !== undefined ? (after === undefined ? /Successfully (un)?installed/.test(stdout) : after.trim() !== installed.join('\n').trim()) : false);
    return { ...told, ...(changed ? {} : { changed: false }) };
  },
});
export default pip;

/** pip's own questions would wait for an answer, and its look for a newer pip goes out to the net. */
const LIST = raw('{ LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 timeout 100 "$@" list --format=freeze 2>/dev/null || LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 timeout 100 "$@" freeze; }');

function entering({ args }: Wanted): Sh {
  return sh`export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
cd ${args.chdir === undefined ? '/' : hostPath(args.chdir)} || exit`;
}

/** Puts the words of the pip command into "$@". */
function finding({ args, python, env }: Wanted): Sh {
  const none = (names: string) => sh`{ echo ${`Unable to find any of ${names} to use.  pip needs to be installed.`} >&2; exit 1; }`;
  if (env !== undefined) return sh`if [ -x ${env}/bin/pip3 ]; then set -- ${env}/bin/pip3; elif [ -x ${env}/bin/pip ]; then set -- ${env}/bin/pip; else ${none(`${args.virtualenv}/bin/pip3, pip`)}; fi`;
  if (args.executable !== undefined) return sh`set -- ${args.executable.includes('/') ? hostPath(args.executable) : args.executable}; command -v "$1" >/dev/null || ${none(args.executable)}`;
  return sh`if ${python} -c 'import pip' 2>/dev/null; then set -- ${python} -m pip; elif command -v pip3 >/dev/null; then set -- pip3; else ${none('pip3')}; fi`;
}

/** pip's arguments. */
function work({ args, names }: Wanted): string[] {
  const verb = { present: ['install'], absent: ['uninstall', '-y'], latest: ['install', '-U'], forcereinstall: ['install', '-U', '--force-reinstall'] }[args.state];
  const extra = splitWords(args.extra_args ?? '');
  const editable = args.editable && args.state !== 'absent' && !extra.includes('-e');
  return [...verb, ...extra, ...names.flatMap((name) => (editable ? ['-e', name] : [name])), ...(args.requirements === undefined ? [] : ['-r', args.requirements])];
}

function byList({ args, names }: Wanted): boolean {
  return args.requirements !== undefined || names.some((name) => /^(svn|git|hg|bzr)\+/.test(name));
}

/** Whether the list of installed packages settles it; pip alone knows of extras, addresses, and other places to install to. */
function isKnown({ editable, extra_args }: Args, name: string): boolean {
  const asks = splitWords(extra_args ?? '').some((word) => /^(-[UIretc]|--(upgrade|force-reinstall|ignore-installed|target|prefix|root|editable|requirement|constraint))(=|$)/.test(word));
  return !editable && !asks && requirement(name) !== undefined && !name.includes('[');
}

/** PEP 508, of which addresses and markers are left to pip: undefined for these. */
function requirement(name: string): { project: string; versions: string } | undefined {
  const [, project, versions] = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\]\s*)?(?:\(\s*)?((?:(?:===|[=!<>~]=|[<>])[^;()@]+)?)\)?$/.exec(name.trim()) ?? [];
  return project === undefined ? undefined : { project: canonical(project), versions: versions!.trim() };
}

/** PEP 503, "Normalized Names". */
function canonical(name: string): string {
  return name.trim().replace(/[-_.]+/g, '-').toLowerCase();
}

/** A list may have been split at the commas of a package's versions or extras: what begins no package belongs to the one before. */
function packages(words: readonly string[]): string[] {
  const names: string[] = [];
  for (const word of words.flatMap((each) => each.split(',')).map((each) => each.trim())) {
    const before = names.at(-1);
    const isOpen = before !== undefined && before.lastIndexOf('[') > before.lastIndexOf(']');
    if (before !== undefined && (isOpen || /^[=!<>~]/.test(word))) names[names.length - 1] = `${before},${word}`;
    else if (word !== '') names.push(word);
  }
  return names;
}

function makesVenv(command: string): boolean {
  const [program, ...words] = splitWords(command);
  return program === 'pyvenv' || words.some((word, i) => word === '-m' && words[i + 1] === 'venv');
}
