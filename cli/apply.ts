import type { CommandModule } from 'yargs';
import { runPlaybooks } from './playbooks.js';
import { type Flags, applyOptions, playbooks } from './options.js';

/** `muster apply PLAYBOOK…` */
const apply: CommandModule<object, Flags & { playbook: string[] }> = {
  builder: (argv) => playbooks(argv).options(applyOptions) as never,
  handler: async (flags) => {
    process.exitCode = await runPlaybooks(flags.check ? 'plan' : 'apply', flags.playbook, flags);
  },
};
export default apply;
