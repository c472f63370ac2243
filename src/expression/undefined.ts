import { UndefinedError } from '../value/errors.js';
import type { Origin, Value } from '../value/value.js';

/**
 * What a missing variable, attribute or member gives while an expression runs. It never leaves the room:
 * whatever uses it raises, save `default`, `is defined` and their like. An attribute of it is undefined likewise.
 */
export class Undefined {
  constructor(
    readonly message: string,
    readonly hint?: (() => string | undefined) | undefined,
    /** Set by the part of the expression that came upon it. */
    public place?: (() => Origin) | undefined,
  ) {}
  /** Set for an `if` without `else`: Jinja writes nothing where its condition does not hold. */
  isBlank = false;
  raise(): never {
    throw new UndefinedError(this.message, this.place?.(), this.hint);
  }
}

/** What an expression's parts give. */
export type Result = Value | Undefined;

/** The value, or the error of its absence. */
export function defined(result: Result): Value {
  return result instanceof Undefined ? result.raise() : result;
}

/** The value as part of a text. */
export function asPart(result: Result): Value {
  return result instanceof Undefined && result.isBlank ? '' : defined(result);
}

/** Evaluation went wrong; the part of the expression it happened in adds the place. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

export function fail(message: string, hint?: string): never {
  throw new Failure(message, hint);
}
