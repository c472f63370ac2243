import { join, raw, sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, type Change } from './module.js';
import { bool, choice, int, params, path, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  command: str('What is run.').optional(),
  script_file: path('A script of the host that is run, instead: its text as it is now.').optional(),
  count: int('How many units from now.').optional(),
  units: choice(['minutes', 'hours', 'days', 'weeks'], 'What is counted.').optional(),
  state: choice(['absent', 'present'], 'Whether the job is there; absent takes away all that hold this command.').default('present'),
  unique: bool('A job that is there already is enough; otherwise each run adds one.').default(false),
}).check((context) => {
  const { command, script_file, count, units, state } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if ((command === undefined) === (script_file === undefined)) issue('give command or script_file, one of them', 'command');
  if (state === 'present' && (!count || count < 0 || units === undefined)) issue('present state requires count and units', 'count');
});

interface Observed {
  /** Numbers of the jobs that hold the command. */
  matching: string[];
}

export const at = defineModule<typeof schema, Observed>({
  name: 'at',
  summary: 'Has a command run once, later, by at of the host.',
  params: schema,
  returns: { state: 'As it was asked for.', script_file: 'The script, where one was given.', count: 'How many units from then.', units: 'The units.' },
  examples: ['- at:\n    command: systemctl restart app\n    count: 2\n    units: hours\n    unique: true'],
  inspect: ({ command, script_file }) => join([
    sh`command -v at >/dev/null || { echo 'the host has no at; install the package at on it' >&2; exit 1; }
s=${command ?? ''}`,
    script_file === undefined ? join([]) : sh`s=$(cat -- ${hostPath(script_file)}) || exit`,
    raw(`q=$(atq) || exit
printf '%s\\000' "$s"
printf '%s\\n' "$q" | while read -r n _; do
  [ -z "$n" ] || { j=$(at -c "$n") && printf '%s\\000%s\\000' "$n" "$j"; } || exit
done`),
  ]),
  parse(output) {
    const [script, ...jobs] = fields(output, 'looking at the jobs of at');
    const wanted = script!.trim();
    return { matching: jobs.filter((_, i) => i % 2 === 0 && jobs[i + 1]!.includes(wanted)) };
  },
  compare({ state, unique, count, units }, { matching }): Change[] {
    if (state === 'absent') return matching.length === 0 ? [] : [{ field: 'jobs', from: matching, to: [] }];
    return unique && matching.length > 0 ? [] : [{ field: 'jobs', from: matching, to: `one more, in ${count} ${units}` }];
  },
  apply({ command, script_file, count, units, state }, { matching }) {
    if (state === 'absent') return { script: sh`at -r ${matching}` };
    const when = sh`now + ${count!} ${units!}`;
    return { script: script_file === undefined ? sh`printf '%s\\n' ${command!} | at ${when}` : sh`at -f ${hostPath(script_file)} ${when}` };
  },
  result({ state, script_file, count, units, unique }, { matching }) {
    const added = state === 'present' && !(unique && matching.length > 0);
    return { state, ...(added ? { count, units, ...(script_file === undefined ? {} : { script_file }) } : {}) };
  },
  verify: ({ state, unique }) => state === 'absent' || unique,
});
export default at;
