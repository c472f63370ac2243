import { setTimeout as sleep } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import { spawn } from 'node:child_process';
import { createConnection } from 'node:net';
import { Duplex } from 'node:stream';
import { NodeSSH } from 'node-ssh';
import type { Client, ClientChannel, ServerHostKeyAlgorithm } from 'ssh2';
import type { Sh } from '../shell/sh.js';
import { Authentication } from './authentication.js';
import { ConnectionError, type Target } from './connection.js';
import { check, fingerprint, hostName, keyType, knownTypes, readKnownHosts, remember, type KnownHost } from './known-hosts.js';
import { ShellConnection, type Remote } from './shell-connection.js';
import { jumpTarget, settings, type SshSettings } from './ssh-config.js';

/** In the order they are asked for where nothing is known of the host. */
const HOST_KEYS: ServerHostKeyAlgorithm[] = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'];

/** Attempts where sshd hangs up before it has said who it is (MaxStartups), and the first pause between them. */
const ATTEMPTS = 6;
const PAUSE_MS = 250;

/** How long a host may take to close a link we are done with. */
const FAREWELL_MS = 1000;

/** An authenticated link, and how to let go of it. */
interface Link {
  client: Client;
  /** What it travels over. */
  sock: Duplex;
  /** That making it took, for whoever had it made. */
  roundTrips: number;
  release(): void;
}

/** A machine over ssh. One link, made at the first need and made anew after it broke. */
export class SshConnection extends ShellConnection {
  protected readonly login: string;
  /** The channel (RFC 4254, 5.1), then the command (6.5). */
  protected readonly opening = 2;
  readonly #settings: SshSettings;
  #link: Promise<Link> | undefined;

  constructor(private readonly target: Target) {
    super(target.name);
    this.#settings = settings(target);
    this.login = this.#settings.user;
  }

  protected async exec(command: Sh): Promise<Remote> {
    const { client, sock } = await this.#connected();
    const channel = await opened<ClientChannel>(this.name, client, 'run a command', (done) => client.exec(command.text, done));
    return remote(channel, client, sock);
  }

  protected async forward(target: { socket: string } | { host: string; port: number }): Promise<Duplex> {
    const { client } = await this.#connected();
    if ('port' in target) return await opened(this.name, client, `reach ${target.host}:${target.port}`, (done) => client.forwardOut('127.0.0.1', 0, target.host, target.port, done));
    try {
      return await opened<Duplex>(this.name, client, `reach ${target.socket}`, (done) => client.openssh_forwardOutStreamLocal(target.socket, done));
    } catch {
      // sshd may forbid forwarding, and does not say what else is wrong: a bridge gets through, or tells why.
      return await this.bridge(undefined, target.socket);
    }
  }

  protected async disconnect(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.then((made) => made.release()).catch(() => undefined);
  }

  async #connected(): Promise<Link> {
    if (!this.#link) {
      const start = performance.now();
      const link = connectLink(this.target, this.#settings, 0).finally(() => (this.counters.connecting += performance.now() - start));
      this.#link = link;
      const forget = (): void => {
        if (this.#link === link) this.#link = undefined;
      };
      link.then(({ client, roundTrips }) => {
        this.counters.roundTrips += roundTrips;
        client.once('close', forget);
      }, forget);
    }
    return await this.#link;
  }
}

/** Links to jump hosts, shared by all connections of this process that go through them. */
const jumpLinks = new Map<string, { link: Promise<Link>; users: number }>();

async function connectLink(target: Target, wanted: SshSettings, depth: number): Promise<Link> {
  if (wanted.jumps.length === 0) return await login(wanted, undefined);
  if (depth > 8) throw new ConnectionError('protocol', `${wanted.name}: ProxyJump leads in a circle`, 'correct ssh_config');
  const hop = jumpTarget(wanted.jumps.at(-1)!, target);
  const through = settings(hop);
  if (wanted.jumps.length > 1) through.jumps = wanted.jumps.slice(0, -1);
  if (depth === 0 && through.jumps.length === 0 && through.host === wanted.host && through.port === wanted.port && through.user === wanted.user) return await login(wanted, undefined);
  const jump = await sharedJump(hop, through, depth + 1);
  try {
    const stream = await opened<Duplex>(wanted.name, jump.client, `reach ${wanted.host}:${wanted.port} through ${through.host}`, (done) =>
      jump.client.forwardOut('127.0.0.1', 0, wanted.host, wanted.port, done),
    );
    const link = await login(wanted, stream);
    return { client: link.client, sock: link.sock, roundTrips: jump.roundTrips + link.roundTrips, release: () => (link.release(), jump.release()) };
  } catch (error) {
    jump.release();
    throw error;
  }
}

async function sharedJump(hop: Target, through: SshSettings, depth: number): Promise<Link> {
  const key = JSON.stringify([through.user, through.host, through.port, through.jumps, through.knownHosts, through.hostKeyChecking]);
  let shared = jumpLinks.get(key);
  const isFirst = shared === undefined;
  if (!shared) {
    shared = { link: connectLink(hop, through, depth), users: 0 };
    jumpLinks.set(key, shared);
    const entry = shared;
    const forget = (): void => {
      if (jumpLinks.get(key) === entry) jumpLinks.delete(key);
    };
    shared.link.then(({ client }) => client.once('close', forget), forget);
  }
  const mine = shared;
  mine.users++;
  const link = await mine.link;
  let released = false;
  return {
    client: link.client,
    sock: link.sock,
    roundTrips: isFirst ? link.roundTrips : 0,
    release() {
      if (released) return;
      released = true;
      if (--mine.users > 0) return;
      if (jumpLinks.get(key) === mine) jumpLinks.delete(key);
      link.release();
    },
  };
}

/** Logs in; again, with growing pauses, where sshd hung up before it said who it is. */
async function login(wanted: SshSettings, through: Duplex | undefined): Promise<Link> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await attemptLogin(wanted, through);
    if ('link' in outcome) return outcome.link;
    if (!outcome.early || through || attempt === ATTEMPTS) throw outcome.error;
    await sleep(PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
  }
}

async function attemptLogin(wanted: SshSettings, through: Duplex | undefined): Promise<{ link: Link } | { error: ConnectionError; early: boolean }> {
  const authentication = new Authentication(wanted);
  await authentication.prepare();
  const { host, port, user, hostKeyAlias, keepalive } = wanted;
  const known = hostKeyAlias ?? hostName(host, port);
  const entries = readKnownHosts([...wanted.knownHosts, ...wanted.globalKnownHosts]).of(known);
  let refused: ConnectionError | undefined;
  let met = false;
  const ssh = new NodeSSH();
  const proxy = through || wanted.proxyCommand === undefined ? undefined : proxied(wanted.proxyCommand);
  const sock = through ?? proxy?.stream ?? createConnection({ host, port });
  const exchanges = counted(sock);
  const connecting = ssh.connect({
    sock: sock as never,
    username: user,
    readyTimeout: wanted.connectTimeout * 1000,
    keepaliveInterval: keepalive.interval * 1000,
    keepaliveCountMax: keepalive.count,
    algorithms: { serverHostKey: hostKeyOrder(knownTypes(entries)), compress: ['none'] },
    authHandler: ((left: string[] | null) => authentication.next(left)) as never,
    hostVerifier: (key: Buffer) => {
      met = true;
      refused = hostKeyProblem(wanted, known, key, entries);
      return refused === undefined;
    },
  });
  const client = ssh.connection!;
  // After the login nobody else listens; the loss is told by `close`.
  client.on('error', () => undefined);
  client.setMaxListeners(0);
  leaveKeysUnproven(client);
  try {
    await connecting;
  } catch (error) {
    client.destroy();
    await proxy?.end();
    if (refused) return { error: refused, early: false };
    const why = proxy?.said();
    if (why && !met) return { error: new ConnectionError('route', `${wanted.name}: ProxyCommand (${wanted.proxyCommand}): ${why}`, 'run it by hand'), early: false };
    return { error: classify(error as ClientError, wanted, authentication), early: !met && hungUp(error as ClientError) };
  }
  if (proxy) client.once('close', () => void proxy.end());
  else if (!through) client.setNoDelay(true);
  return { link: { client, sock, roundTrips: 1 + exchanges(), release: () => leave(client) } };
}

/** The way to a host through a command (ssh_config(5), ProxyCommand). */
function proxied(command: string): { stream: Duplex; said(): string; end(): Promise<unknown> } {
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (piece: Buffer) => (said = (said + piece.toString()).slice(-500)));
  const over = new Promise((resolve) => child.once('close', resolve));
  return { stream: Duplex.from({ readable: child.stdout, writable: child.stdin }), said: () => said.trim(), end: () => (child.kill(), over) };
}

/**
 * ssh2 has every host prove all the keys it shows after the login (OpenSSH's PROTOCOL, 2.5), in case somebody wants to keep
 * them. Nobody does, and it costs both sides a signature for each key. There is no option: where its handlers are no longer
 * what they were, the keys are proven.
 */
function leaveKeysUnproven(client: Client): void {
  type Handler = (protocol: unknown, name: string, ...rest: unknown[]) => void;
  const handlers = (client as unknown as { _protocol?: { _handlers?: { GLOBAL_REQUEST?: Handler } } })._protocol?._handlers;
  const handler = handlers?.GLOBAL_REQUEST;
  if (handlers && handler) handlers.GLOBAL_REQUEST = (protocol, name, ...rest) => (name === 'hostkeys-00@openssh.com' ? undefined : handler(protocol, name, ...rest));
}

/** Counts how often a stream is spoken to anew after it has answered: each step of a login waits for the one before. */
function counted(stream: Duplex): () => number {
  let count = 0;
  let heard = true;
  const [push, write] = [stream.push.bind(stream), stream.write.bind(stream) as (...args: unknown[]) => boolean];
  stream.push = (...args) => ((heard = true), push(...args));
  stream.write = ((...args: unknown[]) => {
    if (heard) count++;
    heard = false;
    return write(...args);
  }) as typeof stream.write;
  return () => {
    Object.assign(stream, { push, write });
    return count;
  };
}

/** Says goodbye, and does not wait for a host that no longer hears it (a reboot). */
function leave(client: Client): void {
  client.end();
  const impatience = setTimeout(() => client.destroy(), FAREWELL_MS);
  client.once('close', () => clearTimeout(impatience));
}

/** RSA keys are one type with three signature algorithms. */
function hostKeyOrder(types: string[]): ServerHostKeyAlgorithm[] {
  const isKnown = (algorithm: string): boolean => types.includes(algorithm.startsWith('rsa-') ? 'ssh-rsa' : algorithm);
  return [...HOST_KEYS.filter(isKnown), ...HOST_KEYS.filter((algorithm) => !isKnown(algorithm))];
}

function hostKeyProblem(wanted: SshSettings, known: string, key: Buffer, entries: readonly KnownHost[]): ConnectionError | undefined {
  const { name, host, port } = wanted;
  const verdict = check(entries, key);
  const shown = `${keyType(key)} ${fingerprint(key)}`;
  const fail = (message: string, remedy: string): ConnectionError => new ConnectionError('host-key', `${name}: ${message}`, remedy);
  if (verdict.status === 'known' && !wanted.judgeHostKey) return undefined;
  if (verdict.status === 'revoked') return fail(`the key of ${host} (${shown}) is revoked by ${verdict.by.file}:${verdict.by.line}`, 'give the host a new key');
  if (wanted.judgeHostKey) return wanted.judgeHostKey(known, key, verdict);
  if (wanted.hostKeyChecking === 'off') return undefined;
  if (verdict.status === 'changed') {
    const places = verdict.known.map((entry) => `${entry.file}:${entry.line} (${entry.type} ${fingerprint(entry.key)})`).join(', ');
    return fail(
      `the key of ${host} has changed: it shows ${shown}, on record is ${places}. Somebody may be listening in`,
      `if the host was set up anew, drop the old key: ssh-keygen -R '${known}' -f ${verdict.known[0]!.file}`,
    );
  }
  if (verdict.status === 'certificate')
    return fail(
      `${host} is known by a certificate authority only (${verdict.by.file}:${verdict.by.line}), and this client cannot check host certificates`,
      `put its plain key into ${wanted.knownHosts[0] ?? 'known_hosts'}: ${known} ${keyType(key)} ${key.toString('base64')}`,
    );
  const file = wanted.knownHosts[0];
  if (wanted.hostKeyChecking === 'accept-new' && file !== undefined) {
    remember(file, known, key, wanted.hashKnownHosts);
    return undefined;
  }
  return fail(
    `the key of ${host} is not known: ${shown}`,
    `compare the fingerprint with the host's own, then: ssh-keyscan -t ${keyType(key).replace(/^ssh-|-.*$/g, '')} -p ${port} ${host} >> ${file ?? '~/.ssh/known_hosts'} (or once with --host-key-checking accept-new)`,
  );
}

type ClientError = Error & { code?: string; level?: string };

/** sshd closed the connection, which it does when too many are logging in. */
function hungUp(error: ClientError): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE' || /connection lost before handshake|no response from server|connection ended/i.test(error.message);
}

function classify(error: ClientError, { name, host, port, connectTimeout }: SshSettings, authentication: Authentication): ConnectionError {
  const at = `${host}:${port}`;
  const fail = (kind: ConnectionError['kind'], message: string, remedy: string): ConnectionError => new ConnectionError(kind, `${name}: ${message}`, remedy);
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
      return fail('name', `the name ${host} has no address (${error.code})`, 'correct the inventory name or ansible_host, or the name service');
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return fail('route', `there is no way to ${at} (${error.code})`, 'is the host up, and are the network and its routes right?');
    case 'ECONNREFUSED':
      return fail('refused', `${at} refuses connections`, 'does sshd run there, on that port (ansible_port)?');
    case 'ETIMEDOUT':
      return fail('timeout', `${at} does not answer`, 'is the host up? a firewall may swallow the packets');
  }
  if (error.level === 'client-timeout') return fail('timeout', `${at} did not let us in within ${connectTimeout} s`, 'is the host up and not overloaded? raise it with --timeout');
  if (error.level === 'client-authentication') return authentication.failure();
  if (authentication.tried.length > 0 && (hungUp(error) || /too many authentication failures/i.test(error.message))) return authentication.failure();
  if (hungUp(error)) return fail('refused', `${at} hangs up before the login (${error.message})`, "sshd may be overloaded (MaxStartups) or may have shut us out (fail2ban, PerSourcePenalties): see the host's log");
  return fail('protocol', `${at}: ${error.message}`, 'does sshd run there, and does it share algorithms with us?');
}

/** A channel of the link. @throws ConnectionError */
async function opened<T>(name: string, client: Client, what: string, open: (done: (error: Error | undefined, channel: T) => void) => void): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const lost = (): void => reject(new ConnectionError('lost', `${name}: the connection was lost`, 'run again'));
    const failed = (error: Error): void => {
      if (/not connected|no response/i.test(error.message)) return lost();
      reject(new ConnectionError('refused', `${name}: sshd does not let us ${what}: ${error.message}`, 'see MaxSessions, AllowTcpForwarding and AllowStreamLocalForwarding in its sshd_config'));
    };
    client.once('close', lost);
    try {
      open((error, channel) => {
        client.removeListener('close', lost);
        if (error) failed(error);
        else resolve(channel);
      });
    } catch (error) {
      client.removeListener('close', lost);
      failed(error as Error);
    }
  });
}

function remote(channel: ClientChannel, client: Client, sock: Duplex): Remote {
  let over = (): void => undefined;
  const ended = new Promise<{ code: number | null }>((resolve) => {
    let code: number | null = null;
    over = (): void => {
      client.removeListener('close', lost);
      resolve({ code });
    };
    // What the channel still holds is read first.
    const lost = (): void => void setImmediate(over);
    channel.once('exit', (status: number | null) => (code = status ?? 255));
    channel.once('close', over);
    client.once('close', lost);
  });
  channel.on('error', () => undefined);
  // ssh2 writes each packet (32 KiB) by itself.
  const write = (chunk: Buffer): Promise<unknown> => {
    sock.cork();
    const written = new Promise((resolve) => channel.write(chunk, resolve));
    sock.uncork();
    return written;
  };
  return { stdin: channel, write, stdout: channel, stderr: channel.stderr, ended, close: () => (channel.close(), over()) };
}
