import { randomBytes } from 'node:crypto';
import type { CommandModule } from 'yargs';
import type { Event } from '../src/report/events.js';
import type { Reporter } from '../src/report/reporter.js';
import { onePlay } from './exec.js';
import { type Flags, connectOptions } from './options.js';
import { execute, output, prepare } from './run.js';

/** `muster unlock PATTERN`: shows who holds the lock of hosts, and takes it away. */
const unlock: CommandModule<object, Flags & { pattern: string }> = {
  builder: (argv) =>
    argv
      .positional('pattern', { type: 'string', describe: 'hosts and groups, as in a play' })
      .options(connectOptions)
      .option('check', { type: 'boolean', alias: 'C', describe: 'only show who holds it' }) as never,
  handler: async (flags) => {
    const { breaking, holdersIn, toldOf } = await import('../src/engine/host-lock.js');
    const { harmless, oneLine } = await import('../src/report/style.js');
    const { failureLines } = await import('../src/report/failure.js');
    const { painter } = await import('../src/report/style.js');
    const prepared = { ...(await prepare('exec', [], flags)), check: false };
    const token = randomBytes(16).toString('hex');
    const play = await onePlay(prepared, flags.pattern, 'shell', new Map([['cmd', breaking(token, flags.check !== true).text]]));
    const out = output(flags);
    const reporter: Reporter = {
      event(event: Event) {
        if (event.event === 'warning' || event.event === 'note') process.stderr.write(`${harmless(event.message)}\n`);
        if (event.event !== 'result') return;
        const { host, result } = event;
        const { holders } = holdersIn(String(result.data['stdout'] ?? ''), token);
        if (flags.output === 'json') out.write(`${JSON.stringify({ host, holders, removed: flags.check !== true && !result.error, error: result.error?.message })}\n`);
        else {
          const done = flags.check === true ? 'held by' : result.error ? 'still held by' : 'was held by';
          for (const holder of holders) out.write(`${oneLine(host)}: ${done} ${oneLine(toldOf(holder))}\n`);
          if (result.error) process.stderr.write(`${oneLine(host)} | ${result.status.toUpperCase()}\n  ${failureLines(result.error, undefined, painter(false), out.columns(), false).join('\n  ')}\n`);
          else if (holders.length === 0) out.write(`${oneLine(host)}: not locked\n`);
        }
      },
      close: () => undefined,
    };
    process.exitCode = await execute({ ...prepared, plays: [play] }, reporter);
  },
};
export default unlock;
