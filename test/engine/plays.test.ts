import { readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { ConnectionError } from '../../src/connection/connection.js';
import { LocalConnection } from '../../src/connection/local.js';
import type { RunOptions } from '../../src/engine/options.js';
import { Rig } from './rig.js';
import { head, play } from './support.js';

test('a converged play costs one trip for each machine, a change one more', async (t) => {
  const site = `${head}  tasks:
    - copy: {dest: "{{ root }}/one", content: "1"}
    - file: {path: "{{ root }}/dir", state: directory}
    - lineinfile: {path: "{{ root }}/two", line: "2", create: true}
    - stat: {path: "{{ root }}/one"}
`;
  const { rig } = await play(t, site);
  await rig.run();
  // stat's answer, and all others, come with the first.
  t.deepEqual(rig.trips.map(({ machine }) => machine).sort(), ['a', 'b', 'c']);
  t.true(rig.trips.every(({ effect }) => !effect));
  await rig.write({ 'hosts/a/one': 'changed\n' });
  const again = await rig.run();
  t.is(again.hosts.get('a')!.changed, 1);
  t.is(rig.trips.filter(({ machine, effect }) => machine === 'a' && effect).length, 1);
  t.is(rig.trips.filter(({ machine }) => machine === 'a').length, 2);
});

test('what hangs on facts is asked with facts of the last run, and counts only if they are still so', async (t) => {
  const site = `${head.replace('gather_facts: false', 'gather_facts: true')}  tasks:
    - copy: {dest: "{{ root }}/{{ ansible_facts.hostname }}", content: "{{ ansible_facts.distribution }}"}
    - copy: {dest: "{{ root }}/plain", content: x}
`;
  const { rig } = await play(t, site, { factsDir: undefined });
  const factsDir = path.join(rig.folder, 'facts');
  await rig.run();
  t.is(rig.trips.length, 6, 'facts, then what hangs on them');
  await rig.run({ factsDir });
  await rig.run({ factsDir });
  t.is(rig.trips.length, 3);
  const file = path.join(factsDir, 'a.json');
  t.is((await stat(file)).mode & 0o777, 0o600);
  const facts = JSON.parse(await readFile(file, 'utf8')) as { hostname: string };
  await writeFile(file, JSON.stringify({ ...facts, hostname: 'elsewhere' }));
  await writeFile(path.join(factsDir, 'b.json'), '{ damaged');
  const moved = await rig.run({ factsDir });
  t.is(moved.hosts.get('a')!.changed, 0);
  t.deepEqual(rig.trips.map(({ machine }) => machine).sort(), ['a', 'a', 'b', 'b', 'c']);
  t.is((JSON.parse(await readFile(file, 'utf8')) as { hostname: string }).hostname, facts.hostname, 'kept anew');
});

test('handlers run once, in the order they are written, and what they notify too', async (t) => {
  const { told, read } = await play(
    t,
    `${head}  tasks:
    - {name: x, copy: {dest: "{{ root }}/x", content: x}, notify: [last, first]}
    - {name: y, copy: {dest: "{{ root }}/y", content: y}, notify: topic}
    - {name: quiet, copy: {dest: "{{ root }}/y", content: y}, notify: never}
  handlers:
    - {name: first, shell: "echo first >> {{ root }}/log", notify: last}
    - {name: second, listen: topic, shell: "echo second >> {{ root }}/log"}
    - {name: last, shell: "echo last >> {{ root }}/log"}
    - {name: never, shell: "echo never >> {{ root }}/log"}
`,
    { limit: 'a' },
  );
  t.is(await read('a/log'), 'first\nsecond\nlast\n');
  t.deepEqual(told, ['x a changed', 'y a changed', 'quiet a ok', 'first a changed', 'second a changed', 'last a changed']);
});

test('flush_handlers runs them at once', async (t) => {
  const { read } = await play(
    t,
    `${head}  tasks:
    - {copy: {dest: "{{ root }}/x", content: x}, notify: say}
    - meta: flush_handlers
    - shell: echo task >> {{ root }}/log
  handlers:
    - {name: say, shell: "echo handler >> {{ root }}/log"}
`,
    { limit: 'a' },
  );
  t.is(await read('a/log'), 'handler\ntask\n');
});

test('a loop goes on past a host out of reach when that is ignored', async (t) => {
  const rig = await Rig.make({
    'hosts.yml': 'all: {hosts: {a: , gone: , c: }}\n',
    'site.yml': `- hosts: a
  gather_facts: false
  tasks:
    - {name: asked, command: "echo {{ item }}", loop: [gone, c], delegate_to: "{{ item }}", ignore_unreachable: true, register: asked}
    - name: heard
      assert: {that: ["asked.results | map(attribute='stdout', default='none') | list == ['none', 'c']", asked is unreachable, 'asked.results[0].failed is undefined']}
    - {name: not ignored, command: "true", loop: [gone, c], delegate_to: "{{ item }}"}
`,
  });
  t.teardown(() => rig.remove());
  const summary = await rig.run({
    connect: (target) => {
      const connection = new LocalConnection(target.name);
      if (target.name === 'gone') connection.trip = () => Promise.reject(new ConnectionError('route', 'gone is gone'));
      return connection;
    },
  });
  t.is(summary.exitCode, 4);
  t.like(summary.hosts.get('a'), { failed: 0, unreachable: 1, ignored: 1 });
  t.is(rig.events.filter(({ event }) => event === 'item').length, 3);
});

test('a failing host leaves the play, the others go on, handlers of the failed do not run', async (t) => {
  const { summary, told, has } = await play(
    t,
    `${head}  tasks:
    - {name: change, copy: {dest: "{{ root }}/x", content: x}, notify: say}
    - {name: break, fail: {msg: broken on purpose}, when: inventory_hostname == 'b'}
    - {name: after, copy: {dest: "{{ root }}/after", content: x}}
  handlers:
    - {name: say, copy: {dest: "{{ root }}/said", content: x}}
`,
  );
  t.is(summary.exitCode, 3);
  t.true(told.includes('break b failed'));
  t.false(told.includes('after b changed'));
  t.true(await has('a/after'));
  t.true(await has('c/said'));
  t.false(await has('b/said'));
  t.deepEqual(summary.hosts.get('b'), { ok: 1, changed: 1, failed: 1, unreachable: 0, skipped: 0, rescued: 0, ignored: 0, unknown: 0 });
});

test('rescue mends, always runs, and both know what failed', async (t) => {
  const { summary, told, read } = await play(
    t,
    `${head}  tasks:
    - block:
        - {name: bad, command: "false"}
        - {name: passed over, command: "true"}
      rescue:
        - {name: mend, copy: {dest: "{{ root }}/why", content: "{{ ansible_failed_task.name }} {{ ansible_failed_task.action }} {{ ansible_failed_task.args }} {{ ansible_failed_result.rc }}"}}
      always:
        - {name: anyway, copy: {dest: "{{ root }}/anyway", content: x}}
    - {name: after, copy: {dest: "{{ root }}/after", content: x}}
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['bad a rescued', 'mend a changed', 'anyway a changed', 'after a changed']);
  t.is(await read('a/why'), "bad command {'cmd': 'false'} 1");
  t.is(summary.exitCode, 0);
  t.is(summary.hosts.get('a')!.rescued, 1);
});

test('always runs after a failure nobody rescues, and the host stays failed', async (t) => {
  const { summary, told } = await play(
    t,
    `${head}  tasks:
    - block:
        - {name: bad, command: "false"}
      always:
        - {name: anyway, copy: {dest: "{{ root }}/anyway", content: x}}
    - {name: after, command: "true"}
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['bad a failed', 'anyway a changed']);
  t.is(summary.exitCode, 3);
});

test('ignore_errors, failed_when and changed_when', async (t) => {
  const { told, summary } = await play(
    t,
    `${head}  tasks:
    - {name: ignored, command: "false", ignore_errors: true, register: r}
    - {name: judged, command: "false", failed_when: j.rc > 1, changed_when: false, register: j}
    - {name: bad, command: echo wrong, failed_when: "'wrong' in b.stdout", register: b, ignore_errors: true}
    - {name: seen, debug: {msg: x}, when: r is failed and j is not changed and b.failed_when_result}
    - {name: early, command: "true", become: true, become_method: doas, become_user: nobody, register: e, failed_when: e.rc > 1, ignore_errors: true, vars: {ansible_become_password: x}}
    - {name: why, debug: {}, when: e.msg is search('doas')}
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['ignored a ignored', 'judged a ok', 'bad a ignored', 'seen a ok', 'early a ignored', 'why a ok']);
  t.is(summary.exitCode, 0);
});

test('a condition on the result that cannot be told fails the task, which keeps what its module returned', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - {name: changed, command: echo out, changed_when: nonesuch, register: c, ignore_errors: true}
    - {name: seen, debug: {}, when: c is failed and c.stdout == 'out' and c.rc == 0 and c.changed_when_result is contains('nonesuch') and c.failed_when_result is undefined}
    - {name: failed, command: echo out, failed_when: nonesuch > 1, register: f, ignore_errors: true}
    - {name: seen, debug: {}, when: f is failed and f is changed and f.stdout == 'out' and f.failed_when_result is contains('nonesuch')}
    - {name: both, command: "false", changed_when: nonesuch, register: b, ignore_errors: true}
    - {name: seen, debug: {}, when: b is failed and b.rc == 1 and b.changed_when_result is contains('nonesuch')}
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['changed a ignored', 'seen a ok', 'failed a ignored', 'seen a ok', 'both a ignored', 'seen a ok']);
});

test('names of a loop\'s variables may be expressions; how the host is reached can be read; a home folder is fetched from', async (t) => {
  const { told, has } = await play(
    t,
    `${head}  tasks:
    - {name: named, debug: {}, loop: [x], loop_control: {loop_var: "{{ inner }}", index_var: "{{ inner }}_at"}, when: one == 'x' and one_at == 0 and ansible_loop_var == 'one', vars: {inner: one}}
    - {name: wrong, debug: {}, loop: [x], loop_control: {loop_var: "{{ 'no name' }}"}, ignore_errors: true}
    - {name: reached, debug: {}, when: "lookup('vars', 'ansible_connection') == ansible_connection and ansible_connection in ['local', 'ssh']"}
    - {name: file, copy: {dest: "{{ root }}/f", content: x}}
    - {name: home, fetch: {src: "~root/.no-such-file", dest: "{{ root }}/fetched", fail_on_missing: false}, register: gone}
    - {name: expanded, debug: {}, when: gone.file is match('/.*/.no-such-file')}
    - {name: other, fetch: {src: "{{ root }}/f", dest: "{{ root }}/flat", flat: true}}
    - {name: kept, set_fact: {again: "{{ again | default(1) }}", cacheable: true}}
    - {name: kept, set_fact: {again: "{{ again + 1 }}", cacheable: true}}
    - {name: grown, debug: {}, when: again == 2 and ansible_facts.again == 2}
    - {name: nameless, add_host: onlywords, ignore_errors: true, register: nameless}
    - {name: told, debug: {}, when: nameless is failed and nameless.msg is search('name')}
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['named a ok', 'wrong a ignored', 'reached a ok', 'file a changed', 'home a ok', 'expanded a ok', 'other a changed', 'kept a ok', 'kept a ok', 'grown a ok', 'nameless a ignored', 'told a ok']);
  t.true(await has('a/flat'));
});

test('until tries again until it holds, and gives up after its retries', async (t) => {
  const { told, read, rig } = await play(
    t,
    `${head}  tasks:
    - {name: count, shell: "echo x >> {{ root }}/n; wc -l < {{ root }}/n", register: n, until: n.stdout | int >= 3, retries: 5, delay: 0}
    - {name: never, command: echo no, register: r, until: r.stdout == 'yes', retries: 2, delay: 0, ignore_errors: true}
    - {name: attempts, copy: {dest: "{{ root }}/attempts", content: "{{ n.attempts }} {{ r.attempts }}"}}
`,
    { limit: 'a' },
  );
  t.is(await read('a/attempts'), '3 2', 'after giving up, attempts counts the retries, as Ansible does');
  t.deepEqual(told, ['count a changed', 'never a ignored', 'attempts a changed']);
  t.is(rig.events.filter((event) => event.event === 'retry').length, 4);
});

test('a look in check mode of a real run is repeated as others are', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - {name: later, shell: "(sleep 0.5; echo right >{{ root }}/late) >/dev/null 2>&1 &"}
    - {name: look, copy: {dest: "{{ root }}/late", content: "right\\n"}, check_mode: true, register: c, until: c is not changed, retries: 100, delay: 0.1}
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['later a changed', 'look a ok']);
});

test('serial takes batches one after the other, and a batch that fails whole ends the run', async (t) => {
  const { told, rig } = await play(
    t,
    `- hosts: all
  gather_facts: false
  serial: [1, 2]
  tasks:
    - {name: log, shell: "echo {{ ansible_play_batch | join(',') }} >> {{ project }}/order"}
- hosts: all
  gather_facts: false
  serial: 1
  tasks:
    - {name: stop, fail: {msg: no}}
`,
    { forks: 1 },
  );
  t.is(await readFile(path.join(rig.folder, 'order'), 'utf8'), 'a\nb,c\nb,c\n');
  t.deepEqual(told.filter((line) => line.startsWith('stop')), ['stop a failed']);
});

test('any_errors_fatal and max_fail_percentage stop every host', async (t) => {
  for (const keyword of ['any_errors_fatal: true', 'max_fail_percentage: 30']) {
    const { told, summary } = await play(
      t,
      `${head}  ${keyword}
  tasks:
    - {name: bad, command: "false", when: inventory_hostname == 'a'}
    - {name: after, command: "true"}
`,
    );
    t.false(told.some((line) => line.startsWith('after')), keyword);
    t.is(summary.exitCode, 3);
  }
});

test('run_once runs on the first host and all have its result', async (t) => {
  const { told, read } = await play(
    t,
    `${head}  tasks:
    - {name: once, command: "echo from {{ inventory_hostname }}", run_once: true, register: r}
    - {name: all, copy: {dest: "{{ root }}/r", content: "{{ r.stdout }}"}}
`,
  );
  t.is(told.filter((line) => line.startsWith('once')).length, 1);
  for (const host of ['a', 'b', 'c']) t.is(await read(`${host}/r`), 'from a');
});

test('delegate_to works on the other machine with the host\'s own variables', async (t) => {
  const { read, has } = await play(
    t,
    `${head}  tasks:
    - {name: there, copy: {dest: "{{ hostvars['c'].root }}/{{ inventory_hostname }}", content: "{{ root | basename }}"}, delegate_to: c}
`,
    { limit: 'a,b' },
  );
  t.is(await read('c/a'), 'a');
  t.is(await read('c/b'), 'b');
  t.false(await has('a/a'));
});

test('tags and a name to start at that no task has are told', async (t) => {
  const site = `${head}  tasks:\n    - {name: one, debug: {}, tags: here}\n    - {name: two, debug: {}}\n`;
  const warned = async (options: Partial<RunOptions>) => {
    const { rig, told } = await play(t, site, { limit: 'a', ...options });
    return [told.length, ...rig.events.flatMap((event) => (event.event === 'warning' ? [event.message] : []))];
  };
  t.deepEqual(await warned({ tags: ['there'] }), [0, 'no task has the tag "there"; --list-tags shows those there are']);
  t.deepEqual(await warned({ startAtTask: 'three' }), [0, 'no task is called "three", so none was run; --list-tasks shows their names']);
  t.deepEqual(await warned({ tags: ['here'] }), [1]);
  for (const name of ['t?o', 't*', '[!a]wo']) t.deepEqual(await warned({ startAtTask: name }), [1]);
});

test('handlers are not flushed by a handler', async (t) => {
  const { told } = await play(t, `${head}  tasks:\n    - {name: go, command: "true", notify: now}\n  handlers:\n    - {name: now, meta: flush_handlers}\n`, { limit: 'a' });
  t.deepEqual(told, ['go a changed', 'meta a failed']);
});

test('a tag may be an expression of what its task sees', async (t) => {
  const site = `${head}  vars: {mine: [one, two]}
  tasks:
    - {name: of the play, debug: {}, tags: "{{ mine }}"}
    - {name: of none, debug: {}}
    - {include_role: {name: r}, vars: {given: two}, tags: always}
`;
  const files = { 'roles/r/tasks/main.yml': '- {name: of the role, debug: {}, tags: ["{{ role_name }}-{{ given }}, x"]}\n- {name: other, debug: {}, tags: "{{ d }}"}\n', 'roles/r/defaults/main.yml': 'd: three\n' };
  const ran = async (tags: string[]) => (await play(t, site, { limit: 'a', tags, files })).told;
  t.deepEqual(await ran(['two']), ['of the play a ok']);
  t.deepEqual(await ran(['r-two']), ['r : of the role a ok']);
  t.deepEqual(await ran(['three']), ['r : other a ok']);
  const { rig } = await play(t, `${head}  tasks:\n    - {name: of none, debug: {}, tags: ["{{ nowhere }}"]}\n`, { limit: 'a' });
  t.true(rig.events.some((event) => event.event === 'result' && JSON.stringify(event.result).includes('nowhere')));
});

test('on the controller nothing is asked for that only SSH needs', async (t) => {
  const { summary, has } = await play(
    t,
    `${head}  tasks:
    - {copy: {dest: "{{ root }}/here", content: "{{ ansible_host }}"}, delegate_to: localhost}
`,
    { limit: 'a', files: { 'group_vars/all.yml': 'muster_known_hosts_file: "{{ inventory_dir }}/known_hosts"\nansible_user: "{{ only_elsewhere }}"\n' } },
  );
  t.is(summary.exitCode, 0);
  t.true(await has('a/here'));
});

test('loops: labels, index, extended variables, registered results', async (t) => {
  const { rig, read } = await play(
    t,
    `${head}  tasks:
    - name: each
      copy: {dest: "{{ root }}/{{ i }}", content: "{{ one.k }} {{ ansible_loop.last }}"}
      loop: [{k: x}, {k: y}]
      loop_control: {loop_var: one, index_var: i, label: "{{ one.k }}", extended: true}
      register: all
      when: one.k != 'never'
    - copy: {dest: "{{ root }}/sum", content: "{{ all.results | map(attribute='one.k') | join }} {{ all is changed }} {{ all.results[1].ansible_index_var }}"}
    - {name: flat, with_items: [[1, 2], 3], debug: {msg: "{{ item }}"}}
    - {name: none, loop: [], debug: {msg: "{{ item }}"}}
`,
    { limit: 'a' },
  );
  t.is(await read('a/1'), 'y True');
  t.is(await read('a/sum'), 'xy True i');
  t.deepEqual(rig.events.flatMap((event) => (event.event === 'item' ? [event.label] : [])), ['x', 'y', '1', '2', '3']);
  t.true(rig.statuses().some((line) => / a skipped$/.test(line)));
});

test('a loop that cannot be told does not matter where the condition fails whatever the item is, also of includes', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - {name: plain, debug: {}, loop: "{{ missing }}", when: missing is defined}
    - {name: tasks, include_tasks: one.yml, loop: "{{ missing }}", when: missing is defined}
    - {name: role, include_role: {name: thing}, loop: "{{ missing }}", when: missing is defined}
    - {name: wanted, include_tasks: one.yml, loop: "{{ missing }}"}
`,
    { limit: 'a', files: { 'one.yml': '- debug:\n', 'roles/thing/tasks/main.yml': '- debug:\n' } },
  );
  t.deepEqual(told.filter((line) => / a /.test(line)), ['plain a skipped', 'tasks a skipped', 'role a skipped', 'wanted a failed']);
});

test('includes: tasks by item, roles, and different files for different hosts', async (t) => {
  const { told, read } = await play(
    t,
    `${head}  tasks:
    - {name: pick, include_tasks: "{{ 'one' if inventory_hostname == 'a' else 'two' }}.yml", vars: {given: v}}
    - {name: role, include_role: {name: thing}, vars: {extra: e}, loop: [1, 2]}
`,
    {
      limit: 'a,b',
      files: {
        'one.yml': '- {name: in one, copy: {dest: "{{ root }}/one", content: "{{ given }}"}}\n',
        'two.yml': '- {name: in two, copy: {dest: "{{ root }}/two", content: "{{ given }}"}}\n',
        'roles/thing/tasks/main.yml': '- {name: say, copy: {dest: "{{ root }}/thing{{ item }}", content: "{{ d }}{{ extra }}"}, notify: heard}\n',
        'roles/thing/defaults/main.yml': 'd: default-\n',
        'roles/thing/handlers/main.yml': '- {name: heard, shell: "echo heard >> {{ root }}/heard"}\n',
      },
    },
  );
  t.is(await read('a/one'), 'v');
  t.is(await read('b/two'), 'v');
  t.is(await read('a/thing2'), 'default-e');
  t.is(await read('a/heard'), 'heard\n');
  t.true(told.includes('in one a changed'));
});

test('a plan changes nothing, carries registered results on, and says what it cannot know', async (t) => {
  const { told, has, summary } = await play(
    t,
    `${head}  tasks:
    - {name: file, copy: {dest: "{{ root }}/x", content: x}, register: made, notify: heard}
    - {name: follows, copy: {dest: "{{ root }}/y", content: y}, when: made is changed}
    - {name: command, command: echo hi, register: said}
    - {name: unknowable, copy: {dest: "{{ root }}/z", content: "{{ said.stdout }}"}}
    - {name: allowed, command: echo asked, check_mode: false, register: asked}
    - {name: uses, copy: {dest: "{{ root }}/asked", content: "{{ asked.stdout }}"}}
    - {name: brought, fetch: {src: "{{ root }}/x", dest: brought}}
  handlers:
    - {name: heard, copy: {dest: "{{ root }}/heard", content: x}}
`,
    { limit: 'a', check: true, diff: true },
  );
  t.deepEqual(told, ['file a changed', 'follows a changed', 'command a unknown', 'unknowable a unknown', 'allowed a changed', 'uses a changed', 'brought a unknown', 'heard a changed']);
  t.false(await has('a/x'));
  t.false(await has('a/heard'));
  t.is(summary.exitCode, 2);
  t.is(summary.hosts.get('a')!.unknown, 3);
});

test('meta: end_host, end_play and clear_host_errors', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - {meta: end_host, when: inventory_hostname == 'a'}
    - {name: rest, command: "true"}
    - {name: bad, command: "false", when: inventory_hostname == 'b'}
    - meta: clear_host_errors
    - {name: back, command: "true"}
    - meta: end_play
    - {name: never, command: "true"}
- hosts: all
  gather_facts: false
  tasks:
    - {name: next, command: "true"}
`,
  );
  t.deepEqual(told.filter((line) => line.startsWith('rest')).sort(), ['rest b changed', 'rest c changed']);
  t.deepEqual(told.filter((line) => line.startsWith('back')).sort(), ['back c changed']);
  t.false(told.some((line) => line.startsWith('never')));
  t.is(told.filter((line) => line.startsWith('next')).length, 3);
});

test('handlers of roles run before those of the play, and of one name the last one counts', async (t) => {
  const handlers = (names: string[], message: string) => names.map((name) => `- {name: ${name}, command: echo ${message}, register: heard}\n`).join('');
  const { told } = await play(
    t,
    `- hosts: a
  gather_facts: false
  roles: [r]
  tasks:
    - {import_role: {name: imported}}
    - {name: notifies, command: "true", notify: [of the play, of the role, of both, of the import]}
    - {meta: flush_handlers}
    - {name: heard, assert: {that: heard.stdout == 'imported'}}
    - {name: of both, assert: {that: both.stdout == 'play'}}
  handlers:
    - {name: of the play, command: "true"}
    - {name: of both, command: echo play, register: both}
`,
    {
      files: {
        'roles/r/handlers/main.yml': `- {name: of both, command: echo role, register: both}\n${handlers(['of the role'], 'role')}`,
        'roles/imported/handlers/main.yml': handlers(['of the import'], 'imported'),
        'roles/imported/tasks/main.yml': '- {name: there, debug: }\n',
      },
    },
  );
  t.deepEqual(told, ['imported : there a ok', 'notifies a changed', 'r : of the role a changed', 'of the play a changed', 'of both a changed', 'imported : of the import a changed', 'heard a ok', 'of both a ok']);
});

test('add_host and group_by reach later plays', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - {add_host: {name: fresh, groups: new, ansible_connection: local, colour: red}, run_once: true}
    - {group_by: {key: "is_{{ inventory_hostname }}"}}
- hosts: new:is_b
  gather_facts: false
  tasks:
    - {name: hello, debug: {msg: "{{ colour | default('none') }}"}}
`,
  );
  t.deepEqual(told.filter((line) => line.startsWith('hello')).sort(), ['hello b ok', 'hello fresh ok']);
});

test('add_host with other variables changes; what a loop and include_vars cannot take is told as Ansible tells it', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - {name: added, add_host: {name: fresh, colour: red}}
    - {name: again, add_host: {name: fresh, colour: red}}
    - {name: other, add_host: {name: fresh, colour: blue}}
    - {name: port, add_host: {name: "far:2222"}, register: port}
    - {name: v6, add_host: {name: "2001:db8::1:22"}, register: v6, failed_when: port.add_host.host_vars.ansible_ssh_port != 2222 or v6.add_host.host_name != '2001:db8::1:22'}
    - {name: dicts, debug: {}, with_dict: [1, 2], register: dicts, ignore_errors: true}
    - {name: lists, debug: {}, with_list: {a: b}, register: lists, ignore_errors: true}
    - {name: vars, shell: "mkdir {{ root }}/odd; : >{{ root }}/odd/x.txt"}
    - {name: odd, include_vars: {dir: "{{ root }}/odd"}, register: odd, ignore_errors: true}
    - name: one line
      include_vars: >
        {{ 'no' }}-such.yml
      register: folded
      ignore_errors: true
    - {name: told, debug: {}, when: "dicts.msg is search('with_dict expects a dict') and lists.msg is search('with_list expects a list') and 'a valid extension' in odd.message and folded.message is search('no-such.yml.$')"}
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['added a changed', 'again a ok', 'other a changed', 'port a changed', 'v6 a changed', 'dicts a ignored', 'lists a ignored', 'vars a changed', 'odd a ignored', 'one line a ignored', 'told a ok']);
});

test('include_vars reads folders in the order of their paths, through links, and may merge', async (t) => {
  const site = `- hosts: a
  gather_facts: false
  tasks:
    - {name: dir, include_vars: {dir: "{{ playbook_dir }}/more", ignore_files: ["^skip.*"], extensions: [yml, ""]}, register: dir}
    - {name: read, debug: {msg: "{{ [last, both, dir.ansible_facts.last, dir.ansible_included_var_files | map('relpath', playbook_dir ~ '/more')] }}"}}
    - {name: shallow, include_vars: {dir: more, depth: 1, files_matching: "a", extensions: [""], name: inner}, register: shallow}
    - {include_vars: {file: over.yml, hash_behaviour: merge}}
    - {name: merged, debug: {msg: "{{ [both, inner, shallow.ansible_facts.inner.keys()] }}"}}
    - {name: odd, include_vars: {dir: more, depth: 1}, register: odd, ignore_errors: true}
    - {name: none, include_vars: {file: "{{ lookup('first_found', ['no.yml'], errors='ignore') }}"}, register: unnamed, ignore_errors: true}
    - {name: told, debug: {msg: "{{ [odd.message, odd.ansible_included_var_files | length, unnamed.message] }}"}}
`;
  const { rig, data } = await play(t, site, { files: {
    'more/b.yml': 'last: b\nboth: {x: {n: "{{ one }}", m: 1}}\none: 1\n', 'more/a': 'last: a\n', 'more/skipped.yml': 'last: skipped\n',
    'more/z/c.yml': 'last: c\n', 'more/a-far/d.yml': 'last: d\n', 'vars/over.yml': 'both: {x: {m: 2}, y: 3}\n', 'linked/e.yml': 'e: "{{ last }}"\n',
  } });
  await symlink('../../linked', path.join(rig.folder, 'more/z/link'));
  await symlink('..', path.join(rig.folder, 'more/z/circle'));
  await rig.run();
  t.is(rig.failures().length, 2);
  t.deepEqual(data('read').msg.slice(0, 3), ['c', { x: { n: 1, m: 1 } }, 'c']);
  t.deepEqual(data('read').msg[3], ['a', 'b.yml', 'a-far/d.yml', 'z/c.yml', 'z/link/e.yml']);
  t.deepEqual(data('merged').msg, [{ x: { n: 1, m: 2 }, y: 3 }, { last: 'a' }, ['last']]);
  t.regex(data('told').msg[0], /more\/a does not have a valid extension: json, yaml, yml$/);
  t.deepEqual(data('told').msg.slice(1), [0, 'Could not find file: no file is named']);
});

test('refresh_inventory reads the inventory anew, and keeps what the run has added', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - {add_host: {name: fresh, groups: new, ansible_connection: local}, run_once: true}
    - {group_by: {key: "is_{{ inventory_hostname }}"}}
    - {shell: "sed -i '/^    c:/{h;s/c:/d:/;H;g}' {{ project }}/hosts.yml", delegate_to: localhost, run_once: true}
    - {meta: refresh_inventory}
- hosts: new:is_b:d
  gather_facts: false
  tasks:
    - {name: hello, debug: {}}
- hosts: all
  gather_facts: false
  tasks:
    - {name: count, assert: {that: "groups.all | length == 5"}, run_once: true}
`,
  );
  t.deepEqual(told.filter((line) => /^(hello|count)/.test(line)).sort(), ['count a ok', 'hello b ok', 'hello d ok', 'hello fresh ok']);
});

test("how the fleet's hosts are logged in to need not make sense for this machine", async (t) => {
  const { told } = await play(t, `${head}  tasks:\n    - {name: here, command: "true", delegate_to: localhost, run_once: true}\n`, {
    files: { 'group_vars/all.yml': 'ansible_ssh_private_key_file: "{{ inventory_dir }}/key"\nansible_port: "{{ none_such }}"\n', 'host_vars/a.yml': 'ansible_port: 22\n' },
  });
  t.deepEqual(told, ['here a changed']);
});

test('tags select tasks; --start-at-task passes over what comes before', async (t) => {
  const site = `${head}  tasks:
    - {name: one, command: "true", tags: x}
    - {name: two, command: "true"}
    - {name: three, command: "true", tags: [never, y]}
`;
  t.deepEqual((await play(t, site, { tags: ['x'], limit: 'a' })).told, ['one a changed']);
  t.deepEqual((await play(t, site, { skipTags: ['x'], limit: 'a' })).told, ['two a changed']);
  t.deepEqual((await play(t, site, { tags: ['y'], limit: 'a' })).told, ['three a changed']);
  t.deepEqual((await play(t, site, { startAtTask: 'two', limit: 'a' })).told, ['two a changed']);
});

test('no_log hides results; a secret is masked wherever it appears', async (t) => {
  const { rig } = await play(
    t,
    `${head}  tasks:
    - {name: hidden, command: echo hush, no_log: true, register: r}
    - {name: looped, command: echo, loop: [hush], no_log: true}
    - {name: written, copy: {dest: "{{ root }}/h", content: "hush\\n"}, no_log: true}
    - {name: skipped, user: {name: x, password: "{{ item.word }}"}, loop: [{word: whisper}], when: inventory_hostname == 'b'}
    - {name: made, set_fact: {word: "{{ lookup('password', project ~ '/secret', length=20) }}"}}
    - {name: echoed, shell: "echo {{ word }}", register: e}
    - {name: shown, debug: {var: e.stdout}}
    - {name: file, copy: {dest: "{{ root }}/f", content: "word={{ word }}\\nplain\\n"}}
`,
    { limit: 'a', diff: true },
  );
  const secret = (await readFile(path.join(rig.folder, 'secret'), 'utf8')).trim();
  t.is(secret.length, 20);
  const all = JSON.stringify(rig.events);
  t.false(all.includes(secret));
  t.false(all.includes('hush'));
  t.false(all.includes('whisper'), 'what a skipped item would have kept');
  t.is((await readFile(path.join(rig.folder, 'hosts/a/f'), 'utf8')).split('\n')[0], `word=${secret}`);
});

test('an undefined variable fails the task with its name and place', async (t) => {
  const { rig, summary } = await play(t, `${head}  tasks:\n    - {name: bad, copy: {dest: "{{ root }}/x", content: "{{ misspelt }}"}}\n`, { limit: 'a' });
  t.is(summary.exitCode, 3);
  t.regex(rig.failures()[0]!, /misspelt/);
});

test('after the stop signal nothing new begins', async (t) => {
  const stop = new AbortController();
  const { told, summary } = await play(t, `${head}  tasks:\n    - {name: one, command: "true"}\n    - {name: two, command: "true"}\n`, {
    limit: 'a',
    stop: stop.signal,
    emit: () => {},
  });
  t.is(summary.exitCode, 0);
  t.deepEqual(told, []);
  const rig = await Rig.make({ 'hosts.yml': 'all: {hosts: {a: {ansible_connection: local}}}\n', 'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: one, command: "true"}\n    - {name: two, command: "true"}\n' });
  t.teardown(() => rig.remove());
  const half = await rig.run({ stop: stop.signal, emit: (event) => (rig.events.push(event), event.event === 'busy' && stop.abort()) });
  t.is(half.exitCode, 130);
  t.deepEqual(rig.events.flatMap((event) => (event.event === 'result' ? [event.task] : [])), ['one']);
});

test('vars_files, play vars and their order; lookups and facts in a plan of several plays', async (t) => {
  const { read } = await play(
    t,
    `- hosts: all
  vars: {x: play, y: play}
  vars_files: [more.yml]
  tasks:
    - {copy: {dest: "{{ root }}/v", content: "{{ x }} {{ y }} {{ ansible_facts.system }} {{ ansible_system }}"}, vars: {x: task}}
`,
    { limit: 'a', files: { 'more.yml': 'y: file\n' } },
  );
  t.is(await read('a/v'), 'task file Linux Linux');
});

test('facts of hosts outside the limit are gathered when somebody reads them', async (t) => {
  const { read, rig } = await play(
    t,
    `${head}  tasks:
    - {copy: {dest: "{{ root }}/other", content: "{{ hostvars['b'].ansible_facts.system }} {{ hostvars.c.ansible_system }}"}}
`,
    { limit: 'a' },
  );
  t.is(await read('a/other'), 'Linux Linux');
  t.deepEqual(rig.events.flatMap((event) => (event.event === 'note' ? [event.message] : [])), ['gathering facts of b, which a reads', 'gathering facts of c, which a reads']);
});

test('pause happens once for all hosts; the name of a play may be an expression', async (t) => {
  const { told, rig } = await play(t, `- hosts: all\n  gather_facts: false\n  name: "play of {{ inventory_hostname }}"\n  tasks:\n    - {name: wait, pause: {seconds: 0.1}}\n`);
  t.is(told.length, 1);
  t.true(rig.events.some((event) => event.event === 'play' && event.play === 'play of a'));
});

test('a host name that cannot be written for a shell is the task\'s failure, not a defect', async (t) => {
  const { rig } = await play(t, `${head}  tasks:\n    - {name: nul, copy: {dest: "{{ root }}/a\\0b", content: x}}\n`, { limit: 'a' });
  t.regex(rig.failures()[0]!, /NUL/);
});

test('a keyword that cannot be evaluated fails its task, not the run', async (t) => {
  const { told, summary } = await play(
    t,
    `${head}  tasks:
    - {name: ignoring, command: "false", ignore_errors: "{{ missing }}", when: inventory_hostname == 'a'}
    - {name: once, command: "true", run_once: "{{ absent }}", when: inventory_hostname == 'b'}
    - {name: rest, command: "true"}
`,
  );
  t.true(told.includes('ignoring a failed'));
  t.is(summary.exitCode, 3);
});

test('set_fact: names may be templates, delegate_facts sets those of the other host, run_once those of all', async (t) => {
  const { read, told } = await play(
    t,
    `${head}  tasks:
    - {name: names, set_fact: {"port_{{ item }}": "{{ item }}0"}, loop: [8, 9]}
    - {name: others, set_fact: {from: "{{ inventory_hostname }}"}, delegate_to: b, delegate_facts: true, when: inventory_hostname == 'a'}
    - {name: all, set_fact: {first: "{{ inventory_hostname }}"}, run_once: true}
    - {name: write, copy: {dest: "{{ root }}/facts", content: "{{ port_8 }} {{ port_9 }} {{ from | default('none') }} {{ first }}"}}
    - {name: wrong, set_fact: {"a-{{ port_8 }}": 1}, ignore_errors: true}
`,
    { limit: 'a,b' },
  );
  t.is(await read('a/facts'), '80 90 none a');
  t.is(await read('b/facts'), '80 90 a a');
  t.true(told.includes('wrong a ignored'));
});

test('a task notifies what the blocks around it do', async (t) => {
  const { told } = await play(
    t,
    `${head}  tasks:
    - notify: one
      block:
        - {name: changes, command: "true", notify: two}
  handlers:
    - {name: one, debug: }
    - {name: two, debug: }
    - {name: three, debug: }
`,
    { limit: 'a' },
  );
  t.deepEqual(told, ['changes a changed', 'one a ok', 'two a ok']);
});

test('a loop says whether it was skipped', async (t) => {
  const { read } = await play(
    t,
    `${head}  tasks:
    - {name: some, debug: , loop: [1, 2], when: item == 1, register: some}
    - {name: none, debug: , loop: [1, 2], when: item == 3, register: none_of_them}
    - {name: write, copy: {dest: "{{ root }}/skipped", content: "{{ some.skipped }} {{ none_of_them.skipped }}"}}
`,
    { limit: 'a' },
  );
  t.is(await read('a/skipped'), 'False True');
});

test('vars_files: a name that reads facts waits for them', async (t) => {
  const { read } = await play(
    t,
    `- hosts: all
  vars_files: [first.yml, "{{ kind }}-{{ ansible_facts.system }}.yml"]
  tasks:
    - {name: write, copy: {dest: "{{ root }}/family", content: "{{ family }}"}}
`,
    { limit: 'a', files: { 'first.yml': 'kind: os\n', 'os-Linux.yml': 'family: "{{ kind }} of Linux"\n' } },
  );
  t.is(await read('a/family'), 'os of Linux');
});

test('vars_files: where no facts come, a file whose name reads some is left out with a warning', async (t) => {
  const { data, rig } = await play(
    t,
    `- hosts: all
  gather_facts: false
  vars_files: [first.yml, ["{{ ansible_facts.system }}.yml", first.yml]]
  tasks:
    - {name: say, debug: {msg: "{{ kind }}"}}
`,
    { limit: 'a', files: { 'first.yml': 'kind: os\n' } },
  );
  t.is(data('say').msg, 'os');
  t.is(rig.events.filter((event) => event.event === 'warning' && /vars_files: a file whose name reads something undefined/.test(event.message)).length, 1);
});

test('a machine that waits for something can be given it by another host meanwhile', async (t) => {
  const { told } = await play(
    t,
    `- hosts: a,b
  gather_facts: false
  strategy: free
  tasks:
    - {name: wait, wait_for: {path: "{{ root }}/given", timeout: 20, sleep: 0}, when: inventory_hostname == 'a'}
    - {name: give, shell: "touch {{ hostvars.a.root }}/given", delegate_to: a, when: inventory_hostname == 'b'}
`,
  );
  t.true(told.includes('wait a ok'));
  t.true(told.includes('give b changed'));
});
