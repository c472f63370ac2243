import { compileExpression, Record } from '../../expression/index.js';
import { embedded, loadSpec } from '../../playbook/index.js';
import type { Condition } from '../../playbook/types.js';
import { parseArgs } from '../../modules/index.js';
import { originOf } from '../../yaml/index.js';
import { UndefinedError } from '../../value/errors.js';
import { Source, toPlain, type Dict, type Origin, type Value } from '../../value/value.js';
import { evaluate, firstFalse } from '../evaluate.js';
import { argumentsOf, factsOf, isTrue, scopeFor, type Call } from '../call.js';
import { failed, outcome, type Outcome } from '../outcome.js';

/** The action's evaluated arguments, free-form text under its parameter, checked by the action's description. */
export async function parsedArguments(call: Call): Promise<{ args: any; values: Dict }> {
  const { task } = call;
  const spec = await loadSpec(task.action);
  const args = argumentsOf(call);
  if (task.freeForm !== undefined && spec.freeForm !== undefined) args.set(spec.freeForm, evaluate(task.freeForm, scopeFor(call)));
  return { args: parseArgs(spec, toPlain(args, true) as { [key: string]: any }, task.argOrigins), values: args };
}

export async function debug(call: Call): Promise<Outcome> {
  const { task } = call;
  const raw = task.args.get('var');
  if (raw !== undefined) {
    const scope = scopeFor(call);
    const evaluated = evaluate(raw, scope);
    const name = String(toPlain(raw, false));
    let value: Value = evaluated;
    // `var: x` names an expression; `var: "{{ x }}"` was evaluated already, as Ansible does.
    if (typeof raw === 'string') {
      const code = compileExpression(raw, task.argOrigins.get('var') ?? task.origin);
      try {
        value = code.evaluate(scope, new Record());
      } catch (error) {
        if (!(error instanceof UndefinedError)) throw error;
        value = 'VARIABLE IS NOT DEFINED!';
      }
    }
    return quietBelow(call, outcome({ [name]: value }));
  }
  const { values } = await parsedArguments(call);
  return quietBelow(call, outcome({ msg: values.has('msg') ? values.get('msg') : 'Hello world!' }));
}

function quietBelow(call: Call, said: Outcome): Outcome {
  const level = Number(toPlain(call.task.args.get('verbosity') ?? 0, true));
  return level > call.run.options.verbosity ? outcome({ skipped_reason: 'Verbosity threshold not met.' }, { skipped: true, message: 'Verbosity threshold not met.' }) : said;
}

export async function setFact(call: Call): Promise<Outcome> {
  const { run, task, host, frame } = call;
  const facts = factsOf(call);
  // Before the facts are there: what they are made from may bear their names.
  const cacheable = task.args.has('cacheable') && (await parsedArguments(call)).args.cacheable === true;
  const owners = task.delegateTo !== undefined && task.delegateFacts !== undefined && isTrue(call, task.delegateFacts)
    ? [String(toPlain(evaluate(task.delegateTo, scopeFor(call)), true))]
    : task.runOnce !== undefined && isTrue(call, task.runOnce)
      ? [host.name, ...frame.play.alive(frame.play.batch)]
      : [host.name];
  for (const [name, value] of facts) for (const owner of owners) run.variables.setFact(owner, String(name), value);
  if (cacheable) {
    for (const owner of owners) {
      run.variables.setFacts(owner, facts, true);
      run.factCache.keepSet(owner, facts);
    }
  }
  return outcome({ ansible_facts: facts });
}

export async function assert(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const scope = scopeFor(call);
  const written = call.task.args.get('that');
  const origin = call.task.argOrigins.get('that') ?? call.task.origin;
  const false_ = firstFalse(conditionsOf(args.that, written, origin), scope);
  if (!false_) return outcome({ msg: args.success_msg ?? 'All assertions passed', changed: false });
  const message = args.fail_msg ?? args.msg ?? 'Assertion failed';
  const text = Array.isArray(message) ? message.join('\n') : String(message);
  return failed(text, { doing: `asserting that ${false_.expression}`, origin: false_.origin, fields: { assertion: String(false_.expression), evaluated_to: false } });
}

/** What is asserted. Of a condition with {{ }} among other text the text that comes of it is not read as an expression again. */
function conditionsOf(that: unknown, written: Value | undefined, origin: Origin): Condition[] {
  const one = (expression: unknown, source: Value | undefined, at: Origin): Condition => {
    const inline = source instanceof Source && !/^\s*\{\{(?:(?!\}\})[^])*\}\}\s*$/.test(source.text) ? embedded(source.text.trim()) : undefined;
    // An empty entry of the list asserts nothing.
    return { expression: inline ?? ((expression ?? true) as string | boolean), origin: at };
  };
  if (!Array.isArray(that)) return [one(that, written, origin)];
  return that.map((each, i) => (Array.isArray(written) ? one(each, written[i], originOf(written, i) ?? origin) : one(each, undefined, origin)));
}

export async function fail(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  return failed(String(args.msg ?? 'Failed as requested from task'));
}
