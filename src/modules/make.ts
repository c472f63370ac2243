import { join, quote, sh, type Sh } from '../shell/sh.js';
import { defineCommand } from './module.js';
import { dict, int, list, params, path, str } from './params.js';
import { COMMAND, enter } from './running.js';
import { hostPath } from './words.js';

const schema = params({
  chdir: path('The folder make is run in.'),
  target: str('What is made.').optional(),
  targets: list('The same, where it is several.').optional(),
  params: dict('Further words for make: NAME: value is NAME=value, and NAME without a value is NAME.').optional(),
  file: path('The makefile.').optional(),
  make: path('The make to use; gmake, or else make.').optional(),
  jobs: int('How many jobs run at once.').optional(),
}).check((context) => {
  const { target, targets } = context.value;
  if (target !== undefined && targets !== undefined) context.issues.push({ code: 'custom', message: 'parameters are mutually exclusive: target|targets', input: context.value, path: ['targets'] });
});
type Wanted = (typeof schema)['_zod']['output'];

function words({ target, targets, params, file, jobs }: Wanted): string[] {
  return [
    ...(jobs === undefined ? [] : ['-j', String(jobs)]), ...(file === undefined ? [] : ['-f', file]), ...(target ? [target] : (targets ?? [])),
    ...Object.entries(params ?? {}).map(([name, value]) => (value === null || value === undefined ? name : `${name}=${value === true ? 'True' : value === false ? 'False' : String(value)}`)),
  ];
}

/** Asks make whether there is something to do; prints n where there is nothing, c where there is. */
const asking = (wanted: Wanted): Sh => join([
  enter(wanted.chdir),
  wanted.make === undefined
    ? sh`m=$(command -v gmake || command -v make) || { echo 'the host has no make; install it first' >&2; exit 1; }`
    : sh`m=${hostPath(wanted.make)}`,
  sh`if o=$("$m" ${words(wanted)} -q 2>/dev/null); then printf '%s\\nn%s' "$m" "$o"; exit 0; fi
printf '%s\\nc' "$m"`,
]);

export default defineCommand({
  name: 'make',
  summary: 'Makes targets of a makefile that are not up to date.',
  params: schema,
  returns: { command: 'The command.', stdout: 'What make wrote.', stderr: 'What it wrote of errors.', chdir: 'As asked for.', target: 'As asked for.', targets: 'As asked for.', params: 'As asked for.', file: 'As asked for.', jobs: 'As asked for.' },
  examples: ['- make:\n    chdir: /usr/src/app\n    target: install\n    params: {PREFIX: /opt/app}'],
  answers: true,
  run: (wanted) => ({ ...COMMAND, script: join([asking(wanted), sh`"$m" ${words(wanted)}`]) }),
  plan: (wanted) => ({ script: asking(wanted) }),
  result(wanted, { stdout, stderr }) {
    const [, program, how, text] = /^(.*)\n([nc])([^]*)$/.exec(stdout) ?? ['', wanted.make ?? 'make', 'c', stdout];
    const { chdir, target = null, targets = null, params = null, file = null, jobs = null } = wanted;
    return { changed: how === 'c', stdout: text!.replace(/[\r\n]+$/, ''), stderr: stderr.replace(/[\r\n]+$/, ''), chdir, target, targets, params, file, jobs, command: [program!, ...words(wanted)].map(quote).join(' ') };
  },
});
