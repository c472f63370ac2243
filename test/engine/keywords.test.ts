import { chmod, mkdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { Rig } from './rig.js';
import { play } from './support.js';

test('order says in which order hosts run', async (t) => {
  for (const [order, hosts] of [['inventory', 'abc'], ['reverse_inventory', 'cba'], ['sorted', 'abc'], ['reverse_sorted', 'cba']]) {
    const { rig } = await play(t, `- hosts: all\n  gather_facts: false\n  order: "{{ '${order}' }}"\n  tasks: [{ping: }]\n`);
    t.deepEqual(rig.events.flatMap((event) => (event.event === 'play' ? event.hosts : [])).join(''), hosts, order);
  }
  const { rig } = await play(t, `- hosts: all\n  gather_facts: false\n  order: shuffle\n  tasks: [{ping: }]\n`);
  t.deepEqual(rig.events.flatMap((event) => (event.event === 'play' ? event.hosts : [])).toSorted(), ['a', 'b', 'c']);
});

test('module_defaults are inherited, the nearest of a module alone, and what the task says wins', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  vars: {greeting: from the play}
  module_defaults:
    copy: {content: "{{ greeting }}", mode: "0600"}
    ansible.builtin.debug: {msg: "{{ greeting }}"}
  roles: [r]
  tasks:
    - copy: {dest: "{{ root }}/play"}
    - {name: said, debug: }
    - module_defaults: [{copy: {content: "{{ item }}"}}]
      block:
        - copy: {dest: "{{ root }}/block"}
          loop: [from the block]
          register: block
        - copy: {dest: "{{ root }}/own", content: own}
        - {include_tasks: more.yml}
    - {name: mode, stat: {path: "{{ root }}/play"}}
    - {name: file, file: {path: "{{ root }}/d"}, module_defaults: {file: {name: /nowhere, state: directory}}}
    - {name: known late, copy: {dest: "{{ root }}/late"}, module_defaults: {copy: "{{ {'content': 'late'} }}"}}
    - {name: whole, copy: , args: "{{ {'dest': root ~ '/whole', 'content': 'whole'} }}"}
`;
  const { rig, read, data } = await play(t, site, { files: { 'more.yml': '- {copy: {dest: "{{ root }}/more"}, vars: {item: included}}\n', 'roles/r/tasks/main.yml': '- copy: {dest: "{{ root }}/role"}\n' } });
  t.deepEqual(rig.failures(), []);
  t.is(await read('a/play'), 'from the play');
  t.is(await read('a/role'), 'from the play');
  t.is(await read('a/block'), 'from the block');
  t.is(await read('a/own'), 'own');
  t.is(await read('a/more'), 'included');
  t.is(await read('a/late'), 'late');
  t.is(await read('a/whole'), 'whole');
  t.is(data('said').msg, 'from the play');
  t.is(data('mode').stat.mode, '0600');
});

test('module_defaults reach the gathering of facts, as do gather_subset, gather_timeout and fact_path', async (t) => {
  const site = (keywords: string) => `- hosts: a\n${keywords}\n  tasks: [{name: local, debug: {msg: "{{ ansible_local }}"}}, {name: among the others, assert: {that: ansible_facts.ansible_local == ansible_local}}, {name: all, debug: {msg: "{{ ansible_facts | length }}"}}]\n`;
  const { rig, data } = await play(t, site('  gather_facts: false'), {});
  const facts = path.join(rig.folder, 'facts.d');
  await mkdir(facts);
  await rig.write({ 'facts.d/static.fact': '[one]\nKey = value\n', 'facts.d/json.fact': '{"n": [1]}', 'facts.d/run.fact': '#!/bin/sh\necho "{\\"pid\\": true}"\n', 'facts.d/bad.fact': '#!/bin/sh\nexit 3\n' });
  for (const name of ['run', 'bad']) await chmod(path.join(facts, `${name}.fact`), 0o755);
  for (const keywords of [`  fact_path: "{{ project }}/facts.d"\n  gather_subset: ["!all"]\n  gather_timeout: 5`, '  module_defaults: {setup: {fact_path: "{{ project }}/facts.d", gather_subset: [min]}}']) {
    await rig.write({ 'site.yml': site(keywords) });
    await rig.run();
    const { bad, ...good } = data('local').msg;
    t.deepEqual(good, { json: { n: [1] }, run: { pid: true }, static: { one: { key: 'value' } } });
    t.regex(bad, /rc: 3/);
    t.true(Number(data('all').msg) < 60, 'no hardware');
  }
});

test('vars_prompt asks before the run, what -e gives is not asked for', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  vars: {what: name}
  vars_prompt:
    - {name: who, prompt: "Your {{ what }}?", private: false}
    - {name: password, confirm: true}
    - {name: hashed, encrypt: sha512_crypt, salt: abcdefgh}
    - {name: release, default: "1.0", private: no}
    - {name: given}
  tasks:
    - {name: said, debug: {msg: "{{ who }} {{ release }} {{ given }}"}}
    - {name: kept, copy: {dest: "{{ root }}/p", content: "{{ password }} {{ hashed }}"}}
`;
  const asked: string[] = [];
  const answers = ['{{ me }}', 'first', 'other', 'secret-1', 'secret-1', 'to be hashed', ''];
  const { read, data, rig } = await play(t, site, {
    extraVars: new Map([['given', 'given']]),
    ask: async (question, hidden) => {
      asked.push(`${question}${hidden ? ' (hidden)' : ''}`);
      return answers.shift();
    },
  });
  t.deepEqual(asked, ['Your name?', 'input for password (hidden)', 'confirm input for password (hidden)', 'the two differ; input for password (hidden)', 'confirm input for password (hidden)', 'input for hashed (hidden)', 'input for release [1.0]']);
  t.is(data('said').msg, '{{ me }} 1.0 given');
  t.regex(await read('a/p'), /^secret-1 \$6\$(rounds=\d+\$)?abcdefgh\$/);
  t.false(JSON.stringify(rig.events).includes('secret-1'));
  const error = await t.throwsAsync(rig.run({ extraVars: new Map([['given', 'x']]) }));
  t.is(error?.message, '"who" has to be asked for, and there is no terminal');
  t.deepEqual(rig.trips, []);
});

test('collections are taken, and become_exe is the program that becomes', async (t) => {
  const exe = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; BECAME=by-it exec "$@"\n';
  const site = `- hosts: a
  gather_facts: false
  collections: [community.general]
  tasks:
    - copy: {dest: "{{ root }}/exe", src: exe, mode: "0755"}
    - {name: who, shell: echo $BECAME, become: true, become_user: nobody, become_exe: "{{ root }}/exe"}
`;
  const { data } = await play(t, site, { files: { 'files/exe': exe } });
  t.is(data('who').stdout, 'by-it');
});

test('set_stats is told with the recap, added up unless said otherwise', async (t) => {
  const { rig, data } = await play(t, `- hosts: a,b
  gather_facts: false
  tasks:
    - set_stats: {data: {n: 2, text: x, list: [1], dict: {a: {b: 1}}, odd: 1}}
    - set_stats: {data: {n: "{{ 2 }}", dict: {a: {c: 2}}, odd: text}}
    - set_stats: {data: {"last": "{{ inventory_hostname }}"}, aggregate: false}
    - {name: own, set_stats: {data: {own: 1}, per_host: true}}
    - {set_stats: {data: {"1x": 1}}, ignore_errors: true}
`);
  const recap = rig.events.findLast((event) => event.event === 'recap');
  t.deepEqual(recap?.event === 'recap' && recap.custom, {
    _run: { n: 8, text: 'xx', list: [1, 1], dict: { a: { b: 1, c: 2 } }, odd: 2, last: 'b' }, a: { own: 1 }, b: { own: 1 },
  });
  t.deepEqual(data('own').ansible_stats, { data: { own: 1 }, per_host: true, aggregate: true });
  t.regex(rig.failures()[0]!, /^a: The variable name '1x' is not valid/);
});

test('handlers: templated topics, meta, those that notify each other, and one that is missing', async (t) => {
  const { rig, told, data } = await play(t, `- hosts: a
  gather_facts: false
  vars: {topic: news, name: none}
  tasks:
    - {name: one, command: "true", notify: [news, first, nothing]}
    - meta: flush_handlers
    - {name: lost, command: "true", notify: "{{ name }}", ignore_errors: true}
    - {name: listed, debug: {msg: "{{ ansible_play_hosts }} {{ ansible_play_batch }}"}}
  handlers:
    - {name: heard, debug: , listen: ["{{ topic }}"]}
    - {name: first, command: "true", notify: [second, first]}
    - {name: second, command: "true", notify: first}
    - {name: nothing, meta: noop}
`);
  t.deepEqual(rig.failures(), ['a: there is no handler "none"']);
  t.deepEqual(told, ['one a changed', 'heard a ok', 'first a changed', 'second a changed', 'lost a failed']);
  t.is(data('listed'), undefined);
});

test('cached facts, and what was set to be kept, are known to later runs', async (t) => {
  const { rig, data } = await play(t, `- hosts: a
  gather_subset: [min]
  tasks:
    - {set_fact: {kept: "{{ 40 + 2 }}", cacheable: true}}
    - {set_fact: {more: [1], cacheable: yes}}
    - {set_fact: {passing: 1}}
    - {name: now, debug: {msg: "{{ ansible_facts.kept }} {{ kept }} {{ ansible_facts.passing is defined }}"}}
`, {});
  const factsDir = path.join(rig.folder, 'facts');
  t.is(data('now').msg, '42 42 False');
  await rig.run({ factsDir, factCaching: 3600 });
  await rig.write({ 'site.yml': `- hosts: b
  gather_facts: false
  vars: {more: of the play}
  tasks:
    - {name: later, debug: {msg: "{{ hostvars.a.kept }} {{ hostvars.a.ansible_facts.more }} {{ more }} {{ hostvars.a.passing is defined }} {{ hostvars.a.ansible_system }}"}}
- hosts: a
  gather_facts: false
  tasks:
    - {name: own, debug: {msg: "{{ kept }}"}}
    - meta: clear_facts
    - {name: cleared, debug: {msg: "{{ kept is defined }} {{ ansible_facts }}"}}
` });
  const later = () => data('later', 'b')?.msg;
  await rig.run({ factsDir, factCaching: 3600, limit: 'b' });
  t.is(later(), '42 [1] of the play False Linux');
  await rig.run({ factsDir, limit: 'a' });
  t.regex(rig.failures()[0]!, /"kept" is undefined/);
  await rig.run({ factsDir, factCaching: 3600, limit: 'a' });
  t.is(data('own').msg, 42);
  t.is(data('cleared').msg, 'False {}');
  await rig.run({ factsDir, factCaching: 3600, limit: 'a' });
  t.regex(rig.failures()[0]!, /"kept" is undefined/);

  await rig.write({ 'site.yml': `- {hosts: a, gather_facts: false, tasks: [{set_fact: {kept: 1, cacheable: true}}]}\n` });
  await rig.run({ factsDir, factCaching: 3600 });
  await rig.write({ 'site.yml': `- {hosts: a, gather_facts: false, tasks: [{name: still, debug: {msg: "{{ kept is defined }}"}}]}\n` });
  for (const [flushCache, kept] of [[false, true], [true, false], [false, false]] as const) {
    await rig.run({ factsDir, factCaching: 3600, flushCache });
    t.is(data('still').msg, kept);
  }
});

test('a loop ends where break_when says so, and ansible_loop may do without all items', async (t) => {
  const { data, rig } = await play(t, `- hosts: a
  gather_facts: false
  tasks:
    - name: found
      command: "test {{ item }} = c"
      loop: [a, b, c, d]
      register: found
      failed_when: false
      loop_control: {break_when: [found.rc == 0, ansible_loop.index > 1], extended: true, extended_allitems: false, label: "{{ 'allitems' in ansible_loop }}"}
`);
  t.deepEqual(data('found').results.map(({ item, rc }: { item: string; rc: number }) => [item, rc]), [['a', 1], ['b', 1], ['c', 0]]);
  t.deepEqual(rig.events.flatMap((event) => (event.event === 'item' ? [event.label] : [])), ['false', 'false', 'false']);
});

test('an apply that finds nothing to do is no change', async (t) => {
  const site = String.raw`- hosts: a
  gather_facts: false
  tasks:
    - copy: {dest: "{{ root }}/pip", mode: "0755", content: "#!/bin/sh\n[ $1 = list ] || cat {{ root }}/said\n"}
    - copy: {dest: "{{ root }}/said", content: "Requirement already satisfied: app\n"}
    - {name: same, pip: {name: app, state: latest, executable: "{{ root }}/pip"}, notify: told}
    - copy: {dest: "{{ root }}/said", content: "Successfully installed app-2\n"}
    - {name: new, pip: {name: app, state: latest, executable: "{{ root }}/pip"}}
  handlers: [{name: told, file: {path: "{{ root }}/told", state: touch}}]
`;
  const { rig, read, data } = await play(t, site);
  t.deepEqual(rig.failures(), []);
  t.false(data('same').changed);
  t.true(data('new').changed);
  await t.throwsAsync(read('a/told'));
});

test('a module may be named by an expression, and is looked ahead where that is known', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  vars: {change: copy, say: debug}
  tasks:
    - {name: line, action: "{{ change }} dest={{ root }}/line content='{{ change }}d'"}
    - {name: dict, action: {module: "ansible.builtin.{{ change }}", dest: "{{ root }}/dict", content: d}, register: made}
    - {name: here, local_action: "{{ say }} msg={{ made.dest | basename }}"}
    - name: each
      action: "{{ item }}"
      args: {path: "{{ root }}/dict"}
      loop: [stat, file, slurp]
      register: each
    - {name: seen, debug: {msg: "{{ each.results[0].stat.exists }} {{ each.results[2].content }}"}}
    - {name: not needed, action: "{{ nowhere }} x=1", when: false}
    - {name: once, action: "{{ 'add_' ~ kind }}", args: {name: d}, vars: {kind: host}}
`;
  const { rig, read, data, told } = await play(t, site);
  t.deepEqual(rig.failures(), []);
  t.is(await read('a/line'), 'copyd');
  t.is(await read('a/dict'), 'd');
  t.is(data('here').msg, 'dict');
  t.is(data('seen').msg, 'True ZA==');
  t.true(told.includes('not needed a skipped'));
  t.true(told.includes('once a changed'));
  await rig.run();
  t.is(rig.trips.filter(({ machine }) => machine === 'a').length, 1);
  const actions = rig.events.flatMap((event) => (event.event === 'task' ? [event.action] : []));
  t.deepEqual(actions.slice(0, 3), ['copy', 'copy', 'debug']);
});

test('what an expression names is checked when it is known, before anything happens', async (t) => {
  const site = (module: string) => `- hosts: a
  gather_facts: false
  tasks:
    - {name: before, copy: {dest: "{{ root }}/before", content: x}}
    - {name: named, action: "${module} dest={{ root }}/named contant=x"}
`;
  const { rig, has } = await play(t, site('{{ late }}'), { extraVars: new Map<string, string>(), files: { 'host_vars/a.yml': 'late: copy' } });
  t.deepEqual(rig.failures(), ['a: copy has no parameter "contant"']);
  t.false(await has('a/named'));
  await t.throwsAsync(rig.run({ extraVars: new Map([['late', 'copy']]) }), { message: 'copy has no parameter "contant"' });
  t.deepEqual(rig.trips, []);
  await rig.write({ 'site.yml': site('{{ 7 }}').replace('{{ 7 }}', '{{ late | length }}') });
  await rig.run();
  t.regex(rig.failures()[0]!, /names no module: it is 4/);
});

test('a condition that gives a text is true unless the text is empty, which is said once; the text is never evaluated', async (t) => {
  const site = `- hosts: a,b
  gather_facts: false
  vars: {empty: "", nope: "no", expression: "false or false"}
  tasks:
    - set_fact: line=no other=Yes
    - {name: line, debug: {msg: x}, when: line or not other}
    - {name: full, debug: {msg: x}, when: nope}
    - {name: none, debug: {msg: x}, when: empty}
    - {name: not none, debug: {msg: x}, when: not empty}
    - {name: text, debug: {msg: x}, when: expression}
    - {name: template, debug: {msg: x}, when: given}
    - {name: until, command: echo x, register: said, until: said.stdout, changed_when: said.stderr}
    - name: asserted
      assert: {that: [null, nope is defined, nope, empty]}
      ignore_errors: true
`;
  const { rig, told } = await play(t, site, { extraVars: new Map([['given', '{{ false }}']]) });
  t.deepEqual(told.filter((line) => / a /.test(line)), ['set_fact a ok', 'line a skipped', 'full a ok', 'none a skipped', 'not none a ok', 'text a ok', 'template a ok', 'until a ok', 'asserted a ignored']);
  const said = rig.events.flatMap((event) => (event.event === 'warning' ? [`${event.origin!.line}: ${event.message.split(' gives a text')[0]}`] : []));
  t.deepEqual(said, ['7: the condition "nope"', '8: the condition "empty"', '10: the condition "expression"', '11: the condition "given"', '12: the condition "said.stderr"', '12: the condition "said.stdout"', '14: the condition "nope"', '14: the condition "empty"']);
});

test('a delegated task sees the variables of its destination, and its result tells where it went', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  tasks:
    - name: there
      command: echo "{{ ansible_delegated_vars[to].root | basename }} {{ ansible_delegated_vars[to].inventory_hostname }}"
      delegate_to: "{{ to }}"
      vars: {to: b}
      register: there
    - {name: each, debug: {msg: x}, delegate_to: "{{ item }}", loop: [c, a], register: each}
    - {name: seen, debug: {msg: "{{ [there.stdout, there._ansible_delegated_vars, each.results[0]._ansible_delegated_vars, each.results[1]._ansible_delegated_vars is defined, ansible_delegated_vars is defined] }}"}}
`;
  const { rig, data } = await play(t, site);
  t.deepEqual(rig.failures(), []);
  const { ansible_delegated_host, ansible_connection } = data('seen').msg[1];
  t.deepEqual([data('seen').msg[0], ansible_delegated_host, ansible_connection], ['b a', 'b', 'ssh']);
  t.deepEqual(data('seen').msg.slice(2), [{ ansible_delegated_host: 'c' }, false, false]);
});

test('a play may have its variables checked by a spec beside its playbook', async (t) => {
  const site = (more: string) => `- name: web
  hosts: a
  gather_facts: false
  ${more}
  pre_tasks: [{name: before, ping: }]
`;
  const spec = 'argument_specs: {web: {short_description: Of the web., options: {port: {type: int, required: true}}}, other: {}}';
  const { told, rig } = await play(t, site('validate_argspec: true\n  vars: {port: 80}'), { files: { 'site.meta.yml': spec } });
  t.deepEqual(told, ["Validating arguments against arg spec 'web' - Of the web. a ok", 'before a ok']);
  await rig.write({ 'site.yml': site('validate_argspec: yes') });
  await rig.run();
  t.regex(rig.failures().join(), /missing required arguments: port/);
  await rig.write({ 'site.yml': site('validate_argspec: other') });
  await rig.run();
  t.deepEqual(rig.failures(), []);
  await rig.write({ 'site.yml': site('validate_argspec: none') });
  await t.throwsAsync(rig.run(), { message: 'there is no argument spec "none"' });
});

test('texts of several parts that spell a list or dict are one, in variables, set_fact and loops, and are never evaluated', async (t) => {
  const site = String.raw`- hosts: a
  gather_facts: false
  vars:
    names: [x, 'y"z']
    joined: "[{% for name in names %}{{ name | to_json }},{% endfor %}]"
    json: '{{ "" }}{"null": null, "true": true, "n": -1.5, "deep": [{"k": "{{ names[0] }}"}]}'
    text: "{{ names | to_json }}"
    plain: "[{{ names[0] }}]"
    hostile: '["{{ given }}"]'
  tasks:
    - {name: seen, debug: {msg: "{{ [joined, json.null is none, json.true, json.n, json.deep[0].k, text is string, plain, hostile] }}"}}
    - {name: read again, debug: {msg: "{{ [joined | from_json, json | from_yaml, text | from_json] | map('length') }}"}}
    - {set_fact: {made: "[{% for name in names %}'{{ name }}', {% endfor %}]", kept: "{{ text }}"}}
    - {name: each, debug: {msg: "{{ item }}"}, loop: "[{% for name in made %}'{{ name }}',{% endfor %}]"}
    - {name: kept, debug: {msg: "{{ kept is string }}"}}
    - {name: written, copy: {dest: "{{ root }}/json", content: '{ "a":   "{{ names[0] }}" }'}}
`;
  const { rig, data, read } = await play(t, site, { extraVars: new Map([['given', '{{ 1 + 1 }}']]) });
  t.deepEqual(rig.failures(), []);
  t.deepEqual(data('seen').msg, [['x', 'y"z'], true, true, -1.5, 'x', true, '[x]', ['{{ 1 + 1 }}']]);
  t.deepEqual(data('read again').msg, [2, 4, 2]);
  t.deepEqual(data('each').results.map(({ msg }: { msg: string }) => msg), ['x', 'y"z']);
  t.true(data('kept').msg);
  t.is(await read('a/json'), '{ "a":   "x" }');
});

test('lookup config gives the settings of the run by their names in Ansible', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  tasks:
    - {name: known, debug: {msg: "{{ query('config', 'DEFAULT_FORKS', 'DEFAULT_BECOME_USER', 'DEFAULT_REMOTE_USER', 'HOST_KEY_CHECKING') }}"}}
    - {name: skipped, debug: {msg: "{{ query('config', 'ANSIBLE_NOCOWS', on_missing='skip') }}"}}
    - {name: of a plugin, vars: {ansible_ssh_port: '2222'}, debug: {msg: "{{ query('config', 'port', 'remote_user', 'pipelining', plugin_type='connection', plugin_name='ssh', on_missing='skip', show_origin=true) + query('config', 'become_user', plugin_type='become', plugin_name='ansible.builtin.sudo') }}"}}
    - {name: of half a plugin, debug: {msg: "{{ query('config', 'port', plugin_type='connection') }}"}, ignore_errors: true}
    - {name: with origin, debug: {msg: "{{ query('config', 'DEFAULT_FORKS', show_origin=true)[0][1] is none }}"}}
    - {name: missing, debug: {msg: "{{ lookup('config', 'ANSIBLE_NOCOWS') }}"}, ignore_errors: true}
`;
  const { data } = await play(t, site);
  t.deepEqual(data('known').msg, [10, 'root', null, true]);
  t.deepEqual(data('skipped').msg, []);
  t.regex(data('missing').msg, /Unable to find setting ANSIBLE_NOCOWS/);
  t.deepEqual(data('of a plugin').msg, [[2222, 'var: ansible_ssh_port'], [null, null], 'root']);
  t.regex(data('of half a plugin').msg, /takes both plugin_type and plugin_name, or neither/);
  t.true(data('with origin').msg);
});

test('items see what the item before gave, and conditions on a result the number of the attempt', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  tasks:
    - name: first good
      command: "test {{ item }} = b"
      loop: [a, b, c]
      register: good
      when: good.rc | default(1) != 0
      failed_when: false
      loop_control: {label: "{{ item }} {{ good.rc | default('no rc') }}"}
    - {name: in vain, command: "true", register: vain, until: vain.attempts > 5, retries: 1, delay: 0, failed_when: vain.attempts > 5}
    - {name: vain, debug: {msg: "{{ vain is failed }}"}}
    - {name: tried, command: "true", register: tried, until: tried.attempts == 2, retries: 3, delay: 0, changed_when: tried.attempts == 2}
`;
  const { rig, data } = await play(t, site);
  t.deepEqual(rig.failures(), []);
  t.deepEqual(rig.events.flatMap((event) => (event.event === 'item' ? [event.label] : [])), ['a 1', 'b 0', 'c no rc']);
  t.deepEqual(data('first good').results.map(({ skipped }: { skipped?: boolean }) => skipped === true), [false, false, true]);
  t.true(data('vain').msg);
  t.like(data('tried'), { attempts: 2, changed: true });
});

test('assert reads what a variable of the project holds as an expression, never what a host or the command line says', async (t) => {
  const site = String.raw`- hosts: a
  gather_facts: false
  vars: {good: 1 == 1, bad: 1 == 2, checks: [1 == 1, "{{ good }}", "{{ n }} == 3"], n: 3, by: {name: "{{ good }}", list: ["{{ bad }}"]}, flag: true, round: "{{ round }}"}
  tasks:
    - {name: good, assert: {that: "{{ good }}"}}
    - {name: bad, assert: {that: "{{ bad }}"}, ignore_errors: true}
    - {name: list, assert: {that: "{{ checks }}"}}
    - {name: member, assert: {that: ["{{ by.name }}", "{{ by['name'] }}", "{{ flag }}", "{{ n == 3 }}", "{{ 'True' }}"]}}
    - {name: indexed, assert: {that: "{{ by.list[0] }}"}, ignore_errors: true}
    - {name: item, assert: {that: "{{ item }}"}, loop: [1 == 1, n == 3]}
    - {name: of a task, assert: {that: "{{ mine }}"}, vars: {mine: n == 3}}
    - name: said
      command: echo "lookup('pipe', 'touch hosts/a/bang')"
      register: said
    - set_fact: {hidden: "{{ said.stdout }}", checks_of_host: ["{{ said.stdout }}"]}
    - {name: host, assert: {that: "{{ said.stdout }}"}, ignore_errors: true}
    - {name: set, assert: {that: "{{ hidden }}"}, ignore_errors: true}
    - {name: hosts, assert: {that: "{{ checks_of_host }}"}, ignore_errors: true}
    - {name: wrapped, assert: {that: "{{ wrap }}"}, vars: {wrap: "{{ said.stdout }}"}, ignore_errors: true}
    - {name: made, assert: {that: "{{ 'a' ~ said.stdout }}"}, ignore_errors: true}
    - {name: looped, assert: {that: "{{ item }}"}, loop: ["{{ said.stdout }}"], ignore_errors: true}
    - {name: given, assert: {that: "{{ given }}"}, ignore_errors: true}
    - {name: round, assert: {that: "{{ round }}"}, ignore_errors: true}
`;
  const { rig, told, has } = await play(t, site, { extraVars: new Map([['given', "lookup('pipe', 'touch hosts/a/bang')"]]) });
  const ways = { good: 'ok', bad: 'ignored', list: 'ok', member: 'ok', indexed: 'ignored', item: 'ok', 'of a task': 'ok', host: 'ignored', set: 'ignored', hosts: 'ignored', wrapped: 'ignored', made: 'ignored', looped: 'ignored', given: 'ignored', round: 'ignored' };
  t.deepEqual(told.filter((line) => !/^(said|set_fact) a /.test(line)), Object.entries(ways).map(([name, status]) => `${name} a ${status}`));
  const refused = rig.events.flatMap((event) => (event.event === 'result' && /did not write/.test(event.result.error?.message ?? '') ? [event.task] : []));
  t.deepEqual(refused, ['host', 'set', 'hosts', 'wrapped', 'made', 'looped', 'given']);
  t.false(await has('a/bang'));
});

test('a condition with {{ }} in it is one expression: what the braces give is never read as one', async (t) => {
  const site = String.raw`- hosts: a
  gather_facts: false
  vars: {name: "it's", list: [1, 2], names: {x: 1}}
  tasks:
    - {name: text, debug: {msg: x}, when: "'{{ name }}' == \"it's\" and 'a{{ names['x'] }}b' == 'a1b'"}
    - {name: value, debug: {msg: x}, when: "{{ list }} | length == {{ list | length }}"}
    - {name: hostile, debug: {msg: x}, when: "{{ given }}"}
    - {name: more, debug: {msg: x}, when: "'x' in {{ given }}"}
    - name: asserted
      assert: {that: ["{{ list | length }} == 2", "'{{ name }}' is string", "{{ list[0] }} == '{{ list[0] }}' | int", "'{{ given }}' is search('touch')"]}
`;
  const { rig, told, has } = await play(t, site, { extraVars: new Map([['given', "lookup('pipe', 'touch hosts/a/bang')"]]) });
  t.deepEqual(rig.failures(), []);
  t.deepEqual(told, ['text a ok', 'value a ok', 'hostile a ok', 'more a skipped', 'asserted a ok']);
  t.false(await has('a/bang'));
  t.true(rig.events.some((event) => event.event === 'warning' && /has no place in it/.test(event.message)));
});

test('names of imports come from variables of the play, its imports, roles, blocks and the task', async (t) => {
  const site = `- {import_playbook: "{{ which }}.yml", vars: {which: other, from_import: tasks}}
`;
  const files = {
    'other.yml': `- hosts: a
  gather_facts: false
  vars: {of_play: tasks}
  tasks:
    - import_tasks: "{{ of_play }}.yml"
    - import_tasks: "{{ from_import }}.yml"
    - {import_tasks: "{{ of_task }}.yml", vars: {of_task: tasks}}
    - import_role: {name: r, allow_duplicates: "{{ true }}"}
`,
    'tasks.yml': '- {name: imported, debug: }\n',
    'roles/r/defaults/main.yml': 'of_role: more\n',
    'roles/r/tasks/main.yml': '- import_tasks: "{{ of_role }}.yml"\n',
    'roles/r/tasks/more.yml': '- {name: of the role, debug: }\n',
  };
  const { told } = await play(t, site, { files });
  t.deepEqual(told, [...Array<string>(3).fill('imported a ok'), 'r : of the role a ok']);
});

test('topics of a role with its name in front; a play without force_handlers wins over the flag', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  roles: [r]
  tasks: [{command: "true", notify: "r : topic"}]
- hosts: a
  gather_facts: false
  force_handlers: false
  handlers: [{name: h, debug: }]
  tasks:
    - {command: "true", notify: h}
    - fail:
`;
  const { told } = await play(t, site, { forceHandlers: true, files: { 'roles/r/handlers/main.yml': '- {name: heard, listen: topic, debug: }\n' } });
  t.true(told.includes('r : heard a ok'));
  t.false(told.some((line) => line.startsWith('h ')));
});

test('a role that failed half-way and was rescued runs where it is used again; one that came to its end does not', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  tasks:
    - block:
        - import_role: {name: r, allow_duplicates: false}
      rescue:
        - {name: rescued, set_fact: {good: true}}
    - import_role: {name: r, allow_duplicates: false}
    - import_role: {name: r, allow_duplicates: false}
`;
  const rig = await Rig.make({ 'hosts.yml': 'all:\n  hosts:\n    a:\n', 'site.yml': site, 'roles/r/tasks/main.yml': '- {name: first, debug: {msg: x}}\n- {name: second, assert: {that: good | default(false)}}\n' });
  t.teardown(() => rig.remove());
  await rig.run();
  t.deepEqual(rig.events.flatMap((event) => (event.event === 'result' ? [`${event.task} ${event.result.status}`] : [])), ['r : first ok', 'r : second rescued', 'rescued ok', 'r : first ok', 'r : second ok']);
});
