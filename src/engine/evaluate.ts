import { compileExpression, evaluateDeep, Record, type Compiled, type Scope } from '../expression/index.js';
import type { Condition } from '../playbook/types.js';
import { ContentError } from '../value/errors.js';
import { Float, Secret, Unknown, type Value } from '../value/value.js';

const compiled = new WeakMap<Condition, Compiled>();

/** The whole value, every text in it evaluated. */
export function evaluate(value: Value, scope: Scope, record = new Record()): Value {
  return evaluateDeep(value, scope, record);
}

/** Whether all conditions hold; they are read in order and the first that fails ends it. */
export function holds(conditions: readonly Condition[], scope: Scope): boolean {
  return firstFalse(conditions, scope) === undefined;
}

/** The first condition that does not hold, for `false_condition`; undefined when all hold. */
export function firstFalse(conditions: readonly Condition[], scope: Scope): Condition | undefined {
  for (const condition of conditions) {
    if (condition.expression === true) continue;
    if (condition.expression === false) return condition;
    let code = compiled.get(condition);
    if (!code) compiled.set(condition, (code = compileExpression(condition.expression, condition.origin)));
    let value = code.evaluate(scope, new Record());
    // A condition that names a variable holding the text of a boolean (from the command line, from INI) means that boolean.
    if (typeof value === 'string') value = textCondition(value, condition);
    if (!truthy(value)) return condition;
  }
  return undefined;
}

function textCondition(value: string, condition: Condition): Value {
  if (/^(true|yes|on|1)$/i.test(value)) return true;
  if (/^(false|no|off|0|)$/i.test(value)) return false;
  throw new ContentError(
    `the condition "${condition.expression}" gives the text "${value}", neither true nor false`,
    condition.origin,
    `compare it (== "…") or convert it (| bool)`,
  );
}

/** Python's truth, and the words Ansible takes for booleans where a keyword wants one. */
export function truthy(value: Value): boolean {
  if (value instanceof Secret) return truthy(value.reveal());
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Unknown) return false;
  if (typeof value === 'string') return !/^(false|no|off|0|f|n|)$/i.test(value.trim());
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return Boolean(value);
}
