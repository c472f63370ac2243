import type { z } from 'zod';
import { pythonText } from '../expression/index.js';
import { ArgumentError, ContentError, didYouMean } from '../value/errors.js';
import { holdsSource, toPlain, toValue, type Dict, type Origin, type Plain } from '../value/value.js';
import { argumentFields } from './args_words.js';

/** What modules and the controller's actions have in common: enough to check arguments and to document them. */
export interface Spec {
  name: string;
  aliases?: readonly string[];
  summary: string;
  params: z.ZodType;
  freeForm?: string;
  isSecret?(parameter: string): boolean;
  returns: Readonly<Record<string, string>>;
  examples: readonly string[];
}

/** One parameter as documentation and checks see it. */
export interface Param {
  name: string;
  aliases: readonly string[];
  type: string;
  choices: readonly string[] | undefined;
  required: boolean;
  /** Undefined where there is none. */
  default: unknown;
  description: string;
  secret: boolean;
  schema: z.ZodType;
}

/** The parts of a zod schema's definition that are read here. */
interface Definition {
  type: string;
  innerType?: z.ZodType;
  in?: z.ZodType;
  shape?: Record<string, z.ZodType>;
  catchall?: z.ZodType;
  defaultValue?: unknown;
  entries?: Record<string, string>;
}

function definition(schema: z.ZodType): Definition {
  return schema._zod.def as unknown as Definition;
}

/** The object schema of a spec, under any transform put around it. */
function objectOf(schema: z.ZodType): Definition {
  let def = definition(schema);
  while (def.shape === undefined) {
    const inner = def.innerType ?? def.in;
    if (inner === undefined) throw new TypeError('the params of a module must be an object schema');
    def = definition(inner);
  }
  return def;
}

const described = new WeakMap<z.ZodType, Param[]>();

/** The parameters of a module or action, in the order they are defined. */
export function describeParams(spec: Spec): Param[] {
  let all = described.get(spec.params);
  if (all === undefined) {
    all = Object.entries(objectOf(spec.params).shape!).map(([name, schema]) => describeParam(name, schema));
    described.set(spec.params, all);
  }
  return all;
}

function describeParam(name: string, schema: z.ZodType): Param {
  const param: Param = {
    name, aliases: [], type: 'raw', choices: undefined, required: !schema.safeParse(undefined).success,
    default: undefined, description: '', secret: false, schema,
  };
  // `.default()` and `.optional()` wrap the schema that carries the description; the outermost statement wins.
  const layers: z.ZodType[] = [];
  for (let layer: z.ZodType | undefined = schema; layer !== undefined; layer = definition(layer).innerType ?? definition(layer).in) layers.push(layer);
  for (const layer of layers.reverse()) {
    const def = definition(layer);
    const meta = layer.meta();
    if (def.type === 'enum') param.choices = Object.values(def.entries!).map(String);
    if ('defaultValue' in def) param.default = def.defaultValue;
    if (meta?.description !== undefined) param.description = meta.description;
    if (meta?.title !== undefined) param.type = meta.title;
    if (meta?.aliases !== undefined) param.aliases = meta.aliases;
    if (meta?.secret !== undefined) param.secret = meta.secret;
  }
  return param;
}

/** Names (and aliases) of the parameters whose values are never shown. */
export function secretParams(spec: Spec): Set<string> {
  return new Set(describeParams(spec).filter((param) => param.secret).flatMap((param) => [param.name, ...param.aliases]));
}

const named = new WeakMap<object, ReadonlyMap<string, string>>();

/** Each name a parameter may be written under, and the parameter's own. */
function namesOf(spec: Spec): ReadonlyMap<string, string> {
  let names = named.get(spec.params);
  if (!names) named.set(spec.params, (names = new Map(describeParams(spec).flatMap((param) => [param.name, ...param.aliases].map((name) => [name, param.name] as const)))));
  return names;
}

/** Whether the module takes parameters it does not know (`set_fact`, `add_host`). */
function takesAny(spec: Spec): boolean {
  const catchall = objectOf(spec.params).catchall;
  return catchall !== undefined && definition(catchall).type !== 'never';
}

/** What an argument's name begins with that holds a whole dict of arguments, known only when the task runs; those behind it win. */
export const WHOLE = '_variable_params';

type Origins = ReadonlyMap<string, Origin>;

/**
 * Written name -> parameter, with what is wrong about the names.
 * @param isGiven whether an argument is sure to have a value: one that is not may go by another name of its parameter too
 */
function resolve(spec: Spec, written: Iterable<string>, origins: Origins, isGiven: (key: string) => boolean): { names: Map<string, string>; unknown: string[]; errors: ContentError[] } {
  const known = namesOf(spec);
  const names = new Map<string, string>();
  const unknown: string[] = [];
  const errors: ContentError[] = [];
  const givenAs = new Map<string, string>();
  for (const key of written) {
    if (key.startsWith(WHOLE)) continue;
    const name = known.get(key);
    if (name === undefined && !takesAny(spec)) {
      const all = describeParams(spec);
      const hint = didYouMean(key, known.keys()) ?? (all.length > 0 ? `it takes ${all.map((param) => param.name).filter((each) => !each.startsWith('_')).join(', ')}` : 'it takes none');
      errors.push(new ContentError(`${spec.name} has no parameter "${key}"`, origins.get(key), hint));
      unknown.push(key);
      continue;
    }
    const before = givenAs.get(name ?? key);
    if (before !== undefined && isGiven(key)) {
      errors.push(new ContentError(`${spec.name} is given both "${before}" and "${key}", which are one parameter`, origins.get(key), `leave one out`));
      continue;
    }
    if (isGiven(key)) givenAs.set(name ?? key, key);
    names.set(key, name ?? key);
  }
  return { names, unknown, errors };
}

/**
 * Evaluated arguments -> what the module takes: aliases resolved, defaults filled in, types converted.
 * An argument that is null counts as not given, and a list or dict where text is wanted is Python's text of it, as in Ansible.
 * @param origins where each argument stands, for the error
 * @throws ArgumentError naming everything that is wrong
 */
export function parseArgs(spec: Spec, args: { [key: string]: Plain }, origins: Origins = new Map()): any {
  const { names, unknown, errors } = resolve(spec, Object.keys(args), origins, (key) => args[key] !== null);
  const known = namesOf(spec);
  const given: { [key: string]: Plain } = {};
  for (const [key, name] of names) if (args[key] !== null || !known.has(name)) given[name] = args[key]!;
  for (const { name, type, choices } of describeParams(spec)) {
    const value = given[name];
    if (typeof value === 'object' && value !== null && choices === undefined && (type === 'str' || type === 'path')) given[name] = pythonText(toValue(value));
  }
  const parsed = spec.params.safeParse(given);
  if (errors.length === 0 && parsed.success) return parsed.data;
  const writtenAs = new Map([...names].map(([key, name]) => [name, key]));
  const issues = parsed.success ? [] : parsed.error.issues;
  errors.push(...issues.map((issue) => explain(spec, issue, given, writtenAs, origins)));
  const { message, origin, hint } = joined(errors);
  throw new ArgumentError(message, origin, hint, argumentFields(spec, describeParams(spec), issues, unknown, given));
}

/**
 * The checks of arguments that are possible before a run: names always, literal values against their types,
 * and that nothing required is missing. Values that hold an expression are left for the run.
 * @param place the task, for what is missing
 */
export function checkArgs(spec: Spec, args: Dict, origins: Origins, place?: Origin): ContentError[] {
  const written = [...args.keys()].map(String);
  const { names, errors } = resolve(spec, written, origins, (key) => !holdsSource(args.get(key) ?? null) && args.get(key) !== null);
  const writtenAs = new Map([...names].map(([key, name]) => [name, key]));
  const params = describeParams(spec);
  const given: { [key: string]: Plain } = {};
  const whole = written.some((key) => key.startsWith(WHOLE));
  let open = errors.length > 0 || whole;
  const known = new Set(params.map((param) => param.name));
  for (const [key, name] of names) {
    const value = args.get(key) ?? null;
    if (holdsSource(value)) open = true;
    else if (value !== null || !known.has(name)) given[name] = toPlain(value, true);
  }
  if (!open) {
    // All is literal: the whole schema can speak, with its rules about several parameters.
    const parsed = spec.params.safeParse(given);
    if (!parsed.success) errors.push(...parsed.error.issues.map((issue) => explain(spec, issue, given, writtenAs, origins, place)));
    return errors;
  }
  for (const param of params) {
    if (param.name in given || (param.required && !whole && !writtenAs.has(param.name))) {
      const parsed = param.schema.safeParse(given[param.name]);
      if (parsed.success) continue;
      for (const issue of parsed.error.issues) {
        errors.push(explain(spec, { ...issue, path: [param.name, ...issue.path] }, given, writtenAs, origins, place));
      }
    }
  }
  return errors;
}

function joined(errors: ContentError[]): ContentError {
  const first = errors[0]!;
  if (errors.length === 1) return first;
  return new ContentError(errors.map((error) => (error.hint ? `${error.message} (${error.hint})` : error.message)).join('; '), first.origin);
}

/** What a parameter's `title` asks for, in words. */
const TYPES: { [title: string]: string } = {
  bool: 'yes or no', str: 'a string', int: 'a whole number', float: 'a number', path: 'a path', list: 'a list', dict: 'a dict', mode: 'a file mode',
};

/** A zod issue as one line that names the parameter as it was written. */
function explain(
  spec: Spec, issue: z.core.$ZodIssue, given: { [key: string]: Plain }, writtenAs: Map<string, string>, origins: Origins, place?: Origin,
): ContentError {
  const [name, ...deeper] = issue.path.map(String);
  if (name === undefined) return new ContentError(`${spec.name}: ${issue.message}`, place ?? origins.values().next().value);
  const written = writtenAs.get(name) ?? name;
  const label = `"${[written, ...deeper].join('.')}" of ${spec.name}`;
  const origin = origins.get(written) ?? place;
  let value: unknown = given;
  for (const step of issue.path) value = value === null || typeof value !== 'object' ? undefined : (value as Record<PropertyKey, unknown>)[step];
  const param = describeParams(spec).find((each) => each.name === name);
  // An issue that a rule about several parameters puts on one of them has its own words.
  if (issue.code === 'custom') return new ContentError(`${label}: ${param?.secret ? 'the value is not fit' : issue.message}`, origin);
  if (value === undefined) {
    const what = param?.description ? ` (${param.description.replace(/\.$/, '')})` : '';
    return new ContentError(deeper.length > 0 ? `${label} is missing` : `${spec.name} needs "${name}"${what}`, origin);
  }
  const shown = param?.secret ? 'this' : show(value);
  if (issue.code === 'invalid_value') {
    const hint = typeof value === 'string' ? didYouMean(value, issue.values.map(String)) : undefined;
    return new ContentError(`${label} must be ${oneOf(issue.values.map(String))}, not ${shown}`, origin, hint);
  }
  if (issue.code === 'invalid_type' || issue.code === 'invalid_union') {
    const wanted = deeper.length === 0 ? TYPES[param?.type ?? ''] : undefined;
    const expected = wanted ?? (issue.code === 'invalid_type' ? `a ${issue.expected}` : 'something else');
    return new ContentError(`${label} must be ${expected}, not ${shown}`, origin);
  }
  if (issue.code === 'unrecognized_keys') return new ContentError(`${label} has no key ${issue.keys.map((key) => `"${key}"`).join(', ')}`, origin);
  return new ContentError(`${label}: ${issue.message}`, origin);
}

function oneOf(choices: string[]): string {
  return choices.length < 2 ? choices.join('') : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a dict';
  return typeof value === 'string' ? `"${value}"` : String(value);
}
