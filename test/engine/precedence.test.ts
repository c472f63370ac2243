import { chmod } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { LocalConnection } from '../../src/connection/local.js';
import { Rig } from './rig.js';

/**
 * docs.ansible.com, "Understanding variable precedence": what each of its levels is, weakest first. The first are values
 * of the command line (`-u`), which are no variables.
 */
const LEVELS = [
  'role defaults', 'inventory file group vars', 'inventory group_vars/all', 'playbook group_vars/all', 'inventory group_vars/*', 'playbook group_vars/*',
  'inventory file host vars', 'inventory host_vars/*', 'playbook host_vars/*', 'host facts', 'play vars', 'play vars_prompt', 'play vars_files', 'role vars',
  'block vars', 'task vars', 'include_vars', 'set_facts / registered vars', 'role params', 'include params', 'extra vars',
] as const;
type Level = (typeof LEVELS)[number];

/** `x_3` is set at the third level and at all below it; its value is the level's name. */
const named = (level: Level): [string, string][] => LEVELS.flatMap((_, i) => (i >= LEVELS.indexOf(level) ? [[`x_${i}`, level] as [string, string]] : []));
const dict = (level: Level, more: { [name: string]: unknown } = {}): string => JSON.stringify({ ...Object.fromEntries(named(level)), ...more });

const read = JSON.stringify(Object.fromEntries(LEVELS.map((level, i) => [level, `{{ x_${i} }}`])));

test('each level of a run wins over all below it', async (t) => {
  const rig = await Rig.make({
    'inventory/hosts.yml': JSON.stringify({ g: { vars: Object.fromEntries(named('inventory file group vars')), hosts: { h: { ...Object.fromEntries(named('inventory file host vars')), ansible_connection: 'ssh' } } } }),
    'inventory/group_vars/all.yml': dict('inventory group_vars/all'),
    'inventory/group_vars/g.yml': dict('inventory group_vars/*'),
    'inventory/host_vars/h.yml': dict('inventory host_vars/*'),
    'group_vars/all.yml': dict('playbook group_vars/all'),
    'group_vars/g.yml': dict('playbook group_vars/*'),
    'host_vars/h.yml': dict('playbook host_vars/*'),
    'library/found': `#!/bin/sh\n# WANT_JSON\nprintf '%s' '{"ansible_facts": ${dict('host facts')}}'\n`,
    'from.yml': dict('play vars_files'),
    'site.yml': `- hosts: h
  gather_facts: false
  tasks: [found: ]
- hosts: h
  gather_facts: false
  vars: ${dict('play vars')}
  vars_prompt: ${JSON.stringify(named('play vars_prompt').map(([name]) => ({ name, private: false })))}
  vars_files: [from.yml]
  roles: [${dict('role params', { role: 'r' })}]
`,
    'roles/r/defaults/main.yml': dict('role defaults'),
    'roles/r/vars/main.yml': dict('role vars'),
    'roles/r/tasks/main.yml': `- include_vars: included.yml
- set_fact: ${dict('set_facts / registered vars')}
- vars: ${dict('block vars')}
  block:
    - {include_tasks: inner.yml, vars: ${dict('include params')}}
`,
    'roles/r/vars/included.yml': dict('include_vars'),
    'roles/r/tasks/inner.yml': `- {name: read, debug: {msg: ${read}}, vars: ${dict('task vars')}}\n`,
  });
  t.teardown(() => rig.remove());
  await chmod(path.join(rig.folder, 'library/found'), 0o755);
  await rig.run({ inventory: [path.join(rig.folder, 'inventory')], extraVars: new Map(named('extra vars')), ask: async () => 'play vars_prompt' });
  t.deepEqual(rig.failures(), []);
  const said = rig.events.findLast((event) => event.event === 'result' && event.task.endsWith('read'));
  t.deepEqual(said?.event === 'result' && said.result.data['msg'], Object.fromEntries(LEVELS.map((level) => [level, level])));
});

test('values of the command line are weaker than keywords, and these than variables, whichever', async (t) => {
  const site = (keyword: string, defaults: string) => ({ 'site.yml': `- {hosts: h, gather_facts: false, ${keyword} roles: [r]}\n`, 'roles/r/defaults/main.yml': defaults, 'roles/r/tasks/main.yml': '- ping:\n' });
  for (const [keyword, defaults, user] of [['', '{}', 'flag'], ['remote_user: keyword,', '{}', 'keyword'], ['remote_user: keyword,', 'ansible_user: default', 'default']] as const) {
    const rig = await Rig.make({ ...site(keyword, defaults), 'hosts.yml': 'all: {hosts: {h: {ansible_connection: ssh}}}\n' });
    t.teardown(() => rig.remove());
    const users = new Set<string | undefined>();
    const defaultsOf = { become: false, becomeUser: undefined, becomeMethod: undefined, connection: undefined, privateKeyFile: undefined, connectTimeout: 10, connectionPassword: undefined, becomePassword: undefined, hostKeyChecking: undefined, sshConfigFile: undefined, knownHostsFile: undefined };
    await rig.run({ defaults: { ...defaultsOf, remoteUser: 'flag' }, connect: (target) => (users.add(target.user), new LocalConnection(target.name)) });
    t.deepEqual([...users], [user]);
  }
});

test('the rest of a play sees variables of roles, but not of those that keep them to themselves', async (t) => {
  const seen = (name: string) => `{name: ${name}, debug: {msg: "{{ [r | default('none'), dep | default('none')] }}"}}`;
  const site = (use: string) => `- hosts: h\n  gather_facts: false\n  tasks: [${seen('before')}, ${use}, ${seen('after')}]\n`;
  const rig = await Rig.make({
    'hosts.yml': 'all: {hosts: {h: {ansible_connection: ssh}}}\n',
    'roles/r/vars/main.yml': 'r: main\n', 'roles/r/vars/other.yml': 'r: other\n', 'roles/r/meta/main.yml': 'dependencies: [dep]\n', 'roles/r/tasks/main.yml': '- ping:\n',
    'roles/dep/defaults/main.yml': 'dep: dep\n',
  });
  t.teardown(() => rig.remove());
  const nothing = ['none', 'none'];
  for (const [use, before, after] of [
    ['{import_role: {name: r}}', ['main', 'dep'], ['main', 'dep']],
    ['{import_role: {name: r, public: false}}', nothing, nothing],
    ['{include_role: {name: r}}', nothing, nothing],
    ['{include_role: {name: r, public: true}}', nothing, ['main', 'dep']],
    ['{include_role: {name: r, vars_from: other}}, {import_role: {name: r}}', ['main', 'dep'], ['main', 'dep']],
    ['{include_role: {name: r, public: true}}, {include_role: {name: r, vars_from: other}}', nothing, ['main', 'dep']],
  ] as const) {
    await rig.write({ 'site.yml': site(use) });
    await rig.run();
    const said = rig.events.flatMap((event) => (event.event === 'result' && event.task !== 'r : ping' ? [event.result.data['msg']] : []));
    t.deepEqual(said.filter((msg) => Array.isArray(msg)), [before, after], use);
  }
});
