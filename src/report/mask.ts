import { Secret } from '../value/value.js';
import type { Event } from './events.js';

/** What stands where a secret stood. */
export const MASKED = '********';

/** Shorter values are not masked: they would black out half of every text and protect nothing. */
const SHORTEST = 4;

/**
 * The one sink that masks known secrets in all that is printed or kept. It knows each secret as it is and as it looks
 * in base64 (also in the middle of a longer text, `user:password` say), JSON, shell quotes and URLs.
 */
export class Mask {
  readonly #secrets = new Set<string>();
  #pattern: RegExp | undefined;

  /** Masks this value from now on. Each longer line of a value of several lines (a private key) is masked by itself too. */
  add(secret: string): void {
    for (const value of [secret, secret.trim(), ...secret.split(/\r?\n/).filter((line) => line.trim().length >= 8)]) {
      if (value.length < SHORTEST || value === MASKED || this.#secrets.has(value)) continue;
      this.#secrets.add(value);
      this.#pattern = undefined;
    }
  }

  text(text: string): string {
    if (this.#secrets.size === 0 || text.length < SHORTEST) return text;
    this.#pattern ??= pattern(this.#secrets);
    return text.replace(this.#pattern, MASKED);
  }

  /** A copy of plain data with every string, number and key in it masked. */
  data<T>(data: T): T {
    if (this.#secrets.size === 0) return data;
    return this.#walk(data) as T;
  }

  /** A copy of an event with its texts masked; what names hosts and kinds stays, so that it can still be read. */
  event<E extends Event>(event: E): E {
    if (this.#secrets.size === 0) return event;
    const copy: { [key: string]: unknown } = {};
    for (const [key, member] of Object.entries(event)) copy[key] = STRUCTURE.has(key) ? member : this.#walk(member);
    if ('result' in event) (copy['result'] as { status: unknown }).status = event.result.status;
    return copy as E;
  }

  #walk(data: unknown): unknown {
    if (typeof data === 'string') return this.text(data);
    if (typeof data === 'number' || typeof data === 'bigint') return this.#secrets.has(String(data)) ? MASKED : data;
    if (Array.isArray(data)) return data.map((member) => this.#walk(member));
    if (data === null || typeof data !== 'object') return data;
    if ('toJSON' in data && typeof data.toJSON === 'function') return this.#walk((data.toJSON as () => unknown)());
    return Object.fromEntries(Object.entries(data).map(([key, member]) => [this.text(key), this.#walk(member)]));
  }
}

/** Members of events that hold names and kinds, not text born in a run. */
const STRUCTURE = new Set(['event', 'verb', 'run', 'check', 'host', 'hosts', 'id', 'action', 'delegate', 'seconds', 'origin', 'effect', 'exitCode', 'process']);

/** One expression for all spellings of all secrets, the longest first, so that no tail of a longer one is left over. */
function pattern(secrets: Iterable<string>): RegExp {
  const spellings = new Set<string>();
  for (const secret of secrets) for (const spelling of spell(secret)) spellings.add(spelling);
  const longestFirst = [...spellings].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
}

function spell(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  return [
    secret,
    json,
    // JSON within JSON, as a log line in a registered result has it.
    JSON.stringify(json).slice(1, -1),
    secret.replaceAll("'", "'\\''"),
    secret.replace(/[\\"$`]/g, '\\$&'),
    encodeURIComponent(Buffer.from(secret).toString()),
    ...base64(secret),
  ];
}

/**
 * What base64 makes of the secret wherever it begins within a longer text: of each of the three alignments (RFC 4648,
 * section 4) the characters that depend on the secret alone.
 */
function base64(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const found: string[] = [bytes.toString('base64')];
  for (let shift = 0; shift < 3; shift++) {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const first = Math.ceil((shift * 8) / 6);
    const last = Math.floor(((shift + bytes.length) * 8) / 6);
    if (last - first >= 6) found.push(text.slice(first, last));
  }
  return found.flatMap((text) => (/[+/]/.test(text) ? [text, text.replaceAll('+', '-').replaceAll('/', '_')] : [text]));
}

/** The sink of this process. Every `Secret` that is made registers here. */
export const mask = new Mask();
Secret.listener = (value) => mask.add(value);

/** The event with all known secrets masked. */
export function masked<E extends Event>(event: E): E {
  return mask.event(event);
}
