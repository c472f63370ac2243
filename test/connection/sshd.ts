import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '../../src/connection/connection.js';
import { need } from './shells.js';

/** A real sshd on loopback with keys of its own, and a key that root may log in with. */
export interface Sshd {
  folder: string;
  port: number;
  /** Private key file that is let in as root. */
  key: string;
  /** A file that knows the host. */
  knownHosts: string;
  process: ChildProcess;
  stop(): void;
}

export async function startSshd(options: { config?: string; hostKey?: string; port?: number } = {}): Promise<Sshd> {
  need('sshd', 'openssh-server', 'ssh');
  const folder = mkdtempSync(join(tmpdir(), 'muster-sshd-'));
  mkdirSync('/run/sshd', { recursive: true });
  const hostKey = options.hostKey ?? keygen(join(folder, 'host'));
  const key = keygen(join(folder, 'user'));
  writeFileSync(join(folder, 'authorized_keys'), readFileSync(`${key}.pub`));
  const port = options.port ?? (await freePort());
  writeFileSync(
    join(folder, 'sshd_config'),
    [
      `ListenAddress 127.0.0.1`,
      `Port ${port}`,
      `HostKey ${hostKey}`,
      `PidFile none`,
      `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
      `StrictModes no`,
      `PermitRootLogin yes`,
      `UsePAM no`,
      options.config ?? '',
      '',
    ].join('\n'),
  );
  // A host of its own as far as Muster's locks and marks go: several are up at once.
  const places = ['/run/muster', '/var/lib/muster'].map((place, i) => {
    mkdirSync(place, { recursive: true });
    mkdirSync(join(folder, String(i)));
    return `mount --bind ${join(folder, String(i))} ${place}`;
  });
  const script = `${places.join(' && ')} && exec /usr/sbin/sshd -D -e -f ${join(folder, 'sshd_config')}`;
  const process = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  process.stderr!.on('data', (chunk: Buffer) => (log += chunk.toString()));
  while (!log.includes('Server listening')) {
    if (process.exitCode !== null) throw new Error(`sshd: ${log}`);
    await sleep(20);
  }
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${readFileSync(`${hostKey}.pub`, 'utf8')}`);
  return {
    folder,
    port,
    key,
    knownHosts,
    process,
    stop() {
      process.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** How to reach it, with nothing of the machine's own configuration. */
export function targetOf(sshd: Sshd, more: Partial<Target> = {}): Target {
  return {
    name: 'box',
    connection: 'ssh',
    host: '127.0.0.1',
    port: sshd.port,
    user: 'root',
    password: undefined,
    privateKeyFile: sshd.key,
    connectTimeout: 20,
    hostKeyChecking: undefined,
    sshConfigFile: '/dev/null',
    knownHostsFile: sshd.knownHosts,
    ...more,
  };
}

/** @returns the path given */
export function keygen(path: string, ...options: string[]): string {
  need('ssh-keygen', 'openssh-client');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path, ...options]);
  return path;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A user with a password who is taken away again, and what sudo lets them do. */
export function makeUser(name: string, password: string, sudoers?: string): { remove(): void } {
  need('sudo', 'sudo');
  execFileSync('useradd', ['--no-create-home', '--home-dir', '/tmp', '--shell', '/bin/sh', name]);
  execFileSync('chpasswd', { input: `${name}:${password}\n` });
  const file = `/etc/sudoers.d/${name}`;
  if (sudoers !== undefined) {
    writeFileSync(file, `${name} ${sudoers}\n`);
    chmodSync(file, 0o440);
  }
  return {
    remove() {
      rmSync(file, { force: true });
      execFileSync('userdel', ['--force', name], { stdio: 'ignore' });
    },
  };
}

