import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { keptEvents } from '../journal/index.js';
import type { Block, Entry, Task } from '../playbook/types.js';
import type { TaskResult } from '../report/events.js';
import { MASKED } from '../report/mask.js';
import type { Step } from '../shell/step.js';
import { toValue, type Dict } from '../value/value.js';
import type { Call } from './call.js';
import { isInclude } from './includes.js';
import type { Way } from './machine.js';
import { outcome, type Outcome } from './outcome.js';
import { nameOf } from './task.js';

/** What a command was, so that it is known again: how it went is only of use to the very same one. */
export async function fingerprint(step: Step, way: Way): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([step.script.text, way.become?.user ?? '', Object.entries(way.environment).sort()]));
  for (const [name, upload] of Object.entries(step.uploads ?? {})) {
    hash.update(`\0${name}\0`);
    if ('content' in upload) hash.update(upload.content);
    else await pipeline(createReadStream(upload.path), hash, { end: false });
  }
  return hash.digest('hex');
}

/**
 * What an earlier run did, for one that goes on where each host stopped. What is declared is looked at again, which costs
 * little and finds what no longer holds. A command that ended well is not run again: its result is the one it had then.
 */
export class Resume {
  /** `host NUL task` -> what ended well there and has not been made use of. */
  readonly #done = new Map<string, { command: string; result: TaskResult }[]>();
  /** `host NUL task` of what did not. */
  readonly #bad = new Set<string>();
  /** Host -> its last task. */
  readonly #last = new Map<string, string>();
  /** Commands that were not run. */
  taken = 0;
  readonly #tasks = new Map<Block, ReadonlySet<string> | undefined>();

  /** @param folder of the run @param run its name */
  constructor(
    folder: string,
    readonly run: string,
  ) {
    const commands = new Map<string, string | undefined>();
    const looped = new Set<string>();
    for (const event of keptEvents(folder)) {
      if (event.event !== 'effect' && event.event !== 'resumed' && event.event !== 'item' && event.event !== 'result') continue;
      const key = `${event.host}\0${event.id}`;
      if (event.event === 'effect' || event.event === 'resumed') {
        commands.set(key, event.command);
        continue;
      }
      // The result of a loop is that of its items.
      const whole = event.event === 'result' && looped.delete(key);
      if (event.event === 'item') looped.add(key);
      const command = commands.get(key);
      commands.delete(key);
      const { status } = event.result;
      if (event.event === 'result') this.#last.set(event.host, event.id);
      if (status === 'failed' || status === 'rescued' || status === 'unreachable') this.#bad.add(key);
      if (whole || command === undefined || (status !== 'ok' && status !== 'changed')) continue;
      const done = this.#done.get(key);
      if (done) done.push({ command, result: event.result });
      else this.#done.set(key, [{ command, result: event.result }]);
    }
  }

  /** How the very same command ended well; undefined where it has to be run. */
  take(call: Call, command: string): Outcome | undefined {
    const { task, host, frame, run } = call;
    if (frame.unit === 'handlers' || (frame.unit && !this.#cameToItsEnd(frame.unit, task, host.name))) return undefined;
    const own = `${host.name}\0${task.id}`;
    // What runs once for all may have run on another host, where it reads otherwise.
    const keys = task.runOnce === undefined ? [own] : [...this.#done.keys()].filter((key) => key.endsWith(`\0${task.id}`));
    for (const key of keys) {
      const done = this.#done.get(key) ?? [];
      const at = done.findIndex((one) => key !== own || one.command === command);
      if (at < 0) continue;
      const { result } = done[at]!;
      if (task.register !== undefined && ('censored' in result.data || JSON.stringify(result.data).includes(MASKED))) {
        run.emit({ event: 'warning', message: `what a command of run ${this.run} gave was secret and is not kept: it is run again`, origin: task.origin, host: host.name });
        return undefined;
      }
      done.splice(at, 1);
      this.taken++;
      run.emit({ event: 'resumed', host: host.name, id: task.id, task: nameOf(call), run: this.run, command });
      const data = toValue(result.data) as Dict;
      const made = outcome({}, { resumed: true, message: `ended well in run ${this.run}` });
      // Conditions behind it see what they would have seen then; this run has changed nothing.
      made.data = data;
      return made;
    }
    return undefined;
  }

  /**
   * A block that mends or takes back what it did (rescue, always, confirm) may have done so: unless the host was through
   * it with nothing gone wrong, it is begun anew.
   */
  #cameToItsEnd(block: Block, task: Task, host: string): boolean {
    if (!this.#tasks.has(block)) this.#tasks.set(block, idsIn([block]));
    const ids = this.#tasks.get(block);
    return ids !== undefined && ids.has(task.id) && !ids.has(this.#last.get(host) ?? '') && ![...ids].some((id) => this.#bad.has(`${host}\0${id}`));
  }
}

/** The tasks in blocks; undefined where a dynamic include brings others. */
function idsIn(entries: readonly Entry[]): Set<string> | undefined {
  const ids = new Set<string>();
  for (const entry of entries) {
    if (entry.kind === 'task') {
      if (isInclude(entry)) return undefined;
      ids.add(entry.id);
      continue;
    }
    const inner = idsIn([...entry.block, ...entry.rescue, ...entry.always]);
    if (!inner) return undefined;
    for (const id of inner) ids.add(id);
  }
  return ids;
}
