import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Errand } from '../bare.js';
import { megabytes, seconds, short, type Case, type Goal } from '../case.js';
import { address, inventoryOf, startFleet, type Fleet } from '../fleet.js';
import { muster, node, type Usage } from '../process.js';
import { picture, type Point } from '../picture.js';
import { median, race } from '../race.js';

const BARE = fileURLToPath(new URL('../bare.js', import.meta.url));
const TASKS = 10;
const AT_ONCE = 50;
const SIZES = [
  { count: 10, rounds: 5 },
  { count: 100, rounds: 5 },
  { count: 1000, rounds: 5 },
];

export const fleet: Case = {
  name: 'fleet',
  title: 'A fleet',
  about:
    `A converged play of ${TASKS} tasks (folders, files, a line, a link, a stat, a guarded command; no facts) on many hosts, each a loopback address of its own with one sshd behind all, ` +
    `next to a bare ssh2 loop that opens a connection per host, ${AT_ONCE} at once, and pipes one script with the same probes to \`sh -s\`.`,
  async run(say) {
    const fleet = await startFleet();
    try {
      const playbook = join(fleet.folder, 'site.yml');
      writeFileSync(playbook, playbookIn(fleet.home));
      // All hosts are one machine: what one run makes there, all have.
      await muster(['apply', playbook, '-i', inventoryOf(fleet, 1)]);
      const rows = [['hosts', 'bare ssh2', 'Muster', 'min – max', 'ratio', 'processor: bare', 'Muster', 'a host and task', 'memory: bare', 'Muster']];
      const goals: Goal[] = [];
      const points: { bare: Point[]; muster: Point[] } = { bare: [], muster: [] };
      for (const { count, rounds } of SIZES) {
        say(`${count} hosts`);
        const errand = join(fleet.folder, 'errand');
        writeFileSync(errand, JSON.stringify(errandOf(fleet, count)));
        const inventory = inventoryOf(fleet, count);
        const used: { bare: Usage[]; muster: Usage[] } = { bare: [], muster: [] };
        const laps = await race(
          {
            bare: async () => keep(used.bare, await node([BARE, errand])),
            muster: async () => {
              const ran = await muster(['apply', playbook, '-i', inventory, '-f', String(AT_ONCE), '--output', 'json']);
              const recap = JSON.parse(ran.stdout.trimEnd().split('\n').at(-1)!) as { hosts: { [host: string]: { ok: number; changed: number } } };
              const all = Object.values(recap.hosts);
              if (all.length !== count || all.some(({ ok, changed }) => ok !== TASKS || changed > 0)) throw new Error(`not converged: ${JSON.stringify(all[0])}`);
              return keep(used.muster, ran);
            },
          },
          rounds,
        );
        const of = (usage: Usage[], what: 'cpu' | 'rss') => median(usage.map((each) => each[what]));
        for (const name of ['bare', 'muster'] as const) points[name].push({ x: count, y: laps[name].median });
        const ratio = laps.muster.median / laps.bare.median;
        rows.push([
          String(count),
          seconds(laps.bare.median),
          seconds(laps.muster.median),
          `${seconds(laps.muster.min)} – ${seconds(laps.muster.max)}`,
          short(ratio),
          seconds(of(used.bare, 'cpu')),
          seconds(of(used.muster, 'cpu')),
          `${short((of(used.muster, 'cpu') / count / TASKS) * 1e6)} µs`,
          megabytes(of(used.bare, 'rss')),
          megabytes(of(used.muster, 'rss')),
        ]);
        if (count === 1000) {
          goals.push({ what: 'Muster / bare loop, 1000 hosts', got: ratio, atMost: 1.3 });
          goals.push({ what: 'memory of Muster, 1000 hosts', got: of(used.muster, 'rss') / 1e6, atMost: 250, unit: ' MB' });
        }
      }
      const lines = [{ name: 'bare ssh2', points: points.bare }, { name: 'Muster', points: points.muster }];
      return { rows, goals, picture: { svg: picture('hosts', 'seconds', lines), shows: 'Seconds by hosts: both lines rise as the dashed one does, tenfold for ten times the hosts' } };
    } finally {
      fleet.stop();
    }
  },
};

function keep(list: Usage[], usage: Usage): number {
  list.push(usage);
  return usage.seconds;
}

function playbookIn(home: string): string {
  return `- hosts: all
  gather_facts: false
  tasks:
${['a', 'b', 'c'].map((name) => `    - file: {path: "${home}/${name}", state: directory, mode: "0750"}\n`).join('')}
${['a', 'b', 'c'].map((name) => `    - copy: {content: "{{ 'line\\n' * 20 }}", dest: "${home}/${name}/file", mode: "0640"}\n`).join('')}
    - lineinfile: {path: "${home}/a/lines", line: "one line", create: true, mode: "0640"}
    - file: {path: "${home}/link", src: "${home}/a", state: link}
    - stat: {path: "${home}/a/file", get_mime: false, get_attributes: false}
    - command: {cmd: "touch ${home}/made", creates: "${home}/made"}
`;
}

function errandOf(fleet: Fleet, count: number): Errand {
  const { home, user, key, port } = fleet;
  const look = ['a', 'b', 'c'].map((name) => `stat -c '%F %a %U %G' ${home}/${name}\n`);
  const files = ['a', 'b', 'c'].map((name) => `stat -c '%F %a %U %G' ${home}/${name}/file; sha256sum ${home}/${name}/file\n`);
  const script = `${look.join('')}${files.join('')}grep -nxF 'one line' ${home}/a/lines; stat -c '%F %a %U %G' ${home}/a/lines
readlink ${home}/link
stat -c '%F %a %U %G %s %Y' ${home}/a/file; sha1sum ${home}/a/file
test -e ${home}/made
echo done
`;
  return { hosts: Array.from({ length: count }, (_, i) => ({ host: address(i + 1), port })), user, key, script, shell: 'sh -s', atOnce: AT_ONCE };
}
