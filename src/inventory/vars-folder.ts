import { readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { ContentError } from '../value/errors.js';
import { isDict, type Dict } from '../value/value.js';
import { readText } from '../vault/index.js';
import { parseYaml } from '../yaml/index.js';

/** In the order Ansible tries them; the first that exists for a name is the only one. */
const extensions = ['', '.yml', '.yaml', '.json'];

/** A `group_vars/` or `host_vars/` folder. Files are read when their group or host is asked for, then kept. */
export class VarsFolder {
  readonly #entries: ReadonlySet<string>;
  readonly #read = new Map<string, readonly Dict[]>();

  /** @param path need not exist */
  constructor(readonly path: string) {
    this.#entries = new Set(list(path));
  }

  /** The dicts of a group or host, later ones stronger: its file, or all files of the folder of its name. */
  of(name: string): readonly Dict[] {
    let dicts = this.#read.get(name);
    if (!dicts) {
      const extension = extensions.find((candidate) => this.#entries.has(name + candidate));
      dicts = extension === undefined ? [] : readAll(join(this.path, name + extension));
      this.#read.set(name, dicts);
    }
    return dicts;
  }
}

/** Reads a file of variables, which may be encrypted: a dict, or nothing. @throws ContentError */
export function readVarsFile(path: string): Dict {
  const { text, isSecret } = readText(path);
  const content = parseYaml(text, path, isSecret);
  if (content === null) return new Map();
  if (!isDict(content)) throw new ContentError('a file of variables is a dict', { file: path, line: 1, column: 1 }, 'write name: value pairs');
  return content;
}

function readAll(path: string): Dict[] {
  if (!statSync(path).isDirectory()) return [readVarsFile(path)];
  return list(path)
    .map((name) => join(path, name))
    .filter((file) => extensions.includes(extname(file)) || statSync(file).isDirectory())
    .flatMap(readAll);
}

/** Sorted names in a folder, without hidden files and backups. */
function list(folder: string): string[] {
  const found = statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder) : [];
  return found.filter((name) => !name.startsWith('.') && !name.endsWith('~')).sort();
}
