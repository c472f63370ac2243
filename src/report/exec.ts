import type { Event, TaskResult } from './events.js';
import { failureLines } from './failure.js';
import { type Held, group } from './groups.js';
import { compressHosts } from './hosts.js';
import { changeLines } from './changes.js';
import type { Output, Reporter } from './reporter.js';
import { type Paint, type Style, harmless, oneLine, painter } from './style.js';

/** Output of `exec`: `web1, web2 | CHANGED rc=0`, then what the command printed; identical answers once. */
export class ExecReporter implements Reporter {
  readonly #held: Held[] = [];
  readonly #paint: Paint;
  #order: readonly string[] = [];

  constructor(private readonly options: Output) {
    this.#paint = painter(options.colour);
  }

  event(event: Event): void {
    if (event.event === 'play') this.#order = event.hosts;
    else if (event.event === 'result') this.#held.push({ event, items: [] });
    else if (event.event === 'warning') this.options.write(`warning: ${harmless(event.message)}\n`);
    else if (event.event === 'note') this.options.write(`${harmless(event.message)}\n`);
    else if (event.event === 'interrupted') this.options.write(event.again ? 'Interrupted again: ending it at once.\n' : 'Interrupted: waiting for what runs; Ctrl-C again ends it.\n');
  }

  close(): void {
    for (const { event, hosts } of group(this.#held.splice(0), (held) => this.#body(held), this.#order)) {
      const { status, data } = event.result;
      const rc = typeof data['rc'] === 'number' ? ` rc=${data['rc']}` : '';
      const style: Style = isBad(event.result) ? 'red' : status === 'changed' ? 'yellow' : 'green';
      const title = this.#paint([style, 'bold'], `${oneLine(compressHosts(hosts))} | ${status.toUpperCase()}${rc}`);
      this.options.write(`${[title, ...this.#body({ event, items: [] })].join('\n')}\n`);
    }
  }

  /** What a command printed, or what there is to say of a module's result. */
  #body({ event: { result } }: Held): string[] {
    const { stdout, stderr, msg, rc } = result.data;
    if (typeof stdout === 'string') {
      const lines = [stdout, stderr].flatMap((text) => (typeof text === 'string' && text !== '' ? [harmless(text.replace(/\n$/, ''))] : []));
      return isBad(result) && result.error && rc === undefined ? [...lines, harmless(result.error.message)] : lines;
    }
    if (result.error) return failureLines(result.error, undefined, this.#paint, this.options.columns(), true);
    const shown = typeof msg === 'string' && msg !== '' ? msg : JSON.stringify(result.data, undefined, 2);
    return [...changeLines(result.changes, this.#paint, this.options.columns(), true), harmless(shown)];
  }
}

function isBad({ status }: TaskResult): boolean {
  return status === 'failed' || status === 'unreachable';
}
