import { dirname } from 'node:path';
import type { CommandModule } from 'yargs';
import type { Undo } from '../src/engine/undo.js';
import { findRun, type KeptRun } from '../src/journal/index.js';
import { loadInventory, matchHosts } from '../src/inventory/index.js';
import { compressHosts } from '../src/report/hosts.js';
import { oneLine } from '../src/report/style.js';
import type { Reporter } from '../src/report/reporter.js';
import { EXIT, UsageError } from './exit.js';
import { journal } from './history.js';
import { type Flags, connectOptions } from './options.js';
import { askYes } from './prompt.js';
import { type Prepared, execute, output, prepare, reporterOf } from './run.js';

type UndoFlags = Flags & { run: string; yes: boolean };

/** `muster undo RUN` */
const undo: CommandModule<object, UndoFlags> = {
  builder: (argv) =>
    argv
      .positional('run', { type: 'string', describe: 'its id, the beginning of it, or last' })
      .options(connectOptions)
      .option('check', { type: 'boolean', alias: 'C', describe: 'show what would be taken back, and end' })
      .option('yes', { type: 'boolean', alias: 'y', default: false, describe: 'do not ask' }) as never,
  handler: async (flags) => {
    process.exitCode = await takeBack(flags);
  },
};
export default undo;

async function takeBack(flags: UndoFlags): Promise<number> {
  const run = findRun(journal(), flags.run);
  const { begin } = run;
  if (run.underWay) throw new UsageError(`muster: the run ${begin.run} is still under way`);
  if (begin.check) throw new UsageError(`muster: the run ${begin.run} was a plan: it changed nothing`);
  const prepared = { ...(await prepare('undo', [], { ...flags, inventory: flags.inventory.length > 0 ? flags.inventory : begin.inventory })), apart: true };
  const { undoOf } = await import('../src/engine/undo.js');
  const context = { projectDir: prepared.projectDir, rolesPath: prepared.rolesPath, extraVars: prepared.extraVars, problems: [] };
  const back = await undoOf(run, begin.playbooks[0] === undefined ? process.cwd() : dirname(begin.playbooks[0]), context);
  // Whoever presses Ctrl-C a third time ends the process.
  process.on('exit', back.close);
  try {
    return await shownAndDone(run, back, prepared, flags);
  } finally {
    back.close();
  }
}

async function shownAndDone({ begin }: KeptRun, { plays, hosts, review, cannot }: Undo, prepared: Prepared, flags: UndoFlags): Promise<number> {
  const { write } = output(flags);
  const say = (text: string) => (flags.output === 'json' ? process.stderr : { write }).write(`${text}\n`);
  const rest = () => {
    const lines = new Map<string, string[]>();
    for (const { host, task, why } of cannot) {
      const line = `${oneLine(task)}: ${oneLine(why)}`;
      lines.set(line, [...new Set([...(lines.get(line) ?? []), host])]);
    }
    if (lines.size > 0) say(['', 'Cannot be taken back:', ...[...lines].map(([line, on]) => `  ${line} · ${oneLine(compressHosts(on))}`)].join('\n'));
  };
  const inventory = await loadInventory(prepared.inventory);
  const { hosts: known } = matchHosts('all', inventory, flags.limit === undefined ? {} : { limit: flags.limit });
  const strangers = hosts.filter((host) => !inventory.hosts.has(host) && host !== 'localhost').sort();
  if (strangers.length > 0) throw new UsageError(`muster: the inventory has no ${strangers.join(', ')}, which the run changed; give the inventory that has, with -i`);
  if (!hosts.some((host) => known.includes(host) || host === 'localhost')) {
    say('There is nothing that can be taken back.');
    rest();
    return EXIT.done;
  }
  const reporter = async () => onePlay(await reporterOf(flags, { diff: true, terse: false }), `undo of ${begin.run}`, hosts);
  const look = { ...prepared, plays, review, check: true, diff: true, journalDir: undefined };
  const found = await execute(look, await reporter());
  rest();
  if (flags.check || found === EXIT.interrupted) return found;
  if (!look.plays.length || found === EXIT.done) return found;
  if (!flags.yes) {
    const answer = askYes('Take this back?');
    if (answer === undefined) say('\nNothing was taken back: say --yes where there is no terminal to ask on.');
    if (!answer) return found;
  }
  return execute({ ...prepared, plays, review }, await reporter());
}

/** The plays of an undo have one task each: one heading does for all. */
function onePlay(reporter: Reporter, play: string, hosts: string[]): Reporter {
  let isTold = false;
  return {
    event(event) {
      if (event.event !== 'play') return reporter.event(event);
      if (!isTold) reporter.event({ ...event, play, hosts });
      isTold = true;
    },
    close: () => reporter.close(),
  };
}
