import type { Origin } from '../value/value.js';
import { brief, changeLines, show } from './changes.js';
import type { Event, Finding, Status, TaskResult } from './events.js';
import { failureLines, place } from './failure.js';
import { type Group, type Held, type ItemEvent, type ResultEvent, type TaskEvent, group } from './groups.js';
import { compressHosts } from './hosts.js';
import type { Live } from './live.js';
import { recapLines, statsLines } from './recap.js';
import type { Output, Reporter } from './reporter.js';
import { type Paint, type Style, duration, harmless, minute, oneLine, painter, truncate, width, wrap } from './style.js';

export interface TerminalOptions extends Output {
  /** Show what changes: always in a plan, else with `--diff`. */
  diff: boolean;
  stats: boolean;
  /** For `drift`: nothing but what drifted or failed; silent when clean, since cron mails whatever is printed. */
  terse: boolean;
  /** What is to be said behind the title of a host's result; '' for nothing. Asked for when the result comes. */
  remark?: (result: ResultEvent) => string;
  /** The lines at the foot of a terminal; undefined prints plain lines only. */
  live: Live | undefined;
}

const COLOURS: { [status in Status]: Style | Style[] } = {
  ok: 'green',
  changed: 'yellow',
  failed: ['red', 'bold'],
  unreachable: ['red', 'bold'],
  skipped: 'cyan',
  ignored: 'magenta',
  rescued: 'magenta',
  unknown: 'cyan',
};
type ConfirmState = Extract<Event, { event: 'confirm' }>['state'];
const CONFIRMS: { [state in ConfirmState]: [string, Style | Style[]] } = {
  arming: ['arming', 'cyan'],
  confirmed: ['confirmed', 'green'],
  unconfirmed: ['unconfirmed', 'red'],
  'rolled-back': ['rolled back', ['red', 'bold']],
  left: ['not known', ['red', 'bold']],
};
/** Columns of the status word at the beginning of a line. */
const STATUS = 13;
const INDENT = ' '.repeat(STATUS);

/**
 * Output for people: what changed, what failed and a recap. Results of a task are held back until it is done on all
 * hosts of the play, so that the same result on many hosts is printed once.
 */
export class TerminalReporter implements Reporter {
  readonly #paint: Paint;
  readonly #tasks = new Map<string, TaskEvent>();
  readonly #held = new Map<string, Held[]>();
  readonly #items = new Map<string, ItemEvent[]>();
  readonly #busy = new Map<string, string>();
  readonly #warned = new Set<string>();
  readonly #confirms: { state: ConfirmState; block: string; message: string; hosts: string[] }[] = [];
  readonly #endings: string[] = [];
  #play: Extract<Event, { event: 'play' }> | undefined;
  #playShown = true;
  #check = false;

  constructor(private readonly options: TerminalOptions) {
    this.#paint = painter(options.colour);
  }

  event(event: Event): void {
    if (this.#confirms.length > 0 && !['confirm', 'busy', 'idle', 'output', 'effect', 'notify'].includes(event.event)) this.#showConfirms();
    switch (event.event) {
      case 'run':
        this.#check = event.check;
        return;
      case 'play':
        this.#flush();
        this.#play = event;
        this.#playShown = this.options.terse;
        if (this.options.verbosity > 0) this.#showPlay();
        return;
      case 'task':
        this.#flush();
        this.#tasks.set(event.id, event);
        return;
      case 'busy':
        this.#busy.set(event.host, event.task);
        this.options.live?.begin(event.host, event.task);
        return;
      case 'idle':
        this.#busy.delete(event.host);
        this.options.live?.end(event.host);
        return;
      case 'output':
        this.options.live?.tail(event.host, event.text);
        return;
      case 'retry': {
        const text = `attempt ${event.attempt} of ${event.retries}, next in ${duration(event.delay)}`;
        this.options.live?.tail(event.host, text);
        this.#verbose(1, 'retry', `${event.task} · ${event.host}: ${text}: ${event.why}`);
        return;
      }
      case 'item': {
        const key = `${event.host}\0${event.id}`;
        this.#items.set(key, [...(this.#items.get(key) ?? []), event]);
        return;
      }
      case 'result': {
        const key = `${event.host}\0${event.id}`;
        const held = this.#held.get(event.id) ?? [];
        held.push({ event, items: this.#items.get(key) ?? [], remark: this.options.remark?.(event) ?? '' });
        this.#items.delete(key);
        this.#held.set(event.id, held);
        if (this.#play && held.length >= this.#play.hosts.length) this.#flush(event.id);
        return;
      }
      case 'effect':
        return this.#verbose(3, 'effect', `${event.task} · ${event.host}`);
      case 'notify':
        return this.#verbose(2, 'notify', `${event.handler} by ${event.by} · ${event.host}`);
      case 'resumed':
        return this.#verbose(1, 'resumed', `${event.task} · ${event.host}: it ended well in run ${event.run} and is not run again`);
      case 'pending': {
        this.#flush();
        const text = `handler ${oneLine(event.handler)} · ${oneLine(event.host)}: notified in run ${oneLine(event.run)}, which ended before it ran`;
        this.#showPlay();
        return this.#print(wrap(text, this.options.columns() - STATUS).map((row, i) => (i === 0 ? this.#line('pending', 'yellow', row) : INDENT + row)));
      }
      case 'confirm': {
        const { state, block, host, message } = event;
        if (state === 'arming' || state === 'unconfirmed') this.options.live?.tail(host, message);
        // Silence means that all is well: for cron only what was taken back is news.
        if (this.options.terse && (state === 'arming' || state === 'confirmed')) return;
        const same = this.#confirms.find((each) => each.state === state && each.block === block && each.message === message);
        if (same) same.hosts.push(host);
        else this.#confirms.push({ state, block, message, hosts: [host] });
        return;
      }
      case 'warning': {
        const text = `${event.origin ? `${place(event.origin)}: ` : ''}${event.message}${event.host ? ` (${event.host})` : ''}`;
        if (this.#warned.has(text)) return;
        this.#warned.add(text);
        if (this.options.terse && this.options.verbosity === 0) return;
        return this.#print([this.#line('warning', 'magenta', oneLine(text))]);
      }
      case 'bootstrap': {
        const lines = wrap(`${oneLine(event.host)} · ${oneLine(event.message)}`, this.options.columns() - STATUS);
        // Last of all, where it is looked for.
        this.#endings.push(...lines.map((text, i) => (i === 0 ? this.#line(event.state, event.state === 'ready' ? 'green' : ['red', 'bold'], text) : INDENT + text)));
        return;
      }
      case 'note':
        if (!this.options.terse) this.#print(wrap(harmless(event.message), this.options.columns()));
        return;
      case 'drift':
        this.#flush();
        if (this.options.terse) this.#resolved(event.findings.filter(({ state }) => state === 'resolved'));
        return;
      case 'interrupted':
        return this.#interrupted(event.again);
      case 'stats':
        this.#flush();
        if (this.options.stats) this.#print(['', ...statsLines(event, this.#paint, this.options.columns())]);
        return;
      case 'recap':
        this.#flush();
        if (!this.options.terse) this.#recap(event);
        if (this.#endings.length > 0) this.#print(['', ...this.#endings.splice(0)]);
        return;
    }
  }

  close(): void {
    if (this.#confirms.length > 0) this.#showConfirms();
    this.#flush();
    this.options.live?.close();
  }

  /** What was told of confirmed blocks since anything else was: the same of many hosts once. */
  #showConfirms(): void {
    this.#showPlay();
    for (const { state, block, message, hosts } of this.#confirms.splice(0)) {
      const [word, style] = CONFIRMS[state];
      this.#print(wrap(`${oneLine(block)} · ${oneLine(compressHosts(hosts))}: ${oneLine(message)}`, this.options.columns() - STATUS).map((text, i) => (i === 0 ? this.#line(word, style, text) : INDENT + text)));
    }
  }

  #recap(event: Extract<Event, { event: 'recap' }>): void {
    const lines = recapLines(event.hosts, this.#paint);
    const count = Object.keys(event.hosts).length;
    const hosts = count === 1 ? '1 host' : `${count} hosts`;
    const custom = Object.entries(event.custom ?? {}).map(([whose, stats]) => `${whose === '_run' ? 'the run' : oneLine(whose)}: ${oneLine(Object.entries(stats).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' '))}`);
    this.#print(['', ...lines, ...custom, this.#paint('dim', `${hosts}, ${duration(event.seconds)}`)]);
  }

  /** What had drifted and has been put right since the last look, by somebody else. */
  #resolved(findings: readonly Finding[]): void {
    const tasks = new Map<string, { task: string; since: string; hosts: Set<string>; changes: Set<string> }>();
    for (const { host, task, item, since, change } of findings) {
      const key = JSON.stringify([task, since]);
      const same = tasks.get(key) ?? { task, since, hosts: new Set(), changes: new Set() };
      tasks.set(key, same);
      same.hosts.add(host);
      same.changes.add(oneLine(item === undefined ? change : `${item}: ${change}`));
    }
    for (const { task, since, hosts, changes } of tasks.values())
      this.#print([this.#line('resolved', 'green', `${oneLine(task)} · ${compressHosts([...hosts])} (drifted since ${minute(since)})`), ...[...changes].map((change) => INDENT + change)]);
  }

  /** Prints what is held back: of one task, or of all. */
  #flush(id?: string): void {
    for (const [task, results] of this.#held) {
      if (id !== undefined && task !== id) continue;
      this.#held.delete(task);
      const told = this.#tasks.get(task);
      const groups = group(results, (held) => [held.remark, this.#reading(held, told)], this.#play?.hosts ?? []);
      const lines = groups.flatMap((each) => this.#group(each, told));
      if (lines.length === 0) continue;
      this.#showPlay();
      this.#print(lines);
    }
  }

  #group(results: Group, task: TaskEvent | undefined): string[] {
    const { event, hosts } = results;
    const { result } = event;
    const { verbosity, terse } = this.options;
    const quiet = result.status === 'ok' || result.status === 'skipped' || (terse && result.status === 'unknown');
    if (quiet && verbosity === 0 && !this.#says(task, result)) return [];
    const where = event.delegate && event.delegate !== event.host ? `${compressHosts(hosts)} (on ${event.delegate})` : compressHosts(hosts);
    const lines = this.#title(result.status, `${task?.handler ? 'handler ' : ''}${oneLine(event.task)}`, oneLine(where) + (results.remark && ` (${results.remark})`));
    if (verbosity >= 2) lines.push(INDENT + this.#paint('dim', `${place(event.origin)} ${task?.action ?? ''} ${duration(result.seconds)}`.trimEnd()));
    const body = this.#body(results, task);
    if (hosts.length > 1 && isLoss(results) && verbosity === 0) body.push(this.#paint('dim', `that is of ${oneLine(event.host)}; it is the same with the others`));
    return [...lines, ...body.map((line) => INDENT + line)];
  }

  /** What is compared of results: where a host cannot be reached, its name and address make no difference. */
  #reading(held: Held, task: TaskEvent | undefined): unknown {
    if (!isLoss(held) || this.options.verbosity > 0) return this.#body(held, task);
    const { host, result } = held.event;
    const bare = (text: string | undefined) => text?.replaceAll(host, '').replace(ADDRESS, '');
    return [bare(result.error!.message), bare(result.error!.remedy)];
  }

  /** Whether a result is there to be read: what `debug` shows. */
  #says(task: TaskEvent | undefined, result: TaskResult): boolean {
    return task?.action === 'debug' && result.status === 'ok' && !this.options.terse;
  }

  /** The lines below a result's title. */
  #body({ event, items }: Held, task: TaskEvent | undefined): string[] {
    const { result } = event;
    const columns = this.options.columns() - STATUS;
    const says = this.#says(task, result);
    if (says && items.length > 0) return items.flatMap((item) => said(item.result.data, columns));
    const body = items.length > 0 ? items.flatMap((item) => this.#item(item)) : this.#details(result, event.origin, columns);
    // The loop as a whole says what its items don't.
    if (items.length > 0 && result.error && !items.some((item) => item.result.error)) body.push(...this.#details(result, event.origin, columns));
    if (says) body.push(...said(result.data, columns));
    else if (this.options.verbosity >= 1) body.push(...this.#data(result.data, columns));
    return body;
  }

  /** `changed     Install nginx · web1, web2`, wrapped before the hosts where the window is narrow. */
  #title(status: Status, task: string, hosts: string): string[] {
    const word = this.options.terse && status === 'changed' ? (this.#check ? 'drifted' : 'corrected') : this.#check && status === 'changed' ? 'would change' : status;
    const line = `${word.padEnd(STATUS - 1)} ${task}`;
    const text = this.#line(word, COLOURS[status], task);
    const fits = width(line) + 3 + width(hosts) <= this.options.columns();
    if (fits) return [`${text} ${this.#paint('dim', '·')} ${this.#paint('bold', hosts)}`];
    return [text, ...wrap(hosts, this.options.columns() - STATUS).map((row) => INDENT + this.#paint('bold', row))];
  }

  #line(word: string, style: Style | Style[], text: string): string {
    return `${this.#paint(style, word)}${' '.repeat(Math.max(1, STATUS - word.length))}${text}`;
  }

  #item(item: ItemEvent): string[] {
    const { result } = item;
    if ((result.status === 'ok' || result.status === 'skipped') && this.options.verbosity === 0) return [];
    const label = truncate(oneLine(item.label), Math.max(20, this.options.columns() - STATUS - 14));
    const details = this.#details(result, undefined, this.options.columns() - STATUS - 2);
    return [`${this.#paint(COLOURS[result.status], result.status)} ${label}`, ...details.map((line) => `  ${line}`)];
  }

  /** What a result says for itself: its error, its changes, or why it was skipped or is not known. */
  #details(result: TaskResult, task: Origin | undefined, columns: number): string[] {
    const whole = this.options.verbosity >= 1;
    const lines: string[] = [];
    if (result.error) lines.push(...failureLines(result.error, task ?? result.error.origin, this.#paint, columns, whole));
    else if (result.message && result.status !== 'changed' && result.status !== 'ok') lines.push(...wrap(harmless(result.message), columns));
    if (result.changes.length > 0) {
      if (this.options.diff || whole) lines.push(...changeLines(result.changes, this.#paint, columns, whole));
      else if (this.options.terse) lines.push(result.changes.map(brief).join(', '));
    }
    return lines;
  }

  /** A summary of what `register` sees. */
  #data(data: { [key: string]: unknown }, columns: number): string[] {
    const { verbosity } = this.options;
    const told = Object.entries(data).filter(([key, value]) => !['changed', 'failed', 'diff', 'results', 'ansible_facts'].includes(key) && value !== null && value !== '');
    if (verbosity >= 3) return JSON.stringify(data, undefined, 2).split('\n').map(harmless);
    return told.map(([key, value]) => this.#paint('dim', truncate(`${oneLine(key)}: ${show(value)}`, columns)));
  }

  #showPlay(): void {
    if (this.#playShown || !this.#play) return;
    this.#playShown = true;
    const { play, hosts } = this.#play;
    const names = truncate(oneLine(compressHosts(hosts)), Math.max(20, this.options.columns() - width(play) - 8));
    this.#print(['', `${this.#paint('bold', `PLAY ${oneLine(play)}`)} ${this.#paint('dim', `· ${names}`)}`]);
  }

  #interrupted(again: boolean): void {
    this.#flush();
    const waiting = [...this.#busy].map(([host, task]) => `${oneLine(host)} (${oneLine(task)})`);
    const named = waiting.length > 5 ? `${waiting.slice(0, 5).join(', ')} and ${waiting.length - 5} more` : waiting.join(', ');
    const text = again
      ? 'Interrupted again: ending what runs on the hosts now.'
      : `Interrupted: nothing new is begun; waiting for ${named || 'connections to close'}. Press Ctrl-C again to end it at once.`;
    this.#print(wrap(text, this.options.columns()).map((line) => this.#paint(['yellow', 'bold'], line)));
  }

  #verbose(level: number, word: string, text: string): void {
    if (this.options.verbosity < level) return;
    this.#print([this.#line(word, 'gray', oneLine(text))]);
  }

  #print(lines: string[]): void {
    const text = `${lines.join('\n')}\n`;
    if (this.options.live) this.options.live.print(text);
    else this.options.write(text);
  }
}

const ADDRESS = /\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\b/gi;

function isLoss({ event, items }: Held): boolean {
  return event.result.status === 'unreachable' && event.result.error !== undefined && items.length === 0;
}

/** What `debug` was told to show. */
function said(data: { [key: string]: unknown }, columns: number): string[] {
  const entries = Object.entries(data).filter(([key]) => !['changed', 'failed', 'skipped', 'ansible_loop_var', 'ansible_index_var', 'ansible_loop'].includes(key));
  // The item is told where `var` names it: then there is nothing else.
  const own = entries.filter(([key]) => key !== data['ansible_loop_var'] && key !== data['ansible_index_var']);
  const told = own.length > 0 ? own : entries.filter(([key]) => key === data['ansible_loop_var']);
  return told.flatMap(([key, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value, undefined, 2);
    return wrap(harmless(key === 'msg' ? text : `${key}: ${text}`), Math.max(20, columns));
  });
}
