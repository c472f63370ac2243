/**
 * What `command`, `shell`, `raw` and `script` share: guards, input, the folder, the time a run took.
 */
import { z } from 'zod';
import { join, quote, raw, sh, type Sh } from '../shell/sh.js';
import { basename } from 'node:path';
import { ModuleError, type Output, type Returns } from './module.js';
import { bool, params, path, str } from './params.js';
import { globbing, hostPath } from './words.js';

/**
 * What holds for each step that runs somebody's command: it may print without end, of which a playbook can use little,
 * and it ends with the link, as it would in a terminal.
 */
export const COMMAND = { kept: 8 * 1024 * 1024, hangsUp: true } as const;

/** Parameters all of them take. */
export const guards = {
  creates: path('A path or pattern; the command is not run if it exists.').optional(),
  removes: path('A path or pattern; the command is run only if it exists.').optional(),
  chdir: path('Change into this folder before running the command.').optional(),
};

/** What older playbooks say of a command's text. */
export const warn = bool("Taken for old playbooks' sake: no command is warned of.").default(false);

/** Parameters of commands that read standard input. */
export const input = {
  stdin: str('Standard input of the command; nothing unless given.').optional(),
  stdin_add_newline: bool('Whether a newline ends `stdin`.').default(true),
  strip_empty_ends: bool('Whether empty lines at the end of stdout and stderr are taken away.').default(true),
};

export type Guards = z.output<ReturnType<typeof params<typeof guards>>>;
export interface Input {
  stdin?: string | undefined;
  stdin_add_newline: boolean;
}

/** Stands alone on the first line of stdout where the folder could not be entered; stderr says why. */
const NOWHERE = '\x1emuster-chdir\n';

/** Stands where the program could not be executed; what stderr holds then are words of the shell. */
const NO_PROGRAM = '\x1emuster-exec\n';

/** Executes a program in place of a shell of its own: no word of the shell itself (echo, test, cd) can stand in for one. */
export function executing(words: Sh): Sh {
  return sh`( trap ${`printf '\\036${NO_PROGRAM.slice(1, -1)}\\n'`} 0; exec ${words} )`;
}

/** Enters the folder, if one is given, by its real path as Python's chdir does; the rest of the text runs only there. */
export function enter(chdir: string | undefined): Sh {
  return chdir === undefined ? sh`` : sh`cd -P ${hostPath(chdir)} || { rc=$?; printf ${`\\036${NOWHERE.slice(1, -1)}\\n`}; exit $rc; }`;
}

/** Looks for `creates` and `removes` where the command would run. */
export function guard(wanted: Guards): Sh | undefined {
  if (wanted.creates === undefined && wanted.removes === undefined) return undefined;
  const look = (name: string, pattern: string | undefined) =>
    pattern === undefined ? sh`` : sh`for f in ${globbing(pattern)}; do if [ -e "$f" ] || [ -L "$f" ]; then echo ${raw(name)}; break; fi; done`;
  return join([
    wanted.chdir === undefined ? sh`` : sh`cd ${hostPath(wanted.chdir)} || exit`,
    look('creates', wanted.creates),
    look('removes', wanted.removes),
    sh`echo looked`,
  ]);
}

/** Which of the two says that there is nothing to do. */
export function idle(output: Output, wanted: Guards): { option: 'creates' | 'removes'; path: string; why: string } | undefined {
  const seen = output.stdout.split('\n');
  if (!seen.includes('looked')) throw new ModuleError(`cannot look at creates and removes: ${output.stderr.trim()}`, { rc: output.rc });
  if (wanted.creates !== undefined && seen.includes('creates')) return { option: 'creates', path: wanted.creates, why: 'exists' };
  if (wanted.removes !== undefined && !seen.includes('removes')) return { option: 'removes', path: wanted.removes, why: 'does not exist' };
  return undefined;
}

/** The result where there is nothing to do, in Ansible's words. */
export function guarded(output: Output, wanted: Guards, check: boolean): Returns | undefined {
  const found = idle(output, wanted);
  if (!found) return undefined;
  return { rc: 0, stdout: `skipped, since ${found.path} ${found.why}`, stderr: '', msg: `${check ? 'Would' : 'Did'} not run command since '${found.path}' ${found.why}` };
}

const SHELLS = new Set(['sh', 'dash', 'bash', 'ash', 'busybox', 'ksh', 'mksh', 'zsh']);

/**
 * Has a shell interpret a text, which finds the shell's name as `$0`, as with `-c`. The text reaches it through a pipe on
 * file descriptor 3, so that secrets in it appear in no process list; a program that is no POSIX shell (fish, python3)
 * gets it by `-c`.
 * @param args words the text finds as `$1`, `$2`, …
 */
export function interpreted(text: string, executable: string, args: readonly Sh[] = []): Sh {
  if (!SHELLS.has(basename(executable))) return sh`${hostPath(executable)} -c ${text} ${join(args, ' ')}`;
  const program = executable.includes('/') ? hostPath(executable) : sh`${executable}`;
  return sh`{ printf %s ${text} | ${program} -c '. /proc/self/fd/3' ${program} ${join(args, ' ')} 3<&0 0<&4 4<&-; } 4<&0`;
}

/** Gives a command its standard input. printf is a word of the shell itself: the text is in no process list. */
export function feeding(wanted: Input, command: Sh): Sh {
  if (wanted.stdin === undefined) return command;
  return sh`printf %s ${wanted.stdin + (wanted.stdin_add_newline ? '\n' : '')} | ${command}`;
}

/** Marks the line behind a command's stdout that says when it ended and how long it took. */
const MARK = '\x1emuster-time';
const TIMES = new RegExp(`${MARK} (\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d)\\.?(\\d*)\\S* (\\S+) (\\S+)\\n`);

/** Runs a command and notes the time. /proc/uptime costs no process and knows no summer time. */
export function timed(command: Sh): Sh {
  return sh`read b r </proc/uptime
(
${command}
)
rc=$?
read e r </proc/uptime
printf ${`\\036${MARK.slice(1)} %s %s %s\\n`} "$(date '+%Y-%m-%d %H:%M:%S.%N')" "$b" "$e"
exit $rc`;
}

/** Errors of execve(2) by the exit status of a shell that met them. */
const ERRNO: { [rc: number]: { rc: number; why: string } } = { 126: { rc: 13, why: 'Permission denied' }, 127: { rc: 2, why: 'No such file or directory' } };

/** Before it executes a file that is there, bash gives up its traps. */
function isRefusedByBash(stderr: string): boolean {
  const said = stderr.slice(stderr.lastIndexOf('\n', stderr.length - 2) + 1);
  const why = ': cannot execute: Permission denied\n';
  return said.endsWith(why) && said.slice(0, -why.length).includes(': exec: ');
}

/** What `register` sees of a command, without the marks. @throws ModuleError when it did not run, for want of its folder or program */
export function returned(output: Output, cmd: string | readonly string[], strip = true): Returns {
  if (output.stdout.startsWith(NOWHERE)) throw new ModuleError(`Unable to change directory before execution: ${output.stderr.trim()}`, { cmd, rc: output.rc, stdout: '', stderr: output.stderr });
  const times = TIMES.exec(output.stdout);
  const printed = times ? output.stdout.slice(0, times.index) + output.stdout.slice(times.index + times[0].length) : output.stdout;
  const error = printed === NO_PROGRAM || (output.rc === 126 && printed === '' && isRefusedByBash(output.stderr)) ? ERRNO[output.rc] : undefined;
  if (error) {
    const words = typeof cmd === 'string' ? cmd : cmd.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quote(word))).join(' ');
    throw new ModuleError(`[Errno ${error.rc}] ${error.why}: b'${typeof cmd === 'string' ? cmd : cmd[0]}'`, { cmd: words, rc: error.rc, stdout: '', stderr: '' });
  }
  const clean = (text: string) => (strip ? withoutEmptyEnds(text) : text);
  const stdout = clean(printed);
  const stderr = clean(output.stderr);
  return {
    cmd,
    rc: output.rc,
    stdout,
    stderr,
    stdout_lines: lines(stdout),
    stderr_lines: lines(stderr),
    ...(times ? period(times) : {}),
    msg: output.rc === 0 ? '' : 'non-zero return code',
  };
}

/** No regular expression: on many empty lines in the middle it would begin anew at each. */
function withoutEmptyEnds(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === '\n' || text[end - 1] === '\r')) end--;
  return text.slice(0, end);
}

function lines(text: string): string[] {
  return text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/);
}

/** start, end and delta as Python prints datetimes, from the host's clock. */
function period([, ended, fraction, from, to]: RegExpExecArray): { start: string; end: string; delta: string } {
  const end = Date.parse(`${ended!.replace(' ', 'T')}Z`) * 1000 + Number(fraction!.slice(0, 6).padEnd(6, '0'));
  const took = Math.max(0, Math.round((Number(to) - Number(from)) * 1e6));
  const micro = (at: number) => String(((at % 1e6) + 1e6) % 1e6).padStart(6, '0');
  const clock = (at: number) => `${new Date(Math.floor(at / 1e6) * 1000).toISOString().slice(0, 19).replace('T', ' ')}.${micro(at)}`;
  const seconds = Math.floor(took / 1e6);
  const two = (n: number) => String(n).padStart(2, '0');
  return {
    start: clock(end - took),
    end: clock(end),
    delta: `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${micro(took)}`,
  };
}

export const RETURNS = {
  cmd: 'The command that was run.',
  rc: 'Its exit status.',
  stdout: 'What it wrote to standard output.',
  stderr: 'What it wrote to standard error.',
  stdout_lines: 'stdout, split into lines.',
  stderr_lines: 'stderr, split into lines.',
  start: "When it started, by the host's clock.",
  end: 'When it ended.',
  delta: 'How long it took.',
};
