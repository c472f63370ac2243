import { readdir } from 'node:fs/promises';
import { basename, extname, isAbsolute, join, resolve } from 'node:path';
import { checkArgs, WHOLE, type Spec } from '../modules/index.js';
import type { Module } from '../modules/module.js';
import { firstWord } from '../modules/script.js';
import { didYouMean } from '../value/errors.js';
import { isDict, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { originOf } from '../yaml/index.js';
import { actionNames, loadSpec } from './actions.js';
import { complain, display, findTaskFile, firstFile, isFile, isFolder, searchPath, warn, type LoadContext } from './context.js';
import { bringRole, bringTasks, includePoint } from './bring.js';
import { unconfirmable } from './confirm.js';
import { hasManagerDefaults } from './defaults.js';
import { notifiedBy } from './handler-names.js';
import { NEAREST } from './inherit.js';
import { caught, sorted, type Problem } from './problems.js';
import { APPLY, checkKeywords } from './keywords.js';
import { loadPlaybook } from './plays.js';
import { staticText } from './static.js';
import { knownNames } from './tasks.js';
import { checkTaskTemplate, checkTemplateFile, checkValue, checkVarsFile, syntax } from './syntax.js';
import type { Block, Entry, Inherited, Play, Role, Task } from './types.js';

/**
 * Everything that can be found wrong without touching a host. What an include brings that may not run is a warning.
 * @param paths playbooks
 * @param folders further folders with group_vars/ and host_vars/ (those of the inventory)
 * @returns all problems in the order of files and lines; also kept in `ctx.problems`
 */
export async function checkProject(paths: readonly string[], ctx: LoadContext, folders: readonly string[] = []): Promise<Problem[]> {
  const beside = new Set(folders);
  const templates = new Set([resolve(ctx.projectDir, 'templates')]);
  let made = false;
  for (const path of paths) {
    const { plays } = await loadPlaybook(path, ctx);
    for (const play of plays) {
      beside.add(play.baseDir);
      for (const base of [play.baseDir, ...play.roles.map((role) => role.path)]) templates.add(resolve(base, 'templates'));
      made = await checkPlay(play, ctx, made);
    }
  }
  for (const folder of beside) for (const kind of ['group_vars', 'host_vars']) await checkVarsFolder(join(folder, kind), ctx);
  // Templates that no task names by a literal may still be used: what is wrong in them is a warning.
  const first = ctx.problems.length;
  for (const folder of templates) await checkTemplates(folder, ctx);
  for (const each of ctx.problems.slice(first)) each.severity = 'warning';
  return sorted(ctx.problems);
}

/** @param made whether tasks of earlier plays may have made files on the controller; returns the same for later ones */
async function checkPlay(play: Play, ctx: LoadContext, made: boolean): Promise<boolean> {
  checkKeywordValues(play.keywords, ctx);
  for (const value of [play.name, play.hosts, play.gatherFacts, play.gather, play.order, play.serial, play.maxFailPercentage, play.anyErrorsFatal, play.forceHandlers]) checkValue(value, ctx);
  checkValue(play.vars, ctx);
  for (const { options } of play.varsPrompt) checkValue(options, ctx);
  for (const role of play.roles) checkRole(role, ctx);
  await checkVarsFiles(play, ctx);
  const walk = new Walk(play, ctx, made);
  for (const section of play.sections) await walk.entries(section.entries);
  await walk.entries(play.handlers);
  walk.notifications();
  return walk.made;
}

function checkRole(role: Role, ctx: LoadContext): void {
  for (const dict of [role.defaults, role.vars, role.params]) checkValue(dict, ctx);
}

/** Checks tasks that an include has just brought; see include.ts. */
export async function checkEntries(entries: readonly Entry[], roles: readonly Role[], baseDir: string, ctx: LoadContext): Promise<void> {
  for (const role of roles) checkRole(role, ctx);
  await new Walk({ baseDir, vars: new Map() }, ctx).entries(entries);
}

/** `vars_files`: a literal name must be there; of a list of names one that is there is enough. */
async function checkVarsFiles(play: Play, ctx: LoadContext): Promise<void> {
  for (const entry of play.varsFiles) {
    const names = Array.isArray(entry) ? entry : [entry];
    if (names.some((name) => typeof name !== 'string')) {
      checkValue(entry, ctx);
      continue;
    }
    const places = (names as string[]).flatMap((name) => (isAbsolute(name) ? [name] : [join(play.baseDir, 'vars', name), join(play.baseDir, name)]));
    const found = await firstFile(places);
    if (found !== undefined) await checkVarsFile(found, ctx);
    else complain(ctx, `there is no file of variables "${names.join('", "')}"`, originOf(play.varsFiles, play.varsFiles.indexOf(entry)) ?? play.origin, `looked for ${places.map(display).join(', ')}`);
  }
}

async function checkTemplates(folder: string, ctx: LoadContext): Promise<void> {
  if (!(await isFolder(folder))) return;
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name);
    if (/\.(hbs|j2)$/.test(name)) checkTemplateFile(path, { file: display(path), line: 1, column: 1 }, ctx);
  }
}

async function checkVarsFolder(folder: string, ctx: LoadContext): Promise<void> {
  if (!(await isFolder(folder))) return;
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name);
    if (!basename(name).startsWith('.') && ['', '.yml', '.yaml', '.json'].includes(extname(name)) && (await isFile(path))) await checkVarsFile(path, ctx);
  }
}

function checkKeywordValues(keywords: Inherited, ctx: LoadContext): void {
  for (const condition of keywords.when) syntax(condition.expression, condition.origin, ctx);
  checkValue([...keywords.vars, ...keywords.environment], ctx);
  for (const field of NEAREST) checkValue(keywords[field], ctx);
}

/** Parameters that name a file of the project, and the folder it is looked up in. */
const FILES: { [action: string]: { key: string; folder: string } } = {
  template: { key: 'src', folder: 'templates' },
  copy: { key: 'src', folder: 'files' },
  unarchive: { key: 'src', folder: 'files' },
  script: { key: 'cmd', folder: 'files' },
  include_vars: { key: 'file', folder: 'vars' },
};

/** One pass over the tasks of a play. */
class Walk {
  #names = new Set<string>();
  #notifications: { name: string; origin: Origin; mayBe: boolean }[] = [];
  /** How many includes deep the pass is. */
  #depth = 0;
  /** The pass is in what an include brings that may not run. */
  #unsure = false;
  /** Something may bring handlers that are not known yet. */
  #open = false;
  #includes = new Set<string>();
  /** The confirmed block the pass is in. */
  #confirmed: Block | undefined;
  /** How many blocks with a rescue the pass is in. */
  #rescued = 0;

  constructor(
    readonly play: { baseDir: string; vars: Dict; hosts?: Value; handlers?: readonly Task[] },
    readonly ctx: LoadContext,
    /** A task so far may have made files on the controller. */
    public made = false,
  ) {
    for (const handler of play.handlers ?? []) this.#handler(handler);
  }

  #handler(handler: Task): void {
    if (handler.action === 'meta' && handler.freeForm === 'flush_handlers') warn(this.ctx, 'flush_handlers cannot be a handler', handler.origin, 'it fails where it is notified');
    if (typeof handler.name === 'string') for (const name of notifiedBy(handler, handler.name)) this.#names.add(name);
    else if (handler.name !== undefined || handler.action === 'include_tasks' || handler.action === 'include_role') this.#open = true;
    for (const topic of handler.listen) {
      if (typeof topic === 'string') for (const name of notifiedBy(handler, topic)) this.#names.add(name);
      else this.#open = true;
    }
  }

  async entries(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) await (entry.kind === 'task' ? this.#task(entry) : this.#block(entry));
  }

  async #block(block: Block): Promise<void> {
    checkValue(block.name, this.ctx);
    const around = this.#confirmed;
    if (block.confirm) {
      checkValue([block.confirm.within, ...block.confirm.paths, ...block.confirm.services], this.ctx);
      if (around) complain(this.ctx, 'a confirmed block cannot stand in another', block.confirm.origin, 'one confirmation at the end of the outer one is enough');
      this.#confirmed = block;
    }
    if (block.rescue.length > 0) this.#rescued++;
    await this.entries(block.block);
    if (block.rescue.length > 0) this.#rescued--;
    this.#confirmed = around;
    for (const part of [block.rescue, block.always]) await this.entries(part);
  }

  async #task(task: Task): Promise<void> {
    const { ctx } = this;
    const first = ctx.problems.length;
    checkKeywordValues(task, ctx);
    const own = ctx.problems.length;
    const spec = task.named ? undefined : await loadSpec(task.action);
    this.#values(task, spec);
    this.#bareExpressions(task);
    await this.#files(task);
    this.made ||= this.#isHere(task) && makesFiles(task, spec);
    // A task that may fail fails when its turn comes: that is what is written.
    if ((task.ignoreErrors ?? false) !== false || task.failedWhen !== undefined || this.#rescued > 0) for (const each of ctx.problems.slice(first)) each.severity = 'warning';
    // Roles from elsewhere have parts for other systems and versions, which no host here may ever come to.
    if (mayNeverCome(task)) for (const each of ctx.problems.slice(own)) each.severity = 'warning';
    this.#async(task);
    if (this.#confirmed) await this.#confirmable(task, this.#confirmed, task.origin);
    for (const [i, name] of task.notify.entries()) {
      if (typeof name !== 'string') continue;
      const origin = originOf(task.notify, i) ?? task.notifyOrigin ?? task.origin;
      this.#notifications.push({ name, origin, mayBe: this.#depth > 0 || mayNeverCome(task) });
      if (this.#confirmed) for (const handler of this.#called(name)) await this.#confirmable(handler, this.#confirmed, origin);
    }
    if (task.action === 'include_tasks' || task.action === 'include_role') await this.#include(task);
  }

  /** Arguments, and keywords that are not inherited. */
  #values(task: Task, spec: Spec | Module | undefined): void {
    const { ctx } = this;
    for (const value of [task.name, task.loop?.value, task.loopControl.loopVar, task.loopControl.indexVar, task.loopControl.label, task.loopControl.pause, task.retries, task.delay, task.async, task.poll, task.notify, task.listen, task.args]) {
      checkValue(value, ctx);
    }
    for (const condition of [...task.until, ...task.loopControl.breakWhen, ...(task.changedWhen ?? []), ...(task.failedWhen ?? [])]) syntax(condition.expression, condition.origin, ctx);
    if (!spec) return checkValue(task.named!.expression, ctx);
    const args = hasManagerDefaults(task) ? new Map(task.args).set(WHOLE, null) : task.args;
    for (const error of checkArgs(spec, args, task.argOrigins, task.origin)) ctx.problems.push(caught(error, task.origin));
    if ('refusesAsync' in spec && spec.refusesAsync && task.async !== undefined && task.async !== 0) complain(ctx, `${task.actionAsWritten} does not support async`, task.origin, 'leave async out, or copy the script and run it by "command"');
  }

  /** Only what a host can go on with by itself can be a job. */
  #async(task: Task): void {
    if (task.async === undefined || task.async === 0) return;
    const origin = task.origin;
    if (actionNames.includes(task.action)) complain(this.ctx, `${task.actionAsWritten} does not support async`, origin, 'it happens on the controller: leave async out');
    else if (this.#confirmed) complain(this.ctx, 'a job cannot stand in a confirmed block', origin, 'what it does later nobody would put back: leave async out');
  }

  /** The handlers a name means, and those they notify: they run within a confirmed block too. */
  #called(name: string, met = new Set<Task>()): Set<Task> {
    for (const handler of this.play.handlers ?? []) {
      if (met.has(handler) || ![handler.name, ...handler.listen].some((own) => typeof own === 'string' && notifiedBy(handler, own).includes(name))) continue;
      met.add(handler);
      for (const next of handler.notify) if (typeof next === 'string') this.#called(next, met);
    }
    return met;
  }

  async #confirmable(task: Task, block: Block, origin: Origin): Promise<void> {
    if (task.named) return;
    const { paths, services, within } = block.confirm!;
    const why = within === 0 || within === false ? undefined : unconfirmable(task, await loadSpec(task.action), paths.length + services.length > 0);
    if (why) complain(this.ctx, why.message, origin, why.hint);
  }

  /** Arguments that are expressions without {{ }}. */
  #bareExpressions(task: Task): void {
    const key = { debug: 'var', assert: 'that' }[task.action];
    const value = key === undefined ? undefined : task.args.get(key);
    if (value === undefined || value === null || value instanceof Source) return;
    const members = Array.isArray(value) ? value : [value];
    members.forEach((member, i) => {
      const origin = (Array.isArray(value) && originOf(value, i)) || task.argOrigins.get(key!) || task.origin;
      if (typeof member === 'string' || typeof member === 'boolean') syntax(member, origin, this.ctx);
    });
  }

  async #files(task: Task): Promise<void> {
    const wanted = FILES[task.action];
    if (wanted === undefined || task.args.has('content') || task.args.has('dir') || isYes(task.args.get('remote_src'))) return;
    const value = task.args.get(wanted.key) ?? task.freeForm;
    if (typeof value !== 'string' || value.startsWith('~') || /^\w+:\/\//.test(value)) return;
    const name = task.action === 'script' ? firstWord(value)[0] : value;
    if (name === '') return;
    const origin = task.argOrigins.get(wanted.key) ?? task.origin;
    const places = isAbsolute(name) ? [name] : searchPath({ ...task, baseDir: this.play.baseDir }, wanted.folder, this.ctx.projectDir).map((folder) => join(folder, name));
    let found: string | undefined;
    for (const path of places) if (found === undefined && ((await isFile(path)) || (await isFolder(path)))) found = path;
    const lookedFor = `looked for ${places.map(display).join(', ')}`;
    if (found === undefined && this.made) warn(this.ctx, `there is no file "${name}" yet`, origin, `a task before may make it; ${lookedFor}`);
    else if (found === undefined) complain(this.ctx, `there is no file "${name}"`, origin, lookedFor);
    else if (task.action === 'template') checkTaskTemplate(found, task.args, origin, this.ctx);
    else if (task.action === 'include_vars') await checkVarsFile(found, this.ctx);
  }

  /** Whether a task may happen on the controller. */
  #isHere({ delegateTo, connection, action }: Task): boolean {
    if (action === 'fetch' || connection === 'local') return true;
    const goesTo = delegateTo ?? this.play.hosts;
    return goesTo instanceof Source ? delegateTo !== undefined : ['localhost', '127.0.0.1', '::1'].includes(String(goesTo));
  }

  /**
   * What an include brings is looked at already where its names are known. Of an include that is sure to run mistakes are
   * errors, as in what an import brings; else they are warnings until it is loaded.
   */
  async #include(task: Task): Promise<void> {
    const { ctx } = this;
    const apply = task.args.get('apply');
    if (isDict(apply)) checkKeywords(apply, APPLY, '"apply"', task.argOrigins.get('apply') ?? task.origin, ctx);
    const key = task.action === 'include_tasks' ? 'file' : task.args.has('role') ? 'role' : 'name';
    const origin = task.argOrigins.get(key) ?? task.origin;
    for (const item of itemsOf(task)) {
      const known = new Map([...knownNames({ ...task, baseDir: this.play.baseDir }), ...item]);
      const names = [key, 'tasks_from', 'vars_from', 'defaults_from', 'handlers_from'].map((name, i) => {
        const value = task.args.get(name) ?? (i === 0 ? null : 'main');
        return typeof value === 'string' ? value : value instanceof Source ? staticText(value, origin, name, { ...ctx, problems: [] }, () => known) : undefined;
      });
      if (names.includes(undefined)) this.#open = true;
      else await this.#included(task, names as string[], origin);
    }
  }

  async #included(task: Task, names: readonly string[], origin: Origin): Promise<void> {
    const { ctx } = this;
    const [name, tasks, vars, defaults, handlers] = names as [string, string, string, string, string];
    const sure = !this.#unsure && this.#rescued === 0 && isSure(task);
    const known = JSON.stringify([task.action, task.fileDir, sure, ...names]);
    if (this.#includes.has(known)) return;
    this.#includes.add(known);
    const point = { ...includePoint(task, this.play, ctx), origin };
    const first = ctx.problems.length;
    const around = this.#unsure;
    this.#unsure = !sure;
    this.#depth++;
    try {
      const brought = task.action === 'include_role'
        ? await bringRole(name, { from: { tasks, vars, defaults, handlers } }, point, ctx)
        : await bringTasks(await findTaskFile(name, { ...task, baseDir: this.play.baseDir }, point.origin), point, ctx);
      for (const role of brought?.roles ?? []) checkRole(role, ctx);
      for (const handler of brought?.handlers ?? []) this.#handler(handler);
      await this.entries([...(brought?.entries ?? []), ...(brought?.handlers ?? [])]);
    } catch (error) {
      ctx.problems.push(caught(error, point.origin));
    }
    this.#depth--;
    this.#unsure = around;
    if (!sure) for (const each of ctx.problems.slice(first)) each.severity = 'warning';
  }

  /** Literal names in `notify` that no handler bears. */
  notifications(): void {
    for (const { name, origin, mayBe } of this.#notifications) {
      if (this.#names.has(name)) continue;
      const hint = didYouMean(name, this.#names) ?? (this.#names.size > 0 ? `there are ${[...this.#names].map((each) => `"${each}"`).join(', ')}` : 'the play has no handlers');
      if (this.#open || mayBe) warn(this.ctx, `no handler known so far is called "${name}"`, origin, hint);
      else complain(this.ctx, `there is no handler "${name}"`, origin, hint);
    }
  }
}

/** Whether every host that gets to an include runs what it brings, as written. */
function isSure(task: Task): boolean {
  const apply = task.args.get('apply');
  const conditional = apply !== undefined && (!isDict(apply) || apply.has('when'));
  const once = task.loop === undefined || (literalItems(task) ?? []).length > 0;
  return once && !conditional && task.when.every(({ expression }) => expression === true) && (task.ignoreErrors ?? false) === false;
}

/** What an include's items are called, where they are written out; else once, with no name known. */
function itemsOf(task: Task): Map<string, string>[] {
  const { loopVar } = task.loopControl;
  return literalItems(task)?.map((item) => new Map(typeof item === 'string' && typeof loopVar === 'string' ? [[loopVar, item]] : [])) ?? [new Map()];
}

function literalItems({ loop }: Task): Value[] | undefined {
  return loop && ['loop', 'items', 'list'].includes(loop.how) && Array.isArray(loop.value) ? loop.value : undefined;
}

/** A task of a role that stands under a condition. */
function mayNeverCome(task: Task): boolean {
  return task.role !== undefined && task.when.some(({ expression }) => expression !== true);
}

/** Whether a task may leave files where it happens. */
function makesFiles({ action, args }: Task, spec: Spec | Module | undefined): boolean {
  if (!spec) return true;
  if (!('kind' in spec)) return action === 'fetch';
  return spec.kind === 'imperative' ? spec.changes !== false || args.has('dest') : spec.readOnly !== true;
}

function isYes(value: Value | undefined): boolean {
  return value === true || value instanceof Source || (typeof value === 'string' && /^(yes|true|on|1|t|y)$/i.test(value));
}
