import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { ContentError } from '../value/errors.js';
import type { Dict, Origin, Value } from '../value/value.js';
import { isEncrypted, opened } from '../vault/index.js';
import { parseYaml } from '../yaml/index.js';
import { caught, problem, warning, type Problem } from './problems.js';
import type { Play, Role } from './types.js';

/** What holds where plays do not say otherwise, from Ansible's configuration. */
export interface PlayDefaults {
  gatherFacts?: boolean | undefined;
  strategy?: Play['strategy'] | undefined;
  anyErrorsFatal?: boolean | undefined;
  noLog?: boolean | undefined;
  /** Whether the rest of the play sees the variables of roles that do not say so themselves; unless given, of those that are no include. */
  publicRoles?: boolean | undefined;
}

/** What loading needs to know, and where it tells what is wrong. */
export interface LoadContext {
  /** Folder of the project: its `roles/` and `playbooks/roles/` are searched last. */
  projectDir: string;
  /** Further folders of roles, from the configuration. */
  rolesPath: readonly string[];
  /** `-e`: the only variables that the name of an import may hold. */
  extraVars: Dict;
  playDefaults?: PlayDefaults | undefined;
  /** Everything found wrong, in the order it was met. */
  problems: Problem[];
}

/** Path as messages show it: relative to the working directory where it is below it. */
export function display(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown === '' ? '.' : shown.startsWith('..') || isAbsolute(shown) ? resolve(path) : shown;
}

const parsed = new WeakMap<LoadContext, Map<string, Promise<Value>>>();

/**
 * The one document of a YAML file, read once in a context. What is wrong with it becomes a problem and null.
 * @param from what names the file, for the problem where it cannot be read
 */
export function readYaml(path: string, ctx: LoadContext, from?: Origin): Promise<Value> {
  return once(path, ctx, from, false);
}

/** The same for a file of variables, which may be encrypted. */
export function readVars(path: string, ctx: LoadContext, from?: Origin): Promise<Value> {
  return once(path, ctx, from, true);
}

function once(path: string, ctx: LoadContext, from: Origin | undefined, vars: boolean): Promise<Value> {
  let files = parsed.get(ctx);
  if (files === undefined) parsed.set(ctx, (files = new Map()));
  const key = resolve(path);
  let document = files.get(key);
  if (document === undefined) files.set(key, (document = read(key, ctx, from, vars)));
  return document;
}

async function read(path: string, ctx: LoadContext, from: Origin | undefined, vars: boolean): Promise<Value> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : (error as Error).message;
    ctx.problems.push(problem(`cannot read ${display(path)}: ${why}`, from));
    return null;
  }
  if (!isEncrypted(text)) return parseText(text, display(path), ctx);
  const at = { file: display(path), line: 1, column: 1 };
  if (!vars) complain(ctx, 'only files of variables are read from a vault, not plays and tasks', at, 'decrypt it, and put its secrets into an encrypted file of variables');
  else {
    try {
      return parseYaml(opened(text, at.file).text, at.file, true);
    } catch (error) {
      ctx.problems.push(caught(error, at));
    }
  }
  return null;
}

/** The document of a YAML text; what is wrong with it becomes a problem and null. */
export function parseText(text: string, file: string, ctx: LoadContext): Value {
  try {
    return parseYaml(text, file);
  } catch (error) {
    ctx.problems.push(caught(error, { file, line: 1, column: 1 }));
    return null;
  }
}

export function complain(ctx: LoadContext, message: string, origin?: Origin, hint?: string): void {
  ctx.problems.push(problem(message, origin, hint));
}

export function warn(ctx: LoadContext, message: string, origin?: Origin, hint?: string): void {
  ctx.problems.push(warning(message, origin, hint));
}

export async function isFile(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isFile(), () => false);
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isDirectory(), () => false);
}

/** The first of the paths that is a file. */
export async function firstFile(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isFile(path)) return path;
  return undefined;
}

/** From where files are looked up: the role (and those above it), the folder of the task's file, the playbook's, the project's. */
export interface Place {
  role: Role | undefined;
  fileDir: string;
  baseDir: string;
}

/**
 * The folders a relative name is looked for in, first first.
 * @param folder `files`, `templates`, `vars` or `tasks`: tried before each folder itself
 */
export function searchPath({ role, fileDir, baseDir }: Place, folder: string, projectDir: string): string[] {
  const bases: string[] = [];
  for (let each = role; each !== undefined; each = each.parent) bases.push(each.path);
  bases.push(fileDir, baseDir, resolve(projectDir));
  return [...new Set(bases.flatMap((base) => [join(base, folder), base]))];
}

/** Where a task file may be: beside the file that names it, in the role's tasks/ and the role, beside the playbook. */
function taskFilePlaces(name: string, { role, fileDir, baseDir }: Place): string[] {
  if (isAbsolute(name)) return [name];
  const inRole = role === undefined ? [] : [join(role.path, 'tasks', name), join(role.path, name)];
  return [...new Set([join(fileDir, name), ...inRole, join(baseDir, name), join(baseDir, 'tasks', name)])];
}

/**
 * Finds the file of include_tasks or import_tasks.
 * @throws ContentError naming every place that was looked at
 */
export async function findTaskFile(name: string, at: Place, origin?: Origin): Promise<string> {
  const places = taskFilePlaces(name, at);
  const found = await firstFile(places);
  if (found !== undefined) return found;
  throw new ContentError(`there is no task file "${name}"`, origin, `looked for ${places.map(display).join(', ')}`);
}
