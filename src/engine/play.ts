import type { Condition, Entry, Inherited, Play, Task } from '../playbook/types.js';
import { matchHosts } from '../inventory/index.js';
import { ORDERS } from '../playbook/index.js';
import { ContentError } from '../value/errors.js';
import { Source, toPlain, type Dict, type Origin, type Value } from '../value/value.js';
import { evaluate, truthy } from './evaluate.js';
import type { HostRun } from './host.js';
import type { Run } from './run.js';
import { scopeOf } from './scope.js';

/** A play under way: its hosts, its batch, its variables from files. */
export class PlayRun {
  /** Hosts the pattern (and --limit) names, in inventory order; set by `resolve`. */
  members: string[] = [];
  /** Names of the hosts of the present `serial` step. */
  batch: string[] = [];
  /** Contents of vars_files, by host; and whether names of some wait for more facts than those. */
  readonly #varsFiles = new Map<string, { vars: Dict; facts: number; waits: boolean }>();
  /** Everything the play does, in order: facts, pre_tasks, roles, tasks, post_tasks, with handlers flushed between. */
  readonly entries: readonly Entry[];
  /** Handlers added by dynamic includes come behind the static ones. */
  readonly handlers: Task[];
  #includesLater: boolean | undefined;
  /** Set when nothing more of the play may run. */
  over = false;

  constructor(
    readonly run: Run,
    readonly play: Play,
  ) {
    this.handlers = [...play.handlers];
    this.entries = [
      ...(play.gatherFacts === false ? [] : [gatherTask(play)]),
      ...play.sections.flatMap((section, i) => {
        const next = play.sections[i + 1]?.name;
        // Roles and tasks are one stretch: Ansible flushes after pre_tasks, after tasks and after post_tasks.
        return section.name === 'roles' && next === 'tasks' ? section.entries : [...section.entries, flushTask(play)];
      }),
    ];
  }

  /** The tasks that are known before the play runs, handlers included. */
  *tasks(): Generator<Task> {
    function* within(entries: readonly Entry[]): Generator<Task> {
      for (const entry of entries) {
        if (entry.kind === 'task') yield entry;
        else yield* within([...entry.block, ...entry.rescue, ...entry.always]);
      }
    }
    yield* within([...this.entries, ...this.handlers]);
  }

  /** Whether a dynamic include may bring handlers. */
  get includesLater(): boolean {
    this.#includesLater ??= [...this.tasks()].some(({ action }) => action === 'include_tasks' || action === 'include_role');
    return this.#includesLater;
  }

  /** Works out which hosts the play is for. @throws ContentError for a pattern that cannot be read */
  resolve(): string[] {
    const { run, play } = this;
    const { hosts, unmatched } = this.#match();
    for (const { pattern: text, hint } of unmatched) {
      run.emit({ event: 'warning', message: `no host or group matches "${text}"${hint ? `; ${hint}` : ''}`, origin: play.origin });
    }
    this.members = this.#ordered(hosts);
    this.batch = this.members;
    return this.members;
  }

  /** Hosts as `order` wants them, from the inventory's order. @throws ContentError for an order there is none of */
  #ordered(hosts: string[]): string[] {
    const { play, run } = this;
    if (play.order === undefined) return hosts;
    const order = toPlain(evaluate(play.order, scopeOf(run, { play: this, task: undefined, host: 'localhost', includes: [], ahead: false })), true);
    if (order === null || order === 'inventory') return hosts;
    if (order === 'sorted') return hosts.toSorted(byCodePoint);
    if (order === 'reverse_sorted') return hosts.toSorted(byCodePoint).reverse();
    if (order === 'reverse_inventory') return hosts.toReversed();
    if (order === 'shuffle') return hosts.map((host) => ({ host, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ host }) => host);
    throw new ContentError(`there is no order "${String(order)}"`, play.origin, `there are ${ORDERS.join(', ')}`);
  }

  #match() {
    const { run, play } = this;
    const where = { play: this, task: undefined, host: 'localhost', includes: [], ahead: false };
    const value = toPlain(evaluate(play.hosts, scopeOf(run, where)), true);
    const pattern = (Array.isArray(value) ? value : [value]).map(String);
    return matchHosts(pattern, run.inventory, run.options.limit === undefined ? {} : { limit: run.options.limit });
  }

  /** The hosts the play would be for, told ahead of its turn; none where that hangs on what is still to come. */
  peek(): readonly string[] {
    try {
      return this.members.length ? this.members : this.#match().hosts;
    } catch {
      return [];
    }
  }

  /** The play's name as shown, else its pattern. */
  title(): string {
    const { name, hosts } = this.play;
    const shown = (value: Value) => String(toPlain(value, false));
    if (name === undefined) return shown(hosts);
    try {
      return shown(evaluate(name, scopeOf(this.run, { play: this, task: undefined, host: this.members[0] ?? 'localhost', includes: [], ahead: true })));
    } catch {
      return shown(name);
    }
  }

  /** Those of some hosts of the play that are still in it: a failure that a rescue is about to meet takes none out. */
  alive(names: readonly string[]): string[] {
    const isIn = (host: HostRun) => host.running || (host.rescuers > 0 && !host.lost);
    return names.filter((name) => isIn(this.run.admit(name)));
  }

  /** The batches of `serial`: numbers, percentages, or a list of them whose last repeats. */
  batches(): string[][] {
    const { serial } = this.play;
    if (serial === undefined || this.members.length === 0) return [this.members];
    const where = { play: this, task: undefined, host: this.members[0]!, includes: [], ahead: false };
    const value = toPlain(evaluate(serial, scopeOf(this.run, where)), true);
    const sizes = (Array.isArray(value) ? value : [value]).map((size) => batchSize(size, this.members.length, this.play.origin));
    const batches: string[][] = [];
    for (let start = 0; start < this.members.length; ) {
      const size = sizes[Math.min(batches.length, sizes.length - 1)] ?? this.members.length;
      batches.push(this.members.slice(start, start + size));
      start += size;
    }
    return batches;
  }

  /** What vars_files hold for a host: read once, and again where a name had to wait for the host's facts. */
  varsFilesOf(host: string): Dict | undefined {
    const { play, run } = this;
    if (play.varsFiles.length === 0) return undefined;
    const facts = run.variables.facts(host).size;
    const known = this.#varsFiles.get(host);
    if (known && (!known.waits || known.facts === facts)) return known.vars;
    const seeing = (vars: Dict) => {
      this.#varsFiles.set(host, { vars, facts, waits: false });
      return scopeOf(run, { play: this, task: undefined, host, includes: [], ahead: false });
    };
    try {
      const { vars, isWhole } = run.variables.loadVarsFiles(play, seeing, facts === 0);
      if (!isWhole && play.gatherFacts === false) run.remark('vars_files: a file whose name reads something undefined is left out', play.origin);
      this.#varsFiles.set(host, { vars, facts, waits: !isWhole });
      return vars;
    } catch (error) {
      this.#varsFiles.delete(host);
      throw error;
    }
  }
}

/** As Python sorts texts. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** `30%` of 10 hosts is 3, at least 1; 0 and what is beyond all hosts mean all. */
function batchSize(size: unknown, total: number, origin: Origin): number {
  const percent = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(String(size));
  const number = percent ? Math.max(1, Math.floor((total * Number(percent[1])) / 100)) : Number(size);
  if (!Number.isInteger(number) || number < 0)
    throw new ContentError(`serial is "${String(size)}"`, origin, 'write a number of hosts or a percentage such as 30%');
  return number === 0 ? total : number;
}

const NOTHING: Omit<Task, keyof Inherited | 'around' | 'id' | 'origin' | 'name' | 'action' | 'actionAsWritten' | 'args' | 'fileDir' | 'freeForm'> = {
  kind: 'task',
  argOrigins: new Map(),
  loop: undefined,
  loopControl: { loopVar: 'item', indexVar: undefined, label: undefined, pause: undefined, extended: false, allItems: true, breakWhen: [] },
  register: undefined,
  until: [] as Condition[],
  async: undefined,
  poll: undefined,
  retries: undefined,
  delay: undefined,
  changedWhen: undefined,
  failedWhen: undefined,
  listen: [],
  role: undefined,
};

/** A task the engine itself puts into a play. */
export function ownTask(play: Play, action: string, name: string, args: { [key: string]: Value }, freeForm?: string): Task {
  return {
    ...NOTHING,
    ...play.keywords,
    around: play.keywords,
    // What a play's tags and conditions select is its tasks; facts and handlers are always at hand.
    tags: ['always'],
    when: [],
    kind: 'task',
    id: `${play.origin.file}:${play.origin.line}:${play.origin.column}#${name}`,
    origin: play.origin,
    name,
    action,
    actionAsWritten: action,
    args: new Map(Object.entries(args)),
    freeForm,
    fileDir: play.baseDir,
  };
}

function gatherTask(play: Play): Task {
  const task = { ...ownTask(play, 'setup', 'Gathering Facts', {}), args: play.gather };
  const value = play.gatherFacts;
  if (value instanceof Source) task.when = [{ expression: value.text.replace(/^\s*\{\{(.*)\}\}\s*$/s, '$1'), origin: value.origin }];
  else if (value !== undefined) task.when = [{ expression: truthy(value), origin: play.origin }];
  return task;
}

function flushTask(play: Play): Task {
  return ownTask(play, 'meta', 'flush handlers', {}, 'flush_handlers');
}

