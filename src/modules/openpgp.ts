/** Keys of OpenPGP in files of the host, as gpg tells of them. */
import { raw } from '../shell/sh.js';

/** Makes `show`: it lists the keys in a file, or of standard input, with colons. gpg keeps nothing and makes no folder of its own for that. */
export const SHOW_KEYS = raw(`if command -v gpg >/dev/null; then g=gpg
elif command -v gpg2 >/dev/null; then g=gpg2
else echo 'Failed to find required executable gpg' >&2; exit 1; fi
show() { $g --homedir / --no-keyring --no-options --no-permission-warning --no-auto-check-trustdb --trust-model always --no-tty --batch --with-colons --fixed-list-mode --import-options show-only --dry-run --import "$@"; }`);

export interface Listed {
  /** Long ids of the keys and subkeys that have not expired, in order. */
  ids: string[];
  fingerprints: string[];
}

/** Reads a list with colons (gnupg's doc/DETAILS). */
export function readKeys(lines: readonly string[]): Listed {
  const listed: Listed = { ids: [], fingerprints: [] };
  for (const line of lines) {
    const [kind, validity, , , id, , , , , fingerprint] = line.split(':');
    if ((kind === 'pub' || kind === 'sub') && validity !== 'e' && id) listed.ids.push(id);
    else if (kind === 'fpr' && fingerprint) listed.fingerprints.push(fingerprint);
  }
  return listed;
}

/** Sets $i to the first id of such a list in $o. */
export const FIRST_ID = raw(`i=$(printf '%s\\n' "$o" | awk -F: '($1 == "pub" || $1 == "sub") && $2 != "e" { print $5; exit }')`);
