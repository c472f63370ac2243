import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { keeping, type Keeper } from '../../src/engine/keep.js';
import { UndoStore } from '../../src/journal/index.js';
import copy from '../../src/modules/copy.js';
import { controller, inShells, look } from '../modules/harness.js';
import { Rig } from './rig.js';

inShells(test, 'old content comes along with the effect, whose own output stays its own', async (t, place) => {
  const old = Buffer.from([0, 1, 2, 10, 13, 255, 128, 10]);
  await writeFile(join(place.dir, 'file'), old);
  const store = new UndoStore(join(place.dir, '..', 'runs', 'run'));
  await mkdir(store.folder, { recursive: true });
  const way = { connection: undefined as never, become: undefined, environment: {} };
  const keeper: Keeper = { store, effect: () => 7, reached: { name: 'h1', connection: 'local', port: undefined, user: undefined, become: undefined, environment: {} }, way, controller: controller() };
  const args = { content: 'new', dest: join(place.dir, 'file') };
  const { wanted, observed, changes } = await look(t, place, copy, args);
  const kept = await keeping(keeper, copy, wanted, observed, changes);
  const step = copy.apply(wanted, observed, changes);
  const output = await place.run(kept.around(step));
  t.is(output.rc, 0, output.stderr);
  const answers = await Promise.all(kept.looks.map(({ script }) => place.run(script)));
  const { output: own, old: contents } = await kept.took(output, answers);
  t.deepEqual(contents, [old]);
  t.notRegex(own.stdout, /\x1e/);
  t.is(copy.result(wanted, observed, own)['size'], 3, 'the module finds its own output as ever');
  const [undo, ...more] = store.read();
  t.deepEqual(more, []);
  t.like(undo, { effect: 7, cannot: [] });
  t.is(undo!.back[0]!.module, 'copy');
  t.deepEqual(undo!.back[0]!.expected!.map(({ field }) => field), ['content']);
  t.deepEqual(store.contentOf(undo!.back[0]!.old!), old);
  await t.throwsAsync(stat(join(store.folder, 'open', '1')), { code: 'ENOENT' }, 'what was opened is gone');
});

inShells(test, 'what cannot be read, or is too long, is told and nothing else', async (t, place) => {
  await writeFile(join(place.dir, 'file'), Buffer.alloc(1024 * 1024 + 1));
  const store = new UndoStore(join(place.dir, '..', 'runs', 'run'));
  await mkdir(store.folder, { recursive: true });
  const keeper: Keeper = { store, effect: () => 1, reached: { name: 'h1', connection: 'local', port: undefined, user: undefined, become: undefined, environment: {} }, way: { connection: undefined as never, become: undefined, environment: {} }, controller: controller() };
  const { wanted, observed, changes } = await look(t, place, copy, { content: 'new', dest: join(place.dir, 'file') });
  const kept = await keeping(keeper, copy, wanted, observed, changes);
  const output = await place.run(kept.around(copy.apply(wanted, observed, changes)));
  t.is(output.rc, 0, output.stderr);
  const { output: own } = await kept.took(output, await Promise.all(kept.looks.map(({ script }) => place.run(script))));
  t.is(copy.result(wanted, observed, own)['size'], 3);
  t.deepEqual(store.read()[0]!.back, []);
  t.regex(store.read()[0]!.cannot[0]!, /was not kept: it is longer than 1 MiB/);
});

test('keeping what leads back costs no trip, and a look at what is as described carries nothing more', async (t) => {
  const files = {
    'hosts.yml': 'all: {hosts: {h1: , h2: }}',
    'site.yml': `- hosts: all
  gather_facts: false
  vars: {d: "{{ playbook_dir }}/{{ inventory_hostname }}"}
  tasks:
    - file: {path: "{{ d }}", state: directory}
    - copy: {content: "{{ word }}", dest: "{{ d }}/a"}
    - lineinfile: {path: "{{ d }}/c", line: "{{ word }}", create: true}
    - file: {path: "{{ d }}/a", mode: "{{ '0600' if word == 'two' else '0644' }}"}
    - copy: {content: same, dest: "{{ d }}/b"}
`,
  };
  const tripsOf = async (journal: boolean) => {
    const rig = await Rig.make(files);
    t.teardown(() => rig.remove());
    const trips = [];
    for (const word of ['one', 'two', 'two']) {
      await rig.run({ verify: false, extraVars: new Map([['word', word]]), ...(journal ? { journalDir: join(rig.folder, 'runs') } : {}) });
      t.deepEqual(rig.failures(), []);
      trips.push(rig.trips.map(({ machine, effect, inspections }) => `${machine} ${effect ? 'effect' : inspections}`).sort());
    }
    return trips;
  };
  const [plain, kept] = [await tripsOf(false), await tripsOf(true)];
  t.deepEqual(kept, plain);
  t.true(plain[1]!.length > plain[2]!.length);
});
