/** Random numbers of filters and lookups: not while looking ahead, and the same for the same seed. */
import { createHash, randomInt } from 'node:crypto';
import { NotAheadError } from '../value/errors.js';
import type { Value } from '../value/value.js';
import { str } from './python.js';
import type { Env } from './registry.js';

/** A source of numbers in [0, 1). Seeded ones always give the same series (not Python's). */
export function random(env: Env, seed: Value): () => number {
  if (seed === null) {
    if (env.scope.services.ahead) throw new NotAheadError('a random value');
    return () => randomInt(2 ** 47) / 2 ** 47;
  }
  const name = str(seed);
  let count = 0;
  return () => createHash('sha256').update(`${name}\0${count++}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** A shuffled copy. */
export function shuffle(values: Value[], next: () => number): Value[] {
  const copy = [...values];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [copy[i], copy[j]] = [copy[j]!, copy[i]!];
  }
  return copy;
}
