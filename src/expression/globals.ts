/** Functions and values every expression knows, unless a variable has their name. */
import { NotAheadError } from '../value/errors.js';
import { Callable, type Value } from '../value/value.js';
import { Namespace } from './access.js';
import { bind, signature } from './binding.js';
import { LOOKUPS } from './lookups.js';
import { pairs } from './methods.js';
import { asInt, iterate, keyOf, read, str, truthy } from './python.js';
import { invoke, named as entryNamed, type Env } from './registry.js';
import { DateTime } from './dates.js';
import { fail, Failure, Undefined, type Result } from './undefined.js';
import { ContentError } from '../value/errors.js';

export { LOOKUPS };

/** What the variable `omit` gives: an argument or member with this value is left out. */
export const OMIT: Value = new Callable('omit', () => fail('omit is no function', 'write {{ … | default(omit) }}'));

/** Members a `range` may have. */
const MAX_RANGE = 1_000_000;

type Global = (env: Env, args: Value[], named: Map<string, Value>) => Result;

function global(name: string, parameters: string, run: (env: Env, ...args: any[]) => Result): [string, Global] {
  const wanted = signature(parameters);
  return [name, (env, args, named) => run(env, ...bind(wanted, `${name}()`, args, named))];
}

export const GLOBALS: ReadonlyMap<string, Global | Value> = new Map<string, Global | Value>([
  ['omit', OMIT],
  global('range', 'start, stop=null, step=1', (_, start, stop, step) => {
    const [from, to] = stop === null ? [0, asInt(start, 'stop')] : [asInt(start, 'start'), asInt(stop, 'stop')];
    const by = asInt(step, 'step');
    if (by === 0) fail('range() needs a step other than 0');
    const count = Math.max(0, Math.ceil((to - from) / by));
    if (count > MAX_RANGE) fail(`range() of more than ${MAX_RANGE} members`, 'use a smaller range');
    return Array.from({ length: count }, (_none, i) => from + i * by);
  }),
  global('dict', '*pairs, **named', (_, given: Value[], named: Map<Value, Value>) => new Map([...given.flatMap(pairs).map(([key, value]): [Value, Value] => [keyOf(key), value]), ...named])),
  global('list', 'value=[]', (_, value) => [...iterate(value)]),
  global('namespace', '*pairs, **named', (_, given: Value[], named: Map<Value, Value>) => new Namespace([...given.flatMap(pairs), ...named])),
  global('now', 'utc=false, fmt=null', (env, utc, format) => {
    if (env.scope.services.ahead) throw new NotAheadError('now()');
    const now = DateTime.now(truthy(utc));
    return format === null ? now : now.format(str(format));
  }),
  global('undef', 'hint=null', (_, hint) => new Undefined(hint === null ? 'the value is left undefined (undef)' : str(hint))),
  global('cycler', '*items', (_, items: Value[]) => {
    if (items.length === 0) fail('cycler needs items');
    let at = 0;
    const turn = (to: number) => void made.set('current', items[(at = to % items.length)]!);
    const next = () => {
      const item = items[at]!;
      turn(at + 1);
      return item;
    };
    const made = new Namespace([['current', items[0]!], ['next', new Callable('next', next)], ['reset', new Callable('reset', () => (turn(0), null))]]);
    return made;
  }),
  global('joiner', 'sep=", "', (_, separator) => {
    let used = false;
    return new Callable('joiner', () => (used ? str(separator) : ((used = true), '')));
  }),
  ['lookup', (env, args, named) => lookup(env, args, named, false)],
  ['query', (env, args, named) => lookup(env, args, named, true)],
  ['q', (env, args, named) => lookup(env, args, named, true)],
]);

/** `lookup` joins what it finds with commas, or gives the only one, or an empty list; `query` and `wantlist=True` give the list. */
function lookup(env: Env, [name, ...terms]: Value[], given: Map<string, Value>, isQuery: boolean): Value {
  if (name === undefined) return fail('lookup needs the name of a lookup', 'write lookup("file", "name")');
  const named = new Map(given);
  const wantList = isQuery || truthy(named.get('wantlist') ?? false);
  const errors = str(named.get('errors') ?? 'strict');
  named.delete('wantlist');
  named.delete('errors');
  named.delete('allow_unsafe');

  if (!['strict', 'warn', 'ignore'].includes(errors)) fail(`lookup knows no errors="${errors}"`, 'it knows strict, warn and ignore');
  let found: Value[];
  try {
    found = runLookup(env, str(name), terms, named);
  } catch (error) {
    if (errors === 'strict' || !(error instanceof Failure || error instanceof ContentError)) throw error;
    return wantList ? [] : null;
  }
  if (wantList) return found;
  if (found.length === 1) return found[0]!;
  if (found.length === 0) return [];
  return found.every((one) => typeof read(one) === 'string') ? found.map(str).join(',') : found;
}

/** A lookup by name, with its terms; always gives a list. */
export function runLookup(env: Env, name: string, terms: Value[], named: Map<string, Value>): Value[] {
  const entry = entryNamed('lookup', name, LOOKUPS);
  env.scope.services.outside?.();
  return invoke(entry, 'lookup', env, [terms], named);
}
