import { pythonText } from '../expression/index.js';
import { isDict, Secret, type Dict, type Value } from '../value/value.js';

/**
 * Arguments against a specification as roles (`meta/argument_specs.yml`) and Ansible's modules have it: Ansible's manual,
 * "Role argument validation" and "Argument spec". Messages have Ansible's wording, since playbooks read them.
 */

/** What is wrong, in Ansible's order; empty where all is well. @param given changed: defaults are filled in, types converted */
export function validate(options: Dict, given: Dict): string[] {
  const errors: string[] = [];
  const unsupported: { path: string; supported: string }[] = [];
  level(options, given, undefined, [], errors, unsupported);
  const last = unsupported.at(-1);
  if (last) errors.push(`${unsupported.map(({ path }) => path).sort().join(', ')}. Supported parameters include: ${last.supported}.`);
  return errors;
}

type Unsupported = { path: string; supported: string }[];

/** One dict of arguments. @param rules the option whose suboptions these are: what holds between them stands there */
function level(options: Dict, given: Dict, rules: Dict | undefined, path: readonly string[], errors: string[], unsupported: Unsupported): void {
  const fail = (message: string) => errors.push(path.length > 0 ? `${message} found in ${path.join(' -> ')}` : message);
  const specs = [...options].map(([name, spec]): [string, Dict] => [String(name), isDict(spec) ? spec : new Map()]);
  const aliases = new Map(specs.flatMap(([name, spec]) => listOf(spec.get('aliases')).map((alias) => [pythonText(alias), name] as const)));
  for (const [alias, name] of aliases) if (given.has(alias)) given.set(name, given.get(alias)!);
  const supported = `${specs.map(([name]) => name).sort().join(', ')}${aliases.size > 0 ? ` (${[...aliases.keys()].sort().join(', ')})` : ''}`;
  for (const key of given.keys()) if (!options.has(key) && !aliases.has(String(key))) unsupported.push({ path: [...path, String(key)].join('.'), supported });
  const has = (name: Value) => given.has(name);
  const several = (key: string) => {
    const lists = listOf(rules?.get(key));
    return lists.length > 0 && !Array.isArray(lists[0]) ? [lists] : (lists as Value[][]);
  };
  const clash = several('mutually_exclusive').filter((names) => names.filter(has).length > 1);
  if (clash.length > 0) fail(`parameters are mutually exclusive: ${clash.map((names) => names.map(pythonText).join('|')).join(', ')}`);

  for (const [name, spec] of specs) if (!given.has(name) && (spec.get('default') ?? null) !== null) given.set(name, spec.get('default')!);
  const missing = specs.filter(([name, spec]) => spec.get('required') === true && !given.has(name)).map(([name]) => name);
  if (missing.length > 0) fail(`missing required arguments: ${missing.sort().join(', ')}`);
  for (const [name, spec] of specs) if (given.has(name)) checkType(name, spec, given, path, errors);
  for (const [name, spec] of specs) if (given.has(name)) checkChoices(name, spec, given, fail);

  if (rules) between(rules, several, given, fail);
  for (const [name, spec] of specs) if (!given.has(name)) given.set(name, spec.get('default') ?? null);
  for (const [name, spec] of specs) suboptions(name, spec, given, path, errors, unsupported);
}

/** The rules about several arguments besides that they exclude each other. */
function between(rules: Dict, several: (key: string) => Value[][], given: Dict, fail: (message: string) => void): void {
  const has = (name: Value) => given.has(name);
  const together = several('required_together').find((names) => names.some(has) && !names.every(has));
  if (together) fail(`parameters are required together: ${together.map(pythonText).join(', ')}`);
  const none = several('required_one_of').find((names) => !names.some(has));
  if (none) fail(`one of the following is required: ${none.map(pythonText).join(', ')}`);
  for (const rule of listOf(rules.get('required_if'))) {
    const [key, value, wanted, any] = rule as [Value, Value, Value[], Value?];
    if (!has(key) || pythonText(given.get(key)!) !== pythonText(value)) continue;
    const without = listOf(wanted).filter((name) => !has(name));
    if (without.length > 0 && without.length >= (any === true ? wanted.length : 0)) {
      return fail(`${pythonText(key)} is ${pythonText(value)} but ${any === true ? 'any' : 'all'} of the following are missing: ${without.map(pythonText).join(', ')}`);
    }
  }
  const by = rules.get('required_by');
  for (const [key, wanted] of isDict(by) ? by : []) {
    const without = (given.get(key) ?? null) === null ? [] : listOf(wanted).filter((name) => (given.get(name) ?? null) === null);
    if (without.length > 0) return fail(`missing parameter(s) required by '${pythonText(key)}': ${without.map(pythonText).join(', ')}`);
  }
}

function suboptions(name: string, spec: Dict, given: Dict, path: readonly string[], errors: string[], unsupported: Unsupported): void {
  const options = spec.get('options');
  const type = spec.get('type');
  if (!isDict(options) || !(type === 'dict' || (type === 'list' && spec.get('elements') === 'dict'))) return;
  if ((given.get(name) ?? null) === null) {
    if (spec.get('apply_defaults') !== true) return;
    given.set(name, new Map());
  }
  for (const member of listOf(given.get(name))) {
    if (isDict(member)) level(options, member, spec, [...path, name], errors, unsupported);
    else errors.push(`value of '${name}' must be of type dict or list of dicts`);
  }
}

function checkType(name: string, spec: Dict, given: Dict, path: readonly string[], errors: string[]): void {
  const value = given.get(name)!;
  if (value === null && spec.get('required') !== true && (spec.get('default') ?? null) === null) return;
  if (spec.get('no_log') === true && (typeof value === 'string' || typeof value === 'number')) new Secret(value);
  const type = pythonText(spec.get('type') ?? 'str');
  const where = path.length > 0 ? ` found in '${path.join(' -> ')}'` : '';
  try {
    const converted = convert(value, type);
    given.set(name, converted);
    const elements = spec.get('elements');
    if (elements === undefined || elements === null) return;
    if (type !== 'list') errors.push(`Invalid type ${type} for option '${pythonText(converted)}'${where === '' ? '' : `${where}.`}, elements value check is supported only with 'list' type`);
    else given.set(name, listOf(converted).flatMap((member) => element(name, member, pythonText(elements), where, errors)));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    errors.push(`argument '${name}' is of type ${classOf(value)}${where === '' ? '' : `${where}.`} and we were unable to convert to ${type}: ${error.message}`);
  }
}

function element(name: string, member: Value, type: string, where: string, errors: string[]): Value[] {
  try {
    return [convert(member, type)];
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    errors.push(`Elements value for option '${name}'${where} is of type ${classOf(member)} and we were unable to convert to ${type}: ${error.message}`);
    return [];
  }
}

function checkChoices(name: string, spec: Dict, given: Dict, fail: (message: string) => void): void {
  const choices = spec.get('choices');
  if (!Array.isArray(choices)) return;
  const value = given.get(name)!;
  const known = (one: Value) => choices.some((choice) => choice === one || (typeof one === 'object' && one !== null && pythonText(choice) === pythonText(one)));
  const all = choices.map(pythonText).join(', ');
  if (Array.isArray(value)) {
    const others = value.filter((one) => !known(one));
    if (others.length > 0) fail(`value of ${name} must be one or more of: ${all}. Got no match for: ${others.map(pythonText).join(', ')}`);
  } else if (!known(value)) {
    // YAML makes booleans of some words: where just one choice can be meant, it is.
    const meant = choices.filter((choice) => typeof choice === 'string' && (value === 'True' ? TRUE : value === 'False' ? FALSE : undefined)?.has(choice));
    if (meant.length === 1) given.set(name, meant[0]!);
    else fail(`value of ${name} must be one of: ${all}, got: ${pythonText(value)}`);
  }
}

const TRUE = new Set(['y', 'yes', 'on', '1', 'true', 't']);
const FALSE = new Set(['n', 'no', 'off', '0', 'false', 'f']);

/** A value as a type of Ansible's argument specs. @throws TypeError in Ansible's words */
function convert(value: Value, type: string): Value {
  const cannot = (to: string) => new TypeError(`${classOf(value)} cannot be converted to ${to}`);
  switch (type) {
    case 'str':
    case 'path':
      if (value === null) throw new TypeError(`'None' is not a string and conversion is not allowed`);
      return pythonText(value);
    case 'list':
      if (Array.isArray(value)) return value;
      if (typeof value === 'string') return value.split(',');
      if (typeof value === 'number' || typeof value === 'boolean') return [pythonText(value)];
      throw cannot('a list');
    case 'dict':
      return isDict(value) ? value : dictOf(value, cannot('a dict'));
    case 'bool': {
      if (typeof value === 'boolean') return value;
      const word = typeof value === 'string' || typeof value === 'number' ? String(value).toLowerCase().trim() : undefined;
      if (word !== undefined && TRUE.has(word)) return true;
      if (word !== undefined && FALSE.has(word)) return false;
      throw word === undefined ? cannot('a bool') : new TypeError(`The value '${word}' is not a valid boolean.`);
    }
    case 'int': {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : typeof value === 'boolean' ? Number(value) : value;
      if ((typeof number === 'number' && Number.isInteger(number)) || typeof number === 'bigint') return number;
      throw new TypeError(`"${typeof value === 'string' ? `'${value}'` : pythonText(value)}" cannot be converted to an int`);
    }
    case 'float': {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : typeof value === 'boolean' ? Number(value) : value;
      if (typeof number === 'number' && !Number.isNaN(number)) return number;
      throw cannot('a float');
    }
    case 'raw':
      return value;
    case 'json':
    case 'jsonarg':
      if (typeof value === 'string') return value.trim();
      if (Array.isArray(value) || isDict(value)) return value;
      throw cannot('a json string');
    case 'bytes':
    case 'bits':
      if (/^\d+(\.\d+)?\s*([A-Za-z]*)$/.test(String(value).trim())) return value;
      throw cannot(type === 'bytes' ? 'a Byte value' : 'a Bit value');
    default:
      throw new TypeError(`unknown type "${type}"`);
  }
}

/** A dict written as text: JSON, or `a=1 b=2`. */
function dictOf(value: Value, otherwise: TypeError): Dict {
  if (typeof value !== 'string') throw otherwise;
  if (value.startsWith('{')) {
    try {
      return new Map(Object.entries(JSON.parse(value) as { [key: string]: Value }));
    } catch {
      throw new TypeError('unable to evaluate string as dictionary');
    }
  }
  const pairs = value.trim().split(/[, ]+/).map((pair) => /^([^=]+)=(.*)$/s.exec(pair));
  if (!value.includes('=')) throw new TypeError('dictionary requested, could not parse JSON or key=value');
  if (pairs.some((pair) => pair === null)) throw new TypeError('unable to evaluate string in the "key=value" format as dictionary');
  return new Map(pairs.map((pair) => [pair![1]!, pair![2]!.replace(/^(["'])(.*)\1$/s, '$2')]));
}

/** What Python calls the class of a value. */
function classOf(value: Value): string {
  const name = value === null ? 'NoneType' : Array.isArray(value) ? 'list' : isDict(value) ? 'dict' : typeof value === 'boolean' ? 'bool' : typeof value === 'string' ? 'str' : typeof value === 'bigint' || Number.isInteger(value) ? 'int' : 'float';
  return `<class '${name}'>`;
}

function listOf(value: Value | undefined): Value[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
}
