import { embedded } from '../../playbook/index.js';
import type { Condition } from '../../playbook/types.js';
import { ContentError } from '../../value/errors.js';
import { Source, type Origin, type Value } from '../../value/value.js';
import { originOfFound, valueOf, type Level, type VariableScope } from '../../variables/index.js';
import { originOf } from '../../yaml/index.js';
import { scopeFor, type Call } from '../call.js';
import { firstFalse } from '../evaluate.js';
import { failed, outcome, type Outcome } from '../outcome.js';
import { parsedArguments } from './say.js';

export async function assert(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const scope = scopeFor(call);
  const false_ = firstFalse(conditionsOf(args.that, call, scope), scope);
  if (!false_) return outcome({ msg: args.success_msg ?? 'All assertions passed', changed: false });
  const message = args.fail_msg ?? args.msg ?? 'Assertion failed';
  const text = Array.isArray(message) ? message.join('\n') : String(message);
  return failed(text, { doing: `asserting that ${false_.expression}`, origin: false_.origin, fields: { assertion: String(false_.expression), evaluated_to: false } });
}

/**
 * What is asserted. A text that `{{ variable }}` gives is read as an expression where the project wrote it, as in Ansible, and
 * never where it came from a host. Of a condition with {{ }} among other text what comes of it is not read as an expression again.
 * @throws ContentError for a text of which that cannot be told
 */
function conditionsOf(that: unknown, call: Call, scope: VariableScope): Condition[] {
  const written = call.task.args.get('that');
  const origin = call.task.argOrigins.get('that') ?? call.task.origin;
  if (!Array.isArray(that)) return [condition(that, written, origin, call, scope)];
  const members = written instanceof Source ? projectValue(written, call, scope) : written;
  return that.map((each, i) => (Array.isArray(members) ? condition(each, members[i], originOf(members, i) ?? origin, call, scope) : condition(each, undefined, origin, call, scope)));
}

const WHOLE = /^\s*\{\{(?:(?!\}\})[^])*\}\}\s*$/;

function condition(given: unknown, written: Value | undefined, origin: Origin, call: Call, scope: VariableScope): Condition {
  // An empty entry of the list asserts nothing.
  if (typeof given !== 'string') return { expression: (given ?? true) as boolean, origin };
  if (written instanceof Source && !WHOLE.test(written.text)) return { expression: embedded(written.text.trim()) ?? given, origin };
  const own = written === undefined ? undefined : projectValue(written, call, scope);
  if (own instanceof Source) return { expression: embedded(own.text.trim()) ?? given, origin };
  if (typeof own === 'string') return { expression: own, origin };
  const word = /^\s*(true|false)\s*$/i.exec(given);
  if (word) return { expression: word[1]!.toLowerCase() === 'true', origin };
  throw new ContentError('"that" is an expression, and what its {{ }} gives is a text that the project did not write: it is not read as one', origin, 'write the condition itself, without {{ }}, or let it give true or false');
}

/** Where variables are as somebody wrote them into the project. What tasks set and hosts answer, and what is given for a run, may be anything. */
const WRITTEN: ReadonlySet<Level> = new Set<Level>([
  'role defaults', 'inventory group vars', 'group_vars/all of the inventory', 'group_vars/all of the playbook', 'group_vars of the inventory', 'group_vars of the playbook',
  'inventory host vars', 'host_vars of the inventory', 'host_vars of the playbook', 'play vars', 'vars_files', 'role vars', 'task vars', 'include_vars', 'role parameters',
]);
/** `{{ name }}`, `{{ dict.member }}`, `{{ list[0] }}`, `{{ dict['member'] }}`. */
const PATH = /^\s*\{\{\s*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[(?:\d+|'[^']*'|"[^"]*")\])*)\s*\}\}\s*$/;

/** What a value leads to by nothing but names, as it stands in the project; undefined where something else has a part in it. */
function projectValue(value: Value, call: Call, scope: VariableScope, depth = 0): Value | undefined {
  if (!(value instanceof Source) || !WHOLE.test(value.text)) return value;
  const [, name, steps] = PATH.exec(value.text) ?? [];
  if (name === undefined || depth > 20) return undefined;
  let found = call.loop?.has(name) ? itemOf(call, name) : variableOf(name, scope);
  for (const [, member, index, quoted] of steps!.matchAll(/\.(\w+)|\[(\d+)\]|\[['"](.*?)['"]\]/g)) {
    const open: Value | undefined = found === undefined ? undefined : projectValue(found, call, scope, depth + 1);
    found = open instanceof Map ? open.get(member ?? quoted ?? Number(index)) : Array.isArray(open) && index !== undefined ? open[Number(index)] : undefined;
  }
  return found === undefined ? undefined : projectValue(found, call, scope, depth + 1);
}

function variableOf(name: string, scope: VariableScope): Value | undefined {
  const found = scope.find(name);
  return found && WRITTEN.has(found.layer.level) && originOfFound(found) ? valueOf(found) : undefined;
}

/** The item of the present round, where the task lists its items itself. */
function itemOf({ task, index }: Call, name: string): Value | undefined {
  const { how, value } = task.loop!;
  if (name !== task.loopControl.loopVar || !Array.isArray(value) || (how !== 'loop' && how !== 'items')) return undefined;
  return how === 'items' && value.some((each) => typeof each !== 'string') ? undefined : value[index];
}
