import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { checkProject, loadPlaybook, renderProblem, sorted, type Entry, type LoadContext, type Task } from '../../src/playbook/index.js';
import { nothingInherited } from '../../src/playbook/inherit.js';
import { isDict, Source, toPlain, type Value } from '../../src/value/value.js';

/**
 * Folders of playbooks: `good/` with what is loaded from them, `bad/` with what is wrong in them, as recorded in
 * `expected.txt`. Paths in it are relative to the folder.
 */
const root = join('test', 'playbook');

function context(folder: string): LoadContext {
  return { projectDir: folder, rolesPath: [], extraVars: new Map([['which', 'two']]), problems: [] };
}

const compact = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => (member instanceof Source ? `<${member.text}>` : isDict(member) ? toPlain(withoutSources(member), false) : member));

function withoutSources(value: Value): Value {
  if (value instanceof Source) return `<${value.text}>`;
  if (Array.isArray(value)) return value.map(withoutSources);
  return isDict(value) ? new Map([...value].map(([key, member]) => [key, withoutSources(member)])) : value;
}

/** Fields of a task that are told only where they say something. */
function fields(task: Task): string {
  const { kind: _, around, id, origin, action, actionAsWritten, args, argOrigins, freeForm, fileDir, notifyOrigin, role, when, loop, loopControl, ...rest } = task;
  const plain = { ...nothingInherited(), until: [], notify: [], listen: [] } as { [field: string]: unknown };
  const told: { [field: string]: unknown } = {
    when: when.map(({ expression }) => expression),
    ...Object.fromEntries(['until', 'changedWhen', 'failedWhen'].map((key) => [key, task[key as 'until']?.map(({ expression }) => expression)])),
    loop: loop && { [loop.how]: loop.value },
    role: role?.name,
    ...(loopControl.loopVar === 'item' ? {} : loopControl),
  };
  return Object.entries({ ...rest, ...told })
    .filter(([key, value]) => value !== undefined && compact(value) !== compact(plain[key]))
    .map(([key, value]) => ` ${key}=${compact(value)}`)
    .join('');
}

function dump(entry: Entry, indent: string): string[] {
  if (entry.kind === 'task') return [`${indent}${entry.action} ${compact(entry.args)}${fields(entry)}  # ${entry.id}`];
  const part = (name: 'block' | 'rescue' | 'always'): string[] =>
    entry[name].length === 0 ? [] : [...(name === 'block' ? [] : [`${indent}${name}`]), ...entry[name].flatMap((each) => dump(each, `${indent}  `))];
  return [`${indent}block ${compact(entry.name) ?? ''}${entry.once === undefined ? '' : ' once'}`, ...part('block'), ...part('rescue'), ...part('always')];
}

function cases(kind: string): [name: string, folder: string, expected: string][] {
  return readdirSync(join(root, kind)).map((name) => {
    const folder = join(root, kind, name);
    return [name, folder, readFileSync(join(folder, 'expected.txt'), 'utf8')];
  });
}

for (const [name, folder, expected] of cases('good')) {
  test(`loaded: ${name}`, async (t) => {
    const ctx = context(folder);
    const { plays } = await loadPlaybook(join(folder, 'site.yml'), ctx);
    const lines = plays.flatMap(({ origin, baseDir: _, sections, handlers, roles, keywords, ...play }) => [
      `play ${compact(Object.fromEntries(Object.entries(play).filter(([, value]) => value !== undefined && compact(value) !== '[]' && compact(value) !== '{}')))}`,
      ...sections.flatMap((section) => (section.entries.length === 0 ? [] : [section.name, ...section.entries.flatMap((entry) => dump(entry, '  '))])),
      ...(handlers.length === 0 ? [] : ['handlers', ...handlers.flatMap((entry) => dump(entry, '  '))]),
      ...roles.map((role) => `role ${role.name} defaults=${compact(role.defaults)} vars=${compact(role.vars)} params=${compact(role.params)} dependencies=${compact(role.dependencies.map((each) => each.name))}`),
    ]);
    const problems = sorted(ctx.problems).map(renderProblem);
    t.is(`${[...lines, ...problems].join('\n')}\n`.replaceAll(`${folder}/`, ''), expected);
  });
}

for (const [name, folder, expected] of cases('bad')) {
  test(`found wrong: ${name}`, async (t) => {
    const problems = await checkProject([join(folder, 'site.yml')], context(folder));
    t.is(`${problems.map(renderProblem).join('\n')}\n`.replaceAll(`${folder}/`, ''), expected);
  });
}
