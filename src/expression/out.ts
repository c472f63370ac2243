/** What a template writes to. */
import { Secret, type Value } from '../value/value.js';
import { OMIT } from './globals.js';
import { read, str } from './python.js';
import { box, watch } from './secrecy.js';
import { fail } from './undefined.js';

/** Rendered text; the ranges made from secrets are kept. */
export class Out {
  text = '';
  readonly secrets: [number, number][] = [];
  /** What was written, while it is one thing: its type is kept. */
  #only: Value = null;
  #parts = 0;

  /** Adds a value; none writes nothing, as in Ansible. */
  write(value: Value): void {
    if (read(value) === null) return;
    this.#only = value;
    this.#parts++;
    if (typeof value === 'string') {
      this.text += value;
      return;
    }
    if (value === OMIT) fail('"omit" cannot be part of a text', 'let the whole value be {{ … | default(omit) }}');
    const { result, secret } = watch(() => str(value));
    const start = this.text.length;
    this.text += result;
    if (secret && result !== '') this.secrets.push([start, this.text.length]);
  }

  /** The line breaks that Jinja dropped from the end: of a text, not of a value that keeps its type. */
  end(breaks: string): void {
    this.text += breaks;
    const only = read(this.#only);
    if (this.#parts === 1 && breaks !== '' && typeof only === 'string') this.#only = this.#only instanceof Secret ? new Secret(only + breaks) : only + breaks;
  }

  /** Makes all of it secret: the text of the template is. */
  seal(): void {
    if (this.text === '') return;
    Secret.listener?.(this.text);
    this.secrets.splice(0, Infinity, [0, this.text.length]);
    this.#only = box(this.#only) as Value;
  }

  /** What was written as a value: of one thing that thing, of nothing none, else the text, boxed when a secret is in it. */
  value(): Value {
    if (this.#parts <= 1) return this.#only;
    return this.secrets.length > 0 ? new Secret(this.text) : this.text;
  }
}
