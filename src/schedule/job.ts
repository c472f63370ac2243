import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { ContentError } from '../value/errors.js';

/** How often: a divisor of an hour or a day, so that timer and cron mean the same and no interval is shorter than the others. */
export interface Every {
  /** As it was given: `15m`. */
  text: string;
  seconds: number;
  /** systemd.time(7), "Calendar Events". */
  calendar: string;
  /** crontab(5), the five fields. */
  cron: string;
}

/** @throws ContentError for what divides neither an hour nor a day */
export function parseEvery(text: string): Every {
  const [, digits, unit] = /^(\d{1,2})([mhd])$/.exec(text) ?? [];
  const number = Number(digits);
  if (unit === 'm' && 60 % number === 0 && number < 60) return { text, seconds: number * 60, calendar: `*:0/${number}`, cron: `*/${number} * * * *` };
  if ((unit === 'h' && 24 % number === 0 && number < 24) || text === '60m') {
    const hours = unit === 'h' ? number : 1;
    return { text, seconds: hours * 3600, calendar: `0/${hours}:00`, cron: `0 */${hours} * * *` };
  }
  if (text === '1d' || text === '24h') return { text, seconds: 86_400, calendar: '00:00', cron: '0 0 * * *' };
  throw new ContentError(`every "${text}" cannot be scheduled`, undefined, 'an hour or a day must be a multiple of it: 5m, 10m, 15m, 30m, 1h, 6h, 1d');
}

export interface User {
  name: string;
  group: string;
  uid: number;
  gid: number;
  home: string;
}

/** The user of that name, else who runs this. @throws ContentError where there is none */
export function findUser(name?: string): User {
  const own = userInfo();
  try {
    const read = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const found = name ?? own.username;
    const [passwd] = read('getent', 'passwd', '--', found).split('\n');
    const [login, , uid, gid, , home] = passwd!.split(':') as [string, string, string, string, string, string];
    return { name: login, group: read('id', '-gn', '--', login), uid: Number(uid), gid: Number(gid), home };
  } catch {
    throw new ContentError(`there is no user "${name ?? own.username}" here`);
  }
}

/** What is told of a job where it is listed; kept beside it, in the unit or above the entry. */
export interface Told {
  name: string;
  /** Absolute paths. */
  playbooks: string[];
  inventory: string[];
  /** What narrows or alters it, as it may be shown. */
  view: string[];
  /** Where drift keeps what it remembers. */
  state: string;
  every: string;
  user: string;
  fix: boolean;
}

/** A drift that is to be run by itself. */
export interface Job {
  /** Of the units, or the entry: `muster-drift-site-1f3870be`. */
  name: string;
  every: Every;
  /** Seconds that it may begin later, so that many controllers don't begin at once. */
  splay: number;
  user: User;
  /** Whether it stands with the system's jobs, in the name of a user, or with the user's own. */
  system: boolean;
  /** Where it runs: relative paths are meant from there. */
  folder: string;
  /** The program and its words. */
  command: string[];
  told: Told;
}

/** PATH of a job: the folder of node first, then what root has too. */
export function pathOf(node: string): string {
  return [...new Set([dirname(node), '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'])].join(':');
}

/** The seconds a job begins later on this machine, always the same: below `splay`. */
export function delayOf(name: string, host: string, splay: number): number {
  return splay === 0 ? 0 : createHash('sha256').update(`${host}\0${name}`).digest().readUInt32BE(0) % splay;
}

/** What installing a job came to. */
export type Installed = 'unchanged' | 'scheduled' | 'changed';

/** A file that a job consists of. */
export interface JobFile {
  path: string;
  text: string;
}

/** Begins the comment that tells of a job in its file. */
const MARK = 'muster-job: ';

export function marked(told: Told): string {
  return `# ${MARK}${JSON.stringify(told)}`;
}

/** The job a file or an entry was written for; undefined where it is not one of ours. */
export function readMark(text: string): Told | undefined {
  const json = new RegExp(`^# ${MARK}(.*)$`, 'm').exec(text)?.[1];
  try {
    return json === undefined ? undefined : (JSON.parse(json) as Told);
  } catch {
    return undefined;
  }
}
