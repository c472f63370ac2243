import type { Recap } from '../report/events.js';
import type { Dict } from '../value/value.js';
import type { Outcome } from './outcome.js';

const MOST_AHEAD = 400;
const LEAST_AHEAD = 16;

/** A host's way through the run. */
export class HostRun {
  readonly recap: Recap = { ok: 0, changed: 0, failed: 0, unreachable: 0, skipped: 0, rescued: 0, ignored: 0, unknown: 0 };
  /** The failure that takes the host out of what is being run; a rescue clears it. */
  failed: Outcome | undefined;
  /** The task that failed, for `ansible_failed_task`: its name, action and arguments. */
  failedTask: Dict | undefined;
  /** Out for the whole run: what showed it to be out of reach. */
  lost: Outcome | undefined;
  /** Ended by `meta: end_host`, `end_play` or `end_batch`: out of the play, not failed. */
  ended = false;
  /** Out of the role it runs (`meta: end_role`): the role's folder. */
  endedRole: string | undefined;
  /** Tasks it ran (skipped ones don't count). */
  done = 0;
  /** Roles of the present play that run once and did. */
  readonly rolesDone = new Set<string>();
  /** How many blocks with a rescue are around the present task. */
  rescuers = 0;
  /** Names of notified handlers (of the present play), as notified. */
  readonly notified = new Set<string>();
  /**
   * How many inspections a trip takes along: a quarter after each effect, since what is behind a change mostly changes
   * too and its answers would be thrown away; more again with each task that is found as it should be.
   */
  window = MOST_AHEAD;

  constructor(readonly name: string) {}

  foundRight(): void {
    this.window = Math.min(MOST_AHEAD, this.window + 8);
  }

  changed(): void {
    this.window = Math.max(LEAST_AHEAD, Math.floor(this.window / 4));
  }

  /** Whether the next task is for this host. */
  get running(): boolean {
    return !this.failed && !this.lost && !this.ended;
  }
}
