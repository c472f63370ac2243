import { readFileSync } from 'node:fs';
import { basename, extname, join, relative } from 'node:path';
import { homedir } from 'node:os';
import { canonicalName, onlyDefinition, registerModule } from '../modules/index.js';
import type { Module } from '../modules/module.js';
import { ContentError } from '../value/errors.js';
import { isPythonModule, pythonModule } from './bridge.js';
import { findCollection, splitName } from './collections.js';
import { ansibleCore, isFile, isFolder, namesIn } from './places.js';
import { programModule } from './program.js';
import { loadScript } from './script.js';

/** From where a module is looked for. */
export interface Beside {
  /** Folders that may have `library/` and `module_utils/`: roles in reach, the playbook, the project. */
  folders: readonly string[];
  /** Collections whose modules may be named without them (`collections:`). */
  collections: readonly string[];
  /** What is in the folders that were looked at. */
  listings: Map<string, string[]>;
}

/** A module that was found, or why what is found cannot be used. */
export type Found =
  | { name: string; /** Said to whoever uses it. */ remark?: string | undefined; bridged?: string | undefined }
  | { problem: string; hint: string };

/** Not modules, whatever their name. */
const OTHER = new Set(['.pyc', '.pyo', '.yml', '.yaml', '.json', '.md', '.rst', '.txt', '.cfg', '.ini', '.map']);
const SCRIPTS = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']);

/**
 * The module a name means here, as Ansible finds it: in `collections:`, then `library/`, then what Muster has itself, then
 * installed collections and ansible-core, as far as what they have can be run.
 * @param native name of the module of ours that is written so
 * @throws ContentError for a broken meta/runtime.yml
 */
export function findModule(written: string, beside: Beside, native: string | undefined): Found | undefined {
  const split = splitName(written);
  if (split === undefined || split.collection === 'ansible.legacy') {
    const short = split?.name ?? written;
    for (const collection of split ? [] : beside.collections) {
      if (collection === 'ansible.builtin' || collection === 'ansible.legacy') continue;
      const ours = canonicalName(`${collection}.${short}`);
      const found: Found | undefined = ours === undefined ? inCollection(collection, short, beside, new Set()) : { name: ours };
      if (found) return found;
    }
    const own = inLibraries(short, beside);
    if (own) return own;
    return native === undefined ? inCollection('ansible.builtin', short, beside, new Set()) : { name: native };
  }
  return native === undefined ? inCollection(split.collection, split.name, beside, new Set()) : { name: native };
}

function inLibraries(name: string, beside: Beside): Found | undefined {
  const folders = [
    ...beside.folders.map((folder) => join(folder, 'library')), ...(process.env['ANSIBLE_LIBRARY'] ?? '').split(':').filter((folder) => folder !== ''),
    join(homedir(), '.ansible/plugins/modules'), '/usr/share/ansible/plugins/modules',
  ];
  for (const folder of folders) {
    const file = fileOf(folder, name, beside);
    if (file === undefined) continue;
    const action = beside.folders.map((each) => join(each, 'action_plugins', `${name}.py`)).find(isFile);
    return action === undefined ? asFound(file, `ansible.modules.${name}`, beside) : actionPlugin(name, action);
  }
  return undefined;
}

/** What `meta/runtime.yml` and the folders of a collection have under a name. */
function inCollection(collectionName: string, name: string, beside: Beside, met: Set<string>): Found | undefined {
  const full = `${collectionName}.${name}`;
  const collection = findCollection(collectionName, beside.folders);
  if (collection === undefined || met.has(full)) return undefined;
  const route = collection.route('modules', name);
  if (route?.tombstone !== undefined) return { problem: `${full} is gone`, hint: route.tombstone };
  const remark = route?.deprecation === undefined ? undefined : `${full} is deprecated: ${route.deprecation}`;
  const to = route?.redirect === undefined ? undefined : splitName(route.redirect);
  if (to) {
    const ours = canonicalName(route!.redirect!);
    const found: Found | undefined = ours === undefined ? inCollection(to.collection, to.name, beside, met.add(full)) : { name: ours };
    if (!found) return { problem: `${full} is ${route!.redirect} now, which is not on this machine`, hint: `install the collection ${to.collection}` };
    return 'name' in found ? { ...found, remark: found.remark ?? remark } : found;
  }
  const file = fileOf(join(collection.modules, ...name.split('.').slice(0, -1)), name.split('.').at(-1)!, beside);
  if (file === undefined) return undefined;
  const action = join(collection.actions, `${name.split('.').at(-1)}.py`);
  if (isFile(action)) return actionPlugin(full, action);
  const dotted = collectionName === 'ansible.builtin' ? `ansible.modules.${name}` : `ansible_collections.${collectionName}.plugins.modules.${name}`;
  const found = asFound(file, dotted, beside);
  return 'name' in found ? { ...found, remark } : found;
}

function actionPlugin(name: string, file: string): Found {
  return { problem: `${name} cannot be run: half of it is ${file}, which only Ansible's controller runs`, hint: 'do it with modules that Muster has, or by "command"' };
}

/** The file of a module: scripts before programs, those before Python. */
function fileOf(folder: string, name: string, { listings }: Beside): string | undefined {
  let names = listings.get(folder);
  if (!names) listings.set(folder, (names = namesIn(folder)));
  const rank = (file: string): number => (SCRIPTS.has(extname(file)) ? 0 : extname(file) === '.py' ? 2 : 1);
  const files = names.filter((file) => basename(file, extname(file)) === name && !OTHER.has(extname(file)) && isFile(join(folder, file)));
  const [first] = files.sort((a, b) => rank(a) - rank(b));
  return first === undefined ? undefined : join(folder, first);
}

/** Makes a module's file known under its path. @param dotted the name Python runs it by */
function asFound(path: string, dotted: string, beside: Beside): Found {
  if (extname(path) === '.ps1') return { problem: `${path} is for Windows`, hint: 'Muster runs Linux hosts' };
  const below = relative(process.cwd(), path);
  const name = below.startsWith('..') ? path : below.includes('/') ? below : `./${below}`;
  if (SCRIPTS.has(extname(path))) {
    registerModule(name, () => scriptModule(path));
    return { name };
  }
  if (!isPythonModule(path)) {
    registerModule(name, async () => programModule(path));
    return { name };
  }
  const utils = beside.folders.map((folder) => join(folder, 'module_utils')).filter(isFolder);
  registerModule(name, async () => pythonModule(path, dotted, { core: ansibleCore(), utils, beside: beside.folders }));
  return { name, bridged: path };
}

async function scriptModule(path: string): Promise<Module> {
  const exported = await loadScript(path);
  try {
    const { default: inside } = exported;
    return onlyDefinition(typeof inside === 'object' && inside !== null && !('kind' in inside) ? (inside as { [name: string]: unknown }) : exported);
  } catch {
    const line = readFileSync(path, 'utf8').split('\n').findIndex((text) => /^export\b|module\.exports/.test(text)) + 1;
    throw new ContentError(`${path} exports no module`, { file: path, line: Math.max(1, line), column: 1 }, "export what defineModule (or defineCommand) of 'muster' gives");
  }
}
