import { join, raw, sh, type Sh } from '../shell/sh.js';
import { update } from './apt.js';
import { resolveMode } from './attributes.js';
import { fetcher } from './download.js';
import { decode, splitLines } from './edited_file.js';
import { fields, parseStat, STAT, type Stat } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, int, mode, params, str } from './params.js';
import { replaceFiles, type Replacement } from './replace_file.js';
import { undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  repo: str('A line of sources.list(5): deb or deb-src, options, address, suite, components. On Ubuntu ppa:OWNER/NAME too, whose key is fetched.'),
  state: choice(['absent', 'present'], 'Whether apt shall know it.').default('present'),
  filename: str('File in sources.list.d that a new line goes to, without .list; named after the address unless given.').optional(),
  mode: mode('Permissions of a new file.').default('0644'),
  update_cache: bool('The lists of packages are updated behind a change; if that fails, the files are put back.').meta({ aliases: ['update-cache'] }).default(true),
  update_cache_retries: int('How often a failed update is tried again.').default(5),
  update_cache_retry_max_delay: int('Most seconds between two tries.').default(12),
  codename: str("The release a PPA is taken for; the host's unless given.").optional(),
  install_python_apt: bool('Taken for compatibility: nothing need be installed.').default(true),
  validate_certs: bool('Taken for compatibility: apt itself looks at certificates.').default(true),
}).check((context) => {
  const { repo } = context.value;
  const issue = (message: string) => context.issues.push({ code: 'custom', message, input: context.value, path: ['repo'] });
  if (repo === '') issue("Please set argument 'repo' to a non-empty value");
  else if (repo.startsWith('ppa:') ? !PPA.test(repo) : repo.includes('\n') || !parseLine(repo)?.enabled) issue(`Invalid repository string: ${repo}`);
});
type Wanted = (typeof schema)['_zod']['output'];

interface SourceFile {
  path: string;
  stat: Stat;
  content: Buffer;
}

interface Observed {
  files: SourceFile[];
  /** ID and VERSION_CODENAME of os-release(5). */
  os: { id: string; codename: string };
}

/** An archive at Launchpad: its owner, and its name where that is not `ppa`. */
const PPA = /^ppa:([a-z0-9][a-z0-9.+-]*)(?:\/([a-z0-9][a-z0-9.+-]*))?$/;

interface Edit {
  path: string;
  /** Undefined for a new file. */
  was: SourceFile | undefined;
  /** Undefined where nothing is left: the file goes. */
  after: Buffer | undefined;
}

const LIMIT = 10 * 1024 * 1024;

export const aptRepository = defineModule<typeof schema, Observed>({
  name: 'apt_repository',
  summary: "Adds lines to apt's sources, or takes them out.",
  params: schema,
  returns: { repo: 'The line.', state: '`present` or `absent`.', sources_added: 'Files that are new.', sources_removed: 'Files that are gone.' },
  examples: [
    `- apt_repository:
    repo: deb [signed-by=/etc/apt/keyrings/app.asc] https://apt.example.org stable main
    filename: app
`,
    '- apt_repository:\n    repo: ppa:owner/name\n',
  ],
  inspect: () =>
    join([
      raw(`(. /etc/os-release 2>/dev/null; printf '%s\\000%s\\000' "$ID" "$VERSION_CODENAME")`),
      raw(`set --
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$f" ] || continue
  if [ -L "$f" ]; then f=$(readlink -f -- "$f") || exit; fi
  set -- "$@" "$f"
done
for f do printf '%s\\000' "$f"; done
[ $# -eq 0 ] || `),
      sh`${STAT} "$@" || exit
printf '\\000'
[ $# -eq 0 ] || { c=$(cat -- "$@" | head -c ${LIMIT + 1} | base64) || exit; printf %s "$c"; }
printf '\\000'`,
    ]),
  parse(output) {
    const what = "reading apt's sources";
    const [id, codename, ...names] = fields(output, what) as [string, string, ...string[]];
    const [stats, encoded] = names.splice(-2) as [string, string];
    const lines = stats.split('\n');
    const bytes = Buffer.from(encoded, 'base64');
    let at = 0;
    const files = names.map((path, i) => {
      const stat = parseStat(lines.slice(i * 3, i * 3 + 3));
      return { path, stat, content: bytes.subarray(at, (at += stat.size)) };
    });
    if (at !== bytes.length) throw new ModuleError(`${what}: ${output.stderr.trim() || 'they changed meanwhile'}`, { stderr: output.stderr });
    return { files, os: { id, codename } };
  },
  compare(wanted, observed) {
    const key = keyOf(wanted, observed);
    return [...(key === undefined ? [] : [{ field: 'key', from: null, to: key.path }]), ...edits(wanted, observed).map(change)];
  },
  apply(wanted, observed) {
    const all = edits(wanted, observed);
    const key = keyOf(wanted, observed);
    const put = all.flatMap(({ path, was, after }): Replacement[] =>
      after === undefined ? [] : [{ path: hostPath(path), was: was?.stat, content: { bytes: after }, mode: was ? undefined : resolveMode(wanted.mode, 0o644, false, 0o022), source: 'repo' }],
    );
    const gone = all.flatMap(({ path, after }) => (after === undefined ? [sh`rm -f -- ${hostPath(path)}`] : []));
    const before = put.some(({ was }) => was === undefined) ? [sh`mkdir -p /etc/apt/sources.list.d`] : [];
    if (key !== undefined) {
      before.push(fetchKey(key.api));
      put.unshift({ path: hostPath(key.path), was: undefined, content: { host: raw('"$k"') }, mode: 0o644, source: 'repo' });
    }
    return replaceFiles(put, [], { before, after: [...gone, ...(wanted.update_cache ? [updating(wanted, all)] : [])] });
  },
  touches: (wanted, observed) => ({ paths: [...edits(wanted, observed), ...[keyOf(wanted, observed)].filter((key) => key !== undefined)].map(({ path }) => hostPath(path)) }),
  undo: (wanted, observed) => edits(wanted, observed).flatMap((edit) => undoFile({ path: edit.path, stat: edit.was?.stat, target: undefined, sha256: undefined }, [change(edit)])),
  before: (_wanted, { files }, { text }) => sh`printf %s ${files.find(({ path }) => path === text!.path)?.content.toString() ?? ''}`,
  result(wanted, observed, output) {
    const all = edits(wanted, observed);
    if (output && output.rc !== 0) throw new ModuleError(output.stderr.trim(), { rc: output.rc, stderr: output.stderr });
    const named = (which: Edit[]) => which.map(({ path }) => path);
    return { repo: wanted.repo, state: wanted.state, sources_added: named(all.filter(({ was }) => was === undefined)), sources_removed: named(all.filter(({ after }) => after === undefined)) };
  },
});
export default aptRepository;

function change({ path, was, after }: Edit): Change {
  const lines = (content: Buffer | undefined) => (content === undefined ? null : `${splitLines(content.toString('latin1')).length} lines of ${path}`);
  return { field: 'content', from: lines(was?.content), to: lines(after), text: { path, after: after?.toString() ?? null } };
}

/** A line of sources.list(5), with single blanks; undefined where it is none. */
function parseLine(line: string): { enabled: boolean; source: string } | undefined {
  const [, off = '', source = ''] = /^\s*((?:#\s*)*)([^#]*)/.exec(line) ?? [];
  const words = source.trim().split(/\s+/);
  return /^deb(-src)?$/.test(words[0]!) && words.length > 2 ? { enabled: off === '', source: words.join(' ') } : undefined;
}

/** The line that stands for the repository. @throws ModuleError for a PPA on what is not Ubuntu */
function sourceOf({ repo, codename }: Wanted, { os }: Observed): string {
  const [, owner, name = 'ppa'] = PPA.exec(repo) ?? [];
  if (owner === undefined) return parseLine(repo)!.source;
  if (os.id !== 'ubuntu' && codename === undefined) throw new ModuleError(`${repo} is for Ubuntu, and this host has ${os.id}; give the codename of an Ubuntu release to take it all the same`);
  return `deb https://ppa.launchpadcontent.net/${owner}/${name}/ubuntu ${codename ?? os.codename} main`;
}

/** Where the key of a PPA that is new goes to, and where Launchpad tells which one it is. */
function keyOf(wanted: Wanted, observed: Observed): { path: string; api: string } | undefined {
  const [, owner, name = 'ppa'] = PPA.exec(wanted.repo) ?? [];
  if (owner === undefined || wanted.state === 'absent' || edits(wanted, observed).length === 0) return undefined;
  return { path: `/etc/apt/trusted.gpg.d/${owner}-${name}.asc`, api: `https://api.launchpad.net/1.0/~${owner}/+archive/${name}` };
}

/** Fetches the key to "$k". */
export function fetchKey(api: string): Sh {
  const get = (url: string | Sh): Sh => fetcher({ url, headers: {}, user: undefined, password: undefined, timeout: 30, validateCerts: true, useProxy: true, agent: 'muster', netrc: false });
  return sh`d=$(mktemp -d) && k=$d/key || exit
trap 'rm -rf -- "$d"' EXIT
${get(api)}
muster_fetch "$d/ppa" || { rc=$?; printf '%s\\n' ${`failed to fetch PPA information from ${api}`} >&2; exit $rc; }
id=$(sed -n 's/.*"signing_key_fingerprint": *"\\([0-9A-Fa-f]\\{40\\}\\)".*/\\1/p' "$d/ppa")
[ "$id" ] || { printf '%s\\n' ${`${api} tells no key`} >&2; exit 1; }
${get(raw('https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x$id'))}
muster_fetch "$k" && grep -q -e '-----BEGIN PGP PUBLIC KEY BLOCK-----' "$k" || { echo "could not fetch the key $id from keyserver.ubuntu.com" >&2; exit 1; }`;
}

/** A line that is switched off is switched on again wherever it stands; only where there is none a new one is written. */
function edits(wanted: Wanted, observed: Observed): Edit[] {
  const { repo, state, filename } = wanted;
  const { files } = observed;
  const source = sourceOf(wanted, observed);
  const changed: Edit[] = [];
  let isThere = false;
  for (const was of files) {
    const { text, encode } = decode(was.content);
    const lines = splitLines(text);
    const kept = lines.flatMap((line) => {
      const found = parseLine(line);
      if (found?.source !== source) return [line];
      if (state === 'absent') return found.enabled ? [] : [line];
      isThere = true;
      return found.enabled ? [line] : [line.replace(/^\s*(?:#\s*)+/, '')];
    });
    if (kept.join('') !== text) changed.push({ path: was.path, was, after: kept.length === 0 ? undefined : encode(kept.join('')) });
  }
  if (state === 'absent' || isThere) return changed;
  const path = filename?.includes('/') ? filename : `/etc/apt/sources.list.d/${filename ?? nameOf(PPA.test(repo) ? `${repo}_${source.split(' ')[2]}` : source)}.list`;
  const was = files.find((file) => file.path === path);
  const { text, encode } = decode(was?.content ?? Buffer.alloc(0));
  return [{ path, was, after: encode(`${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${source}\n`) }];
}

/** `deb [arch=amd64] https://apt.example.org/debian stable main` -> `apt_example_org_debian`, as Ansible names it. */
function nameOf(source: string): string {
  const address = source.replace(/\[[^\]]+\]/g, '').replace(/(?<!\w)\w+:\/\//g, '').split(/\s+/).find((word) => word !== '' && !/^deb(-src)?$/.test(word))!;
  return address.replace(/^[^@]*@/, '').split(/[^a-zA-Z0-9]+/).filter((part) => part !== '').join('_');
}

/** Updates apt's lists; where that fails, all files are put back first. */
function updating(wanted: Wanted, all: readonly Edit[]): Sh {
  const back = all.map(({ path, was }) =>
    was === undefined ? sh`rm -f -- ${hostPath(path)}` : sh`printf %s ${was.content.toString('base64')} | base64 -d >${hostPath(path)}`,
  );
  return sh`{ (
${update({ ...wanted, lock_timeout: 60 })}
) >/dev/null || { r=$?; ${join(back, '; ')}; exit $r; }; }`;
}
