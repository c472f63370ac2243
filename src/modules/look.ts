/**
 * Looking at paths on a host: one shell text for any number of them, one `stat` and one `sha256sum`
 * process per 500, and an answer that keeps apart what is absent, what may not be seen and what failed.
 */
import { Question, type Kind as QuestionKind } from '../shell/question.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { flagLetters, READ_FLAGS } from './flags.js';
import { ModuleError, type Output } from './module.js';

export type Kind = 'file' | 'directory' | 'link' | 'fifo' | 'socket' | 'char' | 'block';

/** What stat(2) tells. Times are whole seconds since the epoch. */
export interface Stat {
  kind: Kind;
  /** Permission bits, 0 to 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  /** "UNKNOWN" where the host has no name for the id. */
  owner: string;
  group: string;
  nlink: number;
  size: number;
  atime: number;
  mtime: number;
  ctime: number;
  inode: number;
  dev: number;
  /** The SELinux context, where the host has one for it: `system_u:object_r:etc_t:s0`. */
  context?: string;
  /** Letters of the file system's flags, where they were asked for and the host can tell; empty where the file system has none. */
  flags?: string;
}

/** One path as it was found. */
export interface Entry {
  /** The path that was looked at, with `~` expanded and, when links are followed, where they lead. */
  path: string;
  /** Undefined when nothing is there (a link that leads nowhere is there, unless links are followed). */
  stat: Stat | undefined;
  /** Where the link points (its first target, when links are followed). */
  target: string | undefined;
  /** Lower-case hex SHA-256 of a regular file, when asked for. */
  sha256: string | undefined;
}

export interface Seen {
  entries: Entry[];
  /** The user the host runs the inspection as has this mask. */
  umask: number;
}

export interface LookOptions {
  /** Look at what a symbolic link leads to instead of the link. */
  follow?: boolean;
  /** Hash regular files. */
  checksum?: boolean;
  /** Ask for the flags of the file system, which takes a process for each path. */
  flags?: boolean;
  /** One word stands for many paths (an unquoted variable): they are looked at in one go. */
  whole?: boolean;
}

/** Fields printed with a NUL behind each, so that any name survives. */
export function fields(output: Output, what: string): string[] {
  if (output.rc !== 0) throw new ModuleError(`${what}: ${output.stderr.trim() || `exit status ${output.rc}`}`, { rc: output.rc, stderr: output.stderr });
  const all = output.stdout.split('\0');
  if (all.length < 2 || all.pop() !== '') throw new ModuleError(`${what}: the host's answer is cut short`, { stdout: output.stdout });
  return all;
}

/**
 * What stat(1) is told to print of a path: three lines. Where SELINUX stands before it, the context comes behind the
 * group: neither may hold what would let one be taken for the other.
 */
export const STAT = raw(`stat -c "%f %u %g %h %s %X %Y %Z %i %d
%U
%G\${muster_se:+ $muster_se}" --`);

/** Sets $muster_se to %C where files have a security context and stat(1) can tell it. */
export const SELINUX = raw(`muster_se=
[ ! -e /sys/fs/selinux/enforce ] || case $(stat -c %C / 2>/dev/null) in *:*:*) muster_se=%C ;; esac`);

/**
 * Says of "$1" what it is, in three fields: kind (with a space and the flags behind it, where they are asked for and can
 * be told), path, link target; leaves kind and path in $k and $p. What others remove when they end ($d, $t) it does not touch.
 * An absent path counts as such only when the folder it would stand in may be searched; what is below one is absent too.
 * An empty path (of a word that the host works out) is absent, and nothing is below it.
 * Links are followed one by one: busybox' readlink -f goes astray on relative links that lead nowhere.
 */
const LOOK = sh`muster_look() {
  p=$1 l=
  case $p in
    '~'*) echo "$p: no such home folder" >&2; return 1 ;;
    "$muster_gone"/*) printf 'absent\\000%s\\000\\000' "$p"; k=absent; return ;;
  esac
  if [ -L "$p" ]; then
    l=$(readlink -- "$p" && echo x) || return
    l=\${l%?x} muster_to=$l n=0
    while [ "$muster_follow" ] && [ -L "$p" ]; do
      case $muster_to in /*) p=$muster_to ;; *) p=\${p%/*}/$muster_to ;; esac
      [ $n -le 40 ] || { echo "$1: too many levels of symbolic links" >&2; return 1; }
      n=$((n + 1))
      [ -L "$p" ] || break
      muster_to=$(readlink -- "$p" && echo x) || return
      muster_to=\${muster_to%?x}
    done
  fi
  if [ -L "$p" ]; then k=link
  elif [ -f "$p" ]; then k=file
  elif [ -e "$p" ]; then k=other
  else
    k=absent muster_in=$p
    while [ ! -e "$muster_in" ] && [ ! -L "$muster_in" ]; do
      case $muster_in in */*) muster_in=\${muster_in%/*} ;; *) muster_in=. ;; esac
      [ "$muster_in" ] || muster_in=/
    done
    if [ -d "$muster_in" ] && [ ! -x "$muster_in" ]; then echo "$p: no permission to search $muster_in" >&2; return 1; fi
    muster_gone=\${p:-$muster_gone}
  fi
  if [ $k = file ] && [ "$muster_sum" ] && [ ! -r "$p" ]; then echo "$p: no permission to read it" >&2; return 1; fi
  a=$k
  if [ "$muster_flags" ] && [ $k != absent ] && command -v chattr >/dev/null; then ${READ_FLAGS}; a="$k $a"; fi
  printf '%s\\000' "$a" "$p" "$l"
}`;

/** How many paths one process is given: far below any limit on arguments (Linux: 2 MiB in all). */
const CHUNK = 400;

/** Prints what stands at these paths; they are shell words (see hostPath). Read the answer with seen(). */
export function look(paths: readonly Sh[], options: LookOptions = {}): Sh {
  return options.whole || paths.length > TOGETHER ? looking(ones({ paths, options }), options.whole) : new Question(LOOKS, { paths, options });
}

/** More paths than that are asked about by themselves. */
const TOGETHER = 10;

interface Looked {
  paths: readonly Sh[];
  options: LookOptions;
}

/** A path and how it is looked at. */
interface One {
  path: Sh;
  follow: boolean;
  checksum: boolean;
  flags: boolean;
}

const ones = ({ paths, options: { follow = false, checksum = false, flags = false } }: Looked): One[] => paths.map((path) => ({ path, follow, checksum, flags }));

/** Looks of one task after the other as one look at all their paths. */
const LOOKS: QuestionKind<Looked> = {
  name: 'looks',
  key: ({ paths, options }) => `${options.follow ?? false} ${options.checksum ?? false} ${options.flags ?? false} ${join(paths, ' ')}`,
  text: (asked) => looking(asked.flatMap(ones)),
  apart(stdout, asked) {
    const all = asked.flatMap(ones);
    const rest = stdout.split('\0');
    const umask = rest.shift()!;
    const order = printed(all);
    const found = pieces(rest, order.map((index) => all[index]!.checksum));
    if (found === undefined || rest.length !== 1) return undefined;
    const each: Piece[] = [];
    order.forEach((index, i) => (each[index] = found[i]!));
    return asked.map(({ paths, options }) => {
      const mine = each.splice(0, paths.length);
      const lines = (of: (piece: Piece) => string | string[] | undefined) => mine.flatMap((piece) => of(piece) ?? []).map((line) => `${line}\n`).join('');
      return [umask, ...mine.flatMap(({ named }) => named), lines(({ stat }) => stat), ...(options.checksum ? [lines(({ sum }) => sum)] : []), ''].join('\0');
    });
  },
};

/** The order in which a look tells of its paths: those to be hashed last. */
function printed(all: readonly One[]): number[] {
  const where = (checksum: boolean) => [...all.keys()].filter((index) => all[index]!.checksum === checksum);
  return [...where(false), ...where(true)];
}

function looking(all: readonly One[], whole = false): Sh {
  const parts: Sh[] = [LOOK, SELINUX, raw(`muster_gone='~'; umask; printf '\\000'`)];
  const order = printed(all).map((index) => all[index]!);
  for (let from = 0; from < order.length; from += CHUNK) {
    const chunk = order.slice(from, from + CHUNK);
    parts.push(raw('set --; muster_plain='));
    for (let at = 0; at < chunk.length; ) {
      const { follow, checksum, flags } = chunk[at]!;
      const others = chunk.findIndex((one, i) => i > at && (one.follow !== follow || one.checksum !== checksum || one.flags !== flags));
      const run = chunk.slice(at, others < 0 ? undefined : others);
      at += run.length;
      parts.push(raw(`muster_follow=${follow ? 'y' : ''} muster_sum=${checksum ? 'y' : ''} muster_flags=${flags ? 'y' : ''}${checksum ? '; muster_plain=${muster_plain:-$#}' : ''}
for w in ${join(run.map(({ path }) => path), ' ')}; do
  muster_look "$w" || exit
  [ $k = absent ] || set -- "$@" "$p"
done`));
    }
    parts.push(raw(`[ $# -eq 0 ] || ${STAT} "$@" || exit
printf '\\000'`));
    if (chunk.at(-1)!.checksum) {
      // Those that are not hashed come first. Then round once: each file moves to the end, everything else falls out.
      parts.push(raw(`shift $muster_plain; i=$#
while [ $i -gt 0 ]; do
  if [ -f "$1" ] && [ ! -L "$1" ]; then set -- "$@" "$1"; fi
  shift; i=$((i - 1))
done
[ $# -eq 0 ] || sha256sum -- "$@" || exit
printf '\\000'`));
    }
    if (whole) break;
  }
  return join(parts);
}

/** @param what for messages, e.g. "looking at /etc/motd"; @throws ModuleError when the host could not tell */
export function seen(output: Output, count: number, what: string, options: LookOptions = {}): Seen {
  return seenFields(fields(output, what), count, what, options);
}

/** As seen(), for the fields of a look that stands behind other output. Takes them off the list. */
export function seenFields(rest: string[], count: number, what: string, options: LookOptions = {}): Seen {
  const umask = rest.shift() ?? '';
  const found = pieces(rest, new Array<boolean>(count).fill(options.checksum ?? false), options.whole);
  if (found === undefined || rest.length !== 0 || !/^[0-7]+\n?$/.test(umask)) throw new ModuleError(`${what}: cannot read the answer of the host`);
  const entries = found.map(({ named: [kind, path, target], stat, sum }) => ({ path, stat: stat && { ...parseStat(stat), ...flagsIn(kind) }, target: target === '' ? undefined : target, sha256: sum?.slice(0, 64) }));
  return { entries, umask: Number.parseInt(umask, 8) };
}

/** The flags behind a kind. */
function flagsIn(kind: string): { flags?: string } {
  const at = kind.indexOf(' ');
  return at < 0 ? {} : { flags: flagLetters(kind.slice(at + 1)) };
}

/** What a look printed of one path. */
interface Piece {
  /** Kind and flags, path, target. */
  named: [string, string, string];
  /** The lines of stat, where something is there. */
  stat: string[] | undefined;
  /** The line of sha256sum, without the name. */
  sum: string | undefined;
}

/**
 * Takes what was printed of so many paths off the list of fields; undefined where there is too little of it.
 * @param hashed of each path, in the order they were told, whether its hash was asked for
 */
function pieces(rest: string[], hashed: readonly boolean[], whole = false): Piece[] | undefined {
  const found: Piece[] = [];
  const chunkSize = whole ? Math.max(hashed.length, 1) : CHUNK;
  for (let from = 0; from < hashed.length || (whole && from === 0); from += chunkSize) {
    const asked = hashed.slice(from, from + chunkSize);
    const told = rest.splice(0, asked.length * 3);
    const chunk = asked.map((_, i): Piece => ({ named: told.slice(i * 3, i * 3 + 3) as Piece['named'], stat: undefined, sum: undefined }));
    const there = chunk.filter(({ named: [kind] }) => kind !== 'absent');
    const stats = (rest.shift() ?? '').split('\n');
    there.forEach((piece, i) => (piece.stat = stats.slice(i * 3, i * 3 + 3)));
    if (stats.length < there.length * 3 || chunk.some(({ named }) => named.length < 3)) return undefined;
    if (asked.at(-1)) {
      const files = chunk.filter(({ named: [kind] }, i) => asked[i] && /^file\b/.test(kind));
      // coreutils puts a backslash before the sum of a name it had to escape.
      const sums = [...(rest.shift() ?? '').matchAll(/^\\?([0-9a-f]{64} [ *])/gm)];
      if (sums.length !== files.length) return undefined;
      files.forEach((piece, i) => (piece.sum = sums[i]![1]));
    }
    found.push(...chunk);
  }
  return found;
}

const KINDS: { [type: number]: Kind } = { 0o14: 'socket', 0o12: 'link', 0o10: 'file', 0o6: 'block', 0o4: 'directory', 0o2: 'char', 0o1: 'fifo' };

/** The hexadecimal st_mode of `stat -c %f`. */
export function parseKind(hex: string): Pick<Stat, 'kind' | 'mode'> {
  const bits = Number.parseInt(hex, 16);
  const kind = KINDS[bits >> 12];
  if (kind === undefined) throw new ModuleError(`cannot read the output of stat: ${hex}`);
  return { kind, mode: bits & 0o7777 };
}

/** Reads three lines that STAT printed. */
export function parseStat([line, owner, group]: string[]): Stat {
  const numbers = line?.split(' ') ?? [];
  if (numbers.length !== 10 || owner === undefined || group === undefined) {
    throw new ModuleError(`cannot read the output of stat: ${JSON.stringify([line, owner, group])}`);
  }
  const [uid, gid, nlink, size, atime, mtime, ctime, inode, dev] = numbers.slice(1).map(Number) as [number, number, number, number, number, number, number, number, number];
  const [behind = '', context] = / ([^\s:]+:[^\s:]+:\S+)$/.exec(group) ?? [];
  const name = group.slice(0, group.length - behind.length);
  return { ...parseKind(numbers[0]!), uid, gid, owner, group: name, nlink, size, atime, mtime, ctime, inode, dev, ...(context === undefined ? {} : { context }) };
}
