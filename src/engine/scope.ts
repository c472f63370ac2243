import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Record, Services, TemplateOptions } from '../expression/index.js';
import { display, searchPath, type Place } from '../playbook/index.js';
import type { Task } from '../playbook/types.js';
import { templates } from '../template/index.js';
import { ContentError } from '../value/errors.js';
import type { Dict, Origin, Value } from '../value/value.js';
import type { Context, Reads, VariableScope } from '../variables/index.js';
import type { PlayRun } from './play.js';
import type { Run } from './run.js';
import { settingOf } from './settings.js';
import { templateVariables } from './template-variables.js';

/** For whom, where and when something is evaluated. */
export interface Where {
  play: PlayRun;
  task: Task | undefined;
  /** Whose variables. */
  host: string;
  /** Loop variable, index variable, `ansible_loop`, `item`. */
  loop?: Dict | undefined;
  /** Strongest but for extra vars: the present result under its register name, speculated facts. */
  extra?: Dict | undefined;
  /** Facts known ahead of their gathering. */
  facts?: Dict | undefined;
  /** Variables of the dynamic includes around the task, outermost first. */
  includes: readonly Dict[];
  /** Nothing with an effect may happen: the engine only looks ahead. */
  ahead: boolean;
  /** Told of everything that is read. */
  reads?: Reads | undefined;
}

/** What looking ahead takes to be so: values that tasks before would leave if nothing needs a change. */
export interface Speculated {
  /** Registered results and set_facts. */
  extra: Dict;
  /** Facts as their gathering would leave them; undefined while they are those gathered. */
  facts: Dict | undefined;
  /** Told of everything that is read. */
  reads?: Reads | undefined;
}

/** Ahead of its turn, with nothing taken to be so. */
export const AHEAD: Speculated = { extra: new Map(), facts: undefined };

/** Variables and services as a task sees them. */
export function scopeOf(run: Run, where: Where): VariableScope {
  return run.variables.scope(new Seen(run, where));
}

/** What a task sees, for whom and where. Several are made for every task on every host: what they tell is worked out when it is asked for. */
class Seen implements Context, Services {
  constructor(
    readonly run: Run,
    readonly where: Where,
  ) {}

  get services(): Services {
    return this;
  }
  get host() {
    return this.where.host;
  }
  get play() {
    return this.where.play.play;
  }
  get task() {
    return this.where.task;
  }
  get loop() {
    return this.where.loop;
  }
  get extra() {
    return this.where.extra;
  }
  get facts() {
    return this.where.facts;
  }
  get includeParams() {
    return this.where.includes;
  }
  get reads() {
    return this.where.reads;
  }
  get playHostsAll() {
    return this.where.play.members;
  }
  get playHosts() {
    const { play } = this.where;
    return play.alive(play.members);
  }
  get batch() {
    const { play } = this.where;
    return play.alive(play.batch);
  }
  get varsFiles() {
    return this.where.play.varsFilesOf(this.where.host);
  }
  get playbookDir() {
    return this.where.play.play.baseDir;
  }
  get connection() {
    return this.where.task?.connection ?? this.run.options.defaults.connection;
  }
  get options() {
    return this.run.options;
  }

  get names() {
    const action = this.where.task?.action;
    return action === 'include_tasks' ? 'tasks' : action === 'include_vars' ? 'vars' : undefined;
  }
  get baseDir() {
    const { task, play } = this.where;
    return task ? (task.role?.path ?? task.fileDir) : play.play.baseDir;
  }
  get ahead() {
    return this.where.ahead;
  }
  find(name: string, folder: string) {
    return findFile(this.run, this.where.play, this.where.task, name, folder);
  }
  render(file: string, record: Record, overrides: Map<string, Value>, options?: TemplateOptions) {
    const { run, where } = this;
    const extra = new Map([...(where.extra ?? []), ...templateVariables(file, undefined, scopeOf(run, where)), ...overrides]);
    return templates.value(display(file), scopeOf(run, { ...where, extra }), record, options);
  }
  template(file: string, options?: TemplateOptions) {
    return templates.jinja(display(file), options);
  }
  setting(name: string) {
    return settingOf(this.run.options, name);
  }
  remark(message: string, origin: Origin) {
    // What is to be said is said when the turn has come.
    if (this.where.ahead) this.outside();
    else this.run.remark(message, origin);
  }
  outside() {
    if (this.where.reads) this.where.reads.onlyAhead = true;
  }
}

/** From where a task's files are looked up; a play's own values have the playbook's folder alone. */
function placeOf(play: PlayRun, task: Task | undefined): Place {
  const { baseDir } = play.play;
  return { role: task?.role, fileDir: task?.fileDir ?? baseDir, baseDir };
}

export function findFile(run: Run, play: PlayRun, task: Task | undefined, name: string, folder: string): string | undefined {
  const wanted = name.startsWith('~/') ? path.join(process.env['HOME'] ?? '/', name.slice(2)) : name;
  if (path.isAbsolute(wanted)) return existsSync(wanted) ? wanted : undefined;
  return searchPath(placeOf(play, task), folder, run.options.projectDir)
    .map((place) => path.join(place, wanted))
    .find((file) => existsSync(file));
}

/** @throws ContentError naming every place that was looked at */
export function mustFind(run: Run, play: PlayRun, task: Task, name: string, folder: 'files' | 'templates' | 'vars' | 'tasks'): string {
  const found = findFile(run, play, task, name, folder);
  if (found !== undefined) return found;
  const shown = path.isAbsolute(name) ? [name] : searchPath(placeOf(play, task), folder, run.options.projectDir).map((place) => display(path.join(place, name)));
  throw new ContentError(`there is no file "${name}"`, task.argOrigins.get('src') ?? task.origin, `looked at ${shown.join(', ')}`);
}
