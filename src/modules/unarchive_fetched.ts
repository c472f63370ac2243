/** An archive that the host fetches itself: what is in it is known only there, and only then. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { DETECT, unpack, type Unpacking } from './archives.js';
import { ownership, setLabels, type Attributes } from './attributes.js';
import { fetcher, type Download } from './download.js';

/**
 * Fetches the archive and unpacks it beside its destination; what is there already, with the same content, is left as it
 * is. Prints fields for replaced(): `handler`, `files`, and `same` where nothing was to do.
 */
export function fetchAndUnpack(download: Download & { url: string }, dest: Sh, options: Unpacking, attributes: Attributes): Sh {
  const who = ownership(attributes.owner, attributes.group);
  const { mode } = attributes;
  const fresh = (archive: Sh, into: Sh) => sh`if [ $z = zip ]; then ${unpack(archive, into, 'zip', options)}
else ${unpack(archive, into, 'tar', options)}
fi`;
  const context = setLabels(raw('"$to/$n"'), attributes);
  return sh`{ to=$(cd -- ${dest} && pwd) && d=$(mktemp -d) && a=$d/archive && mkdir "$d/new" || exit
trap 'rm -rf -- "$d"' EXIT
${fetcher(download)}
muster_fetch "$a" || { rc=$?; printf '%s\\n' ${`fetching ${download.url} failed`} >&2; exit $rc; }
[ -s "$a" ] || { printf '%s\\n' ${`Invalid archive '${download.url}', the file is 0 bytes`} >&2; exit 1; }
${DETECT}
${fresh(raw('"$d/archive"'), raw('"$d/new"'))} || exit
cd -- "$d/new" && names=$(find . ! -name . | LC_ALL=C sort) || exit
muster_each() { printf '%s\\n' "$names" | while IFS= read -r n; do [ -z "$n" ] || "$@" || return 1; done; }
muster_same() {
  if [ -L "$n" ]; then [ "$(readlink -- "$n")" = "$(readlink -- "$to/$n")" ]
  elif [ -d "$n" ]; then [ -d "$to/$n" ]
  else cmp -s -- "$n" "$to/$n"
  fi
}
muster_attributes() {
  :
  ${who === '' ? join([]) : sh`chown -hc -- ${who} "$to/$n" || return`}
  ${mode === undefined ? join([]) : sh`[ -L "$n" ] || chmod -c -- ${/^\d+$/.test(mode) ? `0${mode}` : mode} "$to/$n" || return`}
  ${context.text === '' ? join([]) : sh`${context} || return`}
}
same=y
muster_each muster_same || { same=; ${fresh(raw('"$d/archive"'), raw('"$to"'))}; } || exit
c=$(muster_each muster_attributes) || exit
[ -z "$c" ] || same=
case $z in zip) h=ZipArchive ;; *) h=TarArchive ;; esac
printf 'handler\\000%s\\000files\\000%s\\000same\\000%s\\000' $h "$names" "$same"
cd /
}`;
}
