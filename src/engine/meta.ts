import type { Task } from '../playbook/types.js';
import { ContentError } from '../value/errors.js';
import { toPlain } from '../value/value.js';
import { callOf, scopeFor, type Frame } from './call.js';
import { evaluate, holds } from './evaluate.js';
import { handlersCalled } from './called.js';
import { flush } from './handlers.js';
import type { HostRun } from './host.js';
import { wayOf } from './job.js';
import { outcomeOfError, told } from './outcome.js';
import type { Run } from './run.js';


/** What `meta:` can be told, each for the hosts whose condition holds. */
const WORDS: { [word: string]: (run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]) => Promise<void> | void } = {
  noop: () => {},
  flush_handlers: async (run, frame, task, hosts) => {
    if (frame.unit === 'handlers') throw new ContentError('flush_handlers cannot be a handler', task.origin, 'notify the handlers it would flush');
    // What a confirmed block did not notify does not run within it.
    if (!frame.confirm) await run.pending.recall(frame, hosts, (name, host) => handlersCalled(run, frame, name, host).length > 0);
    await flush(run, frame, hosts);
  },
  end_host: (_run, _frame, _task, hosts) => end(hosts),
  end_batch: (run, frame) => end(frame.play.batch.map((name) => run.hosts.get(name)!)),
  end_play: (run, frame) => {
    frame.play.over = true;
    end(frame.play.members.map((name) => run.hosts.get(name)!));
  },
  end_role: (_run, _frame, task, hosts) => {
    for (const host of hosts) host.endedRole = task.role?.path;
  },
  clear_facts: (run, _frame, _task, hosts) => {
    for (const host of hosts) {
      run.variables.facts(host.name).clear();
      run.factCache.forget(host.name);
    }
  },
  clear_host_errors: (run, frame) => {
    for (const name of frame.play.members) {
      const host = run.hosts.get(name)!;
      // They are there for the plays behind; this one does not go on with them.
      if (host.failed || host.lost) end([host]);
      host.failed = undefined;
      host.lost = undefined;
    }
  },
  refresh_inventory: (run) => run.refreshInventory(),
  reset_connection: async (run, frame, task, hosts) => {
    for (const host of hosts) {
      const { machine, way } = wayOf(callOf(run, frame, task, host));
      machine.forget();
      await way.connection.reset();
    }
  },
};

export const metaWords: readonly string[] = Object.keys(WORDS);

export async function meta(run: Run, frame: Frame, task: Task, hosts: readonly HostRun[]): Promise<void> {
  const held: HostRun[] = [];
  for (const host of hosts) {
    try {
      if (holds(task.when, scopeFor(callOf(run, frame, task, host)))) held.push(host);
    } catch (error) {
      host.failed = outcomeOfError(error, 'reading the condition (when)');
      host.recap.failed++;
      run.emit({ event: 'result', host: host.name, id: task.id, task: 'meta', origin: task.origin, delegate: undefined, result: told(host.failed, 'failed', 0, false) });
    }
  }
  if (held.length === 0) return;
  const scope = scopeFor(callOf(run, frame, task, held[0]!));
  const word = String(toPlain(evaluate(task.freeForm ?? '', scope), true)).trim();
  const act = WORDS[word];
  if (!act) throw new ContentError(`meta has no "${word}"`, task.origin, `it knows ${metaWords.join(', ')}`);
  await act(run, frame, task, held);
}

function end(hosts: readonly HostRun[]): void {
  for (const host of hosts) host.ended = true;
}
