import { appendFileSync } from 'node:fs';
import type { Finding } from '../report/events.js';
import { oneLine } from '../report/style.js';
import type { Look } from './look.js';
import { stamp } from './look.js';

/** How a run of drift ended, for its line in a log. */
export type Ending =
  | { kind: 'looked'; look: Look; findings: readonly Finding[]; held: readonly string[]; exit: number }
  | { kind: 'other'; word: string; detail?: string | undefined; seconds: number; exit: number };

/** `2026-11-26T07:00:03Z drift site.yml hosts=7 drifted=2 new=1 … exit=2`: one run, one line, clean or not. @param now milliseconds */
export function logLine(playbooks: readonly string[], ending: Ending, now: number): string {
  const words = [stamp(now), 'drift', ...playbooks.map(oneLine)];
  if (ending.kind === 'looked') {
    const { look, findings, held } = ending;
    const count = (state: Finding['state']): number => findings.filter((finding) => finding.state === state).length;
    const drifted = new Set(findings.filter(({ state }) => state !== 'resolved').map(({ host }) => host));
    words.push(`hosts=${look.hosts.size}`, `drifted=${drifted.size}`, ...(['new', 'persisting', 'unseen', 'resolved', 'corrected'] as const).map((state) => `${state}=${count(state)}`));
    words.push(`unreachable=${look.unreachable.size}`, `failed=${look.failed.size}`, ...(held.length > 0 ? ['guarded'] : []), `seconds=${look.seconds.toFixed(1)}`);
  } else words.push(ending.word, ...(ending.detail === undefined ? [] : [JSON.stringify(oneLine(ending.detail))]), `seconds=${ending.seconds.toFixed(1)}`);
  return [...words, `exit=${ending.exit}`].join(' ');
}

/** @throws Error where the file cannot be written to */
export function appendLine(file: string, line: string): void {
  appendFileSync(file, `${line}\n`, { mode: 0o640 });
}
