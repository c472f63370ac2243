import { closeSync, existsSync, openSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { parseDuration } from '../src/drift/duration.js';
import { type Guards, breaches, checkGuards } from '../src/drift/guards.js';
import { type Ending, appendLine, logLine } from '../src/drift/line.js';
import { type Kept, Look, kept, stamp } from '../src/drift/look.js';
import { checkMetricsFile, metricsFile, writeMetrics } from '../src/drift/metrics.js';
import { type Disabled, Memory, type State, type Subject } from '../src/drift/state.js';
import { messageOf, runCommand, toldNow, untold, type Standing } from '../src/drift/tell.js';
import { copyInventory, loadInventory } from '../src/inventory/index.js';
import type { Event, Finding } from '../src/report/events.js';
import { mask } from '../src/report/mask.js';
import { age, harmless, minute, oneLine } from '../src/report/style.js';
import { ContentError } from '../src/value/errors.js';
import { EXIT, UsageError, worst } from './exit.js';
import { takeLock } from './lock.js';
import { type DriftFlags, driftOptions, playbooks } from './options.js';
import { execute, inventoryOf, lockTimeoutOf, prepare, reporterOf } from './run.js';
import { type Settings, loadSettings } from './settings.js';

/** `muster drift PLAYBOOK…`: for cron. Silent when clean; what drifted on which host since when otherwise; `--fix` brings it back. */
const drift: CommandModule<object, DriftFlags> = {
  builder: (argv) =>
    playbooks(argv)
      .options(driftOptions)
      .option('disable', { type: 'string', requiresArg: true, describe: 'switch drift off for these playbooks, and say why' })
      .option('enable', { type: 'boolean', describe: 'switch it on again' })
      .option('status', { type: 'boolean', describe: 'show what the last run found; no host is looked at' })
      .conflicts('disable', ['enable', 'status'])
      .conflicts('enable', 'status') as never,
  handler: async (flags) => {
    // Silent when clean: what a timer runs says where its settings come from only when it is asked.
    const settings = loadSettings(flags.playbook[0], process.env, ...(flags.verbose > 0 ? [] : [() => undefined]));
    const subject = subjectOf(flags, settings);
    const memory = new Memory(stateFolder(settings), subject);
    // A run says so itself, to all who are told of drift.
    if (flags.status || flags.enable || flags.disable !== undefined) for (const path of flags.playbook) if (!existsSync(path)) throw new UsageError(`muster: there is no playbook ${path}`);
    if (flags.status) return status(flags, subject, memory);
    const run = new DriftRun(flags, settings, subject, memory);
    if (flags.disable !== undefined || flags.enable) return run.switch(flags.disable);
    process.exitCode = await run.run();
  },
};
export default drift;

/** Where drift keeps what it remembers. */
export function stateFolder({ drift: set, projectDir }: Settings): string {
  return set?.state ?? join(projectDir, '.muster', 'drift');
}

/** What these flags look at: the playbooks and inventory, and what makes a look at them another one. */
export function subjectOf(flags: DriftFlags, settings: Settings): Subject {
  const { limit, tags = [], skipTags = [], extraVars: extra } = flags;
  // The values may be secret; the name of a file is not.
  const shown = extra.flatMap((vars) => (vars.startsWith('@') ? [vars] : [/^\s*[A-Za-z_]\w*(?==)/.exec(vars)?.[0].trim() ?? '…']));
  const view = [...(limit === undefined ? [] : [`-l ${limit}`]), ...tags.map((tag) => `-t ${tag}`), ...skipTags.map((tag) => `--skip-tags ${tag}`), ...shown.map((name) => `-e ${name}`)];
  return { playbooks: flags.playbook, inventory: inventoryOf(flags, settings), view, extra };
}

/** One run of drift, with all who are told of it. */
class DriftRun {
  readonly #began = Date.now();
  #read: State | undefined;
  readonly #metrics: string | undefined;
  readonly #onChange: string | undefined;
  readonly #remind: number | undefined;
  readonly #guards: Guards | undefined;

  /** @throws UsageError, ContentError for flags and settings that cannot be meant */
  constructor(
    private readonly flags: DriftFlags,
    private readonly settings: Settings,
    private readonly subject: Subject,
    private readonly memory: Memory,
  ) {
    const { drift: set = {} } = settings;
    this.#metrics = metricsOf(flags.metrics, set.metrics, subject);
    this.#onChange = flags.onChange ?? set.on_change;
    this.#remind = flags.remind === undefined ? set.remind : parseDuration(flags.remind);
    if (flags.remind !== undefined && this.#remind === undefined) throw new UsageError('muster: --remind takes a duration: 90s, 30m, 24h, 7d');
    if (flags.log === '-' && flags.output === 'json') throw new UsageError('muster: --log - would stand between the events of --output json; name a file');
    if (flags.log !== undefined && flags.log !== '-') tryLog(flags.log);
    this.#guards = guardsOf(flags, settings);
  }

  /** What the last look left; read when it is asked for first, which is behind the lock where there is one. */
  get #state(): State {
    return (this.#read ??= this.memory.read((why) => complain(`${why}; what was found before is forgotten`)));
  }

  /** `--disable REASON`, `--enable`. */
  switch(reason: string | undefined): void {
    const { memory, subject } = this;
    const names = subject.playbooks.join(', ');
    if (reason === undefined) console.log(memory.enable() ? `drift of ${names} is enabled` : `drift of ${names} was not disabled`);
    else {
      if (reason.trim() === '') throw new UsageError('muster: --disable needs a reason');
      const { SUDO_USER: person } = process.env;
      const { username } = userInfo();
      memory.disable({ by: `${person && person !== username ? `${person} (as ${username})` : username}@${hostname()}`, at: stamp(Date.now()), reason: oneLine(reason) });
      console.log(`drift of ${names} is disabled; muster drift ${names} --enable ends that`);
    }
    this.#writeMetrics(this.#state, memory.disabled());
  }

  /** @returns the exit code */
  async run(): Promise<number> {
    const { flags, memory, subject } = this;
    let release: () => void;
    try {
      memory.prepare();
      const disabled = memory.disabled();
      if (disabled) {
        if (process.stderr.isTTY) process.stderr.write(`muster: ${disabledText(disabled)}; --enable ends that\n`);
        this.#writeMetrics(this.#state, disabled);
        this.#log({ kind: 'other', word: 'disabled', detail: `${disabled.by}: ${disabled.reason}`, seconds: 0, exit: EXIT.done });
        return EXIT.done;
      }
      release = await takeLock(subject.playbooks, subject.inventory, lockTimeoutOf(flags, this.settings));
    } catch (error) {
      // Whoever holds the lock remembers and tells how that run ends.
      this.#log(this.#endingOf(error));
      throw error;
    }
    try {
      const code = await this.#looked();
      return code === EXIT.pending && flags.driftOk ? EXIT.done : code;
    } catch (error) {
      await this.#broken(error);
      throw error;
    } finally {
      release();
    }
  }

  async #looked(): Promise<number> {
    const { flags } = this;
    const prepared = { ...(await prepare('drift', flags.playbook, flags, this.settings)), check: !flags.fix };
    const inventory = flags.fix && this.#guards ? await loadInventory(prepared.inventory) : undefined;
    const held: string[] = [];
    let look = new Look(this.#state, this.#began, flags.fix);
    let findings: Finding[] = [];
    const closing = (judge: () => string[] = () => []) => (): Event[] => {
      held.push(...judge());
      findings = look.findings();
      // For programs, whose last line is the recap.
      return [...held.map((message): Event => ({ event: 'warning', message })), { event: 'drift', findings, held }];
    };
    const reporter = await reporterOf(flags, { diff: prepared.diff, terse: true, remark: (result) => look.remark(result) });
    let exit: number | undefined;
    if (inventory) {
      // Looks first, and tells of it only where that is all.
      checkGuards(this.#guards!, inventory);
      const events: Event[] = [];
      const seen = copyInventory(inventory);
      look = new Look(this.#state, this.#began, false);
      const code = await execute(
        { ...prepared, check: true, inventoryRead: seen, closing: closing(() => breaches(this.#guards!, look, seen).map((reason) => `guarded, nothing was changed: ${reason}`)) },
        { event: (event) => (look.note(event), void events.push(event)), close: () => undefined },
      );
      // Where there is nothing to bring back, that was all, too.
      if (held.length > 0 || code === EXIT.interrupted || look.changes + look.unknown === 0) {
        for (const event of events) reporter.event(event);
        reporter.close();
        if (flags.output === 'text') for (const reason of held) complain(reason);
        exit = held.length > 0 ? worst([code, EXIT.guarded]) : code;
      } else look = new Look(this.#state, this.#began, true);
    }
    exit ??= await execute({ ...prepared, ...(inventory ? { inventoryRead: inventory } : {}), closing: closing() }, { event: (event) => (look.note(event), reporter.event(event)), close: () => reporter.close() });
    await this.#keep(look, findings, held, exit);
    return exit;
  }

  /** What the run found is kept and told. */
  async #keep(look: Look, findings: readonly Finding[], held: readonly string[], exit: number): Promise<void> {
    const at = stamp(Date.now());
    const corrected: { [host: string]: Set<string> } = {};
    for (const { host, task, state } of findings) if (state === 'corrected') (corrected[host] ??= new Set()).add(task);
    const last = { at, seconds: look.seconds, exit, hosts: [...look.hosts], corrected: Object.fromEntries(Object.entries(corrected).map(([host, tasks]) => [host, tasks.size])) };
    const [unreachable, failed] = [[...look.unreachable], [...look.failed]];
    this.#log({ kind: 'looked', look, findings, held, exit });
    // One that was broken off has not seen all.
    if (exit === EXIT.interrupted) return this.#write({ ...this.#state, last: { ...last, hosts: this.#state.last?.hosts ?? last.hosts } });
    const isWell = exit === EXIT.done || exit === EXIT.pending;
    const success = isWell ? at : this.#state.success;
    await this.#tell({ ...this.#state, findings: kept(findings), mended: look.mended(), unreachable, failed, last, ...(success === undefined ? {} : { success }) }, { findings, unreachable, failed, held, error: undefined }, look.run, exit);
  }

  /** A run that could not look at all: somebody who is told of drift is told of that too. */
  async #broken(error: unknown): Promise<void> {
    const ending = this.#endingOf(error);
    this.#log(ending);
    const { last, unreachable, failed } = this.#state;
    const state: State = { ...this.#state, last: { at: stamp(Date.now()), seconds: ending.seconds, exit: ending.exit, hosts: last?.hosts ?? [], corrected: {} } };
    await this.#tell(state, { findings: [], unreachable, failed, held: [], error: ending.detail }, '', ending.exit);
  }

  #endingOf(error: unknown): Extract<Ending, { kind: 'other' }> {
    const exit = error instanceof UsageError ? error.exitCode : EXIT.usage;
    return { kind: 'other', word: exit === EXIT.locked ? 'locked' : 'error', detail: mask.text(messageText(error)), seconds: (Date.now() - this.#began) / 1000, exit };
  }

  async #tell(state: State, standing: Standing, run: string, exit: number): Promise<void> {
    this.#write(state);
    const now = Date.now();
    if (this.#onChange === undefined) return;
    const message = messageOf(standing, state.told, this.#remind, now);
    if (!message) return;
    const { playbooks, inventory, view } = this.subject;
    const why = await runCommand(this.#onChange, { event: 'drift', at: stamp(now), controller: hostname(), playbooks, inventory, view, run, exit, fix: this.flags.fix, ...message }, process.env);
    if (why !== undefined) complain(`the command of --on-change failed, and will be told again: ${why}`);
    this.#write({ ...state, told: why === undefined ? toldNow(standing, state.told, stamp(now)) : untold(standing, state.told) });
  }

  /** Nothing of this may break a run that has been made. */
  #write(state: State): void {
    try {
      this.memory.write(state);
    } catch (error) {
      complain(messageText(error));
    }
    this.#writeMetrics(state, undefined);
  }

  #writeMetrics(state: State, disabled: Disabled | undefined): void {
    if (this.#metrics === undefined) return;
    try {
      writeMetrics(this.#metrics, this.subject, state, disabled);
    } catch (error) {
      complain(`the metrics cannot be written: ${(error as Error).message}`);
    }
  }

  #log(ending: Ending): void {
    const { log, playbook } = this.flags;
    if (log === undefined) return;
    const line = mask.text(logLine(playbook, ending, Date.now()));
    try {
      if (log === '-') process.stdout.write(`${line}\n`);
      else appendLine(log, line);
    } catch (error) {
      complain(`the log cannot be written: ${(error as Error).message}`);
    }
  }
}

/** `--status`. */
function status(flags: DriftFlags, subject: Subject, memory: Memory): void {
  const { findings, unreachable, failed, last, success } = memory.read((why) => complain(why));
  const disabled = memory.disabled();
  if (flags.output === 'json') {
    const { extra: _, ...shown } = subject;
    console.log(JSON.stringify({ event: 'drift-status', ...shown, disabled: disabled ?? null, last: last ?? null, success: success ?? null, findings, unreachable, failed }));
    return;
  }
  const now = Date.now();
  const ago = (at: string): string => `${minute(at)} (${age(at, now)} ago)`;
  const put = (word: string, text: string): void => console.log(`${word.padEnd(12)} ${text}`);
  if (disabled) put('disabled', disabledText(disabled));
  put('last run', last ? `${ago(last.at)}, exit ${last.exit}` : 'never');
  if (success !== undefined && success !== last?.at) put('last success', ago(success));
  for (const host of unreachable) put('unreachable', oneLine(host));
  for (const host of failed) put('failed', oneLine(host));
  const tasks = new Map<string, Kept[]>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.host, finding.task, finding.since]);
    tasks.set(key, [...(tasks.get(key) ?? []), finding]);
  }
  for (const [first, ...more] of tasks.values()) {
    put('drifted', `${oneLine(first!.task)} · ${oneLine(first!.host)} (since ${minute(first!.since)}, ${age(first!.since, now)})`);
    for (const { item, change } of [first!, ...more]) put('', oneLine(item === undefined ? change : `${item}: ${change}`));
  }
}

function disabledText({ by, at, reason }: Disabled): string {
  return `drift is disabled since ${minute(at)} by ${by}: ${reason}`;
}

/**
 * The file of the metrics, flags winning over muster.yml. What that says is meant for where drift is scheduled: elsewhere it
 * may not be written to, which is told and keeps nobody from looking.
 * @throws ContentError where what the flag says cannot be
 */
function metricsOf(flag: string | undefined, set: string | undefined, subject: Subject): string | undefined {
  const path = flag ?? set;
  if (path === undefined) return undefined;
  const file = metricsFile(path, subject);
  try {
    checkMetricsFile(file);
    return file;
  } catch (error) {
    if (flag !== undefined) throw error;
    complain(messageText(error));
    return undefined;
  }
}

/** Flags win over muster.yml. @throws UsageError for a number that is none */
function guardsOf({ maxChanges, maxHosts }: DriftFlags, { guards: set }: Settings): Guards | undefined {
  for (const [name, value] of [['max-changes', maxChanges], ['max-hosts', maxHosts]] as const)
    if (value !== undefined && !(Number.isInteger(value) && value >= 0)) throw new UsageError(`muster: --${name} must be a whole number, 0 or more`);
  if (set === undefined && maxChanges === undefined && maxHosts === undefined) return undefined;
  return { ...set, ...(maxChanges === undefined ? {} : { max_changes: maxChanges }), ...(maxHosts === undefined ? {} : { max_hosts: maxHosts }) };
}

/** @throws UsageError where nothing could be logged: before any host is touched */
function tryLog(file: string): void {
  try {
    closeSync(openSync(file, 'a', 0o640));
  } catch (error) {
    throw new UsageError(`muster: --log: ${(error as Error).message}`);
  }
}

function messageText(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(messageText).join('; ');
  if (error instanceof ContentError) return error.describe();
  return error instanceof Error ? error.message.replace(/^muster: /, '') : String(error);
}

function complain(text: string): void {
  process.stderr.write(`muster: ${harmless(mask.text(text))}\n`);
}
