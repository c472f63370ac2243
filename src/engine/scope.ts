import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Services } from '../expression/index.js';
import { display, searchPath, type Place } from '../playbook/index.js';
import type { Task } from '../playbook/types.js';
import { templates } from '../template/index.js';
import { ContentError } from '../value/errors.js';
import type { Dict } from '../value/value.js';
import type { Reads, VariableScope } from '../variables/index.js';
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
  const { play, task, reads } = where;
  const onlyAhead = reads && (() => void (reads.onlyAhead = true));
  const services: Services = {
    find: (name, folder) => findFile(run, play, task, name, folder),
    names: task?.action === 'include_tasks' ? 'tasks' : task?.action === 'include_vars' ? 'vars' : undefined,
    baseDir: task ? (task.role?.path ?? task.fileDir) : play.play.baseDir,
    render: (file, record, overrides, options) => {
      const extra = new Map([...(where.extra ?? []), ...templateVariables(file, undefined, scopeOf(run, where)), ...overrides]);
      return templates.value(display(file), scopeOf(run, { ...where, extra }), record, options);
    },
    template: (file, options) => templates.jinja(display(file), options),
    ahead: where.ahead,
    setting: (name) => settingOf(run.options, name),
    // What is to be said is said when the turn has come.
    remark: where.ahead ? onlyAhead : run.remark,
    outside: onlyAhead,
  };
  return run.variables.scope({
    host: where.host,
    play: play.play,
    playHostsAll: play.members,
    get playHosts() {
      return play.alive(play.members);
    },
    get batch() {
      return play.alive(play.batch);
    },
    task,
    loop: where.loop,
    extra: where.extra,
    facts: where.facts,
    includeParams: where.includes,
    varsFiles: play.varsFilesOf(where.host),
    services,
    connection: task?.connection ?? run.options.defaults.connection,
    check: run.options.check,
    diff: run.options.diff,
    forks: run.options.forks,
    verbosity: run.options.verbosity,
    limit: run.options.limit,
    runTags: run.options.tags,
    skipTags: run.options.skipTags,
    playbookDir: play.play.baseDir,
    reads,
  });
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
