/** Methods of strings, lists, dicts and numbers, bound to their value. */
import { Callable, type Dict, type Value } from '../value/value.js';
import { bind, signature, type Signature } from './binding.js';
import { braceFormat } from './format.js';
import { asInt, characters, compare, equals, isFloat, iterate, keyOf, numeric, read, typeName } from './python.js';
import { fail } from './undefined.js';

interface Method<Self> {
  parameters: Signature;
  run(self: Self, args: Value[]): Value;
}

type Methods<Self> = ReadonlyMap<string, Method<Self>>;

function methods<Self>(table: { [signature: string]: (self: Self, ...args: Value[]) => Value }): Methods<Self> {
  return new Map(
    Object.entries(table).map(([text, run]) => {
      const [, name, parameters] = /^(\w+)\((.*)\)$/.exec(text)!;
      return [name!, { parameters: signature(parameters!), run: (self: Self, args: Value[]) => run(self, ...args) }];
    }),
  );
}

/** The method of that name, ready to be called; undefined where the type has none. */
export function findMethod(value: Value, name: string): Callable | undefined {
  if (typeof value === 'string') return bound(TEXT, value, name);
  if (value instanceof Map) return bound(DICT, value, name);
  if (Array.isArray(value)) return bound(LIST, value, name);
  const number = numeric(value);
  if (number !== undefined) return bound(NUMBER, value, name);
  return undefined;
}

function bound<Self extends Value>(table: Methods<Self>, self: Self, name: string): Callable | undefined {
  const method = table.get(name);
  if (!method) return undefined;
  return new Callable(name, (args, named) => method.run(self, bind(method.parameters, `${typeName(self)}.${name}()`, args, named)));
}

function text(value: Value, what: string): string {
  const open = read(value);
  return typeof open === 'string' ? open : fail(`${what} takes a string, not ${typeName(open)}`, 'convert it with | string');
}

const WHITE = ' \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0';

/** Python's strip: `characters` is a set. */
export function strip(self: string, set: Value, left: boolean, right: boolean): string {
  const cut = new Set(set === null ? WHITE : text(set, 'strip'));
  const all = characters(self);
  let from = 0;
  let to = all.length;
  if (left) while (from < to && cut.has(all[from]!)) from++;
  if (right) while (to > from && cut.has(all[to - 1]!)) to--;
  return all.slice(from, to).join('');
}

export function splitText(self: string, separator: Value, limit: number): string[] {
  if (separator === null) {
    const trimmed = self.trimStart();
    if (trimmed === '') return [];
    if (limit < 0) return self.trim().split(/\s+/);
    const parts: string[] = [];
    let rest = trimmed;
    while (parts.length < limit) {
      const gap = /\s+/.exec(rest);
      if (!gap) break;
      parts.push(rest.slice(0, gap.index));
      rest = rest.slice(gap.index + gap[0].length);
      if (rest === '') return parts;
    }
    return [...parts, parts.length === 0 && limit !== 0 ? rest.trimEnd() : rest];
  }
  const by = text(separator, 'split');
  if (by === '') fail('empty separator');
  const parts = self.split(by);
  return limit < 0 || parts.length <= limit + 1 ? parts : [...parts.slice(0, limit), parts.slice(limit).join(by)];
}

function rsplitText(self: string, separator: Value, limit: number): string[] {
  if (limit < 0) return splitText(self, separator, -1);
  if (separator === null) {
    const words = self.trim().split(/\s+/).filter((word) => word !== '');
    if (words.length <= limit + 1) return words;
    const kept = words.slice(words.length - limit);
    let rest = self.trimEnd();
    for (const word of kept.toReversed()) rest = rest.slice(0, rest.length - word.length).trimEnd();
    return [rest, ...kept];
  }
  const by = text(separator, 'rsplit');
  if (by === '') fail('empty separator');
  const parts = self.split(by);
  return parts.length <= limit + 1 ? parts : [parts.slice(0, parts.length - limit).join(by), ...parts.slice(parts.length - limit)];
}

export function capitalize(self: string): string {
  const [first = '', ...rest] = characters(self);
  return first.toUpperCase() + rest.join('').toLowerCase();
}

/** Python's str.title: a letter behind a non-letter is upper case. */
export function titleCase(self: string): string {
  return self.replace(/\p{L}+/gu, (word) => capitalize(word));
}

export function replaceText(self: string, old: string, by: string, count: number): string {
  if (count < 0) return self.replaceAll(old, () => by);
  let done = 0;
  return self.replaceAll(old, (found) => (done++ < count ? by : found));
}

const all = (pattern: RegExp) => (self: string) => pattern.test(self);
const affix = (given: Value, has: (part: string) => boolean) => {
  const parts = read(given);
  return Array.isArray(parts) ? parts.some((part) => has(text(part, 'startswith'))) : has(text(parts, 'startswith'));
};
const justify = (self: string, width: Value, fill: Value, left: (gap: number) => number) => {
  const gap = Math.max(0, asInt(width, 'the width') - characters(self).length);
  const before = left(gap);
  return text(fill, 'fillchar').repeat(before) + self + text(fill, 'fillchar').repeat(gap - before);
};
const window = (self: string, from: Value, to: Value) => {
  const part = characters(self).slice(asInt(from, 'start'), to === null ? undefined : asInt(to, 'end')).join('');
  return { part, offset: Math.max(0, asInt(from, 'start')) };
};
const position = (self: string, sub: Value, from: Value, to: Value, last: boolean) => {
  const { part, offset } = window(self, from, to);
  const at = last ? part.lastIndexOf(text(sub, 'find')) : part.indexOf(text(sub, 'find'));
  return at < 0 ? -1 : characters(part.slice(0, at)).length + offset;
};

const TEXT: Methods<string> = methods<string>({
  'capitalize()': (self) => capitalize(self),
  'casefold()': (self) => self.toLowerCase().replaceAll('ß', 'ss'),
  'center(width, fillchar=" ")': (self, width, fill) => justify(self, width!, fill!, (gap) => Math.floor(gap / 2) + (gap & asInt(width!, 'the width') & 1)),
  'count(sub, start=0, end=null)': (self, sub, from, to) => {
    const { part } = window(self, from!, to!);
    const wanted = text(sub!, 'count');
    return wanted === '' ? characters(part).length + 1 : part.split(wanted).length - 1;
  },
  // Bytes are text here.
  'decode(encoding="utf-8", errors="strict")': (self) => self,
  'encode(encoding="utf-8", errors="strict")': (self) => self,
  'endswith(suffix, start=0, end=null)': (self, suffix, from, to) => affix(suffix!, (part) => window(self, from!, to!).part.endsWith(part)),
  'expandtabs(tabsize=8)': (self, size) => {
    let column = 0;
    return self.replace(/[\t\n]|[^\t\n]+/g, (piece) => {
      if (piece === '\n') column = 0;
      else if (piece === '\t') {
        const width = Math.max(0, asInt(size!, 'tabsize')) && asInt(size!, 'tabsize') - (column % asInt(size!, 'tabsize'));
        column += width;
        return ' '.repeat(width);
      } else column += characters(piece).length;
      return piece;
    });
  },
  'find(sub, start=0, end=null)': (self, sub, from, to) => position(self, sub!, from!, to!, false),
  'format(*args, **named)': (self, args, named) => braceFormat(self, args as Value[], named as Map<string, Value>),
  'format_map(mapping)': (self, mapping) => braceFormat(self, [], mapping as Map<string, Value>),
  'index(sub, start=0, end=null)': (self, sub, from, to) => {
    const at = position(self, sub!, from!, to!, false);
    return at < 0 ? fail('substring not found') : at;
  },
  'isalnum()': all(/^[\p{L}\p{N}]+$/u),
  'isalpha()': all(/^\p{L}+$/u),
  'isascii()': all(/^[\x00-\x7f]*$/),
  'isdecimal()': all(/^\p{Nd}+$/u),
  'isdigit()': all(/^[\p{Nd}²³¹⁰-⁹₀-₉]+$/u),
  'isidentifier()': all(/^[\p{L}_][\p{L}\p{N}_]*$/u),
  'islower()': (self) => self === self.toLowerCase() && self !== self.toUpperCase(),
  'isnumeric()': all(/^\p{N}+$/u),
  'isprintable()': (self) => !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(self),
  'isspace()': all(/^\s+$/),
  'istitle()': (self) => self === titleCase(self) && /\p{L}/u.test(self),
  'isupper()': (self) => self === self.toUpperCase() && self !== self.toLowerCase(),
  'join(iterable)': (self, iterable) => iterate(iterable!).map((member) => text(member, 'str.join')).join(self),
  'ljust(width, fillchar=" ")': (self, width, fill) => justify(self, width!, fill!, () => 0),
  'lower()': (self) => self.toLowerCase(),
  'lstrip(chars=null)': (self, set) => strip(self, set!, true, false),
  'partition(sep)': (self, separator) => {
    const at = self.indexOf(text(separator!, 'partition'));
    return at < 0 ? [self, '', ''] : [self.slice(0, at), text(separator!, 'partition'), self.slice(at + text(separator!, 'partition').length)];
  },
  'removeprefix(prefix)': (self, prefix) => (self.startsWith(text(prefix!, 'removeprefix')) ? self.slice(text(prefix!, 'removeprefix').length) : self),
  'removesuffix(suffix)': (self, suffix) => (text(suffix!, 'removesuffix') !== '' && self.endsWith(text(suffix!, 'removesuffix')) ? self.slice(0, -text(suffix!, 'removesuffix').length) : self),
  'replace(old, new, count=-1)': (self, old, by, count) => replaceText(self, text(old!, 'replace'), text(by!, 'replace'), asInt(count!, 'count')),
  'rfind(sub, start=0, end=null)': (self, sub, from, to) => position(self, sub!, from!, to!, true),
  'rindex(sub, start=0, end=null)': (self, sub, from, to) => {
    const at = position(self, sub!, from!, to!, true);
    return at < 0 ? fail('substring not found') : at;
  },
  'rjust(width, fillchar=" ")': (self, width, fill) => justify(self, width!, fill!, (gap) => gap),
  'rpartition(sep)': (self, separator) => {
    const at = self.lastIndexOf(text(separator!, 'rpartition'));
    return at < 0 ? ['', '', self] : [self.slice(0, at), text(separator!, 'rpartition'), self.slice(at + text(separator!, 'rpartition').length)];
  },
  'rsplit(sep=null, maxsplit=-1)': (self, separator, limit) => rsplitText(self, separator!, asInt(limit!, 'maxsplit')),
  'rstrip(chars=null)': (self, set) => strip(self, set!, false, true),
  'split(sep=null, maxsplit=-1)': (self, separator, limit) => splitText(self, separator!, asInt(limit!, 'maxsplit')),
  'splitlines(keepends=false)': (self, keep) => {
    const lines = self.match(/[^\n\r]*(?:\r\n|\n|\r)|[^\n\r]+$/g) ?? [];
    return keep === true ? [...lines] : lines.map((line) => line.replace(/[\r\n]+$/, ''));
  },
  'startswith(prefix, start=0, end=null)': (self, prefix, from, to) => affix(prefix!, (part) => window(self, from!, to!).part.startsWith(part)),
  'strip(chars=null)': (self, set) => strip(self, set!, true, true),
  'swapcase()': (self) => characters(self).map((one) => (one === one.toUpperCase() ? one.toLowerCase() : one.toUpperCase())).join(''),
  'title()': (self) => titleCase(self),
  'translate(table)': (self, table) => {
    const by = read(table!);
    if (!(by instanceof Map)) return fail(`translate takes a dict, not ${typeName(by)}`);
    return characters(self).map((one) => {
      const given = by.get(one.codePointAt(0)!);
      return given === undefined ? one : given === null ? '' : typeof given === 'number' ? String.fromCodePoint(given) : text(given, 'translate');
    }).join('');
  },
  'upper()': (self) => self.toUpperCase(),
  'zfill(width)': (self, width) => {
    const [, sign, digits] = /^([-+]?)(.*)$/s.exec(self)!;
    return sign + digits!.padStart(asInt(width!, 'the width') - sign!.length, '0');
  },
});

const NUMBER: Methods<Value> = methods<Value>({
  'bit_length()': (self) => (isFloat(self) ? fail("'float' object has no attribute 'bit_length'") : Number(self) === 0 ? 0 : BigInt(numeric(self)!).toString(2).replace('-', '').length),
  'is_integer()': (self) => Number.isInteger(Number(numeric(self))),
});

/** Methods that change the list or dict they are called on. */
export const MUTATORS: ReadonlySet<string> = new Set(['append', 'clear', 'extend', 'insert', 'pop', 'popitem', 'remove', 'reverse', 'sort', 'setdefault', 'update']);

const LIST: Methods<Value[]> = methods<Value[]>({
  'append(object)': (self, member) => (self.push(member!), null),
  'clear()': (self) => ((self.length = 0), null),
  'copy()': (self) => [...self],
  'count(value)': (self, value) => self.filter((one) => equals(one, value!)).length,
  'extend(iterable)': (self, iterable) => {
    for (const member of [...iterate(iterable!)]) self.push(member);
    return null;
  },
  'index(value, start=0, end=null)': (self, value, from, to) => {
    const [low, high] = [asInt(from!, 'start'), to === null ? self.length : asInt(to!, 'end')].map((one) => (one < 0 ? one + self.length : one)) as [number, number];
    const at = self.findIndex((one, i) => i >= low && i < high && equals(one, value!));
    return at < 0 ? fail('the value is not in the list') : at;
  },
  'insert(index, object)': (self, index, member) => (self.splice(asInt(index!, 'the index'), 0, member!), null),
  'pop(index=-1)': (self, index) => {
    if (self.length === 0) fail('pop from empty list');
    return self.splice(asInt(index!, 'the index'), 1)[0] ?? fail('pop index out of range');
  },
  'remove(value)': (self, value) => {
    const at = self.findIndex((one) => equals(one, value!));
    if (at < 0) fail('the value is not in the list');
    self.splice(at, 1);
    return null;
  },
  'reverse()': (self) => (self.reverse(), null),
  'sort(reverse=false)': (self, reverse) => {
    self.sort((a, b) => (reverse === true ? compare(b, a) : compare(a, b)));
    return null;
  },
});

const DICT: Methods<Dict> = methods<Dict>({
  'clear()': (self) => (self.clear(), null),
  'copy()': (self) => new Map(self),
  'get(key, default=null)': (self, key, fallback) => self.get(keyOf(key!)) ?? (self.has(keyOf(key!)) ? null : fallback!),
  'items()': (self) => [...self].map(([key, member]) => [key, member]),
  'keys()': (self) => [...self.keys()],
  'pop(key, *default)': (self, key, fallback) => {
    const found = self.get(keyOf(key!));
    if (found === undefined) return (fallback as Value[])[0] ?? fail(`the dict has no "${String(key)}"`);
    self.delete(keyOf(key!));
    return found;
  },
  'popitem()': (self) => {
    const last = [...self].at(-1) ?? fail('popitem(): dictionary is empty');
    self.delete(last[0]);
    return [...last];
  },
  'setdefault(key, default=null)': (self, key, fallback) => {
    const name = keyOf(key!);
    if (!self.has(name)) self.set(name, fallback!);
    return self.get(name)!;
  },
  'update(*others, **named)': (self, others, named) => {
    for (const other of others as Value[]) for (const [key, member] of pairs(other)) self.set(keyOf(key), member);
    for (const [key, member] of named as Dict) self.set(key, member);
    return null;
  },
  'values()': (self) => [...self.values()],
});

/** Entries of a dict, or of a list of pairs. */
export function pairs(value: Value): [Value, Value][] {
  const open = read(value);
  if (open instanceof Map) return [...open];
  return iterate(open).map((pair) => {
    const [key, member, ...more] = iterate(pair);
    if (key === undefined || member === undefined || more.length > 0) fail('a list of pairs is needed to make a dict', 'each member must be a list of a key and a value');
    return [key!, member!];
  });
}
