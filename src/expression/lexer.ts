/** Splits an expression or template into tokens, as `jinja2/lexer.py` does. */
export type Token =
  | { kind: 'text'; text: string; at: number }
  | { kind: 'begin' | 'end'; of: 'variable' | 'block'; at: number }
  | { kind: 'name'; text: string; at: number }
  | { kind: 'operator'; text: string; at: number }
  | { kind: 'string'; text: string; at: number }
  | { kind: 'int'; value: number | bigint; at: number }
  | { kind: 'float'; value: number; at: number }
  | { kind: 'eof'; at: number };

/** A text that cannot be read; the caller knows the file. */
export class GrammarError extends Error {
  constructor(
    message: string,
    readonly at: number,
    readonly hint?: string,
  ) {
    super(message);
  }
}

const SPACE = /\s+/y;
const FLOAT = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?[eE][+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/y;
const INT = /0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\da-fA-F])+|[1-9](?:_?\d)*|0(?:_?0)*/y;
const NAME = /[\p{L}_][\p{L}\p{N}\p{M}_]*/uy;
const STRING = /'((?:[^'\\]|\\[^])*)'|"((?:[^"\\]|\\[^])*)"/y;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}>=<.:|,;]/y;
const CLOSERS: { [opener: string]: string } = { '(': ')', '[': ']', '{': '}' };

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Tokens of a bare expression. */
export function lexExpression(text: string): Token[] {
  const tokens: Token[] = [];
  const at = lexCode(text, 0, tokens, undefined);
  tokens.push({ kind: 'eof', at });
  return tokens;
}

export interface LexOptions {
  /** White space before a block at the start of its line goes. Off by default, as in Ansible. */
  lstripBlocks?: boolean;
  /** The line break right behind a block goes. On by default, as in Ansible. */
  trimBlocks?: boolean;
  /** Strings inside `{{ }}` keep their backslashes: in YAML, escapes are YAML's own (AnsibleLexer of 2.19). */
  keepBackslashes?: boolean;
  /** What opens and closes each kind of mark, where the template sets its own. */
  block?: Marks;
  variable?: Marks;
  comment?: Marks;
  /** What makes its whole line a block, and what makes the rest of its line a comment; nothing by default. */
  lineStatement?: string;
  lineComment?: string;
}

type Marks = readonly [begin: string, end: string];
const BLOCK: Marks = ['{%', '%}'];
const VARIABLE: Marks = ['{{', '}}'];
const COMMENT: Marks = ['{#', '#}'];

/** The earliest mark that opens something, the longest of those that stand at one place (`compile_rules` of jinja2/lexer.py). */
function opener(options: LexOptions): (text: string, from: number) => { at: number; of: Opened; begin: string } | undefined {
  const { block = BLOCK, variable = VARIABLE, comment = COMMENT, lineStatement, lineComment } = options;
  const kinds: [mark: string, of: Opened, pattern: string][] = [[comment[0], 'comment', literal(comment[0])], [block[0], 'block', literal(block[0])], [variable[0], 'variable', literal(variable[0])]];
  // White space before them belongs to them; a comment may also stand behind something else.
  if (lineStatement !== undefined) kinds.push([lineStatement, 'line', `^[ \\t\\v]*${literal(lineStatement)}`]);
  if (lineComment !== undefined) kinds.push([lineComment, 'lineComment', `(?:^|(?<=\\S))[^\\S\\r\\n]*${literal(lineComment)}`]);
  kinds.sort((a, b) => b[0].length - a[0].length);
  const pattern = new RegExp(kinds.map(([, , source]) => `(${source})`).join('|'), 'gm');
  return (text, from) => {
    pattern.lastIndex = from;
    const found = pattern.exec(text);
    return found ? { at: found.index, of: kinds[found.slice(1).findIndex((each) => each !== undefined)]![1], begin: found[0] } : undefined;
  };
}

type Opened = 'block' | 'variable' | 'comment' | 'line' | 'lineComment';

const openDefault = opener({});

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** Tokens of a text with `{{ }}`, `{% %}` and `{# #}`, or with the marks that the options set. */
export function lexTemplate(text: string, options: LexOptions = {}): Token[] {
  const { lstripBlocks = false, trimBlocks = true, keepBackslashes = false, block = BLOCK, comment = COMMENT, variable = VARIABLE } = options;
  const open = options.block || options.variable || options.comment || options.lineStatement || options.lineComment ? opener(options) : openDefault;
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  const afterBlock = (offset: number) => (trimBlocks ? afterBreak(text, offset) : offset);
  const pushText = (to: number, trimEnd: boolean, isBlock: boolean) => {
    let piece = text.slice(at, to);
    const start = at;
    if (trimNext) piece = piece.trimStart();
    if (trimEnd) piece = piece.trimEnd();
    else if (lstripBlocks && isBlock) piece = piece.replace(/(^|\n)[ \t]+$/, (whole, before: string, offset: number) => (before === '' && offset === 0 && start > 0 && text[start - 1] !== '\n' ? whole : before));
    if (piece !== '') tokens.push({ kind: 'text', text: piece.replace(/\r\n?/g, '\n'), at: start });
    trimNext = false;
  };
  while (at < text.length) {
    const found = open(text, at);
    if (!found) break;
    const { at: begin, of } = found;
    const mark = text[begin + found.begin.length];
    pushText(begin, mark === '-', of !== 'variable' && mark !== '+');
    const inside = begin + found.begin.length + (mark === '-' || mark === '+' ? 1 : 0);
    if (of === 'comment') {
      const end = text.indexOf(comment[1], inside);
      if (end < 0) throw new GrammarError('the comment is not closed', begin, `write "${comment[1]}" at its end`);
      trimNext = text[end - 1] === '-' && end > inside;
      at = end + comment[1].length;
      if (!trimNext && text[end - 1] !== '+') at = afterBlock(at);
      continue;
    }
    if (of === 'lineComment') {
      const end = text.indexOf('\n', inside);
      at = end < 0 ? text.length : end;
      continue;
    }
    if (of === 'line') {
      tokens.push({ kind: 'begin', of: 'block', at: begin });
      at = lexCode(text, inside, tokens, 'line');
      tokens.push({ kind: 'end', of: 'block', at });
      at += match(LINE_END, text, at)![0].length;
      continue;
    }
    const raw = of === 'block' ? match(rawBegin(block), text, inside) : null;
    if (raw) {
      const body = inside + raw[0].length;
      const close = rawEnd(block);
      close.lastIndex = body;
      const end = close.exec(text);
      if (!end) throw new GrammarError('"raw" is not closed', begin, `write "${block[0]} endraw ${block[1]}" at its end`);
      let piece = text.slice(body, end.index);
      if (raw[1] === '-') piece = piece.trimStart();
      if (end[1] === '-') piece = piece.trimEnd();
      else if (lstripBlocks && end[1] !== '+') piece = piece.replace(/(^|\n)[ \t]+$/, '$1');
      if (piece !== '') tokens.push({ kind: 'text', text: piece, at: body });
      trimNext = end[2] === '-';
      at = trimNext || end[2] === '+' ? end.index + end[0].length : afterBlock(end.index + end[0].length);
      continue;
    }
    tokens.push({ kind: 'begin', of, at: begin });
    const closer = of === 'block' ? block[1] : variable[1];
    const end = lexCode(text, inside, tokens, { of, closer }, of === 'variable' && keepBackslashes);
    if (end >= text.length) throw new GrammarError(`"${found.begin}" is not closed`, begin, `write "${closer}" at its end`);
    const sign = !text.startsWith(closer, end) ? text[end] : undefined;
    tokens.push({ kind: 'end', of, at: end });
    at = end + closer.length + (sign ? 1 : 0);
    trimNext = sign === '-';
    if (of === 'block' && !sign) at = afterBlock(at);
  }
  pushText(text.length, false, false);
  tokens.push({ kind: 'eof', at: text.length });
  return tokens;
}

const RAW_BEGIN = /\s*raw\s*(-)?%\}/y;
const rawBegin = (block: Marks) => (block === BLOCK ? RAW_BEGIN : new RegExp(`\\s*raw\\s*(-)?${literal(block[1])}`, 'y'));
const rawEnd = (block: Marks) => new RegExp(`${literal(block[0])}([-+])?\\s*endraw\\s*([-+])?${literal(block[1])}`, 'g');

/** What ends a line statement; blank lines behind it go with it. */
const LINE_END = /\s*(?:\n|$)/my;

/** The offset behind a line break that stands there. */
function afterBreak(text: string, at: number): number {
  if (text[at] === '\n') return at + 1;
  return text[at] === '\r' && text[at + 1] === '\n' ? at + 2 : at;
}

/**
 * Tokens from `start` up to the closing mark or the end of a line statement (not consumed), or to the end of a bare expression.
 * Brackets are balanced, so that `}}` inside nested dicts closes those first.
 */
function lexCode(text: string, start: number, tokens: Token[], inside: { of: 'variable' | 'block'; closer: string } | 'line' | undefined, keepBackslashes = false): number {
  const open: { closer: string; at: number }[] = [];
  let at = start;
  for (;;) {
    if (inside === 'line' && open.length === 0 && match(LINE_END, text, at)) return at;
    const space = match(SPACE, text, at);
    if (space) at += space[0].length;
    if (at >= text.length) {
      if ((!inside || inside === 'line') && open.length > 0) throw unclosed(text, open.at(-1)!.at);
      return at;
    }
    if (inside && inside !== 'line' && open.length === 0) {
      const signed = (text[at] === '-' || (text[at] === '+' && inside.of === 'block')) && text.startsWith(inside.closer, at + 1);
      if (signed || text.startsWith(inside.closer, at)) return at;
    }
    at = lexToken(text, at, tokens, open, keepBackslashes);
  }
}

function lexToken(text: string, at: number, tokens: Token[], open: { closer: string; at: number }[], keepBackslashes: boolean): number {
  let found = match(FLOAT, text, at);
  // `1.5.0` never begins a float behind a dot; `x.1` is a member.
  if (found && !(text[at - 1] === '.')) {
    tokens.push({ kind: 'float', value: Number(found[0].replaceAll('_', '')), at });
    return at + found[0].length;
  }
  if ((found = match(INT, text, at))) {
    const value = BigInt(found[0].replaceAll('_', '').toLowerCase());
    tokens.push({ kind: 'int', value: Number.isSafeInteger(Number(value)) ? Number(value) : value, at });
    return at + found[0].length;
  }
  if ((found = match(NAME, text, at))) {
    tokens.push({ kind: 'name', text: found[0], at });
    return at + found[0].length;
  }
  if ((found = match(STRING, text, at))) {
    const text = found[1] ?? found[2]!;
    tokens.push({ kind: 'string', text: keepBackslashes ? text : unescape(text), at });
    return at + found[0].length;
  }
  if ((found = match(OPERATOR, text, at))) {
    const operator = found[0];
    const closer = CLOSERS[operator];
    if (closer) open.push({ closer, at });
    else if (')]}'.includes(operator)) {
      const opened = open.pop();
      if (!opened) throw new GrammarError(`"${operator}" closes nothing`, at, 'remove it, or open the bracket before it');
      if (opened.closer !== operator) throw new GrammarError(`"${operator}" stands where "${opened.closer}" is expected`, at, `"${text[opened.at]}" was opened before it`);
    }
    tokens.push({ kind: 'operator', text: operator, at });
    return at + operator.length;
  }
  const character = String.fromCodePoint(text.codePointAt(at)!);
  if (character === '"' || character === "'") throw new GrammarError('the string is not closed', at, `write ${character} at its end`);
  if (character === '#' && text.slice(0, at).endsWith('{{')) {
    throw new GrammarError('"{{#" is Handlebars, which only .hbs files speak', at, `write "{% ${/^#\s*(\w*)/.exec(text.slice(at))![1]} … %}"`);
  }
  const hint = { '&': 'write "and"', '!': 'write "not"', '$': 'a variable is written without "$"', '?': 'write "a if condition else b"' }[character];
  throw new GrammarError(`unexpected character "${character}"`, at, hint);
}

function unclosed(text: string, at: number): GrammarError {
  return new GrammarError(`"${text[at]}" is not closed`, at, `write "${CLOSERS[text[at]!]}" at its end`);
}

const SIMPLE: { [letter: string]: string } = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v', '\\': '\\', "'": "'", '"': '"', '\n': '' };

/** Python's string escapes; an unknown one keeps its backslash. */
function unescape(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([^]))/g, (whole, x, u, long, octal, letter) => {
    const hex: string | undefined = x ?? u ?? long;
    if (hex !== undefined) {
      const code = parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    }
    if (octal !== undefined) return String.fromCodePoint(parseInt(octal, 8));
    return SIMPLE[letter] ?? whole;
  });
}
