import { existsSync, readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import SSHConfig from 'ssh-config';
import { globPaths } from '../value/glob.js';
import { ConnectionError, type Target } from './connection.js';

/** How to reach one host, with ssh_config taken into account. */
export interface SshSettings {
  /** Inventory name, for messages. */
  name: string;
  host: string;
  port: number;
  user: string;
  password: string | undefined;
  /** The key the target names: tried first, and it must be there. */
  key: string | undefined;
  /** Further keys, tried where they are there. */
  identities: string[];
  /** Of the agent's keys, only those named above are offered. */
  identitiesOnly: boolean;
  /** Socket of the agent. */
  agent: string | undefined;
  /** `[user@]host[:port]`, the first is reached directly. */
  jumps: string[];
  /** Command of a shell whose standard input and output lead to the host. */
  proxyCommand: string | undefined;
  connectTimeout: number;
  hostKeyChecking: 'yes' | 'accept-new' | 'off';
  /** The name the host's key is kept under instead of its own. */
  hostKeyAlias: string | undefined;
  /** The first is where new keys are written to. */
  knownHosts: string[];
  globalKnownHosts: string[];
  hashKnownHosts: boolean;
  /** Seconds between signs of life, and how many may go unanswered. */
  keepalive: { interval: number; count: number };
  judgeHostKey: Target['judgeHostKey'];
  askPassphrase: Target['askPassphrase'];
}

export function settings(target: Target): SshSettings {
  const home = homedir();
  const local = userInfo().username;
  const config = lookUp(target, home);
  const one = (key: string): string | undefined => [config[key.toLowerCase()]].flat()[0];
  const many = (key: string): string[] => [config[key.toLowerCase()] ?? []].flat();

  const host = expand(one('HostName') ?? target.host, { h: target.host });
  const port = target.port ?? number(one('Port')) ?? 22;
  const user = target.user ?? one('User') ?? local;
  const tokens = { h: host, p: String(port), r: user, n: target.host, d: home, u: local };
  const file = (path: string): string => expand(path.replace(/^~(?=\/|$)/, home).replaceAll('${HOME}', home), tokens);

  const command = one('ProxyCommand');
  const jumps = (one('ProxyJump') ?? 'none') === 'none' ? [] : many('ProxyJump').join(',').split(/\s*,\s*/);

  const checking = one('StrictHostKeyChecking')?.toLowerCase();
  const agent = one('IdentityAgent');
  const identities = many('IdentityFile').filter((path) => path !== 'none');
  const knownHosts = target.knownHostsFile !== undefined ? [target.knownHostsFile] : many('UserKnownHostsFile');
  const pinned = target.knownHostsFile === undefined && target.projectKnownHostsFile !== undefined ? [target.projectKnownHostsFile] : [];
  const globalKnownHosts = many('GlobalKnownHostsFile');
  return {
    name: target.name,
    host,
    port,
    user,
    password: target.password,
    key: target.privateKeyFile && file(target.privateKeyFile),
    identities: (identities.length > 0 ? identities : ['id_ed25519', 'id_ecdsa', 'id_rsa'].map((name) => join(home, '.ssh', name))).map(file),
    identitiesOnly: one('IdentitiesOnly')?.toLowerCase() === 'yes',
    agent: agent === 'none' ? undefined : agent === undefined || agent === 'SSH_AUTH_SOCK' ? process.env.SSH_AUTH_SOCK || undefined : file(agent),
    jumps,
    proxyCommand: command === undefined || command === 'none' || jumps.length > 0 ? undefined : expand(command, tokens),
    connectTimeout: target.connectTimeout || number(one('ConnectTimeout')) || 10,
    hostKeyChecking:
      target.hostKeyChecking ?? (checking === 'accept-new' ? 'accept-new' : checking === 'no' || checking === 'off' ? 'off' : 'yes'),
    hostKeyAlias: one('HostKeyAlias'),
    knownHosts: [...(knownHosts.length > 0 ? knownHosts : ['~/.ssh/known_hosts', '~/.ssh/known_hosts2']).filter((path) => path !== 'none').map(file), ...pinned],
    globalKnownHosts: (globalKnownHosts.length > 0 ? globalKnownHosts : ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2']).map(file),
    hashKnownHosts: one('HashKnownHosts')?.toLowerCase() === 'yes',
    keepalive: { interval: number(one('ServerAliveInterval')) || 15, count: number(one('ServerAliveCountMax')) ?? 3 },
    judgeHostKey: target.judgeHostKey,
    askPassphrase: target.askPassphrase,
  };
}

/** A hop of ProxyJump as a target: by the user's ssh_config, with nothing of the target's own password and key. */
export function jumpTarget(hop: string, target: Target): Target {
  const match = /^(?:ssh:\/\/)?(?:([^@]+)@)?(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(hop);
  if (!match) throw new ConnectionError('protocol', `${target.name}: ProxyJump "${hop}" is not [user@]host[:port]`, 'correct ssh_config');
  const [, user, host, port] = match;
  return { ...target, host: host!.replace(/^\[|\]$/g, ''), port: number(port), user, password: undefined, privateKeyFile: undefined, judgeHostKey: undefined, sshOptions: undefined };
}

/** Keys in lower case; the first value of each wins (ssh_config(5)), except of those that add up. */
function lookUp(target: Target, home: string): Record<string, string | string[]> {
  const files = target.sshConfigFile !== undefined ? [target.sshConfigFile] : [join(home, '.ssh/config'), '/etc/ssh/ssh_config'];
  const text = (target.sshOptions === undefined ? '' : `${target.sshOptions}\nHost *\n`) + files.map((path) => included(path, path.startsWith('/etc/ssh') ? '/etc/ssh' : join(home, '.ssh'), home, 0)).join('\nHost *\n');
  // Match exec would run commands while an inventory is read: such a section does not apply.
  return parsed(text).compute({ Host: target.host, ...(target.user !== undefined && { User: target.user }) }, { ignoreCase: true, matchExec: false }) as Record<string, string | string[]>;
}

const configs = new Map<string, SSHConfig>();

/** Once for each text, however many hosts are looked up in it. */
function parsed(text: string): SSHConfig {
  let config = configs.get(text);
  if (!config) configs.set(text, (config = SSHConfig.parse(text)));
  return config;
}

/** The text of a file with those it includes in their places; after each, the section it stands in goes on. */
function included(path: string, base: string, home: string, depth: number): string {
  if (!existsSync(path)) return '';
  const text = readFileSync(path, 'utf8');
  if (depth > 16) throw new ConnectionError('protocol', `${path}: ssh_config includes itself`, 'correct Include');
  let section = 'Host *';
  return text
    .split('\n')
    .map((line) => {
      if (/^\s*(host|match)[\s=]/i.test(line)) section = line;
      const include = /^\s*include[\s=]+(.*)$/i.exec(line);
      if (!include) return line;
      const names = (include[1]!.match(/"[^"]*"|\S+/g) ?? []).map((name) => name.replaceAll('"', '').replace(/^~(?=\/)/, home));
      return [...names.flatMap((name) => globPaths(isAbsolute(name) ? name : join(base, name))).map((name) => included(name, base, home, depth + 1)), section].join('\n');
    })
    .join('\n');
}

function expand(text: string, tokens: Record<string, string>): string {
  return text.replace(/%([a-zA-Z%])/g, (whole, letter: string) => (letter === '%' ? '%' : tokens[letter] ?? whole));
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
