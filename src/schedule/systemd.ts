import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { writeAtomically } from '../drift/state.js';
import { ContentError } from '../value/errors.js';
import { type Installed, type Job, type JobFile, type Told, marked, pathOf, readMark } from './job.js';

/** Whether systemd runs this machine: sd_booted(3). */
export function isBooted(): boolean {
  return existsSync('/run/systemd/system');
}

function folderOf(system: boolean): string {
  return system ? '/etc/systemd/system' : join(process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'systemd', 'user');
}

/** The service and the timer of a job. A service that is still at work is not begun again by its timer. */
export function units(job: Job): JobFile[] {
  const { name, every, splay, user, system, folder, command, told } = job;
  const remark = `# Written by muster schedule, which also takes it away (--remove).\n${marked(told)}\n`;
  const about = `Muster: drift of ${told.playbooks.map((path) => path.split('/').at(-1)).join(', ')}`;
  const service = `${remark}
[Unit]
Description=${specifiers(about)}
${system ? 'Wants=network-online.target\nAfter=network-online.target\n' : ''}
[Service]
Type=oneshot
${system ? `User=${user.name}\n` : ''}WorkingDirectory=${specifiers(folder)}
Environment=${word(`PATH=${pathOf(command[0]!)}`)}
ExecStart=${command.map((each) => word(each).replaceAll('$', '$$$$')).join(' ')}
# Another run holds the lock: it does what this one would.
SuccessExitStatus=5
SyslogIdentifier=muster
# What is under way on the hosts may end; nothing new begins.
KillMode=mixed
TimeoutStopSec=5min
`;
  const timer = `${remark}
[Unit]
Description=${specifiers(about)}

[Timer]
OnCalendar=${every.calendar}
RandomizedDelaySec=${splay}
FixedRandomDelay=true
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
`;
  const at = folderOf(system);
  return [
    { path: join(at, `${name}.service`), text: service },
    { path: join(at, `${name}.timer`), text: timer },
  ];
}

/** Writes the units, where they are not so already, and starts the timer. @throws ContentError where that is refused */
export async function install(job: Job): Promise<Installed> {
  const files = units(job);
  const [isThere, isSame] = [files.some(({ path }) => existsSync(path)), files.every(({ path, text }) => existsSync(path) && readFileSync(path, 'utf8') === text)];
  if (!isSame) {
    for (const { path, text } of files)
      guarded(path, () => {
        mkdirSync(folderOf(job.system), { recursive: true });
        writeAtomically(path, text, 0o644);
      });
    await systemctl(job.system, 'daemon-reload');
  }
  const timer = `${job.name}.timer`;
  if (isSame && (await ask(job.system, 'is-enabled', timer)) === 'enabled' && (await ask(job.system, 'is-active', timer)) === 'active') return 'unchanged';
  await systemctl(job.system, 'enable', timer);
  await systemctl(job.system, 'restart', timer);
  return isThere ? 'changed' : 'scheduled';
}

/** Takes the units away; a run under way goes on to its end. @returns whether there were any */
export async function remove(name: string, system: boolean): Promise<boolean> {
  const paths = ['service', 'timer'].map((kind) => join(folderOf(system), `${name}.${kind}`));
  if (!paths.some((path) => existsSync(path))) return false;
  if (isBooted()) {
    await ask(system, 'disable', '--now', `${name}.timer`);
    // When it last ran: a job of the same name would be made up for at once.
    await ask(system, 'clean', '--what=state', `${name}.timer`);
    await ask(system, 'reset-failed', `${name}.service`);
  }
  for (const path of paths) guarded(path, () => rmSync(path, { force: true }));
  if (isBooted()) await systemctl(system, 'daemon-reload');
  return true;
}

/** The jobs there are, by name. */
export function installed(system: boolean): Map<string, Told> {
  const folder = folderOf(system);
  const jobs = new Map<string, Told>();
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    const name = /^(muster-drift-.*)\.timer$/.exec(file)?.[1];
    const told = name === undefined ? undefined : readMark(readFileSync(join(folder, file), 'utf8'));
    if (told) jobs.set(name!, told);
  }
  return jobs;
}

/** For people: when it comes next, and how the last run ended. */
export async function standing(name: string, system: boolean): Promise<string> {
  if (!isBooted()) return 'not running: systemd does not run this machine';
  const timer = properties(await ask(system, 'show', '-p', 'ActiveState,NextElapseUSecRealtime,LastTriggerUSec', `${name}.timer`));
  const service = properties(await ask(system, 'show', '-p', 'ExecMainStatus,ActiveState', `${name}.service`));
  if (timer['ActiveState'] !== 'active') return 'not running: its timer is stopped';
  if (service['ActiveState'] === 'activating') return 'at work now';
  return [`next ${timer['NextElapseUSecRealtime']}`, ...(timer['LastTriggerUSec'] ? [`last ${timer['LastTriggerUSec']}, exit ${service['ExecMainStatus']}`] : [])].join(', ');
}

function properties(text: string): { [name: string]: string } {
  return Object.fromEntries(text.split('\n').filter((line) => line.includes('=')).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** A word of a unit, systemd.service(5), "Command lines": in quotes, with C's escapes. */
function word(text: string): string {
  return `"${specifiers(text).replace(/[\\"\n\t]/g, (character) => ({ '\n': '\\n', '\t': '\\t' })[character] ?? `\\${character}`)}"`;
}

/** `%` begins a specifier in all values of a unit. */
function specifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** What systemctl prints, whatever its status. */
async function ask(system: boolean, ...args: string[]): Promise<string> {
  return (await call(system, args)).stdout.trim();
}

async function systemctl(system: boolean, ...args: string[]): Promise<void> {
  const { failed, stderr } = await call(system, args);
  if (failed === undefined) return;
  const hint = /connect to (?:\S+ )?bus/i.test(stderr) ? 'log in as that user, or let an administrator run "loginctl enable-linger USER" first' : undefined;
  throw new ContentError(`systemctl ${[...(system ? [] : ['--user']), ...args].join(' ')} failed: ${stderr.trim() || failed}`, undefined, hint);
}

function call(system: boolean, args: string[]): Promise<{ failed: string | undefined; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile('systemctl', [...(system ? [] : ['--user']), ...args], { env: { ...process.env, LC_ALL: 'C' }, timeout: 60_000 }, (error, stdout, stderr) => resolve({ failed: error?.message, stdout, stderr }));
  });
}

function guarded(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new ContentError(`${path} cannot be written: ${(error as Error).message}`);
  }
}
