import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { LabError } from './run.js';

export interface LabHost {
  name: string;
  /** Debian suite, e.g. `bookworm`. */
  suite: string;
  address: string;
}

/** What is known of a lab that is up: kept as state.json in its state folder. */
export interface LabState {
  name: string;
  /** First three bytes of its /24, e.g. `198.18.0`. */
  net: string;
  hosts: LabHost[];
  /** Project the lab belongs to. */
  project: string;
  /** Names of snapshots each host's disk is stacked on, oldest first. */
  base: string[];
}

/** Folder of a lab in its project: keys, known_hosts, ssh_config, secrets, state.json. */
export const stateDir = (project: string, lab: string): string => join(project, '.muster', 'lab', lab);
/** Files that {@link stateDir} holds. */
export const keyFile = (project: string, lab: string): string => join(stateDir(project, lab), 'id_ed25519');
export const knownHostsFile = (project: string, lab: string): string => join(stateDir(project, lab), 'known_hosts');
export const sshConfigFile = (project: string, lab: string): string => join(stateDir(project, lab), 'ssh_config');

/** Folder on this machine for images, packages and disks; a lab's name is taken once per machine. */
export const machineDir = (): string => resolve(process.env['MUSTER_LAB_DIR'] ?? '/var/cache/muster/lab');
export const disksDir = (lab: string): string => join(machineDir(), 'labs', lab);

export const bridgeName = (lab: string): string => `mu-${lab}`;
export const gateway = (net: string): string => `${net}.1`;

/** @throws LabError on a name that cannot be a bridge's (Linux allows 15 characters) or a host's */
export function checkName(what: 'lab' | 'host', name: string): void {
  if (!/^[a-z][a-z0-9-]{0,9}$/.test(name)) throw new LabError(`"${name}" cannot name a ${what}: up to 10 small letters, digits and dashes`);
}

/**
 * The /24 of a lab in 198.18.0.0/15 (RFC 2544: set aside for tests): that of `lab` is fixed, so that an inventory
 * can be written down; others follow from the name, the next free one when `taken`.
 */
export function subnet(lab: string, taken: (net: string) => boolean): string {
  if (lab === 'lab') return '198.18.0';
  const hash = createHash('sha256').update(lab).digest().readUInt16BE(0);
  for (let i = 0; i < 511; i++) {
    const n = 1 + ((hash + i) % 511);
    const net = `198.${18 + (n >> 8)}.${n & 255}`;
    if (!taken(net)) return net;
  }
  throw new LabError('every subnet of 198.18.0.0/15 is taken');
}

/** Addresses count from .11 in the order hosts are named, so that `lab up` of the same hosts gives the same addresses. */
export const address = (net: string, index: number): string => `${net}.${11 + index}`;

export async function readState(project: string, lab: string): Promise<LabState | undefined> {
  const file = join(stateDir(project, lab), 'state.json');
  return existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as LabState) : undefined;
}

export async function writeState(state: LabState): Promise<void> {
  const folder = stateDir(state.project, state.name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'state.json');
  await writeFile(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`);
  await rename(`${file}.new`, file);
}
