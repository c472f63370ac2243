import { isDict, type Dict, type Origin } from '../value/value.js';
import type { LoadContext } from './context.js';
import { inherit } from './inherit.js';
import { useRole, type From } from './roles.js';
import { loadTasksOf, type Frame } from './tasks.js';
import type { Entry, Inherited, Play, Role, Task } from './types.js';

/** Where a dynamic include brings its tasks, and what they get from it. */
export interface IncludePoint {
  inherit: Inherited;
  /** The role whose task the include is. */
  role: Role | undefined;
  fileDir: string;
  /** Folder of the playbook. */
  baseDir: string;
  /** The play's own. */
  playVars: Dict;
  /** Id of the including task (with the item, where a loop brings it several times): part of the new tasks' ids. */
  via: string;
  origin: Origin;
  handlers: boolean;
}

/**
 * What tasks get from the include that brings them, as in Ansible: keywords of what is around the include (not its
 * own `when`, `tags`, `become`), its `vars`, and the keywords under `apply`.
 * @param vars further variables, e.g. the loop's item: the innermost layer
 * @param item what tells several rounds of a loop apart
 */
export function includePoint(task: Task, { baseDir, vars: playVars }: Pick<Play, 'baseDir' | 'vars'>, ctx: LoadContext, vars?: Dict, item?: string): IncludePoint {
  const apply = task.args.get('apply');
  const around: Inherited = { ...task.around, vars: vars === undefined ? task.vars : [...task.vars, vars] };
  return {
    inherit: isDict(apply) ? inherit(around, apply, task.origin, ctx) : around,
    role: task.role, fileDir: task.fileDir, baseDir, playVars, origin: task.argOrigins.values().next().value ?? task.origin, handlers: false,
    via: item === undefined ? task.id : `${task.id} (${item})`,
  };
}

/** What an include brings. */
export interface Brought {
  entries: Entry[];
  /** Roles it brings, those that others depend on first. */
  roles: Role[];
  handlers: Task[];
}

/** Arguments of include_role, evaluated. */
export interface RoleOptions {
  from?: Partial<From>;
  params?: Dict;
  public?: boolean;
  /** Unless its argument spec is not to be read. */
  validate?: boolean;
}

/** The tasks of a file; what is wrong goes to `ctx.problems`. */
export async function bringTasks(path: string, point: IncludePoint, ctx: LoadContext): Promise<Brought> {
  const frame = frameOf(point, ctx);
  const entries = await loadTasksOf(path, frame, point.origin);
  return { entries, roles: frame.play.roles, handlers: frame.play.handlers };
}

/** A role with those it depends on; undefined where there is none. What is wrong goes to `ctx.problems`. */
export async function bringRole(name: string, options: RoleOptions, point: IncludePoint, ctx: LoadContext): Promise<(Brought & { role: Role }) | undefined> {
  const frame = frameOf(point, ctx);
  const used = await useRole(name, {
    params: options.params ?? new Map(), vars: new Map(), from: { tasks: 'main', vars: 'main', defaults: 'main', handlers: 'main', ...options.from },
    parent: point.role, public: options.public ?? false, again: true, validate: options.validate ?? true, origin: point.origin,
  }, frame);
  return used && { ...used, roles: frame.play.roles, handlers: frame.play.handlers };
}

function frameOf(point: IncludePoint, ctx: LoadContext): Frame {
  return {
    inherit: point.inherit, role: point.role, fileDir: point.fileDir, baseDir: point.baseDir, via: point.via, files: [],
    handlers: point.handlers, play: { vars: point.playVars, roles: [], handlers: [], used: [] }, ctx,
  };
}
