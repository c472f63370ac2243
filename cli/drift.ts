import type { CommandModule } from 'yargs';
import { takeLock } from './lock.js';
import { type Flags, driftOptions, playbooks } from './options.js';
import { execute, prepare, reporterOf } from './run.js';

/** `muster drift PLAYBOOK…`: for cron. Silent when clean; what drifted on which host otherwise; `--fix` brings it back. */
const drift: CommandModule<object, Flags & { playbook: string[]; fix: boolean }> = {
  builder: (argv) =>
    playbooks(argv)
      .options(driftOptions)
      .option('fix', { type: 'boolean', default: false, describe: 'bring back what drifted' }) as never,
  handler: async (flags) => {
    const prepared = { ...(await prepare('drift', flags.playbook, flags)), check: !flags.fix };
    const release = await takeLock(prepared.playbooks, prepared.inventory);
    try {
      process.exitCode = await execute(prepared, await reporterOf(flags, { diff: prepared.diff, terse: true }));
    } finally {
      release();
    }
  },
};
export default drift;
