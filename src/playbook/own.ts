/** What a name means where it stands: modules, roles and playbooks of the project and of collections. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { collectionOf, findCollection, findModule, loadPlugins, splitName, type Beside, type Found } from '../plugins/index.js';
import type { Origin, Value } from '../value/value.js';
import { actionName, actionNames } from './actions.js';
import { complain, display, warn, type LoadContext } from './context.js';
import { asList } from './keywords.js';
import { caught } from './problems.js';
import type { Inherited, Role } from './types.js';

/** As much of a frame as names need. */
export interface At {
  inherit: Inherited;
  role: Role | undefined;
  baseDir: string;
  play: { roles: readonly Role[] };
  ctx: LoadContext;
}

const listed = new WeakMap<LoadContext, Beside['listings']>();

/** The module or action a name means; undefined where there is none of that name. */
export function actionAt(written: string, at: At): Found | undefined {
  const native = actionName(written);
  if (native !== undefined && actionNames.includes(native)) return { name: native };
  // Keywords of others and misspellings come here too.
  if (!/^\w+(?:\.\w+)*$/.test(written)) return undefined;
  let listings = listed.get(at.ctx);
  if (!listings) listed.set(at.ctx, (listings = new Map()));
  return findModule(written, { folders: foldersOf(at), collections: collectionsOf(at), listings }, native);
}

/** Whether a canonical name is that of a module that is none of Muster's. */
export function isOwn(name: string): boolean {
  return name.includes('/');
}

/** The name of what was found; what is to be said of it goes to the problems. */
export function remarks(found: Found, origin: Origin, ctx: LoadContext): string | undefined {
  if ('problem' in found) {
    complain(ctx, found.problem, origin, found.hint);
    return undefined;
  }
  if (found.remark !== undefined) warn(ctx, found.remark, origin);
  if (found.bridged !== undefined) warn(ctx, `Muster has no such module of its own: ${display(found.bridged)} goes over the bridge`, origin, 'its host needs Python, and it runs each time, one trip for each');
  return found.name;
}

/** Roles in reach, the playbook, the project: nearest first. */
function foldersOf({ role, play, baseDir, ctx }: At): string[] {
  const roles: string[] = [];
  for (let each = role; each !== undefined; each = each.parent) roles.push(each.path, ...each.dependencies.map((one) => one.path));
  return [...new Set([...roles, ...play.roles.map((each) => each.path), baseDir, ctx.projectDir])];
}

/** `collections:`, and the collection the playbook itself lies in. */
function collectionsOf({ inherit, role, baseDir }: At): string[] {
  const around = role === undefined ? collectionOf(baseDir) : undefined;
  const said = asList(inherit.collections).filter((each: Value): each is string => typeof each === 'string');
  return around === undefined ? said : [...said, around];
}

/**
 * A role or playbook of a collection: by its full name, or by its short one where `collections:` says which.
 * @returns its path, or what to do where its collection is not there
 */
export function inCollections(name: string, kind: 'roles' | 'playbooks', at: At): { found?: string; collection?: string } {
  const folders = foldersOf(at);
  const split = splitName(name);
  if (split === undefined) {
    if (/^\w+$/.test(name)) for (const each of collectionsOf(at)) for (const path of pathsIn(each, kind, name, folders)) return { found: path };
    return {};
  }
  for (const path of pathsIn(split.collection, kind, split.name, folders)) return { found: path };
  const collection = findCollection(split.collection, folders);
  return { collection: collection ? `the collection is at ${display(collection.path)}` : `the collection ${split.collection} is not on this machine: muster install brings what requirements.yml names` };
}

/** The playbook a full name means, where its collection is on this machine. @param beside folders of the project */
export function collectionPlaybook(name: string, beside: readonly string[]): string | undefined {
  const split = splitName(name);
  return split && pathsIn(split.collection, 'playbooks', split.name, beside)[0];
}

function pathsIn(collection: string, kind: 'roles' | 'playbooks', name: string, beside: readonly string[]): string[] {
  const folder = findCollection(collection, beside)?.path;
  if (folder === undefined) return [];
  const inside = name.split('.');
  const path = join(folder, kind, ...inside);
  const all = kind === 'roles' ? [path] : [`${path}.yml`, `${path}.yaml`];
  return all.filter((each) => existsSync(each) && dirname(each).startsWith(folder));
}

const looked = new WeakMap<LoadContext, Set<string>>();

/** Brings the filters, tests and lookups of a folder, once in a context; what is not used there becomes a warning. */
export async function pluginsIn(folder: string, ctx: LoadContext): Promise<void> {
  let folders = looked.get(ctx);
  if (!folders) looked.set(ctx, (folders = new Set()));
  if (folders.has(folder)) return;
  folders.add(folder);
  try {
    for (const { file, message, hint } of await loadPlugins(folder)) warn(ctx, message, { file: display(file), line: 1, column: 1 }, hint);
  } catch (error) {
    ctx.problems.push(caught(error));
  }
}
