import { sh } from '../shell/sh.js';
import { defineModule, ModuleError } from './module.js';
import { any, bool, choice, params, str } from './params.js';

const schema = params({
  name: str('The package.').meta({ aliases: ['pkg'] }),
  question: str('The question; without it all answers of the package are told and none is set.').meta({ aliases: ['selection', 'setting'] }).optional(),
  vtype: choice(['boolean', 'error', 'multiselect', 'note', 'password', 'seen', 'select', 'string', 'text', 'title'], 'The kind of the question.').optional(),
  value: any('The answer; of multiselect a list too.').meta({ aliases: ['answer'] }).optional(),
  unseen: bool('The question counts as not yet asked.').default(false),
}).check((context) => {
  const { question, vtype, value, name } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  const given = [question, vtype, value].filter((each) => each !== undefined && each !== null).length;
  if (given > 0 && given < 3) issue('question, vtype and value go together', 'question');
  if (/\s/.test(name) || /\s/.test(question ?? '')) issue('names of packages and questions have no blanks', 'question');
  if (typeof value === 'string' && value.includes('\n')) issue('an answer is one line', 'value');
});
type Wanted = (typeof schema)['_zod']['output'];

const members = (value: unknown): string[] => (value as unknown[]).map(String).sort();

/** The answer as debconf has it. */
function answer({ vtype, value }: Wanted): string {
  if (Array.isArray(value)) return members(value).join(', ');
  if (typeof value === 'boolean') return vtype === 'boolean' ? String(value) : value ? 'True' : 'False';
  return vtype === 'boolean' ? String(value).toLowerCase() : String(value);
}

export const debconf = defineModule<typeof schema, Map<string, string>>({
  name: 'debconf',
  summary: "Answers the questions of Debian's packages before they are asked.",
  params: schema,
  returns: { current: 'Question and answer as they are now; without a question all of the package.', previous: 'As they were, where something was set.', msg: 'What debconf said.' },
  examples: [
    `- debconf:
    name: locales
    question: locales/default_environment_locale
    value: de_DE.UTF-8
    vtype: select
`,
  ],
  // debconf-show hides passwords; they are read from the database, by root as all of it.
  inspect: ({ name, question, vtype }) => sh`LC_ALL=C.UTF-8 debconf-show ${name} || exit
${vtype === 'password' ? sh`printf 'GET %s\\n' ${question!} | LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive debconf-communicate 2>/dev/null | sed 's/^\\([0-9]*\\) */password \\1 /'` : sh``}
echo looked`,
  parse({ rc, stdout, stderr }, { name, question }) {
    const lines = stdout.split('\n').filter((line) => line !== '');
    if (rc !== 0 || lines.pop() !== 'looked') throw new ModuleError(`cannot ask debconf about ${name}: ${stderr.trim() || `exit status ${rc}`}`, { rc, stderr });
    const answers = new Map<string, string>();
    for (const line of lines) {
      const [, key, value] = /^[* ]*([^:\s*][^:\s]*):(.*)$/.exec(line) ?? [];
      const [, status, password] = /^password (\d*) ?(.*)$/.exec(line) ?? [];
      if (status !== undefined) {
        if (status === '0') answers.set(question!, password!);
      } else if (key !== undefined) answers.set(key, value!.trim());
    }
    return answers;
  },
  compare(wanted, answers) {
    const { question, vtype, value } = wanted;
    if (question === undefined) return [];
    const odd = Array.isArray(value) ? value.find((each) => typeof each !== 'string') : undefined;
    if (odd !== undefined) throw new ModuleError(`Invalid value provided for '${vtype}': ${JSON.stringify(odd)} is no string`);
    const before = answers.get(question);
    const is = before === undefined ? undefined : vtype === 'boolean' ? before.toLowerCase() : Array.isArray(value) ? members(before.split(',').map((each) => each.trim())).join(', ') : before;
    return is === answer(wanted) ? [] : [{ field: question, from: before ?? null, to: answer(wanted), ...(vtype === 'password' ? { secret: true } : {}) }];
  },
  apply: (wanted) => ({ script: sh`printf '%s %s %s %s\\n' ${wanted.name} ${wanted.question!} ${wanted.vtype!} ${answer(wanted)} | debconf-set-selections ${wanted.unseen ? ['-u'] : []}` }),
  undo({ name, question, vtype }, answers) {
    const before = answers.get(question!);
    return before === undefined ? [{ cannot: `debconf had no answer to ${question}` }] : [{ module: 'debconf', args: { name, question, vtype, value: before } }];
  },
  result(wanted, answers, output) {
    const { question } = wanted;
    if (question === undefined || (output === undefined && debconf.compare(wanted, answers).length === 0)) return { msg: '', current: Object.fromEntries(answers) };
    return { msg: output?.stdout ?? '', current: { [question]: answer(wanted) }, previous: { [question]: answers.get(question) ?? '' } };
  },
});
export default debconf;
