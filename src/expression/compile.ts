/** Turns expressions into closures. */
import { ContentError, didYouMean, UndefinedError, UnknownError } from '../value/errors.js';
import { Callable, Float, Source, Unknown, type Origin, type Value } from '../value/value.js';
import { attribute, member, slice } from './access.js';
import { MUTATORS } from './methods.js';
import type { Arguments, Comparison, FilterUse, Node } from './ast.js';
import { FILTERS } from './filters/index.js';
import { percentFormat } from './format.js';
import type { Frame } from './frame.js';
import { GLOBALS, LOOKUPS } from './globals.js';
import { evaluateSource } from './index.js';
import { GrammarError } from './lexer.js';
import { arithmetic, negate } from './arithmetic.js';
import { compare, contains, equals, keyOf, numeric, read, str, truthy, typeName } from './python.js';
import type { Block } from './pages.js';
import { invoke, named, type Entry, type Table, type What } from './registry.js';
import { tracked, untracked } from './secrecy.js';
import { TESTS } from './tests.js';
import { asPart, defined, fail, Failure, Undefined, type Result } from './undefined.js';

export type Eval = (frame: Frame) => Result;

/** A macro of a template. */
export class MacroFunction extends Callable {}

/** What is to be said of a text that is in order: it uses what is deprecated. */
export interface Remark {
  message: string;
  origin: Origin;
}

/** What is known while one text is compiled. */
export class Context {
  readonly mentions = new Set<string>();
  readonly remarks: Remark[] = [];
  /** Names the template sets itself, innermost last. */
  readonly scopes: Set<string>[] = [];
  /** Whether a method is called that changes its list or dict: variables of the scope are copied then. */
  mutates = false;
  /** The template's blocks by name. */
  readonly blocks = new Map<string, Block>();
  /** Whether `extends` stands before what is compiled. */
  extended = false;
  /** Which of `varargs`, `kwargs` and `caller` the macro at hand mentions. */
  used = new Set<string>();
  /** Whether any name may be one that the template sets, further down or in another that includes it: there are statements. */
  setsNames = false;
  constructor(readonly place: (offset: number) => Origin) {}

  isLocal(name: string): boolean {
    return this.scopes.some((names) => names.has(name));
  }
  declare(name: string): void {
    this.scopes.at(-1)?.add(name);
  }

  /** Runs a step of compiling; what it refuses is shown with its place. */
  check<T>(at: number, step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw this.placed(error, at);
    }
  }

  /** The filter, test or lookup that a name at a place means. */
  named<Answer>(what: What, name: string, entries: Table<Answer>, at: number): Entry<Answer> {
    return this.check(at, () => named(what, name, entries, (message) => this.remarks.push({ message, origin: this.place(at) })));
  }

  placed(error: unknown, at: number): unknown {
    if (error instanceof Failure) return new ContentError(error.message, this.place(at), error.hint);
    if (error instanceof GrammarError) return new ContentError(error.message, this.place(error.at), error.hint);
    // A regular expression is compiled at its first use.
    if (error instanceof SyntaxError) return new ContentError('a regular expression is too large', this.place(at), 'make it shorter');
    if (error instanceof RangeError) return new ContentError('the expression is too deep or too large to evaluate', this.place(at), 'check for values that hold themselves');
    return error;
  }

  /** Gives what may fail while it runs its place. */
  guard(at: number, run: Eval): Eval {
    return (frame) => {
      try {
        return run(frame);
      } catch (error) {
        throw error instanceof ContentError ? error : this.placed(error, at);
      }
    };
  }
}

export function compileNode(node: Node, context: Context): Eval {
  const compile = (inner: Node) => compileNode(inner, context);
  switch (node.kind) {
    case 'constant': {
      const value: Value = typeof node.value === 'object' && node.value !== null ? floatConstant(node.value.float) : node.value;
      return () => value;
    }
    case 'name':
      return compileName(node.name, node.at, context);
    case 'list': {
      const members = node.members.map(compile);
      return (frame) => members.map((one) => defined(one(frame)));
    }
    case 'dict': {
      const entries = node.entries.map(([key, value]) => [compile(key), compile(value)] as const);
      return context.guard(node.at, (frame) => new Map(entries.map(([key, value]) => [keyOf(defined(key(frame))), defined(value(frame))])));
    }
    case 'attribute': {
      const of = compile(node.of);
      if (MUTATORS.has(node.name)) context.mutates = true;
      return access(node.at, context, of, (value) => attribute(value, node.name));
    }
    case 'member': {
      const of = compile(node.of);
      const key = compile(node.key);
      return access(node.at, context, of, (value, frame) => member(value, defined(key(frame))));
    }
    case 'slice': {
      const of = compile(node.of);
      const [from, to, step] = [node.from, node.to, node.step].map((part) => (part ? compile(part) : () => null as Result));
      return context.guard(node.at, (frame) => {
        const value = defined(of(frame));
        const indices = [from!, to!, step!].map((part) => defined(part(frame)));
        return tracked(() => slice(value, indices[0]!, indices[1]!, indices[2]!));
      });
    }
    case 'unary': {
      const of = compile(node.of);
      if (node.operator === 'not') return context.guard(node.at, (frame) => !truthy(defined(of(frame))));
      const sign = node.operator === '-' ? negate : (value: Value) => (numeric(read(value)) === undefined ? fail(`bad operand type for unary +: '${typeName(value)}'`) : read(value));
      return context.guard(node.at, (frame) => {
        const value = defined(of(frame));
        return tracked(() => sign(value));
      });
    }
    case 'binary':
      return compileBinary(node, context);
    case 'concat': {
      const parts = node.parts.map(compile);
      return context.guard(node.at, (frame) => {
        const values = parts.map((part) => asPart(part(frame)));
        return tracked(() => values.map(str).join(''));
      });
    }
    case 'compare':
      return compileComparison(node, context);
    case 'logic': {
      const left = compile(node.left);
      const right = compile(node.right);
      const wanted = node.operator === 'or';
      return (frame) => {
        const value = defined(left(frame));
        return truthy(value) === wanted ? value : right(frame);
      };
    }
    case 'choice': {
      const [condition, yes] = [compile(node.condition), compile(node.yes)];
      const no = node.no && compile(node.no);
      const absent = new Undefined('the condition does not hold and there is no "else"', () => 'add "else …"', () => context.place(node.at));
      absent.isBlank = true;
      return (frame) => (truthy(defined(condition(frame))) ? yes(frame) : no ? no(frame) : absent);
    }
    case 'filter':
      return compileFilter(compile(node.of), node, context);
    case 'test':
      return compileTest(node, context);
    case 'call':
      return compileCall(node, context);
  }
}

function floatConstant(value: number): Value {
  return Number.isInteger(value) ? new Float(value) : value;
}

function compileName(name: string, at: number, context: Context): Eval {
  const place = () => context.place(at);
  const isLocal = context.isLocal(name);
  if (!isLocal) context.mentions.add(name);
  if (name === 'caller' || name === 'varargs' || name === 'kwargs') context.used.add(name);
  const local = isLocal || context.setsNames;
  const global = GLOBALS.get(name);
  return (frame) => {
    const own = local ? frame.local(name) : undefined;
    if (own instanceof Undefined) own.place ??= place;
    if (own !== undefined) return own;
    const value = undefinedInside(() => {
      const found = frame.scope.get(name, frame.record);
      return found instanceof Source ? evaluateSource(found, frame.scope, frame.record) : found;
    });
    if (value instanceof Undefined) return value;
    if (value !== undefined) return context.mutates ? frame.copyOf(name, value) : value;
    if (global !== undefined) return typeof global === 'function' ? new Callable(name, (args, named) => global(frame, args, named) as Value) : global;
    return new Undefined(`"${name}" is undefined`, () => didYouMean(name, frame.scope.names()), place);
  };
}

/** A variable whose text reads something undefined is undefined itself, so that `default` serves it. */
function undefinedInside<T>(get: () => T): T | Undefined {
  try {
    return get();
  } catch (error) {
    if (!(error instanceof UndefinedError)) throw error;
    return new Undefined(error.message, () => error.hint, error.origin && (() => error.origin!));
  }
}

/** An attribute or member; that of an undefined value is undefined likewise. */
function access(at: number, context: Context, of: Eval, get: (value: Value, frame: Frame) => Result): Eval {
  const place = () => context.place(at);
  return context.guard(at, (frame) => {
    const value = of(frame);
    if (value instanceof Undefined) return value;
    const found = get(value, frame);
    if (found instanceof Undefined) found.place ??= place;
    else if (found instanceof Source) return undefinedInside(() => evaluateSource(found, frame.scope, frame.record));
    return found;
  });
}

function compileBinary(node: Node & { kind: 'binary' }, context: Context): Eval {
  const left = compileNode(node.left, context);
  const right = compileNode(node.right, context);
  const { operator } = node;
  const tuple = node.right.kind === 'list' && node.right.tuple ? true : undefined;
  const run = (a: Value, b: Value): Value => {
    if (operator === '%') {
      const format = read(a);
      if (typeof format === 'string') return percentFormat(format, b, tuple);
    }
    return arithmetic(operator, a, b);
  };
  return context.guard(node.at, (frame) => {
    const a = defined(left(frame));
    const b = defined(right(frame));
    return typeof a === 'object' || typeof b === 'object' ? tracked(() => run(a, b)) : run(a, b);
  });
}

const COMPARE: { [operator in Comparison]: (a: Value, b: Value) => boolean } = {
  '==': equals,
  '!=': (a, b) => !equals(a, b),
  '<': (a, b) => compare(a, b, '<') < 0,
  '<=': (a, b) => compare(a, b, '<=') <= 0,
  '>': (a, b) => compare(a, b, '>') > 0,
  '>=': (a, b) => compare(a, b, '>=') >= 0,
  in: (a, b) => contains(b, a),
  'not in': (a, b) => !contains(b, a),
};

function compileComparison(node: Node & { kind: 'compare' }, context: Context): Eval {
  const first = compileNode(node.first, context);
  const rest = node.rest.map(({ operator, node: operand }) => ({ holds: COMPARE[operator], operand: compileNode(operand, context) }));
  return context.guard(node.at, (frame) => {
    let left = defined(first(frame));
    for (const { holds, operand } of rest) {
      const right = defined(operand(frame));
      if (!untracked(() => holds(left, right))) return false;
      left = right;
    }
    return true;
  });
}

interface CompiledArguments {
  positional: Eval[];
  collect(frame: Frame, first: Result[]): { args: Result[]; named: Map<string, Value> };
}

const NONE: Map<string, Value> = new Map();

function compileArguments(args: Arguments, context: Context): CompiledArguments {
  const positional = args.positional.map((one) => compileNode(one, context));
  const named = args.named.map(([name, value]) => [name, compileNode(value, context)] as const);
  const spread = args.spread && compileNode(args.spread, context);
  const spreadNamed = args.spreadNamed && compileNode(args.spreadNamed, context);
  return {
    positional,
    collect(frame, first) {
      const given = [...first, ...positional.map((one) => one(frame))];
      if (spread) {
        const more = read(defined(spread(frame)));
        given.push(...(Array.isArray(more) ? more : fail(`"*" takes a list, not ${typeName(more)}`)));
      }
      if (named.length === 0 && !spreadNamed) return { args: given, named: NONE };
      const byName = new Map(named.map(([name, value]) => [name, value(frame) as Value]));
      if (spreadNamed) {
        const more = read(defined(spreadNamed(frame)));
        if (!(more instanceof Map)) return fail(`"**" takes a dict, not ${typeName(more)}`);
        for (const [name, value] of more) byName.set(str(name), value);
      }
      return { args: given, named: byName };
    },
  };
}

export function compileFilter(of: Eval, use: FilterUse, context: Context): Eval {
  const entry = context.named('filter', use.name, FILTERS, use.at);
  const args = compileArguments(use.args, context);
  const place = () => context.place(use.at);
  checkNamedFunction(use, context);
  return context.guard(use.at, (frame) => {
    const value = of(frame);
    if (value instanceof Unknown && entry.lenient === 0) throw new UnknownError(value.why);
    const { args: given, named } = args.collect(frame, [value]);
    const missing = missingOf(given, named, entry.lenient);
    if (missing) return missing;
    const result = tracked(() => invoke(entry, 'filter', frame, given, named));
    if (result instanceof Undefined) result.place ??= place;
    return result;
  });
}

/** What is undefined among arguments: what is made from it is undefined too, so that `default` behind it serves it. */
function missingOf(args: Result[], named: Map<string, Value>, from: number): Undefined | undefined {
  for (let i = from; i < args.length; i++) if (args[i] instanceof Undefined) return args[i] as Undefined;
  if (from < Infinity) for (const value of named.values() as Iterable<Result>) if (value instanceof Undefined) return value;
  return undefined;
}

/** `map('upper')`, `select('defined')`: a name written out is checked before anything runs. */
function checkNamedFunction(use: FilterUse, context: Context): void {
  const position = { map: 0, select: 0, reject: 0, selectattr: 1, rejectattr: 1 }[use.name];
  const argument = position === undefined ? undefined : use.args.positional[position];
  if (argument?.kind !== 'constant' || typeof argument.value !== 'string') return;
  const name = argument.value;
  if (use.name === 'map') context.named('filter', name, FILTERS, argument.at);
  else context.named('test', name, TESTS, argument.at);
}

function compileTest(node: Node & { kind: 'test' }, context: Context): Eval {
  const entry = context.named('test', node.name, TESTS, node.at);
  const of = compileNode(node.of, context);
  const args = compileArguments(node.args, context);
  return context.guard(node.at, (frame) => {
    const { args: given, named } = args.collect(frame, [of(frame)]);
    const missing = missingOf(given, named, entry.lenient);
    if (missing) return missing;
    return untracked(() => invoke(entry, 'test', frame, given, named)) !== node.negated;
  });
}

function compileCall(node: Node & { kind: 'call' }, context: Context): Eval {
  const args = compileArguments(node.args, context);
  const { of } = node;
  if (of.kind === 'name' && /^(?:lookup|query|q)$/.test(of.name)) {
    const first = node.args.positional[0];
    if (first?.kind === 'constant' && typeof first.value === 'string') context.named('lookup', first.value, LOOKUPS, first.at);
  }
  const callee = compileNode(of, context);
  return context.guard(node.at, (frame) => {
    const target = callee(frame);
    // What is undefined stays so when it is called, as in 2.19: `default` behind it serves it.
    if (target instanceof Undefined) return target;
    const { args: given, named } = args.collect(frame, []);
    const values = given as Value[];
    // What a macro is given may be undefined: it may have a default for it.
    const missing = target instanceof MacroFunction ? undefined : missingOf(given, named, 0);
    if (missing) return missing;
    if (target instanceof Callable) return tracked(() => target.call(values, named));
    if (target instanceof Unknown) throw new UnknownError(target.why);
    return fail(`'${typeName(target)}' object is not callable`, of.kind === 'name' ? `"${of.name}" is a variable here` : undefined);
  });
}

