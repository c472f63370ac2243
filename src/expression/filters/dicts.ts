/** Dicts. */
import type { Dict, Value } from '../../value/value.js';
import { pairs } from '../methods.js';
import { asDict, compare, equals, iterate, keyOf, read, str, truthy, typeName } from '../python.js';
import { table } from '../registry.js';
import { defined, fail, Undefined, type Result } from '../undefined.js';
import { member } from '../access.js';

type ListMerge = 'replace' | 'keep' | 'append' | 'prepend' | 'append_rp' | 'prepend_rp';

/** `combine` after `merge_hash` of ansible-core's utils/vars.py. */
export function combine(left: Dict, right: Dict, recursive: boolean, lists: ListMerge): Dict {
  const merged: Dict = new Map(left);
  for (const [key, value] of right) {
    const before = merged.get(key);
    if (recursive && before instanceof Map && value instanceof Map) merged.set(key, combine(before, value, recursive, lists));
    else if (Array.isArray(before) && Array.isArray(value) && lists !== 'replace') merged.set(key, mergeLists(before, value, lists));
    else merged.set(key, value);
  }
  return merged;
}

function mergeLists(before: Value[], value: Value[], how: ListMerge): Value[] {
  const without = (from: Value[], members: Value[]) => from.filter((one) => !members.some((other) => equals(one, other)));
  switch (how) {
    case 'keep':
      return before;
    case 'append':
      return [...before, ...value];
    case 'prepend':
      return [...value, ...before];
    case 'append_rp':
      return [...without(before, value), ...value];
    case 'prepend_rp':
      return [...value, ...without(before, value)];
    case 'replace':
      return value;
  }
}

export const DICTS = table<Result>({
  'combine(value, *others, **kwargs)': (_, value, others: Value[], kwargs: Dict) => {
    for (const name of kwargs.keys()) if (name !== 'recursive' && name !== 'list_merge') fail(`combine has no argument "${str(name)}"`, 'it takes recursive and list_merge');
    const lists = str(kwargs.get('list_merge') ?? 'replace');
    if (!/^(?:replace|keep|append|prepend|append_rp|prepend_rp)$/.test(lists)) fail(`combine knows no list_merge "${lists}"`, 'it knows replace, keep, append, prepend, append_rp and prepend_rp');
    const dicts = [value, ...others].flatMap((one) => (Array.isArray(read(one)) ? iterate(one) : [one])).filter((one) => read(one) !== null).map((one) => asDict(one, 'combine'));
    return dicts.reduce((all, one) => combine(all, one, truthy(kwargs.get('recursive') ?? false), lists as ListMerge), new Map());
  },
  'dict2items(mydict, key_name="key", value_name="value")': (_, dict, key, value) =>
    [...asDict(dict, 'dict2items')].map(([name, one]) => new Map<Value, Value>([[str(key), name], [str(value), one]])),
  'items2dict(mylist, key_name="key", value_name="value")': (_, list, key, value) =>
    new Map(iterate(list).map((item) => [keyOf(defined(member(asDict(item, 'items2dict'), key))), defined(member(item, value))])),
  'dictsort(value, case_sensitive=false, by="key", reverse=false)': (_, dict, sensitive, by, reverse) => {
    const at = str(by) === 'value' ? 1 : 0;
    const fold = (one: Value) => (typeof read(one) === 'string' && !truthy(sensitive) ? str(one).toLowerCase() : read(one));
    const entries = [...asDict(dict, 'dictsort')].map(([key, value]): Value[] => [key, value]);
    return entries.sort((a, b) => compare(fold(a[at]!), fold(b[at]!)) * (truthy(reverse) ? -1 : 1));
  },
  'items(value)': (_, value) => [...asDict(value, 'items')].map(([key, one]) => [key, one]),
  'dict(value)': (_, value) => new Map(pairs(value)),
  'rekey_on_member(data, key, duplicates="error")': (_, data, key, duplicates) => {
    const rekeyed: Dict = new Map();
    const open = read(data);
    const how = str(duplicates);
    if (how !== 'error' && how !== 'overwrite') fail(`duplicates parameter to rekey_on_member has unknown value: ${how}`, 'it takes error and overwrite');
    if (!(open instanceof Map || Array.isArray(open))) fail(`Type is not a valid list, set, or dict: rekey_on_member was given a ${typeName(open)}`);
    for (const item of open instanceof Map ? open.values() : iterate(open)) {
      if (!(item instanceof Map)) fail(`List item is not a valid dict: rekey_on_member met a ${typeName(item)}`);
      const own = member(item, key);
      const name = keyOf(own instanceof Undefined ? fail(`Key ${str(key)} was not found by rekey_on_member`) : own);
      if (rekeyed.has(name) && how === 'error') fail(`Key ${str(name)} is not unique, cannot correctly turn into dict`, 'give duplicates="overwrite"');
      rekeyed.set(name, item);
    }
    return rekeyed;
  },
  'xmlattr(d, autospace=true)': (_, dict, space) => {
    const text = [...asDict(dict, 'xmlattr')].filter(([, value]) => value !== null).map(([key, value]) => `${str(key)}="${str(value).replaceAll('&', '&amp;').replaceAll('"', '&#34;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}"`).join(' ');
    return truthy(space) && text !== '' ? ` ${text}` : text;
  },
});
