import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { ContentError } from '../value/errors.js';
import { isDict, type Dict, type Origin, type Value } from '../value/value.js';
import { parseData } from '../yaml/index.js';
import { addChild, ensureGroup, ensureHost, join, setVar } from './graph.js';
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
    const described: Dict = isDict(body) ? body : new Map([['hosts', body]]);
    for (const host of texts(described.get('hosts'))) join(inventory, ensureHost(inventory, host, path), group);
    setAll(group, described.get('vars'), origin);
    for (const child of texts(described.get('children'))) {
      addChild(inventory, group, ensureGroup(inventory, child));
      loading.edge(group.name, child, origin);
    }
  }
  const meta = list.get('_meta');
  const hostvars = isDict(meta) ? meta.get('hostvars') : undefined;
  if (isDict(hostvars)) {
    for (const [name, vars] of hostvars) setAll(ensureHost(inventory, String(name), path), vars, origin);
  } else {
    for (const host of inventory.hosts.values()) {
      if (host.source === path) setAll(host, await ask(path, ['--host', host.name], origin), origin);
    }
  }
}

async function ask(path: string, args: string[], origin: Origin): Promise<Dict> {
  const command = [path, ...args].join(' ');
  const { stdout } = await promisify(execFile)(resolve(path), args, { maxBuffer: 1 << 28 }).catch((error: Error & { stderr?: string }) => {
    throw new ContentError(`the inventory script failed (${command}): ${error.stderr?.trim() || error.message}`, origin, 'run it by hand');
  });
  const answer = parseData(stdout, command);
  if (isDict(answer)) return answer;
  if (answer === null) return new Map();
  throw new ContentError(`the inventory script printed no JSON object (${command})`, origin, 'run it by hand');
}

function setAll(owner: Group | Host, vars: Value | undefined, origin: Origin): void {
  if (isDict(vars)) for (const [name, value] of vars) setVar(owner, String(name), value, origin);
}

function texts(value: Value | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
