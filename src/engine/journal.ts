import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Event } from '../report/events.js';

/**
 * One folder per run with every event as NDJSON, written before what it announces happens.
 * Readable by its owner alone: it says what the hosts look like.
 */
export class Journal {
  readonly #file: number;
  readonly path: string;

  constructor(folder: string, run: string) {
    this.path = path.join(folder, run);
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    this.#file = openSync(path.join(this.path, 'events.ndjson'), 'a', 0o600);
  }

  write(event: Event): void {
    // What a command prints line by line is in its result already.
    if (event.event === 'output' || event.event === 'idle') return;
    writeSync(this.#file, `${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}
