/** Many new files brought to a folder of the host as one archive: a few processes for all of them instead of several each, and a rename for each new folder with all that is in it. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import type { Step } from './module.js';

export interface Packed {
  /** Relative to the folder. */
  name: string;
  mode: number;
  bytes: Buffer;
}

/** $1 folder, $2 owner:group: unpacks into a private folder inside, where the files get all their attributes before they are renamed. */
const UNPACK = raw(`muster_unpack() (
  cd -- "$1" && t=$(mktemp -d ./.muster.XXXXXX) || exit
  trap 'rm -rf -- "$t"' EXIT
  trap 'exit 129' HUP INT TERM
  (cd -- "$t" && muster_folders) || exit
  tar -xpof "$muster_archive" -C "$t" || exit
  [ -z "$2" ] || chown -R -- "$2" "$t" || exit
  (cd -- "$t" && muster_modes) || exit
  muster_place
)
muster_into() {
  d=$1
  shift
  (for n do set -- "$@" "$t/$d/$n"; shift; done; mv -f -- "$@" "$d/") || exit
  [ ! -d /sys/fs/selinux ] || (cd -- "$d" && restorecon -R -- "$@" 2>/dev/null) || :
}`);

/** How many names one process is given. */
const CHUNK = 400;

/** Folders that are not there yet, parents before children, relative to the folder that is unpacked into. */
export interface NewFolders {
  names: readonly string[];
  /** Undefined: what the umask leaves. */
  mode: number | undefined;
}

/** @param owner chown's word, empty for none; nothing may stand where the files go, and their folders must be there or among the new ones */
export function unpack(folder: Sh, files: readonly Packed[], made: NewFolders, owner: string): Required<Pick<Step, 'script' | 'uploads'>> {
  const isNew = new Set(made.names);
  const folders = new Map<string, string[]>();
  for (const name of [...made.names, ...files.map((file) => file.name)]) {
    const slash = name.lastIndexOf('/') + 1;
    // It comes with its folder.
    if (slash > 0 && isNew.has(name.slice(0, slash - 1))) continue;
    const names = folders.get(name.slice(0, slash));
    if (names) names.push(name.slice(slash));
    else folders.set(name.slice(0, slash), [name.slice(slash)]);
  }
  const places = [...folders].flatMap(([at, names]) => chunks(names).map((some) => sh`muster_into ${`./${at}`} ${some}`));
  const octal = made.mode?.toString(8).padStart(4, '0');
  const script = join([
    UNPACK,
    steps('muster_folders', chunks(made.names).map((some) => sh`mkdir -p -- ${some}`)),
    // Children first, before a folder may be closed to its owner.
    steps('muster_modes', octal === undefined ? [] : chunks(made.names.toReversed()).map((some) => sh`chmod -- ${octal} ${some}`)),
    steps('muster_place', places),
    sh`muster_unpack ${folder} ${owner}`,
  ]);
  return { script, uploads: { muster_archive: { content: tar(files) } } };
}

function chunks(names: readonly string[]): string[][] {
  const all: string[][] = [];
  for (let from = 0; from < names.length; from += CHUNK) all.push(names.slice(from, from + CHUNK).map((name) => `./${name}`));
  return all;
}

/** A function that does these one after the other, up to the first that fails. */
function steps(name: string, all: readonly Sh[]): Sh {
  return sh`${raw(name)}() {
:${join(all.map((each) => sh` &&\n${each}`), '')}
}`;
}

const BLOCK = 512;

/** A tar archive; names beyond the header's 100 bytes stand in an entry of their own, as GNU tar writes them. */
export function tar(files: readonly Packed[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { name, mode, bytes } of files) {
    const encoded = Buffer.from(name);
    if (encoded.length > 100) blocks.push(header(Buffer.from('././@LongLink'), 0o644, encoded.length + 1, 'L'), padded(Buffer.concat([encoded, Buffer.alloc(1)])));
    blocks.push(header(encoded, mode, bytes.length, '0'), padded(bytes));
  }
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header(name: Buffer, mode: number, size: number, type: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): number => block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  name.copy(block, 0, 0, 100);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(Math.floor(Date.now() / 1000), 136, 12);
  block.write(`        ${type}`, 148, 'latin1');
  block.write('ustar  \0', 257, 'latin1');
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7);
  block[155] = 0x20;
  return block;
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % BLOCK;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(BLOCK - rest)]);
}
