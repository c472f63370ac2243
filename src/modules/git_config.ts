import { sh, type Sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule } from './module.js';
import { choice, params, path, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  name: str('The setting: `user.email`.'),
  value: str('What it is set to.').optional(),
  state: choice(['present', 'absent'], 'Whether it is set; absent takes all its values away.').default('present'),
  scope: choice(['file', 'global', 'local', 'system'], 'Where it is set: in a file, for the user, for a repository, for the host.').default('system'),
  repo: path('The repository, with scope: local.').optional(),
  file: path('The file, with scope: file.').optional(),
  add_mode: choice(['add', 'replace-all'], 'Whether the value comes beside others that the setting has, or takes their place.').default('replace-all'),
}).check((context) => {
  const { name, value, state, scope, repo, file } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (scope === 'local' && repo === undefined) issue('scope: local needs repo', 'repo');
  if (scope === 'file' && file === undefined) issue('scope: file needs file', 'file');
  if (state === 'present' && !value) issue('state: present needs value', 'value');
  if (name.startsWith('-')) issue(`"${name}" is no name of a setting`, 'name');
});
type Wanted = typeof schema._output;

/** git config for this scope. Elsewhere than in the repository itself, what a folder around may have says nothing. */
function git({ scope, repo, file }: Wanted): Sh {
  return sh`cd -- ${scope === 'local' ? hostPath(repo!) : '/'} && LC_ALL=C git config --includes ${scope === 'file' ? sh`-f ${hostPath(file!)}` : sh`--${scope}`}`;
}

export const gitConfig = defineModule<typeof schema, string[]>({
  name: 'git_config',
  summary: 'Sets what git goes by: for a repository, a user or the host.',
  params: schema,
  returns: { msg: '`setting changed`, or why nothing was to be done.' },
  examples: ['- git_config:\n    name: user.email\n    scope: global\n    value: deploy@example.com'],
  inspect: (wanted) => sh`command -v git >/dev/null || { echo 'the host has no git; install the package git on it' >&2; exit 1; }
v=$(${git(wanted)} --get-all ${wanted.name} && echo x) || { r=$?; [ $r -eq 1 ] || exit $r; v=x; }
printf '%s\\000' "\${v%x}"`,
  parse: (output, { name }) => fields(output, `reading ${name}`)[0]!.split('\n').slice(0, -1),
  compare({ name, value, state, add_mode }, values) {
    if (state === 'absent') return values.length === 0 ? [] : [{ field: name, from: values, to: [] }];
    if (values.includes(value!) && (values.length === 1 || add_mode === 'add')) return [];
    return [{ field: name, from: values, to: add_mode === 'add' ? [...values, value] : [value] }];
  },
  apply: (wanted) => ({ script: wanted.state === 'absent' ? sh`${git(wanted)} --unset-all ${wanted.name}` : sh`${git(wanted)} ${`--${wanted.add_mode}`} ${wanted.name} ${wanted.value!}` }),
  undo({ name, scope, repo, file }, values) {
    const args = { name, scope, ...(repo === undefined ? {} : { repo }), ...(file === undefined ? {} : { file }) };
    return values.length === 0
      ? [{ module: 'git_config', args: { ...args, state: 'absent' } }]
      : values.map((value, i) => ({ module: 'git_config', args: { ...args, value, add_mode: i === 0 ? 'replace-all' : 'add' }, behind: i > 0 }));
  },
  result({ state }, values, output) {
    return { msg: output ? 'setting changed' : state === 'absent' && values.length === 0 ? 'no setting to unset' : '' };
  },
});
export default gitConfig;
