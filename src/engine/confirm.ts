import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError } from '../connection/connection.js';
import type { Touched } from '../modules/module.js';
import { durationOf, durationProblem } from '../playbook/index.js';
import type { Block, Task } from '../playbook/types.js';
import type { Event } from '../report/events.js';
import type { Step } from '../shell/step.js';
import { ContentError } from '../value/errors.js';
import { toPlain } from '../value/value.js';
import { hostPath } from '../modules/words.js';
import { aheadOf } from './ahead.js';
import { callOf, scopeFor, type Call, type Frame } from './call.js';
import { conclude } from './conclude.js';
import { evaluate } from './evaluate.js';
import { flush } from './handlers.js';
import type { HostRun } from './host.js';
import { wayOf } from './job.js';
import type { AheadQuestion, Machine, Way } from './machine.js';
import { failed, outcomeOfError, type Outcome } from './outcome.js';
import { inspectionOf } from './perform.js';
import { ownTask } from './play.js';
import { confirmation, guarded, undoing, WAITING } from './rollback.js';
import type { Run } from './run.js';
import type { Speculated } from './scope.js';
import { Mutex } from './semaphore.js';

/** Seconds a host is waited for after its time is over: it may be rebooting. */
const PATIENCE = 120;

/** A machine that holds the old state of what the block touches, and a timer. */
interface Armed {
  readonly id: string;
  readonly machine: Machine;
  /** How the first effect came there; the confirmation comes the same way, by a login of its own. */
  way: Way;
  /** All whose tasks changed the machine: several names of one, or a host that delegated to it. */
  readonly hosts: Set<HostRun>;
  readonly seconds: number;
  /** When the host acts by itself, by our clock. */
  readonly deadline: number;
  /** Each effect keeps what it touches before it changes it: one at a time, else one may keep what another has changed. */
  readonly turn: Mutex;
}

/** A confirmed block under way, for all its hosts. */
export class Confirming {
  readonly #armed = new Map<Machine, Armed>();
  readonly #terms = new Map<HostRun, { seconds: number; declared: Touched | undefined }>();

  constructor(
    readonly run: Run,
    readonly block: Block,
    readonly title: string,
  ) {}

  /** Reads the block's keyword for a host. @throws ContentError */
  admit(call: Call): void {
    const { within, paths, services, origin } = this.block.confirm!;
    const plain = (value: typeof within) => toPlain(evaluate(value, scopeFor(call)), true);
    const words = (values: readonly (typeof within)[]) => values.flatMap((value) => plain(value) as string | string[]).map(String);
    const given = plain(within);
    const seconds = durationOf(given);
    const problem = durationProblem(seconds, given);
    if (problem) throw new ContentError(problem.message, origin, problem.hint);
    const declared = paths.length + services.length === 0 ? undefined : { trees: words(paths).map(hostPath), services: words(services).map((name) => ({ name, how: 'restart' as const })) };
    this.#terms.set(call.host, { seconds: seconds!, declared });
  }

  /** Whether effects of this host are guarded: `confirm: 0` switches it off. */
  guards(host: HostRun): boolean {
    return (this.#terms.get(host)?.seconds ?? 0) > 0;
  }

  /** Whether the block says itself what it touches. */
  declares(host: HostRun): boolean {
    return this.#terms.get(host)?.declared !== undefined;
  }

  /** Whether this host may have changed something that waits for its confirmation. */
  isAtWork(host: HostRun): boolean {
    return [...this.#armed.values()].some(({ hosts }) => hosts.has(host));
  }

  /** All machines that wait for their confirmation. */
  armed(): readonly Armed[] {
    return [...this.#armed.values()];
  }

  /**
   * Makes an effect behind its guard; the first on a machine arms it.
   * @param touched what the effect says it touches
   * @param carry takes the guarded step to the machine
   */
  async effect<T>(host: HostRun, machine: Machine, way: Way, step: Step, touched: Touched, carry: (step: Step) => Promise<T>): Promise<T> {
    const { seconds, declared } = this.#terms.get(host)!;
    let armed = this.#armed.get(machine);
    const first = armed === undefined;
    if (armed === undefined) {
      const id = `${this.run.id}-${this.run.confirmations++}`;
      armed = { id, machine, way, hosts: new Set(), seconds, deadline: performance.now() + seconds * 1000, turn: new Mutex() };
      this.#armed.set(machine, armed);
      this.tell(host, 'arming', `the old state comes back in ${seconds} s unless a new login confirms the change`);
    }
    armed.hosts.add(host);
    const { id, turn } = armed;
    const all: Touched = first && declared ? merged(declared, touched) : touched;
    return turn.run(() => carry(guarded(step, all, { id, first, seconds })));
  }

  tell(host: HostRun, state: Extract<Event, { event: 'confirm' }>['state'], message: string): void {
    this.run.emit({ event: 'confirm', host: host.name, block: this.title, origin: this.block.origin, state, message });
  }
}

function merged(a: Touched, b: Touched): Touched {
  return {
    paths: [...(a.paths ?? []), ...(b.paths ?? [])],
    trees: [...(a.trees ?? []), ...(b.trees ?? [])],
    services: [...(a.services ?? []), ...(b.services ?? [])],
  };
}

/**
 * Takes hosts through a confirmed block: its tasks, the handlers they notified, and the confirmation by a new login.
 * A machine that is not confirmed has its old state back, and its hosts have failed, when this returns.
 */
export async function confirmed(run: Run, frame: Frame, block: Block, hosts: readonly HostRun[], walkTasks: (confirming: Confirming, hosts: readonly HostRun[]) => Promise<void>): Promise<void> {
  const { play } = frame;
  const title = typeof block.name === 'string' ? block.name : 'confirmed block';
  const confirming = new Confirming(run, block, title);
  const end = ownTask(play.play, 'confirm', `${title}: confirmation`, {});
  const tell = (host: HostRun, result: Outcome) => conclude(callOf(run, frame, { ...end, origin: block.origin, ignoreErrors: undefined, ignoreUnreachable: undefined }, host), `${title}: confirmation`, result, 0, [host]);
  const taking: HostRun[] = [];
  const before = new Map<HostRun, Set<string>>();
  for (const host of hosts) {
    try {
      confirming.admit(callOf(run, frame, { ...end, around: play.play.keywords }, host));
      taking.push(host);
      // Only what the block itself notifies runs within it.
      before.set(host, new Set(host.notified));
      host.notified.clear();
    } catch (error) {
      tell(host, outcomeOfError(error, 'reading the keyword confirm'));
    }
  }
  const clear = await Promise.all(taking.map(async (host) => {
    try {
      await putBackFirst(run, frame, block, confirming, host);
      return [host];
    } catch (error) {
      tell(host, outcomeOfError(error, 'putting back what an earlier run changed and did not confirm'));
      return [];
    }
  }));
  await walkTasks(confirming, clear.flat());
  const notified = new Map(taking.map((host) => [host, new Set(host.notified)]));
  // Seen from here, what comes next is what stands behind the block.
  const over: Frame = { ...frame, index: frame.entries.length, confirm: confirming };
  if (!run.stopping) await flush(run, over, taking.filter((host) => host.running));
  for (const host of taking) {
    for (const name of notified.get(host)!) if (!before.get(host)!.has(name)) run.pending.over(host, play, name);
    // What a block that is taken back notified is of no use; what waited from before still waits, unless it ran within.
    host.notified.clear();
    for (const name of before.get(host)!) if (!notified.get(host)!.has(name) || !host.running) host.notified.add(name);
  }
  await Promise.all(confirming.armed().map((armed) => settle(run, over, confirming, armed, tell)));
}

/**
 * What a host is asked before a confirmed block: what waits there for its confirmation. Asked as the block's first task
 * goes there; undefined where that cannot be told (it is delegated to each item of a loop).
 */
export function waitingQuestion(run: Run, frame: Frame, block: Block, host: HostRun, ahead?: Speculated): (AheadQuestion & { name: string; first: Task }) | undefined {
  const first = firstTask(block);
  if (!first) return undefined;
  try {
    const { machine, way, name } = wayOf(callOf(run, frame, first, host), ahead);
    return { machine, way, name, first, inspection: inspectionOf(way, WAITING) };
  } catch (error) {
    if (error instanceof ContentError) return undefined;
    throw error;
  }
}

function firstTask({ block: [first] }: Block): Task | undefined {
  return first?.kind === 'block' ? firstTask(first) : first;
}

/**
 * A run that was killed within a confirmed block leaves its change in place until the time is over: found as described
 * now, it would be taken back behind this run's back.
 * @throws LockedError while its run is alive, and what else keeps the old state from coming back
 */
async function putBackFirst(run: Run, frame: Frame, block: Block, confirming: Confirming, host: HostRun): Promise<void> {
  if (run.options.check || !confirming.guards(host)) return;
  const question = waitingQuestion(run, frame, block, host);
  if (!question) return;
  const { machine, way, name, first, inspection } = question;
  const answer = await machine.ask(way, inspection, aheadOf(callOf(run, { ...frame, index: -1 }, first, host)));
  for (const id of answer.stdout.split('\n').filter(Boolean)) {
    const carry = (step: Step) => machine.effect(way, step, [], async () => []);
    // Whose change it is has the host's lock, or is no more.
    const ask = async (step: Step) => (await (run.locks ? run.locks.holding(machine, way, name, step, carry) : carry(step))).output;
    const { end, trouble } = await rolledBack(run, { id, deadline: performance.now() }, ask);
    if (end === 'unknown') throw new ConnectionError('protocol', `the old state of ${id} does not come back: ${trouble}`, 'its confirmed changes are in /var/lib/muster/confirm');
    confirming.tell(host, 'rolled-back', `an earlier run (${id.replace(/-\d+$/, '')}) did not confirm its change: the old state is back${trouble === '' ? '' : `, but: ${trouble}`}`);
  }
}

/** The end of the block for one machine. */
async function settle(run: Run, frame: Frame, confirming: Confirming, armed: Armed, tell: (host: HostRun, result: Outcome) => void): Promise<void> {
  const [first] = [...armed.hosts];
  const broken = [...armed.hosts].find((host) => host.failed || host.lost);
  armed.way = { ...armed.way, connection: run.machines.renew(armed.way.connection), environment: {} };
  run.upheavals++;
  const ahead = broken ? async () => [] : aheadOf(callOf(run, frame, ownTask(frame.play.play, 'confirm', '', {}), first!));
  const ask = async (step: Step) => (await armed.machine.effect(armed.way, step, [], ahead)).output;
  let why = broken ? `"${String(broken.failedTask?.get('name') ?? 'a task')}" failed` : run.stopping ? 'the run was interrupted' : undefined;
  const quiet = why !== undefined;
  if (why === undefined) {
    why = await confirm(run, armed, ask);
    if (why === undefined) {
      for (const host of armed.hosts) confirming.tell(host, 'confirmed', 'a new login succeeded');
      return;
    }
  }
  for (const host of armed.hosts) confirming.tell(host, 'unconfirmed', `${why}; the host puts the old state back`);
  const { end, trouble } = await rolledBack(run, armed, ask);
  for (const host of armed.hosts) {
    switch (end) {
      case 'never':
        confirming.tell(host, 'rolled-back', 'nothing had been changed');
        break;
      case 'rolled-back':
        confirming.tell(host, 'rolled-back', trouble === '' ? 'the old state is back' : `the old state is back, but: ${trouble}`);
        if (!host.failed && !host.lost) tell(host, notConfirmed(`not confirmed, so the old state is back: ${why}`, quiet, trouble));
        break;
      default:
        confirming.tell(host, 'left', `whether the old state is back is not known: ${trouble}`);
        host.failed = undefined;
        tell(host, lost(`not confirmed (${why}), and out of reach since: ${trouble}`));
    }
  }
}

function notConfirmed(message: string, quiet: boolean, trouble: string): Outcome {
  return failed(message, {
    remedy: quiet ? undefined : 'look for what keeps a new login, or becoming root, from working: firewall, sshd, network, sudoers',
    fields: { rolled_back: true, trouble },
  });
}

function lost(message: string): Outcome {
  return outcomeOfError(new ConnectionError('lost', message, 'reach the host another way; its confirmed changes are in /var/lib/muster/confirm'), 'waiting for the old state');
}

/** Logs in anew until the time is over. @returns why it was not confirmed */
async function confirm(run: Run, armed: Armed, ask: (step: Step) => Promise<{ rc: number; stdout: string; stderr: string }>): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { stdout, stderr } = await ask(confirmation(armed.id));
      if (stdout.includes('confirmed')) return undefined;
      if (stdout.includes('late')) return `the block took longer than the ${armed.seconds} s it had`;
      return stderr.trim() || 'the host gave no answer';
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      const pause = Math.min(attempt, 5);
      // Who is turned away for what he is will be turned away again, and may be shut out for trying.
      if (['authentication', 'become', 'host-key', 'name'].includes(error.kind) || performance.now() + pause * 1000 >= armed.deadline || run.stopping) return error.message;
      await wait(run, pause);
    }
  }
}

type Ended = { end: 'never' | 'rolled-back' | 'unknown'; trouble: string };

/** Waits until the host has put the old state back, and has it done at once where it can be reached. */
async function rolledBack(run: Run, armed: Pick<Armed, 'id' | 'deadline'>, ask: (step: Step) => Promise<{ stdout: string }>): Promise<Ended> {
  let last = 'it did not answer';
  for (let attempt = 1; performance.now() < armed.deadline + PATIENCE * 1000; attempt++) {
    let pause = 0.5;
    try {
      const [state, ...trouble] = (await ask(undoing(armed.id))).stdout.split('\n');
      if (state === 'rolled-back' || state === 'never') return { end: state, trouble: trouble.join('\n').trim() };
      last = `it says "${state}"`;
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      last = error.message;
      const left = (armed.deadline - performance.now()) / 1000;
      pause = left > 0 ? left + 1 : Math.min(attempt, 5);
      if (['refused', 'timeout', 'route', 'lost', 'protocol'].includes(error.kind)) pause = Math.min(pause, Math.min(attempt, 5));
    }
    if (run.options.kill.aborted) break;
    await wait(run, pause);
  }
  return { end: 'unknown', trouble: last };
}

/** Beyond an interruption too: the host is on its way back. Only the second one ends it. */
async function wait(run: Run, seconds: number): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal: run.options.kill }).catch(() => undefined);
}

/** What a task of a confirmed block gives when it loses its host: a failure that the host itself makes good. */
export function cutOff(result: Outcome): Outcome {
  return failed(`${result.failure?.message ?? 'the connection was lost'}; what the block changed is put back`, { doing: result.failure?.doing, fields: { cut_off: true } });
}
