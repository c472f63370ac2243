import type { Event, HostStats, Recap } from './events.js';
import { compressHosts } from './hosts.js';
import { type Paint, type Style, duration, harmless, oneLine, pad, truncate, width } from './style.js';

const COLOURS: { [count in keyof Recap]: Style } = {
  ok: 'green',
  changed: 'yellow',
  unreachable: 'red',
  failed: 'red',
  skipped: 'cyan',
  rescued: 'magenta',
  ignored: 'magenta',
  unknown: 'cyan',
};
/** Shown even where every host has 0 of it. */
const ALWAYS = new Set<keyof Recap>(['ok', 'changed', 'unreachable', 'failed']);

/** More hosts than that are not told one by one, and of many names only so many columns are shown. */
const MANY = 50;
const NAMES = 60;

/** The recap as lines in columns, one a host, or one for all hosts with the same counts where there are many; only what is not 0 is coloured. */
export function recapLines(hosts: { [host: string]: Recap }, paint: Paint): string[] {
  const rows = Object.keys(hosts).length > MANY ? together(hosts) : Object.entries(hosts);
  const nameWidth = Math.max(0, ...rows.map(([host]) => width(harmless(host))));
  const counts = (Object.keys(COLOURS) as (keyof Recap)[]).filter((count) => ALWAYS.has(count) || rows.some(([, recap]) => recap[count] > 0));
  const widths = new Map(counts.map((count) => [count, Math.max(...rows.map(([, recap]) => String(recap[count]).length))]));
  return rows.map(([host, recap]) => {
    const cells = counts.map((count) => {
      const cell = `${count}=${recap[count]}`.padEnd(count.length + 1 + widths.get(count)!);
      return recap[count] > 0 ? paint(COLOURS[count], cell) : cell;
    });
    const worst = recap.failed + recap.unreachable > 0 ? 'red' : recap.changed > 0 ? 'yellow' : 'green';
    return `${paint(worst, pad(harmless(host), nameWidth))}  ${cells.join(' ')}`.trimEnd();
  });
}

function together(hosts: { [host: string]: Recap }): [string, Recap][] {
  const same = new Map<string, string[]>();
  for (const [host, recap] of Object.entries(hosts)) {
    const key = JSON.stringify(recap);
    const names = same.get(key);
    if (names) names.push(host);
    else same.set(key, [host]);
  }
  return [...same].map(([recap, names]) => [`${truncate(compressHosts(names), NAMES)}${names.length > 1 ? ` (${names.length} hosts)` : ''}`, JSON.parse(recap) as Recap]);
}

/** The `--stats` tables: what each host cost, and the slowest tasks. */
export function statsLines(stats: Extract<Event, { event: 'stats' }>, paint: Paint, columns: number): string[] {
  const head = ['host', 'logins', 'trips', 'rtts', 'mysql', 'sent', 'got', 'connect', 'wait', 'remote', 'muster'];
  const rows = Object.entries(stats.hosts).map(([host, of]) => [harmless(host), ...cells(of)]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => width(row[i]!))));
  const line = (row: string[]) => row.map((cell, i) => (i === 0 ? pad(cell, widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  const lines = [paint('dim', line(head)), ...rows.map(line)];
  lines.push('', paint('dim', `Muster itself: ${duration(stats.cpu)} of processor time, at most ${bytes(stats.memory)} of memory`));
  if (stats.slowest.length > 0) {
    lines.push('', paint('dim', 'slowest'));
    for (const { task, host, seconds } of stats.slowest)
      lines.push(`${duration(seconds).padStart(7)}  ${truncate(`${oneLine(task)} · ${harmless(host)}`, columns - 9)}`);
  }
  return lines;
}

function cells(of: HostStats): string[] {
  return [
    String(of.connections),
    String(of.trips),
    String(of.roundTrips),
    String(of.conversations),
    bytes(of.bytesOut),
    bytes(of.bytesIn),
    duration(of.connecting),
    duration(of.waiting),
    duration(of.remote),
    duration(of.muster),
  ];
}

function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(1)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}
