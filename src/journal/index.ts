/** Runs as they were told: written event by event, read again by history, reports, resume and undo. */
export { Journal } from './journal.js';
export { prune, type Retention } from './retention.js';
export { UndoStore, type KeptBack, type KeptUndo, type Reached } from './undo.js';
export { findRun, keptEvents, keptRun, keptRuns, thisProcess, type Kept, type KeptRun } from './runs.js';
