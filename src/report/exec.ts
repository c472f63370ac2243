import type { Event } from './events.js';
import { failureLines } from './failure.js';
import { type Held, group } from './groups.js';
import { compressHosts } from './hosts.js';
import { changeLines } from './changes.js';
import type { Output, Reporter } from './reporter.js';
import { type Style, harmless, oneLine, painter } from './style.js';

/** Output of `exec`: `web1, web2 | CHANGED rc=0`, then what the command printed; identical answers once. */
export class ExecReporter implements Reporter {
  readonly #held: Held[] = [];

  constructor(private readonly options: Output) {}

  event(event: Event): void {
    if (event.event === 'result') this.#held.push({ event, items: [] });
    else if (event.event === 'warning') this.options.write(`warning: ${harmless(event.message)}\n`);
    else if (event.event === 'note') this.options.write(`${harmless(event.message)}\n`);
    else if (event.event === 'interrupted') this.options.write(event.again ? 'Interrupted again: ending it at once.\n' : 'Interrupted: waiting for what runs; Ctrl-C again ends it.\n');
  }

  close(): void {
    const paint = painter(this.options.colour);
    // The answer of a command is a host's own; only equal output makes hosts equal.
    const byOutput = new Map<string, Held[]>();
    for (const held of this.#held.splice(0)) {
      const { stdout, stderr } = held.event.result.data;
      const output = JSON.stringify([stdout, stderr]);
      byOutput.set(output, [...(byOutput.get(output) ?? []), held]);
    }
    for (const same of byOutput.values()) {
      for (const { event, hosts } of group(same)) {
        const { result } = event;
        const rc = typeof result.data['rc'] === 'number' ? ` rc=${result.data['rc']}` : '';
        const bad = result.status === 'failed' || result.status === 'unreachable';
        const style: Style = bad ? 'red' : result.status === 'changed' ? 'yellow' : 'green';
        const lines = [paint([style, 'bold'], `${oneLine(compressHosts(hosts))} | ${result.status.toUpperCase()}${rc}`)];
        const { stdout, stderr, msg } = result.data;
        if (typeof stdout === 'string') {
          for (const text of [stdout, stderr]) if (typeof text === 'string' && text !== '') lines.push(harmless(text.replace(/\n$/, '')));
          if (bad && result.error && result.data['rc'] === undefined) lines.push(harmless(result.error.message));
        } else if (result.error) lines.push(...failureLines(result.error, undefined, paint, this.options.columns(), true));
        else {
          lines.push(...changeLines(result.changes, paint, this.options.columns(), true));
          if (typeof msg === 'string' && msg !== '') lines.push(harmless(msg));
          else lines.push(harmless(JSON.stringify(result.data, undefined, 2)));
        }
        this.options.write(`${lines.join('\n')}\n`);
      }
    }
  }
}
