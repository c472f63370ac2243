import { join, raw, sh, type Sh } from '../shell/sh.js';
import { isDict, toValue } from '../value/value.js';

/**
 * A mark is a file with one line of JSON,
 *
 *     /var/lib/muster/pending/PLAYBOOK/ID        root's
 *     ~/.local/state/muster/pending/PLAYBOOK/ID  those of who is not root
 *
 * PLAYBOOK stands for the playbook's path within its project, so that another checkout finds it; ID for host (a machine may
 * have several names), play and handler.
 */
export const FOLDER = '/var/lib/muster/pending';
const OWN = raw('"${HOME:-}/.local/state/muster/pending"');

/** A notification as its host keeps it. */
export interface Mark {
  host: string;
  play: string;
  handler: string;
  /** The task that notified: where it stands the handler's time has come. */
  by: string;
  run: string;
  at: string;
}

/** A mark as it lies there: below the folders, and its line. */
interface Lying {
  readonly file: string;
  readonly line: string;
}

/** $p: where who asks keeps marks; `same FILE LINE` takes one away that is as given. */
export const PLACE = raw(`umask 022
p=${FOLDER}
[ "$(id -u)" = 0 ] || p=${OWN.text}
same() { { IFS= read -r l <"$p/$1"; } 2>/dev/null && [ "$l" = "$2" ] && rm -f "$p/$1" && rmdir "$p/\${1%/*}" 2>/dev/null; }`);

/** Puts marks that are not there yet, each as a whole, and takes others away. Files it could not are named behind the token. */
export function marks(token: string, puts: readonly Lying[], drops: readonly Lying[]): Sh {
  return join([
    PLACE,
    sh`fail() { printf '\\036%s %s\n' ${token} "$1"; }
put() {
  [ ! -e "$p/$1" ] || return 0
  t=\${1%/*}/.\${1##*/}.$$
  { [ -d "$p/\${1%/*}" ] || mkdir -p "$p/\${1%/*}"; } && printf '%s\n' "$2" >"$p/$t" && mv -f "$p/$t" "$p/$1"
}`,
    ...puts.map(({ file, line }) => sh`{ put ${file} ${line}; } 2>/dev/null || fail ${file}`),
    ...(drops.length > 0 ? [dropped(drops), ...drops.map(({ file }) => sh`[ ! -e ${FOLDER}/${file} ] && [ ! -e ${OWN}/${file} ] || fail ${file}`)] : []),
    sh`:`,
  ]);
}

export function dropped(drops: readonly Lying[]): Sh {
  if (drops.length === 0) return sh`:`;
  const each = drops.flatMap(({ file }) => [sh`${FOLDER}/${file}`, sh`${OWN}/${file}`]);
  const folders = [...new Set(drops.map(({ file }) => file.replace(/\/.*/, '')))].flatMap((folder) => [sh`${FOLDER}/${folder}`, sh`${OWN}/${folder}`]);
  return sh`{ rm -f ${each}; rmdir ${folders}; } 2>/dev/null`;
}

/** Reads all marks of playbooks that who asks may take away (else their handlers would run each time), with no process at all: `FILE LINE`. */
export function looking(playbooks: ReadonlySet<string>): Sh {
  return sh`for k in ${[...playbooks]}; do
  for f in ${FOLDER}/$k/* ${OWN}/$k/*; do
    [ -f "$f" ] && [ -r "$f" ] && [ -w "\${f%/*}" ] && IFS= read -r l <"$f" && printf '%s %s\n' "$k/\${f##*/}" "$l"
  done
done
:`;
}

/** What cannot be read is no mark: it is the host's word, and may be anything. */
export function marksIn(stdout: string): { mark: Mark; file: string }[] {
  return stdout.split('\n').flatMap((line) => {
    const [, file, text] = /^([0-9a-f]{16}\/[0-9a-f]{16}) (.*)$/.exec(line) ?? [];
    if (file === undefined) return [];
    try {
      const told: unknown = JSON.parse(text!);
      if (!isDict(toValue(told))) return [];
      const mark = told as Mark;
      return [mark.host, mark.play, mark.handler, mark.by, mark.run, mark.at].every((field) => typeof field === 'string') ? [{ mark, file }] : [];
    } catch {
      return [];
    }
  });
}
