import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isDict, toPlain, toValue, type Dict } from '../value/value.js';

/**
 * Facts of hosts as the last run gathered them, a file per host, for looking ahead alone: what is rendered with them is
 * asked in the first trip, and its answer counts only if the facts gathered now make the same question of it.
 * Nothing here is ever evaluated or shown. Readable by its owner alone.
 */
export class FactCache {
  readonly #read = new Map<string, Dict | undefined>();
  #writing = Promise.resolve();

  /** @param folder undefined keeps nothing */
  constructor(private readonly folder: string | undefined) {}

  /** What was known of the host; undefined where nothing (that can be read) is kept. */
  of(host: string): Dict | undefined {
    if (this.folder === undefined) return undefined;
    if (this.#read.has(host)) return this.#read.get(host);
    let facts: Dict | undefined;
    try {
      const kept = toValue(JSON.parse(readFileSync(this.#file(this.folder, host), 'utf8')));
      if (isDict(kept)) facts = kept;
    } catch {
      // None yet, or damaged: the host is asked as if it were met for the first time.
    }
    this.#read.set(host, facts);
    return facts;
  }

  /** Keeps the facts for the next run, while this one goes on. A cache that cannot be written is no reason to fail. */
  keep(host: string, facts: Dict): void {
    const { folder } = this;
    if (folder !== undefined) this.#writing = this.#writing.then(() => this.#write(folder, this.#file(folder, host), facts));
  }

  /** Resolves when all that is to be kept is. */
  kept(): Promise<void> {
    return this.#writing;
  }

  async #write(folder: string, file: string, facts: Dict): Promise<void> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // Renamed into place: another run may be reading.
      await writeFile(`${file}.${process.pid}`, JSON.stringify(toPlain(facts, false)), { mode: 0o600 });
      await rename(`${file}.${process.pid}`, file);
    } catch {
      // The next run asks this host as if it were met for the first time.
    }
  }

  #file(folder: string, host: string): string {
    return path.join(folder, `${encodeURIComponent(host)}.json`);
  }
}
