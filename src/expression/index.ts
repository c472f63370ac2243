/**
 * The expression language: Jinja's grammar with Python's semantics (ansible-core 2.19 where releases differ).
 * This file is the room's whole face; nothing outside imports deeper.
 */
import { ContentError, discreetly, UnknownError } from '../value/errors.js';
import { holdsSecret, holdsSource, Secret, Source, Unknown, type Dict, type Origin, type Value } from '../value/value.js';
import { placeIn, placeInText } from '../yaml/index.js';
import { compileNode, Context, type Remark } from './compile.js';
import { FILTERS } from './filters/index.js';
import { Frame } from './frame.js';
import { LOOKUPS, OMIT, runLookup } from './globals.js';
import { headerOptions, lexOptions, type TemplateOptions } from './header.js';
import { GrammarError, lexExpression, lexTemplate } from './lexer.js';
import { ExpressionParser } from './parser.js';
import { find } from './registry.js';
import { box, untracked } from './secrecy.js';
import { Out } from './out.js';
import { renderPage, type Page } from './pages.js';
import { compileBody, type Exec } from './statements.js';
import { TemplateParser } from './template-parser.js';
import { spelled } from './spelled.js';
import { TESTS } from './tests.js';
import { asPart, defined, fail, Failure, Undefined, type Result } from './undefined.js';

/** Where an expression finds its variables. */
export interface Scope {
  /**
   * The evaluated value of a variable, or undefined where there is none.
   * Evaluates lazily; notes in `record` what it read.
   * @throws ContentError when a variable refers to itself through others
   */
  get(name: string, record: Record): Value | undefined;
  /** All names, for suggestions (`did you mean …`) and the `vars`/`varnames` lookups. */
  names(): Iterable<string>;
  /** What lookups and tests use of the controller. */
  readonly services: Services;
}

/** The controller as lookups see it. */
export interface Services {
  /** Finds a project file as `copy` (files), `template` (templates) and `include_vars` (vars) do; undefined when there is none. */
  find(name: string, folder: 'files' | 'templates' | 'vars' | 'tasks' | ''): string | undefined;
  /** What the files are that the task itself names; undefined where that is neither tasks nor variables. */
  names?: 'tasks' | 'vars' | undefined;
  /** Folder that relative paths of this task start from (for `fileglob`, `password`, `pipe`). */
  baseDir: string;
  /** Renders a template file for the `template` lookup; one that is a single expression keeps its type. */
  render(path: string, record: Record, overrides: Map<string, Value>, options?: TemplateOptions): Value;
  /** A compiled Jinja template, for `include`, `import` and `extends`. @throws ContentError */
  template(path: string, options?: TemplateOptions): Template;
  /** True while the engine looks ahead: whatever has an effect or is random throws NotAheadError. */
  ahead: boolean;
  /** A setting of the run by Ansible's name for it; null where nothing is set, undefined for one that means nothing here. */
  setting?: (name: string) => Value | undefined;
  /** Takes what is to be said of the project's content without stopping anything; told once for each place. */
  remark?: ((message: string, origin: Origin) => void) | undefined;
  /** Told where something is read that is no variable and may change while a run goes on: a file of the controller, say. */
  outside?: (() => void) | undefined;
}

/** Services for a scope that sees no file of the controller. */
export function noServices(baseDir: string): Services {
  return { find: () => undefined, baseDir, render: () => '', template: (path) => fail(`the template "${path}" cannot be read here`), ahead: false };
}

/**
 * What an evaluation read. One is made for each argument, condition or template rendered, for every task on every host: what
 * it holds is made when it is needed.
 */
export class Record {
  /** A secret was read into the value; tests and comparisons don't count. */
  secret = false;
  readonly #whole: Record;
  #hosts: Set<string> | undefined;
  #kept: Map<object, Map<string, Value>> | undefined;

  /** @param whole the evaluation this one is part of: what it finds is that one's, save secrecy, which goes with the value */
  constructor(whole?: Record) {
    this.#whole = whole ? whole.#whole : this;
  }

  /** Inventory names of other hosts whose variables were read. */
  get hosts(): Set<string> {
    return (this.#whole.#hosts ??= new Set());
  }

  /** What variables came to, since one evaluation evaluates each once. @param scope where they were read */
  kept(scope: object): Map<string, Value> {
    const all = (this.#whole.#kept ??= new Map());
    let kept = all.get(scope);
    if (!kept) all.set(scope, (kept = new Map()));
    return kept;
  }
}

/** A text or expression, parsed once and evaluated often. */
export interface Compiled {
  readonly origin: Origin;
  /** Names of variables the text mentions, for static checks. */
  readonly mentions: ReadonlySet<string>;
  /** What is to be said of it though it is in order. */
  readonly remarks: readonly Remark[];
  /** It is one expression: its value keeps its type, whatever a text in it looks like. */
  readonly isExpression?: boolean;
  /**
   * @throws UndefinedError, ContentError, UnknownError, NotAheadError
   * A result made from a secret comes back as Secret (scalars) or holds them.
   */
  evaluate(scope: Scope, record: Record): Value;
}

/** A compiled `.j2` file. */
export interface Template extends Compiled {
  /** The template as others include, import or extend it. */
  readonly page: Page;
  /** The rendered text, and the ranges [start, end) of it that were made from secrets. */
  render(scope: Scope, record: Record): { text: string; secrets: [number, number][] };
}

/** A filter as Handlebars helpers and others call it. @throws as Compiled.evaluate, without a place */
export type FilterFunction = (args: Value[], named: Map<string, Value>, env: { scope: Scope; record: Record }) => Value;

export { addFilter, addLookup, addTest, type OwnFunction, type OwnLookup } from './extend.js';
export { useRouting } from './registry.js';
export { pythonRegex, replacement, substitute } from './regex.js';
export { Failure } from './undefined.js';
export { templateOptions, type TemplateOptions } from './header.js';
export { toJson } from './json.js';
export { OMIT } from './globals.js';
export { str as pythonText, truthy, equals } from './python.js';

const sources = new WeakMap<Source, Compiled>();

/**
 * Text of a YAML value. One that is exactly one `{{ expression }}` keeps the native type; otherwise the parts are
 * joined as text. Compiled once for each Source.
 * @throws ContentError with the exact place
 */
export function compileText(source: Source): Compiled {
  let compiled = sources.get(source);
  if (!compiled) {
    const context = new Context((offset) => placeIn(source, offset));
    compiled = discreetly(source.isSecret, () => compileStatements(source.text, source.origin, context, true, {}, source.isSecret));
    sources.set(source, compiled);
  }
  return compiled;
}

/** A bare expression (`when: x is defined`). @param origin where its first character stands */
export function compileExpression(text: string, origin: Origin): Compiled {
  const context = new Context((offset) => placeInText(text, origin, offset));
  const node = context.check(0, () => {
    if (/^\s*\{\{[^]*\}\}\s*$/.test(text)) throw new GrammarError('an expression stands here without braces', text.indexOf('{{'), 'drop "{{" and "}}"');
    return new ExpressionParser(lexExpression(text)).whole();
  });
  const run = context.check(node.at, () => compileNode(node, context));
  return { origin, mentions: context.mentions, remarks: context.remarks, isExpression: true, evaluate: (scope, record) => finish(run, new Frame(scope, record), record, () => context.place(node.at)) };
}

/**
 * A Jinja template file (`.j2`).
 * @param file its path, as shown in messages; others are looked for beside it
 * @param isSecret the file is encrypted
 * @param options of whoever renders it; the `#jinja2:` line of the file is stronger
 */
export function compileJinja(text: string, file: string, isSecret = false, options: TemplateOptions = {}): Template {
  const origin = { file, line: 1, column: 1 };
  const header = /^#jinja2:(.*)\r?\n/.exec(text);
  const body = header ? text.slice(header[0].length) : text;
  const shift = header ? 1 : 0;
  const context = new Context((offset) => {
    const place = placeInText(body, origin, offset);
    return { ...place, line: place.line + shift };
  });
  return compileStatements(body, origin, context, false, { ...options, ...headerOptions(header?.[1] ?? '', origin) }, isSecret);
}

/** @param isSecret what comes out is secret whatever went in */
function compileStatements(text: string, origin: Origin, context: Context, native: boolean, options: TemplateOptions = {}, isSecret = false): Template {
  // Jinja drops the last line break of a template; Ansible gives back what a text then lacks, once it is rendered.
  const breaks = trailingBreaks(text);
  const source = breaks > 0 ? text.replace(/\r?\n$/, '') : text;
  const ended = (end: string) => '\n'.repeat(Math.max(0, breaks - trailingBreaks(end)));
  const statements = context.check(0, () => new TemplateParser(lexTemplate(source, { ...lexOptions(options, origin), keepBackslashes: native })).template());
  context.scopes.push(new Set());
  const { mentions, remarks } = context;
  const [only] = statements;
  const place = () => origin;
  if (native && statements.length === 1 && only!.kind === 'output') {
    const node = context.check(only!.at, () => compileNode(only!.node, context));
    const run = isSecret ? (frame: Frame) => box(node(frame)) : node;
    const evaluate = (scope: Scope, record: Record) => {
      const value = finish(run, new Frame(scope, record), record, () => context.place(only!.at));
      if (breaks === 0) return value;
      if (typeof value === 'string') return value + ended(value);
      const secret = value instanceof Secret ? value.reveal() : undefined;
      return typeof secret === 'string' ? new Secret(secret + ended(secret)) : value;
    };
    const page: Page = { file: origin.file, options, blocks: context.blocks, body: (frame, out) => void out.write(asPart(run(frame))) };
    return { origin, mentions, remarks, isExpression: true, page, evaluate, render: (scope, record) => rendered(evaluate(scope, record)) };
  }
  context.setsNames = true;
  const body = context.check(0, () => compileBody(statements, context));
  const page: Page = { file: origin.file, options, blocks: context.blocks, body: isSecret ? sealed(body) : body };
  const isPage = !native || context.blocks.size > 0 || context.extended;
  const write = (frame: Frame) => {
    const out = new Out();
    try {
      if (isPage) renderPage(page, frame, out);
      else body(frame, out);
    } catch (error) {
      throw context.placed(error, 0);
    }
    out.end(ended(out.text));
    if (isSecret) out.seal();
    return out;
  };
  const render = (scope: Scope, record: Record) => {
    const out = untracked(() => write(new Frame(scope, record)));
    if (out.secrets.length > 0) record.secret = true;
    return out;
  };
  const evaluate = (scope: Scope, record: Record) => finish((frame) => write(frame).value(), new Frame(scope, record), record, place);
  return { origin, mentions, remarks, page, evaluate, render };
}

/** What a template that must not be shown writes into another is secret there too. */
function sealed(body: Exec): Exec {
  return (frame, out) => {
    const own = new Out();
    body(frame, own);
    own.seal();
    const value = own.value();
    if (value !== null) out.write(value);
    return undefined;
  };
}

function trailingBreaks(text: string): number {
  let [breaks, end] = [0, text.length];
  for (; text[end - 1] === '\n'; breaks++) end -= text[end - 2] === '\r' ? 2 : 1;
  return breaks;
}

function rendered(value: Value): { text: string; secrets: [number, number][] } {
  const out = new Out();
  out.write(value);
  return out;
}

/** How many evaluations are under way: variables are evaluated inside what reads them. */
let depth = 0;

/**
 * What leaves an evaluation is defined, known, and marked when it is secret. Only the outermost one marks the
 * record: a secret variable that was merely compared does not count.
 */
function finish(run: (frame: Frame) => Result, frame: Frame, record: Record, place: () => Origin): Value {
  let result: Result;
  depth++;
  try {
    result = untracked(() => run(frame));
  } finally {
    depth--;
  }
  if (result instanceof Undefined) {
    result.place ??= place;
    return result.raise();
  }
  if (result instanceof Unknown) throw new UnknownError(result.why);
  if (typeof result === 'object') requireDefined(result);
  if (depth === 0 && typeof result === 'object' && !record.secret && holdsSecret(result)) record.secret = true;
  return result;
}

/** A list that `map` made may hold what is undefined: it does not leave an evaluation. */
function requireDefined(value: Value): void {
  if ((value as Result) instanceof Undefined) (value as unknown as Undefined).raise();
  if (Array.isArray(value)) value.forEach(requireDefined);
}

/** One Source, compiled at first use. */
export function evaluateSource(source: Source, scope: Scope, record: Record): Value {
  return compileText(source).evaluate(scope, record);
}

/**
 * A Source that stands for data (a variable, the items of a loop): a text of several parts that spells a list or dict is
 * that list or dict.
 */
export function evaluateData(source: Source, scope: Scope, record: Record): Value {
  const compiled = compileText(source);
  const value = compiled.evaluate(scope, record);
  return compiled.isExpression ? value : spelled(value);
}

/**
 * Evaluates every Source inside a value; members of lists and dicts that come out as `omit` are left out.
 * A value without any Source is given back as it is.
 * @param one how a Source is evaluated: where it stands for data, by `evaluateData`
 */
export function evaluateDeep(value: Value, scope: Scope, record: Record, one = evaluateSource): Value {
  if (value instanceof Source) return one(value, scope, record);
  if (!holdsSource(value)) return value;
  if (Array.isArray(value)) return value.map((member) => evaluateDeep(member, scope, record, one)).filter((member) => member !== OMIT);
  if (value instanceof Map) {
    const dict: Dict = new Map();
    for (const [key, member] of value) {
      const evaluated = evaluateDeep(member, scope, record, one);
      if (evaluated !== OMIT) dict.set(key, evaluated);
    }
    return dict;
  }
  return value;
}

/** Names of all filters. */
export function filterNames(): string[] {
  return [...FILTERS.keys()];
}

/** A filter by name, with or without a collection prefix; undefined where there is none. */
export function filter(name: string): FilterFunction | undefined {
  if (!find('filter', name, FILTERS)) return undefined;
  return (args, named, env) => {
    try {
      return defined(new Frame(env.scope, env.record).filter(name, args, named));
    } catch (error) {
      throw error instanceof Failure ? new ContentError(error.message, undefined, error.hint) : error;
    }
  };
}

/** Names of all tests. */
export function testNames(): string[] {
  return [...TESTS.keys()];
}

/** Names of all lookups. */
export function lookupNames(): string[] {
  return [...LOOKUPS.keys()];
}

/**
 * The lookup that `with_NAME` means, by its name here; undefined where there is none.
 * @param remark told of a deprecation
 * @throws ContentError for one that is gone
 */
export function lookupNamed(name: string, remark: (message: string) => void): string | undefined {
  try {
    return find('lookup', name, LOOKUPS, remark)?.name;
  } catch (error) {
    throw error instanceof Failure ? new ContentError(error.message, undefined, error.hint) : error;
  }
}

/** Runs a lookup by name, as `with_<name>` does: always a list. @throws ContentError */
export function lookupList(name: string, terms: Value[], named: Map<string, Value>, env: { scope: Scope; record: Record }): Value[] {
  try {
    return runLookup(new Frame(env.scope, env.record), name, terms, named);
  } catch (error) {
    throw error instanceof Failure ? new ContentError(error.message, undefined, error.hint) : error;
  }
}
