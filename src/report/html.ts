import { show } from './changes.js';
import type { Difference, Event, Failure, Recap, Status, TaskResult } from './events.js';
import { place } from './failure.js';
import { group, type Held, type ItemEvent, type ResultEvent, type TaskEvent } from './groups.js';
import { compressHosts } from './hosts.js';
import { STYLE } from './html-style.js';
import { h, Html, joined } from './html-text.js';
import { duration } from './style.js';

/** An event and when it was told (ISO 8601). */
export type Dated = Event & { at: string };

/** What one look for drift found. */
export interface Look {
  run: string;
  at: Date;
  /** Host -> the tasks that drifted there; of a host that failed or was out of reach only that. */
  hosts: Map<string, { drifted: Set<string>; trouble: 'failed' | 'unreachable' | undefined }>;
}

/** A run as a page tells of it. */
export interface Page {
  run: string;
  verb: string;
  playbooks: readonly string[];
  inventory: readonly string[];
  limit: string | undefined;
  by: string;
  check: boolean;
  at: Date;
  end: { hosts: { [host: string]: Recap }; seconds: number; exitCode: number } | undefined;
  events: Iterable<Dated>;
  /** The last looks for drift with the same playbooks, the oldest first. */
  looks: readonly Look[];
}

/** Hosts and bars beyond these would make the page slower than what it tells is worth. */
const MOST_ROWS = 100;
const MOST_BARS = 20_000;
const MOST_SLOW = 15;
const MOST_DIFF = 1000;

interface Bar {
  task: string;
  status: Status;
  from: number;
  to: number;
}

/** Everything of a run that the page shows, in one pass over its events. */
class Gathered {
  readonly tasks = new Map<string, TaskEvent>();
  /** Results to be read in full: all but those that were as wanted, or skipped. By task, in the order of the run. */
  readonly telling = new Map<string, Held[]>();
  readonly bars = new Map<string, Bar[]>();
  readonly remarks: { word: string; text: string }[] = [];
  readonly slow = new Map<string, { task: string; where: string; host: string; most: number; sum: number; hosts: number }>();
  last = 0;

  constructor({ events, at }: Page) {
    const busy = new Map<string, number>();
    const items = new Map<string, ItemEvent[]>();
    for (const event of events) {
      const now = (Date.parse(event.at) - at.getTime()) / 1000;
      this.last = Math.max(this.last, now);
      switch (event.event) {
        case 'task':
          this.tasks.set(event.id, event);
          break;
        case 'busy':
          busy.set(`${event.host}\0${event.id}`, now);
          break;
        case 'item': {
          const key = `${event.host}\0${event.id}`;
          if (!QUIET.has(event.result.status)) push(items, key, event);
          break;
        }
        case 'result': {
          const key = `${event.host}\0${event.id}`;
          const from = busy.get(key) ?? now - event.result.seconds;
          this.#result(event, items.get(key) ?? [], from, now);
          items.delete(key);
          break;
        }
        case 'warning':
          this.remarks.push({ word: 'warning', text: `${event.origin ? `${place(event.origin)}: ` : ''}${event.message}${event.host ? ` (${event.host})` : ''}` });
          break;
        case 'note':
          this.remarks.push({ word: 'note', text: event.message });
          break;
        case 'confirm':
          this.remarks.push({ word: event.state, text: `${event.block} · ${event.host}: ${event.message}` });
          break;
        case 'interrupted':
          this.remarks.push({ word: 'interrupted', text: 'somebody ended the run' });
      }
    }
  }

  #result(event: ResultEvent, items: ItemEvent[], from: number, to: number): void {
    const { host, id, task, result } = event;
    push(this.bars, host, { task, status: result.status, from, to });
    const slow = this.slow.get(id) ?? { task, where: place(event.origin), host, most: 0, sum: 0, hosts: 0 };
    if (result.seconds > slow.most) [slow.most, slow.host] = [result.seconds, host];
    slow.sum += result.seconds;
    slow.hosts++;
    this.slow.set(id, slow);
    if (QUIET.has(result.status)) return;
    push(this.telling, id, { event, items });
  }
}

function push<T>(lists: Map<string, T[]>, key: string, member: T): void {
  const list = lists.get(key);
  if (list) list.push(member);
  else lists.set(key, [member]);
}

const QUIET = new Set<Status>(['ok', 'skipped']);

/**
 * One page with nothing outside it and no script: what changed where, a timeline, drift over the last looks, slow tasks.
 * All that was born elsewhere is escaped, and a policy in the page forbids whatever would get past that.
 */
export function htmlReport(page: Page): string {
  const found = new Gathered(page);
  const title = `${page.verb} ${page.playbooks.join(', ')}`.trim();
  const html = h`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} &#183; ${page.run}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>
${heading(page, title, found)}
</header>
<main>
${hostTable(page)}
${changed(page, found)}
${timeline(page, found)}
${drift(page)}
${slowest(found)}
${remarks(found)}
</main>
</body>
</html>
`;
  return html.text;
}

function heading(page: Page, title: string, { last }: Gathered): Html {
  const { end, inventory, limit, by, at, run } = page;
  const recaps = Object.values(end?.hosts ?? {});
  const sum = (name: keyof Recap) => recaps.reduce((total, recap) => total + recap[name], 0);
  const tile = (number: number | string, word: string, kind = '') => h`<li class="${Number(number) > 0 ? kind : ''}"><b>${number}</b> ${word}</li>`;
  const [verdict, kind] = verdictOf(page);
  const facts: [string, string][] = [['run', run], ['when', at.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC')], ['by', by], ['inventory', inventory.join(', ')], ...(limit === undefined ? [] : [['limit', limit] as [string, string]])];
  return h`<h1>${title} <span class="word ${kind}">${verdict}</span></h1>
<p class="facts">${joined(facts.map(([word, text]) => h`<span>${word} <b>${text}</b></span> `))}</p>
${end ? h`<ul class="tiles">${tile(recaps.length, recaps.length === 1 ? 'host' : 'hosts')}${tile(sum('changed'), page.check ? 'would change' : 'changed', 'changed')}${tile(sum('failed'), 'failed', 'failed')}${tile(sum('unreachable'), 'unreachable', 'unreachable')}${sum('unknown') > 0 ? tile(sum('unknown'), 'unknown', 'unknown') : ''}${tile(duration(end.seconds), 'in all')}</ul>` : h`<p>The run did not end; what it told within ${duration(last)} is shown.</p>`}`;
}

function verdictOf({ end, check }: Page): [string, string] {
  if (!end) return ['did not end', 'failed'];
  switch (end.exitCode) {
    case 0:
      return [check ? 'nothing to do' : 'done', 'ok'];
    case 2:
      return ['changes pending', 'changed'];
    case 4:
      return ['unreachable', 'unreachable'];
    case 130:
      return ['interrupted', 'failed'];
    default:
      return ['failed', 'failed'];
  }
}

const COUNTS: readonly (keyof Recap)[] = ['ok', 'changed', 'failed', 'unreachable', 'skipped', 'rescued', 'ignored', 'unknown'];

function hostTable({ end }: Page): Html {
  if (!end) return h``;
  const hosts = Object.entries(end.hosts);
  const counts = COUNTS.filter((count) => ['ok', 'changed', 'failed'].includes(count) || hosts.some(([, recap]) => recap[count] > 0));
  const row = ([host, recap]: [string, Recap]) => h`<tr><th scope="row">${host}</th>${joined(counts.map((count) => h`<td class="${recap[count] > 0 && count !== 'ok' ? count : ''}">${recap[count]}</td>`))}</tr>
`;
  return section('hosts', 'Hosts', h`<div class="wide"><table class="numbers"><thead><tr><th>host</th>${joined(counts.map((count) => h`<th>${count}</th>`))}</tr></thead><tbody>
${joined(hosts.map(row))}</tbody></table></div>`, hosts.length > 40);
}

/** @param folded whether the reader opens it */
function section(id: string, title: string, body: Html, folded = false): Html {
  if (folded) return h`<section id="${id}"><details><summary><h2>${title}</h2></summary>${body}</details></section>`;
  return h`<section id="${id}"><h2>${title}</h2>${body}</section>`;
}

function changed({ check }: Page, { telling, tasks }: Gathered): Html {
  const told = [...telling].flatMap(([id, results]) => group(results, ({ event, items }) => [bodyOf(event.result).text, items.map((item) => [item.label, item.result.status, bodyOf(item.result).text])], []).map((each) => ({ ...each, task: tasks.get(id) })));
  // What went wrong is read first.
  const wrong = (status: Status) => (status === 'failed' || status === 'unreachable' ? 0 : 1);
  told.sort((a, b) => wrong(a.event.result.status) - wrong(b.event.result.status));
  const one = ({ event, items, hosts, task }: (typeof told)[number]) => {
    const { result } = event;
    const body = joined([
      ...items.map((item) => h`<div class="item"><p>${word(item.result.status, check)} ${item.label}</p>${bodyOf(item.result)}</div>`),
      ...(items.length === 0 || (result.error && !items.some((item) => item.result.error)) ? [bodyOf(result)] : []),
    ]);
    return h`<details ${new Html(wrong(result.status) === 0 || told.length <= 60 ? 'open' : '')}><summary>${word(result.status, check)} <b>${task?.handler ? 'handler ' : ''}${event.task}</b> <span class="hosts">${compressHosts(hosts)}${event.delegate && event.delegate !== event.host ? ` (on ${event.delegate})` : ''}</span></summary>
<div class="body">${body}<p class="at">${place(event.origin)}${task ? ` ${task.action}` : ''}</p></div></details>
`;
  };
  return section('changes', check ? 'What would change where' : 'What changed where', told.length === 0 ? h`<p>Nothing: all was as described.</p>` : joined(told.map(one)));
}

function word(status: Status, check: boolean): Html {
  return h`<span class="word ${status}">${check && status === 'changed' ? 'would change' : status}</span>`;
}

/** What a result says for itself. */
function bodyOf({ error, message, changes, status }: TaskResult): Html {
  const why = !error && message !== undefined && status !== 'changed' ? h`<p>${message}</p>` : h``;
  return joined([why, ...(error ? [failure(error)] : []), ...changes.map(change)]);
}

function failure(error: Failure): Html {
  const rows: [string, string | undefined][] = [
    ['doing', error.doing],
    ['command', error.command],
    ['rc', error.rc === undefined ? undefined : String(error.rc)],
    ['stderr', error.stderr === error.message ? undefined : error.stderr],
    ['stdout', error.stderr?.trim() ? undefined : error.stdout],
    ['try', error.remedy],
    ['at', error.origin && place(error.origin)],
  ];
  const said = rows.flatMap(([name, text]) => (text === undefined || text.trim() === '' ? [] : [h`<dt>${name}</dt><dd><pre>${end(text)}</pre></dd>`]));
  return h`<p class="error">${error.message}</p><dl>${joined(said)}</dl>`;
}

/** The end of a long output, where the reason mostly stands. */
function end(text: string): string {
  const lines = text.trimEnd().split('\n');
  return lines.length <= 100 ? lines.join('\n') : `(${lines.length - 100} lines before)\n${lines.slice(-100).join('\n')}`;
}

function change({ field, from, to, diff, secret }: Difference): Html {
  if (secret) return h`<p class="field"><b>${field}</b> changes (secret, not shown)</p>`;
  if (diff) return diffed(diff);
  return h`<p class="field"><b>${field}</b> <del>${show(from)}</del> &#8594; <ins>${show(to)}</ins></p>`;
}

function diffed(diff: string): Html {
  const lines = diff.replace(/\n$/, '').split('\n');
  const first = lines.findIndex((line) => line.startsWith('@@'));
  const painted = lines.slice(0, MOST_DIFF).map((line, i) => {
    if (first === -1 || i < first) return h`<b>${line}</b>\n`;
    if (line.startsWith('@@')) return h`<i>${line}</i>\n`;
    if (line.startsWith('+')) return h`<ins>${line}</ins>\n`;
    return line.startsWith('-') ? h`<del>${line}</del>\n` : h`${line}\n`;
  });
  const more = lines.length > MOST_DIFF ? h`<i>(${lines.length - MOST_DIFF} more lines)</i>\n` : h``;
  return h`<pre class="diff">${joined(painted)}${more}</pre>`;
}

const TICKS = [0, 0.25, 0.5, 0.75, 1];

function timeline({ end, check }: Page, { bars, last }: Gathered): Html {
  const whole = Math.max(end?.seconds ?? 0, last, 0.001);
  const weight = (list: readonly Bar[]) => list.reduce((sum, { status, from, to }) => sum + (to - from) + (QUIET.has(status) ? 0 : whole), 0);
  const hosts = [...bars.keys()];
  const told = hosts.length <= MOST_ROWS ? hosts : [...hosts].sort((a, b) => weight(bars.get(b)!) - weight(bars.get(a)!)).slice(0, MOST_ROWS);
  if (told.length === 0) return h``;
  // A hair's breadth of nothing new is not worth a bar.
  const least = whole / 1000;
  const percent = (seconds: number) => `${Math.round((Math.max(0, seconds) / whole) * 10_000) / 100}%`;
  let room = MOST_BARS;
  const row = (host: string) => {
    const shown = bars.get(host)!.filter(({ status, from, to }) => !QUIET.has(status) || to - from >= least).slice(0, Math.max(0, room));
    room -= shown.length;
    const drawn = shown.map(({ task, status, from, to }) => h`<i class="${status}" style="left:${percent(from)};width:${percent(to - from)}" title="${`${task}: ${check && status === 'changed' ? 'would change' : status}, ${duration(to - from)}, after ${duration(Math.max(0, from))}`}"></i>`);
    return h`<div class="row"><span>${host}</span><div class="track">${joined(drawn)}</div></div>
`;
  };
  const axis = h`<div class="row axis"><span></span><div class="track">${joined(TICKS.map((tick) => h`<em style="left:${percent(tick * whole)}">${duration(tick * whole)}</em>`))}</div></div>`;
  const legend = joined((['ok', 'changed', 'failed', 'skipped', 'unknown'] as const).map((status) => h`<span><i class="${status}"></i>${status} </span>`));
  const left = hosts.length > told.length ? h`<p class="small">The ${told.length} of ${hosts.length} hosts with the most to tell.</p>` : h``;
  return section('timeline', 'Timeline', h`<p class="legend">${legend}</p>${left}<div class="timeline">${joined(told.map(row))}${axis}</div>`);
}

function drift({ looks }: Page): Html {
  if (looks.length === 0) return section('drift', 'Drift over the last runs', h`<p>No <code>muster drift</code> of these playbooks is kept.</p>`);
  const rows = new Map<string, { host: string; task: string | undefined }>();
  for (const { hosts } of looks)
    for (const [host, { drifted, trouble }] of hosts) {
      for (const task of drifted) rows.set(`${host}\0${task}`, { host, task });
      if (trouble && drifted.size === 0) rows.set(`${host}\0`, { host, task: undefined });
    }
  const sorted = [...rows.values()].sort((a, b) => a.host.localeCompare(b.host, undefined, { numeric: true }) || (a.task ?? '').localeCompare(b.task ?? ''));
  const cell = ({ hosts, at, run }: Look, host: string, task: string | undefined) => {
    const there = hosts.get(host);
    const when = `${at.toISOString().replace('T', ' ').slice(0, 16)} UTC, ${run}`;
    if (!there) return h`<td title="${`${when}: not looked at`}"></td>`;
    if (task !== undefined && there.drifted.has(task)) return h`<td class="changed" title="${`${when}: drifted`}">&#9679;</td>`;
    if (there.trouble) return h`<td class="${there.trouble}" title="${`${when}: ${there.trouble}`}">!</td>`;
    return h`<td class="ok" title="${`${when}: as described`}">&#183;</td>`;
  };
  const span = `${looks.length} ${looks.length === 1 ? 'run' : 'runs'}, the oldest left: ${looks[0]!.at.toISOString().slice(0, 16).replace('T', ' ')} to ${looks.at(-1)!.at.toISOString().slice(0, 16).replace('T', ' ')} UTC. ● drifted, · as described, ! failed or unreachable.`;
  if (sorted.length === 0) return section('drift', 'Drift over the last runs', h`<p>None in ${looks.length} ${looks.length === 1 ? 'run' : 'runs'} since ${looks[0]!.at.toISOString().slice(0, 16).replace('T', ' ')} UTC.</p>`);
  const body = sorted.slice(0, 200).map(({ host, task }) => h`<tr><th scope="row">${host}</th><td class="task">${task ?? ''}</td>${joined(looks.map((look) => cell(look, host, task)))}</tr>
`);
  return section('drift', 'Drift over the last runs', h`<p class="small">${span}</p><div class="wide"><table class="looks"><tbody>
${joined(body)}</tbody></table></div>`);
}

function slowest({ slow }: Gathered): Html {
  const rows = [...slow.values()].sort((a, b) => b.most - a.most).slice(0, MOST_SLOW);
  if (rows.length === 0) return h``;
  const most = Math.max(rows[0]!.most, 0.001);
  const row = ({ task, where, host, most: seconds, sum, hosts }: (typeof rows)[number]) => h`<tr><th scope="row">${task}<br><small>${where}</small></th><td>${duration(seconds)}</td><td class="bar"><i style="width:${`${Math.round((seconds / most) * 100)}%`}"></i></td><td class="host">${host}</td><td>${hosts === 1 ? '' : `${duration(sum)} on ${hosts}`}</td></tr>
`;
  return section('slow', 'Slow tasks', h`<div class="wide"><table class="slow"><thead><tr><th>task</th><th>longest</th><th class="bar"></th><th>on</th><th>in all</th></tr></thead><tbody>
${joined(rows.map(row))}</tbody></table></div>`);
}

function remarks({ remarks: told }: Gathered): Html {
  if (told.length === 0) return h``;
  return section('remarks', 'Remarks', h`<ul class="remarks">${joined(told.slice(0, 200).map(({ word: kind, text }) => h`<li><span class="word">${kind}</span> ${text}</li>`))}</ul>`);
}
