import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyFile } from '../../../src/lab/lab.js';
import { need } from '../../connection/shells.js';
import type { Errand } from '../bare.js';
import type { Case } from '../case.js';
import { hosts, project } from '../lab.js';
import { probes, TASKS, writePlay } from '../play.js';
import { MUSTER, run } from '../process.js';
import { race, table, type Contestant } from '../race.js';

const BARE = fileURLToPath(new URL('../bare.js', import.meta.url));
const MITOGEN = '/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy';
const ROUNDS = 5;

export const converged: Case = {
  name: 'converged',
  title: 'Nothing to do',
  about:
    `A playbook of ${TASKS} tasks (facts, 5 packages, 20 templates, 11 folders, 5 users, 5 lines, 3 services, a command; all with sudo) on 6 lab hosts that are as it says. ` +
    'The floor is one ssh2-in-Node program that opens six connections at once and pipes one script with the same probes to `sudo sh -s`. ' +
    'Ansible is Debian\'s ansible-core with pipelining, 50 forks and its connections kept open between runs; Mitogen is Debian\'s ansible-mitogen, which leaves the services out because it fails on them.',
  async run(say) {
    need('ansible-playbook', 'ansible-core');
    if (!existsSync(MITOGEN)) need('', 'ansible-mitogen'); // which brings no command
    const lab = await hosts('python', say);
    const { folder, inventory, ansible, remove } = project(lab);
    try {
      const playbook = writePlay(folder);
      const errand = join(folder, 'errand');
      const key = keyFile(lab.project, lab.name);
      writeFileSync(errand, JSON.stringify({ hosts: lab.hosts.map(({ address }) => ({ host: address, port: 22 })), user: 'muster', key, script: probes(), shell: 'sudo sh -s', atOnce: 6 } satisfies Errand));
      const muster = ['apply', playbook, '-i', inventory];
      say('making the hosts as the playbook says');
      await run(process.execPath, [MUSTER, ...muster]);
      const byAnsible = async (env: NodeJS.ProcessEnv, ...args: string[]): Promise<number> => {
        const { seconds, stdout } = await run('ansible-playbook', [playbook, '-i', inventory, ...args], { env: { ...ansible, ...env } });
        if (/changed=[1-9]/.test(stdout)) throw new Error(`Ansible found something to do:\n${stdout.slice(-3000)}`);
        return seconds;
      };
      const quick = await race(
        {
          'floor: ssh2 and sh -s': async () => (await run(process.execPath, [BARE, errand])).seconds,
          Muster: async () => {
            const { seconds, stdout } = await run(process.execPath, [MUSTER, ...muster]);
            if (/changed=[1-9]/.test(stdout)) throw new Error(`Muster found something to do:\n${stdout.slice(-3000)}`);
            return seconds;
          },
        },
        ROUNDS,
      );
      say('Ansible and Mitogen, which take their time');
      const slow = await race(
        {
          ansible: () => byAnsible({}),
          mitogen: () => byAnsible({ ANSIBLE_STRATEGY: 'mitogen_linear', ANSIBLE_STRATEGY_PLUGINS: MITOGEN }, '--skip-tags', 'services'),
          muster: async () => (await run(process.execPath, [MUSTER, ...muster])).seconds,
        } satisfies { [name: string]: Contestant },
        ROUNDS,
      );
      return {
        rows: table({ ...quick, 'Muster, next to those below': slow.muster, 'Ansible with Mitogen': slow.mitogen, Ansible: slow.ansible }),
        goals: [
          { what: 'Muster / floor', got: quick.Muster.median / quick['floor: ssh2 and sh -s'].median, atMost: 2 },
          { what: 'Ansible / Muster', got: slow.ansible.median / slow.muster.median, atLeast: 50 },
          { what: 'Mitogen / Muster', got: slow.mitogen.median / slow.muster.median, atLeast: 25 },
        ],
        notes: ['pyinfra is left out: Debian has no package of it.'],
      };
    } finally {
      remove();
    }
  },
};
