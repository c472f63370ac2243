import { trimmedEnd } from '../value/text.js';
import { Source, type Origin } from '../value/value.js';
import { placeIn } from '../yaml/index.js';

const CLOSE: { [open: string]: string } = { '{{': '}}', '{%': '%}', '{#': '#}' };

/** A backslash alone at the end of a line: the next one goes on. */
const CONTINUATION = /^\\(?:\r?\n|$)/;

/** One word of a `k=v` line, and where it stands in it. */
interface Word {
  text: string;
  start: number;
  end: number;
}

/**
 * Splits at white space, but not inside quotes or `{{ }}`, `{% %}`, `{# #}`, as Ansible's parsing/splitter.py does.
 * Quotes stay in the words; the mark of a line that goes on is one of them.
 */
export function splitWords(text: string): Word[] {
  const words: Word[] = [];
  let start = -1;
  let quote: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (start < 0) {
      if (/\s/.test(char)) continue;
      if (CONTINUATION.test(text.slice(i, i + 3))) {
        words.push({ text: char, start: i, end: i + 1 });
        continue;
      }
      start = i;
    }
    const close = CLOSE[text.slice(i, i + 2)];
    const end = close === undefined ? -1 : text.indexOf(close, i + 2);
    if (end >= 0) i = end + 1;
    else if (char === '\\') i++;
    else if (quote !== undefined) quote = char === quote ? undefined : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (/\s/.test(char)) {
      words.push({ text: text.slice(start, i), start, end: i });
      start = -1;
    }
  }
  if (start >= 0) words.push({ text: text.slice(start), start, end: text.length });
  return words;
}

/** What a line of arguments holds. */
export interface Line {
  args: Map<string, string>;
  /** Offset of each value in the line. */
  offsets: Map<string, number>;
  /** What is not `key=value`, as written, save that lines that go on are one line; empty where all is. */
  rest: string;
}

/**
 * `name=nginx state=present`, or `ls -l chdir=/tmp`: words whose key is one of `keys` (all, where undefined) are
 * arguments, the rest stays text.
 */
export function parseLine(text: string, keys?: ReadonlySet<string>): Line {
  const line: Line = { args: new Map(), offsets: new Map(), rest: '' };
  const words = splitWords(text);
  if (words.length === 0) return line;
  line.rest = text.slice(0, words[0]!.start);
  words.forEach((word, i) => {
    const next = words[i + 1]?.start ?? text.length;
    // Aliases have dashes (daemon-reload=yes); set_fact takes names with expressions in them: port_{{ item }}=80
    const match = /^(?!=)((?:[A-Za-z_][\w-]*)?(?:\{\{.*?\}\}[\w-]*)?)=/.exec(word.text);
    if (match !== null && (keys === undefined || keys.has(match[1]!))) {
      line.args.set(match[1]!, unquote(decoded(word.text.slice(match[0].length))));
      line.offsets.set(match[1]!, word.start + match[0].length);
    } else if (word.text !== '\\') line.rest += text.slice(word.start, next);
  });
  line.rest = line.rest.trim() === '' ? '' : trimmedEnd(line.rest, ' \t');
  return line;
}

const LETTERS: { [letter: string]: string } = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** Python's escapes but the octal ones, which Ansible decodes in every `k=v`, whatever quotes are around it; \1 and other backslashes stay. */
function decoded(text: string): string {
  return text.replace(/\\(?:U([0-9a-fA-F]{8})|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\\'"abfnrtv]))/g, (whole, long?: string, short?: string, hex?: string, letter?: string) => {
    if (letter !== undefined) return LETTERS[letter] ?? letter;
    const code = Number.parseInt((long ?? short ?? hex)!, 16);
    return code > 0x10ffff ? whole : String.fromCodePoint(code);
  });
}

/** Ansible's unquote: a pair of quotes around the whole goes. */
function unquote(text: string): string {
  const quote = text[0];
  if (text.length < 2 || (quote !== '"' && quote !== "'") || text.at(-1) !== quote || text.at(-2) === '\\') return text;
  return text.slice(1, -1);
}

/** A piece of the project's text again: unevaluated where it holds {{ }} and its whole did. */
export function pieceOf(whole: string | Source, text: string, offset: number): string | Source {
  return whole instanceof Source && /\{[{%#]/.test(text) ? new Source(text, placeIn(whole, offset), whole.isSecret) : text;
}

/** Where a piece of a line stands. */
export function pieceOrigin(whole: string | Source, offset: number, origin: Origin): Origin {
  if (whole instanceof Source) return placeIn(whole, offset);
  return whole.includes('\n') ? origin : { ...origin, column: origin.column + offset };
}
