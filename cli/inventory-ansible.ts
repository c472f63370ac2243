import { pythonText, toJson } from '../src/expression/index.js';
import type { Inventory } from '../src/inventory/index.js';
import { Secret, Source, type Dict, type Value } from '../src/value/value.js';
import type { Variables } from '../src/variables/index.js';
import { dumpYaml } from '../src/yaml/index.js';

/** The inventory as `ansible-inventory` tells it; variables stand as they are written, and secrets are not shown. */
export class Told {
  constructor(
    private readonly inventory: Inventory,
    private readonly variables: Variables,
    /** The only hosts that are told of. */
    private readonly hosts: ReadonlySet<string>,
    /** Variables stay with the groups they were written for. */
    private readonly isExport: boolean,
  ) {}

  /** `--list` (docs.ansible.com, "Developing dynamic inventory"). */
  json(): string {
    const hostvars: Dict = new Map();
    for (const host of this.hosts) {
      const vars = this.varsOf(host);
      if (vars.size > 0) hostvars.set(host, vars);
    }
    const groups: Dict = new Map<Value, Value>([['_meta', new Map([['hostvars', hostvars]])]]);
    for (const { name, hosts, children } of this.inventory.groups.values()) {
      const told: Dict = new Map();
      const here = name === 'all' ? [] : hosts.filter((host) => this.hosts.has(host));
      const vars = this.isExport ? this.#groupVars(name) : new Map();
      if (children.length > 0) told.set('children', [...children]);
      if (here.length > 0) told.set('hosts', here);
      if (vars.size > 0) told.set('vars', vars);
      if (told.size > 0) groups.set(name, told);
    }
    return json(groups);
  }

  /** `--host` */
  host(name: string, isYaml: boolean): string {
    return isYaml ? yaml(this.varsOf(name)) : json(this.varsOf(name));
  }

  /** `--list --yaml`: an inventory again. Each host has its variables where it stands first. */
  yaml(): string {
    const seen = new Set<string>();
    const told = (name: string): Dict => {
      const group = this.inventory.groups.get(name)!;
      const body: Dict = new Map();
      const children: Dict = new Map();
      for (const child of group.children) {
        if (seen.has(`@${child}`)) children.set(child, new Map());
        else {
          seen.add(`@${child}`);
          const inner = told(child);
          if (child !== 'ungrouped' || inner.size > 0) children.set(child, inner);
        }
      }
      const hosts: Dict = new Map();
      if (name !== 'all') for (const host of group.hosts.filter((each) => this.hosts.has(each))) hosts.set(host, seen.has(host) ? new Map() : (seen.add(host), this.varsOf(host)));
      const vars = this.isExport ? this.#groupVars(name) : new Map();
      if (children.size > 0) body.set('children', children);
      if (hosts.size > 0) body.set('hosts', hosts);
      if (vars.size > 0) body.set('vars', vars);
      return body;
    };
    return yaml(new Map([['all', told('all')]]));
  }

  /** `--graph`, from one group downwards. */
  graph(name: string, withVars: boolean): string[] {
    const bracketed = (vars: Dict, indent: string): string[] =>
      withVars ? [...vars].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)).map(([key, value]) => `${indent}  |--{${String(key)} = ${pythonText(value)}}`) : [];
    const branch = (at: string, indent: string): string[] => {
      const { children, hosts } = this.inventory.groups.get(at)!;
      const lines = children.flatMap((child) => [`${indent}  |--@${child}:`, ...branch(child, `${indent}  |`)]);
      if (at !== 'all') for (const host of hosts.filter((each) => this.hosts.has(each))) lines.push(`${indent}  |--${host}`, ...bracketed(this.varsOf(host), `${indent}  |`));
      return [...lines, ...bracketed(this.#groupVars(at), indent)];
    };
    return [`@${name}:`, ...branch(name, '')];
  }

  /** Of a host: all it has, or when exporting its own. */
  varsOf(host: string): Dict {
    const vars = shown((this.isExport ? this.variables.ownLayers(host) : this.variables.hostLayers(host)).toReversed().map((layer) => layer.vars));
    vars.delete('ansible_group_priority'); // said of a group, not of its hosts
    return vars;
  }

  /** Variables of a group itself, without those it has from others. */
  #groupVars(name: string): Dict {
    const group = this.inventory.groups.get(name)!;
    return shown(this.variables.layersOfGroups([group]).toReversed().map(({ vars }) => vars));
  }
}

function shown(dicts: readonly Dict[]): Dict {
  const all: Dict = new Map();
  for (const dict of dicts) for (const [name, value] of dict) all.set(name, masked(value));
  return all;
}

function masked(value: Value): Value {
  if (value instanceof Secret) return value.toString();
  if (value instanceof Source) return value.shown;
  if (Array.isArray(value)) return value.map(masked);
  return value instanceof Map ? new Map([...value].map(([key, member]) => [key, masked(member)])) : value;
}

function yaml(value: Value): string {
  return dumpYaml(value, { flow: 'none', sortKeys: true }).trimEnd();
}

function json(value: Value): string {
  return toJson(value, { indent: 4, sortKeys: true, ascii: false });
}
