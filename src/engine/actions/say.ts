import { compileExpression, Record } from '../../expression/index.js';
import { loadSpec } from '../../playbook/index.js';
import { parseArgs } from '../../modules/index.js';
import { UndefinedError } from '../../value/errors.js';
import { toPlain, type Dict, type Value } from '../../value/value.js';
import { evaluate } from '../evaluate.js';
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

export async function fail(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  return failed(String(args.msg ?? 'Failed as requested from task'));
}
