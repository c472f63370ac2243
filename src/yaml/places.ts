import { SCALAR_STYLE, type ScalarEvent } from 'js-yaml';
import type { Dict, Origin, Source, Value } from '../value/value.js';

/** One YAML text, and where its lines begin. */
export class Text {
  readonly #starts: number[] = [0];
  constructor(
    readonly file: string,
    readonly input: string,
  ) {
    for (let at = input.indexOf('\n'); at >= 0; at = input.indexOf('\n', at + 1)) this.#starts.push(at + 1);
  }
  /** Line and column (from 1) of an offset. */
  origin(offset: number): Origin {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: low + 1, column: offset - this.#starts[low]! + 1 };
  }
}

/** Where a container and its members stand; offsets into `text`, parallel to `keys`. */
export interface Places {
  text: Text;
  at: number;
  keys: (Value | number)[];
  keyAt: number[];
  valueAt: number[];
  /** Built at the first look-up. */
  index?: Map<Value, number>;
}

const places = new WeakMap<object, Places>();
const scalars = new WeakMap<Source, { text: Text; event: ScalarEvent }>();

export function notePlaces(container: Value[] | Dict, noted: Places): void {
  places.set(container, noted);
}
export function placesOf(container: object): Places | undefined {
  return places.get(container);
}
export function noteScalar(source: Source, text: Text, event: ScalarEvent): void {
  scalars.set(source, { text, event });
}

/** Where a list or dict read from YAML begins. */
export function containerOrigin(container: Value[] | Dict): Origin | undefined {
  const noted = places.get(container);
  return noted?.text.origin(noted.at);
}

/** Where the value under a key (or list index) stands: for scalars, the first character of their text. */
export function originOf(container: Value[] | Dict, key: Value): Origin | undefined {
  return look(container, key, 'valueAt');
}

/** Where a key of a dict stands. */
export function keyOrigin(dict: Dict, key: Value): Origin | undefined {
  return look(dict, key, 'keyAt');
}

function look(container: object, key: Value, which: 'keyAt' | 'valueAt'): Origin | undefined {
  const noted = places.get(container);
  if (!noted) return undefined;
  if (Array.isArray(container)) {
    const at = typeof key === 'number' ? noted.valueAt[key] : undefined;
    return at === undefined ? undefined : noted.text.origin(at);
  }
  noted.index ??= new Map(noted.keys.map((name, i) => [name, i]));
  const index = noted.index.get(key);
  return index === undefined ? undefined : noted.text.origin(noted[which][index]!);
}

/** Length of a double-quoted scalar's escape by the letter after the backslash. */
const ESCAPE_LENGTH: { [letter: string]: number } = { x: 4, u: 6, U: 10 };

/**
 * Where one character of a Source's text stands in its file: exact also in folded, quoted and block scalars,
 * because the decoded text is walked along the YAML text it came from.
 */
export function placeIn(source: Source, offset: number): Origin {
  const noted = scalars.get(source);
  if (!noted) return placeInText(source.text, source.origin, offset);
  const { text, event } = noted;
  const raw = text.input;
  let at = event.valueStart;
  const skipSpace = () => {
    while (at < event.valueEnd && /\s/.test(raw[at]!)) at++;
  };
  if (event.style === SCALAR_STYLE.LITERAL_BLOCK || event.style === SCALAR_STYLE.FOLDED_BLOCK) skipSpace();
  for (let i = 0; i < offset && at < event.valueEnd; i++) {
    const decoded = source.text[i]!;
    if (event.style === SCALAR_STYLE.DOUBLE_QUOTED && raw[at] === '\\') {
      if (/[\r\n]/.test(raw[at + 1]!)) {
        at += 2;
        skipSpace();
        i--;
        continue;
      }
      at += ESCAPE_LENGTH[raw[at + 1]!] ?? 2;
    } else if (event.style === SCALAR_STYLE.SINGLE_QUOTED && decoded === "'") {
      at += 2;
    } else if (decoded === raw[at] && decoded !== '\n') {
      at++;
    } else {
      // A line break in either text: one run of white space stands for the other.
      while (i + 1 < offset && /\s/.test(source.text[i + 1]!)) i++;
      skipSpace();
    }
  }
  return text.origin(Math.min(at, event.valueEnd));
}

/** The same for a text of which only the origin is known: exact on its first line and in literal blocks. */
export function placeInText(text: string, origin: Origin, offset: number): Origin {
  const before = text.slice(0, offset);
  const lines = before.split('\n');
  return {
    file: origin.file,
    line: origin.line + lines.length - 1,
    column: origin.column + lines.at(-1)!.length,
  };
}
