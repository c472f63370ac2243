import { randomInt } from 'node:crypto';
import { ModuleError, type Output, type Step } from '../modules/module.js';
import { hostPath } from '../modules/words.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import type { Outcome } from './outcome.js';

/**
 * Jobs that a host goes on with by itself (`async`). A job is a shell in a session of its own, started by the effect of a
 * trip: neither the trip's end nor that of the controller is its own. How it stands is told by a file as Ansible has it,
 * ~/.ansible_async/JOB, in JSON; it is renamed into its place, so that it is always whole.
 */

/** A task's `async` and `poll`, in seconds; and what its job needs of the run. */
export interface Async {
  id: string;
  /** After so long the job is ended. */
  limit: number;
  /** How often it is asked for; 0 leaves it to `async_status`. */
  poll: number;
  /** Folder the file is in. */
  folder: string;
  /** Waits, not beyond an interruption. */
  sleep: (seconds: number) => Promise<void>;
  stopping: () => boolean;
  /** Keeps what `async_status` will want to know. */
  started: (job: Started) => void;
}

/** A job of this run. */
export interface Started {
  /** Makes the result of what it left. @throws ModuleError where it failed */
  judge: (output: Output) => Outcome;
  /** False where there was nothing to do: no host knows of it. */
  begun: boolean;
}

/** What the file of a job says. */
export interface JobState {
  finished: boolean;
  /** Why it was ended before its end. */
  msg?: string;
  module?: string;
  /** What the job left, where it came to its end. */
  output?: Output;
}

export const ASYNC_FOLDER = '~/.ansible_async';

/** A name like Ansible's: a random number, and another in the place of a process id. */
export function newJobId(): string {
  return `j${randomInt(1e11, 1e12)}.${randomInt(1e3, 1e4)}`;
}

/** Bytes kept of what a job prints to each stream. */
const KEPT = 8 * 1024 * 1024;

/** JSON text of a file: bytes above ASCII stay as they are. */
const TEXT = raw(`text() {
  printf '"'
  head -c ${KEPT} "$1" | od -An -v -tu1 | LC_ALL=C awk '{ for (i = 1; i <= NF; i++) {
    c = $i + 0
    if (c == 34 || c == 92) printf "\\\\%c", c
    else if (c == 10) printf "\\\\n"
    else if (c < 32) printf "\\\\u%04x", c
    else printf "%c", c
  } }'
  printf '"'
}`);

/** The step that starts another as a job; it prints the path of the job's file. */
export function launching({ id, limit, folder }: Async, module: string, step: Step): Step {
  const uploads = Object.keys(step.uploads ?? {});
  const head = JSON.stringify({ started: true, finished: true, ansible_job_id: id, module }).slice(0, -1);
  const late = JSON.stringify({ started: true, finished: true, ansible_job_id: id, module, failed: true, msg: 'Timeout exceeded' });
  // The session's leader hears TERM and goes on; its children end by it. What does not is killed, leader and all.
  const job = sh`u=$1 j=$2
umask 077
${TEXT}
late=
trap late=1 TERM
trap '' HUP
( trap 'kill -s KILL $!; exit' TERM; sleep ${Math.min(limit, step.timeout ?? Infinity)} & wait $!; trap '' TERM
  { kill -s TERM -- -$$ || kill -s TERM $$; } 2>/dev/null
  sleep 5
  [ -e "$j.out" ] || exit
  printf %s ${late} >"$j.new" && mv -f "$j.new" "$j"
  rm -rf -- "$j.out" "$j.err" "$j.files"
  kill -s KILL -- -$$ ) &
w=$!
( umask "$u"
${join(uploads.map((name) => sh`${raw(name)}=$j.files/${name}`))}
${step.script}
) >"$j.out" 2>"$j.err"
rc=$?
[ "$late" ] || kill $w
if [ "$late" ]; then printf %s ${late}
else printf '%s,"rc":%s,"stdout":' ${head} "$rc"; text "$j.out"; printf ',"stderr":'; text "$j.err"; printf '}'
fi >"$j.new" && mv -f "$j.new" "$j"
rm -rf -- "$j.out" "$j.err" "$j.files"`;
  const going = JSON.stringify({ started: true, finished: false, ansible_job_id: id, module });
  const script = sh`u=$(umask)
umask 077
d=${hostPath(folder)}
mkdir -p "$d" && d=$(cd "$d" && pwd) || exit
j=$d/${id}
${join(uploads.length === 0 ? [] : [sh`mkdir "$j.files" || exit`, ...uploads.map((name) => sh`mv -- "$${raw(name)}" "$j.files/"${name} || exit`)])}
printf %s ${going} >"$j.new" && : >"$j.out" && mv -f "$j.new" "$j" || exit
s=setsid; command -v setsid >/dev/null || s=
{ printf %s ${job.text} | $s /bin/sh /proc/self/fd/3 "$u" "$j" 3<&0 0</dev/null; } >/dev/null 2>&1 &
printf '%s\n' "$j"`;
  return { script, ...(step.uploads ? { uploads: step.uploads } : {}) };
}

/** Reads a job's file, which stands behind its path; asked anew each time. */
export function looking(folder: string, id: string): Sh {
  return sh`d=${hostPath(folder)}
[ -e "$d/"${id} ] || exit 0
printf '%s\n' "$(cd "$d" && pwd)/"${id}
cat "$d/"${id}
: ${randomInt(1e9)}`;
}

/** @returns undefined where there is no such job @throws ModuleError for a file that cannot be read */
export function stateOf({ rc, stdout, stderr }: Output): { path: string; state: JobState } | undefined {
  if (rc !== 0) throw new ModuleError('cannot look at the job', { rc, stderr });
  if (stdout === '') return undefined;
  const end = stdout.indexOf('\n');
  return { path: stdout.slice(0, end), state: parsed(stdout.slice(end + 1)) };
}

function parsed(text: string): JobState {
  let data: { [key: string]: unknown };
  try {
    data = JSON.parse(text) as { [key: string]: unknown };
  } catch {
    throw new ModuleError(`Could not parse job output: ${text}`, { started: true, finished: true });
  }
  const { finished, msg, module, rc, stdout, stderr } = data;
  return {
    // A file without the word is what Ansible's own jobs leave.
    finished: finished === undefined || Boolean(finished),
    ...(typeof msg === 'string' ? { msg } : {}),
    ...(typeof module === 'string' ? { module } : {}),
    ...(typeof rc === 'number' ? { output: { rc, stdout: String(stdout ?? ''), stderr: String(stderr ?? '') } } : {}),
  };
}

/** Takes the file of a job away, and what else there is of it. */
export function erasing(folder: string, id: string): Sh {
  return sh`d=${hostPath(folder)}; rm -rf -- "$d/"${id} "$d/"${id}.new`;
}
