/** What goes into an archive that `archive` makes: found on the host, chosen here. */
import { dirname } from 'node:path/posix';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fnmatch } from '../value/glob.js';
import type { Member } from './archives.js';
import { parseKind } from './look.js';
import { ModuleError } from './module.js';
import { globbing, hostPath } from './words.js';

export interface Sources {
  path: readonly string[];
  exclude_path: readonly string[];
  exclusion_patterns: readonly string[];
  format: string;
}

/** One thing that belongs into the archive. */
export interface Wanted extends Pick<Member, 'name' | 'kind' | 'size' | 'mode'> {
  path: string;
  mtime: number;
  /** By number and by name, as listings have it: `0/0`, `root/root`. */
  owners: [string, string];
}

export interface Found {
  /** Of `path` and `exclude_path`, patterns replaced by what fits them. */
  expanded: string[];
  excluded: string[];
  /** What is left of `path`, in order, and which of it is not there. */
  paths: string[];
  missing: string[];
  /** The folder that names in the archive count from, with a slash behind it. */
  root: string;
  /** The first of the paths is a folder. */
  isFolder: boolean;
  members: Wanted[];
}

export const isPattern = (path: string): boolean => /[*?]/.test(path);

/** A slash at the end counts: names in the archive count from that folder then. */
function words(paths: readonly string[]): Sh {
  return join(paths.map((path) => (isPattern(path) ? globbing(path) : /.\/$/.test(path) ? sh`${hostPath(path)}/` : hostPath(path))), ' ');
}

/** Kind and mode, numbers and names of the owner, size, time. */
const FORMAT = '%f %u/%g %U/%G %s %Y';

/** Prints fields with a letter before each: x expanded, X excluded, d and f what is there, m what is not; then n names and, behind s, what they are. */
export function findSources({ path, exclude_path, format }: Sources): Sh {
  // zip has what a link leads to.
  const follow = format === 'zip' ? '-L ' : '';
  const each = `[ $# -gt 0 ] || exit 0; printf 'n%s\\000' "$@"; s=$(for f do stat ${follow}-c '${FORMAT}' -- "$f" || exit; done) || exit; printf 's%s\\000' "$s"`;
  return sh`muster_take() {
  ${exclude_path.length === 0 ? raw(':') : sh`for e in ${words(exclude_path)}; do [ "$1" != "$e" ] || return 0; done`}
  if [ -d "$1" ]; then
    printf 'd%s\\000' "$1"
    find "\${1%/}/" -mindepth 1 -exec sh -c ${each} sh {} +
  elif [ -e "$1" ] || [ -L "$1" ]; then
    printf 'f%s\\000' "$1"
    sh -c ${each} sh "$1"
  else printf 'm%s\\000' "$1"; fi
}
${exclude_path.length === 0 ? join([]) : sh`for p in ${words(exclude_path)}; do printf 'X%s\\000' "$p"; done`}
${join(path.map((one) => sh`for p in ${words([one])}; do ${isPattern(one) ? raw('[ -e "$p" ] || [ -L "$p" ] || continue') : join([])}
  printf 'x%s\\000' "$p"; muster_take "$p" || exit; done`))}`;
}

/** @throws ModuleError where something cannot be archived */
export function readSources(rest: readonly string[], sources: Sources): Found {
  const found: Found = { expanded: [], excluded: [], paths: [], missing: [], root: '', isFolder: false, members: [] };
  const here = new Map<string, { isFolder: boolean; found: Omit<Wanted, 'name'>[] }>();
  let names: string[] = [];
  let current: Omit<Wanted, 'name'>[] = [];
  for (const field of rest) {
    const text = field.slice(1);
    switch (field[0]) {
      case 'x': found.expanded.push(text); break;
      case 'X': found.excluded.push(text); break;
      case 'm': found.missing.push(text); break;
      case 'd':
      case 'f': here.set(text, { isFolder: field[0] === 'd', found: (current = []) }); break;
      case 'n': names.push(text); break;
      default:
        text.split('\n').forEach((line, i) => current.push(describe(line, names[i]!)));
        names = [];
    }
  }
  found.missing = [...new Set(found.missing)];
  found.paths = [...new Set([...here.keys(), ...found.missing])].sort(byBytes);
  if (found.paths.length === 0) throw new ModuleError('Error, no source paths were found', { path: sources.path.join(', ') });
  found.root = commonFolder(found.paths);
  found.isFolder = here.get(found.paths[0]!)?.isFolder ?? false;
  const patterns = sources.exclusion_patterns.map(fnmatch);
  const members = new Map<string, Wanted>();
  for (const path of found.paths) {
    for (const one of here.get(path)?.found ?? []) {
      const name = one.path.startsWith(found.root) ? one.path.slice(found.root.length) : one.path;
      if (patterns.some((pattern) => pattern.test(sources.format === 'zip' ? one.path : name))) continue;
      if (name.includes('\n')) throw new ModuleError(`a name with a newline in it cannot be archived: ${JSON.stringify(one.path)}`);
      members.set(name, { ...one, name });
    }
  }
  found.members = [...members.values()];
  return found;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The folder all of them are in, with a slash behind it. */
function commonFolder(paths: readonly string[]): string {
  const folders = paths.map((path) => (path.endsWith('/') ? path : `${dirname(path)}/`.replace('//', '/')).split('/'));
  const shared = folders.reduce((common, parts) => common.slice(0, common.findIndex((part, i) => part !== parts[i]) >>> 0));
  return shared.at(-1) === '' ? shared.join('/') : `${shared.join('/')}/`;
}

function describe(line: string, path: string): Omit<Wanted, 'name'> {
  const [bits, numbers, names, size, mtime] = line.split(' ');
  if (mtime === undefined) throw new ModuleError(`cannot read the output of stat: ${line}`);
  const { kind, mode } = parseKind(bits!);
  return { path, kind: kind === 'file' || kind === 'directory' || kind === 'link' ? kind : 'other', mode: permissions(mode), owners: [numbers!, names!], size: Number(size), mtime: Number(mtime) };
}

/** Permission bits as ls(1) writes them. */
export function permissions(bits: number): string {
  return [6, 3, 0].map((shift, i) => {
    const [special, letter] = [(bits >> (11 - i)) & 1, 'sst'[i]!];
    const has = (bit: number): boolean => ((bits >> shift) & bit) !== 0;
    return `${has(4) ? 'r' : '-'}${has(2) ? 'w' : '-'}${special ? (has(1) ? letter : letter.toUpperCase()) : has(1) ? 'x' : '-'}`;
  }).join('');
}
