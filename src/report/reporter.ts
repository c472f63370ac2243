import type { Event } from './events.js';

/** One output of a run: a formatter of its events. Events come masked. */
export interface Reporter {
  event(event: Event): void;
  /** The run is over, or broken off: whatever is held back is printed. */
  close(): void;
}

/** Where a reporter writes, and how. */
export interface Output {
  write(text: string): void;
  colour: boolean;
  /** Columns of the terminal; read anew for each line, since windows change. */
  columns(): number;
  /** How many times `-v` was given. */
  verbosity: number;
}
