/** Binds positional and named arguments to a signature like `value, width=4, *rest, **options`. */
import { didYouMean } from '../value/errors.js';
import { toValue, type Value } from '../value/value.js';
import { fail, type Result } from './undefined.js';

interface Parameter {
  name: string;
  /** Absent for a parameter that must be given. */
  fallback: Value | undefined;
  kind: 'one' | 'rest' | 'named';
}

export type Signature = Parameter[];

/** @param text parameters split by `, `; defaults are JSON */
export function signature(text: string): Signature {
  if (text === '') return [];
  return text.split(/, (?=[\w*])/).map((part) => {
    if (part.startsWith('**')) return { name: part.slice(2), fallback: undefined, kind: 'named' };
    if (part.startsWith('*')) return { name: part.slice(1), fallback: undefined, kind: 'rest' };
    const [name, fallback] = part.split('=', 2) as [string, string | undefined];
    return { name, fallback: fallback === undefined ? undefined : toValue(JSON.parse(fallback)), kind: 'one' };
  });
}

/**
 * Arguments in the order of the parameters; `*rest` arrives as a list, `**options` as a dict.
 * @param what for messages, e.g. `filter "join"`
 */
export function bind<T extends Result>(parameters: Signature, what: string, args: T[], named: Map<string, Value>): T[] {
  const bound: T[] = [];
  let used = 0;
  let next = 0;
  let takesMore = false;
  for (const parameter of parameters) {
    if (parameter.kind === 'rest') {
      bound.push(args.slice(next) as unknown as T);
      next = args.length;
    } else if (parameter.kind === 'named') {
      const known = new Set(parameters.map((one) => one.name));
      bound.push(new Map([...named].filter(([name]) => !known.has(name) || name === parameter.name)) as unknown as T);
      takesMore = true;
    } else if (next < args.length) {
      if (named.has(parameter.name)) fail(`${what} got two values for "${parameter.name}"`, 'remove one');
      bound.push(args[next++]!);
    } else if (named.has(parameter.name)) {
      bound.push(named.get(parameter.name) as T);
      used++;
    } else if (parameter.fallback === undefined) {
      return fail(`${what} needs "${parameter.name}"`, `it takes ${describe(parameters)}`);
    } else bound.push(parameter.fallback as T);
  }
  if (next < args.length) fail(`${what} takes at most ${next} arguments, not ${args.length}`, `it takes ${describe(parameters)}`);
  if (used < named.size && !takesMore) {
    const names = parameters.filter((one) => one.kind === 'one').map((one) => one.name);
    for (const name of named.keys()) {
      if (!names.includes(name)) fail(`${what} has no argument "${name}"`, didYouMean(name, names) ?? (names.length > 0 ? `it takes ${describe(parameters)}` : 'it takes none'));
    }
  }
  return bound;
}

function describe(parameters: Signature): string {
  if (parameters.length === 0) return 'none';
  return parameters.map(({ name, fallback, kind }) => (kind === 'rest' ? `*${name}` : kind === 'named' ? `**${name}` : fallback === undefined ? name : `${name}=${JSON.stringify(fallback)}`)).join(', ');
}
