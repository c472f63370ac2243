/** Looking up users and groups: through getent, which knows every source of them, or in the files alone. */
import { raw, sh, type Sh } from '../shell/sh.js';
import { ModuleError, type Output } from './module.js';

/**
 * Defines `accounts DATABASE NAME…`, which prints the entries of these names or numbers, as far as there are any, and fails
 * only where it could not ask.
 * @param local look in the files of /etc alone
 */
export function lookups(local: boolean): Sh {
  // getent(1): 2 means that there is no such entry; musl's then looks no further.
  return raw(`accounts() {
  muster_in=$1; shift
  if ${local ? 'false' : 'command -v getent >/dev/null'}; then
    if [ $# -gt 1 ] && muster_got=$(getent "$muster_in" -- "$@"); then printf '%s\\n' "$muster_got"; return; fi
    for muster_n do getent "$muster_in" -- "$muster_n" || [ $? -eq 2 ] || return; done
  else
    for muster_n do awk -F: -v n="$muster_n" '$1 == n || (n ~ /^[0-9]+$/ && $3 == n)' "/etc/$muster_in" || return; done
  fi
}`);
}

/** Lines by the section they stand in. @throws ModuleError when the host could not tell all */
export function sections(output: Output, what: string): (name: string) => string[] {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of output.stdout.split('\n')) {
    if (/^@[a-z]+$/.test(line)) found.set(line.slice(1), (current = []));
    else if (line !== '') current.push(line);
  }
  if (output.rc !== 0 || !found.has('end')) {
    throw new ModuleError(`cannot look up ${what}: ${output.stderr.trim() || `exit status ${output.rc}`}`, { rc: output.rc, stderr: output.stderr });
  }
  return (name) => found.get(name) ?? [];
}

/** Names of users and groups, as shadow's useradd(8) takes them, the upper case and dots of other sources included. */
export const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*\$?$/;

/** Says which tools are missing, where they are. */
export function needing(tool: string): Sh {
  return sh`command -v ${tool} >/dev/null || { echo "the host has no "${tool}"; install shadow's tools (package passwd or shadow)" >&2; exit 1; }`;
}
