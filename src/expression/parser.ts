import type { Arguments, Comparison, FilterUse, Node } from './ast.js';
import { GrammarError, type Token } from './lexer.js';

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);
/** Brackets and chains deeper than this are refused before they exhaust the stack. */
const MAX_DEPTH = 200;
const CONSTANTS: { [name: string]: boolean | null } = { true: true, True: true, false: false, False: false, none: null, None: null };
const RESERVED = new Set(['and', 'or', 'not', 'if', 'else', 'in', 'is']);

/** Jinja's grammar of expressions (`jinja2/parser.py`) by recursive descent. */
export class ExpressionParser {
  protected at = 0;
  protected depth = 0;
  constructor(readonly tokens: Token[]) {}

  /** A bare expression, to the end of the text. */
  whole(): Node {
    if (this.atEnd()) throw new GrammarError('the expression is empty', this.token.at, 'write an expression');
    const node = this.tuple();
    if (!this.atEnd()) throw this.unexpected('the end of the expression');
    return node;
  }

  protected get token(): Token {
    return this.tokens[this.at]!;
  }
  protected atEnd(): boolean {
    return this.token.kind === 'eof';
  }
  protected next(): Token {
    return this.tokens[this.at++]!;
  }
  protected isOperator(text: string): boolean {
    const token = this.token;
    return token.kind === 'operator' && token.text === text;
  }
  protected isName(text: string): boolean {
    const token = this.token;
    return token.kind === 'name' && token.text === text;
  }
  protected skipOperator(text: string): boolean {
    if (!this.isOperator(text)) return false;
    this.at++;
    return true;
  }
  protected skipName(text: string): boolean {
    if (!this.isName(text)) return false;
    this.at++;
    return true;
  }
  protected expectOperator(text: string): void {
    if (!this.skipOperator(text)) throw this.unexpected(`"${text}"`);
  }
  protected expectName(what = 'a name'): { text: string; at: number } {
    const token = this.token;
    if (token.kind !== 'name') throw this.unexpected(what);
    this.at++;
    return token;
  }
  protected unexpected(wanted: string): GrammarError {
    const token = this.token;
    const next = this.tokens[this.at + 1];
    let hint: string | undefined;
    if (token.kind === 'operator' && token.text === '=') hint = 'compare with "=="';
    else if (token.kind === 'begin') hint = 'expressions do not nest: drop the inner braces';
    else if (token.kind === 'operator' && token.text === '{' && next?.kind === 'operator' && next.text === '{') hint = 'an expression stands here without braces: drop "{{" and "}}"';
    else if (token.kind === 'name' || token.kind === 'string' || token.kind === 'int') hint = 'an operator, "|" or a comma may be missing before it';
    return new GrammarError(`${describe(token)} stands where ${wanted} is expected`, token.at, hint ?? 'correct the expression');
  }

  protected nested<T>(parse: () => T): T {
    if (++this.depth > MAX_DEPTH) throw new GrammarError(`the expression nests more than ${MAX_DEPTH} deep`, this.token.at, 'split it over several variables');
    try {
      return parse();
    } finally {
      this.depth--;
    }
  }

  protected expression(withChoice = true): Node {
    return this.nested(() => (withChoice ? this.choice() : this.or()));
  }

  protected choice(): Node {
    let node = this.or();
    while (this.isName('if')) {
      const { at } = this.next();
      const condition = this.or();
      const no = this.skipName('else') ? this.expression() : undefined;
      node = { kind: 'choice', at, condition, yes: node, no };
    }
    return node;
  }

  protected or(): Node {
    let left = this.and();
    while (this.isName('or')) {
      const { at } = this.next();
      left = { kind: 'logic', at, operator: 'or', left, right: this.and() };
    }
    return left;
  }

  protected and(): Node {
    let left = this.not();
    while (this.isName('and')) {
      const { at } = this.next();
      left = { kind: 'logic', at, operator: 'and', left, right: this.not() };
    }
    return left;
  }

  protected not(): Node {
    if (!this.isName('not')) return this.compare();
    const { at } = this.next();
    return { kind: 'unary', at, operator: 'not', of: this.nested(() => this.not()) };
  }

  protected compare(): Node {
    const first = this.sum();
    const rest: { operator: Comparison; node: Node; at: number }[] = [];
    for (;;) {
      const token = this.token;
      let operator: Comparison | undefined;
      if (token.kind === 'operator' && COMPARISONS.has(token.text)) operator = token.text as Comparison;
      else if (this.isName('in')) operator = 'in';
      else if (this.isName('not')) {
        const next = this.tokens[this.at + 1];
        if (next?.kind === 'name' && next.text === 'in') {
          this.at++;
          operator = 'not in';
        }
      }
      if (operator === undefined) break;
      this.at++;
      rest.push({ operator, node: this.sum(), at: token.at });
    }
    return rest.length === 0 ? first : { kind: 'compare', at: rest[0]!.at, first, rest };
  }

  protected binary(operators: string[], operand: () => Node): Node {
    let left = operand();
    for (;;) {
      const token = this.token;
      if (token.kind !== 'operator' || !operators.includes(token.text)) return left;
      this.at++;
      left = { kind: 'binary', at: token.at, operator: token.text as '+', left, right: operand() };
    }
  }

  protected sum(): Node {
    return this.binary(['+', '-'], () => this.concat());
  }

  protected concat(): Node {
    const first = this.product();
    if (!this.isOperator('~')) return first;
    const parts = [first];
    const { at } = this.token;
    while (this.skipOperator('~')) parts.push(this.product());
    return { kind: 'concat', at, parts };
  }

  protected product(): Node {
    return this.binary(['*', '/', '//', '%'], () => this.power());
  }

  protected power(): Node {
    return this.binary(['**'], () => this.unary(true));
  }

  protected unary(withFilter: boolean): Node {
    const token = this.token;
    let node: Node;
    if (token.kind === 'operator' && (token.text === '-' || token.text === '+')) {
      this.at++;
      node = { kind: 'unary', at: token.at, operator: token.text, of: this.nested(() => this.unary(false)) };
    } else node = this.primary();
    node = this.postfix(node);
    return withFilter ? this.filtersAndTests(node) : node;
  }

  protected primary(): Node {
    const token = this.next();
    switch (token.kind) {
      case 'name': {
        const constant = CONSTANTS[token.text];
        if (Object.hasOwn(CONSTANTS, token.text)) return { kind: 'constant', at: token.at, value: constant! };
        if (RESERVED.has(token.text)) {
          this.at--;
          throw this.unexpected('a value');
        }
        return { kind: 'name', at: token.at, name: token.text };
      }
      case 'string': {
        let { text } = token;
        for (let next = this.token; next.kind === 'string'; next = this.token) {
          text += next.text;
          this.at++;
        }
        return { kind: 'constant', at: token.at, value: text };
      }
      case 'int':
        return { kind: 'constant', at: token.at, value: token.value };
      case 'float':
        return { kind: 'constant', at: token.at, value: { float: token.value } };
      case 'operator':
        if (token.text === '(') {
          const node = this.isOperator(')') ? ({ kind: 'list', at: token.at, members: [] } as Node) : this.tuple();
          this.expectOperator(')');
          return node;
        }
        if (token.text === '[') return { kind: 'list', at: token.at, members: this.series(']') };
        if (token.text === '{') return this.dict(token.at);
    }
    this.at--;
    throw this.unexpected('a value');
  }

  /** `a, b` is a list of both; a lone expression is itself. */
  protected tuple(withChoice = true): Node {
    const { at } = this.token;
    const first = this.expression(withChoice);
    if (!this.isOperator(',')) return first;
    const members = [first];
    while (this.skipOperator(',')) {
      if (this.endsTuple()) break;
      members.push(this.expression(withChoice));
    }
    return { kind: 'list', at, members, tuple: true };
  }

  protected endsTuple(): boolean {
    const token = this.token;
    return token.kind === 'eof' || token.kind === 'end' || (token.kind === 'operator' && token.text === ')') || (token.kind === 'name' && token.text === 'in');
  }

  protected series(closer: string): Node[] {
    const members: Node[] = [];
    while (!this.isOperator(closer)) {
      members.push(this.expression());
      if (!this.skipOperator(',')) break;
    }
    this.expectOperator(closer);
    return members;
  }

  protected dict(at: number): Node {
    const entries: [Node, Node][] = [];
    while (!this.isOperator('}')) {
      const key = this.expression();
      this.expectOperator(':');
      entries.push([key, this.expression()]);
      if (!this.skipOperator(',')) break;
    }
    this.expectOperator('}');
    return { kind: 'dict', at, entries };
  }

  protected postfix(start: Node): Node {
    let node = start;
    for (;;) {
      const token = this.token;
      if (token.kind !== 'operator') return node;
      if (token.text === '.') node = this.dot(node);
      else if (token.text === '[') node = this.subscript(node);
      else if (token.text === '(') node = { kind: 'call', at: token.at, of: node, args: this.arguments() };
      else return node;
    }
  }

  protected dot(of: Node): Node {
    this.at++;
    const token = this.next();
    if (token.kind === 'name') return { kind: 'attribute', at: token.at, of, name: token.text };
    if (token.kind === 'int') return { kind: 'member', at: token.at, of, key: { kind: 'constant', at: token.at, value: token.value } };
    this.at--;
    throw this.unexpected('the name of an attribute');
  }

  protected subscript(of: Node): Node {
    const { at } = this.next();
    let from: Node | undefined;
    if (!this.isOperator(':')) {
      from = this.expression();
      if (this.skipOperator(']')) return { kind: 'member', at, of, key: from };
      if (this.isOperator(',')) throw this.unexpected('"]"');
    }
    this.expectOperator(':');
    let to: Node | undefined;
    let step: Node | undefined;
    if (!this.isOperator(']') && !this.isOperator(':')) to = this.expression();
    if (this.skipOperator(':') && !this.isOperator(']')) step = this.expression();
    this.expectOperator(']');
    return { kind: 'slice', at, of, from, to, step };
  }

  protected arguments(): Arguments {
    this.expectOperator('(');
    const args: Arguments = { positional: [], named: [], spread: undefined, spreadNamed: undefined };
    while (!this.isOperator(')')) {
      const token = this.token;
      const next = this.tokens[this.at + 1];
      if (this.skipOperator('*')) args.spread = this.expression();
      else if (this.skipOperator('**')) args.spreadNamed = this.expression();
      else if (token.kind === 'name' && next?.kind === 'operator' && next.text === '=') {
        this.at += 2;
        if (args.named.some(([name]) => name === token.text)) throw new GrammarError(`keyword argument repeated: ${token.text}`, token.at, 'remove one');
        args.named.push([token.text, this.expression()]);
      } else {
        if (args.named.length > 0) throw new GrammarError('a positional argument stands behind a named one', token.at, 'put named arguments last');
        args.positional.push(this.expression());
      }
      if (!this.skipOperator(',')) break;
    }
    this.expectOperator(')');
    return args;
  }

  protected filtersAndTests(start: Node): Node {
    let node = start;
    for (;;) {
      const token = this.token;
      if (token.kind === 'operator' && token.text === '|') {
        const { name, args, at } = this.filterUse();
        node = { kind: 'filter', at, of: node, name, args };
      } else if (token.kind === 'name' && token.text === 'is') node = this.test(node);
      else if (token.kind === 'operator' && token.text === '(') node = { kind: 'call', at: token.at, of: node, args: this.arguments() };
      else return node;
    }
  }

  protected filterUse(): FilterUse {
    this.expectOperator('|');
    return this.filterName();
  }

  protected filterName(): FilterUse {
    const { name, at } = this.dottedName('the name of a filter');
    return { name, at, args: this.isOperator('(') ? this.arguments() : noArguments() };
  }

  protected dottedName(what: string): { name: string; at: number } {
    const { text, at } = this.expectName(what);
    let name = text;
    while (this.skipOperator('.')) name += `.${this.expectName(what).text}`;
    return { name, at };
  }

  protected test(of: Node): Node {
    this.at++;
    const negated = this.skipName('not');
    const { name, at } = this.dottedName('the name of a test');
    const token = this.token;
    let args = noArguments();
    if (this.isOperator('(')) args = this.arguments();
    else if (this.startsOperand(token)) args.positional.push(this.postfix(this.primary()));
    return { kind: 'test', at, of, name, args, negated };
  }

  protected startsOperand(token: Token): boolean {
    if (token.kind === 'string' || token.kind === 'int' || token.kind === 'float') return true;
    if (token.kind === 'operator') return token.text === '[' || token.text === '{';
    if (token.kind !== 'name') return false;
    if (token.text === 'is') throw new GrammarError('tests cannot be chained with "is"', token.at, 'join them with "and"');
    return !RESERVED.has(token.text) && token.text !== 'recursive';
  }
}

export function noArguments(): Arguments {
  return { positional: [], named: [], spread: undefined, spreadNamed: undefined };
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'eof':
      return 'the end of the text';
    case 'end':
      return token.of === 'block' ? '"%}"' : '"}}"';
    case 'begin':
      return token.of === 'block' ? '"{%"' : '"{{"';
    case 'name':
    case 'operator':
      return `"${token.text}"`;
    case 'string':
      return `the string '${token.text}'`;
    case 'int':
    case 'float':
      return `the number ${token.value}`;
    case 'text':
      return 'text';
  }
}
