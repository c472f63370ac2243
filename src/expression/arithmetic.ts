/** Python's arithmetic: ints are exact, `/` gives floats, `//` and `%` round towards negative infinity. */
import { Instance, type Value } from '../value/value.js';
import { isFloat, numeric, read, toFloat, toInt, typeName } from './python.js';
import { fail } from './undefined.js';

const MAX_LENGTH = 50_000_000;

/** A binary arithmetic operator. */
export function arithmetic(operator: string, left: Value, right: Value): Value {
  const a = read(left);
  const b = read(right);
  const x = numeric(a);
  const y = numeric(b);
  if (x !== undefined && y !== undefined) {
    return isFloat(a) || isFloat(b) || operator === '/' ? floats(operator, Number(x), Number(y)) : ints(operator, x, y);
  }
  if (operator === '+') {
    if (typeof a === 'string' && typeof b === 'string') return a + b;
    if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  }
  if (operator === '*') {
    if (typeof b === 'number' && Number.isInteger(b)) return repeat(a, b) ?? refuse(operator, a, b);
    if (typeof a === 'number' && Number.isInteger(a)) return repeat(b, a) ?? refuse(operator, a, b);
  }
  return (a instanceof Instance ? a.arithmetic(operator, b, false) : undefined) ?? (b instanceof Instance ? b.arithmetic(operator, a, true) : undefined) ?? refuse(operator, a, b);
}

function repeat(value: Value, times: number): Value | undefined {
  if (typeof value === 'string') {
    if (value.length * times > MAX_LENGTH) fail(`a text of more than ${MAX_LENGTH} characters`, 'repeat it less often');
    return value.repeat(Math.max(0, times));
  }
  if (!Array.isArray(value)) return undefined;
  if (value.length * times > MAX_LENGTH) fail(`a list of more than ${MAX_LENGTH} members`, 'repeat it less often');
  return Array.from({ length: Math.max(0, times) }, () => value).flat(1);
}

function refuse(operator: string, a: Value, b: Value): never {
  if (operator === '+' && (typeof a === 'string' || typeof b === 'string'))
    fail(`can only concatenate str (not "${typeName(typeof a === 'string' ? b : a)}") to str`, 'join texts with ~, or convert with | string or | int');
  if (operator === '+' && a instanceof Map && b instanceof Map) fail(`unsupported operand types for +: 'dict' and 'dict'`, 'merge dicts with | combine(…)');
  return fail(`unsupported operand types for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);
}

function floats(operator: string, x: number, y: number): Value {
  switch (operator) {
    case '+':
      return toFloat(x + y);
    case '-':
      return toFloat(x - y);
    case '*':
      return toFloat(x * y);
    case '**':
      if (x === 0 && y < 0) fail('0.0 cannot be raised to a negative power');
      return toFloat(x ** y);
  }
  if (y === 0) fail(operator === '%' ? 'float modulo by zero' : 'division by zero');
  if (operator === '/') return toFloat(x / y);
  if (operator === '//') return toFloat(Math.floor(x / y));
  const rest = x % y;
  return toFloat(rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest);
}

function ints(operator: string, x: number | bigint, y: number | bigint): Value {
  if (typeof x === 'number' && typeof y === 'number') {
    const short = shortInts(operator, x, y);
    if (short !== undefined) return short;
  }
  const a = BigInt(x);
  const b = BigInt(y);
  switch (operator) {
    case '+':
      return toInt(a + b);
    case '-':
      return toInt(a - b);
    case '*':
      return toInt(a * b);
    case '**':
      if (b < 0n) return floats('**', Number(a), Number(b));
      if (b * BigInt(a.toString(2).length) > 1_000_000n) fail('the power is too large', 'use floats');
      return toInt(a ** b);
  }
  if (b === 0n) fail('integer division or modulo by zero');
  const rest = a % b;
  const differs = rest !== 0n && rest < 0n !== b < 0n;
  return toInt(operator === '//' ? (a - rest) / b - (differs ? 1n : 0n) : differs ? rest + b : rest);
}

/** The answer when plain numbers hold it exactly. */
function shortInts(operator: string, x: number, y: number): number | undefined {
  let result: number;
  if (operator === '+') result = x + y;
  else if (operator === '-') result = x - y;
  else if (operator === '*') result = x * y;
  else if (operator === '**') result = y < 0 ? NaN : x ** y;
  else if (y === 0) return undefined;
  else if (operator === '//') result = Math.floor(x / y);
  else {
    const rest = x % y;
    result = rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
  }
  return Number.isSafeInteger(result) ? result + 0 : undefined;
}

export function negate(given: Value): Value {
  const value = read(given);
  const number = numeric(value);
  if (number === undefined) return fail(`bad operand type for unary -: '${typeName(value)}'`);
  if (isFloat(value)) return toFloat(-Number(number));
  return typeof number === 'bigint' ? toInt(-number) : 0 - number;
}
