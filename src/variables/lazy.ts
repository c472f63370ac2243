/** Containers whose members are evaluated when they are read: one broken member spoils only itself. */
import { ContentError, UnknownError } from '../value/errors.js';
import { holdsNoSource, holdsSource, Unknown, type Dict, type Value } from '../value/value.js';

/** How members of a lazy container come about. `label` names one for messages (`app.port`, `users[0]`). */
export type Evaluate = (value: Value, label: string) => Value;

/**
 * A dict that evaluates a member when it is first read and keeps it. Its keys are known beforehand.
 * Belongs to one evaluation: what reading a member reads is noted in that evaluation's record.
 */
export class LazyDict extends Map<Value, Value> {
  readonly #load: (key: Value) => Value;

  /** @param members what the dict is made from */
  constructor(
    readonly members: { has(key: Value): boolean; keys(): Iterable<Value> },
    load: (key: Value) => Value,
  ) {
    super();
    holdsNoSource(this);
    this.#load = load;
  }
  override get(key: Value): Value | undefined {
    if (super.has(key)) return super.get(key);
    if (!this.members.has(key)) return undefined;
    const value = this.#load(key);
    super.set(key, value);
    return value;
  }
  override has(key: Value): boolean {
    return this.members.has(key);
  }
  override get size(): number {
    let size = 0;
    for (const _ of this.members.keys()) size++;
    return size;
  }
  override *keys(): MapIterator<Value> {
    yield* this.members.keys();
  }
  override *values(): MapIterator<Value> {
    for (const key of this.members.keys()) yield this.get(key)!;
  }
  override *entries(): MapIterator<[Value, Value]> {
    for (const key of this.members.keys()) yield [key, this.get(key)!];
  }
  override [Symbol.iterator](): MapIterator<[Value, Value]> {
    return this.entries();
  }
  override forEach(visit: (value: Value, key: Value, map: Map<Value, Value>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }
  override set(): never {
    throw new TypeError('a lazy dict is read-only');
  }
  override delete(): never {
    throw new TypeError('a lazy dict is read-only');
  }
  override clear(): never {
    throw new TypeError('a lazy dict is read-only');
  }
}

/**
 * All variables of a host as one dict. Walked as a whole (`debug: var=vars`, `peer: "{{ hostvars.db1 }}"`) it leaves out
 * what cannot be evaluated there: somebody's undefined variable is no concern of those who don't name it.
 */
export class VariablesDict extends LazyDict {
  override *entries(): MapIterator<[Value, Value]> {
    for (const key of this.keys()) {
      let value: Value;
      try {
        value = this.get(key)!;
      } catch (error) {
        if (error instanceof ContentError) continue;
        if (!(error instanceof UnknownError)) throw error;
        value = new Unknown(error.why);
      }
      yield [key, value];
    }
  }
  override *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }
}

/** A raw list or dict as a lazy one; members without a Source in them are handed out as they are. */
export function lazily(raw: Value[] | Dict, label: string, evaluate: Evaluate): Value {
  if (!holdsSource(raw)) return raw;
  if (raw instanceof Map) return new LazyDict(raw, (key) => evaluate(raw.get(key)!, `${label}.${String(key)}`));
  const list: Value[] = [];
  raw.forEach((member, i) => {
    if (!holdsSource(member)) {
      list[i] = member;
      return;
    }
    const settle = (value: Value) => Object.defineProperty(list, i, { value, writable: true, enumerable: true, configurable: true });
    Object.defineProperty(list, i, {
      enumerable: true,
      configurable: true,
      get: () => {
        const value = evaluate(member, `${label}[${i}]`);
        settle(value);
        return value;
      },
      set: settle,
    });
  });
  return list;
}
