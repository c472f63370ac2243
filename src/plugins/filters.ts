import { extname, join } from 'node:path';
import { addFilter, addLookup, addTest, useRouting, type OwnFunction, type OwnLookup } from '../expression/index.js';
import { ContentError } from '../value/errors.js';
import { findCollection, splitName, type Collection } from './collections.js';
import { collectionRoots, isFolder, namesIn } from './places.js';
import { loadScript } from './script.js';

/** A filter: the value, then what stands in parentheses; named arguments come last, as one object. */
export type FilterPlugin = OwnFunction;
/** A test: the same, and what it gives counts as true or false. */
export type TestPlugin = OwnFunction;
/** A lookup: its terms, named arguments, and what it may use of the controller. It gives a list. */
export type LookupPlugin = OwnLookup;
export type LookupServices = Parameters<OwnLookup>[2];

const KINDS: { [folder: string]: { exported: string; inCollection: string; add: (name: string, run: never) => void } } = {
  filter_plugins: { exported: 'filters', inCollection: 'filter', add: addFilter },
  test_plugins: { exported: 'tests', inCollection: 'test', add: addTest },
  lookup_plugins: { exported: 'lookups', inCollection: 'lookup', add: addLookup },
};

/** Folders of plugins that have no meaning here. */
const OTHER = ['action_plugins', 'callback_plugins', 'connection_plugins', 'strategy_plugins', 'vars_plugins', 'inventory_plugins', 'cache_plugins'];

const SCRIPT = /^\.[mc]?[jt]s$/;
const seen = new Set<string>();

/** Folders that were loaded, the newest first: where collections are looked for. */
let beside: string[] = [];
/** Collections that were asked for what names mean. */
const asked = new Map<string, Collection | undefined>();

useRouting((what, written) => {
  const split = splitName(written.includes('.') ? written : `ansible.builtin.${written}`);
  // Nothing was loaded: a text is looked at by itself.
  if (split === undefined || beside.length === 0) return undefined;
  const { collection, name } = split;
  if (!asked.has(collection)) asked.set(collection, findCollection(collection, beside));
  return asked.get(collection)?.route(what, name);
});

/** Something beside the playbook that is not used. */
export interface Unused {
  file: string;
  message: string;
  hint: string;
}

/**
 * Adds the filters, tests and lookups of a playbook's or role's folder, each once in a process, and those of the collections in
 * its `collections/`, which go by their full names.
 * @returns what is there and not run: it is in Python
 * @throws ContentError where a file cannot be loaded
 */
export async function loadPlugins(folder: string): Promise<Unused[]> {
  const unused: Unused[] = [];
  beside = [folder, ...beside.filter((each) => each !== folder)];
  asked.clear();
  for (const [name, { exported, add }] of Object.entries(KINDS)) {
    for (const file of await files(join(folder, name), exported, add, '')) {
      unused.push({ file, message: 'Muster runs no Python of its own: these plugins are not there', hint: `write them in JavaScript beside it: export const ${exported} = { name: (…) => … }` });
    }
  }
  for (const name of OTHER) for (const file of python(join(folder, name))) unused.push({ file, message: `Muster has no ${name.replace('_', ' ')}`, hint: 'leave it out' });
  for (const root of isFolder(join(folder, 'collections')) ? collectionRoots([folder]).slice(0, 1) : []) {
    for (const space of namesIn(root)) {
      for (const name of namesIn(join(root, space))) {
        for (const { exported, inCollection, add } of Object.values(KINDS)) await files(join(root, space, name, 'plugins', inCollection), exported, add, `${space}.${name}.`);
      }
    }
  }
  return unused;
}

function python(folder: string): string[] {
  return namesIn(folder).filter((name) => name.endsWith('.py') && name !== '__init__.py').map((name) => join(folder, name));
}

/** Adds what the scripts of a folder export. @returns what is in Python there, where no script is beside it */
async function files(folder: string, exported: string, add: (name: string, run: never) => void, prefix: string): Promise<string[]> {
  const scripts = namesIn(folder).filter((name) => SCRIPT.test(extname(name)) && !name.endsWith('.d.ts'));
  for (const name of scripts) {
    const path = join(folder, name);
    if (seen.has(path)) continue;
    seen.add(path);
    const functions = (await loadScript(path))[exported];
    if (typeof functions !== 'object' || functions === null) throw new ContentError(`${path} exports no ${exported}`, { file: path, line: 1, column: 1 }, `export const ${exported} = { name: (…) => … }`);
    for (const [one, run] of Object.entries(functions)) {
      if (typeof run !== 'function') throw new ContentError(`"${one}" among the ${exported} of ${path} is no function`, { file: path, line: 1, column: 1 });
      add(`${prefix}${one}`, run as never);
    }
  }
  return python(folder).filter((path) => !scripts.some((name) => path.endsWith(`/${name.replace(/\.\w+$/, '.py')}`)));
}
