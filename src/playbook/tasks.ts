import { dirname } from 'node:path';
import { describeParams, WHOLE, type Spec } from '../modules/index.js';
import { lookupNamed, lookupNames } from '../expression/index.js';
import { didYouMean } from '../value/errors.js';
import { isDict, Secret, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { keyOrigin, originOf } from '../yaml/index.js';
import { loadSpec, suggestAction } from './actions.js';
import { actionAt, isOwn, remarks } from './own.js';
import { parseLine, pieceOf, pieceOrigin, splitWords } from './arguments.js';
import { confirmOf } from './confirm.js';
import { withDefaults } from './defaults.js';
import { complain, display, findTaskFile, readYaml, warn, type LoadContext } from './context.js';
import { conditions, inherit } from './inherit.js';
import { asList, BLOCK, checkKeywords, given, HANDLER, isKeyword, keyPlace, LOOP_CONTROL, place, shown, TASK } from './keywords.js';
import { caught } from './problems.js';
import { importRole } from './roles.js';
import { staticText } from './static.js';
import type { Entry, Inherited, Role, Task } from './types.js';

/** Where a list of tasks stands, and what they inherit. */
export interface Frame {
  inherit: Inherited;
  role: Role | undefined;
  /** Folder of the file. */
  fileDir: string;
  /** Folder of the playbook. */
  baseDir: string;
  /** Id of the import, include or role entry that brought the file; empty in the playbook itself. */
  via: string;
  /** Files being imported, to notice one that imports itself. */
  files: readonly string[];
  handlers: boolean;
  /** The play's variables, and what static roles add to it. */
  play: { vars: Dict; roles: Role[]; handlers: Task[]; used: { key: string | undefined; inherit: Inherited; imported: boolean }[] };
  /** Whether an import_role is around: where it fails the play may go on. */
  imported?: boolean;
  ctx: LoadContext;
}

/** The tasks of a file: a list, or nothing. */
export async function loadTasksOf(path: string, frame: Frame, from?: Origin): Promise<Entry[]> {
  const { ctx } = frame;
  if (frame.files.includes(path)) {
    complain(ctx, `${display(path)} imports itself`, from, 'use include_tasks with a condition that ends it');
    return [];
  }
  const list = await readYaml(path, ctx, from);
  const at = { file: display(path), line: 1, column: 1 };
  return loadEntries(list, at, { ...frame, fileDir: dirname(path), files: [...frame.files, path] });
}

/** A list of tasks and blocks; imports are replaced by what they bring. */
export async function loadEntries(list: Value | undefined, at: Origin, frame: Frame): Promise<Entry[]> {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) {
    complain(frame.ctx, `a list of tasks is wanted here, not ${shown(list)}`, at, 'begin each task with a dash');
    return [];
  }
  const entries: Entry[] = [];
  for (const [i, member] of list.entries()) entries.push(...(await loadEntry(member, place(list, i, at), frame)));
  return entries;
}

async function loadEntry(entry: Value, at: Origin, frame: Frame): Promise<Entry[]> {
  if (!isDict(entry)) {
    complain(frame.ctx, `a task must be a dict of a module and keywords, not ${shown(entry)}`, at, 'put a colon after the name of the module');
    return [];
  }
  if (entry.has('block')) return loadBlock(entry, at, frame);
  for (const key of ['rescue', 'always']) {
    if (!entry.has(key)) continue;
    complain(frame.ctx, `"${key}" needs a "block" beside it`, keyPlace(entry, key, at));
    return [];
  }
  return loadTask(entry, at, frame);
}

async function loadBlock(dict: Dict, at: Origin, frame: Frame): Promise<Entry[]> {
  checkKeywords(dict, BLOCK, 'a block', at, frame.ctx);
  const inner = { ...frame, inherit: inherit(frame.inherit, dict, at, frame.ctx) };
  const part = (key: string): Promise<Entry[]> => loadEntries(given(dict, key), place(dict, key, at), inner);
  const [block, rescue, always] = [await part('block'), await part('rescue'), await part('always')];
  const confirm = confirmOf(dict, at, frame.ctx);
  if (!frame.handlers) return [{ kind: 'block', origin: at, name: given(dict, 'name'), ...(confirm ? { confirm } : {}), block, rescue, always }];
  if (rescue.length + always.length > 0) warn(frame.ctx, '"rescue" and "always" of a block among handlers are passed over, as in Ansible', at);
  if (confirm) complain(frame.ctx, 'a block among handlers takes no "confirm"', confirm.origin, 'handlers run within the confirmed block whose tasks notify them');
  return block;
}

/** Unique and stable: place in the file, and how the file was reached. */
export function idOf(at: Origin, via: string): string {
  return `${at.file}:${at.line}:${at.column}${via === '' ? '' : ` < ${via}`}`;
}

interface Action {
  written: string;
  name: string;
  value: Value;
  /** Where the arguments begin. */
  origin: Origin;
  local: boolean;
  /** The expression that names the module, where only the run can tell what it gives. */
  expression?: Source;
}

/** @param module what the expression gave that names the task's module */
async function loadTask(dict: Dict, at: Origin, frame: Frame, module?: string): Promise<Entry[]> {
  const { ctx } = frame;
  const keywords = frame.handlers ? HANDLER : TASK;
  const action = findAction(dict, at, dict.has('collections') ? { ...frame, inherit: inherit(frame.inherit, dict, at, ctx) } : frame, module);
  checkKeywords(dict, keywords, frame.handlers ? 'a handler' : 'a task', at, ctx, (key) => key.startsWith('with_') || action === undefined || key === action.written);
  if (action === undefined) return [];
  const id = idOf(at, frame.via);
  const own = inherit(frame.inherit, dict, at, ctx);
  const { expression } = action;
  if (expression) {
    const load = async (name: string, ctx: LoadContext) => (await loadTask(dict, at, { ...frame, ctx }, name))[0] as Task | undefined;
    return [taskOf(dict, at, frame, id, own, action, { args: new Map([[WHOLE, action.value]]), origins: new Map(), freeForm: undefined }, { expression, load })];
  }
  if (isOwn(action.name) && !(await loads(action.name, at, ctx))) return [];
  const args = await readArgs(dict, action, at, ctx);
  const spec = await loadSpec(action.name);
  args.args = withDefaults(action.name, action.written, spec, own.moduleDefaults, args.args, args.origins, ctx);
  if (action.name === 'import_tasks' || action.name === 'import_role') {
    for (const key of dict.keys()) {
      if (['register', 'loop_control', 'async', 'poll'].includes(String(key))) warn(ctx, `"${String(key)}" of ${action.name} is passed over, as in Ansible`, keyPlace(dict, key, at), 'its tasks take its place before the run');
      else if (['loop', 'until', 'retries', 'delay', 'changed_when', 'failed_when'].includes(String(key)) || String(key).startsWith('with_')) {
        complain(ctx, `${action.name} takes no "${String(key)}"`, keyPlace(dict, key, at), `it is replaced by its tasks before the run; use ${action.name.replace('import', 'include')}`);
      }
    }
    const inner = { ...frame, inherit: own, via: id };
    return action.name === 'import_tasks' ? importTasks(args, action, inner) : importRole(args.args, args.origins, action.origin, inner);
  }
  return [taskOf(dict, at, frame, id, own, action, args)];
}

function taskOf(dict: Dict, at: Origin, frame: Frame, id: string, own: Inherited, action: Action, args: Args, named?: Task['named']): Task {
  const { ctx } = frame;
  return {
    kind: 'task', id, origin: at, around: frame.inherit, ...own,
    ...(action.local ? { delegateTo: 'localhost' } : {}),
    name: given(dict, 'name'), action: action.name, actionAsWritten: action.written, ...(named ? { named } : {}),
    args: args.args, argOrigins: args.origins, freeForm: args.freeForm,
    loop: loopOf(dict, at, ctx), loopControl: loopControl(dict, at, ctx),
    register: variableName(dict, 'register', at, ctx),
    until: conditions(dict, 'until', at, ctx), async: given(dict, 'async'), poll: given(dict, 'poll'), retries: given(dict, 'retries'), delay: given(dict, 'delay'),
    changedWhen: given(dict, 'changed_when') === undefined ? undefined : conditions(dict, 'changed_when', at, ctx),
    failedWhen: given(dict, 'failed_when') === undefined ? undefined : conditions(dict, 'failed_when', at, ctx),
    ...(dict.has('notify') ? { notifyOrigin: place(dict, 'notify', at) } : {}), listen: asList(given(dict, 'listen')),
    role: frame.role, fileDir: frame.fileDir,
  };
}

/** Whether a module of the project can be loaded; what is wrong with it is told once. */
async function loads(name: string, at: Origin, ctx: LoadContext): Promise<boolean> {
  try {
    await loadSpec(name);
    return true;
  } catch (error) {
    ctx.problems.push(caught(error, at));
    return false;
  }
}

/** The one module or action of a task. */
function findAction(dict: Dict, at: Origin, frame: Frame, module?: string): Action | undefined {
  const { ctx } = frame;
  const keywords = frame.handlers ? HANDLER : TASK;
  const others = [...dict.keys()].map(String).filter((key) => !isKeyword(key, keywords) && key !== 'listen' && !key.startsWith('with_'));
  const actions = [...others.filter((key) => actionAt(key, frame) !== undefined), ...['action', 'local_action'].filter((key) => dict.has(key))];
  if (actions.length > 1) {
    complain(ctx, `a task has one module, this one has ${actions.map((key) => `"${key}"`).join(' and ')}`, keyPlace(dict, actions[1]!, at), 'begin another task with a dash, or mend the indentation');
    return undefined;
  }
  const [written] = actions;
  if (written === undefined) {
    if (others.length === 0) complain(ctx, 'the task has no module', at, 'name one, e.g. "command: ls"');
    for (const key of others) {
      const near = suggestAction(key);
      const hint = near.startsWith('`') ? didYouMean(key, Object.keys(keywords)) ?? near : near;
      complain(ctx, `there is no module "${key}"`, keyPlace(dict, key, at), hint);
    }
    return undefined;
  }
  const value = dict.get(written)!;
  const origin = place(dict, written, keyPlace(dict, written, at));
  if (written === 'action' || written === 'local_action') return explicitAction(value, origin, written === 'local_action', frame, module);
  const name = remarks(actionAt(written, frame)!, keyPlace(dict, written, at), ctx);
  return name === undefined ? undefined : { written, name, value, origin: originOf(dict, written) ?? keyOrigin(dict, written) ?? at, local: false };
}

/** What only the loading of tasks can carry out: an expression comes too late for it. */
const STATIC = /^(?:meta|(?:include|import)_(?:tasks|role))$/;

/** `action: copy src=a dest=b`, or a dict with the module under `module`; the module may be named by an expression. */
function explicitAction(value: Value, origin: Origin, local: boolean, frame: Frame, module?: string): Action | undefined {
  const { ctx } = frame;
  let named: Value = '';
  let rest: Value = null;
  if (isDict(value)) {
    named = value.get('module') ?? '';
    rest = new Map([...value].filter(([key]) => key !== 'module'));
  } else if (typeof value === 'string' || value instanceof Source) {
    const text = value instanceof Source ? value.text : value;
    const [first, second] = splitWords(text);
    if (first) named = pieceOf(value, first.text, first.start);
    if (second) rest = pieceOf(value, text.slice(second.start), second.start);
  }
  const expression = named instanceof Source ? named : undefined;
  // Extra vars are the strongest: what they say is known before the run.
  const written = expression ? module ?? staticText(expression, origin, 'the module', { ...ctx, problems: [] }, () => knownNames(frame)) : String(named);
  if (written === undefined) return { written: expression!.shown, name: expression!.shown, value: rest, origin, local, expression: expression! };
  const found = actionAt(written, frame);
  if (written === '') complain(ctx, '"action" must be a module with its arguments', origin);
  else if (found === undefined) complain(ctx, `there is no module "${written}"`, origin, suggestAction(written));
  const name = found && remarks(found, origin, ctx);
  if (expression && name !== undefined && STATIC.test(name)) {
    complain(ctx, `"${written}" cannot be named by an expression`, origin, `write ${name} as the key of the task, and what depends on the host in its arguments`);
    return undefined;
  }
  return name === undefined ? undefined : { written, name, value: rest, origin, local };
}

interface Args {
  args: Dict;
  origins: Map<string, Origin>;
  freeForm: Value | undefined;
}

/** A task's arguments: the module's own over those of `args`; a line of text is taken apart. */
async function readArgs(dict: Dict, action: Action, at: Origin, ctx: LoadContext): Promise<Args> {
  const result: Args = { args: new Map(), origins: new Map(), freeForm: undefined };
  const more = given(dict, 'args');
  if (isDict(more)) takeDict(more, place(dict, 'args', at), result);
  else if (more instanceof Source) result.args.set(WHOLE, more);
  else if (more !== undefined) complain(ctx, '"args" must be a dict', place(dict, 'args', at), 'write the arguments under the module');
  const { value } = action;
  if (isDict(value)) takeDict(value, action.origin, result);
  else if (Array.isArray(value)) complain(ctx, `the arguments of ${action.written} must be a dict, not a list`, action.origin, 'remove the dash');
  else if (value !== null) takeLine(value instanceof Source || value instanceof Secret ? value : String(value), await loadSpec(action.name), action, result, ctx);
  return result;
}

function takeDict(dict: Dict, at: Origin, into: Args): void {
  for (const [key, value] of dict) {
    into.args.set(String(key), value);
    into.origins.set(String(key), keyPlace(dict, key, at));
  }
}

function takeLine(whole: string | Source | Secret, spec: Spec, action: Action, into: Args, ctx: LoadContext): void {
  if (whole instanceof Secret) return takeRest(whole, spec, action, into, ctx);
  const text = whole instanceof Source ? whole.text : whole;
  const names = describeParams(spec).flatMap((param) => [param.name, ...param.aliases]);
  // `cmd=` in the text of a command is the command's own; a file may be named either way.
  const keys = spec.freeForm === undefined ? undefined : new Set(names.filter((name) => name !== spec.freeForm || 'file' === name));
  const line = parseLine(text, keys);
  for (const [key, value] of line.args) {
    const offset = line.offsets.get(key)!;
    // Up to 2.18 a line of set_fact gave booleans, and conditions count on it.
    const said = spec.name === 'set_fact' ? /^(?:(true|yes)|false|no)$/i.exec(value) : null;
    into.args.set(key, said ? said[1] !== undefined : pieceOf(whole, value, offset));
    into.origins.set(key, pieceOrigin(whole, offset, action.origin));
  }
  if (line.rest !== '') takeRest(line.rest === text ? whole : pieceOf(whole, line.rest, text.indexOf(line.rest.split(/\s/)[0]!)), spec, action, into, ctx);
}

/** What is no `key=value`: the free form of modules that have one. */
function takeRest(rest: Value, spec: Spec, action: Action, into: Args, ctx: LoadContext): void {
  if (spec.freeForm === undefined && rest instanceof Source && /^\{\{[^]*\}\}$/.test(rest.text.trim())) {
    into.args.set(WHOLE, rest);
    return;
  }
  // Ansible takes a line for these that names nothing, and fails when the task's turn comes: what is missing is told by its check.
  if (spec.name === 'add_host' && !into.args.has('name')) return;
  if (spec.freeForm === undefined) {
    const first = describeParams(spec)[0]?.name;
    complain(ctx, `${action.written} takes named arguments, not ${shown(rest)}`, action.origin, first && `write "${first}: …" under it, or ${first}=…`);
    return;
  }
  // A file's name may stand on lines of its own (`include_vars: >`).
  into.freeForm = spec.freeForm !== 'file' || rest instanceof Secret ? rest : rest instanceof Source ? pieceOf(rest, rest.text.trimEnd(), 0) : String(rest).trim();
  into.args.set(spec.freeForm, into.freeForm);
  into.origins.set(spec.freeForm, action.origin);
}

async function importTasks({ args, origins }: Args, action: Action, frame: Frame): Promise<Entry[]> {
  const key = ['file', '_raw_params'].find((name) => args.has(name));
  if (key === undefined) {
    complain(frame.ctx, 'import_tasks needs a file', action.origin);
    return [];
  }
  const origin = origins.get(key) ?? action.origin;
  const name = staticText(args.get(key)!, origin, 'the file of import_tasks', frame.ctx, () => knownVars(frame));
  if (name === undefined) return [];
  try {
    const path = await findTaskFile(name, frame, origin);
    return await loadTasksOf(path, frame, origin);
  } catch (error) {
    frame.ctx.problems.push(caught(error, origin));
    return [];
  }
}

/**
 * Variables known before the run besides extra vars, for names of imports: of the play, the roles, the blocks and the
 * task, in their order of precedence.
 */
export function knownVars(frame: Frame): Dict {
  const roles: Role[] = [];
  for (let role = frame.role; role; role = role.parent) roles.unshift(role);
  const layers = [...roles.map((role) => role.defaults), frame.play.vars, ...roles.map((role) => role.vars), ...frame.inherit.vars, ...roles.map((role) => role.params)];
  return new Map([...layers.flatMap((layer) => [...layer]), ...knownNames(frame)]);
}

/** Those among them that nothing can set. */
export function knownNames(frame: Pick<Frame, 'baseDir' | 'role'>): Dict {
  const names: Dict = new Map<Value, Value>([['playbook_dir', frame.baseDir]]);
  if (frame.role) names.set('role_path', frame.role.path).set('role_name', frame.role.shortName);
  return names;
}

function loopOf(dict: Dict, at: Origin, ctx: LoadContext): Task['loop'] {
  const keys = [...dict.keys()].map(String).filter((key) => key === 'loop' || key.startsWith('with_'));
  const [key] = keys;
  if (key === undefined) return undefined;
  if (keys.length > 1) complain(ctx, `a task has one loop, this one has ${keys.map((each) => `"${each}"`).join(' and ')}`, keyPlace(dict, keys[1]!, at));
  const origin = place(dict, key, keyPlace(dict, key, at));
  const value = dict.get(key)!;
  const how = key === 'loop' ? key : lookupOf(key.replace(/^with_/, ''), keyPlace(dict, key, at), ctx);
  if (value === null) complain(ctx, `"${key}" is empty`, keyPlace(dict, key, at), 'give it a list');
  else if (key === 'loop' && !Array.isArray(value) && !(value instanceof Source)) {
    complain(ctx, `"loop" must be a list, not ${shown(value)}`, origin, isDict(value) ? 'write "{{ the_dict | dict2items }}"' : 'write "{{ name }}" for the value of a variable');
  }
  return { how, value, origin };
}

/** A lookup by its full name is the one of that name here: `community.general.flattened`. */
function lookupOf(name: string, at: Origin, ctx: LoadContext): string {
  try {
    const found = lookupNamed(name, (message) => warn(ctx, message, at));
    if (found !== undefined) return found;
    complain(ctx, `there is no loop "with_${name}": "${name}" is no lookup`, at, didYouMean(name, lookupNames())?.replace('"', '"with_'));
  } catch (error) {
    ctx.problems.push(caught(error, at));
  }
  return name;
}

function loopControl(dict: Dict, at: Origin, ctx: LoadContext): Task['loopControl'] {
  const value = given(dict, 'loop_control');
  const control: Dict = isDict(value) ? value : new Map();
  checkKeywords(control, LOOP_CONTROL, 'loop_control', place(dict, 'loop_control', at), ctx);
  return {
    loopVar: loopName(control, 'loop_var', at, ctx) ?? 'item',
    indexVar: loopName(control, 'index_var', at, ctx),
    label: given(control, 'label'),
    pause: given(control, 'pause'),
    extended: flag(control, 'extended', false, at, ctx),
    allItems: flag(control, 'extended_allitems', true, at, ctx),
    breakWhen: conditions(control, 'break_when', at, ctx),
  };
}

/** The names of a loop's variables may be expressions. */
function loopName(control: Dict, key: string, at: Origin, ctx: LoadContext): string | Source | undefined {
  const value = given(control, key);
  return value instanceof Source ? value : variableName(control, key, at, ctx);
}

/** A yes or no that counts before anything is evaluated. */
function flag(dict: Dict, key: string, otherwise: boolean, at: Origin, ctx: LoadContext): boolean {
  const value = given(dict, key);
  if (value === undefined) return otherwise;
  if (value instanceof Source) complain(ctx, `"${key}" must be written out`, place(dict, key, at), 'write yes or no');
  return /^(yes|true|on|1)$/i.test(String(value));
}

function variableName(dict: Dict, key: string, at: Origin, ctx: LoadContext): string | undefined {
  const value = given(dict, key);
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^[A-Za-z_]\w*$/.test(value)) return value;
  complain(ctx, `"${key}" must name a variable, not ${shown(value)}`, place(dict, key, at), 'letters, digits and _ only');
  return undefined;
}
