/** Attributes, members and slices. */
import { didYouMean, UnknownError } from '../value/errors.js';
import { Callable, Instance, Secret, Unknown, type Value } from '../value/value.js';
import { findMethod } from './methods.js';
import { asInt, characters, isInt, keyOf, numeric, read, repr, typeName } from './python.js';
import { open, tracked } from './secrecy.js';
import { fail, Undefined, type Result } from './undefined.js';

/** A pair of `groupby`: `[key, members]`, also by the names `grouper` and `list`. */
export class Group extends Array<Value> {
  static override readonly [Symbol.species] = Array;
  constructor(key: Value, members: Value[]) {
    super(key, members);
  }
  static readonly names: { [name: string]: number } = { grouper: 0, list: 1 };
}

/** `namespace(…)`, the only thing whose attributes `{% set %}` can change, and what `import` gives: attributes and nothing else. */
export class Namespace extends Map<Value, Value> {}

/** `value.name`: a method first, then a dict's key (Jinja's getattr). */
export function attribute(value: Value, name: string): Result {
  if (value instanceof Map) {
    const method = value instanceof Namespace ? undefined : findMethod(value, name);
    if (method) return method;
    const member = value.get(name);
    if (member !== undefined) return member;
    return missing(value, name);
  }
  if (value instanceof Unknown) throw new UnknownError(value.why);
  if (value instanceof Group && name in Group.names) return value[Group.names[name]!]!;
  if (value instanceof Instance) return ofInstance(value, name);
  const method = findMethod(value instanceof Secret ? value.reveal() : value, name);
  if (!method) return missing(value, name);
  if (!(value instanceof Secret)) return method;
  return new Callable(name, (args, named) => tracked(() => (open(value), method.call(args, named))) as Value);
}

/** `value[key]`: a key or index first, then a method (Jinja's getitem). */
export function member(value: Value, key: Value): Result {
  if (value instanceof Unknown) throw new UnknownError(value.why);
  const name = read(key);
  if (value instanceof Map) {
    const found = value.get(keyOf(name));
    if (found !== undefined) return found;
  } else if (Array.isArray(value)) {
    if (isInt(name) || typeof name === 'boolean') {
      const index = Number(name);
      const found = value[index < 0 ? index + value.length : index];
      return found === undefined ? new Undefined(`the list has ${value.length} members; there is no [${index}]`) : found;
    }
  } else {
    const text = value instanceof Secret ? value.reveal() : value;
    if (typeof text === 'string' && isInt(name)) {
      const all = characters(text);
      const index = Number(name);
      const found = all[index < 0 ? index + all.length : index];
      if (found === undefined) return new Undefined(`the text has ${all.length} characters; there is no [${index}]`);
      return value instanceof Secret ? new Secret(found) : found;
    }
  }
  if (typeof name === 'string') {
    if (value instanceof Group && name in Group.names) return value[Group.names[name]!]!;
    if (value instanceof Instance) return ofInstance(value, name);
    const method = findMethod(value instanceof Secret ? value.reveal() : value, name);
    if (method) return method;
  }
  return missing(value, typeof name === 'string' ? name : repr(name));
}

function ofInstance(value: Instance, name: string): Result {
  const found = value.attribute(name);
  return found === undefined ? missing(value, name) : found;
}

function missing(value: Value, name: string): Undefined {
  const dict = value instanceof Map ? value : undefined;
  const message = dict ? `the dict has no "${name}"` : `'${typeName(value)}' has no attribute "${name}"`;
  return new Undefined(message, () => {
    if (!dict) return undefined;
    const keys = [...dict.keys()].filter((key): key is string => typeof key === 'string');
    return didYouMean(name, keys) ?? (keys.length > 0 && keys.length <= 12 ? `it has ${keys.join(', ')}` : undefined);
  });
}

/** A path as filters take it: `'a.b.0'`, or an index. */
export function attributePath(value: Value, path: Value): Result {
  const steps = typeof path === 'string' ? path.split('.') : [path];
  let at: Result = value;
  for (const step of steps) {
    if (at instanceof Undefined) return at;
    at = member(at, typeof step === 'string' && /^\d+$/.test(step) && !(at instanceof Map && at.has(step)) ? Number(step) : step);
  }
  return at;
}

/** `value[from:to:step]`, after `PySlice_AdjustIndices`. */
export function slice(given: Value, from: Value, to: Value, step: Value): Value {
  const value = read(given);
  const members = typeof value === 'string' ? characters(value) : value;
  if (!Array.isArray(members)) return fail(`'${typeName(value)}' cannot be sliced`, 'make it a list with | list');
  const by = step === null ? 1 : sliceIndex(step);
  if (by === 0) fail('slice step cannot be zero');
  const length = members.length;
  const clamp = (index: Value, absent: number) => {
    if (index === null) return absent;
    const at = sliceIndex(index);
    const low = by < 0 ? -1 : 0;
    const high = by < 0 ? length - 1 : length;
    return Math.min(high, Math.max(low, at < 0 ? at + length : at));
  };
  const start = clamp(from, by < 0 ? length - 1 : 0);
  const stop = clamp(to, by < 0 ? -1 : length);
  const picked: Value[] = [];
  if (by > 0) for (let i = start; i < stop; i += by) picked.push(members[i]!);
  else for (let i = start; i > stop; i += by) picked.push(members[i]!);
  return typeof value === 'string' ? picked.join('') : picked;
}

function sliceIndex(value: Value): number {
  const open = read(value);
  if (!isInt(open) && typeof open !== 'boolean') fail('slice indices must be integers or None', 'convert them with | int');
  return asInt(numeric(open)!, 'a slice index');
}
