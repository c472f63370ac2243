import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Patterns with `*` and `?`, matched without regular expressions: `.*` for each star tries all the ways in which the
 * stars may share a text, so that `*a*a*a*b` on one name of 255 letters took seconds. Here a star that cannot be made to
 * fit is given up for the next one: at most the length of the pattern times that of the text.
 */
export interface Glob {
  /** Whether the whole of a text is what the pattern says. */
  test(text: string): boolean;
}

/** A code point, a star, or what one character has to be. */
type Token = number | '*' | ((point: number) => boolean);

const any = (): boolean => true;

/** A shell pattern as Python's fnmatch has it: `*`, `?`, `[…]`, `[!…]`; no sign is escaped, a dot at the start and a slash are like any other. */
export function fnmatch(pattern: string): Glob {
  const signs = [...pattern];
  const tokens: Token[] = [];
  const closes = signs.lastIndexOf(']');
  for (let i = 0; i < signs.length; i++) {
    const from = i + (signs[i + 1] === '!' ? 2 : 1);
    // A bracket that closes at once is a member; one that nothing closes is no set.
    const end = signs[i] === '[' && from < closes ? signs.indexOf(']', from + 1) : -1;
    if (end === -1) {
      tokens.push(simple(signs[i]!));
    } else {
      tokens.push(oneOf(signs.slice(from, end).map(pointOf), from === i + 2));
      i = end;
    }
  }
  return matcher(tokens);
}

/** A pattern in which `*` and `?`, and nothing else, are special, whatever the case. */
export function wildcard(pattern: string): Glob {
  const { test } = matcher([...pattern.toLowerCase()].map(simple));
  return { test: (text) => test(text.toLowerCase()) };
}

function simple(sign: string): Token {
  return sign === '*' ? '*' : sign === '?' ? any : pointOf(sign);
}

function pointOf(sign: string): number {
  return sign.codePointAt(0)!;
}

/** Members of a set: characters and ranges. A range from higher to lower holds nothing; a hyphen at either end, or behind a range, is a member. */
function oneOf(members: readonly number[], not: boolean): Token {
  const HYPHEN = 0x2d;
  const ranges: [low: number, high: number][] = [];
  for (let i = 0; i < members.length; i++) {
    const isRange = members[i + 1] === HYPHEN && i + 2 < members.length;
    ranges.push([members[i]!, members[isRange ? i + 2 : i]!]);
    if (isRange) i += 2;
  }
  return (point) => ranges.some(([low, high]) => low <= point && point <= high) !== not;
}

function matcher(tokens: readonly Token[]): Glob {
  return {
    test(text) {
      let at = 0;
      let next = 0;
      /** The token behind the last star, and where in the text it was last tried. */
      let behind = -1;
      let tried = 0;
      while (at < text.length) {
        const token = tokens[next];
        const point = text.codePointAt(at)!;
        if (token === '*') {
          behind = ++next;
          tried = at;
          if (next === tokens.length) return true;
        } else if (token !== undefined && (typeof token === 'number' ? token === point : token(point))) {
          at += width(point);
          next++;
        } else if (behind !== -1) {
          tried += width(text.codePointAt(tried)!);
          at = tried;
          next = behind;
        } else {
          return false;
        }
      }
      while (tokens[next] === '*') next++;
      return next === tokens.length;
    },
  };
}

function width(point: number): 1 | 2 {
  return point > 0xffff ? 2 : 1;
}

/** @param pattern an absolute path; `*`, `?` and `[…]` may stand in every part. Hidden ones fit only where the part begins with a dot (glob(7)). Only files are given, sorted. */
export function globPaths(pattern: string): string[] {
  let found = ['/'];
  for (const part of pattern.split('/').filter((one) => one !== '')) {
    if (!/[*?[]/.test(part)) {
      found = found.map((path) => join(path, part));
      continue;
    }
    const glob = fnmatch(part);
    found = found.flatMap((path) => list(path).filter((name) => glob.test(name) && (part.startsWith('.') || !name.startsWith('.'))).map((name) => join(path, name)));
  }
  return found.filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false).sort();
}

/** None where it cannot be read, as with glob(3). */
function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
