import type { CommandModule } from 'yargs';
import { runPlaybooks } from './playbooks.js';
import { type Flags, planOptions, playbooks } from './options.js';

/** `muster plan PLAYBOOK…`: apply without effects. */
const plan: CommandModule<object, Flags & { playbook: string[]; out?: string }> = {
  builder: (argv) => playbooks(argv).options(planOptions).option('out', { type: 'string', requiresArg: true, describe: 'keep the plan in a file: muster apply FILE makes just that' }) as never,
  handler: async (flags) => {
    const { out, playbook } = flags;
    if (out !== undefined) process.exitCode = await (await import('./reviewed.js')).keepPlan(out, playbook, flags);
    else process.exitCode = await runPlaybooks('plan', playbook, flags);
  },
};
export default plan;
