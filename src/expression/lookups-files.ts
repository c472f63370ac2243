/** Lookups in files that have a form (CSV, INI), and through folders. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Dict, Value } from '../value/value.js';
import { parseCsv } from './csv.js';
import { interpolate, parseIni } from './ini.js';
import { asInt, parseInteger, str, toFloat, truthy } from './python.js';
import { pythonRegex } from './regex.js';
import { table, type Env } from './registry.js';
import { fail } from './undefined.js';

export function findFile(env: Env, name: string, folder: 'files' | 'templates' | 'vars' | ''): string {
  return env.scope.services.find(name, folder) ?? fail(`there is no file "${name}" (No such file or directory)`, folder === '' ? 'check the path' : `put it into a ${folder}/ folder of the role, the playbook or the project`);
}

const ENCODINGS: { [name: string]: BufferEncoding } = { 'utf-8': 'utf8', utf8: 'utf8', ascii: 'latin1', 'latin-1': 'latin1', latin1: 'latin1', 'iso-8859-1': 'latin1', 'utf-16-le': 'utf16le' };

/** @throws Failure where the file cannot be read or the encoding is unknown */
export function readText(path: string, encoding: Value = 'utf-8'): string {
  const known = ENCODINGS[str(encoding).toLowerCase()] ?? fail(`unknown encoding "${str(encoding)}"`, `known are ${Object.keys(ENCODINGS).join(', ')}`);
  try {
    return readFileSync(path, known).replace(/^\ufeff/, '');
  } catch (error) {
    return fail(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`, 'check that it is a file and its permissions');
  }
}

/** A term as older playbooks write it: the key, and options behind it (`web1 file=a.csv delimiter=,`). */
function inline(term: string, names: readonly string[]): { key: string; option: Map<string, string> } {
  const pattern = new RegExp(`(?:^|\\s)(${names.join('|')})=("[^"]*"|'[^']*'|\\S*)`, 'g');
  const option = new Map([...term.matchAll(pattern)].map(([, name, value]) => [name!, value!.replace(/^(["'])(.*)\1$/, '$2')]));
  return { key: term.replace(pattern, '').trim(), option };
}

function csvfile(env: Env, term: Value, given: { [name: string]: Value }): Value[] {
  const { key, option } = inline(str(term), ['file', 'delimiter', 'col', 'keycol', 'default', 'encoding']);
  if (key === '') fail('Search key is required but was not found', "write lookup('csvfile', 'key', file=…)");
  const stray = /(?:^|\s)(\w+)=/.exec(key);
  if (stray) fail(`'${stray[1]}' is not a valid option`, 'the lookup "csvfile" takes file, delimiter, col, keycol, default and encoding');
  const of = (name: string): Value => option.get(name) ?? given[name]!;
  const delimiter = str(of('delimiter')).replace(/^(?:TAB|\\t)$/, '\t');
  const keyColumn = asInt(of('keycol'), 'keycol');
  const row = parseCsv(readText(findFile(env, str(of('file')), 'files'), of('encoding')), { delimiter }).find((cells) => cells[keyColumn] === key);
  const column = () => Number(parseInteger(str(of('col'))) ?? fail(`col must be a number, not "${str(of('col'))}"`));
  const found = row ? (row[column()] ?? fail(`the line of "${key}" has no column ${str(of('col'))}`, 'the first one is 0')) : of('default');
  return found === null ? [] : Array.isArray(found) ? found : [found];
}

function ini(env: Env, term: Value, given: { [name: string]: Value }): Value[] {
  const { key, option } = inline(str(term), ['file', 'section', 'default', 're', 'type', 'encoding', 'case_sensitive', 'allow_no_value']);
  const of = (name: string): Value => option.get(name) ?? given[name]!;
  const isYes = (name: string) => /^(?:true|yes|1|on)$/i.test(str(of(name)));
  const isProperties = str(of('type')) === 'properties';
  const section = isProperties ? 'java_properties' : str(of('section'));
  const caseSensitive = isYes('case_sensitive');
  const path = findFile(env, str(of('file')), 'files');
  const sections = parseIni(readText(path, of('encoding')), { caseSensitive, allowNoValue: isYes('allow_no_value'), ...(isProperties ? { section } : {}) });
  const own = sections.get(section) ?? fail(`there is no section "${section}" in ${path}`, 'name one with section=…');
  const all = new Map([...(sections.get('DEFAULT') ?? []), ...own]);
  const shown = (value: string | null) => (value === null || !isYes('interpolation') ? value : interpolate(value, (name) => all.get(name)));
  if (isYes('re')) return [...all].filter(([name]) => pythonRegex(key).exec(name)?.index === 0).map(([, value]) => shown(value));
  const name = caseSensitive ? key : key.toLowerCase();
  const found = all.has(name) ? shown(all.get(name)!) : of('default');
  return found === null ? [] : [found];
}

/** Names of users or groups by number. */
function names(file: string): Map<number, string> {
  return new Map(readFileSync(file, 'utf8').split('\n').map((line) => line.split(':')).flatMap(([name, , id]): [number, string][] => (id === undefined ? [] : [[Number(id), name!]])));
}

/** All that is under a folder, as `community.general.filetree` tells it; folders before what is in them. */
function filetree(root: string): Value[] {
  const [users, groups] = [names('/etc/passwd'), names('/etc/group')];
  return (readdirSync(root, { recursive: true }) as string[]).sort().map((path) => {
    const full = join(root, path);
    const stat = lstatSync(full);
    const kind = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'link' : stat.isFile() ? 'file' : 'other';
    const told: Dict = new Map<Value, Value>([
      ['root', root],
      ['path', path],
      ['state', kind],
      ['uid', stat.uid],
      ['gid', stat.gid],
      ['owner', users.get(stat.uid) ?? stat.uid],
      ['group', groups.get(stat.gid) ?? stat.gid],
      ['mode', `0${(stat.mode & 0o7777).toString(8).padStart(3, '0')}`],
      ['size', stat.size],
      ['mtime', toFloat(stat.mtimeMs / 1000)],
      ['ctime', toFloat(stat.ctimeMs / 1000)],
    ]);
    if (kind === 'file' || kind === 'link') told.set('src', kind === 'link' ? readlinkSync(full) : full);
    return told;
  });
}

export const FILE_LOOKUPS = table<Value[]>({
  'csvfile(_terms, file="ansible.csv", col="1", delimiter="TAB", default=null, encoding="utf-8", keycol=0)': (env, terms: Value[], file, col, delimiter, fallback, encoding, keycol) =>
    (terms.length > 0 ? terms : ['']).flatMap((term) => csvfile(env, term, { file, col, delimiter, default: fallback, encoding, keycol })),
  'ini(_terms, file="ansible.ini", section="global", default="", re=false, type="ini", encoding="utf-8", case_sensitive=false, allow_no_value=null, allow_none=false, interpolation=true)': (env, terms: Value[], file, section, fallback, re, type, encoding, caseSensitive, allowNoValue, allowNone, interpolation) =>
    terms.flatMap((term) => ini(env, term, { file, section, default: fallback, re, type, encoding, case_sensitive: caseSensitive, allow_no_value: allowNoValue ?? allowNone, interpolation })),
  'filetree(_terms, exclude=null)': (env, terms: Value[], exclude) =>
    terms.flatMap((term) => filetree(findFile(env, str(term).replace(/(?<=.)\/$/, ''), 'files'))).filter((one) => exclude === null || !truthy(exclude) || pythonRegex(str(exclude)).exec(str((one as Dict).get('path')!)) === null),
});
