import { labDown, labSnapshot, labUp } from '../../../src/lab/lab.js';
import type { Event } from '../../../src/report/events.js';
import { hosts } from '../../e2e/stack.js';
import { seconds, short, type Case } from '../case.js';
import { MUSTER, run } from '../process.js';
import { times } from '../race.js';

const NAME = 'benchstack';
const ROUNDS = 5;

export const stack: Case = {
  name: 'stack',
  title: 'The stack',
  about: '`playbooks/site.yml` on the hosts of `inventory/lab.yml`: fresh ones, then as they should be. The packages come from a cache on this machine.',
  async run(say) {
    await labDown({ name: NAME });
    try {
      const wanted = { name: NAME, hosts: hosts.map((name) => ({ name })), say };
      const lab = await labSnapshot(await labUp(wanted), 'fresh');
      const apply = () => run(process.execPath, [MUSTER, 'apply', 'playbooks/site.yml', '-i', 'inventory/lab.yml', '-e', `lab_name=${NAME}`, '-e', `lab_net=${lab.net}`, '--output', 'json']);
      const laps: { first: number[]; converged: number[] } = { first: [], converged: [] };
      let last = '';
      // One lap that does not count fills the cache of packages.
      for (let round = -1; round < ROUNDS; round++) {
        await labUp({ ...wanted, from: 'fresh' });
        const first = (await apply()).seconds;
        const again = await apply();
        if (round < 0) continue;
        laps.first.push(first);
        laps.converged.push(again.seconds);
        last = again.stdout;
        say(`first run ${first.toFixed(1)} s, converged ${again.seconds.toFixed(1)} s`);
      }
      const events = last.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Event);
      const stats = events.find((event) => event.event === 'stats')!;
      const row = (title: string, laps: number[]) => {
        const { median, min, max } = times(laps);
        return [title, seconds(median), `${seconds(min)} – ${seconds(max)}`, String(laps.length)];
      };
      const most = (what: 'trips' | 'conversations' | 'connecting' | 'waiting' | 'remote') => Math.max(...Object.values(stats.hosts).map((of) => of[what]));
      const results = events.filter((event) => event.event === 'result').length;
      return {
        rows: [['', 'median', 'min – max', 'runs'], row('first run', laps.first), row('converged', laps.converged)],
        goals: [{ what: 'site.yml, converged', got: times(laps.converged).median, atMost: 3, unit: ' s' }],
        notes: [
          `The last converged run: ${results} results; the busiest host ${most('trips')} trips and ${most('conversations')} MySQL conversations, ${seconds(most('connecting'))} connecting, ${seconds(most('waiting'))} waiting, ${seconds(most('remote'))} of it the host at work; Muster itself ${short(stats.cpu)} s of processor.`,
          `Slowest tasks: ${stats.slowest.slice(0, 4).map(({ task, host, seconds: took }) => `${task} on ${host} ${seconds(took)}`).join('; ')}.`,
        ],
      };
    } finally {
      await labDown({ name: NAME });
    }
  },
};
