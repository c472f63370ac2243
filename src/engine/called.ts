import { notifiedBy } from '../playbook/index.js';
import type { Task } from '../playbook/types.js';
import { toPlain, type Value } from '../value/value.js';
import { callOf, scopeFor, type Frame } from './call.js';
import { evaluate } from './evaluate.js';
import type { HostRun } from './host.js';
import type { Run } from './run.js';
import { AHEAD } from './scope.js';

/** The handlers a notification means: all that listen to it, and the last one of that name. */
export function handlersCalled(run: Run, frame: Frame, name: string, host: HostRun): Task[] {
  const text = (handler: Task, value: Value): string[] => {
    try {
      const texts = evaluate(value, scopeFor(callOf(run, frame, handler, host), { ahead: AHEAD }));
      return (Array.isArray(texts) ? texts : [texts]).map((one) => String(toPlain(one, false)));
    } catch {
      // What cannot be told yet names nothing.
      return [];
    }
  };
  const bears = (handler: Task, value: Value) => text(handler, value).some((own) => notifiedBy(handler, own).includes(name));
  const { handlers } = frame.play;
  const listening = handlers.filter((handler) => handler.listen.some((topic) => bears(handler, topic)));
  // A role used twice brings its handlers twice: of those that have one name the last counts.
  const called = listening.filter((handler, i) => !listening.slice(i + 1).some((later) => handler.name !== undefined && later.name === handler.name && later.role?.path === handler.role?.path));
  const named = handlers.findLast((handler) => handler.name !== undefined && bears(handler, handler.name));
  if (named && !called.includes(named)) called.push(named);
  return called;
}
