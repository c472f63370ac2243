import { accessSync, constants, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ContentError } from '../value/errors.js';
import { type Disabled, type State, type Subject, nameOf, writeAtomically } from './state.js';

/** The file of a subject's metrics: `path` itself, or where that is a folder a file in it. */
export function metricsFile(path: string, subject: Subject): string {
  return isFolder(path) ? join(path, `muster-drift-${nameOf(subject)}.prom`) : path;
}

/** @throws ContentError where no metrics could be written there, or nobody would read them: before any host is touched */
export function checkMetricsFile(file: string): void {
  if (!file.endsWith('.prom')) throw new ContentError(`metrics cannot be kept in ${file}`, undefined, 'node_exporter reads files that end in .prom; name one, or the folder it reads');
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    throw new ContentError(`metrics cannot be kept in ${file}: ${(error as Error).message}`);
  }
}

/** Replaces the metrics of a subject as a whole; anybody may read them. */
export function writeMetrics(file: string, subject: Subject, state: State, disabled: Disabled | undefined): void {
  writeAtomically(file, metricsText(subject, state, disabled), 0o644);
}

interface Family {
  name: string;
  help: string;
  /** With the value of the label `host`, where it is of a host. */
  samples: [host: string | undefined, value: number][];
}

/** Prometheus' text format (exposition_formats, version 0.0.4), for node_exporter's textfile collector. All are gauges. */
export function metricsText(subject: Subject, state: State, disabled: Disabled | undefined): string {
  const { last, success, findings } = state;
  const hosts = [...new Set([...(last?.hosts ?? []), ...state.unreachable, ...state.failed, ...findings.map(({ host }) => host)])].sort();
  const drifted = new Map<string, Set<string>>();
  for (const { host, task } of findings) drifted.set(host, (drifted.get(host) ?? new Set()).add(task));
  const byHost = (value: (host: string) => number): Family['samples'] => hosts.map((host) => [host, value(host)]);
  const one = (value: number | undefined): Family['samples'] => (value === undefined ? [] : [[undefined, value]]);
  const families: Family[] = [
    { name: 'disabled', help: 'Whether drift is switched off (muster drift --disable).', samples: one(disabled ? 1 : 0) },
    { name: 'last_run_timestamp_seconds', help: 'When the last run ended.', samples: one(last && Date.parse(last.at) / 1000) },
    { name: 'last_success_timestamp_seconds', help: 'When a run last could look at everything and no guard held it.', samples: one(success === undefined ? undefined : Date.parse(success) / 1000) },
    { name: 'duration_seconds', help: 'How long the last run took.', samples: one(last?.seconds) },
    { name: 'exit_code', help: 'Exit code of the last run: 0 clean, 1 content, 2 drift, 3 failed, 4 unreachable, 6 guarded, 130 interrupted.', samples: one(last?.exit) },
    { name: 'drifted_tasks', help: 'Tasks whose state on the host is not as described.', samples: byHost((host) => drifted.get(host)?.size ?? 0) },
    { name: 'corrected_tasks', help: 'Tasks that the last run put right on the host.', samples: byHost((host) => last?.corrected[host] ?? 0) },
    { name: 'host_unreachable', help: 'Whether the host was out of reach in the last run.', samples: byHost((host) => Number(state.unreachable.includes(host))) },
    { name: 'host_failed', help: 'Whether a task failed on the host in the last run.', samples: byHost((host) => Number(state.failed.includes(host))) },
  ];
  const labels = { playbook: subject.playbooks.join(','), inventory: subject.inventory.join(','), ...(subject.view.length > 0 ? { view: subject.view.join(' ') } : {}) };
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, samples }) => {
      const full = `muster_drift_${name}`;
      const lines = samples.map(([host, value]) => `${full}{${labelText(host === undefined ? labels : { ...labels, host })}} ${value}`);
      return [`# HELP ${full} ${help}`, `# TYPE ${full} gauge`, ...lines, ''].join('\n');
    })
    .join('');
}

function labelText(labels: { [name: string]: string }): string {
  return Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))}"`).join(',');
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
