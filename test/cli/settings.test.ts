import { join } from 'node:path';
import test from 'ava';
import { muster } from './muster.js';
import { folder } from './folder.js';

test('muster.yml names the inventory, relative to itself; the environment and flags win over it', async (t) => {
  const dir = await folder(t, { 'muster.yml': 'inventory: hosts.ini\nforks: 5\n', 'hosts.ini': 'web1\n', 'other.ini': 'db1\n' });
  t.is((await muster(['inventory', 'list'], { cwd: dir })).stdout, 'web1  ungrouped\n');
  t.is((await muster(['inventory', 'list'], { cwd: dir, env: { MUSTER_INVENTORY: 'other.ini' } })).stdout, 'db1  ungrouped\n');
  t.is((await muster(['inventory', 'list', '-i', 'x1,'], { cwd: dir, env: { MUSTER_INVENTORY: 'other.ini' } })).stdout, 'x1  ungrouped\n');
});

test('an unknown setting is refused with its place and what was meant', async (t) => {
  const dir = await folder(t, { 'muster.yml': 'forks: 5\ninventry: hosts\n' });
  const ran = await muster(['inventory', 'list'], { cwd: dir });
  t.is(ran.code, 1);
  t.is(ran.stderr, 'muster.yml:2:1: there is no setting "inventry"; did you mean "inventory"?\n    inventry: hosts\n    ^\n');
});

test('a setting of the wrong type is refused with its place', async (t) => {
  const dir = await folder(t, { 'muster.yml': 'forks: many\n' });
  const ran = await muster(['inventory', 'list'], { cwd: dir });
  t.is(ran.code, 1);
  t.regex(ran.stderr, /^muster\.yml:1:8: forks: expected number/);
});

test('a wrong variable of the environment is refused by name', async (t) => {
  const ran = await muster(['inventory', 'list', '-i', 'a,'], { env: { MUSTER_FORKS: 'many' } });
  t.is(ran.code, 1);
  t.regex(ran.stderr, /^MUSTER_FORKS: /);
});

test('content errors of a playbook: all of them, like a compiler, exit 1', async (t) => {
  const dir = await folder(t, {
    'site.yml': '- hosts: all\n  tasks:\n    - copy:\n        dest: /x\n        contnt: hi\n    - aptt: name=x\n',
  });
  for (const args of [['lint', 'site.yml'], ['apply', 'site.yml', '--syntax-check']]) {
    const ran = await muster(args, { cwd: dir });
    t.is(ran.code, 1);
    t.regex(ran.stdout, /site\.yml:5:9: .*contnt.*; did you mean "content"\?\n {12}contnt: hi\n {12}\^/);
    t.regex(ran.stdout, /site\.yml:6:7: .*aptt.*; did you mean "apt"\?/);
    t.regex(ran.stdout, /2 errors, 0 warnings/);
    t.is(ran.stderr, '');
  }
});

test('lint says nothing is wrong where nothing is', async (t) => {
  const dir = await folder(t, { [join('playbooks', 'site.yml')]: '- hosts: all\n  tasks:\n    - ping:\n' });
  const ran = await muster(['lint'], { cwd: dir });
  t.is(ran.stdout, '1 playbook checked: 0 errors, 0 warnings\n');
  t.is(ran.code, 0);
});
