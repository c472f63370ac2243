/** What is in an archive, told by tar or Info-ZIP's unzip, on the controller or on a host. */
import { execFile } from 'node:child_process';
import { open, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { raw, sh, type Sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { ModuleError } from './module.js';

export type Format = 'tar' | 'zip';

export interface Member {
  /** Relative, without `./` in front and slash behind. */
  name: string;
  kind: 'file' | 'directory' | 'link' | 'hardlink' | 'other';
  size: number;
  /** Seconds since the epoch; undefined in a zip, whose times have neither zone nor precision. */
  mtime: number | undefined;
  /** Of a symbolic link. */
  target: string | undefined;
  /** Permissions as ls(1) writes them: `rwxr-xr-x`. */
  mode: string;
  /** As the listing has it: numbers by GNU tar, else names; undefined in a zip. */
  owner: string | undefined;
  /** What the clock showed: `YYYYMMDD.HHMMSS`; of a zip only. */
  clock?: string;
  /** Of what a file holds, where that was read. */
  sha256?: string;
}

const LIST = { tar: ['--list', '--verbose', '--full-time', '--numeric-owner', '--quoting-style=escape', '-f'], zip: ['-ZT', '-s'] } as const;

export async function formatOf(path: string): Promise<Format> {
  const handle = await open(path);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString('latin1').startsWith('PK') ? 'zip' : 'tar';
  } finally {
    await handle.close();
  }
}

/** Archives longer than this are not compared by what their files hold. */
export const COMPARED = 64 * 1024 * 1024;

/** What archives of the controller hold, by what would change with the file: read once for all hosts and looks ahead. */
const held = new Map<string, Promise<Member[]>>();

/** The members of an archive of the controller. @param strip see parseListing */
export async function membersHere(path: string, format: Format, strip: number): Promise<Member[]> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const key = [dev, ino, size, mtimeNs, ctimeNs, strip].join(':');
  let known = held.get(key);
  if (!known) held.set(key, (known = readHere(path, format, strip, size <= COMPARED)));
  return known;
}

async function readHere(path: string, format: Format, strip: number, hashed: boolean): Promise<Member[]> {
  const program = format === 'zip' ? 'unzip' : 'tar';
  const listing = await runHere(program, format === 'zip' ? [...LIST.zip, '--', path] : [...LIST.tar, path], path);
  if (format === 'zip' || !hashed) return parseListing(listing, format, strip);
  // One line for each file with content, in the order of the listing. Only GNU's tar can.
  const sums = await runHere('tar', ['--extract', '--to-command=sha256sum', '-f', path], path).then((text) => text.split('\n'), () => []);
  return parseListing(listing, format, strip, sums);
}

async function runHere(program: string, args: string[], path: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' }, maxBuffer: 256 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { code, stderr, message } = error as Error & { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw new ModuleError(`the controller has no ${program} to list ${path} with; install it`);
    throw new ModuleError(`${path} is no archive that ${program} can read: ${stderr?.trim() || message}`);
  }
}

/** Says of the archive "$a" by its first bytes whether it is a zip ($z) and what tar has to be told of its compression ($c): busybox' tar does not look. */
export const DETECT = raw(`z=tar c=
case $(head -c 3 <"$a" | base64) in UEs*) z=zip ;; H4sI) c=-z ;; Qlpo) c=-j ;; /Td6) c=-J ;; KLUv) c=--zstd ;; esac`);

/** Prints the names of members of the archive "$a" on the host that hold something else than the files in "$d", where that can be told. */
export const differingThere: Sh = raw(`if [ $z = tar ] && [ "$(wc -c <"$a")" -le ${COMPARED} ]; then
  case $(tar --version 2>/dev/null) in *GNU*) LC_ALL=C tar --compare --quoting-style=escape -f "$a" -C "$d" 2>/dev/null | sed -n 's/: Contents differ$//p' ;; esac
fi`);

/** Sets $l to the listing of the archive "$a" on the host, $z to `zip` or `tar` and $c to tar's option for the compression. */
export const listThere: Sh = raw(`${DETECT}
if [ $z = zip ]; then
  command -v unzip >/dev/null || { echo "Unable to find required 'unzip' binary in the path: install unzip" >&2; exit 1; }
  l=$(LC_ALL=C TZ=UTC unzip ${LIST.zip.join(' ')} "$a") || exit
else
  case $(tar --version 2>/dev/null) in
  *GNU*) l=$(LC_ALL=C TZ=UTC tar ${LIST.tar.join(' ')} "$a") || exit ;;
  *) l=$(TZ=UTC tar $c -tv -f "$a") || exit ;;
  esac
fi`);

const TAR = /^([-dlhcbpCs])(\S{9})\S?\s+(\S+?\/\S+)\s+(\d+|\d+,\s*\d+) (\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?)(?:\.\d+)? (.*)$/;
const ZIP = /^([-dl?])(\S+)\s+\S+\s+\S+\s+(\d+)\s+\S+\s+\S+\s+(\d{8}\.\d{6}) (.*)$/;

/**
 * Reads a listing.
 * @param strip leading components that extraction takes away; members that have no more fall out
 * @param sums lines that begin with the SHA-256 of what a file holds, for each file in turn
 */
export function parseListing(listing: string, format: Format, strip: number, sums: readonly string[] = []): Member[] {
  const members: Member[] = [];
  let file = 0;
  for (const line of listing.split('\n')) {
    if (line === '') continue;
    const member = format === 'tar' ? parseTar(line) : parseZip(line);
    if (member === undefined) continue;
    const sum = member.kind === 'file' ? sums[file++]?.slice(0, 64) : undefined;
    const name = trimmedEnd(member.name.replace(/^(?:\.?\/)+/, ''), '/').split('/').slice(strip).join('/');
    if (name !== '' && name !== '.') members.push({ ...member, name, ...(sum ? { sha256: sum } : {}) });
  }
  return members;
}

function parseTar(line: string): Member {
  const found = TAR.exec(line);
  if (!found) throw new ModuleError(`cannot read a line of tar's listing: ${line}`);
  const [, type, mode, owner, size, day, time, rest] = found as unknown as [string, string, string, string, string, string, string, string];
  const kinds: { [type: string]: Member['kind'] } = { '-': 'file', C: 'file', d: 'directory', l: 'link', h: 'hardlink' };
  // busybox, which lists owners by name, shows a hard link as an empty file with an arrow.
  const kind = type === '-' && size === '0' && / -> /.test(rest) && !/^\d+\/\d+$/.test(owner) ? 'hardlink' : (kinds[type] ?? 'other');
  const [name, target] = kind === 'link' ? rest.split(' -> ') : kind === 'hardlink' ? rest.split(/ link to | -> /) : [rest];
  return {
    name: unescape(name!),
    kind,
    size: Number(size),
    mtime: Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}Z`) / 1000,
    target: kind === 'link' ? unescape(target ?? '') : undefined,
    mode,
    owner,
  };
}

function parseZip(line: string): Member | undefined {
  const found = ZIP.exec(line);
  if (!found) return undefined; // the head and foot of zipinfo
  const [, type, mode, size, clock, name] = found as unknown as [string, string, string, string, string, string];
  return { name, kind: type === 'd' || name.endsWith('/') ? 'directory' : type === 'l' ? 'link' : 'file', size: Number(size), mtime: undefined, target: undefined, mode, owner: undefined, clock };
}

/** GNU tar's `escape` quoting: C escapes, bytes that are no printable ASCII in octal. */
export function unescape(name: string): string {
  if (!name.includes('\\')) return name;
  const bytes = Buffer.from(name).toString('latin1').replace(/\\(?:([0-7]{3})|(.))/gs, (_, octal: string | undefined, char: string | undefined) =>
    octal !== undefined ? String.fromCharCode(Number.parseInt(octal, 8)) : ({ n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' }[char!] ?? char!),
  );
  return Buffer.from(bytes, 'latin1').toString();
}

export interface Unpacking {
  include: readonly string[];
  exclude: readonly string[];
  keepNewer: boolean;
  /** Further options of tar or unzip. */
  extra: readonly string[];
}

/** The command that unpacks `archive`; patterns as the host's tar or unzip takes them. */
export function unpack(archive: Sh, dest: Sh, format: Format, options: Unpacking): Sh {
  const { include, exclude, keepNewer, extra } = options;
  if (format === 'zip') return sh`unzip -q ${keepNewer ? '-u' : '-o'} ${extra} ${archive} ${include} ${exclude.length > 0 ? ['-x', ...exclude] : []} -d ${dest}`;
  const wildcards = include.some((name) => /[*?[]/.test(name)) ? ['--wildcards'] : [];
  return sh`{ a=${archive}
${DETECT}
tar -x $c -f "$a" -C ${dest} ${keepNewer ? ['--keep-newer-files'] : []} ${exclude.map((name) => `--exclude=${name}`)} ${extra} ${wildcards} ${include}
}`;
}
