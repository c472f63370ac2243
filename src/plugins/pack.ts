import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { ContentError } from '../value/errors.js';
import { coreCollection, findCollection, type Collection } from './collections.js';
import { importsOf } from './imports.js';
import { isFile, isFolder } from './places.js';

/** Where the packages that a module may bring along lie on the controller. */
export interface Sources {
  /** The package `ansible` of ansible-core; undefined where it is not installed. */
  core: string | undefined;
  /** Folders `module_utils` of the project, which come before ansible-core's. */
  utils: readonly string[];
  /** Folders whose `collections/` are searched. */
  beside: readonly string[];
}

/** What Python runs of the archive: it reads the arguments from its input, and runs the module as Ansible would. */
const MAIN = `# Runs the module of Ansible's that came along in this archive; its arguments come on standard input.
import json
import os
import runpy
import sys

arguments = json.loads(sys.stdin.buffer.read().decode('utf-8'))
module = sys.argv.pop(1)
arguments['_ansible_tmpdir'] = os.path.dirname(os.path.abspath(sys.argv[0]))
from ansible.module_utils import basic
from ansible.module_utils.common.parameters import PASS_VARS
# Each release knows its own of these, and refuses others.
known = dict((name, value) for name, value in arguments.items() if not name.startswith('_ansible_') or name[9:] in PASS_VARS)
basic._ANSIBLE_ARGS = json.dumps({'ANSIBLE_MODULE_ARGS': known}).encode('utf-8')
basic._ANSIBLE_PROFILE = 'legacy'
runpy.run_module(module, init_globals={'_module_fqn': module, '_modlib_path': sys.path[0]}, run_name='__main__', alter_sys=True)
`;

/** ZIP knows no earlier day. A fixed one makes the same files the same archive. */
const DAY = new Date(1980, 0, 2);

/** A module as it goes to a host. */
export interface Packed {
  archive: Buffer;
  /** Of the ansible-core whose `module_utils` it has. */
  version: string;
  /** Names in the archive, sorted. */
  files: string[];
}

/**
 * Packs a Python module with all it imports from `ansible.module_utils` and from collections, followed to the end. What else it
 * imports the host must have.
 * @param path the module's file
 * @param module the dotted name it gets: `ansible.modules.ping`, `ansible_collections.ns.coll.plugins.modules.thing`
 * @throws ContentError where something it needs is not on the controller
 */
export function pack(path: string, module: string, sources: Sources): Packed {
  const files = new Map<string, string>();
  const queue: { text: string; module: string; isPackage: boolean; path: string }[] = [];
  const add = (name: string, isPackage: boolean, file: string | undefined): void => {
    const entry = entryOf(name, isPackage);
    if (files.has(entry)) return;
    const text = file === undefined ? '' : readFileSync(file, 'utf8');
    files.set(entry, text);
    const parent = name.slice(0, Math.max(0, name.lastIndexOf('.')));
    if (parent !== '') add(parent, true, packageFile(parent, sources));
    // Of Ansible itself a module sees module_utils alone.
    if (file !== undefined && name !== 'ansible') queue.push({ text, module: name, isPackage, path: file });
  };
  const addText = (name: string, text: string): void => {
    add(name, true, undefined);
    files.set(entryOf(name, true), text);
  };
  /** @param importer said where a redirect leads nowhere @param optional it may be missing */
  const follow = (name: string, importer = path, optional = false, met: readonly string[] = []): boolean => {
    const found = locate(name, sources);
    if (found?.redirect !== undefined) {
      if (met.includes(name)) throw new ContentError(`${importer} imports ${met[0]}, whose redirects (plugin_routing of meta/runtime.yml) lead round in a circle`);
      if (!follow(found.redirect, importer, optional, [...met, name])) {
        if (optional) return false;
        throw new ContentError(`${importer} imports ${name}, which is ${found.redirect} now: that is not on this machine`, undefined, `install the collection ${found.redirect.split('.').slice(1, 3).join('.')}`);
      }
      addText(name, standIn(found.redirect));
    } else if (found?.tombstone !== undefined) throw new ContentError(`${importer} imports ${name}, which is gone`, undefined, found.tombstone);
    else if (found) add(name, found.isPackage, found.file);
    return found !== undefined;
  };
  /** A module may make others itself, as six does `six.moves.urllib`: the nearest above that has a text of its own travels. */
  const made = (name: string): boolean => {
    const above = name.slice(0, name.lastIndexOf('.'));
    if (above.split('.').length < 3) return false;
    const found = locate(above, sources);
    return found === undefined ? made(above) : found.file !== undefined && statSync(found.file).size > 0 && follow(above);
  };
  const version = versionOf(sources.core);
  files.set('ansible/__init__.py', `__version__ = '${version}'\n__author__ = 'Ansible, Inc.'\n`);
  if (!follow('ansible.module_utils.basic')) throw new ContentError(`${path} needs ansible-core's module_utils, which this machine has not`, undefined, NO_CORE);
  // Since 2.19 arguments and results are read by a profile, which is named and not imported.
  for (const way of ['c2m', 'm2c']) follow(`ansible.module_utils._internal._json._profiles._module_legacy_${way}`);
  add(module, false, path);
  for (let next = queue.shift(); next; next = queue.shift()) {
    for (const wanted of importsOf(next.text, next.module, next.isPackage)) {
      // Types that a collection shares with its plugins of the controller are imported for type checkers alone.
      if (wanted.optional && /^ansible_collections\.\w+\.\w+\.plugins\.(?!module_utils\b|modules\b)/.test(wanted.name)) continue;
      if (!/^ansible(?:_collections)?\./.test(wanted.name) || follow(wanted.name, next.path, wanted.optional) || made(wanted.name) || wanted.maybe || wanted.optional) continue;
      if (!/^ansible(?:_collections|\.module_utils)\b/.test(wanted.name)) throw new ContentError(`${next.path} imports ${wanted.name}, which belongs to Ansible's controller`, undefined, 'a module may import ansible.module_utils alone');
      const [, space, name] = wanted.name.split('.');
      throw new ContentError(`${next.path} imports ${wanted.name}, which is not on this machine`, undefined, wanted.name.startsWith('ansible_collections.') ? `install the collection ${space}.${name}` : NO_CORE);
    }
  }
  const names = [...files.keys()].sort();
  const archive = zipSync(Object.fromEntries([['__main__.py', MAIN] as const, ...names.map((name) => [name, files.get(name)!] as const)].map(([name, text]) => [name, Buffer.from(text)])), { mtime: DAY });
  return { archive: Buffer.from(archive), version, files: names };
}

const NO_CORE = 'install ansible-core on this machine, or set ansible_core in muster.yml to its folder';

/** A package that is another module, under whichever name it was imported first. */
const standIn = (module: string): string => `import importlib\nimport sys\nsys.modules[__name__] = importlib.import_module('${module}')\n`;

function entryOf(name: string, isPackage: boolean): string {
  return `${name.replaceAll('.', '/')}${isPackage ? '/__init__' : ''}.py`;
}

/** What a dotted name is on the controller. */
interface Located {
  /** Undefined for a package without a text of its own. */
  file: string | undefined;
  isPackage: boolean;
  /** The dotted name of what it is now. */
  redirect?: string | undefined;
  /** Why it is gone. */
  tombstone?: string | undefined;
}

/**
 * Finds a module or package; undefined where a name is neither. Only what may travel is looked for. A collection's
 * `plugin_routing` comes before its files, ansible-core's behind them, as Ansible has it.
 */
function locate(name: string, sources: Sources): Located | undefined {
  const isCore = name.startsWith('ansible.');
  const onDisk = (): Located | undefined => {
    for (const base of basesOf(name, sources)) {
      if (isFile(`${base}.py`)) return { file: `${base}.py`, isPackage: false };
      if (isFolder(base)) return { file: isFile(join(base, '__init__.py')) ? join(base, '__init__.py') : undefined, isPackage: true };
    }
    return undefined;
  };
  return isCore ? (onDisk() ?? routed(name, sources)) : (routed(name, sources) ?? onDisk());
}

/** What `plugin_routing` makes of the name of a `module_utils`; a package that it alone knows something below of is empty. */
function routed(name: string, sources: Sources): Located | undefined {
  const [, inCore, collectionName, inCollection] = /^(?:ansible\.module_utils\.(.+)|ansible_collections\.(\w+\.\w+)\.plugins\.module_utils\.(.+))$/.exec(name) ?? [];
  const util = inCore ?? inCollection;
  // What is imported from a module that is there is mostly a name within it: ansible-core's entries, which are many, stay unread.
  if (util === undefined || (inCore !== undefined && isWithin(name, sources))) return undefined;
  const collection: Collection | undefined = inCore === undefined ? findCollection(collectionName!, sources.beside) : coreCollection(sources.core);
  const route = collection?.route('module_utils', util);
  if (route?.tombstone !== undefined) return { file: undefined, isPackage: true, tombstone: route.tombstone };
  const [space, own, ...rest] = route?.redirect?.split('.') ?? [];
  if (space === 'ansible_collections') return { file: undefined, isPackage: true, redirect: route!.redirect };
  if (rest.length > 0) return { file: undefined, isPackage: true, redirect: `ansible_collections.${space}.${own}.plugins.module_utils.${rest.join('.')}` };
  const isThere = basesOf(name, sources).some((base) => isFile(`${base}.py`) || isFolder(base));
  return !isThere && collection?.routesBelow('module_utils', util) ? { file: undefined, isPackage: true } : undefined;
}

/** Whether the nearest above a name that is on the controller has a text of its own. */
function isWithin(name: string, sources: Sources): boolean {
  const above = name.slice(0, name.lastIndexOf('.'));
  if (above.split('.').length < 3) return false;
  const bases = basesOf(above, sources);
  if (!bases.some((base) => isFile(`${base}.py`) || isFolder(base))) return isWithin(above, sources);
  return bases.some((base) => isFile(`${base}.py`) || (statSync(join(base, '__init__.py'), { throwIfNoEntry: false })?.size ?? 0) > 0);
}

function packageFile(name: string, sources: Sources): string | undefined {
  const found = locate(name, sources);
  return found?.isPackage ? found.file : undefined;
}

/** Paths, without ending, a dotted name may lie at. */
function basesOf(name: string, { core, utils, beside }: Sources): string[] {
  const parts = name.split('.');
  if (parts[0] === 'ansible' && parts[1] === 'module_utils') return [...(parts.length > 2 ? utils.map((folder) => join(folder, ...parts.slice(2))) : []), ...(core === undefined ? [] : [join(core, ...parts.slice(1))])];
  if (parts[0] !== 'ansible_collections' || parts.length < 4) return [];
  const collection = findCollection(`${parts[1]}.${parts[2]}`, beside);
  return collection && collection.name !== 'ansible.builtin' ? [join(collection.path, ...parts.slice(3))] : [];
}

function versionOf(core: string | undefined): string {
  const file = core === undefined ? '' : join(core, 'release.py');
  return (isFile(file) ? /^__version__ = ['"]([^'"]+)['"]/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined) ?? '2.19.0';
}
