import { readdir } from 'node:fs/promises';
import { basename, extname, isAbsolute, join } from 'node:path';
import { parseArgs } from '../modules/index.js';
import { collectionOf } from '../plugins/index.js';
import { isDict, Source, toPlain, type Dict, type Origin, type Value } from '../value/value.js';
import { originOf } from '../yaml/index.js';
import { loadSpec } from './actions.js';
import { validationTask } from './argument_spec.js';
import { complain, display, firstFile, isFile, isFolder, readVars as readVarsFile, readYaml, type LoadContext } from './context.js';
import { inherit } from './inherit.js';
import { asList, checkKeywords, given, isKeyword, place, ROLE, shown } from './keywords.js';
import { inCollections, pluginsIn } from './own.js';
import { caught } from './problems.js';
import { staticText, staticValue } from './static.js';
import { idOf, knownVars, loadEntries, loadTasksOf, type Frame } from './tasks.js';
import type { Block, Entry, Inherited, Role, Task } from './types.js';

/** Which files of a role are used; `main` where nothing is said. */
export interface From {
  tasks: string;
  vars: string;
  defaults: string;
  handlers: string;
}

const MAIN: From = { tasks: 'main', vars: 'main', defaults: 'main', handlers: 'main' };

/** How a role is used at one place. */
export interface RoleUse {
  params: Dict;
  /** `vars` of the entry itself: with the parameters, what tells two uses apart. */
  vars: Dict;
  from: From;
  parent: Role | undefined;
  public: boolean;
  /** Runs though the same use ran before. */
  again: boolean;
  /** Its arguments are checked by its argument spec first. */
  validate: boolean;
  origin: Origin;
}

/** `roles:` of a play: names, or dicts with keywords and parameters. Adds handlers and roles to the play. */
export async function loadRoles(list: Value | undefined, at: Origin, frame: Frame): Promise<Entry[]> {
  return useListed(list, at, frame, undefined);
}

/** Entries of `roles:` or of the dependencies in meta/main.yml. */
async function useListed(list: Value | undefined, at: Origin, frame: Frame, parent: Role | undefined): Promise<Entry[]> {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) {
    complain(frame.ctx, `a list of roles is wanted here, not ${shown(list)}`, at, 'begin each role with a dash');
    return [];
  }
  const entries: Entry[] = [];
  for (const [i, member] of list.entries()) {
    const origin = place(list, i, at);
    const dict: Dict = isDict(member) ? member : new Map([['role', member]]);
    const name = nameOf(dict, origin, frame);
    if (name === undefined) continue;
    if (dependsOnItself(name, parent)) {
      complain(frame.ctx, `the role "${name}" depends on itself`, origin);
      continue;
    }
    const params: Dict = new Map([...dict].filter(([key]) => !isKeyword(String(key), ROLE) && key !== 'name'));
    checkKeywords(dict, ROLE, 'a role', origin, frame.ctx, () => true);
    const inner = { ...frame, inherit: inherit(frame.inherit, dict, origin, frame.ctx), via: idOf(origin, frame.via) };
    const used = await useRole(name, { params, vars: isDict(dict.get('vars')) ? (dict.get('vars') as Dict) : new Map(), from: MAIN, parent, public: parent?.public ?? frame.ctx.playDefaults?.publicRoles ?? true, again: false, validate: true, origin }, inner);
    if (used === undefined) continue;
    if (parent) parent.dependencies.push(used.role);
    entries.push(...used.entries);
  }
  return entries;
}

function dependsOnItself(name: string, parent: Role | undefined): boolean {
  return parent !== undefined && ([parent.name, parent.shortName].includes(basename(name)) || dependsOnItself(name, parent.parent));
}

function nameOf(dict: Dict, at: Origin, frame: Frame): string | undefined {
  const key = dict.has('role') ? 'role' : 'name';
  const value = given(dict, key);
  if (value !== undefined) return staticText(value, originOf(dict, key) ?? at, 'the name of a role', frame.ctx, () => knownVars(frame));
  complain(frame.ctx, 'an entry of "roles" needs a role', at, 'write "- name", or "- role: name" with parameters');
  return undefined;
}

/** `import_role`: the role's tasks in place of the task. */
export async function importRole(args: Dict, origins: ReadonlyMap<string, Origin>, at: Origin, frame: Frame): Promise<Entry[]> {
  const plain = new Map([...args].map(([key, value]): [string, Value] => {
    const origin = origins.get(String(key)) ?? at;
    return [String(key), value instanceof Source ? staticValue(value, origin, `"${String(key)}" of import_role`, frame.ctx, () => knownVars(frame)) ?? null : value];
  }));
  if ([...plain.values()].includes(null)) return [];
  try {
    const { name, ...use } = parseArgs(await loadSpec('import_role'), toPlain(new Map(plain), true) as {}, origins);
    const from: From = { tasks: use.tasks_from, vars: use.vars_from, defaults: use.defaults_from, handlers: use.handlers_from };
    const used = await useRole(name, { params: new Map(), vars: new Map(), from, parent: frame.role, public: use.public ?? frame.ctx.playDefaults?.publicRoles ?? true, again: use.allow_duplicates, validate: use.rolespec_validate, origin: at }, { ...frame, imported: true });
    return used?.entries ?? [];
  } catch (error) {
    frame.ctx.problems.push(caught(error, at));
    return [];
  }
}

/** Loads one use of a role: its dependencies' tasks first, then its own; handlers and roles go to `frame.play`. */
export async function useRole(name: string, use: RoleUse, frame: Frame): Promise<{ role: Role; entries: Entry[] } | undefined> {
  const { ctx } = frame;
  const path = await findRole(name, use.parent, frame, use.origin);
  if (path === undefined) return undefined;
  await pluginsIn(path, ctx);
  const meta = await readMeta(path, ctx);
  const collection = collectionOf(path);
  const shortName = collection !== undefined && name.startsWith(`${collection}.`) ? name.slice(collection.length + 1) : basename(name);
  const role: Role = {
    name: collection === undefined ? shortName : `${collection}.${shortName}`, collection, shortName, path, params: use.params, parent: use.parent, public: use.public,
    defaults: await readVars(path, 'defaults', use.from.defaults, use.origin, ctx),
    vars: await readVars(path, 'vars', use.from.vars, use.origin, ctx),
    dependencies: [], handlers: [],
    allowDuplicates: use.again || given(meta, 'allow_duplicates') === true,
  };
  const key = role.allowDuplicates ? undefined : JSON.stringify([path, toPlain(role.params, false), toPlain(use.vars, false)]);
  const before = frame.play.used.filter((each) => each.key !== undefined && each.key === key);
  if (before.some((each) => !each.imported && covers(each.inherit, frame.inherit))) return { role, entries: [] };
  frame.play.used.push({ key, inherit: frame.inherit, imported: frame.imported === true });
  const entries = await useListed(given(meta, 'dependencies'), place(meta, 'dependencies', use.origin), { ...frame, role: undefined }, role);
  frame.play.roles.push(role);

  // A role names the modules of its own collection, and of those its meta lists, without them; the play's list is not its own.
  const collections = [...(collection === undefined ? [] : [collection]), ...asList(given(meta, 'collections'))];
  const inner: Frame = { ...frame, role, files: frame.files, inherit: { ...frame.inherit, collections: collections.length > 0 ? collections : undefined } };
  const handlersFile = await roleFile(path, 'handlers', use.from.handlers, use.origin, ctx);
  if (handlersFile !== undefined) {
    role.handlers = (await loadTasksOf(handlersFile, { ...inner, handlers: true }, use.origin)) as Task[];
    frame.play.handlers.push(...role.handlers);
  }
  const tasksFile = await roleFile(path, 'tasks', use.from.tasks, use.origin, ctx);
  const block = tasksFile === undefined ? [] : await loadTasksOf(tasksFile, { ...inner, handlers: frame.handlers }, use.origin);
  const validation = use.validate && !frame.handlers ? await validationTask(role, use.from.tasks.replace(/\.ya?ml$/, ''), meta, ctx) : undefined;
  if (validation) block.unshift(...(await loadEntries([validation.task], originOf(validation.specs, use.from.tasks) ?? use.origin, inner)));
  const own: Block = { kind: 'block', origin: use.origin, name: role.name, ...(key === undefined ? {} : { once: key }), block, rescue: [], always: [] };
  return { role, entries: [...entries, ...(block.length > 0 ? [own] : [])] };
}

/**
 * A role listed again with the same parameters runs once. It is left out at once where the earlier use is sure to
 * run when the later would, and to its end: not imported into what may be rescued, same tags, and no condition (the same one
 * may hold later). Else its block's `once` decides.
 */
function covers(earlier: Inherited, later: Inherited): boolean {
  const tags = new Set(later.tags);
  return earlier.when.length === 0 && earlier.tags.length === tags.size && earlier.tags.every((tag) => tags.has(tag));
}

/** Beside the playbook, in the configured folders, in the playbook's folder itself, beside the role that names it, in the project. */
async function findRole(name: string, parent: Role | undefined, frame: Frame, origin: Origin): Promise<string | undefined> {
  const { projectDir, rolesPath } = frame.ctx;
  const beside = parent ? [join(parent.path, '..', name)] : [];
  const places = isAbsolute(name) ? [name] : [...new Set([
    join(frame.baseDir, 'roles', name), ...rolesPath.map((folder) => join(folder, name)), join(frame.baseDir, name), ...beside,
    join(projectDir, 'roles', name), join(projectDir, 'playbooks', 'roles', name),
  ])];
  const { found, collection } = inCollections(name, 'roles', frame);
  if (found !== undefined) return found;
  for (const path of places) if (await isFolder(path)) return path;
  complain(frame.ctx, `there is no role "${name}"`, origin, collection === undefined ? `looked for ${places.map(display).join(', ')}` : collection);
  return undefined;
}

const META_KEYS = new Set(['dependencies', 'allow_duplicates', 'galaxy_info', 'collections', 'argument_specs', 'standalone']);

async function readMeta(path: string, ctx: LoadContext): Promise<Dict> {
  const file = await firstFile(['main.yml', 'main.yaml'].map((name) => join(path, 'meta', name)));
  const meta = file === undefined ? null : await readYaml(file, ctx);
  if (!isDict(meta)) return new Map();
  for (const key of meta.keys()) if (!META_KEYS.has(String(key))) complain(ctx, `meta of a role has no key "${String(key)}"`, originOf(meta, key));
  return meta;
}

/** The file of a role that `…_from` names: with or without extension. Only `main` may be missing. */
async function roleFile(path: string, folder: keyof From, name: string, origin: Origin, ctx: LoadContext): Promise<string | undefined> {
  const names = extname(name) === '' ? [`${name}.yml`, `${name}.yaml`, `${name}.json`, name] : [name];
  const places = names.map((each) => join(path, folder, each));
  const found = await firstFile(places);
  if (found === undefined && name !== 'main') complain(ctx, `the role has no ${folder}/${name}`, origin, `looked for ${places.map(display).join(', ')}`);
  return found;
}

/** Variables of a role: one file, or a folder of that name whose files are read in order. */
async function readVars(path: string, folder: 'defaults' | 'vars', name: string, origin: Origin, ctx: LoadContext): Promise<Dict> {
  const inside = join(path, folder, name);
  const files = (await isFolder(inside)) && !(await isFile(`${inside}.yml`)) ? await filesBelow(inside) : [await roleFile(path, folder, name, origin, ctx)];
  const dicts: Dict[] = [];
  for (const file of files) {
    const value = file === undefined ? null : await readVarsFile(file, ctx);
    if (isDict(value)) dicts.push(value);
    else if (value !== null) complain(ctx, `${display(file!)} must hold a dict of variables, not ${shown(value)}`, { file: display(file!), line: 1, column: 1 });
  }
  return dicts.length === 1 ? dicts[0]! : new Map(dicts.flatMap((dict) => [...dict]));
}

async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => /\.(ya?ml|json)$/.test(name)).sort().map((name) => join(folder, name));
}
