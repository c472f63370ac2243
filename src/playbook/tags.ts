/**
 * Whether a task with these tags runs, as Ansible decides.
 * `always` runs unless skipped by name (or, where it stands alone in --skip-tags, by `always`); `never` only when
 * one of its tags is asked for; `tagged`, `untagged` and `all` stand for sets of tasks.
 * @param only of `--tags`; empty means all
 * @param skip of `--skip-tags`
 */
export function selected(tags: readonly string[], only: readonly string[], skip: readonly string[]): boolean {
  const own = new Set(tags);
  const tagged = tags.length > 0;
  const meets = (wanted: readonly string[]): boolean => wanted.some((tag) => own.has(tag));
  const wanted = only.length > 0 ? only : ['all'];
  const runs =
    own.has('always') ||
    (wanted.includes('all') && !own.has('never')) ||
    meets(wanted) ||
    (wanted.includes('tagged') && tagged && !own.has('never')) ||
    (wanted.includes('untagged') && !tagged);
  if (!runs) return false;
  if (skip.includes('all')) return own.has('always') && !skip.includes('always');
  return !(meets(skip) || (skip.includes('tagged') && tagged) || (skip.includes('untagged') && !tagged));
}
