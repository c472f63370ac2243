import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ContentError } from '../value/errors.js';
import { isDict, type Dict, type Origin, type Value } from '../value/value.js';
import { parseData } from '../yaml/index.js';
import { addChild, ensureGroup, ensureHost, join as joinGroup, setVar } from './graph.js';
import { cacheFolder, reading } from './reading.js';
import type { Loading } from './load.js';
import type { Group, Host } from './types.js';

/**
 * Asks an executable inventory: `--list` prints a JSON object of groups, with all hosts' variables under
 * `_meta.hostvars` (docs.ansible.com, "Developing dynamic inventory"). What it prints is data, never evaluated.
 */
export async function readScript(path: string, loading: Loading): Promise<void> {
  const origin: Origin = { file: path, line: 1, column: 1 };
  const { inventory } = loading;
  const list = await ask(path, ['--list'], origin);
  for (const [name, body] of list) {
    if (name === '_meta') continue;
    const group = ensureGroup(inventory, String(name));
    loading.declare(group.name);
    // A dict without any of these is a host's, as in Ansible.
    const isGroup = isDict(body) && ['hosts', 'vars', 'children'].some((key) => body.has(key));
    const described: Dict = !isDict(body) ? new Map([['hosts', body]]) : isGroup ? body : new Map<Value, Value>([['hosts', [name]], ['vars', body]]);
    const texts = (key: string): string[] => {
      const value = described.get(key);
      if (value === undefined || value === null) return [];
      if (!Array.isArray(value)) throw new ContentError(`"${key}" of group "${String(name)}" is no list (${path} --list)`, origin, 'correct what the script prints');
      return value.map(String);
    };
    const vars = described.get('vars') ?? null;
    if (vars !== null && !isDict(vars)) throw new ContentError(`"vars" of group "${String(name)}" is no dict (${path} --list)`, origin, 'correct what the script prints');
    for (const host of texts('hosts')) joinGroup(inventory, ensureHost(inventory, host, path), group);
    setAll(group, vars, origin);
    for (const child of texts('children')) {
      addChild(inventory, group, ensureGroup(inventory, child));
      loading.edge(group.name, child, origin);
    }
  }
  const meta = list.get('_meta');
  const hostvars = isDict(meta) ? meta.get('hostvars') : undefined;
  if (isDict(hostvars)) {
    // Of hosts that no group has, nothing is known, as in Ansible.
    for (const [name, vars] of hostvars) {
      const host = inventory.hosts.get(String(name));
      if (host) setAll(host, vars, origin);
    }
  } else {
    for (const host of inventory.hosts.values()) {
      if (host.source === path) setAll(host, await ask(path, ['--host', host.name], origin), origin);
    }
  }
}

async function ask(path: string, args: string[], origin: Origin): Promise<Dict> {
  const command = [path, ...args].join(' ');
  const cache = cacheOf(path, args);
  const kept = cache && recent(cache);
  const stdout = kept ?? (await printed(path, args, command, origin));
  const answer = parsed(stdout, command, origin);
  if (cache && kept === undefined) keep(cache, stdout);
  return answer;
}

async function printed(path: string, args: string[], command: string, origin: Origin): Promise<string> {
  const { stdout } = await promisify(execFile)(resolve(path), args, { maxBuffer: 1 << 28 }).catch((error: Error & { stderr?: string }) => {
    throw new ContentError(`the inventory script failed (${command}): ${error.stderr?.trim() || error.message}`, origin, 'run it by hand');
  });
  return stdout;
}

function parsed(stdout: string, command: string, origin: Origin): Dict {
  const answer = parseData(stdout, command);
  if (isDict(answer)) return answer;
  if (answer === null) return new Map();
  throw new ContentError(`the inventory script printed no JSON object (${command})`, origin, 'run it by hand');
}

/** The file an answer is kept in, named after the script as it now is and what it is asked; undefined where none is kept. */
function cacheOf(path: string, args: string[]): string | undefined {
  if (reading.cacheSeconds <= 0) return undefined;
  const { mtimeMs, size } = statSync(path);
  return join(cacheFolder(), createHash('sha256').update(JSON.stringify([resolve(path), mtimeMs, size, args])).digest('hex'));
}

function recent(file: string): string | undefined {
  if (reading.isFresh) return undefined;
  try {
    return Date.now() - statSync(file).mtimeMs < reading.cacheSeconds * 1000 ? readFileSync(file, 'utf8') : undefined;
  } catch {
    return undefined;
  }
}

/** Only for the user's own eyes: inventories hold passwords. A folder that cannot be written is no reason to fail. */
function keep(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.${process.pid}`, text, { mode: 0o600 });
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    // The next run asks the script again.
  }
}

function setAll(owner: Group | Host, vars: Value | undefined, origin: Origin): void {
  if (isDict(vars)) for (const [name, value] of vars) setVar(owner, String(name), value, origin);
}

