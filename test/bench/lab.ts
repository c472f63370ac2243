import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyFile, knownHostsFile, labDown, labSnapshot, labSsh, labUp, type LabState } from '../../src/lab/lab.js';
import { run } from './process.js';

const NAME = 'bench';
const HOSTS = ['lb1', 'lb2', 'web1', 'web2', 'db1', 'db2'].map((name) => ({ name }));

export type Disks = 'clean' | 'python';
let lab: LabState | undefined;

/**
 * The six hosts of the bench, their disks as they were after their first boot and `apt-get update` ("clean"), or with what Ansible needs
 * on a host besides ("python"). Booted at the first call; stays up for the cases behind.
 */
export async function hosts(disks: Disks, say: (line: string) => void): Promise<LabState> {
  if (!lab) {
    await labDown({ name: NAME });
    lab = await labUp({ name: NAME, hosts: HOSTS, say });
    await everywhere('apt-get update -q');
    lab = await labSnapshot(lab, 'clean');
  }
  if (disks === 'python' && !lab.base.includes('python')) {
    say('installing python3 and python3-apt on the hosts, which Ansible needs there');
    lab = await labUp({ name: NAME, hosts: HOSTS, from: 'clean' });
    await everywhere('DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends python3 python3-apt');
    return (lab = await labSnapshot(lab, 'python'));
  }
  return (lab = await labUp({ name: NAME, hosts: HOSTS, from: disks }));
}

/** Runs a command on all hosts as root. @throws when it fails on one */
export async function everywhere(command: string): Promise<void> {
  await Promise.all(lab!.hosts.map(({ name }) => run('ssh', labSsh(lab!, name, ['sudo sh -s']), { input: command })));
}

export async function takeDown(): Promise<void> {
  if (lab) await labDown({ name: NAME });
  lab = undefined;
}

/** A folder with an inventory that both Muster and Ansible read; gone with `remove`. */
export function project(state: LabState): { folder: string; inventory: string; ansible: NodeJS.ProcessEnv; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  mkdirSync(join(folder, 'templates'));
  const inventory = join(folder, 'hosts.yml');
  writeFileSync(
    inventory,
    `all:
  vars:
    ansible_user: muster
    ansible_ssh_private_key_file: ${keyFile(state.project, NAME)}
    ansible_python_interpreter: /usr/bin/python3
    muster_known_hosts_file: ${knownHostsFile(state.project, NAME)}
  hosts:
${state.hosts.map(({ name, address }) => `    ${name}: {ansible_host: ${address}}\n`).join('')}`,
  );
  const config = join(folder, 'ansible.cfg');
  writeFileSync(config, '[defaults]\n');
  const ssh = `-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=${knownHostsFile(state.project, NAME)} -o GlobalKnownHostsFile=none`;
  return {
    folder,
    inventory,
    ansible: {
      ANSIBLE_PIPELINING: 'True',
      ANSIBLE_FORKS: '50',
      ANSIBLE_SSH_ARGS: ssh,
      ANSIBLE_SSH_CONTROL_PATH_DIR: join(folder, 'cp'),
      ANSIBLE_LOCAL_TEMP: join(folder, 'tmp'),
      ANSIBLE_RETRY_FILES_ENABLED: 'False',
      ANSIBLE_CONFIG: config,
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
