import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Event } from '../../../src/report/events.js';
import type { Errand } from '../bare.js';
import { seconds, short, type Case, type Goal } from '../case.js';
import { address, inventoryOf, startFleet } from '../fleet.js';
import { muster, run } from '../process.js';
import { median, timed, type Times, times } from '../race.js';
import { delayed } from '../relay.js';

const BARE = fileURLToPath(new URL('../bare.js', import.meta.url));
const ONE_WAY = 50;
const ROUND_TRIP = (2 * ONE_WAY) / 1000;
const FILES = 20;
const ROUNDS = 5;

interface Shot {
  seconds: number;
  trips: number;
}

export const trips: Case = {
  name: 'trips',
  title: 'Far away',
  about:
    `One host behind a relay that delays everything by ${ONE_WAY} ms each way: a play that gathers facts and writes ${FILES} files, which some runs find changed. ` +
    'What the delay adds to a run, divided by the round trip, gives the round trips; those of logging in, opening a channel and starting a shell are what a bare ssh2 program needs for a script that says nothing.',
  async run() {
    const fleet = await startFleet();
    try {
      const relay = await delayed({ host: address(1), port: fleet.port }, ONE_WAY);
      const playbook = join(fleet.folder, 'site.yml');
      const files = Array.from({ length: FILES }, (_, i) => `    - copy: {content: "file ${i}\\n", dest: "${fleet.home}/file${i}", mode: "0640"}`);
      writeFileSync(playbook, `- hosts: all\n  tasks:\n${files.join('\n')}\n`);
      const shoot = async (port: number): Promise<Shot> => {
        const { seconds, stdout } = await muster(['apply', playbook, '-i', inventoryOf(fleet, 1, port), '--output', 'json']);
        const stats = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Event).find((event) => event.event === 'stats')!;
        return { seconds, trips: stats.hosts['host1']!.trips };
      };
      const spoil = (count: number): void => {
        for (let i = 0; i < count; i++) writeFileSync(join(fleet.home, `file${i * 3}`), 'spoilt\n');
      };
      await shoot(fleet.port);
      const bare = await added(ROUNDS, async (far) => {
        const port = far ? relay.port : fleet.port;
        const errand = join(fleet.folder, 'errand');
        writeFileSync(errand, JSON.stringify({ hosts: [{ host: address(1), port }], user: fleet.user, key: fleet.key, script: 'echo done\n', shell: '/bin/sh', atOnce: 1 } satisfies Errand));
        return timed(() => run(process.execPath, [BARE, errand]));
      });
      const handshake = bare.median / ROUND_TRIP;
      const rows = [
        ['', 'trips', 'added by the delay', 'min – max', 'round trips', 'behind the handshake', 'runs'],
        ['bare ssh2, one script', '', seconds(bare.median), `${seconds(bare.min)} – ${seconds(bare.max)}`, short(handshake), '', String(ROUNDS)],
      ];
      const goals: Goal[] = [];
      for (const changes of [0, 1, 5]) {
        const made: number[] = [];
        const lap = await added(ROUNDS, async (far) => {
          spoil(changes);
          const shot = await shoot(far ? relay.port : fleet.port);
          made.push(shot.trips);
          return shot.seconds;
        });
        // One script is in the handshake's figure already.
        const behind = lap.median / ROUND_TRIP - handshake + 1;
        rows.push([`${changes} changes`, String(median(made)), seconds(lap.median), `${seconds(lap.min)} – ${seconds(lap.max)}`, short(lap.median / ROUND_TRIP), short(behind), String(ROUNDS)]);
        goals.push({ what: `round trips behind the handshake with ${changes} changes`, got: behind, atMost: changes + 3 });
      }
      relay.stop();
      return { rows, goals };
    } finally {
      fleet.stop();
    }
  },
};

/** What the delay adds, near and far taking turns. */
async function added(rounds: number, shoot: (far: boolean) => Promise<number>): Promise<Times> {
  const differences: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const near = await shoot(false);
    differences.push((await shoot(true)) - near);
  }
  return times(differences);
}
