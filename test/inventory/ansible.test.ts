/** What `muster inventory` says with ansible-inventory's flags, beside the real ansible-inventory. */
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import test from 'ava';
import { parseData } from '../../src/yaml/index.js';
import { folder } from '../cli/folder.js';
import { muster } from '../cli/muster.js';
import { need } from '../connection/shells.js';

const files = {
  'hosts.yml': [
    'all:', '  hosts:', '    solo: {x: 1.5, f: 2.0, y: true, z: null, big: [1, {a: "é"}], os: ""}', '  vars: {top: "{{ solo }}"}', '  children:',
    '    web:', '      hosts:', '        web[1:2]: {port: 80, tags: {env: prod, tier: "", zone-a: b c}}', '      vars: {w: 1, roles: [front, ""]}',
    '    db:', '      hosts: {db1: {os: debian}}', '      children:', '        replicas: {hosts: {db2: {}}}', '    empty: {}', '    both: {hosts: {web1: {}, db1: {}}}',
  ].join('\n'),
  'group_vars/web.yml': 'port: 81\nfrom_file: [1]\n',
  'host_vars/db1.yml': 'mine: yes\n',
  'made.yml': [
    'plugin: constructed', 'strict: false', 'use_vars_plugins: true', 'compose:', '  doubled: port | string * 2', '  short: inventory_hostname[:2]', '  nothing: not_there.at_all', '  text: "\'a\' ~ w"',
    'groups:', '  high: port | default(0) | int > 80', '  fromfile: from_file is defined', '  second: inventory_hostname is match(".*2")',
    'keyed_groups:', '  - key: os', '    prefix: os', '    default_value: unknown', '  - key: roles', '    separator: ""', '    prefix: "r-"', '    parent_group: all_{{ w }}',
    '  - key: tags', '    prefix: tag', '    trailing_separator: false', '  - key: os', '  - key: inventory_hostname', '    prefix: ""', '    separator: "9"', '',
  ].join('\n'),
  'layers.yml': 'plugin: ansible.builtin.generator\nhosts:\n  name: "{{ a }}-{{ b }}"\n  parents:\n    - name: "{{ a }}"\n      vars: {letter: "{{ a }}"}\n      parents: [{name: letters}]\nlayers: {a: [x, y], b: [p, q]}\n',
  'hosts.ini': 'late ansible_group=x\n[low]\na1 v=[1,2]\n[high]\na1\n[low:vars]\nansible_group_priority=9\nwho=low\n[high:vars]\nwho=high\n[parents:children]\nlow\n',
  script: '#!/bin/sh\necho \'{"g": {"hosts": ["s1", "s2"], "vars": {"n": 1}}, "list": ["s1"], "lone": {"v": 1}, "up": {"children": ["g"]}, "_meta": {"hostvars": {"s1": {"a": [1.0, "{{ x }}"]}, "unlisted": {"b": 1}}}}\'\n',
};

const cases: [sources: string[], flags: string[]][] = [
  [['hosts.yml'], ['--list']],
  [['hosts.yml'], ['--list', '--export']],
  [['hosts.yml'], ['--list', '-y', '--export']],
  [['hosts.yml'], ['--host', 'web1']],
  [['hosts.yml', 'made.yml'], ['--list']],
  [['hosts.yml', 'made.yml'], ['--graph', '--vars']],
  [['layers.yml', 'hosts.ini'], ['--list', '--export']],
  [['script', 'h[1:2],extra'], ['--list']],
  [['hosts.ini', 'hosts.yml'], ['--list', '-y']],
];

for (const [sources, flags] of cases) {
  test(`as ansible-inventory: ${sources.join(' ')}: ${flags.join(' ')}`, async (t) => {
    need('ansible-inventory', 'ansible-core');
    const dir = await folder(t, files);
    chmodSync(`${dir}/script`, 0o755);
    const args = [...sources.flatMap((source) => ['-i', source]), ...flags];
    const env = { PATH: process.env['PATH'], HOME: dir, LANG: 'C.UTF-8', ANSIBLE_INVENTORY_ENABLED: 'advanced_host_list,script,auto,yaml,ini' };
    const theirs = execFileSync('ansible-inventory', args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
    const ours = await muster(['inventory', ...args], { cwd: dir });
    t.is(ours.stderr, '');
    // Theirs has anchors where hosts share a value.
    if (flags.includes('-y')) t.deepEqual(parseData(ours.stdout, 'ours'), parseData(theirs, 'theirs'));
    else t.is(ours.stdout.trimEnd(), theirs.trimEnd());
  });
}
