import { evaluateData, Record, type Scope, type Services } from '../expression/index.js';
import { localhost } from '../value/host-names.js';
import type { Play, Task } from '../playbook/types.js';
import { ContentError } from '../value/errors.js';
import { holdsSource, Source, type Dict, type Value } from '../value/value.js';
import { factName, valueOf, type Found, type Layer, type Level } from './layers.js';
import { lazily, LazyDict, VariablesDict } from './lazy.js';
import { hasMagic, MAGIC, magicNames } from './magic.js';
import type { Reads } from './reads.js';
import { ancestry, roleLayers } from './roles.js';
import type { Variables } from './variables.js';

/** For whom, where and when variables are read. All but the host and the services may be missing. */
export interface Context {
  /** Inventory name of the host whose variables these are. */
  host: string;
  services: Services;
  play?: Play | undefined;
  task?: Task | undefined;
  /** Hosts of the play that still run, all of them, and those of the present batch that still run. */
  playHosts?: readonly string[] | undefined;
  playHostsAll?: readonly string[] | undefined;
  batch?: readonly string[] | undefined;
  /** Loop variable, index variable, `ansible_loop`: above all else. */
  loop?: Dict | undefined;
  /** The present result under its register name and the like: just below extra vars. */
  extra?: Dict | undefined;
  /** Facts to see instead of those gathered, where the engine looks ahead of their gathering. */
  facts?: Dict | undefined;
  /** Variables of the dynamic includes around the task, outermost first. */
  includeParams?: readonly Dict[] | undefined;
  /** What `loadVarsFiles` read for this play and host. */
  varsFiles?: Dict | undefined;
  /** How the task's keyword or the settings say that the host is reached; a variable wins. */
  connection?: Value | undefined;
  options?: Options | undefined;
  /** Folder of the playbook. */
  playbookDir?: string | undefined;
  /** Told of everything that is read. */
  reads?: Reads | undefined;
}

/** How a run was asked for, as far as variables tell of it. */
export interface Options {
  check?: boolean;
  diff?: boolean;
  forks?: number;
  verbosity?: number;
  limit?: string | undefined;
  tags?: readonly string[];
  skipTags?: readonly string[];
}

/** Magic variables that hold others: what is read of them is noted, not they themselves. */
const HOLDS_OTHERS = new Set(['vars', 'hostvars', 'ansible_facts', 'ansible_delegated_vars']);

/** How a fact read as `ansible_facts.x` is noted: no variable has a dot in its name. */
const FACT = 'ansible_facts.';

/** Behind it the host whose variables were read by way of `hostvars`. */
const HOSTVARS = 'hostvars ';

/** A value that is being evaluated, to see variables that need themselves. */
interface Busy {
  host: string;
  label: string;
}

/**
 * One host's variables at one task. Making one costs nothing; a variable is looked for in the layers from the
 * strongest down and evaluated when it is read. Within one record a variable is evaluated once.
 */
export class VariableScope implements Scope {
  readonly services: Services;
  /** The scope that `hostvars` was read from. */
  readonly #parent: VariableScope | undefined;
  readonly #busy: Busy[];
  #hostScopes: Map<string, VariableScope> | undefined;
  #layers: readonly Layer[] | undefined;
  /** Whose variables, and whether as others see them: how `reads` tells scopes apart. */
  readonly #view: string;

  constructor(
    readonly variables: Variables,
    readonly context: Context,
    parent?: VariableScope,
  ) {
    this.services = context.services;
    this.#parent = parent;
    this.#busy = parent ? parent.#busy : [];
    this.#view = parent ? `${HOSTVARS}${context.host}` : context.host;
  }

  get(name: string, record: Record): Value | undefined {
    const kept = record.kept(this);
    const known = kept.get(name);
    if (known !== undefined) return known;
    const value = this.#read(name, record);
    if (value !== undefined) kept.set(name, value);
    return value;
  }

  #read(name: string, record: Record): Value | undefined {
    const { loop } = this.context;
    if (loop?.has(name)) return this.#evaluate(this.#noted(name, loop.get(name))!, name, record);
    const magic = MAGIC.get(name)?.(this, record);
    if (magic !== undefined) return HOLDS_OTHERS.has(name) ? magic : this.#noted(name, magic);
    const found = this.find(name);
    this.#noted(name, found && valueOf(found));
    // A task always knows its host's address and how it is reached; `hostvars` only what was written, as in Ansible.
    if (!found && this.context.task && name === 'ansible_connection') return this.#connection(record);
    if (!found) return name === 'ansible_host' && this.context.task ? this.context.host : undefined;
    return this.#evaluate(valueOf(found), name, record);
  }

  #noted<V extends Value | undefined>(name: string, raw: V): V {
    this.context.reads?.note(this.#view, name, raw);
    return raw;
  }

  /** What a name leads to before it is evaluated, for `Reads`. */
  raw(name: string): Value | undefined {
    const { loop } = this.context;
    if (name.startsWith(FACT)) return this.#facts.get(name.slice(FACT.length));
    if (loop?.has(name)) return loop.get(name);
    const magic = MAGIC.get(name)?.(this, new Record());
    if (magic !== undefined) return magic;
    const found = this.find(name);
    return found && valueOf(found);
  }

  /** The scope of other variables that `Reads` noted as read from here by way of `hostvars`; undefined for what was not. */
  viewed(view: string): VariableScope | undefined {
    return view.startsWith(HOSTVARS) ? this.#other(view.slice(HOSTVARS.length)) : undefined;
  }

  get #facts(): Dict {
    return this.context.facts ?? this.variables.facts(this.context.host);
  }

  #connection(record: Record): Value {
    const { connection, host } = this.context;
    if (connection !== undefined) return this.#evaluate(connection, 'connection', record);
    return localhost.has(host) && this.get('ansible_host', record) === host ? 'local' : 'ssh';
  }

  /** The layer a name is taken from, for `explain`; loop and magic variables have none. */
  find(name: string): Found | undefined {
    for (const layer of this.#stack()) {
      // A fact is a variable only under its injected name: facts called "hostname" or "kernel" must not hide variables.
      const key = layer.level !== 'facts' ? name : name.startsWith('ansible_') ? factName(name) : this.variables.isNamedFact(this.context.host, name) ? name : undefined;
      if (key !== undefined && layer.vars.has(key)) return { layer, key };
    }
    return undefined;
  }

  *names(): Iterable<string> {
    this.context.reads?.noteAll();
    const seen = new Set<string>();
    for (const name of this.context.loop?.keys() ?? []) seen.add(String(name));
    for (const name of magicNames(this)) seen.add(name);
    for (const layer of this.#stack()) {
      for (const key of layer.vars.keys()) seen.add(layer.level === 'facts' && key !== 'ansible_local' ? `ansible_${String(key)}` : String(key));
    }
    yield* seen;
  }

  /** Facts as `ansible_facts`. */
  facts(): Dict {
    const facts = this.#facts;
    const { reads } = this.context;
    const noting = reads && {
      has: (key: Value) => this.#noted(FACT + String(key), facts.get(key)) !== undefined,
      keys: () => {
        reads.noteAll();
        return facts.keys();
      },
    };
    return new LazyDict(noting ?? facts, (key) => facts.get(key)!);
  }

  /** All variables as a dict: `vars`. */
  asDict(record: Record): Dict {
    const members = {
      has: (key: Value) => typeof key === 'string' && this.#has(key),
      keys: () => this.names(),
    };
    return new VariablesDict(members, (key) => this.get(key as string, record) ?? null);
  }

  #has(name: string): boolean {
    if (this.context.loop?.has(name) || hasMagic(this, name)) return true;
    const found = this.find(name);
    this.#noted(name, found && valueOf(found));
    return found !== undefined;
  }

  /** `hostvars`: every host's inventory variables, facts and what tasks set, but nothing of the play, as in Ansible. */
  hostvars(record: Record): Dict {
    return new LazyDict(this.variables.inventory.hosts, (key) => {
      const host = key as string;
      if (host !== this.context.host) record.hosts.add(host);
      return this.#other(host).asDict(record);
    });
  }

  #other(host: string): VariableScope {
    if (this.#parent) return this.#parent.#other(host);
    let scope = this.#hostScopes?.get(host);
    if (!scope) {
      const { services, options, playbookDir, reads } = this.context;
      scope = new VariableScope(this.variables, { host, services, options, playbookDir, reads }, this);
      (this.#hostScopes ??= new Map()).set(host, scope);
    }
    return scope;
  }

  /** `ansible_delegated_vars`: under the name of the host a task is delegated to its variables, save that `inventory_hostname` stays whose task it is. */
  delegated(record: Record): Dict | undefined {
    const to = this.context.task?.delegateTo;
    const name = to === undefined ? null : this.evaluate(to, 'delegate_to', record);
    if (typeof name !== 'string') return undefined;
    return new LazyDict(new Map<Value, Value>([[name, null]]), () => {
      const vars = this.hostvars(record).get(name) as Dict | undefined;
      const own = new Map<Value, Value>([['inventory_hostname', this.context.host], ...(vars?.has('ansible_host') ? [] : [['ansible_host', name] as const])]);
      return new VariablesDict({ has: (key) => own.has(key) || vars?.has(key) === true, keys: () => new Set([...own.keys(), ...(vars?.keys() ?? [])]) }, (key) => own.get(key) ?? vars?.get(key) ?? null);
    });
  }

  /** Evaluates a value of this scope that is no variable of its own, e.g. the name of the play. */
  evaluate(value: Value, label: string, record: Record): Value {
    return this.#evaluate(value, label, record);
  }

  #evaluate(value: Value, label: string, record: Record): Value {
    if (value instanceof Source) return this.#evaluateSource(value, label, record);
    if (holdsSource(value)) return lazily(value as Value[] | Dict, label, (member, path) => this.#evaluate(member, path, record));
    return value;
  }

  #evaluateSource(source: Source, label: string, record: Record): Value {
    const { host } = this.context;
    const from = this.#busy.findIndex((busy) => busy.host === host && busy.label === label);
    if (from >= 0) {
      const names = [...this.#busy.slice(from), { host, label }].map((busy) => (busy.host === this.#busy[0]!.host ? busy.label : `hostvars[${busy.host}].${busy.label}`));
      throw new ContentError(`the variable "${label}" needs itself: ${names.join(' -> ')}`, source.origin, 'give one of them a value of its own');
    }
    this.#busy.push({ host, label });
    try {
      return evaluateData(source, this, new Record(record));
    } finally {
      this.#busy.pop();
    }
  }

  /** Layers, strongest first. Made for every task on every host, so without the detour of generators. */
  #stack(): readonly Layer[] {
    if (this.#layers) return this.#layers;
    const { variables, context } = this;
    const { task, play } = context;
    const layers: Layer[] = [{ level: 'extra vars', vars: variables.extraVars }];
    if (context.extra) layers.push({ level: 'result', vars: context.extra });
    pushReversed(layers, 'include parameters', context.includeParams);
    for (const role of ancestry(task?.role)) layers.push({ level: 'role parameters', vars: role.params });
    layers.push({ level: 'set_fact and register', vars: variables.setByTasks(context.host) }, { level: 'include_vars', vars: variables.included(context.host) });
    pushReversed(layers, 'task vars', task?.vars);
    if (task?.role) layers.push(...roleLayers(task.role, 'role vars'));
    const roles = play?.roles.filter((role) => role.public).reverse() ?? [];
    for (const role of roles) layers.push(...roleLayers(role, 'role vars', 'alone'));
    if (context.varsFiles) layers.push({ level: 'vars_files', vars: context.varsFiles });
    if (play) layers.push({ level: 'play vars', vars: play.vars });
    layers.push({ level: 'facts', vars: context.facts ?? variables.facts(context.host) }, ...variables.hostLayers(context.host));
    if (task?.role) layers.push(...roleLayers(task.role, 'role defaults'));
    for (const role of roles) layers.push(...roleLayers(role, 'role defaults', 'alone'));
    return (this.#layers = layers);
  }
}

function pushReversed(layers: Layer[], level: Level, dicts: readonly Dict[] | undefined): void {
  for (let i = (dicts?.length ?? 0) - 1; i >= 0; i--) layers.push({ level, vars: dicts![i]! });
}
