import { originOf } from '../yaml/index.js';
import type { Dict, Origin, Value } from '../value/value.js';

/**
 * The levels a variable can come from, weakest first: docs.ansible.com, "Understanding variable precedence".
 * Loop and magic variables are above all of them.
 */
export const LEVELS = [
  'role defaults',
  'inventory group vars',
  'group_vars/all of the inventory',
  'group_vars/all of the playbook',
  'group_vars of the inventory',
  'group_vars of the playbook',
  'inventory host vars',
  'host_vars of the inventory',
  'host_vars of the playbook',
  'facts',
  'play vars',
  'vars_files',
  'role vars',
  'task vars',
  'include_vars',
  'set_fact and register',
  'role parameters',
  'include parameters',
  'result',
  'extra vars',
  'loop',
  'magic',
] as const;

export type Level = (typeof LEVELS)[number];

/** Variables written in one place at one level. */
export interface Layer {
  readonly level: Level;
  readonly vars: Dict;
  /** Places, where `vars` was not read from YAML as it is. */
  readonly origins?: ReadonlyMap<string, Origin> | undefined;
}

/** The layer that wins a name. */
export interface Found {
  readonly layer: Layer;
  /** Under which name the layer has it: injected facts lose their `ansible_`. */
  readonly key: string;
}

export function valueOf({ layer, key }: Found): Value {
  return layer.vars.get(key)!;
}

export function originOfFound({ layer, key }: Found): Origin | undefined {
  return layer.origins?.get(key) ?? merged.get(layer.vars)?.get(key) ?? originOf(layer.vars, key);
}

const merged = new WeakMap<Dict, Map<string, Origin>>();

/** Several dicts read from YAML as one, the last strongest; origins are kept. */
export function merge(dicts: readonly Dict[]): Dict {
  const result: Dict = new Map();
  const origins = new Map<string, Origin>();
  for (const dict of dicts) {
    for (const [name, value] of dict) {
      result.set(name, value);
      const origin = originOf(dict, name);
      if (origin) origins.set(String(name), origin);
    }
  }
  merged.set(result, origins);
  return result;
}

/** What a fact is called within `ansible_facts`: without its prefix, save `ansible_local`, as Ansible has it. */
export function factName(name: string): string {
  return name === 'ansible_local' ? name : name.replace(/^ansible_/, '');
}
