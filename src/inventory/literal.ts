import { Float, Source, type Dict, type Origin, type Value } from '../value/value.js';

/**
 * The value of `key=value` in an INI inventory: a Python literal where it is one, else the text itself
 * (docs.ansible.com, ansible.builtin.ini: "values … are interpreted as Python literal structures").
 * So `8080` is an int, `0644` and `yes` are texts, `True` a boolean, `[1, 'a']` a list.
 * Text with `{{ }}` becomes a Source.
 */
export function parseLiteral(text: string, origin: Origin): Value {
  const literal = new LiteralParser(text, origin).parse();
  return literal === undefined ? textOrSource(text, origin) : literal;
}

export function textOrSource(text: string, origin: Origin): string | Source {
  return /\{[{%#]/.test(text) ? new Source(text, origin) : text;
}

const number = /[-+]?(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][-+]?\d+)?)/y;
const words = new Map<string, Value>([['True', true], ['False', false], ['None', null]]);
const escapes: { [letter: string]: string } = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"', a: '\x07', b: '\b', f: '\f', v: '\v', '0': '\0', '\n': '' };

/** Thrown and caught in this file: the text is no literal. */
class NoLiteral extends Error {}

class LiteralParser {
  #at = 0;
  constructor(
    readonly text: string,
    readonly origin: Origin,
  ) {}

  /** undefined when the whole text isn't one literal; as in Python, a `#` comment may follow it. */
  parse(): Value | undefined {
    if (!/^[-+.\d'"[({TFN]/.test(this.text)) return undefined;
    try {
      const value = this.#value();
      this.#space();
      return this.#at === this.text.length || this.text[this.#at] === '#' ? value : undefined;
    } catch (error) {
      if (error instanceof NoLiteral) return undefined;
      throw error;
    }
  }

  #value(): Value {
    this.#space();
    const first = this.text[this.#at];
    if (first === "'" || first === '"') return this.#string(first);
    if (first === '[') return this.#items('[', ']');
    if (first === '(') return this.#tuple();
    if (first === '{') return this.#dict();
    const word = /[A-Za-z]+/y;
    word.lastIndex = this.#at;
    const name = word.exec(this.text)?.[0];
    if (name !== undefined && words.has(name)) {
      this.#at += name.length;
      return words.get(name)!;
    }
    return this.#number();
  }

  #number(): Value {
    number.lastIndex = this.#at;
    const written = number.exec(this.text)?.[0];
    if (!written || /_$|__|\..*\./.test(written)) throw new NoLiteral();
    this.#at += written.length;
    const plain = written.replaceAll('_', '');
    if (/^[-+]?0[xXoObB]/.test(plain)) return sized(plain.startsWith('-') ? -BigInt(plain.slice(1)) : BigInt(plain.replace('+', '')));
    if (/[.eE]/.test(plain)) return Number.isInteger(Number(plain)) ? new Float(Number(plain)) : Number(plain);
    if (/^[-+]?0+[1-9]/.test(plain)) throw new NoLiteral(); // 0644: Python refuses leading zeros
    return sized(BigInt(plain.replace('+', '')));
  }

  #string(quote: string): Value {
    let value = '';
    for (this.#at++; this.#at < this.text.length; this.#at++) {
      const char = this.text[this.#at]!;
      if (char === quote) {
        this.#at++;
        return textOrSource(value, this.origin);
      }
      if (char !== '\\') {
        value += char;
        continue;
      }
      const code = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
      code.lastIndex = this.#at;
      const match = code.exec(this.text);
      if (match) {
        value += String.fromCodePoint(parseInt((match[1] ?? match[2] ?? match[3])!, 16));
        this.#at += match[0].length - 1;
      } else {
        const letter = this.text[++this.#at] ?? '';
        value += escapes[letter] ?? `\\${letter}`;
      }
    }
    throw new NoLiteral();
  }

  #items(open: string, close: string): Value[] {
    this.#expect(open);
    const items: Value[] = [];
    while (!this.#take(close)) {
      items.push(this.#value());
      if (!this.#take(',')) {
        this.#expect(close);
        break;
      }
    }
    return items;
  }

  /** A tuple is a list to playbooks; `(1)` is only a 1. */
  #tuple(): Value {
    const start = this.#at;
    const items = this.#items('(', ')');
    const single = items.length === 1 && !/,\s*\)$/.test(this.text.slice(start, this.#at));
    return single ? items[0]! : items;
  }

  #dict(): Dict {
    this.#expect('{');
    const dict: Dict = new Map();
    while (!this.#take('}')) {
      const key = this.#value();
      this.#expect(':');
      dict.set(key, this.#value());
      if (!this.#take(',')) {
        this.#expect('}');
        break;
      }
    }
    return dict;
  }

  #space(): void {
    while (/\s/.test(this.text[this.#at] ?? '')) this.#at++;
  }
  #take(char: string): boolean {
    this.#space();
    if (this.text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }
  #expect(char: string): void {
    if (!this.#take(char)) throw new NoLiteral();
  }
}

function sized(integer: bigint): number | bigint {
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
}
