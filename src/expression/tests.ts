/** `value is name(…)`: Jinja's tests and Ansible's (plugins/test of ansible-core). */
import { existsSync, lstatSync, realpathSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { UnknownError } from '../value/errors.js';
import { Callable, Secret, Unknown, type Value } from '../value/value.js';
import { isEncrypted } from '../vault/index.js';
import { FILTERS } from './filters/index.js';
import { asInt, compare, contains, equals, isFloat, isInt, isNumber, iterate, keyOf, numeric, read, str, truthy, typeName } from './python.js';
import { pythonRegex } from './regex.js';
import { find, table, type Env, type Table } from './registry.js';
import { MORE_TESTS } from './tests-collections.js';
import { fail, Undefined, type Result } from './undefined.js';
import { compareVersions } from './versions.js';

/** What a task registered; tests of results refuse anything else. */
function result(value: Value, test: string): Map<Value, Value> {
  const open = read(value);
  return open instanceof Map ? open : fail(`the test "${test}" takes the result of a task, not ${typeName(open)}`, 'give it the name under "register"');
}
/** Tests that look at the controller's files. */
const files = (tests: { [signature: string]: (env: Env, ...args: any[]) => boolean }) =>
  Object.fromEntries(Object.entries(tests).map(([signature, test]) => [signature, (env: Env, ...args: any[]) => (env.scope.services.outside?.(), test(env, ...args))]));
const flag = (value: Value, test: string, name: string) => {
  const found = result(value, test).get(name);
  return found !== undefined && truthy(found);
};
const isFailed = (value: Value, test: string) => flag(value, test, 'failed');
const isChanged = (value: Value, test: string) => {
  const dict = result(value, test);
  const results = dict.get('results');
  if (!dict.has('changed') && Array.isArray(results)) return results.some((one) => one instanceof Map && truthy(one.get('changed') ?? false));
  return flag(value, test, 'changed');
};
/** As in Python (os.path), what cannot be looked at, since its name is too long or is none, is not there. */
function stat(path: Value, link = false): Stats | undefined {
  const text = str(path);
  try {
    return (link ? lstatSync : statSync)(text, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
const matches = (text: Value, pattern: Value, ignorecase: Value, multiline: Value, how: 'match' | 'search' | 'fullmatch') => {
  const regex = pythonRegex(str(pattern), `${truthy(ignorecase) ? 'i' : ''}${truthy(multiline) ? 'm' : ''}`);
  const subject = str(text);
  if (how === 'search') return regex.exec(subject) !== null;
  const found = regex.exec(subject);
  if (how === 'match') return found?.index === 0;
  return new RegExp(`^(?:${regex.source})$(?![^])`, regex.flags.replace('m', '')).test(subject);
};
const subset = (a: Value, b: Value) => iterate(a).every((one) => contains(b, one));
const order = (holds: (order: number) => boolean, operator: string) => (_: Env, a: Value, b: Value) => holds(compare(a, b, operator));
const isInside = (env: Env, a: Value, b: Value) => (void env, contains(b, a));
const text = (value: Value) => value instanceof Secret || typeof value === 'string';
const plain = (value: Value) => {
  if (value instanceof Unknown) throw new UnknownError(value.why);
  return value instanceof Secret ? value.reveal() : value;
};
/** A test of what a value is. */
const is = (holds: (value: Value) => boolean) => (_: Env, value: Result) => !(value instanceof Undefined) && holds(plain(value));
const isSequence = (value: Value) => typeof value === 'string' || Array.isArray(value) || value instanceof Map;

const OWN = table<boolean>({
  '?defined(value)': (_, value: Result) => !(value instanceof Undefined),
  '?undefined(value)': (_, value: Result) => value instanceof Undefined,
  // What a value is can be asked of one that is not there: it is none of these.
  '?none(value)': is((value) => value === null),
  '?string(value)': is(text),
  '?number(value)': is((value) => isNumber(value) || typeof value === 'boolean'),
  '?integer(value)': is(isInt),
  '?float(value)': is(isFloat),
  '?boolean(value)': is((value) => typeof value === 'boolean'),
  '?true(value)': is((value) => value === true),
  '?false(value)': is((value) => value === false),
  '?mapping|dict(value)': is((value) => value instanceof Map),
  '?list(value)': is(Array.isArray),
  'iterable(value)': (_, value) => isSequence(plain(value)),
  '?sequence(value)': is(isSequence),
  // Texts are never escaped here.
  'escaped(value)': () => false,
  'callable(value)': (_, value) => value instanceof Callable,
  'filter(name)': (_, name) => find('filter', str(name), FILTERS) !== undefined,
  'test(name)': (_, name): boolean => find('test', str(name), TESTS) !== undefined,
  'odd(value)': (_, value) => Math.abs(asInt(value, 'odd')) % 2 === 1,
  'even(value)': (_, value) => Math.abs(asInt(value, 'even')) % 2 === 0,
  'divisibleby(value, num)': (_, value, by) => (asInt(by, 'num') === 0 ? fail('divisibleby 0') : asInt(value, 'divisibleby') % asInt(by, 'num') === 0),
  'lower(value)': (_, value) => str(value) === str(value).toLowerCase() && /\p{L}/u.test(str(value)),
  'upper(value)': (_, value) => str(value) === str(value).toUpperCase() && /\p{L}/u.test(str(value)),
  'sameas(value, other)': (_, a, b) => plain(a) === plain(b) || (typeof plain(a) !== 'object' && typeName(a) === typeName(b) && equals(a, b)),
  '==|eq|equalto(a, b)': (_, a, b) => equals(a, b),
  '!=|ne(a, b)': (_, a, b) => !equals(a, b),
  '<|lt|lessthan(a, b)': order((one) => one < 0, '<'),
  '<=|le(a, b)': order((one) => one <= 0, '<='),
  '>|gt|greaterthan(a, b)': order((one) => one > 0, '>'),
  '>=|ge(a, b)': order((one) => one >= 0, '>='),
  'in(a, seq)': isInside,
  'contains(seq, value)': (_, seq, value) => contains(seq, value),
  'subset|issubset(a, b)': (_, a, b) => subset(a, b),
  'superset|issuperset(a, b)': (_, a, b) => subset(b, a),
  'any(value)': (_, value) => iterate(value).some(truthy),
  'all(value)': (_, value) => iterate(value).every(truthy),
  'truthy(value, convert_bool=false)': (_, value, convert) => truthy(convert === true ? toBool(value) : value),
  'falsy(value, convert_bool=false)': (_, value, convert) => !truthy(convert === true ? toBool(value) : value),
  'match(value, pattern, ignorecase=false, multiline=false)': (_, value, pattern, i, m) => matches(value, pattern, i, m, 'match'),
  'search(value, pattern, ignorecase=false, multiline=false)': (_, value, pattern, i, m) => matches(value, pattern, i, m, 'search'),
  'regex(value, pattern, ignorecase=false, multiline=false, match_type="search")': (_, value, pattern, i, m, how) => matches(value, pattern, i, m, str(how) as 'search'),
  'version|version_compare(value, version, operator="eq", strict=null, version_type=null)': (_, value, version, operator, strict, type) => {
    if (strict !== null && type !== null) fail('version takes either "strict" or "version_type"', 'drop one');
    const kind = type !== null ? str(type) : strict !== null && truthy(strict) ? 'strict' : 'loose';
    const holds: { [operator: string]: (order: number) => boolean } = { '==': (o) => o === 0, '!=': (o) => o !== 0, '<': (o) => o < 0, '<=': (o) => o <= 0, '>': (o) => o > 0, '>=': (o) => o >= 0 };
    const names: { [name: string]: string } = { '=': '==', eq: '==', '<>': '!=', ne: '!=', lt: '<', le: '<=', gt: '>', ge: '>=' };
    const test = holds[names[str(operator)] ?? str(operator)] ?? fail(`version knows no operator "${str(operator)}"`, 'it knows ==, !=, <, <=, > and >=');
    return test(compareVersions(str(value), str(version), kind));
  },
  'failed|failure(result)': (_, value) => isFailed(value, 'failed'),
  'succeeded|success|successful(result)': (_, value) => !isFailed(value, 'succeeded'),
  'changed|change(result)': (_, value) => isChanged(value, 'changed'),
  'skipped|skip(result)': (_, value) => flag(value, 'skipped', 'skipped'),
  'reachable(result)': (_, value) => !flag(value, 'reachable', 'unreachable'),
  'unreachable(result)': (_, value) => flag(value, 'unreachable', 'unreachable'),
  'started(result)': (_, value) => flag(value, 'started', 'started'),
  'finished(result)': (_, value) => truthy(result(value, 'finished').get('finished') ?? true),
  'timedout(result)': (_, value) => {
    const found = result(value, 'timedout').get('timedout');
    return found instanceof Map && truthy(found.get('period') ?? false);
  },
  ...files({
    'exists(path)': (_, path) => existsSync(str(path)),
    'link_exists(path)': (_, path) => stat(path, true) !== undefined,
    'file|is_file(path)': (_, path) => stat(path)?.isFile() ?? false,
    'directory|is_dir(path)': (_, path) => stat(path)?.isDirectory() ?? false,
    'link|is_link(path)': (_, path) => stat(path, true)?.isSymbolicLink() ?? false,
    'same_file|is_same_file(path, other)': (_, a, b) => realpathSync(str(a)) === realpathSync(str(b)),
    'mount|is_mount(path)': (_, path) => stat(path) !== undefined && (str(path) === '/' || stat(path)?.dev !== stat(dirname(str(path)))?.dev),
  }),
  'abs|is_abs(path)': (_, path) => str(path).startsWith('/'),
  'url(value, schemes=null)': (_, value, schemes) => {
    const found = /^([a-z][a-z0-9+.-]*):\/\/[^?#]/i.exec(str(value));
    return found !== null && (schemes === null || contains(schemes, found[1]!.toLowerCase()));
  },
  'urn(value)': (_, value) => /^urn:[^:]+:.+/i.test(str(value)),
  // Nearly anything is: the scheme may be left out.
  'uri(value, schemes=null)': (_, value, schemes) => schemes === null || contains(schemes, /^([a-z][a-z0-9+.-]*):/i.exec(str(value))?.[1]?.toLowerCase() ?? ''),
  'vault_encrypted(value)': (_, value) => (value instanceof Secret && value.sealed !== undefined) || isEncrypted(str(value)),
  'nan|isnan(value)': (_, value) => Number.isNaN(numeric(plain(value)) ?? 0),
  'hashable(value)': (_, value) => !Array.isArray(plain(value)) && !(plain(value) instanceof Map) && keyOf(value) !== undefined,
});

/** Every test by name. */
export const TESTS: Table<boolean> = new Map([...OWN, ...MORE_TESTS]);

/** Text as `truthy(convert_bool=True)` reads it; what is no boolean comes back as it is. */
export function toBool(given: Value): Value {
  const value = read(given);
  if (value === null || typeof value === 'boolean') return value;
  const word = str(value).toLowerCase();
  if (['yes', 'on', '1', 'true', 'y', 't', '1.0'].includes(word)) return true;
  if (['no', 'off', '0', 'false', 'n', 'f', '0.0'].includes(word)) return false;
  return value;
}
