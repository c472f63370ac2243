import type { Sh } from './sh.js';

/** What a script left behind. stdout and stderr are decoded as UTF-8 (invalid bytes become U+FFFD). */
export interface Output {
  rc: number;
  stdout: string;
  stderr: string;
}

/** What makes the changes: a shell text, and files too large to travel in it. */
export interface Step {
  script: Sh;
  /**
   * Shell variable name -> content; when `script` runs, the variable holds the path of a private copy on the host.
   * A large one is kept on the file system of `near`, a path of the host, where that can be had.
   */
  uploads?: Record<string, ({ path: string } | { content: Buffer }) & { near?: Sh }>;
  /** Seconds after which the step is ended and fails (with rc 124, as coreutils' timeout does). */
  timeout?: number;
  /** Bytes kept of what it prints to each stream, half from the beginning and half from the end; all unless given. */
  kept?: number;
  /** Whether it is ended where nobody is left to hear of it: the link was lost, or Muster killed. Else it goes on to its end. */
  hangsUp?: boolean;
}
