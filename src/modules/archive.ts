import { join, raw, sh, type Sh } from '../shell/sh.js';
import { withoutEndSlashes } from '../value/text.js';
import { findSources, isPattern, readSources, type Found, type Wanted as Source } from './archive_members.js';
import { DETECT, listThere, parseListing, type Member } from './archives.js';
import { attributeParams, compareAttributes, labelsOf, describe, newMode, resolveMode, applyAttributes } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, list, params, path } from './params.js';
import { replaced, replaceFiles, unsafeWrites } from './replace_file.js';
import { undoFile } from './whole_file.js';
import { hostPath } from './words.js';

/** Of each format: tar's option, the program that packs a single file, and the package that brings what is needed. */
const FORMATS = {
  gz: { option: '-z', program: 'gzip', comes: 'gzip' },
  bz2: { option: '-j', program: 'bzip2', comes: 'bzip2' },
  xz: { option: '-J', program: 'xz', comes: 'xz-utils or xz' },
  zstd: { option: '--zstd', program: 'zstd', comes: 'zstd' },
  tar: { option: '', program: undefined, comes: 'tar' },
  zip: { option: '', program: undefined, comes: 'zip' },
} as const;

const schema = params({
  path: list('Files and folders of the host, and patterns of such, that are put into the archive. Names in it count from the folder they have in common; of a folder with a slash behind it, from there.'),
  dest: path('The archive. May be left out for a single file, which gets the format behind its name.').optional(),
  format: choice(['bz2', 'gz', 'tar', 'xz', 'zip', 'zstd'], 'How it is packed: tar, compressed by one of the others, or zip. The host needs the program for it.').default('gz'),
  exclude_path: list('Those of `path`, and of what its patterns stand for, that are left out.').default([]),
  exclusion_patterns: list('Shell patterns of what is left out, wherever it is: of names in the archive, in a zip of whole paths.').default([]),
  force_archive: bool('Make an archive of a single file too, which otherwise is only compressed.').default(false),
  remove: bool('Remove what was put into the archive.').default(false),
  ...attributeParams,
  unsafe_writes: unsafeWrites,
});
type Wanted = typeof schema._output;

interface Observed extends Found {
  entry: Entry;
  umask: number;
  /** A single file that is compressed, and no more. */
  isSingle: boolean;
  /** What is in the archive that is there; undefined where it is none, or another kind of one. */
  packed: Member[] | undefined;
  /** A single file that was compressed is what is at dest. */
  isSame: boolean;
}

/** @throws ModuleError where there are several sources and no name for the archive */
function destination({ dest, path, format }: Wanted): string {
  if (dest !== undefined) return dest;
  if (path.length !== 1 || isPattern(path[0]!)) throw new ModuleError('Error, must specify "dest" when archiving multiple files or trees', { path: path.join(', ') });
  return `${withoutEndSlashes(path[0]!)}.${format}`;
}

/**
 * When is an archive right? When it has each member, and no other, as it is now: kind, permissions, owner and, of files,
 * size and time of change (which is what tar's headers have). Folders' times do not count: making the archive may change them.
 */
export const archive = defineModule<typeof schema, Observed>({
  name: 'archive',
  summary: 'Packs files and folders of the host into an archive, or compresses a file.',
  params: schema,
  returns: {
    dest: 'The archive.', dest_state: '`archive`, `compress`, `incomplete` where some of path is not there, or `absent`.', archived: 'Paths of what is in it.', arcroot: 'The folder that names in it count from.',
    missing: 'What of path is not there.', expanded_paths: 'Path, with what its patterns stand for.', expanded_exclude_paths: 'The same of exclude_path.', size: 'Bytes.', mode: 'Permissions, octal.', owner: 'Name of the owner.', group: 'Name of the group.', state: '`file`.',
  },
  examples: [
    `- archive:
    path: /var/www/site
    dest: /var/backups/site.tar.gz
    exclusion_patterns: "*/cache/*"
`,
    `- archive:
    path: /var/log/app.log.1
    format: xz
    remove: true
`,
  ],
  inspect(wanted) {
    const dest = hostPath(destination(wanted));
    const { program } = FORMATS[wanted.format];
    const single = program === undefined || wanted.force_archive || wanted.path.length > 1 || isPattern(wanted.path[0]!) ? raw(`printf '\\000\\000'`) : sh`p=${hostPath(wanted.path[0]!)} w= h=
if [ -f "$p" ] && [ -f "$a" ]; then w=$(sha256sum <"$p") || exit; h=$(${program} -dc <"$a" 2>/dev/null | sha256sum); fi
printf '%s\\000%s\\000' "$w" "$h"`;
    return join([
      look([dest], { follow: true, ...flagsLook(wanted) }),
      sh`a=${dest} z= c= l=
if [ -f "$a" ]; then
  ${DETECT}
  l=$( { ${listThere}
printf '%s' "$l"; } 2>/dev/null) || z=
fi
printf '%s\\000%s\\000%s\\000' "$z" "$c" "$l"`,
      single,
      findSources(wanted),
    ]);
  },
  parse(output, wanted) {
    const what = `looking at ${wanted.path.join(', ')}`;
    const rest = fields(output, what);
    // umask; kind, path, target; stat
    const { entries, umask } = seenFields(rest.splice(0, 5), 1, what);
    const [kind, option, listing, hash, packedHash] = rest.splice(0, 5) as [string, string, string, string, string];
    const found = readSources(rest, wanted);
    const entry = entries[0]!;
    if (entry.stat && entry.stat.kind !== 'file') throw new ModuleError(`${entry.path} is there and is no regular file but a ${entry.stat.kind}`);
    found.members = found.members.filter(({ path }) => path !== entry.path);
    const isArchive = wanted.force_archive || wanted.path.some(isPattern) || found.isFolder || found.paths.length > 1;
    if (isArchive && wanted.dest === undefined) throw new ModuleError('Error, must specify "dest" when archiving multiple files or trees', { path: wanted.path.join(', ') });
    const inside = wanted.remove && found.paths.find((each) => entry.path.startsWith(`${each.replace(/\/$/, '')}/`));
    if (inside) throw new ModuleError(`Error, created archive can not be contained in source paths when remove=true: ${inside}`);
    const isKind = wanted.format === 'zip' ? kind === 'zip' : kind === 'tar' && option === FORMATS[wanted.format].option;
    return {
      ...found, entry, umask,
      isSingle: !isArchive && FORMATS[wanted.format].program !== undefined,
      packed: isKind ? parseListing(listing, wanted.format === 'zip' ? 'zip' : 'tar', 0) : undefined,
      isSame: hash !== '' && hash === packedHash,
    };
  },
  compare(wanted, observed) {
    const { entry, umask, isSingle, members, packed, isSame } = observed;
    const attributes = entry.stat ? compareAttributes(wanted, entry.stat, umask) : [];
    if (members.length === 0 && !observed.isFolder) return attributes;
    const wrong = isSingle ? (isSame ? 0 : 1) : differing(members, packed);
    const changes: Change[] = wrong === 0 ? [] : [{ field: 'content', from: entry.stat ? `${wrong} members missing, different or too many` : null, to: `${members.length} members` }];
    return [...changes, ...(wanted.remove ? [{ field: 'remove', from: observed.paths.filter((each) => !observed.missing.includes(each)), to: [] }] : []), ...attributes];
  },
  apply(wanted, observed, changes) {
    const { entry, umask, root, members, isSingle } = observed;
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    const at = hostPath(entry.path);
    const remove = has('remove') ? [sh`rm -rf -- ${observed.paths.filter((each) => !observed.missing.includes(each)).map(hostPath)}`] : [];
    if (!has('content')) return replaceFiles([], [at], { after: [...(entry.stat ? [applyAttributes(at, wanted, entry.stat, umask, changes)] : []), ...remove] });
    const make = isSingle ? sh`${FORMATS[wanted.format].program!} -c <${hostPath(observed.paths[0]!)} >"$f"` : pack(wanted.format, hostPath(root), members);
    const { program, comes } = FORMATS[wanted.format];
    const needs = program ?? wanted.format;
    const mode = entry.stat && wanted.mode !== undefined ? resolveMode(wanted.mode, entry.stat.mode, false, umask) : newMode(wanted.mode, false, umask);
    const file = { path: at, was: entry.stat, content: { host: raw('"$f"') }, owner: wanted.owner, group: wanted.group, mode, labels: labelsOf(wanted), source: 'the archive' };
    const step = replaceFiles([file], [at], {
      before: [sh`:
d=$(mktemp -d) && f=$d/file || exit
trap 'rm -rf -- "$d"' EXIT
command -v ${needs} >/dev/null || { printf '%s\\n' ${`the host has no ${needs}; install the package ${comes} on it`} >&2; exit 1; }
${make}`],
      after: remove,
    });
    return isSingle ? step : { ...step, uploads: { muster_members: { content: Buffer.from(members.map(({ name }) => `${name}\n`).join('')) } } };
  },
  undo: (_wanted, { entry }, changes) => (changes.some(({ field }) => field === 'remove') ? [{ cannot: 'what was put into the archive and removed is not put back' }] : undoFile(entry, changes)),
  result(_wanted, { entry, expanded, excluded, missing, root, members, isSingle }, output) {
    const done = output ? replaced(output, 1, `archiving to ${entry.path}`).seen.entries[0]! : entry;
    const { path: dest, state, ...rest } = describe(done.path, done.stat);
    const isArchive = members.length === 0 ? /\.(tar|tar\.(gz|bz2|xz|zst)|tgz|tbz2|tzst|zip)$/i.test(entry.path) : !isSingle;
    return {
      dest, ...(done.stat ? { state, ...rest } : {}),
      dest_state: members.length === 0 && !done.stat ? 'absent' : !isArchive ? 'compress' : missing.length > 0 && members.length > 0 ? 'incomplete' : 'archive',
      archived: members.map((member) => member.path), arcroot: root, missing, expanded_paths: expanded, expanded_exclude_paths: excluded,
    };
  },
});
export default archive;

/** How many members are missing, are too many, or are not as they are to be. */
function differing(members: readonly Source[], packed: readonly Member[] | undefined): number {
  if (packed === undefined) return members.length || 1;
  const there = new Map(packed.map((member) => [member.name, member]));
  const wrong = members.filter((member) => {
    const is = there.get(member.name);
    there.delete(member.name);
    return is === undefined || !isAs(member, is);
  });
  return wrong.length + there.size;
}

function isAs(member: Source, is: Member): boolean {
  if (is.kind === 'hardlink') return member.kind === 'file';
  const solid = member.kind === 'file';
  const at = new Date(member.mtime * 1000).toISOString().replace(/[-:]/g, '').replace('T', '.').slice(0, 15);
  return (
    member.kind === is.kind &&
    (member.kind === 'link' || member.mode === is.mode) &&
    (!solid || member.size === is.size) &&
    (!solid || (is.mtime === undefined ? is.clock === at : is.mtime === member.mtime)) &&
    (is.owner === undefined || member.owners.includes(is.owner))
  );
}

/** Writes members, whose names are in the file "$muster_members", to "$f". GNU tar tells of a file that grew meanwhile by 1: it is in the archive. */
function pack(format: Wanted['format'], root: Sh, members: readonly Source[]): Sh {
  if (format === 'zip') {
    return sh`(cd -- ${root} && ${members.length === 0 ? raw(`printf 'UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==' | base64 -d >"$f"`) : raw('rm -f -- "$f" && TZ=UTC zip -q "$f.zip" -@ <"$muster_members" && mv -- "$f.zip" "$f"')})`;
  }
  const { option } = FORMATS[format];
  return sh`case $(tar --version 2>/dev/null) in
*GNU*) tr '\\n' '\\000' <"$muster_members" | { tar -c ${option === '' ? [] : [option]} -f "$f" -C ${root} --no-recursion --null -T -; r=$?; [ $r -le 1 ]; } ;;
*)
  set --
  while IFS= read -r n; do set -- "$@" "$n"; done <"$muster_members"
  tar -c ${option === '' ? [] : [option]} -f "$f" -C ${root} --no-recursion -- "$@" ;;
esac`;
}
