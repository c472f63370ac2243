import type { Task } from '../playbook/types.js';
import type { Frame } from './call.js';
import { handlersCalled } from './called.js';
import type { HostRun } from './host.js';
import { include, isInclude } from './includes.js';
import { meta } from './meta.js';
import type { Run } from './run.js';
import { runTask } from './task.js';

/**
 * Runs what was notified: each handler once for each host that notified it, in the order handlers are written,
 * and what handlers notify in turn. One that ran and is notified again waits for the next flush, so that handlers that
 * notify each other come to an end.
 */
export async function flush(run: Run, frame: Frame, hosts: readonly HostRun[]): Promise<void> {
  const { play } = frame;
  const pending = new Map<HostRun, Set<Task>>(hosts.map((host) => [host, new Set()]));
  const ran = new Map<HostRun, Set<Task>>(hosts.map((host) => [host, new Set()]));
  const again = new Map<HostRun, Set<string>>(hosts.map((host) => [host, new Set()]));
  const expand = () => {
    for (const [host, tasks] of pending) {
      for (const name of host.notified) {
        const all = handlersCalled(run, frame, name, host);
        const called = all.filter((handler) => !ran.get(host)!.has(handler));
        if (called.length < all.length) again.get(host)!.add(name);
        run.pending.owe(host, play, name, called);
        for (const handler of called) tasks.add(handler);
      }
      host.notified.clear();
    }
  };
  for (expand(); [...pending].some(([host, tasks]) => host.running && tasks.size > 0) && !run.stopping; expand()) {
    for (const handler of play.handlers) {
      const called = hosts.filter((host) => host.running && pending.get(host)!.delete(handler));
      if (called.length === 0 || run.stopping) continue;
      const inner: Frame = { entries: [handler], index: 0, play, includes: frame.includes, parent: frame, confirm: frame.confirm, unit: 'handlers' };
      for (const host of called) ran.get(host)!.add(handler);
      run.pending.begin(called, handler);
      await (handler.action === 'meta' ? meta : isInclude(handler) ? include : runTask)(run, inner, handler, called);
      run.pending.end(called, handler);
      expand();
    }
  }
  for (const [host, names] of again) for (const name of names) host.notified.add(name);
}
