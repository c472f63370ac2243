import { compileText, Record, type Scope } from '../expression/index.js';
import { ContentError } from '../value/errors.js';
import { Source, type Dict, type Origin, type Value } from '../value/value.js';
import { complain, type LoadContext } from './context.js';
import { shown } from './keywords.js';
import { caught } from './problems.js';

/**
 * Text that must be known before the run (the name of an import, a tag): literal, or made from extra vars.
 * @param what for the problem, e.g. `the name of an import`
 * @param known variables besides the extra vars, e.g. `playbook_dir`
 */
export function staticText(value: Value, origin: Origin, what: string, ctx: LoadContext, known: ReadonlyMap<string, string> = new Map()): string | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (!(value instanceof Source)) {
    complain(ctx, `${what} must be text, not ${shown(value)}`, origin);
    return undefined;
  }
  try {
    const text = compileText(value).evaluate(extraVarsScope(ctx.extraVars, known), new Record());
    if (typeof text === 'string' || typeof text === 'number') return String(text);
    complain(ctx, `${what} must be text, not ${shown(text)}`, origin);
  } catch (error) {
    const why = caught(error, origin);
    complain(ctx, `${what} must be known before the run: ${why.message}`, why.origin, 'only extra vars (-e) count here; use include_tasks or include_role for names that depend on the host');
  }
  return undefined;
}

/**
 * A tag may hang on what only its turn tells (the variables of its play and its role): then it stays an expression.
 */
export function textOrLater(value: Value, origin: Origin, what: string, ctx: LoadContext): string | Source | undefined {
  if (!(value instanceof Source)) return staticText(value, origin, what, ctx);
  try {
    const code = compileText(value);
    try {
      const text = code.evaluate(extraVarsScope(ctx.extraVars, new Map()), new Record());
      return typeof text === 'string' || typeof text === 'number' ? String(text) : value;
    } catch (error) {
      if (!(error instanceof ContentError)) throw error;
      return value;
    }
  } catch (error) {
    ctx.problems.push(caught(error, origin));
    return undefined;
  }
}

function extraVarsScope(extraVars: Dict, known: ReadonlyMap<string, string>): Scope {
  const no = (): never => {
    throw new ContentError('files cannot be read here');
  };
  const scope: Scope = {
    get(name, record) {
      const value = extraVars.get(name) ?? known.get(name);
      return value instanceof Source ? compileText(value).evaluate(scope, record) : value;
    },
    names: () => [...[...extraVars.keys()].map(String), ...known.keys()],
    services: { find: no, baseDir: process.cwd(), render: no, template: no, ahead: false },
  };
  return scope;
}
