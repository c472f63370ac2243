import { open } from 'node:fs/promises';
import { join, quote, raw, sh } from '../shell/sh.js';
import { defineCommand } from './module.js';
import { bool, params, str } from './params.js';
import { COMMAND, enter, guard, guards, idle, interpreted, returned, RETURNS, timed } from './running.js';
import { decrypted } from './source.js';
import { splitWords } from './words.js';

/** What the kernel does with the first line of a script (execve(2)): interpreter and at most one argument. */
function interpreterOf(head: Buffer): string | undefined {
  if (head.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))) return undefined;
  const shebang = /^#![ \t]*(\S+)(?:[ \t]+(.*?))?[ \t]*(?:\r?\n|$)/.exec(head.toString('utf8'));
  if (!shebang) return '/bin/sh';
  return shebang[2] ? `${quote(shebang[1]!)} ${quote(shebang[2])}` : quote(shebang[1]!);
}

const schema = params({
  cmd: str('A script of the project (looked up as files are), and its arguments, which a shell on the host interprets.').default(''),
  executable: str('The program that interprets the script, instead of what its first line names.').optional(),
  decrypt: bool('A script that a vault encrypted goes to the host decrypted.').default(true),
  ...guards,
}).check((context) => {
  if (context.value.cmd.trim() === '') context.issues.push({ code: 'custom', message: 'one of the following is required: _raw_params, cmd', input: context.value, path: ['cmd'] });
});

export default defineCommand({
  name: 'script',
  summary: "Copies a script of the project into a private folder of the host and runs it there.",
  params: schema,
  freeForm: 'cmd',
  returns: RETURNS,
  examples: ['- script: setup.sh --quiet\n  args:\n    creates: /etc/set-up', '- script: report.py\n  args:\n    executable: python3'],
  async prepare(args, controller) {
    const [written, rest] = firstWord(args.cmd);
    const file = await controller.find(written, 'files');
    const plain = args.decrypt ? decrypted(file) : undefined;
    if (plain) return { ...args, upload: { content: plain }, program: args.executable ?? interpreterOf(plain.subarray(0, 256)), rest };
    const handle = await open(file);
    try {
      const head = (await handle.read(Buffer.alloc(256), 0, 256, 0));
      const program = args.executable ?? interpreterOf(head.buffer.subarray(0, head.bytesRead));
      return { ...args, upload: { path: file }, program, rest };
    } finally {
      await handle.close();
    }
  },
  guard: (wanted) => guard(wanted),
  guarded(output, wanted) {
    const found = idle(output, wanted);
    return found && { skipped: true, msg: `${found.path} ${found.why}, matching ${found.option} option` };
  },
  refusesAsync: true,
  run(wanted) {
    // An interpreter is named, so that a temporary folder mounted noexec does no harm.
    const text = `${wanted.program === undefined ? '' : `${wanted.program} `}"$1"${wanted.rest}`;
    return {
      ...COMMAND,
      script: timed(
        join([
          wanted.program === undefined ? sh`chmod u+x "$script" || exit
[ -x "$script" ] || { echo "programs cannot be run from \${script%/.muster.*}: it is mounted noexec" >&2; exit 126; }` : sh``,
          enter(wanted.chdir),
          interpreted(text, '/bin/sh', [raw('"$script"')]),
        ]),
      ),
      uploads: { script: wanted.upload },
    };
  },
  // As with raw, Ansible takes nothing off what a script printed.
  result: (wanted, output) => returned(output, wanted.cmd, false),
});

/** The script's name, which may be quoted, and the untouched rest of the line. */
export function firstWord(line: string): [string, string] {
  const match = /^\s*((?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+)(.*)$/s.exec(line);
  const name = match && splitWords(match[1]!)[0];
  return [name ?? '', match?.[2] ?? ''];
}
