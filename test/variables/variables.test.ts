import test from 'ava';
import { resolve } from 'node:path';
import { Record } from '../../src/expression/index.js';
import type { Play } from '../../src/playbook/types.js';
import { addHost } from '../../src/inventory/index.js';
import { ContentError, UndefinedError } from '../../src/value/errors.js';
import { Float, Secret, Unknown, type Dict } from '../../src/value/value.js';
import { folder, hostVars, play, project, read, role, services, task, vars } from './project.js';

test('variables refer to each other and keep their types', async (t) => {
  const variables = await hostVars(t, 'a: "{{ b }}"\nb: "{{ c.port }}"\nc: {port: 80, name: "port {{ a }}"}\nlist: ["{{ a }}", {x: "{{ c }}"}]\nrate: 1.0\n');
  t.is(read(variables, 'a'), 80);
  t.deepEqual(read(variables, 'c'), { port: 80, name: 'port 80' });
  t.deepEqual(read(variables, 'list'), [80, { x: { port: 80, name: 'port 80' } }]);
  t.true(variables.scope({ host: 'h', services }).get('rate', new Record()) instanceof Float);
});

test('a member that cannot be evaluated spoils only itself', async (t) => {
  const variables = await hostVars(t, 'app:\n  good: 1\n  bad: "{{ missing }}"\n  inner: {bad: "{{ gone }}", good: "{{ app.good }}"}\n  list: ["{{ nothing }}", two]\n');
  const app = variables.scope({ host: 'h', services }).get('app', new Record()) as Dict;
  t.is(app.get('good'), 1);
  t.is((app.get('inner') as Dict).get('good'), 1);
  t.is((app.get('list') as string[])[1], 'two');
  t.deepEqual([...app.keys()], ['good', 'bad', 'inner', 'list']);
  const error = t.throws(() => app.get('bad'), { instanceOf: UndefinedError });
  t.deepEqual([error!.origin!.line, error!.origin!.file.endsWith('host_vars/h.yml')], [3, true]);
  t.throws(() => (app.get('list') as string[])[0], { instanceOf: UndefinedError });
});

test('a variable that needs itself is named with the way it comes back', async (t) => {
  const variables = await hostVars(t, 'a: "{{ b }}"\nb: "x{{ c.d }}"\nc:\n  d: "{{ a }}"\n  fine: 1\nself: "{{ self }}"\nok: {x: "{{ ok.y }}", y: 1}\n');
  const error = t.throws(() => read(variables, 'a'), { instanceOf: ContentError });
  t.regex(error!.describe(), /h\.yml:1:\d+: the variable "a" needs itself: a -> b -> c\.d -> a;/);
  t.notThrows(() => t.deepEqual(read(variables, 'ok'), { x: 1, y: 1 }));
  t.throws(() => read(variables, 'self'), { message: /self -> self/ });
  t.false(t.throws(() => read(variables, 'self')) instanceof UndefinedError);
});

test('other hosts whose variables are read are noted, and where a value comes from can be told', async (t) => {
  const { variables, root } = await project(t, { 'inventory/hosts.yml': 'all: {hosts: {h: , db: {ansible_host: 198.18.0.21}}}', 'group_vars/all.yml': 'x: 1\nprimary: "{{ hostvars.db.ansible_host }} {{ ansible_facts.os_family }} {{ ansible_kernel }}"\n' });
  variables.setFacts('h', new Map([['os_family', 'Debian'], ['kernel', '6.1']]));
  const record = new Record();
  t.is(read(variables, 'primary', {}, record), '198.18.0.21 Debian 6.1');
  t.deepEqual([...record.hosts], ['db']);
  t.deepEqual(variables.explain({ host: 'h', services }, 'x'), { level: 'group_vars/all of the playbook', origin: { file: `${root}/group_vars/all.yml`, line: 1, column: 4 }, value: 1 });
});

test('secrecy goes with the value, and only with it', async (t) => {
  const variables = await hostVars(t, 'dsn: "mysql://app:{{ password }}@db"\nplain: "{{ port }}"\nport: 3306\nstrong: "{{ password | length > 3 }}"\n');
  variables.setFact('h', 'password', new Secret('s3cr3t'));
  const scope = variables.scope({ host: 'h', services });
  const record = new Record();
  const dsn = scope.get('dsn', record);
  t.true(dsn instanceof Secret);
  t.is((dsn as Secret).reveal(), 'mysql://app:s3cr3t@db');
  t.is(scope.get('plain', record), 3306);
});

test('hostvars give inventory, facts and what tasks set, nothing of the play', async (t) => {
  const { variables } = await project(t, { 'inventory/hosts.yml': 'web: {hosts: {h: {n: 1}, w2: {n: 2}}, vars: {url: "http://{{ inventory_hostname }}:{{ n }}"}}\nsolo: {hosts: {s: }}' });
  variables.setFact('w2', 'set', 'yes');
  const context = { play: play({ vars: vars('n: 9\nall_urls: "{{ hostvars.h.url }} {{ hostvars[\'w2\'].url }} {{ hostvars.w2.set }}"\nalias: "{{ hostvars.w2 }}"\nport: "{{ alias.n }}"') }) };
  t.is(read(variables, 'n', context), 9);
  t.is(read(variables, 'all_urls', context), 'http://h:1 http://w2:2 yes');
  t.is(read(variables, 'port', context), 2);
  const hostvars = variables.scope({ host: 'h', services }).get('hostvars', new Record()) as Dict;
  t.deepEqual([...hostvars.keys()], ['h', 'w2', 's']);
  t.false((hostvars.get('s') as Dict).has('url'));
  t.false((hostvars.get('s') as Dict).has('role_name'));
  t.is(hostvars.get('nobody'), undefined);
});

test('all variables of a host taken as one value: what cannot be evaluated is left out, what only a real run could tell is unknown', async (t) => {
  const variables = await hostVars(t, 'good: 1\nbad: "{{ missing }}"\nlater: "{{ built.rc }}"\nme: "{{ hostvars.h }}"\nfine: "{{ me.good }}"\n');
  variables.setRegistered('h', 'built', new Unknown('make is not run in a plan'));
  t.is(read(variables, 'fine'), 1);
  const whole = new Map(variables.scope({ host: 'h', services }).get('me', new Record()) as Dict);
  t.false(whole.has('bad'));
  t.true(whole.get('later') instanceof Unknown);
});

test('magic variables', async (t) => {
  const { variables, root } = await project(t, { 'inventory/hosts.yml': 'web: {hosts: {h: , w2.example.com: }}\nprod: {children: {web: }}' }, new Map([['inventory_hostname', 'no']]));
  const outer = role({ name: 'outer' });
  const inner = role({ name: 'n.c.inner', collection: 'n.c', shortName: 'inner', path: 'roles/inner', parent: outer });
  const context = {
    play: play({ name: 'Web', roles: [outer] }), task: task({ role: inner }), playHosts: ['h'], playHostsAll: ['h', 'w2.example.com'], batch: ['h'],
    options: { check: true, forks: 5, verbosity: 2, limit: 'web', tags: ['deploy'] }, playbookDir: root,
  };
  const wanted: { [name: string]: unknown } = {
    inventory_hostname: 'h', inventory_file: `${root}/inventory/hosts.yml`, inventory_dir: `${root}/inventory`, group_names: ['prod', 'web'],
    groups: { all: ['h', 'w2.example.com'], ungrouped: [], web: ['h', 'w2.example.com'], prod: ['h', 'w2.example.com'] },
    role_name: 'inner', ansible_role_name: 'n.c.inner', ansible_collection_name: 'n.c', role_path: resolve('roles/inner'), ansible_parent_role_names: ['outer'], ansible_play_role_names: ['outer'],
    ansible_play_name: 'Web', ansible_play_hosts: ['h'], ansible_play_hosts_all: ['h', 'w2.example.com'], ansible_play_batch: ['h'], play_hosts: ['h'],
    ansible_check_mode: true, ansible_diff_mode: false, ansible_forks: 5, ansible_verbosity: 2, ansible_limit: 'web', ansible_run_tags: ['deploy'], ansible_skip_tags: [], playbook_dir: root,
  };
  for (const [name, value] of Object.entries(wanted)) t.deepEqual(read(variables, name, context), value, name);
  t.is(read(variables, 'ansible_play_name', { ...context, play: play({ hosts: 'web' }) }), 'web');
  t.is(read(variables, 'inventory_hostname_short', { host: 'w2.example.com' }), 'w2');
  t.is(read(variables, 'role_name'), undefined);
  t.deepEqual(read(variables, 'ansible_run_tags'), ['all']);
  const all = read(variables, 'vars', context) as { [name: string]: unknown };
  t.is(all['inventory_hostname'], 'h');
  t.true([...variables.scope({ host: 'h', services, ...context }).names()].includes('role_name'));
});

test('group_vars and host_vars: files, folders of files, one extension a name; hosts that come later too', async (t) => {
  const { variables } = await project(t, {
    'inventory/hosts.yml': 'web: {hosts: {h: }}',
    'inventory/group_vars/web/10.yml': 'a: 10\nb: 10\n',
    'inventory/group_vars/web/20.yaml': 'b: 20\n',
    'inventory/group_vars/web/deep/x.json': '{"c": 1.0}',
    'inventory/group_vars/web/.hidden.yml': 'a: hidden\n',
    'inventory/group_vars/web/old.yml~': 'a: old\n',
    'inventory/group_vars/web/README.md': 'not: [yaml\n',
    'inventory/group_vars/README.md': 'not: [yaml\n',
    'inventory/group_vars/web.yml': 'a: ignored, since there is a folder\n',
    'inventory/host_vars/late.example.com.yml': 'd: late\n',
    'inventory/host_vars/h': '',
  });
  t.deepEqual([read(variables, 'a'), read(variables, 'b'), read(variables, 'c')], [10, 20, 1]);
  addHost(variables.inventory, 'late.example.com', ['web'], new Map([['e', 1]]));
  t.deepEqual([read(variables, 'a', { host: 'late.example.com' }), read(variables, 'd', { host: 'late.example.com' }), read(variables, 'e', { host: 'late.example.com' })], [10, 'late', 1]);
});

test('a wrong file of variables is found when loading', async (t) => {
  const error = await t.throwsAsync(project(t, { 'inventory/hosts.yml': 'all: {hosts: {h: }}', 'group_vars/all.yml': '- a\n' }), { instanceOf: ContentError });
  t.regex(error!.describe(), /group_vars\/all\.yml:1:1: a file of variables is a dict/);
});

test('vars_files: names with expressions, the first that exists of a list, beside the playbook or in vars/', async (t) => {
  const root = folder(t, { 'common.yml': 'a: 1\nb: "{{ a }}"\n', 'vars/Debian.yml': 'family: Debian\na: 2\n' });
  const variables = await hostVars(t, 'os: Debian\n');
  const entries = vars('files: [common.yml, ["{{ os }}-12.yml", "{{ os }}.yml", "{{ not_known }}.yml"]]').get('files') as never;
  const site = play({ baseDir: root, varsFiles: entries });
  const load = (site: Play, patient = false) => variables.loadVarsFiles(site, (varsFiles) => variables.scope({ host: 'h', services, play: site, varsFiles }), patient);
  const { vars: loaded } = load(site);
  t.is(read(variables, 'b', { play: site, varsFiles: loaded }), 2);
  t.deepEqual(variables.explain({ host: 'h', services, varsFiles: loaded }, 'family')?.origin, { file: `${root}/vars/Debian.yml`, line: 1, column: 9 });
  const missing = play({ baseDir: root, varsFiles: vars('files:\n  - nothere.yml\n').get('files') as never });
  const error = t.throws(() => load(missing), { instanceOf: ContentError });
  t.regex(error!.describe(), /vars\.yml:2:5: there is no vars file "nothere\.yml"; looked at .*vars\/nothere\.yml/);

  const chained = play({ baseDir: root, varsFiles: vars('files: ["{{ ansible_os_family }}.yml", common.yml, "{{ \'Debian\' if a == 1 else \'none\' }}.yml"]').get('files') as never });
  t.throws(() => load(chained), { instanceOf: UndefinedError });
  const early = load(chained, true);
  t.false(early.isWhole, 'a name that reads facts waits for them');
  t.is(early.vars.get('family'), 'Debian', 'a name sees the files before');
});

test('data that looks like an expression is never evaluated', async (t) => {
  const variables = await hostVars(t, 'shown: "{{ answer }}"\n');
  variables.setRegistered('h', 'answer', '{{ 1 + 1 }}');
  variables.setFacts('h', new Map([['motd', '{{ answer }}']]));
  t.is(read(variables, 'shown'), '{{ 1 + 1 }}');
  t.is(read(variables, 'ansible_motd'), '{{ answer }}');
});

test('group_vars stand beside an inventory file, or in an inventory folder', async (t) => {
  const files = { 'inventory/hosts': 'h\n', 'inventory/group_vars/all.yml': 'a: 1\n' };
  for (const source of ['inventory', 'inventory/hosts']) {
    const { variables } = await project(t, files, new Map(), source);
    t.is(read(variables, 'a'), 1);
  }
});
