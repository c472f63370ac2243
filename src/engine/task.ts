import { Record } from '../expression/index.js';
import type { Task } from '../playbook/types.js';
import type { Status } from '../report/events.js';
import { UndefinedError, UnknownError } from '../value/errors.js';
import { toPlain, Unknown, type Dict, type Value } from '../value/value.js';
import { action, happensOnce } from './actions/index.js';
import { evaluate, firstFalse, holds, truthy } from './evaluate.js';
import type { HostRun } from './host.js';
import { aheadOf } from './ahead.js';
import { labelOf, loopItems, loopVariables } from './loop.js';
import { censored, moduleJob } from './job.js';
import { failed, outcome, outcomeOfError, skipped, told, type Outcome } from './outcome.js';
import { perform } from './perform.js';
import { ownTask } from './play.js';
import type { Run } from './run.js';
import { scopeOf } from './scope.js';
import { includesOf, type Frame } from './walk.js';

/** A task (or one item of its loop) on its way to one host. */
export interface Call {
  run: Run;
  frame: Frame;
  task: Task;
  host: HostRun;
  loop: Dict | undefined;
  /** Its place in the loop; 0 without one. */
  index: number;
}

/** Runs a task on hosts at once, and returns when all are through. */
export async function runTask(run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]): Promise<void> {
  const first = hosts[0]!;
  const name = nameOf(run, frame, task, first);
  run.emit({ event: 'task', task: name, id: task.id, origin: task.origin, handler: task.listen.length > 0 || run.isHandler(task), action: task.action });
  if (happensOnce(task.action) || (task.runOnce !== undefined && isTrue(run, frame, task, first, task.runOnce))) {
    await runOnHost(run, frame, task, first, name, hosts);
    for (const host of hosts) {
      if (first.failed) host.failed ??= first.failed;
      if (first.lost) host.lost ??= first.lost;
    }
    return;
  }
  const throttle = run.throttle(task, () => Number(String(evaluate(task.throttle!, scopeOf(run, { play: frame.play, task, host: first.name, includes: [], ahead: false })))));
  await Promise.all(hosts.map((host) => throttle.run(() => runOnHost(run, frame, task, host, name, [host]))));
}

function isTrue(run: Run, frame: Frame, task: Task, host: HostRun, value: Value): boolean {
  return truthy(evaluate(value, scopeOf(run, { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: false })));
}

/** The task's name as shown: templated with the first host's variables where that works. */
export function nameOf(run: Run, frame: Frame, task: Task, host: HostRun): string {
  const prefix = task.role ? `${task.role.name} : ` : '';
  if (task.name === undefined) return `${prefix}${task.actionAsWritten}`;
  try {
    const scope = scopeOf(run, { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: true });
    return prefix + String(toPlain(evaluate(task.name, scope), false));
  } catch {
    return prefix + String(toPlain(task.name, false));
  }
}

/** @param sharers hosts that get the result: the host itself, or all under run_once */
async function runOnHost(run: Run, frame: Frame, task: Task, host: HostRun, name: string, sharers: readonly HostRun[]): Promise<void> {
  if (run.stopping) return;
  const began = performance.now();
  run.emit({ event: 'busy', host: host.name, task: name, id: task.id });
  const scope = scopeOf(run, { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: false });
  let result: Outcome | undefined;
  try {
    result = await onHost(run, frame, task, host);
  } catch (error) {
    result = outcomeOfError(error, `working out the task's keywords`);
  }
  const seconds = (performance.now() - began) / 1000;
  if (result === undefined) {
    run.emit({ event: 'idle', host: host.name });
    return;
  }
  const quiet = censored(task, scope);
  conclude(run, frame, task, host, name, result, seconds, quiet, sharers);
}

/** The task on its host: once, or for each item. Undefined when the run was interrupted before anything happened. */
async function onHost(run: Run, frame: Frame, task: Task, host: HostRun): Promise<Outcome | undefined> {
  if (!task.loop) return onItem({ run, frame, task, host, loop: undefined, index: 0 });
  const scope = scopeOf(run, { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: false });
  let items: Value[];
  try {
    items = loopItems(task, scope);
  } catch (error) {
    if (!(error instanceof UndefinedError) && !(error instanceof UnknownError)) throw error;
    // A condition that does not hold whatever the item is makes the list irrelevant.
    if (conditionFails(task, scope)) return skipped('the condition does not hold');
    throw error;
  }
  const results: Outcome[] = [];
  for (const [index, item] of items.entries()) {
    if (run.stopping) break;
    const loop = loopVariables(task, items, index);
    const began = performance.now();
    const result = await onItem({ run, frame, task, host, loop, index });
    if (!result) break;
    for (const [variable, value] of loop) if (variable !== 'ansible_loop') result.data.set(variable, value);
    result.data.set('ansible_loop_var', task.loopControl.loopVar);
    results.push(result);
    const itemScope = scopeOf(run, { play: frame.play, task, host: host.name, loop, includes: includesOf(frame, host.name), ahead: false });
    const label = labelOf(task, item, itemScope);
    const status = plainStatus(result);
    run.emit({ event: 'item', host: host.name, id: task.id, label, result: told(result, status, (performance.now() - began) / 1000, censored(task, itemScope)) });
    if (result.unreachable) break;
    if (index < items.length - 1 && task.loopControl.pause !== undefined) await run.sleep(Number(String(evaluate(task.loopControl.pause, itemScope))));
  }
  if (items.length > 0 && results.length === 0) return undefined;
  return combined(results);
}

function conditionFails(task: Task, scope: ReturnType<typeof scopeOf>): boolean {
  try {
    return !holds(task.when, scope);
  } catch {
    return false;
  }
}

/** What a loop gives as a whole: `results`, and the worst of them. */
function combined(results: readonly Outcome[]): Outcome {
  const bad = results.filter((result) => result.failed);
  const unknowns = results.filter((result) => result.unknown !== undefined);
  const allSkipped = results.every((result) => result.skipped);
  const whole = outcome(
    {
      results: results.map((result) => (result.unknown === undefined ? result.data : new Unknown(result.unknown))),
      msg: results.length === 0 ? 'No items in the list' : bad.length ? 'One or more items failed' : allSkipped ? 'All items skipped' : 'All items completed',
    },
    { changed: results.some((result) => result.changed), failed: bad.length > 0, skipped: allSkipped },
  );
  whole.changes = results.flatMap((result) => result.changes);
  whole.failure = bad[0]?.failure;
  if (allSkipped) whole.message = results.length === 0 ? 'no items in the list' : results[0]!.message;
  if (unknowns.length && unknowns.length === results.length) whole.unknown = unknowns[0]!.unknown;
  const lost = results.find((result) => result.unreachable);
  if (lost) [whole.unreachable, whole.failed, whole.failure] = [true, false, lost.failure];
  // Facts set by items count as if set one after the other.
  const facts = results.flatMap((result) => (result.data.get('ansible_facts') instanceof Map ? [...(result.data.get('ansible_facts') as Dict)] : []));
  if (facts.length) whole.data.set('ansible_facts', new Map(facts));
  return whole;
}

/** One item (or the whole task without a loop), repeated under `until`. */
async function onItem(call: Call): Promise<Outcome | undefined> {
  const { run, task, frame, host, loop } = call;
  const where = { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: false, ...(loop ? { loop } : {}) };
  const scope = scopeOf(run, where);
  try {
    const false_ = firstFalse(task.when, scope);
    if (false_) return skipped('Conditional result was False', { false_condition: String(false_.expression) });
  } catch (error) {
    return outcomeOfError(error, 'reading the condition (when)');
  }
  const untils = task.until;
  let attempts = 1;
  try {
    const plan = isCheck(call, scope);
    if (untils.length || task.retries !== undefined) {
      // Three attempts unless said otherwise; `retries: n` is the first attempt and n more.
      attempts = task.retries === undefined ? 3 : 1 + Math.max(0, Number(String(evaluate(task.retries, scope))));
      // Nothing changes between the attempts of a plan.
      if (plan) attempts = 1;
    }
    for (let attempt = 1; ; attempt++) {
      const result = judged(call, scope, await attemptOnce(call, untils.length > 0 || task.retries !== undefined));
      if (attempts > 1) result.data.set('attempts', attempt);
      if (result.unreachable || result.unknown !== undefined || result.skipped) return result;
      if (untils.length === 0 && (task.retries === undefined || !result.failed)) return result;
      const reached = untils.length > 0 && holds(untils, scopeOf(run, { ...where, extra: registered(task, result.data) }));
      if (reached) return result;
      if (attempt >= attempts) {
        if (plan && !result.failed) return result;
        if (result.failed) return result;
        const missed = failed(`gave up after ${attempts} attempts: ${untils.map((condition) => condition.expression).join(' and ')} did not come true`, {
          fields: Object.fromEntries(result.data as Map<string, Value>) as { [key: string]: unknown },
        });
        missed.changed = result.changed;
        return missed;
      }
      if (run.stopping) return result;
      const delay = task.delay === undefined ? 5 : Number(String(evaluate(task.delay, scope)));
      run.emit({ event: 'retry', host: host.name, task: nameOf(run, frame, task, host), attempt, retries: attempts - 1, delay, why: result.failure?.message ?? 'not yet' });
      await run.sleep(delay);
    }
  } catch (error) {
    return outcomeOfError(error, 'reading the keywords until, retries or delay');
  }
}

export function isCheck(call: Pick<Call, 'run' | 'task'>, scope: ReturnType<typeof scopeOf>): boolean {
  const { run, task } = call;
  return task.checkMode === undefined ? run.options.check : truthy(evaluate(task.checkMode, scope));
}

async function attemptOnce(call: Call, repeated: boolean): Promise<Outcome> {
  const { run, task, host } = call;
  try {
    const act = action(task.action);
    if (act) return await act(call);
    return await withFactsOfOthers(call, async (record) => {
      const job = await moduleJob(call, undefined, repeated ? async () => [] : aheadOf(call), record);
      // What is asked until it is so must be asked anew each time, and so must what comes behind it.
      if (repeated) job.machine.forget();
      const result = await perform(job);
      if (repeated) job.machine.forget();
      return result;
    });
  } catch (error) {
    return outcomeOfError(error, `running ${task.actionAsWritten}`);
  }
}

/**
 * A template that reads facts of hosts nobody has looked at (they are outside --limit, or their play comes later)
 * is no mistake: their facts are gathered and the task begins anew.
 */
async function withFactsOfOthers(call: Call, work: (record: Record) => Promise<Outcome>, tried = new Set<string>()): Promise<Outcome> {
  const record = new Record();
  try {
    return await work(record);
  } catch (error) {
    if (!(error instanceof UndefinedError)) throw error;
    const { run, frame } = call;
    const others = [...record.hosts].filter((name) => run.inventory.hosts.has(name) && run.variables.facts(name).size === 0 && !tried.has(name));
    if (others.length === 0) throw error;
    run.emit({ event: 'note', message: `gathering facts of ${others.join(', ')}, which ${call.host.name} reads` });
    await Promise.all(
      others.map(async (name) => {
        const gather: Call = { run, frame, task: ownTask(frame.play.play, 'setup', 'Gathering Facts', {}), host: run.admit(name), loop: undefined, index: 0 };
        const { data } = await perform(await moduleJob(gather, undefined, async () => []));
        const facts = data.get('ansible_facts');
        if (facts instanceof Map) run.variables.setFacts(name, facts);
      }),
    );
    return withFactsOfOthers(call, work, new Set([...tried, ...others]));
  }
}

function registered(task: Task, data: Dict): Dict {
  return task.register === undefined ? new Map() : new Map([[task.register, data]]);
}

/** changed_when and failed_when. */
function judged(call: Call, scope: ReturnType<typeof scopeOf>, result: Outcome): Outcome {
  const { run, task, frame, host, loop } = call;
  if (result.skipped || result.unreachable || result.unknown !== undefined) return result;
  if (task.changedWhen === undefined && task.failedWhen === undefined) return result;
  const seen = scopeOf(run, {
    play: frame.play,
    task,
    host: host.name,
    includes: includesOf(frame, host.name),
    ahead: false,
    extra: registered(task, result.data),
    ...(loop ? { loop } : {}),
  });
  try {
    if (task.changedWhen !== undefined) {
      result.changed = holds(task.changedWhen, seen);
      result.data.set('changed', result.changed);
    }
    if (task.failedWhen !== undefined) {
      const fails = holds(task.failedWhen, seen);
      result.data.set('failed', fails);
      result.data.set('failed_when_result', fails);
      if (fails && !result.failed) {
        const why = `failed_when: ${task.failedWhen.map((condition) => condition.expression).join(' and ')}`;
        result.failure = failed(why).failure;
        const text = (name: string) => (typeof result.data.get(name) === 'string' ? (result.data.get(name) as string) : undefined);
        const rc = result.data.get('rc');
        Object.assign(result.failure!, { stderr: text('stderr'), stdout: text('stdout'), rc: typeof rc === 'number' ? rc : undefined });
      }
      result.failed = fails;
      if (!fails) result.failure = undefined;
    }
    return result;
  } catch (error) {
    return outcomeOfError(error, 'reading changed_when or failed_when');
  }
}

export function plainStatus(result: Outcome): Status {
  if (result.unreachable) return 'unreachable';
  if (result.failed) return 'failed';
  if (result.unknown !== undefined) return 'unknown';
  if (result.skipped) return 'skipped';
  return result.changed ? 'changed' : 'ok';
}

/** Keeps what the result leaves: registered variable, facts, notifications, the host's standing, the count. */
function conclude(run: Run, frame: Frame, task: Task, host: HostRun, name: string, result: Outcome, seconds: number, quiet: boolean, sharers: readonly HostRun[]): void {
  const forHost = (value: Value | undefined) => value !== undefined && isTrue(run, frame, task, host, value);
  let status = plainStatus(result);
  if (status === 'failed' && forHost(task.ignoreErrors)) status = 'ignored';
  else if (status === 'failed' && host.rescuers > 0) status = 'rescued';
  const ignored = status === 'ignored' || (status === 'unreachable' && (forHost(task.ignoreUnreachable) || forHost(frame.play.play.ignoreUnreachable)));

  const facts = result.data.get('ansible_facts');
  for (const sharer of sharers) {
    if (task.register !== undefined) run.variables.setRegistered(sharer.name, task.register, result.unknown === undefined ? result.data : new Unknown(result.unknown));
    if (facts instanceof Map && task.action !== 'set_fact') run.variables.setFacts(factsOwner(run, frame, task, sharer), facts);
  }
  if (result.changed && !result.failed) notify(run, frame, task, host, name, sharers);
  const delegate = task.delegateTo === undefined ? undefined : run.delegates.get(`${task.id} ${host.name}`);
  run.emit({ event: 'result', host: host.name, id: task.id, task: name, origin: task.origin, delegate, result: told(result, status, seconds, quiet) });
  run.emit({ event: 'idle', host: host.name });
  run.times.push({ task: name, host: host.name, seconds });

  const { recap } = host;
  if (status !== 'skipped') host.done++;
  switch (status) {
    case 'ok':
      recap.ok++;
      break;
    case 'changed':
      recap.ok++;
      recap.changed++;
      break;
    case 'ignored':
      recap.ok++;
      recap.ignored++;
      if (result.changed) recap.changed++;
      break;
    case 'rescued':
    case 'failed':
    case 'unreachable':
    case 'skipped':
    case 'unknown':
      recap[status]++;
  }
  if (ignored) return;
  if (status === 'unreachable') host.lost = result;
  else if (result.failed) [host.failed, host.failedTask] = [result, name];
}

/** Facts of a delegated task belong to the host it runs for, unless `delegate_facts` says otherwise. */
function factsOwner(run: Run, frame: Frame, task: Task, host: HostRun): string {
  const delegate = run.delegates.get(`${task.id} ${host.name}`);
  return delegate !== undefined && task.delegateFacts !== undefined && isTrue(run, frame, task, host, task.delegateFacts) ? delegate : host.name;
}

function notify(run: Run, frame: Frame, task: Task, host: HostRun, name: string, sharers: readonly HostRun[]): void {
  if (task.notify.length === 0) return;
  const scope = scopeOf(run, { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: false });
  for (const value of task.notify) {
    const wanted = evaluate(value, scope);
    for (const handler of (Array.isArray(wanted) ? wanted : [wanted]).map((one) => String(toPlain(one, false)))) {
      for (const sharer of sharers) sharer.notified.add(handler);
      run.emit({ event: 'notify', host: host.name, handler, by: name });
    }
  }
}
