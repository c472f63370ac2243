import { bytes, join, quote, sh, Sh } from '../shell/sh.js';
import type { Step } from '../shell/step.js';
import type { Become, Inspection, Trip } from './connection.js';
import { becomeCommand, becomeInput, becomeProbe, sameUser } from './become.js';

/**
 * How a trip is written down: one finite script for the standard input of /bin/sh, wholly inside one compound
 * command. sh runs while it reads, but runs nothing of a compound command whose end never came.
 *
 * Marks, each on a line of its own and each one write, so that other processes' output cannot split it:
 *
 *     B begin T                                on both streams; what came before is login noise
 *       B section                              both: the next shell is being started
 *         B entered                            both: it runs
 *         B effect, B pid P, …raw…, B rc N     stdout (effect, …raw…, rc on stderr; B alive between, see heartbeat())
 *         …raw…, B next                        stderr: an inspection has ended (B late before it: it took too long)
 *         B answers LENGTH, …base64…, B done       stdout: what all inspections of the section printed,
 *                                              each followed by `B rc`
 *       B left N                               both: the shell of the section has gone
 *     B end T                                  both: the trip is over, whoever still holds the streams
 *
 * T is the host's uptime in seconds, where it has /proc: what lies between is the host's own time.
 */

/** Seconds an inspection may run before it is ended; it lasts at most twice as long. */
const INSPECTION_LIMIT = 60;

/** What the wire needs to know besides the trip. */
export interface Encoding {
  /** Fresh for each trip: 32 hexadecimal digits. */
  boundary: string;
  /** Whether this become is known to work, so that its password need not be tried by itself first. */
  proven?: (become: Become) => boolean;
  /** Uploads that were sent ahead: shell variable -> path on the host, and the folders to remove afterwards. */
  sent?: Sent;
  /** See INSPECTION_LIMIT. */
  inspectionLimit?: number;
}

export interface Sent {
  folders: string[];
  files: Record<string, string>;
}

/** Parts of a trip for one shell: the effect (always of the first section) and inspections by index. */
export interface Section {
  become: Become | undefined;
  effect: boolean;
  inspections: number[];
}

/** Consecutive parts with one become user share a shell. */
export function sections(trip: Trip): Section[] {
  const all: Section[] = [];
  if (trip.effect) all.push({ become: trip.effect.become, effect: true, inspections: [] });
  trip.inspections.forEach(({ become }, index) => {
    const last = all.at(-1);
    if (last && sameUser(last.become, become)) last.inspections.push(index);
    else all.push({ become, effect: false, inspections: [index] });
  });
  return all;
}

/** The script of a trip, to be written to the standard input of /bin/sh. */
export function encodeTrip(trip: Trip, encoding: Encoding): string {
  const parts = sections(trip).map((section) => encodeSection(section, trip, encoding));
  return `${join([sh`{`, prelude(encoding.boundary), clock(), mark('begin', '$_u'), ...parts, clock(), mark('end', '$_u'), sh`exit 0`, sh`}`]).text}\n`;
}

function encodeSection(section: Section, trip: Trip, encoding: Encoding): Sh {
  const body = [mark('entered')];
  if (section.effect) body.push(encodeEffect(trip, encoding));
  if (section.inspections.length > 0) body.push(encodeInspections(section.inspections.map((i) => trip.inspections[i]!), encoding));
  const { become } = section;
  if (become === undefined) return join([mark('section'), ...body, sh`_r=0`, mark('left', '$_r')]);

  const inner = join([sh`{`, prelude(encoding.boundary), ...body, sh`exit 0`, sh`}`, sh``]);
  const gate = `gate-${encoding.boundary.slice(0, 8)}`;
  // As Ansible's modules do: what looks for its folder would stumble over one that this user may not see.
  const start = becomeCommand(become, gate, sh`{ [ -r . ] && [ -x . ] || cd || cd /; } 2>/dev/null; exec /bin/sh`);
  const feed = sh`{ printf %s ${becomeInput(become, gate)}; ${bytes(inner.text + '\n')}; } | ${group(start)}`;
  const probe = become.password !== undefined && !encoding.proven?.(become);
  return join([mark('section'), probe ? sh`${group(becomeProbe(become))} && ${feed}` : feed, sh`_r=$?`, mark('left', '$_r')]);
}

/** The effect has a shell and a process group of its own, so that it can be ended without ending the trip. */
function encodeEffect(trip: Trip, { boundary, sent }: Encoding): Sh {
  const { step, environment } = trip.effect!;
  const small = Object.entries(step.uploads ?? {}).filter(([name]) => sent?.files[name] === undefined);
  const places = [
    ...small.map(([name], i) => sh`${variable(name)}=$_muster/${i}`),
    ...Object.entries(sent?.files ?? {}).map(([name, path]) => sh`${variable(name)}=${path}`),
  ];
  const run = sh`( eval ${step.script.text}
)`;
  const text = join([
    sh`{`,
    sh`exec </dev/null`,
    sh`printf '\n%s pid %s\n' ${boundary} $$`,
    exports(environment),
    ...places,
    sh`unset _muster`,
    step.timeout === undefined && !step.hangsUp ? join([run, sh`exit $?`]) : watched(run, step, boundary),
    sh`}`,
  ]);
  const folder = sh`_d=$(umask 077; mktemp -d "\${TMPDIR:-/tmp}/.muster.XXXXXXXX")`;
  const files = small.map(([, upload], i) => sh`${bytes((upload as { content: Buffer }).content)} >"$_d/"${i}`);
  const start = sh`${bytes(`${text.text}\n`)} | _muster=$_d $_g /bin/sh`;
  const folders = [...(small.length > 0 ? [sh`"$_d"`] : []), ...(sent?.folders ?? []).map((folder) => sh`${folder}`)];
  return join([
    mark('effect'),
    sh`_g=setsid; command -v setsid >/dev/null 2>&1 || _g=; _d=`,
    small.length > 0 ? sh`if ${folder} && ( umask 077; ${join(files, ' && ')} ); then ${start}; else (exit 1); fi` : start,
    sh`_r=$?`,
    folders.length > 0 ? sh`rm -rf -- ${folders}` : sh``,
    mark('rc', '$_r'),
  ]);
}

/**
 * Ends the whole process group, by TERM, then KILL: after so many seconds (with rc 124 as coreutils' timeout gives), and
 * for a step that hangs up when nobody reads its output any more.
 */
function watched(run: Sh, { timeout, hangsUp }: Step, boundary: string): Sh {
  const end = sh`trap '' TERM; { kill -s TERM -- -$$ || kill -s TERM $$; } 2>/dev/null; sleep 5; kill -s KILL -- -$$`;
  return join([
    sh`_late= _w=; trap _late=1 TERM`,
    timeout === undefined ? sh`` : sh`( trap 'kill -s KILL $!; exit' TERM; sleep ${timeout} & _s=$!; wait $_s; ${end} ) >/dev/null 2>&1 &
_w=$!`,
    hangsUp ? sh`( ${heartbeat(boundary, sh`>&2`)}; ${end} ) >/dev/null &
_w="$_w $!"` : sh``,
    run,
    sh`_r=$?; [ -z "$_late" ] || exit 124; kill $_w 2>/dev/null; exit $_r`,
  ]);
}

/*
 * A watcher kills its sleep by KILL: a child that has just been forked may still have the shell's own way with
 * TERM, and would sleep on by itself.
 */

/** Seconds between signs of life. */
const HEARTBEAT = 10;

/**
 * Signs of life, until they can be written no more: their reader has gone. They also have a host that sends nothing
 * otherwise find out that nobody answers. To be put into a subshell in the background, which ends by TERM.
 * @param to where they are written to, nothing for standard output
 */
export function heartbeat(boundary: string, to = sh``): Sh {
  return sh`trap '' PIPE; trap 'kill -s KILL $!; exit' TERM
while sleep ${HEARTBEAT} >/dev/null 2>&1 & _s=$!; wait $_s; printf '\n%s alive\n' ${boundary} ${to}; do :; done`;
}

/**
 * All inspections of a section go through one base64, and are printed in one go when all have ended: a process an
 * effect left behind can then add to an answer, which its length shows, but never change it. Where nobody reads any
 * more, the shell that asks takes the watchdog along when it goes.
 */
function encodeInspections(inspections: Inspection[], { boundary, inspectionLimit }: Encoding): Sh {
  const asked = inspections.map(
    ({ script, environment }) => sh`( ${exports(environment)} eval ${script.text}
); printf '\n%s %s\n' ${boundary} $?; printf '\n%s next\n' ${boundary} >&2`,
  );
  return join([
    watchdog(boundary, inspectionLimit ?? INSPECTION_LIMIT),
    sh`_x=$( { read -r _p _l </proc/self/stat; _watch >/dev/null & _w=$!; trap 'kill $_w; exit' PIPE`,
    ...asked,
    sh`kill $_w; } </dev/null | base64 )`,
    sh`printf '\n%s answers %s\n%s\n%s done\n' ${boundary} "\${#_x}" "$_x" ${boundary}`,
  ]);
}

/**
 * One process watches a whole section: where the same child of the asking shell ($_p) is found at two looks in
 * a row, it is killed with all its descendants. /proc is read by the shell itself, so a look starts no process.
 */
function watchdog(boundary: string, seconds: number): Sh {
  return sh`_stat() { { read -r _l <"$1"; } 2>/dev/null || return 1; _i=\${_l%% *}; set -- \${_l##*) }; _o=$2; }
_watch() {
trap 'kill -s KILL $!; exit 0' TERM
_seen=; _stat /proc/self/stat; _me=$_i
while :; do
sleep ${seconds} 2>/dev/null & _s=$!; wait $_s
[ -d "/proc/$_p" ] || exit 0
_now=
for _f in /proc/[0-9]*/stat; do _stat "$_f" && [ "$_o" = "$_p" ] && [ "$_i" != "$_me" ] && _now=$_i; done
if [ -n "$_now" ] && [ "$_now" = "$_seen" ]; then
_all=" $_now "; _more=1
while [ -n "$_more" ]; do
_more=
for _f in /proc/[0-9]*/stat; do
_stat "$_f" || continue
case $_all in *" $_i "*) ;; *" $_o "*) _all="$_all$_i "; _more=1 ;; esac
done
done
printf '\n%s late\n' ${boundary} >&2
kill -s KILL $_all
fi
_seen=$_now
done
}`;
}

/** Messages in one language; and su and plain logins leave out the folders of the administrator's commands. */
function prelude(boundary: string): Sh {
  return sh`export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; _b=${boundary}`;
}

/** The shell reads it by itself: no process (proc(5), /proc/uptime, hundredths of a second). */
function clock(): Sh {
  return sh`_u=; { read -r _u _ </proc/uptime; } 2>/dev/null`;
}

/** @param word a variable reference such as `$_r` */
function mark(what: string, word = ''): Sh {
  const text = sh`'\n%s %s\n' "$_b" ${new Sh(`"${what}${word && ` ${word}`}"`)}`;
  return sh`printf ${text}; printf ${text} >&2`;
}

function group(command: Sh): Sh {
  return sh`{ ${command}; }`;
}

function exports(environment: Readonly<Record<string, string>>): Sh {
  return join(
    Object.entries(environment).map(([name, value]) => sh`export ${variable(name)}=${new Sh(quote(value))};`),
    ' ',
  );
}

function variable(name: string): Sh {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new RangeError(`no shell variable can be named "${name}"`);
  return new Sh(name);
}
