/** Lists: Jinja's filters and Ansible's set theory, combinations and sub-elements. */
import type { Value } from '../../value/value.js';
import { attributePath, Group, member } from '../access.js';
import { arithmetic } from '../arithmetic.js';
import { asInt, characters, compare, countCharacters, equals, isNumber, iterate, keyOf, numeric, read, str, truthy, typeName } from '../python.js';
import { random, shuffle } from '../random.js';
import { table, type Env } from '../registry.js';
import { defined, fail, Undefined, type Result } from '../undefined.js';

/** What a sort or grouping looks at: lower case unless asked otherwise. */
function sortKey(value: Value, caseSensitive: boolean): Value {
  const open = read(value);
  return typeof open === 'string' && !caseSensitive ? open.toLowerCase() : open;
}

function byAttribute(attribute: Value, caseSensitive: boolean): (value: Value) => Value {
  if (attribute === null) return (value) => sortKey(value, caseSensitive);
  const parts = typeof attribute === 'string' ? attribute.split(',') : [attribute];
  const keys = (value: Value) => parts.map((part) => sortKey(defined(attributePath(value, part)), caseSensitive));
  return parts.length === 1 ? (value) => keys(value)[0]! : keys;
}

export function sorted(values: Value[], key: (value: Value) => Value, reverse: boolean): Value[] {
  const keyed = values.map((value) => ({ value, key: key(value) }));
  keyed.sort((a, b) => (reverse ? compare(b.key, a.key) : compare(a.key, b.key)));
  return keyed.map(({ value }) => value);
}

/** The first of each that are equal; scalars are found by a set, so that long lists stay quick. */
export function unique(values: Value[], key: (value: Value) => Value): Value[] {
  const seen = seenSet();
  return values.filter((value) => seen.add(key(value)));
}

function seenSet() {
  const quick = new Set<string>();
  const others: Value[] = [];
  const mark = (value: Value) => {
    const open = read(value);
    if (typeof open === 'string') return `s${open}`;
    const number = numeric(open);
    return number === undefined ? undefined : `n${number}`;
  };
  return {
    has(value: Value): boolean {
      const text = mark(value);
      return text === undefined ? others.some((one) => equals(one, value)) : quick.has(text);
    },
    /** @returns whether it is new */
    add(value: Value): boolean {
      if (this.has(value)) return false;
      const text = mark(value);
      if (text === undefined) others.push(value);
      else quick.add(text);
      return true;
    },
  };
}

export function setOf(values: Value): { has(value: Value): boolean } {
  const seen = seenSet();
  for (const value of iterate(values)) seen.add(value);
  return seen;
}
const same = (value: Value) => value;

function select(env: Env, values: Value, args: Value[], named: Map<Value, Value>, wanted: boolean, of: (value: Value) => Result): Value[] {
  const [test, ...rest] = args;
  const options = new Map([...named].map(([name, value]) => [str(name), value]));
  return iterate(values).filter((value) => {
    const subject = of(value);
    const holds = test === undefined ? truthy(defined(subject)) : env.test(str(test), [subject, ...rest], options);
    return holds === wanted;
  });
}

function extreme(values: Value, caseSensitive: Value, attribute: Value, wanted: number, name: string): Result {
  const key = byAttribute(attribute, truthy(caseSensitive));
  let best: { value: Value; key: Value } | undefined;
  for (const value of iterate(values)) {
    const own = key(value);
    if (best === undefined || Math.sign(compare(own, best.key)) === wanted) best = { value, key: own };
  }
  return best?.value ?? new Undefined(`${name} of an empty list`);
}

function flatten(values: Value[], levels: number, skipNulls: boolean): Value[] {
  return values.flatMap((value) => {
    if (value === null && skipNulls) return [];
    if (Array.isArray(value)) return levels === 0 ? [value] : flatten(value, levels - 1, skipNulls);
    return [value];
  });
}

/** What combining lists gives at most: some twenty members have more permutations than any machine can hold. */
const MOST = 1_000_000;

function tooMany(): never {
  return fail(`more than ${MOST} combinations`, 'combine fewer');
}

/** What a generator yields, while that is within bounds. */
function collected(found: Generator<Value[]>): Value[][] {
  const all: Value[][] = [];
  for (const one of found) if (all.push(one) > MOST) tooMany();
  return all;
}

export function product(lists: Value[][]): Value[][] {
  if (lists.reduce((count, list) => count * list.length, 1) > MOST) tooMany();
  return lists.reduce<Value[][]>((rows, list) => rows.flatMap((row) => list.map((value) => [...row, value])), [[]]);
}

function* combinations(values: Value[], size: number, from = 0): Generator<Value[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let i = from; i <= values.length - size; i++) for (const rest of combinations(values, size - 1, i + 1)) yield [values[i]!, ...rest];
}

function* permutations(values: Value[], size: number): Generator<Value[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let i = 0; i < values.length; i++) for (const rest of permutations(values.toSpliced(i, 1), size - 1)) yield [values[i]!, ...rest];
}

/** `subelements` of filter and lookup: pairs of an item and each of its sub-elements. */
export function subelements(given: Value, path: Value, skipMissing: boolean): Value[] {
  const open = read(given);
  const items = open instanceof Map ? [...open.values()] : iterate(open);
  const steps = Array.isArray(path) ? path.map(str) : str(path).split('.');
  return items.flatMap((item) => {
    let values: Value = item;
    for (const [i, step] of steps.entries()) {
      if (!(values instanceof Map) && skipMissing) return [];
      const found: Value | undefined = values instanceof Map ? values.get(step) : fail(`the key ${steps[i - 1] ?? step} should point to a dictionary, got '${str(values)}'`);
      if (found === undefined && skipMissing) return [];
      values = found === undefined ? fail(`could not find '${step}' key in iterated item '${str(values)}'`, 'give skip_missing=True') : read(found);
    }
    if (!Array.isArray(values)) return fail(`the key ${steps.at(-1)} should point to a list, got '${str(values)}'`, 'make it a list');
    return values.map((value) => [item, value]);
  });
}

export const LISTS = table<Result>({
  'length|count(value)': (_, given) => {
    const value = read(given);
    if (typeof value === 'string') return countCharacters(value);
    if (Array.isArray(value)) return value.length;
    return value instanceof Map ? value.size : fail(`object of type '${typeName(value)}' has no length`, 'only texts, lists and dicts have one');
  },
  'first(seq)': (_, seq) => iterate(seq)[0] ?? new Undefined('first of an empty list'),
  'last(seq)': (_, seq) => iterate(seq).at(-1) ?? new Undefined('last of an empty list'),
  'min(value, case_sensitive=false, attribute=null)': (_, value, sensitive, attribute) => extreme(value, sensitive, attribute, -1, 'min'),
  'max(value, case_sensitive=false, attribute=null)': (_, value, sensitive, attribute) => extreme(value, sensitive, attribute, 1, 'max'),
  'sum(iterable, attribute=null, start=0)': (_, values, attribute, start) =>
    iterate(values).reduce<Value>((total, value) => arithmetic('+', total, attribute === null ? value : defined(attributePath(value, attribute))), start),
  'sort(value, reverse=false, case_sensitive=false, attribute=null)': (_, value, reverse, sensitive, attribute) => sorted([...iterate(value)], byAttribute(attribute, truthy(sensitive)), truthy(reverse)),
  'unique(value, case_sensitive=null, attribute=null)': (_, value, sensitive, attribute) => {
    const key = byAttribute(attribute, sensitive !== null && truthy(sensitive));
    // Asked for by name, this is Jinja's own filter, which takes only what a dict could have as key.
    const hashable = (one: Value) => (Array.isArray(read(one)) || read(one) instanceof Map ? fail(`unique with case_sensitive or attribute cannot fall back to comparing a ${typeName(one)}`, 'leave the argument out') : keyOf(one));
    return unique(iterate(value), sensitive === null && attribute === null ? key : (one) => hashable(key(one)));
  },
  'reverse(value)': (_, given) => {
    const value = read(given);
    return typeof value === 'string' ? characters(value).reverse().join('') : [...iterate(value)].reverse();
  },
  // What is undefined stays in the list, so that select('defined') and map('default') can serve it; whatever else reads it raises.
  'map(value, *args, **kwargs)': (env, value, args: Value[], kwargs: Map<Value, Value>) => {
    const named = new Map([...kwargs].map(([name, one]) => [str(name), one]));
    const [name, ...rest] = args;
    if (name !== undefined) return iterate(value).map((one) => env.filter(str(name), [one, ...rest], named) as Value);
    const attribute = named.get('attribute') ?? fail('map needs a filter or attribute="…"', 'write map("upper") or map(attribute="name")');
    return iterate(value).map((one) => {
      const found = attributePath(one, attribute);
      return found instanceof Undefined && named.has('default') ? named.get('default')! : (found as Value);
    });
  },
  'select(value, *args, **kwargs)': (env, value, args: Value[], kwargs: Map<Value, Value>) => select(env, value, args, kwargs, true, same),
  'reject(value, *args, **kwargs)': (env, value, args: Value[], kwargs: Map<Value, Value>) => select(env, value, args, kwargs, false, same),
  'selectattr(value, attribute, *args, **kwargs)': (env, value, attribute, args: Value[], kwargs: Map<Value, Value>) => select(env, value, args, kwargs, true, (one) => attributePath(one, attribute)),
  'rejectattr(value, attribute, *args, **kwargs)': (env, value, attribute, args: Value[], kwargs: Map<Value, Value>) => select(env, value, args, kwargs, false, (one) => attributePath(one, attribute)),
  'groupby(value, attribute, default=null, case_sensitive=false)': (_, value, attribute, fallback, sensitive) => {
    const keyed = iterate(value).map((one) => {
      const found = attributePath(one, attribute);
      const key = found instanceof Undefined && fallback !== null ? fallback : defined(found);
      return { one, key, sort: sortKey(key, truthy(sensitive)) };
    });
    keyed.sort((a, b) => compare(a.sort, b.sort));
    const groups: [Value, Value[], Value][] = [];
    for (const { one, key, sort } of keyed) {
      const last = groups.at(-1);
      if (last && equals(last[2], sort)) last[1].push(one);
      else groups.push([key, [one], sort]);
    }
    return groups.map(([key, members]) => new Group(key, members));
  },
  'batch(value, linecount, fill_with=null)': (_, value, count, fill) => {
    const size = Math.max(1, asInt(count, 'linecount'));
    const values = iterate(value);
    const rows = Array.from({ length: Math.ceil(values.length / size) }, (_none, i) => values.slice(i * size, (i + 1) * size));
    const last = rows.at(-1);
    if (fill !== null && last) while (last.length < size) last.push(fill);
    return rows;
  },
  'slice(value, slices, fill_with=null)': (_, value, slices, fill) => {
    const values = iterate(value);
    const columns = asInt(slices, 'slices');
    const each = Math.floor(values.length / columns);
    const longer = values.length % columns;
    let at = 0;
    return Array.from({ length: columns }, (_none, i) => {
      const part = values.slice(at, (at += each + (i < longer ? 1 : 0)));
      if (fill !== null && i >= longer && longer > 0) part.push(fill);
      return part;
    });
  },
  'flatten(mylist, levels=null, skip_nulls=true)': (_, value, levels, skip) => flatten(iterate(value), levels === null ? Infinity : asInt(levels, 'levels'), truthy(skip)),
  'union(a, b)': (_, a, b) => unique([...iterate(a), ...iterate(b)], same),
  'intersect(a, b)': (_, a, b) => {
    const other = setOf(b);
    return unique(iterate(a), same).filter((one) => other.has(one));
  },
  'difference(a, b)': (_, a, b) => {
    const other = setOf(b);
    return unique(iterate(a), same).filter((one) => !other.has(one));
  },
  'symmetric_difference(a, b)': (_, a, b) => {
    const [left, right] = [setOf(a), setOf(b)];
    return unique([...iterate(a).filter((one) => !right.has(one)), ...iterate(b).filter((one) => !left.has(one))], same);
  },
  'zip(value, *others)': (_, value, others: Value[]) => {
    const lists = [value, ...others].map(iterate);
    return Array.from({ length: Math.min(...lists.map((list) => list.length)) }, (_none, i) => lists.map((list) => list[i]!));
  },
  'zip_longest(value, *others, **kwargs)': (_, value, others: Value[], kwargs: Map<Value, Value>) => {
    const lists = [value, ...others].map(iterate);
    return Array.from({ length: Math.max(...lists.map((list) => list.length)) }, (_none, i) => lists.map((list) => list[i] ?? kwargs.get('fillvalue') ?? null));
  },
  'product(value, *others, **kwargs)': (_, value, others: Value[], kwargs: Map<Value, Value>) => {
    const lists = [value, ...others].map(iterate);
    return product(Array.from({ length: asInt(kwargs.get('repeat') ?? 1, 'repeat') }, () => lists).flat());
  },
  'permutations(value, size=null)': (_, value, size) => collected(permutations(iterate(value), size === null ? iterate(value).length : asInt(size, 'size'))),
  'combinations(value, size)': (_, value, size) => collected(combinations(iterate(value), asInt(size, 'size'))),
  'subelements(obj, subelements, skip_missing=false)': (_, value, path, skip) => subelements(value, path, truthy(skip)),
  'extract(item, container, morekeys=null)': (_, item, container, more) => {
    let found: Result = member(container, item);
    for (const key of more === null ? [] : Array.isArray(more) ? more : [more]) found = found instanceof Undefined ? found : member(found, key);
    return found;
  },
  'random(value, start=null, step=null, seed=null)': (env, given, start, step, seed) => {
    const value = read(given);
    const next = random(env, seed);
    if (isNumber(value)) {
      const low = start === null ? 0 : asInt(start, 'start');
      const by = step === null ? 1 : asInt(step, 'step');
      const count = Math.ceil((asInt(value, 'random') - low) / by);
      return count > 0 ? low + by * Math.floor(next() * count) : fail('random of an empty range');
    }
    const values = iterate(value);
    return values[Math.floor(next() * values.length)] ?? new Undefined('random of an empty list');
  },
  'shuffle(value, seed=null)': (env, value, seed) => shuffle(iterate(value), random(env, seed)),
});
