import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandModule } from 'yargs';
import { parseDuration } from '../src/drift/duration.js';
import { Memory, nameOf } from '../src/drift/state.js';
import { minute, oneLine } from '../src/report/style.js';
import * as cron from '../src/schedule/cron.js';
import { type Job, type Told, findUser, parseEvery } from '../src/schedule/job.js';
import * as systemd from '../src/schedule/systemd.js';
import { quote } from '../src/shell/sh.js';
import { stateFolder, subjectOf } from './drift.js';
import { UsageError } from './exit.js';
import { type DriftFlags, driftOptions, playbooks } from './options.js';
import { loadSettings } from './settings.js';

type ScheduleFlags = DriftFlags & { every?: string; splay?: string; runAs?: string; with?: 'systemd' | 'cron'; print?: boolean; remove?: boolean; list?: boolean };

/** `muster schedule PLAYBOOK… --every 15m`: has `muster drift` run by itself. Said twice, it changes nothing. */
const schedule: CommandModule<object, ScheduleFlags> = {
  builder: (argv) =>
    playbooks(argv)
      .options({ ...driftOptions })
      .option('every', { type: 'string', requiresArg: true, describe: 'how often: 5m, 15m, 1h, 1d' })
      .option('splay', { type: 'string', requiresArg: true, describe: 'begin later by up to so long, on each machine always by the same: 10m, 0s', defaultDescription: 'as --every, at most 1h' })
      .option('run-as', { type: 'string', requiresArg: true, describe: 'for root: the user it runs as', defaultDescription: 'who called sudo, else root' })
      .option('with', { choices: ['systemd', 'cron'] as const, describe: 'what it is run by', defaultDescription: 'systemd where that runs the machine' })
      .option('print', { type: 'boolean', describe: 'show the files and write none' })
      .option('remove', { type: 'boolean', describe: 'take it away again' })
      .option('list', { type: 'boolean', describe: 'show what is scheduled' })
      .conflicts('every', ['remove', 'list'])
      .conflicts('print', ['remove', 'list'])
      .conflicts('remove', 'list') as never,
  handler: async (flags) => {
    if (flags.list) return list();
    if ((flags.playbook ?? []).length === 0) throw new UsageError('muster: which playbooks? usage: muster schedule <playbook..> --every 15m');
    if (flags.remove) return remove(flags);
    if (flags.every === undefined) throw new UsageError('muster: how often? --every 15m');
    await add(flags);
  },
};
export default schedule;

const isRoot = (): boolean => process.getuid?.() === 0;

/** @throws UsageError, ContentError: nothing is written then */
async function add(flags: ScheduleFlags): Promise<void> {
  const asking = [flags.askPass && '-k', flags.askBecomePass && '-K', flags.askVaultPass && '-J', ...flags.vaultId.filter((id) => /@prompt$/.test(id)).map((id) => `--vault-id ${id}`)].find(Boolean);
  if (asking) throw new UsageError(`muster: ${asking} asks, and nobody will be there to answer`);
  for (const path of flags.playbook) if (!existsSync(path)) throw new UsageError(`muster: there is no playbook ${path}`);
  const way = wayOf(flags);
  const job = jobOf(flags, way);
  const files = way === 'systemd' ? systemd.units(job) : job.system ? cron.files(job) : [{ path: `crontab of ${job.user.name}`, text: cron.entry(job) }];
  if (flags.print) {
    for (const { path, text } of files) console.log(`# ${path}\n${text}`);
    return;
  }
  const { vault_password_file: vault, private_key_file: key } = loadSettings(flags.playbook[0], process.env);
  checkFor(job, [...flags.vaultPasswordFile, flags.privateKey ?? key, vault].filter((path) => path !== undefined));
  const result = await (way === 'systemd' ? systemd : cron).install(job);
  // It is run by one of them.
  if (way === 'systemd' ? await cron.remove(job.name, job.system) : await systemd.remove(job.name, job.system)) console.log(`no longer by ${way === 'systemd' ? 'cron' : 'systemd'}`);
  console.log(`${result}: ${describe(job.told)}, by ${way} (${way === 'systemd' ? `${job.name}.timer` : files[0]!.path})`);
  const inherited = Object.keys(process.env).filter((name) => name.startsWith('MUSTER_'));
  if (inherited.length > 0) console.error(`muster: ${inherited.join(', ')} will not be set there; muster.yml holds settings for all runs`);
  if (way === 'systemd' && !job.system && !existsSync(`/var/lib/systemd/linger/${job.user.name}`)) console.error(`muster: it runs only while ${job.user.name} is logged in, until: sudo loginctl enable-linger ${job.user.name}`);
}

async function remove(flags: ScheduleFlags): Promise<void> {
  const name = `muster-drift-${nameOf(subjectOf(flags, loadSettings(flags.playbook[0], process.env)))}`;
  const was = [await systemd.remove(name, isRoot()), await cron.remove(name, isRoot())].includes(true);
  console.log(`${was ? 'removed' : 'not scheduled'}: drift of ${flags.playbook.join(', ')}`);
}

/** What is scheduled on this machine: the system's, and this user's own. */
async function list(): Promise<void> {
  let any = false;
  const show = (told: Told, way: string, standing: string): void => {
    any = true;
    let disabled: string | undefined;
    try {
      const off = new Memory(told.state, { ...told, extra: [] }).disabled();
      if (off) disabled = `disabled since ${minute(off.at)} by ${off.by}: ${off.reason}`;
    } catch {
      // Another user's, who alone may read it.
    }
    console.log([`${describe(told)}, by ${way}`, standing, disabled].filter((part) => part !== undefined && part !== '').map((part) => oneLine(part!)).join('\n    '));
  };
  for (const system of [true, false]) {
    if (!system && isRoot()) continue;
    for (const [name, told] of systemd.installed(system)) show(told, 'systemd', await systemd.standing(name, system));
    for (const told of (await cron.installed(system)).values()) show(told, 'cron', '');
  }
  if (!any) console.log('nothing is scheduled');
}

function describe({ playbooks: paths, inventory, view, every, user, fix }: Told): string {
  return `drift${fix ? ' --fix' : ''} of ${paths.join(', ')}${inventory.length > 0 ? ` on ${inventory.join(', ')}` : ''}${view.map((each) => ` ${each}`).join('')} every ${every} as ${user}`;
}

/** @throws UsageError where nothing could run it */
function wayOf(flags: ScheduleFlags): 'systemd' | 'cron' {
  if (flags.with !== undefined && flags.print) return flags.with;
  if (flags.with !== 'cron' && systemd.isBooted()) return 'systemd';
  if (flags.with === 'systemd') throw new UsageError('muster: systemd does not run this machine');
  if (flags.print || cron.isThere(isRoot())) return 'cron';
  throw new UsageError(`muster: there is ${flags.with === 'cron' ? 'no cron' : 'neither systemd nor cron'} here`);
}

function jobOf(flags: ScheduleFlags, way: 'systemd' | 'cron'): Job {
  const every = parseEvery(flags.every!);
  const splay = flags.splay === undefined ? Math.min(every.seconds, 3600) : /^0[smhd]?$/.test(flags.splay) ? 0 : parseDuration(flags.splay);
  if (splay === undefined || splay > every.seconds) throw new UsageError(`muster: --splay takes a duration, at most ${flags.every}`);
  const system = isRoot();
  if (!system && flags.runAs !== undefined && flags.runAs !== userInfo().username) throw new UsageError('muster: --run-as another user is for root');
  const user = findUser(flags.runAs ?? (system ? process.env['SUDO_USER'] : undefined));
  const settings = loadSettings(flags.playbook[0], process.env);
  const subject = subjectOf(flags, settings);
  const name = `muster-drift-${nameOf(subject)}`;
  const words = wordsOf(flags);
  // A line about each run, clean or not: in the journal, or in a file that is rotated.
  if (flags.log === undefined && (way === 'systemd' ? flags.output === 'text' : system)) words.push(way === 'systemd' ? '--log=-' : `--log`, ...(way === 'systemd' ? [] : [cron.logOf(name)]));
  const absolute = (path: string): string => (path.includes(',') ? path : resolve(path));
  return {
    name,
    every,
    splay,
    user,
    system,
    folder: process.cwd(),
    command: [process.execPath, fileURLToPath(new URL('./main.js', import.meta.url)), 'drift', ...words],
    told: { name, playbooks: subject.playbooks.map((path) => resolve(path)), inventory: subject.inventory.map(absolute), view: [...subject.view], state: stateFolder(settings), every: every.text, user: user.name, fix: flags.fix },
  };
}

/** The flags of drift among these, as words of a command line. */
function wordsOf(flags: ScheduleFlags): string[] {
  const given = flags as unknown as { [name: string]: unknown };
  const words = [...flags.playbook];
  for (const [name, option] of Object.entries(driftOptions)) {
    const value = given[name];
    const add = (text: string): void => void words.push(...(text.startsWith('-') || text === '' ? [`--${name}=${text}`] : [`--${name}`, text]));
    if (value === undefined || value === option.default || value === false) continue;
    if (option.type === 'count') words.push(...Array.from({ length: Number(value) }, () => `--${name}`));
    else if (value === true) words.push(`--${name}`);
    else if (Array.isArray(value)) value.forEach((each) => add(String(each)));
    else add(String(value));
  }
  return words;
}

/**
 * Has the user it will run as read what it needs, and keep what it finds, without touching a host.
 * @param secrets files of passwords and keys
 * @throws UsageError with what went wrong
 */
function checkFor({ user, folder, command, told }: Job, secrets: readonly string[]): void {
  const must = (flag: string, path: string, what: string): string => `{ test -${flag} ${quote(path)} || { echo ${quote(`${path} cannot be ${what}`)} >&2; exit 1; }; }`;
  const steps = [`cd ${quote(folder)}`, `mkdir -p -m 700 ${quote(told.state)}`, must('w', told.state, 'written to'), ...secrets.map((path) => must('r', path.replace(/^~(?=\/)/, user.home), 'read'))];
  const script = `${steps.join(' && ')} && exec ${[...command, '--status'].map(quote).join(' ')}`;
  const [program, ...words] = user.uid === process.getuid?.() ? ['/bin/sh', '-c', script] : ['su', '-s', '/bin/sh', user.name, '-c', script];
  const ran = spawnSync(program!, words, { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'pipe'] });
  if (ran.status === 0) return;
  throw new UsageError(`muster: ${user.name} could not run it: ${ran.error?.message ?? (ran.stderr.trim().replace(/^muster: /, '') || `exit status ${ran.status}`)}`);
}
