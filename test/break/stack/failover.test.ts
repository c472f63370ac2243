import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { powerOff } from '../../e2e/power.js';
import { Stack } from '../../e2e/stack.js';
import { Databases, done, refused } from '../databases.js';

let stack: Stack;
let db: Databases;
let folder: string;

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  folder = await mkdtemp(join(tmpdir(), 'muster-failover-'));
  stack = await Stack.converged();
  db = new Databases(stack);
});
test.after.always(() => rm(folder, { recursive: true }));

const balancers = ['lb1', 'lb2'];
async function powerOn(): Promise<void> {
  stack = await stack.powerOn();
  db = new Databases(stack);
}

test.serial('the controller alone is cut off from the primary: no failover', async (t) => {
  const address = stack.address('db1');
  const cut = () => execFileSync('ip', ['route', 'add', 'unreachable', `${address}/32`]);
  const mend = () => execFileSync('ip', ['route', 'del', 'unreachable', `${address}/32`]);
  cut();
  try {
    refused(t, await db.play('failover', '-e', 'mysql_failover_wait=2'), /db1 does not answer the controller, but db2 still reads from it/);
    // Nor does it matter that the replica, too, has lost it, while a balancer sees it take writes.
    await db.sql('db2', 'STOP SLAVE IO_THREAD');
    refused(t, await db.play('failover', '-e', 'mysql_failover_wait=2'), /db1 does not answer the controller, but takes writes as seen by lb1 and lb2/);
    t.is(await db.sql('db2', 'SELECT @@read_only'), '1');
    t.is((await stack.write('as before')).database, 'db1');
    await db.sql('db2', 'START SLAVE IO_THREAD');
  } finally {
    mend();
  }
  refused(t, await db.play('failover'), /db1 answers and takes the writes: there is nothing to fail over from/);
  await db.clean(t);
});

test.serial('the primary is killed under writes: none that was acknowledged is lost, and it comes back as a replica', async (t) => {
  t.timeout(5 * 60_000);
  await db.acknowledges(t, 'db1');
  const load = db.writers(4);
  t.teardown(() => load.stop());
  await load.more(50);
  await db.kill(t, 'db1');
  done(t, await db.play('failover'));
  await load.more(50);
  await load.stop();
  t.log(`${load.acknowledged.length} writes acknowledged, ${load.gap()} s without`);
  t.deepEqual(await load.lost('db2'), { lost: [], twice: 0 });
  // What no replica had acknowledged is undone when it starts, and was told to nobody.
  done(t, await db.play('rejoin', '-e', 'mysql_rejoin=db1'));
  t.is(await db.sql('db1', 'SELECT @@read_only'), '1');
  await db.follows('db1');
  await db.sameAs(t, 'db2', 'db1');
  t.is((await stack.write('after it')).database, 'db2');
  await db.clean(t);
});

test.serial('an old primary that parted from the others is named and not taken in; made anew, it is', async (t) => {
  t.timeout(5 * 60_000);
  await db.acknowledges(t, 'db2');
  await db.kill(t, 'db2');
  refused(t, await db.play('failover'), /the last one was less than 3600 s ago/);
  done(t, await db.play('failover', '-e', 'mysql_failover_block=0'));
  await stack.on('db2', 'systemctl start mariadb');
  t.is(await db.sql('db2', 'SELECT @@read_only'), '1');
  await db.sql('db2', "SET GLOBAL read_only = OFF; INSERT INTO app.notes (text, server) VALUES ('alone', 'db2'); SET GLOBAL read_only = ON");
  const alone = (await db.sql('db2', 'SELECT @@gtid_binlog_state')).split(',').find((each) => each.startsWith('1000000-2-'))!;
  for (const play of ['site', 'rejoin']) refused(t, await db.play(play, '-e', 'mysql_rejoin=db2'), new RegExp(`transactions that db1 never had: ${alone}`), /reseed\.yml -e mysql_reseed=db2/);
  t.regex(await stack.on('db2', 'cat /root/mysql-errant/*.sql'), /INSERT INTO `app`.`notes`[^]*'alone'/);
  t.is(await db.sql('db2', "SELECT COUNT(*) FROM app.notes WHERE text = 'alone'"), '1');
  t.is((await stack.write('meanwhile')).database, 'db1');
  done(t, await db.play('reseed', '-e', 'mysql_reseed=db2'));
  t.is(await db.sql('db2', 'SELECT @@GLOBAL.gtid_domain_id'), '0');
  await db.follows('db2');
  await db.sameAs(t, 'db1', 'db2');
  await db.clean(t);
});

test.serial('the primary loses its power: the balancers keep it from writes, and it comes back closed', async (t) => {
  t.timeout(5 * 60_000);
  await db.acknowledges(t, 'db1');
  const load = db.writers(4);
  t.teardown(() => load.stop());
  await load.more(50);
  await powerOff(stack.lab.name, 'db1');
  const unfenced = ['-e', 'mysql_failover_block=0', '-e', 'mysql_fence_by_balancers=false'];
  refused(t, await db.play('failover', ...unfenced), /db1 may still take writes, for nothing could keep it from that: SSH does not reach it/);
  t.is(await db.sql('db2', 'SELECT @@read_only'), '1');
  done(t, await db.play('failover', '-e', 'mysql_failover_block=0'));
  await load.more(50);
  await load.stop();
  t.log(`${load.acknowledged.length} writes acknowledged, ${load.gap()} s without`);
  t.deepEqual(await load.lost('db2'), { lost: [], twice: 0 });
  await powerOn();
  t.is(await stack.until(() => stack.tried('db1', "mariadb -N -e 'SELECT @@read_only'"), (is) => is === '1'), '1');
  for (const balancer of balancers) t.regex(await db.state(balancer, 'mysql_write', 'db1'), /^MAINT/);
  t.is((await stack.write('while it is out')).database, 'db2');
  let back = await db.play('rejoin', '-e', 'mysql_rejoin=db1');
  if (back.code !== 0) {
    // It started as usual, so a write that was under way when the power went is there, and nowhere else.
    refused(t, back, /transactions that db2 never had: 0-1-\d+/);
    done(t, await db.play('reseed', '-e', 'mysql_reseed=db1'));
    back = await db.play('rejoin', '-e', 'mysql_rejoin=db1');
  }
  done(t, back);
  await db.follows('db1');
  await db.sameAs(t, 'db2', 'db1');
  const reads = () => Promise.all(balancers.map((balancer) => db.state(balancer, 'mysql_read', 'db1')));
  t.deepEqual(await stack.until(reads, (states) => states.every((is) => is === 'UP')), ['UP', 'UP']);
  await db.clean(t);
});

test.serial('a primary that nobody reaches but that runs is powered off before another one is opened', async (t) => {
  t.timeout(5 * 60_000);
  await db.acknowledges(t, 'db2');
  const told = join(folder, 'fenced');
  const fence = join(folder, 'fence.mjs');
  const power = new URL('../../e2e/power.js', import.meta.url).href;
  await writeFile(
    fence,
    `import { appendFileSync } from 'node:fs';
import { powerOff } from ${JSON.stringify(power)};
const host = process.env.HOST;
await powerOff(${JSON.stringify(stack.lab.name)}, host);
appendFileSync(${JSON.stringify(told)}, host + '\\n');
`,
  );
  // Once the command is answered, its network is gone.
  await stack.on('db2', "systemd-run --on-active=1 --quiet ip link set host0 down");
  t.notRegex(await stack.until(() => Promise.all(balancers.map((balancer) => db.state(balancer, 'mysql_write', 'db2'))).then(String), (states) => !states.includes('UP')), /UP/);
  t.false(existsSync(told));
  done(t, await db.play('failover', '-e', 'mysql_failover_block=0', '-e', JSON.stringify({ mysql_fence_command: `${process.execPath} ${fence}` })));
  t.is(await readFile(told, 'utf8'), 'db2\n');
  t.is((await stack.write('after it')).database, 'db1');
  await powerOn();
  t.is(await stack.until(() => stack.tried('db2', "mariadb -N -e 'SELECT @@read_only'"), (is) => is === '1'), '1');
  done(t, await db.play('rejoin', '-e', 'mysql_rejoin=db2'));
  await db.follows('db2');
  await db.sameAs(t, 'db1', 'db2');
  await db.clean(t);
});
