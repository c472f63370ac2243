/** Where one file goes when its destination may be a folder: the rule copy, template and get_url share. */
import { join, sh, type Sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { look, seen, type Entry, type LookOptions } from './look.js';
import { ModuleError, type Output } from './module.js';
import { hostPath } from './words.js';

export interface Destination {
  dest: string;
  /** Name the file gets in a folder; undefined when the source has none (`content`). */
  base: string | undefined;
  follow: boolean;
}

export interface Found {
  entry: Entry;
  umask: number;
}

/** What has to be looked at: the file itself or, where that may be a folder, the file inside it. */
export function candidates({ dest, base }: Destination): Sh[] {
  if (base === undefined) return [hostPath(dest)];
  const inside = hostPath(`${trimmedEnd(dest, '/')}/${base}`);
  return dest.endsWith('/') ? [inside] : [hostPath(dest), hostPath(`${dest}/.`), inside];
}

export function inspectDestination(destination: Destination, options: LookOptions): Sh {
  return look(candidates(destination), { ...options, follow: destination.follow });
}

/** @param noFolder what is said where a folder stands and the file has no name of its own */
export function parseDestination(output: Output, destination: Destination, options: LookOptions, noFolder?: string): Found {
  const paths = candidates(destination);
  const { entries, umask } = seen(output, paths.length, `looking at ${destination.dest}`, options);
  const [first, dot, inside] = entries;
  const entry = dot?.stat ? inside! : first!;
  if (entry.stat?.kind === 'directory') throw new ModuleError((destination.base === undefined && noFolder) || `${entry.path} is a folder; give the name of a file`);
  return { entry, umask };
}

/** Makes the folder of a destination that ends in a slash, as copy does. */
export function makeFolder({ dest }: Destination): Sh {
  return dest.endsWith('/') ? sh`mkdir -p -- ${hostPath(dest)}` : join([]);
}
