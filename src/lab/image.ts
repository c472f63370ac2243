import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sh } from '../shell/sh.js';
import { makeGroup } from './cgroup.js';
import { debianSources } from './packages.js';
import { LabError, run } from './run.js';
import { disksDir, machineDir } from './state.js';

/** What a fresh virtual machine has, and no Python: Muster must do without. */
const packages = 'systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,libpam-systemd,ca-certificates,passwd';

/** Shell text run in the new root ($1). */
const finish = [
  'set -e',
  // Host keys are each host's own; see host.ts.
  'rm -f "$1"/etc/ssh/ssh_host_*',
  'chroot "$1" useradd --create-home --shell /bin/bash muster',
  'printf "muster ALL=(ALL) NOPASSWD: ALL\\n" > "$1/etc/sudoers.d/muster"',
  'chmod 0440 "$1/etc/sudoers.d/muster"',
  // The address is configured in each host's own overlay.
  'chroot "$1" systemctl enable systemd-networkd.service',
  'chroot "$1" systemctl disable systemd-networkd-wait-online.service',
  // Nothing happens by itself on a host that tests look at.
  'chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer',
  // Of no use in a container, and newer systemds count its failure.
  'chroot "$1" systemctl mask dev-hugepages.mount',
  'ln -sf /usr/share/zoneinfo/Etc/UTC "$1/etc/localtime"',
  // These hosts live for minutes: dpkg need not wait for the disk.
  'echo force-unsafe-io > "$1/etc/dpkg/dpkg.cfg.d/lab"',
  ': > "$1/etc/machine-id"',
  'if ls "$1"/usr/bin/python* > /dev/null 2>&1; then echo "there is a Python in the image" >&2; exit 1; fi',
].join('\n');

/**
 * The root folder of the suite's base image, made if there is none of this recipe yet (about 25 s).
 * Hosts lay their overlays upon it; nobody writes to it. What is half-made belongs to the lab, and goes with it.
 */
export async function baseImage(lab: string, suite: string, say: (line: string) => void): Promise<string> {
  const sources = await debianSources(suite);
  const recipe = createHash('sha256').update(JSON.stringify([packages, finish, sources])).digest('hex').slice(0, 12);
  const images = join(machineDir(), 'images');
  const image = join(images, `${suite}-${recipe}`);
  if (existsSync(image)) return image;
  say(`making the base image of Debian ${suite} (once)`);
  await mkdir(images, { recursive: true });
  const part = join(disksDir(lab), `.image-${randomBytes(4).toString('hex')}`);
  const group = await makeGroup(`muster-${lab}/image`);
  try {
    // A suite whose mirror is frozen (sid) has a release file that ran out.
    const frozen = suite === 'sid' ? ['--aptopt=Acquire::Check-Valid-Until "false"'] : [];
    const command = ['mmdebstrap', '--quiet', '--mode=root', '--variant=apt', `--include=${packages}`, ...frozen, `--customize-hook=${finish}`, suite, part, '-'];
    await run('/bin/sh', ['-c', sh`for g in ${group}; do echo $$ > "$g/cgroup.procs"; done; exec ${command}`.text], { input: `${sources.join('\n')}\n` });
    await rename(part, image).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // another run was faster
    });
  } catch (error) {
    throw new LabError(`the base image of Debian ${suite} could not be made: ${(error as Error).message.split('\n').slice(-8).join('\n')}`);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return image;
}
