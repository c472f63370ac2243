import { structuredPatch } from 'diff';

/** Texts beyond this many characters, and texts too different to compare soon, are summarised. */
const HUGE = 2_000_000;
const MOST_EDITS = 4000;

/**
 * The unified diff of a text file, with `---` and `+++` headers; '' when nothing differs.
 * @param before null when the file does not exist yet; `after` null when it goes away
 * @param secrets ranges [start, end) of `after` that must not be shown: each hunk that touches one is replaced, with what
 * it removes, by a line that says so
 */
export function unifiedDiff(
  before: string | null,
  after: string | null,
  path: string,
  secrets: readonly (readonly [number, number])[] = [],
): string {
  if (before === after) return '';
  const header = `--- ${before === null ? '/dev/null' : path}\n+++ ${after === null ? '/dev/null' : path}\n`;
  const [old, now] = [before ?? '', after ?? ''];
  if (isBinary(old) || isBinary(now)) return `${header}(binary: ${size(before)} → ${size(after)})\n`;
  const patch =
    old.length + now.length > HUGE
      ? undefined
      : structuredPatch(path, path, old, now, undefined, undefined, { context: 3, maxEditLength: MOST_EDITS });
  if (!patch) return `${header}(too much differs to show: ${size(before)} → ${size(after)})\n`;
  const secret = secretLines(now, secrets);
  let text = header;
  for (const hunk of patch.hunks) {
    text += `@@ -${range(hunk.oldStart, hunk.oldLines)} +${range(hunk.newStart, hunk.newLines)} @@\n`;
    if (touches(hunk, secret)) {
      const removed = hunk.lines.filter((line) => line.startsWith('-')).length;
      const added = hunk.lines.filter((line) => line.startsWith('+')).length;
      text += `(hidden, since it holds a secret: ${removed} removed, ${added} added)\n`;
    } else text += `${hunk.lines.join('\n')}\n`;
  }
  return text;
}

/** A side without lines is named by the line before it (POSIX diff, "Diff -u Output Format"). */
function range(start: number, lines: number): string {
  return `${lines === 0 ? start - 1 : start},${lines}`;
}

interface SecretLines {
  /** Line numbers of `after`, from 1. */
  numbers: Set<number>;
  /** What stands before a secret on its line (`password = `): a removed line that begins so held the old one. */
  beginnings: Set<string>;
}

function secretLines(after: string, ranges: readonly (readonly [number, number])[]): SecretLines {
  const lines: SecretLines = { numbers: new Set(), beginnings: new Set() };
  let line = 1;
  let lineStart = 0;
  let at = 0;
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    // A range may begin within the one before it.
    for (; at < start; at++) if (after[at] === '\n') [line, lineStart] = [line + 1, at + 1];
    const beginning = after.slice(lineStart, Math.max(lineStart, start)).trim();
    if (start >= lineStart && /\w/.test(beginning)) lines.beginnings.add(beginning);
    lines.numbers.add(line);
    for (; at < end; at++)
      if (after[at] === '\n') {
        [line, lineStart] = [line + 1, at + 1];
        if (at + 1 < end) lines.numbers.add(line);
      }
  }
  return lines;
}

function touches(hunk: { newStart: number; lines: string[] }, secret: SecretLines): boolean {
  if (secret.numbers.size === 0) return false;
  let line = hunk.newStart;
  for (const text of hunk.lines) {
    if (text.startsWith('-')) {
      const old = text.slice(1).trim();
      for (const beginning of secret.beginnings) if (old.startsWith(beginning)) return true;
    } else if (!text.startsWith('\\')) {
      if (secret.numbers.has(line)) return true;
      line++;
    }
  }
  return false;
}

function isBinary(text: string): boolean {
  return text.includes('\0');
}

function size(text: string | null): string {
  if (text === null) return 'absent';
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return isBinary(text) ? `${Buffer.byteLength(text)} bytes` : `${lines} lines, ${Buffer.byteLength(text)} bytes`;
}
