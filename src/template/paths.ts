/** How a path (`a.b.[0]`, `this`, `../name`, `@index`) finds its value; whatever is missing is an error. */
import type { Record, Scope } from '../expression/index.js';
import { ContentError, didYouMean, UndefinedError, UnknownError } from '../value/errors.js';
import { Float, isDict, Secret, Unknown, type Origin, type Value } from '../value/value.js';

/** Where rendering stands: one frame for the template, one for each turn of `each`, `with` and each partial. */
export interface Frame {
  readonly scope: Scope;
  readonly record: Record;
  /** What `this` is; undefined at the top, where names are variables. */
  readonly context: Value | undefined;
  /** Further names: block parameters, a partial's arguments. */
  readonly names: ReadonlyMap<string, Value>;
  /** `@index` and its like. */
  readonly data: ReadonlyMap<string, Value>;
  readonly outer: Frame | undefined;
  readonly depth: number;
}

export type Read = (frame: Frame) => Value;

const NONE: ReadonlyMap<string, Value> = new Map();

export function topFrame(scope: Scope, record: Record): Frame {
  return { scope, record, context: undefined, names: NONE, data: NONE, outer: undefined, depth: 0 };
}

/** The frame of one turn of a block. @param params its block parameters: `as |item key|` */
export function innerFrame(outer: Frame, context: Value, params: readonly string[], values: readonly Value[], data = NONE): Frame {
  const names = params.length === 0 ? NONE : new Map(params.map((name, i) => [name, values[i] ?? null]));
  return { ...outer, context, names, data, outer, depth: outer.depth + 1 };
}

/** The value, or undefined where it or a part of it does not exist: only for `default` and `defined`. */
export function attempt(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UndefinedError) return undefined;
    throw error;
  }
}

/** A member of a dict or list. @param owner what holds it, for the message */
export function member(container: Value, key: Value, origin: Origin, owner: string): Value {
  if (container instanceof Unknown) throw new UnknownError(container.why);
  const found = find(container, key);
  if (found !== undefined) return found;
  const name = String(key);
  if (isDict(container)) throw new UndefinedError(`${owner} has no member "${name}"`, origin, () => didYouMean(name, [...container.keys()].map(String)) ?? members(container));
  if (Array.isArray(container)) {
    const count = `${container.length} item${container.length === 1 ? '' : 's'}`;
    throw new UndefinedError(`${owner} has no item "${name}"`, origin, name === 'length' ? 'write (length list)' : `it has ${count}, counted from 0`);
  }
  throw new UndefinedError(`${owner} has no member "${name}"`, origin, `it is ${kind(container)}`);
}

function find(container: Value, key: Value): Value | undefined {
  const index = typeof key === 'number' ? key : typeof key === 'string' && /^\d+$/.test(key) ? Number(key) : undefined;
  if (Array.isArray(container)) return index === undefined ? undefined : container[index];
  if (!isDict(container)) return undefined;
  if (container.has(key)) return container.get(key);
  return index === undefined ? undefined : container.get(index);
}

function members(dict: ReadonlyMap<Value, Value>): string {
  const names = [...dict.keys()].slice(0, 8).map(String);
  return names.length === 0 ? 'it is empty' : `it has ${names.join(', ')}${dict.size > names.length ? ', …' : ''}`;
}

/** For messages; says nothing of what a secret holds. */
export function kind(value: Value): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (isDict(value)) return 'a dict';
  if (value instanceof Secret) return 'a secret';
  if (value instanceof Float || typeof value === 'number' || typeof value === 'bigint') return 'a number';
  return typeof value === 'boolean' ? 'a boolean' : 'a text';
}

export function compilePath(node: hbs.AST.PathExpression, origin: Origin): Read {
  const { depth, original, data } = node;
  const root = data && node.parts[0] === 'root';
  const [first, ...rest] = (root ? node.parts.slice(1) : node.parts) as [string | undefined, ...string[]];
  const start = root ? fromRoot(first, origin) : data ? fromData(first!, depth, original, origin) : fromContext(first, depth, original, origin);
  const base = first ?? original;
  return (frame) => {
    let value = start(frame);
    rest.forEach((part, i) => {
      value = member(value, part, origin, `"${[base, ...rest.slice(0, i)].join('.')}"`);
    });
    return value;
  };
}

function fromRoot(name: string | undefined, origin: Origin): Read {
  if (name === undefined) throw new ContentError('@root alone is no value', origin, 'write @root.name');
  return (frame) => variable(frame, name, origin);
}

function fromData(name: string, depth: number, original: string, origin: Origin): Read {
  return (frame) => {
    for (let at = climb(frame, depth); at; at = at.outer) {
      const value = at.data.get(name);
      if (value !== undefined) return value;
    }
    throw new ContentError(`"${original}" has no value here`, origin, '@index, @key, @first and @last are inside {{#each}}');
  };
}

function fromContext(name: string | undefined, depth: number, original: string, origin: Origin): Read {
  const bare = depth === 0 && name !== undefined && !/^(?:this[./]|\.)/.test(original);
  return (frame) => {
    for (let at: Frame | undefined = frame; bare && at; at = at.outer) {
      const value = at.names.get(name);
      if (value !== undefined) return value;
    }
    const at = climb(frame, depth);
    if (!at) throw new ContentError(`"${original}" goes out of the template`, origin, 'one ../ leaves one {{#each}} or {{#with}}; {{#if}} counts for none');
    if (name === undefined) {
      if (at.context === undefined) throw new ContentError(`"${original}" is no value at the top of a template`, origin, 'name a variable');
      return at.context;
    }
    if (at.context === undefined) return variable(at, name, origin);
    const found = at.context instanceof Unknown ? undefined : find(at.context, name);
    if (found !== undefined) return found;
    const outside = frame.scope.get(name, frame.record) !== undefined;
    if (outside && bare) throw new UndefinedError(`"${name}" is no member of what this block is about`, origin, `write @root.${name} for the variable outside of it`);
    return member(at.context, name, origin, 'what this block is about');
  };
}

function variable({ scope, record }: Frame, name: string, origin: Origin): Value {
  const value = scope.get(name, record);
  if (value === undefined) throw new UndefinedError(`"${name}" is undefined`, origin, () => didYouMean(name, scope.names()));
  return value;
}

/** One step out for each `../`. */
function climb(frame: Frame, depth: number): Frame | undefined {
  let at: Frame | undefined = frame;
  for (let i = 0; i < depth; i++) at = at?.outer;
  return at;
}
