import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Message } from '../../src/drift/tell.js';
import type { Event, Finding } from '../../src/report/events.js';
import { parseMetrics } from '../drift/prometheus.js';
import { folder } from './folder.js';
import { muster, type Ran } from './muster.js';

const SITE = `- hosts: all
  gather_facts: false
  tasks:
    - name: Can go wrong
      command: test ! -e {{ playbook_dir }}/broken-{{ inventory_hostname }}
      changed_when: false
      check_mode: false
    - name: Write the greeting
      copy: {content: "hello\\n", dest: "{{ playbook_dir }}/out-{{ inventory_hostname }}"}
    - name: Write more
      copy: {content: "{{ item }}\\n", dest: "{{ playbook_dir }}/{{ item }}-{{ inventory_hostname }}"}
      loop: [a, b]
    - name: Write the password
      copy: {content: "hush hush\\n", dest: "{{ playbook_dir }}/secret-{{ inventory_hostname }}"}
      no_log: true
`;
const HOSTS = `all:
  vars: {ansible_connection: local}
  hosts: {h1: , h2: }
`;
/** Nothing listens there. */
const AWAY = `all:
  vars: {ansible_connection: local}
  hosts: {h1: , h2: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}}
`;

interface Project {
  cwd: string;
  drift: (...args: string[]) => Promise<Ran>;
  /** The findings of a look, as `host task field state`. */
  found: (...args: string[]) => Promise<string[]>;
  spoil: (...files: string[]) => Promise<void>;
}

async function project(t: ExecutionContext, settings = ''): Promise<Project> {
  const cwd = await folder(t, { 'site.yml': SITE, 'hosts.yml': HOSTS, 'muster.yml': `inventory: hosts.yml\n${settings}` });
  const applied = await muster(['apply', 'site.yml'], { cwd });
  t.is(applied.code, 0, applied.stdout + applied.stderr);
  const drift = (...args: string[]) => muster(['drift', 'site.yml', ...args], { cwd });
  return {
    cwd,
    drift,
    found: async (...args) => findingsOf(await drift('--output', 'json', ...args)).map(({ host, task, item, field, state }) => [host, task, item, field, state].filter(Boolean).join(' ')),
    spoil: async (...files) => void (await Promise.all(files.map((file) => writeFile(join(cwd, file), `by hand ${file}\n`)))),
  };
}

function findingsOf(ran: Ran): Finding[] {
  const events = ran.stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Event);
  if (events.at(-1)!.event !== 'recap') throw new Error(`the last line is no recap: ${ran.stdout}${ran.stderr}`);
  return events.flatMap((event) => (event.event === 'drift' ? event.findings : []));
}

/** What drift remembers of the project, made older by so many hours. */
async function grow(cwd: string, hours: number): Promise<void> {
  const name = (await readdir(join(cwd, '.muster', 'drift'))).find((each) => /^site-[0-9a-f]{8}\.json$/.test(each))!;
  const file = join(cwd, '.muster', 'drift', name);
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/"(since|at|first|last)":"([^"]+)"/g, (_, key: string, at: string) => `"${key}":"${new Date(Date.parse(at) - hours * 3_600_000).toISOString()}"`));
}

test('drift is new, then has an age, and is told once when somebody else has put it right', async (t) => {
  const { cwd, drift, spoil } = await project(t);
  t.deepEqual(await drift(), { code: 0, stdout: '', stderr: '' });
  await spoil('out-h2', 'a-h1');
  const first = await drift();
  t.is(first.code, 2);
  t.is(first.stdout, 'drifted      Write the greeting · h2 (new)\n             content\ndrifted      Write more · h1 (new)\n             changed a\n               content\n');
  await grow(cwd, 3);
  await spoil('out-h1');
  const second = await drift();
  t.regex(second.stdout, /^drifted {6}Write the greeting · h1 \(new\)\n {13}content\ndrifted {6}Write the greeting · h2 \(since \d{4}-\d\d-\d\d \d\d:\d\d, 3 h\)\n {13}content\ndrifted {6}Write more · h1 \(since [^)]*, 3 h\)\n {13}changed a\n {15}content\n$/);
  await writeFile(join(cwd, 'out-h1'), 'hello\n');
  await writeFile(join(cwd, 'out-h2'), 'hello\n');
  await writeFile(join(cwd, 'a-h1'), 'a\n');
  const third = await drift();
  t.is(third.code, 0);
  t.regex(third.stdout, /^resolved {5}Write the greeting · h1 \(drifted since [^)]*\)\n {13}content\nresolved {5}Write the greeting · h2 \(drifted since [^)]*\)\n {13}content\nresolved {5}Write more · h1 \(drifted since [^)]*\)\n {13}a: content\n$/);
  t.deepEqual(await drift(), { code: 0, stdout: '', stderr: '' });
});

test('what differs in another way is new, and --fix says since when what it mends had drifted', async (t) => {
  const { cwd, drift, found, spoil } = await project(t);
  await spoil('out-h1');
  t.deepEqual(await found(), ['h1 Write the greeting content new']);
  t.deepEqual(await found(), ['h1 Write the greeting content persisting']);
  await writeFile(join(cwd, 'out-h1'), 'again\n');
  t.deepEqual(await found(), ['h1 Write the greeting content new']);
  await grow(cwd, 49);
  const fixed = await drift('--fix');
  t.is(fixed.code, 0);
  t.regex(fixed.stdout, /^corrected {4}Write the greeting · h1 \(drifted since [^)]*, 2 days\)\n {13}content\n$/);
  t.deepEqual(await found(), []);
  await spoil('out-h1');
  const again = await drift('--fix');
  t.regex(again.stdout, /^corrected {4}Write the greeting · h1 \(for the 2nd time since [^)]*\)\n/);
  await grow(cwd, 24 * 8);
  await spoil('out-h1');
  const [forgotten] = findingsOf(await drift('--fix', '--output', 'json'));
  t.deepEqual([forgotten!.state, forgotten!.times], ['corrected', 1], 'a week later it is the first time again');
});

test('a host out of reach keeps its findings, and so does one where a task fails before', async (t) => {
  const { cwd, drift, found, spoil } = await project(t);
  await spoil('out-h1', 'out-h2');
  await drift();
  await writeFile(join(cwd, 'hosts.yml'), AWAY);
  await writeFile(join(cwd, 'out-h1'), 'hello\n');
  t.deepEqual(await found(), ['h2 Write the greeting content unseen', 'h1 Write the greeting content resolved'].sort());
  t.is((await drift()).code, 4);
  await writeFile(join(cwd, 'hosts.yml'), HOSTS);
  await spoil('broken-h2');
  t.deepEqual(await found(), ['h2 Write the greeting content unseen']);
  await rm(join(cwd, 'broken-h2'));
  t.deepEqual(await found(), ['h2 Write the greeting content persisting']);
  await writeFile(join(cwd, 'out-h2'), 'hello\n');
  t.deepEqual(await found(), ['h2 Write the greeting content resolved']);
});

test('a run that is broken off forgets nothing', async (t) => {
  const { cwd, drift, found, spoil } = await project(t);
  await spoil('out-h2');
  await drift();
  const held = SITE.replace('test ! -e {{ playbook_dir }}/broken-{{ inventory_hostname }}', 'sh -c "echo > {{ playbook_dir }}/begun; while [ ! -e {{ playbook_dir }}/go ]; do sleep 0.1; done"');
  await writeFile(join(cwd, 'site.yml'), held);
  const child = spawn(process.execPath, [join(process.cwd(), 'dist', 'cli', 'main.js'), 'drift', 'site.yml', '--metrics', cwd], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  child.stdout.on('data', (piece: Buffer) => void (piece.toString().includes('Interrupted') && writeFile(join(cwd, 'go'), '')));
  while (!(await readdir(cwd)).includes('begun')) await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill('SIGTERM');
  t.is((await closed)[0], 130);
  await writeFile(join(cwd, 'site.yml'), SITE);
  t.regex((await drift('--status')).stdout, /^last run {5}.*, exit 130\nlast success .*\ndrifted {6}Write the greeting · h2 /);
  t.deepEqual(await found(), ['h2 Write the greeting content persisting']);
});

test('a look at a part is remembered by itself', async (t) => {
  const { drift, found, spoil } = await project(t);
  await spoil('out-h1', 'out-h2');
  await drift();
  t.deepEqual(await found('-l', 'h1'), ['h1 Write the greeting content new']);
  t.deepEqual(await found(), ['h1 Write the greeting content persisting', 'h2 Write the greeting content persisting']);
});

test('what was remembered and cannot be read is told; nothing of a secret is in it, and nobody else may read it', async (t) => {
  const { cwd, drift, found, spoil } = await project(t);
  await spoil('secret-h1');
  t.deepEqual(await found(), ['h1 Write the password hidden new']);
  await writeFile(join(cwd, 'secret-h1'), 'other\n');
  t.deepEqual(await found(), ['h1 Write the password hidden persisting']);
  const [name] = await readdir(join(cwd, '.muster', 'drift'));
  const file = join(cwd, '.muster', 'drift', name!);
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.regex(await readFile(file, 'utf8'), /"fingerprint":"secret"/);
  await writeFile(file, '{"findings": [');
  const ran = await drift();
  t.is(ran.code, 2);
  t.regex(ran.stdout, /Write the password · h1 \(new\)/);
  t.is(ran.stderr, `muster: ${file} is damaged; what was found before is forgotten\n`);
});

test('--drift-ok is exit 0 for drift alone; --log has a line for each run', async (t) => {
  const { cwd, drift, spoil } = await project(t);
  const log = join(cwd, 'drift.log');
  t.is((await drift('--log', log)).code, 0);
  await spoil('out-h1', 'out-h2');
  t.is((await drift('--log', log, '--drift-ok')).code, 0);
  await writeFile(join(cwd, 'hosts.yml'), AWAY);
  t.is((await drift('--log', log, '--drift-ok')).code, 4);
  await writeFile(join(cwd, 'hosts.yml'), HOSTS);
  t.is((await drift('--log', log, '--fix', '--max-hosts', '1')).code, 6);
  t.is((await drift('--log', log, '--fix')).code, 0);
  await writeFile(join(cwd, 'site.yml'), '- hosts: all\n  tasks: [{aptt: }]\n');
  t.is((await drift('--log', log)).code, 1);
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n').map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ drift site.yml /, '').replace(/seconds=\d+\.\d/, 'seconds=0.1'));
  t.deepEqual(lines.slice(0, 5), [
    'hosts=2 drifted=0 new=0 persisting=0 unseen=0 resolved=0 corrected=0 unreachable=0 failed=0 seconds=0.1 exit=0',
    'hosts=2 drifted=2 new=2 persisting=0 unseen=0 resolved=0 corrected=0 unreachable=0 failed=0 seconds=0.1 exit=2',
    'hosts=2 drifted=2 new=0 persisting=1 unseen=1 resolved=0 corrected=0 unreachable=1 failed=0 seconds=0.1 exit=4',
    'hosts=2 drifted=2 new=0 persisting=2 unseen=0 resolved=0 corrected=0 unreachable=0 failed=0 guarded seconds=0.1 exit=6',
    'hosts=2 drifted=2 new=0 persisting=0 unseen=0 resolved=0 corrected=2 unreachable=0 failed=0 seconds=0.1 exit=0',
  ]);
  t.regex(lines[5]!, /^error "site\.yml:2:12: .*aptt.*" seconds=0\.1 exit=1$/);
  const shown = await drift('--log', '-');
  t.regex(shown.stdout, /^\S+ drift site\.yml error /);
  t.is((await drift('--log', '-', '--output', 'json')).code, 1);
});

test('--disable: nothing is looked at until --enable; --status says who, why and what was found', async (t) => {
  const { cwd, drift, spoil } = await project(t);
  await spoil('out-h1');
  await drift();
  t.is((await drift('--disable', 'being upgraded\nby me')).code, 0);
  t.deepEqual(await drift('--fix', '-l', 'h1'), { code: 0, stdout: '', stderr: '' });
  const status = await drift('--status');
  t.regex(status.stdout, /^disabled {5}drift is disabled since \d{4}-\S+ \d\d:\d\d by \S+.*: being upgraded ⏎ by me\nlast run {5}\d{4}.* ago\), exit 2\ndrifted {6}Write the greeting · h1 \(since .*\)\n {13}content\n$/);
  const json = JSON.parse((await drift('--status', '--output', 'json')).stdout) as { disabled: { reason: string }; findings: Finding[] };
  t.is(json.disabled.reason, 'being upgraded ⏎ by me');
  t.is(json.findings[0]!.change, 'content');
  t.is((await drift('--enable')).stdout, 'drift of site.yml is enabled\n');
  t.is((await drift('--enable')).stdout, 'drift of site.yml was not disabled\n');
  t.is((await drift()).code, 2);
  await drift('--disable', 'x');
  const name = (await readdir(join(cwd, '.muster', 'drift'))).find((each) => each.endsWith('.disabled.json'))!;
  await writeFile(join(cwd, '.muster', 'drift', name), '');
  const unknown = await drift('--fix');
  t.deepEqual([unknown.code, unknown.stdout], [1, '']);
  t.regex(unknown.stderr, /whether drift is disabled cannot be told: .* is damaged/);
  t.regex((await drift('elsewhere.yml', '--status')).stderr, /there is no playbook elsewhere\.yml/);
  t.regex((await drift('--disable', ' ')).stderr, /--disable needs a reason/);
});

test('metrics: valid for Prometheus, the last success kept across failures, readable by all', async (t) => {
  const { cwd, drift, spoil } = await project(t, 'drift: {metrics: textfiles}\n');
  const elsewhere = await drift();
  t.is(elsewhere.code, 0);
  t.regex(elsewhere.stderr, /^muster: metrics cannot be kept in .*textfiles; node_exporter reads files that end in \.prom/);
  t.is((await drift('--metrics', 'nowhere/x.prom')).code, 1);
  const file = join(cwd, 'own.prom');
  const metrics = async (...args: string[]) => {
    await drift('--metrics', file, ...args);
    return parseMetrics(await readFile(file, 'utf8'));
  };
  const of = (families: Awaited<ReturnType<typeof metrics>>, name: string, host?: string) =>
    families.get(`muster_drift_${name}`)?.samples.get(`playbook="site.yml",inventory="hosts.yml"${host ? `,host="${host}"` : ''}`);
  const clean = await metrics();
  t.is((await stat(file)).mode & 0o777, 0o644);
  t.deepEqual([...clean.keys()].sort(), ['corrected_tasks', 'disabled', 'drifted_tasks', 'duration_seconds', 'exit_code', 'host_failed', 'host_unreachable', 'last_run_timestamp_seconds', 'last_success_timestamp_seconds'].map((name) => `muster_drift_${name}`));
  t.deepEqual([of(clean, 'exit_code'), of(clean, 'drifted_tasks', 'h1'), of(clean, 'disabled')], [0, 0, 0]);
  await grow(cwd, 1);
  const success = of(clean, 'last_success_timestamp_seconds')!;
  await spoil('out-h1', 'a-h1', 'b-h1');
  await writeFile(join(cwd, 'hosts.yml'), AWAY);
  const away = await metrics();
  t.deepEqual([of(away, 'exit_code'), of(away, 'drifted_tasks', 'h1'), of(away, 'host_unreachable', 'h2'), of(away, 'host_unreachable', 'h1')], [4, 2, 1, 0]);
  t.true(of(away, 'last_success_timestamp_seconds')! <= success && of(away, 'last_run_timestamp_seconds')! >= success);
  await writeFile(join(cwd, 'hosts.yml'), HOSTS);
  const fixed = await metrics('--fix');
  t.deepEqual([of(fixed, 'exit_code'), of(fixed, 'drifted_tasks', 'h1'), of(fixed, 'corrected_tasks', 'h1')], [0, 0, 2]);
  t.is(of(await metrics('--disable', 'x'), 'disabled'), 1);
  t.is(of(await metrics(), 'disabled'), 1);
  t.is(of(await metrics('--enable'), 'disabled'), 0);
  await drift('--metrics', file, '-l', 'h1', '-e', 'pin=hunter22', '-e', '{"pin": "x=hunter22"}', '-e', '@hosts.yml', '--on-change', 'cat >told');
  const view = await readFile(file, 'utf8');
  t.regex(view, /,view="-l h1 -e pin -e … -e @hosts\.yml"\} /, 'what may be secret is not shown');
  t.notRegex(view + (await readFile(join(cwd, 'told'), 'utf8').catch(() => '')) + (await drift('--status', '--output', 'json', '-e', 'pin=hunter22')).stdout, /hunter22/);
  parseMetrics(view);
  await drift('--metrics', cwd);
  await drift('--metrics', cwd, '-l', 'h1');
  const names = (await readdir(cwd)).filter((name) => name.startsWith('muster-drift-')).sort();
  t.deepEqual(names.map((name) => name.replace(/[0-9a-f]{8}/g, 'HASH')), ['muster-drift-site-HASH-HASH.prom', 'muster-drift-site-HASH.prom'], 'a folder gets a file for each playbook and part');
});

test('--on-change: told of each change once, again when it failed, and again after --remind', async (t) => {
  const { cwd, drift, spoil } = await project(t);
  const told = async (...args: string[]): Promise<(Message & { playbooks: string[]; exit: number })[]> => {
    await rm(join(cwd, 'told'), { force: true });
    const ran = await drift('--on-change', 'cat >>told', ...args);
    t.is(ran.stderr.includes('--on-change'), false, ran.stderr);
    return (await readFile(join(cwd, 'told'), 'utf8').catch(() => '')).split('\n').filter(Boolean).map((line) => JSON.parse(line) as Message & { playbooks: string[]; exit: number });
  };
  t.deepEqual(await told(), [], 'clean from the beginning: nothing to tell');
  await spoil('out-h1');
  const [first, ...none] = await told();
  t.deepEqual(none, []);
  t.deepEqual([first!.why, first!.state, first!.exit, first!.playbooks, first!.text], [['new'], 'drift', 2, ['site.yml'], '1 drifted on h1 (Write the greeting)']);
  t.deepEqual(first!.findings.map(({ host, task, field, state }) => [host, task, field, state]), [['h1', 'Write the greeting', 'content', 'new']]);
  t.deepEqual(await told('--remind', '24h'), []);
  await grow(cwd, 25);
  t.deepEqual((await told('--remind', '24h')).map(({ why, text }) => [why, text]), [[['reminder'], '1 still drifted on h1 (Write the greeting, for 25 h)']]);
  t.deepEqual(await told('--remind', '24h'), []);
  await writeFile(join(cwd, 'hosts.yml'), AWAY);
  t.deepEqual((await told()).map(({ why, state, unreachable }) => [why, state, unreachable]), [[['trouble'], 'trouble', ['h2']]]);
  t.deepEqual(await told(), []);
  await writeFile(join(cwd, 'hosts.yml'), HOSTS);
  t.deepEqual((await told()).map(({ why, state }) => [why, state]), [[['recovered'], 'drift']]);
  const refused = await drift('--fix', '--on-change', 'cat >/dev/null; echo no thanks >&2; exit 7');
  t.is(refused.code, 0);
  t.is(refused.stderr, 'muster: the command of --on-change failed, and will be told again: exit status 7: no thanks\n');
  t.deepEqual((await told()).map(({ why, state, corrected, text }) => [why, state, corrected.length, text]), [[['corrected'], 'clean', 1, '1 corrected on h1 (Write the greeting); all is as described']]);
  t.deepEqual(await told(), []);
  // Something else changes it each time: that is news but once.
  await spoil('out-h1');
  t.deepEqual(await told('--fix', '--remind', '24h'), []);
  await grow(cwd, 25);
  await spoil('out-h1');
  t.deepEqual((await told('--fix', '--remind', '24h')).map(({ why, text }) => [why, text]), [[['reminder'], '1 corrected again on h1 (Write the greeting); all is as described']]);
  await writeFile(join(cwd, 'site.yml'), '- hosts: all\n  tasks: [{aptt: }]\n');
  const [broken] = await told();
  t.deepEqual([broken!.why, broken!.state, broken!.exit], [['trouble'], 'trouble', 1]);
  t.regex(broken!.error!, /site\.yml:2:12: .*aptt/);
  await writeFile(join(cwd, 'site.yml'), SITE);
  t.deepEqual((await told()).map(({ why, state }) => [why, state]), [[['recovered'], 'clean']]);
});

test('the settings of muster.yml: a misspelt one, and a duration that is none', async (t) => {
  const { cwd, drift } = await project(t, 'drift: {on_change: "cat >told", remind: 12h, state: kept}\n');
  await writeFile(join(cwd, 'out-h1'), 'x\n');
  t.is((await drift()).code, 2);
  t.is((JSON.parse(await readFile(join(cwd, 'told'), 'utf8')) as Message).state, 'drift');
  t.is((await readdir(join(cwd, 'kept'))).length, 1);
  await writeFile(join(cwd, 'muster.yml'), 'inventory: hosts.yml\ndrift:\n  on_chnge: x\n');
  t.regex((await drift()).stderr, /^muster\.yml:2:1: drift has no setting "on_chnge"; did you mean "on_change"\?\n/);
  await writeFile(join(cwd, 'muster.yml'), 'inventory: hosts.yml\ndrift: {remind: daily}\n');
  t.regex((await drift()).stderr, /^muster\.yml:2:8: drift: "daily" is no duration; write 90s, 30m, 24h or 7d\n/);
  await writeFile(join(cwd, 'muster.yml'), 'inventory: hosts.yml\ndrift: {state: site.yml/kept}\n');
  const ran = await drift();
  t.is(ran.code, 1);
  t.regex(ran.stderr, /what drift finds cannot be kept: .*; set "drift: \{state: FOLDER\}"/);
  t.regex((await drift('--remind', 'daily')).stderr, /--remind takes a duration/);
});
