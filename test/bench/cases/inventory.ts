import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case } from '../case.js';
import { MUSTER, run } from '../process.js';
import { race, table } from '../race.js';

const HOSTS = 10_000;
const GROUPS = 20;

export const inventory: Case = {
  name: 'inventory',
  title: 'A large inventory',
  about: `\`muster apply --list-hosts\` with the pattern \`rack*:!rack7\` over ${HOSTS.toLocaleString('en')} hosts of ${GROUPS} groups, each host with two variables of its own.`,
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
    try {
      const site = join(folder, 'site.yml');
      writeFileSync(site, '- hosts: "rack*:!rack7"\n  tasks:\n    - ping:\n');
      const groups = Array.from({ length: GROUPS }, (_, group) => Array.from({ length: HOSTS / GROUPS }, (_, i) => `host${group}-${i}`));
      const yaml = join(folder, 'hosts.yml');
      writeFileSync(yaml, `all:\n  children:\n${groups.map((hosts, g) => `    rack${g}:\n      hosts:\n${hosts.map((host, i) => `        ${host}: {ansible_host: 10.${g}.${i >> 8}.${i & 255}, shelf: ${i % 40}}\n`).join('')}`).join('')}`);
      const ini = join(folder, 'hosts.ini');
      writeFileSync(ini, groups.map((hosts, g) => `[rack${g}]\n${hosts.map((host, i) => `${host} ansible_host=10.${g}.${i >> 8}.${i & 255} shelf=${i % 40}\n`).join('')}`).join('\n'));
      const list = async (file: string): Promise<number> => {
        const { seconds, stdout } = await run(process.execPath, [MUSTER, 'apply', '--list-hosts', '-i', file, site]);
        if (!stdout.includes(`hosts (${HOSTS - HOSTS / GROUPS}):`)) throw new Error(stdout.slice(0, 300));
        return seconds;
      };
      const results = await race({ 'node -e 0': async () => (await run(process.execPath, ['-e', '0'])).seconds, 'muster, YAML': () => list(yaml), 'muster, INI': () => list(ini) }, 5);
      return {
        rows: table(results),
        goals: [
          { what: 'from YAML', got: results['muster, YAML'].median, atMost: 1, unit: ' s' },
          { what: 'from INI', got: results['muster, INI'].median, atMost: 1, unit: ' s' },
        ],
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
