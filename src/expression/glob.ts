/** Files that match a shell pattern, for the `fileglob` lookup and filter. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fnmatch } from '../value/glob.js';

/** @param pattern an absolute path; `*`, `?` and `[…]` may stand in every part. Only files are given, sorted. */
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

function list(path: string): string[] {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(path) : [];
}
