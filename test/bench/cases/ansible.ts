import { existsSync } from 'node:fs';
import { need } from '../../connection/shells.js';
import type { Case } from '../case.js';
import { hosts, project } from '../lab.js';
import { applyPlay, TASKS, writePlay } from '../play.js';
import { run } from '../process.js';
import { race, table } from '../race.js';

const MITOGEN = '/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy';

export const ansible: Case = {
  name: 'ansible',
  title: 'Nothing to do, next to Ansible',
  about:
    `The same playbook of ${TASKS} tasks on the same 6 converged hosts, run unchanged by Debian's ansible-core with pipelining, 50 forks and its connections kept open between runs, ` +
    'and by Debian\'s ansible-mitogen, which leaves the services out because it fails on them.',
  async run(say) {
    need('ansible-playbook', 'ansible-core');
    if (!existsSync(MITOGEN)) need('', 'ansible-mitogen'); // which brings no command
    const { folder, inventory, ansible, remove } = project(await hosts('python', say));
    try {
      const playbook = writePlay(folder);
      say('making the hosts as the playbook says');
      await applyPlay(playbook, inventory);
      const byAnsible = async (env: NodeJS.ProcessEnv, ...args: string[]): Promise<number> => {
        const { seconds, stdout } = await run('ansible-playbook', [playbook, '-i', inventory, ...args], { env: { ...ansible, ...env } });
        if (/changed=[1-9]/.test(stdout)) throw new Error(`Ansible found something to do:\n${stdout.slice(-3000)}`);
        say(`${seconds.toFixed(1)} s by Ansible${args.length > 0 ? ' with Mitogen' : ''}`);
        return seconds;
      };
      const results = await race(
        {
          Muster: () => applyPlay(playbook, inventory, { converged: true }),
          Mitogen: () => byAnsible({ ANSIBLE_STRATEGY: 'mitogen_linear', ANSIBLE_STRATEGY_PLUGINS: MITOGEN }, '--skip-tags', 'services'),
          Ansible: () => byAnsible({}),
        },
        5,
      );
      return {
        rows: table(results),
        goals: [
          { what: 'Ansible / Muster', got: results.Ansible.median / results.Muster.median, atLeast: 50 },
          { what: 'Mitogen / Muster', got: results.Mitogen.median / results.Muster.median, atLeast: 25 },
        ],
        notes: ['pyinfra is left out: Debian has no package of it.'],
      };
    } finally {
      remove();
    }
  },
};
