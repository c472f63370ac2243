import type { RunOptions, RunSummary } from '../src/engine/options.js';

/** Rooms that are still being built, by their agreed faces. */
const at = (path: string): Promise<never> => import(path) as Promise<never>;
export const engineRoom = (): Promise<{ run(options: RunOptions): Promise<RunSummary> }> => at('../src/engine/run.js');
