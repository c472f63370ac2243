/**
 * Helpers are the expression language's filters, tests and operators under Handlebars' spelling: each use is compiled
 * to an expression over its arguments, so that both spellings are one function.
 */
import { compileExpression, filterNames, testNames, type Record, type Scope } from '../expression/index.js';
import { didYouMean, ContentError } from '../value/errors.js';
import type { Origin, Value } from '../value/value.js';
import { spelling } from './hints.js';

/** Helpers that spell an operator; the others are named as the filter or test they are. */
const operators: { [name: string]: string } = {
  eq: '==',
  ne: '!=',
  lt: '<',
  gt: '>',
  le: '<=',
  ge: '>=',
  and: 'and',
  or: 'or',
  in: 'in',
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  mod: '%',
  concat: '~',
};
/** These take any number of operands. */
const chained = new Set(['and', 'or', 'add', 'mul', 'concat']);

/** Known to the compiler itself, since they look at their arguments before these are evaluated. */
export const special = ['default', 'defined', 'lookup'];
export const blocks = ['each', 'if', 'unless', 'with', 'raw'];

export type Call = (positional: readonly Value[], named: readonly Value[], scope: Scope, record: Record) => Value;

/** Compiles one use of a helper. @param written the use, to recognize Jinja in it. @throws ContentError for an unknown name or a wrong number of arguments */
export function compileHelper(name: string, count: number, names: readonly string[], origin: Origin, written: string): Call {
  const args = Array.from({ length: count }, (_, i) => `arg${i}`);
  const options = names.map((key) => `option_${key}`);
  const expression = compileExpression(spell(name, args, names, origin, written), origin);
  return (positional, named, scope, record) => {
    const values = new Map<string, Value>();
    args.forEach((arg, i) => values.set(arg, positional[i]!));
    options.forEach((option, i) => values.set(option, named[i]!));
    return expression.evaluate({ get: (key) => values.get(key), names: () => [], services: scope.services }, record);
  };
}

function spell(name: string, args: string[], names: readonly string[], origin: Origin, written: string): string {
  const operator = operators[name];
  if (operator !== undefined || name === 'not') {
    const wanted = name === 'not' ? 'one argument' : chained.has(name) ? 'two or more arguments' : 'two arguments';
    const right = name === 'not' ? args.length === 1 : chained.has(name) ? args.length >= 2 : args.length === 2;
    if (!right || names.length > 0) throw new ContentError(`${name} takes ${wanted}`, origin, name === 'not' ? 'write {{#if (not x)}}' : `write (${name} a b)`);
    return name === 'not' ? `not ${args[0]}` : args.join(` ${operator} `);
  }
  const filters = [...filterNames()];
  const tests = [...testNames()];
  const isFilter = filters.includes(name);
  if (!isFilter && !tests.includes(name)) {
    const known = [...filters, ...tests, ...Object.keys(operators), ...special, ...blocks];
    throw new ContentError(`there is no helper "${name}"`, origin, spelling(`{{${written}}}`) ?? didYouMean(name, known) ?? 'a helper is a filter or test of the expression language; a variable takes no arguments');
  }
  if (args.length === 0) throw new ContentError(`${name} needs the value it works on`, origin, `write {{${name} value …}}`);
  const rest = [...args.slice(1), ...names.map((key) => `${key}=option_${key}`)].join(', ');
  return `${args[0]} ${isFilter ? '|' : 'is'} ${name}${rest === '' ? '' : `(${rest})`}`;
}
