import test from 'ava';
import { head, play } from './support.js';

test('what was worked out ahead counts only while all that it read is as it was', async (t) => {
  const site = `${head}  tasks:
    # The trip of this change takes along what is behind it, worked out while nothing is registered yet.
    - copy: {dest: "{{ root }}/one", content: x}
      register: made
    - set_fact: {flag: "{{ made.changed | default('none') }}"}
    - {name: variable, copy: {dest: "{{ root }}/variable", content: "{{ made.changed | default('none') }}"}}
    - {name: chain, copy: {dest: "{{ root }}/chain", content: "{{ said }}"}, vars: {said: "{{ flag | default('none') }}"}}
    - {name: other host, copy: {dest: "{{ root }}/other", content: "{{ hostvars['b'].made.changed | default('none') }}"}}
    - name: member of an item
      copy: {dest: "{{ root }}/{{ item.name }}", content: "{{ item.text }}"}
      loop: "{{ entries }}"
      vars:
        entries:
          - {name: item, text: "{{ made.changed | default('none') }}"}
    - {name: file, copy: {dest: "{{ root }}/file", content: "{{ (root ~ '/one') is exists }} {{ lookup('file', root ~ '/one', errors='ignore') }}"}}
    - {name: as whom, copy: {dest: "{{ root }}/env", content: "x"}, environment: {SAID: "{{ made.changed | default('none') }}"}}
    - {name: told, command: 'sh -c "echo $SAID"', args: {creates: "{{ root }}/{{ made.changed | default('one') }}"}, environment: {SAID: "{{ made.changed | default('none') }}"}}
`;
  const { summary, read, data } = await play(t, site);
  t.is(summary.exitCode, 0);
  for (const host of ['a', 'b', 'c']) {
    for (const file of ['variable', 'chain', 'other', 'item']) t.is(await read(`${host}/${file}`), 'True', `${file} on ${host}`);
    t.is(await read(`${host}/file`), 'True x');
    t.is(data('told', host).stdout, 'True');
  }
});

test('a host that joins a group makes nothing worth what was worked out before', async (t) => {
  const site = `${head}  tasks:
    - copy: {dest: "{{ root }}/one", content: x}
    - group_by: {key: joined}
    - copy: {dest: "{{ root }}/groups", content: "{{ groups.joined | default([]) | join(' ') }} {{ group_names | join(' ') }} {{ 'late' in hostvars }}"}
    - add_host: {name: late, colour: blue}
    - copy: {dest: "{{ root }}/hosts", content: "{{ groups.all | length }} {{ hostvars.late.colour | default('none') }} {{ 'late' in hostvars }}"}
`;
  const { summary, read } = await play(t, site);
  t.is(summary.exitCode, 0);
  for (const host of ['a', 'b', 'c']) {
    t.is(await read(`${host}/groups`), 'a b c joined False');
    t.is(await read(`${host}/hosts`), '4 blue True');
  }
});
