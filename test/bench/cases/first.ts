import { existsSync } from 'node:fs';
import { need } from '../../connection/shells.js';
import { labSsh, type LabState } from '../../../src/lab/lab.js';
import { seconds, short, type Case } from '../case.js';
import { everywhere, hosts, project } from '../lab.js';
import { applyPlay, TASKS, writePlay } from '../play.js';
import { run } from '../process.js';
import { median } from '../race.js';

const ROUNDS = 5;
const LOG = '/var/tmp/apt-seconds';
/** Stands in for apt-get on the hosts and notes how long the real one took, whoever called it. */
const WATCH = `test -e /usr/bin/apt-get.real || mv /usr/bin/apt-get /usr/bin/apt-get.real
cat >/usr/bin/apt-get <<'END'
#!/bin/sh
began=$(date +%s%N)
/usr/bin/apt-get.real "$@"
status=$?
echo $(($(date +%s%N) - began)) >>${LOG}
exit $status
END
chmod 755 /usr/bin/apt-get; : >${LOG}; chmod 666 ${LOG}`;

/** One run on fresh hosts, in seconds. */
interface Lap {
  all: number;
  /** Of these, while the slowest host's apt-get was at work: tasks wait for all hosts. */
  apt: number;
}

export const first: Case = {
  name: 'first',
  title: 'The first run',
  about:
    `The playbook of ${TASKS} tasks on 6 fresh hosts: everything is to be done. apt-get is watched on the hosts; since every task waits for all hosts, the n-th call counts with the slowest host's time. ` +
    'Ansible as above (pipelining, 50 forks, connections kept open).',
  async run(say) {
    if (!existsSync('/usr/bin/ansible-playbook')) need('ansible-playbook', 'ansible-core');
    const laps: { Muster: Lap[]; Ansible: Lap[] } = { Muster: [], Ansible: [] };
    for (let round = 0; round < ROUNDS; round++) {
      const names = round % 2 === 0 ? (['Muster', 'Ansible'] as const) : (['Ansible', 'Muster'] as const);
      for (const name of names) {
        const lab = await hosts('python', say);
        await everywhere(WATCH);
        const { folder, inventory, ansible, remove } = project(lab);
        try {
          const playbook = writePlay(folder);
          const all = name === 'Muster' ? await applyPlay(playbook, inventory) : (await run('ansible-playbook', [playbook, '-i', inventory], { env: ansible })).seconds;
          laps[name].push({ all, apt: await aptSeconds(lab) });
          say(`${name}: ${all.toFixed(1)} s, apt ${laps[name].at(-1)!.apt.toFixed(1)} s`);
        } finally {
          remove();
        }
      }
    }
    const own = (lap: Lap) => lap.all - lap.apt;
    const of = (name: 'Muster' | 'Ansible', what: (lap: Lap) => number) => median(laps[name].map(what));
    const row = (name: 'Muster' | 'Ansible') => {
      const each = laps[name].map(own);
      return [name, seconds(of(name, (lap) => lap.all)), seconds(of(name, (lap) => lap.apt)), seconds(median(each)), `${seconds(Math.min(...each))} – ${seconds(Math.max(...each))}`, short(median(each) / of('Muster', own)), String(ROUNDS)];
    };
    return {
      rows: [['', 'in all', 'apt itself', 'without apt', 'min – max', 'ratio', 'runs'], row('Muster'), row('Ansible')],
      goals: [{ what: 'Ansible / Muster, without apt', got: of('Ansible', own) / of('Muster', own), atLeast: 3 }],
    };
  },
};

/** The slowest host's seconds for each call of apt-get, added up. */
async function aptSeconds(lab: LabState): Promise<number> {
  const calls = await Promise.all(lab.hosts.map(async ({ name }) => (await run('ssh', labSsh(lab, name, [`cat ${LOG}`]))).stdout.split('\n').filter(Boolean).map((nanos) => Number(nanos) / 1e9)));
  const most = Math.max(...calls.map((each) => each.length));
  return Array.from({ length: most }, (_, i) => Math.max(...calls.map((each) => each[i] ?? 0))).reduce((sum, each) => sum + each, 0);
}
