import { readFileSync } from 'node:fs';
import { ContentError } from '../src/value/errors.js';
import { type Dict, isDict, Source, type Value } from '../src/value/value.js';
import { opened } from '../src/vault/index.js';
import { parseYaml } from '../src/yaml/index.js';
import { UsageError } from './exit.js';

/**
 * The variables of all `-e` flags, later ones winning: `key=value` pairs (values stay text, as with Ansible), JSON or
 * YAML dicts, and `@file`, which may be encrypted.
 * @throws UsageError, ContentError
 */
export function parseExtraVars(flags: readonly string[]): Dict {
  const vars: Dict = new Map();
  for (const flag of flags) for (const [key, value] of parse(flag.trim())) vars.set(key, value);
  return vars;
}

function parse(flag: string): Dict {
  if (flag.startsWith('@')) {
    const file = flag.slice(1);
    const { text, isSecret } = opened(read(file), file);
    return asDict(parseYaml(text, file, isSecret), flag);
  }
  if (/^[{[]/.test(flag)) return asDict(parseYaml(flag, '-e'), flag);
  if (/^[\w.-]+:\s/.test(flag)) return asDict(parseYaml(flag, '-e'), flag);
  return pairs(flag);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`muster: -e @${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message}`);
  }
}

function asDict(value: Value, flag: string): Dict {
  if (value === null && flag.startsWith('@')) return new Map();
  if (!isDict(value)) throw new UsageError(`muster: -e ${flag}: not a dict of variables`);
  return value;
}

/** What a value is made of. One piece at a time: an expression that may begin anew within one takes time without end. */
const PIECE = /"(?:\\.|[^"\\])*"|'[^']*'|\{\{.*?\}\}|\\.|[^\s"'\\]/sy;

/** `a=1 b="two words" c='{{ d }}'` */
function pairs(text: string): Dict {
  const vars: Dict = new Map();
  let rest = text;
  while (rest !== '') {
    const name = /^[A-Za-z_]\w*(?==)/.exec(rest)?.[0];
    let end = (name?.length ?? 0) + 1;
    for (let from = end; from > 1; ) {
      PIECE.lastIndex = end = from;
      while (PIECE.test(rest)) end = PIECE.lastIndex;
      // What is left over may stand in braces all the same: those before it do not end at the }} of {{ '}}' }}.
      from = /^\S/.test(rest.slice(end, end + 1)) && rest.slice(0, end).includes('{{') ? rest.indexOf('}}', end) + 2 : 0;
    }
    if (name === undefined || /^\S/.test(rest.slice(end, end + 1))) throw new UsageError(`muster: -e ${text}: expected key=value, JSON, YAML or @file at "${rest}"`);
    const value = rest.slice(name.length + 1, end).replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs, (_, double?: string, single?: string, plain?: string) => double?.replace(/\\(.)/gs, '$1') ?? single ?? plain ?? '');
    vars.set(name, /\{\{|\{%/.test(value) ? new Source(value, { file: '-e', line: 1, column: text.length - rest.length + name.length + 2 }) : value);
    rest = rest.slice(end).trimStart();
  }
  if (vars.size === 0) throw new ContentError('-e holds no variable', undefined, 'write key=value');
  return vars;
}
