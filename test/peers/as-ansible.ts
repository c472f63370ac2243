import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Event, TaskResult } from '../../src/report/events.js';

/**
 * Ansible's commands as the scripts of its suite call them, done by Muster: `node as-ansible.js COMMAND [ARGUMENT…]`.
 * What runs plays is told as Ansible's default callback tells it (docs.ansible.com, ansible.builtin.default), as far as
 * scripts look for it: names of plays and tasks, results with their data, the recap.
 */
const VERBS: { [command: string]: string[] } = {
  'ansible-playbook': ['apply'],
  ansible: ['exec'],
  'ansible-inventory': ['inventory'],
  'ansible-vault': ['vault'],
};
/** Ansible's exit codes for Muster's. */
const CODES: { [code: number]: number } = { 1: 4, 2: 0, 3: 2 };

const [command = '', ...given] = process.argv.slice(2);
const verb = VERBS[command];
if (verb === undefined) {
  console.error(`ERROR! Muster has nothing that stands for ${command}`);
  process.exit(250);
}
const verbosity = given.reduce((sum, word) => sum + (/^-v+$/.test(word) ? word.length - 1 : 0), 0);
const playing = (verb[0] === 'apply' || verb[0] === 'exec') && !given.some((word) => /^--(list-\w+|syntax-check|help|version)$/.test(word));
const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
// An inventory that is not there is a warning to Ansible.
const words = given.filter((word, i) => !isMissingInventory(given[i - 1], word) && !isMissingInventory(word, given[i + 1]));
const child = spawn(process.execPath, [main, ...verb, ...words, ...(playing ? ['--output', 'json'] : [])], {
  stdio: ['inherit', playing ? 'pipe' : 'inherit', 'pipe'],
});

function isMissingInventory(flag: string | undefined, path: string | undefined): boolean {
  return (flag === '-i' || flag === '--inventory') && path !== undefined && !path.includes(',') && !existsSync(path);
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const sayError = (line: string): void => void process.stderr.write(`${line}\n`);
if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => tell(JSON.parse(line) as Event));
createInterface({ input: child.stderr! }).on('line', (line) => sayError(line.replace(/^muster: warning: /, '[WARNING]: ')));
child.on('close', (code) => {
  if (code === 1) sayError('ERROR! Muster refuses this, for what stands above');
  process.exitCode = code === null ? 250 : (CODES[code] ?? code);
});

/** Tasks that show their result whatever the verbosity. */
const TALKING = new Set(['debug', 'assert']);
const actions = new Map<string, string>();

function tell(event: Event): void {
  switch (event.event) {
    case 'play':
      return say(`\nPLAY [${event.play}] ***`);
    case 'task':
      actions.set(event.id, event.action.replace(/^ansible\.(builtin|legacy)\./, ''));
      return say(`\n${event.handler ? 'RUNNING HANDLER' : 'TASK'} [${event.task}] ***`);
    case 'item':
      return show(event.host, event.id, event.result, ` => (item=${event.label})`);
    case 'result': {
      const at = event.delegate === undefined ? event.host : `${event.host} -> ${event.delegate}`;
      const isLoop = Array.isArray(event.result.data['results']) && event.result.data['msg'] !== undefined;
      if (isLoop && event.result.status !== 'failed' && event.result.status !== 'ignored' && event.result.status !== 'rescued') return undefined;
      show(at, event.id, isLoop ? { ...event.result, data: { msg: event.result.data['msg'] } } : event.result, '');
      if (event.result.status === 'ignored') say('...ignoring');
      return undefined;
    }
    case 'warning':
      return sayError(`[WARNING]: ${event.message}`);
    case 'note':
      return say(event.message);
    case 'retry':
      return say(`FAILED - RETRYING: [${event.host}]: ${event.task} (${event.retries - event.attempt} retries left).`);
    case 'recap':
      say('\nPLAY RECAP ***');
      for (const [host, { ok, changed, unreachable, failed, skipped, rescued, ignored }] of Object.entries(event.hosts)) {
        say(`${host} : ok=${ok} changed=${changed} unreachable=${unreachable} failed=${failed} skipped=${skipped} rescued=${rescued} ignored=${ignored}`);
      }
  }
}

function show(host: string, id: string, result: TaskResult, item: string): void {
  const { status, error: failure } = result;
  const data = failure === undefined ? result.data : { ...result.data, msg: result.data['msg'] || failure.message };
  const talking = TALKING.has(actions.get(id) ?? '');
  const text = status === 'ok' || status === 'changed' || status === 'skipped' ? (talking || verbosity > 0 ? ` => ${dump(data, talking ? '' : undefined)}` : '') : ` => ${dump(data, undefined)}`;
  if (status === 'ok' || status === 'changed') say(`${status}: [${host}]${item}${text}`);
  else if (status === 'skipped' || status === 'unknown') say(`skipping: [${host}]${item}${text}`);
  else if (item !== '') say(`failed: [${host}]${item.replace(' =>', '')}${text}`);
  else say(`fatal: [${host}]: ${status === 'unreachable' ? 'UNREACHABLE' : 'FAILED'}!${text}`);
}

/** JSON as Python writes it, with keys in order. @param indent of the line it stands on; undefined for one line */
function dump(value: unknown, indent: string | undefined): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = indent === undefined ? undefined : `${indent}    `;
  const members = Array.isArray(value)
    ? value.map((each) => dump(each, inner))
    : Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => `${JSON.stringify(key)}: ${dump(each, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  if (members.length === 0) return `${open}${close}`;
  return inner === undefined ? `${open}${members.join(', ')}${close}` : `${open}\n${inner}${members.join(`,\n${inner}`)}\n${indent}${close}`;
}
