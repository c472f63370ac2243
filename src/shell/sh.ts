/**
 * Shell text, built only by the `sh` tag: every interpolation is quoted for POSIX sh
 * (IEEE Std 1003.1, Shell Command Language, 2.2.2 Single-Quotes), so that no value can become a command.
 * The text must run under dash, bash and busybox ash.
 */
export class Sh {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }
  get text(): string {
    return this.#text;
  }
  /** Tells this text from others; shorter than the text where that can be. */
  get key(): string {
    return this.text;
  }
  toString(): string {
    return this.text;
  }
}

/** What may stand in `${…}` of a `sh` text: scalars are quoted, lists become several words, Sh is put in as it is. */
export type Word = string | number | boolean | bigint | Sh | readonly Word[];

/** Quotes one word for POSIX sh. @throws RangeError on a NUL, which no argument of a process can hold */
export function quote(word: string): string {
  if (word.includes('\0')) throw new RangeError('a shell word cannot hold a NUL byte');
  return /^[A-Za-z0-9_/.:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export function sh(strings: TemplateStringsArray, ...words: Word[]): Sh {
  return new Sh(strings.reduce((text, part, i) => text + put(words[i - 1]!) + part));
}

/** Text taken as shell as it is: the visible exception, for what is a command by its nature (`shell: …`). */
export function raw(text: string): Sh {
  return new Sh(text);
}

/** Joins shell texts, by newlines unless told otherwise. Empty ones are left out. */
export function join(parts: readonly Sh[], separator = '\n'): Sh {
  const said = parts.filter((part) => part.text !== '');
  return said.length === 1 ? said[0]! : new Sh(said.map((part) => part.text).join(separator));
}

/** A command whose standard output is exactly these bytes; base64, so that NULs and any charset survive. */
export function bytes(content: Buffer | string): Sh {
  return sh`printf %s ${Buffer.from(content).toString('base64')} | base64 -d`;
}

function put(word: Word): string {
  if (word instanceof Sh) return word.text;
  if (Array.isArray(word)) return word.map(put).join(' ');
  return quote(String(word));
}
