import { join, raw, sh, type Sh } from '../shell/sh.js';
import { update } from './apt.js';
import { resolveMode } from './attributes.js';
import { decode, splitLines } from './edited_file.js';
import { fields, parseStat, STAT, type Stat } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, int, mode, params, str } from './params.js';
import { replaceFiles, type Replacement } from './replace_file.js';
import { undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  repo: str('A line of sources.list(5): deb or deb-src, options, address, suite, components.'),
  state: choice(['absent', 'present'], 'Whether apt shall know it.').default('present'),
  filename: str('File in sources.list.d that a new line goes to, without .list; named after the address unless given.').optional(),
  mode: mode('Permissions of a new file.').default('0644'),
  update_cache: bool('The lists of packages are updated behind a change; if that fails, the files are put back.').meta({ aliases: ['update-cache'] }).default(true),
  update_cache_retries: int('How often a failed update is tried again.').default(5),
  update_cache_retry_max_delay: int('Most seconds between two tries.').default(12),
  codename: str('Taken for compatibility: PPAs are not supported.').optional(),
  install_python_apt: bool('Taken for compatibility: nothing need be installed.').default(true),
  validate_certs: bool('Taken for compatibility: apt itself looks at certificates.').default(true),
}).check((context) => {
  const { repo } = context.value;
  const issue = (message: string) => context.issues.push({ code: 'custom', message, input: context.value, path: ['repo'] });
  if (repo.startsWith('ppa:')) issue('PPAs are not supported: write out the line of the archive at ppa.launchpadcontent.net, and put its key into /etc/apt/keyrings (deb822_repository does both)');
  else if (repo.includes('\n') || !parseLine(repo)?.enabled) issue(`Invalid repository string: ${repo}`);
});
type Wanted = (typeof schema)['_zod']['output'];

interface SourceFile {
  path: string;
  stat: Stat;
  content: Buffer;
}

interface Edit {
  path: string;
  /** Undefined for a new file. */
  was: SourceFile | undefined;
  /** Undefined where nothing is left: the file goes. */
  after: Buffer | undefined;
}

const LIMIT = 10 * 1024 * 1024;

export const aptRepository = defineModule<typeof schema, SourceFile[]>({
  name: 'apt_repository',
  summary: "Adds lines to apt's sources, or takes them out.",
  params: schema,
  returns: { repo: 'The line.', state: '`present` or `absent`.', sources_added: 'Files that are new.', sources_removed: 'Files that are gone.' },
  examples: [
    `- apt_repository:
    repo: deb [signed-by=/etc/apt/keyrings/app.asc] https://apt.example.org stable main
    filename: app
`,
  ],
  inspect: () =>
    join([
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
    const names = fields(output, what);
    const [stats, encoded] = names.splice(-2) as [string, string];
    const lines = stats.split('\n');
    const bytes = Buffer.from(encoded, 'base64');
    let at = 0;
    const files = names.map((path, i) => {
      const stat = parseStat(lines.slice(i * 3, i * 3 + 3));
      return { path, stat, content: bytes.subarray(at, (at += stat.size)) };
    });
    if (at !== bytes.length) throw new ModuleError(`${what}: ${output.stderr.trim() || 'they changed meanwhile'}`, { stderr: output.stderr });
    return files;
  },
  compare: (wanted, files) => edits(wanted, files).map(change),
  apply(wanted, files) {
    const all = edits(wanted, files);
    const put = all.flatMap(({ path, was, after }): Replacement[] =>
      after === undefined ? [] : [{ path: hostPath(path), was: was?.stat, content: { bytes: after }, mode: was ? undefined : resolveMode(wanted.mode, 0o644, false, 0o022), source: 'repo' }],
    );
    const gone = all.flatMap(({ path, after }) => (after === undefined ? [sh`rm -f -- ${hostPath(path)}`] : []));
    const before = put.some(({ was }) => was === undefined) ? [sh`mkdir -p /etc/apt/sources.list.d`] : [];
    return replaceFiles(put, [], { before, after: [...gone, ...(wanted.update_cache ? [updating(wanted, all)] : [])] });
  },
  touches: (wanted, files) => ({ paths: edits(wanted, files).map(({ path }) => hostPath(path)) }),
  undo: (wanted, files) => edits(wanted, files).flatMap((edit) => undoFile({ path: edit.path, stat: edit.was?.stat, target: undefined, sha256: undefined }, [change(edit)])),
  before: (_wanted, files, { text }) => sh`printf %s ${files.find(({ path }) => path === text!.path)?.content.toString() ?? ''}`,
  result(wanted, files, output) {
    const all = edits(wanted, files);
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

/** A line that is switched off is switched on again wherever it stands; only where there is none a new one is written. */
function edits({ repo, state, filename }: Wanted, files: readonly SourceFile[]): Edit[] {
  const { source } = parseLine(repo)!;
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
  const path = filename?.includes('/') ? filename : `/etc/apt/sources.list.d/${filename ?? nameOf(source)}.list`;
  const was = files.find((file) => file.path === path);
  const { text, encode } = decode(was?.content ?? Buffer.alloc(0));
  return [{ path, was, after: encode(`${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${source}\n`) }];
}

/** `deb [arch=amd64] https://apt.example.org/debian stable main` -> `apt_example_org_debian`, as Ansible names it. */
function nameOf(source: string): string {
  const address = source.replace(/\[[^\]]+\]/g, '').replace(/\w+:\/\//g, '').split(/\s+/).find((word) => word !== '' && !/^deb(-src)?$/.test(word))!;
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
