import { posix } from 'node:path';
import type { z } from 'zod';
import { pythonRegex } from '../expression/regex.js';
import { fnmatch } from '../value/glob.js';
import { resolveMode } from './attributes.js';
import { collected, search, type Found, type Search } from './find_search.js';
import { fileFacts, type FileFacts } from './find_facts.js';
import { defineModule, ModuleError } from './module.js';
import { any, bool, choice, int, list, mode as modeParam, params, str } from './params.js';

const SECONDS: { [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const BYTES: { [unit: string]: number } = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** `-2w` and its like as a number; undefined where it is none. */
function amount(text: string, units: { [unit: string]: number }): number | undefined {
  const [, digits, unit = ''] = /^(-?\d+)([a-z]?)$/.exec(text.toLowerCase()) ?? [];
  return digits === undefined || (unit !== '' && !(unit in units)) ? undefined : Number(digits) * (units[unit] ?? 1);
}

const schema = params({
  paths: list('Folders to search.').meta({ aliases: ['name', 'path'] }),
  patterns: list('Only what bears a name that fits one of these: shell patterns or, with use_regex, regular expressions that match from the start.').meta({ aliases: ['pattern'] }).default([]),
  excludes: list('Patterns of names that are left out.').meta({ aliases: ['exclude'] }).default([]),
  use_regex: bool('patterns and excludes are regular expressions.').default(false),
  file_type: choice(['any', 'directory', 'file', 'link'], 'What to look for.').default('file'),
  recurse: bool('Whether folders below are searched too.').default(false),
  depth: int('How many folders deep the search goes, with recurse; 1 is the folder itself.').optional(),
  hidden: bool('Whether names that begin with a dot count.').default(false),
  follow: bool('Whether symbolic links to folders are followed.').default(false),
  age: str('At least so old; with a minus, at most. Seconds, or with s, m, h, d, w behind it.').optional(),
  age_stamp: choice(['atime', 'ctime', 'mtime'], 'The time that age is counted from.').default('mtime'),
  size: str('Files of at least so many bytes; with a minus, at most. With b, k, m, g, t behind it: bytes, KiB, …').optional(),
  contains: str('A regular expression that must match at the start of a line of the file. Without perl on the host it is what grep -E understands.').optional(),
  read_whole_file: bool('contains is searched for in the whole text, across lines.').default(false),
  encoding: str('The character set of the files, for contains; UTF-8 unless given.').optional(),
  mode: any('Permissions it must have: octal in quotes, or symbolic.').optional(),
  exact_mode: bool('It has just these permissions; otherwise it has one of them.').default(true),
  get_checksum: bool('Hash the files that are found.').default(false),
  checksum_algorithm: choice(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'], 'How to hash.').meta({ aliases: ['checksum', 'checksum_algo'] }).default('sha1'),
  limit: int('Stop after so many.').optional(),
}).check((context) => {
  const { age, size, mode, limit, use_regex, patterns, excludes, contains } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (age !== undefined && amount(age, SECONDS) === undefined) issue(`"${age}" is no age: write seconds, or 2d, -1w`, 'age');
  if (size !== undefined && amount(size, BYTES) === undefined) issue(`"${size}" is no size: write bytes, or 10m, -1g`, 'size');
  if (mode !== undefined && mode !== null && typeof mode !== 'string') issue('mode must be a string: put it in quotes', 'mode');
  else if (mode && !modeParam('').safeParse(mode).success) issue(`"${String(mode)}" is no file mode: write "0644" or u=rw,g=r`, 'mode');
  if (limit !== undefined && limit <= 0) issue('limit must be above 0; leave it out for all', 'limit');
  const regexes = [...(use_regex ? [...patterns, ...excludes] : []), ...(contains === undefined ? [] : [contains])];
  for (const regex of regexes) {
    try {
      pythonRegex(regex);
    } catch (error) {
      issue((error as Error).message, regex === contains ? 'contains' : 'patterns');
    }
  }
});
type Wanted = z.output<typeof schema>;

/** What the search need not bring here, since it cannot be meant. */
function searchFor(wanted: Wanted): Search {
  const { use_regex, file_type, contains } = wanted;
  return {
    ...wanted,
    patterns: use_regex ? [] : wanted.patterns,
    excludes: use_regex ? [] : wanted.excludes,
    age: wanted.age === undefined || wanted.age_stamp !== 'mtime' ? undefined : amount(wanted.age, SECONDS),
    size: wanted.size === undefined || file_type !== 'file' ? undefined : amount(wanted.size, BYTES),
    contains: file_type === 'file' ? contains : undefined,
    checksum: wanted.get_checksum ? wanted.checksum_algorithm : undefined,
    depth: !wanted.recurse ? 1 : wanted.depth ? wanted.depth + 1 : undefined,
  };
}

interface Observed {
  files: FileFacts[];
  examined: number;
  skipped: { [path: string]: string };
  msg: string;
}

export const find = defineModule<typeof schema, Observed>({
  name: 'find',
  summary: 'Lists files, folders or links by name, age, size, content and permissions.',
  params: schema,
  returns: {
    files: 'What was found, each a dict: path, mode, isreg, isdir, islnk, size, uid, gid, pw_name, gr_name, mtime, atime, ctime, checksum, …',
    matched: 'How many.',
    examined: 'How many were looked at.',
    skipped_paths: 'Folders that could not be searched, and why.',
    msg: 'Whether all was searched.',
  },
  examples: [
    `- find:
    paths: /var/log
    patterns: "*.gz"
    age: 4w
    recurse: true
  register: old
- file:
    path: "{{ item.path }}"
    state: absent
  loop: "{{ old.files }}"
`,
  ],
  readOnly: true,
  inspect: (wanted) => search(searchFor(wanted)),
  parse: (output, wanted) => examine(wanted, collected(output, searchFor(wanted))),
  compare: () => [],
  apply() {
    throw new ModuleError('find changes nothing');
  },
  result: (_wanted, { files, examined, skipped, msg }) => ({ files, matched: files.length, examined, skipped_paths: skipped, msg }),
});
export default find;

/** Chooses among what was found. A file whose text cannot be read ends the search of its folder, as with Ansible. */
function examine(wanted: Wanted, { now, umask, paths }: { now: number; umask: number; paths: Found[] }): Observed {
  const seen: Observed = { files: [], examined: 0, skipped: {}, msg: 'All paths examined' };
  const fits = filter(wanted, now, umask);
  for (const { path, examined, unreadable, problem, entries } of paths) {
    if (problem !== undefined) {
      seen.skipped[path] = problem;
      seen.msg = 'Not all paths examined, check warnings for details';
      continue;
    }
    seen.examined += examined;
    for (const folder of unreadable) seen.skipped[posix.normalize(folder)] = `[Errno 13] Permission denied: '${posix.normalize(folder)}'`;
    const root = posix.normalize(path);
    const deep = (name: string) => name.split('/').length;
    const base = root === '/' ? 1 : deep(root);
    // Level by level rather than branch by branch: the shallowest first, as far as a limit goes.
    for (const entry of wanted.limit === undefined ? entries : [...entries].sort((a, b) => deep(a.path) - deep(b.path))) {
      const at = posix.normalize(entry.path);
      if (wanted.recurse && wanted.depth && deep(at) - base > wanted.depth) continue;
      if (!fits(posix.basename(at), entry.stat)) continue;
      if (entry.unreadable !== undefined) {
        seen.skipped[path] = entry.unreadable;
        seen.msg = 'Not all paths examined, check warnings for details';
        break;
      }
      if (entry.contains === false) continue;
      seen.files.push(fileFacts(at, entry.stat, entry.checksum));
      if (seen.files.length === wanted.limit) return { ...seen, msg: 'Limit of matches reached' };
    }
  }
  return seen;
}

function filter(wanted: Wanted, now: number, umask: number): (name: string, stat: Found['entries'][number]['stat']) => boolean {
  const { file_type, age_stamp, hidden, exact_mode } = wanted;
  const any = (patterns: readonly string[]) => {
    if (!wanted.use_regex) {
      const all = patterns.map(fnmatch);
      return (name: string) => all.some((regex) => regex.test(name));
    }
    return (name: string) => patterns.some((pattern) => pythonRegex(pattern).exec(name)?.index === 0);
  };
  const [named, excluded] = [any(wanted.patterns), any(wanted.excludes)];
  const age = wanted.age === undefined ? undefined : amount(wanted.age, SECONDS)!;
  const size = wanted.size === undefined ? undefined : amount(wanted.size, BYTES)!;
  const bits = typeof wanted.mode === 'string' && wanted.mode !== '' ? resolveMode(wanted.mode.replace(/^0o?(?=[0-7])/, ''), 0, false, umask) : undefined;
  const within = (value: number, limit: number) => (limit >= 0 ? value >= limit : value <= -limit);
  return (name, stat) =>
    (hidden || !name.startsWith('.')) &&
    (file_type === 'any' || file_type === stat.kind) &&
    (wanted.patterns.length === 0 || named(name)) &&
    !excluded(name) &&
    (age === undefined || within(now - stat[age_stamp], age)) &&
    (size === undefined || stat.kind !== 'file' || within(stat.size, size)) &&
    (bits === undefined || (exact_mode ? stat.mode === bits : (stat.mode & bits) !== 0));
}
