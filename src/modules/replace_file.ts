/**
 * Files put in place whole: written to a temporary file in the target folder that already has its final owner,
 * mode, ACLs, extended attributes and security context, validated there, then renamed over the old one.
 * Where a rename is impossible (the file is a mount point) the old file is written over and the result says so.
 */
import { bytes, join, quote, raw, sh, type Sh } from '../shell/sh.js';
import { octal, ownership, setLabels, type Labels } from './attributes.js';
import { fields, look, seenFields, type Seen, type Stat } from './look.js';
import { ModuleError, type Output, type Returns, type Step } from './module.js';
import { splitWords } from './words.js';
import { bool, str } from './params.js';

export const unsafeWrites = bool("Taken for Ansible's sake: writing over the old file happens by itself where it cannot be renamed.").default(false);

export const replaceParams = {
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
  validate: str('Command that must accept the new file before it is put in place; %s stands for its path. Runs without a shell.').optional(),
  unsafe_writes: unsafeWrites,
};

/** New content: bytes at hand, a file on the controller, or one on the host. */
export type Content = { bytes: Buffer } | { file: string; size: number } | { host: Sh };

export interface Replacement {
  /** Where the file goes: absolute or beginning with `./` (see hostPath). */
  path: Sh;
  /** The regular file that is there and whose attributes stay, unless said otherwise. */
  was: Stat | undefined;
  content: Content;
  owner?: string | undefined;
  group?: string | undefined;
  mode?: number | undefined;
  labels?: Labels | undefined;
  backup?: boolean;
  /** The command of `validate`. */
  validate?: string | undefined;
  /** What the content is made from, for the message of a failed validation: `haproxy.cfg.hbs`. */
  source?: string | undefined;
}

/** Content above this many bytes is uploaded beside the script. */
const INLINE = 256 * 1024;

/**
 * $1 path, $2 `new` or the ids and $3 the mode of what is there, $4 owner:group, $5 mode, $6 size, $7 backup, $8 source,
 * $9 a file of ours that becomes the new one; without it the content is standard input. Content is written only after
 * the attributes stand (or they are given from the owner on), so that nobody reads it who may not. A file of ours comes
 * into a folder of its own: renamed over another one, it is first written to the disk (ext4(5), auto_da_alloc). busybox'
 * cp has no --attributes-only: there ACLs and extended attributes are lost.
 */
const PUT = raw(`muster_put() (
  d=\${1%/*}
  [ -d "\${d:=/}" ] || { echo "folder $d does not exist" >&2; exit 1; }
  if [ -L "$1" ]; then [ ! -d "$1" ] || rm -- "$1" || exit
  elif [ -d "$1" ]; then echo "$1 is a folder" >&2; exit 1; fi
  w=$(mktemp \${9:+-d} "$d/.muster.XXXXXX") || exit
  trap 'rm -rf -- "$w"' EXIT
  trap 'exit 129' HUP INT TERM
  t=$w\${9:+/file}
  [ "$9" ] || exec 3>"$t" || exit
  if [ "$2" = new ]; then
    [ -z "$9" ] || mv -- "$9" "$t" || exit
    [ -z "$4" ] || chown -- "$4" "$t" || exit
    chmod -- "\${5:-=rw}" "$t" || exit
  else
    if ! cp -a --attributes-only -- "$1" "$t" 2>/dev/null; then
      chown "$2" "$t" 2>/dev/null || chown ":\${2#*:}" "$t" 2>/dev/null
      chmod "$3" "$t" || exit
    fi
    [ -z "$4" ] || chown -- "$4" "$t" || exit
    [ -z "$5" ] || chmod -- "$5" "$t" || exit
  fi
  [ "$9" ] || { e=$(cat 2>&1 >&3) && exec 3>&-; } || { echo "$1: $e" >&2; exit 1; }
  if [ "$6" ] && [ $(wc -c <"$t") -ne "$6" ]; then echo "$1: the new content did not arrive whole" >&2; exit 1; fi
  if [ "$muster_check" ]; then
    out=$(muster_check "$t" </dev/null 2>&1) || {
      rc=$?
      printf '%s\\n' "validation of $8 for $1 failed, the file there stays as it was: $muster_check: exit status $rc" "$out" >&2
      exit $rc
    }
  fi
  if [ "$7" ] && [ -e "$1" ]; then
    b=$1.$$.$(date +%Y-%m-%d@%H:%M:%S)~
    cp -a -- "$1" "$b" || exit
    printf 'backup_file\\000%s\\000' "$b"
  fi
  if ! e=$(mv -f -- "$t" "$1" 2>&1); then
    [ -f "$1" ] && cat -- "$t" >"$1" || { printf '%s\\n' "$e" >&2; exit 1; }
    [ -z "$4" ] || chown -- "$4" "$1" || exit
    [ -z "$5" ] || chmod -- "$5" "$1" || exit
    printf 'written_in_place\\000%s\\000' "$e"
  elif [ "$2" = new ] && [ -d /sys/fs/selinux ]; then
    restorecon -- "$1" 2>/dev/null
  fi
  exit 0
)`);

/** What a step does besides: commands run before and after, each of which must succeed. */
export interface Around {
  before?: readonly Sh[];
  after?: readonly Sh[];
}

/** The step that puts these files in place; ends by looking at `paths`. Read its output with replaced(). */
export function replaceFiles(files: readonly Replacement[], paths: readonly Sh[], around: Around = {}): Step {
  const uploads: NonNullable<Step['uploads']> = {};
  const puts = files.map((file, i) => {
    const { was } = file;
    const args = [
      was ? `${was.uid}:${was.gid}` : 'new',
      was ? `0${octal(was.mode)}` : '',
      ownership(file.owner, file.group),
      file.mode === undefined ? '' : `0${octal(file.mode)}`,
      'bytes' in file.content ? file.content.bytes.length : 'file' in file.content ? file.content.size : '',
      file.backup ? 'y' : '',
      file.source ?? 'the new content',
    ];
    const put = sh`muster_put ${file.path} ${args}`;
    const check = checker(file.validate);
    const { content } = file;
    if ('host' in content) return sh`${check}\n${put} <${content.host}`;
    if ('bytes' in content && content.bytes.length <= INLINE) return sh`${check}\n${bytes(content.bytes)} | ${put}`;
    const name = `muster_upload_${i}`;
    const near = file.path;
    uploads[name] = 'bytes' in content ? { content: content.bytes, near } : { path: content.file, near };
    const word = raw(`"$${name}"`);
    return was ? sh`${check}\n${put} <${word}` : sh`${check}\n${put} ${word} </dev/null`;
  });
  const labels = files.map(({ path, labels }) => setLabels(path, labels ?? {}));
  const steps = [...(around.before ?? []), ...puts, ...labels, ...(around.after ?? [])].filter((each) => each.text !== '');
  const script = join([...(puts.length > 0 ? [PUT] : []), ...steps.map((each) => sh`${each} || exit`), raw("printf 'look\\000'"), look(paths)]);
  return Object.keys(uploads).length > 0 ? { script, uploads } : { script };
}

/** What a step made by replaceFiles() told. */
export interface Replaced {
  /** `backup_file`, `written_in_place`. */
  notes: Returns;
  seen: Seen;
}

/** @throws ModuleError when the step failed */
export function replaced(output: Output, count: number, what: string): Replaced {
  if (output.rc !== 0) throw new ModuleError(output.stderr.trim() || `${what}: exit status ${output.rc}`, { rc: output.rc, stderr: output.stderr });
  const rest = fields(output, what);
  const notes: Returns = {};
  while (rest[0] !== 'look' && rest.length >= 2) {
    const [key, value] = rest.splice(0, 2);
    notes[key!] = value;
  }
  rest.shift();
  return { notes, seen: seenFields(rest, count, what) };
}

/** @throws ModuleError when the command of `validate` has no %s or is not well quoted */
export function checker(validate: string | undefined): Sh {
  if (validate === undefined) return raw('muster_check=');
  let words: string[];
  try {
    words = splitWords(validate);
  } catch (error) {
    throw new ModuleError(`validate: ${(error as Error).message}: ${validate}`);
  }
  if (!validate.includes('%s')) throw new ModuleError(`validate must contain %s: ${validate}`);
  const command = words.map((word) => word.split('%s').map((part) => quote(part.replaceAll('%%', '%'))).join('"$1"')).join(' ');
  return sh`muster_check=${validate}\nmuster_check() { ${raw(command)}; }`;
}
