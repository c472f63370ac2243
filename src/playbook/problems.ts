import { readFileSync } from 'node:fs';
import { ContentError } from '../value/errors.js';
import type { Origin } from '../value/value.js';
import { isEncrypted, keyring, LockedError } from '../vault/index.js';

/** Something wrong with the project's content. An error keeps a run from starting. */
export interface Problem {
  severity: 'error' | 'warning';
  message: string;
  origin: Origin | undefined;
  /** What to do. */
  hint: string | undefined;
}

export function problem(message: string, origin?: Origin, hint?: string): Problem {
  return { severity: 'error', message, origin, hint };
}

export function warning(message: string, origin?: Origin, hint?: string): Problem {
  return { severity: 'warning', message, origin, hint };
}

/** A content error caught while loading; anything else is thrown on, since it is a fault of ours. */
export function caught(error: unknown, fallback?: Origin): Problem {
  if (!(error instanceof ContentError)) throw error;
  if (error instanceof LockedError && !keyring.isStrict) return warning(`${error.message}, so it is not checked`, error.origin ?? fallback, error.hint);
  return problem(error.message, error.origin ?? fallback, error.hint);
}

/**
 * Throws what keeps a run from starting, once each in the order of files and lines: a ContentError, or an
 * AggregateError of them. Nothing where there are only warnings.
 */
export function raise(problems: readonly Problem[]): void {
  const errors = sorted(problems.filter((each) => each.severity === 'error')).map((each) => new ContentError(each.message, each.origin, each.hint));
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map((error) => error.describe()).join('\n'));
}

/** The same as one ContentError, for the task that met the problems: the first, and how many more there are. */
export function raiseFirst(problems: readonly Problem[]): void {
  const [first, ...more] = sorted(problems.filter((each) => each.severity === 'error'));
  if (first === undefined) return;
  throw new ContentError(first.message + (more.length > 0 ? ` (and ${more.length} more, see muster lint)` : ''), first.origin, first.hint);
}

/** Problems once each, as errors where they are errors anywhere, in the order of files and lines. */
export function sorted(problems: readonly Problem[]): Problem[] {
  const once = new Map<string, Problem>();
  for (const each of problems) {
    const key = JSON.stringify([each.message, each.origin]);
    if (once.get(key)?.severity !== 'error') once.set(key, each);
  }
  const rank = (each: Problem): [string, number, number] => [each.origin?.file ?? '', each.origin?.line ?? 0, each.origin?.column ?? 0];
  return [...once.values()].sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    return left[0] < right[0] ? -1 : left[0] > right[0] ? 1 : left[1] - right[1] || left[2] - right[2];
  });
}

/**
 * The problem as a compiler would put it: `file:line:column: message; hint`, the line, and a caret under the column.
 * Plain text; the line is left out where the file cannot be read or is encrypted.
 */
export function renderProblem({ severity, message, origin, hint }: Problem): string {
  const place = origin ? `${origin.file}:${origin.line}:${origin.column}: ` : '';
  const head = `${place}${severity === 'warning' ? 'warning: ' : ''}${message}${hint ? `; ${hint}` : ''}`;
  const line = origin && sourceLine(origin);
  if (line === undefined || line.trim() === '') return head;
  // Tabs stay tabs under the line, so that the caret stands below its column.
  const pad = line.slice(0, origin!.column - 1).replace(/[^\t]/g, ' ');
  return `${head}\n    ${line}\n    ${pad}^`;
}

function sourceLine(origin: Origin): string | undefined {
  try {
    const text = readFileSync(origin.file, 'utf8');
    // The place is one in the decrypted text, which is not shown.
    return isEncrypted(text) ? undefined : text.split(/\r?\n/)[origin.line - 1];
  } catch {
    return undefined;
  }
}
