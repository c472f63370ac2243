import { homedir } from 'node:os';
import { join } from 'node:path';

/** How inventories are read; the command line sets it once. */
export interface Reading {
  /** Ends of names that are passed over in a folder, in the place of Ansible's; undefined keeps these. */
  ignoreExtensions: readonly string[] | undefined;
  /** Regular expressions of names that are passed over besides. */
  ignorePatterns: readonly string[];
  /** Seconds that answers of inventory scripts are kept; 0 keeps none. */
  cacheSeconds: number;
  /** Answers that were kept do not count. */
  isFresh: boolean;
}

export let reading: Reading = { ignoreExtensions: undefined, ignorePatterns: [], cacheSeconds: 0, isFresh: false };

/** Replaces what the settings say, or a part of it. */
export function useReading(changes: Partial<Reading>): void {
  reading = { ...reading, ...changes };
}

/** Where answers of inventory scripts are kept (XDG Base Directory Specification). */
export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'muster', 'inventory');
}
