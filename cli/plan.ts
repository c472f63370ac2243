import type { CommandModule } from 'yargs';
import { runPlaybooks } from './playbooks.js';
import { type Flags, planOptions, playbooks } from './options.js';

/** `muster plan PLAYBOOK…`: apply without effects. */
const plan: CommandModule<object, Flags & { playbook: string[] }> = {
  builder: (argv) => playbooks(argv).options(planOptions) as never,
  handler: async (flags) => {
    process.exitCode = await runPlaybooks('plan', flags.playbook, flags);
  },
};
export default plan;
