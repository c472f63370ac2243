/** JSON as Python's `json` module writes and reads it: 8.0 stays a float, big integers stay exact. */
import { Callable, Float, Instance, Source, type Value } from '../value/value.js';
import { compareText, floatText, repr, toFloat, toInt } from './python.js';
import { fail } from './undefined.js';

export interface JsonOptions {
  indent?: number | undefined;
  sortKeys: boolean;
  /** Escape everything beyond ASCII. */
  ascii: boolean;
  separators?: [string, string];
}

/** `json.dumps`. Secrets must have been opened. */
export function toJson(value: Value, options: JsonOptions): string {
  const { indent } = options;
  const [comma, colon] = options.separators ?? [indent === undefined ? ', ' : ',', ': '];
  const write = (one: Value, depth: number): string => {
    if (one === null || typeof one === 'boolean') return String(one);
    if (typeof one === 'string') return quote(one, options.ascii);
    if (typeof one === 'bigint') return one.toString();
    if (typeof one === 'number' || one instanceof Float) return numberText(one);
    const line = indent === undefined ? '' : `\n${' '.repeat(indent * (depth + 1))}`;
    const end = indent === undefined ? '' : `\n${' '.repeat(indent * depth)}`;
    if (Array.isArray(one)) return one.length === 0 ? '[]' : `[${line}${one.map((member) => write(member, depth + 1)).join(comma + line)}${end}]`;
    if (one instanceof Map) {
      if (one.size === 0) return '{}';
      const entries = [...one].map(([key, member]): [string, Value] => [keyText(key), member]);
      if (options.sortKeys) entries.sort(([a], [b]) => compareText(a, b));
      return `{${line}${entries.map(([key, member]) => `${quote(key, options.ascii)}${colon}${write(member, depth + 1)}`).join(comma + line)}${end}}`;
    }
    if (one instanceof Instance) return quote(one.toJSON(), options.ascii);
    if (one instanceof Source) return quote(one.shown, options.ascii);
    return fail(`${one instanceof Callable ? `the function ${one.name}` : 'this value'} has no JSON form`);
  };
  return write(value, 0);
}

function numberText(value: number | Float): string {
  const text = value instanceof Float || !Number.isInteger(value) ? floatText(Number(value instanceof Float ? value.value : value)) : repr(value);
  return { nan: 'NaN', inf: 'Infinity', '-inf': '-Infinity' }[text] ?? text;
}

function keyText(key: Value): string {
  if (typeof key === 'string') return key;
  if (key === null || typeof key === 'boolean') return String(key);
  return repr(key);
}

function quote(text: string, ascii: boolean): string {
  const quoted = JSON.stringify(text);
  return ascii ? quoted.replace(/[\x7f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`) : quoted;
}

/** `json.loads`. */
export function parseJson(text: string): Value {
  let at = 0;
  const bad = (what: string): never => {
    const before = text.slice(0, at).split('\n');
    return fail(`this is no JSON: ${what} in line ${before.length}, column ${before.at(-1)!.length + 1}`, 'check what produced the text');
  };
  const space = () => {
    while (/[ \t\n\r]/.test(text[at] ?? '')) at++;
  };
  const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
  const string = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
  const read = (depth: number): Value => {
    if (depth > 500) bad('too deep a nesting');
    space();
    const character = text[at];
    if (character === '{' || character === '[') {
      at++;
      const list: Value[] = [];
      const dict = new Map<Value, Value>();
      const closer = character === '{' ? '}' : ']';
      space();
      if (text[at] === closer) return at++, character === '{' ? dict : list;
      for (;;) {
        if (character === '{') {
          space();
          const key = text[at] === '"' ? (read(depth + 1) as string) : bad('a key in double quotes is expected');
          space();
          if (text[at++] !== ':') return at--, bad('":" is expected');
          dict.set(key, read(depth + 1));
        } else list.push(read(depth + 1));
        space();
        const next = text[at++];
        if (next === closer) return character === '{' ? dict : list;
        if (next !== ',') return at--, bad(`"," or "${closer}" is expected`);
      }
    }
    if (character === '"') {
      string.lastIndex = at;
      const found = string.exec(text);
      if (!found) return bad('a string is not closed');
      at = string.lastIndex;
      return JSON.parse(found[0]) as string;
    }
    for (const [word, value] of WORDS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    }
    number.lastIndex = at;
    const found = number.exec(text);
    if (!found) return bad('a value is expected');
    at = number.lastIndex;
    return found[1] === undefined && found[2] === undefined ? toInt(BigInt(found[0])) : toFloat(Number(found[0]));
  };
  const value = read(0);
  space();
  return at < text.length ? bad('more text behind the value') : value;
}

const WORDS: [string, Value][] = [['true', true], ['false', false], ['null', null], ['NaN', NaN], ['Infinity', Infinity], ['-Infinity', -Infinity]];
