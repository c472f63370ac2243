import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sh } from '../shell/sh.js';
import { endGroup, makeGroup, members } from './cgroup.js';
import { baseImage } from './image.js';
import { debianSources, proxyPort } from './packages.js';
import { run, sleep } from './run.js';
import { bridgeName, disksDir, gateway, keyFile, type LabHost, type LabState } from './state.js';

/** Control groups of a host: its processes, and the loop that starts it again after a reboot. */
const group = (lab: string, host: string): string => `muster-${lab}/${host}`;
const loopGroup = (lab: string, host: string): string => `muster-${lab}/${host}.loop`;

/** Folder of a host's disk on this machine: `upper` (what differs from the base), `work`, `root` (the mount), `log`. */
export const diskDir = (lab: string, host: string): string => join(disksDir(lab), host);
export const snapshotDir = (lab: string, snapshot: string, host: string): string => join(disksDir(lab), '.snapshots', snapshot, host);

export async function isRunning(lab: string, host: string): Promise<boolean> {
  return (await members(group(lab, host))).length > 0;
}

/** Boots the host unless it runs; returns before it answers. */
export async function boot(lab: LabState, host: LabHost, say: (line: string) => void): Promise<void> {
  if (await isRunning(lab.name, host.name)) return;
  await endGroup(loopGroup(lab.name, host.name));
  const disk = diskDir(lab.name, host.name);
  const root = join(disk, 'root');
  if (!isMounted(root)) {
    const image = await baseImage(lab.name, host.suite, say);
    const ready = join(disk, 'ready'); // prepared to the end, not only begun
    for (const folder of ['upper', 'work', 'root']) await mkdir(join(disk, folder), { recursive: true });
    const lower = [...lab.base.map((snapshot) => snapshotDir(lab.name, snapshot, host.name)).reverse(), image].join(':');
    await run('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lower},upperdir=${join(disk, 'upper')},workdir=${join(disk, 'work')}`, root]);
    if (lab.base.length === 0 && !existsSync(ready)) {
      await prepare(lab, host, root);
      await writeFile(ready, '');
    }
  }
  await start(lab.name, host.name, root);
}

/** nspawn in a loop of its own session: with --keep-unit it leaves rebooting (status 133) to whoever started it. */
async function start(lab: string, host: string, root: string): Promise<void> {
  const outer = await makeGroup(loopGroup(lab, host));
  const inner = await makeGroup(group(lab, host));
  // The kernel takes a dead host's link away in its own time; nspawn would stumble over it.
  await run('ip', ['link', 'delete', `vb-${lab}-${host}`]).catch(() => {});
  const nspawn = sh`systemd-nspawn --quiet --boot --register=no --keep-unit --console=pipe --timezone=off --resolv-conf=off --link-journal=no --machine=${`${lab}-${host}`} --directory=${root} --network-bridge=${bridgeName(lab)}`;
  const script = sh`for g in ${outer}; do echo $$ > "$g/cgroup.procs"; done
while
  sh -c ${sh`for g in ${inner}; do echo $$ > "$g/cgroup.procs"; done; exec ${nspawn}`.text}
  [ $? = 133 ]
do :; done`;
  const log = openSync(join(diskDir(lab, host), 'log'), 'a');
  // Systemd of Debian 13 and later refuses the old control groups; with the new ones all boot.
  const env = { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' };
  spawn('/bin/sh', ['-c', script.text], { detached: true, stdio: ['ignore', log, log], cwd: '/', env }).unref();
  closeSync(log);
  // Until the processes have joined the group, the host does not look started.
  for (let tries = 0; tries < 100 && (await members(group(lab, host))).length === 0; tries++) await sleep(20);
}

/** Shuts the host down in order, within 60 seconds, else at once. */
export async function halt(lab: string, host: string): Promise<void> {
  for (const id of await members(group(lab, host))) if (commandName(id) === 'systemd-nspawn') process.kill(id, 'SIGTERM');
  for (let tries = 0; tries < 600 && (await isRunning(lab, host)); tries++) await sleep(100);
  await endGroup(loopGroup(lab, host));
  await endGroup(group(lab, host));
}

/** Takes the host away: processes, mount and disk. */
export async function remove(lab: string, host: string): Promise<void> {
  await endGroup(loopGroup(lab, host));
  await endGroup(group(lab, host));
  // The kernel takes a dead host's link away in its own time; the same host, booted meanwhile, would stumble over it.
  await run('ip', ['link', 'delete', `vb-${lab}-${host}`]).catch(() => {});
  await unmount(lab, host);
  await rm(diskDir(lab, host), { recursive: true, force: true });
}

export async function unmount(lab: string, host: string): Promise<void> {
  const root = join(diskDir(lab, host), 'root');
  while (isMounted(root)) await run('umount', ['--lazy', root]);
}

function isMounted(root: string): boolean {
  return readFileSync('/proc/self/mounts', 'utf8').split('\n').some((line) => line.split(' ')[1] === root);
}

function commandName(id: number): string {
  try {
    return readFileSync(`/proc/${id}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** What makes the base image this host: name, address, keys, where packages come from. */
async function prepare(lab: LabState, host: LabHost, root: string): Promise<void> {
  const write = async (path: string, text: string, mode = 0o644) => {
    await writeFile(join(root, path), text);
    await chmod(join(root, path), mode);
  };
  await write('etc/hostname', `${host.name}\n`);
  await write('etc/hosts', ['127.0.0.1 localhost', '::1 localhost', ...lab.hosts.map(({ name, address }) => `${address} ${name}`), ''].join('\n'));
  await write('etc/systemd/network/80-container-host0.network', `[Match]\nName=host0\n\n[Network]\nAddress=${host.address}/24\nLinkLocalAddressing=no\n`);
  await write('etc/resolv.conf', '# no route out, so no resolver: names are in /etc/hosts\n');
  const sources = await debianSources(host.suite);
  await rm(join(root, 'etc/apt/sources.list.d'), { recursive: true, force: true });
  await mkdir(join(root, 'etc/apt/sources.list.d'));
  await write('etc/apt/sources.list', `${sources.join('\n').replaceAll('https://', 'http://')}\n`);
  const frozen = host.suite === 'sid' ? 'Acquire::Check-Valid-Until "false";\n' : '';
  await write('etc/apt/apt.conf.d/80lab', `Acquire::http::Proxy "http://${gateway(lab.net)}:${proxyPort}";\n${frozen}`);
  await rm(join(root, 'var/lib/apt/lists'), { recursive: true, force: true }); // as on a machine installed long ago
  await mkdir(join(root, 'var/lib/apt/lists'));
  for (const type of ['ed25519', 'ecdsa']) {
    await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', host.name, '-f', join(root, `etc/ssh/ssh_host_${type}_key`)]);
  }
  const key = await readFile(`${keyFile(lab.project, lab.name)}.pub`, 'utf8');
  for (const [home, id] of [['root', 0], ['home/muster', 1000]] as const) {
    await mkdir(join(root, home, '.ssh'), { recursive: true, mode: 0o700 });
    await write(join(home, '.ssh/authorized_keys'), key, 0o600);
    await run('chown', ['-R', `${id}:${id}`, join(root, home, '.ssh')]);
  }
}

/** Lines for known_hosts: the keys on the host's disk, under its name and its address. */
export async function knownHosts(lab: LabState, host: LabHost): Promise<string[]> {
  const root = join(diskDir(lab.name, host.name), 'root');
  const keys = await Promise.all(['ed25519', 'ecdsa'].map((type) => readFile(join(root, `etc/ssh/ssh_host_${type}_key.pub`), 'utf8')));
  return keys.map((key) => `${host.name},${host.address} ${key.split(' ').slice(0, 2).join(' ')}`);
}
