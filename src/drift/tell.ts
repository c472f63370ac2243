import { spawn } from 'node:child_process';
import type { Finding } from '../report/events.js';
import { compressHosts } from '../report/hosts.js';
import { mask } from '../report/mask.js';
import { age, oneLine } from '../report/style.js';
import { keyOf, kept, keptOf } from './look.js';
import type { State } from './state.js';

/** How long the command may take, in seconds. */
const PATIENCE = 60;
/** Characters of its output that are shown when it fails. */
const SHOWN = 2000;

/** How a run stands, besides what it found. */
export interface Standing {
  findings: readonly Finding[];
  unreachable: readonly string[];
  failed: readonly string[];
  /** Guards that held it. */
  held: readonly string[];
  /** Why there was no look at all: an error of content. */
  error: string | undefined;
}

/** What the command is told: why, and what there is. */
export interface Message {
  why: ('new' | 'resolved' | 'corrected' | 'trouble' | 'recovered' | 'reminder')[];
  /** In a few words, for chat. */
  text: string;
  state: 'clean' | 'drift' | 'trouble';
  /** Of `new`, `persisting` and `unseen`; `isNew` since it was last told. */
  findings: Finding[];
  resolved: Finding[];
  corrected: Finding[];
  unreachable: string[];
  failed: string[];
  held: string[];
  error: string | null;
}

type Told = NonNullable<State['told']>;
const NOTHING: Told = { at: '', findings: [], trouble: [], unsaid: [] };

/**
 * What there is to tell since the command was last told; undefined where nothing is.
 * @param remind seconds after which it is told again what still stands; undefined never
 * @param now milliseconds
 */
export function messageOf(standing: Standing, told: Told = NOTHING, remind: number | undefined, now: number): Message | undefined {
  const { findings, unreachable, failed, held } = standing;
  const open = findings.filter(({ state }) => state === 'new' || state === 'persisting' || state === 'unseen');
  const corrected: Finding[] = [...told.unsaid.map((each): Finding => ({ ...each, state: 'corrected' })), ...findings.filter(({ state }) => state === 'corrected')];
  const [known, here] = [new Set(told.findings.map(keyOf)), new Set([...open, ...corrected].map(keyOf))];
  const fresh = open.filter((each) => !known.has(keyOf(each)));
  // Without a look nobody knows what has become of what was found.
  const resolved = standing.error !== undefined ? [] : told.findings.filter((each) => !here.has(keyOf(each))).map((each): Finding => ({ ...each, state: 'resolved' }));
  const trouble = troubleOf(standing);
  const why: Message['why'] = [];
  if (fresh.length > 0) why.push('new');
  if (resolved.length > 0) why.push('resolved');
  // What is put right in every run is news but once.
  if (corrected.some(({ times }) => (times ?? 1) === 1)) why.push('corrected');
  if (trouble.some((each) => !told.trouble.includes(each))) why.push('trouble');
  if (told.trouble.some((each) => !trouble.includes(each))) why.push('recovered');
  const stands = open.length + trouble.length > 0;
  if (why.length === 0 && (stands || corrected.length > 0) && remind !== undefined && now - Date.parse(told.at) >= remind * 1000) why.push('reminder');
  if (why.length === 0) return undefined;
  const still = open.filter((each) => known.has(keyOf(each)));
  const text = [
    words(fresh, 'drifted'),
    words(still, 'still drifted', still.length > 0 ? `, for ${age(still.reduce((a, b) => (a.since < b.since ? a : b)).since, now)}` : ''),
    words(corrected.filter(({ times }) => (times ?? 1) === 1), 'corrected'),
    words(corrected.filter(({ times }) => (times ?? 1) > 1), 'corrected again'),
    words(resolved, 'resolved'),
    unreachable.length > 0 ? `unreachable: ${compressHosts(unreachable)}` : '',
    failed.length > 0 ? `failed: ${compressHosts(failed)}` : '',
    ...held.map((reason) => `guarded, nothing was changed: ${reason}`),
    standing.error ?? '',
    stands ? '' : 'all is as described',
  ].filter((part) => part !== '').join('; ');
  return { why, text, state: trouble.length > 0 ? 'trouble' : open.length > 0 ? 'drift' : 'clean', findings: open, resolved, corrected, unreachable: [...unreachable], failed: [...failed], held: [...held], error: standing.error ?? null };
}

/** What is remembered as told once the command has taken it. */
export function toldNow(standing: Standing, before: Told = NOTHING, at: string): Told {
  // What an error hid is still thought to be as it was.
  const findings = standing.error === undefined ? kept(standing.findings) : before.findings;
  return { at, findings, trouble: troubleOf(standing), unsaid: [] };
}

/** What is remembered where the command failed: all of it is told the next time, and corrections are news but once. */
export function untold(standing: Standing, before: Told = NOTHING): Told {
  const corrected = standing.findings.filter(({ state, times }) => state === 'corrected' && (times ?? 1) === 1).map(keptOf);
  return { ...before, unsaid: [...before.unsaid, ...corrected] };
}

/** Each thing that keeps a host, or all, from being looked at or corrected. */
function troubleOf({ unreachable, failed, held, error }: Standing): string[] {
  return [...unreachable.map((host) => `unreachable ${host}`), ...failed.map((host) => `failed ${host}`), ...(held.length > 0 ? ['held'] : []), ...(error === undefined ? [] : [`error ${error}`])].sort();
}

/** `3 still drifted on web[1-3] (Write the site, Install nginx, for 3 h)` */
function words(findings: readonly Finding[], what: string, more = ''): string {
  if (findings.length === 0) return '';
  const tasks = [...new Set(findings.map(({ task }) => oneLine(task)))];
  return `${findings.length} ${what} on ${compressHosts([...new Set(findings.map(({ host }) => host))])} (${tasks.slice(0, 3).join(', ')}${tasks.length > 3 ? ` and ${tasks.length - 3} more tasks` : ''}${more})`;
}

/**
 * Runs the command with `sh -c`, the message on its standard input as JSON (known secrets masked), its output kept back.
 * @returns what went wrong, for people; undefined where it exited 0
 */
export function runCommand(command: string, message: object, env: NodeJS.ProcessEnv, patience = PATIENCE): Promise<string | undefined> {
  return new Promise((resolve) => {
    // A group of its own, so that all it started can be ended with it.
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env });
    let said = '';
    let why: string | undefined;
    const note = (piece: Buffer): void => void (said = (said + piece.toString()).slice(-SHOWN));
    child.stdout.on('data', note);
    child.stderr.on('data', note);
    const end = (reason: string): void => {
      why ??= reason;
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    };
    const interrupt = (): void => end('interrupted');
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, interrupt);
    const timer = setTimeout(() => end(`ended after ${patience} s`), patience * 1000);
    const done = (reason: string | undefined): void => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, interrupt);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve(reason === undefined ? undefined : [reason, mask.text(said.trim())].filter((part) => part !== '').join(': '));
    };
    child.on('error', (error) => done(error.message));
    const ended = (code: number | null, signal: string | null): void => done(why ?? (code === 0 ? undefined : signal ? `ended by ${signal}` : `exit status ${code}`));
    child.on('close', ended);
    // What it left in the background may hold its output open: its own end is what counts.
    child.on('exit', (code, signal) => setTimeout(() => ended(code, signal), 200));
    // It may end without having read all.
    child.stdin.on('error', () => {});
    child.stdin.end(`${JSON.stringify(mask.data(message))}\n`);
  });
}
