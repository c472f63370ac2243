import type { Origin } from '../value/value.js';
import type { Failure } from './events.js';
import { type Paint, harmless, oneLine, wrap } from './style.js';

/** Lines of stderr and stdout shown of a failure without `-v`: the end, where the reason mostly stands. */
const OUTPUT_LINES = 20;
const LABEL = 9;

/** An error as lines: its message, what was being done, the command, its exit status and output, what to try, and where. */
export function failureLines(error: Failure, task: Origin | undefined, paint: Paint, columns: number, whole: boolean): string[] {
  const lines = wrap(harmless(error.message), columns).map((line) => paint(['red', 'bold'], line));
  const put = (label: string, text: string | undefined, style?: Parameters<Paint>[0], cut = false) => {
    if (text === undefined || text.trim() === '') return;
    let rows = harmless(text.trimEnd()).split('\n');
    if (cut && !whole && rows.length > OUTPUT_LINES) rows = [`(${rows.length - OUTPUT_LINES} lines before; -v shows them)`, ...rows.slice(-OUTPUT_LINES)];
    rows = cut ? rows : rows.flatMap((row) => wrap(row, Math.max(20, columns - LABEL)));
    rows.forEach((row, i) => lines.push(paint('dim', (i === 0 ? label : '').padEnd(LABEL)) + (style ? paint(style, row) : row)));
  };
  put('doing', error.doing);
  put('command', error.command);
  put('rc', error.rc === undefined ? undefined : String(error.rc));
  put('stderr', error.stderr === error.message ? undefined : error.stderr, undefined, true);
  // Many programs complain on stdout; it is only worth the room where stderr says nothing.
  put('stdout', error.stderr?.trim() && !whole ? undefined : error.stdout, undefined, true);
  put('try', error.remedy, 'yellow');
  const at = error.origin ?? task;
  if (at) put('at', place(at));
  if (at && task && place(at) !== place(task)) put('task', place(task));
  return lines;
}

export function place(origin: Origin): string {
  return `${oneLine(origin.file)}:${origin.line}:${origin.column}`;
}
