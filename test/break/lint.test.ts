import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { checkProject, renderProblem } from '../../src/playbook/index.js';
import { folder } from '../cli/folder.js';

const SEED = `- name: Seed
  hosts: web:&prod
  become: yes
  vars: {port: 80, names: [a, b]}
  tasks:
    - name: "Copy {{ names | join(', ') }}"
      copy:
        content: "{% if port > 1 %}x{% endif %}"
        dest: /tmp/x
        mode: 0644
      loop: "{{ range(3) | list }}"
      when: port is defined and port != 81
      notify: reload
    - block:
        - command: ls -l /
          register: out
      rescue:
        - debug: msg="{{ out.stdout_lines[0][1:] }}"
  handlers:
    - name: reload
      service: name=nginx state=reloaded
`;

/** A playbook cut, doubled and sprinkled with what breaks parsers. */
const broken = fc
  .array(
    fc.record({
      at: fc.nat({ max: SEED.length }),
      cut: fc.nat({ max: 12 }),
      put: fc.oneof(fc.constantFrom('{{', '}}', '{%', '%}', ': ', '- ', '\t', '"', "'", '&a', '*a', '<<: ', '!x ', '|', '>', '#', '[', '{', '\0', '\u2028', '? ', '---\n', '~', '\ud800'), fc.string({ maxLength: 4 })),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((edits) => edits.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), SEED));

test('whatever a playbook holds, the checks name its faults and never break', async (t) => {
  const dir = await folder(t, {});
  const path = join(dir, 'site.yml');
  await fc.assert(
    fc.asyncProperty(broken, async (text) => {
      await writeFile(path, text);
      const problems = await checkProject([path], { projectDir: dir, rolesPath: [], extraVars: new Map(), problems: [] });
      for (const problem of problems) if (renderProblem(problem).trim() === '') throw new Error('a problem without a word');
    }),
    { numRuns: 400 },
  );
  t.pass();
});
