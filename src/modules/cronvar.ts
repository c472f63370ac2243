import { cron } from './cron.js';
import { defineModule, type Declarative } from './module.js';
import { bool, choice, params, path, str } from './params.js';

const schema = params({
  name: str('The variable.'),
  value: str('Its value, as it is to stand in the crontab.').optional(),
  state: choice(['absent', 'present'], 'Whether the variable is there.').default('present'),
  user: str("Whose crontab; the connecting user's unless given.").optional(),
  cron_file: path('A file instead of a crontab: absolute, or a name in /etc/cron.d.').optional(),
  insertafter: str('A new variable goes behind this one.').optional(),
  insertbefore: str('A new variable goes in front of this one.').optional(),
  backup: bool('Keep the old text; `backup_file` says where.').default(false),
}).check((context) => {
  const { value, state } = context.value;
  if (state === 'present' && value === undefined) context.issues.push({ code: 'custom', message: 'state: present needs value', input: context.value, path: ['value'] });
});

/** What `cron` does with `env`, save that the value stands as it is written, without quotation marks of its own. */
const variables = cron as Declarative<any, any, any>;

export const cronvar = defineModule<typeof schema, unknown, unknown>({
  name: 'cronvar',
  summary: 'Sets variables in crontabs.',
  params: schema,
  returns: { vars: 'Names of the variables that stand there now.', cron_file: 'The file, when one was given.', backup_file: 'Where the old text was kept, when it was.' },
  examples: ['- cronvar:\n    name: MAILTO\n    value: ops@example.com'],
  prepare: ({ value, ...args }, controller) => variables.prepare!({ ...variables.params.parse({ ...args, job: value === '' ? '""' : value, env: true }), isBare: true }, controller),
  inspect: (wanted) => variables.inspect(wanted),
  parse: (output, wanted) => variables.parse(output, wanted),
  compare: (wanted, observed) => variables.compare(wanted, observed),
  apply: (wanted, observed, changes) => variables.apply(wanted, observed, changes),
  undo: (wanted, observed, changes) => variables.undo!(wanted, observed, changes),
  before: (wanted, observed, change) => variables.before!(wanted, observed, change),
  result(wanted, observed, output) {
    const { envs, jobs: _, ...rest } = variables.result(wanted, observed, output);
    return { vars: envs, ...rest };
  },
});
export default cronvar;
