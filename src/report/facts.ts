import type { Event } from './events.js';
import { failureLines } from './failure.js';
import type { Output, Reporter } from './reporter.js';
import { harmless, oneLine, painter } from './style.js';

/** Output of `facts`: each host's facts as JSON, indented for people or, with `lines`, one host a line. */
export class FactsReporter implements Reporter {
  constructor(
    private readonly options: Output,
    private readonly lines: boolean,
    private readonly complain: (text: string) => void,
  ) {}

  event(event: Event): void {
    if (event.event === 'warning') this.complain(`warning: ${harmless(event.message)}\n`);
    if (event.event === 'note') this.complain(`${harmless(event.message)}\n`);
    if (event.event !== 'result') return;
    const { result, host } = event;
    if (result.error) {
      const text = failureLines(result.error, undefined, painter(false), this.options.columns(), false).join('\n  ');
      this.complain(`${oneLine(host)} | ${result.status.toUpperCase()}\n  ${text}\n`);
      return;
    }
    const facts = { host, ansible_facts: result.data['ansible_facts'] ?? {} };
    // JSON escapes control characters itself; what it leaves (bidirectional marks) is legal in it.
    this.options.write(this.lines ? `${JSON.stringify(facts)}\n` : `${harmless(JSON.stringify(facts, undefined, 2))}\n`);
  }

  close(): void {}
}
