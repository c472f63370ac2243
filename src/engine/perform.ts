import type { Inspection } from '../connection/connection.js';
import type { Change, Channel, Controller, Conversation, Declarative, Imperative, Module, Output, Returns, Step, Touched } from '../modules/module.js';
import { ModuleError, verifies } from '../modules/module.js';
import type { Difference } from '../report/events.js';
import type { Sh } from '../shell/sh.js';
import { UnknownError } from '../value/errors.js';
import { Unknown, type Value } from '../value/value.js';
import { erasing, launching, looking, stateOf, type Async, type JobState } from './async.js';
import { differencesOf, returned, shown, withDiffs } from './differences.js';
import { keeping, type Keeper } from './keep.js';
import { aside, type Ahead, type Machine, type Way } from './machine.js';
import { outcome, skipped, unknown, type Outcome } from './outcome.js';

/** One module with its arguments, about to meet one machine. */
export interface Job {
  module: Module;
  /** Parsed by the module's schema. */
  args: unknown;
  controller: Controller;
  machine: Machine;
  way: Way;
  ahead: Ahead;
  /** Nothing may change: in a plan, or by `check_mode`. */
  check: boolean;
  /** The whole run is a plan. */
  planned: boolean;
  /** Read old texts for diffs. */
  diff: boolean;
  /** Look again after an apply. */
  verify: boolean;
  /** Seconds after which the effect is ended. */
  timeout: number | undefined;
  /** The effect is made by a job that the host goes on with by itself. */
  async: Async | undefined;
  /** Makes an effect that changes something: what has to be on the host before it goes before it in the same trip. */
  guard: (<T extends { output: Output }>(step: Step, touches: () => Touched | undefined, carry: (step: Step) => Promise<T>) => Promise<T>) | undefined;
  /** The same for a change that has no trip of its own. */
  claim: (() => Promise<void>) | undefined;
  /** Where what leads back from changes is kept. */
  keep: Keeper | undefined;
  /** Told what is about to change, in a plan too; undefined stands for what has no changes to be told (a command). Throws where that may not be. */
  review: ((changes: readonly Change[] | undefined) => void) | undefined;
  /** Secret texts among the arguments, hidden in diffs. */
  secrets: readonly string[];
  /** Names of parameters whose value is secret. */
  secretFields: ReadonlySet<string>;
  /** The task was found as it should be. */
  foundRight: () => void;
  /** The fingerprint of a command that may change something; undefined where secrets are in it. */
  known: (step: Step) => Promise<string | undefined>;
  /** How that very command ended well in the run that this one goes on with. */
  earlier: (command: string | undefined) => Outcome | undefined;
  /** The effect is about to be made. */
  announce: (changes: Difference[], command?: string) => void;
  onOutput: (text: string) => void;
}

/**
 * Looks, compares and (unless in a plan) changes.
 * @throws ModuleError, ConnectionError, ContentError, UnknownError
 */
export async function perform(job: Job): Promise<Outcome> {
  const wanted = job.module.prepare ? await job.module.prepare(job.args, job.controller) : job.args;
  switch (job.module.kind) {
    case 'declarative':
      return job.machine.exclusive(() => declarative(job, job.module as Declarative<any, any, any>, wanted));
    case 'imperative':
      return imperative(job, job.module, wanted);
    case 'conversation':
      return job.machine.exclusive(() => conversation(job, job.module as Conversation<any, any, any, any>, wanted));
  }
}

export function inspectionOf(way: Way, script: Sh): Inspection {
  return { script, become: way.become, environment: way.environment };
}

function behindGuard<T extends { output: Output }>(job: Job, step: Step, touches: () => Touched | undefined, carry: (step: Step) => Promise<T>): Promise<T> {
  return job.guard ? job.guard(step, touches, carry) : carry(step);
}

const nothingAhead: Ahead = () => Promise.resolve([]);

async function declarative(job: Job, module: Declarative<any, any, any>, prepared: unknown): Promise<Outcome> {
  const { machine, way } = job;
  const question = inspectionOf(way, module.inspect(prepared));
  let wanted = prepared;
  const observe = async (answer: Output) => {
    if (answer.rc === 124) throw new ModuleError('looking at the host took too long and was ended', { ...answer });
    const found = module.parse(answer, wanted);
    if (module.refine) wanted = await module.refine(wanted, found);
    return found;
  };
  let observed: unknown;
  let changes: Change[];
  let returns: Returns | undefined;
  try {
    observed = await observe(await machine.ask(way, question, job.ahead));
    changes = module.compare(wanted, observed);
    if (changes.length > 0) job.review?.(changes);
    if (changes.length === 0) returns = module.result(wanted, observed);
    else if (job.check) returns = module.result(wanted, observed, await rehearsed(job, module.rehearse?.(wanted, observed, changes)));
    if (changes.length > 0 && job.check) returns = { ...returns, ...(await remarked(job, module, wanted, returns?.['warnings'])) };
  } catch (error) {
    if (job.check && error instanceof ModuleError) Object.assign(error.fields, await remarked(job, module, wanted));
    throw behindAPlan(job, error);
  }
  // In a plan, rehearsing it may have told that there is nothing to do.
  if (changes.length === 0 || (job.check && returns!['changed'] === false)) {
    job.foundRight();
    return withoutJob(job, outcome({ ...returned(module, wanted, observed, { differences: [], texts: [] }, returns!), changed: module.readOnly === true && returns!['changed'] === true }));
  }
  const shows = await shown(job, changes, async (change) => {
    const text = module.before?.(wanted, observed, change);
    return text && (await machine.ask(way, inspectionOf(way, text), nothingAhead));
  });
  const { differences } = shows;
  if (job.check) return planned(job, differences, outcome({ ...returned(module, wanted, observed, shows, returns!), changed: true }, { changes: [...differences, ...differencesOf(returns!['diff'], job)] }));

  job.announce(differences);
  const kept = job.async ? undefined : job.keep && (await keeping(job.keep, module, wanted, observed, changes));
  const made = withTimeout(module.apply(wanted, observed, changes), job.timeout);
  if (job.async) {
    return asJob(job, job.async, made, () => module.touches?.(wanted, observed, changes), (output) => {
      if (output.rc !== 0) throw ended(output, made.timeout, `changing ${changes.map((change) => change.field).join(', ')} failed`);
      return applied(returned(module, wanted, observed, shows, module.result(wanted, observed, output)), differences);
    }, differences);
  }
  const step = kept?.around(made) ?? made;
  const look = job.verify && verifies(module, wanted) ? [question] : [];
  const asked = [...look, ...(kept?.looks ?? [])];
  const told = await behindGuard(job, step, () => module.touches?.(wanted, observed, changes), (guarded) => machine.effect(way, guarded, asked, job.ahead, job.onOutput));
  const { again } = told;
  const was = await kept?.took(told.output, again.splice(look.length));
  const output = was?.output ?? told.output;
  if (was && !job.diff) withDiffs(job, differences, changes, was.old);
  if (output.rc !== 0) throw ended(output, step.timeout, `changing ${changes.map((change) => change.field).join(', ')} failed`);
  if (again[0]) {
    const found = await observe(again[0]);
    const left = module.compare(wanted, found);
    if (left.length)
      throw new ModuleError(
        `still different after the change: ${left.map((change) => `${change.field} is ${JSON.stringify(change.from)}, wanted ${JSON.stringify(change.to)}`).join('; ')}`,
        { ...output },
      );
  }
  return applied(returned(module, wanted, observed, shows, module.result(wanted, observed, output)), differences);
}

/** What a host's own tools say they would do. Behind a planned change they look at a host that is not yet as it will be: what fails then tells nothing. */
async function rehearsed({ machine, way }: Job, script: Sh | undefined): Promise<Output | undefined> {
  if (!script) return undefined;
  const output = await machine.ask(way, inspectionOf(way, script), nothingAhead);
  if (output.rc === 0) return output;
  if (machine.planned === undefined) throw ended(output, undefined, 'this would fail');
  return undefined;
}

/** What a plan is to be warned of, as `warnings` of a result. */
async function remarked({ machine, way }: Job, module: Declarative<any, any, any>, wanted: unknown, said: unknown = []): Promise<{ warnings?: unknown[] }> {
  const script = module.remarks?.(wanted);
  const lines = script ? (await machine.ask(way, inspectionOf(way, script), nothingAhead)).stdout.split('\n').filter((line) => line !== '') : [];
  return lines.length > 0 ? { warnings: [...(said as unknown[]), ...lines] } : {};
}

/** What an apply came to: only doing it may have told that there was nothing to do. */
function applied(returns: Returns, changes: Difference[]): Outcome {
  const changed = returns['changed'] !== false;
  return outcome({ ...returns, changed }, changed ? { changes } : {});
}

async function imperative(job: Job, module: Imperative<any, any>, wanted: unknown): Promise<Outcome> {
  const { machine, way } = job;
  const guard = module.guard?.(wanted);
  if (guard) {
    let returns;
    try {
      returns = module.guarded?.(await machine.ask(way, inspectionOf(way, guard), job.ahead), wanted, job.check);
    } catch (error) {
      throw behindAPlan(job, error);
    }
    if (returns) return withoutJob(job, outcome({ changed: false, ...returns }, { message: String(returns['msg']) }));
  }
  job.review?.(undefined);
  // `check_mode: true` in a real run: the playbook itself wants it passed over. What has a guard tells that it would run.
  if (job.check && !job.planned && !module.plan) {
    const msg = 'Command would have run if not in check mode';
    return guard && module.changes !== false ? outcome({ changed: true, rc: 0, stdout: '', stderr: '', msg }, { message: msg }) : skipped(msg, { msg });
  }
  if (job.check) return planOf(job, module, wanted);
  const step = withTimeout(module.run(wanted), job.timeout);
  const command = await job.known(step);
  const earlier = job.earlier(command);
  if (earlier) return earlier;
  job.announce([], command);
  const judge = (output: Output) => judged(job, module, wanted, step, output);
  if (job.async) return asJob(job, job.async, step, () => undefined, judge);
  const { output } = await behindGuard(job, step, () => undefined, (guarded) => machine.effect(way, guarded, [], job.ahead, module.answers ? undefined : job.onOutput));
  return judge(output);
}

/** What a command came to. @throws ModuleError where it failed */
function judged(job: Job, module: Imperative<any, any>, wanted: unknown, step: Step, output: Output): Outcome {
  if (output.rc === 124 && step.timeout !== undefined) throw ended(output, step.timeout, `${module.name} failed`);
  const said = module.result(wanted, output);
  // What a module in Python prints there is nobody's; of a job Ansible's wrapper adds it to the result.
  const returns = module.answers && job.async && output.stderr !== '' ? { stderr: output.stderr, ...said } : said;
  const bad = typeof returns['failed'] === 'boolean' ? returns['failed'] : output.rc !== 0;
  if (!bad) return outcome({ changed: module.changes !== false, ...returns, failed: false }, { changes: differencesOf(returns['diff'], job) });
  throw new ModuleError(typeof returns['msg'] === 'string' && returns['msg'] !== '' ? returns['msg'] : 'non-zero return code', {
    changed: module.changes !== false,
    rc: output.rc,
    stdout: output.stdout,
    stderr: output.stderr,
    ...returns,
  });
}

/** Has the host make an effect by itself, and waits for it if the task does. @param judge makes the result of what the job left */
async function asJob(job: Job, async: Async, step: Step, touches: () => Touched | undefined, judge: (output: Output) => Outcome, changes: Difference[] = []): Promise<Outcome> {
  const { machine, way } = job;
  const launch = launching(async, job.module.name, step);
  const { output } = await behindGuard(job, launch, touches, (guarded) => machine.effect(way, guarded, [], job.ahead));
  if (output.rc !== 0) throw ended(output, undefined, 'starting the job failed');
  const about = { ansible_job_id: async.id, started: true, results_file: output.stdout.trim() };
  async.started({ judge, begun: true });
  if (async.poll === 0) return outcome({ ...about, finished: false, changed: true }, { changes });
  const until = performance.now() + async.limit * 1000;
  for (;;) {
    await async.sleep(Math.min(async.poll, Math.max(0.1, (until - performance.now()) / 1000)));
    machine.forget();
    const there = stateOf(await machine.ask(way, inspectionOf(way, looking(async.folder, async.id)), nothingAhead));
    if (!there) throw new ModuleError('could not find job', { ...about, finished: true });
    if (there.state.finished) {
      machine.forget();
      await aside(way, { script: erasing(async.folder, async.id) });
      return ofJob(there.state, judge, about);
    }
    if (async.stopping()) throw new ModuleError(`interrupted: the job ${async.id} goes on`, { ...about, finished: false });
    if (performance.now() >= until) throw new ModuleError(`async task did not complete within the requested time - ${async.limit}s`, { async_result: { ...about, finished: false } });
  }
}

/** The result of a job that has ended. */
export function ofJob(state: JobState, judge: (output: Output) => Outcome, about: { [name: string]: unknown }): Outcome {
  const all = { ...about, finished: true };
  if (!state.output) throw new ModuleError(state.msg ?? 'the job left nothing', all);
  try {
    const result = judge(state.output);
    for (const [name, value] of Object.entries(all)) result.data.set(name, value as Value);
    return result;
  } catch (error) {
    throw error instanceof ModuleError ? new ModuleError(error.message, { ...error.fields, ...all }, error.origin) : error;
  }
}

/** Where there was nothing to do the job is said to have ended already. */
function withoutJob({ async }: Job, result: Outcome): Outcome {
  if (!async) return result;
  const entries: [string, Value][] = [['ansible_job_id', async.id], ['started', true], ['finished', true]];
  for (const [name, value] of entries) result.data.set(name, value);
  async.started({ judge: () => result, begun: false });
  return result;
}

/** What a plan can tell of an imperative module: what it finds out itself without changing anything, or nothing. */
async function planOf(job: Job, module: Imperative<any, any>, wanted: unknown): Promise<Outcome> {
  const { machine, way } = job;
  const unknowable = (why: string): Outcome => {
    if (job.planned) machine.planned ??= why.replace(/^the /, 'a ');
    return unknown(why);
  };
  if (!module.plan) return unknowable(`the ${module.name} is not run in a plan`);
  let returns;
  try {
    const step = withTimeout(module.plan(wanted), job.timeout);
    const { output } = await machine.effect(way, step, [], nothingAhead, module.answers ? undefined : job.onOutput);
    returns = module.result(wanted, output);
  } catch (error) {
    throw behindAPlan(job, error);
  }
  // As Ansible's AnsibleModule answers where it was not made for check mode.
  if (returns['skipped'] === true) return unknowable(typeof returns['msg'] === 'string' ? returns['msg'] : `the ${module.name} cannot tell in a plan`);
  const changes = differencesOf(returns['diff'], job);
  const result = outcome(returns, { changes });
  if (result.changed && job.planned) machine.planned ??= `${module.name} would change something`;
  return result;
}

async function conversation(job: Job, module: Conversation<any, any, any, any>, wanted: unknown): Promise<Outcome> {
  const { machine, way } = job;
  const channel: Channel = {
    open: (target) => way.connection.open(target, way.become),
    program: (script) => way.connection.program(script, way.become),
    ask: (script) => machine.ask(way, inspectionOf(way, script), job.ahead),
  };
  let session: unknown;
  try {
    let observed: unknown;
    let changes: Change[];
    try {
      session = await module.connect(wanted, channel);
      observed = await module.inspect(wanted, session);
      changes = module.compare(wanted, observed);
      if (changes.length > 0) job.review?.(changes);
    } catch (error) {
      throw behindAPlan(job, error);
    }
    if (changes.length === 0) return outcome({ ...module.result(wanted, observed), changed: false });
    const { differences } = await shown(job, changes, () => Promise.resolve(undefined));
    if (job.check) return planned(job, differences, outcome({ ...module.result(wanted, observed), changed: true }, { changes: differences }));

    job.announce(differences);
    await job.claim?.();
    let applied;
    try {
      applied = await module.apply(wanted, session, observed, changes);
    } finally {
      machine.forget();
    }
    if (job.verify && verifies(module, wanted)) {
      const left = module.compare(wanted, await module.inspect(wanted, session));
      if (left.length) throw new ModuleError(`still different after the change: ${left.map((change) => change.field).join(', ')}`);
    }
    const changed = applied?.['changed'] !== false;
    return outcome({ ...module.result(wanted, observed, applied ?? {}), changed }, changed ? { changes: differences } : {});
  } finally {
    if (session !== undefined) await module.close(session);
  }
}

function planned(job: Job, differences: Difference[], result: Outcome): Outcome {
  if (job.planned) job.machine.planned ??= `${job.module.name} would change ${differences.map((difference) => difference.field).join(', ')}`;
  if (job.async) for (const name of ['ansible_job_id', 'started', 'finished', 'results_file']) result.data.set(name, new Unknown('no job is started in a plan'));
  return result;
}

/** In a plan, what fails behind a planned change may be its consequence: it is not known rather than wrong. */
export function behindAPlan(job: Pick<Job, 'check' | 'machine'>, error: unknown): unknown {
  if (!job.check || job.machine.planned === undefined || !(error instanceof ModuleError)) return error;
  return new UnknownError(`${error.message} (now; but ${job.machine.planned} before)`);
}

function withTimeout<T extends { timeout?: number }>(step: T, seconds: number | undefined): T {
  return seconds === undefined ? step : { ...step, timeout: Math.min(seconds, step.timeout ?? Infinity) };
}

function ended(output: Output, timeout: number | undefined, what: string): ModuleError {
  if (output.rc === 124 && timeout !== undefined) return new ModuleError(`ended after ${timeout} s`, { ...output, timedout: { period: timeout } });
  const last = output.stderr.trim().split('\n').at(-1);
  return new ModuleError(last ? `${what}: ${last}` : `${what} with exit status ${output.rc}`, { ...output });
}
