/**
 * Handlebars templates, strict in earnest. Handlebars' own parser reads the text (and strips white space as
 * Handlebars does); what it read is compiled to closures here, because Handlebars' evaluation knows neither dicts that
 * are Maps nor missing values: its `strict` renders nothing for `{{#each misspelt}}`.
 */
import { pythonText, truthy, type Record, type Scope } from '../expression/index.js';
import { ContentError, didYouMean, UnknownError } from '../value/errors.js';
import { holdsSecret, isDict, Secret, Unknown, type Origin, type Value, type Rendered } from '../value/value.js';
import { blocks, compileHelper } from './helpers.js';
import { jinjaStatement } from './hints.js';
import { Output } from './output.js';
import { parse } from './parse.js';
import { attempt, compilePath, innerFrame, kind, member, topFrame, type Frame, type Read } from './paths.js';

type Node = hbs.AST.Node;
type Write = (frame: Frame, out: Output) => void;

/** A partial by its name, as seen from the template that names it. */
export type FindPartial = (name: string, origin: Origin) => () => Template;

const MAX_DEPTH = 100;

/** A compiled template. */
export class Template {
  readonly #write: Write;

  /**
   * @param isSecret the file is encrypted: nothing it renders may be shown
   * @throws ContentError with line and column for whatever can be known without values
   */
  constructor(
    text: string,
    file: string,
    findPartial: FindPartial,
    readonly isSecret = false,
  ) {
    this.#write = new Compiler(file, findPartial).program(parse(text, file));
  }

  render(scope: Scope, record: Record): Rendered {
    return this.within(topFrame(scope, record));
  }

  within(frame: Frame): Rendered {
    const out = new Output();
    this.#write(frame, out);
    const rendered = out.done();
    if (!this.isSecret || rendered.text === '') return rendered;
    Secret.listener?.(rendered.text);
    return { text: rendered.text, secrets: [[0, rendered.text.length]] };
  }
}

class Compiler {
  constructor(
    readonly file: string,
    readonly findPartial: FindPartial,
  ) {}

  program(program: hbs.AST.Program | undefined): Write {
    const writes = (program?.body ?? []).map((statement) => this.#statement(statement));
    return (frame, out) => {
      for (const write of writes) write(frame, out);
    };
  }

  #statement(node: hbs.AST.Statement): Write {
    switch (node.type) {
      case 'ContentStatement':
        return this.#content(node as hbs.AST.ContentStatement);
      case 'CommentStatement':
        return () => {};
      case 'MustacheStatement':
        return this.#mustache(node as hbs.AST.MustacheStatement);
      case 'BlockStatement':
        return this.#block(node as hbs.AST.BlockStatement);
      case 'PartialStatement':
        return this.#partial(node as hbs.AST.PartialStatement);
      default:
        throw new ContentError('decorators and blocks around partials are not supported', this.#origin(node), 'write {{> name}}');
    }
  }

  #content(node: hbs.AST.ContentStatement): Write {
    const written = String(node.original); // before white space was stripped: offsets in it are true
    const jinja = jinjaStatement(written);
    if (jinja) {
      const before = written.slice(0, jinja.offset).split('\n');
      const start = this.#origin(node);
      const column = before.length === 1 ? start.column + before[0]!.length : before.at(-1)!.length + 1;
      throw jinja.error({ ...start, line: start.line + before.length - 1, column });
    }
    return (_, out) => out.write(node.value);
  }

  #mustache(node: hbs.AST.MustacheStatement): Write {
    const origin = this.#origin(node);
    const read = node.params.length > 0 || node.hash ? this.#call(node, origin) : this.#expression(node.path);
    return (frame, out) => {
      const value = read(frame);
      if (value !== null) out.write(pythonText(value), holdsSecret(value));
    };
  }

  #block(node: hbs.AST.BlockStatement): Write {
    const origin = this.#origin(node);
    const name = node.path.original;
    const body = this.program(node.program);
    if (name === 'raw') return body;
    const otherwise = this.program(node.inverse);
    if (!blocks.includes(name)) {
      const hint = didYouMean(name, blocks) ?? `write {{#if ${name}}} or {{#each ${name}}}`;
      throw new ContentError(`there is no block "${name}"`, origin, hint);
    }
    if (node.params.length !== 1 || node.hash) throw new ContentError(`{{#${name}}} takes one value`, origin, `write {{#${name} value}}, or {{#${name} (helper value …)}}`);
    const value = this.#expression(node.params[0]!);
    if (name === 'if' || name === 'unless') {
      return (frame, out) => (truthy(value(frame)) === (name === 'if') ? body : otherwise)(frame, out);
    }
    const params = node.program?.blockParams ?? [];
    if (name === 'with') {
      return (frame, out) => {
        const context = value(frame);
        if (!truthy(context)) otherwise(frame, out);
        else body(innerFrame(frame, context, params, [context]), out);
      };
    }
    return (frame, out) => {
      const given = value(frame);
      if (given instanceof Unknown) throw new UnknownError(given.why);
      if (!Array.isArray(given) && !isDict(given)) throw new ContentError('each takes a list or a dict', this.#origin(node.params[0]!), `this is ${kind(given)}`);
      const keys: Value[] = [...given.keys()];
      if (keys.length === 0) return otherwise(frame, out);
      keys.forEach((key, index) => {
        const item = Array.isArray(given) ? given[index]! : given.get(key)!;
        const data = new Map<string, Value>([['index', index], ['key', key], ['first', index === 0], ['last', index === keys.length - 1]]);
        body(innerFrame(frame, item, params, [item, key], data), out);
      });
    };
  }

  #partial(node: hbs.AST.PartialStatement): Write {
    const origin = this.#origin(node);
    if (node.name.type !== 'PathExpression') throw new ContentError('the name of a partial is written, not computed', origin, 'choose between partials with {{#if}}');
    const template = this.findPartial((node.name as hbs.AST.PathExpression).original, origin);
    if (node.params.length > 1) throw new ContentError('a partial takes one context at most', origin, 'give it values by name: {{> part port=80}}');
    const context = node.params[0] && this.#expression(node.params[0]);
    const pairs = (node.hash?.pairs ?? []).map((pair) => ({ key: pair.key, read: this.#expression(pair.value) }));
    return (frame, out) => {
      if (frame.depth >= MAX_DEPTH) throw new ContentError('partials and blocks are nested too deep', origin, 'does the partial include itself?');
      const names = new Map(pairs.map(({ key, read }) => [key, read(frame)]));
      out.writeIndented(template().within({ ...frame, context: context ? context(frame) : frame.context, names: new Map([...frame.names, ...names]), depth: frame.depth + 1 }), node.indent);
    };
  }

  #expression(node: hbs.AST.Expression): Read {
    switch (node.type) {
      case 'PathExpression':
        return compilePath(node as hbs.AST.PathExpression, this.#origin(node));
      case 'SubExpression': {
        const call = node as hbs.AST.SubExpression;
        const origin = this.#origin(node);
        if (call.params.length === 0 && !call.hash) throw new ContentError(`(${call.path.original}) has no arguments`, origin, `write ${call.path.original} for a variable`);
        return this.#call(call, origin);
      }
      case 'NullLiteral':
        return () => null;
      case 'UndefinedLiteral':
        throw new ContentError('there is no value "undefined"', this.#origin(node), 'write null, or ask with (defined name)');
      default: {
        const { value } = node as hbs.AST.StringLiteral | hbs.AST.NumberLiteral | hbs.AST.BooleanLiteral;
        return () => value;
      }
    }
  }

  /** A helper with its arguments. */
  #call(node: hbs.AST.MustacheStatement | hbs.AST.SubExpression, origin: Origin): Read {
    const name = String((node.path as hbs.AST.PathExpression).original);
    const params = node.params.map((param) => this.#expression(param));
    const pairs = (node.hash?.pairs ?? []).map((pair) => ({ key: pair.key, read: this.#expression(pair.value) }));
    const count = (least: number, most: number) => {
      if (params.length < least || params.length > most) throw new ContentError(`${name} takes ${least === most ? least : `${least} to ${most}`} argument${most === 1 ? '' : 's'}`, origin, `{{${name} …}} has ${params.length}`);
    };
    if (name === 'defined') {
      count(1, 1);
      return (frame) => attempt(() => params[0]!(frame)) !== undefined;
    }
    if (name === 'lookup') {
      count(2, 2);
      const place = this.#origin(node.params[1]!);
      return (frame) => {
        const key = params[1]!(frame);
        return member(params[0]!(frame), key instanceof Secret ? key.reveal() : key, place, 'the value');
      };
    }
    const written = [name, ...node.params.map((param) => (param as hbs.AST.PathExpression).original ?? '…')].join(' ');
    const call = compileHelper(name, params.length, pairs.map((pair) => pair.key), origin, written);
    if (name === 'default') {
      return (frame) => {
        const value = attempt(() => params[0]!(frame));
        if (value === undefined) return params[1]?.(frame) ?? '';
        return call([value, ...params.slice(1).map((param) => param(frame))], pairs.map((pair) => pair.read(frame)), frame.scope, frame.record);
      };
    }
    return (frame) => call(params.map((param) => param(frame)), pairs.map((pair) => pair.read(frame)), frame.scope, frame.record);
  }

  #origin(node: Node): Origin {
    return { file: this.file, line: node.loc.start.line, column: node.loc.start.column + 1 };
  }
}
