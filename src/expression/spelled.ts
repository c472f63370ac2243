import { Secret, type Value } from '../value/value.js';
import { negate } from './arithmetic.js';
import type { Node } from './ast.js';
import { lexExpression } from './lexer.js';
import { ExpressionParser } from './parser.js';
import { keyOf, toFloat } from './python.js';
import { box } from './secrecy.js';
import { fail } from './undefined.js';

/**
 * The data that a rendered text spells, where it is a list or dict of nothing but constants (of Python or JSON); else the
 * value as it is. Ansible did so until 2.18: playbooks build lists from texts and loops of Jinja's. Nothing is evaluated.
 */
export function spelled(value: Value): Value {
  if (value instanceof Secret) {
    const inside = value.reveal();
    const data = spelled(inside);
    return data === inside ? value : (box(data) as Value);
  }
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value) || !/[\]}]\s*$/.test(value)) return value;
  try {
    return constantOf(new ExpressionParser(lexExpression(value)).whole());
  } catch {
    return value;
  }
}

function constantOf(node: Node): Value {
  switch (node.kind) {
    case 'constant':
      return typeof node.value === 'object' && node.value !== null ? toFloat(node.value.float) : node.value;
    case 'list':
      return node.members.map(constantOf);
    case 'dict':
      return new Map(node.entries.map(([key, value]) => [keyOf(constantOf(key)), constantOf(value)]));
    case 'name':
      return node.name === 'null' ? null : fail('no constant');
    case 'unary':
      return node.operator === '-' ? negate(constantOf(node.of)) : fail('no constant');
  }
  return fail('no constant');
}
