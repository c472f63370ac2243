import { join, resolve } from 'node:path';
import test from 'ava';
import { findTaskFile, includePoint, loadPlaybook, loadRole, loadTaskFile, type Entry, type LoadContext, type Role, type Task } from '../../src/playbook/index.js';
import type { ContentError } from '../../src/value/errors.js';
import { toPlain } from '../../src/value/value.js';

const folder = join('test', 'playbook', 'dynamic');

async function includes(): Promise<{ ctx: LoadContext; tasks: Task[] }> {
  const ctx: LoadContext = { projectDir: folder, rolesPath: [], extraVars: new Map(), problems: [] };
  const { plays } = await loadPlaybook(join(folder, 'site.yml'), ctx);
  return { ctx, tasks: leaves(plays[0]!.sections.flatMap(({ entries }) => entries)) };
}

function leaves(entries: readonly Entry[]): Task[] {
  return entries.flatMap((entry) => (entry.kind === 'task' ? [entry] : leaves([...entry.block, ...entry.rescue, ...entry.always])));
}

test('included tasks get what is around the include, its vars and what it applies, not its own keywords', async (t) => {
  const { ctx, tasks } = await includes();
  const [include] = tasks as [Task];
  const point = includePoint(include, { baseDir: resolve(folder), vars: new Map() }, ctx, new Map([['item', 'x']]), '1');
  const path = await findTaskFile('tasks/inner.yml', point);
  const { entries, roles, handlers } = await loadTaskFile(path, point, ctx);
  const [first, second] = leaves(entries) as [Task, Task];
  t.deepEqual(first.when.map(({ expression }) => expression), ['around', 'applied_condition', 'mine']);
  t.deepEqual(first.tags, ['play', 'applied', 'mine']);
  t.deepEqual(first.vars.map((vars) => toPlain(vars, false)), [{ layer: 0 }, { given: 1 }, { item: 'x' }]);
  t.is(first.become, true);
  t.is(first.becomeUser, 'app');
  t.is(first.id, `${folder}/tasks/inner.yml:1:3 < ${folder}/site.yml:6:11 (1)`);
  t.is(second.role?.name, 'below');
  t.deepEqual(roles.map(({ name }) => name), ['below']);
  t.deepEqual(handlers, []);
  t.deepEqual(ctx.problems, []);
});

test('a handler of a role names a file of its tasks/ from the role', async (t) => {
  const role = { path: resolve(folder, 'roles', 'helper') } as Role;
  const place = { role, fileDir: join(role.path, 'handlers'), baseDir: resolve(folder) };
  t.is(await findTaskFile('tasks/main.yml', place), join(role.path, 'tasks', 'main.yml'));
  t.is(await findTaskFile('main.yml', place), join(role.path, 'handlers', 'main.yml'));
});

test('an included role brings those it depends on, its handlers and its variables', async (t) => {
  const { ctx, tasks } = await includes();
  const brought = await loadRole('helper', { from: { tasks: 'main' }, public: true }, includePoint(tasks[1]!, { baseDir: resolve(folder), vars: new Map() }, ctx), ctx);
  t.deepEqual(leaves(brought.entries).map(({ args }) => args.get('data')), ['below', 'helper']);
  t.deepEqual(brought.roles.map(({ name }) => name), ['below', 'helper']);
  t.deepEqual(brought.handlers.map(({ name }) => name), ['reload']);
  t.like(brought.role, { name: 'helper', public: true });
  t.deepEqual(brought.role.dependencies.map(({ name }) => name), ['below']);
  t.deepEqual(toPlain(brought.role.defaults, false), { size: 1 });
});

test('what is wrong in an include is told before its first task', async (t) => {
  const { ctx, tasks } = await includes();
  const point = includePoint(tasks[2]!, { baseDir: resolve(folder), vars: new Map() }, ctx);
  const wrong = await t.throwsAsync(loadTaskFile(await findTaskFile('tasks/wrong.yml', point), point, ctx));
  t.is((wrong as ContentError).describe(), `${folder}/tasks/wrong.yml:1:10: ping has no parameter "dat" (and 1 more, see muster lint); did you mean "data"?`);
  const missing = await t.throwsAsync(findTaskFile('no.yml', point, point.origin));
  t.is((missing as ContentError).describe(), `${folder}/site.yml:15:22: there is no task file "no.yml"; looked for ${folder}/no.yml, ${folder}/tasks/no.yml`);
  const role = await t.throwsAsync(loadRole('nobody', {}, point, ctx));
  t.regex(role!.message, /^there is no role "nobody"$/);
});
