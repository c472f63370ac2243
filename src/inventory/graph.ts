/** The inventory as a graph: building it, changing it while a play runs, and asking it who belongs where. */
import { ContentError } from '../value/errors.js';
import type { Dict, Origin, Value } from '../value/value.js';
import type { Group, Host, Inventory } from './types.js';

export function emptyInventory(sources: string[] = []): Inventory {
  const inventory: Inventory = { groups: new Map(), hosts: new Map(), sources };
  addChild(inventory, ensureGroup(inventory, 'all'), ensureGroup(inventory, 'ungrouped'));
  return inventory;
}

/** The group of that name, made when there is none. */
export function ensureGroup(inventory: Inventory, name: string): Group {
  let group = inventory.groups.get(name);
  if (!group) {
    group = { name, hosts: [], children: [], vars: new Map(), origins: new Map(), priority: 1 };
    inventory.groups.set(name, group);
    changed(inventory);
  }
  return group;
}

/** The host of that name, made when there is none; `source` is the file that names it. */
export function ensureHost(inventory: Inventory, name: string, source?: string): Host {
  let host = inventory.hosts.get(name);
  if (!host) {
    host = { name, groups: [], vars: new Map(), origins: new Map() };
    if (source !== undefined) host.source = source;
    inventory.hosts.set(name, host);
    changed(inventory);
  } else if (host.implicit) {
    delete host.implicit;
    changed(inventory);
  }
  return host;
}

/** Makes a host a direct member of a group; `all` has every host already. */
export function join(inventory: Inventory, host: Host, group: Group): void {
  if (group.name === 'all' || host.groups.includes(group.name)) return;
  host.groups.push(group.name);
  group.hosts.push(host.name);
  changed(inventory);
}

export function addChild(inventory: Inventory, parent: Group, child: Group): void {
  if (parent.children.includes(child.name)) return;
  parent.children.push(child.name);
  changed(inventory);
}

export function setVar(owner: Group | Host, name: string, value: Value, origin: Origin): void {
  owner.vars.set(name, value);
  owner.origins.set(name, origin);
  if ('priority' in owner && name === 'ansible_group_priority') {
    const priority = Number(value);
    if (!Number.isInteger(priority)) throw new ContentError(`ansible_group_priority of group "${owner.name}" is no integer`, origin);
    owner.priority = priority;
  }
}

/** `add_host`: the host with these variables, a member of these groups (made when missing). */
export function addHost(inventory: Inventory, name: string, groups: string[], vars: Dict): Host {
  const host = ensureHost(inventory, name);
  for (const [key, value] of vars) host.vars.set(key, value);
  for (const group of groups) addToGroup(inventory, name, group);
  tidyUngrouped(inventory, [host]);
  return host;
}

/** `group_by`: puts a host into a group, which becomes a child of `parents` (`all` when none are named). */
export function addToGroup(inventory: Inventory, hostName: string, groupName: string, parents: string[] = []): void {
  const host = ensureHost(inventory, hostName);
  const group = ensureGroup(inventory, groupName);
  join(inventory, host, group);
  for (const parent of parents.length > 0 ? parents : ['all']) {
    if (groupName !== 'all' && !hasParent(inventory, groupName, parent)) addChild(inventory, ensureGroup(inventory, parent), group);
  }
  tidyUngrouped(inventory, [host]);
}

/** The same inventory once more: what a run adds to the one is not in the other. */
export function copyInventory({ groups, hosts, sources }: Inventory): Inventory {
  return {
    groups: new Map([...groups].map(([name, group]) => [name, { ...group, hosts: [...group.hosts], children: [...group.children], vars: new Map(group.vars), origins: new Map(group.origins) }])),
    hosts: new Map([...hosts].map(([name, host]) => [name, { ...host, groups: [...host.groups], vars: new Map(host.vars), origins: new Map(host.origins) }])),
    sources: [...sources],
  };
}

/** Makes `inventory` what another is, for all who hold it. */
export function replaceInventory(inventory: Inventory, by: Inventory): void {
  inventory.groups.clear();
  inventory.hosts.clear();
  for (const [name, group] of by.groups) inventory.groups.set(name, group);
  for (const [name, host] of by.hosts) inventory.hosts.set(name, host);
  changed(inventory);
}

/** A group below `all` anywhere need not be its child. */
function hasParent(inventory: Inventory, group: string, parent: string): boolean {
  const above = indexOf(inventory).parents.get(group) ?? [];
  return parent === 'all' ? above.length > 0 : above.includes(parent);
}

/** `ungrouped` holds the hosts no other group names: to be called once an inventory is read or changed. */
export function tidyUngrouped(inventory: Inventory, hosts: Iterable<Host> = inventory.hosts.values()): void {
  const ungrouped = inventory.groups.get('ungrouped')!;
  const leaving = new Set<string>();
  for (const host of hosts) {
    if (host.implicit) continue;
    if (host.groups.length === 0) join(inventory, host, ungrouped);
    else if (host.groups.length > 1 && host.groups.includes('ungrouped')) {
      host.groups = host.groups.filter((group) => group !== 'ungrouped');
      leaving.add(host.name);
    }
  }
  if (leaving.size === 0) return;
  ungrouped.hosts = ungrouped.hosts.filter((name) => !leaving.has(name));
  changed(inventory);
}

/** What is worked out from the graph once and forgotten when it changes. */
interface Index {
  /** Longest way down from `all` (0), as Ansible counts. */
  depths: Map<string, number>;
  parents: Map<string, string[]>;
  /** Groups in merge order, by the direct groups of a host: hosts with the same groups share one list. */
  merged: Map<string, readonly Group[]>;
  members: Map<string, readonly string[]>;
}

const indexes = new WeakMap<Inventory, Index>();

function changed(inventory: Inventory): void {
  indexes.delete(inventory);
}

/** Refuses a group that contains itself. @param where the place a child was written, for the message */
export function checkLoops(inventory: Inventory, where: (parent: string, child: string) => Origin | undefined = () => undefined): void {
  const done = new Set<string>();
  const path: string[] = [];
  const walk = (name: string): void => {
    const from = path.indexOf(name);
    if (from >= 0) {
      throw new ContentError(
        `group "${name}" contains itself: ${[...path.slice(from), name].join(' -> ')}`,
        where(path.at(-1)!, name),
        'take one of these out of the other\'s children',
      );
    }
    if (done.has(name)) return;
    path.push(name);
    for (const child of inventory.groups.get(name)!.children) walk(child);
    path.pop();
    done.add(name);
  };
  for (const name of inventory.groups.keys()) walk(name);
}

function indexOf(inventory: Inventory): Index {
  const known = indexes.get(inventory);
  if (known) return known;
  checkLoops(inventory);
  const parents = new Map<string, string[]>();
  for (const group of inventory.groups.values()) {
    for (const child of group.children) parents.set(child, [...(parents.get(child) ?? []), group.name]);
  }
  const depths = new Map<string, number>([['all', 0]]);
  const depth = (name: string): number => {
    let found = depths.get(name);
    if (found === undefined) depths.set(name, (found = 1 + Math.max(0, ...(parents.get(name) ?? []).map(depth))));
    return found;
  };
  for (const name of inventory.groups.keys()) depth(name);
  const index: Index = { depths, parents, merged: new Map(), members: new Map() };
  indexes.set(inventory, index);
  return index;
}

/**
 * The groups whose variables a host has, in the order they are merged (later wins):
 * `all`, then by depth, priority and name (docs.ansible.com: "How variables are merged").
 */
export function groupsOf(inventory: Inventory, host: string): readonly Group[] {
  const { depths, parents, merged } = indexOf(inventory);
  const direct = inventory.hosts.get(host)?.groups ?? [];
  const key = direct.join('\0');
  const known = merged.get(key);
  if (known) return known;
  const names = new Set(['all']);
  const add = (name: string): void => {
    if (names.has(name)) return;
    names.add(name);
    for (const parent of parents.get(name) ?? []) add(parent);
  };
  for (const name of direct) add(name);
  const groups = [...names].map((name) => inventory.groups.get(name)!);
  groups.sort((a, b) => depths.get(a.name)! - depths.get(b.name)! || a.priority - b.priority || (a.name < b.name ? -1 : 1));
  merged.set(key, groups);
  return groups;
}

/** All hosts of a group and of the groups below it, those nearer the group first; of `all`, every listed host as listed. */
export function hostsOf(inventory: Inventory, groupName: string): readonly string[] {
  const { members } = indexOf(inventory);
  const known = members.get(groupName);
  if (known) return known;
  const hosts = new Set<string>();
  if (groupName === 'all') for (const host of inventory.hosts.values()) if (!host.implicit) hosts.add(host.name);
  let level = groupName === 'all' ? [] : [groupName];
  const seen = new Set(level);
  while (level.length > 0) {
    const next: string[] = [];
    for (const name of level) {
      const group = inventory.groups.get(name)!;
      for (const host of group.hosts) hosts.add(host);
      for (const child of group.children) {
        if (seen.has(child)) continue;
        seen.add(child);
        next.push(child);
      }
    }
    level = next;
  }
  const list = [...hosts];
  members.set(groupName, list);
  return list;
}
