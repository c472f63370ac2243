/** Python's two ways of formatting: `'%05.2f' % x` and `'{:>5}'.format(x)`. */
import { trimmedEnd } from '../value/text.js';
import { attribute, member } from './access.js';
import { asInt, characters, floatText, isFloat, keyOf, numeric, read, repr, str, typeName } from './python.js';
import { defined, fail } from './undefined.js';
import type { Value } from '../value/value.js';

const CONVERSION = /%(?:\(([^)]*)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([^])?/g;

/**
 * printf-style formatting. A dict serves `%(name)s`.
 * @param several whether a list gives several values (a tuple in Python); without it, it does when the format has several places
 */
export function percentFormat(format: string, given: Value, several?: boolean): string {
  const value = read(given);
  const places = () => [...format.matchAll(CONVERSION)].reduce((sum, one) => sum + (one[5] === '%' ? 0 : 1 + (one[3] === '*' ? 1 : 0) + (one[4] === '*' ? 1 : 0)), 0);
  const positional = Array.isArray(value) && (several ?? places() !== 1) ? value : undefined;
  let next = 0;
  const take = (): Value => {
    if (!positional) {
      if (next++ > 0) fail('not enough arguments for format string');
      return value;
    }
    if (next >= positional.length) fail('not enough arguments for format string');
    return positional[next++]!;
  };
  let usedNames = false;
  const out = format.replace(CONVERSION, (whole: string, name: string | undefined, flags: string, width: string | undefined, precision: string | undefined, type: string | undefined) => {
    if (type === '%') return '%';
    if (type === undefined) return fail('incomplete format');
    const hasPrecision = /\.(?:\*|\d*)[hlL]?.$/s.test(whole);
    const columns = width === '*' ? asInt(take(), 'the width') : width === undefined ? 0 : Number(width);
    const digits = precision === '*' ? asInt(take(), 'the precision') : hasPrecision ? Number(precision ?? 0) : undefined;
    let argument: Value;
    if (name !== undefined) {
      if (!(value instanceof Map)) fail('format requires a mapping');
      argument = defined(member(value, name));
      usedNames = true;
    } else argument = take();
    return pad(convert(type, argument, digits, flags), columns, flags.includes('-') ? '<' : flags.includes('0') && 'diouxXeEfFgG'.includes(type) ? '=' : '>', flags.includes('0') ? '0' : ' ');
  });
  if (positional && next < positional.length) fail('not all arguments converted during string formatting');
  if (!positional && next === 0 && !usedNames && !(value instanceof Map)) fail('not all arguments converted during string formatting');
  return out;
}

function convert(type: string, given: Value, precision: number | undefined, flags: string): string {
  const value = read(given);
  const sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  switch (type) {
    case 's':
    case 'r':
    case 'a': {
      const text = type === 's' ? str(value) : repr(value);
      return precision === undefined ? text : characters(text).slice(0, precision).join('');
    }
    case 'c':
      return typeof value === 'string' ? value : String.fromCodePoint(asInt(value, '%c'));
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      const number = numeric(value);
      if (number === undefined) fail(`%${type} format: a number is required, not ${typeName(value)}`, 'convert it with | int');
      const whole = typeof number === 'bigint' ? number : BigInt(Math.trunc(Number(number)));
      const base = type === 'o' ? 8 : type === 'x' || type === 'X' ? 16 : 10;
      let digits = (whole < 0n ? -whole : whole).toString(base).padStart(precision ?? 0, '0');
      if (flags.includes('#') && base !== 10) digits = `0${type}${digits}`;
      return (whole < 0n ? '-' : sign) + (type === 'X' ? digits.toUpperCase() : digits);
    }
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': {
      const number = numeric(value);
      if (number === undefined) fail(`must be real number, not ${typeName(value)}`, 'convert it with | float');
      const text = floatFormat(Number(number), type, precision ?? 6, flags.includes('#'));
      return text.startsWith('-') ? text : sign + text;
    }
  }
  return fail(`unsupported format character '${type}'`);
}

/** `e`, `f` and `g` presentations. */
function floatFormat(value: number, type: string, precision: number, keepZeros = false): string {
  const upper = type !== type.toLowerCase();
  let text: string;
  if (!Number.isFinite(value)) text = Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  else if (type.toLowerCase() === 'f') text = fixed(value, precision);
  else if (type.toLowerCase() === 'e') text = exponent(value.toExponential(Math.min(precision, 100)));
  else {
    const digits = Math.max(1, precision);
    const size = value === 0 ? 0 : Number(value.toExponential(digits - 1).split('e')[1]);
    if (size < -4 || size >= digits) {
      text = value.toExponential(digits - 1);
      if (!keepZeros) text = text.replace(/\.?0+e/, 'e');
      text = exponent(text);
    } else {
      text = fixed(value, digits - 1 - size);
      if (!keepZeros && text.includes('.')) text = trimmedEnd(trimmedEnd(text, '0'), '.');
    }
  }
  return upper ? text.toUpperCase() : text;
}

function fixed(value: number, digits: number): string {
  return Math.abs(value) < 1e21 ? value.toFixed(Math.min(100, digits)) : `${BigInt(value)}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`;
}

/** The digits of a number in groups of three, counted from its end. */
function threes(digits: string): string[] {
  const first = digits.length % 3;
  return [...(first === 0 ? [] : [digits.slice(0, first)]), ...(digits.slice(first).match(/.../g) ?? [])];
}

function exponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

function pad(text: string, width: number, align: string, fill: string): string {
  const missing = width - characters(text).length;
  if (missing <= 0) return text;
  if (align === '<') return text + fill.repeat(missing).replaceAll('0', fill === '0' ? ' ' : fill);
  if (align === '^') return fill.repeat(missing >> 1) + text + fill.repeat(missing - (missing >> 1));
  if (align === '=') {
    const [, sign, digits] = /^([-+ ]?(?:0[xXob])?)(.*)$/s.exec(text)!;
    return sign + fill.repeat(missing) + digits;
  }
  return fill.repeat(missing) + text;
}

/** `str.format`: `{}`, `{0}`, `{name}`, `{a.b[c]!r:>{width}}`. */
export function braceFormat(format: string, args: Value[], named: Map<string, Value>): string {
  let automatic = 0;
  const field = (name: string): Value => {
    const [, first, rest] = /^([^.[]*)(.*)$/s.exec(name)!;
    let value: Value;
    if (first === '') value = pick(args[automatic], automatic++);
    else if (/^\d+$/.test(first!)) value = pick(args[Number(first)], Number(first));
    else value = named.get(first!) ?? (named.has(first!) ? null : fail(`the format names "${first}", which was not given`));
    if (rest!.lastIndexOf('[') > rest!.lastIndexOf(']')) fail("expected ']' before the end of a format field", 'write it as {name[key]}');
    for (const step of rest!.matchAll(/\.([^.[]+)|\[([^\]]*)\]/g)) {
      const key = step[2];
      value = defined(key === undefined ? attribute(value, step[1]!) : member(value, /^\d+$/.test(key) ? Number(key) : keyOf(key)));
    }
    return value;
  };
  const pick = (value: Value | undefined, index: number): Value => (value === undefined ? fail(`the format needs argument ${index}, which was not given`) : value);
  const expand = (text: string, depth: number): string => {
    let out = '';
    for (let at = 0; at < text.length; at++) {
      const character = text[at]!;
      if (character === '{' || character === '}') {
        if (text[at + 1] === character && depth === 0) {
          out += character;
          at++;
          continue;
        }
        if (character === '}') fail("single '}' encountered in format string", 'write "}}" for a brace');
        const end = closing(text, at);
        const [, name, conversion, , spec] = /^([^!:]*)(?:!([rsa]))?(:([^]*))?$/.exec(text.slice(at + 1, end)) ?? fail('bad format field');
        const value = field(name!);
        const converted = conversion === undefined ? value : conversion === 's' ? str(value) : repr(value);
        out += formatSpec(converted, spec === undefined ? '' : expand(spec, depth + 1));
        at = end;
      } else out += character;
    }
    return out;
  };
  return expand(format, 0);
}

function closing(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return fail("expected '}' before end of string");
}

/** Python's format specification mini-language. */
export function formatSpec(given: Value, spec: string): string {
  const value = read(given);
  if (spec === '') return str(value);
  const parts = /^(?:([^])?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u.exec(spec);
  if (!parts) fail(`invalid format specifier "${spec}"`);
  const [, fillGiven, alignGiven, sign, alternate, zero, width, group, precision, type] = parts!;
  const number = numeric(value);
  let text: string;
  if (number !== undefined && type === 's' && typeof value !== 'boolean') fail(`unknown format code 's' for object of type '${typeName(value)}'`, 'convert it with | string');
  if (number === undefined || type === 's') {
    if (type !== undefined && type !== 's') fail(`unknown format code '${type}' for ${typeName(value)}`, 'convert it with | int or | float');
    text = characters(str(value)).slice(0, precision === undefined ? undefined : Number(precision)).join('');
  } else {
    text = formatNumber(value, number, type, precision === undefined ? undefined : Number(precision), alternate !== undefined);
    if (group) text = text.replace(/^(-?)(\d+)/, (_, minus: string, digits: string) => minus + threes(digits).join(group));
    if (sign && sign !== '-' && !text.startsWith('-')) text = sign + text;
  }
  const align = alignGiven ?? (zero ? '=' : number === undefined ? '<' : '>');
  const fill = fillGiven ?? (zero ? '0' : ' ');
  return align === '<' ? text + fill.repeat(Math.max(0, Number(width ?? 0) - characters(text).length)) : pad(text, Number(width ?? 0), align, fill);
}

function formatNumber(value: Value, number: number | bigint, type: string | undefined, precision: number | undefined, alternate: boolean): string {
  if (type === '%') return `${fixed(Number(number) * 100, precision ?? 6)}%`;
  if (type !== undefined && 'eEfFgG'.includes(type)) return floatFormat(Number(number), type, precision ?? 6, alternate);
  if (isFloat(value)) {
    if (type !== undefined && type !== 'n') fail(`unknown format code '${type}' for object of type 'float'`, 'convert it with | int');
    return precision === undefined ? floatText(Number(number)) : floatFormat(Number(number), 'g', precision);
  }
  if (type === 'c') return String.fromCodePoint(Number(number));
  const base = { b: 2, o: 8, x: 16, X: 16 }[type ?? 'd'] ?? 10;
  const whole = BigInt(number);
  let digits = (whole < 0n ? -whole : whole).toString(base);
  if (type === 'X') digits = digits.toUpperCase();
  return `${whole < 0n ? '-' : ''}${alternate && base !== 10 ? `0${type}` : ''}${digits}`;
}

