import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError, sleep } from './run.js';

/**
 * The processes of a lab live in control groups of their own: that is how they are found again and ended, whoever
 * started them and whatever became of it. Each host needs one also because two systemds must not share a group.
 * On machines with the hybrid layout (cgroup v1 and v2 side by side) a group is made in both.
 */
const roots = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'];

/** The folders of a group, e.g. `muster-lab/web1`, one for each hierarchy. @throws LabError where there are none */
export function groupDirs(group: string): string[] {
  const found = roots.filter((root) => existsSync(join(root, 'cgroup.procs'))).map((root) => join(root, group));
  if (found.length === 0) throw new LabError('the lab needs control groups: mount cgroup2 on /sys/fs/cgroup');
  return found;
}

/** Makes the group; its folders are returned. A process joins by writing its id to each folder's cgroup.procs. */
export async function makeGroup(group: string): Promise<string[]> {
  const folders = groupDirs(group);
  for (const folder of folders) await mkdir(folder, { recursive: true });
  return folders;
}

/** Ids of the processes in the group and below. */
export async function members(group: string): Promise<number[]> {
  const ids = new Set<number>();
  for (const folder of groupDirs(group)) {
    for (const below of await tree(folder)) {
      // A group may go away between being listed and being read.
      try {
        for (const id of readFileSync(join(below, 'cgroup.procs'), 'utf8').split('\n')) if (id !== '') ids.add(Number(id));
      } catch {}
    }
  }
  return [...ids];
}

/** Ends every process of the group and removes it; a busy disk may keep one for a while, 60 seconds at most. Nothing happens when there is none. */
export async function endGroup(group: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const ids = await members(group);
    if (ids.length === 0) break;
    if (tries === 1200) throw new LabError(`processes of ${group} do not end: ${ids.join(' ')}`);
    for (const id of ids) {
      try {
        process.kill(id, 'SIGKILL');
      } catch {} // it ended by itself
    }
    await sleep(50);
  }
  for (const folder of groupDirs(group)) {
    for (const below of (await tree(folder)).reverse()) await rmdir(below).catch(() => {});
  }
}

/** The folder and those below it, parents first. */
async function tree(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(entries.filter((entry) => entry.isDirectory()).map((entry) => tree(join(folder, entry.name))));
  return [folder, ...below.flat()];
}
