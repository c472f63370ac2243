import { sh } from '../shell/sh.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { choice, params, str } from './params.js';

const schema = params({
  path: str('The file.').meta({ aliases: ['key'] }),
  capability: str('The capability, with what of it is set (cap_net_raw+ep) where it shall be present; several with commas between.').meta({ aliases: ['cap'] }),
  state: choice(['absent', 'present'], 'Whether the file has it.').default('present'),
}).check((context) => {
  const { capability, state } = context.value;
  const issue = (message: string): unknown => context.issues.push({ code: 'custom', message, input: context.value, path: ['capability'] });
  if (!/^[\w,]*(?:[-+=][eip]*)?$/i.test(capability.trim())) issue(`"${capability}" is no capability: write cap_net_raw+ep`);
  else if (state === 'present' && !/[-+=]/.test(capability)) issue("Couldn't find operator (one of: ['=', '-', '+'])");
  else if (state === 'present' && capability.includes('-')) issue('what is taken away is not there: use state: absent');
});
type Wanted = (typeof schema)['_zod']['output'];

/** Name -> what of it is set: of e, i and p, sorted. */
type Capabilities = Map<string, string>;

/** Reads what cap_to_text(3) writes; a file that holds one clause for each capability has the same of it set by + and by =. */
function read(text: string): Capabilities {
  const found: Capabilities = new Map();
  for (const clause of text.trim().toLowerCase().split(/\s+/)) {
    const [, names, flags] = /^([^-+=]*)[-+=]?(\w*)$/.exec(clause) ?? [];
    if (names === undefined) throw new ModuleError(`cannot read the capabilities ${text}`);
    for (const name of names.split(',')) if (name !== '' || flags !== '') found.set(name, [...flags!].sort().join(''));
  }
  return found;
}

const written = (all: Capabilities): string => [...all].map(([name, flags]) => `${name}=${flags}`).join(' ');

/** What the file shall have. */
function goal({ capability, state }: Wanted, has: Capabilities): Capabilities {
  const all = new Map(has);
  for (const [name, flags] of read(capability)) {
    if (state === 'absent') all.delete(name);
    else all.set(name, flags);
  }
  return all;
}

export const capabilities = defineModule<typeof schema, Capabilities, Wanted>({
  name: 'capabilities',
  summary: 'Gives files capabilities, and takes them away.',
  params: schema,
  returns: { state: 'present or absent, as asked for.', msg: 'That they were changed, where they were.', stdout: 'What setcap said.' },
  examples: ['- capabilities:\n    path: /usr/local/bin/server\n    capability: cap_net_bind_service+ep'],
  inspect: ({ path }) => sh`command -v getcap >/dev/null || { echo 'the host has no getcap; install the package libcap2-bin' >&2; exit 1; }
LC_ALL=C getcap -v ${path.trim()}`,
  parse({ rc, stdout, stderr }, wanted) {
    const path = wanted.path.trim();
    const text = stdout.trim();
    // A file that is not there is told with exit status 0: "/file (No such file or directory)".
    if (rc !== 0 || stderr.trim() !== '' || !text.startsWith(path) || text.endsWith(')')) throw new ModuleError(`Unable to get capabilities of ${path}: ${stderr.trim().split('\n').at(-1) || text}`, { rc, stdout: text, stderr });
    return read(text.slice(path.length).replace(/^ = ?/, ' '));
  },
  compare(wanted, has): Change[] {
    const [from, to] = [written(has), written(goal(wanted, has))];
    return read(wanted.capability).size > 0 && from !== to ? [{ field: 'capabilities', from: from || null, to: to || null }] : [];
  },
  apply(wanted, has) {
    const to = written(goal(wanted, has));
    return { script: to === '' ? sh`LC_ALL=C setcap -r ${wanted.path.trim()}` : sh`LC_ALL=C setcap ${to} ${wanted.path.trim()}` };
  },
  undo({ path, capability }, has) {
    return [...read(capability).keys()].map((name) => {
      const flags = has.get(name);
      return { module: 'capabilities', args: flags === undefined ? { path, capability: name, state: 'absent' } : { path, capability: `${name}=${flags}` } };
    });
  },
  result(wanted, has, output) {
    const isChanged = written(has) !== written(goal(wanted, has));
    return { state: wanted.state, ...(isChanged ? { msg: 'capabilities changed' } : {}), ...(output ? { stdout: output.stdout } : {}) };
  },
});
export default capabilities;
