import { compileExpression, evaluateData, evaluateDeep, Record, truthy as pythonTruthy, type Compiled, type Scope } from '../expression/index.js';
import type { Condition } from '../playbook/types.js';
import { Float, Secret, Unknown, type Value } from '../value/value.js';

const compiled = new WeakMap<Condition, Compiled>();

/** The whole value, every text in it evaluated. */
export function evaluate(value: Value, scope: Scope, record = new Record()): Value {
  return evaluateDeep(value, scope, record);
}

/** The same for what stands for data: texts that spell a list or dict are that (`evaluateData`). */
export function evaluatedData(value: Value, scope: Scope, record = new Record()): Value {
  return evaluateDeep(value, scope, record, evaluateData);
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
    const value = code.evaluate(scope, new Record());
    if (typeof (value instanceof Secret ? value.reveal() : value) === 'string') scope.services.remark?.(textual(condition.expression), condition.origin);
    if (!pythonTruthy(value)) return condition;
  }
  return undefined;
}

/** What is said of a condition that gives a text: releases before 2.19 take it silently, that one wants it mended. */
const textual = (expression: string): string =>
  `the condition "${expression}" gives a text, which counts as true unless it is empty, even "false"; compare it (== "…"), ask for its length (| length > 0) or convert it (| bool)`;

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
