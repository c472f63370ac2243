/** What `find` tells of each thing it found: the fields of Ansible's statinfo. */
import { Float } from '../value/value.js';
import { statFields } from './attributes.js';
import type { Stat } from './look.js';

export interface FileFacts {
  path: string;
  [field: string]: unknown;
}

/** Seconds since the epoch, as Python has them: a float even where nothing follows the point. */
export const time = (seconds: number) => (Number.isInteger(seconds) ? new Float(seconds) : seconds);

export function fileFacts(path: string, stat: Stat, checksum: string | undefined): FileFacts {
  const named = (name: string) => (name === 'UNKNOWN' ? '' : name);
  return {
    path,
    ...statFields(stat),
    atime: time(stat.atime),
    mtime: time(stat.mtime),
    ctime: time(stat.ctime),
    gr_name: named(stat.group),
    pw_name: named(stat.owner),
    ...(checksum === undefined ? {} : { checksum }),
  };
}
