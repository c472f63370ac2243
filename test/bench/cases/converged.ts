import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyFile } from '../../../src/lab/lab.js';
import type { Errand } from '../bare.js';
import type { Case } from '../case.js';
import { hosts, project } from '../lab.js';
import { applyPlay, probes, TASKS, writePlay } from '../play.js';
import { run } from '../process.js';
import { race, table } from '../race.js';

const BARE = fileURLToPath(new URL('../bare.js', import.meta.url));

export const converged: Case = {
  name: 'converged',
  title: 'Nothing to do',
  about:
    `A playbook of ${TASKS} tasks (facts, 5 packages, 20 templates, 11 folders, 5 users, 5 lines, 3 services, a command; all with sudo) on 6 lab hosts that are as it says. ` +
    'The floor is an ssh2-in-Node program that opens six connections at once and pipes one script with the same probes to `sudo sh -s`.',
  async run(say) {
    const lab = await hosts('clean', say);
    const { folder, inventory, remove } = project(lab);
    try {
      const playbook = writePlay(folder);
      const errand = join(folder, 'errand');
      const key = keyFile(lab.project, lab.name);
      writeFileSync(errand, JSON.stringify({ hosts: lab.hosts.map(({ address }) => ({ host: address, port: 22 })), user: 'muster', key, script: probes(), shell: 'sudo sh -s', atOnce: 6 } satisfies Errand));
      say('making the hosts as the playbook says');
      await applyPlay(playbook, inventory);
      const results = await race(
        {
          'floor: ssh2 and sh -s': async () => (await run(process.execPath, [BARE, errand])).seconds,
          Muster: () => applyPlay(playbook, inventory, { converged: true }),
        },
        7,
      );
      return { rows: table(results), goals: [{ what: 'Muster / floor', got: results.Muster.median / results['floor: ssh2 and sh -s'].median, atMost: 2 }] };
    } finally {
      remove();
    }
  },
};
