import { rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { EVENTS } from './journal.js';
import { beginning, beginOf, keptRun, runIds } from './runs.js';

/** What is kept of the runs. */
export interface Retention {
  /** So many runs of each verb: a drift every ten minutes does not push out the last apply. */
  runs: number;
  days: number;
}

const DAY = 86_400_000;

/**
 * Removes the runs that are too old or too many; never one that is under way. Costs a look at the folder, and one at
 * each run's first line where there are more than are kept.
 */
export function prune(folder: string, { runs, days }: Retention, now = Date.now()): void {
  const ids = runIds(folder);
  const kept = new Map<string, number>();
  for (const id of ids) {
    const place = path.join(folder, id);
    let over = now - beginOf(id) > days * DAY;
    if (!over && ids.length > runs) {
      const verb = beginning(place)?.verb ?? '';
      kept.set(verb, (kept.get(verb) ?? 0) + 1);
      over = kept.get(verb)! > runs;
    }
    if (over && !mayLive(place, now)) rmSync(place, { recursive: true, force: true });
  }
}

/** Under way here, or so far unfinished on another controller that keeps its journal in the same folder. */
function mayLive(folder: string, now: number): boolean {
  const run = keptRun(folder);
  if (!run || run.end) return false;
  if (run.underWay) return true;
  return run.begin.process.host !== hostname() && now - statSync(path.join(folder, EVENTS)).mtimeMs < DAY;
}
