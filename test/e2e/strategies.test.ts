import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import type { Event } from '../../src/report/events.js';
import { failureOf, Pair } from './pair.js';
import type { Outcome } from './stack.js';

let pair: Pair;

test.before(async (t) => {
  t.timeout(5 * 60_000);
  pair = await Pair.up('turns', 'test/e2e/modules');
});
test.after.always(() => pair?.down());

/** Runs a play over both hosts. @param keywords of the play, one a line */
async function play(keywords: string, tasks: string, args: string[] = []): Promise<Outcome> {
  const head = ['hosts: all', 'gather_facts: false', ...keywords.split('\n').filter(Boolean)];
  await pair.write('play.yml', `- ${head.join('\n  ')}\n  tasks:\n${tasks.replace(/^(?=.)/gm, '    ')}`);
  return pair.muster('apply', 'play.yml', args);
}

/** Results as `host task status`, in the order they came. */
const ends = (run: Outcome) => run.events.flatMap((event) => (event.event === 'result' ? [`${event.host} ${event.task} ${event.result.status}`] : []));
/** How many effects were under way at once, at most. */
function together(run: Outcome): number {
  let most = 0;
  const under = new Set<string>();
  for (const event of run.events) {
    if (event.event === 'effect') under.add(event.host);
    if (event.event === 'result') under.delete(event.host);
    most = Math.max(most, under.size);
  }
  return most;
}

/** Host one is held up until host two has raised a flag, which it can only where it may go ahead. */
const race = `- {name: first, uri: {url: "{{ web }}/flag/{{ flag }}"}, when: inventory_hostname == 'one', register: up, until: up.status == 200, retries: "{{ patience }}", delay: 0.1}
- {name: second, command: "true"}
- {name: third, uri: {url: "{{ web }}/raise/{{ flag }}"}, when: inventory_hostname == 'two'}
`;

test.serial('linear: nobody is ahead; free: each host goes its own way', async (t) => {
  const free = await play('strategy: free', race, ['-e', 'flag=free', '-e', 'patience=300']);
  t.is(free.code, 0, free.told);
  // What raises the flag and what waits for it end in any order; what comes before the one comes before the other.
  t.true(ends(free).includes('two third ok') && ends(free).includes('two second changed'));
  t.true(ends(free).indexOf('two second changed') < ends(free).indexOf('one first ok'));
  const linear = await play('', race, ['-e', 'flag=linear', '-e', 'patience=3']);
  t.is(linear.code, 3, linear.told);
  t.deepEqual(ends(linear), ['two first skipped', 'one first failed', 'two second changed', 'two third ok']);
});

const pairOfTasks = '- {name: first, command: sleep 0.2}\n- {name: second, command: sleep 0.2}\n';

test.serial('serial, host_pinned and forks: one host after the other, or one effect at a time', async (t) => {
  const inTurn = ['one first changed', 'one second changed', 'two first changed', 'two second changed'];
  t.deepEqual(ends(await play('serial: 1', pairOfTasks)), inTurn);
  t.deepEqual(ends(await play('strategy: host_pinned', pairOfTasks, ['--forks', '1'])), inTurn);
  const forks = await play('', pairOfTasks, ['--forks', '1']);
  t.deepEqual(ends(forks).map((line) => line.split(' ')[1]), ['first', 'first', 'second', 'second']);
  t.is(together(await play('', pairOfTasks)), 2);
});

test.serial('delegation: what is done for one host is done on the other', async (t) => {
  const ran = await play('become: true', `- {name: names, shell: "hostname; cat /proc/sys/kernel/hostname", register: there, delegate_to: "{{ 'two' if inventory_hostname == 'one' else 'one' }}"}
- {name: crossed, assert: {that: "there.stdout_lines[0] != inventory_hostname"}}
- {name: a file for each, copy: {content: "for {{ inventory_hostname }}\\n", dest: "/srv/for-{{ inventory_hostname }}"}, delegate_to: two}
- {name: facts of the other, setup: {gather_subset: [min]}, delegate_to: two, delegate_facts: true, run_once: true}
- {name: whose they are, assert: {that: "hostvars.two.ansible_facts.hostname == 'two'"}}
- {name: here, command: 'echo {{ inventory_hostname }}', delegate_to: localhost, become: false, register: here}
- {name: both, assert: {that: "here.stdout == inventory_hostname"}}
`);
  t.is(ran.code, 0, ran.told);
  t.is(await pair.on('two', 'cat /srv/for-*; hostname'), 'for one\nfor two\ntwo');
  t.is(await pair.on('one', 'ls /srv'), '');
});

test.serial('one failure ends all with any_errors_fatal; a host out of reach leaves the others', async (t) => {
  const fatal = await play('any_errors_fatal: true', `- {name: bad, command: "false", when: inventory_hostname == 'one'}\n- {name: never, command: "true"}\n`);
  t.is(fatal.code, 3);
  t.false(ends(fatal).some((line) => line.includes('never')));

  await pair.write('gone.json', pair.inventory({ all: { one: {}, gone: { at: 'two', ansible_port: 2 } } }));
  const tasks = `- block:
    - {name: touched, command: "true"}
  rescue:
    - {name: no rescue, command: "true"}
  always:
    - {name: always, command: "true"}
- {name: behind, command: "true"}
`;
  const gone = await play('', tasks, ['-i', 'gone.json']);
  t.is(gone.code, 4, gone.told);
  t.deepEqual(ends(gone).sort(), ['gone touched unreachable', 'one always changed', 'one behind changed', 'one touched changed']);
  const ignored = await play('ignore_unreachable: true', `- {name: tried, command: "true", register: r}\n- {name: said, debug: {}, when: r.unreachable | default(false)}\n`, ['-i', 'gone.json']);
  t.deepEqual(ends(ignored).filter((line) => line.startsWith('gone')), ['gone tried ignored', 'gone said ok']);
  t.regex(failureOf(ignored, 'gone').message, /refuses/);
  t.is(ignored.code, 0);
});

/** A run that is interrupted as soon as its first command is under way on both hosts. */
async function interrupted(seconds: string, times: number): Promise<{ code: number | null; events: Event[]; left: () => Promise<string> }> {
  await pair.write('long.yml', `- hosts: all\n  gather_facts: false\n  become: true\n  tasks:\n    - {name: long, command: sleep ${seconds}}\n    - {name: next, command: "true"}\n`);
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), 'apply', 'long.yml', '-i', 'hosts.json', '--output', 'json'], { cwd: pair.folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const events: Event[] = [];
  createInterface(child.stdout).on('line', (line) => events.push(JSON.parse(line) as Event));
  const left = async () => (await Promise.all(['one', 'two'].map((host) => pair.on(host, `pgrep -fx 'sleep ${seconds}' || :`)))).join('');
  const sleeping = async () => (await Promise.all(['one', 'two'].map((host) => pair.on(host, `pgrep -fx 'sleep ${seconds}' >/dev/null && echo yes || :`)))).every((said) => said === 'yes');
  while (child.exitCode === null && !(await sleeping()));
  for (let time = 0; time < times; time++) {
    child.kill('SIGINT');
    // Signals that come at once would be taken for one.
    while (time + 1 < times && !events.some((event) => event.event === 'interrupted')) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, events, left };
}

test.serial('Ctrl-C lets what runs come to its end, a second one ends it', async (t) => {
  const results = (events: Event[]) => events.flatMap((event) => (event.event === 'result' ? [`${event.host} ${event.task} ${event.result.status}`] : [])).sort();
  const once = await interrupted('4.01', 1);
  t.is(once.code, 130);
  t.deepEqual(results(once.events), ['one long changed', 'two long changed']);
  t.is(await once.left(), '');
  const twice = await interrupted('300.01', 2);
  t.is(twice.code, 130);
  t.deepEqual(results(twice.events).map((line) => line.split(' ').slice(0, 2).join(' ')), ['one long', 'two long']);
  t.is(await twice.left(), '');
});
