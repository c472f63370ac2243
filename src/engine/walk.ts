import type { Block, Entry, Task } from '../playbook/types.js';
import { selected } from '../playbook/index.js';
import type { Dict } from '../value/value.js';
import { truthy, evaluate } from './evaluate.js';
import type { HostRun } from './host.js';
import { include, isInclude } from './includes.js';
import { meta } from './meta.js';
import type { PlayRun } from './play.js';
import type { Run } from './run.js';
import { scopeOf, single } from './scope.js';
import { runTask } from './task.js';

/**
 * Where the walk stands: an entry of a list, and what comes after the list. Reading on from here, through
 * the parents, gives the tasks behind the present one, which is all that looking ahead needs.
 */
export interface Frame {
  readonly entries: readonly Entry[];
  index: number;
  readonly play: PlayRun;
  /** Variables of the dynamic includes around, by host, outermost first. */
  readonly includes: readonly ReadonlyMap<string, Dict>[];
  readonly parent: Frame | undefined;
}

export function includesOf(frame: Frame, host: string): Dict[] {
  return frame.includes.flatMap((layer) => layer.get(host) ?? []);
}

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
  if (!isSelected(run, task)) return;
  if (task.action === 'meta') await meta(run, frame, task, hosts);
  else if (isInclude(task)) await include(run, frame, task, hosts);
  else await runTask(run, frame, task, hosts);
  if (failsAll(run, frame, task, hosts)) for (const host of hosts) host.failed ??= abandoned(hosts);
}

/** Tags, and `--start-at-task` until it is met. */
export function isSelected(run: Run, task: Task): boolean {
  if (!selected(task.tags, run.options.tags, run.options.skipTags)) return false;
  if (run.startAt === undefined || task.action === 'setup' || task.action === 'meta') return true;
  const name = typeof task.name === 'string' ? task.name : undefined;
  if (name === undefined || !(name === run.startAt || new RegExp(`^${globToRegExp(run.startAt)}$`).test(name))) return false;
  run.startAt = undefined;
  return true;
}

function globToRegExp(glob: string): string {
  return glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.');
}

/** `any_errors_fatal` and `max_fail_percentage`, judged after each task. */
function failsAll(run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]): boolean {
  const { play } = frame;
  const bad = hosts.filter((host) => host.failed !== undefined || host.unreachable);
  if (bad.length === 0) return false;
  const scope = () => scopeOf(run, { play, task, host: bad[0]!.name, includes: includesOf(frame, bad[0]!.name), ahead: false });
  const fatal = task.anyErrorsFatal ?? play.play.anyErrorsFatal;
  if (fatal !== undefined && truthy(evaluate(fatal, scope()))) return true;
  const limit = play.play.maxFailPercentage;
  if (limit === undefined) return false;
  const lost = play.batch.filter((name) => run.hosts.get(name)!.failed || run.hosts.get(name)!.unreachable).length;
  return (lost / play.batch.length) * 100 > Number(String(evaluate(limit, scope())));
}

function abandoned(hosts: readonly HostRun[]): NonNullable<HostRun['failed']> {
  return hosts.find((host) => host.failed)?.failed ?? hosts.find((host) => host.unreachable)!.lost!;
}

/** A role that is listed again: a host that ran something of it (not only skips) does not run it twice. */
async function walkOnce(run: Run, frame: Frame, block: Block, hosts: readonly HostRun[]): Promise<void> {
  const { once } = block;
  if (once === undefined) return walkBlock(run, frame, block, hosts);
  const taking = hosts.filter((host) => !host.rolesDone.has(once));
  const before = taking.map((host) => host.done);
  if (taking.length) await walkBlock(run, frame, block, taking);
  taking.forEach((host, i) => host.done > before[i]! && host.rolesDone.add(once));
}

async function walkBlock(run: Run, frame: Frame, block: Block, hosts: readonly HostRun[]): Promise<void> {
  const { play, includes } = frame;
  const afterwards: Frame = { entries: block.always, index: -1, play, includes, parent: frame };
  const inner = (entries: readonly Entry[], parent = afterwards): Frame => ({ entries, index: 0, play, includes, parent });
  const rescuing = block.rescue.length > 0;
  if (rescuing) for (const host of hosts) host.rescuers++;
  await walk(run, inner(block.block), hosts);
  if (rescuing) for (const host of hosts) host.rescuers--;

  const broken = hosts.filter((host) => host.failed && !host.unreachable);
  if (rescuing && broken.length && !run.stopping) {
    for (const host of broken) {
      run.variables.setRegistered(host.name, 'ansible_failed_result', host.failed!.data);
      run.variables.setRegistered(host.name, 'ansible_failed_task', single('name', host.failedTask ?? null));
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
