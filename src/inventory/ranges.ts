import { ContentError } from '../value/errors.js';
import type { Origin } from '../value/value.js';

/** More hosts than that in one name are a slip, or meant to exhaust memory. */
const MOST = 100_000;

/** Names of hosts become names of files (host_vars, kept facts): that many characters at most (NAME_MAX of limits.h). */
const LONGEST = 255;

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * Expands the ranges of a host name: `web[01:03].x` is web01.x, web02.x, web03.x; `[a:f]` and a step,
 * `[1:9:2]`, as in Ansible's inventory (both ends count; leading zeros give the width).
 */
export function expandRanges(name: string, origin: Origin): string[] {
  // Text and ranges in turn.
  const parts = name.split(/\[([^\]]*)\]/);
  if (parts.reduce((length, part, i) => (i % 2 === 0 ? length + part.length : length), 0) > LONGEST) {
    throw new ContentError(`"${short(name)}" is longer than the ${LONGEST} characters a host name may have`, origin, 'give the host a short name, and what is long in a variable');
  }
  let names = [parts[0]!];
  for (let i = 1; i < parts.length; i += 2) {
    const each = members(parts[i]!, name, origin);
    if (names.length * each.length > MOST) throw tooMany(name, origin);
    names = names.flatMap((head) => each.map((member) => head + member + parts[i + 1]!));
  }
  return names;
}

const short = (name: string): string => (name.length > 60 ? `${name.slice(0, 60)}…` : name);

function tooMany(name: string, origin: Origin): ContentError {
  return new ContentError(`"${short(name)}" is more than ${MOST} hosts`, origin, 'write several smaller ranges, if that is meant');
}

function members(range: string, name: string, origin: Origin): string[] {
  const wrong = (why: string) => new ContentError(`host range "[${range}]" in "${name}" ${why}`, origin, 'write it as [start:end] or [start:end:step]');
  const [first = '', last, step = '1', ...more] = range.split(':');
  if (last === undefined || last === '' || more.length > 0) throw wrong('needs a start and an end');
  if (!/^[1-9]\d*$/.test(step)) throw wrong(`has the step "${step}", which is no positive number`);
  const stride = Number(step);
  const found: string[] = [];
  if (/^[a-zA-Z]$/.test(first) && /^[a-zA-Z]$/.test(last)) {
    const [from, to] = [letters.indexOf(first), letters.indexOf(last)];
    if (from > to) throw wrong('ends before it starts');
    for (let i = from; i <= to; i += stride) found.push(letters[i]!);
    return found;
  }
  if (!/^\d*$/.test(first) || !/^\d+$/.test(last)) throw wrong('is neither of numbers nor of single letters');
  const padded = first.length > 1 && first.startsWith('0');
  if (padded && first.length !== last.length) throw wrong('needs a start and an end of the same width');
  const [from, to] = [Number(first || '0'), Number(last)];
  if (from > to) throw wrong('ends before it starts');
  if ((to - from) / stride >= MOST) throw tooMany(name, origin);
  for (let i = from; i <= to; i += stride) found.push(padded ? String(i).padStart(first.length, '0') : String(i));
  return found;
}

/**
 * A host as inventories write it: a name, perhaps with ranges, perhaps with a port (`web[1:3]:2222`, `[fe80::1]:22`).
 * A bare IPv6 address keeps its colons.
 */
export function expandHost(written: string, origin: Origin): { names: string[]; port: number | undefined } {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::(\d+))?$/.exec(written);
  if (bracketed && isIpv6(bracketed[1]!)) return { names: [bracketed[1]!], port: bracketed[2] ? Number(bracketed[2]) : undefined };
  if (isIpv6(written)) return { names: [written], port: undefined };
  const match = /^((?:[^[\]:]|\[[^\]]*\])+)(?::(\d+))?$/.exec(written);
  if (!match) throw new ContentError(`"${written}" is no host name`, origin, 'a host is name, name:port, name[1:3] or an address');
  return { names: expandRanges(match[1]!, origin), port: match[2] ? Number(match[2]) : undefined };
}

function isIpv6(text: string): boolean {
  return /^[0-9a-fA-F:.]+$/.test(text) && (text.match(/:/g)?.length ?? 0) >= 2 && !/:::/.test(text) && (text.includes('::') || text.split(':').length >= 7);
}
