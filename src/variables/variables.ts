import { existsSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { evaluateDeep, Record, type Scope } from '../expression/index.js';
import { groupsOf, readVarsFile, VarsFolder, type Group, type Inventory } from '../inventory/index.js';
import type { Play } from '../playbook/types.js';
import { ContentError, UndefinedError } from '../value/errors.js';
import type { Dict, Origin, Value } from '../value/value.js';
import { originOf } from '../yaml/index.js';
import { factName, merge, originOfFound, valueOf, type Layer, type Level } from './layers.js';
import { VariableScope, type Context } from './scope.js';

/** Where a value comes from: for `inventory host --explain` and error messages. */
export interface Explained {
  level: Level;
  origin: Origin | undefined;
  /** As written; may be a Source. */
  value: Value;
}

/** What tasks of a run have set for one host. */
interface HostState {
  facts: Dict;
  /** Facts that are variables by their own names. */
  named: Set<string>;
  included: Dict;
  set: Dict;
}

/** All variables of a run: those of the inventory, those read beside it and the playbooks, and those tasks set. */
export class Variables {
  readonly extraVars: Dict;
  readonly #states = new Map<string, HostState>();
  #folders: { group: VarsFolder; host: VarsFolder; of: 'inventory' | 'playbook'; dir: string }[] = [];
  /** By the list of groups, which hosts of the same groups share and which is made anew when groups change. */
  #groupLayers = new WeakMap<readonly Group[], readonly Layer[]>();
  #hostLayers = new Map<string, { groups: readonly Group[]; layers: readonly Layer[] }>();

  /** @param options.playbookDirs folders of the playbooks, whose group_vars and host_vars count */
  constructor(
    readonly inventory: Inventory,
    options: { extraVars?: Dict; playbookDirs?: readonly string[] } = {},
  ) {
    this.extraVars = options.extraVars ?? new Map();
    for (const source of inventory.sources) this.#addFolder(inventoryDir(source), 'inventory');
    for (const dir of options.playbookDirs ?? []) this.#addFolder(dir, 'playbook');
  }

  /** Reads the files of every known group and host, so that wrong ones are found before any host is touched. */
  async load(): Promise<void> {
    for (const { group, host } of this.#folders) {
      for (const name of this.inventory.groups.keys()) group.of(name);
      for (const name of this.inventory.hosts.keys()) host.of(name);
    }
  }

  /** Adds the group_vars and host_vars beside a playbook. */
  async addPlaybookDir(dir: string): Promise<void> {
    this.#addFolder(dir, 'playbook');
    await this.load();
  }

  #addFolder(path: string, of: 'inventory' | 'playbook'): void {
    const dir = resolve(path);
    if (this.#folders.some((folder) => folder.dir === dir && folder.of === of)) return;
    this.#folders.push({ group: new VarsFolder(join(path, 'group_vars')), host: new VarsFolder(join(path, 'host_vars')), of, dir });
    this.#groupLayers = new WeakMap();
    this.#hostLayers = new Map();
  }

  scope(context: Context): VariableScope {
    return new VariableScope(this, context);
  }

  /** Facts of a host, flat and without `ansible_`; the dict itself, not a copy. */
  facts(host: string): Dict {
    return this.#state(host).facts;
  }
  /**
   * Adds facts; a prefix `ansible_` is dropped.
   * @param named those without the prefix are variables by their own names too: a module other than `setup` found them
   */
  setFacts(host: string, facts: Dict, named = false): void {
    const state = this.#state(host);
    for (const [key, value] of facts) {
      const name = String(key);
      state.facts.set(factName(name), value);
      if (named && !name.startsWith('ansible_')) state.named.add(name);
    }
  }
  /** Whether a fact is a variable by its own name. */
  isNamedFact(host: string, name: string): boolean {
    return this.#state(host).named.has(name);
  }
  /** `set_fact`: an evaluated value. */
  setFact(host: string, name: string, value: Value): void {
    this.#state(host).set.set(name, value);
  }
  /** `register`: shares its level with set_fact, the later one wins. */
  setRegistered(host: string, name: string, value: Value): void {
    this.setFact(host, name, value);
  }
  /** `include_vars`: may hold Sources. */
  setIncluded(host: string, name: string, value: Value): void {
    this.#state(host).included.set(name, value);
  }
  /** What set_fact and register have set for a host. */
  setByTasks(host: string): Dict {
    return this.#state(host).set;
  }
  /** What include_vars has set for a host. */
  included(host: string): Dict {
    return this.#state(host).included;
  }

  #state(host: string): HostState {
    let state = this.#states.get(host);
    if (!state) this.#states.set(host, (state = { facts: new Map(), included: new Map(), set: new Map(), named: new Set() }));
    return state;
  }

  /** Layers of a host from inventory, host_vars and group_vars, strongest first. */
  hostLayers(host: string): readonly Layer[] {
    const groups = groupsOf(this.inventory, host);
    const known = this.#hostLayers.get(host);
    if (known?.groups === groups) return known.layers;
    const layers = [...this.ownLayers(host), ...this.layersOfGroups(groups)];
    this.#hostLayers.set(host, { groups, layers });
    return layers;
  }

  /** Those of a host itself, without its groups', strongest first. */
  ownLayers(host: string): readonly Layer[] {
    const named = this.inventory.hosts.get(host);
    const files = (of: 'inventory' | 'playbook'): Layer[] =>
      this.#folders.filter((folder) => folder.of === of).flatMap((folder) => folder.host.of(host).map((vars) => ({ level: `host_vars of the ${of}` as const, vars })));
    const own: Layer[] = named ? [{ level: 'inventory host vars', vars: named.vars, origins: named.origins }] : [];
    return [...own, ...files('inventory'), ...files('playbook')].reverse();
  }

  /** Those of groups in merge order, strongest first. */
  layersOfGroups(groups: readonly Group[]): readonly Layer[] {
    const known = this.#groupLayers.get(groups);
    if (known) return known;
    const all = groups.filter((group) => group.name === 'all');
    const others = groups.filter((group) => group.name !== 'all');
    const files = (of: 'inventory' | 'playbook', level: Level, group: Group): Layer[] =>
      this.#folders.filter((folder) => folder.of === of).flatMap((folder) => folder.group.of(group.name).map((vars) => ({ level, vars })));
    const layers = [
      ...groups.map((group): Layer => ({ level: 'inventory group vars', vars: group.vars, origins: group.origins })),
      ...all.flatMap((group) => files('inventory', 'group_vars/all of the inventory', group)),
      ...all.flatMap((group) => files('playbook', 'group_vars/all of the playbook', group)),
      ...others.flatMap((group) => files('inventory', 'group_vars of the inventory', group)),
      ...others.flatMap((group) => files('playbook', 'group_vars of the playbook', group)),
    ].filter((layer) => layer.vars.size > 0).reverse();
    this.#groupLayers.set(groups, layers);
    return layers;
  }

  /**
   * Reads a play's vars_files; their names may hold expressions, which see the files before, and a list
   * means the first that exists.
   * @param seeing the variables as they stand with what has been read
   * @param patient leaves out a file whose name reads something undefined (facts not gathered yet, or not at all)
   * @returns what they hold, and whether every file was read
   * @throws ContentError naming every place that was looked at
   */
  loadVarsFiles(play: Play, seeing: (loaded: Dict) => Scope, patient: boolean): { vars: Dict; isWhole: boolean } {
    let vars: Dict = new Map();
    let isWhole = true;
    for (const [i, entry] of play.varsFiles.entries()) {
      const wanted: string[] = [];
      const places: string[] = [];
      let path: string | undefined;
      try {
        // One after the other: what stands behind a file that is there need not be known.
        for (const each of Array.isArray(entry) ? entry : [entry]) {
          const names = evaluateDeep(each, seeing(vars), new Record());
          for (const name of (Array.isArray(names) ? names : [names]).map(String)) {
            wanted.push(name);
            places.push(...(isAbsolute(name) ? [name] : [join(play.baseDir, 'vars', name), join(play.baseDir, name)]));
          }
          path = places.find((place) => existsSync(place));
          if (path !== undefined) break;
        }
      } catch (error) {
        if (!patient || !(error instanceof UndefinedError)) throw error;
        isWhole = false;
        continue;
      }
      if (path === undefined) throw new ContentError(`there is no vars file "${wanted.join('" or "')}"`, originOf(play.varsFiles, i) ?? play.origin, `looked at ${places.join(', ')}`);
      vars = merge([vars, readVarsFile(path)]);
    }
    return { vars, isWhole };
  }

  /** Where the value of a variable comes from; undefined for loop and magic variables and where there is none. */
  explain(context: Context, name: string): Explained | undefined {
    const found = this.scope(context).find(name);
    return found && { level: found.layer.level, origin: originOfFound(found), value: valueOf(found) };
  }
}

function inventoryDir(source: string): string {
  return statSync(source, { throwIfNoEntry: false })?.isDirectory() ? source : dirname(source);
}
