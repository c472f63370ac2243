import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError, run } from './run.js';

/** Command -> Debian package that brings it. */
const tools: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  'systemd-nspawn': 'systemd-container',
  ip: 'iproute2',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
};

/** All hosts' systemds draw their inotify instances from one limit, about six each; past it a host ends as soon as it is booted. */
const inotify = { path: '/proc/sys/fs/inotify/max_user_instances', enough: 1024 };

/** Installs what the lab needs and this machine lacks. @throws LabError where there can be no lab */
export async function fetchNeeds(say: (line: string) => void): Promise<void> {
  if (process.platform !== 'linux') throw new LabError('the lab boots Linux hosts on this machine: it needs Linux');
  if (process.getuid?.() !== 0) throw new LabError('the lab makes mounts, a bridge and containers: run it as root (sudo)');
  if (Number(readFileSync(inotify.path, 'utf8')) < inotify.enough) {
    say(`setting fs.inotify.max_user_instances to ${inotify.enough} on this machine`);
    writeFileSync(inotify.path, `${inotify.enough}\n`);
  }
  const missing = [...new Set(Object.keys(tools).filter((tool) => !onPath(tool)).map((tool) => tools[tool]!))];
  if (missing.length === 0) return;
  if (!onPath('apt-get')) throw new LabError(`the lab needs ${missing.join(', ')}: install them, or use Debian, where it does so itself`);
  say(`installing ${missing.join(', ')} on this machine`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-q'], { env });
  await run('apt-get', ['install', '-yq', '--no-install-recommends', ...missing], { env });
}

function onPath(tool: string): boolean {
  return `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':').some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
