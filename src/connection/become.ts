import { sh, Sh } from '../shell/sh.js';
import { ConnectionError, type Become } from './connection.js';

/**
 * Becoming another user: the command that starts a shell as that user, and what its failures mean.
 * A password goes over standard input, never into a process list.
 */

/** What sudo asks with, so that its prompt can be told from what else is on stderr. */
const PROMPT = '[muster] ';

/** Whether the two mean one user with one way to get there, so that they can share one `sudo sh`. */
export function sameUser(a: Become | undefined, b: Become | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.method === b.method && a.user === b.user && a.flags === b.flags && a.exe === b.exe && a.password === b.password;
}

/** Undefined where the login user already is who is wanted. */
export function needed(become: Become | undefined, login: string): Become | undefined {
  return become === undefined || become.user === login ? undefined : become;
}

/**
 * A command that reads, on standard input, the password (where there is one), a line with `gate`, and then
 * whatever `command` is to read. With NOPASSWD, or with a ticket still valid, sudo leaves the password unread;
 * everything up to the gate is dropped, so it never runs as a command.
 * @param command what the other user's /bin/sh executes after the gate, e.g. `exec /bin/sh`
 */
export function becomeCommand(become: Become, gate: string, command: Sh): Sh {
  const start = sh`while IFS= read -r _l && [ "$_l" != ${gate} ]; do :; done; unset _l; ${command}`.text;
  return becomeShell(become, start);
}

/** The same with nothing after the password: tells a wrong one at the price of a single attempt. */
export function becomeProbe(become: Become): Sh {
  return sh`printf '%s\n' ${become.password ?? ''} | ${becomeShell(become, ':')}`;
}

/** What has to stand before the payload on standard input. */
export function becomeInput(become: Become, gate: string): string {
  return `${become.password === undefined ? '' : `${become.password}\n`}${gate}\n`;
}

/**
 * Runs `/bin/sh -c start` as the other user. `flags` and `exe` are the user's own words (become_flags, become_exe) and stand as they are.
 */
function becomeShell({ method, user, flags, exe, password }: Become, start: string): Sh {
  const program = new Sh(exe ?? method);
  const own = new Sh(flags ?? (method === 'sudo' ? '-H' : ''));
  switch (method) {
    case 'sudo':
      return sh`${program} ${password === undefined ? sh`-n` : sh`-S -p ${PROMPT}`} ${own} -u ${user} -- /bin/sh -c ${start}`;
    case 'su':
      // -s, since an account such as www-data has nologin for a shell.
      return sh`${program} ${own} -s /bin/sh -c ${start} ${user}`;
    case 'doas':
      return sh`${program} -n ${own} -u ${user} -- /bin/sh -c ${start}`;
  }
}

/** Refuses what cannot work, before anything is sent. */
export function checkBecome(become: Become, host: string): void {
  if (become.method === 'doas' && become.password !== undefined)
    throw new ConnectionError(
      'become',
      `${host}: doas takes a password from a terminal only, and there is none`,
      `write "permit nopass" for this user into doas.conf, or use become_method sudo or su`,
    );
}

/** Whether becoming failed since the user is not there (yet): no password was tried then. */
export function isNobody(stderr: string): boolean {
  return /unknown user|user [^\n]{0,300} does not exist|no passwd entry|unknown login|user not found/i.test(stderr);
}

/**
 * Why becoming failed, from what the command said (under LC_ALL=C) and its exit status.
 * Wordings: sudo 1.8 to 1.9, sudo-rs, util-linux, shadow and busybox su, OpenDoas.
 */
export function becomeError(become: Become, host: string, rc: number, stderr: string): ConnectionError {
  const said = stderr.replaceAll(PROMPT, '').trim();
  const { method, user } = become;
  const fail = (why: string, remedy: string): ConnectionError =>
    new ConnectionError('become', `${host}: ${method} cannot become ${user}: ${why}${said && !why.includes(said) ? ` (${said.split('\n').slice(-3).join(' ')})` : ''}`, remedy);
  if (rc === 127 || (/not found/.test(said) && said.includes(method)))
    return fail(`the host has no ${method}`, `install ${method}, choose another become_method, or log in as ${user}`);
  if (/must have a tty|requiretty/i.test(said)) return fail('it wants a terminal', `take "requiretty" out of sudoers for this user`);
  if (isNobody(said))
    return fail(`there is no user ${user}`, 'correct become_user, or create the user first');
  if (/not in the sudoers|is not allowed to|may not run|not permitted|I'm sorry [^\n]{0,300}\. I'm afraid I can't do that/i.test(said))
    return fail('the rules on the host forbid it', `allow the login user to run /bin/sh as ${user}`);
  if (become.password === undefined && /password|authenticat|conversation|terminal is required/i.test(said))
    return fail('a password is needed', 'give it with -K or ansible_become_password, or allow it without one');
  if (/try again|incorrect|authentication (failure|failed|error)|maximum \d+|no password was provided|1 incorrect/i.test(said))
    return fail('the password is wrong', 'give the right one with -K or ansible_become_password');
  return fail(`it ended with status ${rc}`, `try it by hand on the host: ${method} ${method === 'su' ? '' : '-u '}${user}`);
}
