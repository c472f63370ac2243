import { relative, resolve } from 'node:path';
import type { KeptRun } from '../src/journal/index.js';
import { EXIT, UsageError } from './exit.js';
import type { Flags } from './options.js';
import type { Prepared } from './run.js';

/**
 * What `--resume` and `--retry-failed` make of a run: it goes on with the last one of these playbooks and this inventory.
 * @returns the run as it is to be made; a text where nothing is left to do
 * @throws UsageError where no such run is kept
 */
export async function goingOn(prepared: Prepared, flags: Flags): Promise<Prepared | string> {
  const last = await lastRun(prepared);
  const { run } = last.begin;
  const named = prepared.playbooks.join(', ');
  let made = prepared;
  if (flags.retryFailed) {
    const { loadInventory, matchHosts } = await import('../src/inventory/index.js');
    const inventory = await loadInventory(prepared.inventory);
    const within = matchHosts('all', inventory, { limit: prepared.limit }).hosts;
    const failed = [...(await unfinished(last))];
    const again = failed.filter((host) => within.includes(host));
    if (again.length === 0) return failed.length === 0 ? `nothing to retry: no host failed or was out of reach in run ${run} of ${named}` : `nothing to retry: of the hosts that failed in run ${run} (${failed.join(', ')}) none is meant`;
    made = { ...made, limit: `${again.join(',')},` };
  }
  if (flags.resume) {
    if (last.end?.exitCode === EXIT.done) return `nothing to resume: run ${run} of ${named} went well to its end`;
    made = { ...made, resume: { folder: last.path, run } };
  }
  return made;
}

async function lastRun({ journalDir, projectDir, playbooks, inventory }: Prepared): Promise<KeptRun> {
  if (journalDir === undefined) throw new UsageError('muster: no journal is kept, so the last run is not known; set "journal" in muster.yml to a folder');
  const { keptRuns } = await import('../src/journal/index.js');
  // However they were written: from where the run began, or from here.
  const place = (name: string) => relative(projectDir, resolve(name));
  const same = (kept: readonly string[], now: readonly string[]) => kept.length === now.length && kept.every((name, i) => name === now[i] || place(name) === place(now[i]!) || name === place(now[i]!));
  for (const kept of keptRuns(journalDir)) {
    const { begin } = kept;
    if (!begin.check && (begin.verb === 'apply' || begin.verb === 'drift') && same(begin.playbooks, playbooks) && same(begin.inventory, inventory)) return kept;
  }
  throw new UsageError(`muster: no run of ${playbooks.join(', ')} with this inventory is kept in ${journalDir}`);
}

/** Hosts that failed or were out of reach; of a run that was killed all that it was for. */
async function unfinished({ end, path }: KeptRun): Promise<Set<string>> {
  const { keptEvents } = await import('../src/journal/index.js');
  const hosts = new Set<string>();
  if (end) for (const [host, { failed, unreachable }] of Object.entries(end.hosts)) if (failed + unreachable > 0) hosts.add(host);
  if (!end) for (const event of keptEvents(path)) if (event.event === 'play') for (const host of event.hosts) hosts.add(host);
  return hosts;
}
