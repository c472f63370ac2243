import type { Event, Recap } from './events.js';
import type { Reporter } from './reporter.js';

/** NDJSON: one event a line; the last is the recap. What only drives the live lines is left out. */
export class JsonReporter implements Reporter {
  constructor(private readonly write: (text: string) => void) {}

  event(event: Event): void {
    if (event.event === 'busy' || event.event === 'idle') return;
    const line = event.event === 'recap' ? { event: 'recap', hosts: mapHosts(event.hosts) } : event;
    this.write(`${JSON.stringify(line, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))}\n`);
  }

  close(): void {}
}

/** The counts in the documented order, whatever order they were made in. */
function mapHosts(hosts: { [host: string]: Recap }): { [host: string]: Recap } {
  return Object.fromEntries(
    Object.entries(hosts).map(([host, { ok, changed, failed, unreachable, skipped, rescued, ignored, unknown }]) => [
      host,
      { ok, changed, failed, unreachable, skipped, rescued, ignored, unknown },
    ]),
  );
}
