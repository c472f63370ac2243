/** Access and modification times as the `file` module sets them. */
import { join, sh, type Sh } from '../shell/sh.js';
import type { Stat } from './look.js';
import { ModuleError, type Change } from './module.js';
import { str } from './params.js';

export const timeParams = {
  access_time: str('`preserve`, `now`, or a time on the host as YYYYMMDDHHMM.SS; `now` by default for touch, else `preserve`.').optional(),
  modification_time: str('As access_time.').optional(),
};

interface Times {
  access_time?: string | undefined;
  modification_time?: string | undefined;
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
      const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)\.(\d\d?)$/.exec(text);
      if (!digits) throw new ModuleError(`${field} must be preserve, now or YYYYMMDDHHMM.SS, not "${text}"`);
      const [, year, month, day, hour, minute, second] = digits;
      return sh`t=$(date -d ${`${year}-${month}-${day} ${hour}:${minute}:${second!.padStart(2, '0')}`} +%s) || exit; printf '%s\\000' "$t"`;
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
  return join(
    FIELDS.map(([field, , flag]) => {
      const text = wanted[field];
      const given = isWritten(text);
      if (changes.length > 0 ? !changes.some((change) => change.field === field) : !given) return join([]);
      return given ? sh`touch -c -${flag} -t ${text.replace(/\.(\d)$/, '.0$1')} -- ${path}` : sh`touch -c -${flag} -- ${path}`;
    }),
    ' && ',
  );
}

function stamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
