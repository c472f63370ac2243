/**
 * The search itself: one find(1) for each folder, GNU's or busybox', which hands what it finds to a small script by the
 * thousand. find sorts out what cannot be meant, as far as it surely can; the rest is chosen where the answer is read.
 */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fields, parseKind, type Stat } from './look.js';
import { ModuleError, type Output } from './module.js';
import { hostPath } from './words.js';

export interface Search {
  paths: readonly string[];
  file_type: 'any' | 'directory' | 'file' | 'link';
  hidden: boolean;
  follow: boolean;
  /** How deep; undefined for all the way. */
  depth: number | undefined;
  /** Shell patterns of names. */
  patterns: readonly string[];
  excludes: readonly string[];
  /** Seconds since the last modification, at least or (negative) at most. */
  age: number | undefined;
  /** Bytes, likewise. */
  size: number | undefined;
  contains: string | undefined;
  read_whole_file: boolean;
  encoding?: string | undefined;
  /** The algorithm. */
  checksum: string | undefined;
}

/** One thing that was found. */
export interface Item {
  path: string;
  /** Times are in seconds, with fractions where the host tells them. */
  stat: Stat;
  /** Whether the content matched; undefined where it was not asked. */
  contains: boolean | undefined;
  /** Why the content could not be read as text. */
  unreadable: string | undefined;
  checksum: string | undefined;
}

/** One folder that was searched. */
export interface Found {
  /** With `~` expanded. */
  path: string;
  /** How many things find came by. */
  examined: number;
  /** Folders below that may not be read. */
  unreadable: string[];
  /** Why it was not searched. */
  problem: string | undefined;
  entries: Item[];
}

/** Names of these signs alone mean the same to Python, GNU and busybox. */
const PLAIN = /^[\w .*@%+=:,-]+$/;

/** The tests find makes; all of them let through more than is meant rather than less. */
function tests({ file_type, hidden, follow, patterns, excludes, age, size }: Search): Sh[] {
  const words: Sh[] = [];
  if (!hidden) words.push(sh`! -name ${'.*'}`);
  if (patterns.length > 0 && patterns.every((pattern) => PLAIN.test(pattern))) words.push(sh`\\( ${join(patterns.map((pattern) => sh`-name ${pattern}`), ' -o ')} \\)`);
  for (const pattern of excludes) if (PLAIN.test(pattern)) words.push(sh`! -name ${pattern}`);
  // Under -L a link counts as what it leads to, in type and times.
  if (file_type === 'file' || file_type === 'directory' || (file_type === 'link' && !follow)) words.push(raw(`-type ${file_type[0]}`));
  if (size !== undefined && size > 0) words.push(sh`-size +${raw(String(size - 1))}c`);
  if (size !== undefined && size < 0) words.push(sh`-size -${raw(String(1 - size))}c`);
  // find counts whole minutes.
  if (age !== undefined && !follow && age > 180) words.push(sh`-mmin +${raw(String(Math.floor(age / 60) - 2))}`);
  if (age !== undefined && !follow && age < 0) words.push(sh`-mmin -${raw(String(Math.ceil(-age / 60) + 2))}`);
  return words;
}

/** Of each file: y, n, or e where its bytes are no text in the encoding, a line each. Universal newlines, as Python reads. */
const PERL = `my ($whole, $enc, $re) = (shift, shift, shift);
utf8::decode($re);
$re =~ s/((?:^|[^\\\\])(?:\\\\\\\\)*)\\\\Z/$1\\\\z/g;
$re = eval { $whole ? qr/$re/ : qr/\\A(?:$re)/ };
if (!defined $re) { print "r$@"; exit }
FILE: for my $f (@ARGV) {
  my $h;
  my $ok = $enc eq "" ? open($h, "<", $f) : open($h, "-|", "iconv", "-f", $enc, "-t", "UTF-8", "--", $f);
  if (!$ok) { print "n\\n"; next }
  local $/ = $whole || $enc ne "" ? undef : "\\n";
  my $hit = "n";
  READ: while (defined(my $t = <$h>)) {
    if (!utf8::decode($t)) { $hit = "e"; last }
    $t =~ s/\\r\\n?/\\n/g;
    for my $l ($whole ? $t : $t =~ /[^\\n]*\\n|[^\\n]+\\z/g) { if ($l =~ $re) { $hit = "y"; last READ } }
  }
  if (!close($h) && $enc ne "" && $hit eq "n") { $hit = "e" }
  print "$hit\\n";
}`;

/** Without perl: what grep understands, line by line. */
const GREP = `for f do if grep -aqE -e "^($R)" <"$f" 2>/dev/null; then echo y; else echo n; fi; done`;

/** What find runs on some thousand names: names, an empty field, lines of stat, lines of contains, lines of hashes. */
function each({ contains, read_whole_file, encoding, checksum }: Search): Sh {
  const whole = read_whole_file ? '1' : '';
  return join([
    raw(`printf '%s\\000' "$@"; printf '\\000'
s=$(stat -c "$F" -- "$@" 2>/dev/null) || s=$(for f do stat -c "$F" -- "$f" 2>/dev/null || echo gone; done)
printf '%s\\000' "$s"`),
    contains === undefined
      ? raw(`printf '\\000'`)
      : sh`R=${contains}
if command -v perl >/dev/null; then c=$(perl -e ${PERL} ${whole} ${encoding ?? ''} "$R" "$@" 2>/dev/null)
else c=$(${raw(GREP)}); fi
printf '%s\\000' "$c"`,
    checksum === undefined
      ? raw(`printf '\\000'`)
      : sh`h=
for f do
  shift
  if [ -f "$f" ] && [ ! -L "$f" ] && [ -r "$f" ]; then h=\${h}y; set -- "$@" "$f"; else h=\${h}n; fi
done
printf '%s\\n' "$h"; [ $# -eq 0 ] || ${raw(checksum)}sum -- "$@" 2>/dev/null
printf '\\000'`,
  ]);
}

export function search(wanted: Search): Sh {
  const { paths, follow, depth, contains, read_whole_file, encoding } = wanted;
  const one = join(
    [
      raw(follow ? 'find -L "$p"' : 'find -H "$p"'),
      raw('-mindepth 1'),
      depth === undefined ? join([]) : sh`-maxdepth ${depth}`,
      raw(`-exec sh -c 'printf "n%s\\000" $#' sh {} +`),
      depth === 1 ? join([]) : sh`\\( ! -type d ${depth === undefined ? join([]) : sh`-o -path "$p"${'/*'.repeat(depth)}`} -o -exec sh -c ${'for d do if [ ! -r "$d" ] || [ ! -x "$d" ]; then printf "d%s\\000" "$d"; fi; done'} sh {} + \\)`,
      ...tests(wanted),
      sh`-exec sh -c ${each(wanted).text} sh {} +`,
    ],
    ' ',
  );
  return join([
    contains !== undefined && (read_whole_file || encoding !== undefined) ? raw(`command -v perl >/dev/null || { echo 'find: contains with read_whole_file or encoding takes perl on the host' >&2; exit 1; }`) : join([]),
    encoding === undefined ? join([]) : sh`if command -v iconv >/dev/null && ! printf x | iconv -f ${encoding} -t UTF-8 >/dev/null 2>&1; then u=y; else u=; fi`,
    raw(`export LC_ALL=C F='%f %u %g %h %s %X %Y %Z %i %d %U %G'
if stat --version >/dev/null 2>&1; then F='%f %u %g %h %s %.6X %.6Y %.6Z %i %d %U %G'; fi
printf '%s\\000' "$(date +%s)" "$(umask)"`),
    sh`for p in ${join(paths.map((path) => (/^\/+$/.test(path) ? sh`/` : hostPath(path))), ' ')}; do
  printf 'p%s\\000' "$p"
  if [ ! -d "$p" ]; then printf 'x\\000'
  elif [ ! -r "$p" ] || [ ! -x "$p" ]; then printf 'd%s\\000' "$p"
${encoding === undefined ? join([]) : raw(`  elif [ "$u" ]; then printf 'u\\000'\n`)}  else
    { e=$(${one} 2>&1 >&3 3>&-); r=$?; } 3>&1
    printf 'e%s\\000%s\\000' $r "$e"
  fi
done`,
  ]);
}

/** Errors of find that mean a thing is gone or closed, not that it could not be asked. */
const HARMLESS = /Permission denied|No such file or directory|Too many levels|loop|Not a directory/;

/** @throws ModuleError when the host could not tell */
export function collected(output: Output, wanted: Search): { now: number; umask: number; paths: Found[] } {
  const what = `searching ${wanted.paths.join(', ')}`;
  const rest = fields(output, what);
  let at = 0;
  const next = (): string => {
    if (at >= rest.length) throw new ModuleError(`${what}: the host's answer is cut short`);
    return rest[at++]!;
  };
  const [now, umask] = [Number(next()), Number.parseInt(next(), 8)];
  const paths: Found[] = [];
  while (at < rest.length) {
    const field = next();
    const found = paths.at(-1);
    const text = field.slice(1);
    switch (field[0]) {
      case 'p': paths.push({ path: text, examined: 0, unreadable: [], problem: undefined, entries: [] }); break;
      case 'x': found!.problem = `'${found!.path}' is not a directory`; break;
      case 'u': found!.problem = `unknown encoding: ${wanted.encoding}`; break;
      case 'd': found!.unreadable.push(text); break;
      case 'n': found!.examined += Number(text); break;
      case 'e': {
        const said = next();
        if (text !== '0' && (said === '' || said.split('\n').some((line) => !HARMLESS.test(line)))) throw new ModuleError(`${what}: ${said || `find ended with exit status ${text}`}`);
        break;
      }
      default: {
        const names = [field];
        for (let name = next(); name !== ''; name = next()) names.push(name);
        items(found!, wanted, names, next(), next(), next(), what);
      }
    }
  }
  if (paths.length !== wanted.paths.length) throw new ModuleError(`${what}: the host's answer is cut short`);
  return { now, umask, paths };
}

function items(found: Found, wanted: Search, names: string[], stats: string, contains: string, sums: string, what: string): void {
  if (contains.startsWith('r')) throw new ModuleError(`${what}: perl on the host does not understand contains: ${contains.slice(1).trim()}`);
  const lines = stats.split('\n');
  const matches = contains === '' ? undefined : contains.split('\n');
  const [flags = '', ...hashes] = sums.split('\n');
  if (lines.length !== names.length || (wanted.contains !== undefined && matches?.length !== names.length)) throw new ModuleError(`${what}: cannot read the answer of the host`);
  let hashed = 0;
  names.forEach((path, i) => {
    const line = lines[i]!;
    const checksum = flags[i] === 'y' ? /^\\?([0-9a-f]+)/.exec(hashes[hashed++] ?? '')?.[1] : undefined;
    if (line === 'gone') return;
    const words = line.split(' ');
    const [uid, gid, nlink, size, atime, mtime, ctime, inode, dev] = words.slice(1, 10).map(Number) as [number, number, number, number, number, number, number, number, number];
    if (words.length !== 12) throw new ModuleError(`${what}: cannot read the output of stat: ${line}`);
    const encoding = wanted.encoding ?? 'UTF-8';
    found.entries.push({
      path,
      stat: { ...parseKind(words[0]!), uid, gid, nlink, size, atime, mtime, ctime, inode, dev, owner: words[10]!, group: words[11]! },
      contains: matches && matches[i] === 'y',
      unreadable: matches?.[i] === 'e' ? `Failed to read the file ${path} due to an encoding error. current encoding: ${encoding}` : undefined,
      checksum,
    });
  });
}
