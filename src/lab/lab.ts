import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endGroup } from './cgroup.js';
import { boot, diskDir, halt, isRunning, knownHosts, remove, snapshotDir, unmount } from './host.js';
import { baseImage } from './image.js';
import { fetchNeeds } from './needs.js';
import { debianSources, startProxy } from './packages.js';
import { LabError, run, sleep } from './run.js';
import * as state from './state.js';
import type { LabState } from './state.js';

export { LabError } from './run.js';
export { keyFile, knownHostsFile, readState, sshConfigFile, stateDir, type LabHost, type LabState } from './state.js';

export interface LabOptions {
  /** Up to 10 small letters, digits, dashes; taken once per machine. */
  name: string;
  /** `suite` is Debian's, `bookworm` unless said otherwise. */
  hosts: readonly { name: string; suite?: string }[];
  /** Folder whose `.muster/lab/NAME` holds keys and state; the working folder unless said otherwise. */
  project?: string;
  /** Begin with the disks of this snapshot, whatever the hosts hold now. */
  from?: string;
  /** Told what takes long, one line each. */
  say?: (line: string) => void;
}

/**
 * Boots the lab's hosts and waits until all answer SSH. What runs already is left running; run again after a
 * failure or a kill, it goes on from what stands.
 * @throws LabError where there is no root or no Linux, when the name is another project's, when a host does not answer
 */
export async function labUp(options: LabOptions): Promise<LabState> {
  const { name, say = () => {}, project = process.cwd() } = options;
  state.checkName('lab', name);
  for (const host of options.hosts) state.checkName('host', host.name);
  await fetchNeeds(say);
  await claim(project, name);
  const before = await state.readState(project, name);
  const net = before?.net ?? state.subnet(name, isTaken);
  const hosts = options.hosts.map((host, i) => ({ suite: 'bookworm', ...host, address: state.address(net, i) }));
  const lab: LabState = { name, net, hosts, project, base: before?.base ?? [] };
  if (before && JSON.stringify(before.hosts) !== JSON.stringify(hosts)) {
    throw new LabError(`lab ${name} is up with other hosts (${before.hosts.map((host) => host.name).join(' ')}); take it down first: muster lab down --name ${name}`);
  }
  if (options.from !== undefined) await reset(lab, options.from);
  await state.writeState(lab);
  await makeKey(lab);
  await makeBridge(lab);
  for (const suite of new Set(hosts.map((host) => host.suite))) await baseImage(name, suite, say);
  await startProxy(name, state.gateway(net), (await Promise.all([...new Set(hosts.map((host) => host.suite))].map(debianSources))).flat());
  await Promise.all(hosts.map((host) => boot(lab, host, say)));
  await writeSshFiles(lab);
  await Promise.all(hosts.map((host) => untilReady(lab, host.name)));
  return lab;
}

/**
 * Takes the lab away: processes, mounts, bridge, disks, snapshots, state. Works from what is found on this machine,
 * so it also clears up after a lab that was killed half-made. Images and packages are kept for the next one.
 */
export async function labDown(options: { name: string; project?: string }): Promise<void> {
  const { name, project = process.cwd() } = options;
  state.checkName('lab', name);
  if (process.getuid?.() !== 0) throw new LabError('taking a lab down needs root (sudo)');
  const owner = ownerOf(name);
  if (owner !== undefined && owner !== project && existsSync(owner)) throw new LabError(`lab ${name} belongs to ${owner}: take it down from there`);
  const disks = state.disksDir(name);
  const hosts = existsSync(disks) ? (await readdir(disks, { withFileTypes: true })).filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')) : [];
  await Promise.all(hosts.map((host) => remove(name, host.name)));
  await endGroup(`muster-${name}`);
  if (hasBridge(name)) {
    await dropLinks(name);
    await run('ip', ['link', 'delete', state.bridgeName(name)]);
  }
  await rm(state.stateDir(project, name), { recursive: true, force: true });
  await rm(disks, { recursive: true, force: true });
}

/** The lab's state with what runs now; undefined when there is no such lab in the project. */
export async function labStatus(options: { name: string; project?: string }): Promise<(LabState & { running: string[] }) | undefined> {
  const lab = await state.readState(options.project ?? process.cwd(), options.name);
  if (!lab) return undefined;
  const running = await Promise.all(lab.hosts.map(async (host) => ((await isRunning(lab.name, host.name)) ? [host.name] : [])));
  return { ...lab, running: running.flat() };
}

/** Arguments of the system's `ssh` to a host of the lab, known_hosts verified, as user `muster` (sudo without a password). */
export function labSsh(lab: LabState, host: string, command: readonly string[] = []): string[] {
  if (!lab.hosts.some(({ name }) => name === host)) {
    throw new LabError(`lab ${lab.name} has no host ${host}; it has ${lab.hosts.map(({ name }) => name).join(' ')}`);
  }
  return ['-F', state.sshConfigFile(lab.project, lab.name), host, ...command];
}

/**
 * Keeps the hosts' disks as they are under a name, for `labUp({from})`. The hosts are shut down for it and booted
 * again on an overlay upon what was kept, which takes seconds whatever they hold.
 */
export async function labSnapshot(lab: LabState, snapshot: string): Promise<LabState> {
  state.checkName('host', snapshot);
  if (existsSync(snapshotDir(lab.name, snapshot, ''))) throw new LabError(`lab ${lab.name} has a snapshot ${snapshot} already`);
  await Promise.all(lab.hosts.map((host) => halt(lab.name, host.name)));
  for (const host of lab.hosts) {
    await unmount(lab.name, host.name);
    await mkdir(snapshotDir(lab.name, snapshot, ''), { recursive: true });
    await rename(join(diskDir(lab.name, host.name), 'upper'), snapshotDir(lab.name, snapshot, host.name));
  }
  await state.writeState({ ...lab, base: [...lab.base, snapshot] });
  return labUp({ name: lab.name, hosts: lab.hosts.map(({ name, suite }) => ({ name, suite })), project: lab.project });
}

/** Empties the hosts' disks down to a snapshot. */
async function reset(lab: LabState, snapshot: string): Promise<void> {
  const depth = lab.base.indexOf(snapshot);
  if (depth < 0) throw new LabError(`lab ${lab.name} has no snapshot ${snapshot}${lab.base.length > 0 ? `; it has ${lab.base.join(' ')}` : ''}`);
  await Promise.all(lab.hosts.map((host) => remove(lab.name, host.name)));
  if (hasBridge(lab.name)) await dropLinks(lab.name);
  for (const later of lab.base.splice(depth + 1)) await rm(snapshotDir(lab.name, later, ''), { recursive: true });
}

/** A lab's name stands for a bridge, a subnet and a folder of this machine: one project has it at a time. */
async function claim(project: string, name: string): Promise<void> {
  const owner = ownerOf(name);
  if (owner !== undefined && owner !== project && existsSync(owner)) {
    const theirs = await labStatus({ name, project: owner });
    if (!theirs || theirs.running.length > 0) throw new LabError(`lab ${name} on this machine belongs to ${owner}: take it down there, or choose another --name`);
    // Nothing of it has run since the machine did, or since it was killed.
    await labDown({ name, project: owner });
  }
  await mkdir(state.disksDir(name), { recursive: true, mode: 0o700 });
  await writeFile(join(state.disksDir(name), '.project'), project);
  if (!existsSync(join(state.stateDir(project, name), 'state.json')) && existsSync(state.disksDir(name))) {
    // Disks without state are what a killed run left.
    await labDown({ name, project });
    await mkdir(state.disksDir(name), { recursive: true, mode: 0o700 });
    await writeFile(join(state.disksDir(name), '.project'), project);
  }
}

function ownerOf(name: string): string | undefined {
  const file = join(state.disksDir(name), '.project');
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

async function makeKey(lab: LabState): Promise<void> {
  const file = state.keyFile(lab.project, lab.name);
  if (!existsSync(`${file}.pub`)) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', `lab ${lab.name}`, '-f', file]);
  await chmod(file, 0o600);
}

/** The kernel takes a dead host's link away in its own time; a host of the same name that is booted meanwhile would stumble over it. */
async function dropLinks(name: string): Promise<void> {
  for (const link of await readdir(`/sys/class/net/${state.bridgeName(name)}/brif`)) await run('ip', ['link', 'delete', link]).catch(() => {});
}

const hasBridge = (name: string): boolean => existsSync(`/sys/class/net/${state.bridgeName(name)}`);

/** Whether some interface of this machine has an address in the /24 already. */
function isTaken(net: string): boolean {
  return readFileSync('/proc/net/fib_trie', 'utf8').includes(`${net}.`);
}

async function makeBridge(lab: LabState): Promise<void> {
  const bridge = state.bridgeName(lab.name);
  if (!hasBridge(lab.name)) await run('ip', ['link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0']);
  await run('ip', ['address', 'replace', `${state.gateway(lab.net)}/24`, 'dev', bridge]);
  await run('ip', ['link', 'set', bridge, 'up']);
}

async function writeSshFiles(lab: LabState): Promise<void> {
  const lines = (await Promise.all(lab.hosts.map((host) => knownHosts(lab, host)))).flat();
  await writeFile(state.knownHostsFile(lab.project, lab.name), `${lines.join('\n')}\n`);
  const config = lab.hosts.map((host) => `Host ${host.name}\n  HostName ${host.address}\n`).join('');
  const common = [
    'Host *',
    '  User muster',
    `  IdentityFile "${state.keyFile(lab.project, lab.name)}"`,
    '  IdentitiesOnly yes',
    `  UserKnownHostsFile "${state.knownHostsFile(lab.project, lab.name)}"`,
    '  GlobalKnownHostsFile none',
    '  StrictHostKeyChecking yes',
    '  BatchMode yes',
    '',
  ].join('\n');
  await writeFile(state.sshConfigFile(lab.project, lab.name), config + common);
}

/** Waits until the host's own user can log in (sshd answers before logins are allowed), at most 90 seconds. */
async function untilReady(lab: LabState, host: string): Promise<void> {
  const end = Date.now() + 90_000;
  for (;;) {
    try {
      await run('ssh', ['-o', 'ConnectTimeout=5', ...labSsh(lab, host, ['true'])]);
      return;
    } catch (error) {
      if (Date.now() > end) {
        const log = readFileSync(join(diskDir(lab.name, host), 'log'), 'utf8').split('\n').slice(-15).join('\n');
        throw new LabError(`${host} does not answer SSH 90 s after it was booted: ${(error as Error).message}\n${log}`);
      }
      await sleep(250);
    }
  }
}
