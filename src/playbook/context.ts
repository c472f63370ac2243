import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { ContentError } from '../value/errors.js';
import type { Dict, Origin, Value } from '../value/value.js';
import { parseYaml } from '../yaml/index.js';
import { caught, problem, warning, type Problem } from './problems.js';

/** What loading needs to know, and where it tells what is wrong. */
export interface LoadContext {
  /** Folder of the project: its `roles/` and `playbooks/roles/` are searched last. */
  projectDir: string;
  /** Further folders of roles, from the configuration. */
  rolesPath: readonly string[];
  /** `-e`: the only variables that the name of an import may hold. */
  extraVars: Dict;
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
  let files = parsed.get(ctx);
  if (files === undefined) parsed.set(ctx, (files = new Map()));
  const key = resolve(path);
  let document = files.get(key);
  if (document === undefined) files.set(key, (document = read(key, ctx, from)));
  return document;
}

async function read(path: string, ctx: LoadContext, from?: Origin): Promise<Value> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : (error as Error).message;
    ctx.problems.push(problem(`cannot read ${display(path)}: ${why}`, from));
    return null;
  }
  try {
    return parseYaml(text, display(path));
  } catch (error) {
    ctx.problems.push(caught(error, { file: display(path), line: 1, column: 1 }));
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

/** Where a task file named in `fileDir` may be: beside the naming file, in the role's tasks/, beside the playbook. */
export function taskFilePlaces(name: string, at: { fileDir: string; rolePath: string | undefined; baseDir: string }): string[] {
  if (isAbsolute(name)) return [name];
  const role = at.rolePath === undefined ? [] : [join(at.rolePath, 'tasks', name)];
  return [...new Set([join(at.fileDir, name), ...role, join(at.baseDir, name), join(at.baseDir, 'tasks', name)])];
}

/**
 * Finds the file of include_tasks or import_tasks.
 * @throws ContentError naming every place that was looked at
 */
export async function findTaskFile(
  name: string, at: { fileDir: string; rolePath: string | undefined; baseDir: string }, origin?: Origin,
): Promise<string> {
  const places = taskFilePlaces(name, at);
  const found = await firstFile(places);
  if (found !== undefined) return found;
  throw new ContentError(`there is no task file "${name}"`, origin, `looked for ${places.map(display).join(', ')}`);
}
