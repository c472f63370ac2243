import { compileExpression, compileText, templateOptions, type Compiled, type TemplateOptions } from '../expression/index.js';
import { templates } from '../template/index.js';
import { isDict, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { complain, display, readVars, warn, type LoadContext } from './context.js';
import { shown } from './keywords.js';
import { caught } from './problems.js';

/** Compiles a bare expression and notes what is wrong with it. */
export function syntax(expression: string | boolean, origin: Origin, ctx: LoadContext): void {
  if (typeof expression === 'boolean') return;
  attempt(() => compileExpression(expression, origin), origin, ctx);
}

/** Compiles every text with {{ }} in a value, however deep. */
export function checkValue(value: Value | undefined, ctx: LoadContext): void {
  if (value instanceof Source) attempt(() => compileText(value), value.origin, ctx);
  else if (Array.isArray(value)) for (const member of value) checkValue(member, ctx);
  else if (isDict(value)) {
    for (const [key, member] of value) {
      checkValue(key, ctx);
      checkValue(member, ctx);
    }
  }
}

function attempt(compile: () => Pick<Compiled, 'remarks'>, origin: Origin, ctx: LoadContext): void {
  try {
    for (const { message, origin: place } of compile().remarks) {
      // A template that several tasks name is looked at for each.
      if (!ctx.problems.some((each) => each.message === message && each.origin?.file === place.file && each.origin.line === place.line && each.origin.column === place.column)) warn(ctx, message, place);
    }
  } catch (error) {
    ctx.problems.push(caught(error, origin));
  }
}

/** Compiles a template and its partials. @param from what names it @param options how a Jinja template is written */
export function checkTemplateFile(path: string, from: Origin, ctx: LoadContext, options?: TemplateOptions): void {
  attempt(() => templates.check(display(path), options), from, ctx);
}

/** The template of a task; how it is written must be literal to be checked before the run. */
export function checkTaskTemplate(path: string, args: Dict, from: Origin, ctx: LoadContext): void {
  const options = templateOptions(args);
  if (options) checkTemplateFile(path, from, ctx, options);
}

/** A file of variables: a dict (or nothing), and every text in it compiles. */
export async function checkVarsFile(path: string, ctx: LoadContext): Promise<void> {
  const value = await readVars(path, ctx);
  if (isDict(value)) checkValue(value, ctx);
  else if (value !== null) complain(ctx, `a file of variables must hold a dict, not ${shown(value).split('\n')[0]}`, { file: display(path), line: 1, column: 1 });
}
