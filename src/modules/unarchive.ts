import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fnmatch } from '../value/glob.js';
import { trimmedEnd } from '../value/text.js';
import { differingThere, formatOf, listThere, membersHere, parseListing, unescape, unpack, type Format, type Member } from './archives.js';
import { attributeParams, compareAttributes, describe, ownership, setLabels } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { addressOf, type Download } from './download.js';
import { defineModule, ModuleError, type Change, type Returns } from './module.js';
import { bool, int, list, params, path } from './params.js';
import { replaced, replaceFiles, unsafeWrites } from './replace_file.js';
import { decrypted } from './source.js';
import { fetchAndUnpack } from './unarchive_fetched.js';
import { hostPath } from './words.js';

const schema = params({
  src: path('The archive (tar, plain or compressed by gzip, bzip2, xz or zstd; zip): on the controller; with `remote_src` on the host, or an address that the host fetches it from.'),
  dest: path('The folder to unpack into; it must be there.'),
  remote_src: bool('src is on the host.').default(false),
  copy: bool('The old word for the contrary of remote_src.').optional(),
  creates: path('Nothing is unpacked if this is there.').optional(),
  include: list('Members to unpack, and no others.').default([]),
  exclude: list('Members to leave out.').default([]),
  keep_newer: bool('Leave files that are newer than those in the archive; the task tells a change all the same.').default(false),
  decrypt: bool('Encrypted archives are refused; false takes them as they are.').default(true),
  list_files: bool('Return the names of the members.').default(false),
  extra_opts: list('More options for tar or unzip.').default([]),
  validate_certs: bool('Check the certificate of the server that it is fetched from.').default(true),
  io_buffer_size: int("Taken for Ansible's sake: the host's own tools read the archive.").optional(),
  ...attributeParams,
  unsafe_writes: unsafeWrites,
}).check((context) => {
  const { copy, remote_src, include, exclude } = context.value;
  if (include.length > 0 && exclude.length > 0) context.issues.push({ code: 'custom', message: 'parameters are mutually exclusive: include|exclude', input: context.value, path: ['include'] });
  if (copy !== undefined && remote_src) context.issues.push({ code: 'custom', message: "parameters are mutually exclusive: ('copy', 'remote_src')", input: context.value, path: ['copy'] });
});

interface Wanted {
  args: Omit<typeof schema._output, 'copy'>;
  /** Path on the controller. */
  src: string;
  /** Undefined when the archive is on the host. */
  local: { format: Format; members: Member[] } | undefined;
  strip: number;
  /** Where the host is to fetch it from. */
  download: (Download & { url: string }) | undefined;
}

interface Observed {
  format: Format;
  members: Member[];
  entries: Entry[];
  umask: number;
  /** `creates` is there. */
  created: boolean;
  /** What a relative path counts from. */
  folder: string;
}

/**
 * When is an archive unpacked? When each member is there: folders as folders; symbolic links with their target; files with
 * size, time of change and (of archives up to 64 MiB) content (tar) or size (zip, whose times have no zone).
 */
export const unarchive = defineModule<typeof schema, Observed, Wanted>({
  name: 'unarchive',
  summary: 'Unpacks an archive on the host.',
  params: schema,
  returns: { dest: 'The folder.', src: 'The archive.', handler: '`TarArchive` or `ZipArchive`.', files: 'Names of the members, with list_files.', state: '`directory`.', owner: 'Of the folder.', group: 'Of the folder.', mode: 'Of the folder.' },
  // Of what is fetched only fetching it tells; and a newer file that is kept differs from the archive, as with Ansible.
  verify: ({ args, download }) => download === undefined && !args.keep_newer,
  examples: [
    `- unarchive:
    src: app-1.2.tar.gz
    dest: /srv/app/releases/1.2
    owner: app
`,
  ],
  async prepare({ copy, ...given }, controller) {
    const args = copy === undefined ? given : { ...given, remote_src: !copy };
    const strip = stripped(args.extra_opts);
    if (args.remote_src) return { args, src: args.src, local: undefined, strip, download: downloadOf(args) };
    const src = await controller.find(args.src, 'files');
    if (args.decrypt && decrypted(src)) throw new ModuleError(`${src} is encrypted; archives are not unpacked from a vault: decrypt it, or encrypt files in it`);
    const format = await formatOf(src);
    return { args, src, local: { format, members: chosen(args, await membersHere(src, format, strip)) }, strip, download: undefined };
  },
  inspect({ args, local, strip, download }) {
    const around = join([raw(`printf '%s\\000' "$PWD"`), look([hostPath(`${args.dest}/.`), hostPath(args.creates ?? `${args.dest}/.`)])]);
    if (download) return around;
    if (local) return join([around, look(local.members.map(({ name }) => inside(args.dest, name)), { checksum: isHashed(local.members), ...flagsLook(args) })]);
    const drop = raw(Array.from({ length: strip }, () => 'case $n in */*) n=${n#*/} ;; *) continue ;; esac').join('; '));
    return join([
      around,
      sh`a=${hostPath(args.src)} d=${hostPath(args.dest)}
[ -f "$a" ] || { printf '%s\\n' "Source '$a' does not exist" >&2; exit 1; }
[ -s "$a" ] || { printf '%s\\n' "Invalid archive '$a', the file is 0 bytes" >&2; exit 1; }`,
      listThere,
      sh`if [ $z = zip ]; then t='unzip -Z1'; else t="tar $c -tf"; case $(tar --version 2>/dev/null) in *GNU*) t='tar --quoting-style=literal -tf' ;; esac; fi
names=$($t "$a" | while IFS= read -r n; do
  while :; do case $n in ./*) n=\${n#./} ;; /*) n=\${n#/} ;; *) break ;; esac; done
  n=\${n%/}; ${drop}
  case $n in '' | .) continue ;; esac
  printf '%s\\n' "$d/$n"
done) || exit
printf '%s\\000%s\\000' $z "$l"
${strip === 0 ? differingThere : join([])}
printf '\\000'
set -f
IFS='
'`,
      look([raw('$names')], { whole: true, ...flagsLook(args) }),
    ]);
  },
  parse(output, { args, local, strip, download }) {
    const what = `looking at ${args.dest}`;
    const all = fields(output, what);
    const folder = all.shift()!;
    // umask; thrice kind, path, target for two paths; stat
    const around = seenFields(all.splice(0, 8), 2, what);
    if (around.entries[0]!.stat === undefined) throw new ModuleError(`dest '${args.dest}' must be an existing dir`);
    const created = args.creates !== undefined && around.entries[1]!.stat !== undefined;
    if (download) return { format: 'tar', members: [], entries: [], umask: around.umask, created, folder };
    if (local) return { ...local, ...seenFields(all, local.members.length, what, { checksum: isHashed(local.members) }), created, folder };
    const [format, listing, differing] = all.splice(0, 3) as [Format, string, string];
    const others = new Set(differing.split('\n').map((name) => unescape(name).replace(/^(?:\.?\/)+/, '')));
    const members = parseListing(listing, format, strip).map((member) => (others.has(member.name) ? { ...member, size: NaN } : member));
    const { entries, umask } = seenFields(all, members.length, what, { whole: true });
    const wanted = new Set(chosen(args, members));
    const kept = entries.filter((_, i) => wanted.has(members[i]!));
    return { format, members: [...wanted], entries: kept, umask, created, folder };
  },
  compare({ args, src, download }, { members, entries, umask, created }) {
    if (created) return [];
    if (download) return [{ field: 'content', from: null, to: download.url }];
    const missing = members.filter((member, i) => !unpacked(member, entries[i]!)).length;
    const change: Change = { field: 'content', from: `${missing} of ${members.length} members missing or different`, to: src };
    const attributes = entries.flatMap(({ stat }) => (stat ? compareAttributes(args, stat, umask) : []));
    return [...(missing > 0 ? [change] : []), ...new Map(attributes.map((each) => [`${each.field} ${String(each.from)} ${String(each.to)}`, each])).values()];
  },
  apply({ args, src, local, download }, { format, members }, changes) {
    const dest = hostPath(args.dest);
    const unpacking = { include: args.include, exclude: args.exclude, keepNewer: args.keep_newer, extra: args.extra_opts };
    if (download) return replaceFiles([], [dest], { after: [fetchAndUnpack(download, dest, unpacking, args)] });
    const archive = local ? raw('"$muster_archive"') : hostPath(args.src);
    const fresh = changes.some(({ field }) => field === 'content');
    const after = fresh ? [unpack(archive, dest, format, unpacking)] : [];
    const who = ownership(args.owner, args.group);
    const mode = args.mode !== undefined && /^\d+$/.test(args.mode) ? `0${args.mode}` : args.mode;
    const all = [...members, ...(fresh ? topFolders(members) : [])];
    for (let from = 0; from < all.length; from += 400) {
      const some = all.slice(from, from + 400);
      const solid = some.filter(({ kind }) => kind !== 'link');
      if (who !== '') after.push(sh`chown -h -- ${who} ${some.map(({ name }) => inside(args.dest, name))}`);
      if (mode !== undefined && solid.length > 0) after.push(sh`chmod -- ${mode} ${solid.map(({ name }) => inside(args.dest, name))}`);
      after.push(setLabels(some.map(({ name }) => inside(args.dest, name)), args));
    }
    const step = replaceFiles([], [dest], { after });
    return local && fresh ? { ...step, uploads: { muster_archive: { path: src } } } : step;
  },
  result({ args, src, download }, { format, members, created, folder }, output) {
    if (created) return { skipped: true, msg: `skipped, since ${args.creates} exists` };
    const what = output ? replaced(output, 1, `unpacking ${src}`) : undefined;
    const done = what?.seen.entries[0];
    const { path: dest, ...rest } = done ? describe(done.path, done.stat) : { path: args.dest, state: 'directory' };
    const common = { dest, src, ...(/^[/~$]/.test(args.dest) ? {} : { warnings: [`Relative destination path '${args.dest}' was resolved to absolute path '${folder}/${args.dest}'.`] }), ...rest };
    if (download) return { ...common, ...fetched(args, what?.notes) };
    return { ...common, handler: format === 'zip' ? 'ZipArchive' : 'TarArchive', ...(args.list_files ? { files: members.map(({ name, kind }) => (kind === 'directory' ? `${name}/` : name)) } : {}) };
  },
});
export default unarchive;

function downloadOf({ src, validate_certs }: Wanted['args']): Wanted['download'] {
  if (!/^\w+:\/\//.test(src)) return undefined;
  const { url, user, password } = addressOf(src);
  return { url: url.href, headers: {}, user, password, timeout: 10, validateCerts: validate_certs, useProxy: true, agent: 'muster', netrc: true };
}

/** What fetchAndUnpack() told. */
function fetched({ list_files }: Wanted['args'], notes: Returns = {}): Returns {
  const { handler, files, same } = notes as { [note: string]: string };
  return {
    ...(same === 'y' ? { changed: false } : {}),
    ...(handler === undefined ? {} : { handler }),
    ...(list_files && files !== undefined ? { files: files.split('\n').map((name) => name.replace(/^\.\//, '')) } : {}),
  };
}

/** Folders that the archive does not name itself: they get owner and mode too. */
function topFolders(members: readonly Member[]): Pick<Member, 'name' | 'kind'>[] {
  const known = new Set(members.map(({ name }) => name));
  const tops = new Set(members.filter(({ name }) => name.includes('/')).map(({ name }) => name.split('/')[0]!));
  return [...tops].filter((name) => !known.has(name)).map((name) => ({ name, kind: 'directory' }));
}

const isHashed = (members: readonly Member[]): boolean => members.some(({ sha256 }) => sha256 !== undefined);

function inside(dest: string, name: string): Sh {
  return hostPath(`${trimmedEnd(dest, '/')}/${name}`);
}

function unpacked(member: Member, { stat, target, sha256 }: Entry): boolean {
  if (stat === undefined) return false;
  switch (member.kind) {
    case 'directory':
      return stat.kind === 'directory' || stat.kind === 'link';
    case 'link':
      return stat.kind === 'link' && (member.target === undefined || target === member.target);
    case 'hardlink':
      return stat.kind === 'file';
    case 'other':
      return stat.kind !== 'file' && stat.kind !== 'directory';
    case 'file':
      if (stat.kind !== 'file') return false;
      return stat.size === member.size && (member.mtime === undefined || stat.mtime === member.mtime) && (member.sha256 === undefined || member.sha256 === sha256);
  }
}

/** A member appended twice is unpacked twice: the last one counts. */
function chosen({ include, exclude }: Wanted['args'], members: Member[]): Member[] {
  const matches = (patterns: readonly string[], anywhere: boolean) => {
    const globs = patterns.flatMap((pattern) => {
      const one = trimmedEnd(pattern.replace(/^\.\//, ''), '/');
      return [one, `${one}/*`, ...(anywhere ? [`*/${one}`, `*/${one}/*`] : [])].map(fnmatch);
    });
    return ({ name }: Member): boolean => globs.some((glob) => glob.test(name));
  };
  const [inside, outside] = [matches(include, false), matches(exclude, true)];
  const picked = members.filter((member) => (include.length === 0 || inside(member)) && !outside(member));
  return [...new Map(picked.map((member) => [member.name, member])).values()];
}

/** How many components tar is told to take off the names. */
function stripped(options: readonly string[]): number {
  const at = options.findIndex((option) => option.startsWith('--strip-components'));
  if (options.some((option) => /^--(transform|xform)/.test(option))) throw new ModuleError('unarchive cannot tell what is unpacked under names that --transform makes; use creates with command: tar');
  if (at === -1) return 0;
  const count = Number(options[at]!.includes('=') ? options[at]!.split('=')[1] : options[at + 1]);
  if (!Number.isInteger(count) || count < 0) throw new ModuleError(`unarchive: --strip-components takes a number`);
  return count;
}
