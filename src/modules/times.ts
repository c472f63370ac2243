/** Access and modification times as the `file` module sets them. */
import { parseTime } from '../expression/time.js';
import { join, sh, type Sh } from '../shell/sh.js';
import type { Stat } from './look.js';
import { ModuleError, type Change } from './module.js';
import { str } from './params.js';

export const timeParams = {
  access_time: str('`preserve`, `now`, or a time on the host as YYYYMMDDHHMM.SS; `now` by default for touch, else `preserve`.').optional(),
  access_time_format: str("How a time is written in access_time, in strptime's codes.").default('%Y%m%d%H%M.%S'),
  modification_time: str('As access_time.').optional(),
  modification_time_format: str('As access_time_format.').default('%Y%m%d%H%M.%S'),
};

interface Times {
  access_time?: string | undefined;
  access_time_format: string;
  modification_time?: string | undefined;
  modification_time_format: string;
}

const FIELDS = [
  ['access_time', 'atime', 'a'],
  ['modification_time', 'mtime', 'm'],
] as const;

/** A time that is written out, whose meaning hangs on the host's time zone. */
const isWritten = (text: string | undefined): text is string => text !== undefined && text !== 'now' && text !== 'preserve';

/** Prints the seconds since the epoch that the times written out stand for, a field each. */
export function readTimes(wanted: Times): Sh {
  return join(
    FIELDS.map(([field]) => {
      const text = wanted[field];
      if (!isWritten(text)) return join([]);
      return sh`t=$(date -d ${clock(wanted, field).replace('T', ' ')} +%s) || exit; printf '%s\\000' "$t"`;
    }),
  );
}

/** Takes what readTimes() printed off the end of the fields: seconds of both times, undefined for one not written out. */
export function takeTimes(wanted: Times, rest: string[]): (number | undefined)[] {
  const written = FIELDS.map(([field]) => isWritten(wanted[field]));
  const seconds = rest.splice(rest.length - written.filter(Boolean).length).map(Number);
  return written.map((is) => (is ? seconds.shift() : undefined));
}

/** @param usual what a time that is not given means */
export function compareTimes(wanted: Times, times: readonly (number | undefined)[], stat: Stat, usual: 'now' | 'preserve'): Change[] {
  return FIELDS.flatMap(([field, member], i): Change[] => {
    const want = wanted[field] ?? usual;
    if (want === 'preserve' || times[i] === stat[member]) return [];
    return [{ field, from: stamp(stat[member]), to: times[i] === undefined ? 'now' : stamp(times[i]) }];
  });
}

/** Sets the times that differ; with no changes given (a new file), those that are written out. */
export function setTimes(path: Sh, wanted: Times, changes: readonly Change[]): Sh {
  // Both at once, and now: that takes no more than leave to write (utimensat(2)).
  if (FIELDS.every(([field]) => changes.some((change) => change.field === field) && !isWritten(wanted[field]))) return sh`touch -c -- ${path}`;
  return join(
    FIELDS.map(([field, , flag]) => {
      const text = wanted[field];
      const given = isWritten(text);
      if (changes.length > 0 ? !changes.some((change) => change.field === field) : !given) return join([]);
      return given ? sh`touch -c -${flag} -t ${clock(wanted, field).replace(/[-T]|:(?=.*:)/g, '').replace(':', '.')} -- ${path}` : sh`touch -c -${flag} -- ${path}`;
    }),
    ' && ',
  );
}

/** What the clock of the host is to show, as YYYY-MM-DDTHH:MM:SS. @throws ModuleError where that cannot be read */
function clock(wanted: Times, field: 'access_time' | 'modification_time'): string {
  const [text, format] = [wanted[field]!, wanted[`${field}_format`]];
  try {
    return new Date(parseTime(text, format).micros / 1000).toISOString().slice(0, 19);
  } catch (error) {
    throw new ModuleError(`Error while obtaining timestamp for time ${text} using format ${format}: ${(error as Error).message}; write preserve, now, or a time in that format`);
  }
}

function stamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
