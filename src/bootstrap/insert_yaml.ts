import { isDict, type Dict, type Value } from '../value/value.js';
import { containerOrigin, keyOrigin, originOf, parseYaml } from '../yaml/index.js';

/** Variables of a host as an inventory takes them. */
export type HostVars = readonly (readonly [name: string, value: string | number])[];

/**
 * Writes a host into a YAML (or JSON) inventory by inserting text: comments, order and style of all else stay. What is
 * there already is left, a variable with another value gets the new one in its place.
 * @param group where it shall be a member; undefined is where hosts of no group stand
 * @returns the new text; whether it means what was wanted is for the caller to see
 */
export function insertYaml(text: string, host: string, group: string | undefined, vars: HostVars): string {
  const root = parseYaml(text, 'inventory');
  const own = hostPath(root, host);
  const path = [...groupPath(root, group), 'hosts', host];
  let edited = text;
  if (own === undefined || !has(root, path)) edited = put(edited, path, own === undefined ? vars : []);
  if (own !== undefined) for (const [name, value] of vars) edited = put(edited, [...own, name], value);
  return edited;
}

/** Where the host has an entry of its own (a range that holds it is none). */
function hostPath(groups: Value, host: string): string[] | undefined {
  if (!isDict(groups)) return undefined;
  for (const [name, body] of groups) {
    if (!isDict(body)) continue;
    const hosts = body.get('hosts');
    if (isDict(hosts) && hosts.has(host)) return [String(name), 'hosts', host];
    const below = hostPath(body.get('children') ?? null, host);
    if (below) return [String(name), 'children', ...below];
  }
  return undefined;
}

function groupPath(root: Value, group: string | undefined): string[] {
  const tops = isDict(root) ? [...root.keys()].map(String) : [];
  if (group === undefined) return [['all', 'ungrouped'].find((name) => tops.includes(name)) ?? 'all'];
  const places = groupPaths(root, group);
  const found = places.find((path) => has(root, [...path, 'hosts'])) ?? places[0];
  return found ?? (tops.length === 0 || tops.includes('all') ? ['all', 'children', group] : [group]);
}

/** Every place a group is written at. */
function groupPaths(groups: Value, wanted: string): string[][] {
  if (!isDict(groups)) return [];
  return [...groups].flatMap(([name, body]) => [
    ...(name === wanted ? [[wanted]] : []),
    ...(isDict(body) ? groupPaths(body.get('children') ?? null, wanted).map((path) => [String(name), 'children', ...path]) : []),
  ]);
}

function has(root: Value, path: readonly string[]): boolean {
  let node: Value = root;
  for (const key of path) {
    if (!isDict(node) || !node.has(key)) return false;
    node = node.get(key)!;
  }
  return true;
}

/** Makes the path lead to the value: an entry with variables, or a scalar. */
function put(text: string, path: readonly string[], value: HostVars | string | number): string {
  let node = parseYaml(text, 'inventory');
  let parent: Dict | undefined;
  let depth = 0;
  while (depth < path.length && isDict(node) && node.has(path[depth]!)) {
    parent = node;
    node = node.get(path[depth++]!)!;
  }
  const rest = path.slice(depth);
  const offset = offsets(text);
  if (rest.length === 0) {
    if (Array.isArray(value) || node === value) return text;
    // Within quotes it is the first letter that has a place.
    const letter = offset(originOf(parent!, path.at(-1)!)!);
    const at = /["']/.test(text[letter - 1] ?? '') ? letter - 1 : letter;
    return text.slice(0, at) + scalar(value as string | number) + text.slice(scalarEnd(text, at, inFlow(text, offset(containerOrigin(parent!)!))));
  }
  if (isDict(node)) {
    const begin = offset(containerOrigin(node)!);
    if (text[begin] === '{') return intoFlow(text, begin, rest, value);
    const column = keyOrigin(node, [...node.keys()][0]!)!.column - 1;
    return atLine(text, blockEnd(text, offset(keyOrigin(node, [...node.keys()].at(-1)!)!), column), block(rest, value, column, rest.length > 1 || flowing([...node.values()])));
  }
  if (parent === undefined) return `${text === '' || text.endsWith('\n') ? text : `${text}\n`}${block(rest, value, 0, true)}`;
  // A key without a value: below it.
  const key = keyOrigin(parent, path[depth - 1]!)!;
  return atLine(text, endOfLine(text, offset(key)), block(rest, value, key.column + 1, true));
}

/** Line and column (from 1) to an offset. */
function offsets(text: string): (origin: { line: number; column: number }) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return ({ line, column }) => starts[line - 1]! + column - 1;
}

/** Whether neighbours write their variables within braces; who has no neighbour does. */
function flowing(neighbours: readonly Value[]): boolean {
  const dicts = neighbours.filter((value): value is Dict => isDict(value) && value.size > 0);
  return dicts.every((dict) => (containerOrigin(dict)?.line ?? 0) === (keyOrigin(dict, [...dict.keys()][0]!)?.line ?? 0) && isBraced(dict));
}

/** In braces the container begins before its first key. */
function isBraced(dict: Dict): boolean {
  return containerOrigin(dict)!.column < keyOrigin(dict, [...dict.keys()][0]!)!.column;
}

function inFlow(text: string, begin: number): boolean {
  return text[begin] === '{';
}

/** Keys one below the other, from a column on. */
function block([first, ...rest]: readonly string[], value: HostVars | string | number, column: number, braces: boolean): string {
  const lead = `${' '.repeat(column)}${scalar(first!)}:`;
  if (rest.length > 0) return `${lead}\n${block(rest, value, column + 2, braces)}`;
  if (!Array.isArray(value)) return `${lead} ${scalar(value as string | number)}\n`;
  if (value.length === 0) return `${lead}\n`;
  if (braces) return `${lead} ${braced(value as HostVars, scalar)}\n`;
  return `${lead}\n${(value as HostVars).map(([name, each]) => `${' '.repeat(column + 2)}${scalar(name)}: ${scalar(each)}\n`).join('')}`;
}

function braced(vars: HostVars, write: (value: string | number) => string): string {
  return `{${vars.map(([name, value]) => `${write(name)}: ${write(value)}`).join(', ')}}`;
}

/** Plain where that reads back as the same text. */
function scalar(value: string | number): string {
  if (typeof value === 'number') return String(value);
  return /^[\w./~@-]+$/.test(value) && !/^[-@]/.test(value) && parseYaml(value, '') === value ? value : JSON.stringify(value);
}

/** The offset behind the last line of what begins at a key: lines further in than its column, without what is blank or a comment at the end. */
function blockEnd(text: string, at: number, column: number): number {
  let end = endOfLine(text, at);
  for (let next = end; next < text.length; next = endOfLine(text, next)) {
    const line = text.slice(next, endOfLine(text, next));
    if (/^\s*(#.*)?$/.test(line)) continue;
    // A list may stand at the column of its key; else what is no further in is the next.
    const indent = /^ */.exec(line)![0].length;
    if (indent <= column && !(indent === column && line.startsWith('- ', indent))) break;
    end = endOfLine(text, next);
  }
  return end;
}

/** Behind the line break of the line an offset is in. */
function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}

function atLine(text: string, at: number, lines: string): string {
  const before = text.slice(0, at);
  return `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${lines}${text.slice(at)}`;
}

/** Before the brace that closes a dict; on a line of its own where its first key stands on one. */
function intoFlow(text: string, begin: number, path: readonly string[], value: HostVars | string | number): string {
  const { close, last } = closing(text, begin);
  const quoted = /^\{\s*"/.test(text.slice(begin)) || (text[begin + 1] === '}' && text.trimStart().startsWith('{'));
  const write = quoted ? (each: string | number): string => JSON.stringify(each) : scalar;
  const end = Array.isArray(value) ? (value.length > 0 || quoted ? braced(value as HostVars, write) : '') : write(value as string | number);
  const [first, ...rest] = path as [string, ...string[]];
  const inner = rest.reduceRight((below, key) => `{${write(key)}: ${below}}`, end);
  const entry = `${write(first)}:${inner === '' ? '' : ` ${inner}`}`;
  const isEmpty = last === begin;
  const lead = /^\{[ \t]*(?:#.*)?\r?\n([ \t]*)\S/.exec(text.slice(begin))?.[1];
  const comma = isEmpty || text[last] === ',' ? '' : ',';
  if (lead !== undefined && !isEmpty) return `${text.slice(0, last + 1)}${comma}\n${lead}${entry}${text.slice(last + 1)}`;
  return `${text.slice(0, last + 1)}${comma === '' ? (isEmpty ? '' : ' ') : ', '}${entry}${text.slice(isEmpty ? close : last + 1)}`;
}

/** Where the brace at `begin` is closed, and the last character before that which is neither space nor comment. */
function closing(text: string, begin: number): { close: number; last: number } {
  let depth = 0;
  let last = begin;
  for (let at = begin; at < text.length; at++) {
    const char = text[at]!;
    if ((char === '"' || char === "'") && /[\s,{[:]/.test(text[at - 1] ?? '')) at = scalarEnd(text, at, true) - 1;
    else if (char === '#' && /\s/.test(text[at - 1] ?? '')) {
      at = endOfLine(text, at) - 1;
      continue;
    } else if (char === '{' || char === '[') depth++;
    else if ((char === '}' || char === ']') && --depth === 0) return { close: at, last };
    if (/\S/.test(text[at]!)) last = at;
  }
  return { close: text.length, last };
}

/** Behind the scalar that begins at an offset, on one line. */
function scalarEnd(text: string, at: number, flow: boolean): number {
  const rest = text.slice(at);
  const quoted = /^"(?:\\[^]|[^"\\])*"|^'(?:''|[^'])*'/.exec(rest);
  if (quoted) return at + quoted[0].length;
  return at + (flow ? /^(?:(?!\s#|,\s|,$|[\]}])[^\n\r])*/m : /^(?:(?!\s#)[^\n\r])*/).exec(rest)![0].trimEnd().length;
}
