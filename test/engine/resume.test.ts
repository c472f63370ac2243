import { mkdir, readdir, readFile, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RunOptions } from '../../src/engine/options.js';
import { Rig } from './rig.js';

/** A run that goes on with an earlier one, by that one's journal. */
async function project(t: ExecutionContext, tasks: string, files: { [path: string]: string } = {}) {
  const rig = await Rig.make({ 'site.yml': `- hosts: all\n  gather_facts: false\n  vars: {log: ">> {{ root }}/log"}\n${tasks}`, ...files });
  t.teardown(() => rig.remove());
  const root = path.join(rig.folder, 'hosts');
  await rig.write({ 'hosts.yml': `all:\n  hosts:\n${['a', 'b'].map((host) => `    ${host}: {ansible_connection: ssh, root: "${root}/${host}"}`).join('\n')}\n` });
  for (const host of ['a', 'b']) await mkdir(path.join(root, host), { recursive: true });
  const journalDir = path.join(rig.folder, 'runs');
  const run = async (options: Partial<RunOptions> = {}) => {
    const { exitCode } = await rig.run({ limit: 'a', journalDir, ...options });
    return { exitCode, told: rig.events.flatMap((event) => (event.event === 'result' ? [`${event.task} ${event.result.status}`] : [])), warnings: rig.events.flatMap((event) => (event.event === 'warning' ? [event.message] : [])) };
  };
  const last = async () => {
    // By when they began: within one second their names are in no order.
    const runs = (await readdir(journalDir)).filter((name) => /^\d{8}T/.test(name));
    const began = await Promise.all(runs.map(async (run) => [(JSON.parse((await readFile(path.join(journalDir, run, 'events.ndjson'), 'utf8')).split('\n')[0]!) as { at: string }).at, run] as const));
    const [, run] = began.sort().at(-1)!;
    return { folder: path.join(journalDir, run), run };
  };
  const resume = async (options: Partial<RunOptions> = {}) => run({ resume: await last(), ...options });
  const log = async (host = 'a') => (await readFile(path.join(root, host, 'log'), 'utf8')).trim().split('\n');
  return { rig, root, run, resume, last, log };
}

const stumble = '    - {name: stumble, command: "test ! -e {{ root }}/broken"}\n';

test('commands that ended well are not run again, and what came of them is known; what is declared is looked at again', async (t) => {
  const { rig, root, run, resume, log } = await project(
    t,
    `  tasks:
    - {name: first, shell: "echo first {{ log }}; echo said", register: first}
    - {name: looks, shell: "echo looked {{ log }}", changed_when: false}
    - {name: declared, copy: {dest: "{{ root }}/conf", content: x}}
    - {name: loop, shell: "echo {{ item }} {{ log }}; test {{ item }} != two -o ! -e {{ root }}/broken", loop: [one, two], register: loop}
    - {name: last, shell: "echo {{ first.stdout }} {{ first is changed }} {{ loop is changed }} {{ loop.results[0].rc }} {{ log }}"}
`,
  );
  await rig.write({ 'hosts/a/broken': '' });
  t.is((await run()).exitCode, 3);
  t.deepEqual(await log(), ['first', 'looked', 'one', 'two']);
  await rm(path.join(root, 'a/broken'));
  await rm(path.join(root, 'a/conf'));
  const again = await resume();
  t.is(again.exitCode, 0);
  t.deepEqual(again.told, ['first ok', 'looks ok', 'declared changed', 'loop changed', 'last changed']);
  t.deepEqual(await log(), ['first', 'looked', 'one', 'two', 'looked', 'two', 'said True True 0']);
});

test('a run that goes on may be gone on with', async (t) => {
  const { rig, root, run, resume, log } = await project(t, `  tasks:\n    - {name: first, shell: "echo first {{ log }}"}\n${stumble}    - {name: last, shell: "echo last {{ log }}"}\n`);
  await rig.write({ 'hosts/a/broken': '' });
  await run();
  t.is((await resume()).exitCode, 3);
  await rm(path.join(root, 'a/broken'));
  t.deepEqual((await resume()).told, ['first ok', 'stumble changed', 'last changed']);
  t.deepEqual(await log(), ['first', 'last']);
});

test('what was cut off in the middle goes on from there, also where the last line of its journal is torn', async (t) => {
  const { rig, run, resume, last, log } = await project(t, `  tasks:\n${['one', 'two', 'three'].map((name) => `    - {name: ${name}, shell: "echo ${name} {{ log }}"}\n`).join('')}`);
  const stop = new AbortController();
  let results = 0;
  await rig.run({ limit: 'a', journalDir: path.join(rig.folder, 'runs'), stop: stop.signal, emit: (event) => event.event === 'result' && ++results === 2 && stop.abort() });
  t.deepEqual(await log(), ['one', 'two']);
  const events = path.join((await last()).folder, 'events.ndjson');
  const text = await readFile(events, 'utf8');
  await truncate(events, text.indexOf('\n', text.indexOf('"event":"result"', text.indexOf('"event":"result"') + 1)) - 20);
  // Whether the second ended well nobody knows: it is run again.
  t.deepEqual((await resume()).told, ['one ok', 'two changed', 'three changed']);
  t.deepEqual(await log(), ['one', 'two', 'two', 'three']);
  t.is((await run()).exitCode, 0);
});

test('a command that has become another one is run', async (t) => {
  const { rig, root, run, resume, log } = await project(
    t,
    `  tasks:
    - {name: word, shell: "echo {{ word | default('first') }} {{ log }}"}
    - {name: as a file, script: say.sh}
    - {name: in a place, shell: "echo $WHERE {{ log }}", environment: {WHERE: "{{ where | default('here') }}"}}
${stumble}`,
    { 'files/say.sh': '#!/bin/sh\necho script >>"$OUT"\n' },
  );
  await rig.write({ 'site.yml': (await readFile(path.join(rig.folder, 'site.yml'), 'utf8')).replace('script: say.sh}', 'script: say.sh, environment: {OUT: "{{ root }}/log"}}'), 'hosts/a/broken': '' });
  await run();
  await resume();
  t.deepEqual(await log(), ['first', 'script', 'here']);
  await rig.write({ 'files/say.sh': '#!/bin/sh\necho other script >>"$OUT"\n' });
  await resume({ extraVars: new Map([['word', 'second'], ['where', 'there']]) });
  t.deepEqual(await log(), ['first', 'script', 'here', 'second', 'other script', 'there']);
  await rm(path.join(root, 'a/broken'));
});

test('a block that took back what it did is begun anew; one that was passed is not', async (t) => {
  const block = (name: string, broken: string) => `    - block:
        - {name: ${name} out, shell: "echo ${name} out {{ log }}"}
        - {name: ${name} work, command: "test ! -e {{ root }}/${broken}"}
      always:
        - {name: ${name} in, shell: "echo ${name} in {{ log }}"}
`;
  const { rig, root, run, resume, log } = await project(t, `  tasks:\n${block('one', 'never')}${block('two', 'broken')}`);
  await rig.write({ 'hosts/a/broken': '' });
  t.is((await run()).exitCode, 3);
  await rm(path.join(root, 'a/broken'));
  t.is((await resume()).exitCode, 0);
  t.deepEqual(await log(), ['one out', 'one in', 'two out', 'two in', 'two out', 'two in']);
});

test('handlers are run when they are notified; what is secret is run again, and said to be', async (t) => {
  const { rig, root, run, resume, log } = await project(
    t,
    `  tasks:
    - {name: early, shell: "echo early {{ log }}", notify: heard}
    - meta: flush_handlers
    - {name: hidden, shell: "echo hidden {{ log }}", no_log: true, register: hidden}
    - {name: hidden and forgotten, shell: "echo forgotten {{ log }}", no_log: true}
    - {name: change, copy: {dest: "{{ root }}/conf", content: "{{ content | default('x') }}"}, notify: heard}
${stumble}  handlers:
    - {name: heard, shell: "echo heard {{ log }}"}
`,
  );
  await rig.write({ 'hosts/a/broken': '' });
  await run();
  t.deepEqual(await log(), ['early', 'heard', 'hidden', 'forgotten']);
  await rm(path.join(root, 'a/broken'));
  const again = await resume();
  t.deepEqual(again.told, ['early ok', 'hidden changed', 'hidden and forgotten ok', 'change ok', 'stumble changed', 'heard changed']);
  t.regex(again.warnings.join('\n'), /^what a command of run \S+ gave was secret and is not kept: it is run again$/);
  t.deepEqual(await log(), ['early', 'heard', 'hidden', 'forgotten', 'hidden', 'heard']);
});

test('each host has its own way, and what runs once ran for all', async (t) => {
  const { rig, root, run, resume, log } = await project(t, `  tasks:\n    - {name: once, run_once: true, shell: "echo once {{ log }}"}\n    - {name: each, shell: "echo each {{ log }}"}\n${stumble}    - {name: last, shell: "echo last {{ log }}"}\n`);
  await rig.write({ 'hosts/b/broken': '' });
  await run({ limit: 'a,b' });
  await rm(path.join(root, 'b/broken'));
  await resume({ limit: 'b' });
  t.deepEqual(await log(), ['once', 'each', 'last']);
  t.deepEqual(await log('b'), ['each', 'last']);
});
