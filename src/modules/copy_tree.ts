/** A folder of the controller brought to a host: the recursive half of `copy`. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { applyAttributes, compareAttributes, makeFolders, newMode, ownership, setAttributes, setLabels, type Labels } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry, type Seen } from './look.js';
import { ModuleError, type Back, type Change, type Output, type Returns, type Step, type Touched } from './module.js';
import { replaced, replaceFiles } from './replace_file.js';
import { unpack, type Packed } from './unpack.js';
import { compareFile, replacement, undoAttributes, undoFile, type WholeFile } from './whole_file.js';
import { hostPath } from './words.js';

export interface Tree {
  kind: 'tree';
  src: string;
  /** Folder on the host that corresponds to the source. */
  dest: string;
  force: boolean;
  follow: boolean;
  directoryMode: string | undefined;
  owner: string | undefined;
  group: string | undefined;
  labels: Labels;
  /** The folder itself first (name ''), parents before children. */
  items: Item[];
}

export type Item = { name: string } & (
  | { kind: 'directory' }
  | { kind: 'file'; file: WholeFile }
  | { kind: 'link'; target: string }
);

function paths(tree: Tree): Sh[] {
  return tree.items.map(({ name }) => hostPath(`${trimmedEnd(tree.dest, '/')}/${name}`));
}

const files = { checksum: true };

/** What a tree needs to know: what is there, and whether the host can unpack an archive. */
export type TreeSeen = Seen & { tar?: boolean };

/** So many new files go as one archive. */
const MANY = 8;

export function inspectTree(tree: Tree): Sh {
  return join([raw(`command -v tar >/dev/null 2>&1; printf '%s\\000' $?`), look(paths(tree), { ...files, follow: tree.follow, ...flagsLook(tree.labels) })]);
}

export function parseTree(output: Output, tree: Tree): TreeSeen {
  const what = `looking below ${tree.dest}`;
  const [tar, ...rest] = fields(output, what);
  return { tar: tar === '0', ...seenFields(rest, tree.items.length, what, files) };
}

/** What one member needs; field names carry the member's name. */
function changesOf(tree: Tree, item: Item, entry: Entry, umask: number): Change[] {
  const named = (change: Change): Change => ({ ...change, field: item.name === '' ? change.field : `${change.field} of ${item.name}` });
  const { stat } = entry;
  if (item.kind === 'directory') {
    // A link that stands for a folder is copied into, as Ansible does.
    if (stat === undefined) return [named({ field: 'state', from: 'absent', to: 'directory' })];
    if (stat.kind !== 'directory' && stat.kind !== 'link') throw new ModuleError(`${entry.path} is there and is no folder but a ${stat.kind}`);
    return stat.kind === 'link' ? [] : compareAttributes({ owner: tree.owner, group: tree.group, ...tree.labels }, stat, umask).map(named);
  }
  if (stat !== undefined && !tree.force && item.kind === 'link') return [];
  if (item.kind === 'link') {
    if (stat?.kind === 'link' && entry.target === item.target) return compareAttributes({ owner: tree.owner, group: tree.group }, stat, umask).map(named);
    if (stat?.kind === 'directory') throw new ModuleError(`${entry.path} is there and is no link but a folder`);
    return [named({ field: 'target', from: entry.target ?? stat?.kind ?? null, to: item.target })];
  }
  const changes = compareFile(item.file, entry, umask);
  return (tree.force || stat === undefined ? changes : changes.filter(({ field }) => field !== 'content')).map(named);
}

export function compareTree(tree: Tree, { entries, umask }: Seen): Change[] {
  return tree.items.flatMap((item, i) => changesOf(tree, item, entries[i]!, umask));
}

export function applyTree(tree: Tree, { entries, umask, tar }: TreeSeen): Step {
  const before: Sh[] = [];
  const after: Sh[] = [];
  const packed = tar && Object.keys(tree.labels).length === 0 ? packable(tree, entries, umask) : new Map<Item, Packed>();
  // New folders are filled before they are seen. The folder that all goes into is not among them: it is where that is done.
  const made = new Set(packed.size === 0 ? [] : tree.items.filter((item, i) => i > 0 && item.kind === 'directory' && entries[i]!.stat === undefined));
  const puts = tree.items.flatMap((item, i) => {
    const entry = entries[i]!;
    const changes = changesOf(tree, item, entry, umask);
    const path = hostPath(entry.path);
    if (changes.length === 0 || packed.has(item) || made.has(item)) return [];
    if (item.kind === 'directory' && entry.stat === undefined) {
      before.push(makeFolders(path, tree.owner, tree.group, newMode(tree.directoryMode, true, umask), tree.labels));
    } else if (item.kind === 'link') {
      if (entry.target !== item.target) after.push(sh`ln -sfn -- ${item.target} ${path}`);
      after.push(setAttributes(path, tree.owner, tree.group, undefined), setLabels(path, tree.labels));
    } else if (item.kind === 'file' && changes.some(({ field }) => field.startsWith('content'))) {
      return [replacement(item.file, entry, umask)];
    } else {
      const wanted = item.kind === 'file' ? item.file : tree;
      const plain = changes.map((change) => ({ ...change, field: change.field.split(' ')[0]! }));
      after.push(applyAttributes(path, { owner: wanted.owner, group: wanted.group, mode: item.kind === 'file' ? item.file.mode : undefined, ...tree.labels }, entry.stat!, umask, plain));
    }
    return [];
  });
  if (packed.size === 0) return replaceFiles(puts, [], { before, after });
  const folders = { names: [...made].map(({ name }) => name), mode: newMode(tree.directoryMode, true, umask) };
  const { script, uploads } = unpack(hostPath(entries[0]!.path), [...packed.values()], folders, ownership(tree.owner, tree.group));
  const step = replaceFiles(puts, [], { before: [...before, script], after });
  return { ...step, uploads: { ...step.uploads, ...uploads } };
}

/** What applyTree() touches. */
export function touchesTree(tree: Tree, { entries, umask }: Seen): Touched {
  return { paths: entries.filter((entry, i) => changesOf(tree, tree.items[i]!, entry, umask).length > 0).map(({ path }) => hostPath(path)) };
}

/** What has changed below a folder is taken back one by one, up to so many. */
const MOST_BACK = 200;

/** The way back from applyTree(): members before the folders they are in. */
export function undoTree(tree: Tree, { entries, umask }: Seen): Back[] {
  const back = tree.items.flatMap((item, i): Back[] => {
    const entry = entries[i]!;
    const changes = changesOf(tree, item, entry, umask).map((change) => ({ ...change, field: change.field.split(' ')[0]! }));
    if (changes.length === 0) return [];
    if (item.kind !== 'directory') return undoFile(entry, changes);
    if (entry.stat) return [undoAttributes(entry.path, entry.stat, changes)];
    return [{ module: 'file', args: { path: entry.path, state: 'absent', only: 'empty' }, behind: true, ...(i === 0 ? { above: hostPath(entry.path) } : {}) }];
  });
  if (back.length > MOST_BACK) throw new ModuleError(`${back.length} files and folders changed below ${tree.dest}: more than ${MOST_BACK} are not taken back`);
  return back.reverse();
}

/** New files that need no command to accept them, if there are many. A new owner would cost set-id bits. */
function packable(tree: Tree, entries: readonly Entry[], umask: number): Map<Item, Packed> {
  const packed = new Map<Item, Packed>();
  tree.items.forEach((item, i) => {
    if (item.kind !== 'file' || entries[i]!.stat !== undefined || item.file.validate !== undefined || !('bytes' in item.file.content)) return;
    const mode = newMode(item.file.mode, false, umask) ?? 0o666 & ~umask;
    if ((mode & 0o7000) === 0) packed.set(item, { name: item.name, mode, bytes: item.file.content.bytes });
  });
  return packed.size < MANY ? new Map() : packed;
}

export function treeResult(tree: Tree, { entries }: Seen, output: Output | undefined): Returns {
  const notes = output ? replaced(output, 0, `copying to ${tree.dest}`).notes : {};
  return { dest: entries[0]!.path, src: tree.src, state: 'directory', ...notes };
}
