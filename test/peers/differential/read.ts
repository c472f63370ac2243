import { isDeepStrictEqual } from 'node:util';
import type { Event } from '../../../src/report/events.js';

/** What a host came to at a task, or at an item of its loop. */
export interface Line {
  task: string;
  host: string;
  status: 'ok' | 'changed' | 'skipped' | 'failed' | 'unreachable';
  /** What `debug` said; Ansible tells it of a few other tasks too. */
  said?: unknown;
}

/** The lines of a task stand together; within a task the hosts are in the order of their names. */
type Steps = { task: string; lines: (Line & { whole?: boolean })[] }[];

/** `muster apply --output json`. */
export function readMuster(output: string): Line[] {
  const events = output.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Event);
  const steps: Steps = [];
  const names = new Map<string, { task: string; action: string }>();
  for (const event of events) {
    if (event.event === 'task') {
      names.set(event.id, event);
      if (event.action !== 'meta') steps.push({ task: event.task, lines: [] });
    } else if (event.event === 'item' || event.event === 'result') {
      const { id, host, result } = event;
      const { action, task } = names.get(id) ?? { action: '', task: event.event === 'result' ? event.task : '' };
      if (action === 'meta') continue;
      const { status } = result;
      const plain = status === 'ignored' ? (result.data['unreachable'] === true ? 'unreachable' : 'failed') : status === 'rescued' || status === 'unknown' ? 'failed' : status;
      // Ansible does not print what is for itself.
      const { changed, failed, ansible_loop_var, ansible_index_var, _ansible_delegated_vars, ...said } = result.data;
      for (const variable of [ansible_loop_var, ansible_index_var]) if (typeof variable === 'string') delete said[variable];
      const step = steps.findLast((each) => each.task === task) ?? { task, lines: [] };
      if (!steps.includes(step)) steps.push(step);
      step.lines.push({ task, host, status: plain, ...(action === 'debug' && (plain === 'ok' || plain === 'changed') ? { said } : {}), whole: event.event === 'result' });
    }
  }
  return inOrder(steps);
}

const RESULT = /^(ok|changed|skipping|failed|fatal): \[([^\] ]+)(?: -> [^\]]*)?\](?:: (FAILED|UNREACHABLE)!)?(?: =>)? ?(\(item=.*?\)(?: => |\s*$)|\(item=.*?\)\s+=> )?(\{.*)?$/s;

/** Output of `ansible-playbook -v`. */
export function readAnsible(output: string): Line[] {
  const steps: Steps = [];
  const lines = output.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const banner = /^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$/.exec(line);
    if (banner) {
      steps.push({ task: banner[1]!, lines: [] });
      continue;
    }
    const step = steps.at(-1);
    if (!step) continue;
    const found = RESULT.exec(line);
    if (!found) continue;
    const [, word, host, bad, item, json] = found;
    const status = bad === 'UNREACHABLE' || (word === 'failed' && /"unreachable": true/.test(json ?? '')) ? 'unreachable' : word === 'fatal' ? 'failed' : word === 'skipping' ? 'skipped' : (word as Line['status']);
    let said: unknown;
    if (json === '{') {
      const end = lines.indexOf('}', i);
      // Python's JSON has numbers that JSON has not, and Muster writes integers beyond 2^53 as texts.
      const text = lines.slice(i, end + 1).join('\n').slice(line.length - 1)
        .replace(/^( +(?:"\w+": )?)(?:-?Infinity|NaN)(?=,?$)/gm, '$1null')
        .replace(/^( +(?:"\w+": )?)(-?\d{16,})(?=,?$)/gm, (line, before: string, number: string) => (Number.isSafeInteger(Number(number)) ? line : `${before}"${number}"`));
      const { changed, ...rest } = JSON.parse(text) as { changed?: boolean };
      said = rest;
      i = end;
    }
    step.lines.push({ task: step.task, host: host!, status, ...(said === undefined ? {} : { said }), whole: item === undefined });
  }
  return inOrder(steps.filter(({ task }) => !/(?:^| : )meta$/.test(task)));
}

/** Of a loop the items are compared: what a loop comes to is its items'. */
function inOrder(steps: Steps): Line[] {
  return steps.flatMap(({ lines }) => {
    const looped = new Set(lines.filter(({ whole }) => whole === false).map(({ host }) => host));
    return lines.filter(({ whole, host }) => !whole || !looped.has(host)).map(({ whole, ...line }) => line).toSorted((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0));
  });
}

/** Where two runs part, as text; empty when they say the same. @param except names of tasks whose words may differ */
export function compare(ours: readonly Line[], theirs: readonly Line[]): string[] {
  const parted: string[] = [];
  const shown = (line: Line | undefined) => (line ? `${line.host} ${line.status}${line.said === undefined ? '' : ` ${JSON.stringify(line.said)}`}` : 'nothing');
  for (let i = 0, j = 0; i < ours.length || j < theirs.length; ) {
    const [our, their] = [ours[i], theirs[j]];
    if (our && their && our.task === their.task && our.host === their.host) {
      if (our.status !== their.status || (our.said !== undefined && their.said !== undefined && !isDeepStrictEqual(our.said, their.said))) parted.push(`[${our.task}]\n  ansible: ${shown(their)}\n  muster:  ${shown(our)}`);
      i++, j++;
      continue;
    }
    // Whoever has it later left something out or put something in.
    const same = (a: Line | undefined) => (b: Line) => a !== undefined && a.task === b.task && a.host === b.host;
    const later = theirs.slice(j).findIndex(same(our));
    const earlier = ours.slice(i).findIndex(same(their));
    if (their && (earlier < 0 || (later >= 0 && later <= earlier))) parted.push(`[${their.task}]\n  ansible: ${shown(their)}\n  muster:  nothing`), j++;
    else parted.push(`[${our!.task}]\n  ansible: nothing\n  muster:  ${shown(our)}`), i++;
  }
  return parted;
}
