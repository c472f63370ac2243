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

export type What = 'filter' | 'test' | 'lookup';

/** What a collection says of a name (`plugin_routing` of its `meta/runtime.yml`). */
export interface Routing {
  redirect?: string | undefined;
  tombstone?: string | undefined;
  deprecation?: string | undefined;
}

let routing: (what: What, name: string) => Routing | undefined = () => undefined;

/** Replaces who is asked what collections say of names that are not known as they are written. */
export function useRouting(ask: typeof routing): void {
  routing = ask;
}

/** Collections whose plugins are here: a full name of theirs means what is here, as with modules. */
const NATIVE = /^(?:ansible|community)\./;

/**
 * Finds by the name as written, by what its collection makes of it, or by the name without its collection
 * (`ansible.builtin.bool`).
 * @param remark told of a deprecation
 * @throws Failure for a name that is gone, or leads nowhere
 */
export function find<Answer>(what: What, name: string, entries: Table<Answer>, remark?: (message: string) => void, met: readonly string[] = []): Entry<Answer> | undefined {
  const short = name.includes('.') ? entries.get(name.slice(name.lastIndexOf('.') + 1)) : undefined;
  const here = entries.get(name) ?? (NATIVE.test(name) ? short : undefined);
  if (here) return here;
  const { redirect, tombstone, deprecation } = routing(what, name) ?? {};
  if (tombstone !== undefined) return fail(`the ${what} "${name}" is gone`, tombstone);
  if (deprecation !== undefined) remark?.(`the ${what} "${name}" is deprecated: ${deprecation}`);
  if (redirect === undefined) return short;
  if (met.includes(name)) return fail(`the ${what} "${met[0]!}" leads round in a circle`, 'see plugin_routing in meta/runtime.yml of its collection');
  if (redirect.split('.').length < 3) return fail(`the ${what} "${name}" is said to be "${redirect}" now, which is no full name`, 'see plugin_routing in meta/runtime.yml of its collection');
  return find(what, redirect, entries, remark, [...met, name]) ?? fail(`the ${what} "${name}" is "${redirect}" now, which is not here`, 'Muster runs no Python of its own: it must be one that Muster has, or in JavaScript');
}

/** The filter, test or lookup of a name. @throws Failure where there is none */
export function named<Answer>(what: What, name: string, entries: Table<Answer>, remark?: (message: string) => void): Entry<Answer> {
  return find(what, name, entries, remark) ?? unknownName(what, name, entries);
}

export function invoke<Answer>(entry: Entry<Answer>, what: string, env: Env, args: Result[], named: Map<string, Value>): Answer {
  const known = args.map((arg, i) => (i < entry.lenient ? arg : defined(arg)));
  return entry.run(env, ...bind(entry.parameters, `${what} "${entry.name}"`, known, named));
}

/** What to say when there is no such filter, test or lookup. */
function unknownName(what: What, name: string, entries: Table<unknown>): never {
  return fail(`unknown ${what} "${name}"`, didYouMean(name.slice(name.lastIndexOf('.') + 1), entries.keys()) ?? `see the list of ${what}s in the documentation`);
}
