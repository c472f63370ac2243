import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { TripDecoder } from '../../src/connection/decode.js';
import { encodeTrip, type Encoding } from '../../src/connection/frames.js';
import type { Become, Effect, Inspection, Trip, TripResult } from '../../src/connection/connection.js';
import { raw, type Sh } from '../../src/shell/sh.js';

/** The shells a host may have; busybox and dash are fetched where they are missing. */
export const SHELLS: readonly (readonly [string, ...string[]])[] = [['dash'], ['bash', '--posix'], ['busybox', 'ash']];

/**
 * Installs a Debian package whose command is missing; one test process at a time.
 * @param service what the package would leave running
 */
export function need(command: string, pkg: string, service?: string): void {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = 'apt-get -o DPkg::Lock::Timeout=300';
  // Looked for under the lock as well: a command that is there may belong to a package still being set up by another process.
  const install = `command -v "$0" >/dev/null || {
    i="${apt} install -y --no-install-recommends $1"
    { $i || { ${apt} update && $i; }; } && { [ -z "$2" ] || systemctl disable --now "$2" || service "$2" stop || :; }
  }`;
  execFileSync('flock', ['/tmp/muster-test-apt.lock', 'sh', '-c', install, command, pkg, service ?? ''], { stdio: 'ignore', env });
}

export function inspection(script: Sh | string, become?: Become, environment: Record<string, string> = {}): Inspection {
  return { script: typeof script === 'string' ? raw(script) : script, become, environment };
}

export function effect(script: Sh | string, more: Partial<Omit<Effect, 'script' | 'step'>> & Partial<Effect['step']> = {}): Omit<Effect, 'script'> {
  const { become, environment = {}, onOutput, uploads, timeout, kept, hangsUp } = more;
  const step = { script: typeof script === 'string' ? raw(script) : script, ...(uploads && { uploads }), ...(timeout !== undefined && { timeout }), ...(kept !== undefined && { kept }), ...(hangsUp && { hangsUp }) };
  return { step, become, environment, ...(onOutput && { onOutput }) };
}

/** Runs a trip through a shell on this machine, as a connection would. */
export async function run(shell: readonly string[], trip: Trip, more: Partial<Encoding> = {}): Promise<{ decoder: TripDecoder; result: TripResult }> {
  const boundary = randomBytes(16).toString('hex');
  const decoder = new TripDecoder(trip, boundary, trip.effect?.onOutput);
  await feed(shell, encodeTrip(trip, { boundary, ...more }), decoder);
  return { decoder, result: decoder.result('here') };
}

/** Gives a script to a shell and its output to a decoder, until the trip is over or the shell has gone. */
export async function feed(shell: readonly string[], script: string, decoder: TripDecoder): Promise<void> {
  const child = spawn(shell[0]!, shell.slice(1), { stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    const take = (push: (chunk: Buffer) => void) => (chunk: Buffer) => {
      push(chunk);
      if (decoder.done) resolve();
    };
    child.stdout.on('data', take((chunk) => decoder.stdout(chunk)));
    child.stderr.on('data', take((chunk) => decoder.stderr(chunk)));
    child.once('error', reject);
    child.once('close', () => resolve());
    child.stdin.end(script);
  });
  child.stdout.destroy();
  child.stderr.destroy();
}
