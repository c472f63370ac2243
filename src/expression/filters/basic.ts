/** Defaults and conversions. */
import { Secret, Unknown } from '../../value/value.js';
import { attribute, Namespace } from '../access.js';
import { findMethod } from '../methods.js';
import { iterate, numeric, parseFloatText, parseInteger, read, str, toFloat, toInt, truthy, typeName } from '../python.js';
import { table } from '../registry.js';
import { fail, Undefined, type Result } from '../undefined.js';

export const BASIC = table<Result>({
  '??default|d(value, default_value="", boolean=false)': (_, value: Result, fallback, boolean) =>
    value instanceof Undefined || (truthy(boolean) && !truthy(value)) ? fallback : value,
  '?mandatory(value, msg=null)': (_, value: Result, message) => {
    if (!(value instanceof Undefined)) return value;
    return message === null ? value.raise() : fail(str(message), 'give the variable a value');
  },
  // What is no boolean word is false, as Ansible has it.
  'bool(value)': (_, value) => {
    const open = read(value);
    return ['yes', 'on', '1', 'true'].includes(str(numeric(open) ?? open).toLowerCase());
  },
  'int(value, default=0, base=10)': (_, given, fallback, base) => {
    const value = read(given);
    if (typeof value === 'string') {
      const whole = parseInteger(value, Number(base));
      if (whole !== undefined) return whole;
      const number = base === 10 ? parseFloatText(value) : undefined;
      return number === undefined || !Number.isFinite(number) ? fallback : toInt(BigInt(Math.trunc(number)));
    }
    const number = numeric(value);
    if (number === undefined || (typeof number === 'number' && !Number.isFinite(number))) return fallback;
    return typeof number === 'bigint' ? number : toInt(BigInt(Math.trunc(number)));
  },
  'float(value, default=0.0)': (_, given, fallback) => {
    const value = read(given);
    const number = typeof value === 'string' ? parseFloatText(value) : numeric(value);
    return number === undefined ? (fallback === 0 ? toFloat(0) : fallback) : toFloat(Number(number));
  },
  'string(value)': (_, value) => str(value),
  'list(value)': (_, value) => [...iterate(value)],
  'type_debug(value)': (_, value) => (value instanceof Secret && value.sealed !== undefined ? 'AnsibleVaultEncryptedUnicode' : typeName(value)),
  // What is not chosen need not be defined.
  '??ternary(value, true_val, false_val, none_val=null)': (_, value: Result, yes: Result, no: Result, none: Result) => {
    if (value instanceof Undefined || value instanceof Unknown) return value;
    return read(value) === null && none !== null ? none : truthy(value) ? yes : no;
  },
  // An attribute and nothing else: a dict's keys are none.
  'attr(value, name)': (_, value, name) => {
    const open = read(value);
    if (open instanceof Map && !(open instanceof Namespace)) return findMethod(open, str(name)) ?? new Undefined(`there is no attribute "${str(name)}"`);
    return attribute(open, str(name));
  },
  'safe(value)': (_, value) => value,
  'pprint(value)': (_, value) => str(value),
});
