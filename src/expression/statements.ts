/** Turns templates (`{% if %}`, `{% for %}`, text and output) into closures that write to a buffer. */
import { Callable, type Value } from '../value/value.js';
import { Namespace } from './access.js';
import type { FilterUse, Macro, Node, Statement, Target } from './ast.js';
import { compileFilter, compileNode, MacroFunction, type Context, type Eval } from './compile.js';
import { Frame } from './frame.js';
import { Out } from './out.js';
import { importPage, include, mustOpen, openPage, writeBlock } from './pages.js';
import { iterate, str, truthy } from './python.js';
import { asPart, defined, fail, Undefined, type Result } from './undefined.js';

type Signal = 'break' | 'continue' | undefined;
export type Exec = (frame: Frame, out: Out) => Signal;

/** A macro or loop body runs in its own names. */
function scoped<T>(context: Context, names: string[], compile: () => T): T {
  context.scopes.push(new Set(names));
  try {
    return compile();
  } finally {
    context.scopes.pop();
  }
}

/** Statements that write. */
const WRITERS: ReadonlySet<Statement['kind']> = new Set<Statement['kind']>(['text', 'output', 'include', 'block', 'filterBlock', 'callBlock']);

/** What is captured, or defined for later, is written whatever the template extends. */
function apart<T>(context: Context, compile: () => T): T {
  const { extended } = context;
  context.extended = false;
  try {
    return compile();
  } finally {
    context.extended = extended;
  }
}

export function compileBody(statements: Statement[], context: Context): Exec {
  const steps = statements.map((statement) => {
    const step = compileStatement(statement, context);
    // Behind `extends` nothing is written but by the template that it names.
    return context.extended && WRITERS.has(statement.kind) ? (frame: Frame, out: Out) => (frame.rendering?.parent ? undefined : step(frame, out)) : step;
  });
  return (frame, out) => {
    for (const step of steps) {
      const signal = step(frame, out);
      if (signal) return signal;
    }
    return undefined;
  };
}

function compileStatement(statement: Statement, context: Context): Exec {
  switch (statement.kind) {
    case 'text': {
      const { text } = statement;
      return (_frame, out) => void (text !== '' && out.write(text));
    }
    case 'output': {
      const node = compileNode(statement.node, context);
      return quietly(context, statement.at, (frame, out) => out.write(asPart(node(frame))));
    }
    case 'if': {
      const branches = statement.branches.map(({ condition, body }) => ({ condition: compileNode(condition, context), body: compileBody(body, context) }));
      const otherwise = compileBody(statement.otherwise, context);
      return (frame, out) => {
        for (const { condition, body } of branches) if (truthy(defined(condition(frame)))) return body(frame, out);
        return otherwise(frame, out);
      };
    }
    case 'for':
      return compileFor(statement, context);
    case 'set': {
      const value = compileNode(statement.value, context);
      const assign = compileTarget(statement.target, context);
      return quietly(context, statement.at, (frame) => assign(frame, defined(value(frame))));
    }
    case 'setBlock': {
      const body = apart(context, () => scoped(context, [], () => compileBody(statement.body, context)));
      const pipe = compilePipe(statement.filters, context);
      const assign = compileTarget(statement.target, context);
      return quietly(context, statement.at, (frame) => assign(frame, defined(pipe(frame, capture(body, frame.child())))));
    }
    case 'filterBlock': {
      const body = scoped(context, [], () => compileBody(statement.body, context));
      const pipe = compilePipe(statement.filters, context);
      return quietly(context, statement.at, (frame, out) => out.write(defined(pipe(frame, capture(body, frame.child())))));
    }
    case 'with':
      return scoped(context, [], () => {
        const bindings = statement.bindings.map(([target, node]) => [compileNode(node, context), compileTarget(target, context)] as const);
        const body = compileBody(statement.body, context);
        return (frame, out) => {
          const inner = frame.child();
          for (const [value, assign] of bindings) assign(inner, defined(value(inner)));
          return body(inner, out);
        };
      });
    case 'macro': {
      context.declare(statement.macro.name);
      const make = compileMacro(statement.macro, context);
      return (frame) => void frame.vars.set(statement.macro.name, make(frame));
    }
    case 'callBlock': {
      const caller = compileMacro(statement.caller, context);
      const { args } = statement.call as Node & { kind: 'call' };
      args.named.push(['caller', { kind: 'name', at: statement.at, name: 'caller' }]);
      const call = scoped(context, ['caller'], () => compileNode(statement.call, context));
      return quietly(context, statement.at, (frame, out) => {
        const inner = frame.child();
        inner.vars.set('caller', caller(frame));
        out.write(defined(call(inner)));
      });
    }
    case 'include': {
      const { ignoreMissing, withContext } = statement;
      const names = compileNode(statement.names, context);
      return quietly(context, statement.at, (frame, out) => {
        const wanted = names(frame);
        const page = ignoreMissing ? openPage(frame, wanted) : mustOpen(frame, wanted);
        if (page) include(page, frame, withContext, out);
      });
    }
    case 'import': {
      const name = compileNode(statement.name, context);
      context.declare(statement.as);
      return quietly(context, statement.at, (frame) => frame.vars.set(statement.as, importPage(mustOpen(frame, name(frame)), frame, statement.withContext)));
    }
    case 'from': {
      const name = compileNode(statement.name, context);
      for (const { as } of statement.names) context.declare(as);
      return quietly(context, statement.at, (frame) => {
        const page = mustOpen(frame, name(frame));
        const found = importPage(page, frame, statement.withContext);
        for (const one of statement.names) frame.vars.set(one.as, found.get(one.name) ?? new Undefined(`the template "${page.file}" sets no "${one.name}"`, undefined, () => context.place(statement.at)));
      });
    }
    case 'extends': {
      const name = compileNode(statement.name, context);
      context.extended = true;
      return quietly(context, statement.at, (frame) => {
        const { rendering } = frame;
        if (rendering?.parent) fail('a template extends only one other', 'remove one "extends"');
        if (rendering) rendering.parent = mustOpen(frame, name(frame));
      });
    }
    case 'block': {
      const { name, required, scoped: inScope } = statement;
      const run = apart(context, () => scoped(context, ['super'], () => compileBody(statement.body, context)));
      context.check(statement.at, () => context.blocks.has(name) && fail(`the block "${name}" stands here twice`, 'give one another name'));
      context.blocks.set(name, { run, required });
      return quietly(context, statement.at, (frame, out) => writeBlock(frame.rendering!, name, 0, inScope ? frame : frame.rendering!.root, out));
    }
    case 'do': {
      const node = compileNode(statement.node, context);
      return (frame) => void defined(node(frame));
    }
    case 'break':
    case 'continue':
      return () => statement.kind;
  }
}

/** Gives a step its place for errors. */
function quietly(context: Context, at: number, run: (frame: Frame, out: Out) => void): Exec {
  return (frame, out) => {
    try {
      run(frame, out);
    } catch (error) {
      throw context.placed(error, at);
    }
    return undefined;
  };
}

function capture(body: Exec, frame: Frame): Value {
  const out = new Out();
  body(frame, out);
  return out.value();
}

function compilePipe(filters: FilterUse[], context: Context): (frame: Frame, value: Value) => Result {
  let at: Result = null;
  let pipe: Eval = () => at;
  for (const use of filters) pipe = compileFilter(pipe, use, context);
  return (frame, value) => {
    at = value;
    return pipe(frame);
  };
}

function compileTarget(target: Target, context: Context): (frame: Frame, value: Value) => void {
  switch (target.kind) {
    case 'name':
      context.declare(target.name);
      return (frame, value) => void frame.vars.set(target.name, value);
    case 'attribute': {
      const name = compileNode({ kind: 'name', name: target.name, at: target.at }, context);
      return (frame, value) => {
        const holder = defined(name(frame));
        if (!(holder instanceof Namespace)) return fail(`"${target.name}" is no namespace`, 'only attributes of namespace(…) can be set');
        holder.set(target.attribute, value);
      };
    }
    case 'several': {
      const targets = target.targets.map((one) => compileTarget(one, context));
      return (frame, value) => {
        const members = iterate(value);
        if (members.length !== targets.length) fail(`${targets.length} names take ${targets.length} values, not ${members.length}`, 'give as many names as there are values');
        targets.forEach((assign, i) => assign(frame, members[i]!));
      };
    }
  }
}

/** `loop` inside a for: its members, and a call of it in a recursive one. */
function loopVariable(items: Value[], index: number, depth: number, last: { value: Value[] | undefined }): Map<Value, Value> {
  const loop = new Map<Value, Value>([
    ['index', index + 1],
    ['index0', index],
    ['revindex', items.length - index],
    ['revindex0', items.length - index - 1],
    ['first', index === 0],
    ['last', index === items.length - 1],
    ['length', items.length],
    ['depth', depth + 1],
    ['depth0', depth],
    ['cycle', new Callable('cycle', (values) => values[index % values.length] ?? fail('cycle needs values'))],
    [
      'changed',
      new Callable('changed', (values) => {
        const same = last.value !== undefined && last.value.length === values.length && values.every((one, i) => str(one) === str(last.value![i]!));
        last.value = values;
        return !same;
      }),
    ],
  ]);
  if (index > 0) loop.set('previtem', items[index - 1]!);
  if (index < items.length - 1) loop.set('nextitem', items[index + 1]!);
  return loop;
}

function compileFor(statement: Statement & { kind: 'for' }, context: Context): Exec {
  const over = compileNode(statement.over, context);
  const otherwise = compileBody(statement.otherwise, context);
  return scoped(context, ['loop', RECURSE], () => {
    const assign = compileTarget(statement.target, context);
    const condition = statement.condition && compileNode(statement.condition, context);
    // In a recursive loop `loop(children)` is a call: the parser sees the name, so the loop variable gets a callable twin.
    const body = compileBody(statement.recursive ? recursiveCalls(statement.body) : statement.body, context);
    const run = (given: Value, frame: Frame, out: Out, depth: number): boolean => {
      let items = iterate(given);
      if (condition) {
        items = items.filter((item) => {
          const inner = frame.child();
          assign(inner, item);
          return truthy(defined(condition(inner)));
        });
      }
      const last: { value: Value[] | undefined } = { value: undefined };
      for (let i = 0; i < items.length; i++) {
        const inner = frame.child();
        assign(inner, items[i]!);
        inner.vars.set('loop', loopVariable(items, i, depth, last));
        if (statement.recursive) {
          inner.vars.set(RECURSE, new Callable('loop', ([children]) => {
            const nested = new Out();
            run(children ?? fail('loop(…) needs the members to go through'), inner, nested, depth + 1);
            return nested.value();
          }));
        }
        if (body(inner, out) === 'break') break;
      }
      return items.length > 0;
    };
    return (frame, out) => {
      try {
        if (run(defined(over(frame)), frame, out, 0)) return undefined;
      } catch (error) {
        throw context.placed(error, statement.at);
      }
      return otherwise(frame, out);
    };
  });
}

/** Name under which `loop(…)` of a recursive for is called; no template can write it. */
const RECURSE = 'loop()';

/** Calls of `loop` in a recursive for go to its callable twin. */
function recursiveCalls<T>(tree: T): T {
  if (Array.isArray(tree)) return tree.map(recursiveCalls) as T;
  if (typeof tree !== 'object' || tree === null) return tree;
  const copy = Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, recursiveCalls(value)])) as { [key: string]: unknown };
  const of = copy['of'] as { kind?: string; name?: string } | undefined;
  if (copy['kind'] === 'call' && of?.kind === 'name' && of.name === 'loop') of.name = RECURSE;
  return copy as T;
}

function compileMacro(macro: Macro, context: Context): (frame: Frame) => Callable {
  const names = macro.params.map((param) => param.name);
  const outer = context.used;
  const used = (context.used = new Set());
  try {
    return scoped(context, [...names, 'varargs', 'kwargs', 'caller', macro.name, RECURSE], () => {
      const fallbacks = macro.params.map((param) => param.fallback && compileNode(param.fallback, context));
      const body = apart(context, () => compileBody(macro.body, context));
      return (frame) =>
        new MacroFunction(macro.name, (args, named) => {
          const inner = frame.child();
          const rest = new Map<Value, Value>(named);
          macro.params.forEach(({ name }, i) => {
            let value: Result | undefined = i < args.length ? args[i] : named.get(name);
            if (i >= args.length) rest.delete(name);
            value ??= fallbacks[i]?.(inner) ?? new Undefined(`the macro "${macro.name}" was not given "${name}"`);
            inner.vars.set(name, value);
          });
          if (!names.includes('caller')) inner.vars.set('caller', rest.get('caller') ?? new Undefined(`the macro "${macro.name}" was not called by {% call %}`));
          if (used.has('caller')) rest.delete('caller');
          if (args.length > names.length && !used.has('varargs')) fail(`the macro "${macro.name}" takes ${names.length} arguments, not ${args.length}`, 'read the others as varargs');
          for (const name of used.has('kwargs') ? [] : rest.keys()) fail(`the macro "${macro.name}" takes no argument "${str(name)}"`, names.length > 0 ? `it takes ${names.join(', ')}` : 'it takes none');
          inner.vars.set('varargs', args.slice(names.length));
          inner.vars.set('kwargs', rest);
          return capture(body, inner) ?? '';
        });
    });
  } finally {
    context.used = outer;
  }
}
