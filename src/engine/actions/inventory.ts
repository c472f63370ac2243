import { addHost as addToHosts, addToGroup } from '../../inventory/index.js';
import { equals } from '../../expression/index.js';
import { toPlain, type Value } from '../../value/value.js';
import { argumentsOf, type Call } from '../call.js';
import { outcome, type Outcome } from '../outcome.js';
import { parsedArguments } from './say.js';

export async function addHost(call: Call): Promise<Outcome> {
  const { run } = call;
  const { args } = await parsedArguments(call);
  const values = argumentsOf(call);
  const given = String(args.name);
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:[\]]+)):(\d+)$/.exec(given) ?? [undefined, undefined, given, undefined];
  const name = bracketed ?? plain!;
  const vars = new Map(values);
  for (const own of ['name', 'hostname', 'host', 'groups', 'groupname', 'group']) vars.delete(own);
  if (port !== undefined) vars.set('ansible_ssh_port', Number(port));
  const groups: string[] = args.groups ?? [];
  const known = run.inventory.hosts.get(name);
  const isNew = (value: Value, key: Value) => !known!.vars.has(key) || !equals(known!.vars.get(key)!, value);
  const changed = !known || [...vars].some(([key, value]) => isNew(value, key)) || groups.some((group) => !run.inventory.groups.get(group)?.hosts.includes(name));
  run.addToInventory((inventory) => addToHosts(inventory, name, groups, vars));
  run.admit(name);
  return outcome({ add_host: { host_name: name, groups, host_vars: toPlain(vars, false) }, changed });
}

export async function groupBy(call: Call): Promise<Outcome> {
  const { run, host } = call;
  const { args } = await parsedArguments(call);
  const clean = (name: string) => name.replaceAll(' ', '-');
  const group = clean(String(args.key));
  const parents = (args.parents as string[]).map(clean);
  const changed = !run.inventory.groups.get(group)?.hosts.includes(host.name);
  // In an inventory read anew the host may be gone.
  run.addToInventory((inventory) => void (inventory.hosts.has(host.name) && addToGroup(inventory, host.name, group, parents)));
  return outcome({ add_group: group, parent_groups: parents, changed });
}
