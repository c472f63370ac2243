import type { Become, Target } from '../connection/connection.js';
import { sshArguments } from '../connection/index.js';
import type { Record as Reads, Scope } from '../expression/index.js';
import { Record } from '../expression/index.js';
import type { Inherited } from '../playbook/types.js';
import { ContentError } from '../value/errors.js';
import { Float, Secret, toPlain, type Value } from '../value/value.js';
import type { RunOptions } from './options.js';
import { evaluate, truthy } from './evaluate.js';

/** Connection variables read for a host, under their names of today and those still met in inventories. */
function variable(scope: Scope, reads: Reads, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = scope.get(name, reads);
    if (value !== undefined && value !== null) return text(value);
  }
  return undefined;
}

function text(value: Value): string {
  if (value instanceof Secret) return String(value.reveal());
  if (value instanceof Float) return value.toString();
  return String(toPlain(value, true));
}

/**
 * Where and how a task reaches a machine: `ansible_*` variables of the machine's host win over keywords,
 * keywords over flags (Ansible, "Controlling how Ansible behaves: precedence rules").
 * @param scope variables as seen for the machine's own inventory name
 */
export function targetOf(name: string, scope: Scope, task: Pick<Inherited, 'connection' | 'remoteUser' | 'port'>, options: Pick<RunOptions, 'defaults'>): Target {
  const reads = new Record();
  const own = (value: Value | undefined) => (value === undefined ? undefined : evaluate(value, scope));
  const keyword = (value: Value | undefined) => {
    const evaluated = own(value);
    return evaluated === undefined || evaluated === null ? undefined : text(evaluated);
  };
  const local = name === 'localhost' || name === '127.0.0.1' || name === '::1';
  const host = variable(scope, reads, 'ansible_host', 'ansible_ssh_host') ?? name;
  const kind =
    variable(scope, reads, 'ansible_connection') ??
    keyword(task.connection) ??
    options.defaults.connection ??
    (local && host === name ? 'local' : 'ssh');
  if (kind !== 'ssh' && kind !== 'local' && kind !== 'smart' && kind !== 'paramiko' && kind !== 'paramiko_ssh')
    throw new ContentError(`host ${name} wants connection "${kind}"`, undefined, 'Muster knows ssh and local');
  // How SSH logs in says nothing of this machine itself, and need not even make sense for it: the variables of `all` are localhost's too.
  const login = (...names: string[]) => (kind === 'local' ? undefined : variable(scope, reads, ...names));
  const number = (value: string | undefined, what: string) => {
    if (value === undefined) return undefined;
    const parsed = Number(value);
    if (!Number.isInteger(parsed) || parsed < 1 || parsed > 65535)
      throw new ContentError(`${what} of host ${name} is "${value}", not a port (1 to 65535)`);
    return parsed;
  };
  const checking = login('muster_host_key_checking', 'ansible_host_key_checking', 'ansible_ssh_host_key_checking');
  const { args, common, extra } = options.defaults.sshArgs ?? {};
  const ssh = kind === 'local' ? [] : [login('ansible_ssh_args') ?? args, login('ansible_ssh_common_args') ?? common, login('ansible_ssh_extra_args') ?? extra].filter((each) => each !== undefined && each !== '');
  const given = ssh.length > 0 ? sshArguments(ssh.join(' ')) : undefined;
  return {
    name,
    connection: kind === 'local' ? 'local' : 'ssh',
    host,
    port: number(login('ansible_port', 'ansible_ssh_port') ?? keyword(task.port), 'ansible_port') ?? options.defaults.port,
    user: login('ansible_user', 'ansible_ssh_user') ?? keyword(task.remoteUser) ?? options.defaults.remoteUser,
    password:
      login('ansible_password', 'ansible_ssh_password', 'ansible_ssh_pass') ?? options.defaults.connectionPassword,
    privateKeyFile:
      login('ansible_ssh_private_key_file', 'ansible_private_key_file') ?? options.defaults.privateKeyFile,
    ...(options.defaults.askPassphrase ? { askPassphrase: options.defaults.askPassphrase } : {}),
    connectTimeout: Number(login('ansible_ssh_timeout', 'ansible_timeout') ?? options.defaults.connectTimeout),
    hostKeyChecking: checking === undefined ? options.defaults.hostKeyChecking : hostKeyChecking(checking, name),
    sshConfigFile: login('muster_ssh_config_file') ?? given?.configFile ?? options.defaults.sshConfigFile,
    ...(given?.options ? { sshOptions: given.options } : {}),
    knownHostsFile: login('muster_known_hosts_file') ?? options.defaults.knownHostsFile,
    projectKnownHostsFile: options.defaults.projectKnownHostsFile,
  };
}

/** `yes`, `accept-new`, `off`, or a boolean in any of YAML's spellings. */
function hostKeyChecking(value: string, name: string): 'yes' | 'accept-new' | 'off' {
  const word = value.toLowerCase();
  if (word === 'accept-new') return 'accept-new';
  if (['yes', 'true', 'on', 'strict'].includes(word)) return 'yes';
  if (['no', 'false', 'off'].includes(word)) return 'off';
  throw new ContentError(`host key checking of host ${name} is "${value}"`, undefined, 'write yes, accept-new or off');
}

/** Who the task runs as, or undefined for the login user. */
export function becomeOf(name: string, scope: Scope, task: Pick<Inherited, 'become' | 'becomeUser' | 'becomeMethod' | 'becomeFlags' | 'becomeExe'>, options: Pick<RunOptions, 'defaults'>): Become | undefined {
  const reads = new Record();
  const wanted = variable(scope, reads, 'ansible_become') ?? undefined;
  const asked = wanted !== undefined ? truthy(wanted) : task.become !== undefined ? truthy(evaluate(task.become, scope)) : options.defaults.become;
  if (!asked) return undefined;
  const keyword = (value: Value | undefined) => {
    if (value === undefined) return undefined;
    const evaluated = evaluate(value, scope);
    return evaluated === null ? undefined : text(evaluated);
  };
  const named = variable(scope, reads, 'ansible_become_method') ?? keyword(task.becomeMethod) ?? options.defaults.becomeMethod ?? 'sudo';
  const method = named.replace(/^(?:ansible\.(?:builtin|legacy)|community\.general)\./, '');
  if (method !== 'sudo' && method !== 'su' && method !== 'doas')
    throw new ContentError(`host ${name} wants become method "${method}"`, undefined, 'Muster knows sudo, su and doas');
  return {
    method,
    user: variable(scope, reads, 'ansible_become_user') ?? keyword(task.becomeUser) ?? options.defaults.becomeUser ?? 'root',
    flags: variable(scope, reads, 'ansible_become_flags') ?? keyword(task.becomeFlags) ?? options.defaults.becomeFlags,
    exe: variable(scope, reads, 'ansible_become_exe') ?? keyword(task.becomeExe),
    password:
      variable(scope, reads, 'ansible_become_password', 'ansible_become_pass', 'ansible_sudo_pass') ?? options.defaults.becomePassword,
  };
}
