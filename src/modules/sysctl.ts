import { join, sh, type Sh } from '../shell/sh.js';
import { applyEdit, beforeEdit, compareEdit, decode, editResult, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { attributesOf, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  name: str('The kernel parameter: `net.ipv4.ip_forward`; dots or slashes.').meta({ aliases: ['key'] }),
  value: str('Its value.').meta({ aliases: ['val'] }).optional(),
  state: choice(['present', 'absent'], 'Whether the file shall hold the parameter.').default('present'),
  reload: bool('Have the kernel read the file when it has changed.').default(true),
  sysctl_set: bool('Set the value in the kernel when that differs.').default(false),
  sysctl_file: path('The file; where there is none it is made.').default('/etc/sysctl.conf'),
  ignoreerrors: bool('Go on when the kernel does not know a parameter.').default(false),
});

type Wanted = typeof schema._output;

interface Observed extends Edited {
  /** The value the kernel has; undefined when it has no such parameter, or was not asked. */
  live: string | undefined;
}

export const sysctl = defineModule<typeof schema, Observed, Wanted>({
  name: 'sysctl',
  summary: 'Sets kernel parameters, in a file and in the kernel.',
  params: schema,
  returns: { path: 'The file.', msg: 'What was done to the file.' },
  examples: [
    `- sysctl:
    name: net.ipv4.ip_nonlocal_bind
    value: "1"
    sysctl_file: /etc/sysctl.d/60-haproxy.conf
    sysctl_set: true
`,
  ],
  async prepare(args) {
    if (args.state === 'present' && (args.value ?? '').trim() === '') throw new ModuleError('sysctl needs value when state is present');
    // A YAML boolean arrives as True or False.
    const value = { True: '1', False: '0', yes: '1', no: '0' }[args.value ?? ''] ?? args.value?.trim();
    return { ...args, value };
  },
  // What the kernel refuses may stay different then.
  verify: (wanted) => !wanted.ignoreerrors,
  inspect: (wanted) =>
    join([
      inspectText(wanted.sysctl_file),
      wanted.sysctl_set && wanted.state === 'present'
        ? sh`if [ -e ${inKernel(wanted.name)} ]; then v=$(cat ${inKernel(wanted.name)}) || exit; printf 'is\\000%s\\000' "$v"; else printf 'none\\000\\000'; fi`
        : sh`printf 'none\\000\\000'`,
    ]),
  parse(output, { sysctl_file, name }) {
    const all = fields(output, `reading ${sysctl_file} and ${name}`);
    const [there, value] = all.splice(-2);
    return { ...parseText({ ...output, stdout: all.map((field) => `${field}\0`).join('') }, sysctl_file), live: there === 'is' ? value! : undefined };
  },
  compare(wanted, observed) {
    const changes = compareEdit(options(wanted), observed, edit(wanted, observed).after);
    const live: Change = { field: 'value', from: observed.live ?? null, to: wanted.value };
    return wanted.sysctl_set && wanted.state === 'present' && !(observed.live === undefined && wanted.ignoreerrors) && !same(observed.live, wanted.value!) ? [...changes, live] : changes;
  },
  apply(wanted, observed, changes) {
    const set = sh`printf '%s\\n' ${wanted.value ?? ''} >${inKernel(wanted.name)}`;
    const quietly = wanted.ignoreerrors ? sh` 2>/dev/null || :` : join([]);
    const after: Sh[] = [];
    if (changes.some(({ field }) => field === 'value')) after.push(sh`{ ${set}${quietly}; }`);
    if (wanted.reload && changes.some(({ field }) => field === 'content')) {
      const load = sh`sysctl ${wanted.ignoreerrors ? ['-e', '-p'] : '-p'} ${hostPath(wanted.sysctl_file)} >/dev/null${quietly}`;
      after.push(sh`if command -v sysctl >/dev/null; then ${load}; ${wanted.state === 'present' ? sh`else ${set}${quietly}; ` : join([])}fi`);
    }
    return applyEdit(options(wanted), observed, edit(wanted, observed).after, changes, { after });
  },
  touches(wanted, observed) {
    // Having the kernel read the file sets all that stands in it.
    const names = splitLines(decode(edit(wanted, observed).after ?? Buffer.alloc(0)).text).flatMap((line) => keyOf(line) ?? []);
    return { paths: [...new Set([observed.entry.path, inKernel(wanted.name), ...names])].map(hostPath) };
  },
  undo(wanted, { entry, live }, changes) {
    const { name, sysctl_file } = wanted;
    const file = changes.some(({ field }) => field !== 'value') ? undoFile(entry, changes) : [];
    if (!changes.some(({ field }) => field === 'value') || live === undefined) return [...file, { cannot: `the kernel keeps its ${name} until it is set, or until the next boot` }];
    // What the kernel had is set by way of the file, which then becomes what it was.
    const value = { module: 'sysctl', args: { name, value: live.trim().split(/\s+/).join(' '), sysctl_file, sysctl_set: true, reload: false } };
    return [value, ...(entry.stat === undefined ? [{ module: 'file', args: { path: entry.path, state: 'absent' } }] : [{ module: 'copy', args: { dest: entry.path, ...attributesOf(entry.stat) }, old: hostPath(entry.path) }]).map((back) => ({ ...back, behind: true }))];
  },
  before: (_wanted, _observed, change) => beforeEdit(change),
  result: (wanted, observed, output) => {
    const { path, msg } = editResult(options(wanted), edit(wanted, observed).msg, output);
    return { path, msg };
  },
});
export default sysctl;

function options({ sysctl_file }: Wanted): { path: string; backup: boolean } {
  return { path: sysctl_file, backup: false };
}

/** sysctl(8): dots and slashes change places unless the first of them is a slash. */
export function inKernel(name: string): string {
  if (name.split(/[./]/).includes('')) throw new ModuleError(`"${name}" is no kernel parameter`);
  const swapped = /^[^./]*\//.test(name) ? name : name.replace(/[./]/g, (sign) => (sign === '.' ? '/' : '.'));
  return `/proc/sys/${swapped}`;
}

/** Blanks between the parts of a value do not count. */
function same(a: string | undefined, b: string): boolean {
  return a?.trim().split(/\s+/).join(' ') === b.trim().split(/\s+/).join(' ');
}

/** The last line that names the parameter counts; others that do fall out. */
function edit({ name, value, state }: Wanted, { content }: Edited): { after: Buffer | undefined; msg: string } {
  if (content === undefined && state === 'absent') return { after: undefined, msg: '' };
  const codec = decode(content ?? Buffer.alloc(0));
  const lines = splitLines(codec.text);
  const at = lines.flatMap((line, i) => (keyOf(line) === inKernel(name) ? [i] : []));
  const last = at.at(-1);
  if (state === 'present' && at.length === 1 && same(lines[last!]!.slice(lines[last!]!.indexOf('=') + 1), value!)) return { after: content, msg: '' };
  const line = `${name}=${codec.own(value ?? '')}\n`;
  const kept = lines.flatMap((each, i) => (i === last && state === 'present' ? [line] : at.includes(i) ? [] : [each]));
  if (state === 'present' && last === undefined) {
    if (kept.length > 0 && !kept.at(-1)!.endsWith('\n')) kept.push('\n');
    kept.push(line);
  }
  return { after: codec.encode(kept.join('')), msg: last === undefined ? (state === 'present' ? 'line added' : '') : state === 'present' ? 'line replaced' : 'line removed' };
}

/** The parameter a line of sysctl.conf(5) sets; a leading - (ignore errors) does not count. */
function keyOf(line: string): string | undefined {
  const match = /^\s*(?:-\s*)?([^#;=\s][^=\s]*)\s*=/.exec(line);
  return match && !match[1]!.split(/[./]/).includes('') ? inKernel(match[1]!) : undefined;
}
