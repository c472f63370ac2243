import { readdirSync } from 'node:fs';
import path from 'node:path';
import { compileExpression, Record } from '../../expression/index.js';
import { pythonRegex } from '../../expression/regex.js';
import { display, loadSpec } from '../../playbook/index.js';
import { parseArgs } from '../../modules/index.js';
import { readText } from '../../vault/index.js';
import { parseYaml } from '../../yaml/index.js';
import { ContentError, UndefinedError } from '../../value/errors.js';
import { toPlain, type Dict, type Origin, type Value } from '../../value/value.js';
import { evaluate, firstFalse } from '../evaluate.js';
import { argumentsOf, factsOf, isTrue, scopeFor, type Call } from '../call.js';
import { failed, outcome, type Outcome } from '../outcome.js';
import { findFile, mustFind } from '../scope.js';

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
  const origin = call.task.argOrigins.get('that') ?? call.task.origin;
  const that = (Array.isArray(args.that) ? args.that : [args.that]) as (string | boolean)[];
  const false_ = firstFalse(that.map((expression) => ({ expression, origin })), scope);
  if (!false_) return outcome({ msg: args.success_msg ?? 'All assertions passed', changed: false });
  const message = args.fail_msg ?? args.msg ?? 'Assertion failed';
  const text = Array.isArray(message) ? message.join('\n') : String(message);
  return failed(text, { doing: `asserting that ${false_.expression}`, origin, fields: { assertion: String(false_.expression), evaluated_to: false } });
}

export async function fail(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  return failed(String(args.msg ?? 'Failed as requested from task'));
}

export async function includeVars(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const { run, frame, task, host } = call;
  let files: string[];
  try {
    files = args.dir === undefined ? [mustFind(run, frame.play, task, String(args.file), 'vars')] : filesIn(folder(call, String(args.dir)), args);
  } catch (error) {
    // Ansible tells why under a name of its own.
    if (error instanceof ContentError) return failed(error.message, { doing: 'running include_vars', origin: error.origin, remedy: error.hint, fields: { message: error.message, ansible_facts: {}, ansible_included_var_files: [] } });
    throw error;
  }
  const merged: Dict = new Map();
  for (const file of files) {
    const shown = display(file);
    const { text, isSecret } = readText(file, shown);
    const content = parseYaml(text, shown, isSecret);
    if (content === null) continue;
    if (!(content instanceof Map)) throw new ContentError('a variables file holds a dict', at(shown));
    for (const [name, value] of content) merged.set(name, value);
  }
  const named: Dict = args.name === undefined ? merged : new Map([[args.name as Value, merged]]);
  for (const [name, value] of named) run.variables.setIncluded(host.name, String(toPlain(name, true)), value);
  return outcome({ ansible_included_var_files: files, changed: false });
}

/** The files of a folder that count, in alphabetical order; `depth` 0 goes all the way down. */
function filesIn(dir: string, args: any, level = 1): string[] {
  const matching = args.files_matching === undefined ? undefined : pythonRegex(String(args.files_matching));
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = path.join(dir, entry.name);
      if (entry.isDirectory()) return args.depth === 0 || level < args.depth ? filesIn(file, args, level + 1) : [];
      if (args.ignore_files?.includes(entry.name) || (matching && !matching.test(entry.name))) return [];
      if (args.extensions.includes(path.extname(entry.name).slice(1))) return [file];
      if (args.ignore_unknown_extensions || matching) return matching ? [file] : [];
      throw new ContentError(`${file} has not a valid extension: ${args.extensions.join(', ')}`, at(dir), 'set ignore_unknown_extensions to leave such files out');
    });
}

function folder(call: Call, name: string): string {
  const found = findFile(call.run, call.frame.play, call.task, name, 'vars');
  if (found === undefined) throw new ContentError(`there is no folder "${name}"`, call.task.argOrigins.get('dir') ?? call.task.origin);
  return found;
}

function at(file: string): Origin {
  return { file, line: 1, column: 1 };
}

