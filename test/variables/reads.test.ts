import test from 'ava';
import { Record } from '../../src/expression/index.js';
import { Reads, Variables, type Context } from '../../src/variables/index.js';
import { Secret, toPlain, Unknown, type Dict, type Value } from '../../src/value/value.js';
import { project, services, vars } from './project.js';

const INVENTORY = { 'inventory/hosts.yml': 'all: {hosts: {h: {own: "{{ inner }}", inner: 1}, db: {port: 5432}}}' };

/** Evaluates `it` on h, and says whether the same would come of it after each of some changes. */
async function reading(t: Parameters<typeof project>[0], it: string, changes: readonly ((variables: Variables) => Partial<Context> | void)[], before: Partial<Context> = {}): Promise<boolean[]> {
  const still: boolean[] = [];
  for (const change of changes) {
    const { variables } = await project(t, INVENTORY);
    variables.setFacts('h', new Map<Value, Value>([['os_family', 'Debian'], ['all_addresses', ['192.0.2.1']]]));
    variables.setFact('h', 'made', new Map([['changed', false]]));
    const task = { vars: [vars(`it: ${it}`)], role: undefined } as unknown as Context['task'];
    const reads = new Reads();
    const value = variables.scope({ host: 'h', services, task, ...before, reads }).get('it', new Record())!;
    toPlain(value, true);
    const now = variables.scope({ host: 'h', services, task, ...before, ...change(variables) });
    still.push(reads.hold((view) => (view === 'h' ? now : now.viewed(view)!)));
  }
  return still;
}

const nothing = (): void => undefined;

test('an evaluation holds until something it read is another', async (t) => {
  const other = (variables: Variables) => variables.setFact('h', 'unread', 2);
  t.deepEqual(await reading(t, '"{{ own }} {{ made.changed }}"', [
    nothing,
    other,
    (variables) => variables.setFact('h', 'inner', 2),
    (variables) => variables.setFact('h', 'own', 1),
    (variables) => variables.setRegistered('h', 'made', new Map([['changed', true]])),
    (variables) => variables.setRegistered('h', 'made', new Map([['changed', false]])),
    (variables) => variables.setRegistered('h', 'made', new Unknown('a plan')),
  ]), [true, true, false, false, false, true, false]);
});

test('that something is not there is read too', async (t) => {
  t.deepEqual(await reading(t, `"{{ missing | default('none') }} {{ hostvars.db.missing | default('none') }} {{ ansible_facts.missing | default('none') }} {{ vars.gone is defined }}"`, [
    nothing,
    (variables) => variables.setFact('h', 'missing', 1),
    (variables) => variables.setFact('db', 'missing', 1),
    (variables) => variables.setFacts('h', new Map([['missing', 1]])),
    (variables) => variables.setIncluded('h', 'gone', 1),
  ]), [true, false, false, false, false]);
});

test('facts, other hosts, loops and magic variables', async (t) => {
  const loop = (item: Value): Partial<Context> => ({ loop: new Map([['item', item]]) });
  t.deepEqual(await reading(t, '"{{ ansible_os_family }} {{ ansible_facts.all_addresses }} {{ hostvars.db.port }} {{ item }} {{ ansible_play_hosts }}"', [
    nothing,
    (variables) => variables.setFacts('h', new Map<Value, Value>([['os_family', 'Debian'], ['all_addresses', ['192.0.2.1']], ['kernel', '6.1']])),
    (variables) => variables.setFacts('h', new Map([['os_family', 'RedHat']])),
    (variables) => variables.setFacts('h', new Map([['all_addresses', ['192.0.2.2']]])),
    (variables) => variables.setFact('db', 'port', 3306),
    () => loop('one'),
    () => loop('two'),
    () => ({ playHosts: ['h'] }),
  ], { ...loop('one'), playHosts: ['h', 'db'] }), [true, true, false, false, false, true, false, false]);
});

test('whoever looks through all there is hangs on all there is', async (t) => {
  for (const all of ['{{ ansible_facts | length }}', '{{ vars | length }}', `{{ lookup('varnames', '^o') }}`]) t.deepEqual(await reading(t, `"${all}"`, [nothing]), [false], all);
});

test('what cannot be compared is not the same', async (t) => {
  const secret = new Secret('x');
  t.deepEqual(await reading(t, '"{{ word }}"', [() => ({ loop: new Map([['word', secret]]) }), () => ({ loop: new Map([['word', new Secret('x')]]) })], { loop: new Map([['word', secret]]) }), [true, false]);
});

test('a member that evaluates is never evaluated to compare it', async (t) => {
  const { variables } = await project(t, INVENTORY);
  const items = () => variables.scope({ host: 'h', services, task: { vars: [vars('list: [{name: "{{ missing }}"}]\ndict: {list: ["{{ missing }}"]}')], role: undefined } as never });
  const [first, again] = [items(), items()];
  const reads = new Reads();
  for (const name of ['list', 'dict']) reads.note('h', name, first.get(name, new Record()));
  const noted = (name: string): boolean => reads.hold(() => ({ raw: (asked) => (asked === name ? again : first).get(asked, new Record()) }));
  t.notThrows(() => noted('list'));
  t.false(noted('list'));
  const entry = (first.get('dict', new Record()) as Dict).get('list');
  reads.note('h', 'entry', entry);
  t.notThrows(() => reads.hold(() => ({ raw: () => entry })));
});
