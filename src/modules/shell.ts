import { join } from '../shell/sh.js';
import { defineCommand } from './module.js';
import { params, path, str } from './params.js';
import { COMMAND, enter, feeding, guard, guarded, guards, input, interpreted, returned, RETURNS, timed, warn } from './running.js';

export default defineCommand({
  name: 'shell',
  summary: 'Has a shell interpret a command line.',
  params: params({
    cmd: str('The text the shell interprets.'),
    executable: path('The shell, if it is to be another than /bin/sh.').default('/bin/sh'),
    warn,
    ...guards,
    ...input,
  }),
  freeForm: 'cmd',
  returns: RETURNS,
  examples: ['- shell: somescript.sh >> somelog.txt\n  args:\n    chdir: somedir/\n    creates: somelog.txt', '- shell: set -o pipefail; ls | sort\n  args:\n    executable: /bin/bash'],
  guard: (wanted) => guard(wanted),
  guarded: (output, wanted) => guarded(output, wanted),
  run: (wanted) => ({ ...COMMAND, script: timed(join([enter(wanted.chdir), feeding(wanted, interpreted(wanted.cmd, wanted.executable))])) }),
  result: (wanted, output) => returned(output, wanted.cmd, wanted.strip_empty_ends),
});
