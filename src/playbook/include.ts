import { isDict, type Dict, type Origin, type Value } from '../value/value.js';
import type { LoadContext } from './context.js';
import { inherit } from './inherit.js';
import { given } from './keywords.js';
import { raise } from './problems.js';
import { useRole, type From } from './roles.js';
import { loadTasksOf, type Frame } from './tasks.js';
import type { Entry, Inherited, Role, Task } from './types.js';

/** Where a dynamic include brings its tasks, and what they get from it. */
export interface IncludePoint {
  inherit: Inherited;
  /** The role whose task the include is. */
  role: Role | undefined;
  fileDir: string;
  /** Folder of the playbook. */
  baseDir: string;
  /** Id of the including task (with the item, where a loop brings it several times): part of the new tasks' ids. */
  via: string;
  origin: Origin;
  handlers: boolean;
}

/**
 * What tasks get from the include that brings them, as in Ansible: keywords of what is around the include (not its
 * own `when`, `tags`, `become`), its `vars`, and the keywords under `apply`.
 * @param vars further variables, e.g. the loop's item: the innermost layer
 */
export function includePoint(task: Task, baseDir: string, ctx: LoadContext, vars?: Dict, item?: string): IncludePoint {
  const apply = task.args.get('apply');
  const around: Inherited = { ...task.around, vars: vars === undefined ? task.vars : [...task.vars, vars] };
  return {
    inherit: isDict(apply) ? inherit(around, apply, task.origin, ctx) : around,
    role: task.role, fileDir: task.fileDir, baseDir, origin: task.origin, handlers: false,
    via: item === undefined ? task.id : `${task.id} (${item})`,
  };
}

/**
 * The tasks of a file for `include_tasks`; imports in it are expanded.
 * @param path from `findTaskFile`
 * @throws ContentError for the first thing wrong; warnings go to `ctx.problems`
 */
export async function loadTaskFile(path: string, point: IncludePoint, ctx: LoadContext): Promise<{ entries: Entry[]; roles: Role[]; handlers: Task[] }> {
  return checked(ctx, async (inner) => {
    const frame = frameOf(point, inner);
    const entries = await loadTasksOf(path, frame, point.origin);
    return { entries, roles: frame.play.roles, handlers: frame.play.handlers };
  });
}

/** Arguments of include_role, evaluated. */
export interface RoleOptions {
  from?: Partial<From>;
  params?: Dict;
  public?: boolean;
}

/**
 * A role for `include_role`, with those it depends on.
 * @throws ContentError for the first thing wrong; warnings go to `ctx.problems`
 */
export async function loadRole(
  name: string, options: RoleOptions, point: IncludePoint, ctx: LoadContext,
): Promise<{ role: Role; roles: Role[]; entries: Entry[]; handlers: Task[] }> {
  return checked(ctx, async (inner) => {
    const frame = frameOf(point, inner);
    const from: From = { tasks: 'main', vars: 'main', defaults: 'main', handlers: 'main', ...options.from };
    const used = await useRole(name, {
      params: options.params ?? new Map(), from, parent: point.role, public: options.public ?? false, again: true, origin: point.origin,
    }, frame);
    return { role: used?.role as Role, roles: frame.play.roles, entries: used?.entries ?? [], handlers: frame.play.handlers };
  });
}

function frameOf(point: IncludePoint, ctx: LoadContext): Frame {
  return {
    inherit: point.inherit, role: point.role, fileDir: point.fileDir, baseDir: point.baseDir, via: point.via, files: [],
    handlers: point.handlers, play: { roles: [], handlers: [], used: [] }, ctx,
  };
}

async function checked<T>(ctx: LoadContext, load: (inner: LoadContext) => Promise<T>): Promise<T> {
  const inner: LoadContext = { ...ctx, problems: [] };
  const loaded = await load(inner);
  raise(inner.problems);
  ctx.problems.push(...inner.problems);
  return loaded;
}
