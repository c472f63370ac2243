/** `strftime` and `strptime` for the C locale. */
import { fail } from './undefined.js';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** Milliseconds from 1970 to what a clock shows then: this machine's, or that of Greenwich. */
export function wallClock(date: Date, utc: boolean): number {
  return utc ? date.getTime() : date.getTime() - Math.round(date.getTimezoneOffset() * 60_000);
}

/**
 * @param micros what the clock shows, in microseconds from 1970
 * @param offset minutes by which the clock is ahead of UTC; undefined where that is not known: %z and %Z are empty then
 * @param zone what %Z gives
 */
export function formatTime(format: string, micros: number, offset?: number, zone?: string): string {
  const local = new Date(Math.floor(micros / 1000));
  const pad = (value: number, width = 2, fill = '0') => String(value).padStart(width, fill);
  const hour = local.getUTCHours();
  const startOfYear = Date.UTC(local.getUTCFullYear(), 0, 1);
  const day = Math.floor((local.getTime() - startOfYear) / 86_400_000);
  const again = (inner: string) => formatTime(inner, micros, offset, zone);
  // ISO 8601: the week belongs to the year of its Thursday.
  const thursday = new Date(local.getTime() + (3 - ((local.getUTCDay() + 6) % 7)) * 86_400_000);
  const epoch = () => {
    if (offset !== undefined) return Math.floor(micros / 1_000_000) - offset * 60;
    return Math.floor(new Date(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate(), hour, local.getUTCMinutes(), local.getUTCSeconds()).getTime() / 1000);
  };
  const codes: { [letter: string]: () => string } = {
    Y: () => String(local.getUTCFullYear()),
    y: () => pad(local.getUTCFullYear() % 100),
    C: () => pad(Math.floor(local.getUTCFullYear() / 100)),
    G: () => String(thursday.getUTCFullYear()),
    g: () => pad(thursday.getUTCFullYear() % 100),
    V: () => pad(Math.floor((thursday.getTime() - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / 604_800_000) + 1),
    m: () => pad(local.getUTCMonth() + 1),
    d: () => pad(local.getUTCDate()),
    e: () => pad(local.getUTCDate(), 2, ' '),
    H: () => pad(hour),
    k: () => pad(hour, 2, ' '),
    I: () => pad(hour % 12 || 12),
    l: () => pad(hour % 12 || 12, 2, ' '),
    M: () => pad(local.getUTCMinutes()),
    S: () => pad(local.getUTCSeconds()),
    f: () => pad(((micros % 1_000_000) + 1_000_000) % 1_000_000, 6),
    p: () => (hour < 12 ? 'AM' : 'PM'),
    P: () => (hour < 12 ? 'am' : 'pm'),
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
    s: () => String(epoch()),
    z: () => (offset === undefined ? '' : `${offset < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(offset) / 60))}${pad(Math.abs(offset) % 60)}`),
    Z: () => zone ?? (offset === undefined ? '' : offset === 0 ? 'UTC' : again('UTC%z').replace(/(\d\d)$/, ':$1')),
    F: () => again('%Y-%m-%d'),
    T: () => again('%H:%M:%S'),
    R: () => again('%H:%M'),
    r: () => again('%I:%M:%S %p'),
    D: () => again('%m/%d/%y'),
    x: () => again('%m/%d/%y'),
    X: () => again('%H:%M:%S'),
    c: () => again('%a %b %e %H:%M:%S %Y'),
    n: () => '\n',
    t: () => '\t',
    '%': () => '%',
  };
  return format.replace(/%-?([a-zA-Z%])/g, (whole, letter: string) => {
    const text = codes[letter]?.() ?? whole;
    return whole[1] === '-' ? text.replace(/^[0 ]+(?=.)/, '') : text;
  });
}

/** The name of this machine's time zone at a moment. */
export function zoneName(date: Date): string {
  const long = /\(([^)]+)\)/.exec(date.toString())?.[1] ?? '';
  return long === 'Coordinated Universal Time' ? 'UTC' : (Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date).find((part) => part.type === 'timeZoneName')?.value ?? long);
}

/** What a text says a clock shows, in microseconds from 1970, and by how many minutes that clock is ahead of UTC, if it says so. */
export function parseTime(text: string, format: string): { micros: number; offset: number | undefined } {
  const names: string[] = [];
  const patterns: { [letter: string]: string } = { Y: '(\\d{4})', m: '(\\d\\d?)', d: '(\\d\\d?)', H: '(\\d\\d?)', I: '(\\d\\d?)', M: '(\\d\\d?)', S: '(\\d\\d?)', f: '(\\d{1,6})', y: '(\\d\\d)', b: '([A-Za-z]{3})', B: '([A-Za-z]+)', a: '([A-Za-z]{3})', A: '([A-Za-z]+)', p: '([AaPp][Mm])', j: '(\\d{1,3})', z: '([+-]\\d\\d:?\\d\\d|Z)', Z: '([A-Z]+)' };
  const spelled = format.replaceAll('%F', '%Y-%m-%d').replaceAll('%T', '%H:%M:%S').replaceAll('%R', '%H:%M').replaceAll('%D', '%m/%d/%y').replaceAll('%c', '%a %b %d %H:%M:%S %Y');
  const source = spelled.replace(/%(%|[a-zA-Z])|\s+|[^]/g, (whole, letter?: string) => {
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
  const zone = part.get('z');
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(zone ?? '') ?? [];
  const offset = zone === 'Z' ? 0 : sign === undefined ? undefined : (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1);
  const seconds = part.has('s') ? number('s', 0) : undefined;
  if (seconds !== undefined) return { micros: wallClock(new Date(seconds * 1000), false) * 1000, offset: undefined };
  const [dayOfMonth, minute, second] = [number('d', 1), number('M', 0), number('S', 0)];
  const wall = part.has('j') ? Date.UTC(year, 0, number('j', 1), hour, minute, second) : Date.UTC(year, month, dayOfMonth, hour, minute, second);
  const made = new Date(wall);
  if (month < 0 || month > 11 || hour > 23 || minute > 59 || second > 61 || (!part.has('j') && made.getUTCDate() !== dayOfMonth && second < 60)) fail(`"${text}" names no day or time that there is`, 'correct it');
  return { micros: wall * 1000 + Number((part.get('f') ?? '0').padEnd(6, '0')), offset };
}
