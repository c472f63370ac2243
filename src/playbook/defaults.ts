import { describeParams, WHOLE, type Spec } from '../modules/index.js';
import { isDict, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { keyOrigin } from '../yaml/index.js';
import { actionName, suggestAction } from './actions.js';
import { complain, warn, type LoadContext } from './context.js';
import { asList, given, keyPlace, place, shown } from './keywords.js';
import type { Inherited } from './types.js';

/** Modules that are here, of the action groups of their collections (meta/runtime.yml, `action_groups`). */
const GROUPS: { [group: string]: readonly string[] } = {
  'community.mysql.all': ['mysql_db', 'mysql_query', 'mysql_replication', 'mysql_user', 'mysql_variables'],
};

/**
 * The `module_defaults` of a play, block, role or task laid over those around it. What is said of a module (or group)
 * replaces what is said of it further out, as in Ansible; names are literal, values are evaluated with the task.
 */
export function moduleDefaults(around: Inherited['moduleDefaults'], dict: Dict, at: Origin, ctx: LoadContext): Inherited['moduleDefaults'] {
  const value = given(dict, 'module_defaults');
  if (value === undefined) return around;
  const all = new Map(around);
  for (const layer of asList(value)) {
    if (!isDict(layer)) {
      complain(ctx, '"module_defaults" must be written out: a dict of modules, each with a dict of arguments', place(dict, 'module_defaults', at));
      continue;
    }
    for (const [key, args] of layer) {
      const written = String(key);
      const origin = keyPlace(layer, key, at);
      if (args !== null && !isDict(args) && !(args instanceof Source)) complain(ctx, `the defaults of ${written} must be a dict, not ${shown(args)}`, origin);
      else if (written.startsWith('group/')) {
        if (!Object.hasOwn(GROUPS, written.slice('group/'.length))) warn(ctx, `no module that is here belongs to ${written}`, origin, `groups with modules here: ${Object.keys(GROUPS).map((name) => `group/${name}`).join(', ')}`);
        all.set(written, { args: args ?? new Map(), origin });
      } else {
        const name = actionName(written);
        if (name === undefined) warn(ctx, `module_defaults names "${written}", which is no module`, origin, suggestAction(written));
        else all.set(name, { args: args ?? new Map(), origin });
      }
    }
  }
  return all;
}

/**
 * Arguments with those that `module_defaults` adds: of the groups the module is in, over them its own, over them what
 * the task says. A dict that is only known when the task runs stands under `WHOLE`.
 */
export function withDefaults(name: string, spec: Spec, defaults: Inherited['moduleDefaults'], args: Dict, origins: Map<string, Origin>): Dict {
  const layers = [...defaults].filter(([key]) => key.startsWith('group/') && GROUPS[key.slice('group/'.length)]?.includes(name)).map(([, layer]) => layer);
  const own = defaults.get(name);
  if (own) layers.push(own);
  if (layers.length === 0) return args;
  const named = new Map(describeParams(spec).flatMap((param) => [param.name, ...param.aliases].map((written) => [written, param.name] as const)));
  const parameter = (key: Value): string => named.get(String(key)) ?? String(key);
  const said = new Set([...args.keys()].map(parameter));
  const result: Dict = new Map();
  for (const { args: layer, origin } of layers) {
    if (layer instanceof Source) {
      result.set(`${WHOLE} of module_defaults ${result.size}`, layer);
      continue;
    }
    for (const [key, value] of layer) {
      if (said.has(parameter(key))) continue;
      for (const before of [...result.keys()]) if (parameter(before) === parameter(key)) result.delete(before);
      result.set(String(key), value);
      origins.set(String(key), keyOrigin(layer, key) ?? origin);
    }
  }
  for (const [key, value] of args) result.set(key, value);
  return result;
}
