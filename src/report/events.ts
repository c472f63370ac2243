import type { Origin } from '../value/value.js';

/**
 * Everything a run tells, as one union: the terminal, NDJSON and the journal are formatters of it.
 * Values in it are plain data, already masked.
 */
export type Event =
  | {
      event: 'run';
      verb: string;
      playbooks: string[];
      inventory: string[];
      limit: string | undefined;
      tags: string[];
      skipTags: string[];
      check: boolean;
      run: string;
      /** `user@controller`, whom sudo stands for included. */
      by: string;
      /** Muster's own process; with the time it began (by the kernel's clock) it can be told whether it still lives. */
      process: { host: string; pid: number; began: string | undefined };
    }
  | { event: 'play'; play: string; hosts: string[]; origin: Origin }
  | { event: 'task'; task: string; id: string; origin: Origin; handler: boolean; action: string }
  /** A host began or ended work on a task (drives the live lines; not printed otherwise). */
  | { event: 'busy'; host: string; task: string; id: string }
  | { event: 'idle'; host: string }
  /** A piece of output of a running command. */
  | { event: 'output'; host: string; text: string }
  | { event: 'retry'; host: string; task: string; attempt: number; retries: number; delay: number; why: string }
  /** One item of a loop is done. */
  | { event: 'item'; host: string; id: string; label: string; result: TaskResult }
  | { event: 'result'; host: string; id: string; task: string; origin: Origin; delegate: string | undefined; result: TaskResult }
  /**
   * Written before the effect it announces, which is the run's so many-th; `notifies` names the handlers that its success will notify, `command` is the
   * fingerprint of a command without secrets.
   */
  | { event: 'effect'; effect: number; host: string; id: string; task: string; changes: Difference[]; notifies?: string[]; command?: string }
  /** A command that is not run, since run `run` did and it ended well. */
  | { event: 'resumed'; host: string; id: string; task: string; run: string; command: string }
  /** A handler that run `run` notified, at `at`, and did not come to: it is notified again. */
  | { event: 'pending'; host: string; handler: string; run: string; at: string }
  | { event: 'notify'; host: string; handler: string; by: string }
  /**
   * A confirmed block on a host: its timer is about to be armed, a new login confirmed it, nothing did (the host puts the
   * old state back), the old state is back, or the host stayed out of reach.
   */
  | { event: 'confirm'; host: string; block: string; origin: Origin; state: 'arming' | 'confirmed' | 'unconfirmed' | 'rolled-back' | 'left'; message: string }
  /** The end of `bootstrap` for a host: how to log in and the key it showed, as far as it came. */
  | {
      event: 'bootstrap';
      host: string;
      state: 'ready' | 'failed' | 'unreachable';
      login: { user: string; address: string; port: number | undefined } | undefined;
      key: { type: string; fingerprint: string; how: 'new' | 'known' | 'replaced' } | undefined;
      /** The file that names the host now. */
      inventory: string | undefined;
      message: string;
    }
  | { event: 'warning'; message: string; origin?: Origin; host?: string }
  /** No host matched, end_play, and other remarks. */
  | { event: 'note'; message: string }
  | { event: 'interrupted'; again: boolean }
  /** Of `drift`, before the recap: what was found, next to what the look before had found. `held`: the guards that kept it from being corrected. */
  | { event: 'drift'; findings: Finding[]; held: string[] }
  /** `cpu` in seconds and `memory` in bytes are of Muster's own process. */
  | { event: 'stats'; hosts: { [host: string]: HostStats }; slowest: { task: string; host: string; seconds: number }[]; seconds: number; cpu: number; memory: number }
  /** `custom` is what set_stats kept, by host or `_run`. */
  | { event: 'recap'; hosts: { [host: string]: Recap }; custom?: { [hostOrRun: string]: { [name: string]: unknown } }; seconds: number; exitCode: number };

export type Status = 'ok' | 'changed' | 'failed' | 'unreachable' | 'skipped' | 'ignored' | 'rescued' | 'unknown';

export interface TaskResult {
  status: Status;
  /** For people: the error, or the reason of a skip or of not knowing. */
  message: string | undefined;
  /** What differs or was changed. */
  changes: Difference[];
  /** The whole registered result as plain data, masked; `censored` under no_log. */
  data: { [key: string]: unknown };
  /** For errors: what was being done, the exact command, exit status, stderr and what to try. */
  error: Failure | undefined;
  seconds: number;
}

export interface Failure {
  message: string;
  doing: string | undefined;
  command: string | undefined;
  rc: number | undefined;
  stderr: string | undefined;
  stdout: string | undefined;
  remedy: string | undefined;
  /** Of the template or variable at fault, when it is not the task's. */
  origin: Origin | undefined;
}

/** A change as shown: attributes from/to, files as unified diff text. Secret ones have neither. */
export interface Difference {
  field: string;
  from: unknown;
  to: unknown;
  /** Unified diff (with `---`/`+++` headers) of a text; secret hunks replaced by a line that says so. */
  diff: string | undefined;
  secret: boolean;
}

export interface Recap {
  ok: number;
  changed: number;
  failed: number;
  unreachable: number;
  skipped: number;
  rescued: number;
  ignored: number;
  unknown: number;
}

export interface HostStats {
  connections: number;
  trips: number;
  roundTrips: number;
  conversations: number;
  bytesOut: number;
  bytesIn: number;
  /** Seconds. */
  connecting: number;
  waiting: number;
  /** Of the waiting, what the host itself was at work; the rest is the network and Muster. */
  remote: number;
  /** What is left of the time its tasks took: rendering, comparing, waiting for a place among the forks. */
  muster: number;
}

/** One difference between a host and its description. The members up to `nth` are its identity: the same ones in the next look are the same finding. */
export interface Finding {
  host: string;
  task: string;
  /** Label of the loop's item. */
  item?: string | undefined;
  /** What differs; `effect` where a task says no more than that it changes something. */
  field: string;
  /** Stands for from and to; the same for all changes of what is secret. */
  fingerprint: string;
  /** From 1: which it is of those that are alike in all of the above. */
  nth: number;
  /** The difference on one line. */
  change: string;
  /** The machine, where the task is delegated. */
  delegate?: string | undefined;
  /**
   * `unseen`: found before, and this time nobody could look (the host was out of reach, or a task before it failed).
   * `corrected`: found and put right in this run.
   */
  state: 'new' | 'persisting' | 'unseen' | 'resolved' | 'corrected';
  /** When it was first found: ISO 8601, UTC. */
  since: string;
  /** Of a corrected one: the how manieth time the field was put right within a week. From 2: something else changes it. */
  times?: number | undefined;
}
