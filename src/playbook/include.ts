import { bringRole, bringTasks, type Brought, type IncludePoint, type RoleOptions } from './bring.js';
import { checkEntries } from './check.js';
import type { LoadContext } from './context.js';
import { raiseFirst } from './problems.js';
import type { Role, Task } from './types.js';

/**
 * The tasks of a file for `include_tasks`: imports in it expanded, checked before the first of them runs.
 * @param path from `findTaskFile`
 * @throws ContentError for the first thing wrong; warnings go to `ctx.problems`
 */
export function loadTaskFile(path: string, point: IncludePoint, ctx: LoadContext): Promise<Brought> {
  return checked(point, ctx, (inner) => bringTasks(path, point, inner));
}

/**
 * A task whose module an expression names, now that the name is known: checked before it runs.
 * @throws ContentError for the first thing wrong; warnings go to `ctx.problems`
 */
export async function loadNamedTask(task: Task, module: string, baseDir: string, ctx: LoadContext): Promise<Task> {
  const inner: LoadContext = { ...ctx, problems: [] };
  const loaded = await task.named!.load(module, inner);
  if (loaded) await checkEntries([loaded], [], baseDir, inner);
  raiseFirst(inner.problems);
  ctx.problems.push(...inner.problems);
  return { ...loaded!, named: task.named! };
}

/**
 * A role for `include_role`, with those it depends on, checked before its first task runs.
 * @throws ContentError for the first thing wrong; warnings go to `ctx.problems`
 */
export function loadRole(name: string, options: RoleOptions, point: IncludePoint, ctx: LoadContext): Promise<Brought & { role: Role }> {
  return checked(point, ctx, async (inner) => {
    const brought = await bringRole(name, options, point, inner);
    raiseFirst(inner.problems);
    return brought!;
  });
}

async function checked<T extends Brought>(point: IncludePoint, ctx: LoadContext, bring: (inner: LoadContext) => Promise<T>): Promise<T> {
  const inner: LoadContext = { ...ctx, problems: [] };
  const brought = await bring(inner);
  await checkEntries([...brought.entries, ...brought.handlers], brought.roles, point.baseDir, inner);
  raiseFirst(inner.problems);
  ctx.problems.push(...inner.problems);
  return brought;
}
