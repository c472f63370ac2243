import { join } from '../shell/sh.js';
import { defineCommand } from './module.js';
import { any, params, path, str } from './params.js';
import { COMMAND, enter, feeding, guard, guarded, guards, input, interpreted, returned, RETURNS, timed, warn } from './running.js';

export default defineCommand({
  name: 'shell',
  summary: 'Has a shell interpret a command line.',
  params: params({
    cmd: str('The text the shell interprets.').default(''),
    executable: path('The shell, if it is to be another than /bin/sh.').default('/bin/sh'),
    expand_argument_vars: any('Refused: for `command` it says whether variables are expanded, which a shell does anyway.').optional(),
    warn,
    ...guards,
    ...input,
  }).check((context) => {
    if (context.value.expand_argument_vars !== undefined) context.issues.push({ code: 'custom', message: 'Unsupported parameters for (shell) module: expand_argument_vars', input: context.value, path: ['expand_argument_vars'] });
    else if (context.value.cmd.trim() === '') context.issues.push({ code: 'custom', message: 'no command given', params: { rc: 256 }, input: context.value, path: ['cmd'] });
  }),
  freeForm: 'cmd',
  returns: RETURNS,
  examples: ['- shell: somescript.sh >> somelog.txt\n  args:\n    chdir: somedir/\n    creates: somelog.txt', '- shell: set -o pipefail; ls | sort\n  args:\n    executable: /bin/bash'],
  guard: (wanted) => guard(wanted),
  guarded: (output, wanted, check) => guarded(output, wanted, check),
  run: (wanted) => ({ ...COMMAND, script: timed(join([enter(wanted.chdir), feeding(wanted, interpreted(wanted.cmd, wanted.executable))])) }),
  result: (wanted, output) => returned(output, wanted.cmd, wanted.strip_empty_ends),
});
