import type { Block, Entry, Task } from '../playbook/types.js';
import { callOf, isTrue, numberOf, scopeFor, type Frame } from './call.js';
import { confirmed } from './confirm.js';
import type { HostRun } from './host.js';
import { include, isInclude } from './includes.js';
import { meta } from './meta.js';
import { bare, conclude } from './conclude.js';
import { outcomeOfError } from './outcome.js';
import type { Run } from './run.js';
import { isSelected } from './select.js';
import { runTask } from './task.js';

/**
 * Takes the hosts through a list of entries, task by task: no host begins an effect of one before all are
 * through the one before. (`free` and `host_pinned` are this walk with one host in it.)
 */
export async function walk(run: Run, frame: Frame, hosts: readonly HostRun[]): Promise<void> {
  for (; frame.index < frame.entries.length; frame.index++) {
    if (run.stopping || frame.play.over) return;
    const entry = frame.entries[frame.index]!;
    const here = hosts.filter((host) => host.running && !leftRole(host, entry));
    if (here.length === 0) {
      if (!hosts.some((host) => host.running)) return;
      continue;
    }
    if (entry.kind === 'block') await walkOnce(run, frame, entry, here);
    else await walkTask(run, frame, entry, here);
  }
}

/** `meta: end_role` takes a host out of the rest of that role. */
function leftRole(host: HostRun, entry: Entry): boolean {
  if (host.endedRole === undefined) return false;
  if (entry.kind === 'task' && entry.role?.path === host.endedRole) return true;
  if (entry.kind === 'block') return entry.block.length > 0 && entry.block.every((inner) => leftRole(host, inner));
  host.endedRole = undefined;
  return false;
}

async function walkTask(run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]): Promise<void> {
  try {
    if (!isSelected(run, task, () => scopeFor(callOf(run, frame, task, hosts[0]!)))) return;
    if (task.action === 'meta') await meta(run, frame, task, hosts);
    else if (isInclude(task)) await include(run, frame, task, hosts);
    else await runTask(run, frame, task, hosts);
  } catch (error) {
    // What concerns the task as a whole (run_once, throttle, a word of meta) fails it for all.
    for (const host of hosts) conclude(callOf(run, frame, bare(task), host), task.actionAsWritten, outcomeOfError(error, "working out the task's keywords"), 0, [host]);
  }
  if (failsAll(run, frame, task, hosts)) for (const host of hosts) host.failed ??= abandoned(hosts);
}

/** `any_errors_fatal` and `max_fail_percentage`, judged after each task. */
function failsAll(run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]): boolean {
  const { batch, play } = frame.play;
  const bad = hosts.find((host) => host.failed || host.lost);
  if (!bad) return false;
  const call = callOf(run, frame, task, bad);
  const fatal = task.anyErrorsFatal ?? play.anyErrorsFatal;
  if (fatal !== undefined && isTrue(call, fatal)) return true;
  if (play.maxFailPercentage === undefined) return false;
  const lost = batch.map((name) => run.hosts.get(name)!).filter((host) => host.failed || host.lost).length;
  return (lost / batch.length) * 100 > numberOf(call, play.maxFailPercentage, 'max_fail_percentage');
}

function abandoned(hosts: readonly HostRun[]): NonNullable<HostRun['failed']> {
  return hosts.find((host) => host.failed)?.failed ?? hosts.find((host) => host.lost)!.lost!;
}

/** A role that is listed again: a host that ran something of it (not only skips), and came to its end, does not run it twice. */
async function walkOnce(run: Run, frame: Frame, block: Block, hosts: readonly HostRun[]): Promise<void> {
  const { once } = block;
  if (once === undefined) return walkBlock(run, frame, block, hosts);
  const taking = hosts.filter((host) => !host.rolesDone.has(once));
  const before = taking.map((host) => host.done);
  if (taking.length) await walkBlock(run, frame, block, taking);
  taking.forEach((host, i) => host.done > before[i]! && !host.failed && !host.lost && host.rolesDone.add(once));
}

async function walkBlock(run: Run, frame: Frame, block: Block, hosts: readonly HostRun[]): Promise<void> {
  const { play, includes, confirm } = frame;
  const rescuing = block.rescue.length > 0;
  const unit = frame.unit ?? (rescuing || block.always.length > 0 || block.confirm ? block : undefined);
  const afterwards: Frame = { entries: block.always, index: -1, play, includes, parent: frame, confirm, unit };
  const inner = (entries: readonly Entry[], parent = afterwards): Frame => ({ entries, index: 0, play, includes, parent, confirm, unit });
  if (rescuing) for (const host of hosts) host.rescuers++;
  const tasks = inner(block.block);
  // Within another the confirmation of the outer one counts for both.
  if (block.confirm && !confirm) await confirmed(run, tasks, block, hosts, (confirming, taking) => walk(run, { ...tasks, confirm: confirming }, taking));
  else await walk(run, tasks, hosts);
  if (rescuing) for (const host of hosts) host.rescuers--;

  const broken = hosts.filter((host) => host.failed && !host.lost);
  if (rescuing && broken.length && !run.stopping) {
    for (const host of broken) {
      run.variables.setRegistered(host.name, 'ansible_failed_result', host.failed!.data);
      run.variables.setRegistered(host.name, 'ansible_failed_task', host.failedTask ?? null);
      host.failed = undefined;
    }
    await walk(run, inner(block.rescue), broken);
  }
  if (block.always.length) {
    const failures = new Map<HostRun, NonNullable<HostRun['failed']>>();
    for (const host of hosts) {
      if (!host.failed) continue;
      failures.set(host, host.failed);
      host.failed = undefined;
    }
    await walk(run, inner(block.always, frame), hosts);
    for (const [host, failure] of failures) host.failed ??= failure;
  }
}
