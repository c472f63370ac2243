import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { Record } from '../../expression/index.js';
import { pythonRegex } from '../../expression/regex.js';
import { display } from '../../playbook/index.js';
import { readText } from '../../vault/index.js';
import { parseYaml } from '../../yaml/index.js';
import { ContentError } from '../../value/errors.js';
import { isDict, toPlain, type Dict, type Value } from '../../value/value.js';
import { scopeFor, type Call } from '../call.js';
import { failed, outcome, type Outcome } from '../outcome.js';
import { findFile, mustFind } from '../scope.js';
import { parsedArguments } from './say.js';

/** Reads variables, as written: they are evaluated where they are read. What the module returns of them is too. */
export async function includeVars(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const { run, host, task } = call;
  const files: string[] = [];
  let vars: Dict = new Map();
  try {
    for (const file of filesOf(call, args)) {
      for (const [name, value] of read(file)) vars.set(name, value);
      files.push(file);
    }
  } catch (error) {
    // Ansible tells why under a name of its own.
    if (error instanceof ContentError) return failed(error.message, { doing: 'running include_vars', origin: error.origin ?? task.origin, remedy: error.hint, fields: { message: error.message, ansible_facts: {}, ansible_included_var_files: files } });
    throw error;
  }
  if (args.name !== undefined) vars = new Map([[args.name as Value, vars]]);
  if (args.hash_behaviour === 'merge') {
    const scope = scopeFor(call);
    for (const [name, value] of vars) vars.set(name, merged(scope.get(String(name), new Record()), value));
  }
  for (const [name, value] of vars) run.variables.setIncluded(host.name, String(toPlain(name, true)), value);
  return outcome({ ansible_facts: vars, ansible_included_var_files: files, changed: false });
}

/** Dicts are laid over each other however deep; anything else replaces what was there. */
function merged(old: Value | undefined, value: Value): Value {
  if (old === undefined || !isDict(old) || !isDict(value)) return value;
  return new Map([...old, ...[...value].map(([key, member]): [Value, Value] => [key, merged(old.get(key), member)])]);
}

function read(file: string): Dict {
  const shown = display(file);
  const { text, isSecret } = readText(file, shown);
  const content = parseYaml(text, shown, isSecret) ?? new Map();
  if (isDict(content)) return content;
  throw new ContentError(`${shown} must be stored as a dictionary`, { file: shown, line: 1, column: 1 }, 'write NAME: value pairs');
}

/** @throws ContentError in Ansible's words, which playbooks look for */
function filesOf({ run, frame, task }: Call, args: any): Iterable<string> {
  if (args.dir === undefined) {
    if (!args.file) throw new ContentError('Could not find file: no file is named', task.argOrigins.get('file'));
    return [mustFind(run, frame.play, task, String(args.file), 'vars')];
  }
  if (args.file !== undefined) throw new ContentError('You are mixing file only and dir only arguments, these are incompatible', task.argOrigins.get('file'));
  const dir = findFile(run, frame.play, task, String(args.dir), 'vars');
  if (dir === undefined) throw new ContentError(`${args.dir} directory does not exist`, task.argOrigins.get('dir'));
  if (!statSync(dir).isDirectory()) throw new ContentError(`${args.dir} is not a directory`, task.argOrigins.get('dir'));
  return filesIn(dir, args, task.role && path.join(task.role.path, 'vars', 'main.yml'));
}

/**
 * The files of a folder that count: folder by folder in the order of their paths, each one's files in the order of their names.
 * @param main is the role's already
 */
function* filesIn(dir: string, args: any, main: string | undefined): Generator<string> {
  const matching = args.files_matching === undefined ? undefined : pythonRegex(String(args.files_matching));
  const ignored = ((args.ignore_files ?? []) as string[]).map((pattern) => pythonRegex(`${pattern}$`));
  for (const folder of foldersIn(dir, args.depth as number)) {
    for (const name of readdirSync(folder).sort(byCodePoint)) {
      const file = path.join(folder, name);
      if (!existsSync(file) || statSync(file).isDirectory() || file === main || ignored.some((pattern) => pattern.test(name)) || (matching && !matching.test(name))) continue;
      if (args.extensions.includes(path.extname(name).slice(1))) yield file;
      else if (!args.ignore_unknown_extensions) throw new ContentError(`${file} does not have a valid extension: ${args.extensions.join(', ')}`, undefined, 'set ignore_unknown_extensions to leave such files out');
    }
  }
}

/** A folder and those below it, links followed (but not in circles). @param depth how many levels; 0 is all */
function foldersIn(dir: string, depth: number, around: readonly string[] = []): string[] {
  const { dev, ino } = statSync(dir);
  const self = `${dev}:${ino}`;
  if (around.includes(self)) return [];
  const below = depth === 1 ? [] : readdirSync(dir).map((name) => path.join(dir, name)).filter((each) => statSync(each, { throwIfNoEntry: false })?.isDirectory());
  return [dir, ...below.flatMap((each) => foldersIn(each, Math.max(0, depth - 1), [...around, self]))].sort(byCodePoint);
}

const byCodePoint = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
