import { setImmediate as turn } from 'node:timers/promises';
import { ConnectionError, type Become, type Connection, type Inspection, type Target, type Trip } from '../connection/connection.js';
import type { Output, Step } from '../shell/step.js';
import type { Semaphore } from './semaphore.js';
import { Mutex } from './semaphore.js';

/** How a task reaches its machine: over which connection, as whom, with which environment. */
export interface Way {
  connection: Connection;
  become: Become | undefined;
  environment: Readonly<Record<string, string>>;
}

/** Inspections of the tasks behind the present one, worked out only when a trip is really made; undefined where no task is behind it. */
export type Ahead = () => Promise<AheadQuestion[] | undefined>;

export interface AheadQuestion {
  machine: Machine;
  way: Way;
  inspection: Inspection;
}

interface TripEffect {
  step: Step;
  onOutput: ((text: string) => void) | undefined;
  took: (output: Output) => void;
}

const LOCAL = 'local';

/** Milliseconds an answer counts: others may change a machine too, as they may between a look and a change of ours. */
const KEPT = 60_000;

/**
 * One machine, however many inventory names it has. Keeps the answers of inspections until an effect
 * on the machine, a wait or an interruption makes them old; an answer is found again by its question (who asks,
 * in which environment, with which text), so a task consumes what was looked ahead exactly when its
 * arguments turn out to be what they were rendered to be.
 */
export class Machine {
  readonly #answers = new Map<string, { output: Output; at: number }>();
  readonly #exclusive = new Mutex();
  readonly #looks = new Map<Connection, Mutex>();
  #epoch = 0;
  /** In a plan: something was planned here, so a failing inspection may be its consequence. */
  planned: string | undefined;

  constructor(
    readonly key: string,
    private readonly forks: Semaphore,
    private readonly collecting: Mutex,
    /** Aborted when the run is over: whoever still looks ahead then makes no further trip. */
    private readonly over: AbortSignal,
  ) {}

  /** Whether it is the controller itself, without a connection. */
  get isController(): boolean {
    return this.key === LOCAL;
  }

  /** One declarative task at a time: looks and acts with no other of ours in between. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#exclusive.run(work);
  }

  /** Everything known about the machine is old now. */
  forget(): void {
    this.#epoch++;
    this.#answers.clear();
  }

  /** The answer to a question, if it was given and is not old. */
  known(way: Way, inspection: Inspection): Output | undefined {
    const answer = this.#answers.get(questionKey(way, inspection));
    return answer && performance.now() - answer.at < KEPT ? answer.output : undefined;
  }

  /** Answers a question: from what is known, else by a trip that takes the questions of `ahead` along. */
  async ask(way: Way, inspection: Inspection, ahead: Ahead): Promise<Output> {
    const known = this.known(way, inspection);
    if (known) return known;
    const [answer] = await this.#trip(way, undefined, [inspection], ahead);
    return answer!;
  }

  /**
   * Makes an effect; asks `again` (to verify) and the questions of `ahead` in the same trip.
   * Whatever was known is forgotten before and after, also when the trip fails.
   */
  async effect(
    way: Way,
    step: Step,
    again: readonly Inspection[],
    ahead: Ahead,
    onOutput?: (text: string) => void,
  ): Promise<{ output: Output; again: Output[] }> {
    // Before the questions behind are worked out: what is known now will not be worth anything to them.
    this.forget();
    let output: Output | undefined;
    const answers = await this.#trip(way, { step, onOutput, took: (it) => (output = it) }, again, ahead);
    return { output: output!, again: answers };
  }

  async #trip(
    way: Way,
    effect: TripEffect | undefined,
    asked: readonly Inspection[],
    ahead: Ahead,
  ): Promise<Output[]> {
    // Looks wait for looks, since one may bring the other's answer along. An effect waits for nobody: it may be
    // just what another one, which waits on the machine, waits for.
    const turn = effect ? undefined : this.#turns(way.connection);
    const carry = () => this.forks.run(() => this.#carry(way, effect, asked, ahead));
    return turn ? turn.run(carry) : carry();
  }

  /** The questions asked, and those of `ahead` that go the same way. Worked out when the trip is about to begin: a thousand hosts that wait for theirs hold nothing. */
  #collect(way: Way, asked: readonly Inspection[], ahead: Ahead): Promise<Pick<Trip, 'inspections' | 'isLast'>> {
    // One host after the other: while the next one's are worked out the first can log in, and is at work.
    return this.collecting.run(async () => {
      await turn();
      return this.#collected(way, asked, ahead);
    });
  }

  async #collected(way: Way, asked: readonly Inspection[], ahead: Ahead): Promise<Pick<Trip, 'inspections' | 'isLast'>> {
    const seen = new Set(asked.map((inspection) => questionKey(way, inspection)));
    const inspections = [...asked];
    const questions = await ahead();
    for (const question of questions ?? []) {
      if (question.way.connection !== way.connection) continue;
      const key = questionKey(question.way, question.inspection);
      if (seen.has(key)) continue;
      seen.add(key);
      inspections.push(question.inspection);
    }
    return { inspections, isLast: questions === undefined };
  }

  #turns(connection: Connection): Mutex {
    let mutex = this.#looks.get(connection);
    if (!mutex) this.#looks.set(connection, (mutex = new Mutex()));
    return mutex;
  }

  async #carry(way: Way, effect: TripEffect | undefined, asked: readonly Inspection[], ahead: Ahead): Promise<Output[]> {
    if (effect) this.forget();
    else {
      // The trip waited for may have brought the answer along.
      const known = asked.flatMap((inspection) => this.known(way, inspection) ?? []);
      if (known.length === asked.length) return known;
    }
    this.#beforeTheEnd();
    way.connection.warm();
    const { inspections, isLast } = await this.#collect(way, asked, ahead);
    this.#beforeTheEnd();
    const epoch = this.#epoch;
    try {
      const result = await way.connection.trip({
        effect: effect && {
          step: effect.step,
          become: way.become,
          environment: way.environment,
          ...(effect.onOutput ? { onOutput: effect.onOutput } : {}),
        },
        inspections,
        isLast,
      });
      const fresh = this.#epoch === epoch;
      if (effect) {
        effect.took(result.effect!);
        // What others learnt while it ran may be from before it.
        this.forget();
      }
      if (fresh) inspections.forEach((inspection, i) => this.#learn(way, inspection, result.inspections[i]!));
      return result.inspections.slice(0, asked.length);
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  #beforeTheEnd(): void {
    if (this.over.aborted) throw new ConnectionError('lost', 'the run is over');
  }

  #learn(way: Way, inspection: Inspection, output: Output): void {
    // Running out of time says nothing about the machine: such an answer is not kept.
    if (output.rc !== 124) this.#answers.set(questionKey(way, inspection), { output, at: performance.now() });
  }
}

/** A trip with nothing else in it, which makes nothing old that is known of the machine. */
export async function aside(way: Way, step: Step): Promise<Output> {
  return (await way.connection.trip({ effect: { step, become: way.become, environment: {} }, inspections: [] })).effect!;
}

const keys = new WeakMap<Inspection, string>();

/** The inspection's own become and environment are those of its way; the connection tells the login user apart. */
function questionKey(way: Way, inspection: Inspection): string {
  let key = keys.get(inspection);
  if (key === undefined) {
    const { become, environment, script } = inspection;
    const who = become ? `${become.method} ${become.user} ${become.flags ?? ''} ${become.exe ?? ''}` : '';
    keys.set(inspection, (key = `${connectionId(way.connection)}\0${who}\0${JSON.stringify(environment)}\0${script.key}`));
  }
  return key;
}

const ids = new WeakMap<Connection, number>();
let lastId = 0;
function connectionId(connection: Connection): number {
  let id = ids.get(connection);
  if (id === undefined) ids.set(connection, (id = ++lastId));
  return id;
}

/** Machines and connections of a run: one of each, however many hosts and tasks share them. */
export class Machines {
  readonly #machines = new Map<string, Machine>();
  readonly #over = new AbortController();
  readonly #collecting = new Mutex();
  readonly #connections = new Map<string, { target: Target; connection: Connection }>();
  /** Those whose place another has taken. */
  readonly #retired: { target: Target; connection: Connection }[] = [];

  constructor(
    private readonly forks: Semaphore,
    private readonly connect: (target: Target) => Connection,
  ) {}

  /** The machine behind a target. Two targets are one machine when host and port agree (or both are local). */
  machine(target: Target): Machine {
    const key = target.connection === 'local' ? LOCAL : `${target.host.toLowerCase()}:${target.port ?? ''}`;
    let machine = this.#machines.get(key);
    if (!machine) this.#machines.set(key, (machine = new Machine(key, this.forks, this.#collecting, this.#over.signal)));
    return machine;
  }

  connection(target: Target): Connection {
    const key =
      target.connection === 'local'
        ? 'local'
        : JSON.stringify([target.host.toLowerCase(), target.port, target.user, target.password, target.privateKeyFile, target.sshConfigFile, target.knownHostsFile, target.sshOptions]);
    let known = this.#connections.get(key);
    if (!known) this.#connections.set(key, (known = { target, connection: this.connect(target) }));
    return known.connection;
  }

  /**
   * A connection of its own in the place of another: whatever comes from now on logs in anew. The old one stays open for
   * what is under way over it.
   */
  renew(old: Connection): Connection {
    for (const [key, known] of this.#connections) {
      if (known.connection !== old) continue;
      this.#retired.push(known);
      const connection = this.connect(known.target);
      this.#connections.set(key, { target: known.target, connection });
      return connection;
    }
    const { target } = this.#retired.find(({ connection }) => connection === old)!;
    return this.renew(this.connection(target));
  }

  /** After a wait or anything else during which the world moved on. */
  forgetAll(): void {
    for (const machine of this.#machines.values()) machine.forget();
  }

  /** Every connection, with the target it was first made for. */
  all(): Iterable<{ target: Target; connection: Connection }> {
    return [...this.#connections.values(), ...this.#retired];
  }

  /** Does work as one of the hosts with a trip in flight. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.forks.run(work);
  }

  async cancel(): Promise<void> {
    await Promise.allSettled([...this.all()].map(({ connection }) => connection.cancel()));
  }

  async close(): Promise<void> {
    this.#over.abort();
    await Promise.allSettled([...this.all()].map(({ connection }) => connection.close()));
  }
}
