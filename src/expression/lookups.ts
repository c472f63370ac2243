/** Lookups read the controller: each gets its terms as a list, options by name, and gives a list. */
import { execFileSync } from 'node:child_process';
import { basename, isAbsolute, resolve } from 'node:path';
import { NotAheadError } from '../value/errors.js';
import { fnmatch } from '../value/glob.js';
import { localhost } from '../value/host-names.js';
import { Secret, toValue, type Dict, type Value } from '../value/value.js';
import { opened } from '../vault/index.js';
import { product, subelements } from './filters/lists.js';
import { globPaths } from '../value/glob.js';
import { templateOptions } from './header.js';
import { asDict, iterate, read, str, truthy, typeName } from './python.js';
import { lookupPassword } from './password.js';
import { random } from './random.js';
import { pythonRegex } from './regex.js';
import { Record } from './index.js';
import { FILE_LOOKUPS, findFile, readText } from './lookups-files.js';
import { MADE_LOOKUPS } from './lookups-made.js';
import { NET_LOOKUPS } from './lookups-net.js';
import { sequence } from './sequence.js';
import { spelled } from './spelled.js';
import { table, type Env, type Table } from './registry.js';
import { fail, Failure, Undefined } from './undefined.js';

/** A file that may be encrypted; what is read from a vault is secret. */
function readSealed(path: string, change: (text: string) => string = (text) => text): Value {
  const { text, isSecret } = opened(readText(path), path);
  return isSecret ? new Secret(change(text)) : change(text);
}

/** Each term of a list of lists; a term that is a list is taken apart. */
const flat = (terms: Value[]): Value[] => terms.flatMap((term) => (Array.isArray(read(term)) ? iterate(term) : [term]));

/** What a command prints on the controller. */
function output(env: Env, what: string, command: string): string {
  if (env.scope.services.ahead) throw new NotAheadError(`the lookup "${what}"`);
  try {
    return execFileSync('/bin/sh', ['-c', command], { cwd: env.scope.services.baseDir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 }).trimEnd();
  } catch (error) {
    const { status, stderr } = error as { status?: number; stderr?: string };
    return fail(`the command of the lookup "${what}" failed with exit status ${status ?? '?'}${stderr ? `: ${stderr.trim()}` : ''}`, `it was: ${command}`);
  }
}

/** Hosts of the inventory that a pattern names: groups and hosts, `*`, `~regex`, `:` or `,` between them, `!` without, `&` only those. */
function hostsOf(env: Env, pattern: string): Value[] {
  const groups = env.scope.get('groups', env.record);
  const members = (name: string) => iterate(groups instanceof Map ? (groups.get(name) ?? []) : []);
  const all = members('all');
  const known = groups instanceof Map ? [...groups.keys()].map(str) : [];
  const named = (one: string): Value[] => {
    if (one === 'all' || one === '*') return all;
    const matches = one.startsWith('~') ? (name: string) => pythonRegex(one.slice(1)).exec(name)?.index === 0 : fnmatch(one).test;
    const found = [...known.filter(matches).flatMap(members), ...all.filter((host) => matches(str(host)))];
    return found.length > 0 || !localhost.has(one) ? found : [one];
  };
  const parts = (pattern.startsWith('~') ? [pattern] : pattern.split(/[:,](?![^[]*\])/)).map((part) => part.trim()).filter((part) => part !== '');
  const plain = parts.filter((part) => !/^[!&]/.test(part));
  let hosts = (plain.length === 0 ? ['all'] : plain).flatMap(named);
  for (const part of parts.filter((one) => one.startsWith('&'))) hosts = hosts.filter((host) => named(part.slice(1)).includes(host));
  for (const part of parts.filter((one) => one.startsWith('!'))) hosts = hosts.filter((host) => !named(part.slice(1)).includes(host));
  return [...new Set(hosts)];
}

/** A copy of a dict without what a path names. */
function lacking(value: Value, [step, ...rest]: string[]): Value {
  if (!(value instanceof Map) || step === undefined) return value;
  const copy: Dict = new Map(value);
  if (rest.length === 0) copy.delete(step);
  else copy.set(step, lacking(copy.get(step)!, rest));
  return copy;
}

/** Settings of plugins that mean something here: the variables that say them, strongest first, and the setting of the run behind them. */
const PLUGIN_SETTINGS: { [plugin: string]: { [name: string]: { variables: readonly string[]; setting: string } } } = {
  'connection ssh': {
    remote_user: { variables: ['ansible_user', 'ansible_ssh_user'], setting: 'DEFAULT_REMOTE_USER' },
    port: { variables: ['ansible_port', 'ansible_ssh_port'], setting: 'DEFAULT_REMOTE_PORT' },
    private_key_file: { variables: ['ansible_ssh_private_key_file', 'ansible_private_key_file'], setting: 'DEFAULT_PRIVATE_KEY_FILE' },
    timeout: { variables: ['ansible_ssh_timeout', 'ansible_timeout'], setting: 'DEFAULT_TIMEOUT' },
  },
  'become sudo': { become_user: { variables: ['ansible_become_user'], setting: 'DEFAULT_BECOME_USER' } },
  'become su': { become_user: { variables: ['ansible_become_user'], setting: 'DEFAULT_BECOME_USER' } },
};

/** What a setting of a plugin is for this host, keywords aside, and where it is from: `var: NAME`, or null for settings of the run. */
function pluginSetting(env: Env, plugin: string, name: string): [Value | undefined, Value] {
  const known = Object.hasOwn(PLUGIN_SETTINGS, plugin) ? PLUGIN_SETTINGS[plugin]! : fail(`the lookup "config" knows no settings of the plugin "${plugin}"`, `there are some of ${Object.keys(PLUGIN_SETTINGS).join(', ')}`);
  if (!Object.hasOwn(known, name)) return [undefined, null];
  const { variables, setting } = known[name]!;
  for (const variable of variables) {
    const value = env.scope.get(variable, env.record);
    // Numbers of INI inventories and of -e are texts.
    if (value !== undefined) return [(name === 'port' || name === 'timeout') && /^\d{1,9}$/.test(str(value)) ? toValue(Number(str(value))) : value, `var: ${variable}`];
  }
  return [env.scope.services.setting?.(setting), null];
}

const OWN = table<Value[]>({
  'env(_terms, default="")': (_, terms: Value[], fallback) => terms.map((term) => process.env[str(term)] ?? (fallback instanceof Undefined ? fallback.raise() : fallback)),
  'file(_terms, lstrip=false, rstrip=true)': (env, terms: Value[], lstrip, rstrip) =>
    terms.map((term) =>
      readSealed(findFile(env, str(term), 'files'), (text) => {
        const begun = truthy(lstrip) ? text.trimStart() : text;
        return truthy(rstrip) ? begun.trimEnd() : begun;
      }),
    ),
  'unvault(_terms)': (env, terms: Value[]) => terms.map((term) => readSealed(findFile(env, str(term), 'files'))),
  'template(_terms, template_vars={}, convert_data=null, jinja2_native=false, **options)': (env, terms: Value[], vars, convert, native, options: Dict) =>
    terms.map((term) => {
      const written = templateOptions(options) ?? fail('an option of the lookup "template" is of the wrong type', 'marks are texts, trim_blocks and lstrip_blocks booleans');
      for (const name of options.keys()) if (!Object.hasOwn(written, str(name))) fail(`the lookup "template" has no option "${str(name)}"`);
      const overrides = new Map([...asDict(vars, 'template_vars')].map(([key, value]) => [str(key), value]));
      const record = new Record(env.record);
      const value = env.scope.services.render(findFile(env, str(term), 'templates'), record, overrides, written);
      const isText = typeof value === 'string';
      if (isText && record.secret) return new Secret(value);
      return isText && (convert === null || truthy(convert)) && !truthy(native) ? spelled(value) : value;
    }),
  'pipe(_terms)': (env, terms: Value[]) => terms.map((term) => output(env, 'pipe', str(term))),
  'lines(_terms)': (env, terms: Value[]) => terms.flatMap((term) => output(env, 'lines', str(term)).split(/\r?\n/)),
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
    // What is no file of the task's kind would shadow the next name: vars/debian.yml of a role around is no task file.
    const { services } = env.scope;
    const kinds = services.names === undefined ? (['files', 'templates', 'vars', ''] as const) : ([services.names, 'files'] as const);
    for (const { name, paths: folders } of candidates) {
      for (const path of folders.length === 0 ? [name] : folders.map((folder) => `${folder.replace(/\/$/, '')}/${name}`)) {
        for (const each of kinds) {
          const found = services.find(path, each);
          if (found) return [found];
        }
      }
    }
    return mayMiss ? [] : fail(`first_found found none of ${candidates.map((one) => `"${one.name}"`).join(', ')}`, 'give skip=True when none may be there');
  },
  'vars(_terms, **options)': (env, terms: Value[], options: Dict) =>
    terms.map((term) => {
      if (typeof read(term) !== 'string') fail(`Invalid setting identifier, "${str(term)}" is not a string, it is a ${typeName(term)}`);
      const value = env.scope.get(str(term), env.record);
      if (value !== undefined) return value;
      return options.has('default') ? options.get('default')! : fail(`No variable found with this name: ${str(term)}`, 'give default=…');
    }),
  'config(_terms, on_missing="error", plugin_type=null, plugin_name=null, show_origin=false)': (env, terms: Value[], missing, type, plugin, origin) => {
    if ((type === null) !== (plugin === null)) fail('the lookup "config" takes both plugin_type and plugin_name, or neither');
    if (!['error', 'warn', 'skip'].includes(str(missing))) fail(`"on_missing" of the lookup "config" is "${str(missing)}": valid values are error, warn and skip`);
    return terms.flatMap((term): Value[] => {
      if (typeof read(term) !== 'string') fail(`Invalid setting identifier, "${str(term)}" is not a string, it is a ${typeName(term)}`);
      const [value, from] = plugin === null ? [env.scope.services.setting?.(str(term)), null] : pluginSetting(env, `${str(type)} ${str(plugin).replace(/^ansible\.builtin\./, '')}`, str(term));
      if (value === undefined && str(missing) === 'error') fail(`Unable to find setting ${str(term)}`, 'only settings that mean something to Muster are here; on_missing="skip" leaves it out');
      return value === undefined ? [] : [truthy(origin) ? [value, from] : value];
    });
  },
  'varnames(_terms)': (env, terms: Value[]) => {
    for (const term of terms) if (typeof read(term) !== 'string') fail(`Invalid setting identifier, "${str(term)}" is not a string, it is a ${typeName(term)}`);
    const all = [...env.scope.names()];
    return terms.flatMap((term) => {
      try {
        const regex = pythonRegex(str(term));
        return all.filter((name) => name.search(regex) >= 0);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        return fail(`Unable to use "${str(term)}" as a search parameter: ${error.message}`, error.hint);
      }
    });
  },
  'password(_terms, **options)': (env, terms: Value[], options) => terms.map((term) => lookupPassword(env, str(term), asDict(options, 'password'))),
  'dict(_terms)': (_, terms: Value[]) => terms.flatMap((term) => [...asDict(term, 'the lookup "dict"')].map(([key, value]) => new Map<Value, Value>([['key', key], ['value', value]]))),
  'items(_terms)': (_, terms: Value[]) => flat(terms),
  'list(_terms)': (_, terms: Value[]) => terms,
  'flattened(_terms)': (_, terms: Value[]) => (terms as Value[]).flat(Infinity as 1),
  'indexed_items(_terms)': (_, terms: Value[]) => flat(terms).map((item, i) => [i, item]),
  'nested|cartesian(_terms)': (_, terms: Value[]) => product(terms.map(iterate)).map((row) => row.flat(1) as Value[]),
  'together(_terms)': (_, terms: Value[]) => {
    if (terms.length === 0) fail('with_together requires at least one element in each list');
    const lists = terms.map(iterate);
    return Array.from({ length: Math.max(0, ...lists.map((list) => list.length)) }, (_none, i) => lists.map((list) => list[i] ?? null));
  },
  'subelements(_terms)': (_, terms: Value[]) => {
    const expects = 'subelements lookup expects a list of two or three items';
    if (terms.length < 2 || terms.length > 3) return fail(expects, 'write [list, key, {"skip_missing": true}]');
    const [first, path, flags = new Map()] = terms.map(read) as [Value, Value, Value?];
    const items = first instanceof Map || Array.isArray(first) ? first : [first];
    if (typeof path !== 'string') return fail(`${expects}, first a dict or a list, second a string pointing to the subkey`);
    // Other keys beside it are passed over, as in Ansible.
    if (!(flags instanceof Map)) return fail(`${expects}, the optional third item must be a dict with skip_missing`);
    // What a task skipped is no item.
    const isSkipped = (item: Value) => item instanceof Map && truthy(item.get('skipped') ?? false);
    if (isSkipped(items)) return [];
    const all = (items instanceof Map ? [...items.values()] : items).map((item) => (read(item) instanceof Map ? item : fail(`subelements lookup expects a dictionary, got "${str(item)}"`)));
    const pairs = subelements(all.filter((item) => !isSkipped(item)), path, truthy(flags.get('skip_missing') ?? false)) as [Value, Value][];
    // The lookup, unlike the filter, takes the list out of the items.
    return pairs.map(([item, value]) => [lacking(item, path.split('.')), value]);
  },
  'sequence(_terms, start=null, end=null, count=null, stride=null, format=null)': (_, terms: Value[], start, end, count, stride, format) =>
    (terms.length > 0 ? terms.map(str) : [undefined]).flatMap((term) => sequence(term, { start, end, count, stride, format })),
  'random_choice(_terms)': (env, terms: Value[]) => {
    const values = flat(terms);
    return values.length === 0 ? [] : [values[Math.floor(random(env, null)() * values.length)]!];
  },
  'inventory_hostnames(_terms)': (env, terms: Value[]) => terms.flatMap((term) => hostsOf(env, str(term))),
});

/** Every lookup by name. */
export const LOOKUPS: Table<Value[]> = new Map([...OWN, ...FILE_LOOKUPS, ...NET_LOOKUPS, ...MADE_LOOKUPS]);
