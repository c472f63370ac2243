/** docs.ansible.com, "Understanding variable precedence": the whole table, each level against all below it. */
import test from 'ava';
import { LEVELS, type Context, type Level } from '../../src/variables/index.js';
import type { Dict } from '../../src/value/value.js';
import { play, project, read, role, services, task } from './project.js';

/** The levels a value can be written at; `magic` ones are given by Muster alone. */
const levels: Level[] = LEVELS.filter((level) => level !== 'magic');

/** Variable `x_3` is set at level 3 and all levels below; its value is the level's name. */
function text(level: Level): string {
  const at = levels.indexOf(level);
  return levels.map((_, i) => i).filter((i) => i >= at).map((i) => `x_${i}: ${level}\n`).join('');
}
function dict(level: Level): Dict {
  const at = levels.indexOf(level);
  return new Map(levels.map((_, i) => i).filter((i) => i >= at).map((i) => [`x_${i}`, level]));
}
function indented(level: Level): string {
  return text(level).replaceAll(/^/gm, '      ').trimEnd();
}

test('every level wins over all below it', async (t) => {
  const { variables } = await project(
    t,
    {
      'inventory/hosts.yml': `g:\n  vars:\n${indented('inventory group vars')}\n  hosts:\n    h:\n${indented('inventory host vars')}\n`,
      'inventory/group_vars/all.yml': text('group_vars/all of the inventory'),
      'inventory/group_vars/g.yml': text('group_vars of the inventory'),
      'inventory/host_vars/h.yml': text('host_vars of the inventory'),
      'group_vars/all/main.yml': text('group_vars/all of the playbook'),
      'group_vars/g': text('group_vars of the playbook'),
      'host_vars/h.json': JSON.stringify(Object.fromEntries(dict('host_vars of the playbook'))),
    },
    dict('extra vars'),
  );
  // Injected facts are read as ansible_<name>; for the table the prefix is part of every name but theirs.
  for (const [name, value] of dict('include_vars')) variables.setIncluded('h', name as string, value);
  for (const [name, value] of dict('set_fact and register')) variables.setFact('h', name as string, value);
  const used = role({ defaults: dict('role defaults'), vars: dict('role vars'), params: dict('role parameters') });
  const context: Context = {
    host: 'h',
    services,
    play: play({ vars: dict('play vars') }),
    varsFiles: dict('vars_files'),
    task: task({ role: used, vars: [dict('task vars')] }),
    includeParams: [dict('include parameters')],
    extra: dict('result'),
    loop: dict('loop'),
  };
  levels.forEach((level, i) => {
    if (level === 'facts') return;
    t.is(read(variables, `x_${i}`, context), level);
    if (level !== 'loop') t.is(variables.explain(context, `x_${i}`)?.level, level);
  });
});

test('injected facts stand between host_vars and play vars', async (t) => {
  const { variables } = await project(t, { 'inventory/hosts.yml': 'all: {hosts: {h: {ansible_a: host, ansible_b: host}}}' });
  variables.setFacts('h', new Map([['a', 'fact'], ['ansible_b', 'fact']]));
  t.is(read(variables, 'ansible_a'), 'fact');
  t.is(read(variables, 'a'), undefined);
  t.is(read(variables, 'ansible_a', { play: play({ vars: new Map([['ansible_a', 'play']]) }) }), 'play');
  t.deepEqual(read(variables, 'ansible_facts'), { a: 'fact', b: 'fact' });
});

test('groups: deeper over outer, priority among equals, then the name', async (t) => {
  const { variables } = await project(t, {
    'inventory/hosts.yml': `
outer: {children: {inner: {hosts: {h: }, vars: {depth: inner}}}, vars: {depth: outer, only: outer}}
alpha: {hosts: {h: }, vars: {name: alpha, rank: alpha, ansible_group_priority: 10}}
beta: {hosts: {h: }, vars: {name: beta, rank: beta}}
`,
    'inventory/group_vars/alpha.yml': 'file: alpha',
    'inventory/group_vars/inner.yml': 'file: inner',
  });
  t.is(read(variables, 'depth'), 'inner');
  t.is(read(variables, 'only'), 'outer');
  t.is(read(variables, 'rank'), 'alpha');
  t.is(read(variables, 'file'), 'inner');
});

test('roles: own over dependencies; a play sees the vars and defaults of its static roles, the later over the earlier', async (t) => {
  const { variables } = await project(t, { 'inventory/hosts.yml': 'all: {hosts: {h: {}}}' });
  const base = role({ name: 'base', vars: new Map([['v', 'base'], ['b', 'base']]), defaults: new Map([['d', 'base'], ['e', 'base']]) });
  const outer = role({ name: 'outer', vars: new Map([['v', 'outer']]), defaults: new Map([['e', 'outer']]), params: new Map([['p', 'outer']]) });
  const web = role({ name: 'web', dependencies: [base], parent: outer, vars: new Map([['v', 'web']]), defaults: new Map([['d', 'web']]) });
  const last = role({ name: 'last', vars: new Map([['v', 'last']]), defaults: new Map([['d', 'last']]) });
  const inRole = { play: play({ roles: [web, last] }), task: task({ role: web }) };
  t.is(read(variables, 'v', inRole), 'web');
  t.is(read(variables, 'b', inRole), 'base');
  t.is(read(variables, 'd', inRole), 'web');
  t.is(read(variables, 'e', inRole), 'outer');
  t.is(read(variables, 'p', inRole), 'outer');
  const outside = { play: play({ roles: [web, last] }), task: task({}) };
  t.is(read(variables, 'v', outside), 'last');
  t.is(read(variables, 'd', outside), 'last');
  t.is(read(variables, 'b', outside), 'base');
  t.is(read(variables, 'p', outside), undefined);
  t.is(read(variables, 'v', { play: play({ roles: [web] }) , task: task({ vars: [new Map([['v', 'block']]), new Map([['v', 'task']])] }) }), 'task');
});
