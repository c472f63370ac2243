import { bytes, raw, sh, type Sh } from '../shell/sh.js';
import { resolveMode } from './attributes.js';
import { fetcher } from './download.js';
import { look, seen, type Entry } from './look.js';
import { defineModule, ModuleError } from './module.js';
import { bool, choice, int, list, mode, params, str } from './params.js';
import { replaceFiles, type Replacement } from './replace_file.js';
import { compareFile, readText, undoFile, wholeFile, type WholeFile } from './whole_file.js';
import { hostPath } from './words.js';

/** The fields of sources.list(5), "DEB822-STYLE FORMAT", by parameter. */
const stanza = {
  allow_downgrade_to_insecure: bool('A repository that was signed may be so no longer.').optional(),
  allow_insecure: bool('Repositories without a valid signature are taken.').optional(),
  allow_weak: bool('Weak digests are taken.').optional(),
  architectures: list('Architectures to look for.').optional(),
  by_hash: bool('Indexes are fetched by their hash.').optional(),
  check_date: bool('Whether times are checked at all.').optional(),
  check_valid_until: bool('Whether a repository may be out of date.').optional(),
  components: list('Components of the suite; none where the suite is a path.').optional(),
  date_max_future: int('Seconds a repository may be from the future.').optional(),
  enabled: bool('Whether apt uses it.').optional(),
  inrelease_path: str('Path of the InRelease file.').optional(),
  languages: list('Languages of descriptions.').optional(),
  name: str('Name of the repository; the files are called after it.'),
  pdiffs: bool('Old indexes are updated by differences.').optional(),
  signed_by: str('Whose signature counts: address of a key (fetched where there is none yet), path of a key on the host, fingerprints, or a key itself, in ASCII.').optional(),
  suites: list('Suites, or a path that ends in a slash.').optional(),
  targets: list('What is downloaded.').optional(),
  trusted: bool('Whether it is trusted whatever its signature.').optional(),
  types: list('deb, deb-src, or both.').default(['deb']),
  uris: list('Where it is.').optional(),
};

const schema = params({
  ...stanza,
  mode: mode('Permissions of the file.').default('0644'),
  state: choice(['absent', 'present'], 'Whether apt shall know it.').default('present'),
}).check((context) => {
  const { types, name } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  for (const type of types) if (!['deb', 'deb-src'].includes(type)) issue(`types are deb and deb-src, not "${type}"`, 'types');
  if (slug(name) === '') issue(`no name of a file can be made of "${name}"`, 'name');
});
type Args = typeof schema._output;

interface Wanted {
  args: Args;
  dest: string;
  /** Where a fetched key lies: in ASCII, and else. */
  keys: [string, string];
  /** What is fetched. */
  url: string | undefined;
}

interface Observed {
  source: Entry;
  keys: [Entry, Entry];
  umask: number;
}

export const deb822Repository = defineModule<typeof schema, Observed, Wanted>({
  name: 'deb822_repository',
  summary: "Gives apt a repository, as a file of its own in sources.list(5)'s newer format, with its key.",
  params: schema,
  returns: { repo: 'Text of the file; null where it is absent.', dest: 'The file.', key_filename: 'The key, where one was fetched.' },
  examples: [
    `- deb822_repository:
    name: app
    uris: https://apt.example.org/debian
    suites: "{{ ansible_distribution_release }}"
    components: main
    signed_by: https://apt.example.org/key.asc
`,
  ],
  async prepare(args) {
    const name = slug(args.name);
    return { args, dest: `/etc/apt/sources.list.d/${name}.sources`, keys: [`/etc/apt/keyrings/${name}.asc`, `/etc/apt/keyrings/${name}.gpg`], url: /^(https?|ftp):\/\//.test(args.signed_by?.trim() ?? '') ? args.signed_by!.trim() : undefined };
  },
  inspect: ({ dest, keys }) => look([dest, ...keys].map(hostPath), { checksum: true }),
  parse(output, { dest }) {
    const { entries, umask } = seen(output, 3, `looking at ${dest}`, { checksum: true });
    return { source: entries[0]!, keys: [entries[1]!, entries[2]!], umask };
  },
  compare(wanted, { source, keys, umask }) {
    if (wanted.args.state === 'absent') return [source, ...keys].flatMap(({ path, stat }) => (stat === undefined ? [] : [{ field: 'content', from: path, to: null, text: { path, after: null } }]));
    const key = fetches(wanted, keys) ? [{ field: 'key', from: null, to: wanted.url }] : [];
    return [...key, ...compareFile(file(wanted, keyOf(wanted, keys)), source, umask)];
  },
  apply(wanted, { source, keys, umask }, changes) {
    const { args, dest, url } = wanted;
    if (args.state === 'absent') return replaceFiles([], [], { after: [sh`rm -f -- ${changes.map(({ text }) => hostPath(text!.path))}`] });
    const one = (content: Replacement['content']): Replacement => ({ path: hostPath(dest), was: source.stat, content, mode: resolveMode(args.mode, source.stat?.mode ?? 0o666 & ~umask, false, umask), source: args.name });
    const folder = sh`mkdir -p /etc/apt/sources.list.d`;
    if (!fetches(wanted, keys)) return replaceFiles([one({ bytes: bytesOf(file(wanted, keyOf(wanted, keys))) })], [], { before: [folder] });
    const [ascii, binary] = wanted.keys.map((key) => bytes(bytesOf(file(wanted, key)))) as [Sh, Sh];
    const fetch = sh`d=$(mktemp -d) && k=$d/key s=$d/source || exit
trap 'rm -rf -- "$d"' EXIT
${fetcher({ url: url!, headers: {}, user: undefined, password: undefined, timeout: 30, validateCerts: true, useProxy: true, agent: 'muster', netrc: false })}
muster_fetch "$k" || { rc=$?; printf '%s\\n' ${`Could not fetch signed_by key: ${url!}`} >&2; exit $rc; }
[ -s "$k" ] || { printf '%s\\n' ${`${url!} is empty`} >&2; exit 1; }
if grep -aq -e '-----BEGIN PGP PUBLIC KEY BLOCK-----' "$k"; then e=${wanted.keys[0]}; ${ascii} >"$s"; else e=${wanted.keys[1]}; ${binary} >"$s"; fi || exit
mkdir -p -m 0755 /etc/apt/keyrings`;
    return replaceFiles([{ path: raw('"$e"'), was: undefined, content: { host: raw('"$k"') }, mode: 0o644, source: url! }, one({ host: raw('"$s"') })], [], { before: [fetch, folder] });
  },
  touches: ({ dest, keys }) => ({ paths: [dest, ...keys].map(hostPath) }),
  undo(wanted, { source, keys }, changes) {
    if (wanted.args.state === 'absent') return [source, ...keys].flatMap((entry) => (entry.stat === undefined ? [] : undoFile(entry, changes)));
    const fetched = fetches(wanted, keys) ? keys.map(({ path }) => ({ module: 'file', args: { path, state: 'absent' } })) : [];
    return [...undoFile(source, changes.filter(({ field }) => field !== 'key').map((change) => ({ ...change, to: null }))), ...fetched];
  },
  before: (_wanted, _observed, change) => readText(change),
  result(wanted, { keys }, output) {
    if (output && output.rc !== 0) throw new ModuleError(output.stderr.trim(), { rc: output.rc });
    const key = keyOf(wanted, keys);
    if (wanted.args.state === 'absent') return { repo: null, dest: wanted.dest, key_filename: wanted.keys[1] };
    return { repo: text(wanted, key), dest: wanted.dest, key_filename: key ?? (/^\/\S+$/.test(wanted.args.signed_by ?? '') ? wanted.args.signed_by : null) };
  },
});
export default deb822Repository;

/** `Docker CE` -> `docker-ce`, as Ansible names files. */
function slug(name: string): string {
  return name.toLowerCase().replace(/[_\s]+/g, '-').replace(/[^a-z0-9-]+/g, '');
}

/** A key that is there is not fetched again. */
const fetches = ({ url }: Wanted, keys: readonly Entry[]): boolean => url !== undefined && keys.every(({ stat }) => stat === undefined);

/** The key that is there; else the one that is expected. */
function keyOf({ url, keys: [ascii, binary] }: Wanted, [there, other]: readonly [Entry, Entry]): string | undefined {
  if (url === undefined) return undefined;
  return there.stat !== undefined ? ascii : other.stat !== undefined || url.endsWith('.gpg') ? binary : ascii;
}

function text({ args }: Wanted, key: string | undefined): string {
  return (Object.keys(stanza) as (keyof typeof stanza)[])
    .sort()
    .flatMap((name) => {
      const value = name === 'signed_by' && key !== undefined ? key : args[name];
      if (value === undefined || (Array.isArray(value) && value.length === 0)) return [];
      const field = name === 'name' ? 'X-Repolib-Name' : name === 'uris' ? 'URIs' : name.split('_').map((part) => part[0]!.toUpperCase() + part.slice(1)).join('-');
      const words = typeof value === 'boolean' ? (value ? 'yes' : 'no') : Array.isArray(value) ? value.join(' ') : String(value);
      if (!words.trim().includes('\n')) return [`${field}: ${words.trim()}\n`];
      return [`${field}:\n${words.trim().split('\n').map((line) => `    ${line.trim() || '.'}\n`).join('')}`];
    })
    .join('');
}

function file(wanted: Wanted, key: string | undefined): WholeFile {
  return wholeFile(Buffer.from(text(wanted, key)), { mode: wanted.args.mode, source: wanted.args.name });
}

function bytesOf({ content }: WholeFile): Buffer {
  return (content as { bytes: Buffer }).bytes;
}
