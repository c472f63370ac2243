import { Float, type Value } from '../value/value.js';

/** What a plain scalar means to PyYAML (`yaml/resolver.py`); anything else is a string. */
const BOOL = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const NULL = /^(?:~|null|Null|NULL|)$/;
const INT = /^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const MAY_BE_SPECIAL = /^(?:[-+.~0-9]|$|[yYnNtTfFoO])/;

/** The value of an untagged plain scalar. */
export function resolvePlain(text: string): Value {
  if (!MAY_BE_SPECIAL.test(text)) return text;
  if (NULL.test(text)) return null;
  if (BOOL.test(text)) return toBool(text);
  if (INT.test(text)) return toInt(text);
  if (FLOAT.test(text)) return toFloat(text);
  return text;
}

/** Whether a string would be read as something else if it stood unquoted (dates included). */
export function isSpecial(text: string): boolean {
  return typeof resolvePlain(text) !== 'string' || TIMESTAMP.test(text) || text === '=' || text === '<<';
}
const TIMESTAMP =
  /^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$/;

/** An explicitly tagged scalar (`!!int "7"`); undefined where the text does not fit the tag. */
export function resolveTagged(tag: string, text: string): Value | undefined {
  switch (tag) {
    case 'str':
    case 'timestamp':
      return text;
    // Bytes are text here, as everything that has no type of its own.
    case 'binary':
      return /^[A-Za-z\d+/\s]*={0,2}\s*$/.test(text) ? Buffer.from(text, 'base64').toString() : undefined;
    case 'null':
      return NULL.test(text) ? null : undefined;
    case 'bool':
      return BOOL.test(text) ? toBool(text) : undefined;
    case 'int':
      return INT.test(text) ? toInt(text) : undefined;
    case 'float':
      return FLOAT.test(text) || INT.test(text) ? toFloat(text) : undefined;
    default:
      return undefined;
  }
}

function toBool(text: string): boolean {
  return /^(?:yes|true|on)$/i.test(text);
}

function toInt(text: string): number | bigint {
  let digits = text.replaceAll('_', '');
  const negative = digits.startsWith('-');
  if (/^[-+]/.test(digits)) digits = digits.slice(1);
  let value: bigint;
  if (digits === '0') value = 0n;
  else if (/^0[bx]/.test(digits)) value = BigInt(digits.length > 2 ? digits : 0);
  else if (digits.startsWith('0')) value = BigInt(`0o${digits.slice(1) || '0'}`);
  else if (digits.includes(':')) value = digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n);
  else value = BigInt(digits);
  if (negative) value = -value;
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function toFloat(text: string): Value {
  const plain = text.replaceAll('_', '').toLowerCase();
  const sign = plain.startsWith('-') ? -1 : 1;
  const digits = plain.replace(/^[-+]/, '');
  let value: number;
  if (digits === '.inf') value = Infinity;
  else if (digits === '.nan') value = NaN;
  else if (digits.includes(':')) value = digits.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  else value = Number(digits);
  value *= sign;
  return Number.isInteger(value) ? new Float(value) : value;
}
