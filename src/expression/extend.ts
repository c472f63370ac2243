/** Filters, tests and lookups of the project, beside those of the language. They are called with plain data: dicts as objects. */
import { NotAheadError } from '../value/errors.js';
import { toPlain, toValue, type Plain, type Value } from '../value/value.js';
import { signature } from './binding.js';
import { FILTERS } from './filters/index.js';
import { LOOKUPS } from './globals.js';
import { read, truthy } from './python.js';
import type { Services } from './index.js';
import type { Entry, Env, Table } from './registry.js';
import { TESTS } from './tests.js';
import { fail, Failure, type Result } from './undefined.js';

/** Named arguments come last, as one object, where there are any. */
export type OwnFunction = (...args: any[]) => unknown;
/** @param options named arguments */
export type OwnLookup = (terms: any[], options: { [name: string]: any }, services: Services) => unknown;

const ANY = signature('*args, **named');

export function addFilter(name: string, run: OwnFunction): void {
  add<Result>(FILTERS, name, (_env, args, named) => called(`filter "${name}"`, () => run(...args, ...named)));
}

export function addTest(name: string, run: OwnFunction): void {
  add<boolean>(TESTS, name, (_env, args, named) => truthy(called(`test "${name}"`, () => run(...args, ...named))));
}

/** A lookup may do anything: it is run when its task's turn has come, never ahead. */
export function addLookup(name: string, run: OwnLookup): void {
  add<Value[]>(LOOKUPS, name, (env, [terms], [options]) => {
    const { services } = env.scope;
    if (services.ahead) throw new NotAheadError(`the lookup ${name}`);
    const found = called(`lookup "${name}"`, () => run(terms as Plain[], (options ?? {}) as { [name: string]: Plain }, services));
    return Array.isArray(found) ? found : [found];
  });
}

function add<Answer>(table: Table<Answer>, name: string, run: (env: Env, args: Plain[], named: Plain[]) => Answer): void {
  const entry: Entry<Answer> = {
    name, parameters: ANY, lenient: 0,
    run: (env, args: Value[], named: Map<Value, Value>) => {
      env.scope.services.outside?.();
      return run(env, args.map(plain), named.size > 0 ? [plain(named)] : []);
    },
  };
  (table as Map<string, Entry<Answer>>).set(name, entry);
}

/** Read to the end, so that what is made from secrets is one. */
function plain(value: Value): Plain {
  const opened = (each: Value): Value => {
    const seen = read(each);
    if (Array.isArray(seen)) return seen.map(opened);
    return seen instanceof Map ? new Map([...seen].map(([key, member]) => [opened(key), opened(member)])) : seen;
  };
  return toPlain(opened(value), true);
}

/** What is thrown there is the failure of the expression. */
function called(what: string, run: () => unknown): Value {
  try {
    const result = run();
    if (result instanceof Promise) return fail(`${what} gave a promise`, 'expressions cannot wait: return the value itself');
    return toValue(result);
  } catch (error) {
    if (error instanceof Failure) throw error;
    return fail(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
