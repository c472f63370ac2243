import { connect as connectTo, ConnectionError, type Become, type Connection, type Target } from '../connection/index.js';
import { sh } from '../shell/sh.js';
import { pinning, type Pinned, type Pinning } from './pin.js';

/** Seconds between two attempts to reach a host: doubled each time, up to the second number. */
const PAUSE = [1, 15] as const;
/** Seconds before the third user, and each one after, is tried: sshd shuts out who fails too often (PerSourcePenalties, fail2ban). */
const USER_PAUSE = 5;
/** Seconds after a host came up in which its users may still be on their way (cloud-init, pam_nologin). */
const BOOTING = 60;

/** One way that a host may let us in. */
export interface Login {
  user: string;
  /** File of the key that is tried first. */
  key: string | undefined;
  password: string | undefined;
}

export interface Meeting {
  /** Where the host is; user, key, password and the checking of its key are this module's. */
  target: Target;
  /** Ports sshd may answer on, the likeliest first; undefined leaves it to ssh_config. */
  ports: readonly (number | undefined)[];
  logins: readonly Login[];
  /** How root is become where another user is let in. */
  become: Pick<Become, 'method' | 'password'>;
  pins: Pinning;
  /** Seconds the host is waited for. */
  patience: number;
  /** Told what is waited for, one line each. */
  say: (text: string) => void;
  /** Aborted when nobody waits any more. */
  stop: AbortSignal;
  /** For tests: another way to reach machines. */
  connect?: (target: Target) => Connection;
}

/** A host that let us in, as somebody who is root or becomes it. */
export interface Met {
  login: Login;
  port: number | undefined;
  key: Pinned;
}

/**
 * Users in the order they are tried: who administers the host once it is set up (where that was done before, root is
 * not let in any more), who was named, then those that images come with. The administrator comes with a key of his own,
 * and a password is only for the one it was asked for.
 * @param known who is let in as far as the inventory knows
 */
export function loginsOf(admin: Omit<Login, 'password'>, named: string | undefined, known: string | undefined, key: string | undefined, password: string | undefined): Login[] {
  const whose = named ?? known ?? 'root';
  const users = [admin.user, named, known, 'root', 'debian', 'ubuntu', 'admin'].filter((user) => user !== undefined);
  return [...new Set(users)].map((user) => ({ user, key: user === admin.user ? (admin.key ?? key) : key, password: user === whose ? password : undefined }));
}

/**
 * Waits until the host answers, pins its key and finds a user who is let in and is root or becomes it. One attempt at a
 * time, each a whole login.
 * @throws ConnectionError when it does not within its time, shows another key, or lets nobody in
 */
export async function meet(meeting: Meeting): Promise<Met> {
  const { target, patience, say, stop } = meeting;
  const began = performance.now();
  const left = (): number => patience - (performance.now() - began) / 1000;
  let pause: number = PAUSE[0];
  let waited = false;
  let told = '';
  const queue = [...meeting.logins];
  let up: number | undefined;
  // How its key stood when it was first seen: pinned then, it is on record at the next attempt.
  let key: Pinned | undefined;
  const met = (seen: Pinned): void => void (key ??= seen);
  let refused: ConnectionError[] = [];
  for (let turn = 0, failed = 0, at = 0; ; turn++) {
    if (stop.aborted) throw new ConnectionError('lost', `${target.name}: interrupted`);
    const login = queue[at]!;
    const port = meeting.ports[turn % meeting.ports.length];
    const outcome = await attempt(meeting, login, port, met);
    if (outcome === undefined) return { login, port, key: key! };
    switch (outcome.kind) {
      case 'name':
      case 'host-key':
        throw outcome;
      case 'refused':
      case 'timeout':
      case 'route':
      case 'lost': {
        // The other port answers at once, if it does.
        if (turn % meeting.ports.length < meeting.ports.length - 1) continue;
        if (left() <= 0) throw new ConnectionError(outcome.kind, `${outcome.message}; waited ${Math.round((performance.now() - began) / 1000)} s`, outcome.remedy);
        if (told !== outcome.message) say(`waiting for SSH: ${(told = outcome.message)}`);
        waited = true;
        await sleep(Math.min(pause * (0.75 + Math.random() / 2), Math.max(left(), 0.1)), stop);
        pause = Math.min(pause * 2, PAUSE[1]);
        continue;
      }
      default: {
        // It answers: what is wrong now is who asks.
        up ??= performance.now();
        refused.push(outcome);
        const other = /Please login as the user "([\w.-]+)"/.exec(outcome.message)?.[1];
        if (other !== undefined && !queue.some(({ user }) => user === other)) queue.splice(at + 1, 0, { ...login, user: other, password: undefined });
        turn--; // this port is the right one
        if (++at < queue.length) {
          if (++failed > 1) await sleep(USER_PAUSE, stop);
          continue;
        }
        if (!waited || (performance.now() - up) / 1000 > BOOTING || left() <= 0) throw letInNobody(meeting, queue, refused);
        if (told !== 'users') say('it answers, and lets nobody in yet; it may still be booting');
        told = 'users';
        [at, refused] = [0, []];
        await sleep(2 * USER_PAUSE, stop);
      }
    }
  }
}

/** @returns why not */
async function attempt({ target, become, pins, connect = connectTo }: Meeting, { user, key, password }: Login, port: number | undefined, met: (seen: Pinned) => void): Promise<ConnectionError | undefined> {
  const asRoot: Become | undefined = user === 'root' ? undefined : { ...become, user: 'root', flags: undefined };
  let connection: Connection | undefined;
  try {
    connection = connect({ ...target, port, user, password, privateKeyFile: key, judgeHostKey: pinning(target.name, pins, met) });
    const { inspections } = await connection.trip({ effect: undefined, inspections: [{ script: sh`id -u`, become: asRoot, environment: {} }] });
    const { stdout, stderr } = inspections[0]!;
    if (stdout.trim() === '0') return undefined;
    return new ConnectionError('become', `${target.name}: ${user} is not root, and did not become it: ${stderr.trim() || `id says ${stdout.trim()}`}`);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    return error;
  } finally {
    await connection?.close();
  }
}

/** Who is let in but does not become root is the likeliest to be put right; else whom a password or key was given for. */
function letInNobody({ logins }: Meeting, queue: readonly Login[], refused: readonly ConnectionError[]): ConnectionError {
  const almost = refused.find(({ kind }) => kind === 'become');
  if (almost) return almost;
  const named = refused[queue.findIndex(({ password }) => password !== undefined)] ?? refused.find(({ kind }) => kind === 'protocol') ?? refused[Math.min(1, refused.length - 1)]!;
  return new ConnectionError(
    named.kind,
    `${named.message} (tried ${queue.map(({ user }) => user).join(', ')})`,
    `name who is let in (-u), and how: with a key (--private-key) or a password (-k)${logins.length < queue.length ? '' : '; on its console, put a key into ~/.ssh/authorized_keys'}`,
  );
}

/** Not beyond an interruption. */
function sleep(seconds: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    stop.addEventListener('abort', done);
  });
}
