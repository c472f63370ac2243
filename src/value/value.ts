/**
 * The values playbooks work with, in Python's sense of them.
 *
 * - `null`, booleans and strings are themselves.
 * - An int is a `number` (safe integers) or a `bigint` (beyond).
 * - A float is a `number` when it has a fraction (or is not finite), else a `Float`, so that 8.0 stays 8.0.
 * - A list is an array, a dict is a `Map` (insertion order kept, keys of any scalar type).
 * - `Source` is text of the project's own YAML that holds `{{ }}` or `{% %}` and is not evaluated yet.
 *   Only `Source` is ever evaluated; a plain string, whatever it contains, is data.
 * - `Secret` boxes a scalar that must not be shown. Evaluation unboxes it and marks what was made from it.
 * - An `Instance` is a date or a time span, which expressions make and reckon with; elsewhere it is text.
 * - `Unknown` stands in a plan for what only a real run could tell.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | Secret
  | Source
  | Unknown
  | Value[]
  | Dict
  | Callable
  | Instance;

export type Dict = Map<Value, Value>;

/** Where a piece of the project's text stands; line and column count from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A Python float without a fraction: prints as `8.0`, not `8`. */
export class Float {
  constructor(readonly value: number) {}
  toString(): string {
    const text = String(this.value);
    return /[e.]|Infinity|NaN/.test(text) ? text : `${text}.0`;
  }
  toJSON(): number {
    return this.value;
  }
}

/** Text from the project's own YAML with `{{ }}` in it, evaluated only when it is read. */
export class Source {
  /** @param isSecret the text, and what it evaluates to, must not be shown: it comes from an encrypted file */
  constructor(
    readonly text: string,
    readonly origin: Origin,
    readonly isSecret = false,
  ) {}
  /** The text for people. */
  get shown(): string {
    return this.isSecret ? '********' : this.text;
  }
}

/** A scalar that must never be shown. Every way of printing it by accident gives a placeholder. */
export class Secret {
  #value: string | number | bigint | (() => string);
  /**
   * @param value or what finds it out, which is called at the first reading
   * @param sealed the encrypted text of a value that stands in a vault's format, for what looks at that
   */
  constructor(
    value: string | number | bigint | (() => string),
    readonly sealed?: string,
  ) {
    this.#value = value;
    if (typeof value !== 'function') Secret.listener?.(String(value));
  }
  /** The real value: only for what is sent to a host or compared. @throws what finding it out throws */
  reveal(): string | number | bigint {
    if (typeof this.#value === 'function') {
      this.#value = this.#value();
      Secret.listener?.(this.#value);
    }
    return this.#value;
  }
  toString(): string {
    return '********';
  }
  toJSON(): string {
    return '********';
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return 'Secret(********)';
  }
  /** The sink that masks known secrets in all output hears of each one here (set once, by report). */
  static listener: ((value: string) => void) | undefined;
}

/** In a plan: a result only a real run could know. Reading it makes the reader unknown too. */
export class Unknown {
  /** @param why for people, e.g. `the command "make install" is not run in a plan` */
  constructor(readonly why: string) {}
}

/** A function an expression can call: a global (`range`, `lookup`) or a bound method (`text.split`). */
export class Callable {
  constructor(
    readonly name: string,
    readonly call: (args: Value[], named: Map<string, Value>) => Value,
  ) {}
}

/** An object of a Python class: `expression/dates.ts` has those there are. */
export abstract class Instance {
  /** Python's name of the class. */
  abstract readonly type: string;
  /** `str(object)` */
  abstract toString(): string;
  /** `repr(object)` */
  abstract repr(): string;
  /** An attribute or bound method; undefined where there is none. */
  abstract attribute(name: string): Value | undefined;
  /** Negative, zero or positive; undefined where the two cannot be compared. */
  abstract order(other: Instance): number | undefined;
  /** A binary operator's result; undefined where there is none. @param isRight whether the object is the right operand */
  abstract arithmetic(operator: string, other: Value, isRight: boolean): Value | undefined;
  get isFalse(): boolean {
    return false;
  }
  toJSON(): string {
    return this.toString();
  }
}

/** What JSON.parse, zod and modules speak. */
export type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

export function isDict(value: unknown): value is Dict {
  return value instanceof Map;
}

const known = new WeakMap<object, boolean>();

/** Whether a Source is anywhere in the value; remembered for containers, which nobody changes once they are loaded. */
export function holdsSource(value: Value): boolean {
  if (value instanceof Source) return true;
  if (!Array.isArray(value) && !isDict(value)) return false;
  let found = known.get(value);
  if (found === undefined) {
    found = (Array.isArray(value) ? value : [...value.values()]).some(holdsSource);
    known.set(value, found);
  }
  return found;
}

/** Says that a container holds no Source, for one that evaluates its members when they are read: looking would read them. */
export function holdsNoSource(container: Value[] | Dict): void {
  known.set(container, false);
}

/** Plain data -> Value: objects become dicts. `undefined` members are left out. */
export function toValue(data: unknown): Value {
  if (data === null || data === undefined) return null;
  if (Array.isArray(data)) return data.map(toValue);
  if (data instanceof Map) return new Map([...data].map(([k, v]) => [k, toValue(v)]));
  if (data instanceof Secret || data instanceof Float || data instanceof Source || data instanceof Unknown) return data;
  if (data instanceof Callable || data instanceof Instance) return data;
  if (typeof data === 'object') {
    const dict: Dict = new Map();
    for (const [key, member] of Object.entries(data)) if (member !== undefined) dict.set(key, toValue(member));
    return dict;
  }
  if (typeof data === 'boolean' || typeof data === 'string' || typeof data === 'bigint') return data;
  if (typeof data === 'number') return data;
  throw new TypeError(`no playbook value can hold a ${typeof data}`);
}

/**
 * An evaluated Value -> plain data for modules and JSON: dicts become objects, floats numbers.
 * @param reveal true unboxes secrets (module arguments); false leaves the placeholder (anything printed)
 */
export function toPlain(value: Value, reveal: boolean): Plain {
  if (value === null || typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Float) return value.value;
  if (value instanceof Secret) return reveal ? toPlain(value.reveal(), true) : value.toString();
  if (Array.isArray(value)) return value.map((member) => toPlain(member, reveal));
  if (value instanceof Map) {
    const object: { [key: string]: Plain } = {};
    for (const [key, member] of value) {
      const name = String(toPlain(key, reveal));
      const plain = toPlain(member, reveal);
      // Assigned, that one name would give the object another prototype.
      if (name === '__proto__') Object.defineProperty(object, name, { value: plain, enumerable: true, configurable: true, writable: true });
      else object[name] = plain;
    }
    return object;
  }
  if (value instanceof Source) return value.shown;
  if (value instanceof Unknown) return `<unknown: ${value.why}>`;
  if (value instanceof Instance) return value.toJSON();
  return `<function ${value.name}>`;
}

/** Whether any secret hides in the value. */
export function holdsSecret(value: Value): boolean {
  if (value instanceof Secret) return true;
  if (Array.isArray(value)) return value.some(holdsSecret);
  if (value instanceof Map) return [...value].some(([key, member]) => holdsSecret(key) || holdsSecret(member));
  return false;
}

/** Text rendered from a template; `secrets` are the ranges [start, end) of it that must not be shown. */
export interface Rendered {
  text: string;
  secrets: readonly (readonly [number, number])[];
}
