import type { CommandModule } from 'yargs';
import { UsageError } from './exit.js';
import { runPlaybooks } from './playbooks.js';
import { type Flags, applyOptions, playbooks } from './options.js';

/** `muster apply PLAYBOOK…` */
const apply: CommandModule<object, Flags & { playbook: string[] }> = {
  builder: (argv) => playbooks(argv).options(applyOptions) as never,
  handler: async (flags) => {
    const { isPlan, applyPlan } = await import('./reviewed.js');
    const plan = flags.playbook.find(isPlan);
    if (plan !== undefined && flags.playbook.length > 1) throw new UsageError('muster: a plan that was kept is applied by itself');
    if (plan !== undefined && !flags.check) process.exitCode = await applyPlan(plan, flags);
    else if (plan !== undefined) throw new UsageError('muster: a plan that was kept is read, not planned again; plan the playbooks');
    else process.exitCode = await runPlaybooks(flags.check ? 'plan' : 'apply', flags.playbook, flags);
  },
};
export default apply;
