import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { connect, type Target } from '../connection/index.js';
import { Journal, prune, thisProcess, UndoStore } from '../journal/index.js';
import { addHost, loadInventory, matchHosts, replaceInventory, useReading, type Inventory } from '../inventory/index.js';
import { checkProject, loadPlaybook, warning, type LoadContext, type Problem } from '../playbook/index.js';
import type { Play, Task } from '../playbook/types.js';
import { mask } from '../report/mask.js';
import type { Event, HostStats } from '../report/events.js';
import { Variables } from '../variables/index.js';
import { ContentError } from '../value/errors.js';
import { toPlain, type Dict, type Origin } from '../value/value.js';
import { keyring } from '../vault/index.js';
import { prefetch } from './ahead.js';
import type { Started } from './async.js';
import { evaluate, truthy } from './evaluate.js';
import { FactCache } from './fact-cache.js';
import { Foresight } from './foreseen.js';
import { flush } from './handlers.js';
import { HostLocks } from './host-lock.js';
import { HostRun } from './host.js';
import { Machines } from './machine.js';
import type { RunOptions, RunSummary } from './options.js';
import { Pending } from './pending.js';
import { PlayRun } from './play.js';
import { askPrompts } from './prompts.js';
import { Resume } from './resume.js';
import { scopeOf } from './scope.js';
import { Semaphore } from './semaphore.js';
import type { Frame } from './call.js';
import { walk } from './walk.js';

/** From so many hosts on, memory is worth more than the processor that collecting what is no longer used takes. */
const FLEET = 200;
/** Percent of what lives that may lie uncollected beside it; by itself V8 lets it grow to three times as much. */
const UNCOLLECTED = 75;

/** A run under way: what all plays share. */
export class Run {
  readonly hosts = new Map<string, HostRun>();
  readonly factCache: FactCache;
  readonly machines: Machines;
  /** `--start-at-task`, until its task is met. */
  startAt: string | undefined;
  /** Whether the tags let any task run. */
  anySelected = false;
  /** Where the tasks in progress were delegated to, as far as they went there: by task id and host. */
  readonly delegates = new Map<string, Target>();
  readonly times: { task: string; host: string; seconds: number }[] = [];
  readonly load: LoadContext;
  readonly id = newId();
  plays: PlayRun[] = [];
  /** The locks of hosts; a plan takes none, nor does what stands in no playbook (`exec` is for looking while a run is under way). */
  readonly locks: HostLocks | undefined;
  /** Jobs that hosts go on with by themselves: those of this run. */
  readonly jobs = new Map<string, Started>();
  /** What `set_stats` keeps, by host or `_run`. */
  readonly customStats = new Map<string, Dict>();
  readonly pending = new Pending(this);
  /** What an earlier run did that this one goes on with. */
  readonly resume: Resume | undefined;
  /** A host was held by another run. */
  lockedOut = false;
  readonly foresight = new Foresight();
  /** Counts what makes nothing worth that was worked out ahead: hosts and groups come or go, connections are made anew. */
  upheavals = 0;
  /** Confirmed blocks begun on machines: their names on the hosts are counted. */
  confirmations = 0;
  /** What `add_host` and `group_by` put into the inventory, to be put there again when it is read anew. */
  readonly #additions: ((inventory: Inventory) => void)[] = [];
  readonly #remarks = new Set<string>();
  readonly #loaded = new Map<string, Promise<any>>();
  readonly #throttles = new Map<string, Semaphore>();
  readonly #journal: Journal | undefined;
  /** Where what leads back from effects is kept; undefined where no journal is. */
  readonly undo: UndoStore | undefined;
  /** How many effects were announced: each has its number. */
  effects = 0;

  constructor(
    readonly options: RunOptions,
    readonly inventory: Inventory,
    readonly variables: Variables,
  ) {
    this.machines = new Machines(new Semaphore(options.forks), options.connect ?? connect);
    this.factCache = new FactCache(options.factsDir, options.factCaching);
    this.startAt = options.startAtTask;
    this.load = { projectDir: options.projectDir, rolesPath: options.rolesPath, extraVars: options.extraVars, playDefaults: options.playDefaults, problems: [] };
    this.#journal = options.journalDir === undefined ? undefined : new Journal(options.journalDir, this.id);
    this.undo = this.#journal && new UndoStore(this.#journal.path);
    for (const name of inventory.hosts.keys()) {
      if (options.flushCache) this.factCache.forget(name);
      this.admit(name);
    }
    this.resume = options.resume && new Resume(options.resume.folder, options.resume.run);
    if (!options.check && options.verb !== 'exec' && options.verb !== 'facts') this.locks = new HostLocks(this);
  }

  note(message: string): void {
    this.emit({ event: 'note', message });
  }

  /** A host may appear during the run (`add_host`). */
  admit(name: string): HostRun {
    let host = this.hosts.get(name);
    if (!host) {
      this.hosts.set(name, (host = new HostRun(name)));
      const known = this.factCache.known(name);
      if (known) {
        this.variables.setFacts(name, known.facts);
        this.variables.setFacts(name, known.set, true);
      }
    }
    return host;
  }

  /** The one way out for everything that is told: masked, journalled, shown. */
  readonly emit = (event: Event): void => {
    const clean = mask.event(event);
    this.#journal?.write(clean);
    this.options.emit(clean);
  };

  /** Nothing new may begin. */
  get stopping(): boolean {
    return this.options.stop.aborted;
  }

  /** Waits, but not beyond an interruption. @param seconds may be a fraction */
  async sleep(seconds: number): Promise<void> {
    if (!(seconds > 0) || this.stopping) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.options.stop.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      this.options.stop.addEventListener('abort', done);
    });
  }

  tell(problems: readonly Problem[]): void {
    for (const { message, hint, origin } of problems) {
      this.emit({ event: 'warning', message: hint === undefined ? message : `${message}; ${hint}`, ...(origin ? { origin } : {}) });
    }
  }

  /** What is said of a place of the project while it runs, once however many hosts and items come by. */
  readonly remark = (message: string, origin: Origin): void => {
    const key = `${origin.file}:${origin.line}:${origin.column} ${message}`;
    if (this.#remarks.has(key)) return;
    this.#remarks.add(key);
    this.emit({ event: 'warning', message, origin });
  };

  /** What a dynamic include loads, once. */
  loaded<T>(key: string, load: () => Promise<T>): Promise<T> {
    let promise = this.#loaded.get(key);
    if (!promise) {
      promise = load().finally(() => this.tell(this.load.problems.splice(0)));
      this.#loaded.set(key, promise);
    }
    return promise;
  }

  /** How many hosts may be in a task at once. */
  throttle(task: Task, limit: () => number): { run<T>(work: () => Promise<T>): Promise<T> } {
    if (task.throttle === undefined) return { run: (work) => work() };
    let semaphore = this.#throttles.get(task.id);
    if (!semaphore) this.#throttles.set(task.id, (semaphore = new Semaphore(Math.max(1, limit()))));
    return semaphore;
  }

  isHandler(task: Task): boolean {
    return this.plays.some((play) => play.handlers.includes(task));
  }

  /** The plays behind a play that a host is in, as far as their patterns can be read already. */
  *playsAfter(play: PlayRun, host: string): Generator<PlayRun> {
    for (const next of this.plays.slice(this.plays.indexOf(play) + 1)) {
      if (next.peek().includes(host)) yield next;
    }
  }

  /** Adds hosts or groups for the rest of the run. */
  addToInventory(addition: (inventory: Inventory) => void): void {
    addition(this.inventory);
    this.upheavals++;
    this.#additions.push(addition);
  }

  async refreshInventory(): Promise<void> {
    useReading({ isFresh: true });
    replaceInventory(this.inventory, await loadInventory(this.options.inventory));
    this.upheavals++;
    for (const addition of this.#additions) addition(this.inventory);
    for (const name of this.inventory.hosts.keys()) this.admit(name);
  }

  closeJournal(): void {
    this.#journal?.close();
    this.undo?.close();
    const { journalDir, journalKeep } = this.options;
    if (journalDir !== undefined && journalKeep) prune(journalDir, journalKeep);
  }
}

/** `20261126T070000Z-123` and six random hex digits: by the name, runs are in the order they began, to the millisecond. */
function newId(): string {
  const [date, milliseconds] = new Date().toISOString().replace(/[-:Z]/g, '').split('.');
  return `${date}Z-${milliseconds}${randomBytes(3).toString('hex')}`;
}

/**
 * Runs playbooks as told.
 * @throws ContentError (one, or several in an AggregateError) for what is wrong before any host is touched
 */
export async function run(options: RunOptions): Promise<RunSummary> {
  const began = performance.now();
  const inventory = options.inventoryRead ?? (await loadInventory(options.inventory));
  const brought = (into: Inventory): void => options.hosts?.forEach(({ name, groups, vars }) => addHost(into, name, [...groups], vars));
  brought(inventory);
  const misspelt = options.limit === undefined ? [] : matchHosts('all', inventory, { limit: options.limit }).limitUnmatched;
  for (const { pattern, hint } of misspelt) throw new ContentError(`the limit "${pattern}" matches no host or group`, undefined, hint);
  const variables = new Variables(inventory, { extraVars: options.extraVars });
  const plays: Play[] = [...(options.plays ?? [])];
  const context: LoadContext = { projectDir: options.projectDir, rolesPath: options.rolesPath, extraVars: options.extraVars, playDefaults: options.playDefaults, problems: [] };
  const problems = options.playbooks.length ? await checkProject(options.playbooks, context, inventory.sources.map(folderOf)) : [];
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length) throw new AggregateError(errors.map(({ message, origin, hint }) => new ContentError(message, origin, hint)), errors[0]!.message);
  for (const file of options.playbooks) plays.push(...(await loadPlaybook(file, context)).plays);
  for (const play of plays) await variables.addPlaybookDir(play.baseDir);
  await variables.load();

  const run = new Run(options, inventory, variables);
  if (options.hosts) run.addToInventory(brought);
  run.plays = plays.map((play) => new PlayRun(run, play));
  const kill = () => void run.machines.cancel();
  options.kill.addEventListener('abort', kill);
  const { verb, playbooks, limit, tags, skipTags, check } = options;
  run.emit({ event: 'run', verb, playbooks, inventory: options.inventory, limit, tags, skipTags, check, run: run.id, by: whoRuns(), process: thisProcess() });
  if (run.resume) run.note(`going on with run ${run.resume.run}`);
  run.tell([...problems, ...keyring.takeLocked().map(({ message, origin, hint }) => warning(`${message}; a task that reads it fails`, origin, hint))]);
  try {
    await askPrompts(run);
    for (const play of run.plays) {
      if (run.stopping) break;
      if (options.apart) for (const host of run.hosts.values()) host.failed = undefined;
      if (!(await runPlay(run, play)) && !options.apart) break;
    }
  } finally {
    options.kill.removeEventListener('abort', kill);
    await run.pending.close();
    await run.locks?.close();
    await Promise.all([run.machines.close(), run.factCache.kept()]);
  }
  run.tell(nothingMet(run));
  if (run.resume?.taken) run.note(`not run again, since they ended well in run ${run.resume.run}: ${run.resume.taken} command${run.resume.taken === 1 ? '' : 's'} (-v shows which)`);
  return conclude(run, began);
}

function whoRuns(): string {
  const username = userName();
  const { SUDO_USER: person } = process.env;
  return `${person && person !== username ? `${person} (as ${username})` : username}@${hostname()}`;
}

/** The user, or its number where it has no name (in a container, say). */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

/** A flag that named nothing in these playbooks left the hosts as they were: most likely it is misspelt. */
function nothingMet(run: Run): Problem[] {
  const { tags, startAtTask } = run.options;
  if (run.stopping || !run.plays.some((play) => play.members.length > 0) || [...run.hosts.values()].some((host) => host.failed || host.lost)) return [];
  if (tags.length > 0 && !run.anySelected) return [warning(`no task has the tag "${tags.join('" or "')}"`, undefined, '--list-tags shows those there are')];
  if (run.startAt !== undefined) return [warning(`no task is called "${startAtTask}", so none was run`, undefined, '--list-tasks shows their names')];
  return [];
}

/** The folder an inventory source is, or stands in: group_vars/ and host_vars/ are there. */
function folderOf(source: string): string {
  return existsSync(source) && statSync(source).isDirectory() ? source : path.dirname(source);
}

/** One play, batch by batch. False when no further play may run. */
async function runPlay(run: Run, play: PlayRun): Promise<boolean> {
  const members = play.resolve();
  const { origin } = play.play;
  run.emit({ event: 'play', play: play.title(), hosts: members, origin });
  if (members.length === 0) {
    run.emit({ event: 'note', message: 'no host matched' });
    return true;
  }
  for (const host of members) run.admit(host);
  if (members.length > FLEET) setFlagsFromString(`--heap-growing-percent=${UNCOLLECTED}`);
  void lookBeforehand(run, play);
  for (const batch of play.batches()) {
    if (run.stopping || play.over) break;
    play.batch = batch;
    const hosts = batch.map((host) => run.hosts.get(host)!).filter((host) => !host.failed && !host.lost);
    for (const host of hosts) {
      host.ended = false;
      host.notified.clear();
      host.rolesDone.clear();
    }
    if (hosts.length === 0) continue;
    for (const host of hosts) play.varsFilesOf(host.name);
    const frame = (): Frame => ({ entries: play.entries, index: 0, play, includes: [], parent: undefined });
    if (play.play.strategy === 'linear') await walk(run, frame(), hosts);
    else {
      const lanes = new Semaphore(play.play.strategy === 'host_pinned' ? run.options.forks : Infinity);
      await Promise.all(hosts.map((host) => lanes.run(() => walk(run, frame(), [host]))));
    }
    await forced(run, frame(), hosts);
    if (!run.stopping) run.pending.forgotten(play, hosts);
    for (const host of hosts) host.ended = false;
    if (hosts.every((host) => host.failed || host.lost)) return false;
  }
  return true;
}

/** While a play is busy with its hosts, the hosts of the next plays are looked at already. What fails there is told when their turn comes. */
async function lookBeforehand(run: Run, play: PlayRun): Promise<void> {
  const busy = new Set(play.members);
  const looks: Promise<void>[] = [];
  for (const next of run.plays.slice(run.plays.indexOf(play) + 1)) {
    for (const name of next.peek()) {
      if (busy.has(name)) continue;
      busy.add(name);
      looks.push(prefetch(run, run.admit(name), { entries: next.entries, index: -1, play: next, includes: [], parent: undefined }));
    }
  }
  await Promise.allSettled(looks);
}

/** `force_handlers`, of the play or for all: hosts that failed still run what they notified. */
async function forced(run: Run, frame: Frame, hosts: readonly HostRun[]): Promise<void> {
  const { forceHandlers } = frame.play.play;
  const wanted = forceHandlers === undefined ? run.options.forceHandlers : truthy(evaluate(forceHandlers, scopeOf(run, { play: frame.play, task: undefined, host: 'localhost', includes: [], ahead: false })));
  if (!wanted) return;
  const broken = hosts.filter((host) => host.failed && !host.lost && host.notified.size > 0);
  const failures = broken.map((host) => host.failed);
  for (const host of broken) host.failed = undefined;
  await flush(run, frame, broken);
  broken.forEach((host, i) => (host.failed ??= failures[i]));
}

function conclude(run: Run, began: number): RunSummary {
  const seconds = (performance.now() - began) / 1000;
  const recaps = new Map([...run.hosts].filter(([, host]) => Object.values(host.recap).some((count) => count > 0)).map(([name, host]) => [name, host.recap]));
  if (!run.stopping) for (const event of run.options.closing?.() ?? []) run.emit(event);
  const cpu = process.cpuUsage();
  run.emit({ event: 'stats', hosts: statsOf(run), slowest: [...run.times].sort((a, b) => b.seconds - a.seconds).slice(0, 10), seconds, cpu: (cpu.user + cpu.system) / 1e6, memory: process.resourceUsage().maxRSS * 1024 });
  const any = (test: (host: HostRun) => boolean) => [...run.hosts.values()].some(test);
  let exitCode = 0;
  if (run.stopping) exitCode = 130;
  else if (run.lockedOut) exitCode = 5;
  else if (any((host) => host.recap.failed > 0)) exitCode = 3;
  else if (any((host) => host.recap.unreachable > 0)) exitCode = 4;
  else if (run.options.check && (run.pending.found || any((host) => host.recap.changed > 0))) exitCode = 2;
  const custom = Object.fromEntries([...run.customStats].map(([whose, stats]) => [whose, toPlain(stats, false) as { [name: string]: unknown }]));
  run.emit({ event: 'recap', hosts: Object.fromEntries(recaps), ...(run.customStats.size > 0 ? { custom } : {}), seconds, exitCode });
  run.closeJournal();
  return { hosts: recaps, exitCode };
}

function statsOf(run: Run): { [host: string]: HostStats } {
  const stats: { [host: string]: HostStats } = {};
  for (const { target, connection } of run.machines.all()) {
    const { counters } = connection;
    const sum = (stats[target.name] ??= { connections: 0, trips: 0, roundTrips: 0, conversations: 0, bytesOut: 0, bytesIn: 0, connecting: 0, waiting: 0, remote: 0, muster: 0 });
    sum.connections++;
    sum.trips += counters.trips;
    sum.roundTrips += counters.roundTrips;
    sum.conversations += counters.conversations;
    sum.bytesOut += counters.bytesOut;
    sum.bytesIn += counters.bytesIn;
    sum.connecting += counters.connecting / 1000;
    sum.waiting += counters.waiting / 1000;
    sum.remote += counters.remote / 1000;
  }
  for (const { host, seconds } of run.times) if (stats[host]) stats[host].muster += seconds;
  for (const of of Object.values(stats)) of.muster = Math.max(0, of.muster - of.connecting - of.waiting);
  return stats;
}

