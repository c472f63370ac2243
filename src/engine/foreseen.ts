import type { Output } from '../shell/step.js';
import type { Module } from '../modules/module.js';
import type { Dict } from '../value/value.js';
import { Reads } from '../variables/index.js';
import type { Task } from '../playbook/types.js';
import { scopeFor, type Call } from './call.js';
import type { HostRun } from './host.js';
import type { Evaluated } from './job.js';
import type { AheadQuestion } from './machine.js';
import type { PlayRun } from './play.js';
import { AHEAD, type Speculated } from './scope.js';

/** What looking ahead worked out of a call, for when it looks again and for the call's turn. */
export interface Foreseen {
  readonly play: PlayRun;
  readonly upheavals: number;
  /** What it hangs on. */
  readonly reads: Reads;
  readonly itemReads: Reads | undefined;
  /** What arguments and keywords come to. */
  evaluated?: Evaluated;
  /** What the call would ask its machine; undefined where that is nothing, or cannot be told. */
  question?: AheadQuestion;
  /** What makes of an answer what the call leaves to those behind it, where it leaves anything. */
  asks?: { module: Module; prepared: unknown };
  /** The last answer, and what it leaves. */
  answer?: Output;
  leaves?: Leaves | undefined;
}

/** What those behind a call see of it: variables, and facts by their names without `ansible_`. */
export interface Leaves {
  variables?: Dict;
  facts?: Dict;
}

/** How much may be kept for all hosts of a run: some kilobytes each. */
const MOST_KEPT = 1000;

/** What was worked out ahead of tasks that are still to come. */
export class Foresight {
  readonly #hosts = new Map<HostRun, Map<Task, Foreseen[]>>();
  #kept = 0;

  keep({ host, task, index }: Call, foreseen: Foreseen): void {
    let tasks = this.#hosts.get(host);
    if (!tasks) this.#hosts.set(host, (tasks = new Map()));
    let items = tasks.get(task);
    if (!items) tasks.set(task, (items = []));
    if (items[index] === undefined && this.#kept++ >= MOST_KEPT) return void this.#kept--;
    items[index] = foreseen;
  }

  /** A task is through on a host: nothing that was worked out for it is needed any more. */
  drop({ host, task }: Call): void {
    const tasks = this.#hosts.get(host);
    tasks?.get(task)?.forEach(() => this.#kept--);
    tasks?.delete(task);
  }

  /**
   * What was worked out of a call, if nothing that it read has changed.
   * @param ahead as which it is looked at now: again ahead of its turn, with these values taken to be so, or in earnest
   */
  of(call: Call, ahead?: Speculated): Foreseen | undefined {
    const { run, host, task, index, frame } = call;
    const found = this.#hosts.get(host)?.get(task)?.[index];
    if (!found || found.play !== frame.play || found.upheavals !== run.upheavals) return undefined;
    return holds(found.reads, call, ahead) && (!found.itemReads || holds(found.itemReads, { ...call, loop: undefined }, ahead && AHEAD)) ? found : undefined;
  }
}

/** Begins to note what a call hangs on. */
export function foreseeing({ run, frame, itemReads }: Call): Foreseen {
  return { play: frame.play, upheavals: run.upheavals, reads: new Reads(), itemReads };
}

function holds(reads: Reads, call: Call, ahead: Speculated | undefined): boolean {
  if (!ahead && reads.onlyAhead) return false;
  const own = scopeFor(call, { ahead });
  return reads.hold((view) => (view === call.host.name ? own : own.viewed(view) ?? scopeFor(call, { ahead, host: view })));
}
