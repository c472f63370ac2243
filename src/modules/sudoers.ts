import { sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { applyEdit, beforeEdit, compareEdit, inspectText, parseText, type EditOptions, type Edited } from './edited_file.js';
import { defineModule } from './module.js';
import { bool, choice, list, params, path, str } from './params.js';
import { replaced, replaceFiles } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  name: str('The rule: name of its file.'),
  state: choice(['present', 'absent'], 'Whether the rule shall be there.').default('present'),
  user: str('Who may.').optional(),
  group: str('The group whose members may.').optional(),
  commands: list('What may be run: whole paths, or ALL.').optional(),
  defaults: list('Defaults that hold for them: !targetpw.').optional(),
  host: str('The host it holds on.').default('ALL'),
  runas: str('As whom; root unless given.').optional(),
  nopassword: bool('Whether no password is asked for.').default(true),
  noexec: bool('Whether the commands may run no others.').default(false),
  setenv: bool('Whether the environment may be kept.').default(false),
  sudoers_path: path('The folder.').default('/etc/sudoers.d'),
  validation: choice(['absent', 'detect', 'required'], 'Whether visudo must accept the rule; detect: where the host has it.').default('detect'),
}).check((context) => {
  const { name, state, user, group, commands } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (name.includes('/')) issue('name is the name of a file, without a folder', 'name');
  if (user !== undefined && group !== undefined) issue('give user or group, not both', 'group');
  if (state === 'present' && user === undefined && group === undefined) issue('state: present needs user or group', 'user');
  if (state === 'present' && !commands?.length) issue('state: present needs commands', 'commands');
  for (const [field, text] of Object.entries(context.value)) if ([text].flat().some((each) => /[\r\n]/.test(String(each)))) issue(`${field} must be one line`, field);
});
type Wanted = (typeof schema)['_zod']['output'];

export const sudoers = defineModule<typeof schema, Edited, Wanted>({
  name: 'sudoers',
  summary: 'Says in a file of /etc/sudoers.d who may run what by sudo.',
  params: schema,
  returns: {},
  examples: ['- sudoers:\n    name: deploy\n    user: deploy\n    commands: [/usr/bin/systemctl restart app]'],
  inspect: (wanted) => inspectText(fileOf(wanted)),
  parse: (output, wanted) => parseText(output, fileOf(wanted)),
  compare(wanted, observed) {
    if (wanted.state === 'absent') return observed.entry.stat ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
    return compareEdit(options(wanted), observed, rule(wanted));
  },
  apply(wanted, observed, changes) {
    const at = hostPath(fileOf(wanted));
    if (wanted.state === 'absent') return replaceFiles([], [at], { after: [sh`rm -f -- ${at}`] });
    return applyEdit(options(wanted), observed, rule(wanted), changes);
  },
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes.map((change) => (change.field === 'state' ? { ...change, field: 'content' } : change))),
  before: (_wanted, _observed, change) => beforeEdit(change),
  result: (wanted, _observed, output) => (output ? replaced(output, 1, `writing ${fileOf(wanted)}`).notes : {}),
});
export default sudoers;

const fileOf = ({ sudoers_path, name }: Wanted): string => `${trimmedEnd(sudoers_path, '/')}/${name}`;

function options(wanted: Wanted): EditOptions {
  const check = { absent: undefined, required: 'visudo -c -f %s', detect: `sh -c 'command -v visudo >/dev/null || exit 0; exec visudo -c -f "$1"' sh %s` }[wanted.validation];
  return { path: fileOf(wanted), mode: '0440', backup: false, validate: check };
}

/** sudoers(5). */
function rule({ user, group, commands, defaults, host, runas, nopassword, noexec, setenv }: Wanted): Buffer {
  const who = user ?? `%${group}`;
  const tags = `${noexec ? 'NOEXEC:' : ''}${nopassword ? 'NOPASSWD:' : ''}${setenv ? 'SETENV:' : ''}`;
  const lines = [...(defaults ?? []).map((each) => `Defaults:${who} ${each}`), `${who} ${host}=${runas === undefined ? '' : `(${runas})`}${tags} ${(commands ?? []).join(', ')}`];
  return Buffer.from(lines.map((line) => `${line}\n`).join(''));
}
