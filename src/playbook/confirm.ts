import type { Spec } from '../modules/index.js';
import type { Module } from '../modules/module.js';
import { isDict, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { complain, type LoadContext } from './context.js';
import { asList, given, place, shown } from './keywords.js';
import type { Block, Task } from './types.js';

/** Below this a host may not have been reached anew before it puts the old state back. */
const LEAST_SECONDS = 5;
const UNITS: { [unit: string]: number } = { '': 1, s: 1, sec: 1, m: 60, min: 60, h: 3600 };
const HOW = 'write seconds or a duration: 60, 90s, 2m, 1m30s';

/** Seconds of `60`, `90s`, `2m`, `1m30s`; undefined for what is no duration. 0 (and `false`) means: not confirmed. */
export function durationOf(value: unknown): number | undefined {
  if (value === false || value === null) return 0;
  const text = String(value).trim();
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*(sec|min|[smh]|$)\s*/gy)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return undefined;
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit!]!, 0);
}

/** Why these seconds will not do; undefined where they will. */
export function durationProblem(seconds: number | undefined, value: unknown): { message: string; hint: string } | undefined {
  if (seconds === undefined) return { message: `confirm is ${JSON.stringify(value)}, which is no duration`, hint: HOW };
  if (seconds !== 0 && seconds < LEAST_SECONDS) return { message: `confirm is ${seconds} s: nobody logs in so fast`, hint: `give at least ${LEAST_SECONDS} s, or 0 for a block that needs no confirmation` };
  return undefined;
}

/** The `confirm` of a block: a duration, or a dict that also names what its commands touch. */
export function confirmOf(dict: Dict, at: Origin, ctx: LoadContext): Block['confirm'] {
  const value = given(dict, 'confirm');
  if (value === undefined) return undefined;
  const origin = place(dict, 'confirm', at);
  if (!isDict(value)) {
    checkDuration(value, origin, ctx);
    return { within: value, paths: [], services: [], origin };
  }
  for (const key of value.keys()) if (!['within', 'paths', 'services'].includes(String(key))) complain(ctx, `confirm has no "${String(key)}"`, place(value, key, origin), 'it has within, paths and services');
  const within = given(value, 'within');
  if (within === undefined) complain(ctx, 'confirm needs "within"', origin, HOW);
  else checkDuration(within, place(value, 'within', origin), ctx);
  return { within: within ?? 0, paths: asList(given(value, 'paths')), services: asList(given(value, 'services')), origin };
}

function checkDuration(value: Value, origin: Origin, ctx: LoadContext): void {
  if (value instanceof Source) return;
  if (Array.isArray(value) || isDict(value)) return complain(ctx, `confirm must be a duration, not ${shown(value)}`, origin, HOW);
  const problem = durationProblem(durationOf(value), value);
  if (problem) complain(ctx, problem.message, origin, problem.hint);
}

/** Whether a task changes nothing on its host that would have to be put back. */
export function isHarmless(task: Task, module: Module): boolean {
  if (module.kind === 'imperative') return module.changes === false || task.changedWhen?.every(({ expression }) => expression === false) === true;
  return module.readOnly === true;
}

/**
 * Why a task may not stand in a confirmed block; undefined where it may.
 * @param spec the task's module, or an action of the engine
 * @param declared the block names itself what its commands touch
 */
export function unconfirmable(task: Task, spec: Spec | Module, declared: boolean): { message: string; hint: string } | undefined {
  if (task.action === 'reboot') return { message: 'a reboot in a confirmed block would put the old state back', hint: 'reboot behind the block' };
  if (!('kind' in spec) || isHarmless(task, spec)) return undefined;
  const message = `${task.actionAsWritten} in a confirmed block: what it changes cannot be put back`;
  if (spec.kind === 'conversation') return { message, hint: 'move it before or behind the block' };
  if (('touches' in spec && spec.touches !== undefined) || declared) return undefined;
  const free = spec.kind === 'imperative' ? ', give it "changed_when: false" if it changes nothing' : '';
  return { message, hint: `move it before or behind the block${free}, or name what it touches: confirm: {within: 60s, paths: […], services: […]}` };
}
