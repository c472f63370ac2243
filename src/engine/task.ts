import { setImmediate as turn } from 'node:timers/promises';
import { Record } from '../expression/index.js';
import type { Task } from '../playbook/types.js';
import { UndefinedError } from '../value/errors.js';
import { toPlain, toValue, Unknown, type Dict } from '../value/value.js';
import { action, happensOnce } from './actions/index.js';
import { aheadOf, prefetch } from './ahead.js';
import { callOf, isCheck, isTrue, numberOf, scopeFor, withModule, type Call, type Frame } from './call.js';
import { bare, conclude, plainStatus, registrable } from './conclude.js';
import { cutOff } from './confirm.js';
import { evaluate, firstFalse, holds } from './evaluate.js';
import type { HostRun } from './host.js';
import { censored, destination, hush, moduleJob } from './job.js';
import { itemsIfAny, labelOf, loopVariables } from './loop.js';
import { failed, outcome, outcomeOfError, skipped, told, type Outcome } from './outcome.js';
import { perform } from './perform.js';
import { ownTask } from './play.js';
import type { Run } from './run.js';
import { AHEAD } from './scope.js';

/** How many hosts begin a task in one turn of the event loop. */
const ABREAST = 16;

/** Runs a task on hosts at once, and returns when all are through. */
export async function runTask(run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]): Promise<void> {
  const first = await asFarAsKnown(callOf(run, frame, task, hosts[0]!));
  const name = nameOf(first);
  run.emit({ event: 'task', task: name, id: task.id, origin: task.origin, handler: frame.unit === 'handlers' || run.isHandler(task), action: first.task.action });
  if (happensOnce(first.task.action) || (task.runOnce !== undefined && isTrue(first, task.runOnce))) {
    await runOnHost(first, name, hosts);
    for (const host of hosts) {
      if (first.host.failed) host.failed ??= first.host.failed;
      if (first.host.lost) host.lost ??= first.host.lost;
    }
    return;
  }
  const throttle = run.throttle(task, () => numberOf(first, task.throttle!, 'throttle'));
  let busy = hosts.length;
  const through: Promise<void>[] = [];
  for (const [index, host] of hosts.entries()) {
    // Hosts whose answers are there already are done before the next few begin: a thousand in one step would all be in memory at once.
    if (index > 0 && index % ABREAST === 0) await turn();
    const done = throttle.run(async () => {
      await runOnHost(callOf(run, frame, task, host), name, [host]);
      // Most of what comes behind waits for facts: a host that has them need not wait for the others to look at it.
      if (--busy > 0 && task.action === 'setup' && host.running) void prefetch(run, host, { ...frame }).catch(() => undefined);
    });
    // Whoever fails while others are still begun is heard at the end.
    done.catch(() => undefined);
    through.push(done);
  }
  await Promise.all(through);
}

/** The call with its module, where that can be told without an item. */
function asFarAsKnown(call: Call): Promise<Call> {
  return call.task.loop ? Promise.resolve(call) : withModule(call).catch(() => call);
}

/** The task's name as shown: templated with the host's variables where that works. */
export function nameOf(call: Call): string {
  const { task } = call;
  const prefix = task.role ? `${task.role.name} : ` : '';
  if (task.name === undefined) return `${prefix}${task.actionAsWritten}`;
  try {
    return prefix + String(toPlain(evaluate(task.name, scopeFor(call, { ahead: AHEAD })), false));
  } catch {
    return prefix + String(toPlain(task.name, false));
  }
}

/** @param sharers hosts that get the result: the host itself, or all under run_once */
async function runOnHost(call: Call, name: string, sharers: readonly HostRun[]): Promise<void> {
  const { run, host, task } = call;
  if (run.stopping) return;
  const began = performance.now();
  run.emit({ event: 'busy', host: host.name, task: name, id: task.id });
  let result: Outcome | undefined;
  try {
    result = await onHost(call);
  } catch (error) {
    result = outcomeOfError(error, `working out the task's keywords`);
  }
  if (result?.unreachable && run.options.kill.aborted) result = failed('interrupted: what it did so far stays', { fields: { interrupted: true } });
  // Where nobody can be locked out, losing the host is a failure like others: it comes back with the old state.
  else if (result?.unreachable && call.frame.confirm?.isAtWork(host)) result = cutOff(result);
  if (result) {
    const seconds = (performance.now() - began) / 1000;
    try {
      conclude(await asFarAsKnown(call), name, result, seconds, sharers);
    } catch (error) {
      // A keyword that cannot be evaluated is the task's failure; without the keyword it can be told.
      conclude({ ...call, task: bare(task) }, name, outcomeOfError(error, `working out the task's keywords`), seconds, sharers);
    }
  }
  run.foresight.drop(call);
  run.emit({ event: 'idle', host: host.name });
}

/** The task on its host: once, or for each item. Undefined when the run was interrupted before anything happened. */
async function onHost(call: Call): Promise<Outcome | undefined> {
  const { run, task, host } = call;
  if (!task.loop) return onItem(call);
  const scope = scopeFor(call);
  const items = itemsIfAny(task, scope);
  if (!items) return skipped('the condition does not hold');
  const ignored = task.ignoreUnreachable ?? call.frame.play.play.ignoreUnreachable;
  const results: Outcome[] = [];
  for (const [index, item] of items.entries()) {
    if (run.stopping) break;
    const each: Call = { ...call, loop: loopVariables(task, items, index, scope), index };
    const began = performance.now();
    const result = await onItem(each);
    if (!result) break;
    for (const [variable, value] of each.loop!) if (variable !== 'ansible_loop') result.data.set(variable, value);
    results.push(result);
    // What comes behind in the loop sees what this item gave, until the loop as a whole is registered.
    if (task.register !== undefined) run.variables.setRegistered(host.name, task.register, registrable(result));
    const itemScope = scopeFor(each);
    const seconds = (performance.now() - began) / 1000;
    const hidden = censored(task, itemScope);
    // What is hidden may stand in the item itself.
    const label = hidden ? `item ${index + 1}` : labelOf(task, item, itemScope);
    run.emit({ event: 'item', host: host.name, id: task.id, label, result: told(result, plainStatus(result), seconds, hidden) });
    // A host out of reach ends the loop, unless others are to be tried all the same (items may go to different hosts).
    if (result.locked) break;
    if (task.loopControl.breakWhen.length > 0 && holds(task.loopControl.breakWhen, scopeFor(each, { extra: registered(task, result.data) }))) break;
    if (result.unreachable && !(ignored !== undefined && isTrue(each, ignored))) break;
    if (index < items.length - 1 && task.loopControl.pause !== undefined) await run.sleep(numberOf(each, task.loopControl.pause, 'pause'));
  }
  if (items.length > 0 && results.length === 0) return undefined;
  return combined(results);
}

/** What a loop gives as a whole: `results`, and the worst of them. */
function combined(results: readonly Outcome[]): Outcome {
  const bad = results.filter((result) => result.failed);
  const unknowns = results.filter((result) => result.unknown !== undefined);
  const allSkipped = results.every((result) => result.skipped);
  const whole = outcome(
    {
      results: results.map((result) => (result.unknown === undefined ? result.data : new Unknown(result.unknown))),
      msg: bad.length ? 'One or more items failed' : allSkipped ? 'All items skipped' : 'All items completed',
    },
    { changed: results.some((result) => result.changed), failed: bad.length > 0, skipped: allSkipped },
  );
  whole.data.set('skipped', allSkipped);
  if (bad.length === 0) whole.data.delete('failed');
  if (results.length === 0) {
    whole.data.delete('msg');
    whole.data.set('skipped_reason', 'No items in the list');
  }
  whole.changes = results.flatMap((result) => result.changes);
  whole.failure = bad[0]?.failure;
  if (allSkipped) whole.message = results.length === 0 ? 'no items in the list' : results[0]!.message;
  if (unknowns.length && unknowns.length === results.length) whole.unknown = unknowns[0]!.unknown;
  const lost = results.find((result) => result.unreachable);
  // As a command taken from an earlier run, the loop says what it said then.
  if (results.some(({ resumed, data }) => resumed && data.get('changed') === true)) whole.data.set('changed', true);
  whole.locked = results.some(({ locked }) => locked);
  if (lost) {
    [whole.unreachable, whole.failed, whole.failure] = [true, false, lost.failure];
    whole.data.set('unreachable', true);
  }
  // Facts set by items count as if set one after the other.
  const facts = results.flatMap((result) => (result.data.get('ansible_facts') instanceof Map ? [...(result.data.get('ansible_facts') as Dict)] : []));
  if (facts.length) whole.data.set('ansible_facts', new Map(facts));
  return whole;
}

/** One item (or the whole task without a loop), repeated under `until`. */
async function onItem(given: Call): Promise<Outcome | undefined> {
  const { run, task, host } = given;
  const scope = scopeFor(given);
  try {
    const false_ = firstFalse(task.when, scope);
    if (false_) {
      if (given.loop) await hush(given, scope);
      return skipped('Conditional result was False', { false_condition: String(false_.expression) });
    }
  } catch (error) {
    return outcomeOfError(error, 'reading the condition (when)');
  }
  let call: Call;
  try {
    call = await withModule(given);
  } catch (error) {
    return outcomeOfError(error, 'finding out which module the task is of');
  }
  const untils = task.until;
  let attempts = 1;
  try {
    // A look in check mode of a real run (check_mode: true) may well find another answer.
    const plan = run.options.check && isCheck(call, scope);
    if (untils.length || task.retries !== undefined) {
      // Three attempts unless said otherwise; `retries: n` is the first attempt and n more.
      attempts = task.retries === undefined ? 3 : 1 + Math.max(0, numberOf(call, task.retries, 'retries', scope));
      // Nothing changes between the attempts of a plan.
      if (plan) attempts = 1;
    }
    for (let attempt = 1; ; attempt++) {
      const tried = await attemptOnce(call, untils.length > 0 || task.retries !== undefined);
      const delegated = delegation(call);
      if (delegated) tried.data.set('_ansible_delegated_vars', delegated);
      // changed_when and failed_when may ask for it.
      if (attempts > 1) tried.data.set('attempts', attempt);
      const result = judged(call, tried);
      if (result.unreachable || result.locked || result.resumed || result.unknown !== undefined || result.skipped) return result;
      if (untils.length === 0 && (task.retries === undefined || !result.failed)) return result;
      const reached = untils.length > 0 && holds(untils, scopeFor(call, { extra: registered(task, result.data) }));
      if (reached) return result;
      if (attempt >= attempts) {
        if (plan && !result.failed) return result;
        // As Ansible counts them: the first attempt is not one of the retries.
        if (attempts > 1) result.data.set('attempts', attempts - 1);
        if (result.failed) return result;
        // What is registered stays the result of the last attempt. As in Ansible, it is failed_when that says whether the task is.
        result.data.set('failed', true);
        if (task.failedWhen !== undefined) return result;
        const missed = failed(`gave up after ${attempts} attempts: ${untils.map((condition) => condition.expression).join(' and ')} did not come true`);
        return { ...missed, changed: result.changed, data: result.data };
      }
      if (run.stopping) return result;
      const delay = task.delay === undefined ? 5 : numberOf(call, task.delay, 'delay', scope);
      run.emit({ event: 'retry', host: host.name, task: nameOf(call), attempt, retries: attempts - 1, delay, why: result.failure?.message ?? 'not yet' });
      await run.sleep(delay);
    }
  } catch (error) {
    return outcomeOfError(error, 'reading the keywords until, retries or delay');
  }
}

/** What a result tells of the host its task was delegated to, as Ansible's do; of what happens on the controller just who that is. */
function delegation(call: Call): Dict | undefined {
  const { run, task, host } = call;
  if (task.delegateTo === undefined) return undefined;
  // Where a trip went is not evaluated again: it may have been taken at random.
  const target = action(task.action) ? undefined : run.delegates.get(`${task.id} ${host.name}`);
  const name = target?.name ?? destination(call);
  if (name === host.name) return undefined;
  return toValue({ ansible_delegated_host: name, ...(target ? { ansible_host: target.host, ansible_port: target.port, ansible_user: target.user, ansible_connection: target.connection } : {}) }) as Dict;
}

async function attemptOnce(call: Call, repeated: boolean): Promise<Outcome> {
  const { task } = call;
  try {
    const act = action(task.action);
    if (act) return await act(call);
    return await withFactsOfOthers(call, async (record) => {
      const job = await moduleJob(call, undefined, repeated ? async () => [] : aheadOf(call), record, call.run.foresight.of(call)?.evaluated);
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
        const gather = callOf(run, frame, ownTask(frame.play.play, 'setup', 'Gathering Facts', {}), run.admit(name));
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

/** changed_when and failed_when. A condition that cannot be told fails the task, which keeps what its module returned. */
function judged(call: Call, result: Outcome): Outcome {
  const { task } = call;
  if (result.skipped || result.unreachable || result.locked || result.resumed || result.unknown !== undefined) return result;
  if (task.changedWhen === undefined && task.failedWhen === undefined) return result;
  const seen = scopeFor(call, { extra: registered(task, result.data) });
  let judging = 'changed_when';
  try {
    if (task.changedWhen !== undefined) {
      result.changed = holds(task.changedWhen, seen);
      result.data.set('changed', result.changed);
    }
    judging = 'failed_when';
    if (task.failedWhen !== undefined) {
      const fails = holds(task.failedWhen, seen);
      result.data.set('failed', fails);
      result.data.set('failed_when_result', fails);
      if (fails && !result.failed) fail(result, failed(`failed_when: ${task.failedWhen.map((condition) => condition.expression).join(' and ')}`));
      result.failed = fails;
      if (!fails) result.failure = undefined;
    }
    return result;
  } catch (error) {
    // Conditions on what a task returns may stumble over one that failed early: how it failed says more.
    const why = outcomeOfError(error, `reading ${judging}`);
    if (why.unknown !== undefined) return result.failed ? result : why;
    result.data.set(`${judging}_result`, why.data.get('msg') ?? null).set('failed', true);
    if (!result.failed) fail(result, why);
    return result;
  }
}

/** Fails what its module made well, telling what that printed. */
function fail(result: Outcome, { failure }: Outcome): void {
  const text = (name: string) => (typeof result.data.get(name) === 'string' ? (result.data.get(name) as string) : undefined);
  const rc = result.data.get('rc');
  result.failure = { ...failure!, stderr: text('stderr'), stdout: text('stdout'), rc: typeof rc === 'number' ? rc : undefined };
  result.failed = true;
}
