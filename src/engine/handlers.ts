import type { Task } from '../playbook/types.js';
import { toPlain } from '../value/value.js';
import { callOf, scopeFor, type Frame } from './call.js';
import { evaluate } from './evaluate.js';
import type { HostRun } from './host.js';
import type { Run } from './run.js';
import { AHEAD } from './scope.js';
import { runTask } from './task.js';
import { isInclude, include } from './includes.js';


/**
 * Runs what was notified: each handler once for each host that notified it, in the order handlers are written,
 * and what handlers notify in turn, until nothing is left.
 */
export async function flush(run: Run, frame: Frame, hosts: readonly HostRun[]): Promise<void> {
  const { play } = frame;
  const pending = new Map<HostRun, Set<Task>>(hosts.map((host) => [host, new Set()]));
  const expand = () => {
    for (const [host, tasks] of pending) {
      for (const name of host.notified) {
        const called = handlersCalled(run, frame, name, host);
        if (called.length === 0) run.emit({ event: 'warning', message: `no handler is called "${name}"`, host: host.name });
        run.pending.owe(host, play, name, called);
        for (const handler of called) tasks.add(handler);
      }
      host.notified.clear();
    }
  };
  for (expand(); [...pending].some(([host, tasks]) => host.running && tasks.size > 0) && !run.stopping; expand()) {
    for (const handler of play.handlers) {
      const called = hosts.filter((host) => host.running && pending.get(host)!.delete(handler));
      if (called.length === 0 || run.stopping) continue;
      const inner: Frame = { entries: [handler], index: 0, play, includes: frame.includes, parent: frame, confirm: frame.confirm, unit: 'handlers' };
      run.pending.begin(called, handler);
      await (isInclude(handler) ? include : runTask)(run, inner, handler, called);
      run.pending.end(called, handler);
      expand();
    }
  }
}

/** The handlers a notification means: all that listen to it, and the last one of that name. */
export function handlersCalled(run: Run, frame: Frame, name: string, host: HostRun): Task[] {
  const listening = frame.play.handlers.filter((handler) => handler.listen.includes(name));
  // A role used twice brings its handlers twice: of those that have one name the last counts.
  const called = listening.filter((handler, i) => !listening.slice(i + 1).some((later) => handler.name !== undefined && later.name === handler.name && later.role?.path === handler.role?.path));
  const named = frame.play.handlers.findLast((handler) => namesOf(run, frame, handler, host).includes(name));
  if (named && !called.includes(named)) called.push(named);
  return called;
}

function namesOf(run: Run, frame: Frame, handler: Task, host: HostRun): string[] {
  if (handler.name === undefined) return [];
  try {
    const name = String(toPlain(evaluate(handler.name, scopeFor(callOf(run, frame, handler, host), { ahead: AHEAD })), false));
    return handler.role ? [name, `${handler.role.name} : ${name}`] : [name];
  } catch {
    return [];
  }
}
