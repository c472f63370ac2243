import { Float, Secret, Source, Unknown, type Dict, type Value } from '../value/value.js';
import { isSpecial } from './scalars.js';

/** A key this long is written as `? key`: 128 less the five of its implied tag `!!str`. */
const LONG_KEY = 123;

export interface DumpOptions {
  /** Columns a level is indented by. PyYAML's default is 2. */
  indent?: number;
  /** Lists and dicts that hold only scalars: one line (`'leaves'`, the default), everything, or nothing. */
  flow?: 'leaves' | 'all' | 'none';
  /** Column behind which text is folded at a space. */
  width?: number;
  sortKeys?: boolean;
  /** Keep characters beyond ASCII as they are. */
  allowUnicode?: boolean;
  explicitStart?: boolean;
  explicitEnd?: boolean;
}

/** The value as PyYAML's safe_dump writes it, with a line break at the end. Secrets are written in clear. */
export function dumpYaml(value: Value, options: DumpOptions = {}): string {
  const emitter = new Emitter(options);
  return emitter.document(value);
}

/** A port in spirit of what `yaml/emitter.py` does for the values we have; anchors are never written. */
class Emitter {
  #out = '';
  /** The last character of it. Asking `#out` would have the whole of it put together anew, for each value. */
  #last = '';
  #column = 0;
  readonly #step: number;
  readonly #flow: 'leaves' | 'all' | 'none';
  readonly #width: number;
  readonly #sort: boolean;
  readonly #unicode: boolean;

  constructor(readonly options: DumpOptions) {
    this.#step = options.indent !== undefined && options.indent > 1 && options.indent < 10 ? options.indent : 2;
    this.#flow = options.flow ?? 'leaves';
    this.#width = options.width !== undefined && options.width > this.#step * 2 ? options.width : 80;
    this.#sort = options.sortKeys ?? true;
    this.#unicode = options.allowUnicode ?? true;
  }

  document(value: Value): string {
    if (this.options.explicitStart) this.#write(`---`);
    this.#node(value, 0, { root: true });
    // libyaml's emitter, which Ansible uses, does not close a plain scalar with "...".
    if (this.options.explicitEnd) this.#out += `${this.#out === '' || this.#out.endsWith('\n') ? '' : '\n'}...\n`;
    else if (!this.#out.endsWith('\n')) this.#out += '\n';
    return this.#out;
  }

  #write(text: string): void {
    if (text === '') return;
    this.#out += text;
    this.#last = text[text.length - 1]!;
    const lastBreak = text.lastIndexOf('\n');
    this.#column = lastBreak < 0 ? this.#column + text.length : text.length - lastBreak - 1;
  }

  #space(): void {
    if (this.#column > 0 && !/[\s[{]/.test(this.#last)) this.#write(' ');
  }

  #line(indent: number): void {
    if (this.#column > 0 || this.#out === '') {
      if (this.#out !== '') this.#write('\n');
    }
    this.#write(' '.repeat(indent));
  }

  #node(value: Value, indent: number, where: { root?: boolean; inFlow?: boolean; inDict?: boolean }): void {
    const open = reveal(value);
    if (Array.isArray(open) || open instanceof Map) {
      const size = Array.isArray(open) ? open.length : open.size;
      if (where.inFlow || size === 0 || this.#flow === 'all' || (this.#flow === 'leaves' && onlyScalars(open))) {
        this.#space();
        this.#flowNode(open, where.inFlow ? indent : indent + (where.root ? this.#step : 0));
      } else if (Array.isArray(open)) this.#blockList(open, indent, where);
      else this.#blockDict(open, indent, where);
      return;
    }
    this.#space();
    this.#scalar(open, where.root ? this.#step : indent, where.inFlow ?? false, false);
  }

  #blockList(list: Value[], indent: number, where: { root?: boolean; inDict?: boolean }): void {
    // Inside a dict PyYAML does not indent a list further ("indentless").
    let first = !where.root && !where.inDict;
    const own = where.inDict ? indent - this.#step : indent;
    for (const member of list) {
      if (first) this.#space();
      else this.#line(own);
      first = false;
      this.#write('-');
      this.#child(member, own);
    }
  }

  /** What follows a `-`: a collection begins on the same line, as wide as one step. */
  #child(member: Value, own: number): void {
    const open = reveal(member);
    const block = (Array.isArray(open) || open instanceof Map) && !this.#isFlow(open);
    if (block) this.#write(' '.repeat(this.#step - 1));
    this.#node(open, own + this.#step, {});
  }

  #isFlow(value: Value[] | Dict): boolean {
    const size = Array.isArray(value) ? value.length : value.size;
    return size === 0 || this.#flow === 'all' || (this.#flow === 'leaves' && onlyScalars(value));
  }

  #blockDict(dict: Dict, indent: number, where: { root?: boolean; inDict?: boolean }): void {
    let first = !where.root && !where.inDict;
    for (const [key, member] of this.#entries(dict)) {
      if (!first) this.#line(indent);
      first = false;
      const complex = this.#key(key, indent, false);
      if (complex) this.#line(indent);
      this.#write(':');
      if (complex) this.#child(member, indent);
      else this.#node(member, indent + this.#step, { inDict: true });
    }
  }

  /** @returns whether the key is a long or multi-line one, marked by `?` */
  #key(key: Value, indent: number, inFlow: boolean): boolean {
    const open = reveal(key);
    const complex = typeof open === 'string' && (open === '' || open.length >= LONG_KEY || /[\n\x85\u2028\u2029]/.test(open));
    if (complex) this.#write('? ');
    this.#scalar(open, complex ? indent + (inFlow ? 0 : this.#step) : indent, inFlow, !complex);
    return complex;
  }

  #flowNode(value: Value[] | Dict, indent: number): void {
    const isList = Array.isArray(value);
    this.#write(isList ? '[' : '{');
    const inner = indent + this.#step;
    let first = true;
    const separate = () => {
      if (!first) this.#write(',');
      first = false;
      if (this.#column > this.#width) this.#line(indent);
      else this.#space();
    };
    if (Array.isArray(value)) {
      for (const member of value) {
        separate();
        this.#node(member, inner, { inFlow: true });
      }
    } else {
      for (const [key, member] of this.#entries(value)) {
        separate();
        if (this.#key(key, inner, true)) this.#space();
        this.#write(':');
        this.#space();
        this.#node(member, inner, { inFlow: true });
      }
    }
    this.#write(isList ? ']' : '}');
  }

  #entries(dict: Dict): [Value, Value][] {
    const entries = [...dict];
    if (!this.#sort) return entries;
    const text = (key: Value) => String(reveal(key));
    const numeric = entries.every(([key]) => typeof key === 'number');
    return entries.sort(([a], [b]) => (numeric ? Number(a) - Number(b) : compareCodePoints(text(a), text(b))));
  }

  #scalar(value: Value, indent: number, inFlow: boolean, isKey: boolean): void {
    if (typeof value !== 'string') {
      this.#write(scalarText(value));
      return;
    }
    const kind = analyze(value, this.#unicode);
    const plainAllowed = inFlow ? kind.flowPlain : kind.blockPlain;
    if (value !== '' && plainAllowed && !isSpecial(value) && !(isKey && kind.multiline)) {
      this.#plain(value, indent, !isKey);
    } else if (kind.single && !(isKey && kind.multiline)) this.#single(value, indent, !isKey);
    else this.#double(value, indent, !isKey);
  }

  #plain(text: string, indent: number, split: boolean): void {
    const words = text.split(/( +)/);
    words.forEach((word, i) => {
      // A single space past the width becomes a line break; runs of spaces stay.
      if (word === ' ' && split && this.#column > this.#width && words[i + 1] !== undefined) this.#line(indent);
      else this.#write(word);
    });
  }

  #single(text: string, indent: number, split: boolean): void {
    this.#write("'");
    const parts = text.split(/( +|\n+)/);
    parts.forEach((part, i) => {
      if (part.startsWith('\n')) {
        // One break folds to a space when read, so each break is written as one more.
        this.#write(`\n${part}`);
        this.#write(' '.repeat(indent));
      } else if (part === ' ' && split && this.#column > this.#width && i > 0 && i < parts.length - 1 && parts[i - 1] !== '' && parts[i + 1] !== '') {
        this.#line(indent);
      } else this.#write(part.replaceAll("'", "''"));
    });
    this.#write("'");
  }

  /** Written up to the width, then broken at a space (or behind an escape) with a backslash. */
  #double(text: string, indent: number, split: boolean): void {
    this.#write('"');
    const characters = [...text];
    let start = 0;
    for (let end = 0; end <= characters.length; end++) {
      const character = characters[end];
      const written = character === undefined ? undefined : escape(character, this.#unicode);
      if (written === undefined || written !== character) {
        this.#write(characters.slice(start, end).join(''));
        start = end;
        if (written !== undefined) {
          this.#write(written);
          start = end + 1;
        }
      }
      const inner = end > 0 && end < characters.length - 1;
      if (split && inner && (character === ' ' || start >= end) && this.#column + (end - start) > this.#width) {
        this.#write(`${characters.slice(start, end).join('')}\\`);
        start = Math.max(start, end);
        this.#line(indent);
        if (characters[start] === ' ') this.#write('\\');
      }
    }
    this.#write('"');
  }
}

function reveal(value: Value): Value {
  if (value instanceof Secret) return value.reveal();
  if (value instanceof Source) return value.shown;
  if (value instanceof Unknown) return `<unknown: ${value.why}>`;
  return value;
}

function onlyScalars(value: Value[] | Dict): boolean {
  const isScalar = (member: Value) => !Array.isArray(member) && !(member instanceof Map);
  return Array.isArray(value) ? value.every(isScalar) : [...value.values()].every(isScalar);
}

function scalarText(value: Value): string {
  if (value === null) return 'null';
  if (value instanceof Float) return floatText(value.value);
  if (typeof value === 'number' && !Number.isInteger(value)) return floatText(value);
  return String(value);
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return '.nan';
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf';
  const [, mantissa, sign, exponent] = /^(.+)e([-+])(\d+)$/.exec(value.toExponential())!;
  const isLong = sign === '+' ? Number(exponent) >= 16 : Number(exponent) > 4;
  return isLong ? `${mantissa}${mantissa!.includes('.') ? '' : '.0'}e${sign}${exponent!.padStart(2, '0')}` : new Float(value).toString();
}

export function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
  }
  return a.length - b.length;
}

const ESCAPES: { [character: string]: string } = {
  '\0': '\\0', '\x07': '\\a', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\v': '\\v', '\f': '\\f', '\r': '\\r',
  '\x1b': '\\e', '"': '\\"', '\\': '\\\\', '\x85': '\\N', '\xa0': '\\_', '\u2028': '\\L', '\u2029': '\\P',
};

function escape(character: string, unicode: boolean): string {
  const known = ESCAPES[character];
  if (known !== undefined) return known;
  const code = character.codePointAt(0)!;
  if (code >= 0x20 && code <= 0x7e) return character;
  if (unicode && code > 0x9f && isPrintable(code)) return character;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

function isPrintable(code: number): boolean {
  return (
    code === 0x0a || (code >= 0x20 && code <= 0x7e) || code === 0x85 || (code >= 0xa0 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd && code !== 0xfeff) || (code >= 0x10000 && code <= 0x10ffff)
  );
}

/** Which styles a text allows (`analyze_scalar` of yaml/emitter.py). */
function analyze(text: string, unicode: boolean): { multiline: boolean; flowPlain: boolean; blockPlain: boolean; single: boolean } {
  if (text === '') return { multiline: false, flowPlain: false, blockPlain: true, single: true };
  let blockIndicators = /^(?:---|\.\.\.)/.test(text);
  let flowIndicators = blockIndicators;
  let special = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    const next = text[i + 1];
    const spaceFollows = next === undefined || /[\0 \t\r\n\x85\u2028\u2029]/.test(next);
    const spaceBefore = i === 0 || /[\0 \t\r\n\x85\u2028\u2029]/.test(text[i - 1]!);
    if (i === 0) {
      if ('#,[]{}&*!|>\'"%@`'.includes(character)) flowIndicators = blockIndicators = true;
      if ('?:'.includes(character)) {
        flowIndicators = true;
        if (spaceFollows) blockIndicators = true;
      }
      if (character === '-' && spaceFollows) flowIndicators = blockIndicators = true;
    } else {
      if (',?[]{}'.includes(character)) flowIndicators = true;
      if (character === ':') {
        flowIndicators = true;
        if (spaceFollows) blockIndicators = true;
      }
      if (character === '#' && spaceBefore) flowIndicators = blockIndicators = true;
    }
    const code = text.codePointAt(i)!;
    if (code > 0xffff) i++;
    if (!(character === '\n' || (code >= 0x20 && code <= 0x7e))) {
      const readable = code === 0x85 || (code >= 0xa0 && isPrintable(code));
      if (!readable || !unicode) special = true;
    }
  }
  const multiline = /[\n\x85\u2028\u2029]/.test(text);
  const edges = /^ | $|^\n|\n$/.test(text);
  const spaceBreak = / [\n\x85\u2028\u2029]/.test(text);
  const breakSpace = /[\n\x85\u2028\u2029] /.test(text);
  const plain = !edges && !breakSpace && !spaceBreak && !special && !multiline;
  return {
    multiline,
    flowPlain: plain && !flowIndicators,
    blockPlain: plain && !blockIndicators,
    single: !(spaceBreak || special || / \n/.test(text)) && !breakSpace,
  };
}
