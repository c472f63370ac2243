import type { Become, Target } from '../connection/connection.js';
import { OMIT, Record, type Scope } from '../expression/index.js';
import type { Reached } from '../journal/index.js';
import { loadModule, parseArgs, secretParams } from '../modules/index.js';
import type { Controller, Module, Output, Step } from '../modules/module.js';
import { display, hasManagerDefaults, isHarmless, managerDefaults, unconfirmable } from '../playbook/index.js';
import type { Task } from '../playbook/types.js';
import { sh } from '../shell/sh.js';
import { templates } from '../template/index.js';
import { ArgumentError, ContentError, UndefinedError, UnknownError } from '../value/errors.js';
import { holdsSecret, holdsSource, Secret, toPlain, type Value } from '../value/value.js';
import { isAction } from './actions/index.js';
import { ASYNC_FOLDER, newJobId, type Async } from './async.js';
import { evaluate, truthy } from './evaluate.js';
import { templateVariables } from './template-variables.js';
import { aside, type Ahead, type Machine, type Way } from './machine.js';
import { HIDDEN } from './outcome.js';
import { secretPieces } from './differences.js';
import type { Job } from './perform.js';
import { fingerprint } from './resume.js';
import { mustFind, type Speculated } from './scope.js';
import { willNotify } from './conclude.js';
import { argumentsOf, isCheck, numberOf, scopeFor, type Call } from './call.js';
import { becomeOf, targetOf } from './target.js';

/** The host a call really goes to: its own, or the one it is delegated to. */
export function destination(call: Call, ahead?: Speculated, scope: Scope = scopeFor(call, { ahead })): string {
  const { task, host } = call;
  if (task.delegateTo === undefined) return host.name;
  const value = evaluate(task.delegateTo, scope);
  if (value === OMIT || value === null) return host.name;
  return String(toPlain(value, true));
}

/** How a call reaches its machine, as its keywords and the variables have it. */
interface Reach {
  /** The machine's host: the call's own, or the one it is delegated to. */
  name: string;
  target: Target;
  become: Become | undefined;
  environment: { [name: string]: string };
}

/** The connection variables are those of the machine's own host. */
function reachOf(call: Call, ahead: Speculated | undefined, own: Scope): Reach {
  const { run, task } = call;
  const name = destination(call, ahead, own);
  const there = name === call.host.name ? own : scopeFor(call, { ahead, host: name });
  const target = targetOf(name, there, task, run.options);
  if (!ahead) tellDelegate(call, name, target);
  return { name, target, become: becomeOf(name, there, task, run.options), environment: environmentOf(task, own) };
}

/** Keeps where a call goes, for what is told of it. */
function tellDelegate({ run, task, host }: Call, name: string, target: Target): void {
  if (name !== host.name) run.delegates.set(`${task.id} ${host.name}`, target);
}

function wayTo({ run }: Call, { name, target, become, environment }: Reach): { machine: Machine; way: Way; name: string; target: Target } {
  return { machine: run.machines.machine(target), way: { connection: run.machines.connection(target), become, environment }, name, target };
}

/** How a call reaches its machine. */
export function wayOf(call: Call, ahead?: Speculated, own: Scope = scopeFor(call, { ahead })): { machine: Machine; way: Way; name: string; target: Target } {
  return wayTo(call, reachOf(call, ahead, own));
}

/**
 * The environment of a task, outermost layer first. What is made of the host's own is left out while its facts are not
 * known, as in Ansible: they are gathered in the same environment.
 */
function environmentOf(task: Task, scope: Scope): { [name: string]: string } {
  const environment: { [name: string]: string } = {};
  for (const layer of task.environment) {
    for (const part of Array.isArray(layer) ? layer : [layer]) {
      const dict = part instanceof Map ? part : evaluate(part, scope);
      if (dict === null || dict === '') continue;
      if (!(dict instanceof Map)) throw new ContentError('environment is not a dict', task.origin, 'write NAME: value pairs');
      for (const [key, member] of dict) {
        try {
          const value = evaluate(member, scope);
          if (value !== OMIT) environment[String(toPlain(key, true))] = text(value);
        } catch (error) {
          if (!(error instanceof UndefinedError) || !/ansible_env\b|"env"/.test(error.message)) throw error;
        }
      }
    }
  }
  return environment;
}

function text(value: Value): string {
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === null) return '';
  return value instanceof Secret ? String(value.reveal()) : typeof value === 'object' && 'toString' in value && !Array.isArray(value) && !(value instanceof Map) ? value.toString() : typeof value === 'object' ? JSON.stringify(toPlain(value, true)) : String(value);
}

/** What a call's arguments and the keywords that say how it reaches its machine come to. */
export interface Evaluated extends Arguments, Reach {}

/** @param ahead as for `moduleJob` */
export function evaluated(call: Call, module: Module, ahead: Speculated | undefined, record = new Record(), scope: Scope = scopeFor(call, { ahead })): Evaluated {
  return { ...argumentsFor(call, module, ahead, scope, record), ...reachOf(call, ahead, scope) };
}

/**
 * Everything a module needs to meet its machine.
 * @param ahead worked out before its turn, with these values taken to be so: nothing with an effect is evaluated
 * @param record notes what arguments and templates read
 * @param known what the call comes to, where that is known
 */
export async function moduleJob(call: Call, ahead: Speculated | undefined, take: Ahead, record = new Record(), known?: Evaluated): Promise<Job> {
  const { run, task, host, frame } = call;
  const scope = scopeFor(call, { ahead });
  const module = await loadModule(task.action);
  const found = known ?? evaluated(call, module, ahead, record, scope);
  const { args, secretFields } = found;
  const secrets = new Set(found.secrets);
  const { machine, way, target, name: goesTo } = wayTo(call, found);
  if (known && !ahead) tellDelegate(call, goesTo, target);
  const there = goesTo === host.name ? scope : scopeFor(call, { ahead, host: goesTo });
  const facts = ahead?.facts ?? run.variables.facts(host.name);
  const hidden = censored(task, scope);
  const diff = task.diff === undefined ? run.options.diff : truthy(evaluate(task.diff, scope));
  const controller: Controller = {
    host: host.name,
    delegate: task.delegateTo === undefined ? undefined : goesTo,
    facts: facts as unknown as ReadonlyMap<string, unknown>,
    registers: task.register !== undefined,
    variable: (name) => {
      const value = there.get(name, record);
      return value === undefined ? undefined : toPlain(value, true);
    },
    diff,
    verbosity: run.options.verbosity,
    hides: hidden,
    find: (name, folder) => Promise.resolve().then(() => mustFind(run, frame.play, task, name, folder)),
    render: (path, options, dest) =>
      Promise.resolve().then(() => {
        const given = templateVariables(path, dest, scope);
        if (ahead?.reads) ahead.reads.given = given;
        const own = scopeFor(call, { ahead, extra: new Map([...(ahead?.extra ?? []), ...given]) });
        const rendered = templates.render(display(path), own, record, options);
        for (const piece of secretPieces(rendered)) secrets.add(piece);
        return rendered;
      }),
  };
  let effect = 0;
  const check = isCheck(call, scope);
  return {
    module,
    args,
    controller,
    machine,
    way,
    ahead: take,
    check,
    planned: run.options.check,
    diff,
    verify: run.options.verify,
    timeout: task.timeout === undefined ? undefined : numberOf(call, task.timeout, 'timeout', scope) || undefined,
    async: asyncOf(call, module, way, scope),
    ...guardsOf(call, module, machine, way, target.name),
    keep: check || !run.undo ? undefined : { store: run.undo, effect: () => effect, reached: reachedBy(target, way), way, controller },
    review: run.options.review && ((changes) => run.options.review!({ host: host.name, task, index: call.loop === undefined ? undefined : call.index, check }, changes?.map((change) => ({ ...change, ...(hidden || secretFields.has(change.field) ? { secret: true } : {}) })))),
    get secrets() {
      return [...secrets];
    },
    secretFields,
    foundRight: () => host.foundRight(),
    known: async (step) => (secrets.size > 0 || isHarmless(task, module) ? undefined : fingerprint(step, way)),
    earlier: (command) => (command === undefined ? undefined : run.resume?.take(call, command)),
    announce: (changes, command) => {
      effect = ++run.effects;
      run.emit({ event: 'effect', effect, host: host.name, id: task.id, task: task.actionAsWritten, changes: hidden && changes.length > 0 ? [HIDDEN] : changes, notifies: willNotify(call), ...(command === undefined ? {} : { command }) });
      host.changed();
    },
    onOutput: hidden ? () => {} : byLine((text) => run.emit({ event: 'output', host: host.name, text })),
  };
}

interface Arguments {
  /** Parsed by the module's schema. */
  args: unknown;
  secrets: ReadonlySet<string>;
  secretFields: ReadonlySet<string>;
}

/** Of tasks whose arguments hold no expression: they are the same for every host and need reading once. */
const literal = new WeakMap<Task, Arguments>();

function argumentsFor(call: Call, module: Module, ahead: Speculated | undefined, scope: Scope, record: Record): Arguments {
  const { task } = call;
  const known = literal.get(task);
  if (known) return known;
  const byManager = hasManagerDefaults(task);
  const args = argumentsOf(call, ahead, record, scope);
  if (task.freeForm !== undefined && module.freeForm !== undefined && !args.has(module.freeForm)) {
    args.set(module.freeForm, evaluate(task.freeForm, scope, record));
  }
  if (byManager) {
    if (ahead?.reads) ahead.reads.onlyAhead = true;
    const facts = ahead?.facts ?? call.run.variables.facts(call.host.name);
    const defaults = managerDefaults(task, facts as unknown as ReadonlyMap<string, unknown>);
    const layer = defaults === undefined ? null : evaluate(defaults, scope, record);
    if (layer instanceof Map) for (const [name, value] of layer) if (!args.has(name)) args.set(name, value);
  }
  const secrets = new Set<string>();
  const secretFields = new Set(secretParams(module));
  for (const [name, value] of args) {
    collect(value, secrets);
    const field = String(toPlain(name, false));
    if (holdsSecret(value) || module.isSecret?.(field)) secretFields.add(field);
  }
  for (const name of secretFields) {
    const value = args.get(name);
    // A parameter marked secret makes its value a secret wherever the value came from.
    if (typeof value === 'string' && value !== '') secrets.add(String(new Secret(value).reveal()));
  }
  // What was worked out ahead is used in earnest too, and what is literal by all hosts: nobody may change it.
  const given: Arguments = { args: frozen(parseArgs(module, toPlain(args, true) as { [key: string]: any }, task.argOrigins)), secrets, secretFields };
  if (!byManager && !holdsSource(task.args) && !holdsSource(task.freeForm ?? null)) literal.set(task, given);
  return given;
}

/**
 * Makes known what an item that is skipped would have kept secret: it is told all the same, and a parameter marked secret
 * makes its value a secret wherever the value came from.
 */
export async function hush({ task }: Call, scope: Scope): Promise<void> {
  if (task.named || isAction(task.action)) return;
  const secret = secretParams(await loadModule(task.action));
  for (const [name, written] of task.args) {
    if (!secret.has(String(name))) continue;
    try {
      const value = evaluate(written, scope);
      if (typeof value === 'string' && value !== '') new Secret(value);
    } catch {} // What cannot be evaluated is nothing to keep.
  }
}

function frozen(data: unknown): unknown {
  if (typeof data !== 'object' || data === null || Object.isFrozen(data)) return data;
  for (const member of Object.values(data)) frozen(member);
  return Object.freeze(data);
}

/** What `async` asks for. @throws ContentError where the module does not do without the controller */
function asyncOf(call: Call, module: Module, way: Way, scope: Scope): Async | undefined {
  const { task, run } = call;
  const limit = task.async === undefined ? 0 : numberOf(call, task.async, 'async', scope);
  if (limit <= 0) return undefined;
  if (module.kind === 'imperative' && module.refusesAsync) {
    const message = `This action (${task.actionAsWritten}) does not support async.`;
    throw new ArgumentError(message, task.origin, undefined, { msg: message });
  }
  if (module.kind === 'conversation') throw new ContentError(`${task.actionAsWritten} does not support async`, task.origin, 'it speaks with its server from here: leave async out');
  const poll = task.poll === undefined ? 15 : numberOf(call, task.poll, 'poll', scope);
  const id = newJobId();
  return { id, limit, poll, folder: asyncFolder(way, scope), sleep: (seconds) => run.sleep(seconds), stopping: () => run.stopping, started: (job) => run.jobs.set(id, job) };
}

/** Where files of jobs are: `ansible_async_dir`, or ANSIBLE_ASYNC_DIR in the task's environment. */
export function asyncFolder(way: Way, scope: Scope): string {
  const named = scope.get('ansible_async_dir', new Record());
  return named === undefined || named === null ? way.environment['ANSIBLE_ASYNC_DIR'] ?? ASYNC_FOLDER : String(toPlain(named, true));
}

function reachedBy({ name, connection, port, user }: Target, { become, environment }: Way): Reached {
  return { name, connection: connection === 'local' ? 'local' : 'ssh', port, user, become: become && { method: become.method, user: become.user, flags: become.flags, exe: become.exe }, environment: { ...environment } };
}

const NOTHING: Step = { script: sh`:` };
const NO_OUTPUT: Output = { rc: 0, stdout: '', stderr: '' };

/**
 * How effects of a call are made: while the host's lock is ours, once what is notified is marked there, and, in a confirmed
 * block, once the old state is kept. What changes nothing needs none of it.
 * @param name of the host the call goes to
 */
function guardsOf(call: Call, module: Module, machine: Machine, way: Way, name: string): Pick<Job, 'guard' | 'claim'> {
  const { run, frame, task, host } = call;
  if (isHarmless(task, module)) return { guard: undefined, claim: undefined };
  const confirm = frame.confirm?.guards(host) ? frame.confirm : undefined;
  // What only an include brought has not been looked at before.
  const why = confirm && unconfirmable(task, module, confirm.declares(host));
  if (why) throw new ContentError(why.message, task.origin, why.hint);
  const { locks, pending } = run;
  type Carry<T> = (step: Step) => Promise<T>;
  const held = <T extends { output: Output }>(step: Step, carry: Carry<T>) => (locks ? locks.holding(machine, way, name, step, carry) : carry(step));
  const marked = <T extends { output: Output }>(step: Step, carry: Carry<T>) => pending.marking(call, machine, way, step, (behind) => held(behind, carry));
  return {
    guard: (step, touches, carry) => (confirm ? confirm.effect(host, machine, way, step, touches() ?? {}, (kept) => marked(kept, carry)) : marked(step, carry)),
    // A conversation's effect has no trip: what goes before it has one of its own.
    claim: async () => {
      const carry: Carry<{ output: Output }> = async (step) => ({ output: await aside(way, step) });
      await pending.marking(call, machine, way, NOTHING, async (step) => (step === NOTHING && locks?.holds(machine, way) !== false ? { output: NO_OUTPUT } : held(step, carry)), false);
    },
  };
}

/** Characters of a task's output that are told while it runs, and how many may wait for the end of their line. */
const LIVE = 1024 * 1024;

/** Whole lines only: a secret that arrives in two pieces could not be masked. Who prints without end is not listened to for ever. */
function byLine(tell: (text: string) => void): (piece: string) => void {
  let rest = '';
  let heard = 0;
  return (piece) => {
    if ((heard += piece.length) > LIVE) return;
    const end = (rest += piece).lastIndexOf('\n') + 1;
    // Lines that begin with a record separator are the modules' own notes, not output.
    const lines = rest.slice(0, end).replace(/^\x1e.*\n/gm, '');
    if (lines !== '') tell(lines);
    rest = rest.slice(end);
  };
}

/** Whether `no_log` hides the task. In doubt it does; the mistake itself is told by the task. */
export function censored(task: Task, scope: Scope): boolean {
  if (task.noLog === undefined) return false;
  try {
    return truthy(evaluate(task.noLog, scope));
  } catch (error) {
    if (error instanceof ContentError || error instanceof UnknownError) return true;
    throw error;
  }
}

function collect(value: Value, into: Set<string>): void {
  if (value instanceof Secret) into.add(String(value.reveal()));
  else if (Array.isArray(value)) for (const member of value) collect(member, into);
  else if (value instanceof Map) for (const member of value.values()) collect(member, into);
}
