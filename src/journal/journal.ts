import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ContentError } from '../value/errors.js';
import type { Event } from '../report/events.js';

/** The file with a run's events, in the run's folder. */
export const EVENTS = 'events.ndjson';

/**
 * One folder per run with every event as NDJSON, written before what it announces happens.
 * Readable by its owner alone: it says what the hosts look like.
 */
export class Journal {
  readonly #file: number;
  readonly path: string;

  /** @throws ContentError when nothing can be written there: before any host is touched */
  constructor(folder: string, run: string) {
    this.path = path.join(folder, run);
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
      this.#file = openSync(path.join(this.path, EVENTS), 'a', 0o600);
    } catch (error) {
      throw new ContentError(`the journal cannot be kept: ${(error as Error).message}`, undefined, 'set "journal" in muster.yml (or MUSTER_JOURNAL) to a folder you may write to, or to false');
    }
  }

  /** @throws ContentError when the disk is full, say: what cannot be announced does not happen */
  write(event: Event): void {
    // What a command prints line by line is in its result already.
    if (event.event === 'output' || event.event === 'idle') return;
    try {
      writeSync(this.#file, `${JSON.stringify({ at: new Date().toISOString(), ...event }, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))}\n`);
    } catch (error) {
      throw new ContentError(`the journal cannot be kept any more, so the run ends here: ${(error as Error).message} (${this.path})`);
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
