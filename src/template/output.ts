import type { Rendered } from '../value/value.js';

/** Text while it is rendered. */
export class Output {
  #text = '';
  readonly #secrets: [number, number][] = [];

  write(text: string, secret = false): void {
    if (secret && text !== '') this.#secrets.push([this.#text.length, this.#text.length + text.length]);
    this.#text += text;
  }

  /** Adds what a partial rendered, each line indented as the partial's own line is. */
  writeIndented({ text, secrets }: Rendered, indent: string): void {
    let at = 0;
    for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
      this.write(indent);
      const start = this.#text.length - at;
      this.#text += line;
      const end = at + line.length;
      for (const [from, to] of secrets) if (from < end && to > at) this.#secrets.push([start + Math.max(from, at), start + Math.min(to, end)]);
      at = end;
    }
  }

  done(): Rendered {
    return { text: this.#text, secrets: this.#secrets };
  }
}
