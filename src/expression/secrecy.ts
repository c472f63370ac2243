import { Secret, type Value } from '../value/value.js';
import type { Result } from './undefined.js';

/**
 * Which secrets an operation reads. Evaluation is synchronous, so one flag serves: an operation that must know
 * whether its result was made from a secret runs inside `tracked`, and every reading of a box goes through `open`.
 */
let secretRead = false;

/** The value inside a box; notes that it was read. */
export function open(value: Value): Value {
  if (!(value instanceof Secret)) return value;
  secretRead = true;
  return value.reveal();
}

/** Runs an operation; what it makes from secrets comes back boxed. */
export function tracked(operation: () => Result): Result {
  const before = secretRead;
  secretRead = false;
  try {
    const result = operation();
    return secretRead ? box(result) : result;
  } finally {
    secretRead = before;
  }
}

/** Runs a comparison or test, whose plain answer does not count as reading. */
export function untracked<T>(operation: () => T): T {
  const before = secretRead;
  try {
    return operation();
  } finally {
    secretRead = before;
  }
}

/** Runs an operation and says whether it read a secret. */
export function watch<T>(operation: () => T): { result: T; secret: boolean } {
  const before = secretRead;
  secretRead = false;
  try {
    const result = operation();
    return { result, secret: secretRead };
  } finally {
    secretRead = before;
  }
}

/** Boxes the leaves that can tell something: strings and numbers. */
export function box(result: Result): Result {
  if (typeof result === 'string' || typeof result === 'bigint') return result === '' ? result : new Secret(result);
  if (typeof result === 'number') return new Secret(result);
  if (Array.isArray(result)) return result.map((member) => box(member) as Value);
  if (result instanceof Map) return new Map([...result].map(([key, member]) => [key, box(member) as Value]));
  return result;
}
