import { constants } from 'node:fs';
import { access, readdir, readFile, stat } from 'node:fs/promises';
import { extname, join as joinPath } from 'node:path';
import { ContentError, didYouMean } from '../value/errors.js';
import { opened } from '../vault/index.js';
import type { Origin } from '../value/value.js';
import { addChild, checkLoops, emptyInventory, ensureHost, tidyUngrouped } from './graph.js';
import { readIni } from './ini.js';
import { expandHost } from './ranges.js';
import { reading } from './reading.js';
import { readScript } from './script.js';
import type { Inventory } from './types.js';
import { readYaml } from './yaml.js';

/** What Ansible leaves alone in an inventory folder (INVENTORY_IGNORE_EXTS): backups, byte code, notes, settings. */
const IGNORED = ['~', '.pyc', '.pyo', '.swp', '.bak', '.rpm', '.md', '.txt', '.rst', '.orig', '.ini', '.cfg', '.retry'];
const yamlExtensions = new Set(['.yml', '.yaml', '.json']);

/**
 * Reads an inventory, later sources over earlier ones.
 * @param sources each an INI or YAML file, an executable script, a folder of these, or a list of hosts with a comma (`host1,`)
 * @throws ContentError with file, line, column and hint
 */
export async function loadInventory(sources: string[]): Promise<Inventory> {
  const loading = new Loading(sources);
  for (const source of sources) {
    if (source.includes(',')) loading.hostList(source);
    else await readSource(source, loading);
  }
  return loading.finish();
}

/** An inventory while its sources are read: what can only be judged at the end waits here. */
export class Loading {
  readonly inventory: Inventory;
  readonly #declared = new Set(['all', 'ungrouped']);
  readonly #mentions: { name: string; origin: Origin; what: string }[] = [];
  readonly #edges = new Map<string, Origin>();

  constructor(sources: string[]) {
    this.inventory = emptyInventory(sources.filter((source) => !source.includes(',')));
  }

  /** The group has a section of its own. */
  declare(group: string): void {
    this.#declared.add(group);
  }
  /** The group is spoken of; unless it is declared anywhere, that is an error. */
  mention(name: string, origin: Origin, what: string): void {
    this.#mentions.push({ name, origin, what });
  }
  /** Where a group was made the child of another, for messages. */
  edge(parent: string, child: string, origin: Origin): void {
    this.#edges.set(`${parent}\0${child}`, origin);
  }

  hostList(source: string): void {
    const origin: Origin = { file: '--inventory', line: 1, column: 1 };
    for (const written of source.split(',').map((part) => part.trim()).filter(Boolean)) {
      const { names, port } = expandHost(written, origin);
      for (const name of names) {
        const host = ensureHost(this.inventory, name);
        if (port !== undefined) host.vars.set('ansible_port', port);
      }
    }
  }

  finish(): Inventory {
    const { inventory } = this;
    for (const { name, origin, what } of this.#mentions) {
      if (this.#declared.has(name)) continue;
      throw new ContentError(`${what} the unknown group "${name}"`, origin, didYouMean(name, this.#declared) ?? `add a section [${name}]`);
    }
    checkLoops(inventory, (parent, child) => this.#edges.get(`${parent}\0${child}`));
    const all = inventory.groups.get('all')!;
    const inner = new Set([...inventory.groups.values()].flatMap((group) => group.children));
    for (const group of inventory.groups.values()) if (group !== all && !inner.has(group.name)) addChild(inventory, all, group);
    tidyUngrouped(inventory);
    return inventory;
  }
}

async function readSource(path: string, loading: Loading): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    throw new ContentError(`there is no inventory "${path}"`, undefined, `give a file, a folder, or a list of hosts with a comma ("${path},")`);
  }
  if (found.isDirectory()) {
    for (const file of await filesIn(path)) await readSource(file, loading);
    return;
  }
  const { text, isSecret } = opened(await readFile(path, 'utf8'), path);
  const form = await formOf(path, text);
  if (form === 'script') await readScript(path, loading);
  else if (form === 'yaml') readYaml(text, path, loading, isSecret);
  else if (isSecret) throw new ContentError('an encrypted inventory is YAML', { file: path, line: 1, column: 1 }, 'write it so, or put its secrets into group_vars');
  else readIni(text, path, loading);
}

/** What of an inventory folder is inventory, in the order it is read. */
export async function filesIn(folder: string): Promise<string[]> {
  const ends = reading.ignoreExtensions ?? IGNORED;
  const patterns = reading.ignorePatterns.map(ignorePattern);
  const isIgnored = (name: string): boolean => /^\.|^(?:host_vars|group_vars|vars_plugins)$/.test(name) || ends.some((end) => name.endsWith(end)) || patterns.some((pattern) => pattern.test(name));
  return (await readdir(folder)).sort().filter((name) => !isIgnored(name)).map((name) => joinPath(folder, name));
}

function ignorePattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new ContentError(`"${text}" of the inventory's ignore_patterns is no regular expression: ${(error as Error).message}`);
  }
}

/** How an inventory file is written. @throws ContentError for TOML */
export async function formOf(path: string, text: string): Promise<'yaml' | 'ini' | 'script'> {
  const extension = extname(path);
  if (yamlExtensions.has(extension)) return 'yaml';
  if (/^(?:#!|\x7fELF)/.test(text) && (await isExecutable(path))) return 'script';
  if (extension === '.toml') throw new ContentError('inventories in TOML are not read', { file: path, line: 1, column: 1 }, 'ansible-inventory --list --export --yaml writes it as YAML');
  return extension === '' && looksLikeYaml(text) ? 'yaml' : 'ini';
}

/** What one text says by itself: groups that others declare are not asked for. @throws ContentError */
export function readAlone(form: 'yaml' | 'ini', text: string, path: string): Inventory {
  const loading = new Loading([path]);
  if (form === 'yaml') readYaml(text, path, loading);
  else readIni(text, path, loading);
  return loading.inventory;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(() => true, () => false);
}

/** The first line that says anything is `---`, a brace or `name:`. */
function looksLikeYaml(text: string): boolean {
  const first = text.split('\n').find((line) => line.trim() !== '' && !/^\s*[#;]/.test(line));
  return first !== undefined && /^(?:---|\{|[\w.-]+:\s*(?:#.*)?$)/.test(first);
}
