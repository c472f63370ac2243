import type { FilterUse, Macro, Node, Statement, Target } from './ast.js';
import { GrammarError } from './lexer.js';
import { ExpressionParser } from './parser.js';

/** Jinja's statements: text, `{{ output }}` and `{% blocks %}`. */
export class TemplateParser extends ExpressionParser {
  /** A template, to the end of the text. */
  template(): Statement[] {
    return this.body([]);
  }

  protected body(until: string[]): Statement[] {
    return this.nested(() => {
      const body: Statement[] = [];
      for (;;) {
        const token = this.next();
        if (token.kind === 'text') body.push({ kind: 'text', text: token.text });
        else if (token.kind === 'begin' && token.of === 'variable') {
          const node = this.tuple();
          this.end('variable');
          body.push({ kind: 'output', node, at: token.at });
        } else if (token.kind === 'begin') {
          const word = this.token;
          if (word.kind === 'name' && until.includes(word.text)) return body;
          body.push(...this.statement());
        } else {
          if (until.length === 0) return body;
          throw new GrammarError(`the text ends where "{% ${until.at(-1)} %}" is expected`, token.at, `write "{% ${until.at(-1)} %}"`);
        }
      }
    });
  }

  protected end(of: 'variable' | 'block'): void {
    const token = this.token;
    if (token.kind !== 'end') throw this.unexpected(of === 'block' ? '"%}"' : '"}}"');
    this.at++;
  }

  /** The end of the mark behind which a body begins; there may be a colon before it, as in Python (`parse_statements` of jinja2/parser.py). */
  protected opened(): void {
    this.skipOperator(':');
    this.end('block');
  }

  /** Closes a statement's body: `endif` and its like, and the block mark. */
  protected close(): void {
    this.at++;
    this.end('block');
  }

  protected statement(): Statement[] {
    const { text, at } = this.expectName('the name of a statement');
    switch (text) {
      case 'if':
        return [this.if()];
      case 'for':
        return [this.for(at)];
      case 'set':
        return [this.set(at)];
      case 'filter':
        return [this.filterBlock(at)];
      case 'with':
        return [this.with(at)];
      case 'macro':
        return [{ kind: 'macro', at, macro: this.macro(this.expectName('the name of the macro').text, 'endmacro') }];
      case 'call':
        return [this.call(at)];
      case 'do': {
        const node = this.tuple();
        this.end('block');
        return [{ kind: 'do', at, node }];
      }
      case 'break':
      case 'continue':
        this.end('block');
        return [{ kind: text, at }];
      case 'include':
        return [this.include(at)];
      case 'import':
        return [this.import(at)];
      case 'from':
        return [this.from(at)];
      case 'extends': {
        const name = this.expression();
        this.end('block');
        return [{ kind: 'extends', at, name }];
      }
      case 'block':
        return [this.block(at)];
      case 'autoescape':
      case 'trans':
        throw new GrammarError(`"${text}" is not supported`, at, 'leave the statement out');
      case 'else':
      case 'elif':
        throw new GrammarError(`"${text}" stands outside an "if" or "for"`, at, 'check the statements around it');
    }
    if (text.startsWith('end')) throw new GrammarError(`"${text}" closes nothing`, at, 'remove it, or open the statement before it');
    throw new GrammarError(`unknown statement "${text}"`, at, 'known are if, for, set, filter, with, macro, call, do, include, import, from, extends, block and raw');
  }

  protected if(): Statement {
    const branches: { condition: Node; body: Statement[] }[] = [];
    let otherwise: Statement[] = [];
    for (;;) {
      const condition = this.tuple();
      this.opened();
      branches.push({ condition, body: this.body(['elif', 'else', 'endif']) });
      if (!this.skipName('elif')) break;
    }
    if (this.skipName('else')) {
      this.opened();
      otherwise = this.body(['endif']);
    }
    this.close();
    return { kind: 'if', branches, otherwise };
  }

  protected for(at: number): Statement {
    const target = this.target();
    if (!this.skipName('in')) throw this.unexpected('"in"');
    const over = this.tuple(false);
    const condition = this.skipName('if') ? this.expression() : undefined;
    const recursive = this.skipName('recursive');
    this.opened();
    const body = this.body(['else', 'endfor']);
    let otherwise: Statement[] = [];
    if (this.skipName('else')) {
      this.opened();
      otherwise = this.body(['endfor']);
    }
    this.close();
    return { kind: 'for', at, target, over, condition, recursive, body, otherwise };
  }

  protected target(): Target {
    const first = this.oneTarget();
    if (!this.isOperator(',')) return first;
    const targets = [first];
    while (this.skipOperator(',')) {
      if (this.isName('in') || this.isOperator('=')) break;
      targets.push(this.oneTarget());
    }
    return { kind: 'several', targets, at: first.at };
  }

  protected oneTarget(): Target {
    if (this.skipOperator('(')) {
      const inner = this.target();
      this.expectOperator(')');
      return inner;
    }
    const { text, at } = this.expectName();
    if (this.skipOperator('.')) return { kind: 'attribute', name: text, attribute: this.expectName().text, at };
    return { kind: 'name', name: text, at };
  }

  protected set(at: number): Statement {
    const target = this.target();
    if (this.skipOperator('=')) {
      const value = this.tuple();
      this.end('block');
      return { kind: 'set', at, target, value };
    }
    const filters: FilterUse[] = [];
    while (this.isOperator('|')) filters.push(this.filterUse());
    this.opened();
    const body = this.body(['endset']);
    this.close();
    return { kind: 'setBlock', at, target, filters, body };
  }

  protected filterBlock(at: number): Statement {
    const filters = [this.filterName()];
    while (this.isOperator('|')) filters.push(this.filterUse());
    this.opened();
    const body = this.body(['endfilter']);
    this.close();
    return { kind: 'filterBlock', at, filters, body };
  }

  protected with(at: number): Statement {
    const bindings: [Target, Node][] = [];
    while (this.token.kind === 'name') {
      const target = this.oneTarget();
      this.expectOperator('=');
      bindings.push([target, this.expression()]);
      if (!this.skipOperator(',')) break;
    }
    this.opened();
    const body = this.body(['endwith']);
    this.close();
    return { kind: 'with', at, bindings, body };
  }

  protected params(): Macro['params'] {
    const params: Macro['params'] = [];
    this.expectOperator('(');
    while (!this.isOperator(')')) {
      const { text } = this.expectName('the name of a parameter');
      params.push({ name: text, fallback: this.skipOperator('=') ? this.expression() : undefined });
      if (!this.skipOperator(',')) break;
    }
    this.expectOperator(')');
    return params;
  }

  protected macro(name: string, end: string): Macro {
    const params = this.params();
    this.opened();
    const body = this.body([end]);
    this.close();
    return { name, params, body };
  }

  protected call(at: number): Statement {
    const params = this.isOperator('(') ? this.params() : [];
    const call = this.expression();
    if (call.kind !== 'call') throw new GrammarError('"call" takes the call of a macro', at, 'write {% call name(…) %}');
    this.opened();
    const body = this.body(['endcall']);
    this.close();
    return { kind: 'callBlock', at, caller: { name: 'caller', params, body }, call };
  }

  protected include(at: number): Statement {
    const names = this.expression();
    const ignoreMissing = this.isName('ignore') && this.nameBehind() === 'missing';
    if (ignoreMissing) this.at += 2;
    const withContext = this.context(true);
    this.end('block');
    return { kind: 'include', at, names, ignoreMissing, withContext };
  }

  protected import(at: number): Statement {
    const name = this.expression();
    if (!this.skipName('as')) throw this.unexpected('"as"');
    const as = this.expectName('a name for what is imported').text;
    const withContext = this.context(false);
    this.end('block');
    return { kind: 'import', at, name, as, withContext };
  }

  protected from(at: number): Statement {
    const name = this.expression();
    if (!this.skipName('import')) throw this.unexpected('"import"');
    const names: { name: string; as: string }[] = [];
    while (this.token.kind === 'name' && !((this.isName('with') || this.isName('without')) && this.nameBehind() === 'context')) {
      const one = this.expectName().text;
      names.push({ name: one, as: this.skipName('as') ? this.expectName().text : one });
      if (!this.skipOperator(',')) break;
    }
    if (names.length === 0) throw this.unexpected('the name of what is imported');
    const withContext = this.context(false);
    this.end('block');
    return { kind: 'from', at, name, names, withContext };
  }

  /** `with context` or `without context`. @param fallback what holds where neither is written */
  protected context(fallback: boolean): boolean {
    if (!(this.isName('with') || this.isName('without')) || this.nameBehind() !== 'context') return fallback;
    const given = this.isName('with');
    this.at += 2;
    return given;
  }

  protected nameBehind(): string | undefined {
    const next = this.tokens[this.at + 1];
    return next?.kind === 'name' ? next.text : undefined;
  }

  protected block(at: number): Statement {
    const { text } = this.expectName('the name of the block');
    const scoped = this.skipName('scoped');
    const required = this.skipName('required');
    this.opened();
    const body = this.body(['endblock']);
    this.at++;
    if (this.token.kind === 'name') {
      const { text: closed, at: place } = this.expectName();
      if (closed !== text) throw new GrammarError(`"endblock ${closed}" closes the block "${text}"`, place, `write "endblock ${text}"`);
    }
    this.end('block');
    return { kind: 'block', at, name: text, scoped, required, body };
  }
}
