import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { Event, Recap } from '../report/events.js';
import { ContentError } from '../value/errors.js';
import { EVENTS } from './journal.js';

/** An event as it was kept: when, by the controller's clock. */
export type Kept = Event & { at: string };
type Begin = Extract<Event, { event: 'run' }>;

/** A run as the journal has it. */
export interface KeptRun {
  /** What the run said of itself: verb, playbooks, inventory, limit, tags, who. */
  begin: Begin;
  /** The folder of the run. */
  path: string;
  at: Date;
  /** Undefined of a run that is under way, or was killed. */
  end: { hosts: { [host: string]: Recap }; seconds: number; exitCode: number } | undefined;
  /** Its process lives. Of a run on another controller nobody can tell: false. */
  underWay: boolean;
}

const ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]+$/;

/** When a run of this name began, in milliseconds; NaN where it names none. */
export function beginOf(id: string): number {
  const [, year, month, day, hour, minute, second] = ID.exec(id) ?? [];
  return year === undefined ? NaN : Date.UTC(+year, +month! - 1, +day!, +hour!, +minute!, +second!);
}

/** Names of the runs that were kept, the newest first. None where there is no journal. */
export function runIds(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => ID.test(name)).sort().reverse();
}

/** The runs that were kept, the newest first; only the ends of each file are read. What holds no event is left out. */
export function* keptRuns(folder: string): Generator<KeptRun> {
  for (const id of runIds(folder)) {
    const run = keptRun(path.join(folder, id));
    if (run) yield run;
  }
}

/** The run in a folder; undefined where nothing can be read of it. */
export function keptRun(folder: string): KeptRun | undefined {
  const begin = beginning(folder);
  if (!begin) return undefined;
  const last = lastLine(path.join(folder, EVENTS));
  const end = last?.event === 'recap' ? { hosts: last.hosts, seconds: last.seconds, exitCode: last.exitCode } : undefined;
  return { begin, path: folder, at: new Date(begin.at), end, underWay: !end && lives(begin) };
}

/** What a run said first. */
export function beginning(folder: string): (Begin & { at: string }) | undefined {
  const [first] = keptEvents(folder);
  return first?.event === 'run' && first.process !== undefined ? first : undefined;
}

/**
 * The run that is meant.
 * @param name its id, the beginning of it, or `last`
 * @throws ContentError where there is none, or several
 */
export function findRun(folder: string | undefined, name: string): KeptRun {
  if (folder === undefined) throw new ContentError('no journal is kept', undefined, 'set "journal" in muster.yml to a folder');
  if (name === 'last') {
    for (const run of keptRuns(folder)) return run;
    throw new ContentError(`there is no run in ${folder}`);
  }
  const found = runIds(folder).filter((id) => id.startsWith(name));
  if (found.length === 0 || name === '') throw new ContentError(`no run "${name}" is kept in ${folder}`, undefined, 'muster history lists those there are');
  if (found.length > 1) throw new ContentError(`"${name}" may be ${found.length} runs: ${found.slice(0, 5).join(', ')}${found.length > 5 ? ', …' : ''}`);
  const run = keptRun(path.join(folder, found[0]!));
  if (!run) throw new ContentError(`nothing can be read of the run ${found[0]}`, undefined, `look into ${path.join(folder, found[0]!, EVENTS)}`);
  return run;
}

/** A run's events, one by one. A killed run's last line may be cut: such a line, and what is no event, is passed over. */
export function* keptEvents(folder: string): Generator<Kept> {
  for (const line of lines(path.join(folder, EVENTS))) {
    const event = parse(line);
    if (event) yield event;
  }
}

function parse(line: string): Kept | undefined {
  try {
    const event = JSON.parse(line) as Partial<Kept> | null;
    return typeof event?.event === 'string' && typeof event.at === 'string' ? (event as Kept) : undefined;
  } catch {
    return undefined;
  }
}

const PIECE = 64 * 1024;

function* lines(file: string): Generator<string> {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return;
  }
  try {
    const decoder = new StringDecoder('utf8');
    const piece = Buffer.alloc(PIECE);
    let rest = '';
    for (let count; (count = readSync(fd, piece, 0, PIECE, null)) > 0; ) {
      const found = (rest + decoder.write(piece.subarray(0, count))).split('\n');
      rest = found.pop()!;
      yield* found;
    }
    if (rest !== '') yield rest;
  } finally {
    closeSync(fd);
  }
}

/** The last whole line of a file, as an event. */
function lastLine(file: string): Kept | undefined {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    // The recap of a thousand hosts is longer than one piece.
    for (let length = PIECE; ; length *= 8) {
      const from = Math.max(0, size - length);
      const piece = Buffer.alloc(size - from);
      readSync(fd, piece, 0, piece.length, from);
      const end = piece.lastIndexOf('\n');
      const before = end < 0 ? -1 : piece.lastIndexOf('\n', end - 1);
      if (before >= 0 || from === 0) return end < 0 ? undefined : parse(piece.subarray(before + 1, end).toString());
    }
  } finally {
    closeSync(fd);
  }
}

/** When a process began, by the kernel's clock: a number that is used again is told apart by it (proc(5), field 22 of stat). */
function began(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, '').trim().split(' ')[19];
  } catch {
    return undefined;
  }
}

/** This process, as a run names it. */
export function thisProcess(): Begin['process'] {
  return { host: hostname(), pid: process.pid, began: began(process.pid) };
}

/** Whether the process of a run lives. */
function lives({ process: of }: Begin): boolean {
  if (of.host !== hostname()) return false;
  if (of.began !== undefined) return began(of.pid) === of.began;
  try {
    process.kill(of.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
