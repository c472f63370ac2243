import { OMIT, Record, type Scope } from '../expression/index.js';
import type { Block, Entry, Task } from '../playbook/types.js';
import { WHOLE } from '../modules/index.js';
import { loadNamedTask } from '../playbook/index.js';
import { ContentError } from '../value/errors.js';
import { Source, toPlain, type Dict, type Value } from '../value/value.js';
import type { Reads, VariableScope } from '../variables/index.js';
import { evaluate, evaluatedData, truthy } from './evaluate.js';
import type { Confirming } from './confirm.js';
import type { HostRun } from './host.js';
import type { PlayRun } from './play.js';
import type { Run } from './run.js';
import { scopeOf, type Speculated } from './scope.js';

/**
 * Where the walk stands: an entry of a list, and what comes after the list. Reading on from here, through
 * the parents, gives the tasks behind the present one, which is all that looking ahead needs.
 */
export interface Frame {
  readonly entries: readonly Entry[];
  index: number;
  readonly play: PlayRun;
  /** Variables of the dynamic includes around, by host, outermost first. */
  readonly includes: readonly ReadonlyMap<string, Dict>[];
  readonly parent: Frame | undefined;
  /** The confirmed block around. */
  readonly confirm?: Confirming | undefined;
  /** What a resumed run begins anew as a whole: the outermost block around that has a rescue, an always or a confirmation; handlers. */
  readonly unit?: Block | 'handlers' | undefined;
}

/** A task (or one item of its loop) on its way to one host. */
export interface Call {
  run: Run;
  frame: Frame;
  task: Task;
  host: HostRun;
  loop: Dict | undefined;
  /** Its place in the loop; 0 without one. */
  index: number;
  /** What the items read, where they were evaluated ahead: members of an item are evaluated only when they are read. */
  itemReads?: Reads | undefined;
}

/** A task as a whole: not one item of its loop. */
export function callOf(run: Run, frame: Frame, task: Task, host: HostRun): Call {
  return { run, frame, task, host, loop: undefined, index: 0 };
}

/** What a call's values are evaluated with, besides what the call itself says. */
export interface Seeing {
  /** Worked out before its turn, with these values taken to be so: nothing with an effect is evaluated. */
  ahead?: Speculated | undefined;
  /** The present result under its register name. */
  extra?: Dict;
  /** Another host's variables (the one the call is delegated to). */
  host?: string;
}

export function scopeFor(call: Call, { ahead, extra, host }: Seeing = {}): VariableScope {
  const { run, frame, task, loop } = call;
  return scopeOf(run, {
    play: frame.play,
    task,
    host: host ?? call.host.name,
    includes: frame.includes.flatMap((layer) => layer.get(call.host.name) ?? []),
    ahead: ahead !== undefined,
    loop,
    extra: extra ?? ahead?.extra,
    facts: ahead?.facts,
    reads: ahead?.reads,
  });
}

/** The call with its task as it is once an expression that names its module is evaluated. @throws ContentError */
export async function withModule(call: Call, ahead?: Speculated): Promise<Call> {
  const { run, task, frame } = call;
  if (!task.named) return call;
  const { expression } = task.named;
  const module = toPlain(evaluate(expression, scopeFor(call, { ahead })), false);
  if (typeof module !== 'string') throw new ContentError(`"${expression.shown}" names no module: it is ${JSON.stringify(module)}`, expression.origin);
  return { ...call, task: await run.loaded(`${task.id} ${module}`, () => loadNamedTask(task, module, frame.play.play.baseDir, run.load)) };
}

/** A keyword that is a boolean, or an expression that gives one. */
export function isTrue(call: Call, value: Value, scope: Scope = scopeFor(call)): boolean {
  return truthy(evaluate(value, scope));
}

/** A keyword that is a number, or an expression that gives one. @throws ContentError */
export function numberOf(call: Call, value: Value, keyword: string, scope: Scope = scopeFor(call)): number {
  const plain = toPlain(evaluate(value, scope), true);
  const number = typeof plain === 'string' && plain.trim() !== '' ? Number(plain) : plain;
  if (typeof number === 'number' && !Number.isNaN(number)) return number;
  throw new ContentError(`${keyword} is ${JSON.stringify(plain)}, not a number`, call.task.origin);
}

/** Whether the call is part of a plan. */
export function isCheck(call: Call, scope: Scope = scopeFor(call)): boolean {
  const { checkMode } = call.task;
  return checkMode === undefined ? call.run.options.check : truthy(evaluate(checkMode, scope));
}

/** The evaluated arguments of a call; members equal to `omit` are gone. @param record notes what they read */
export function argumentsOf(call: Call, ahead?: Speculated, record = new Record(), scope: Scope = scopeFor(call, { ahead })): Dict {
  const args = new Map<Value, Value>();
  const read = call.task.action === 'set_fact' ? evaluatedData : evaluate;
  for (const [name, value] of call.task.args) {
    const evaluated = read(value, scope, record);
    if (evaluated === OMIT) continue;
    if (String(name).startsWith(WHOLE)) spread(args, evaluated, call);
    else args.set(name, evaluated);
  }
  return args;
}

/** What `set_fact` sets; its names may be templates (`"{{ item }}_port": 80`). @throws ContentError for what is no name */
export function factsOf(call: Call, ahead?: Speculated): Dict {
  const facts = new Map<Value, Value>();
  for (const [key, value] of argumentsOf(call, ahead)) {
    if (key === 'cacheable') continue;
    const origin = call.task.argOrigins.get(String(key)) ?? call.task.origin;
    const name = typeof key === 'string' && key.includes('{{') ? evaluate(new Source(key, origin), scopeFor(call, { ahead })) : key;
    if (typeof name !== 'string' || !/^[A-Za-z_]\w*$/.test(name))
      throw new ContentError(`"${String(toPlain(name, false))}" is no name for a variable`, origin, 'use letters, digits and underscores');
    facts.set(name, value);
  }
  return facts;
}

/** `args: "{{ dict }}"`: a whole dict of arguments known only now; those behind it win. */
function spread(args: Dict, value: Value, call: Call): void {
  if (!(value instanceof Map)) throw new ContentError('the arguments are not a dict', call.task.origin);
  for (const [name, member] of value) args.set(name, member);
}
