import { selected } from '../playbook/index.js';
import type { Task } from '../playbook/types.js';
import type { Run } from './run.js';

/** Tags, and `--start-at-task` until it is met. */
export function isSelected(run: Run, task: Task): boolean {
  if (!selected(task.tags, run.options.tags, run.options.skipTags)) return false;
  if (task.action !== 'setup' && task.action !== 'meta') run.anySelected = true;
  if (run.startAt === undefined || task.action === 'setup' || task.action === 'meta') return true;
  const name = typeof task.name === 'string' ? task.name : undefined;
  if (name === undefined || !(name === run.startAt || new RegExp(`^${globToRegExp(run.startAt)}$`).test(name))) return false;
  run.startAt = undefined;
  return true;
}

function globToRegExp(glob: string): string {
  return glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.');
}
