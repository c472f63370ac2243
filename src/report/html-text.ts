import { harmless } from './style.js';

/** HTML, built only by the `h` tag: every interpolation is escaped, so that no text can become an element or an attribute. */
export class Html {
  constructor(readonly text: string) {}
}

/** The parts themselves are ASCII (`&#183;`): the bundle is read as such, and what a tag function is given cannot be written otherwise. Puts texts in, escaped for elements and quoted attributes alike (HTML Standard, 13.1.2.3); control and direction marks are shown, not obeyed. */
export function h(strings: TemplateStringsArray, ...words: (Html | string | number)[]): Html {
  return new Html(strings.reduce((text, part, i) => text + put(words[i - 1]!) + part));
}

export function joined(parts: readonly Html[]): Html {
  return new Html(parts.map(({ text }) => text).join(''));
}

function put(word: Html | string | number): string {
  return word instanceof Html ? word.text : harmless(String(word)).replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

const ESCAPES: { [character: string]: string } = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
