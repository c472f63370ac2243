import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Inspection } from '../connection/connection.js';
import type { Task } from '../playbook/types.js';
import type { Output, Step } from '../shell/step.js';
import { join, sh } from '../shell/sh.js';
import { toPlain } from '../value/value.js';
import { aheadOf } from './ahead.js';
import { callOf, type Call, type Frame } from './call.js';
import { willNotify } from './conclude.js';
import type { HostRun } from './host.js';
import { wayOf } from './job.js';
import { aside, type AheadQuestion, type Machine, type Way } from './machine.js';
import { dropped, FOLDER, looking, marks, marksIn, PLACE, type Mark } from './marks.js';
import { ownTask, type PlayRun } from './play.js';
import type { Run } from './run.js';

/** A mark as this run knows it. */
interface Kept {
  readonly play: PlayRun;
  readonly handler: string;
  /** Below the folders. */
  readonly file: string;
  readonly line: string;
  /** Its handler has still to run. */
  wanted: boolean;
  /** It is on the host. */
  there: boolean;
  /** The task that made it, until its result is known. */
  by: Task | undefined;
  /** How the host is reached for it. */
  way: Way | undefined;
}

/** What a host still has from earlier runs, of one play. */
interface Left {
  /** Undefined until it was asked. */
  marks: { mark: Mark; file: string; way: Way }[] | undefined;
  /** Tasks that the host is past in this run, as marks name them. */
  readonly past: Set<string>;
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/**
 * Notifications outlive their run: before a task that notifies changes anything, its host is given a mark in the same
 * trip, and the mark is taken away when the handler has run. A run that finds marks of an earlier one notifies their
 * handlers again. How a mark lies on its host: `marks.ts`.
 */
export class Pending {
  readonly #kept = new Map<HostRun, Kept[]>();
  readonly #left = new Map<PlayRun, Map<HostRun, Left>>();
  /** Handlers under way: for each notification of a host those that have still to run. */
  readonly #owed = new Map<HostRun, { handler: string; play: PlayRun; tasks: Set<Task> }[]>();
  /** The handler a host is in. */
  readonly #handling = new Map<HostRun, Task>();
  readonly #playbooks = new Map<PlayRun, string>();
  readonly #users = new Map<PlayRun, Task[]>();
  readonly #unkept = new Set<HostRun>();
  /** Whether an earlier run left a handler that has to run. */
  found = false;

  constructor(private readonly run: Run) {}

  /** Whether marks are made: not in a plan, nor for what stands in no playbook. */
  get #marks(): boolean {
    return !this.run.options.check && this.run.options.playbooks.length > 0;
  }

  /**
   * Makes an effect behind the marks of what it notifies; takes those away that are no longer wanted, and, if it succeeds,
   * those of the handler it is all of.
   * @param ends whether the step is the whole effect
   */
  async marking<T extends { output: Output }>(call: Call, machine: Machine, way: Way, step: Step, carry: (step: Step) => Promise<T>, ends = true): Promise<T> {
    if (!this.#marks) return carry(step);
    const { host, task, frame } = call;
    this.#harvest(frame.play, host);
    const names = willNotify(call);
    if (names.length === 0 && !this.#kept.has(host)) return carry(step);
    const home = task.delegateTo === undefined ? { machine, way } : this.#homeOf(call);
    if (!home) return carry(step);
    const made: Kept[] = [];
    for (const handler of names) {
      const kept = this.#keep(host, frame.play, handler, task);
      kept.way ??= home.way;
      if (kept.wanted) continue;
      [kept.wanted, kept.by] = [true, task];
      if (!kept.there) made.push(kept);
    }
    const { puts, drops } = this.#due(host, home.way);
    const ending = ends && this.#isWhole(task, host) ? this.#ending(host, task).filter((kept) => kept.there && isFor(kept, way)) : [];
    if (puts.length + drops.length + ending.length === 0) return carry(step);
    if (home.machine !== machine) {
      await this.#trip(host, home.way, puts, drops);
      return carry(step);
    }
    const token = randomBytes(16).toString('hex');
    const script = sh`( ${marks(token, puts, drops)}
)
(
${step.script}
)
muster_rc=$?
( ${PLACE}
if [ $muster_rc = 0 ]; then ${dropped(ending)}
else ${join([sh`:`, ...made.map(({ file, line }) => sh`same ${file} ${line}`)], '; ')}; fi )
exit $muster_rc`;
    const result = await carry({ ...step, script });
    this.#took(host, result.output, token, puts, drops);
    if (result.output.rc === 0) for (const kept of ending) kept.there = false;
    // Where it was ended from outside nothing was taken back.
    else if (result.output.rc !== 124 && result.output.rc < 128) for (const kept of made) kept.there = false;
    return result;
  }

  /** What became of a task's notifications. @param notified those it really made */
  settle(call: Call, sharers: readonly HostRun[], notified: readonly string[]): void {
    this.#harvest(call.frame.play, call.host);
    if (call.task.notify.length > 0) for (const host of sharers) this.#leftOf(call.frame.play, host).past.add(named(call.task));
    if (!this.#marks) return;
    for (const host of sharers) {
      for (const handler of notified) {
        const kept = this.#keep(host, call.frame.play, handler, call.task);
        kept.wanted = true;
        if (kept.by === call.task) kept.by = undefined;
      }
    }
    for (const kept of this.#kept.get(call.host) ?? []) if (kept.by === call.task) [kept.by, kept.wanted] = [undefined, false];
  }

  /** A notification has come to nothing, or to its end: nobody need remember it. */
  over(host: HostRun, play: PlayRun, handler: string): void {
    for (const kept of this.#kept.get(host) ?? []) if (kept.play === play && kept.handler === handler) kept.wanted = false;
  }

  /** The handlers a notification is about to be answered by. */
  owe(host: HostRun, play: PlayRun, handler: string, tasks: readonly Task[]): void {
    if (tasks.length === 0) return this.over(host, play, handler);
    let all = this.#owed.get(host);
    if (!all) this.#owed.set(host, (all = []));
    const known = all.find((one) => one.play === play && one.handler === handler);
    if (known) for (const task of tasks) known.tasks.add(task);
    else all.push({ handler, play, tasks: new Set(tasks) });
  }

  begin(hosts: readonly HostRun[], handler: Task): void {
    for (const host of hosts) this.#handling.set(host, handler);
  }

  /** The handler is through: notifications that called nothing else are answered where it went well. */
  end(hosts: readonly HostRun[], handler: Task): void {
    for (const host of hosts) {
      this.#handling.delete(host);
      const owed = this.#owed.get(host) ?? [];
      for (const one of owed) {
        if (!one.tasks.has(handler) || !host.running || this.run.stopping) continue;
        one.tasks.delete(handler);
        if (one.tasks.size === 0) this.over(host, one.play, one.handler);
      }
      this.#owed.set(host, owed.filter(({ tasks }) => tasks.size > 0));
    }
  }

  /** The questions for what earlier runs left on a host, for the first trip to take along. */
  questions(play: PlayRun, host: HostRun): AheadQuestion[] {
    if (this.#leftOf(play, host).marks !== undefined) return [];
    try {
      return this.#asked(play, host).filter(({ machine, way, inspection }) => !machine.known(way, inspection));
    } catch {
      return [];
    }
  }

  /**
   * Notifies the handlers that earlier runs left, once the tasks that notified them are past: what they are to load may have
   * been mended since.
   * @param exists whether the play has a handler of that name
   */
  async recall(frame: Frame, hosts: readonly HostRun[], exists: (name: string, host: HostRun) => boolean): Promise<void> {
    const { run } = this;
    const { play } = frame;
    const isLast = frame.parent === undefined && frame.index === frame.entries.length - 1;
    await Promise.all(
      hosts.map(async (host) => {
        const left = this.#leftOf(play, host);
        try {
          this.#harvest(play, host);
          if (left.marks === undefined && isLast) {
            const ahead = aheadOf(callOf(run, frame, frame.entries[frame.index] as Task, host));
            for (const { machine, way, inspection } of this.#asked(play, host)) await machine.ask(way, inspection, ahead);
            this.#harvest(play, host);
          }
        } catch (error) {
          run.emit({ event: 'warning', message: `whether handlers of an earlier run are pending could not be asked: ${(error as Error).message}`, host: host.name });
        }
        left.marks = left.marks?.filter(({ mark, file, way }) => {
          if (!(isLast || left.past.has(mark.by)) || !exists(mark.handler, host)) return true;
          const kept = this.#keep(host, play, mark.handler, mark.by, file);
          if (!kept.there) {
            [kept.there, kept.wanted, kept.way] = [true, true, way];
            run.emit({ event: 'pending', host: host.name, handler: mark.handler, run: mark.run, at: mark.at });
            this.found = true;
          }
          host.notified.add(mark.handler);
          return false;
        });
      }),
    );
  }

  /** At the end of a play: what it no longer has a handler for. */
  forgotten(play: PlayRun, hosts: readonly HostRun[]): void {
    for (const host of hosts) {
      if (!host.running) continue;
      const left = this.#leftOf(play, host);
      for (const { mark, file, way } of left.marks ?? []) {
        // What a dynamic include did not bring this time it may bring the next.
        const kept = play.includesLater;
        const what = kept ? 'and the play has none of that name this time: it stays pending' : 'which the playbook no longer has: forgotten';
        this.run.emit({ event: 'warning', message: `run ${mark.run} ended before the handler "${mark.handler}" ran, ${what}`, host: host.name });
        if (!kept) Object.assign(this.#keep(host, play, mark.handler, mark.by, file), { there: true, wanted: false, way });
      }
      left.marks &&= [];
    }
  }

  /** Leaves on the hosts what has still to run, and nothing else. */
  async close(): Promise<void> {
    if (!this.#marks || this.run.options.kill.aborted) return;
    await Promise.all(
      [...this.#kept].map(async ([host, all]) => {
        if (host.lost) return;
        try {
          for (const kept of all) if (kept.wanted !== kept.there) kept.way ??= this.#wayOfPlay(kept.play, host);
          for (const way of new Set(all.flatMap(({ wanted, there, way }) => (wanted === there ? [] : way!)))) {
            const { puts, drops } = this.#due(host, way);
            if (puts.length + drops.length > 0) await this.run.machines.inTurn(() => this.#trip(host, way, puts, drops));
          }
          if (all.some(({ wanted, there }) => !wanted && there)) this.#warn(host, `marks of handlers that have run could not be taken away from ${FOLDER}`);
        } catch (error) {
          this.#warn(host, `which handlers are pending could not be left on the host: ${(error as Error).message}`);
        }
      }),
    );
  }

  #warn(host: HostRun, message: string): void {
    this.run.emit({ event: 'warning', message, host: host.name });
  }

  /** What whoever comes this way is to put on the host, and what to take from it: a mark stands where its user may write. */
  #due(host: HostRun, way: Way): { puts: Kept[]; drops: Kept[] } {
    const all = (this.#kept.get(host) ?? []).filter((kept) => isFor(kept, way));
    return { puts: all.filter(({ wanted, there }) => wanted && !there), drops: all.filter(({ wanted, there }) => !wanted && there) };
  }

  async #trip(host: HostRun, way: Way, puts: Kept[], drops: Kept[]): Promise<void> {
    const token = randomBytes(16).toString('hex');
    this.#took(host, await aside(way, { script: marks(token, puts, drops) }), token, puts, drops);
  }

  /** What a trip with marks did; its notes are taken out of the output. */
  #took(host: HostRun, output: Output, token: string, puts: readonly Kept[], drops: readonly Kept[]): void {
    const failed = new Set<string>();
    output.stdout = output.stdout.replace(new RegExp(`\x1e${token} (.*)\n`, 'g'), (_, file: string) => (failed.add(file), ''));
    for (const kept of puts) kept.there = !failed.has(kept.file);
    for (const kept of drops) kept.there = failed.has(kept.file);
    if (!puts.every(({ there }) => there)) this.#cannot(host);
  }

  #cannot(host: HostRun): void {
    if (this.#unkept.has(host)) return;
    this.#unkept.add(host);
    this.#warn(host, 'the host cannot keep which handlers are pending: should the run end early they will not run');
  }

  #keep(host: HostRun, play: PlayRun, handler: string, by: Task | string, file?: string): Kept {
    let all = this.#kept.get(host);
    if (!all) this.#kept.set(host, (all = []));
    let kept = all.find((one) => one.play === play && one.handler === handler && (file === undefined || one.file === file));
    if (!kept) {
      const mark: Mark = { host: host.name, play: titleOf(play), handler, by: typeof by === 'string' ? by : named(by), run: this.run.id, at: new Date().toISOString() };
      file ??= `${this.#playbook(play)}/${digest([mark.host, mark.play, handler].join('\0'))}`;
      all.push((kept = { play, handler, file, line: JSON.stringify(mark), wanted: false, there: false, by: undefined, way: undefined }));
    }
    return kept;
  }

  /** Notifications that have nothing left to run but this handler. */
  #ending(host: HostRun, handler: Task): Kept[] {
    const answered = (this.#owed.get(host) ?? []).filter(({ tasks }) => tasks.size === 1 && tasks.has(handler));
    return answered.flatMap(({ play, handler: name }) => this.#kept.get(host)?.filter((kept) => kept.play === play && kept.handler === name) ?? []);
  }

  /** Whether one effect is all of the handler the host is in. */
  #isWhole(task: Task, host: HostRun): boolean {
    return this.#handling.get(host) === task && !task.loop && task.until.length === 0 && task.retries === undefined && task.failedWhen === undefined && task.delegateTo === undefined;
  }

  #playbook(play: PlayRun): string {
    let name = this.#playbooks.get(play);
    if (name === undefined) this.#playbooks.set(play, (name = digest(path.relative(this.run.options.projectDir, path.resolve(play.play.origin.file)))));
    return name;
  }

  #leftOf(play: PlayRun, host: HostRun): Left {
    let hosts = this.#left.get(play);
    if (!hosts) this.#left.set(play, (hosts = new Map()));
    let left = hosts.get(host);
    if (!left) hosts.set(host, (left = { marks: play.handlers.length === 0 && !play.includesLater ? [] : undefined, past: new Set() }));
    return left;
  }

  /** Takes what the host has answered, before an effect makes the answer old. */
  #harvest(play: PlayRun, host: HostRun): void {
    const left = this.#leftOf(play, host);
    if (left.marks !== undefined) return;
    let asked: AheadQuestion[];
    try {
      asked = this.#asked(play, host);
    } catch {
      return;
    }
    const answers = asked.map(({ machine, way, inspection }) => machine.known(way, inspection));
    if (answers.some((answer) => answer === undefined)) return;
    const found = answers.flatMap((answer, i) => marksIn(answer!.stdout).map((found) => ({ ...found, way: asked[i]!.way })));
    const others = new Set(this.run.plays.filter((other) => this.#playbook(other) === this.#playbook(play)).map(titleOf));
    const seen = new Set<string>();
    left.marks = found.filter(({ mark, file }) => {
      const ours = mark.host === host.name && mark.run !== this.run.id && file.startsWith(this.#playbook(play)) && (mark.play === titleOf(play) || !others.has(mark.play));
      return ours && !seen.has(file) && seen.add(file);
    });
    // A play that is no longer there is anyone's: the first takes it.
    for (const [other, hosts] of this.#left) {
      if (other === play) continue;
      const taken = new Set([...(hosts.get(host)?.marks ?? []), ...(this.#kept.get(host) ?? [])].map(({ file }) => file));
      left.marks = left.marks.filter(({ file }) => !taken.has(file));
    }
  }

  #asked(play: PlayRun, host: HostRun): AheadQuestion[] {
    const frame: Frame = { entries: play.entries, index: -1, play, includes: [], parent: undefined };
    const asked: AheadQuestion[] = [];
    for (const task of this.#usersOf(play)) {
      const { machine, way } = this.#wayFor(frame, task, host);
      const inspection: Inspection = { script: looking(new Set(this.run.plays.map((one) => this.#playbook(one)))), become: way.become, environment: {} };
      asked.push({ machine, way, inspection });
    }
    return asked;
  }

  /** One task for each user that tasks which notify become: who else could have left a mark? */
  #usersOf(play: PlayRun): Task[] {
    let users = this.#users.get(play);
    if (!users) {
      const each = new Map<string, Task>();
      for (const task of play.tasks()) {
        if (task.notify.length === 0) continue;
        const { become, becomeUser, becomeMethod, becomeFlags, becomeExe, remoteUser, connection, port } = task;
        const who = JSON.stringify([become, becomeUser, becomeMethod, becomeFlags, becomeExe, remoteUser, connection, port].map((value) => (value === undefined ? null : toPlain(value, false))));
        if (!each.has(who)) each.set(who, task);
      }
      if (each.size === 0) each.set('', ownTask(play.play, 'meta', 'pending handlers', {}));
      this.#users.set(play, (users = [...each.values()]));
    }
    return users;
  }

  /** The machine of the host itself, for a task that goes to another; undefined where it has none that can be told. */
  #homeOf({ frame, task, host }: Call): { machine: Machine; way: Way } | undefined {
    try {
      return this.#wayFor(frame, task, host);
    } catch {
      this.#cannot(host);
      return undefined;
    }
  }

  /** How the host itself is reached as a task reaches it. */
  #wayFor(frame: Frame, task: Task, host: HostRun): { machine: Machine; way: Way } {
    return wayOf(callOf(this.run, frame, { ...task, delegateTo: undefined, environment: [] }, host));
  }

  #wayOfPlay(play: PlayRun, host: HostRun): Way {
    return this.#wayFor({ entries: [], index: -1, play, includes: [], parent: undefined }, this.#usersOf(play)[0]!, host).way;
  }
}

/** Whether who comes this way sees the mark where it stands. */
function isFor(kept: Kept, way: Way): boolean {
  return kept.way === undefined || (kept.way.connection === way.connection && kept.way.become?.user === way.become?.user);
}

/** A play's name, else its pattern, as written: the same in every run. */
function titleOf({ play }: PlayRun): string {
  const plain = toPlain(play.name ?? play.hosts, false);
  return typeof plain === 'string' ? plain : JSON.stringify(plain);
}

/** A task as marks name it: not by its line, which moves. */
function named({ role, name, actionAsWritten }: Task): string {
  return [role?.name, name === undefined ? actionAsWritten : toPlain(name, false)].filter((part) => part !== undefined).join(' : ');
}
