import type { Arguments, Comparison, FilterUse, Macro, Node, Statement, Target } from './ast.js';
import { GrammarError, type Token } from './lexer.js';

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);
/** Brackets and chains deeper than this are refused before they exhaust the stack. */
const MAX_DEPTH = 200;
const CONSTANTS: { [name: string]: boolean | null } = { true: true, True: true, false: false, False: false, none: null, None: null };
const RESERVED = new Set(['and', 'or', 'not', 'if', 'else', 'in', 'is']);

/** Jinja's grammar (`jinja2/parser.py`) by recursive descent. */
export class Parser {
  #at = 0;
  #depth = 0;
  constructor(readonly tokens: Token[]) {}

  /** A bare expression, to the end of the text. */
  whole(): Node {
    if (this.#atEnd()) throw new GrammarError('the expression is empty', this.#token.at, 'write an expression');
    const node = this.#tuple();
    if (!this.#atEnd()) throw this.#unexpected('the end of the expression');
    return node;
  }

  /** A template, to the end of the text. */
  template(): Statement[] {
    return this.#body([]);
  }

  get #token(): Token {
    return this.tokens[this.#at]!;
  }
  #atEnd(): boolean {
    return this.#token.kind === 'eof';
  }
  #next(): Token {
    return this.tokens[this.#at++]!;
  }
  #isOperator(text: string): boolean {
    const token = this.#token;
    return token.kind === 'operator' && token.text === text;
  }
  #isName(text: string): boolean {
    const token = this.#token;
    return token.kind === 'name' && token.text === text;
  }
  #skipOperator(text: string): boolean {
    if (!this.#isOperator(text)) return false;
    this.#at++;
    return true;
  }
  #skipName(text: string): boolean {
    if (!this.#isName(text)) return false;
    this.#at++;
    return true;
  }
  #expectOperator(text: string): void {
    if (!this.#skipOperator(text)) throw this.#unexpected(`"${text}"`);
  }
  #expectName(what = 'a name'): { text: string; at: number } {
    const token = this.#token;
    if (token.kind !== 'name') throw this.#unexpected(what);
    this.#at++;
    return token;
  }
  #unexpected(wanted: string): GrammarError {
    const token = this.#token;
    const next = this.tokens[this.#at + 1];
    let hint: string | undefined;
    if (token.kind === 'operator' && token.text === '=') hint = 'compare with "=="';
    else if (token.kind === 'begin') hint = 'expressions do not nest: drop the inner braces';
    else if (token.kind === 'operator' && token.text === '{' && next?.kind === 'operator' && next.text === '{') hint = 'an expression stands here without braces: drop "{{" and "}}"';
    else if (token.kind === 'name' || token.kind === 'string' || token.kind === 'int') hint = 'an operator, "|" or a comma may be missing before it';
    return new GrammarError(`${describe(token)} stands where ${wanted} is expected`, token.at, hint ?? 'correct the expression');
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new GrammarError(`the expression nests more than ${MAX_DEPTH} deep`, this.#token.at, 'split it over several variables');
    try {
      return parse();
    } finally {
      this.#depth--;
    }
  }

  // ---- expressions ----

  #expression(withChoice = true): Node {
    return this.#nested(() => (withChoice ? this.#choice() : this.#or()));
  }

  #choice(): Node {
    let node = this.#or();
    while (this.#isName('if')) {
      const { at } = this.#next();
      const condition = this.#or();
      const no = this.#skipName('else') ? this.#expression() : undefined;
      node = { kind: 'choice', at, condition, yes: node, no };
    }
    return node;
  }

  #or(): Node {
    let left = this.#and();
    while (this.#isName('or')) {
      const { at } = this.#next();
      left = { kind: 'logic', at, operator: 'or', left, right: this.#and() };
    }
    return left;
  }

  #and(): Node {
    let left = this.#not();
    while (this.#isName('and')) {
      const { at } = this.#next();
      left = { kind: 'logic', at, operator: 'and', left, right: this.#not() };
    }
    return left;
  }

  #not(): Node {
    if (!this.#isName('not')) return this.#compare();
    const { at } = this.#next();
    return { kind: 'unary', at, operator: 'not', of: this.#nested(() => this.#not()) };
  }

  #compare(): Node {
    const first = this.#sum();
    const rest: { operator: Comparison; node: Node; at: number }[] = [];
    for (;;) {
      const token = this.#token;
      let operator: Comparison | undefined;
      if (token.kind === 'operator' && COMPARISONS.has(token.text)) operator = token.text as Comparison;
      else if (this.#isName('in')) operator = 'in';
      else if (this.#isName('not')) {
        const next = this.tokens[this.#at + 1];
        if (next?.kind === 'name' && next.text === 'in') {
          this.#at++;
          operator = 'not in';
        }
      }
      if (operator === undefined) break;
      this.#at++;
      rest.push({ operator, node: this.#sum(), at: token.at });
    }
    return rest.length === 0 ? first : { kind: 'compare', at: rest[0]!.at, first, rest };
  }

  #binary(operators: string[], operand: () => Node): Node {
    let left = operand();
    for (;;) {
      const token = this.#token;
      if (token.kind !== 'operator' || !operators.includes(token.text)) return left;
      this.#at++;
      left = { kind: 'binary', at: token.at, operator: token.text as '+', left, right: operand() };
    }
  }

  #sum(): Node {
    return this.#binary(['+', '-'], () => this.#concat());
  }

  #concat(): Node {
    const first = this.#product();
    if (!this.#isOperator('~')) return first;
    const parts = [first];
    const { at } = this.#token;
    while (this.#skipOperator('~')) parts.push(this.#product());
    return { kind: 'concat', at, parts };
  }

  #product(): Node {
    return this.#binary(['*', '/', '//', '%'], () => this.#power());
  }

  #power(): Node {
    return this.#binary(['**'], () => this.#unary(true));
  }

  #unary(withFilter: boolean): Node {
    const token = this.#token;
    let node: Node;
    if (token.kind === 'operator' && (token.text === '-' || token.text === '+')) {
      this.#at++;
      node = { kind: 'unary', at: token.at, operator: token.text, of: this.#nested(() => this.#unary(false)) };
    } else node = this.#primary();
    node = this.#postfix(node);
    return withFilter ? this.#filtersAndTests(node) : node;
  }

  #primary(): Node {
    const token = this.#next();
    switch (token.kind) {
      case 'name': {
        const constant = CONSTANTS[token.text];
        if (Object.hasOwn(CONSTANTS, token.text)) return { kind: 'constant', at: token.at, value: constant! };
        if (RESERVED.has(token.text)) {
          this.#at--;
          throw this.#unexpected('a value');
        }
        return { kind: 'name', at: token.at, name: token.text };
      }
      case 'string': {
        let { text } = token;
        for (let next = this.#token; next.kind === 'string'; next = this.#token) {
          text += next.text;
          this.#at++;
        }
        return { kind: 'constant', at: token.at, value: text };
      }
      case 'int':
        return { kind: 'constant', at: token.at, value: token.value };
      case 'float':
        return { kind: 'constant', at: token.at, value: { float: token.value } };
      case 'operator':
        if (token.text === '(') {
          const node = this.#isOperator(')') ? ({ kind: 'list', at: token.at, members: [] } as Node) : this.#tuple();
          this.#expectOperator(')');
          return node;
        }
        if (token.text === '[') return { kind: 'list', at: token.at, members: this.#series(']') };
        if (token.text === '{') return this.#dict(token.at);
    }
    this.#at--;
    throw this.#unexpected('a value');
  }

  /** `a, b` is a list of both; a lone expression is itself. */
  #tuple(withChoice = true): Node {
    const { at } = this.#token;
    const first = this.#expression(withChoice);
    if (!this.#isOperator(',')) return first;
    const members = [first];
    while (this.#skipOperator(',')) {
      if (this.#endsTuple()) break;
      members.push(this.#expression(withChoice));
    }
    return { kind: 'list', at, members, tuple: true };
  }

  #endsTuple(): boolean {
    const token = this.#token;
    return token.kind === 'eof' || token.kind === 'end' || (token.kind === 'operator' && token.text === ')') || (token.kind === 'name' && token.text === 'in');
  }

  #series(closer: string): Node[] {
    const members: Node[] = [];
    while (!this.#isOperator(closer)) {
      members.push(this.#expression());
      if (!this.#skipOperator(',')) break;
    }
    this.#expectOperator(closer);
    return members;
  }

  #dict(at: number): Node {
    const entries: [Node, Node][] = [];
    while (!this.#isOperator('}')) {
      const key = this.#expression();
      this.#expectOperator(':');
      entries.push([key, this.#expression()]);
      if (!this.#skipOperator(',')) break;
    }
    this.#expectOperator('}');
    return { kind: 'dict', at, entries };
  }

  #postfix(start: Node): Node {
    let node = start;
    for (;;) {
      const token = this.#token;
      if (token.kind !== 'operator') return node;
      if (token.text === '.') node = this.#dot(node);
      else if (token.text === '[') node = this.#subscript(node);
      else if (token.text === '(') node = { kind: 'call', at: token.at, of: node, args: this.#arguments() };
      else return node;
    }
  }

  #dot(of: Node): Node {
    this.#at++;
    const token = this.#next();
    if (token.kind === 'name') return { kind: 'attribute', at: token.at, of, name: token.text };
    if (token.kind === 'int') return { kind: 'member', at: token.at, of, key: { kind: 'constant', at: token.at, value: token.value } };
    this.#at--;
    throw this.#unexpected('the name of an attribute');
  }

  #subscript(of: Node): Node {
    const { at } = this.#next();
    let from: Node | undefined;
    if (!this.#isOperator(':')) {
      from = this.#expression();
      if (this.#skipOperator(']')) return { kind: 'member', at, of, key: from };
      if (this.#isOperator(',')) throw this.#unexpected('"]"');
    }
    this.#expectOperator(':');
    let to: Node | undefined;
    let step: Node | undefined;
    if (!this.#isOperator(']') && !this.#isOperator(':')) to = this.#expression();
    if (this.#skipOperator(':') && !this.#isOperator(']')) step = this.#expression();
    this.#expectOperator(']');
    return { kind: 'slice', at, of, from, to, step };
  }

  #arguments(): Arguments {
    this.#expectOperator('(');
    const args: Arguments = { positional: [], named: [], spread: undefined, spreadNamed: undefined };
    while (!this.#isOperator(')')) {
      const token = this.#token;
      const next = this.tokens[this.#at + 1];
      if (this.#skipOperator('*')) args.spread = this.#expression();
      else if (this.#skipOperator('**')) args.spreadNamed = this.#expression();
      else if (token.kind === 'name' && next?.kind === 'operator' && next.text === '=') {
        this.#at += 2;
        if (args.named.some(([name]) => name === token.text)) throw new GrammarError(`the argument "${token.text}" is given twice`, token.at, 'remove one');
        args.named.push([token.text, this.#expression()]);
      } else {
        if (args.named.length > 0) throw new GrammarError('a positional argument stands behind a named one', token.at, 'put named arguments last');
        args.positional.push(this.#expression());
      }
      if (!this.#skipOperator(',')) break;
    }
    this.#expectOperator(')');
    return args;
  }

  #filtersAndTests(start: Node): Node {
    let node = start;
    for (;;) {
      const token = this.#token;
      if (token.kind === 'operator' && token.text === '|') {
        const { name, args, at } = this.#filterUse();
        node = { kind: 'filter', at, of: node, name, args };
      } else if (token.kind === 'name' && token.text === 'is') node = this.#test(node);
      else if (token.kind === 'operator' && token.text === '(') node = { kind: 'call', at: token.at, of: node, args: this.#arguments() };
      else return node;
    }
  }

  #filterUse(): FilterUse {
    this.#expectOperator('|');
    return this.#filterName();
  }

  #filterName(): FilterUse {
    const { name, at } = this.#dottedName('the name of a filter');
    return { name, at, args: this.#isOperator('(') ? this.#arguments() : noArguments() };
  }

  #dottedName(what: string): { name: string; at: number } {
    const { text, at } = this.#expectName(what);
    let name = text;
    while (this.#skipOperator('.')) name += `.${this.#expectName(what).text}`;
    return { name, at };
  }

  #test(of: Node): Node {
    this.#at++;
    const negated = this.#skipName('not');
    const { name, at } = this.#dottedName('the name of a test');
    const token = this.#token;
    let args = noArguments();
    if (this.#isOperator('(')) args = this.#arguments();
    else if (this.#startsOperand(token)) args.positional.push(this.#postfix(this.#primary()));
    return { kind: 'test', at, of, name, args, negated };
  }

  #startsOperand(token: Token): boolean {
    if (token.kind === 'string' || token.kind === 'int' || token.kind === 'float') return true;
    if (token.kind === 'operator') return token.text === '[' || token.text === '{';
    if (token.kind !== 'name') return false;
    if (token.text === 'is') throw new GrammarError('tests cannot be chained with "is"', token.at, 'join them with "and"');
    return !RESERVED.has(token.text) && token.text !== 'recursive';
  }

  // ---- statements ----

  #body(until: string[]): Statement[] {
    return this.#nested(() => {
      const body: Statement[] = [];
      for (;;) {
        const token = this.#next();
        if (token.kind === 'text') body.push({ kind: 'text', text: token.text });
        else if (token.kind === 'begin' && token.of === 'variable') {
          const node = this.#tuple();
          this.#end('variable');
          body.push({ kind: 'output', node, at: token.at });
        } else if (token.kind === 'begin') {
          const word = this.#token;
          if (word.kind === 'name' && until.includes(word.text)) return body;
          body.push(...this.#statement());
        } else {
          if (until.length === 0) return body;
          throw new GrammarError(`the text ends where "{% ${until.at(-1)} %}" is expected`, token.at, `write "{% ${until.at(-1)} %}"`);
        }
      }
    });
  }

  #end(of: 'variable' | 'block'): void {
    const token = this.#token;
    if (token.kind !== 'end') throw this.#unexpected(of === 'block' ? '"%}"' : '"}}"');
    this.#at++;
  }

  /** Closes a statement's body: `endif` and its like, and the block mark. */
  #close(): void {
    this.#at++;
    this.#end('block');
  }

  #statement(): Statement[] {
    const { text, at } = this.#expectName('the name of a statement');
    switch (text) {
      case 'if':
        return [this.#if()];
      case 'for':
        return [this.#for(at)];
      case 'set':
        return [this.#set(at)];
      case 'filter':
        return [this.#filterBlock(at)];
      case 'with':
        return [this.#with(at)];
      case 'macro':
        return [{ kind: 'macro', at, macro: this.#macro(this.#expectName('the name of the macro').text, 'endmacro') }];
      case 'call':
        return [this.#call(at)];
      case 'do': {
        const node = this.#tuple();
        this.#end('block');
        return [{ kind: 'do', at, node }];
      }
      case 'break':
      case 'continue':
        this.#end('block');
        return [{ kind: text, at }];
      case 'autoescape':
      case 'trans':
        throw new GrammarError(`"${text}" is not supported`, at, 'leave the statement out');
      case 'include':
      case 'import':
      case 'from':
      case 'extends':
      case 'block':
        throw new GrammarError(`"${text}" is not supported yet`, at, 'put the text into one file, or use the template lookup');
      case 'else':
      case 'elif':
        throw new GrammarError(`"${text}" stands outside an "if" or "for"`, at, 'check the statements around it');
    }
    if (text.startsWith('end')) throw new GrammarError(`"${text}" closes nothing`, at, 'remove it, or open the statement before it');
    throw new GrammarError(`unknown statement "${text}"`, at, 'known are if, for, set, filter, with, macro, call, do and raw');
  }

  #if(): Statement {
    const branches: { condition: Node; body: Statement[] }[] = [];
    let otherwise: Statement[] = [];
    for (;;) {
      const condition = this.#tuple();
      this.#end('block');
      branches.push({ condition, body: this.#body(['elif', 'else', 'endif']) });
      if (!this.#skipName('elif')) break;
    }
    if (this.#skipName('else')) {
      this.#end('block');
      otherwise = this.#body(['endif']);
    }
    this.#close();
    return { kind: 'if', branches, otherwise };
  }

  #for(at: number): Statement {
    const target = this.#target();
    if (!this.#skipName('in')) throw this.#unexpected('"in"');
    const over = this.#tuple(false);
    const condition = this.#skipName('if') ? this.#expression() : undefined;
    const recursive = this.#skipName('recursive');
    this.#end('block');
    const body = this.#body(['else', 'endfor']);
    let otherwise: Statement[] = [];
    if (this.#skipName('else')) {
      this.#end('block');
      otherwise = this.#body(['endfor']);
    }
    this.#close();
    return { kind: 'for', at, target, over, condition, recursive, body, otherwise };
  }

  #target(): Target {
    const first = this.#oneTarget();
    if (!this.#isOperator(',')) return first;
    const targets = [first];
    while (this.#skipOperator(',')) {
      if (this.#isName('in') || this.#isOperator('=')) break;
      targets.push(this.#oneTarget());
    }
    return { kind: 'several', targets, at: first.at };
  }

  #oneTarget(): Target {
    if (this.#skipOperator('(')) {
      const inner = this.#target();
      this.#expectOperator(')');
      return inner;
    }
    const { text, at } = this.#expectName();
    if (this.#skipOperator('.')) return { kind: 'attribute', name: text, attribute: this.#expectName().text, at };
    return { kind: 'name', name: text, at };
  }

  #set(at: number): Statement {
    const target = this.#target();
    if (this.#skipOperator('=')) {
      const value = this.#tuple();
      this.#end('block');
      return { kind: 'set', at, target, value };
    }
    const filters: FilterUse[] = [];
    while (this.#isOperator('|')) filters.push(this.#filterUse());
    this.#end('block');
    const body = this.#body(['endset']);
    this.#close();
    return { kind: 'setBlock', at, target, filters, body };
  }

  #filterBlock(at: number): Statement {
    const filters = [this.#filterName()];
    while (this.#isOperator('|')) filters.push(this.#filterUse());
    this.#end('block');
    const body = this.#body(['endfilter']);
    this.#close();
    return { kind: 'filterBlock', at, filters, body };
  }

  #with(at: number): Statement {
    const bindings: [Target, Node][] = [];
    while (this.#token.kind === 'name') {
      const target = this.#oneTarget();
      this.#expectOperator('=');
      bindings.push([target, this.#expression()]);
      if (!this.#skipOperator(',')) break;
    }
    this.#end('block');
    const body = this.#body(['endwith']);
    this.#close();
    return { kind: 'with', at, bindings, body };
  }

  #params(): Macro['params'] {
    const params: Macro['params'] = [];
    this.#expectOperator('(');
    while (!this.#isOperator(')')) {
      const { text } = this.#expectName('the name of a parameter');
      params.push({ name: text, fallback: this.#skipOperator('=') ? this.#expression() : undefined });
      if (!this.#skipOperator(',')) break;
    }
    this.#expectOperator(')');
    return params;
  }

  #macro(name: string, end: string): Macro {
    const params = this.#params();
    this.#end('block');
    const body = this.#body([end]);
    this.#close();
    return { name, params, body };
  }

  #call(at: number): Statement {
    const params = this.#isOperator('(') ? this.#params() : [];
    const call = this.#expression();
    if (call.kind !== 'call') throw new GrammarError('"call" takes the call of a macro', at, 'write {% call name(…) %}');
    this.#end('block');
    const body = this.#body(['endcall']);
    this.#close();
    return { kind: 'callBlock', at, caller: { name: 'caller', params, body }, call };
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
