/** Numbers and sizes. */
import type { Value } from '../../value/value.js';
import { negate } from '../arithmetic.js';
import { isInt, numeric, parseFloatText, read, str, toFloat, toInt, truthy, typeName } from '../python.js';
import { table } from '../registry.js';
import { fail, type Result } from '../undefined.js';

function number(given: Value, what: string): number {
  const found = numeric(read(given));
  return found === undefined ? fail(`${what}() can only be used on numbers, not ${typeName(given)}`, 'convert it with | int or | float') : Number(found);
}

/** Rounds half to even on the decimal digits, as Python's round. */
function roundHalfEven(value: number, digits: number): number {
  if (!Number.isFinite(value)) return value;
  if (digits >= 0) {
    const text = Math.abs(value).toFixed(Math.min(100, digits));
    const rounded = Number(text);
    // toFixed takes the larger one of two that are equally near; Python takes the even one.
    const scaled = Math.abs(value) * 10 ** digits;
    const tie = scaled < 2 ** 52 && scaled % 1 === 0.5 && Math.floor(scaled) % 2 === 0 && Number((Math.floor(scaled) + 0.5) / 10 ** digits) === Math.abs(value);
    return Math.sign(value) * (tie ? Math.floor(scaled) / 10 ** digits : rounded);
  }
  const unit = 10 ** -digits;
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const half = scaled - floor;
  return (half > 0.5 || (half === 0.5 && floor % 2 !== 0) ? floor + 1 : floor) * unit;
}

const UNITS = ['', 'K', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

export const MATHS = table<Result>({
  'abs(x)': (_, given) => {
    const value = read(given);
    return number(value, 'abs') < 0 ? negate(value) : typeof value === 'boolean' ? Number(value) : value;
  },
  'round(value, precision=0, method="common")': (_, given, precision, method) => {
    const value = read(given);
    const digits = number(precision, 'precision');
    const exact = number(value, 'round');
    if (str(method) === 'common') {
      if (isInt(value)) return digits >= 0 ? value : toInt(BigInt(roundHalfEven(exact, digits)));
      return toFloat(roundHalfEven(exact, digits));
    }
    const run = { ceil: Math.ceil, floor: Math.floor }[str(method)] ?? fail(`round knows no method "${str(method)}"`, 'it knows common, ceil and floor');
    return toFloat(run(exact * 10 ** digits) / 10 ** digits);
  },
  'log(x, base=null)': (_, x, base) => {
    const value = number(x, 'log');
    if (value <= 0) fail('log takes a number above zero');
    if (base === null) return toFloat(Math.log(value));
    const by = number(base, 'base');
    return toFloat(by === 10 ? Math.log10(value) : by === 2 ? Math.log2(value) : Math.log(value) / Math.log(by));
  },
  'pow(x, y)': (_, x, y) => toFloat(number(x, 'pow') ** number(y, 'pow')),
  'root(x, base=2)': (_, x, base) => {
    const [value, by] = [number(x, 'root'), number(base, 'base')];
    return toFloat(by === 2 ? Math.sqrt(value) : by === 3 ? Math.cbrt(value) : value ** (1 / by));
  },
  'human_readable(size, isbits=false, unit=null)': (_, size, isbits, unit) => {
    const value = numeric(read(size)) === undefined ? fail(`human_readable() failed on bad input: it is a ${typeName(size)}`, 'convert it with | int') : number(size, 'human_readable');
    const base = truthy(isbits) ? 'bits' : 'Bytes';
    const wanted = unit === null ? undefined : str(unit).charAt(0).toUpperCase();
    for (const [power, suffix] of [...UNITS.entries()].toReversed()) {
      const limit = 1024 ** power;
      if ((wanted === undefined && value >= limit) || wanted === suffix || (power === 0)) {
        return `${(value / limit).toFixed(2)} ${suffix === '' ? base : suffix + (truthy(isbits) ? 'b' : 'B')}`;
      }
    }
    return fail('human_readable found no unit');
  },
  'human_to_bytes(size, default_unit=null, isbits=false)': (_, size, fallback, _isbits) => {
    const found = /^([-+]?(?:\d+(?:\.\d+)?|\.\d+))\s*([A-Za-z]*)$/.exec(str(size).trim());
    if (!found) return fail(`human_to_bytes cannot read "${str(size)}"`, 'write a number and a unit, as in 10M');
    const unit = (found[2] || (fallback === null ? '' : str(fallback))).toUpperCase();
    const power = unit === '' || /^(?:B|BYTES?|BITS?)$/.test(unit) ? 0 : UNITS.indexOf(unit.charAt(0));
    if (power < 0) fail(`human_to_bytes knows no unit "${unit}"`, 'it knows B, K, M, G, T, P, E, Z and Y');
    return Math.round(parseFloatText(found[1]!)! * 1024 ** power);
  },
  'filesizeformat(value, binary=false)': (_, value, binary) => {
    const bytes = number(value, 'filesizeformat');
    const base = truthy(binary) ? 1024 : 1000;
    if (bytes === 1) return '1 Byte';
    if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
    const power = Math.min(8, Math.floor(Math.log(bytes) / Math.log(base)));
    return `${(bytes / base ** power).toFixed(1)} ${truthy(binary) ? `${UNITS[power]}iB` : `${UNITS[power]!.replace('K', 'k')}B`}`;
  },
});
