import { describeParams, WHOLE, type Spec } from '../modules/index.js';
import { findCollection, splitName } from '../plugins/index.js';
import { isDict, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { keyOrigin } from '../yaml/index.js';
import { actionName, suggestAction } from './actions.js';
import { complain, warn, type LoadContext } from './context.js';
import { asList, given, keyPlace, place, shown } from './keywords.js';
import type { Inherited, Task } from './types.js';

/** Modules that are here, of the action groups of their collections (meta/runtime.yml, `action_groups`). */
const MYSQL = ['mysql_db', 'mysql_query', 'mysql_replication', 'mysql_user', 'mysql_variables'];
const GROUPS: { [group: string]: readonly string[] } = { 'community.mysql.all': MYSQL, 'ansible.mysql.all': MYSQL };

/** Full names of the modules of `group/NAMESPACE.COLLECTION.GROUP`, from the meta/runtime.yml of an installed collection. */
function groupOf(key: string, ctx: LoadContext): ReadonlySet<string> | undefined {
  const split = splitName(key.slice('group/'.length));
  const members = split && findCollection(split.collection, [ctx.projectDir])?.group(split.name);
  return members && new Set(members.map((member) => (member.includes('.') ? member : `${split.collection}.${member}`)));
}

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
        if (!Object.hasOwn(GROUPS, written.slice('group/'.length)) && groupOf(written, ctx) === undefined) warn(ctx, `no module that is here belongs to ${written}`, origin, `groups with modules here: ${Object.keys(GROUPS).map((name) => `group/${name}`).join(', ')}`);
        all.set(written, { args: args ?? new Map(), origin });
      } else {
        const name = actionName(written);
        // It may be the project's own or a collection's: of that only a name that is nearly one of ours is doubtful.
        const near = name === undefined && !written.includes('.') ? suggestAction(written) : undefined;
        if (near?.startsWith('did')) warn(ctx, `module_defaults names "${written}", which is no module`, origin, near);
        all.set(name ?? written, { args: args ?? new Map(), origin });
      }
    }
  }
  return all;
}

/**
 * Arguments with those that `module_defaults` adds: of the groups the module is in, over them its own, over them what
 * the task says. A dict that is only known when the task runs stands under `WHOLE`.
 * @param written the module as the task names it: what is none of ours is found by that
 */
export function withDefaults(name: string, written: string, spec: Spec, defaults: Inherited['moduleDefaults'], args: Dict, origins: Map<string, Origin>, ctx: LoadContext): Dict {
  if (defaults.size === 0) return args;
  const isIn = (key: string): boolean => GROUPS[key.slice('group/'.length)]?.includes(name) === true || [...(groupOf(key, ctx) ?? [])].some((member) => member === written || actionName(member) === name);
  const layers = [...defaults].filter(([key]) => key.startsWith('group/') && isIn(key)).map(([, layer]) => layer);
  const own = defaults.get(name) ?? defaults.get(written);
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

/** Modules that hand their work to that of the host's manager, and the fact that names it. */
const MANAGED: { [action: string]: { fact: string; managers: readonly string[] } } = {
  service: { fact: 'service_mgr', managers: ['systemd', 'sysvinit'] },
  package: { fact: 'pkg_mgr', managers: ['apt', 'dnf'] },
};

type Managed = Pick<Task, 'action' | 'moduleDefaults'>;

/** Whether what a host's manager is says which arguments a task has. */
export function hasManagerDefaults({ action, moduleDefaults }: Managed): boolean {
  return MANAGED[action]?.managers.some((manager) => moduleDefaults.has(manager)) ?? false;
}

/** The `module_defaults` of the module of the host's manager, which hold for `service` and `package` where the task says nothing else. */
export function managerDefaults({ action, moduleDefaults }: Managed, facts: ReadonlyMap<string, unknown>): Dict | Source | undefined {
  const named = MANAGED[action] && facts.get(MANAGED[action].fact);
  return typeof named === 'string' ? moduleDefaults.get(actionName(named) ?? named)?.args : undefined;
}
