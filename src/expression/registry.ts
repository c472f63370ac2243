/** How filters, tests, lookups and globals are written down and called. */
import { didYouMean } from '../value/errors.js';
import type { Value } from '../value/value.js';
import { bind, signature, type Signature } from './binding.js';
import type { Record, Scope } from './index.js';
import { defined, fail, type Result } from './undefined.js';

/** What a function of the language may use beside its arguments. */
export interface Env {
  readonly scope: Scope;
  readonly record: Record;
  /** Calls another filter or test by name (`map('upper')`, `select('defined')`). */
  filter(name: string, args: Result[], named: Map<string, Value>): Result;
  test(name: string, args: Result[], named: Map<string, Value>): boolean;
}

export interface Entry<Answer> {
  readonly name: string;
  readonly parameters: Signature;
  /** How many of its first arguments may be undefined. */
  readonly lenient: number;
  readonly run: (env: Env, ...args: any[]) => Answer;
}

export type Table<Answer> = ReadonlyMap<string, Entry<Answer>>;

/**
 * A table of functions by signature: `'default|d(value, default_value="", boolean=false)'`.
 * A `?` before the name lets the first argument be undefined, `??` all of them.
 */
export function table<Answer>(functions: { [signature: string]: (env: Env, ...args: any[]) => Answer }): Table<Answer> {
  const entries = new Map<string, Entry<Answer>>();
  for (const [text, run] of Object.entries(functions)) {
    const [, lenient, names, parameters] = /^(\?*)([^(]+)\((.*)\)$/s.exec(text)!;
    for (const name of names!.split('|')) entries.set(name, { name, parameters: signature(parameters!), lenient: [0, 1, Infinity][lenient!.length]!, run });
  }
  return entries;
}

/** Finds by short name or with a collection prefix (`ansible.builtin.bool`). */
export function find<Answer>(entries: Table<Answer>, name: string): Entry<Answer> | undefined {
  return entries.get(name) ?? (name.includes('.') ? entries.get(name.slice(name.lastIndexOf('.') + 1)) : undefined);
}

export function invoke<Answer>(entry: Entry<Answer>, what: string, env: Env, args: Result[], named: Map<string, Value>): Answer {
  const known = args.map((arg, i) => (i < entry.lenient ? arg : defined(arg)));
  return entry.run(env, ...bind(entry.parameters, `${what} "${entry.name}"`, known, named));
}

/** What to say when there is no such filter, test or lookup. */
export function unknownName(what: string, name: string, entries: Table<unknown>): never {
  return fail(`unknown ${what} "${name}"`, didYouMean(name.slice(name.lastIndexOf('.') + 1), entries.keys()) ?? `see the list of ${what}s in the documentation`);
}
