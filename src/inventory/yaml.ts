import { ContentError, didYouMean } from '../value/errors.js';
import { isDict, type Dict, type Origin, type Value } from '../value/value.js';
import { containerOrigin, keyOrigin, originOf, parseYaml } from '../yaml/index.js';
import { addChild, ensureGroup, ensureHost, join, setVar } from './graph.js';
import type { Loading } from './load.js';
import { readPlugin } from './plugins.js';
import { expandHost } from './ranges.js';
import type { Group, Host } from './types.js';

const sections = ['hosts', 'vars', 'children'];

/**
 * Reads a YAML (or JSON) inventory: a dict of groups, each with `hosts`, `vars` and `children`, as Ansible's
 * yaml plugin takes it; stricter in that an unknown key is an error, not a warning.
 */
export function readYaml(text: string, file: string, loading: Loading, isSecret = false): void {
  const start: Origin = { file, line: 1, column: 1 };
  const content = parseYaml(text, file, isSecret);
  if (content === null) return;
  if (!isDict(content)) throw new ContentError('an inventory is a dict of groups', start, 'begin with "all:" and put "hosts:" or "children:" below it');
  if (typeof content.get('plugin') === 'string') return readPlugin(content, file, loading);
  for (const [name, body] of content) {
    readGroup(groupName(name, keyOrigin(content, name) ?? start), body, originOf(content, name) ?? start, loading);
  }
}

function readGroup(name: string, body: Value, origin: Origin, loading: Loading): Group {
  const { inventory } = loading;
  const group = ensureGroup(inventory, name);
  loading.declare(name);
  if (body === null) return group;
  if (!isDict(body)) throw new ContentError(`group "${name}" is no dict`, origin, 'a group has the keys hosts, vars and children');
  for (const key of body.keys()) {
    if (sections.includes(key as string)) continue;
    throw new ContentError(
      `group "${name}" has the unknown key "${String(key)}"`,
      keyOrigin(body, key),
      didYouMean(String(key), sections) ?? 'a group has the keys hosts, vars and children; a group inside it goes under children',
    );
  }
  for (const [key, value, place] of entries(body, 'vars', name)) setVar(group, String(key), value, place.value);
  for (const [key, value, place] of entries(body, 'hosts', name)) {
    const { names, port } = expandHost(String(key), place.key);
    if (value !== null && !isDict(value)) throw new ContentError(`host "${String(key)}" is no dict of variables`, place.value, 'write its variables as name: value below it');
    for (const hostName of names) {
      const host = ensureHost(inventory, hostName, place.key.file);
      join(inventory, host, group);
      if (port !== undefined) setVar(host, 'ansible_port', port, place.key);
      if (value !== null) setVars(host, value, place.value);
    }
  }
  for (const [key, value, place] of entries(body, 'children', name)) {
    const child = readGroup(groupName(key, place.key), value, place.value, loading);
    addChild(inventory, group, child);
    loading.edge(name, child.name, place.key);
  }
  return group;
}

function setVars(host: Host, vars: Dict, fallback: Origin): void {
  for (const [name, value] of vars) setVar(host, String(name), value, originOf(vars, name) ?? fallback);
}

function groupName(key: Value, origin: Origin): string {
  if (typeof key !== 'string') throw new ContentError(`"${String(key)}" is no group name`, origin, 'put it in quotes');
  return key;
}

/** Members of one section with their places; a single text stands for a dict with that key, as in Ansible. */
function entries(body: Dict, section: string, group: string): [Value, Value, { key: Origin; value: Origin }][] {
  const value = body.get(section) ?? null;
  if (value === null) return [];
  const origin = originOf(body, section)!;
  if (typeof value === 'string') return [[value, null, { key: origin, value: origin }]];
  if (!isDict(value)) throw new ContentError(`"${section}" of group "${group}" is no dict`, origin, `write each of them as "name:" with its own below, not as a list`);
  const at = containerOrigin(value) ?? origin;
  return [...value].map(([key, member]) => [key, member, { key: keyOrigin(value, key) ?? at, value: originOf(value, key) ?? at }]);
}
