import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { ContentError } from '../src/value/errors.js';
import { UsageError } from './exit.js';
import { parseIni } from './ini.js';

/** What Ansible's configuration says of things that Muster has too; all below muster.yml, MUSTER_… and flags. */
export interface AnsibleSettings {
  inventory?: string[];
  roles_path?: string[];
  collections_path?: string[];
  forks?: number;
  remote_user?: string;
  private_key_file?: string;
  timeout?: number;
  host_key_checking?: 'off';
  vault_password_file?: string;
  vault_identity_list?: string[];
  /** Below: what muster.yml has no word for, since flags, keywords and ssh_config say it. */
  remote_port?: number;
  transport?: string;
  ssh_args?: string;
  ssh_common_args?: string;
  ssh_extra_args?: string;
  become?: boolean;
  become_user?: string;
  become_method?: string;
  become_flags?: string;
  become_password_file?: string;
  connection_password_file?: string;
  ask_pass?: boolean;
  ask_become_pass?: boolean;
  ask_vault_pass?: boolean;
  gathering?: 'implicit' | 'explicit';
  strategy?: 'linear' | 'free' | 'host_pinned';
  force_handlers?: boolean;
  any_errors_fatal?: boolean;
  no_log?: boolean;
  private_role_vars?: boolean;
  diff?: boolean;
  tags?: string[];
  skip_tags?: string[];
  inventory_ignore?: { extensions?: string[]; patterns?: string[] };
  /** Seconds; only where the cache is on. */
  inventory_cache?: number;
  duplicate_dict_key?: 'warn' | 'error' | 'ignore';
  facts_cache?: { on?: boolean; seconds?: number };
}

/** @param base folder that relative paths start from @throws Error for a value that cannot be */
type Take = (text: string, base: string, into: AnsibleSettings) => void;

interface Known {
  /** `section.key`, several where a setting has several names: the first that is there counts. */
  ini: string[];
  env: string[];
  take: Take;
}

/** Under the name that the note shows. Names and meanings: docs.ansible.com, "Ansible Configuration Settings". */
const KNOWN: { [name: string]: Known } = {
  inventory: known('defaults.inventory', 'ANSIBLE_INVENTORY', (text, base, into) => (into.inventory = paths(text, ',', base))),
  roles_path: known('defaults.roles_path', 'ANSIBLE_ROLES_PATH', (text, base, into) => (into.roles_path = paths(text, ':', base))),
  collections_path: known('defaults.collections_path defaults.collections_paths', 'ANSIBLE_COLLECTIONS_PATH ANSIBLE_COLLECTIONS_PATHS', (text, base, into) => (into.collections_path = paths(text, ':', base))),
  forks: known('defaults.forks', 'ANSIBLE_FORKS', (text, _, into) => (into.forks = whole(text))),
  remote_user: known('defaults.remote_user', 'ANSIBLE_REMOTE_USER', (text, _, into) => (into.remote_user = text)),
  remote_port: known('defaults.remote_port', 'ANSIBLE_REMOTE_PORT', (text, _, into) => (into.remote_port = whole(text))),
  private_key_file: known('defaults.private_key_file', 'ANSIBLE_PRIVATE_KEY_FILE', (text, base, into) => (into.private_key_file = place(text, base))),
  timeout: known('defaults.timeout', 'ANSIBLE_TIMEOUT ANSIBLE_SSH_TIMEOUT', (text, _, into) => (into.timeout = whole(text))),
  transport: known('defaults.transport', 'ANSIBLE_TRANSPORT', (text, _, into) => {
    if (!['smart', 'ssh', 'paramiko', 'paramiko_ssh'].includes(text)) into.transport = text;
  }),
  host_key_checking: known('defaults.host_key_checking ssh_connection.host_key_checking', 'ANSIBLE_HOST_KEY_CHECKING ANSIBLE_SSH_HOST_KEY_CHECKING', (text, _, into) => {
    if (!bool(text)) into.host_key_checking = 'off';
  }),
  ssh_args: known('ssh_connection.ssh_args', 'ANSIBLE_SSH_ARGS', (text, _, into) => (into.ssh_args = text)),
  ssh_common_args: known('ssh_connection.ssh_common_args', 'ANSIBLE_SSH_COMMON_ARGS', (text, _, into) => (into.ssh_common_args = text)),
  ssh_extra_args: known('ssh_connection.ssh_extra_args', 'ANSIBLE_SSH_EXTRA_ARGS', (text, _, into) => (into.ssh_extra_args = text)),
  vault_password_file: known('defaults.vault_password_file', 'ANSIBLE_VAULT_PASSWORD_FILE', (text, base, into) => (into.vault_password_file = place(text, base))),
  vault_identity_list: known('defaults.vault_identity_list', 'ANSIBLE_VAULT_IDENTITY_LIST', (text, base, into) => {
    into.vault_identity_list = list(text).map((each) => {
      const at = each.indexOf('@');
      const from = each.slice(at + 1);
      return `${at < 0 ? '' : each.slice(0, at + 1)}${/^prompt/.test(from) ? from : place(from, base)}`;
    });
  }),
  ask_vault_pass: known('defaults.ask_vault_pass', 'ANSIBLE_ASK_VAULT_PASS', (text, _, into) => (into.ask_vault_pass = bool(text))),
  ask_pass: known('defaults.ask_pass', 'ANSIBLE_ASK_PASS', (text, _, into) => (into.ask_pass = bool(text))),
  connection_password_file: known('defaults.connection_password_file', 'ANSIBLE_CONNECTION_PASSWORD_FILE', (text, base, into) => (into.connection_password_file = place(text, base))),
  become: known('privilege_escalation.become', 'ANSIBLE_BECOME', (text, _, into) => (into.become = bool(text))),
  become_user: known('privilege_escalation.become_user', 'ANSIBLE_BECOME_USER', (text, _, into) => (into.become_user = text)),
  become_method: known('privilege_escalation.become_method', 'ANSIBLE_BECOME_METHOD', (text, _, into) => (into.become_method = text)),
  become_flags: known('privilege_escalation.become_flags', 'ANSIBLE_BECOME_FLAGS', (text, _, into) => (into.become_flags = text)),
  become_ask_pass: known('privilege_escalation.become_ask_pass', 'ANSIBLE_BECOME_ASK_PASS', (text, _, into) => (into.ask_become_pass = bool(text))),
  become_password_file: known('defaults.become_password_file', 'ANSIBLE_BECOME_PASSWORD_FILE', (text, base, into) => (into.become_password_file = place(text, base))),
  gathering: known('defaults.gathering', 'ANSIBLE_GATHERING', (text, _, into) => {
    // "smart" saves gathering twice; gathering comes with the first trip of a play anyway.
    into.gathering = one(text, ['implicit', 'explicit', 'smart']) === 'explicit' ? 'explicit' : 'implicit';
  }),
  fact_caching: known('defaults.fact_caching', 'ANSIBLE_CACHE_PLUGIN', (text, _, into) => ((into.facts_cache ??= {}).on = !/^(ansible\.builtin\.)?memory$/.test(text))),
  fact_caching_timeout: known('defaults.fact_caching_timeout', 'ANSIBLE_CACHE_PLUGIN_TIMEOUT', (text, _, into) => ((into.facts_cache ??= {}).seconds = whole(text))),
  strategy: known('defaults.strategy', 'ANSIBLE_STRATEGY', (text, _, into) => {
    into.strategy = one(text.replace(/^ansible\.builtin\.|^mitogen_/, ''), ['linear', 'free', 'host_pinned']);
  }),
  force_handlers: known('defaults.force_handlers', 'ANSIBLE_FORCE_HANDLERS', (text, _, into) => (into.force_handlers = bool(text))),
  any_errors_fatal: known('defaults.any_errors_fatal', 'ANSIBLE_ANY_ERRORS_FATAL', (text, _, into) => (into.any_errors_fatal = bool(text))),
  no_log: known('defaults.no_log', 'ANSIBLE_NO_LOG', (text, _, into) => (into.no_log = bool(text))),
  private_role_vars: known('defaults.private_role_vars', 'ANSIBLE_PRIVATE_ROLE_VARS', (text, _, into) => (into.private_role_vars = bool(text))),
  diff: known('diff.always', 'ANSIBLE_DIFF_ALWAYS', (text, _, into) => (into.diff = bool(text))),
  tags: known('tags.run', 'ANSIBLE_RUN_TAGS', (text, _, into) => (into.tags = list(text))),
  skip_tags: known('tags.skip', 'ANSIBLE_SKIP_TAGS', (text, _, into) => (into.skip_tags = list(text))),
  inventory_ignore_extensions: known('inventory.ignore_extensions defaults.inventory_ignore_extensions', 'ANSIBLE_INVENTORY_IGNORE', (text, _, into) => ((into.inventory_ignore ??= {}).extensions = list(text))),
  inventory_ignore_patterns: known('inventory.ignore_patterns defaults.inventory_ignore_patterns', 'ANSIBLE_INVENTORY_IGNORE_REGEX', (text, _, into) => ((into.inventory_ignore ??= {}).patterns = list(text))),
  inventory_cache: known('inventory.cache', 'ANSIBLE_INVENTORY_CACHE', (text, _, into) => {
    if (bool(text)) into.inventory_cache = 3600;
  }),
  duplicate_dict_key: known('defaults.duplicate_dict_key', 'ANSIBLE_DUPLICATE_YAML_DICT_KEY', (text, _, into) => (into.duplicate_dict_key = one(text, ['warn', 'error', 'ignore']))),
  inventory_cache_timeout: known('inventory.cache_timeout', 'ANSIBLE_INVENTORY_CACHE_TIMEOUT', (text, _, into) => {
    if (into.inventory_cache !== undefined) into.inventory_cache = whole(text);
  }),
};

/** What would change what playbooks mean and is not there: told with its place. `when` says for which values. */
const MISSING: { ini: string; env: string; when: (text: string) => boolean; why: string }[] = [
  { ini: 'defaults.hash_behaviour', env: 'ANSIBLE_HASH_BEHAVIOUR', when: (text) => text === 'merge', why: 'dicts of the same name are replaced, not merged; use the combine filter' },
  { ini: 'defaults.error_on_undefined_vars', env: 'ANSIBLE_ERROR_ON_UNDEFINED_VARS', when: no, why: 'an undefined variable stays an error; use default()' },
  { ini: 'defaults.error_on_missing_handler', env: 'ANSIBLE_ERROR_ON_MISSING_HANDLER', when: no, why: 'a handler that is not there stays an error' },
  { ini: 'ssh_connection.ssh_executable', env: 'ANSIBLE_SSH_EXECUTABLE', when: () => true, why: 'Muster speaks SSH itself; what a wrapper adds goes into ~/.ssh/config' },
];

function known(ini: string, env: string, take: (text: string, base: string, into: AnsibleSettings) => unknown): Known {
  return { ini: ini.split(' '), env: env.split(' ').filter(Boolean), take };
}

/** Ansible's configuration, and what is to be said about it. */
export interface AnsibleConfiguration {
  settings: AnsibleSettings;
  /** The file, as messages show it; undefined where there is none. */
  file: string | undefined;
  /** Which of `settings` the file gave, and which variables of the environment gave some. */
  fromFile: string[];
  fromEnv: string[];
  warnings: string[];
}

/**
 * Reads the first of `$ANSIBLE_CONFIG`, `./ansible.cfg`, `~/.ansible.cfg` and `/etc/ansible/ansible.cfg`, and the
 * environment's ANSIBLE_… variables, which win over it. One in a folder that anybody may write to is passed over, as Ansible does.
 * @throws ContentError, UsageError for a value that cannot be
 */
export function readAnsibleConfiguration(env: NodeJS.ProcessEnv): AnsibleConfiguration {
  const found: AnsibleConfiguration = { settings: {}, file: undefined, fromFile: [], fromEnv: [], warnings: [] };
  const path = findFile(env, found.warnings);
  const sections = path === undefined ? undefined : parseIni(readFileSync(path, 'utf8'));
  const written = (name: string) => sections?.get(name.slice(0, name.indexOf('.')))?.get(name.slice(name.indexOf('.') + 1));
  if (path !== undefined) found.file = shown(path);
  for (const [name, { ini, env: variables, take }] of Object.entries(KNOWN)) {
    const variable = variables.find((each) => env[each] !== undefined && env[each] !== '');
    if (variable !== undefined) {
      attempt(() => take(env[variable]!, process.cwd(), found.settings), (why) => new UsageError(`${variable}: ${why}`));
      found.fromEnv.push(variable);
      continue;
    }
    const entry = ini.map(written).find((each) => each !== undefined && each.value !== '');
    if (entry === undefined) continue;
    const text = unquoted(entry.value);
    attempt(() => take(text, dirname(path!), found.settings), (why) => new ContentError(`${name}: ${why}`, { file: found.file!, line: entry.line, column: 1 }));
    found.fromFile.push(name);
  }
  for (const { ini, env: variable, when, why } of MISSING) {
    const entry = written(ini);
    const text = env[variable] ?? entry?.value;
    if (text === undefined || text === '' || !when(text.trim())) continue;
    const at = env[variable] !== undefined ? variable : `${found.file}:${entry!.line}: ${ini.replace(/^\w+\./, '')}`;
    found.warnings.push(`${at} is not supported; ${why}`);
  }
  return found;
}

function findFile(env: NodeJS.ProcessEnv, warnings: string[]): string | undefined {
  const named = env['ANSIBLE_CONFIG'];
  if (named !== undefined && named !== '') {
    const path = expanded(named, process.cwd());
    const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'ansible.cfg') : path;
    if (existsSync(file)) return file;
  }
  const here = resolve('ansible.cfg');
  if (existsSync(here)) {
    if ((statSync(dirname(here)).mode & 0o002) === 0) return here;
    warnings.push(`anybody may write to ${dirname(here)}, so its ansible.cfg is not read; name it by ANSIBLE_CONFIG, or take the right away`);
  }
  return [join(homedir(), '.ansible.cfg'), '/etc/ansible/ansible.cfg'].find((path) => existsSync(path));
}

function attempt(take: () => void, fault: (why: string) => Error): void {
  try {
    take();
  } catch (error) {
    throw fault((error as Error).message);
  }
}

function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}

function list(text: string): string[] {
  return text.split(',').map((each) => unquoted(each.trim())).filter((each) => each !== '');
}

/** `~`, `$VARIABLE` and Ansible's own `{{CWD}}` and `{{ANSIBLE_HOME}}`; relative to the file that says it. */
function place(text: string, base: string): string {
  return expanded(text, base);
}

function expanded(text: string, base: string): string {
  const filled = text
    .replace(/\{\{\s*CWD\s*\}\}/g, process.cwd())
    .replace(/\{\{\s*ANSIBLE_HOME\s*\}\}/g, process.env['ANSIBLE_HOME'] ?? join(homedir(), '.ansible'))
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced?: string, bare?: string) => process.env[(braced ?? bare)!] ?? whole)
    .replace(/^~(?=\/|$)/, homedir());
  return resolve(base, filled);
}

/** Several paths; a list of hosts ("web1,web2,") is an inventory by itself. */
function paths(text: string, separator: ',' | ':', base: string): string[] {
  if (separator === ',' && /,\s*$/.test(text)) return [text.trim()];
  return text.split(separator).map((each) => unquoted(each.trim())).filter((each) => each !== '').map((each) => place(each, base));
}

function unquoted(text: string): string {
  return /^(["']).*\1$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text;
}

function bool(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (['yes', 'on', '1', 'true', 't', 'y'].includes(word)) return true;
  if (['no', 'off', '0', 'false', 'f', 'n'].includes(word)) return false;
  throw new Error(`"${text}" is neither true nor false`);
}

function no(text: string): boolean {
  return /^(?:no|off|0|false|f|n)$/i.test(text);
}

function whole(text: string): number {
  if (!/^\d+$/.test(text.trim())) throw new Error(`"${text}" is no whole number`);
  return Number(text);
}

function one<const Word extends string>(text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text.trim());
  if (found === undefined) throw new Error(`"${text}" is not one of ${words.join(', ')}`);
  return found;
}
