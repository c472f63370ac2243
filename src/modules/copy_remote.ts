/** A file or folder of the host copied on the host: `copy` with `remote_src`. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { labelsOf, octal, type Attributes } from './attributes.js';
import type { Item, Tree } from './copy_tree.js';
import { inspectDestination, parseDestination, type Destination, type Found } from './destination.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry, type Seen } from './look.js';
import { ModuleError, type Output } from './module.js';
import type { WholeFile } from './whole_file.js';
import { hostPath } from './words.js';

export interface Remote extends Destination, Attributes {
  kind: 'remote';
  src: string;
  force: boolean;
  backup: boolean;
  validate?: string | undefined;
  directory_mode?: string | undefined;
  /** Copy what links in a folder lead to. */
  local_follow?: boolean | undefined;
}

/** One file with what stands at its destination, or a whole tree with what stands below its own. */
export type RemoteFound = (Found & { file: WholeFile }) | (Seen & { tree: Tree });

const file = { checksum: true, follow: true };
const tree = { checksum: true, whole: true };

/** umask; kind, path, target; stat; sum. */
const SOURCE_FIELDS = 6;

/** A folder goes into dest under its own name; with a slash behind it, what is in it goes there. */
function root({ src, dest, base }: Remote): string {
  return src.endsWith('/') ? dest : `${trimmedEnd(dest, '/')}/${base}`;
}

/** Looks at the source, then at the destination; of folders at all that is in them. Names with newlines end in an error. */
export function inspectRemote(wanted: Remote): Sh {
  const single = join([look([hostPath(wanted.src)], file), inspectDestination(wanted, { checksum: true, ...flagsLook(wanted) })]);
  return sh`s=${hostPath(wanted.src)} d=${hostPath(root(wanted))}
if [ -d "$s" ]; then
names=$(cd -- "$s" && find ${raw(wanted.local_follow ? '-L ' : '')}. | LC_ALL=C sort) || exit
from=$(printf '%s\\n' "$names" | while IFS= read -r n; do printf '%s\\n' "$s/$n"; done)
to=$(printf '%s\\n' "$names" | while IFS= read -r n; do n=\${n#.}; printf '%s\\n' "$d$n"; done)
printf 'tree\\000%s\\000' "$names"
set -f
IFS='
'
${look([raw('$from')], { ...tree, follow: wanted.local_follow ?? false })}
${look([raw('$to')], { ...tree, follow: wanted.follow, ...flagsLook(wanted) })}
else
printf 'file\\000'
${single}
fi`;
}

export function parseRemote(output: Output, wanted: Remote): RemoteFound {
  const what = `looking at ${wanted.src}`;
  const all = fields(output, what);
  if (all.shift() === 'tree') return parseTree(all, wanted, what);
  const source = seenFields(all.slice(0, SOURCE_FIELDS), 1, what, file).entries[0]!;
  if (source.stat === undefined) throw new ModuleError(`Source ${wanted.src} not found`);
  if (source.stat.kind !== 'file') throw new ModuleError(`Cannot copy invalid source '${wanted.src}': not a file`);
  const found = parseDestination({ ...output, stdout: all.slice(SOURCE_FIELDS).map((field) => `${field}\0`).join('') }, wanted, { checksum: true });
  return { ...found, file: sourceFile(source, wanted) };
}

function parseTree(all: string[], wanted: Remote, what: string): RemoteFound {
  const names = all.shift()!.split('\n');
  // umask; thrice kind, path, target for each; stat; sum.
  const sources = seenFields(all.splice(0, 3 * names.length + 3), names.length, what, tree).entries;
  const there = seenFields(all, names.length, `looking at ${wanted.dest}`, tree);
  const items = names.map((each, i): Item => {
    const name = each.slice(2);
    const source = sources[i]!;
    switch (source.stat?.kind) {
      case 'directory':
        return { name, kind: 'directory' };
      case 'link':
        return { name, kind: 'link', target: source.target! };
      case 'file':
        return { name, kind: 'file', file: sourceFile(source, wanted) };
      default:
        throw new ModuleError(`${source.path} on the host is ${source.stat?.kind ?? 'not there'}; copy takes files, folders and links whose names are one line`);
    }
  });
  const { src, force, follow, owner, group } = wanted;
  return { ...there, tree: { kind: 'tree', src, dest: root(wanted), force, follow, directoryMode: wanted.directory_mode, owner, group, labels: labelsOf(wanted), items } };
}

function sourceFile(source: Entry, wanted: Remote): WholeFile {
  const { owner, group, backup, validate, src } = wanted;
  return {
    owner, group, ...labelsOf(wanted), backup, validate, source: src,
    mode: wanted.mode === 'preserve' ? octal(source.stat!.mode) : wanted.mode,
    content: { host: hostPath(source.path) },
    sha256: source.sha256!,
    text: undefined,
    size: source.stat!.size,
  };
}
