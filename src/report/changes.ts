import type { Difference } from './events.js';
import { type Paint, harmless, oneLine, truncate, width } from './style.js';

/** Lines of a text file's diff shown without `-v`. */
const DIFF_LINES = 400;

/**
 * What changes, as lines: unified diffs coloured, attributes as `mode: 0644 → 0600`.
 * @param columns what a line may take
 */
export function changeLines(changes: readonly Difference[], paint: Paint, columns: number, whole: boolean): string[] {
  return changes.flatMap((change) => {
    if (change.secret) return [`${paint('bold', oneLine(change.field))}: ${paint('dim', 'changes (secret, not shown)')}`];
    if (change.diff) return diffLines(change.diff, paint, whole);
    return attribute(change, paint, columns, whole);
  });
}

function attribute(change: Difference, paint: Paint, columns: number, whole: boolean): string[] {
  const field = oneLine(change.field);
  const [from, to] = [show(change.from), show(change.to)];
  if (width(field) + width(from) + width(to) + 5 <= columns)
    return [`${paint('bold', field)}: ${paint('red', from)} → ${paint('green', to)}`];
  const cut = (text: string) => (whole ? text : truncate(text, columns - 4));
  return [`${paint('bold', field)}:`, paint('red', `  - ${cut(from)}`), paint('green', `  + ${cut(to)}`)];
}

/** A value of any kind on one line; what is absent says so, checksums are cut short. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'absent';
  if (typeof value === 'string') {
    if (/^[0-9a-f]{40,}$/.test(value)) return `${value.slice(0, 12)}…`;
    return value === '' || value !== value.trim() ? JSON.stringify(harmless(value)) : oneLine(value);
  }
  if (Array.isArray(value) && value.every((member) => typeof member === 'string' || typeof member === 'number'))
    return value.length === 0 ? '[]' : value.map(show).join(', ');
  return oneLine(JSON.stringify(value) ?? String(value));
}

function diffLines(diff: string, paint: Paint, whole: boolean): string[] {
  const lines = harmless(diff).replace(/\n$/, '').split('\n');
  const shown = whole ? lines : lines.slice(0, DIFF_LINES);
  // Headers stand before the first hunk; later a line that begins with `---` is a removed one.
  const firstHunk = lines.findIndex((line) => line.startsWith('@@'));
  const painted = shown.map((line, i) => {
    if (firstHunk === -1 || i < firstHunk) return paint('bold', line);
    if (line.startsWith('@@')) return paint('cyan', line);
    if (line.startsWith('+')) return paint('green', line);
    if (line.startsWith('-')) return paint('red', line);
    return line.startsWith('(') || line.startsWith('\\') ? paint('dim', line) : line;
  });
  if (shown.length < lines.length) painted.push(paint('dim', `(${lines.length - shown.length} more lines; -v shows them)`));
  return painted;
}

/** A change as a few words: from and to where both are short, else what changes. */
export function brief(change: Difference): string {
  const field = oneLine(change.field);
  const plain = !change.secret && change.diff === undefined && [change.from, change.to].every((side) => show(side).length <= 40);
  return plain ? `${field}: ${show(change.from)} → ${show(change.to)}` : field;
}
