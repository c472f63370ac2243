import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseIni } from '../../cli/ini.js';
import { folder } from './folder.js';
import { muster } from './muster.js';

test('INI as configparser reads it', (t) => {
  const text = [
    '; head', '[defaults]', 'Forks = 5 ; so many', 'key: value', '  and more', '', '  and last', '# no', 'url = http://x;y=1', 'empty =', '[ssh_connection]', 'ssh_args=-o A=1', 'no pair', '[defaults]', 'forks=6',
  ].join('\n');
  const read = Object.fromEntries([...parseIni(text)].map(([section, keys]) => [section, Object.fromEntries([...keys].map(([key, { value, line }]) => [key, [value, line]]))]));
  t.deepEqual(read, {
    defaults: { forks: ['6', 15], key: ['value\nand more\n\nand last', 4], url: ['http://x;y=1', 9], empty: ['', 10] },
    ssh_connection: { ssh_args: ['-o A=1', 12] },
  });
});

test('ansible.cfg gives the inventory, and says so; the environment, muster.yml and flags win over it', async (t) => {
  const dir = await folder(t, {
    'conf/ansible.cfg': '[defaults]\ninventory = hosts.ini, $MORE/db.ini\nforks = 7\nnocows = 1\n[ssh_connection]\npipelining = True\n',
    'conf/hosts.ini': 'web1\n',
    'conf/db.ini': 'db1\n',
    'other.ini': 'other1\n',
    'ours/muster.yml': 'inventory: hosts.ini\n',
    'ours/hosts.ini': 'ours1\n',
  });
  const env = { ANSIBLE_CONFIG: join(dir, 'conf'), MORE: join(dir, 'conf') };
  const list = async (more: { cwd?: string; env?: NodeJS.ProcessEnv; flags?: string[] } = {}) =>
    muster(['inventory', 'list', ...(more.flags ?? [])], { cwd: more.cwd ?? dir, env: { ...env, ...more.env } });
  const plain = await list();
  t.is(plain.stdout, 'web1  ungrouped\ndb1   ungrouped\n');
  t.is(plain.stderr, 'muster: taken from conf/ansible.cfg: inventory, forks\n');
  const set = await list({ env: { ANSIBLE_INVENTORY: 'other.ini' } });
  t.is(set.stdout, 'other1  ungrouped\n');
  t.is(set.stderr, 'muster: taken from conf/ansible.cfg: forks; from the environment: ANSIBLE_INVENTORY\n');
  t.is((await list({ env: { ANSIBLE_INVENTORY: 'other.ini', MUSTER_INVENTORY: 'conf/db.ini' } })).stdout, 'db1  ungrouped\n');
  t.is((await list({ cwd: join(dir, 'ours') })).stdout, 'ours1  ungrouped\n');
  t.is((await list({ flags: ['-i', 'x1,'] })).stdout, 'x1  ungrouped\n');
});

test('an ansible.cfg in a folder that anybody may write to is passed over, unless it is named', async (t) => {
  const dir = await folder(t, { 'ansible.cfg': '[defaults]\ninventory = hosts\n', hosts: 'web1\n' });
  chmodSync(dir, 0o777);
  const passed = await muster(['inventory', 'list', '-i', 'x,'], { cwd: dir });
  t.regex(passed.stderr, /^muster: warning: anybody may write to .*, so its ansible\.cfg is not read/);
  t.is((await muster(['inventory', 'list'], { cwd: dir, env: { ANSIBLE_CONFIG: 'ansible.cfg' } })).stdout, 'web1  ungrouped\n');
});

test('what would change the meaning of playbooks and is not there is a warning; a wrong value an error with its place', async (t) => {
  const dir = await folder(t, { 'ansible.cfg': '[defaults]\nhash_behaviour = merge\nerror_on_missing_handler = True\nstdout_callback = yaml\n' });
  const warned = await muster(['inventory', 'list', '-i', 'x,'], { cwd: dir, env: { ANSIBLE_ERROR_ON_UNDEFINED_VARS: 'no' } });
  t.is(warned.code, 0);
  t.is(
    warned.stderr,
    'muster: warning: ansible.cfg:2: hash_behaviour is not supported; dicts of the same name are replaced, not merged; use the combine filter\n' +
      'muster: warning: ANSIBLE_ERROR_ON_UNDEFINED_VARS is not supported; an undefined variable stays an error; use default()\n',
  );
  const wrong = await folder(t, { 'ansible.cfg': '[defaults]\nforks = many\n' });
  const refused = await muster(['inventory', 'list', '-i', 'x,'], { cwd: wrong });
  t.is(refused.code, 1);
  t.regex(refused.stderr, /^ansible\.cfg:2:1: forks: "many" is no whole number/);
  t.regex((await muster(['inventory', 'list', '-i', 'x,'], { cwd: dir, env: { ANSIBLE_BECOME: 'perhaps' } })).stderr, /^ANSIBLE_BECOME: "perhaps" is neither true nor false/);
});

test('what runs do by ansible.cfg: roles, gathering, tags, who one becomes', async (t) => {
  const dir = await folder(t, {
    'ansible.cfg': '[defaults]\nroles_path = far:~/none\ngathering = explicit\nstrategy = free\ntransport = local\n[privilege_escalation]\nbecome = yes\nbecome_user = nobody\n[tags]\nskip = slow\n',
    'far/greet/tasks/main.yml': '- command: id -un\n  register: me\n- debug: msg="{{ me.stdout }} {{ ansible_facts | length }}"\n- fail:\n  tags: slow\n',
    'site.yml': '- hosts: all\n  roles: [greet]\n',
  });
  const ran = await muster(['apply', 'site.yml', '-i', 'here,', '--output', 'json'], { cwd: dir });
  t.is(ran.code, 0, ran.stdout + ran.stderr);
  t.regex(ran.stdout, /"msg":"nobody 0"/);
  t.is(ran.stderr, 'muster: taken from ansible.cfg: roles_path, transport, become, become_user, gathering, strategy, skip_tags\n');
  const quiet = await muster(['drift', 'site.yml', '-i', 'here,', '-t', 'none'], { cwd: dir });
  t.deepEqual(quiet, { code: 0, stdout: '', stderr: '' });
});

test('any_errors_fatal and no_log of ansible.cfg hold for tasks that do not say otherwise', async (t) => {
  const dir = await folder(t, {
    'ansible.cfg': '[defaults]\ntransport = local\nany_errors_fatal = True\nno_log = True\n',
    'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: msg=shut\n    - debug: msg=open\n      no_log: false\n    - fail: msg=one\n      when: inventory_hostname == "a"\n      any_errors_fatal: "{{ mild | default(omit) }}"\n    - debug: msg=behind\n      no_log: false\n',
  });
  const ran = await muster(['apply', 'site.yml', '-i', 'a,b,', '--output', 'json'], { cwd: dir });
  t.is(ran.code, 3, ran.stderr);
  t.false(ran.stdout.includes('shut'));
  t.true(ran.stdout.includes('"msg":"open"'));
  t.false(ran.stdout.includes('"msg":"behind"'));
  const mild = await muster(['apply', 'site.yml', '-i', 'a,b,', '-e', 'mild=false', '--output', 'json'], { cwd: dir });
  t.true(mild.stdout.includes('"msg":"behind"'));
});

test('private_role_vars of ansible.cfg keeps the variables of roles to them, or shows those of included ones', async (t) => {
  const dir = await folder(t, {
    'roles/a/defaults/main.yml': 'of_a: 1\n',
    'roles/a/tasks/main.yml': '- debug: msg="in {{ of_a }}"\n',
    'listed.yml': '- hosts: all\n  gather_facts: false\n  connection: local\n  roles: [a]\n  tasks:\n    - debug: msg="behind {{ of_a | default(\'nothing\') }}"\n',
    'included.yml': '- hosts: all\n  gather_facts: false\n  connection: local\n  tasks:\n    - include_role: name=a\n    - debug: msg="behind {{ of_a | default(\'nothing\') }}"\n',
  });
  const behind = async (playbook: string, set?: string) => {
    const { stdout } = await muster(['apply', playbook, '-i', 'x,', '--output', 'json'], { cwd: dir, env: set === undefined ? {} : { ANSIBLE_PRIVATE_ROLE_VARS: set } });
    return /"msg":"behind (\w+)"/.exec(stdout)?.[1];
  };
  t.deepEqual([await behind('listed.yml'), await behind('listed.yml', 'yes'), await behind('listed.yml', 'no')], ['1', 'nothing', '1']);
  t.deepEqual([await behind('included.yml'), await behind('included.yml', 'yes'), await behind('included.yml', 'no')], ['nothing', 'nothing', '1']);
});
