import { createHmac } from 'node:crypto';
import { ModuleError, type Change } from '../modules/module.js';
import type { Event } from '../report/events.js';
import { mask } from '../report/mask.js';
import type { Reviewed } from './options.js';

/** A change as it was reviewed: shown as far as it is no secret, known by its print. */
export interface SeenChange {
  field: string;
  from?: unknown;
  to?: unknown;
  secret?: true;
  /** HMAC-SHA256 over the whole change, secrets and new text included: nobody guesses them without the key. */
  print: string;
}

/** What a plan told of one task (or item) on one host. */
export interface SeenTask {
  host: string;
  id: string;
  /** Name and place, for messages. */
  task: string;
  item?: number;
  /** What would change; `unknown` where only a run can tell. */
  changes: SeenChange[] | 'unknown';
}

export interface SeenPlan {
  tasks: SeenTask[];
  /** Hosts that came to a task, whatever it was found to be. */
  reached: { [task: string]: string[] };
}

/** Prints of changes under a key. */
export function printer(key: Buffer, salt: string): (change: Change) => string {
  return ({ field, from, to, text }) => {
    const whole = JSON.stringify([salt, field, from ?? null, to ?? null, text?.after ?? null], (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
    return createHmac('sha256', key).update(whole).digest('hex');
  };
}

const placeOf = ({ task }: Reviewed) => `${task.origin.file}:${task.origin.line}:${task.origin.column}`;

/** Takes down a plan while it is made. */
export class Recorder {
  readonly plan: SeenPlan = { tasks: [], reached: {} };
  readonly #items = new Map<string, number>();
  readonly #names = new Map<string, string>();

  constructor(private readonly print: (change: Change) => string) {}

  readonly review = (of: Reviewed, changes: readonly Change[] | undefined): void => {
    const { host, task, index, check } = of;
    // What runs in a plan too (`check_mode: false`) was made already, and will be again.
    const seen = !check || changes === undefined ? 'unknown' : changes.map((change) => this.#seen(change));
    this.#add({ host, id: task.id, task: `${this.#names.get(task.id) ?? task.actionAsWritten} (${placeOf(of)})`, ...(index === undefined ? {} : { item: index }), changes: seen });
  };

  /** Also hears what the run tells: what is not known never comes to a module. */
  event(event: Event): void {
    if (event.event === 'task') this.#names.set(event.id, event.task);
    if (event.event !== 'item' && event.event !== 'result') return;
    const { host, id } = event;
    const key = `${host}\0${id}`;
    const item = this.#items.get(key) ?? 0;
    const task = this.#names.get(id) ?? id;
    if (event.event === 'item') this.#items.set(key, item + 1);
    else {
      this.#items.delete(key);
      (this.plan.reached[id] ??= []).push(host);
    }
    if (event.result.status !== 'unknown') return;
    if (event.event === 'item') this.#add({ host, id, task, item, changes: 'unknown' });
    else this.#add({ host, id, task, changes: 'unknown' });
  }

  #add(seen: SeenTask): void {
    const known = seen.changes === 'unknown' && this.plan.tasks.some(({ host, id, item, changes }) => changes === 'unknown' && host === seen.host && id === seen.id && item === seen.item);
    if (!known) this.plan.tasks.push(seen);
  }

  #seen(change: Change): SeenChange {
    const { field, from, to, secret } = change;
    return secret ? { field, secret, print: this.print(change) } : { field, from: plain(from), to: plain(to), print: this.print(change) };
  }
}

/** As JSON has it, known secrets masked. */
function plain(value: unknown): unknown {
  return mask.data(JSON.parse(JSON.stringify(value ?? null, (_, member: unknown) => (typeof member === 'bigint' ? member.toString() : member))) as unknown);
}

/** Holds a run to a plan. */
export class Reviewer {
  readonly #tasks = new Map<string, SeenTask[]>();
  readonly #reached: Map<string, Set<string>>;
  /** Hosts of which the plan did not know everything: what comes of that was not in the plan. */
  readonly #open: Set<string>;
  readonly #made = new Set<SeenTask>();
  readonly #failed = new Set<string>();

  constructor(
    readonly plan: SeenPlan,
    private readonly print: (change: Change) => string,
  ) {
    for (const task of plan.tasks) {
      const key = `${task.host}\0${task.id}`;
      this.#tasks.set(key, [...(this.#tasks.get(key) ?? []), task]);
    }
    this.#reached = new Map(Object.entries(plan.reached).map(([id, hosts]) => [id, new Set(hosts)]));
    this.#open = new Set(plan.tasks.filter(({ changes }) => changes === 'unknown').map(({ host }) => host));
  }

  /** @throws ModuleError where another effect is about to be made than was reviewed */
  readonly review = (of: Reviewed, changes: readonly Change[] | undefined): void => {
    const { host, task, index, check } = of;
    if (check) return;
    const seen = (this.#tasks.get(`${host}\0${task.id}`) ?? []).filter(({ item }) => item === undefined || item === index);
    if (seen.some((each) => each.changes === 'unknown')) return;
    if (seen.length === 0 && this.#open.has(host) && !this.#reached.get(task.id)?.has(host)) return;
    const prints = changes?.map(this.print);
    const same = seen.find((each) => each.changes !== 'unknown' && prints?.length === each.changes.length && each.changes.every(({ print }, i) => print === prints[i]));
    if (same) return void this.#made.add(same);
    const now = changes === undefined ? `${task.actionAsWritten} would run` : changes.map(shown).join('; ');
    const then = seen.map(({ changes: each }) => (each as SeenChange[]).map(shown).join('; ')).join(' or ') || 'nothing to be done here';
    throw new ModuleError(`not as reviewed, so nothing is done: the plan showed ${then}; now it is ${now === then ? `${now}, but of another content` : now}`);
  };

  event(event: Event): void {
    if (event.event === 'result' && !['ok', 'changed'].includes(event.result.status)) this.#failed.add(event.host);
  }

  /** What was reviewed and found to be so already, by task; of hosts that went through. */
  already(): Map<string, string[]> {
    const left = new Map<string, string[]>();
    for (const task of this.plan.tasks) {
      if (task.changes === 'unknown' || this.#made.has(task) || this.#failed.has(task.host)) continue;
      left.set(task.task, [...new Set([...(left.get(task.task) ?? []), task.host])]);
    }
    return left;
  }
}

function shown({ field, from, to, secret }: { field: string; from?: unknown; to?: unknown; secret?: boolean | undefined }): string {
  if (secret) return `${field} (secret)`;
  const text = (value: unknown) => (value === undefined || value === null ? 'absent' : typeof value === 'string' ? value : JSON.stringify(value));
  return `${field} ${text(from)} → ${text(to)}`;
}
