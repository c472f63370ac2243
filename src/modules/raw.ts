import { defineCommand } from './module.js';
import { params, path, str } from './params.js';
import { COMMAND, interpreted, returned, RETURNS } from './running.js';

export default defineCommand({
  name: 'raw',
  summary: 'Runs a command line with as little as possible around it.',
  params: params({
    cmd: str('The text the shell interprets.'),
    executable: path('The shell, if it is to be another than /bin/sh.').default('/bin/sh'),
  }),
  freeForm: 'cmd',
  returns: { cmd: RETURNS.cmd, rc: RETURNS.rc, stdout: RETURNS.stdout, stderr: RETURNS.stderr, stdout_lines: RETURNS.stdout_lines, stderr_lines: RETURNS.stderr_lines },
  examples: ['- raw: uptime'],
  run: (wanted) => ({ ...COMMAND, script: interpreted(wanted.cmd, wanted.executable) }),
  result: (wanted, output) => returned(output, wanted.cmd, false),
});
