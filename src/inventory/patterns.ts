import { readFileSync } from 'node:fs';
import { ContentError, didYouMean } from '../value/errors.js';
import { fnmatch } from '../value/glob.js';
import { localhost } from '../value/host-names.js';
import { ensureHost, hostsOf } from './graph.js';
import type { Inventory } from './types.js';

export interface Matched {
  /** Inventory names, in inventory order of the pattern's parts, each once. */
  hosts: string[];
  /** Parts of the pattern that name nothing: worth a warning. */
  unmatched: Unmatched[];
  /** Parts of the limit that name nothing: worth an error. */
  limitUnmatched: Unmatched[];
}

export interface Unmatched {
  pattern: string;
  /** `did you mean "web1"?` */
  hint: string | undefined;
}


/**
 * The hosts a pattern stands for (docs.ansible.com, "Patterns: targeting hosts and groups"): names of hosts and groups,
 * `*` and `?`, `~regex`, `web[0]`, `web[-1]`, `web[0:2]` (both ends count), parts joined by `:` or `,`,
 * `&` keeps what is also in, `!` leaves out. `localhost` need not be listed.
 * @param limit a further pattern to stay within; there `@file` means the patterns in that file, one a line
 * @throws ContentError for a regular expression or an index that cannot be
 */
export function matchHosts(pattern: string | string[], inventory: Inventory, options: { limit?: string | string[] | undefined } = {}): Matched {
  const unmatched: Unmatched[] = [];
  let hosts = [...select(splitPattern(pattern), inventory, unmatched)];
  const limitUnmatched: Unmatched[] = [];
  if (options.limit !== undefined) {
    const within = select(splitPattern(options.limit).flatMap(fromFile), inventory, limitUnmatched);
    hosts = hosts.filter((host) => within.has(host));
  }
  return { hosts, unmatched, limitUnmatched };
}

/** The parts of a pattern. With a comma in it only commas part it; else colons outside brackets do. */
export function splitPattern(pattern: string | string[]): string[] {
  if (Array.isArray(pattern)) return pattern.flatMap(splitPattern);
  if (pattern.includes(',')) return pattern.split(',').map((part) => part.trim()).filter(Boolean);
  if (/^[&!]?[0-9a-fA-F]*(?::[0-9a-fA-F]*){2,7}$/.test(pattern) && (pattern.includes('::') || pattern.split(':').length === 8)) return [pattern];
  if (pattern.trim().startsWith('@')) return [pattern.trim()];
  // A bracket that nothing closes parts as a colon does; looking for the end of each would take the square of their number.
  const closed = pattern.lastIndexOf(']') + 1;
  return (pattern.slice(0, closed) + pattern.slice(closed).replaceAll('[', ':')).match(/(?:[^\s:[\]]|\[[^\]]*\])+/g) ?? [];
}

function fromFile(part: string): string[] {
  if (!part.startsWith('@')) return [part];
  const path = part.slice(1);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new ContentError(`the limit's file "${path}" cannot be read`, undefined, 'it holds one host or pattern a line');
  }
  return text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

/** Of one name in a pattern. */
const LONGEST = 10_000;

function select(parts: string[], inventory: Inventory, unmatched: Unmatched[]): Set<string> {
  if (parts.length === 0) return new Set(); // an empty limit file or variable must not mean everything
  const wanted = parts.filter((part) => !/^[&!]/.test(part));
  let hosts = new Set<string>();
  for (const part of wanted.length > 0 ? wanted : ['all']) for (const host of matchOne(part, inventory, unmatched)) hosts.add(host);
  for (const part of parts) {
    if (!part.startsWith('&')) continue;
    const also = new Set(matchOne(part.slice(1), inventory, unmatched));
    hosts = new Set([...hosts].filter((host) => also.has(host)));
  }
  for (const part of parts) {
    if (part.startsWith('!')) for (const host of matchOne(part.slice(1), inventory, unmatched)) hosts.delete(host);
  }
  return hosts;
}

function matchOne(part: string, inventory: Inventory, unmatched: Unmatched[]): readonly string[] {
  if (part.length > LONGEST) throw new ContentError(`the pattern "${part.slice(0, 60)}…" is too long`, undefined, 'name a group, or write @FILE');
  const subscript = part.startsWith('~') ? null : /^(.+)\[(?:(-?\d+)|(\d+)[:-](\d*))\]$/.exec(part);
  const found = enumerate(subscript ? subscript[1]! : part, inventory);
  if (found.length === 0 && part !== 'all' && part !== '*') {
    unmatched.push({ pattern: part, hint: didYouMean(part, [...inventory.groups.keys(), ...inventory.hosts.keys()]) });
  }
  if (!subscript || found.length === 0) return found;
  const [, , index, start, end] = subscript;
  if (start !== undefined) return found.slice(Number(start), end ? Number(end) + 1 : undefined);
  const one = found.at(Number(index));
  if (one === undefined) {
    throw new ContentError(`no host is at "${part}"`, undefined, `"${subscript[1]}" has ${found.length} host${found.length === 1 ? '' : 's'}, counted from 0`);
  }
  return [one];
}

/** Hosts of one name, wildcard or regular expression: those of matching groups first, then matching hosts. */
function enumerate(name: string, inventory: Inventory): readonly string[] {
  const wild = /[*?[]/.test(name);
  if (!wild && !name.startsWith('~')) {
    if (inventory.groups.has(name)) return hostsOf(inventory, name);
    if (inventory.hosts.has(name)) return [name];
    return localhost.has(name) ? [implyLocalhost(inventory, name)] : [];
  }
  const test = name.startsWith('~') ? regex(name.slice(1)) : fnmatch(name);
  const hosts = new Set<string>();
  for (const group of inventory.groups.keys()) if (test.test(group)) for (const host of hostsOf(inventory, group)) hosts.add(host);
  for (const host of inventory.hosts.values()) if (!host.implicit && test.test(host.name)) hosts.add(host.name);
  return [...hosts];
}

function implyLocalhost(inventory: Inventory, name: string): string {
  const host = ensureHost(inventory, name);
  host.implicit = true;
  host.vars.set('ansible_connection', 'local');
  return name;
}

/** As Python's re.match: from the start of the name, not necessarily to its end. */
function regex(pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern.replace(/^\(\?i\)/, '')})`, pattern.startsWith('(?i)') ? 'i' : '');
  } catch (error) {
    throw new ContentError(`"~${pattern}" is no regular expression: ${(error as Error).message}`);
  }
}
