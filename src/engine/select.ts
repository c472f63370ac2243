import type { Scope } from '../expression/index.js';
import { selected, splitTags } from '../playbook/index.js';
import type { Tag, Task } from '../playbook/types.js';
import { fnmatch } from '../value/glob.js';
import { toPlain } from '../value/value.js';
import { evaluate } from './evaluate.js';
import type { Run } from './run.js';

/**
 * Tags, and `--start-at-task` until it is met.
 * @param scope for tags that are expressions: what the task sees
 * @throws ContentError where one cannot be evaluated
 */
export function isSelected(run: Run, task: Task, scope: () => Scope): boolean {
  if (!selected(tagsOf(task.tags, scope), run.options.tags, run.options.skipTags)) return false;
  if (task.action !== 'setup' && task.action !== 'meta') run.anySelected = true;
  if (run.startAt === undefined || task.action === 'setup' || task.action === 'meta') return true;
  const name = typeof task.name === 'string' ? task.name : undefined;
  if (name === undefined || !(name === run.startAt || fnmatch(run.startAt).test(name))) return false;
  run.startAt = undefined;
  return true;
}

function tagsOf(tags: readonly Tag[], scope: () => Scope): string[] {
  return tags.flatMap((tag) => {
    if (typeof tag === 'string') return tag;
    const plain = toPlain(evaluate(tag, scope()), true);
    return Array.isArray(plain) ? plain.map(String) : splitTags(String(plain));
  });
}
