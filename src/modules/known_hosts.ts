import { createHmac } from 'node:crypto';
import { hashedName, hostMatcher } from '../value/host-names.js';
import { applyEdit, beforeEdit, compareEdit, decode, inspectText, parseText, splitLines, type EditOptions, type Edited } from './edited_file.js';
import { defineModule, ModuleError } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { replaced } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';

const schema = params({
  name: str('The host whose key it is: `name`, an address, or `[name]:port`.').meta({ aliases: ['host'] }),
  key: str('A line of known_hosts, the name in front; without it `absent` takes away all keys of the host.').optional(),
  path: path('The file.').default('~/.ssh/known_hosts'),
  hash_host: bool('Write the name hashed.').default(false),
  state: choice(['absent', 'present'], 'Whether the key shall be there.').default('present'),
}).check((context) => {
  const { key, state } = context.value;
  const issue = (message: string, at: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [at] });
  if (!key && state === 'present') issue('No key specified when adding a host', 'key');
});

type Args = typeof schema._output;

interface Line {
  marker: string;
  hosts: string;
  type: string;
  blob: string;
}

interface Wanted extends EditOptions {
  args: Args;
  name: string;
  line: { text: string; parts: Line } | undefined;
}

export const knownHosts = defineModule<typeof schema, Edited, Wanted>({
  name: 'known_hosts',
  summary: "Puts a host's public key into a known_hosts file, or takes it out.",
  params: schema,
  returns: { name: 'The host.', key: 'The line.', path: 'The file.', hash_host: 'Whether its name is hashed.', state: '`present` or `absent`.', diff: 'The file before and after: before, after, before_header, after_header.' },
  examples: [
    `- known_hosts:
    name: git.example.org
    key: "{{ lookup('file', 'keys/git.example.org.pub') }}"
    path: /etc/ssh/ssh_known_hosts
`,
  ],
  async prepare(args) {
    const name = args.name.toLowerCase();
    if (args.key && name.includes(',')) throw new ModuleError('Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.');
    return { path: args.path, backup: false, args, name, line: args.key ? lineOf(name, args.key, args.hash_host) : undefined };
  },
  inspect: ({ path }) => inspectText(path),
  parse: (output, { path }) => parseText(output, path),
  compare: (wanted, observed) => compareEdit(wanted, observed, edit(wanted, observed)),
  apply: (wanted, observed, changes) => applyEdit(observed.content === undefined ? { ...wanted, mode: '0600' } : wanted, observed, edit(wanted, observed), changes),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => beforeEdit(change),
  result(wanted, observed, output) {
    const { args } = wanted;
    const { path } = observed.entry;
    if (output) replaced(output, 1, `writing ${path}`);
    const before = observed.content?.toString() ?? '';
    const diff = { before_header: observed.content === undefined ? '/dev/null' : path, after_header: path, before, after: edit(wanted, observed)?.toString() ?? before };
    return { ...args, path, key: args.key ?? null, diff };
  },
});
export default knownHosts;

function parseLine(text: string): Line | undefined {
  const [, marker = '', hosts, type, blob] = /^\s*(?:(@\S+)\s+)?([^\s@#]\S*)\s+(\S+)\s+(\S+)/.exec(text) ?? [];
  return blob === undefined ? undefined : { marker, hosts: hosts!, type: type!, blob };
}

/**
 * The line to write. Its salt comes from name and key, so that a line is the same whenever it is worked out; the key
 * beside it, which anybody may read, tells as much.
 */
function lineOf(name: string, key: string, hash: boolean): { text: string; parts: Line } {
  const parts = parseLine(key);
  if (parts === undefined || key.trim().includes('\n')) throw new ModuleError(`key is no line of known_hosts: write "${name} ssh-ed25519 AAAA…"`);
  const fits = hostMatcher(parts.hosts)(name) || parts.hosts === name;
  if (!hash) {
    if (!fits) throw new ModuleError('Host parameter does not match hashed host field in supplied key');
    return { text: key.trim(), parts };
  }
  const hosts = hashedName(name, createHmac('sha1', parts.blob).update(name).digest());
  return { text: key.trim().replace(parts.hosts, () => hosts), parts: { ...parts, hosts } };
}

/** The rule is Ansible's: the first key of the host that is the same or, without a marker, of the same type, counts. */
function edit({ args, name, line }: Wanted, { content }: Edited): Buffer | undefined {
  if (content === undefined && args.state === 'absent') return undefined;
  const { text, encode } = decode(content ?? Buffer.alloc(0));
  const lines = splitLines(text);
  const of = lines.map((each) => {
    const parts = parseLine(each);
    return parts && (hostMatcher(parts.hosts)(name) || parts.hosts === name) ? parts : undefined;
  });
  if (line === undefined) return encode(lines.filter((_, i) => !of[i] || of[i]!.marker === '@cert-authority').join(''));
  const same = ({ marker, hosts, type, blob }: Line) => {
    const wanted = line.parts;
    return marker === wanted.marker && type === wanted.type && blob === wanted.blob && (hosts === wanted.hosts || (hosts.startsWith('|1|') && wanted.hosts.startsWith('|1|')));
  };
  const at = of.findIndex((parts) => parts !== undefined && (same(parts) || (parts.marker === '' && parts.type === line.parts.type)));
  if (args.state === 'present' && at !== -1 && same(of[at]!)) return content;
  const kept = lines.filter((_, i) => i !== at);
  if (args.state === 'present') {
    if (kept.length > 0 && !/[\r\n]$/.test(kept.at(-1)!)) kept.push('\n');
    kept.push(`${line.text}\n`);
  }
  return encode(kept.join(''));
}
