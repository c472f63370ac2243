import type { Argv, Options } from 'yargs';

/** Given twice, the last counts. */
const last = (value: unknown): unknown => (Array.isArray(value) ? value.at(-1) : value);
const text = (describe: string, more: Options = {}): Options => ({ type: 'string', requiresArg: true, describe, coerce: last, ...more });
const number = (describe: string, more: Options = {}): Options => ({ type: 'number', requiresArg: true, describe, coerce: last, ...more });
const flag = (describe: string, more: Options = {}): Options => ({ type: 'boolean', describe, ...more });
export const texts = (describe: string, more: Options = {}): Options => ({ type: 'string', array: true, requiresArg: true, describe, default: [], defaultDescription: 'none', ...more });

/** What every verb that reads the project's variables takes: the passwords of its vaults. */
export const vaultOptions = {
  'vault-id': texts('a vault id and where its password comes from: ID@FILE, ID@SCRIPT or ID@prompt; repeatable'),
  'vault-password-file': texts('file with the vault password, or script that prints it; repeatable', { alias: 'vault-pass-file' }),
  'ask-vault-pass': flag('ask for the vault password', { alias: ['J', 'ask-vault-password'] }),
};

/** What every verb that reads an inventory takes. */
const inventory = {
  ...vaultOptions,
  inventory: texts('inventory file or folder, or "host1,host2,"; repeatable', { alias: 'i' }),
  limit: text('only these hosts of the pattern', { alias: 'l' }),
  'flush-cache': flag('ask inventory scripts anew and forget cached facts, whatever is kept of them'),
  'extra-vars': texts('variables that win over all others: key=value, JSON, YAML or @file; repeatable', { alias: 'e' }),
  verbose: { type: 'count', alias: 'v', describe: 'tell more; -vvv even more' } as Options,
  output: text('for people or programs', { choices: ['text', 'json'], default: 'text' }),
};

/** What every verb that connects takes. */
const connecting = {
  forks: number('hosts worked on at once', { alias: 'f' }),
  become: flag('become another user', { alias: 'b' }),
  'become-user': text('whom to become', { defaultDescription: 'root' }),
  'become-method': text('how to become', { choices: ['sudo', 'su', 'doas'] }),
  'ask-become-pass': flag('ask for the become password', { alias: 'K' }),
  user: text('log in as', { alias: 'u' }),
  'ask-pass': flag('ask for the login password', { alias: 'k' }),
  connection: text('how to connect', { alias: 'c', choices: ['ssh', 'local'] }),
  'private-key': text('log in with this key', { alias: 'key-file' }),
  'ssh-common-args': text('arguments of ssh: -J HOST, -o NAME=VALUE, -F FILE'),
  'ssh-extra-args': text('the same, behind these'),
  timeout: number('seconds until connecting is given up', { alias: 'T' }),
  'host-key-checking': text('how unknown host keys are met', { choices: ['yes', 'accept-new', 'off'] }),
};

/** What every verb that runs playbooks takes. */
const playing = {
  tags: texts('only tasks with these tags', { alias: 't' }),
  'skip-tags': texts('leave out tasks with these tags'),
  'start-at-task': text('begin at the task of this name'),
  'force-handlers': flag('run notified handlers even after a failure'),
  diff: flag('show what changes', { alias: 'D' }),
  stats: flag('show trips, bytes and the slowest tasks'),
};

const listing = {
  'list-tasks': flag('list the tasks and end'),
  'list-tags': flag('list the tags and end'),
  'list-hosts': flag('list the hosts and end'),
  'syntax-check': flag('check the playbooks and end (as lint does)'),
};

/** Of those, what verbs take that tell what was kept. */
export const showOptions = { verbose: inventory.verbose, output: inventory.output, diff: playing.diff };
export const inventoryOptions = inventory;
export const connectOptions = { ...inventory, ...connecting };
const locking = { 'lock-timeout': number('seconds to wait for another run that holds the lock', { defaultDescription: '0' }) };

export const driftOptions = {
  ...connectOptions,
  ...playing,
  ...locking,
  fix: flag('bring back what drifted', { default: false }),
  'max-changes': number('with --fix: change nothing where it were more changes than that'),
  'max-hosts': number('with --fix: change nothing where it were more hosts than that'),
  'drift-ok': flag('exit 0, not 2, where something drifted'),
  metrics: text('write Prometheus metrics to this file (.prom), or into this folder'),
  'on-change': text('shell command that gets the finding as JSON on its standard input when it changes'),
  remind: text('tell it again after so long what still stands: 24h'),
  log: text('add a line about each run to this file; - prints it'),
};
export const planOptions = { ...connectOptions, ...playing, ...listing };
export const applyOptions = {
  ...planOptions,
  ...locking,
  resume: flag('go on where each host stopped in the last run: commands that ended well then are not run again'),
  'retry-failed': flag('only hosts that failed or were out of reach in the last run'),
  check: flag('change nothing; muster plan, showing texts only with --diff', { alias: 'C' }),
  verify: flag('look again after each change and expect none'),
};

export interface VaultFlags {
  vaultId: string[];
  vaultPasswordFile: string[];
  askVaultPass?: boolean;
}

/** What `bootstrap` takes: a machine that nobody administers yet has neither limit nor tags. */
export const bootstrapOptions = {
  inventory: texts('inventory file or folder the hosts are written into', { alias: 'i' }),
  group: texts('group of the inventory they become members of; repeatable', { alias: 'g' }),
  admin: text('user who administers them from now on', { defaultDescription: "the inventory's ansible_user, else muster" }),
  key: text('file of that user\'s public key', { defaultDescription: 'beside the key of the inventory, else ~/.ssh/id_*.pub' }),
  hostname: text('name the host gets', { defaultDescription: 'its name in the inventory' }),
  'ssh-port': number('port sshd listens on from now on'),
  fingerprint: texts('key the host must show, SHA256:…; repeatable'),
  retrust: flag('take another key than the one on record: the host was set up anew'),
  user: text('log in as, this time', { alias: 'u' }),
  'ask-pass': connecting['ask-pass'],
  'ask-become-pass': connecting['ask-become-pass'],
  'become-method': connecting['become-method'],
  'private-key': text('log in with this key, this time', { alias: 'key-file' }),
  timeout: number('seconds a host is waited for', { alias: 'T', default: 300 }),
  playbook: text('playbook of the steps', { defaultDescription: 'playbooks/bootstrap.yml' }),
  forks: connecting.forks,
  'extra-vars': inventory['extra-vars'],
  ...vaultOptions,
  diff: flag('show what changes', { alias: 'D' }),
  verify: flag('look again after each change and expect none'),
  verbose: inventory.verbose,
  output: inventory.output,
};

/** The flags as a verb's handler finds them; what a verb does not take is undefined. */
export interface Flags extends VaultFlags {
  inventory: string[];
  limit?: string;
  extraVars: string[];
  verbose: number;
  output: 'text' | 'json';
  forks?: number;
  become?: boolean;
  becomeUser?: string;
  becomeMethod?: string;
  askBecomePass?: boolean;
  user?: string;
  askPass?: boolean;
  connection?: string;
  privateKey?: string;
  sshCommonArgs?: string;
  flushCache?: boolean;
  sshExtraArgs?: string;
  timeout?: number;
  hostKeyChecking?: 'yes' | 'accept-new' | 'off';
  tags?: string[];
  skipTags?: string[];
  startAtTask?: string;
  lockTimeout?: number;
  resume?: boolean;
  retryFailed?: boolean;
  forceHandlers?: boolean;
  diff?: boolean;
  stats?: boolean;
  check?: boolean;
  verify?: boolean;
  listTasks?: boolean;
  listTags?: boolean;
  listHosts?: boolean;
  syntaxCheck?: boolean;
}

/** Those of `drift`. */
export interface DriftFlags extends Flags {
  playbook: string[];
  fix: boolean;
  maxChanges?: number;
  maxHosts?: number;
  driftOk?: boolean;
  metrics?: string;
  onChange?: string;
  remind?: string;
  log?: string;
  disable?: string;
  enable?: boolean;
  status?: boolean;
}

/** The positional that names playbooks. */
export function playbooks(argv: Argv): Argv {
  return argv.positional('playbook', { type: 'string', array: true, describe: 'playbook files' }) as Argv;
}
