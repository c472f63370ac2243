import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Event, Recap } from '../../src/report/events.js';
import { run } from '../../src/lab/run.js';
import { address, inventoryOf, startFleet } from '../bench/fleet.js';
import { muster } from '../cli/muster.js';
import { NFT, until } from './faults.js';
import { need } from '../connection/shells.js';

/** Of so many hosts, the first 30 refuse, the next 30 never answer, and 30 die midway: half of them with a reset, half in silence. */
const HOSTS = 300;
const TABLE = 'muster-fleet';
const from = (first: number, count: number) => `{ ${Array.from({ length: count }, (_, i) => address(first + i)).join(', ')} }`;

function cut(port: number, rules: { [verdict: string]: string }): Promise<string> {
  const lines = Object.entries(rules).flatMap(([verdict, hosts]) => [
    `add rule ip ${TABLE} out ip daddr ${hosts} tcp dport ${port} ${verdict}`,
    // A reset comes from there itself.
    ...(verdict === 'drop' ? [`add rule ip ${TABLE} out ip saddr ${hosts} tcp sport ${port} drop`] : []),
  ]);
  return run(NFT, [lines.join('\n')]);
}

test('300 hosts of which 30 refuse, 30 never answer and 30 die midway: the others are done, and the end is readable', async (t) => {
  t.timeout(240_000);
  need(NFT, 'nftables');
  const fleet = await startFleet('ClientAliveInterval 5');
  const drop = () => run(NFT, [`table ip ${TABLE}\ndelete table ip ${TABLE}`]);
  t.teardown(async () => {
    fleet.stop();
    await drop();
  });
  await drop();
  await run(NFT, [`table ip ${TABLE} { chain out { type filter hook output priority -5; }; }`]);
  await cut(fleet.port, { 'reject with tcp reset': from(1, 30), drop: from(31, 30) });
  const inventory = inventoryOf(fleet, HOSTS);
  const at = (name: string) => join(fleet.folder, name);
  writeFileSync(at('impatient'), 'Host *\n  ServerAliveInterval 4\n  ServerAliveCountMax 3\n');
  writeFileSync(
    at('play.yml'),
    `- hosts: all
  gather_facts: false
  vars: {muster_ssh_config_file: "${at('impatient')}"}
  tasks:
    - {name: first, command: "true"}
    - {name: second, shell: "touch ${fleet.home}/second; sleep 3"}
    - {name: third, command: "true"}
`,
  );
  const running = muster(['apply', at('play.yml'), '-i', inventory, '--timeout', '8', '--forks', '100'], { cwd: fleet.folder });
  await until(async () => existsSync(join(fleet.home, 'second')), 'the second task', 120);
  await cut(fleet.port, { 'reject with tcp reset': from(61, 15), drop: from(76, 15) });
  const ran = await running;
  t.is(ran.code, 4, ran.stdout + ran.stderr);
  const [journal] = readdirSync(at('.muster/runs'));
  const events = readFileSync(join(at('.muster/runs'), journal!, 'events.ndjson'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Event);
  const recap = events.findLast((event) => event.event === 'recap') as Extract<Event, { event: 'recap' }>;
  const those = (test: (recap: Recap) => boolean) => Object.entries(recap.hosts).filter(([, each]) => test(each)).map(([name]) => Number(name.slice(4)));
  t.deepEqual(those(({ unreachable }) => unreachable === 1).sort((a, b) => a - b), Array.from({ length: 90 }, (_, i) => i + 1));
  t.is(those(({ ok, unreachable, failed }) => ok === 3 && unreachable === 0 && failed === 0).length, 210);
  // The same for many hosts is told once.
  t.true(ran.stdout.split('\n').length < 120, ran.stdout);
  for (const why of [/refuses connections/g, /does not answer|did not let us in/g]) t.true((ran.stdout.match(why) ?? []).length <= 3, ran.stdout);
});
