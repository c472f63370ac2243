import { createInterface } from 'node:readline/promises';
import { ConnectionError } from '../../connection/connection.js';
import { join, raw, sh } from '../../shell/sh.js';
import type { Step } from '../../shell/step.js';
import { isCheck, type Call } from '../call.js';
import { willNotify } from '../conclude.js';
import { wayOf } from '../job.js';
import { inspectionOf } from '../perform.js';
import { fingerprint } from '../resume.js';
import { failed, outcome, unknown, type Outcome } from '../outcome.js';
import { parsedArguments } from './say.js';

/** Waits on the controller: a time, or for the operator's Enter. What was known of the hosts is old afterwards. */
export async function pause(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const { run } = call;
  const seconds = args.seconds !== undefined || args.minutes !== undefined ? Number(args.seconds ?? 0) + 60 * Number(args.minutes ?? 0) : undefined;
  const began = new Date();
  let typed = '';
  if (isCheck(call)) return outcome({ changed: false, stdout: 'not waited for in a plan' });
  if (seconds !== undefined) await run.sleep(seconds);
  else if (process.stdin.isTTY) {
    // The live line gives way to the question.
    run.emit({ event: 'idle', host: call.host.name });
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    typed = await terminal.question(`${String(args.prompt ?? 'Press enter to continue, Ctrl-C to stop')} `, { signal: run.options.stop }).catch(() => '');
    terminal.close();
  } else run.emit({ event: 'warning', message: 'nobody can be asked: standard input is not a terminal, so the pause is passed over', origin: call.task.origin });
  run.machines.forgetAll();
  const delta = Math.round((Date.now() - began.getTime()) / 1000);
  return outcome({ changed: false, user_input: typed, delta, start: began.toISOString(), stop: new Date().toISOString() });
}

/** Tries to log in until it works. */
export async function waitForConnection(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const { run } = call;
  if (isCheck(call)) return outcome({ changed: false, elapsed: 0 });
  const began = performance.now();
  await run.sleep(Number(args.delay));
  const error = await loginWithin(call, Number(args.timeout), Number(args.sleep));
  const elapsed = Math.round((performance.now() - began) / 1000);
  return error ? failed(`could not log in within ${args.timeout} s: ${error.message}`, { remedy: error.remedy, fields: { elapsed } }) : outcome({ changed: false, elapsed });
}

async function loginWithin(call: Call, timeout: number, pause: number, test = 'true', until: (answer: string) => boolean = () => true): Promise<ConnectionError | undefined> {
  const { machine, way } = wayOf(call);
  const end = performance.now() + timeout * 1000;
  for (;;) {
    let last: ConnectionError;
    try {
      machine.forget();
      await way.connection.reset();
      const answer = await machine.ask(way, inspectionOf(way, raw(test)), async () => []);
      if (answer.rc === 0 && until(answer.stdout)) return undefined;
      last = new ConnectionError('protocol', answer.stderr.trim() || `"${test}" did not answer as wanted`);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      last = error;
    }
    if (performance.now() >= end || call.run.stopping) return last;
    await call.run.sleep(Math.max(pause, 0.5));
  }
}

const BOOT_CHECK = 'last boot time check';

/** Reboots the machine and waits until it answers again from a new boot. */
export async function reboot(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const { run, host } = call;
  if (isCheck(call)) return unknown('a reboot is not made in a plan');
  const { machine, way, name } = wayOf(call);
  const began = performance.now();
  machine.forget();
  const bootMark = raw(String(args.boot_time_command));
  const before = (await machine.ask(way, inspectionOf(way, bootMark), async () => [])).stdout.trim();
  // As in Ansible, less than no delay is none.
  const [early, late] = [Math.max(0, Number(args.pre_reboot_delay)), Math.max(0, Number(args.post_reboot_delay))];
  const paths = (args.search_paths as string[]).join(':');
  const [prepare, command] = args.reboot_command === undefined
    ? [sh`c=$(PATH=${paths}; command -v shutdown) || { echo ${`Unable to find command "shutdown" in search paths: ${paths.replaceAll(':', ', ')}`} >&2; exit 1; }`, sh`"$c" -r now ${String(args.msg)}`]
    : [sh`PATH=$PATH:${paths}`, raw(String(args.reboot_command))];
  // A moment's delay lets the answer of this trip leave the machine before its sshd goes down.
  const step = { script: join([prepare, sh`( sleep ${early + 1}; ${command} ) >/dev/null 2>&1 &`]) };
  const known = await fingerprint(step, way);
  const earlier = run.resume?.take(call, known);
  if (earlier) return earlier;
  run.options.review?.({ host: host.name, task: call.task, index: call.loop === undefined ? undefined : call.index, check: false }, undefined);
  run.emit({ event: 'effect', effect: ++run.effects, host: host.name, id: call.task.id, task: 'reboot', changes: [], notifies: willNotify(call), command: known });
  try {
    const carry = (held: Step) => machine.effect(way, held, [], async () => []);
    const marked = (step: Step) => run.pending.marking(call, machine, way, step, (behind) => (run.locks ? run.locks.holding(machine, way, name, behind, carry) : carry(behind)));
    const { output } = await marked(step);
    if (output.rc !== 0) return failed(output.stderr.trim() || 'the reboot could not be ordered', { rc: output.rc, stderr: output.stderr, stdout: output.stdout });
  } catch (error) {
    if (!(error instanceof ConnectionError) || error.kind !== 'lost') throw error;
  }
  await run.sleep(early + 1 + late);
  const vain = (what: string, { message, remedy }: ConnectionError) => failed(`Timed out waiting for ${what} (timeout=${args.reboot_timeout})`, { stderr: message, remedy, fields: { rebooted: what !== BOOT_CHECK, elapsed: Math.round((performance.now() - began) / 1000) } });
  const error = await loginWithin(call, Number(args.reboot_timeout), 1, bootMark.text, (answer) => answer.trim() !== before);
  if (error) return vain(BOOT_CHECK, error);
  const proof = await loginWithin(call, Number(args.reboot_timeout), 1, String(args.test_command));
  if (proof) return vain('post-reboot test command', proof);
  return outcome({ changed: true, rebooted: true, elapsed: Math.round((performance.now() - began) / 1000) });
}
