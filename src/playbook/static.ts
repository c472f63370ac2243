import { compileText, evaluateDeep, Record, type Scope } from '../expression/index.js';
import { ContentError } from '../value/errors.js';
import { Source, type Dict, type Origin, type Value } from '../value/value.js';
import { complain, type LoadContext } from './context.js';
import { shown } from './keywords.js';
import { caught } from './problems.js';

/** Variables besides the extra vars that are known before the run. */
export type Known = () => Dict;

const NOTHING: Known = () => new Map();

/**
 * Text that must be known before the run (the name of an import, a tag): literal, or made from variables that are.
 * @param what for the problem, e.g. `the name of an import`
 */
export function staticText(value: Value, origin: Origin, what: string, ctx: LoadContext, known: Known = NOTHING): string | undefined {
  const found = value instanceof Source ? staticValue(value, origin, what, ctx, known) : value;
  if (typeof found === 'string' || typeof found === 'number' || typeof found === 'bigint') return String(found);
  if (found !== undefined) complain(ctx, `${what} must be text, not ${shown(found)}`, origin);
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
      const text = code.evaluate(staticScope(ctx.extraVars, new Map()), new Record());
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

/** The same for a value of any kind; undefined where it cannot be told, which is a problem. */
export function staticValue(value: Source, origin: Origin, what: string, ctx: LoadContext, known: Known = NOTHING): Value | undefined {
  try {
    return compileText(value).evaluate(staticScope(ctx.extraVars, known()), new Record());
  } catch (error) {
    const why = caught(error, origin);
    complain(ctx, `${what} must be known before the run: ${why.message}`, why.origin, 'only extra vars (-e) and vars of plays, roles, blocks and tasks count here; use include_tasks or include_role for names that depend on the host');
    return undefined;
  }
}

function staticScope(extraVars: Dict, known: Dict): Scope {
  const no = (): never => {
    throw new ContentError('files cannot be read here');
  };
  const scope: Scope = {
    get: (name, record) => {
      const value = extraVars.get(name) ?? known.get(name);
      return value === undefined ? undefined : evaluateDeep(value, scope, record);
    },
    names: () => [...extraVars.keys(), ...known.keys()].map(String),
    services: { find: no, baseDir: process.cwd(), render: no, template: no, ahead: false },
  };
  return scope;
}
