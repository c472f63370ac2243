/**
 * Looking at paths on a host: one shell text for any number of them, one `stat` and one `sha256sum`
 * process per 500, and an answer that keeps apart what is absent, what may not be seen and what failed.
 */
import { Question, type Kind as QuestionKind } from '../shell/question.js';
import { sh, join, raw, type Sh } from '../shell/sh.js';
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

const STAT = raw(`stat -c '%f %u %g %h %s %X %Y %Z %i %d
%U
%G' --`);

/**
 * Says of "$1" what it is, in three fields: kind, path, link target; leaves kind and path in $k and $p.
 * An absent path counts as such only when the folder it would stand in may be searched.
 * Links are followed one by one: busybox' readlink -f goes astray on relative links that lead nowhere.
 */
const LOOK = raw(`muster_look() {
  p=$1 l=
  case $p in '~'*) echo "$p: no such home folder" >&2; return 1 ;; esac
  if [ -L "$p" ]; then
    l=$(readlink -- "$p" && echo x) || return
    l=\${l%?x} t=$l n=0
    while [ "$muster_follow" ] && [ -L "$p" ]; do
      case $t in /*) p=$t ;; *) p=\${p%/*}/$t ;; esac
      [ $n -le 40 ] || { echo "$1: too many levels of symbolic links" >&2; return 1; }
      n=$((n + 1))
      [ -L "$p" ] || break
      t=$(readlink -- "$p" && echo x) || return
      t=\${t%?x}
    done
  fi
  if [ -L "$p" ]; then k=link
  elif [ -f "$p" ]; then k=file
  elif [ -e "$p" ]; then k=other
  else
    k=absent d=$p
    while [ ! -e "$d" ] && [ ! -L "$d" ]; do
      case $d in */*) d=\${d%/*} ;; *) d=. ;; esac
      [ "$d" ] || d=/
    done
    if [ -d "$d" ] && [ ! -x "$d" ]; then echo "$p: no permission to search $d" >&2; return 1; fi
  fi
  if [ $k = file ] && [ "$muster_sum" ] && [ ! -r "$p" ]; then echo "$p: no permission to read it" >&2; return 1; fi
  printf '%s\\000' $k "$p" "$l"
}`);

/** How many paths one process is given: far below any limit on arguments (Linux: 2 MiB in all). */
const CHUNK = 400;

/** Prints what stands at these paths; they are shell words (see hostPath). Read the answer with seen(). */
export function look(paths: readonly Sh[], options: LookOptions = {}): Sh {
  return options.whole || paths.length > TOGETHER ? looking(paths, options) : new Question(kindOf(options), paths);
}

/** More paths than that are asked about by themselves. */
const TOGETHER = 10;

const kinds = new Map<string, QuestionKind<readonly Sh[]>>();

/** Looks of one task after the other as one look at all their paths. */
function kindOf(options: LookOptions): QuestionKind<readonly Sh[]> {
  const name = `${options.follow} ${options.checksum}`;
  let kind = kinds.get(name);
  if (!kind) {
    kind = {
      text: (asked) => looking(asked.flat(), options),
      apart(stdout, asked) {
        const rest = stdout.split('\0');
        const umask = rest.shift()!;
        const each = pieces(rest, asked.flat().length, options);
        if (each === undefined || rest.length !== 1) return undefined;
        return asked.map((paths) => {
          const mine = each.splice(0, paths.length);
          const lines = (of: (piece: Piece) => string | string[] | undefined) => mine.flatMap((piece) => of(piece) ?? []).map((line) => `${line}\n`).join('');
          return [umask, ...mine.flatMap(({ named }) => named), lines(({ stat }) => stat), ...(options.checksum ? [lines(({ sum }) => sum)] : []), ''].join('\0');
        });
      },
    };
    kinds.set(name, kind);
  }
  return kind;
}

function looking(paths: readonly Sh[], options: LookOptions): Sh {
  const parts: Sh[] = [
    sh`muster_follow=${options.follow ? 'y' : ''} muster_sum=${options.checksum ? 'y' : ''}`,
    LOOK,
    raw(`printf '%s\\000' "$(umask)"`),
  ];
  for (let from = 0; from < paths.length; from += CHUNK) {
    parts.push(raw(`set --
for w in ${join(paths.slice(from, from + CHUNK), ' ')}; do
  muster_look "$w" || exit
  [ $k = absent ] || set -- "$@" "$p"
done
[ $# -eq 0 ] || ${STAT} "$@" || exit
printf '\\000'`));
    if (options.checksum) {
      // Round once: each file moves to the end, everything else falls out.
      parts.push(raw(`i=$#
while [ $i -gt 0 ]; do
  if [ -f "$1" ] && [ ! -L "$1" ]; then set -- "$@" "$1"; fi
  shift; i=$((i - 1))
done
[ $# -eq 0 ] || sha256sum -- "$@" || exit
printf '\\000'`));
    }
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
  const found = pieces(rest, count, options);
  if (found === undefined || rest.length !== 0 || !/^[0-7]+$/.test(umask)) throw new ModuleError(`${what}: cannot read the answer of the host`);
  const entries = found.map(({ named: [, path, target], stat, sum }) => ({ path, stat: stat && parseStat(stat), target: target === '' ? undefined : target, sha256: sum?.slice(0, 64) }));
  return { entries, umask: Number.parseInt(umask, 8) };
}

/** What a look printed of one path. */
interface Piece {
  /** Kind, path, target. */
  named: [string, string, string];
  /** The lines of stat, where something is there. */
  stat: string[] | undefined;
  /** The line of sha256sum, without the name. */
  sum: string | undefined;
}

/** Takes what was printed of so many paths off the list of fields; undefined where there is too little of it. */
function pieces(rest: string[], count: number, options: LookOptions): Piece[] | undefined {
  const found: Piece[] = [];
  const chunkSize = options.whole ? Math.max(count, 1) : CHUNK;
  for (let from = 0; from < count || (options.whole && from === 0); from += chunkSize) {
    const chunk: Piece[] = [];
    for (let i = from; i < Math.min(from + chunkSize, count); i++) chunk.push({ named: rest.splice(0, 3) as Piece['named'], stat: undefined, sum: undefined });
    const there = chunk.filter(({ named: [kind] }) => kind !== 'absent');
    const stats = (rest.shift() ?? '').split('\n');
    there.forEach((piece, i) => (piece.stat = stats.slice(i * 3, i * 3 + 3)));
    if (stats.length < there.length * 3 || chunk.some(({ named }) => named.length < 3)) return undefined;
    if (options.checksum) {
      const files = there.filter(({ named: [kind] }) => kind === 'file');
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

function parseStat([line, owner, group]: string[]): Stat {
  const numbers = line?.split(' ') ?? [];
  if (numbers.length !== 10 || owner === undefined || group === undefined) {
    throw new ModuleError(`cannot read the output of stat: ${JSON.stringify([line, owner, group])}`);
  }
  const [uid, gid, nlink, size, atime, mtime, ctime, inode, dev] = numbers.slice(1).map(Number) as [number, number, number, number, number, number, number, number, number];
  return { ...parseKind(numbers[0]!), uid, gid, owner, group, nlink, size, atime, mtime, ctime, inode, dev };
}
