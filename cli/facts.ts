import type { CommandModule } from 'yargs';
import { onePlay } from './exec.js';
import { type Flags, connectOptions } from './options.js';
import { execute, output, prepare } from './run.js';

/** `muster facts PATTERN`: each host's facts as JSON; with `--output json` one host a line. */
const facts: CommandModule<object, Flags & { pattern: string; filter: string[] }> = {
  builder: (argv) =>
    argv
      .positional('pattern', { type: 'string', describe: 'hosts and groups, as in a play' })
      .options(connectOptions)
      .option('filter', { type: 'string', array: true, requiresArg: true, default: [], defaultDescription: 'all', describe: 'only facts whose names match, e.g. "ansible_distribution*"; repeatable' }) as never,
  handler: async (flags) => {
    const prepared = await prepare('facts', [], flags);
    const play = await onePlay(prepared, flags.pattern, 'setup', new Map(flags.filter.length > 0 ? [['filter', flags.filter]] : []));
    const { FactsReporter } = await import('../src/report/facts.js');
    const reporter = new FactsReporter(output(flags), flags.output === 'json', (text) => void process.stderr.write(text));
    process.exitCode = await execute({ ...prepared, plays: [play] }, reporter);
  },
};
export default facts;
