import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { parseDuration } from '../src/drift/duration.js';
import { guardSettings } from '../src/drift/guards.js';
import { ContentError, didYouMean } from '../src/value/errors.js';
import { type Dict, isDict, toPlain } from '../src/value/value.js';
import { duplicateKeys, keyOrigin, originOf, parseData } from '../src/yaml/index.js';
import { usePlaces } from '../src/plugins/places.js';
import { splitIdentity } from '../src/vault/index.js';
import { readAnsibleConfiguration, type AnsibleConfiguration, type AnsibleSettings } from './ansible-cfg.js';
import { UsageError } from './exit.js';

export const FILE = 'muster.yml';

const texts = z.union([z.string().transform((text) => [text]), z.array(z.string())]);

/** What `muster.yml` may hold. Paths are relative to its folder. */
const schema = z.strictObject({
  inventory: texts.optional(),
  roles_path: texts.optional(),
  /** Folders that hold `ansible_collections/`, besides those that are always searched. */
  collections_path: texts.optional(),
  /** Folder of ansible-core, or a checkout of it: for modules in Python. */
  ansible_core: z.string().optional(),
  /** Seconds that answers of inventory scripts are kept. */
  inventory_cache: z.number().min(0).optional(),
  forks: z.int().min(1).optional(),
  /** Folder of the journal, or false for none. */
  journal: z.union([z.string(), z.literal(false)]).optional(),
  /** How much of it is kept. */
  journal_keep: z.strictObject({ runs: z.int().min(1).optional(), days: z.number().positive().optional() }).optional(),
  /** Folder facts are kept in for the next run, or false for none. */
  facts: z.union([z.string(), z.literal(false)]).optional(),
  /** How long facts of earlier runs count as known. */
  fact_caching: z.string().transform((text, context) => parseDuration(text) ?? (context.addIssue(`"${text}" is no duration; write 90s, 30m, 24h or 7d`), z.NEVER)).optional(),
  remote_user: z.string().optional(),
  private_key_file: z.string().optional(),
  timeout: z.number().positive().optional(),
  /** Seconds to wait for another run that holds a lock. */
  lock_timeout: z.number().min(0).optional(),
  host_key_checking: z.preprocess((value) => (value === true ? 'yes' : value === false ? 'off' : value), z.enum(['yes', 'accept-new', 'off'])).optional(),
  ssh_config: z.string().optional(),
  known_hosts: z.string().optional(),
  guards: guardSettings.optional(),
  drift: z
    .strictObject({
      /** Folder of what drift remembers. */
      state: z.string().optional(),
      /** File, or folder with a file for each playbook. */
      metrics: z.string().optional(),
      on_change: z.string().optional(),
      /** Seconds. */
      remind: z.string().transform((text, context) => parseDuration(text) ?? (context.addIssue(`"${text}" is no duration; write 90s, 30m, 24h or 7d`), z.NEVER)).optional(),
    })
    .optional(),
  vault_password_file: z.string().optional(),
  /** `ID@FILE`, `ID@SCRIPT` or `ID@prompt` each. */
  vault_identity_list: z.union([z.string().transform((text) => text.split(',').map((each) => each.trim())), z.array(z.string())]).optional(),
});

export type Settings = z.output<typeof schema> & {
  /** Folder of the project: where muster.yml stands, else that of the first playbook. */
  projectDir: string;
  /** What Ansible's configuration says that muster.yml has no word for. */
  ansible: Omit<AnsibleSettings, keyof z.output<typeof schema>>;
};

const PATHS = ['inventory', 'roles_path', 'collections_path', 'ansible_core', 'journal', 'facts', 'private_key_file', 'ssh_config', 'known_hosts', 'vault_password_file'] as const;

/** Where `ansible-galaxy` puts roles (docs.ansible.com, DEFAULT_ROLES_PATH), unless a setting says otherwise. */
const ROLES = [join(homedir(), '.ansible', 'roles'), '/usr/share/ansible/roles', '/etc/ansible/roles'];

/**
 * Defaults of the project from muster.yml, beside the first playbook or upwards to the working directory; the environment
 * (`MUSTER_FORKS`, …) wins over it, and both win over what Ansible's own configuration says.
 * @param say takes a line about what Ansible's configuration gave, and one for each setting that is not supported
 * @throws ContentError with file and line, UsageError for the environment
 */
export function loadSettings(playbook: string | undefined, env: NodeJS.ProcessEnv, say: (line: string) => void = sayOnce): Settings {
  const file = find(playbook);
  const ours = { ...(file ? readFile(file) : {}), ...readEnvironment(env) };
  const configuration = readAnsibleConfiguration(env);
  for (const line of noteOf(configuration, ours)) say(line);
  const settings = { roles_path: ROLES, ...shared(configuration.settings), ...ours };
  meetDuplicateKeys(configuration.settings.duplicate_dict_key ?? 'warn', say);
  usePlaces({ collectionsPath: settings.collections_path ?? [], ansibleCore: settings.ansible_core });
  return { ...settings, projectDir: file ? dirname(file) : playbook ? dirname(resolve(playbook)) : process.cwd(), ansible: configuration.settings };
}

/** Ansible warns of a key that stands twice in a dict, and takes the last (docs.ansible.com, DUPLICATE_YAML_DICT_KEY). */
function meetDuplicateKeys(how: 'warn' | 'error' | 'ignore', say: (line: string) => void): void {
  duplicateKeys.meet = (error) => {
    if (how === 'error') throw error;
    if (how === 'warn') say(`muster: warning: ${error.describe()}; until then the last one counts`);
  };
}

/** Those of Ansible's settings that muster.yml has by the same name. */
function shared(settings: AnsibleSettings): z.output<typeof schema> {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => key in schema.shape));
}

/** What is taken from Ansible's configuration, in one line, and what cannot be. */
function noteOf({ file, fromFile, fromEnv, warnings }: AnsibleConfiguration, ours: object): string[] {
  const taken = fromFile.filter((name) => !(name in ours));
  const parts = [...(taken.length > 0 ? [`${file}: ${taken.join(', ')}`] : []), ...(fromEnv.length > 0 ? [`the environment: ${fromEnv.join(', ')}`] : [])];
  return [...(parts.length > 0 ? [`muster: taken from ${parts.join('; from ')}`] : []), ...warnings.map((warning) => `muster: warning: ${warning}`)];
}

const said = new Set<string>();

function sayOnce(line: string): void {
  if (said.has(line)) return;
  said.add(line);
  process.stderr.write(`${line}\n`);
}

function find(playbook: string | undefined): string | undefined {
  const cwd = process.cwd();
  let folder = playbook ? dirname(resolve(playbook)) : cwd;
  const below = folder === cwd || folder.startsWith(cwd.endsWith(sep) ? cwd : cwd + sep);
  for (;;) {
    if (existsSync(join(folder, FILE))) return join(folder, FILE);
    if (folder === cwd) return undefined;
    folder = below ? dirname(folder) : cwd;
  }
}

function readFile(file: string): z.output<typeof schema> {
  const shown = relative(process.cwd(), file);
  const data = parseData(readFileSync(file, 'utf8'), shown);
  if (data === null) return {};
  if (!isDict(data)) throw new ContentError('the settings are not a dict', { file: shown, line: 1, column: 1 }, 'write "inventory: inventory/production.yml"');
  const settings = check(toPlain(data, true), (key, unknown) => {
    const origin = unknown ? keyOrigin(data as Dict, key) : originOf(data as Dict, key);
    return (message, hint) => new ContentError(message, origin, hint);
  });
  const folder = dirname(file);
  const place = (path: string) => resolve(folder, path.replace(/^~(?=\/)/, homedir()));
  for (const key of PATHS) {
    const value = settings[key];
    // "host1,host2," is an inventory by itself, not a path.
    if (Array.isArray(value)) (settings[key] as string[]) = value.map((path) => (path.includes(',') ? path : place(path)));
    else if (typeof value === 'string') (settings[key] as string) = place(value);
  }
  const { drift } = settings;
  for (const key of ['state', 'metrics'] as const) if (drift?.[key] !== undefined) drift[key] = place(drift[key]);
  settings.vault_identity_list &&= settings.vault_identity_list.map((text) => {
    const { id, from } = splitIdentity(text);
    return `${id}@${from === 'prompt' ? from : place(from)}`;
  });
  return settings;
}

function readEnvironment(env: NodeJS.ProcessEnv): z.output<typeof schema> {
  const given: { [key: string]: unknown } = {};
  for (const key of Object.keys(schema.shape)) {
    const value = env[`MUSTER_${key.toUpperCase()}`];
    if (value === undefined || value === '') continue;
    if (key === 'forks' || key === 'timeout' || key === 'lock_timeout' || key === 'inventory_cache') given[key] = Number(value);
    else if ((key === 'journal' || key === 'facts') && /^(no|false|off)$/i.test(value)) given[key] = false;
    else given[key] = key === 'roles_path' || key === 'collections_path' ? value.split(':') : value;
  }
  return check(given, (key) => (message) => new UsageError(`MUSTER_${key.toUpperCase()}: ${message}`));
}

/** @param fault makes the error of a key; `unknown` says that the key itself is wrong */
function check(data: unknown, fault: (key: string, unknown: boolean) => (message: string, hint?: string) => Error): z.output<typeof schema> {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue!.code === 'unrecognized_keys') {
    const key = issue!.keys[0]!;
    const [section] = issue!.path;
    const known = typeof section === 'string' ? keysOf(section) : undefined;
    if (known) throw fault(String(section), true)(`${String(section)} has no setting "${key}"`, didYouMean(key, known) ?? `known are ${known.join(', ')}`);
    throw fault(key, true)(`there is no setting "${key}"`, didYouMean(key, Object.keys(schema.shape)) ?? `known are ${Object.keys(schema.shape).join(', ')}`);
  }
  const key = String(issue!.path[0] ?? '');
  throw fault(key, false)(`${key}: ${issue!.message.replace(/^Invalid input: /, '')}`);
}

/** What a section (`guards`, `drift`) may hold. */
function keysOf(section: string): string[] | undefined {
  const shape: unknown = (schema.shape as { [key: string]: z.ZodType })[section];
  const inner: unknown = shape instanceof z.ZodOptional ? shape.unwrap() : shape;
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : undefined;
}
