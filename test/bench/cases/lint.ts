import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case } from '../case.js';
import { MUSTER, run } from '../process.js';
import { race, table } from '../race.js';

export const lint: Case = {
  name: 'lint',
  title: 'Checking a playbook',
  about: '`muster lint` of a playbook of 1,000 tasks: folders, files, packages and lines, with expressions, conditions, loops, tags and a handler.',
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
    try {
      const file = join(folder, 'site.yml');
      writeFileSync(file, playbook(250));
      const results = await race({ 'node -e 0': async () => (await run(process.execPath, ['-e', '0'])).seconds, 'muster lint': async () => (await run(process.execPath, [MUSTER, 'lint', file])).seconds }, 7);
      return { rows: table(results), goals: [{ what: 'muster lint takes', got: results['muster lint'].median, atMost: 1, unit: ' s' }] };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Four tasks a service. */
function playbook(services: number): string {
  const tasks = Array.from(
    { length: services },
    (_, i) => `
    - name: Folder of service ${i}
      ansible.builtin.file: {path: "/srv/{{ app }}/${i}", state: directory, mode: "0755"}
      when: app is defined and (enabled | default(true) or ${i} > 100)
    - name: Settings of service ${i}
      copy:
        content: "{{ app }} listens on {{ port + ${i} }}\\n"
        dest: /etc/app/${i}.conf
        owner: root
        mode: "0644"
      notify: Restart
    - name: Packages of service ${i}
      apt: {name: [curl, "service-{{ ${i} }}"], state: present}
      tags: [packages, service${i}]
    - name: Names of service ${i}
      lineinfile:
        path: /etc/hosts
        regexp: "^10\\\\.0\\\\.0\\\\.${i}\\\\s"
        line: "10.0.{{ item }}.${i} {{ inventory_hostname }}"
      loop: "{{ range(3) }}"
      register: names${i}`,
  );
  return `- hosts: all
  tasks:${tasks.join('')}
  handlers:
    - name: Restart
      service: {name: app, state: restarted}
`;
}
