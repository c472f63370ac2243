/** Lookups of community.general and ansible.utils that make something of what they are given. */
import type { Dict, Value } from '../value/value.js';
import { asInt, compareText, equals, read, str, truthy, typeName } from './python.js';
import { random, shuffle } from './random.js';
import { pythonRegex } from './regex.js';
import { table, type Env } from './registry.js';
import { defined, fail } from './undefined.js';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const SPECIAL = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';

function randomString(env: Env, options: { [name: string]: Value }): string {
  const similar = truthy(options['ignore_similar_chars']!) ? str(options['similar_chars']!) : '';
  const without = (characters: string) => [...characters].filter((one) => !similar.includes(one)).join('');
  const kinds = { upper: without(LOWER.toUpperCase()), lower: without(LOWER), numbers: without('0123456789'), special: options['override_special'] === null ? without(SPECIAL) : str(options['override_special']!) };
  const wanted = options['override_all'] === null ? Object.entries(kinds).filter(([name]) => truthy(options[name]!)).map(([, characters]) => characters).join('') : str(options['override_all']!);
  const next = random(env, options['seed']!);
  const pick = (from: string, count: number) => Array.from({ length: Math.max(0, count) }, () => from[Math.floor(next() * from.length)] ?? fail('random_string has no characters to choose from'));
  const least = options['override_all'] === null ? ([['min_numeric', kinds.numbers], ['min_lower', kinds.lower], ['min_upper', kinds.upper], ['min_special', kinds.special]] as const).flatMap(([name, from]) => pick(from, asInt(options[name]!, name))) : [];
  const text = shuffle([...least, ...pick(wanted, asInt(options['length']!, 'length') - least.length)], next).map(str).join('');
  return truthy(options['base64']!) ? Buffer.from(text).toString('base64') : text;
}

/** Dicts and lists grow; what else differs is replaced, if it may be. */
function merged(left: Value, right: Value, path: string[], override: string): Value {
  const [a, b] = [read(left), read(right)];
  if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  if (!(a instanceof Map && b instanceof Map)) return right;
  const all: Dict = new Map(a);
  for (const [key, value] of b) {
    const before = all.get(key);
    if (before === undefined) {
      all.set(key, value);
      continue;
    }
    const at = [...path, str(key)];
    const after = merged(before, value, at, override);
    const isSame = typeName(before) === typeName(after) && (Array.isArray(after) || after instanceof Map || equals(before, after));
    if (!isSame && override === 'error') fail(`merge_variables would replace "${at.join('.')}"`, 'give override="ignore"');
    all.set(key, after);
  }
  return all;
}

export const MADE_LOOKUPS = table<Value[]>({
  'random_string(_terms, length=8, upper=true, lower=true, numbers=true, special=true, min_numeric=0, min_lower=0, min_upper=0, min_special=0, override_special=null, override_all=null, base64=false, ignore_similar_chars=false, similar_chars="il1LoO0", seed=null)': (env, _terms: Value[], length, upper, lower, numbers, special, min_numeric, min_lower, min_upper, min_special, override_special, override_all, base64, ignore_similar_chars, similar_chars, seed) => [
    randomString(env, { length, upper, lower, numbers, special, min_numeric, min_lower, min_upper, min_special, override_special, override_all, base64, ignore_similar_chars, similar_chars, seed }),
  ],
  'merge_variables(_terms, initial_value=null, override="error", pattern_type="regex")': (env, terms: Value[], initial, override, how) =>
    terms.map((term) => {
      const pattern = str(term);
      const kinds: { [kind: string]: (name: string) => boolean } = { regex: (name) => pythonRegex(pattern).test(name), prefix: (name) => name.startsWith(pattern), suffix: (name) => name.endsWith(pattern) };
      const matches = kinds[str(how)] ?? fail(`merge_variables knows no pattern_type "${str(how)}"`, 'it knows regex, prefix and suffix');
      const names = [...env.scope.names()].filter(matches).sort(compareText);
      let result: Value | undefined = initial === null ? undefined : initial;
      for (const name of names) {
        const value = env.scope.get(name, env.record)!;
        if (result !== undefined && typeName(result) !== typeName(value)) fail(`merge_variables cannot merge "${name}": it is a ${typeName(value)}, the others are ${typeName(result)}s`);
        result = result === undefined ? value : merged(result, value, [name], str(override));
      }
      return result ?? null;
    }),
  'to_paths(_terms, **options)': (env, [value, ...rest]: Value[], options: Map<string, Value>) => [defined(env.filter('to_paths', [value!, ...rest], options))],
  'get_path(_terms, **options)': (env, [value, ...rest]: Value[], options: Map<string, Value>) => [defined(env.filter('get_path', [value!, ...rest], options))],
  'index_of(_terms, **options)': (env, [value, ...rest]: Value[], options: Map<string, Value>) => [defined(env.filter('index_of', [value!, ...rest], options))],
});
