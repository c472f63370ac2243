import { execFile } from 'node:child_process';
import { chownSync, closeSync, existsSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { writeAtomically } from '../drift/state.js';
import { quote } from '../shell/sh.js';
import { ContentError } from '../value/errors.js';
import { type Installed, type Job, type JobFile, type Told, delayOf, marked, pathOf, readMark } from './job.js';

const SYSTEM = '/etc/cron.d';
/** What cron takes for one command at most: Debian's MAX_COMMAND. */
const LONGEST = 998;

/** Whether there is a cron that reads this kind of entry. */
export function isThere(system: boolean): boolean {
  const has = (...names: string[]): boolean => (process.env['PATH'] ?? '').split(':').concat('/usr/sbin', '/usr/bin').some((folder) => names.some((name) => existsSync(join(folder, name))));
  return system ? existsSync(SYSTEM) && has('cron', 'crond') : has('crontab');
}

/** The log of a system job; rotated by logrotate. */
export function logOf(name: string): string {
  return `/var/log/${name}.log`;
}

/** The entry of a job: two lines, the first names it. @throws ContentError where cron could not take it */
export function entry(job: Job): string {
  const { name, every, splay, user, system, folder, command, told } = job;
  const delay = delayOf(name, hostname(), splay);
  const shell = `${delay > 0 ? `sleep ${delay}; ` : ''}cd ${quote(folder)} && PATH=${quote(pathOf(command[0]!))} exec ${command.map(quote).join(' ')}`;
  // crontab(5): an unescaped % ends the command.
  const text = shell.replaceAll('%', '\\%');
  if (/[\n\r]/.test(text)) throw new ContentError('cron takes no command of several lines', undefined, 'keep what needs them in a script, or in muster.yml');
  if (text.length > LONGEST) throw new ContentError(`cron takes no command of ${text.length} characters`, undefined, 'keep the flags in muster.yml');
  return `${marked(told)}\n${every.cron} ${system ? `${user.name} ` : ''}${text}\n`;
}

/** The files of a system job: its entry, and how its log is rotated. */
export function files(job: Job): JobFile[] {
  const { name, user, command } = job;
  const remark = '# Written by muster schedule, which also takes it away (--remove). Cron mails what it prints.\n';
  const made = [{ path: join(SYSTEM, name), text: `${remark}SHELL=/bin/sh\n${entry(job)}` }];
  if (!command.includes(logOf(name))) return made;
  const rotated = `${logOf(name)} {\n  weekly\n  rotate 8\n  compress\n  delaycompress\n  missingok\n  notifempty\n  create 0640 ${user.name} ${user.group}\n}\n`;
  return [...made, { path: `/etc/logrotate.d/${name}`, text: rotated }];
}

/** Writes the entry, where it is not so already. @throws ContentError where that is refused */
export async function install(job: Job): Promise<Installed> {
  if (!job.system) {
    const [before, mine] = split(await crontab(), job.name);
    const text = entry(job);
    if (mine === text) return 'unchanged';
    await write(before + text);
    return mine === '' ? 'scheduled' : 'changed';
  }
  const wanted = files(job);
  const isThere = existsSync(wanted[0]!.path);
  if (wanted.every(({ path, text }) => existsSync(path) && readFileSync(path, 'utf8') === text)) return 'unchanged';
  guarded(() => {
    // Its owner may not make a file in /var/log.
    if (wanted.length > 1 && !existsSync(logOf(job.name))) {
      closeSync(openSync(logOf(job.name), 'a', 0o640));
      chownSync(logOf(job.name), job.user.uid, job.user.gid);
    }
    for (const { path, text } of wanted) writeAtomically(path, text, 0o644);
    if (wanted.length === 1) rmSync(`/etc/logrotate.d/${job.name}`, { force: true });
  });
  return isThere ? 'changed' : 'scheduled';
}

/** Takes the entry away; logs stay. @returns whether there was one */
export async function remove(name: string, system: boolean): Promise<boolean> {
  if (system) {
    const path = join(SYSTEM, name);
    if (!existsSync(path)) return false;
    guarded(() => [path, `/etc/logrotate.d/${name}`].forEach((each) => rmSync(each, { force: true })));
    return true;
  }
  if (!isThere(false)) return false;
  const [others, mine] = split(await crontab(), name);
  if (mine !== '') await write(others);
  return mine !== '';
}

/** The jobs there are, by name. */
export async function installed(system: boolean): Promise<Map<string, Told>> {
  const jobs = new Map<string, Told>();
  if (!system) {
    for (const line of isThere(false) ? (await crontab()).split('\n') : []) {
      const told = readMark(line);
      if (told) jobs.set(told.name, told);
    }
    return jobs;
  }
  for (const name of existsSync(SYSTEM) ? readdirSync(SYSTEM).filter((file) => file.startsWith('muster-drift-')) : []) {
    const told = readMark(readFileSync(join(SYSTEM, name), 'utf8'));
    if (told) jobs.set(name, told);
  }
  return jobs;
}

/** A crontab without a job, and the job's two lines. */
function split(text: string, name: string): [others: string, mine: string] {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => readMark(line)?.name === name);
  if (at < 0) return [text === '' || text.endsWith('\n') ? text : `${text}\n`, ''];
  const mine = lines.splice(at, 2);
  return [lines.join('\n'), `${mine.join('\n')}\n`];
}

/** The user's crontab; '' where there is none yet. */
async function crontab(): Promise<string> {
  const { failed, stdout, stderr } = await call(['-l']);
  if (failed !== undefined && !/no crontab/i.test(stderr)) throw new ContentError(`crontab -l failed: ${stderr.trim() || failed}`);
  return failed === undefined ? stdout : '';
}

async function write(text: string): Promise<void> {
  const { failed, stderr } = await call(text === '' ? ['-r'] : ['-'], text);
  if (failed !== undefined) throw new ContentError(`crontab failed: ${stderr.trim() || failed}`);
}

function call(args: string[], input = ''): Promise<{ failed: string | undefined; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile('crontab', args, { env: { ...process.env, LC_ALL: 'C' }, timeout: 60_000 }, (error, stdout, stderr) => resolve({ failed: error?.message, stdout, stderr }));
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new ContentError(`the entry cannot be written: ${(error as Error).message}`);
  }
}
