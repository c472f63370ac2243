import { renameSync, rmSync, writeFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { findRun, keptEvents, keptRuns, type KeptRun } from '../src/journal/index.js';
import type { Look } from '../src/report/html.js';
import { UsageError } from './exit.js';
import { journal } from './history.js';

/** How many looks for drift a page tells of. */
const LOOKS = 30;

/** `muster report RUN --html FILE` */
const report: CommandModule<object, { run: string; html: string }> = {
  builder: (argv) =>
    argv
      .positional('run', { type: 'string', describe: 'its id, the beginning of it, or last' })
      .option('html', { type: 'string', requiresArg: true, demandOption: true, describe: 'write one page that needs nothing else; - is standard output' }) as never,
  handler: async ({ run: name, html: file }) => {
    const folder = journal();
    const run = findRun(folder, name);
    const { htmlReport } = await import('../src/report/html.js');
    const { begin, at, end, path } = run;
    const page = htmlReport({ ...begin, at, end, events: keptEvents(path), looks: looksBefore(folder!, run) });
    if (file === '-') return void process.stdout.write(page);
    const beside = `${file}.${process.pid}`;
    try {
      writeFileSync(beside, page);
      renameSync(beside, file);
    } catch (error) {
      rmSync(beside, { force: true });
      throw new UsageError(`muster: the report cannot be written: ${(error as Error).message}`);
    }
  },
};
export default report;

/** The last looks for drift with the playbooks of a run and the same inventory, up to that run; the oldest first. */
function looksBefore(folder: string, { begin, at }: KeptRun): Look[] {
  const same = (a: readonly string[], b: readonly string[]) => JSON.stringify(a) === JSON.stringify(b);
  const looks: Look[] = [];
  for (const run of keptRuns(folder)) {
    if (run.at > at || run.begin.verb !== 'drift' || !run.end || !same(run.begin.playbooks, begin.playbooks) || !same(run.begin.inventory, begin.inventory)) continue;
    looks.unshift(lookOf(run));
    if (looks.length === LOOKS) break;
  }
  return looks;
}

/** What has no state to be compared with (a command) does not drift. */
function lookOf({ begin, at, end, path }: KeptRun): Look {
  const hosts: Look['hosts'] = new Map(Object.entries(end!.hosts).map(([host, { failed, unreachable }]) => [host, { drifted: new Set<string>(), trouble: failed > 0 ? 'failed' : unreachable > 0 ? 'unreachable' : undefined }]));
  for (const event of keptEvents(path)) if (event.event === 'result' && event.result.status === 'changed' && event.result.changes.length > 0) hosts.get(event.host)?.drifted.add(event.task);
  return { run: begin.run, at, hosts };
}
