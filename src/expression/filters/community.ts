/** Filters of community.general. */
import { trimmedEnd } from '../../value/text.js';
import type { Dict, Value } from '../../value/value.js';
import { member } from '../access.js';
import { arithmetic } from '../arithmetic.js';
import { parseCsv } from '../csv.js';
import { parseIni } from '../ini.js';
import { asDict, asInt, asList, iterate, keyOf, read, str, toFloat, truthy, typeName } from '../python.js';
import { random } from '../random.js';
import { pythonRegex } from '../regex.js';
import { table } from '../registry.js';
import { defined, fail, type Result } from '../undefined.js';
import { compareVersions } from '../versions.js';
import { combine } from './dicts.js';
import { setOf, sorted, unique } from './lists.js';

/** CRC-32 of IEEE 802.3, as zlib has it. */
function crc32(text: string): number {
  let crc = ~0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** Which keys `keep_keys` and its like mean. */
function matcher(target: Value, how: Value, what: string): (key: Value) => boolean {
  const wanted = Array.isArray(read(target)) ? iterate(target).map(str) : [str(target)];
  switch (str(how)) {
    case 'equal':
      return (key) => wanted.includes(str(key));
    case 'starts_with':
      return (key) => wanted.some((one) => str(key).startsWith(one));
    case 'ends_with':
      return (key) => wanted.some((one) => str(key).endsWith(one));
    case 'regex':
      return (key) => wanted.some((one) => pythonRegex(one).exec(str(key))?.index === 0);
  }
  return fail(`${what} knows no matching_parameter "${str(how)}"`, 'it knows equal, starts_with, ends_with and regex');
}

const dictsOf = (data: Value, what: string) => asList(data, what).map((one) => asDict(one, what));

/** Arguments of the `lists_*` filters: lists, or with `flatten` lists of lists among them. */
function lists(first: Value, others: Value[], options: Dict, what: string): Value[][] {
  for (const name of options.keys()) if (name !== 'flatten') fail(`${what} has no argument "${str(name)}"`, 'it takes flatten');
  const given = [first, ...others].map((one) => asList(one, what));
  if (!truthy(options.get('flatten') ?? false)) return given;
  return given.flatMap((one) => (one.length > 0 && one.every((inner) => Array.isArray(read(inner))) ? one.map((inner) => asList(inner, what)) : one.length > 0 ? [one] : []));
}

const same = (value: Value) => value;
const union = (a: Value[], b: Value[]) => unique([...a, ...b], same);
const keep = (a: Value[], b: Value[], wanted: boolean) => {
  const other = setOf(b);
  return unique(a, same).filter((one) => other.has(one) === wanted);
};
const folded = (what: string, step: (a: Value[], b: Value[]) => Value[]) => (_: unknown, first: Value, others: Value[], options: Dict) => {
  const all = lists(first, others, options, what);
  return all.length === 0 ? [] : all.reduce(step);
};

/** Milliseconds of each unit of time, by its short name. */
const UNITS: { [short: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, mo: 30 * 86_400_000, y: 365 * 86_400_000 };
const NAMES: { [long: string]: string } = { millisecond: 'ms', msec: 'ms', sec: 's', second: 's', hour: 'h', min: 'm', minute: 'm', day: 'd', week: 'w', month: 'mo', year: 'y' };

function timeIn(given: Value, unit: string, options: Dict): Value {
  for (const name of options.keys()) if (name !== 'month' && name !== 'year') fail(`conversion of times has no argument "${str(name)}"`, 'it takes month and year, in days');
  const days = (name: string) => (options.has(name) ? asInt(options.get(name)!, name) * 86_400_000 : undefined);
  const size = (name: string): number => {
    const short = NAMES[trimmedEnd(name, 's')] ?? name;
    return (short === 'mo' ? days('month') : short === 'y' ? days('year') : undefined) ?? UNITS[short] ?? fail(`"${name}" is no unit of time`, `known are ${Object.keys(NAMES).join(', ')} and ${Object.keys(UNITS).join(', ')}`);
  };
  const text = str(given);
  if (text === '0') return 0;
  const total = text.split(/\s+/).filter((one) => one !== '').reduce((sum, part) => {
    const found = /^(-?\d+)(\w+)/.exec(part) ?? fail(`"${text}" is no span of time`, 'write it as in 1h 30m');
    return sum + Number(found[1]) * size(found[2]!);
  }, 0);
  return toFloat(Number((total / size(unit)).toFixed(12)));
}
const timeTo = (unit: string) => (_: unknown, value: Value, options: Dict) => timeIn(value, unit, options);

/** `reveal_ansible_type`: of containers with what is in them. */
function revealed(value: Value, alias: Dict): string {
  const name = (one: Value) => {
    const own = one === null ? 'NoneType' : typeName(one);
    return alias.has(own) ? str(alias.get(own)!) : own;
  };
  const several = (values: Value[]) => [...new Set(values.map((one) => name(one)))].sort().join('|');
  const open = read(value);
  if (Array.isArray(open)) return `${name(open)}[${several(open)}]`;
  if (open instanceof Map) return `${name(open)}[${several([...open.keys()])}, ${several([...open.values()])}]`;
  return name(open);
}
export { revealed };

export const COMMUNITY = table<Result>({
  'counter(sequence)': (_, sequence) => {
    const counts: Dict = new Map();
    for (const one of iterate(sequence)) counts.set(keyOf(one), ((counts.get(keyOf(one)) as number | undefined) ?? 0) + 1);
    return counts;
  },
  'accumulate(sequence)': (_, sequence) => iterate(sequence).reduce<Value[]>((sums, one) => [...sums, sums.length === 0 ? one : arithmetic('+', sums.at(-1)!, one)], []),
  'crc32(value)': (_, value) => crc32(str(value)).toString(16),
  'dict_kv(value, key)': (_, value, key) => new Map([[keyOf(key), value]]),
  'groupby_as_dict(sequence, attribute)': (_, sequence, attribute) => {
    const grouped: Dict = new Map();
    for (const one of dictsOf(sequence, 'groupby_as_dict')) {
      const key = keyOf(defined(member(one, attribute)));
      if (grouped.has(key)) fail(`groupby_as_dict found "${str(key)}" twice`);
      grouped.set(key, one);
    }
    return grouped;
  },
  'from_csv(data, dialect="excel", fieldnames=null, delimiter=null, skipinitialspace=null, strict=null)': (_, data, dialect, names, delimiter, skip) => {
    const by = { excel: ',', 'excel-tab': '\t', unix: ',' }[str(dialect)] ?? fail(`from_csv knows no dialect "${str(dialect)}"`, 'it knows excel, excel-tab and unix');
    const rows = parseCsv(str(data), { delimiter: delimiter === null ? by : str(delimiter), skipSpace: skip !== null && truthy(skip) });
    const header = names === null ? (rows.shift() ?? []) : iterate(names).map(str);
    return rows.map((row) => {
      const dict: Dict = new Map(header.map((name, i): [Value, Value] => [name, row[i] ?? null]));
      if (row.length > header.length) dict.set(null, row.slice(header.length));
      return dict;
    });
  },
  'from_ini(obj, delimiters=null)': (_, text, delimiters) => {
    const sections = parseIni(str(text), delimiters === null ? {} : { delimiters: iterate(delimiters).map(str) });
    const defaults = sections.get('DEFAULT');
    sections.delete('DEFAULT');
    const dict: Dict = new Map([...sections].map(([name, values]): [Value, Value] => [name, new Map<Value, Value>([...(defaults ?? []), ...values])]));
    if (defaults && defaults.size > 0) dict.set('DEFAULT', new Map<Value, Value>(defaults));
    return dict;
  },
  'to_ini(obj, no_extra_spaces=false)': (_, dict, tight) => {
    const by = truthy(tight) ? '=' : ' = ';
    const sections = [...asDict(dict, 'to_ini')];
    if (sections.length === 0) fail('to_ini was given an empty dict');
    return sections.map(([name, values]) => `[${str(name)}]\n${[...asDict(values, 'a section of to_ini')].map(([key, value]) => `${str(key)}${by}${str(value).replaceAll('\n', '\n\t')}\n`).join('')}`).join('\n');
  },
  'keep_keys(data, target=null, matching_parameter="equal")': (_, data, target, how) => {
    const matches = matcher(target, how, 'keep_keys');
    return dictsOf(data, 'keep_keys').map((one) => new Map([...one].filter(([key]) => matches(key))));
  },
  'remove_keys(data, target=null, matching_parameter="equal")': (_, data, target, how) => {
    const matches = matcher(target, how, 'remove_keys');
    return dictsOf(data, 'remove_keys').map((one) => new Map([...one].filter(([key]) => !matches(key))));
  },
  'replace_keys(data, target=null, matching_parameter="equal")': (_, data, target, how) => {
    const rules = dictsOf(target, 'the target of replace_keys').map((one) => ({ matches: matcher(one.get('before') ?? fail('each target of replace_keys needs "before" and "after"'), how, 'replace_keys'), after: one.get('after')! }));
    return dictsOf(data, 'replace_keys').map((one) => new Map([...one].map(([key, value]): [Value, Value] => [rules.find((rule) => rule.matches(key))?.after ?? key, value])));
  },
  'lists_union(value, *others, **options)': (env, first, others: Value[], options: Dict) => folded('lists_union', union)(env, first, others, options),
  'lists_intersect(value, *others, **options)': (env, first, others: Value[], options: Dict) => folded('lists_intersect', (a, b) => keep(a, b, true))(env, first, others, options),
  'lists_difference(value, *others, **options)': (env, first, others: Value[], options: Dict) => folded('lists_difference', (a, b) => keep(a, b, false))(env, first, others, options),
  'lists_symmetric_difference(value, *others, **options)': (env, first, others: Value[], options: Dict) =>
    folded('lists_symmetric_difference', (a, b) => keep(union(a, b), keep(a, b, true), false))(env, first, others, options),
  'lists_mergeby(value, *others, **options)': (_, first, others: Value[], options: Dict) => {
    const index = others.pop() ?? fail('lists_mergeby needs the key by which it merges', 'write lists_mergeby(other, "name")');
    for (const name of options.keys()) if (name !== 'recursive' && name !== 'list_merge') fail(`lists_mergeby has no argument "${str(name)}"`, 'it takes recursive and list_merge');
    const all = lists(first, others, new Map([['flatten', true]]), 'lists_mergeby');
    if (all.length < 2) return all[0] ?? [];
    const merged: Dict = new Map();
    for (const one of all.flatMap((list) => dictsOf(list, 'lists_mergeby'))) {
      const key = one.get(keyOf(index));
      if (key !== undefined) merged.set(keyOf(key), combine((merged.get(keyOf(key)) as Dict | undefined) ?? new Map(), one, truthy(options.get('recursive') ?? false), str(options.get('list_merge') ?? 'replace') as 'replace'));
    }
    return sorted([...merged.values()], (one) => (one as Dict).get(keyOf(index))!, false);
  },
  'random_mac(value, seed=null)': (env, value, seed) => {
    const prefix = str(value).toLowerCase();
    const bytes = prefix.split(':');
    if (bytes.length > 5 || !bytes.every((byte) => /^[a-f0-9]{2}$/.test(byte))) fail(`random_mac takes up to five bytes of an address, not "${prefix}"`, 'write them as in 52:54:00');
    const next = random(env, seed);
    return [...bytes, ...Array.from({ length: 6 - bytes.length }, () => Math.floor(next() * 256).toString(16).padStart(2, '0'))].join(':');
  },
  'to_time_unit(human_time, unit="ms", **options)': (_, value, unit, options: Dict) => timeIn(value, str(unit), options),
  'to_milliseconds(human_time, **options)': timeTo('ms'),
  'to_seconds(human_time, **options)': timeTo('s'),
  'to_minutes(human_time, **options)': timeTo('m'),
  'to_hours(human_time, **options)': timeTo('h'),
  'to_days(human_time, **options)': timeTo('d'),
  'to_weeks(human_time, **options)': timeTo('w'),
  'to_months(human_time, **options)': timeTo('mo'),
  'to_years(human_time, **options)': timeTo('y'),
  'unicode_normalize(data, form="NFC")': (_, data, form) => (/^NFK?[CD]$/.test(str(form)) ? str(data).normalize(str(form)) : fail(`unicode_normalize knows no form "${str(form)}"`, 'it knows NFC, NFD, NFKC and NFKD')),
  'version_sort(value, reverse=false)': (_, value, reverse) => [...iterate(value)].sort((a, b) => compareVersions(str(a), str(b), 'loose') * (truthy(reverse) ? -1 : 1)),
  'reveal_ansible_type(data, alias={})': (_, data, alias) => revealed(data, alias === null ? new Map() : asDict(alias, 'alias')),
});
