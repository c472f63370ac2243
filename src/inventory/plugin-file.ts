import { dirname } from 'node:path';
import { compileExpression, compileText, evaluateDeep, Record, type Scope } from '../expression/index.js';
import { ContentError, didYouMean } from '../value/errors.js';
import { Source, type Dict, type Origin, type Value } from '../value/value.js';
import { keyOrigin } from '../yaml/index.js';

/** Refuses keys that a plugin's file cannot have. */
export function onlyKeys(dict: Dict, what: string, keys: readonly string[]): void {
  for (const key of dict.keys()) {
    if (keys.includes(String(key))) continue;
    throw new ContentError(`${what} has no key "${String(key)}"`, keyOrigin(dict, key), didYouMean(String(key), keys) ?? `it takes ${keys.join(', ')}`);
  }
}

/** Variables as expressions of an inventory plugin see them: nothing of the controller is asked. */
export function scopeOf(vars: ReadonlyMap<Value, Value>, file: string): Scope {
  const no = (): never => {
    throw new ContentError('templates are not rendered while an inventory is read');
  };
  const scope: Scope = {
    get: (name, record) => {
      const value = vars.get(name);
      return value === undefined ? undefined : evaluateDeep(value, scope, record);
    },
    names: () => [...vars.keys()].map(String),
    services: { find: () => undefined, template: no, baseDir: dirname(file), render: no, ahead: false },
  };
  return scope;
}

/** A setting that is an expression without braces, or has some. */
export function evaluated(value: Value, at: Origin, scope: Scope): Value {
  if (value instanceof Source) return compileText(value).evaluate(scope, new Record());
  if (typeof value !== 'string') return value;
  return compileExpression(value, at).evaluate(scope, new Record());
}
