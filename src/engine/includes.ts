import { findTaskFile, includePoint, loadRole, loadTaskFile } from '../playbook/index.js';
import type { Entry, Task } from '../playbook/types.js';
import { ContentError } from '../value/errors.js';
import { toPlain, type Dict } from '../value/value.js';
import { evaluate, holds, truthy } from './evaluate.js';
import type { HostRun } from './host.js';
import { argumentsOf, callOf, scopeFor, type Call, type Frame } from './call.js';
import { itemsIfAny, loopVariables } from './loop.js';
import { outcome, outcomeOfError, skipped, told } from './outcome.js';
import type { Run } from './run.js';
import { AHEAD, type Speculated } from './scope.js';
import { nameOf } from './task.js';
import { walk } from './walk.js';

export function isInclude(task: Task): boolean {
  return task.action === 'include_tasks' || task.action === 'include_role';
}

/** What an include turned out to name for one host (and one item). */
interface Wanted {
  key: string;
  load: () => Promise<readonly Entry[]>;
  /** Loop variables, seen by the included tasks. */
  vars: Dict;
}

/**
 * `include_tasks` and `include_role`: hosts that include the same thing walk it together; different things come
 * one after the other, in the order they were first named.
 */
export async function include(run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]): Promise<void> {
  const name = nameOf(callOf(run, frame, task, hosts[0]!));
  run.emit({ event: 'task', task: name, id: task.id, origin: task.origin, handler: frame.unit === 'handlers', action: task.action });
  const groups = new Map<string, { load: Wanted['load']; hosts: HostRun[]; vars: Map<string, Dict> }>();
  for (const host of hosts) {
    try {
      const wanted = await wantedOf(callOf(run, frame, task, host));
      const result = wanted.length === 0 ? skipped('Conditional result was False') : outcome({ include: wanted.map((one) => one.key) });
      if (wanted.length === 0) {
        host.recap.skipped++;
        run.emit({ event: 'result', host: host.name, id: task.id, task: name, origin: task.origin, delegate: undefined, result: told(result, 'skipped', 0, false) });
      }
      for (const one of wanted) {
        let group = groups.get(one.key);
        if (!group) groups.set(one.key, (group = { load: one.load, hosts: [], vars: new Map() }));
        group.hosts.push(host);
        group.vars.set(host.name, one.vars);
      }
    } catch (error) {
      fails(run, task, name, host, error);
    }
  }
  for (const group of groups.values()) {
    let entries: readonly Entry[];
    try {
      entries = await group.load();
    } catch (error) {
      for (const host of group.hosts) fails(run, task, name, host, error);
      continue;
    }
    const inner: Frame = { entries, index: 0, play: frame.play, includes: [...frame.includes, group.vars], parent: frame, confirm: frame.confirm, unit: frame.unit };
    await walk(run, inner, group.hosts.filter((host) => host.running));
  }
}

function fails(run: Run, task: Task, name: string, host: HostRun, error: unknown): void {
  const result = outcomeOfError(error, `including what "${task.actionAsWritten}" names`);
  const status = result.unknown !== undefined ? 'unknown' : host.rescuers > 0 ? 'rescued' : 'failed';
  run.emit({ event: 'result', host: host.name, id: task.id, task: name, origin: task.origin, delegate: undefined, result: told(result, status, 0, false) });
  host.recap[status]++;
  if (result.failed) host.failed = result;
}

/** For looking ahead: what the include gives this host, as far as that can be told. */
export async function loadedInclude(call: Call): Promise<{ entries: readonly Entry[]; frame: Frame } | undefined> {
  try {
    const wanted = await wantedOf(call, AHEAD);
    const entries: Entry[] = [];
    // Several items: looking into the first is enough, its answers serve most of the others' questions or none.
    if (wanted[0]) entries.push(...(await wanted[0].load()));
    const vars = new Map(wanted[0] ? [[call.host.name, wanted[0].vars]] : []);
    return { entries, frame: { entries, index: -1, play: call.frame.play, includes: [...call.frame.includes, vars], parent: call.frame } };
  } catch {
    return undefined;
  }
}

async function wantedOf(call: Call, ahead?: Speculated): Promise<Wanted[]> {
  const { task } = call;
  if (!task.loop) return holds(task.when, scopeFor(call, { ahead })) ? [one(call, ahead)] : [];
  const scope = scopeFor(call, { ahead });
  const items = itemsIfAny(task, scope) ?? [];
  const wanted: Wanted[] = [];
  for (const [index] of items.entries()) {
    const each: Call = { ...call, loop: loopVariables(task, items, index, scope), index };
    if (holds(task.when, scopeFor(each, { ahead }))) wanted.push(one(each, ahead));
  }
  return wanted;
}

function one(call: Call, ahead?: Speculated): Wanted {
  const { run, task, frame, loop } = call;
  const args = argumentsOf(call, ahead);
  const text = (name: string) => {
    const value = args.get(name);
    return value === undefined || value === null ? undefined : String(toPlain(value, true));
  };
  const free = task.freeForm === undefined ? undefined : String(toPlain(evaluate(task.freeForm, scopeFor(call, { ahead })), true));
  // What an include gives with `vars` is stronger than set_fact, as in Ansible ("include params").
  const vars: Dict = new Map([...task.vars.slice(task.around.vars.length).flatMap((own) => [...own]), ...(loop ?? [])]);
  const point = includePoint(task, frame.play.play, run.load, undefined, loop ? String(call.index + 1) : undefined);
  // Two items that include the same file are two rounds, not one.
  const round = loop ? ` (item ${call.index + 1})` : '';
  if (task.action === 'include_tasks') {
    const file = text('file') ?? free;
    if (!file) throw new ContentError('include_tasks names no file', task.origin, 'write include_tasks: FILE');
    return {
      key: file + round,
      vars,
      load: () =>
        run.loaded(`${point.via} ${file}`, async () => {
          const path = await findTaskFile(file, { fileDir: task.fileDir, role: task.role, baseDir: point.baseDir }, point.origin);
          const loaded = await loadTaskFile(path, point, run.load);
          frame.play.handlers.push(...loaded.handlers);
          return loaded.entries;
        }),
    };
  }
  const role = text('name') ?? text('role') ?? free;
  if (!role) throw new ContentError('include_role names no role', task.origin, 'write include_role: with name: ROLE');
  const options = {
    from: from({ tasks: text('tasks_from'), vars: text('vars_from'), defaults: text('defaults_from'), handlers: text('handlers_from') }),
    public: args.has('public') ? truthy(args.get('public')!) : (run.load.playDefaults?.publicRoles ?? false),
    validate: !args.has('rolespec_validate') || truthy(args.get('rolespec_validate')!),
  };
  return {
    key: role + (options.from.tasks ? `:${options.from.tasks}` : '') + round,
    vars,
    load: () =>
      run.loaded(`${point.via} ${role} ${JSON.stringify(options)}`, async () => {
        const loaded = await loadRole(role, options, point, run.load);
        frame.play.handlers.push(...loaded.handlers);
        if (options.public) frame.play.play.roles.push(...loaded.roles);
        return loaded.entries;
      }),
  };
}


/** Only the file names that were given; the loader knows the others. */
function from(files: { [part: string]: string | undefined }): { [part: string]: string } {
  return Object.fromEntries(Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
