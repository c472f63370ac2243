import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDict, type Dict, type Value } from '../value/value.js';
import { parseYaml } from '../yaml/index.js';
import { ansibleCore, collectionRoots, isFile, isFolder } from './places.js';

/** What `meta/runtime.yml` says of a name (Ansible's collection documentation, "runtime.yml"). */
export interface Route {
  /** The name it goes by now. */
  redirect: string | undefined;
  /** Why it is gone. */
  tombstone: string | undefined;
  /** What is said to whoever still uses it. */
  deprecation: string | undefined;
}

/** Kinds of plugins whose entries are heeded. */
export type Routed = 'modules' | 'module_utils' | 'filter' | 'test' | 'lookup';

/** An installed collection, or what stands in for `ansible.builtin`: ansible-core on the controller. */
export interface Collection {
  /** `namespace.name`. */
  name: string;
  path: string;
  /** Folder of its modules. */
  modules: string;
  /** Folder of the plugins that run on Ansible's controller. */
  actions: string;
  route(kind: Routed, name: string): Route | undefined;
  /** Whether something below a dotted name has an entry. */
  routesBelow(kind: Routed, name: string): boolean;
  /** Modules of an action group, as written there; undefined where it has no such group. */
  group(name: string): string[] | undefined;
}

const known = new Map<string, Collection>();

/**
 * @param name `namespace.name`
 * @param beside folders of the playbook, the role and the project
 */
export function findCollection(name: string, beside: readonly string[]): Collection | undefined {
  const [space, own] = name.split('.');
  if (space === undefined || own === undefined || !/^\w+\.\w+$/.test(name)) return undefined;
  if (name === 'ansible.builtin') return coreCollection();
  for (const root of collectionRoots(beside)) {
    const path = join(root, space, own);
    const before = known.get(path);
    if (before) return before;
    if (!isFolder(path)) continue;
    const collection = collectionAt(name, path, join(path, 'plugins', 'modules'), join(path, 'plugins', 'action'), ['meta/runtime.yml', 'meta/runtime.yaml'].map((file) => join(path, file)));
    known.set(path, collection);
    return collection;
  }
  return undefined;
}

/** @param path folder of the package `ansible` */
export function coreCollection(path = ansibleCore()): Collection | undefined {
  if (path === undefined) return undefined;
  let collection = known.get(path);
  if (!collection) known.set(path, (collection = collectionAt('ansible.builtin', path, join(path, 'modules'), join(path, 'plugins', 'action'), [join(path, 'config', 'ansible_builtin_runtime.yml')])));
  return collection;
}

function collectionAt(name: string, path: string, modules: string, actions: string, files: string[]): Collection {
  let runtime: Dict | undefined;
  const read = (): Dict => (runtime ??= runtimeOf(files.find(isFile)));
  return {
    name, path, modules, actions,
    route(kind, plugin) {
      const entry = member(member(member(read(), 'plugin_routing'), kind), plugin);
      if (!isDict(entry)) return undefined;
      const said = (key: string): string | undefined => {
        const what = entry.get(key);
        return isDict(what) ? String(what.get('warning_text') ?? 'without a reason given') : undefined;
      };
      const redirect = entry.get('redirect');
      return { redirect: typeof redirect === 'string' ? redirect : undefined, tombstone: said('tombstone'), deprecation: said('deprecation') };
    },
    routesBelow(kind, above) {
      const entries = member(member(read(), 'plugin_routing'), kind);
      return isDict(entries) && [...entries.keys()].some((key) => String(key).startsWith(`${above}.`));
    },
    group(group) {
      const members = member(member(read(), 'action_groups'), group);
      return Array.isArray(members) ? members.filter((each): each is string => typeof each === 'string') : undefined;
    },
  };
}

function member(value: Value | undefined, key: string): Value | undefined {
  return isDict(value) ? value.get(key) : undefined;
}

function runtimeOf(file: string | undefined): Dict {
  const value = file === undefined ? null : parseYaml(readFileSync(file, 'utf8'), file);
  return isDict(value) ? value : new Map();
}

/** The collection a file lies in: `namespace.name`. */
export function collectionOf(path: string): string | undefined {
  const match = /^.*\/ansible_collections\/(\w+)\/(\w+)(?:\/|$)/.exec(path);
  return match ? `${match[1]}.${match[2]}` : undefined;
}

/** A name with its collection, taken apart: `community.general.web.thing` is `web.thing` of `community.general`. */
export function splitName(written: string): { collection: string; name: string } | undefined {
  const match = /^(\w+\.\w+)\.(\w+(?:\.\w+)*)$/.exec(written);
  return match ? { collection: match[1]!, name: match[2]! } : undefined;
}
