import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { Rig, snapshot } from './rig.js';

/**
 * The engine's promise: what happens is what happens when tasks run one at a time. Random playbooks over several
 * hosts (two of them names of one machine), with delegation, loops, handlers, blocks (confirmed ones too) and results
 * that later tasks hang on, run once with trips that look ahead and once with nothing looked ahead; results, hosts and
 * the handlers that are left pending must agree.
 *
 * What several names of one machine write there does not depend on the name: who of them comes first within one task
 * is nobody's promise.
 */
const HOSTS = ['a', 'b', 'alias', 'c'];
const MACHINE: { [host: string]: string } = { a: 'm1', b: 'm2', alias: 'm1', c: 'm3' };

const file = fc.constantFrom('f1', 'f2', 'f3');
const word = fc.constantFrom('one', 'two', 'three');

/** A task as YAML lines at two columns of indent; `n` makes names unique. */
type Make = (n: number) => string[];

const when = fc.option(
  fc.constantFrom("seen is defined and seen.stat is defined and seen.stat.exists", "inventory_hostname != 'c'", 'made is changed', "flag | default('one') == 'two'"),
  { nil: undefined, freq: 2 },
);
const extras = fc.record({ when, notify: fc.option(fc.constantFrom('first', 'second', 'topic'), { nil: undefined }), ignore: fc.boolean(), delegate: fc.integer({ min: 0, max: 5 }) });

const body: fc.Arbitrary<{ lines: readonly string[]; register?: string }> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(file, word).map(([f, w]) => ({ lines: [`copy: {dest: "{{ root }}/${f}", content: "${w}\\n"}`], register: 'made' })) },
  { weight: 2, arbitrary: fc.tuple(file, word).map(([f, w]) => ({ lines: [`lineinfile: {path: "{{ root }}/${f}", line: "${w}", create: true}`], register: 'made' })) },
  { weight: 2, arbitrary: file.map((f) => ({ lines: [`file: {path: "{{ root }}/${f}", state: absent}`], register: 'made' })) },
  { weight: 2, arbitrary: file.map((f) => ({ lines: [`file: {path: "{{ root }}/${f}.d", state: directory, mode: "0750"}`] })) },
  { weight: 2, arbitrary: fc.tuple(file, word).map(([f, w]) => ({ lines: [`shell: echo ${w} >> "{{ root }}/${f}"`] })) },
  // A guard is looked at and then acted upon with nothing to keep another name of the machine out: each name has a file of its own.
  {
    weight: 2,
    arbitrary: fc.tuple(file, word).map(([f, w]) => ({
      lines: ['command:', `  cmd: cp /etc/hostname {{ root }}/${f}.${w}.{{ inventory_hostname }}`, `  creates: "{{ root }}/${f}.${w}.{{ inventory_hostname }}"`],
      register: 'made',
    })),
  },
  { weight: 3, arbitrary: file.map((f) => ({ lines: [`stat: {path: "{{ root }}/${f}"}`], register: 'seen' })) },
  { weight: 1, arbitrary: word.map((w) => ({ lines: [`set_fact: {flag: ${w}}`] })) },
  { weight: 1, arbitrary: file.map((f) => ({ lines: [`copy: {dest: "{{ root }}/${f}", content: "{{ seen.stat.exists | default('none') }}\\n"}`] })) },
  // What is read here may change between looking ahead and the task's turn: by a task before, or on another host. Each name has files of its own.
  { weight: 1, arbitrary: word.map((w) => ({ lines: [`set_fact: {flag: "{{ made.changed | default('${w}') }}", flags: "{{ flags | default([]) + [flag | default('${w}')] }}"}`] })) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      file,
      fc.constantFrom(
        "{{ flag | default('none') }} {{ flags | default([]) | join(' ') }}",
        "{{ made.changed | default('none') }} {{ vars.flag is defined }}",
        "{{ lookup('file', root ~ '/f1', errors='ignore') }} {{ (root ~ '/f2') is exists }}",
      ),
    ).map(([f, text]) => ({ lines: [`copy: {dest: "{{ root }}/${f}.{{ inventory_hostname }}", content: "${text}\\n"}`], register: 'made' })),
  },
  { weight: 1, arbitrary: file.map((f) => ({ lines: [`template: {src: "{{ root }}/${f}", dest: "{{ root }}/f3.of.{{ inventory_hostname }}"}`], register: 'made' })) },
  {
    weight: 1,
    arbitrary: file.map((f) => ({
      lines: [`copy: {dest: "{{ root }}/${f}.{{ item.name }}.{{ inventory_hostname }}", content: "{{ item.text }}\\n"}`, 'loop: "{{ entries }}"', 'vars:', '  entries:', '    - {name: fixed, text: one}', `    - {name: read, text: "{{ flag | default('none') }}"}`],
    })),
  },
  { weight: 1, arbitrary: fc.constant({ lines: ['fail: {msg: no}'] }) },
  {
    weight: 2,
    arbitrary: fc.tuple(file, fc.uniqueArray(word, { minLength: 1 })).map(([f, words]) => ({
      lines: [`copy: {dest: "{{ root }}/${f}.{{ item }}", content: "{{ item }}\\n"}`, `loop: [${words.join(', ')}]`],
      register: 'made',
    })),
  },
);

/** Under `free` hosts do not wait for each other: what one reads of another there is nobody's promise. */
const ofOthers: fc.Arbitrary<{ lines: readonly string[]; register?: string }> = file.map((f) => ({
  lines: [`copy: {dest: "{{ root }}/${f}.of.{{ inventory_hostname }}", content: "{{ hostvars['b'].flag | default('none') }} {{ hostvars['a'].made.changed | default('none') }} {{ ansible_play_hosts | join(' ') }}\\n"}`],
}));

/** Under `free` a delegated task races with what its machine does for itself, by design: there is none then. */
const tasks = (strategy: string): fc.Arbitrary<Make> => fc.tuple(strategy === 'linear' ? fc.oneof({ weight: 12, arbitrary: body }, { weight: 1, arbitrary: ofOthers }) : body, extras).map(([{ lines, register }, { when: condition, notify, ignore, delegate }]) => (n) => {
  const delegated = strategy === 'linear' && delegate === 0 && !lines.some((line) => line.startsWith('set_fact') || line.startsWith('fail'));
  const text = delegated ? lines.map((line) => line.replaceAll('{{ root }}', "{{ hostvars['b'].root }}")) : lines;
  const all = [`name: t${n}`, ...text];
  if (register) all.push(`register: ${register}`);
  if (condition) all.push(`when: ${condition}`);
  if (notify) all.push(`notify: ${notify}`);
  if (ignore) all.push('ignore_errors: true');
  if (delegated) all.push('delegate_to: b');
  return all;
});

/** Tasks that say what they touch: what a confirmed block takes. */
const quiet: fc.Arbitrary<Make> = fc.tuple(file, word, fc.boolean()).chain(([f, w, heard]) =>
  fc.constantFrom<readonly string[]>(
    [`copy: {dest: "{{ root }}/${f}", content: "${w}\\n"}`],
    [`lineinfile: {path: "{{ root }}/${f}", line: "${w}", create: true}`],
    [`file: {path: "{{ root }}/${f}", state: absent}`],
    [`file: {path: "{{ root }}/${f}.d", state: directory, mode: "0700"}`],
    [`stat: {path: "{{ root }}/${f}"}`, 'register: seen'],
  ).map((lines) => (n) => [`name: t${n}`, ...lines, ...(heard ? ['notify: topic'] : [])]),
);

const entries = (strategy: string, task = tasks(strategy)): fc.Arbitrary<Make> => fc.oneof(
  { weight: 6, arbitrary: task },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.array(task, { minLength: 1, maxLength: 3 }), fc.array(task, { minLength: 1, maxLength: 2 }), fc.array(task, { maxLength: 1 })).map(
      ([inner, rescue, always]) =>
        (n: number) => [
          'block:',
          ...item(inner, n * 100),
          'rescue:',
          ...item(rescue, n * 100 + 50),
          ...(always.length ? ['always:', ...item(always, n * 100 + 80)] : []),
        ],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.array(quiet, { minLength: 1, maxLength: 3 }), fc.boolean()).map(([inner, fails]) => (n: number) => [
      'confirm: 60s',
      'block:',
      ...item([...inner, ...(fails ? [() => ['fail: {msg: take it back}']] : [])], n * 100),
      'rescue:',
      ...item([() => ['command: "true"']], n * 100 + 50),
    ]),
  },
  { weight: 1, arbitrary: fc.constant(() => ['meta: flush_handlers']) },
);

function item(makes: readonly Make[], from: number): string[] {
  return makes.flatMap((make, i) => make(from + i).map((line, row) => `${row === 0 ? '- ' : '  '}${line}`));
}

/** Two plays: the second's hosts are looked at while the first is busy, and hosts in both further ahead. */
function playbook(entries: readonly Make[], strategy: string): string {
  const half = Math.ceil(entries.length / 2);
  return [...onePlay('all:!c', entries.slice(0, half), strategy), ...onePlay('all:!b', entries.slice(half), strategy, 50), ''].join('\n');
}

function onePlay(hosts: string, entries: readonly Make[], strategy: string, from = 1): string[] {
  return [
    `- hosts: ${hosts}`,
    '  gather_facts: false',
    `  strategy: ${strategy}`,
    '  tasks:',
    ...item(entries, from).map((line) => `    ${line}`),
    '    - meta: noop',
    '  handlers:',
    '    - {name: first, shell: "echo first >> {{ root }}/handled"}',
    '    - {name: second, copy: {dest: "{{ root }}/second", content: "x\\n"}, notify: first}',
    '    - {name: third, listen: topic, lineinfile: {path: "{{ root }}/topic", line: heard, create: true}}',
  ];
}

function inventory(folder: string): string {
  return ['all:', '  hosts:', ...HOSTS.map((host) => `    ${host}: {ansible_connection: ssh, ansible_host: ${MACHINE[host]}, root: ${path.join(folder, 'hosts', MACHINE[host]!)}}`), ''].join('\n');
}

async function runOnce(rig: Rig, seed: readonly [string, string][], oneAtATime: boolean) {
  const hosts = path.join(rig.folder, 'hosts');
  await rm(hosts, { recursive: true, force: true });
  await rm(rig.machines.folder, { recursive: true, force: true });
  for (const machine of new Set(Object.values(MACHINE))) await mkdir(path.join(hosts, machine), { recursive: true });
  await rig.write(Object.fromEntries(seed.map(([where, content]) => [path.join('hosts', where), `${content}\n`])));
  // One host in flight: aliases of one machine take their turns in the same order in both runs.
  const summary = await rig.run({ oneAtATime, forks: 1 });
  return { code: summary.exitCode, statuses: rig.statuses(), results: rig.results(), hosts: await snapshot(hosts), pending: await rig.marks(), trips: rig.trips.length };
}

for (const strategy of ['linear', 'free']) {
  test(`trips and one task at a time leave the same results and the same hosts (${strategy})`, async (t) => {
    const seed = fc.array(fc.tuple(fc.constantFrom('m1/f1', 'm1/f2', 'm2/f1', 'm2/f3', 'm3/f2'), word), { maxLength: 4 });
    let saved = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(entries(strategy), { minLength: 1, maxLength: 10 }), seed, async (made, start) => {
        // Under `free` the names of one machine race by design; each machine has one name then.
        const rig = await Rig.make({ 'site.yml': playbook(made, strategy) });
        try {
          const text = strategy === 'free' ? inventory(rig.folder).replace(/ {4}alias:.*\n/, '') : inventory(rig.folder);
          await rig.write({ 'hosts.yml': text });
          const apart = await runOnce(rig, start, true);
          const together = await runOnce(rig, start, false);
          t.deepEqual(together.statuses, apart.statuses);
          t.deepEqual(together.results, apart.results);
          t.is(together.hosts, apart.hosts);
          t.is(together.code, apart.code);
          t.deepEqual(together.pending, apart.pending);
          // Where nothing failed, nothing is left to do.
          if (apart.code === 0) t.deepEqual(apart.pending, []);
          saved += apart.trips - together.trips;
        } finally {
          await rig.remove();
        }
      }),
      { numRuns: Number(process.env['MUSTER_PROPERTY_RUNS'] ?? 6), interruptAfterTimeLimit: 90_000 },
    );
    t.true(saved > 0, 'looking ahead saves trips');
  });
}

