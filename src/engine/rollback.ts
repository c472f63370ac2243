import type { Touched } from '../modules/module.js';
import type { Step } from '../shell/step.js';
import { bytes, join, raw, sh, type Sh } from '../shell/sh.js';

/**
 * What a confirmed block leaves to its host: the old state of all it touches, a timer, and the script that puts the
 * old state back. One folder for each block and run, for root alone:
 *
 *     armed | confirmed | rolling | rolled-back   where it stands; a rename has one winner, so the timer and the
 *                                                 confirmation cannot both have their way
 *     order, paths/HASH/{path,kind,old,acl}       what was touched, in that order
 *     services.order, services/UNIT               what was running and enabled; restart/UNIT, reload/UNIT: what was done
 *     effect                                      process and start time of the change that is at work
 *     rollback, trouble, pid                      the script, what it stumbled over, the timer where there is no systemd
 *
 * The unit BOOT, once installed, runs the scripts of a host that was rebooted (or cut off its power) meanwhile.
 */
const FOLDER = '/var/lib/muster/confirm';
const BOOT = 'muster-confirm.service';

/** The name of systemd's timer and of the service it starts. */
function unitOf(id: string): string {
  return `muster-confirm-${id}`;
}

/** Field 22 of /proc/PID/stat, the time a process began: with it a number that is used again is told apart. */
const BEGAN = raw(`began() { { read -r _l <"/proc/$1/stat"; } 2>/dev/null || return; set -- \${_l##*) }; shift 19; printf %s "$1"; }`);

const ROLLBACK = join([
  raw(`# Puts back what an unconfirmed change of Muster's replaced, unless it was confirmed first.
umask 077
export LC_ALL=C PATH="\${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
cd "\${0%/*}" || exit
d=$PWD boot=$1
mv armed rolling 2>/dev/null || { [ "$boot" = boot ] && [ -e rolling ]; } || exit 0
cd /
try() { o=$("$@" 2>&1 </dev/null) || { printf '%s: %s\\n' "$*" "$o" >>"$d/trouble"; return 1; }; }`),
  BEGAN,
  raw(`
# What is still changing things is ended first.
alive() { [ -n "$start" ] && [ "$(began "$pid")" = "$start" ]; }
hit() { kill -s "$1" -- "-$pid" || kill -s "$1" "$pid"; } 2>/dev/null
if [ "$boot" != boot ] && { read -r pid start <"$d/effect"; } 2>/dev/null && alive; then
  hit TERM
  for _ in 1 2 3 4 5; do alive || break; sleep 1; done
  ! alive || hit KILL
fi

over() { cat -- "$1" >"$2"; }
folder() {
  [ -d "$2" ] && [ ! -L "$2" ] || { rm -rf -- "$2"; mkdir -p -- "$2"; } || return
  { read -r who; read -r mode; } <"$1/old"
  chown -- "$who" "$2" && chmod -- "$mode" "$2" || return
  [ ! -e "$1/acl" ] || setfacl --set-file="$1/acl" -- "$2"
}
whole() {
  f=\${2%/*}
  mkdir -p -- "\${f:-/}" && t=$(mktemp -d "$f/.muster.XXXXXX") || return
  if cp -a -- "$1/old" "$t/old"; then
    if [ -d "$2" ] && [ ! -L "$2" ]; then rm -rf -- "$2"; fi
    # What is a mount point cannot be renamed over.
    mv -f -T -- "$t/old" "$2" || if [ -d "$t/old" ] && [ ! -L "$t/old" ]; then cp -a -- "$t/old/." "$2/"; else over "$t/old" "$2"; fi
  else false; fi
  r=$?
  rm -rf -- "$t"
  return $r
}
restore() {
  read -r kind <"$1/kind"
  p=$(cat "$1/path"; echo .)
  p=\${p%.}
  case $kind in
    absent) try rm -rf -- "$p" ;;
    value) try over "$1/old" "$p" ;;
    folder) try folder "$1" "$p" ;;
    *) try whole "$1" "$p" ;;
  esac
}

systemd=
[ ! -d /run/systemd/system ] || systemd=y
ctl() { systemctl --quiet --no-ask-password "$@"; }
unit() { s=$(systemctl show -p "$1" -- "$2"); printf %s "\${s#*=}"; }
# A socket does not listen anew while the service that it starts is running.
again() {
  case $1 in *.socket) for s in $(unit Triggers "$1"); do ctl stop -- "$s"; done 2>/dev/null; ctl stop -- "$1" ;; esac
  try ctl restart -- "$1"
}
at=
[ "$boot" != boot ] || at=--no-block
# Looks up what a service was: $active, $file.
was() { { read -r active; read -r file; } <"$d/services/$1"; }
: >>"$d/services.order"
# As long as a unit that is new still has its file, it knows how to stop.
while read -r u; do
  was "$u"
  case $active in active | activating | reloading | refreshing) continue ;; esac
  if [ "$systemd" ]; then
    case $(unit ActiveState "$u") in active | activating | reloading | refreshing) try ctl $at stop -- "$u" ;; esac
    case $file,$(unit UnitFileState "$u") in enabled*,*) ;; *,enabled*) try ctl disable -- "$u" ;; esac
  elif [ "$boot" != boot ] && [ -x "/etc/init.d/$u" ]; then try "/etc/init.d/$u" stop; fi
done <"$d/services.order"

back=
: >>"$d/order"
while read -r k; do back="$k $back"; done <"$d/order"
for k in $back; do restore "$d/paths/$k"; done

[ -z "$systemd" ] || try ctl daemon-reload
while read -r u; do
  was "$u"
  if [ "$systemd" ]; then
    now=$(unit UnitFileState "$u")
    if [ "$now" != "$file" ]; then
      case $now in masked*) try ctl unmask -- "$u" ;; esac
      case $file in
        enabled*) try ctl enable -- "$u" ;;
        masked*) try ctl mask -- "$u" ;;
        *) case $now in enabled*) try ctl disable -- "$u" ;; esac ;;
      esac
    fi
  fi
  case $active in active | activating | reloading | refreshing) ;; *) continue ;; esac
  if [ -z "$systemd" ]; then
    [ "$boot" = boot ] || try "/etc/init.d/$u" restart
  elif [ "$boot" = boot ]; then try ctl $at start -- "$u"
  elif [ -e "$d/restart/$u" ] || [ "$(unit ActiveState "$u")" != active ]; then again "$u"
  elif [ -e "$d/reload/$u" ]; then ctl reload -- "$u" 2>/dev/null || try ctl restart -- "$u"; fi
done <"$d/services.order"
sync -f "$d" 2>/dev/null || sync
mv "$d/rolling" "$d/rolled-back"`),
]);

/** Keeps what is at $1 (`$2`: with all that is below it), unless that was done before. */
const KEEP = raw(`keep() {
  p=$1
  case $p in /*) ;; *) p=$PWD/$p ;; esac
  if [ ! -e "$p" ] && [ ! -L "$p" ]; then
    # The folders that will be made for it go again with it.
    while f=\${p%/*}; [ -n "$f" ] && [ ! -e "$f" ] && [ ! -L "$f" ]; do p=$f; done
  fi
  k=$(printf %s "$2$p" | sha256sum) && k=\${k%% *} || fail "cannot name what keeps $p"
  [ -e "$d/paths/$k" ] || {
    rm -rf "$d/new" && mkdir "$d/new" && printf %s "$p" >"$d/new/path" || fail "cannot write to $d"
    if [ -L "$p" ]; then kind=link
    elif [ ! -e "$p" ]; then kind=absent
    elif [ ! -d "$p" ]; then kind=file
    elif [ "$2" ]; then kind=tree
    else kind=folder; fi
    case $kind$p in absent/proc/sys/*) return ;; file/proc/sys/*) kind=value ;; esac
    case $kind in
      absent) ;;
      value) cat -- "$p" >"$d/new/old" ;;
      folder)
        stat -c '%u:%g
%a' -- "$p" >"$d/new/old" && { ! command -v getfacl >/dev/null || getfacl -cp -- "$p" >"$d/new/acl" 2>/dev/null || rm -f "$d/new/acl"; } ;;
      *) cp -a -- "$p" "$d/new/old" ;;
    esac || fail "cannot keep the old state of $p"
    printf '%s\\n' $kind >"$d/new/kind" && mv "$d/new" "$d/paths/$k" && printf '%s\\n' $k >>"$d/order" || fail "cannot write to $d"
    kept=y
    [ $kind != link ] || { p=$(readlink -f -- "$p" && echo .) && keep "\${p%
.}" "$2"; } || :
  }
}`);

/** Notes whether $1 runs and is enabled, unless that was done before, and what is about to be done with it. */
const SERVE = raw(`serve() {
  u=$1 a=inactive f=
  if [ -d /run/systemd/system ]; then
    case $u in *.service | *.socket | *.timer | *.target | *.mount | *.automount | *.path | *.slice | *.scope | *.swap | *.device) ;; *) u=$u.service ;; esac
  fi
  [ "$2" = none ] || : >"$d/$2/$u"
  [ ! -e "$d/services/$u" ] || return 0
  if [ -d /run/systemd/system ]; then
    a=$(systemctl show -p ActiveState -- "$u") && f=$(systemctl show -p UnitFileState -- "$u") || fail "cannot ask systemd about $u"
    a=\${a#*=} f=\${f#*=}
  elif [ -x "/etc/init.d/$u" ] && "/etc/init.d/$u" status </dev/null >/dev/null 2>&1; then a=active; fi
  printf '%s\\n%s\\n' "$a" "$f" >"$d/services/$u" && printf '%s\\n' "$u" >>"$d/services.order" || fail "cannot write to $d"
  kept=y
}`);

/** The unit for a reboot in between: before the firewall, the network and all that waits for sysinit.target. */
const BOOT_UNIT = `[Unit]
Description=Put back what an unconfirmed change of Muster's replaced
DefaultDependencies=no
RequiresMountsFor=${FOLDER}
After=local-fs.target
Wants=network-pre.target
Before=sysinit.target network-pre.target nftables.service systemd-sysctl.service shutdown.target
Conflicts=shutdown.target
ConditionPathExistsGlob=|${FOLDER}/*/armed
ConditionPathExistsGlob=|${FOLDER}/*/rolling

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for r in ${FOLDER}/*/rollback; do /bin/sh "$$r" boot; done'

[Install]
WantedBy=sysinit.target
`;

/** Names the confirmed changes that wait on the host, a line each. Who is not root sees none. */
export const WAITING = raw(`for o in ${FOLDER}/*; do if [ -e "$o/armed" ] || [ -e "$o/rolling" ]; then printf '%s\\n' "\${o##*/}"; fi; done`);

/** Makes the folder; refuses where another change waits for its confirmation. */
function begin(): Sh {
  return sh`for o in ${raw(FOLDER)}/*; do
  if [ -e "$o/armed" ] || [ -e "$o/rolling" ]; then
    read -r b <"$o/boot"
    read -r now </proc/sys/kernel/random/boot_id
    # Its timer went with a reboot, and nothing at boot took its place.
    [ "$b" = "$now" ] || { sh "$o/rollback" boot; fail "what \${o##*/} changed before the last reboot is put back; run again"; }
    fail "another confirmed change (\${o##*/}) is under way on this host; it is confirmed or put back within $(cat "$o/within") s of its beginning"
  fi
  rm -rf -- "$o"
done
mkdir -p ${raw(FOLDER)} && mkdir "$d" "$d/paths" "$d/services" "$d/restart" "$d/reload" && ${bytes(ROLLBACK.text)} >"$d/rollback" && cat /proc/sys/kernel/random/boot_id >"$d/boot" || fail "cannot write to ${raw(FOLDER)}"
if [ -d /run/systemd/system ] && ! ${bytes(BOOT_UNIT)} | cmp -s - ${`/etc/systemd/system/${BOOT}`}; then
  ( umask 022; ${bytes(BOOT_UNIT)} >${`/etc/systemd/system/${BOOT}`} ) && systemctl --quiet enable ${BOOT} || fail 'cannot install what puts the old state back after a reboot'
fi`;
}

/** Starts the timer; from here on the host acts by itself. */
function arm(id: string, seconds: number): Sh {
  return sh`printf '%s\\n' ${seconds} >"$d/within"
if [ -d /run/systemd/system ]; then
  o=$(systemd-run --quiet --collect --unit=${unitOf(id)} --description='Put the old state back unless it is confirmed' --on-active=${`${seconds}s`} --timer-property=AccuracySec=100ms /bin/sh "$d/rollback" 2>&1) || fail "cannot arm the timer: $o"
else
  command -v setsid >/dev/null || fail 'the host has neither systemd nor setsid for a timer'
  setsid sh -c 'echo $$ >"$1/pid"; sleep "$2"; exec sh "$1/rollback"' muster-confirm "$d" ${seconds} </dev/null >/dev/null 2>&1 &
fi
sync -f "$d" 2>/dev/null || sync
: >"$d/ready" && mv "$d/ready" "$d/armed" || fail "cannot write to $d"`;
}

export interface Arming {
  id: string;
  /** The first effect on the machine begins it. */
  first: boolean;
  seconds: number;
}

/** The step, made only once the old state of what it touches is kept and the timer runs. */
export function guarded(step: Step, touched: Touched, { id, first, seconds }: Arming): Step {
  const late = 'the time for the confirmation is over: the host has put the old state back';
  const before = join([
    raw(`fail() { printf '%s\\n' "$1" >&2; exit 1; }`),
    sh`[ "$(id -u)" = 0 ] || fail 'a task that changes something in a confirmed block must be root (become: true)'`,
    raw('umask 077\nkept='),
    first ? begin() : sh`[ -e "$d/armed" ] || fail ${late}`,
    BEGAN,
    raw(`printf '%s %s\\n' $$ "$(began $$)" >"$d/effect" || fail "cannot write to $d"`),
    KEEP,
    SERVE,
    ...(touched.paths ?? []).map((path) => sh`keep ${path} ''`),
    ...(touched.trees ?? []).map((path) => sh`keep ${path} whole`),
    ...(touched.services ?? []).map(({ name, how }) => sh`serve ${name} ${how}`),
    // The rollback may have begun meanwhile, and known nothing of this effect.
    first ? arm(id, seconds) : sh`[ -z "$kept" ] || sync -f "$d" 2>/dev/null || sync\n[ -e "$d/armed" ] || fail ${late}`,
  ]);
  const script = sh`muster_confirm=${`${FOLDER}/${id}`}
( d=$muster_confirm
${before}
) || exit
(
${step.script}
)
muster_rc=$?
rm -f -- "$muster_confirm/effect"
exit $muster_rc`;
  return { ...step, script };
}

/** Disarms the timer, if it has not gone off. Prints `confirmed` or `late`. */
export function confirmation(id: string): Step {
  return {
    script: sh`d=${`${FOLDER}/${id}`}
if mv "$d/armed" "$d/confirmed" 2>/dev/null || [ -e "$d/confirmed" ] || [ ! -e "$d" ]; then
  ${stopTimer(id)}
  rm -rf -- "$d"
  echo confirmed
else echo late; fi`,
  };
}

/**
 * Has the old state put back now, where that is still to be done, and tells how it stands: `armed`, `rolling`,
 * `rolled-back` with what went wrong, or `never` where nothing was ever armed. What is over is tidied up.
 */
export function undoing(id: string): Step {
  return {
    script: sh`d=${`${FOLDER}/${id}`}
if [ -e "$d/armed" ]; then
  if [ -d /run/systemd/system ]; then systemctl start --no-block ${`${unitOf(id)}.service`} || sh "$d/rollback"
  else setsid sh "$d/rollback" </dev/null >/dev/null 2>&1 & fi
  # Most are done in no time: that spares another look.
  for _ in 1 2 3 4 5 6 7 8 9 10; do [ ! -e "$d/rolled-back" ] || break; sleep 0.1 2>/dev/null || sleep 1; done
fi
if [ -e "$d/rolled-back" ]; then
  echo rolled-back
  cat "$d/trouble" 2>/dev/null
  ${stopTimer(id)}
  rm -rf -- "$d"
elif [ -e "$d/armed" ]; then echo armed
elif [ -e "$d/rolling" ]; then echo rolling
else
  echo never
  ${stopTimer(id)}
  rm -rf -- "$d"
fi`,
  };
}

function stopTimer(id: string): Sh {
  return sh`if [ -d /run/systemd/system ]; then systemctl --quiet stop ${`${unitOf(id)}.timer`} 2>/dev/null; elif read -r p 2>/dev/null <"$d/pid"; then kill -s TERM -- "-$p" 2>/dev/null; fi`;
}
