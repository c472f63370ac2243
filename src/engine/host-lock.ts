import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Beside, Connection } from '../connection/connection.js';
import type { Output, Step } from '../shell/step.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { aside, type Machine, type Way } from './machine.js';

/**
 * The lock of a host: one run changes it at a time, whichever controller it comes from. A file, `/run/muster/lock` for
 * root and `~/.local/state/muster/lock` for who is not, with one line:
 *
 *     RUN BEAT TAKEN USER@CONTROLLER PID PROCESS [WANTED,…]
 *
 * BEAT and TAKEN are seconds of the host's own clock (its uptime, /proc/uptime); a beat older than EXPIRY counts for
 * nothing. It is taken in the trip of the run's first effect on the host, renewed by later ones and by a keeper: a shell
 * beside the trips that renews it whenever it is told to, and removes it when nobody is left to tell it anything, so that
 * a run that is killed leaves no lock behind. What a run only looks at it does not lock.
 *
 * Locks are taken as hosts come, in no order, so two runs can each hold what the other waits for. WANTED, written by the
 * keepers, are the runs that the holder itself waits for elsewhere: whoever finds his own there has met his like, and the
 * later of the two gives way.
 */
const EXPIRY = 60;
/** Seconds between two words to a keeper. */
const BEAT = 20;
/** Seconds for which what the last trip said of the lock is believed without asking again. */
const BELIEVED = 10;

/** Who holds a host. */
export interface Holder {
  run: string;
  /** `user@controller` and process there. */
  who: string;
  pid: string;
  /** Seconds since it was taken, and since it was last heard of, by the host's clock. */
  since: number;
  silent: number;
  /** Tells the process from others, see `processOf`. */
  process: string;
  /** The runs whose locks on other hosts it waits for. */
  wanted: string[];
}

/** Another run holds the host: nothing was changed there. */
export class LockedError extends Error {
  constructor(
    readonly host: string,
    readonly holder: Holder,
    cause = '',
  ) {
    super(`another run holds the lock of ${host}: ${toldOf(holder)}${cause}`);
    this.name = 'LockedError';
  }
}

/** `run R of alice@ctl (process 4711), begun 3 min ago, last heard of 5 s ago`: for people. */
export function toldOf({ run, who, pid, since, silent }: Holder): string {
  return `run ${run} of ${who} (process ${pid}), which took it ${ago(since)} ago and was last heard of ${ago(silent)} ago`;
}

function ago(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

/** Runs of this very process that are under way: it may have several, one after the other. */
const underWay = new Set<string>();

/** Boot, process namespace, number and start: no two processes share them, not even when a number is used again (proc(5)). */
function processOf(pid: number | 'self'): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}:${start}`;
  } catch {
    return undefined;
  }
}

/** Whether the holder is a process of this very machine that is no more: nothing else is safe to say of one that is silent. */
function isGone({ run, pid, process: identity }: Holder): boolean {
  const own = processOf('self');
  if (own === undefined || identity.split(':').slice(0, 2).join() !== own.split(':').slice(0, 2).join()) return false;
  if (Number(pid) === process.pid && identity === own) return !underWay.has(run);
  return processOf(Number(pid)) !== identity;
}

const word = (text: string): string => text.replace(/[^\w.@-]/g, '_') || '_';

/** What every text on the lock begins with: $now, and `look FILE` for $run $beat $taken $rest. */
const LOOK = raw(`umask 022
now=; { read -r now _ </proc/uptime; } 2>/dev/null || now=$(date +%s)
now=\${now%%.*}
look() {
  run= beat= taken= rest=
  { read -r run beat taken rest <"$1"; } 2>/dev/null
  case $beat,$taken in *[!0-9,]* | ,* | *,) run= ;; esac
}
d=/run/muster
mine() { d=\${HOME:-}/.local/state/muster; }`);

/** From here on nobody else reads and writes the lock in $d; where there is no flock(1) two may meet within milliseconds. */
const ALONE = raw(`{ exec 9<"$d"; ! command -v flock >/dev/null || flock 9; }`);

/** Writes the lock as a whole: who reads it has no turn to wait for. */
const WRITE = raw(`printf '%s\\n' "$run $now $taken $rest" >"$d/lock.$$" && mv -f "$d/lock.$$" "$d/lock"`);

interface Claim {
  run: string;
  rest: string;
}

/**
 * Takes the lock, or renews it. Says `locked` behind the token and ends with 75 where another run holds it. Whoever may
 * write nowhere takes none.
 * @param gone runs that are known to be no more
 */
function take({ run, rest }: Claim, token: string, gone: Iterable<string>): Sh {
  return join([
    LOOK,
    sh`held() {
  look "$1"
  case $run in '' | ${run}) return 1 ;; esac
  for g in ${[...gone]}; do [ "$g" != "$run" ] || return 1; done
  [ "$beat" -le "$now" ] && [ $((now - beat)) -lt ${EXPIRY} ]
}
refuse() { printf '\\036%s locked %s %s %s %s %s\n' ${token} "$now" "$run" "$beat" "$taken" "$rest"; exit 75; }
if [ "$(id -u)" != 0 ]; then
  ! held "$d/lock" || refuse
  [ "$run" != ${run} ] || exit 0
  mine
fi
[ -d "$d" ] || mkdir -p "$d" 2>/dev/null
[ -w "$d" ] || exit 0`,
    ALONE,
    sh`! held "$d/lock" || refuse
[ "$run" = ${run} ] || taken=$now
run=${run} rest=${rest}
{ ${WRITE}; } 2>/dev/null
exit 0`,
  ]);
}

/** Renews the lock at each line, which names the runs waited for elsewhere, if any; removes it at the end of its input. */
function keeping({ run, rest }: Claim): Sh {
  const ours = sh`[ "$(id -u)" = 0 ] || mine; [ -w "$d" ] || exit 0; ${ALONE}; look "$d/lock"; [ "$run" = ${run} ] || exit 0`;
  return sh`while read -r wanted; do (
${LOOK}
${ours}
rest=${rest}\${wanted:+" $wanted"}
${WRITE}
); done 2>/dev/null
${LOOK}
${ours}
rm -f "$d/lock"`;
}

/**
 * Shows the locks that hold a user (root's, and his own) and takes them away, whoever holds them.
 * @param remove false only shows
 */
export function breaking(token: string, remove: boolean): Sh {
  return sh`${LOOK}
left=
for d in "$d" "\${HOME:-}/.local/state/muster"; do
  look "$d/lock"
  [ -n "$run" ] || continue
  printf '\\036%s locked %s %s %s %s %s\n' ${token} "$now" "$run" "$beat" "$taken" "$rest"
  ${remove ? sh`rm -f "$d/lock" || left=y` : sh``}
done
[ -z "$left" ]`;
}

/** Reads `locked` notes behind a token. @returns the holders, and the text without the notes */
export function holdersIn(stdout: string, token: string): { holders: Holder[]; rest: string } {
  const holders: Holder[] = [];
  const rest = stdout.replace(new RegExp(`\x1e${token} locked (.*)(?:\n|$)`, 'g'), (_, line: string) => {
    const [now, run, beat, taken, who, pid, process, wanted] = line.split(' ');
    const span = (from: string | undefined) => Math.max(0, Number(now) - Number(from)) || 0;
    holders.push({ run: run ?? '?', who: who ?? '?', pid: pid ?? '?', since: span(taken), silent: span(beat), process: process ?? '', wanted: wanted?.split(',') ?? [] });
    return '';
  });
  return { holders, rest };
}

/** The lock as one user of one connection holds it. */
interface Place {
  /** When it was last seen to be ours, by our clock. */
  at: number;
  keeper: Promise<Beside | undefined> | undefined;
}

/** What of a run the locks need to know. */
interface Waiting {
  readonly id: string;
  readonly stopping: boolean;
  sleep(seconds: number): Promise<void>;
  readonly options: { lockTimeout: number };
  note(message: string): void;
}

/** The locks of all hosts that a run changes. */
export class HostLocks {
  readonly #places = new Map<Connection, Map<string, Place>>();
  readonly #gone = new Set<string>();
  readonly #claim: Claim;
  /** For each of our waits, the run that holds what we wait for. */
  readonly #wanted = new Map<symbol, string>();
  #beats: NodeJS.Timeout | undefined;
  #over = false;

  constructor(private readonly run: Waiting) {
    this.#claim = { run: run.id, rest: [word(`${userInfo().username}@${hostname()}`), process.pid, processOf('self') ?? 'unknown'].join(' ') };
    underWay.add(run.id);
  }

  /**
   * Makes an effect once the lock is ours. The controller itself has no lock of its own: runs for different hosts share it.
   * @param name of the host, for messages
   * @param carry takes a step to the machine
   * @throws LockedError when the time to wait for another run is over; nothing has been changed then
   */
  async holding<T extends { output: Output }>(machine: Machine, way: Way, name: string, step: Step, carry: (step: Step) => Promise<T>): Promise<T> {
    for (;;) {
      if (this.holds(machine, way)) return carry(step);
      const place = this.#place(way);
      const began = performance.now();
      const token = randomBytes(16).toString('hex');
      const carried = carry({ ...step, script: sh`( ${take(this.#claim, token, this.#gone)}
) || exit
${step.script}` });
      this.#keep(place, way);
      const result = await carried;
      const { holders, rest } = holdersIn(result.output.stdout, token);
      if (holders[0] === undefined) {
        place.at = began;
        return result;
      }
      result.output.stdout = rest;
      await this.#wait(way, name, holders[0]);
    }
  }

  /** Whether the lock need not be asked for again. */
  holds(machine: Machine, way: Way): boolean {
    return machine.isController || performance.now() - this.#place(way).at < BELIEVED * 1000;
  }

  /** Until it is ours. @throws LockedError */
  async #wait(way: Way, name: string, first: Holder): Promise<void> {
    const { run } = this;
    const wait = Symbol();
    const until = performance.now() + run.options.lockTimeout * 1000;
    try {
      for (let holder = first, attempt = 0; ; attempt++) {
        if (isGone(holder)) this.#gone.add(holder.run);
        else {
          const left = until - performance.now();
          if (left <= 0 || run.stopping) throw new LockedError(name, holder);
          // Either would wait to its end for the other. Any order will do that both see alike.
          if (holder.wanted.includes(run.id) && holder.run < run.id) throw new LockedError(name, holder, '; it waits for a host that this run holds, and this run is the later one');
          if (attempt === 0) run.note(`${name}: waiting for the lock, which is held by ${toldOf(holder)}`);
          if (this.#wanted.get(wait) !== holder.run) {
            this.#wanted.set(wait, holder.run);
            this.#beat();
          }
          await run.sleep(Math.min(left / 1000, 1 + attempt / 4, 5));
        }
        const token = randomBytes(16).toString('hex');
        const { holders } = holdersIn((await aside(way, { script: take(this.#claim, token, this.#gone) })).stdout, token);
        if (holders[0] === undefined) return;
        holder = holders[0];
      }
    } finally {
      if (this.#wanted.delete(wait)) this.#beat();
    }
  }

  /** Has all keepers renew their locks. */
  #beat(): void {
    const wanted = [...new Set(this.#wanted.values())].join(',');
    for (const places of this.#places.values()) for (const { keeper } of places.values()) void keeper?.then((open) => open?.tell(wanted));
  }

  #place(way: Way): Place {
    let places = this.#places.get(way.connection);
    if (!places) this.#places.set(way.connection, (places = new Map()));
    const who = way.become ? `${way.become.method} ${way.become.user}` : '';
    let place = places.get(who);
    if (!place) places.set(who, (place = { at: -Infinity, keeper: undefined }));
    return place;
  }

  /** Opens the keeper beside the first effect, so that nobody waits for it. One that cannot be had is no error: the lock then ends by itself. */
  #keep(place: Place, way: Way): void {
    if (place.keeper !== undefined || this.#over) return;
    place.keeper = way.connection.beside(keeping(this.#claim), way.become).catch(() => undefined);
    void place.keeper.then(async (keeper) => {
      await keeper?.ended;
      // It has let go of the lock: the next effect takes it anew, and has another keeper opened.
      if (keeper) place.at = -Infinity;
      place.keeper = undefined;
    });
    this.#beats ??= setInterval(() => this.#beat(), BEAT * 1000).unref();
  }

  /** Gives all locks back: the keepers do it as soon as their connections are closed. */
  async close(): Promise<void> {
    this.#over = true;
    clearInterval(this.#beats);
    const keepers = [...this.#places.values()].flatMap((places) => [...places.values()]).map(({ keeper }) => keeper);
    // One that is not there yet would find nobody who listens.
    const impatience = new Promise<void>((resolve) => setTimeout(resolve, 2000).unref());
    await Promise.race([Promise.all(keepers), impatience]);
    underWay.delete(this.run.id);
  }
}
