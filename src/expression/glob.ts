/** Files that match a shell pattern, for the `fileglob` lookup and filter. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** @param pattern an absolute path; `*`, `?` and `[…]` may stand in every part. Only files are given, sorted. */
export function globPaths(pattern: string): string[] {
  let found = ['/'];
  for (const part of pattern.split('/').filter((one) => one !== '')) {
    if (!/[*?[]/.test(part)) {
      found = found.map((path) => join(path, part));
      continue;
    }
    const regex = fnmatch(part);
    found = found.flatMap((path) => list(path).filter((name) => regex.test(name) && (part.startsWith('.') || !name.startsWith('.'))).map((name) => join(path, name)));
  }
  return found.filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false).sort();
}

function list(path: string): string[] {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(path) : [];
}

/** A shell pattern as Python's fnmatch has it, for the whole of a text: `*`, `?`, `[…]`, `[!…]`; no sign is escaped, a dot at the start is like any other. */
export function fnmatch(pattern: string): RegExp {
  const source = pattern.replace(/\[(!?)(\]?[^\]]*)\]|\*+|[^]/gu, (whole, not: string | undefined, set: string | undefined) => {
    if (set) return `[${not ? '^' : ''}${set.replace(/[\\\][^]/g, '\\$&')}]`;
    return whole.startsWith('*') ? '.*' : whole === '?' ? '.' : whole.replace(/[\\^$.+?()[\]{}|/]/g, '\\$&');
  });
  return new RegExp(`^(?:${source})$`, 'su');
}
