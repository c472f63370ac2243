/** Finding things in data: `json_query`, and the path filters of ansible.utils. */
import { toValue, type Dict, type Plain, type Value } from '../../value/value.js';
import { member } from '../access.js';
import { jmespath } from '../libraries.js';
import { asDict, asList, isNumber, iterate, keyOf, numeric, read, str, truthy, typeName } from '../python.js';
import { pythonRegex } from '../regex.js';
import { table, type Env } from '../registry.js';
import { fail, Undefined, type Result } from '../undefined.js';

/** What JMESPath works on; secrets are opened (and noted as read). */
function plain(value: Value): unknown {
  const open = read(value);
  if (Array.isArray(open)) return open.map(plain);
  if (open instanceof Map) return Object.fromEntries([...open].map(([key, member]) => [str(key), plain(member)]));
  if (isNumber(open)) return Number(numeric(open));
  return typeof open === 'object' && open !== null ? str(open) : open;
}

/** A path's step as it is written behind others. */
function step(key: Value, isFirst: boolean): string {
  if (typeof key !== 'string') return `[${str(key)}]`;
  if (isFirst) return key;
  if (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(key)) return `.${key}`;
  return `['${key}']`;
}

function paths(value: Value, path: string, into: Dict): Dict {
  const open = read(value);
  const isEmpty = (Array.isArray(open) && open.length === 0) || (open instanceof Map && open.size === 0);
  if (isEmpty || !(Array.isArray(open) || open instanceof Map)) into.set(path, value);
  else if (Array.isArray(open)) open.forEach((one, i) => paths(one, `${path}[${i}]`, into));
  else for (const [key, one] of open) paths(one, path + step(key, path === ''), into);
  return into;
}

/** The steps of a path such as `a.b[0]['c d']`. */
function steps(path: string): Value[] {
  const found: Value[] = [];
  const part = /\.?([\p{L}_][\p{L}\p{N}_]*)|\[\s*(-?\d+)\s*\]|\[\s*'([^']*)'\s*\]|\[\s*"([^"]*)"\s*\]|\.?(\d+)/uy;
  for (let at = 0; at < path.length; at = part.lastIndex) {
    part.lastIndex = at;
    const [whole, name, index, single, double, number] = part.exec(path) ?? fail(`get_path cannot read "${path}" from "${path.slice(at)}" on`, "write it as in a.b[0]['c d']");
    void whole;
    found.push(name ?? single ?? double ?? Number(index ?? number));
  }
  return found;
}

/** Keys that the filters of ansible.utils mean. */
function matching(key: Value, target: string, how: string, what: string): boolean {
  const text = str(key);
  switch (how) {
    case 'equality':
      return text === target;
    case 'starts_with':
      return text.startsWith(target);
    case 'ends_with':
      return text.endsWith(target);
    case 'regex':
      return pythonRegex(target).exec(text)?.index === 0;
  }
  return fail(`${what} knows no matching_parameter "${how}"`, 'it knows equality, starts_with, ends_with and regex');
}

/** A copy of data in which each dict was gone through. */
function everyDict(value: Value, change: (dict: Dict) => Dict): Value {
  const open = read(value);
  if (Array.isArray(open)) return open.map((one) => everyDict(one, change));
  return open instanceof Map ? new Map([...change(open)].map(([key, one]) => [key, everyDict(one, change)])) : value;
}

function kept(value: Value, matches: (key: Value) => boolean): Value | undefined {
  const open = read(value);
  const isSomething = (one: Value | undefined): one is Value => one !== undefined && one !== null && !(Array.isArray(one) && one.length === 0) && !(one instanceof Map && one.size === 0);
  if (Array.isArray(open)) return open.map((one) => kept(one, matches)).filter(isSomething);
  if (!(open instanceof Map)) return undefined;
  return new Map([...open].flatMap(([key, one]): [Value, Value][] => {
    const rest = matches(key) ? one : kept(one, matches);
    return matches(key) || isSomething(rest) ? [[key, rest!]] : [];
  }));
}

function targets(value: Value, what: string): Value[] {
  return Array.isArray(read(value)) ? iterate(value) : fail(`${what} takes its target as a list`);
}
const container = (value: Value, what: string): Value => (Array.isArray(read(value)) || read(value) instanceof Map ? value : fail(`${what} takes a list or dict, not ${typeName(value)}`));

function holds(env: Env, entry: Value, written: string, value: Value): boolean {
  const [, not, name] = /^(!|not\s+)?(.*)$/s.exec(written)!;
  const test = name === '=' ? '==' : name!;
  const right = test === 'in' && !Array.isArray(read(value)) ? [value] : value;
  return env.test(test, right === null ? [entry] : [entry, right], new Map()) === (not === undefined);
}

export const DATA = table<Result>({
  'json_query(data, expr)': (_, data, expression) => {
    try {
      return toValue(jmespath().search(plain(data) as Plain, str(expression)));
    } catch (error) {
      return fail(`json_query cannot take "${str(expression)}": ${(error as Error).message}`, 'see https://jmespath.org');
    }
  },
  'to_paths(var, prepend=null, wantlist=null)': (_, value, prepend, list) => {
    const found = paths(value, prepend === null ? '' : str(prepend), new Map());
    return list !== null && truthy(list) ? [found] : found;
  },
  'get_path(var, path, wantlist=false)': (_, value, path, list) => {
    const found = steps(str(path)).reduce<Result>((at, key) => (at instanceof Undefined ? at : member(at, key)), value);
    return found instanceof Undefined || !truthy(list) ? found : [found];
  },
  'index_of(data, test, value=null, key=null, fail_on_missing=false, wantlist=false)': (env, data, test, value, key, strict, list) => {
    const found = asList(data, 'index_of').flatMap((entry, i) => {
      if (key === null) return holds(env, entry, str(test), value) ? [i] : [];
      const dict = asDict(entry, 'index_of with a key');
      const own = dict.get(keyOf(key));
      if (own === undefined) return truthy(strict) ? fail(`index_of found no "${str(key)}" in member ${i}`) : [];
      return holds(env, own, str(test), value) ? [i] : [];
    });
    return found.length === 1 && !truthy(list) ? found[0]! : found;
  },
  'ansible.utils.keep_keys(data, target, matching_parameter="equality")': (_, data, target, how) => {
    const names = targets(target, 'keep_keys').map(str);
    return kept(container(data, 'keep_keys'), (key) => names.some((name) => matching(key, name, str(how), 'keep_keys')))!;
  },
  'ansible.utils.remove_keys(data, target, matching_parameter="equality")': (_, data, target, how) => {
    const names = targets(target, 'remove_keys').map(str);
    return everyDict(container(data, 'remove_keys'), (dict) => new Map([...dict].filter(([key]) => !names.some((name) => matching(key, name, str(how), 'remove_keys')))));
  },
  'ansible.utils.replace_keys(data, target, matching_parameter="equality")': (_, data, target, how) => {
    const rules = targets(target, 'replace_keys').map((one) => asDict(one, 'a target of replace_keys'));
    const changed = (key: Value) => rules.find((rule) => matching(key, str(rule.get('before') ?? fail('each target of replace_keys needs "before"')), str(how), 'replace_keys'))?.get('after');
    // What is renamed goes to the end, as it does when a dict gives up a key and takes another.
    return everyDict(container(data, 'replace_keys'), (dict) => {
      const entries = [...dict].map(([key, one]) => ({ key, one, after: changed(key) }));
      return new Map([...entries.filter(({ after }) => after === undefined), ...entries.filter(({ after }) => after !== undefined)].map(({ key, one, after }) => [after ?? key, one]));
    });
  },
});
