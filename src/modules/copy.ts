import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { withoutEndSlashes } from '../value/text.js';
import { attributeParams, labelsOf } from './attributes.js';
import { applyTree, compareTree, inspectTree, parseTree, touchesTree, treeResult, undoTree, type Item, type Tree } from './copy_tree.js';
import { inspectDestination, makeFolder, parseDestination, type Destination, type Found } from './destination.js';
import type { Seen } from './look.js';
import { defineModule, ModuleError } from './module.js';
import { any, bool, mode, params, path, str } from './params.js';
import { inspectRemote, parseRemote, type Remote, type RemoteFound } from './copy_remote.js';
import { flagsLook } from './flags.js';
import { replaceParams } from './replace_file.js';
import { exact, members, sourceFile } from './source.js';
import { applyFile, checksumOf, compareFile, fileDiff, fileResult, fileReturns, readText, touchesFile, undoFile, wholeFile, type WholeFile } from './whole_file.js';

const schema = params({
  src: path('File or folder on the controller, looked for in `files/`; a folder with a slash behind it stands for its contents. On the host with `remote_src`.').optional(),
  content: any('Text of the file, instead of src; a list or dict becomes JSON.').optional(),
  dest: path('Where it goes on the host; a file put in a folder keeps its name.').meta({ missing: 'dest is required' }),
  remote_src: bool('src is on the host.').default(false),
  force: bool('Replace what is there and differs; otherwise only what is missing is written.').default(true),
  directory_mode: mode('Mode of the folders that a recursive copy makes.').optional(),
  follow: bool('Follow symbolic links at the destination; otherwise they are replaced by files.').default(false),
  local_follow: bool('Send what symbolic links in src lead to, as is done unless this is false; of a folder of the host links are copied as links unless this is true.').optional(),
  checksum: str('SHA-1 the file on the controller must have.').optional(),
  decrypt: bool('A file that a vault encrypted goes to the host decrypted.').default(true),
  ...attributeParams,
  ...replaceParams,
});

const NO_FOLDER = 'can not use content with a dir as dest';

/** How many files are read in one turn of the event loop. */
const AT_ONCE = 64;

type One = Destination & { kind: 'one'; src: string | undefined; force: boolean; file: WholeFile };
type Wanted = One | Tree | Remote;
type Observed = Found | Seen | RemoteFound;

export const copy = defineModule<typeof schema, Observed, Wanted>({
  name: 'copy',
  summary: 'Copies a file, a folder or a text to the host.',
  params: schema,
  returns: { ...fileReturns, src: 'Path of the source.' },
  examples: [
    `- name: greeting
  copy:
    content: "Welcome to {{ inventory_hostname }}\\n"
    dest: /etc/motd
    mode: "0644"
`,
    `- name: the site
  copy:
    src: site/
    dest: /var/www/site
    owner: www-data
`,
  ],
  async prepare(args, controller) {
    const { src, content, dest, force, follow } = args;
    // The words are Ansible's.
    if (!src && content === undefined) throw new ModuleError('src (or content) is required');
    if (src && content !== undefined) throw new ModuleError('src and content are mutually exclusive');
    if (content !== undefined && dest.endsWith('/')) throw new ModuleError(NO_FOLDER);
    if (content !== undefined) return { kind: 'one', src, dest, base: undefined, follow, force, file: wholeFile(Buffer.from(text(content)), { ...args, source: 'content' }) };
    if (args.remote_src) return { ...args, kind: 'remote', src: src!, base: basename(src!) };
    const found = await controller.find(withoutEndSlashes(src!), 'files');
    if (!(await stat(found)).isDirectory()) {
      const file = await sourceFile(found, { ...args, source: src }, { summed: controller.registers || args.checksum !== undefined, decrypt: args.decrypt });
      if (args.checksum !== undefined && args.checksum !== checksumOf(file)) throw new ModuleError(`${found} has the checksum ${checksumOf(file)}, not ${args.checksum}`);
      return { kind: 'one', src: found, dest, base: basename(found), follow, force, file };
    }
    const items: Item[] = [{ name: '', kind: 'directory' }];
    for (const [i, member] of (await members(found, args.local_follow ?? true)).entries()) {
      if (i % AT_ONCE === 0) await turn();
      items.push(member.kind === 'file' ? { ...member, file: await sourceFile(member.path, { ...args, source: member.name }, { decrypt: args.decrypt }) } : member);
    }
    const { owner, group } = args;
    return { kind: 'tree', src: found, dest: src!.endsWith('/') ? dest : join(dest, basename(found)), force, follow, directoryMode: args.directory_mode, owner, group, labels: labelsOf(args), items };
  },
  inspect(wanted) {
    if (wanted.kind === 'tree') return inspectTree(wanted);
    if (wanted.kind === 'remote') return inspectRemote(wanted);
    return inspectDestination(wanted, { checksum: true, ...flagsLook(wanted.file) });
  },
  parse(output, wanted) {
    if (wanted.kind === 'tree') return parseTree(output, wanted);
    if (wanted.kind === 'remote') return parseRemote(output, wanted);
    return parseDestination(output, wanted, { checksum: true }, NO_FOLDER);
  },
  async refine(wanted, observed) {
    if (wanted.kind === 'remote') return wanted;
    if (wanted.kind === 'one') return { ...wanted, file: await exact(wanted.file, (observed as Found).entry) };
    const { entries } = observed as Seen;
    const items: Item[] = [];
    for (const [i, item] of wanted.items.entries()) items.push(item.kind === 'file' ? { ...item, file: await exact(item.file, entries[i]!) } : item);
    return { ...wanted, items };
  },
  compare(wanted, observed) {
    const tree = treeOf(wanted, observed);
    if (tree) return compareTree(tree, observed as Seen);
    const { file, found } = one(wanted, observed);
    const changes = compareFile(file, found.entry, found.umask);
    return wanted.force || found.entry.stat === undefined ? changes : changes.filter(({ field }) => field !== 'content');
  },
  apply(wanted, observed, changes) {
    const tree = treeOf(wanted, observed);
    if (tree) return applyTree(tree, observed as Seen);
    const { file, found } = one(wanted, observed);
    return applyFile(file, found.entry, found.umask, changes, { before: [makeFolder(wanted as One | Remote)] });
  },
  touches(wanted, observed) {
    const tree = treeOf(wanted, observed);
    return tree ? touchesTree(tree, observed as Seen) : touchesFile(one(wanted, observed).found.entry);
  },
  undo(wanted, observed, changes) {
    const tree = treeOf(wanted, observed);
    return tree ? undoTree(tree, observed as Seen) : undoFile(one(wanted, observed).found.entry, changes);
  },
  before: (_wanted, _observed, change) => readText(change),
  diff: (wanted, observed, changes, texts) => (treeOf(wanted, observed) ? undefined : fileDiff(one(wanted, observed).found.entry, changes, texts)),
  result(wanted, observed, output) {
    const tree = treeOf(wanted, observed);
    if (tree) return treeResult(tree, observed as Seen, output);
    const { file, found } = one(wanted, observed);
    return { ...fileResult(file, found.entry, found.umask, output), src: wanted.src };
  },
});
export default copy;

/** The folder that is copied, of the controller or of the host; undefined for one file. */
function treeOf(wanted: Wanted, observed: Observed): Tree | undefined {
  return wanted.kind === 'tree' ? wanted : 'tree' in observed ? observed.tree : undefined;
}

function one(wanted: Wanted, observed: Observed): { file: WholeFile; found: Found } {
  const found = observed as Found & { file?: WholeFile };
  return { file: wanted.kind === 'one' ? wanted.file : found.file!, found };
}

/** Text as it is; lists and dicts as Python's json.dumps writes them: in ASCII. */
function text(content: unknown): string {
  if (typeof content === 'string') return content;
  if (typeof content === 'boolean') return content ? 'True' : 'False';
  if (typeof content !== 'object' || content === null) return String(content ?? '');
  return json(content).replace(/[\u0080-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function json(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(json).join(', ')}]`;
  if (typeof value === 'object' && value !== null) return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${json(each)}`).join(', ')}}`;
  return JSON.stringify(value);
}
