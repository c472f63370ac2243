import { addHost, expandHost, loadInventory } from '../inventory/index.js';
import type { Become, Target } from '../connection/connection.js';
import { noServices, Record } from '../expression/index.js';
import { becomeOf, targetOf } from '../engine/target.js';
import type { RunOptions } from '../engine/options.js';
import { ContentError } from '../value/errors.js';
import { toPlain, type Dict, type Value } from '../value/value.js';
import { Variables } from '../variables/index.js';

/** A host as the command line names it. */
export interface Named {
  /** Inventory name. */
  name: string;
  /** Where it is, unless its name or the inventory tells. */
  address: string | undefined;
  port: number | undefined;
}

/** `NAME`, `NAME:PORT`, `NAME=ADDRESS`, `NAME=ADDRESS:PORT`; names and addresses may hold ranges. @throws ContentError */
export function named(words: readonly string[]): Named[] {
  const origin = { file: 'HOST', line: 1, column: 1 };
  const all = words.flatMap((word) => {
    const [, name, place] = /^([^=]*)=(.*)$/.exec(word) ?? [undefined, word, undefined];
    const { names, port } = expandHost(name!, origin);
    if (place === undefined) return names.map((each) => ({ name: each, address: undefined, port }));
    const at = expandHost(place, origin);
    if (port !== undefined || at.names.length !== names.length) throw new ContentError(`"${word}" does not give each name its address`, undefined, 'write NAME=ADDRESS or NAME=ADDRESS:PORT');
    return names.map((each, i) => ({ name: each, address: at.names[i], port: at.port }));
  });
  for (const { name } of all) {
    if (all.filter((other) => other.name === name).length > 1) throw new ContentError(`host "${name}" is given twice`);
    if (!/^[\w.:-]+$/.test(name)) throw new ContentError(`"${name}" is no host name`, undefined, 'letters, digits, dots and hyphens');
  }
  return all;
}

/** What inventory and project know of a host that is not set up yet. */
export interface Known {
  target: Target;
  /** How root is become there. */
  become: Become;
  /** A variable of the host, as text. */
  variable(name: string): string | undefined;
}

/**
 * Reads what the inventory says of hosts, be they in it or not: group variables count for those that will be members.
 * @param vars variables that the host is given beside
 * @throws ContentError
 */
export async function known(options: Pick<RunOptions, 'inventory' | 'extraVars' | 'defaults'>, hosts: readonly { name: string; groups: readonly string[]; vars: Dict }[], playbookDir: string): Promise<Map<string, Known>> {
  const inventory = await loadInventory(options.inventory);
  for (const { name, groups, vars } of hosts) addHost(inventory, name, [...groups], vars);
  const variables = new Variables(inventory, { extraVars: options.extraVars, playbookDirs: [playbookDir] });
  await variables.load();
  const services = noServices(playbookDir);
  const nothing = { connection: undefined, remoteUser: undefined, port: undefined, become: true, becomeUser: undefined, becomeMethod: undefined, becomeFlags: undefined, becomeExe: undefined };
  return new Map(
    hosts.map(({ name }) => {
      const scope = variables.scope({ host: name, services });
      const variable = (key: string): string | undefined => {
        const value: Value | undefined = scope.get(key, new Record());
        return value === undefined || value === null ? undefined : String(toPlain(value, true));
      };
      return [name, { target: targetOf(name, scope, nothing, options), become: becomeOf(name, scope, nothing, options) ?? { method: 'sudo', user: 'root', flags: undefined, password: undefined }, variable }];
    }),
  );
}
