import { join, sh } from '../shell/sh.js';
import { defineCommand } from './module.js';
import { bool, list, params, str } from './params.js';
import { COMMAND, enter, executing, feeding, guard, guarded, guards, input, returned, RETURNS, timed, warn } from './running.js';
import { expanding, line, splitWords } from './words.js';

const schema = params({
  cmd: str('The command line; it is split into words as a shell would, but no shell interprets it.').optional(),
  argv: list('The command as a list of words.').optional(),
  expand_argument_vars: bool('Whether $NAME and a leading ~ in the words are expanded by the host.').default(true),
  executable: str("Taken for Ansible's sake: no shell is used; where it is given a warning says so.").optional(),
  warn,
  ...guards,
  ...input,
}).check((context) => {
  const { cmd, argv } = context.value;
  const issue = (message: string) => context.issues.push({ code: 'custom', message, params: { rc: 256 }, input: context.value, path: ['cmd'] });
  if (cmd !== undefined && argv !== undefined) issue('only command or argv can be given, not both');
  else if ((cmd === undefined || cmd.trim() === '') && !argv?.length) issue('no command given');
  else if (cmd !== undefined) {
    try {
      splitWords(cmd);
    } catch (error) {
      issue((error as Error).message);
    }
  }
});

export default defineCommand({
  name: 'command',
  summary: 'Runs a program with its arguments, without a shell.',
  params: schema,
  freeForm: 'cmd',
  returns: { ...RETURNS, warnings: 'That executable was given, when it was.' },
  examples: [
    '- command: /usr/bin/make_database.sh db_user db_name\n  args:\n    creates: /path/to/database',
    '- command:\n    argv: [/usr/bin/touch, /tmp/a file]\n    removes: /tmp',
  ],
  guard: (wanted) => guard(wanted),
  guarded: (output, wanted, check) => guarded(output, wanted, check),
  run(wanted) {
    const words = wanted.argv ?? splitWords(wanted.cmd!);
    const command = executing(line(words.map((word) => (wanted.expand_argument_vars ? expanding(word) : sh`${word}`))));
    return { ...COMMAND, script: timed(join([enter(wanted.chdir), feeding(wanted, command)])) };
  },
  result: (wanted, output) => ({
    ...returned(output, wanted.argv ?? splitWords(wanted.cmd!), wanted.strip_empty_ends),
    ...(wanted.executable === undefined ? {} : { warnings: [`"executable" is no longer supported by command, which uses no shell: not using ${wanted.executable}; the shell module takes one`] }),
  }),
});
