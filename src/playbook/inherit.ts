import { isDict, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { placeIn } from '../yaml/index.js';
import { complain, warn, type LoadContext } from './context.js';
import { moduleDefaults } from './defaults.js';
import { embedded } from './embedded.js';
import { asList, given, keyPlace, place } from './keywords.js';
import { textOrLater } from './static.js';
import type { Condition, Inherited, Tag } from './types.js';

/** Keywords of which the nearest statement wins. */
const KEYWORDS = {
  becomeUser: 'become_user', become: 'become', becomeMethod: 'become_method', becomeFlags: 'become_flags', becomeExe: 'become_exe', remoteUser: 'remote_user',
  connection: 'connection', port: 'port', ignoreErrors: 'ignore_errors', ignoreUnreachable: 'ignore_unreachable',
  anyErrorsFatal: 'any_errors_fatal', noLog: 'no_log', checkMode: 'check_mode', diff: 'diff', runOnce: 'run_once',
  delegateTo: 'delegate_to', delegateFacts: 'delegate_facts', throttle: 'throttle', timeout: 'timeout',
  collections: 'collections',
} as const satisfies Partial<Record<keyof Inherited, string>>;

/** Their fields. */
export const NEAREST = Object.keys(KEYWORDS) as (keyof typeof KEYWORDS)[];

/** What a task has that nothing around it states. */
export function nothingInherited(): Inherited {
  const nearest = Object.fromEntries(NEAREST.map((field) => [field, undefined])) as Record<keyof typeof KEYWORDS, undefined>;
  return { when: [], vars: [], environment: [], tags: [], ...nearest, notify: [], moduleDefaults: new Map() };
}

/** The keywords of a play, block, role or task laid over what is around it. */
export function inherit(around: Inherited, dict: Dict, at: Origin, ctx: LoadContext): Inherited {
  const result: Inherited = { ...around };
  for (const field of NEAREST) result[field] = given(dict, KEYWORDS[field]) ?? around[field];
  result.when = [...around.when, ...conditions(dict, 'when', at, ctx)];
  const vars = varsOf(dict, at, ctx);
  if (vars !== undefined) result.vars = [...around.vars, vars];
  result.environment = [...around.environment, ...asList(given(dict, 'environment'))];
  const notify = asList(given(dict, 'notify'));
  result.notify = around.notify.length === 0 ? notify : [...around.notify, ...notify];
  result.moduleDefaults = moduleDefaults(around.moduleDefaults, dict, at, ctx);
  result.tags = [...new Set([...around.tags, ...tagsOf(dict, at, ctx)])];
  return result;
}

/** The dict under `vars`; its names must be fit for expressions. */
export function varsOf(dict: Dict, at: Origin, ctx: LoadContext): Dict | undefined {
  const vars = given(dict, 'vars');
  if (!isDict(vars)) return undefined;
  for (const name of vars.keys()) {
    if (!/^[A-Za-z_]\w*$/.test(String(name))) complain(ctx, `"${String(name)}" cannot name a variable`, keyPlace(vars, name, at), 'letters, digits and _ only');
  }
  return vars;
}

/** `tags`: a list, or text split at commas. */
export function tagsOf(dict: Dict, at: Origin, ctx: LoadContext): Tag[] {
  const value = given(dict, 'tags');
  if (isDict(value)) return [];
  const members = asList(value).map((tag, i) => textOrLater(tag, Array.isArray(value) ? place(value, i, at) : place(dict, 'tags', at), 'a tag', ctx));
  return members.flatMap((tag): Tag[] => (tag instanceof Source ? [tag] : splitTags(tag ?? '')));
}

/** `a, b` -> `a` and `b`. */
export function splitTags(text: string): string[] {
  return text.split(',').map((tag) => tag.trim()).filter((tag) => tag !== '');
}

/** `when` and its like: one expression, a list of them (all must hold), or a literal boolean. */
export function conditions(dict: Dict, key: string, at: Origin, ctx: LoadContext): Condition[] {
  const value = given(dict, key);
  return asList(value).flatMap((each, i) => {
    const origin = Array.isArray(value) ? place(value, i, at) : place(dict, key, at);
    const one = condition(each, key, origin, ctx);
    return one === undefined ? [] : [one];
  });
}

function condition(value: Value, key: string, origin: Origin, ctx: LoadContext): Condition | undefined {
  if (typeof value === 'boolean') return { expression: value, origin };
  if (Array.isArray(value) || isDict(value) || value === null) return undefined;
  if (!(value instanceof Source)) return { expression: String(value).trim(), origin };
  const whole = /^\{\{-?((?:(?!\{\{|\}\})[^])*)\}\}$/.exec(value.text.trim())?.[1]?.replace(/-$/, '').trim();
  if (whole !== undefined) {
    warn(ctx, `"${key}" is an expression already`, origin, `write it without {{ }}: ${whole}`);
    return { expression: whole, origin: placeIn(value, value.text.indexOf(whole)) };
  }
  const expression = embedded(value.text.trim());
  if (expression !== undefined) {
    if (expression !== value.text.trim()) warn(ctx, `"${key}" is an expression: {{ }} has no place in it`, origin, 'write the variable by its name alone, and join texts with ~');
    return { expression, origin };
  }
  complain(ctx, `"${key}" is an expression: {{ }} and {% %} have no place in it`, origin, 'write the variable by its name alone');
  return undefined;
}
