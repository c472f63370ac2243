/** Lookups read the controller: each gets its terms as a list, options by name, and gives a list. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, isAbsolute, resolve } from 'node:path';
import { NotAheadError } from '../value/errors.js';
import { Secret, type Dict, type Value } from '../value/value.js';
import { opened } from '../vault/index.js';
import { member } from './access.js';
import { product, subelements } from './filters/lists.js';
import { percentFormat } from './format.js';
import { globPaths } from './glob.js';
import { templateOptions } from './header.js';
import { asDict, asInt, iterate, keyOf, read, str, truthy } from './python.js';
import { lookupPassword } from './password.js';
import { random } from './random.js';
import { pythonRegex } from './regex.js';
import { Record } from './index.js';
import { table, type Env } from './registry.js';
import { fail, Undefined } from './undefined.js';

function findFile(env: Env, name: string, folder: 'files' | 'templates' | 'vars' | ''): string {
  return env.scope.services.find(name, folder) ?? fail(`there is no file "${name}"`, folder === '' ? 'check the path' : `put it into a ${folder}/ folder of the role, the playbook or the project`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return fail(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`, 'check that it is a file and its permissions');
  }
}

/** A file that may be encrypted; what is read from a vault is secret. */
function readSealed(path: string, change: (text: string) => string = (text) => text): Value {
  const { text, isSecret } = opened(readText(path), path);
  return isSecret ? new Secret(change(text)) : change(text);
}

/** Each term of a list of lists; a term that is a list is taken apart. */
const flat = (terms: Value[]): Value[] => terms.flatMap((term) => (Array.isArray(read(term)) ? iterate(term) : [term]));

function* sequence(start: number, end: number, stride: number): Generator<number> {
  for (let i = start; stride > 0 ? i <= end : i >= end; i += stride) yield i;
}

/** `start=1 end=4 format=web%02d`, or the short form `1-8/2:host%d`. */
function sequenceOptions(term: string): Map<string, string> {
  const short = /^(?:(0x[\da-f]+|0[0-7]*|\d+)-)?(0x[\da-f]+|\d+)(?:\/(-?\d+))?(?::(.+))?$/i.exec(term.trim());
  if (!short) return new Map([...term.matchAll(/(\w+)=("[^"]*"|\S+)/g)].map(([, key, value]) => [key!, value!.replace(/^"|"$/g, '')]));
  const [, start, end, stride, format] = short;
  return new Map([['start', start ?? '1'], ['end', end!], ['stride', stride ?? ''], ['format', format ?? '']].filter(([, value]) => value !== '') as [string, string][]);
}

function csvRow(line: string, delimiter: string): string[] {
  const cells: string[] = [];
  const cell = /"((?:[^"]|"")*)"|([^]*)/y;
  for (let at = 0; at <= line.length; ) {
    let text: string;
    cell.lastIndex = at;
    if (line[at] === '"') {
      text = cell.exec(line)?.[1] ?? '';
      at = cell.lastIndex;
      cells.push(text.replaceAll('""', '"'));
      at = line.indexOf(delimiter, at);
    } else {
      const end = line.indexOf(delimiter, at);
      cells.push(line.slice(at, end < 0 ? line.length : end));
      at = end;
    }
    if (at < 0) break;
    at += delimiter.length;
  }
  return cells;
}

function ini(text: string, section: string): Map<string, string> {
  const values = new Map<string, string>();
  let current = '';
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[([^\]]+)\]/.exec(line);
    const pair = /^\s*([^#;=:[][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line);
    if (header) current = header[1]!;
    else if (pair && current === section) values.set(pair[1]!, pair[2]!);
  }
  return values;
}

export const LOOKUPS = table<Value[]>({
  'env(_terms, default="")': (_, terms: Value[], fallback) => terms.map((term) => process.env[str(term)] ?? (fallback instanceof Undefined ? fallback.raise() : fallback)),
  'file(_terms, lstrip=false, rstrip=true)': (env, terms: Value[], lstrip, rstrip) =>
    terms.map((term) =>
      readSealed(findFile(env, str(term), 'files'), (text) => {
        const begun = truthy(lstrip) ? text.trimStart() : text;
        return truthy(rstrip) ? begun.trimEnd() : begun;
      }),
    ),
  'unvault(_terms)': (env, terms: Value[]) => terms.map((term) => readSealed(findFile(env, str(term), 'files'))),
  'template(_terms, template_vars={}, convert_data=null, jinja2_native=false, **options)': (env, terms: Value[], vars, _convert, _native, options: Dict) =>
    terms.map((term) => {
      const written = templateOptions(options) ?? fail('an option of the lookup "template" is of the wrong type', 'marks are texts, trim_blocks and lstrip_blocks booleans');
      for (const name of options.keys()) if (!Object.hasOwn(written, str(name))) fail(`the lookup "template" has no option "${str(name)}"`);
      const overrides = new Map([...asDict(vars, 'template_vars')].map(([key, value]) => [str(key), value]));
      const record = new Record();
      const text = env.scope.services.render(findFile(env, str(term), 'templates'), record, overrides, written);
      for (const host of record.hosts) env.record.hosts.add(host);
      for (const fact of record.facts) env.record.facts.add(fact);
      for (const [name, origin] of record.origins) env.record.origins.set(name, origin);
      return record.secret ? new Secret(text) : text;
    }),
  'pipe(_terms)': (env, terms: Value[]) => {
    if (env.scope.services.ahead) throw new NotAheadError('the lookup "pipe"');
    return terms.map((term) => {
      const command = str(term);
      try {
        return execFileSync('/bin/sh', ['-c', command], { cwd: env.scope.services.baseDir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 }).trimEnd();
      } catch (error) {
        const { status, stderr } = error as { status?: number; stderr?: string };
        return fail(`the command of the lookup "pipe" failed with exit status ${status ?? '?'}${stderr ? `: ${stderr.trim()}` : ''}`, `it was: ${command}`);
      }
    });
  },
  'lines(_terms)': (env, terms: Value[]) => {
    if (env.scope.services.ahead) throw new NotAheadError('the lookup "lines"');
    return terms.flatMap((term) => execFileSync('/bin/sh', ['-c', str(term)], { cwd: env.scope.services.baseDir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trimEnd().split('\n'));
  },
  'fileglob(_terms)': (env, terms: Value[]) =>
    terms.flatMap((term) => {
      const pattern = str(term);
      if (isAbsolute(pattern)) return globPaths(pattern);
      const folder = pattern.includes('/') ? pattern.slice(0, pattern.lastIndexOf('/')) : '';
      const found = folder === '' ? undefined : env.scope.services.find(folder, 'files');
      if (found) return globPaths(resolve(found, basename(pattern)));
      const inFiles = globPaths(resolve(env.scope.services.baseDir, 'files', pattern));
      return inFiles.length > 0 ? inFiles : globPaths(resolve(env.scope.services.baseDir, pattern));
    }),
  'first_found(_terms, files=[], paths=[], skip=false)': (env, terms: Value[], files, paths, skip) => {
    const candidates: { name: string; paths: string[] }[] = [];
    let mayMiss = truthy(skip);
    const names = (value: Value | undefined) => (value === undefined || value === null ? [] : Array.isArray(read(value)) ? iterate(value).map(str) : str(value).split(/[,;]/).map((one) => one.trim()));
    for (const term of flat(terms)) {
      const open = read(term);
      if (open instanceof Map) {
        mayMiss ||= truthy(open.get('skip') ?? false);
        for (const name of names(open.get('files'))) candidates.push({ name, paths: names(open.get('paths')) });
      } else candidates.push({ name: str(open), paths: names(paths) });
    }
    for (const name of names(files)) candidates.push({ name, paths: names(paths) });
    for (const { name, paths: folders } of candidates) {
      for (const path of folders.length === 0 ? [name] : folders.map((folder) => `${folder.replace(/\/$/, '')}/${name}`)) {
        const found = env.scope.services.find(path, 'files') ?? env.scope.services.find(path, 'templates') ?? env.scope.services.find(path, 'vars') ?? env.scope.services.find(path, '');
        if (found) return [found];
      }
    }
    return mayMiss ? [] : fail(`first_found found none of ${candidates.map((one) => `"${one.name}"`).join(', ')}`, 'give skip=True when none may be there');
  },
  'vars(_terms, **options)': (env, terms: Value[], options: Dict) =>
    terms.map((term) => {
      const value = env.scope.get(str(term), env.record);
      if (value !== undefined) return value;
      return options.has('default') ? options.get('default')! : fail(`there is no variable "${str(term)}"`, 'give default=…');
    }),
  'varnames(_terms)': (env, terms: Value[]) => {
    const all = [...env.scope.names()];
    return terms.flatMap((term) => all.filter((name) => pythonRegex(str(term)).test(name)));
  },
  'password(_terms, **options)': (env, terms: Value[], options) => terms.map((term) => lookupPassword(env, str(term), asDict(options, 'password'))),
  'dict(_terms)': (_, terms: Value[]) => terms.flatMap((term) => [...asDict(term, 'the lookup "dict"')].map(([key, value]) => new Map<Value, Value>([['key', key], ['value', value]]))),
  'items(_terms)': (_, terms: Value[]) => flat(terms),
  'list(_terms)': (_, terms: Value[]) => terms,
  'flattened(_terms)': (_, terms: Value[]) => (terms as Value[]).flat(Infinity as 1),
  'indexed_items(_terms)': (_, terms: Value[]) => flat(terms).map((item, i) => [i, item]),
  'nested|cartesian(_terms)': (_, terms: Value[]) => product(terms.map(iterate)).map((row) => row.flat(1) as Value[]),
  'together(_terms)': (_, terms: Value[]) => {
    const lists = terms.map(iterate);
    return Array.from({ length: Math.max(0, ...lists.map((list) => list.length)) }, (_none, i) => lists.map((list) => list[i] ?? null));
  },
  'subelements(_terms)': (_, [items, path, flags]: Value[]) => subelements(items ?? fail('subelements needs a list'), path ?? fail('subelements needs a key'), flags instanceof Map && truthy(flags.get('skip_missing') ?? false)),
  'sequence(_terms, start=null, end=null, count=null, stride=null, format=null)': (_, terms: Value[], start, end, count, stride, format) => {
    const options = terms.length > 0 ? terms.map((term) => sequenceOptions(str(term))) : [new Map<string, string>()];
    return options.flatMap((option) => {
      const value = (name: string, given: Value) => (given !== null ? asInt(given, name) : option.has(name) ? Number(option.get(name)) : undefined);
      const from = value('start', start) ?? 1;
      const by = value('stride', stride);
      const times = value('count', count);
      const to = times !== undefined ? from + (times - 1) * (by ?? 1) : (value('end', end) ?? fail('sequence needs "end" or "count"', 'write start=1 end=4'));
      if (times === 0) return [];
      const step = by ?? (to < from ? -1 : 1);
      if (step === 0) return [];
      if ((to - from) / step > 1_000_000) fail('sequence of more than a million members', 'use a smaller one');
      const pattern = format !== null ? str(format) : option.get('format');
      return [...sequence(from, to, step)].map((one) => (pattern === undefined ? String(one) : percentFormat(pattern, one)));
    });
  },
  'random_choice(_terms)': (env, terms: Value[]) => {
    const values = flat(terms);
    return values.length === 0 ? [] : [values[Math.floor(random(env, null)() * values.length)]!];
  },
  'csvfile(_terms, file="ansible.csv", col="1", delimiter="TAB", default=null, encoding="utf-8", keycol=0)': (env, terms: Value[], file, column, delimiter, fallback, _encoding, keyColumn) =>
    terms.map((term) => {
      const [key, ...pairs] = str(term).split(' ');
      const option = new Map(pairs.map((pair) => pair.split('=', 2) as [string, string]));
      const by = (option.get('delimiter') ?? str(delimiter)).replace(/^(?:TAB|t)$/, '\t');
      const row = readText(findFile(env, option.get('file') ?? str(file), 'files')).split(/\r?\n/).map((line) => csvRow(line, by)).find((cells) => cells[asInt(keyColumn, 'keycol')] === key);
      return row?.[Number(option.get('col') ?? str(column))] ?? fallback;
    }),
  'ini(_terms, file="ansible.ini", section="global", default="", re=false, type="ini")': (env, terms: Value[], file, section, fallback) =>
    terms.map((term) => {
      const [key, ...pairs] = str(term).split(' ');
      const option = new Map(pairs.map((pair) => pair.split('=', 2) as [string, string]));
      const text = readText(findFile(env, option.get('file') ?? str(file), 'files'));
      return ini(text, option.get('section') ?? str(section)).get(key!) ?? option.get('default') ?? fallback;
    }),
  'inventory_hostnames(_terms)': (env, terms: Value[]) => {
    const groups = env.scope.get('groups', env.record);
    return terms.flatMap((term) => str(term).split(/[:,]/)).flatMap((name) => {
      const members = groups instanceof Map ? member(groups, keyOf(name)) : undefined;
      return members === undefined || members instanceof Undefined ? [name] : iterate(members);
    });
  },
});

