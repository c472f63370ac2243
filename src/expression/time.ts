/** `strftime` and `strptime` for the C locale. */
import { fail } from './undefined.js';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

export function formatTime(format: string, date: Date, utc: boolean): string {
  // Local time read through UTC's getters.
  const local = utc ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  const pad = (value: number, width = 2, fill = '0') => String(value).padStart(width, fill);
  const hour = local.getUTCHours();
  const startOfYear = Date.UTC(local.getUTCFullYear(), 0, 1);
  const day = Math.floor((local.getTime() - startOfYear) / 86_400_000);
  const offset = utc ? 0 : -date.getTimezoneOffset();
  const codes: { [letter: string]: () => string } = {
    Y: () => pad(local.getUTCFullYear(), 4),
    y: () => pad(local.getUTCFullYear() % 100),
    C: () => pad(Math.floor(local.getUTCFullYear() / 100)),
    m: () => pad(local.getUTCMonth() + 1),
    d: () => pad(local.getUTCDate()),
    e: () => pad(local.getUTCDate(), 2, ' '),
    H: () => pad(hour),
    I: () => pad(hour % 12 || 12),
    M: () => pad(local.getUTCMinutes()),
    S: () => pad(local.getUTCSeconds()),
    f: () => pad(local.getUTCMilliseconds() * 1000, 6),
    p: () => (hour < 12 ? 'AM' : 'PM'),
    j: () => pad(day + 1, 3),
    a: () => DAYS[local.getUTCDay()]!.slice(0, 3),
    A: () => DAYS[local.getUTCDay()]!,
    b: () => MONTHS[local.getUTCMonth()]!.slice(0, 3),
    h: () => MONTHS[local.getUTCMonth()]!.slice(0, 3),
    B: () => MONTHS[local.getUTCMonth()]!,
    u: () => String(local.getUTCDay() || 7),
    w: () => String(local.getUTCDay()),
    U: () => pad(Math.floor((day + 7 - local.getUTCDay()) / 7)),
    W: () => pad(Math.floor((day + 7 - ((local.getUTCDay() + 6) % 7)) / 7)),
    s: () => String(Math.floor(date.getTime() / 1000)),
    z: () => `${offset < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(offset) / 60))}${pad(Math.abs(offset) % 60)}`,
    Z: () => (utc ? 'UTC' : (/\(([^)]+)\)/.exec(date.toString())?.[1] ?? '').replace('Coordinated Universal Time', 'UTC')),
    F: () => formatTime('%Y-%m-%d', date, utc),
    T: () => formatTime('%H:%M:%S', date, utc),
    R: () => formatTime('%H:%M', date, utc),
    D: () => formatTime('%m/%d/%y', date, utc),
    x: () => formatTime('%m/%d/%y', date, utc),
    X: () => formatTime('%H:%M:%S', date, utc),
    c: () => formatTime('%a %b %e %H:%M:%S %Y', date, utc),
    n: () => '\n',
    t: () => '\t',
    '%': () => '%',
  };
  return format.replace(/%-?([a-zA-Z%])/g, (whole, letter: string) => {
    const text = codes[letter]?.() ?? whole;
    return whole[1] === '-' ? text.replace(/^[0 ]+(?=.)/, '') : text;
  });
}

/** The moment a text names, read as UTC. */
export function parseTime(text: string, format: string): Date {
  const names: string[] = [];
  const patterns: { [letter: string]: string } = { Y: '(\\d{4})', m: '(\\d\\d?)', d: '(\\d\\d?)', H: '(\\d\\d?)', I: '(\\d\\d?)', M: '(\\d\\d?)', S: '(\\d\\d?)', f: '(\\d{1,6})', y: '(\\d\\d)', b: '([A-Za-z]{3})', B: '([A-Za-z]+)', a: '([A-Za-z]{3})', A: '([A-Za-z]+)', p: '([AaPp][Mm])', j: '(\\d{1,3})', z: '([+-]\\d\\d:?\\d\\d|Z)', Z: '([A-Z]+)' };
  const source = format.replace(/%(%|[a-zA-Z])|\s+|[^]/g, (whole, letter?: string) => {
    if (letter === '%') return '%';
    if (letter !== undefined) {
      names.push(letter);
      return patterns[letter] ?? fail(`to_datetime knows no %${letter}`, 'use %Y %m %d %H %M %S');
    }
    return /\s/.test(whole) ? '\\s+' : whole.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  });
  const found = new RegExp(`^${source}$`).exec(text);
  if (!found) return fail(`time data "${text}" does not match format "${format}"`, 'give to_datetime the format of the text');
  const part = new Map(names.map((name, i) => [name, found[i + 1]!]));
  const number = (name: string, fallback: number) => Number(part.get(name) ?? fallback);
  const monthName = (part.get('b') ?? part.get('B'))?.toLowerCase();
  const month = monthName === undefined ? number('m', 1) - 1 : MONTHS.findIndex((name) => name.toLowerCase().startsWith(monthName));
  const year = part.has('y') ? number('y', 0) + (number('y', 0) < 69 ? 2000 : 1900) : number('Y', 1900);
  const hour = part.has('I') ? (number('I', 0) % 12) + (part.get('p')?.toLowerCase() === 'pm' ? 12 : 0) : number('H', 0);
  const zone = /^([+-])(\d\d):?(\d\d)$/.exec(part.get('z') ?? '');
  const offset = zone ? (Number(zone[2]) * 60 + Number(zone[3])) * (zone[1] === '-' ? -1 : 1) : 0;
  return new Date(Date.UTC(year, month, number('d', 1), hour, number('M', 0) - offset, number('S', 0), Math.floor(Number((part.get('f') ?? '0').padEnd(6, '0')) / 1000)));
}
