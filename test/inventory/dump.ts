import { groupsOf, type Inventory } from '../../src/inventory/index.js';
import { Float, Source, type Value } from '../../src/value/value.js';

/** An inventory as JSON that tells ints from floats and texts from Sources. */
export function dumpInventory(inventory: Inventory): unknown {
  const hosts = [...inventory.hosts.values()].map((host) => [
    host.name,
    { groups: groupsOf(inventory, host.name).map((group) => group.name), vars: plain(host.vars) },
  ]);
  const groups = [...inventory.groups.values()].map((group) => [
    group.name,
    { hosts: group.hosts, children: group.children, vars: plain(group.vars) },
  ]);
  return { hosts: Object.fromEntries(hosts), groups: Object.fromEntries(groups) };
}

function plain(value: Value): unknown {
  if (value instanceof Float) return { float: value.value };
  if (value instanceof Source) return { source: value.text, at: `${value.origin.line}:${value.origin.column}` };
  if (typeof value === 'bigint') return { bigint: value.toString() };
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [String(key), plain(member)]));
  return value;
}
