import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gathering } from '../../src/modules/facts/script.js';
import { MUSTER, run } from './process.js';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const PACKAGES = ['cron', 'rsyslog', 'rsync', 'less', 'tree'];
const SERVICES = ['ssh', 'cron', 'rsyslog'];

/** How many results a host has, gathering facts included. */
export const TASKS = 51;

/**
 * Writes the playbook that tools are compared by: facts, 5 packages, 11 folders, 20 templates, 5 users, 5 lines, 3 services
 * and a command. Ansible's own command runs it unchanged. @returns its path
 */
export function writePlay(folder: string): string {
  for (const n of numbers(20)) {
    writeFileSync(
      join(folder, 'templates', `app${n}.conf.j2`),
      `# Service ${n} of {{ app }} on {{ inventory_hostname }} ({{ ansible_facts['distribution'] }} {{ ansible_facts['distribution_release'] }})
{% for port in ports %}
listen = {{ ansible_facts['hostname'] }}:{{ port + ${n} }}
{% endfor %}
{% if debug | default(false) %}
log = debug
{% else %}
log = {{ 'warn' | upper }}
{% endif %}
{% for host in groups['all'] | sort %}
peer{{ loop.index }} = {{ hostvars[host]['ansible_host'] }}
{% endfor %}
`,
    );
  }
  const tasks = [
    ...PACKAGES.map((name) => `- name: Package ${name}\n  apt: {name: ${name}, state: present}\n  tags: packages`),
    '- name: Folder of the application\n  file: {path: /etc/app, state: directory, mode: "0755"}',
    ...numbers(10).map((n) => `- name: Folder ${n}\n  file: {path: /srv/app/data${n}, state: directory, owner: root, group: root, mode: "0750"}`),
    ...numbers(20).map((n) => `- name: Settings ${n}\n  template: {src: app${n}.conf.j2, dest: /etc/app/app${n}.conf, owner: root, group: root, mode: "0644"}`),
    ...numbers(5).map((n) => `- name: User ${n}\n  user: {name: app${n}, shell: /bin/bash, system: true, create_home: false}`),
    ...numbers(5).map((n) => `- name: Line ${n}\n  lineinfile: {path: /etc/app.hosts, regexp: '^10\\.0\\.0\\.${n}\\s', line: 10.0.0.${n} node${n}, create: true, mode: "0644"}`),
    ...SERVICES.map((name) => `- name: Service ${name}\n  service: {name: ${name}, state: started, enabled: true}\n  tags: services`),
    '- name: Command\n  command: "true"\n  changed_when: false',
  ];
  const file = join(folder, 'site.yml');
  writeFileSync(
    file,
    `- hosts: all
  become: true
  vars:
    app: muster
    ports: [8000, 8100, 8200]
  tasks:
${tasks.join('\n').replace(/^/gm, '    ')}
`,
  );
  return file;
}

/** Muster's seconds for the play. @throws when `converged` hosts were changed */
export async function applyPlay(playbook: string, inventory: string, how: { converged?: boolean; args?: string[] } = {}): Promise<number> {
  const { seconds, stdout } = await run(process.execPath, [MUSTER, 'apply', playbook, '-i', inventory, ...(how.args ?? [])]);
  if (how.converged && /changed=[1-9]/.test(stdout)) throw new Error(`Muster found something to do:\n${stdout.slice(-3000)}`);
  return seconds;
}

/** The same questions, as somebody would write them for one `sh -s`. */
export function probes(): string {
  const stat = (path: string): string => `stat -c '%F %a %U %G' ${path}\n`;
  return [
    `( ${gathering(new Set(['min', 'hardware', 'network', 'virtual']), '/etc/ansible/facts.d', 10).text}\n) >/dev/null\n`,
    ...PACKAGES.map((name) => `dpkg-query -W -f '\${db:Status-Abbrev} \${Version}' ${name}\n`),
    stat('/etc/app'),
    ...numbers(10).map((n) => stat(`/srv/app/data${n}`)),
    ...numbers(20).map((n) => `${stat(`/etc/app/app${n}.conf`)}sha256sum /etc/app/app${n}.conf\n`),
    ...numbers(5).map((n) => `getent passwd app${n}\n`),
    ...numbers(5).map((n) => `grep -n '^10\\.0\\.0\\.${n}[[:space:]]' /etc/app.hosts; ${stat('/etc/app.hosts')}`),
    ...SERVICES.map((name) => `systemctl show -p ActiveState,UnitFileState,LoadState ${name}\n`),
    'true\necho done\n',
  ].join('');
}
