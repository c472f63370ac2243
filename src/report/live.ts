import { createLogUpdate } from 'log-update';
import { type Paint, duration, oneLine, pad, painter, truncate, width } from './style.js';

/** What busy hosts are shown at most, besides what the terminal's height allows. */
const MOST = 12;

interface Busy {
  task: string;
  since: number;
  /** The last line the running command printed, or the attempt a retry is at. */
  tail: string;
}

/** The lines at the foot of a terminal: one for each busy host, with its task and how long it has been at it. */
export class Live {
  readonly #busy = new Map<string, Busy>();
  readonly #render: ReturnType<typeof createLogUpdate>;
  readonly #timer: NodeJS.Timeout;
  readonly #paint: Paint;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    colour: boolean,
  ) {
    this.#paint = painter(colour);
    this.#render = createLogUpdate(stream);
    this.#timer = setInterval(() => this.draw(), 250);
    this.#timer.unref();
  }

  begin(host: string, task: string): void {
    this.#busy.set(host, { task: oneLine(task), since: Date.now(), tail: '' });
  }

  end(host: string): void {
    this.#busy.delete(host);
  }

  tail(host: string, text: string): void {
    const busy = this.#busy.get(host);
    const last = text.trimEnd().split(/[\r\n]+/).at(-1);
    if (busy && last) busy.tail = oneLine(last);
  }

  /** Prints above the live lines. */
  print(text: string): void {
    this.#render.clear();
    this.stream.write(text);
    this.draw();
  }

  draw(): void {
    const frame = liveLines(this.#busy, Date.now(), this.stream.columns ?? 80, this.stream.rows ?? 24);
    if (frame.length > 0) this.#render(frame.map((line) => this.#paint('dim', line)).join('\n'));
    else this.#render.clear();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#busy.clear();
    this.#render.clear();
    this.#render.done();
  }
}

/** The frame as plain lines, capped to the terminal's height and summarised beyond. */
export function liveLines(busy: ReadonlyMap<string, Busy>, now: number, columns: number, rows: number): string[] {
  const most = Math.max(1, Math.min(MOST, rows - 3));
  const shown = [...busy].slice(0, busy.size > most ? most - 1 : most);
  const nameWidth = Math.min(24, Math.max(0, ...shown.map(([host]) => width(oneLine(host)))));
  const lines = shown.map(([host, { task, since, tail }]) => {
    const text = `${pad(truncate(oneLine(host), nameWidth), nameWidth)}  ${duration(Math.floor((now - since) / 1000)).replace('.0', '').padStart(5)}  ${tail ? truncate(task, Math.max(20, columns / 2 - nameWidth)) : task}`;
    // One column short: some terminals wrap when the last one is written.
    return truncate(tail ? `${text} · ${tail}` : text, columns - 1);
  });
  if (shown.length < busy.size) {
    const oldest = Math.min(...[...busy.values()].map(({ since }) => since));
    lines.push(truncate(`and ${busy.size - shown.length} more hosts busy, the longest for ${duration(Math.floor((now - oldest) / 1000)).replace('.0', '')}`, columns - 1));
  }
  return lines;
}
