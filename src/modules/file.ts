import { basename } from 'node:path/posix';
import { join, sh, type Sh } from '../shell/sh.js';
import { lookups } from './accounts.js';
import { applyAttributes, attributeParams, compareAttributes, describe, labelsOf, makeFolders, newMode, octal, setAttributes, setLabels, stateName } from './attributes.js';
import { applyBelow, compareBelow, inspectBelow, takeBelow, type Below } from './file_below.js';
import { fileDiff, listing } from './file_diff.js';
import { compareHardlink, compareSymlink, hardSource, switchLink, symlinkSource } from './file_links.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry, type LookOptions } from './look.js';
import { defineModule, ModuleError, type Back, type Change, type Step } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { replaced, replaceFiles, unsafeWrites } from './replace_file.js';
import { compareTimes, readTimes, setTimes, takeTimes, timeParams } from './times.js';
import { attributesOf, undoAttributes, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('The file, folder or link.').meta({ aliases: ['dest', 'name'] }),
  state: choice(
    ['absent', 'directory', 'file', 'hard', 'link', 'touch'],
    'What shall be there. `file` changes what is there and never makes one; by default what is there stays; with recurse, where nothing is, a folder.',
  ).optional(),
  src: path('What a link leads to; a relative path counts from the folder of the link.').optional(),
  recurse: bool('Set owner, group and mode on everything in the folder.').default(false),
  force: bool('Make a link that leads nowhere, or in place of a file or an empty folder.').default(false),
  follow: bool('Change what a link leads to rather than the link.').default(true),
  only: str('With `state: absent`: it goes only if it is this, else the task fails: `empty`, for a folder with nothing in it, or the SHA-256 of a file. (Ansible has no such parameter.)').optional(),
  _diff_peek: bool("Only tells whether the file looks binary: how Ansible's own actions ask.").optional(),
  ...timeParams,
  ...attributeParams,
  unsafe_writes: unsafeWrites,
}).check((context) => {
  const { only, state } = context.value;
  const wrong = only === undefined ? undefined : state !== 'absent' ? 'only goes with state: absent' : /^(empty|[0-9a-f]{64})$/.test(only) ? undefined : 'only is "empty" or a SHA-256, 64 hexadecimal digits';
  if (wrong !== undefined) context.issues.push({ code: 'custom', message: wrong, input: context.value, path: ['only'] });
});

type Wanted = typeof schema._output;

interface Observed {
  state: NonNullable<Wanted['state']>;
  entry: Entry;
  umask: number;
  /** What src of a link leads to. */
  source: Entry | undefined;
  /** All that is in the folder, itself included; only with recurse. */
  below: Below | undefined;
  /** A folder with something in it; only with `only: empty`. */
  full: boolean;
  /** It holds a NUL among its first 8 KiB; only with _diff_peek. */
  binary: boolean;
  /** Seconds since the epoch that access_time and modification_time stand for on the host. */
  times: (number | undefined)[];
}

/** Removal and hard links are about the path itself; all else may be behind a link. */
function follows({ state, follow }: Wanted): boolean {
  return follow && state !== 'absent' && state !== 'hard';
}

/** What is looked at: a hard link may go into a folder, under the name of what it is made to; what links lead to comes last. */
function lookedAt(wanted: Wanted): Sh[] {
  const { path, src, state } = wanted;
  if (src === undefined) return [hostPath(path)];
  if (state !== 'hard') return [hostPath(path), symlinkSource(wanted)];
  return [hostPath(path), hostPath(`${path}/.`), hostPath(`${path}/${basename(src)}`), hardSource(wanted)];
}

function lookOf(wanted: Wanted): LookOptions {
  return { follow: follows(wanted), checksum: wanted.only !== undefined && wanted.only !== 'empty', ...flagsLook(wanted) };
}

export const file = defineModule<typeof schema, Observed>({
  name: 'file',
  summary: 'Makes folders, links and empty files, sets owner and mode, removes.',
  params: schema,
  returns: {
    path: 'The path, links followed.',
    dest: 'The same, for `touch`, `link` and `hard`.',
    src: 'What the link leads to.',
    state: '`file`, `hard`, `link`, `directory` or `absent`.',
    owner: 'Name of the owner.',
    group: 'Name of the group.',
    uid: 'Number of the owner.',
    gid: 'Number of the group.',
    mode: 'Permissions, octal: "0644".',
    size: 'Bytes.',
    secontext: 'The SELinux context, where the host has SELinux.',
    diff: 'What changes of the path: before, after; of a folder that goes, where diffs are wanted, path_content.',
  },
  examples: [
    `- name: folder for releases
  file:
    path: /srv/app/releases
    state: directory
    owner: app
    mode: "0755"
`,
    `- name: the current release
  file:
    path: /srv/app/current
    src: releases/42
    state: link
`,
  ],
  inspect(wanted) {
    const parts = [look(lookedAt(wanted), lookOf(wanted)), readTimes(wanted)];
    const root = hostPath(wanted.path);
    if (wanted.only === 'empty') parts.push(sh`f=; if [ -d ${root} ] && [ ! -L ${root} ]; then f=$(ls -A -- ${root}) || exit; fi; printf '%s\\000' "\${f:+full}"`);
    if (wanted.recurse) parts.push(inspectBelow(root, wanted));
    if (wanted._diff_peek !== undefined) parts.push(sh`n=0; if [ -f ${root} ]; then n=$(head -c 8192 <${root} | tr -dc '\\000' | wc -c) || exit; fi; printf '%s\\000' "$n"`);
    return join(parts);
  },
  parse(output, wanted) {
    const what = `looking at ${wanted.path}`;
    const rest = fields(output, what);
    const binary = wanted._diff_peek !== undefined && Number(rest.pop()) > 0;
    const below = wanted.recurse ? takeBelow(rest, what, output.stderr) : undefined;
    const full = wanted.only === 'empty' && rest.pop() === 'full';
    const times = takeTimes(wanted, rest);
    const { entries, umask } = seenFields(rest, lookedAt(wanted).length, what, lookOf(wanted));
    const [first, dot, inside] = entries;
    const entry = entries.length === 4 && dot!.stat ? inside! : first!;
    return { state: wanted.state ?? stateOf(entry, wanted), entry, umask, source: entries.length > 1 ? entries.at(-1) : undefined, full, binary, times, below };
  },
  compare(wanted, observed) {
    const { state, entry, umask, times, below } = observed;
    const { stat } = entry;
    if (wanted._diff_peek !== undefined) return [];
    if (wanted.recurse && state !== 'directory') throw new ModuleError("recurse option requires state to be 'directory'", { path: entry.path });
    if (wanted.src !== undefined && state !== 'link' && state !== 'hard') throw new ModuleError("src option requires state to be 'link' or 'hard'", { path: entry.path });
    const made = (from: unknown): Change => ({ field: 'state', from, to: state });
    switch (state) {
      case 'absent':
        if (stat === undefined) return [];
        if (wanted.only !== undefined) checkOnly(wanted.only, observed);
        return [stat.kind === 'directory' ? { ...made(stat.kind), text: { path: entry.path, after: null } } : made(stat.kind)];
      case 'file':
        if (stat === undefined) throw new ModuleError(`file (${entry.path}) is absent, cannot continue; state: touch makes an empty file, copy and template write one`, { path: entry.path, state: 'absent' });
        if (stat.kind === 'directory' || stat.kind === 'link') throw new ModuleError(`file (${entry.path}) is ${stat.kind}, cannot continue`, { path: entry.path, state: stat.kind });
        return [...compareAttributes(wanted, stat, umask), ...compareTimes(wanted, times, stat, 'preserve')];
      case 'touch':
        if (stat === undefined) return [made('absent')];
        return [...compareAttributes(wanted, stat, umask), ...compareTimes(wanted, times, stat, 'now')];
      case 'directory': {
        if (stat === undefined) return [made('absent')];
        if (stat.kind !== 'directory') throw new ModuleError(`${entry.path} already exists as a ${stateName(stat)}`, { path: entry.path });
        return [...(below ? compareBelow(wanted, below, umask) : compareAttributes(wanted, stat, umask)), ...compareTimes(wanted, times, stat, 'preserve')];
      }
      case 'link':
        return compareSymlink(wanted, observed);
      case 'hard':
        return compareHardlink(wanted, observed);
    }
  },
  apply(wanted, { state, entry, umask, source }, changes): Step {
    const path = hostPath(entry.path);
    const made = changes.some(({ field }) => field === 'state' || field === 'src');
    const attributes = entry.stat === undefined ? join([]) : applyAttributes(path, wanted, entry.stat, umask, changes);
    if (state === 'absent') return replaceFiles([], [path], { after: [wanted.only === 'empty' ? sh`rmdir -- ${path}` : sh`rm -rf -- ${path}`] });
    if (state === 'link') {
      const link = hostPath(wanted.path);
      const target = wanted.follow ? source?.path : wanted.path;
      const known = wanted.follow ? source?.stat : entry.stat?.kind === 'link' ? entry.stat : undefined;
      const settled = target !== undefined && known ? applyAttributes(hostPath(target), wanted, known, umask, changes) : setAttributes(link, wanted.owner, wanted.group, undefined);
      const emptied = entry.target === undefined && entry.stat?.kind === 'directory' ? sh`rmdir -- ${link}` : join([]);
      const context = target !== undefined && known ? join([]) : setLabels(link, wanted);
      return replaceFiles([], [link], { after: [emptied, made ? switchLink(link, sh`ln -s -- ${wanted.src!} "$t"`) : join([]), settled, context] });
    }
    if (state === 'hard') return replaceFiles([], [path], { after: [made ? switchLink(path, sh`ln -- ${hardSource(wanted)} "$t"`) : join([]), attributes] });
    if (state === 'directory' && made) {
      return replaceFiles([], [path], { after: [makeFolders(path, wanted.owner, wanted.group, newMode(wanted.mode, true, umask), labelsOf(wanted)), setTimes(path, wanted, changes)] });
    }
    if (state === 'touch' && made) {
      // What cannot be made as it is wanted is not left behind.
      const set = [setAttributes(path, wanted.owner, wanted.group, newMode(wanted.mode, false, umask)), setTimes(path, wanted, []), setLabels(path, wanted)].filter(({ text }) => text !== '');
      return replaceFiles([], [path], { after: [sh`: >>${path}`, set.length === 0 ? join([]) : sh`{ ${join(set, ' && ')} || { rm -f -- ${path}; false; }; }`] });
    }
    return replaceFiles([], [path], { after: [wanted.recurse ? applyBelow(path, wanted, changes) : attributes, setTimes(path, wanted, changes)] });
  },
  remarks({ state, owner, group }) {
    if (state === 'absent' || (owner === undefined && group === undefined)) return undefined;
    const known = (what: string, database: string, id: string, name: string | undefined) =>
      name === undefined ? join([]) : sh`a=$(accounts ${database} ${name}) || exit; [ "$a" ] || printf '%s\n' ${`failed to look up ${what}${/^\d+$/.test(name) ? ` with ${id}` : ''} ${name}. Create ${what} up to this point in real play`}`;
    return join([lookups(false), known('user', 'passwd', 'uid', owner), known('group', 'group', 'gid', group)]);
  },
  touches(wanted, { state, entry }) {
    const paths = [hostPath(entry.path), hostPath(wanted.path), ...(wanted.src === undefined ? [] : lookedAt(wanted).slice(-1))];
    return state === 'absent' || wanted.recurse ? { trees: paths } : { paths };
  },
  undo: (wanted, observed, changes) => undo(wanted, observed, changes),
  before: (_wanted, { entry }) => listing(entry.path),
  diff: (wanted, { state, entry }, changes, texts) => (wanted._diff_peek === undefined ? fileDiff(state === 'link' || state === 'hard' ? wanted.path : entry.path, entry, state, changes, texts) : undefined),
  result(wanted, { state, entry, umask, binary, source }, output) {
    if (wanted._diff_peek !== undefined) return { path: wanted.path, appears_binary: binary };
    const done = output ? replaced(output, 1, `changing ${entry.path}`).seen.entries[0]! : entry;
    const facts = describe(done.path, done.stat);
    if (!output && done.stat === undefined && state !== 'absent') Object.assign(facts, { state: state === 'touch' ? 'file' : state }, wanted.mode === undefined ? {} : { mode: octal(newMode(wanted.mode, state === 'directory', umask)!) });
    if (state === 'absent') return { path: entry.path, state };
    if (state === 'hard') return { ...facts, dest: facts['path'], src: wanted.src, state };
    if (state === 'link') {
      const nowhere = wanted.follow && (wanted.src === undefined ? entry : source)?.stat === undefined;
      return {
        ...facts, path: wanted.path, dest: wanted.path, src: wanted.src ?? entry.target, state,
        ...(nowhere ? { warnings: ['Cannot set fs attributes on a non-existent symlink target. follow should be set to False to avoid this.'] } : {}),
      };
    }
    return state === 'touch' ? { ...facts, dest: facts['path'] } : facts;
  },
  verify: (wanted) => wanted.state !== 'touch' || (wanted.access_time ?? 'now') !== 'now' || (wanted.modification_time ?? 'now') !== 'now',
});
export default file;

/** What is there stays what it is. A link counts as what it leads to, unless it is to lead elsewhere. */
function stateOf({ stat, target }: Entry, { recurse, src, follow }: Wanted): Observed['state'] {
  if (target !== undefined && (src !== undefined || !follow || stat === undefined)) return 'link';
  return stat?.kind === 'directory' || (recurse && stat === undefined) ? 'directory' : 'file';
}

/** @throws ModuleError where something else is there than what alone may go */
function checkOnly(only: string, { entry: { path, stat, sha256 }, full }: Observed): void {
  if (only === 'empty') {
    if (stat!.kind !== 'directory') throw new ModuleError(`${path} is no folder but a ${stat!.kind}, so it stays`);
    if (full) throw new ModuleError(`the folder ${path} is not empty, so it stays`);
  } else if (stat!.kind !== 'file') throw new ModuleError(`${path} is no file but a ${stat!.kind}, so it stays`);
  else if (sha256 !== only) throw new ModuleError(`${path} has another content (sha256:${sha256}), so it stays`);
}

/** SHA-256 of nothing. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function undo(wanted: Wanted, { state, entry, source }: Observed, changes: readonly Change[]): Back[] {
  const { path, stat, target } = entry;
  const has = (field: string): boolean => changes.some((change) => change.field === field);
  if (state === 'link' || state === 'hard') {
    const at = state === 'link' ? wanted.path : path;
    const attributes = !has('src') && stat ? [undoAttributes(state === 'link' && wanted.follow ? source!.path : path, state === 'link' && wanted.follow ? source!.stat! : stat, changes)] : [];
    if (!has('src')) return attributes;
    if (target !== undefined && state === 'link') return [{ module: 'file', args: { path: at, src: target, state: 'link', force: true, follow: false } }];
    if (stat?.kind === 'directory') return [{ module: 'file', args: { path: at, state: 'absent' } }, { module: 'file', args: { path: at, ...attributesOf(stat), state: 'directory' }, behind: true }];
    return stat === undefined ? [{ module: 'file', args: { path: at, state: 'absent' }, above: hostPath(at) }] : undoFile(entry, [{ field: 'content', from: null, to: null }]);
  }
  if (state === 'absent') {
    if (wanted.only === 'empty') return [{ module: 'file', args: { path, ...attributesOf(stat!), state: 'directory' } }];
    if (stat!.kind === 'directory') throw new ModuleError(`${path} was a folder, and what was in it was not kept`);
    return undoFile(entry, [{ field: 'content', from: null, to: null }]);
  }
  if (state === 'directory' && has('state')) return [{ module: 'file', args: { path, state: 'absent', only: 'empty' }, above: hostPath(path) }];
  if (state === 'touch' && has('state')) return [{ module: 'file', args: { path, state: 'absent', only: EMPTY }, above: hostPath(path) }];
  if (wanted.recurse) throw new ModuleError(`owner, mode and context of all that is below ${path} were not kept`);
  if (!changes.some(({ field }) => field in attributesOf(stat!))) throw new ModuleError('times of files are not put back');
  return [undoAttributes(path, stat!, changes)];
}
