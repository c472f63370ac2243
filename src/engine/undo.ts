import { isDeepStrictEqual } from 'node:util';
import { keptEvents, UndoStore, type KeptBack, type KeptRun, type Reached } from '../journal/index.js';
import { ModuleError, type Change } from '../modules/module.js';
import { loadPlaybookText, type LoadContext } from '../playbook/index.js';
import type { Play, Task } from '../playbook/types.js';
import { toValue, type Plain, type Value } from '../value/value.js';
import { dumpYaml } from '../yaml/index.js';
import type { Reviewed } from './options.js';

/** The way back from a run: plays of one task each, the newest change first, and what has no way back. */
export interface Undo {
  plays: Play[];
  /** Inventory names of the machines. */
  hosts: string[];
  /** Holds each task to what the run left. @throws ModuleError where it is so no longer */
  review: (of: Reviewed, changes: readonly Change[] | undefined) => void;
  cannot: { host: string; task: string; why: string }[];
  /** Removes the old contents, which were opened for it. */
  close: () => void;
}

/** A step back for one machine. */
interface Step {
  name: string;
  way: Reached;
  back: KeptBack;
}

/** Steps that are the same for several machines. */
interface Group extends Step {
  steps: Map<string, Step>;
}

/**
 * Reads the way back from a run.
 * @param baseDir where `group_vars` and `host_vars` of the run's playbooks stand
 */
export async function undoOf(run: KeptRun, baseDir: string, context: LoadContext): Promise<Undo> {
  const store = new UndoStore(run.path);
  const told = tell(run);
  const files = new Map<string, string>();
  const opened = (name: string): string => {
    const file = files.get(name) ?? store.opened(store.contentOf(name));
    files.set(name, file);
    return file;
  };
  const taken = new Set<number>();
  const cannot: Undo['cannot'] = [];
  const back: Step[] = [];
  const again: Step[] = [];
  for (const { effect, way, back: steps, cannot: why } of store.read()) {
    taken.add(effect);
    const name = told.effects.get(effect)?.name ?? 'a task';
    for (const each of why) cannot.push({ host: way.name, task: name, why: each });
    const made = steps.map((each): Step => ({ name, way, back: { ...each, args: each.old === undefined ? each.args : { ...each.args, src: opened(each.old) } } }));
    // The newest change goes first, the steps of one change in their order.
    back.unshift(...made.filter((each) => !each.back.again));
    again.push(...made.filter((each) => each.back.again));
  }
  for (const [effect, { host, name, why }] of told.effects) if (!taken.has(effect) && why !== undefined) cannot.push({ host, task: name, why });
  const groups = grouped([...back, ...again.filter((step) => isOfUse(step, back))]);
  const plays = await playsOf(groups, baseDir, context);
  const expected = new Map(plays.map((play, i) => [taskOf(play).id, groups[i]!]));
  const review: Undo['review'] = ({ host, task }, changes) => {
    const step = expected.get(task.id)?.steps.get(host);
    if (step?.back.expected && changes) check(step.back.expected, changes);
  };
  return { plays, close: () => store.close(), hosts: [...new Set(groups.flatMap(({ steps }) => [...steps.keys()]))], review, cannot };
}

/** What a run told of its effects: host and task, and why one without a way back that was kept has none. */
function tell(run: KeptRun) {
  const names = new Map<string, string>();
  const effects = new Map<number, { host: string; id: string; name: string; why: string | undefined }>();
  const changed = new Map<string, boolean>();
  for (const event of keptEvents(run.path)) {
    if (event.event === 'task') names.set(event.id, event.task);
    else if (event.event === 'effect') effects.set(event.effect, { host: event.host, id: event.id, name: names.get(event.id) ?? event.task, why: `what ${event.task} did is not known` });
    else if (event.event === 'result') changed.set(`${event.host}\0${event.id}`, !['ok', 'skipped'].includes(event.result.status));
  }
  for (const effect of effects.values()) {
    const was = changed.get(`${effect.host}\0${effect.id}`);
    if (was === false) effect.why = undefined;
    else if (was === undefined) effect.why = 'the run ended while this was under way: whether it was made is not known, and the old state was not kept';
  }
  return { effects };
}

/** A restart is only worth it where something was put back, and not of what is stopped by that. */
function isOfUse({ way, back }: Step, others: readonly Step[]): boolean {
  const mine = others.filter((each) => each.way.name === way.name);
  const stops = (each: Step) => each.back.args['name'] === back.args['name'] && each.back.args['state'] === 'stopped';
  return mine.length > 0 && !mine.some(stops);
}

/** Puts steps that are the same for several machines together, each machine's own in their order. */
function grouped(steps: readonly Step[]): Group[] {
  const groups: (Group & { key: string })[] = [];
  const last = new Map<string, number>();
  for (const step of steps) {
    const { name: host, ...how } = step.way;
    const key = JSON.stringify([step.name, how, step.back.module, step.back.args, step.back.again]);
    const after = last.get(host) ?? -1;
    let at = groups.findIndex((group, i) => i > after && group.key === key && !group.steps.has(host));
    // The same restart twice is once too often.
    if (step.back.again && groups.some((group) => group.key === key && group.steps.has(host))) continue;
    if (at < 0) at = groups.push({ ...step, key, steps: new Map() }) - 1;
    groups[at]!.steps.set(host, step);
    last.set(host, at);
  }
  return groups;
}

function taskOf(play: Play): Task {
  return play.sections.find(({ name }) => name === 'tasks')!.entries[0] as Task;
}

/** Ordinary plays and tasks; what is put into them is data, whatever it looks like. */
async function playsOf(groups: readonly Group[], baseDir: string, context: LoadContext): Promise<Play[]> {
  const text = dumpYaml(groups.map(({ back }) => new Map<Value, Value>([['hosts', 'all'], ['gather_facts', false], ['tasks', [new Map<Value, Value>([[back.module, new Map()]])]]])));
  const { plays } = await loadPlaybookText(text, 'undo', context);
  plays.forEach((play, i) => {
    const { name, way, back, steps } = groups[i]!;
    play.baseDir = baseDir;
    play.name = 'undo';
    play.hosts = [...steps.keys()];
    const task = taskOf(play);
    task.name = `${back.again ? 'again' : 'undo'}: ${name}`;
    task.args = toValue(back.args as Plain) as Map<Value, Value>;
    task.become = way.become !== undefined;
    if (way.become) [task.becomeUser, task.becomeMethod, task.becomeFlags, task.becomeExe] = [way.become.user, way.become.method, way.become.flags, way.become.exe];
    task.connection = way.connection;
    [task.remoteUser, task.port] = [way.user, way.port];
    if (Object.keys(way.environment).length > 0) task.environment = [toValue(way.environment as Plain)];
  });
  return plays;
}

/** @throws ModuleError where leading back would do something else than it would have right after the run */
function check(expected: NonNullable<KeptBack['expected']>, changes: readonly Change[]): void {
  const now = changes.map(({ field, from, to }) => ({ field, from: from ?? null, to: to ?? null }));
  if (isDeepStrictEqual(now, JSON.parse(JSON.stringify(expected)))) return;
  const moved = changes.flatMap(({ field, from, secret }) => {
    const was = expected.find((each) => each.field === field);
    if (!was) return [`${field} has been changed since`];
    if (isDeepStrictEqual(was.from, from ?? null)) return [];
    return [secret ? `${field} has been changed since` : `${field} is ${JSON.stringify(from ?? null)}, the run left ${JSON.stringify(was.from)}`];
  });
  for (const { field } of expected) if (!changes.some((change) => change.field === field)) moved.push(`${field} is not what the run left any more`);
  throw new ModuleError(`not as the run left it, so it stays: ${moved.join('; ') || 'it is another change now'}`);
}
