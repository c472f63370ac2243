import { dirname } from 'node:path/posix';
import { sh } from '../shell/sh.js';
import { applyEdit, beforeEdit, compareEdit, decode, inspectText, parseText, splitLines, type EditOptions, type Edited } from './edited_file.js';
import { defineModule, ModuleError } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { replaced } from './replace_file.js';
import { hostPath } from './words.js';
import { touchesFile, undoFile } from './whole_file.js';

const schema = params({
  user: str('Whose keys.'),
  key: str('One or more public keys, one a line; addresses of keys (URLs) are not fetched.'),
  state: choice(['present', 'absent'], 'Whether the keys shall be there.').default('present'),
  path: path("The file; `.ssh/authorized_keys` in the user's home unless given.").optional(),
  key_options: str('Options in front of the keys, instead of those they bring.').optional(),
  comment: str('Comment behind the keys, instead of the one they bring.').optional(),
  exclusive: bool('All other keys, and all else in the file, go.').default(false),
  manage_dir: bool('Make the folder of the file with mode 0700, and keep the file to the user with mode 0600.').default(true),
  follow: bool("Taken for Ansible's sake: a link at the path is always followed.").default(false),
  validate_certs: bool("Taken for Ansible's sake: keys are not fetched.").default(true),
});

interface Wanted extends EditOptions {
  user: string;
  keys: Key[];
  state: 'present' | 'absent';
  exclusive: boolean;
  manageDir: boolean;
}

export interface Key {
  options: string;
  type: string;
  /** The key itself, base64. */
  blob: string;
  comment: string;
}

export const authorizedKey = defineModule<typeof schema, Edited, Wanted>({
  name: 'authorized_key',
  summary: 'Puts public keys into a user\'s authorized_keys, or takes them out.',
  params: schema,
  returns: { user: 'Whose keys.', keyfile: 'The file.', key: 'The keys.', state: '`present` or `absent`.', exclusive: 'Whether all others had to go.' },
  examples: [
    `- authorized_key:
    user: deploy
    key: "{{ lookup('file', 'keys/deploy.pub') }}"
    exclusive: true
`,
  ],
  async prepare(args) {
    if (/^\s*(https?|file):\/\//.test(args.key)) throw new ModuleError("authorized_key does not fetch keys from an address; give the key itself, for example with lookup('file', …) or uri");
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(args.user)) throw new ModuleError(`"${args.user}" is no user name`);
    const keys = args.key.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#')).map((line) => {
      const key = parseKey(line);
      if (key === undefined) throw new ModuleError(`not a public key: ${line}`);
      return { ...key, options: args.key_options ?? key.options, comment: args.comment ?? key.comment };
    });
    if (keys.length === 0) throw new ModuleError('authorized_key: key is empty');
    const path = args.path ?? `~${args.user}/.ssh/authorized_keys`;
    const kept = args.manage_dir && args.state === 'present' ? { owner: args.user, mode: '0600' } : {};
    return { user: args.user, keys, path, backup: false, state: args.state, exclusive: args.exclusive, manageDir: args.manage_dir, ...kept };
  },
  inspect: ({ path }) => inspectText(path),
  parse: (output, { path }) => parseText(output, path),
  compare: (wanted, observed) => compareEdit(wanted, observed, edit(wanted, observed)),
  apply(wanted, observed, changes) {
    const folder = hostPath(dirname(observed.entry.path));
    const login = `${wanted.user}:`;
    const make = sh`[ -d ${folder} ] || { mkdir -m 0700 -- ${folder} && chown -- ${login} ${folder}; }`;
    // The empty group stands for the user's login group (chown(1)).
    const options = observed.content === undefined ? { ...wanted, owner: wanted.user, group: '', mode: '0600' } : wanted;
    return applyEdit(options, observed, edit(wanted, observed), changes, wanted.manageDir && wanted.state === 'present' ? { before: [sh`{ ${make}; }`] } : {});
  },
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => beforeEdit(change),
  diff: (_wanted, _observed, _changes, texts) => texts[0],
  result({ user, keys, state, exclusive }, { entry }, output) {
    if (output) replaced(output, 1, `writing ${entry.path}`);
    return { user, keyfile: entry.path, key: keys.map(writeKey).join('\n'), state, exclusive };
  },
});
export default authorizedKey;

/** Types of public keys OpenSSH accepts in authorized_keys (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"). */
const TYPE = /^(?:sk-)?(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp(?:256|384|521))(?:-cert-v01)?(?:@openssh\.com)?$/;

/** Parses a line; undefined for comments and what is no key. */
export function parseKey(line: string): Key | undefined {
  const words = /^(?<first>(?:[^\s"]|"(?:\\"|\\(?!")|[^"\\])*")+)\s+(?<rest>.*)$/s.exec(line.trim());
  if (!words || line.trim().startsWith('#')) return undefined;
  const { first, rest } = words.groups as { first: string; rest: string };
  if (TYPE.test(first)) {
    const [, blob, comment] = /^([A-Za-z0-9+/]+={0,2})(?:\s+(.*))?$/.exec(rest.trim()) ?? [];
    return blob === undefined ? undefined : { options: '', type: first, blob, comment: comment ?? '' };
  }
  const key = parseKey(rest);
  return key && key.options === '' ? { ...key, options: first } : undefined;
}

export function writeKey({ options, type, blob, comment }: Key): string {
  return [options, type, blob, comment].filter((part) => part !== '').join(' ');
}

function edit({ keys, state, exclusive }: Wanted, { content }: Edited): Buffer | undefined {
  if (content === undefined && state === 'absent') return undefined;
  const codec = decode(content ?? Buffer.alloc(0));
  const lines = splitLines(codec.text).map((line) => line.replace(/\r?\n$/, ''));
  const found = lines.map((line) => parseKey(line));
  const texts = new Map(keys.map((key) => [key.blob, codec.own(writeKey(key))]));
  if (exclusive && state === 'present') return codec.encode([...texts.values()].map((line) => `${line}\n`).join(''));
  const done = new Set<string>();
  const kept = lines.flatMap((line, i): string[] => {
    const blob = found[i]?.blob;
    const text = blob === undefined ? undefined : texts.get(blob);
    if (blob === undefined || text === undefined) return [line];
    if (state === 'absent' || done.has(blob)) return [];
    done.add(blob);
    return [same(found[i]!, parseKey(text)) ? line : text];
  });
  if (state === 'present') for (const [blob, text] of texts) if (!done.has(blob)) kept.push(text);
  return codec.encode(kept.map((line) => `${line}\n`).join(''));
}

function same(a: Key, b: Key | undefined): boolean {
  return b !== undefined && writeKey(a) === writeKey(b);
}
