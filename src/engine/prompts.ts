import { filter, Record, type Scope } from '../expression/index.js';
import type { Prompt } from '../playbook/types.js';
import { ContentError } from '../value/errors.js';
import { Secret, toPlain, type Dict, type Value } from '../value/value.js';
import { merge } from '../variables/index.js';
import { evaluate, truthy } from './evaluate.js';
import type { Run } from './run.js';
import { scopeOf } from './scope.js';

/**
 * Asks what the `vars_prompt` of all plays want to know, before any host is touched; the answers are variables of their
 * play. What `-e` gives is not asked for. What is typed is never evaluated, and secret where it was not to be seen.
 * @throws ContentError where nobody can be asked and there is no default
 */
export async function askPrompts(run: Run): Promise<void> {
  for (const play of run.plays) {
    const wanted = play.play.varsPrompt.filter(({ name }) => !run.variables.extraVars.has(name));
    if (wanted.length === 0) continue;
    const answers: Dict = new Map();
    for (const prompt of wanted) {
      const scope = scopeOf(run, { play, task: undefined, host: 'localhost', includes: [], extra: answers, ahead: false });
      answers.set(prompt.name, await answerOf(run, prompt, scope));
    }
    play.play.vars = merge([play.play.vars, answers]);
  }
}

async function answerOf(run: Run, { name, options, origin }: Prompt, scope: Scope): Promise<Value> {
  const option = (key: string) => {
    const value = options.get(key);
    return value === undefined || value === null ? undefined : evaluate(value, scope);
  };
  const hidden = truthy(option('private') ?? true);
  const preset = option('default');
  const shown = option('prompt') === undefined ? `input for ${name}` : String(toPlain(option('prompt')!, true)).trimEnd().replace(/:$/, '').trimEnd();
  const question = preset === undefined || preset instanceof Secret ? shown : `${shown} [${String(toPlain(preset, true))}]`;
  const ask = async (text: string) => {
    const typed = await run.options.ask?.(text, hidden);
    if (typed !== undefined || preset !== undefined) return typed;
    throw new ContentError(`"${name}" has to be asked for, and there is no terminal`, origin, `pass it with -e ${name}=…, or give the prompt a default`);
  };
  let typed = await ask(question);
  if (typed !== undefined && truthy(option('confirm') ?? false)) {
    while (typed !== (await ask(`confirm ${question}`))) typed = await ask(`the two differ; ${question}`);
  }
  const answer: Value = typed === undefined || (typed === '' && preset !== undefined) ? preset! : typed;
  const kind = option('encrypt');
  const value = kind === undefined || kind === '' ? answer : encrypted(answer, kind, option('salt') ?? null, option('salt_size') ?? null, scope);
  return hidden && typeof value !== 'object' && typeof value !== 'boolean' ? new Secret(value) : value;
}

/** What `password_hash` makes of it; where nothing is said of the salt it is random and of eight characters, as Ansible's is. */
function encrypted(answer: Value, kind: Value, salt: Value, size: Value, scope: Scope): Value {
  const named = new Map<string, Value>([['salt', salt], ['salt_size', size ?? (salt === null ? 8 : null)]]);
  return filter('password_hash')!([answer, kind], named, { scope, record: new Record() });
}
