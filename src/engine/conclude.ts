import type { Task } from '../playbook/types.js';
import type { Status } from '../report/events.js';
import { toPlain, Unknown, type Dict, type Value } from '../value/value.js';
import { ContentError } from '../value/errors.js';
import { handlersCalled } from './called.js';
import { argumentsOf, isTrue, scopeFor, type Call } from './call.js';
import { evaluate } from './evaluate.js';
import type { HostRun } from './host.js';
import { censored } from './job.js';
import { told, type Outcome } from './outcome.js';

export function plainStatus(result: Outcome): Status {
  if (result.unreachable) return 'unreachable';
  if (result.failed) return 'failed';
  if (result.unknown !== undefined) return 'unknown';
  if (result.skipped) return 'skipped';
  return result.changed ? 'changed' : 'ok';
}

/**
 * Keeps what a result leaves: registered variable, facts, notifications, the host's standing, the count.
 * @param sharers hosts that get the result: the host itself, or all under run_once
 * @throws ContentError for a keyword (ignore_errors, notify, …) that cannot be evaluated; nothing is kept then
 */
export function conclude(call: Call, name: string, result: Outcome, seconds: number, sharers: readonly HostRun[]): void {
  const { run, task, host } = call;
  const says = (value: Value | undefined) => value !== undefined && isTrue(call, value);
  const status = statusOf(call, result, says);
  const delegate = task.delegateTo === undefined ? undefined : run.delegates.get(`${task.id} ${host.name}`)?.name;
  const factsOfDelegate = delegate !== undefined && says(task.delegateFacts);
  const notified = result.changed && !result.failed ? handlersOf(call) : [];
  const missing = notified.find((handler) => handlersCalled(run, call.frame, handler, host).length === 0);
  if (missing !== undefined) throw new ContentError(`there is no handler "${missing}"`, task.notifyOrigin ?? task.origin, 'what a dynamic include brings can be notified once it is loaded');

  const facts = result.data.get('ansible_facts');
  for (const sharer of sharers) {
    if (task.register !== undefined) run.variables.setRegistered(sharer.name, task.register, registrable(result));
    // What set_fact and include_vars set stands at levels of its own.
    // Facts of a delegated task belong to the host it runs for, unless delegate_facts says otherwise.
    if (facts instanceof Map && task.action !== 'set_fact' && task.action !== 'include_vars') {
      const owner = factsOfDelegate ? delegate : sharer.name;
      run.variables.setFacts(owner, facts, task.action !== 'setup');
      if (task.action === 'setup') run.factCache.keep(owner, run.variables.facts(owner));
      else run.factCache.keepSet(owner, facts);
    }
    for (const handler of notified) sharer.notified.add(handler);
  }
  // Of a host that is out of reach, or cut off from outside, nobody knows how far it came: what it was to remember it keeps.
  if (!result.unreachable && !run.options.kill.aborted) run.pending.settle(call, sharers, notified);
  const said = warningsOf(result.data);
  if (said.length > 0 && !censored(task, scopeFor(call))) for (const warning of said) run.emit({ event: 'warning', message: `${host.name}: ${warning}`, origin: task.origin });
  for (const handler of notified) run.emit({ event: 'notify', host: host.name, handler, by: name });
  run.emit({ event: 'result', host: host.name, id: task.id, task: name, origin: task.origin, delegate, result: told(result, status, seconds, censored(task, scopeFor(call))) });
  run.times.push({ task: name, host: host.name, seconds });
  count(host, status, result);
  if (status === 'ignored') return;
  if (result.locked) run.lockedOut = true;
  if (status === 'unreachable' || result.locked) host.lost = result;
  else if (result.failed) [host.failed, host.failedTask] = [result, new Map<Value, Value>([['name', task.role ? name.replace(`${task.role.name} : `, '') : name], ['action', task.action], ['args', argsOf(call)], ['tags', task.tags.map((tag) => (typeof tag === 'string' ? tag : tag.text))], ['vars', new Map(task.vars.flatMap((vars) => [...vars]))]])];
}

/** What `register` keeps of a result. */
export function registrable({ unknown, data }: Outcome): Value {
  return unknown === undefined ? data : new Unknown(unknown);
}

/** What a module of others says besides its result: `warnings`, and `deprecations` with their `msg`. */
function warningsOf(data: Dict): string[] {
  const list = (name: string): Value[] => {
    const value = data.get(name);
    return Array.isArray(value) ? value : [];
  };
  const deprecated = list('deprecations').flatMap((each) => (each instanceof Map ? [`deprecated: ${String(each.get('msg'))}`] : []));
  return [...list('warnings').filter((each): each is string => typeof each === 'string'), ...deprecated];
}

/** A task's arguments; none where they cannot be told without an item. */
function argsOf(call: Call): Dict {
  try {
    return argumentsOf(call);
  } catch {
    return new Map();
  }
}

/** What becomes of a result: a failure (or that a host is out of reach) may be ignored, or met by a rescue around the task. */
function statusOf(call: Call, result: Outcome, says: (value: Value | undefined) => boolean): Status {
  const status = plainStatus(result);
  if (status === 'unreachable' && says(call.task.ignoreUnreachable ?? call.frame.play.play.ignoreUnreachable)) return 'ignored';
  if (status !== 'failed' || result.locked) return status;
  if (says(call.task.ignoreErrors)) return 'ignored';
  return call.host.rescuers > 0 ? 'rescued' : 'failed';
}

function count(host: HostRun, status: Status, result: Outcome): void {
  const { recap } = host;
  if (status !== 'skipped') host.done++;
  if (status === 'ok' || status === 'changed' || status === 'ignored') recap.ok++;
  if (status === 'changed' || (status === 'ignored' && result.changed)) recap.changed++;
  if (status !== 'ok' && status !== 'changed') recap[status]++;
}

/** Names the task notifies if its effect succeeds, as far as that can be told before; `changed_when` may still say otherwise. */
export function willNotify(call: Call): string[] {
  const { task } = call;
  if (task.notify.length === 0 || task.changedWhen?.every(({ expression }) => expression === false)) return [];
  try {
    return handlersOf({ ...call, loop: undefined, index: 0 });
  } catch {
    return [];
  }
}

/** Names the task notifies. */
function handlersOf(call: Call): string[] {
  const scope = scopeFor(call);
  return call.task.notify.flatMap((value) => {
    const wanted = evaluate(value, scope);
    return (Array.isArray(wanted) ? wanted : [wanted]).map((one) => String(toPlain(one, false)));
  });
}

/** The task without what could fail again while its failure is told. */
export function bare(task: Task): Task {
  return { ...task, ignoreErrors: undefined, ignoreUnreachable: undefined, notify: [], delegateFacts: undefined, delegateTo: undefined };
}
