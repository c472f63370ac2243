import { readdirSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';

/** Where collections and Ansible itself lie on the controller; the command line sets it once. */
export interface Places {
  /** Folders that hold `ansible_collections/NAMESPACE/NAME` (or are `ansible_collections` themselves), from the settings. */
  collectionsPath: readonly string[];
  /** Folder of an installed ansible-core or a checkout of it, from the settings; undefined looks for one. */
  ansibleCore: string | undefined;
}

let places: Places = { collectionsPath: [], ansibleCore: undefined };
let core: { path: string | undefined } | undefined;

/** Replaces what the settings say. */
export function usePlaces(given: Places): void {
  places = given;
  core = undefined;
}

/** Names in a folder, sorted; none where it cannot be read. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Folders of Python packages that an Ansible may be installed in, those of the `ansible` in PATH first. */
function packageFolders(): string[] {
  const home = homedir();
  const roots = [
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '' && isFile(join(folder, 'ansible'))).map((folder) => dirname(dirname(real(join(folder, 'ansible'))))),
    ...(process.env['VIRTUAL_ENV'] ? [process.env['VIRTUAL_ENV']] : []),
    '/usr', '/usr/local', join(home, '.local'),
    ...namesIn(join(home, '.local/share/pipx/venvs')).filter((name) => name.startsWith('ansible')).map((name) => join(home, '.local/share/pipx/venvs', name)),
  ];
  const inside = roots.flatMap((root) =>
    namesIn(join(root, 'lib')).filter((name) => /^python3/.test(name)).flatMap((name) => ['site-packages', 'dist-packages'].map((kind) => join(root, 'lib', name, kind))),
  );
  return [...new Set(inside)].filter(isFolder);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Folder of the package `ansible` (with `modules/` and `module_utils/`) on the controller; undefined where there is none. */
export function ansibleCore(): string | undefined {
  if (core) return core.path;
  const given = places.ansibleCore;
  const candidates = given === undefined ? packageFolders().map((folder) => join(folder, 'ansible')) : [given, join(given, 'lib', 'ansible'), join(given, 'ansible')];
  core = { path: candidates.find((folder) => isFile(join(folder, 'module_utils', 'basic.py'))) };
  return core.path;
}

/**
 * Folders named `ansible_collections`, in the order they are searched: beside the playbook and the project, around a file
 * that lies in a collection itself, then what the settings name and where ansible-galaxy installs.
 * @param beside folders of the playbook, the role and the project
 */
export function collectionRoots(beside: readonly string[]): string[] {
  const around = beside.flatMap((folder) => /^(.*\/ansible_collections)\/[^/]+\/[^/]+(?:\/|$)/.exec(`${resolve(folder)}/`)?.[1] ?? []);
  const folders = [
    ...beside.map((folder) => join(folder, 'collections')), ...places.collectionsPath, join(homedir(), '.ansible', 'collections'), '/usr/share/ansible/collections', ...packageFolders(),
  ];
  return [...new Set([...around, ...folders.map((folder) => (basename(folder) === 'ansible_collections' ? folder : join(folder, 'ansible_collections')))])].filter(isFolder);
}
