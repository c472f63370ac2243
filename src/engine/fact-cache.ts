import { readFileSync, statSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { holdsSecret, isDict, toPlain, toValue, type Dict } from '../value/value.js';

/**
 * Facts of hosts as the last run gathered them, a file per host, for looking ahead: what is rendered with them is
 * asked in the first trip, and its answer counts only if the facts gathered now make the same question of it.
 * Where facts are cached in Ansible's sense they are variables too, and those that `set_fact` set to be kept with them.
 * Nothing here is ever evaluated. Readable by its owner alone.
 */
export class FactCache {
  readonly #read = new Map<string, Dict | undefined>();
  /** What was set to be kept in this run. */
  readonly #set = new Map<string, Dict>();
  /** Hosts of which nothing that was kept before counts any more. */
  readonly #forgotten = new Set<string>();
  #writing = Promise.resolve();

  /** @param folder undefined keeps nothing */
  constructor(
    private readonly folder: string | undefined,
    /** Seconds for which what is kept is known. */
    private readonly caching: number | undefined,
  ) {}

  /** Facts, and what was set to be kept, where they are cached and young enough. */
  known(host: string): { facts: Dict; set: Dict } | undefined {
    const { folder, caching } = this;
    if (folder === undefined || caching === undefined || this.#forgotten.has(host)) return undefined;
    const read = (file: string) => {
      const age = (Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity)) / 1000;
      return age < caching || caching === Infinity ? this.#load(file) : undefined;
    };
    return { facts: read(this.#file(folder, host)) ?? new Map(), set: read(`${this.#file(folder, host)}.set`) ?? new Map() };
  }

  /** Keeps what `set_fact` with `cacheable` has set, with what it set before; secrets are not written down. */
  keepSet(host: string, more: Dict): void {
    const { folder, caching } = this;
    if (folder === undefined || caching === undefined) return;
    const set = new Map([...(this.known(host)?.set ?? []), ...(this.#set.get(host) ?? []), ...[...more].filter(([, value]) => !holdsSecret(value))]);
    this.#set.set(host, set);
    this.#writing = this.#writing.then(() => this.#write(folder, `${this.#file(folder, host)}.set`, set));
  }

  /** `meta: clear_facts`, `--flush-cache`. */
  forget(host: string): void {
    const { folder, caching } = this;
    if (folder === undefined || caching === undefined) return;
    this.#forgotten.add(host);
    this.#set.delete(host);
    const file = this.#file(folder, host);
    this.#writing = this.#writing.then(() => Promise.all([file, `${file}.set`].map((each) => rm(each, { force: true })))).then(() => undefined, () => undefined);
  }

  /** What was known of the host; undefined where nothing (that can be read) is kept. */
  of(host: string): Dict | undefined {
    if (this.folder === undefined) return undefined;
    if (this.#read.has(host)) return this.#read.get(host);
    const facts = this.#load(this.#file(this.folder, host));
    this.#read.set(host, facts);
    return facts;
  }

  #load(file: string): Dict | undefined {
    try {
      const kept = toValue(JSON.parse(readFileSync(file, 'utf8')));
      return isDict(kept) ? kept : undefined;
    } catch {
      // None yet, or damaged: the host is asked as if it were met for the first time.
      return undefined;
    }
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
