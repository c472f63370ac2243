import { lookupList, Record, type Scope } from '../expression/index.js';
import type { Task } from '../playbook/types.js';
import { ContentError, UndefinedError, UnknownError } from '../value/errors.js';
import { Source, toPlain, type Dict, type Value } from '../value/value.js';
import { evaluate, evaluatedData, holds } from './evaluate.js';

/** The items of a task's loop. @throws ContentError when the loop is not over a list */
export function loopItems(task: Task, scope: Scope): Value[] {
  const { how, value, origin } = task.loop!;
  const evaluated = evaluatedData(value, scope);
  if (how === 'loop') {
    if (Array.isArray(evaluated)) return evaluated;
    const hint = evaluated instanceof Map ? 'use (… | dict2items)' : 'give a list';
    throw new ContentError(`loop is over ${describe(evaluated)}, not over a list`, origin, hint);
  }
  const terms = Array.isArray(evaluated) ? evaluated : [evaluated];
  if (how === 'items') return terms.flatMap((term) => (Array.isArray(term) ? term : [term]));
  const wrong = how === 'dict' ? terms.find((term) => !(term instanceof Map)) : undefined;
  if (wrong !== undefined) throw new ContentError(`with_dict expects a dict, not ${describe(wrong)}`, origin);
  if (how === 'list' && !Array.isArray(evaluated)) throw new ContentError(`with_list expects a list, not ${describe(evaluated)}`, origin);
  if (how === 'indexed_items' && !Array.isArray(evaluated)) throw new ContentError('with_indexed_items expects a list', origin);
  return lookupList(how, terms, new Map(), { scope, record: new Record() });
}

/** As loopItems; undefined where the list cannot be told, and does not matter: the condition fails whatever the item is. */
export function itemsIfAny(task: Task, scope: Scope): Value[] | undefined {
  try {
    return loopItems(task, scope);
  } catch (error) {
    if ((error instanceof UndefinedError || error instanceof UnknownError) && conditionFails(task, scope)) return undefined;
    throw error;
  }
}

function conditionFails(task: Task, scope: Scope): boolean {
  try {
    return !holds(task.when, scope);
  } catch {
    return false;
  }
}

function describe(value: Value): string {
  if (value === null) return 'nothing';
  if (value instanceof Map) return 'a dict';
  if (typeof value === 'string') return `the text "${value}"`;
  return String(toPlain(value, false));
}

/** Variables of one round of the loop. @throws ContentError where an expression gives no name for one */
export function loopVariables(task: Task, items: readonly Value[], index: number, scope: Scope): Dict {
  const { extended, allItems } = task.loopControl;
  const [loopVar, indexVar] = [nameIn(task.loopControl.loopVar, scope), nameIn(task.loopControl.indexVar, scope)];
  const variables: Dict = new Map<Value, Value>([[loopVar!, items[index]!], ['ansible_loop_var', loopVar!]]);
  if (indexVar !== undefined) variables.set(indexVar, index).set('ansible_index_var', indexVar);
  if (extended) {
    const last = items.length - 1;
    variables.set(
      'ansible_loop',
      new Map<Value, Value>([
        ...(allItems ? ([['allitems', [...items]]] as [Value, Value][]) : []),
        ['index', index + 1],
        ['index0', index],
        ['revindex', items.length - index],
        ['revindex0', last - index],
        ['first', index === 0],
        ['last', index === last],
        ['length', items.length],
        ...(index > 0 ? [['previtem', items[index - 1]!] as const] : []),
        ...(index < last ? [['nextitem', items[index + 1]!] as const] : []),
      ]),
    );
  }
  return variables;
}

function nameIn(name: string | Source | undefined, scope: Scope): string | undefined {
  if (!(name instanceof Source)) return name;
  const given = toPlain(evaluate(name, scope), true);
  if (typeof given === 'string' && /^[A-Za-z_]\w*$/.test(given)) return given;
  throw new ContentError(`${JSON.stringify(given)} is no name for a variable`, name.origin, 'use letters, digits and underscores');
}

/** What stands for an item in output: the label of loop_control, else the item in short. */
export function labelOf(task: Task, item: Value, scope: Scope): string {
  let shown: Value = item;
  if (task.loopControl.label !== undefined) {
    try {
      shown = evaluate(task.loopControl.label, scope);
    } catch {
      shown = item;
    }
  }
  const plain = toPlain(shown, false);
  const text = typeof plain === 'string' ? plain : JSON.stringify(plain);
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
