import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RunOptions, RunSummary } from '../src/engine/options.js';
import { display } from '../src/playbook/context.js';
import type { Event } from '../src/report/events.js';
import type { Output, Reporter } from '../src/report/reporter.js';
import { wantsColour } from '../src/report/style.js';
import type { TerminalOptions } from '../src/report/terminal.js';
import { useReading } from '../src/inventory/reading.js';
import { keyring } from '../src/vault/index.js';
import { EXIT, UsageError } from './exit.js';
import type { Flags } from './options.js';
import { askPassword, identitiesOf, passwordIn } from './passwords.js';
import { askSecret, askText, hasTerminal } from './prompt.js';
import { type Settings, loadSettings } from './settings.js';
import { parseExtraVars } from './vars.js';

/** Flags, environment and muster.yml made one; everything a run is told but its events and signals. */
export type Prepared = Omit<RunOptions, 'emit' | 'stop' | 'kill'>;

/**
 * @param settings of the project, where they were read already
 * @throws UsageError, ContentError: before any host was touched
 */
export async function prepare(verb: RunOptions['verb'], given: string[], flags: Flags, settings = loadSettings(given[0], process.env)): Promise<Prepared> {
  const playbooks = await Promise.all(given.map((path) => playbookAt(path, settings)));
  if (flags.forks !== undefined && !(Number.isInteger(flags.forks) && flags.forks >= 1)) throw new UsageError('muster: --forks must be a whole number, 1 or more');
  if (flags.timeout !== undefined && !(flags.timeout > 0)) throw new UsageError('muster: --timeout must be a number of seconds');
  keyring.use(await identitiesOf(flags, settings));
  // What is only listed need not be opened.
  keyring.isStrict = !(flags.listTasks || flags.listTags || flags.listHosts);
  const extraVars = parseExtraVars(flags.extraVars);
  const { ansible } = settings;
  const connectionPassword = (flags.askPass ?? ansible.ask_pass) ? await askPassword('SSH password') : passwordIn(ansible.connection_password_file);
  const becomePassword = (flags.askBecomePass ?? ansible.ask_become_pass) ? ((await askPassword(`become password${connectionPassword ? ' (empty: the SSH password)' : ''}`)) || connectionPassword) : passwordIn(ansible.become_password_file);
  return {
    verb,
    playbooks,
    inventory: inventoryOf(flags, settings),
    limit: flags.limit,
    tags: split(flags.tags?.length ? flags.tags : ansible.tags),
    skipTags: split(flags.skipTags?.length ? flags.skipTags : ansible.skip_tags),
    extraVars,
    forks: flags.forks ?? settings.forks ?? 50,
    check: verb === 'plan' || flags.check === true,
    diff: (verb === 'plan' && !flags.check) || (flags.diff ?? ansible.diff) === true,
    verify: flags.verify === true,
    verbosity: flags.verbose,
    startAtTask: flags.startAtTask,
    lockTimeout: lockTimeoutOf(flags, settings),
    forceHandlers: (flags.forceHandlers ?? ansible.force_handlers) === true,
    playDefaults: {
      gatherFacts: ansible.gathering === 'explicit' ? false : undefined, strategy: ansible.strategy,
      anyErrorsFatal: ansible.any_errors_fatal, noLog: ansible.no_log, publicRoles: ansible.private_role_vars === undefined ? undefined : !ansible.private_role_vars,
    },
    defaults: {
      become: (flags.become ?? ansible.become) === true,
      becomeUser: flags.becomeUser ?? ansible.become_user,
      becomeMethod: flags.becomeMethod ?? ansible.become_method,
      becomeFlags: ansible.become_flags,
      remoteUser: flags.user ?? settings.remote_user,
      connection: flags.connection ?? ansible.transport,
      port: ansible.remote_port,
      privateKeyFile: flags.privateKey ?? settings.private_key_file,
      connectTimeout: flags.timeout ?? settings.timeout ?? 0,
      connectionPassword,
      becomePassword,
      askPassphrase: passphrases(),
      hostKeyChecking: flags.hostKeyChecking ?? settings.host_key_checking,
      sshConfigFile: settings.ssh_config,
      sshArgs: { args: ansible.ssh_args, common: flags.sshCommonArgs ?? ansible.ssh_common_args, extra: flags.sshExtraArgs ?? ansible.ssh_extra_args },
      knownHostsFile: settings.known_hosts,
      projectKnownHostsFile: join(settings.projectDir, '.muster', 'known_hosts'),
    },
    ask: async (question, hidden) => (hasTerminal() ? (hidden ? askSecret : askText)(question) : undefined),
    projectDir: settings.projectDir,
    rolesPath: settings.roles_path ?? [],
    factCaching: settings.fact_caching ?? (ansible.facts_cache?.on ? (ansible.facts_cache.seconds ?? 86_400) || Infinity : undefined),
    flushCache: flags.flushCache,
    factsDir: settings.facts === false ? undefined : (settings.facts ?? join(settings.projectDir, '.muster', 'facts')),
    journalDir: journalOf(settings),
    journalKeep: { runs: 100, days: 90, ...settings.journal_keep },
  };
}

/** A playbook as it was named: its path, or `namespace.collection.playbook`. @throws UsageError where there is none */
export async function playbookAt(path: string, { projectDir }: Settings): Promise<string> {
  if (existsSync(path)) return path;
  const found = /^\w+\.\w+\.\w+(?:\.\w+)*$/.test(path) ? (await import('../src/playbook/own.js')).collectionPlaybook(path, [projectDir]) : undefined;
  if (found === undefined) throw new UsageError(`muster: there is no playbook ${path}`);
  return display(found);
}

/** The folder runs are journalled under; undefined where none is kept. */
export function journalOf({ journal, projectDir }: Settings): string | undefined {
  return journal === false ? undefined : (journal ?? join(projectDir, '.muster', 'runs'));
}

/** Seconds that locks are waited for. @throws UsageError */
export function lockTimeoutOf({ lockTimeout }: Pick<Flags, 'lockTimeout'>, settings: Settings): number {
  if (lockTimeout !== undefined && !(lockTimeout >= 0)) throw new UsageError('muster: --lock-timeout must be a number of seconds, 0 or more');
  return lockTimeout ?? settings.lock_timeout ?? 0;
}

/** `-i`, else muster.yml's. @throws UsageError where there is none, or a path is missing */
export function inventoryOf(flags: Pick<Flags, 'inventory' | 'flushCache'>, settings: Settings): string[] {
  const { extensions, patterns = [] } = settings.ansible.inventory_ignore ?? {};
  useReading({ ignoreExtensions: extensions, ignorePatterns: patterns, cacheSeconds: settings.inventory_cache ?? 0, isFresh: flags.flushCache === true });
  const sources = flags.inventory.length > 0 ? flags.inventory : (settings.inventory ?? []);
  for (const source of sources)
    if (!source.includes(',') && !existsSync(source)) throw new UsageError(`muster: there is no inventory ${source}; -i takes a file, a folder or "host1,host2,"`);
  return sources.map((source) => (source.includes(',') ? source : display(source)));
}

/** Asks once for each key, one question at a time; where there is no terminal nobody is asked. */
function passphrases(): (keyFile: string) => Promise<string | undefined> {
  const asked = new Map<string, Promise<string | undefined>>();
  let last: Promise<unknown> = Promise.resolve();
  return (keyFile) => {
    let answer = asked.get(keyFile);
    if (!answer) {
      answer = last.then(() => askPassword(`passphrase of ${keyFile}`).catch(() => undefined));
      asked.set(keyFile, (last = answer) as Promise<string | undefined>);
    }
    return answer;
  };
}

/** `-t a,b -t c` */
function split(tags: string[] | undefined): string[] {
  return (tags ?? []).flatMap((each) => each.split(',')).map((tag) => tag.trim()).filter((tag) => tag !== '');
}

/** Runs what was prepared, shows it with a reporter, listens to signals. @param work what is run, if not just the playbooks @returns the exit code */
export async function execute(prepared: Prepared, reporter: Reporter, work?: (options: RunOptions) => Promise<RunSummary>): Promise<number> {
  const run = work ?? (await import('../src/engine/run.js')).run;
  const stop = new AbortController();
  const kill = new AbortController();
  const emit = (event: Event) => reporter.event(event);
  const onSignal = () => {
    // Whoever presses a third time wants out, whatever is left behind.
    if (kill.signal.aborted) process.exit(EXIT.interrupted);
    const again = stop.signal.aborted;
    emit({ event: 'interrupted', again });
    (again ? kill : stop).abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const summary = await run({ ...prepared, emit, stop: stop.signal, kill: kill.signal });
    return stop.signal.aborted ? EXIT.interrupted : summary.exitCode;
  } finally {
    reporter.close();
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** Standard output as reporters use it. */
export function output(flags: Pick<Flags, 'verbose'>): Output {
  return {
    write: process.stdout.isTTY ? (text) => void process.stdout.write(text) : together(),
    colour: wantsColour(process.stdout, process.env),
    columns: () => process.stdout.columns ?? (Number(process.env['COLUMNS']) || 120),
    verbosity: flags.verbose,
  };
}

/**
 * Writes to standard output, in one system call all that is written within one turn of the event loop: with many hosts
 * a call for each line is much of the work.
 */
function together(): (text: string) => void {
  const { stdout } = process;
  let corked = false;
  const uncork = (): void => {
    if (corked) stdout.uncork();
    corked = false;
  };
  process.on('exit', uncork);
  return (text) => {
    if (!corked) {
      stdout.cork();
      setImmediate(uncork);
    }
    corked = true;
    stdout.write(text);
  };
}

/** The reporter of a run of playbooks. */
export async function reporterOf(flags: Flags, how: Pick<TerminalOptions, 'diff' | 'terse' | 'remark'>): Promise<Reporter> {
  const out = output(flags);
  if (flags.output === 'json') {
    const { JsonReporter } = await import('../src/report/json.js');
    return new JsonReporter(out.write);
  }
  const { TerminalReporter } = await import('../src/report/terminal.js');
  const live = process.stdout.isTTY && process.env['TERM'] !== 'dumb' && !how.terse ? new (await import('../src/report/live.js')).Live(process.stdout, out.colour) : undefined;
  return new TerminalReporter({ ...out, ...how, stats: flags.stats === true, live });
}
