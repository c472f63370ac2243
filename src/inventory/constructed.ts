import { dirname } from 'node:path';
import { statSync } from 'node:fs';
import { evaluateDeep, pythonText, Record, truthy, type Scope } from '../expression/index.js';
import { ContentError } from '../value/errors.js';
import { isDict, Secret, toPlain, type Dict, type Origin, type Value } from '../value/value.js';
import { containerOrigin, originOf } from '../yaml/index.js';
import { addChild, ensureGroup, groupsOf, join, setVar } from './graph.js';
import type { Loading } from './load.js';
import { evaluated, onlyKeys, scopeOf } from './plugin-file.js';
import type { Host } from './types.js';
import { VarsFolder } from './vars-folder.js';

const KEYS = ['plugin', 'strict', 'compose', 'groups', 'keyed_groups', 'leading_separator', 'use_vars_plugins', 'use_extra_vars', 'cache', 'cache_plugin', 'cache_timeout', 'cache_connection', 'cache_prefix'];

/**
 * `constructed`: variables and groups made of what the inventory has so far (docs.ansible.com,
 * ansible.builtin.constructed). An expression that cannot be evaluated for a host is passed over, unless `strict`.
 * @throws ContentError
 */
export function construct(settings: Dict, at: Origin, loading: Loading): void {
  onlyKeys(settings, 'constructed', KEYS);
  const { inventory } = loading;
  const flag = (name: string, otherwise: boolean): boolean => (settings.has(name) ? truthy(settings.get(name)!) : otherwise);
  if (flag('use_extra_vars', false)) throw new ContentError('"use_extra_vars" of constructed is not supported', originOf(settings, 'use_extra_vars') ?? at, 'extra vars are not known while the inventory is read');
  const strict = flag('strict', false);
  const leading = flag('leading_separator', true);
  const folders = flag('use_vars_plugins', false)
    ? [...new Set(inventory.sources.map((source) => (statSync(source, { throwIfNoEntry: false })?.isDirectory() ? source : dirname(source))))].map((folder) => ({ group: new VarsFolder(`${folder}/group_vars`), host: new VarsFolder(`${folder}/host_vars`) }))
    : [];
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (strict || !(error instanceof ContentError)) throw error;
    }
  };
  const section = (name: string): [string, Value, Origin][] => {
    const value = settings.get(name) ?? null;
    if (value === null) return [];
    if (!isDict(value)) throw new ContentError(`"${name}" of constructed is no dict`, originOf(settings, name) ?? at, 'write each as name: expression');
    return [...value].map(([key, member]) => [String(key), member, originOf(value, key) ?? at]);
  };
  const compose = section('compose');
  const groups = section('groups');
  const keyed = keyedGroups(settings, at);
  const put = (host: Host, name: string): void => {
    loading.declare(name);
    join(inventory, host, ensureGroup(inventory, name));
  };
  for (const host of [...inventory.hosts.values()]) {
    const seen = (): Scope => {
      const vars: Dict = new Map();
      const add = (...dicts: readonly Dict[]): void => dicts.forEach((dict) => dict.forEach((value, name) => vars.set(name, value)));
      const around = groupsOf(inventory, host.name);
      for (const group of around) add(group.vars, ...folders.flatMap((folder) => folder.group.of(group.name)));
      add(host.vars, ...folders.flatMap((folder) => folder.host.of(host.name)));
      vars.set('inventory_hostname', host.name).set('inventory_hostname_short', host.name.split('.')[0]!);
      vars.set('group_names', around.map((group) => group.name).filter((name) => name !== 'all').sort());
      return scopeOf(vars, at.file);
    };
    let scope = seen();
    for (const [name, value, origin] of compose) attempt(() => setVar(host, name, evaluated(value, origin, scope), origin));
    scope = seen();
    for (const [name, value, origin] of groups) {
      attempt(() => {
        if (truthy(evaluated(value, origin, scope))) put(host, groupName(name));
      });
    }
    for (const { dict, origin, key, separator, prefix, parent, otherwise, trailing } of keyed) {
      attempt(() => {
        const value = evaluated(key, originOf(dict, 'key') ?? origin, scope);
        const text = (member: Value): string => pythonText(member instanceof Secret ? member.reveal() : member);
        const or = (member: string): string => (member === '' && otherwise !== undefined ? otherwise : member);
        let names: string[];
        if (isDict(value)) names = [...value].map(([name, member]) => (text(member) === '' && otherwise === undefined && !trailing ? text(name) : `${text(name)}${separator}${or(text(member))}`));
        else if (Array.isArray(value)) names = value.map((member) => or(text(member)));
        else names = [or(value === null ? '' : text(value))].filter((name) => name !== '');
        if (names.length === 0 && strict) throw new ContentError('the key of a keyed group is empty', origin);
        for (const name of names) {
          const full = groupName(`${prefix}${prefix === '' && !leading ? '' : separator}${name}`);
          put(host, full);
          if (parent === null) continue;
          const above = groupName(text(evaluateDeep(parent, scope, new Record())));
          loading.declare(above);
          addChild(inventory, ensureGroup(inventory, above), ensureGroup(inventory, full));
          loading.edge(above, full, origin);
        }
      });
    }
  }
}

/** What cannot stand in the name of a group becomes an underscore, as Ansible's plugins have it. */
function groupName(text: string): string {
  return text.replace(/^[^\p{L}_]|[^\p{L}\p{N}_]/gu, '_');
}

interface Keyed {
  dict: Dict;
  origin: Origin;
  key: Value;
  separator: string;
  prefix: string;
  parent: Value;
  /** `default_value` */
  otherwise: string | undefined;
  trailing: boolean;
}

function keyedGroups(settings: Dict, at: Origin): Keyed[] {
  const list = settings.get('keyed_groups') ?? [];
  if (!Array.isArray(list)) throw new ContentError('"keyed_groups" of constructed is no list', originOf(settings, 'keyed_groups') ?? at, 'begin each with "- key:"');
  return list.map((dict, i) => {
    const origin = originOf(list, i) ?? containerOrigin(list) ?? at;
    if (!isDict(dict) || !dict.has('key')) throw new ContentError('a keyed group needs a "key"', origin, 'write "- key: an expression"');
    onlyKeys(dict, 'a keyed group', ['key', 'prefix', 'separator', 'parent_group', 'default_value', 'trailing_separator']);
    const trailing = dict.get('trailing_separator') ?? true;
    const otherwise = dict.get('default_value') ?? null;
    if (otherwise !== null && !truthy(trailing)) throw new ContentError('"default_value" and "trailing_separator: false" exclude one another', origin, 'keep one of them');
    return {
      dict, origin, key: dict.get('key')!, prefix: String(toPlain(dict.get('prefix') ?? '', false)), parent: dict.get('parent_group') ?? null,
      separator: String(dict.get('separator') ?? '_'), otherwise: otherwise === null ? undefined : pythonText(otherwise), trailing: truthy(trailing),
    };
  });
}
