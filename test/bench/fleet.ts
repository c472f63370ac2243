import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, keygen } from '../connection/sshd.js';
import { need } from '../connection/shells.js';

/** Benches at the same time have an account each. */
const USER = `bench${process.pid}`;

/** Many addresses with one sshd behind them, and an ordinary account on it. */
export interface Fleet {
  /** Whatever the bench writes; gone with the fleet. */
  folder: string;
  /** Home of the account, which all hosts share. */
  home: string;
  port: number;
  user: string;
  key: string;
  hostKey: string;
  stop(): void;
}

/**
 * Starts an sshd that answers at every address of 127.0.0.0/8, to nobody from elsewhere.
 * @param config further lines of its configuration
 */
export async function startFleet(config = ''): Promise<Fleet> {
  need('sshd', 'openssh-server', 'ssh');
  const folder = mkdtempSync(join(tmpdir(), 'muster-fleet-'));
  execFileSync('chmod', ['755', folder]);
  mkdirSync('/run/sshd', { recursive: true });
  const home = join(folder, 'home');
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true });
    execFileSync('sh', ['-c', `userdel --force ${USER} 2>/dev/null || :`]);
  };
  execFileSync('sh', ['-c', `userdel --force ${USER} 2>/dev/null || :`]);
  // Without PAM sshd refuses accounts whose password is locked by "!".
  execFileSync('useradd', ['--password', '*', '--no-create-home', '--home-dir', home, '--shell', '/bin/sh', USER]);
  mkdirSync(home);
  chownSync(home, Number(execFileSync('id', ['-u', USER]).toString()), Number(execFileSync('id', ['-g', USER]).toString()));
  const hostKey = keygen(join(folder, 'host'));
  const key = keygen(join(folder, 'user'));
  const port = await freePort();
  writeFileSync(
    join(folder, 'sshd_config'),
    `ListenAddress 0.0.0.0
Port ${port}
HostKey ${hostKey}
PidFile none
AuthorizedKeysFile ${key}.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers ${USER}@127.0.0.0/8
StrictModes no
UsePAM no
UseDNS no
MaxStartups 5000
PrintMotd no
Subsystem sftp internal-sftp
${config}
`,
  );
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    let log = '';
    sshd.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes('Server listening')) resolve();
    });
    sshd.once('exit', () => reject(new Error(`sshd: ${log}`)));
  }).catch((error: unknown) => {
    remove();
    throw error;
  });
  sshd.stderr.resume();
  const stop = (): void => {
    process.removeListener('exit', stop);
    sshd.kill('SIGTERM');
    remove();
  };
  process.once('exit', stop);
  const shown = readFileSync(`${hostKey}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
  return { folder, home, port, user: USER, key, hostKey: shown, stop };
}

/** 127.1.0.1, 127.1.0.2 …: each a host of its own. */
export function address(index: number): string {
  return `127.1.${index >> 8}.${index & 255}`;
}

/** Writes an inventory of so many hosts, and the known_hosts that goes with it. @returns the inventory */
export function inventoryOf(fleet: Fleet, count: number, port = fleet.port): string {
  const hosts = Array.from({ length: count }, (_, i) => address(i + 1));
  const known = join(fleet.folder, `known_hosts-${count}-${port}`);
  writeFileSync(known, hosts.map((host) => `[${host}]:${port} ${fleet.hostKey}\n`).join(''));
  const file = join(fleet.folder, `hosts-${count}-${port}.yml`);
  writeFileSync(
    file,
    `all:
  vars:
    ansible_user: ${fleet.user}
    ansible_port: ${port}
    ansible_ssh_private_key_file: ${fleet.key}
    muster_known_hosts_file: ${known}
  hosts:
${hosts.map((host, i) => `    host${i + 1}: {ansible_host: ${host}}\n`).join('')}`,
  );
  return file;
}
