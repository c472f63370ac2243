import { dirname, isAbsolute, resolve } from 'node:path/posix';
import { join, raw, sh } from '../shell/sh.js';
import { statFields } from './attributes.js';
import { flagLetters, flagNames } from './flags.js';
import { time } from './find_facts.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { defineModule, ModuleError, type Returns } from './module.js';
import { bool, choice, params, path } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('What to look at.').meta({ aliases: ['dest', 'name'] }),
  follow: bool('Look at what a symbolic link leads to.').default(false),
  get_checksum: bool('Hash the content of a regular file.').meta({ aliases: ['checksum'] }).default(true),
  checksum_algorithm: choice(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'], 'How to hash.').meta({ aliases: ['checksum_algo', 'algorithm'] }).default('sha1'),
  get_mime: bool("Ask the host's `file` command for type and character set.").meta({ aliases: ['mime', 'mime_type', 'mime-type'] }).default(true),
  get_attributes: bool("Ask the host's `lsattr` command for the file system's flags.").meta({ aliases: ['attr', 'attributes'] }).default(true),
});

interface Observed {
  entry: Entry;
  /** Of r, w, x: what the asking user may do. */
  allowed: string;
  checksum: string;
  mime: string;
  attributes: string;
  /** The end of a link, canonical; empty where it leads nowhere. */
  real: string;
  /** Access, modification and change with fractions of a second, where the host's stat tells them. */
  times: string;
}

export const stat = defineModule<typeof schema, Observed>({
  name: 'stat',
  summary: 'Tells everything about a file, folder or link.',
  params: schema,
  returns: { stat: 'A dict: exists, path, mode, isreg, isdir, islnk, size, uid, gid, pw_name, gr_name, mtime, checksum, lnk_source, …' },
  examples: [
    `- stat:
    path: /etc/foo.conf
  register: foo
- debug:
    msg: not a link
  when: foo.stat.exists and not foo.stat.islnk
`,
  ],
  readOnly: true,
  inspect(wanted) {
    const quiet = (command: string) => raw(`f=$(command -v ${command} >/dev/null && ${command === 'file' ? 'file -b --mime' : 'lsattr -dv'} -- "$p" 2>/dev/null)\nprintf '%s\\000' "$f"`);
    return join([
      look([hostPath(wanted.path)], { follow: wanted.follow }),
      raw(`a=
if [ -r "$p" ]; then a=r; fi; if [ -w "$p" ]; then a=\${a}w; fi; if [ -x "$p" ]; then a=\${a}x; fi
printf '%s\\000' "$a"
h=`),
      wanted.get_checksum ? sh`if [ $k = file ] && [ -r "$p" ]; then h=$(${raw(wanted.checksum_algorithm)}sum <"$p") || exit; fi` : join([]),
      raw(`printf '%s\\000' "\${h%% *}"`),
      wanted.get_mime ? quiet('file') : raw(`printf '\\000'`),
      wanted.get_attributes ? quiet('lsattr') : raw(`printf '\\000'`),
      raw(`r=
if [ $k = link ] && [ -e "$p" ]; then r=$(readlink -f -- "$p" && echo x) || exit; r=\${r%?x}; fi
printf '%s\\000' "$r"
x=; [ $k = absent ] || x=$(stat -c '%.9X %.9Y %.9Z' -- "$p" 2>/dev/null)
printf '%s\\000' "$x"`),
    ]);
  },
  parse(output, wanted) {
    const what = `looking at ${wanted.path}`;
    const rest = fields(output, what);
    const [allowed, checksum, mime, attributes, real, times] = rest.splice(-6) as [string, string, string, string, string, string];
    return { entry: seenFields(rest, 1, what).entries[0]!, allowed, checksum, mime, attributes, real, times };
  },
  compare: () => [],
  apply() {
    throw new ModuleError('stat changes nothing');
  },
  result: (wanted, observed) => ({ stat: { ...described(wanted, observed) } }),
});
export default stat;

function described(wanted: typeof schema._output, { entry, allowed, checksum, mime, attributes, real, times }: Observed): Returns {
  const { stat, path, target } = entry;
  if (stat === undefined) return { exists: false };
  const link = stat.kind === 'link' && target !== undefined;
  const [, type, charset] = /^([^;]+); charset=(.*)$/.exec(mime) ?? [];
  const [version, flags] = attributes.trim().split(/\s+/);
  const [atime, mtime, ctime] = exactly(times) ?? [stat.atime, stat.mtime, stat.ctime];
  return {
    exists: true,
    path: wanted.path.startsWith('~') && !wanted.follow ? path : wanted.path,
    ...statFields(stat),
    pw_name: named(stat.owner),
    gr_name: named(stat.group),
    atime: time(atime),
    mtime: time(mtime),
    ctime: time(ctime),
    readable: allowed.includes('r'),
    writeable: allowed.includes('w'),
    executable: allowed.includes('x'),
    ...(checksum === '' ? {} : { checksum }),
    ...(link ? { lnk_target: target, lnk_source: real !== '' ? real : isAbsolute(target) ? target : resolve(dirname(path), target) } : {}),
    ...(wanted.get_mime ? { mimetype: type ?? 'unknown', charset: charset ?? 'unknown' } : {}),
    ...(wanted.get_attributes && flags !== undefined ? { version, attr_flags: flagLetters(flags), attributes: flagNames(flags) } : {}),
  };
}

/** Seconds as Python makes a float of seconds and nanoseconds. */
function exactly(times: string): [number, number, number] | undefined {
  const match = /^(\d+)\.(\d{9}) (\d+)\.(\d{9}) (\d+)\.(\d{9})$/.exec(times);
  const at = (i: number): number => Number(match![i]) + 1e-9 * Number(match![i + 1]);
  return match ? [at(1), at(3), at(5)] : undefined;
}

function named(name: string): string | undefined {
  return name === 'UNKNOWN' ? undefined : name;
}
