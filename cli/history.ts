import type { CommandModule } from 'yargs';
import { findRun, keptEvents, keptRuns, type KeptRun } from '../src/journal/index.js';
import { compressHosts } from '../src/report/hosts.js';
import { duration, harmless, oneLine, pad, width } from '../src/report/style.js';
import { EXIT, UsageError } from './exit.js';
import { type Flags, showOptions } from './options.js';
import { journalOf, output } from './run.js';
import { loadSettings } from './settings.js';

type HistoryFlags = Pick<Flags, 'verbose' | 'output' | 'diff'> & { number: number; run?: string };

/** `muster history`, `muster history show RUN` */
const history: CommandModule<object, HistoryFlags> = {
  builder: (argv) =>
    argv
      .options({ verbose: showOptions.verbose, output: showOptions.output })
      .option('number', { alias: 'n', type: 'number', requiresArg: true, default: 20, describe: 'how many runs, the newest first' })
      .command('show <run>', 'tell a run again as it was told', (y) => y.positional('run', { type: 'string', describe: 'its id, the beginning of it, or last' }).option('diff', showOptions.diff), show as never) as never,
  handler: list,
};
export default history;

/** The folder of the project's journal. @throws ContentError where none is kept */
export function journal(): string | undefined {
  return journalOf(loadSettings(undefined, process.env));
}

async function list(flags: HistoryFlags): Promise<void> {
  if (!(Number.isInteger(flags.number) && flags.number > 0)) throw new UsageError('muster: --number must be a whole number, 1 or more');
  const folder = journal();
  const runs: KeptRun[] = [];
  for (const run of folder === undefined ? [] : keptRuns(folder)) if (runs.push(run) === flags.number) break;
  const { write } = output(flags);
  if (flags.output === 'json') return runs.forEach((run) => write(`${JSON.stringify(summary(run))}\n`));
  if (runs.length === 0) {
    write(folder === undefined ? 'No journal is kept.\n' : `No run is kept in ${folder}.\n`);
    return;
  }
  const head = ['RUN', 'WHEN', 'VERB', 'PLAYBOOKS', 'HOSTS', 'CHANGED', 'FAILED', 'UNREACHABLE', 'EXIT', 'TOOK'];
  const rows = runs.map((run) => {
    const { begin, at } = run;
    const { hosts, changed, failed, unreachable, seconds } = summary(run);
    const count = (number: number | undefined) => (number === undefined ? '' : String(number));
    const took = seconds === undefined ? '' : duration(seconds);
    return [begin.run, local(at), begin.verb, begin.playbooks.map(oneLine).join(', '), count(hosts), count(changed), count(failed), count(unreachable), ended(run), took];
  });
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => width(row[i]!))));
  for (const row of [head, ...rows]) write(`${row.map((cell, i) => pad(cell, widths[i]!)).join('  ').trimEnd()}\n`);
}

/** How a run ended, for people. */
function ended({ end, underWay }: KeptRun): string {
  return end ? String(end.exitCode) : underWay ? 'under way' : 'did not end';
}

/** A run in the list for programs. */
function summary({ begin, at, end, underWay }: KeptRun) {
  const recaps = end && Object.values(end.hosts);
  const count = (name: 'changed' | 'failed' | 'unreachable') => recaps?.reduce((sum, recap) => sum + recap[name], 0);
  const { run, verb, check, playbooks, inventory, limit, tags, skipTags, by } = begin;
  return {
    run, at: at.toISOString(), verb, check, playbooks, inventory, limit, tags, skipTags, by,
    hosts: recaps?.length, changed: count('changed'), failed: count('failed'), unreachable: count('unreachable'),
    seconds: end?.seconds, exitCode: end?.exitCode, underWay,
  };
}

/** The controller's own time: `2026-11-26 07:13:12`. */
function local(at: Date): string {
  const two = (number: number) => String(number).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

async function show(flags: HistoryFlags): Promise<void> {
  const run = findRun(journal(), flags.run!);
  const out = output(flags);
  if (flags.output === 'json') {
    for (const event of keptEvents(run.path)) out.write(`${JSON.stringify(event)}\n`);
    return;
  }
  const { begin, end, underWay } = run;
  out.write(`${harmless(headline(run))}\n`);
  const { TerminalReporter } = await import('../src/report/terminal.js');
  const reporter = new TerminalReporter({ ...out, diff: begin.check || flags.diff === true, terse: false, stats: false, live: undefined });
  const busy = new Map<string, string>();
  for (const event of keptEvents(run.path)) {
    reporter.event(event);
    if (event.event === 'busy') busy.set(event.host, event.task);
    else if (event.event === 'result') busy.delete(event.host);
  }
  reporter.close();
  if (end) {
    if (end.exitCode !== EXIT.done) out.write(`exit ${end.exitCode}\n`);
    return;
  }
  const working = [...new Set(busy.values())].map((task) => `${compressHosts([...busy].filter(([, its]) => its === task).map(([host]) => host))} (${oneLine(task)})`);
  out.write(`${oneLine(`${underWay ? 'The run is under way' : 'The run did not end'}${working.length > 0 ? `; at work: ${working.join(', ')}` : ''}`)}.\n`);
}

/** `20261126T071312Z-a1b2c3: apply site.yml -i inventory -l web -t app, by root@controller, 2026-11-26 07:13:12` */
export function headline({ begin, at }: KeptRun): string {
  const { verb, playbooks, inventory, limit, tags, skipTags, by, run } = begin;
  const words = [verb, ...playbooks, ...inventory.map((source) => `-i ${source}`), ...(limit === undefined ? [] : [`-l ${limit}`]), ...tags.map((tag) => `-t ${tag}`), ...skipTags.map((tag) => `--skip-tags ${tag}`)];
  return `${run}: ${words.join(' ')}, by ${by}, ${local(at)}`;
}
