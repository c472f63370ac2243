/** Python's notions of text, truth, equality and order for playbook values. */
import { UnknownError } from '../value/errors.js';
import { Float, Instance, Secret, type Callable, Source, Unknown, type Dict, type Value } from '../value/value.js';
import { open } from './secrecy.js';
import { fail, Undefined, type Result } from './undefined.js';

/** Python's name of a value's type. */
export function typeName(value: Value): string {
  if (value instanceof Secret) return typeName(value.reveal());
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string' || value instanceof Source) return 'str';
  if (isFloat(value)) return 'float';
  if (typeof value === 'number' || typeof value === 'bigint') return 'int';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  if (value instanceof Instance) return value.type;
  return value instanceof Unknown ? 'unknown' : 'function';
}

/** Unboxes; a value only a real run could tell makes its reader unknown too. */
export function read(value: Value): Value {
  if (value instanceof Secret) return open(value);
  if (value instanceof Unknown) throw new UnknownError(value.why);
  if ((value as Result) instanceof Undefined) (value as unknown as Undefined).raise();
  return value;
}

export function isFloat(value: Value): boolean {
  return value instanceof Float || (typeof value === 'number' && !Number.isInteger(value));
}
export function isInt(value: Value): value is number | bigint {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
}
export function isNumber(value: Value): boolean {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof Float;
}
/** A float result: keeps its kind when it has no fraction. */
export function toFloat(value: number): Value {
  return Number.isInteger(value) ? new Float(value) : value;
}
/** An int result in its shortest form. */
export function toInt(value: bigint): number | bigint {
  const short = Number(value);
  return Number.isSafeInteger(short) ? short : value;
}

/** The number behind a value Python counts as one (booleans are 0 and 1); undefined for others. */
export function numeric(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value instanceof Float ? value.value : undefined;
}

export function truthy(given: Value): boolean {
  const value = read(given);
  if (value === null || value === false || value === '' || value === 0 || value === 0n) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (value instanceof Instance) return !value.isFalse;
  return !(value instanceof Float && value.value === 0);
}

/** `str(value)`. */
export function str(given: Value): string {
  const value = read(given);
  return typeof value === 'string' ? value : value instanceof Instance ? value.toString() : repr(value);
}

/** `repr(value)`. */
export function repr(given: Value): string {
  const value = read(given);
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return reprText(value);
  if (value instanceof Float) return floatText(value.value);
  if (typeof value === 'number') return Number.isInteger(value) ? integerText(value) : floatText(value);
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`;
  if (value instanceof Map) return `{${[...value].map(([key, member]) => `${repr(key)}: ${repr(member)}`).join(', ')}}`;
  if (value instanceof Source) return reprText(value.shown);
  if (value instanceof Instance) return value.repr();
  return `<function ${(value as Callable).name}>`;
}

function integerText(value: number): string {
  return Math.abs(value) < 1e21 ? String(value) : BigInt(value).toString();
}

/** Python's repr of a float: exponent from 1e16 on and below 1e-4. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  const digits = mantissa.replace(/[-.]/g, '');
  const sign = value < 0 ? '-' : '';
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = quote;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (character === quote || character === '\\') out += `\\${character}`;
    else if (character === '\n') out += '\\n';
    else if (character === '\r') out += '\\r';
    else if (character === '\t') out += '\\t';
    else if (code < 0x20 || (code >= 0x7f && code <= 0xa0) || code === 0xad) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else out += character;
  }
  return out + quote;
}

/** A list of more characters takes more memory than a run has to spare. */
const MOST_CHARACTERS = 30_000_000;

/** Characters as Python counts them: code points. Longer than any output that is kept, a text can only have been made to grow. */
export function characters(text: string): string[] {
  if (text.length > MOST_CHARACTERS) fail(`a text of ${text.length} characters is too long to be taken apart`, `at most ${MOST_CHARACTERS} are`);
  return /[\ud800-\udfff]/.test(text) ? [...text] : text.split('');
}

/** How many characters a text has; no list of them is made. */
export function countCharacters(text: string): number {
  let pairs = 0;
  for (const _ of text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) pairs++;
  return text.length - pairs;
}

/** The key under which a dict holds a value; lists and dicts cannot be keys. */
export function keyOf(given: Value): Value {
  const value = read(given);
  if (value instanceof Float) return value.value;
  if (Array.isArray(value) || value instanceof Map) fail(`unhashable type: '${typeName(value)}'`, 'a dict key must be a string, number or boolean');
  if (typeof value === 'bigint') return toInt(value);
  return value;
}

export function equals(left: Value, right: Value): boolean {
  const a = read(left);
  const b = read(right);
  if (a === b) return true;
  const x = numeric(a);
  const y = numeric(b);
  if (x !== undefined && y !== undefined) return x == y;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((member, i) => equals(member, b[i]!));
  if (a instanceof Map && b instanceof Map) {
    if (a.size !== b.size) return false;
    for (const [key, member] of a) if (!b.has(key) || !equals(member, b.get(key)!)) return false;
    return true;
  }
  if (a instanceof Instance && b instanceof Instance) return a.order(b) === 0;
  return false;
}

/** Negative, zero or positive; fails for what Python cannot order. NaN orders as neither (gives NaN). */
export function compare(left: Value, right: Value, operator = '<'): number {
  const a = read(left);
  const b = read(right);
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  const x = numeric(a);
  const y = numeric(b);
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : x == y ? 0 : NaN;
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) if (!equals(a[i]!, b[i]!)) return compare(a[i]!, b[i]!, operator);
    return a.length - b.length;
  }
  if (a instanceof Instance && b instanceof Instance) {
    const order = a.order(b);
    if (order !== undefined) return order;
  }
  const hint = typeof a === 'string' || typeof b === 'string' ? 'convert one of them, e.g. with | int' : undefined;
  return fail(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`, hint);
}

/** By code points, as Python; UTF-16 order differs beyond U+FFFF. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) {
      const x = a.charCodeAt(i);
      const y = b.charCodeAt(i);
      const surrogate = (x >= 0xd800 && x <= 0xdfff) !== (y >= 0xd800 && y <= 0xdfff);
      return surrogate ? a.codePointAt(i)! - b.codePointAt(i)! : x - y;
    }
  }
  return a.length - b.length;
}

/** `member in container`. */
export function contains(container: Value, member: Value): boolean {
  const holder = read(container);
  if (typeof holder === 'string') {
    const part = read(member);
    if (typeof part !== 'string') fail(`'in <string>' requires string as left operand, not ${typeName(part)}`, 'convert it with | string');
    return holder.includes(part as string);
  }
  if (holder instanceof Map) return holder.has(keyOf(member));
  if (Array.isArray(holder)) return holder.some((one) => equals(one, member));
  return fail(`argument of type '${typeName(holder)}' is not iterable`);
}

/** The members Python's iteration gives: a dict's keys, a string's characters. */
export function iterate(given: Value): Value[] {
  const value = read(given);
  if (Array.isArray(value)) return value;
  if (value instanceof Map) return [...value.keys()];
  if (typeof value === 'string') return characters(value);
  return fail(`'${typeName(value)}' object is not iterable`);
}

/** `int(value)` of a whole number in text or number form; undefined when it is none. */
export function parseInteger(text: string, base = 10): number | bigint | undefined {
  let digits = text.trim().replace(/(?<=[0-9a-zA-Z])_(?=[0-9a-zA-Z])/g, '').toLowerCase();
  const negative = digits.startsWith('-');
  digits = digits.replace(/^[-+]/, '');
  const prefix = { 2: '0b', 8: '0o', 16: '0x' }[base];
  let radix = base;
  if (prefix && digits.startsWith(prefix)) digits = digits.slice(2);
  else if (base === 0) {
    radix = digits.startsWith('0x') ? 16 : digits.startsWith('0o') ? 8 : digits.startsWith('0b') ? 2 : 10;
    if (radix !== 10) digits = digits.slice(2);
  }
  if (digits === '') return undefined;
  let value = 0n;
  for (const digit of digits) {
    const worth = '0123456789abcdefghijklmnopqrstuvwxyz'.indexOf(digit);
    if (worth < 0 || worth >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(worth);
  }
  return toInt(negative ? -value : value);
}

/** `float(text)`; undefined when it is none. */
export function parseFloatText(text: string): number | undefined {
  const plain = text.trim().toLowerCase();
  if (/^[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:e[-+]?\d+)?$/.test(plain)) return Number(plain.replaceAll('_', ''));
  if (/^[-+]?(?:inf|infinity)$/.test(plain)) return plain.startsWith('-') ? -Infinity : Infinity;
  return /^[-+]?nan$/.test(plain) ? NaN : undefined;
}

export function asDict(value: Value, what: string): Dict {
  const dict = read(value);
  return dict instanceof Map ? dict : fail(`${what} takes a dict, not ${typeName(dict)}`);
}

export function asList(value: Value, what: string): Value[] {
  const list = read(value);
  return Array.isArray(list) ? list : fail(`${what} takes a list, not ${typeName(list)}`);
}

/** An argument that must be a whole number (booleans and whole floats count). */
export function asInt(value: Value, what: string): number {
  const open = read(value);
  const number = typeof open === 'string' ? parseInteger(open) : numeric(open);
  if (number === undefined || !Number.isFinite(Number(number))) return fail(`${what} must be a whole number, not ${typeof open === 'string' ? `"${open}"` : typeName(open)}`);
  return Math.trunc(Number(number));
}
