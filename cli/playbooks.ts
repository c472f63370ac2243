import { EXIT } from './exit.js';
import { takeLock } from './lock.js';
import type { Flags } from './options.js';
import { execute, prepare, reporterOf } from './run.js';

/** What `apply` and `plan` share: the lists, or a run. @returns the exit code */
export async function runPlaybooks(verb: 'apply' | 'plan', playbooks: string[], flags: Flags): Promise<number> {
  if (flags.syntaxCheck) return (await import('./lint.js')).check(playbooks, flags);
  let prepared = await prepare(verb, playbooks, flags);
  if (flags.listTasks || flags.listTags || flags.listHosts) return (await import('./lists.js')).list(prepared, flags);
  const release = verb === 'apply' ? await takeLock(prepared.playbooks, prepared.inventory, prepared.lockTimeout) : undefined;
  try {
    if (flags.resume || flags.retryFailed) {
      const { goingOn } = await import('./last-run.js');
      const made = await goingOn(prepared, flags);
      if (typeof made === 'string') {
        process.stderr.write(`muster: ${made}\n`);
        return EXIT.done;
      }
      prepared = made;
    }
    return await execute(prepared, await reporterOf(flags, { diff: prepared.diff, terse: false }));
  } finally {
    release?.();
  }
}
