import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { stateDir } from '../../src/lab/lab.js';
import { Stack, type Outcome } from '../e2e/stack.js';

const site = 'playbooks/site.yml';
let stack: Stack;
/** Arguments that add db3. */
let third: string[];
let folder: string;

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  folder = await mkdtemp(join(tmpdir(), 'muster-database-'));
  stack = await Stack.converged();
  const labDir = ['-e', `lab_dir=${stateDir(process.cwd(), stack.lab.name)}`];
  const host = 'db3: {ansible_host: "{{ lab_net }}.18", mysql_server_id: 3}';
  await writeFile(join(folder, 'third.yml'), `db:\n  hosts:\n    ${host}\n`);
  third = ['-i', join(folder, 'third.yml'), ...labDir];
});

test.after.always(() => rm(folder, { recursive: true }));

const sql = (host: string, statements: string) => stack.on(host, `mariadb -N <<'END'\n${statements};\nEND\n`);
const apply = (playbook: string, ...args: string[]) => stack.muster('apply', playbook, args);
const playbook = (name: string) => `playbooks/${name}.yml`;
const clean = async (t: ExecutionContext, ...args: string[]) => {
  const plan = await stack.muster('plan', site, args);
  t.is(plan.code, 0, plan.told + JSON.stringify(plan.results('changed', 'unknown', 'failed')));
};
const done = (t: ExecutionContext, outcome: Outcome) => t.is(outcome.code, 0, outcome.told);
const refused = (t: ExecutionContext, outcome: Outcome, ...why: RegExp[]) => {
  t.is(outcome.code, 3, outcome.told);
  for (const each of why) t.regex(outcome.told, each);
};
const follows = (host: string) => stack.until(() => stack.replica(host), (is) => is['Slave_IO_Running'] === 'Yes' && is['Slave_SQL_Running'] === 'Yes' && is['Seconds_Behind_Master'] === '0');
const sameAs = async (t: ExecutionContext, primary: string, replica: string) => {
  const at = await sql(primary, 'SELECT @@gtid_binlog_pos');
  await sql(replica, `SELECT MASTER_GTID_WAIT('${at}', 30)`);
  const sums = 'SELECT COUNT(*) FROM app.notes; CHECKSUM TABLE app.notes EXTENDED';
  t.is(await sql(replica, sums), await sql(primary, sums));
};

/** Clients that write through the balancer, one note after the other, until told to stop. */
function writers(count: number) {
  const acknowledged: { text: string; at: number }[] = [];
  let going = true;
  const name = `w${Date.now()}`;
  const clients = Array.from({ length: count }, async (_, client) => {
    for (let i = 0; going; i++) {
      const text = `${name} ${client} ${i}`;
      // A refusal is no loss: the client knows.
      await stack.write(text).then(() => acknowledged.push({ text, at: Date.now() }), () => sleep(20));
    }
  });
  return {
    acknowledged,
    /** Waits for so many more to be acknowledged. */
    more: async (wanted: number) => {
      const begin = acknowledged.length;
      for (const end = Date.now() + 60_000; acknowledged.length < begin + wanted && Date.now() < end; ) await sleep(50);
      if (acknowledged.length < begin + wanted) throw new Error(`only ${acknowledged.length - begin} writes were acknowledged within a minute`);
    },
    async stop() {
      going = false;
      await Promise.all(clients);
    },
    /** The longest time in which none was acknowledged, in seconds. */
    gap: () => Math.max(...acknowledged.slice(1).map(({ at }, i) => at - acknowledged[i]!.at)) / 1000,
    /** Those acknowledged that the host does not have, and those it has twice. */
    lost: async (host: string) => {
      const has = (await sql(host, `SELECT text FROM app.notes WHERE text LIKE '${name} %'`)).split('\n');
      const kept = new Set(has);
      return { lost: acknowledged.filter(({ text }) => !kept.has(text)), twice: has.length - kept.size };
    },
  };
}

test.serial('nobody gets in without TLS, or from elsewhere', async (t) => {
  const login = (options: string) => stack.tried('web1', `php8.2 <<'EOF'\n<?php $c = json_decode(file_get_contents('/srv/app/shared/config.json')); mysqli_report(MYSQLI_REPORT_OFF); $m = mysqli_init();
    ${options}; echo $m->connect_error ?? $m->error, $m->connect_errno ?: $m->query("SHOW STATUS LIKE 'Ssl_version'")->fetch_row()[1];\nEOF`);
  const connect = (flags: string) => `@$m->real_connect($c->hosts[0], $c->user, $c->password, $c->database, 3306, null, ${flags})`;
  t.regex(await login(`$m->ssl_set(null, null, $c->ca, null, null); ${connect('MYSQLI_CLIENT_SSL')}`), /TLSv1\.[23]$/);
  t.regex(await login(connect('0')), /(3159|1045|1105)$/); // insecure transport, or the account asks for TLS
  // An authority of somebody else's.
  t.notRegex(await login(`$m->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, true); $m->ssl_set(null, null, '/etc/ssl/certs/ssl-cert-snakeoil.pem', null, null); ${connect('MYSQLI_CLIENT_SSL')}`), /TLSv1/);
  t.is(await sql('db1', "SELECT COUNT(*) FROM mysql.user WHERE ssl_type = '' AND host <> 'localhost'"), '0');
});

test.serial('two servers that take writes: the balancers let no write through, and a run refuses to choose', async (t) => {
  await sql('db2', 'STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = OFF');
  const through = () => stack.write('while two take writes').then(() => 'written', (error: Error) => error.message);
  await stack.until(async () => Promise.all(['lb1', 'lb2'].map((lb) => state(lb, 'mysql_write', 'db2'))), (states) => states.every((is) => is === 'UP'));
  t.regex(await through(), /503/);
  refused(t, await apply(site, '--limit', 'db'), /db1 and db2 both take writes/, /SET GLOBAL read_only = ON/);
  await sql('db2', 'SET GLOBAL read_only = ON');
  await stack.until(async () => Promise.all(['lb1', 'lb2'].map((lb) => state(lb, 'mysql_write', 'db2'))), (states) => states.every((is) => is.startsWith('DOWN')));
  t.is(await through(), 'written');
  // It has nothing of its own: it follows again from where it was.
  done(t, await apply(site, '--limit', 'db'));
  await follows('db2');
  await sameAs(t, 'db1', 'db2');
});

test.serial('a transaction that only the replica has is named, and nothing is done; told to, the replica is made anew', async (t) => {
  await sql('db2', "INSERT INTO app.notes (text, server) VALUES ('errant', 'db2')");
  const errant = (await sql('db2', 'SELECT @@gtid_binlog_state')).split(',').find((each) => each.startsWith('0-2-'))!;
  const before = await sql('db2', 'SELECT @@gtid_slave_pos; CHECKSUM TABLE app.notes');
  refused(t, await apply(site), new RegExp(`transactions that db1 never had: ${errant}`), /reseed\.yml -e mysql_reseed=db2/);
  t.is(await sql('db2', 'SELECT @@gtid_slave_pos; CHECKSUM TABLE app.notes'), before);
  const kept = await apply(playbook('rejoin'), '-e', 'mysql_rejoin=db2');
  refused(t, kept, new RegExp(errant));
  t.regex(await stack.on('db2', 'cat /root/mysql-errant/*.sql'), /INSERT INTO `app`.`notes`[^]*'errant'/);
  done(t, await apply(playbook('reseed'), '-e', 'mysql_reseed=db2'));
  t.is(await stack.on('db2', 'ls /var/backups/mysql | grep -c before-reseed'), '1');
  await follows('db2');
  await sameAs(t, 'db1', 'db2');
  await clean(t);
});

test.serial('an error that no start mends is told, and nothing is skipped', async (t) => {
  await sql('db2', "SET SESSION sql_log_bin = 0; INSERT INTO app.notes (id, text, server) VALUES (900000, 'in the way', 'db2')");
  await sql('db1', "INSERT INTO app.notes (id, text, server) VALUES (900000, 'the real one', 'db1')");
  await stack.until(() => stack.replica('db2'), (is) => is['Last_SQL_Errno'] === '1062');
  refused(t, await apply(site, '--limit', 'db'), /stopped with error 1062: .*900000/, /reseed\.yml/);
  t.is(await sql('db2', 'SELECT text FROM app.notes WHERE id = 900000'), 'in the way');
  done(t, await apply(playbook('reseed'), '-e', 'mysql_reseed=db2'));
  await sameAs(t, 'db1', 'db2');
});

test.serial('a replica made under writes, of a primary whose logs do not reach back, holds the same', async (t) => {
  t.timeout(10 * 60_000);
  await sql('db1', "USE app; INSERT INTO notes (text, server) SELECT CONCAT('row ', seq, ' ', MD5(seq)), 'seed' FROM seq_1_to_50000; FLUSH BINARY LOGS");
  await follows('db2');
  await sql('db1', 'PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY');
  const load = writers(2);
  done(t, await apply(site, '--limit', 'db', ...third));
  await load.stop();
  t.log(`${load.acknowledged.length} writes meanwhile, none refused for more than ${load.gap()} s`);
  await follows('db3');
  await sameAs(t, 'db1', 'db3');
  t.deepEqual(await load.lost('db3'), { lost: [], twice: 0 });
  await sql('db3', 'STOP SLAVE; RESET SLAVE ALL');
  // From here on it is no part of the stack: the others' firewalls let it in no more.
  done(t, await apply(site));
});

test.serial('a switchover under writes loses none of them, and a later run leaves it as it is', async (t) => {
  t.timeout(5 * 60_000);
  const load = writers(4);
  await load.more(50);
  const moved = await apply(playbook('switchover'), '-e', 'mysql_new_primary=db2');
  done(t, moved);
  await load.more(50);
  await load.stop();
  t.log(`${load.acknowledged.length} writes acknowledged, ${load.gap()} s without`);
  t.deepEqual(await load.lost('db2'), { lost: [], twice: 0 });
  t.is((await stack.write('after it')).database, 'db2');
  await follows('db1');
  await sameAs(t, 'db2', 'db1');
  await clean(t);
  refused(t, await apply(site, '--limit', 'db', '-e', 'mysql_primary=db1'), /mysql_primary names db1, but the primary is db2/, /set mysql_primary to db2/);
  const again = await apply(playbook('switchover'), '-e', 'mysql_new_primary=db2');
  done(t, again);
  t.deepEqual(again.results('changed'), []);
});

test.serial('a switchover that cannot succeed does not begin, and one that does not catch up is undone', async (t) => {
  await sql('db1', 'STOP SLAVE SQL_THREAD');
  refused(t, await apply(playbook('switchover'), '-e', 'mysql_new_primary=db1'), /replication of db1 does not run/);
  t.is(await sql('db2', 'SELECT @@read_only'), '0');
  // The lock keeps the replica from applying what comes, though all looks well.
  await sql('db1', 'START SLAVE SQL_THREAD');
  await follows('db1');
  const lock = stack.tried('db1', `mariadb -e 'LOCK TABLES app.notes READ; SELECT SLEEP(300)'`);
  const free = "SELECT CONCAT('KILL ', MAX(id)) INTO @kill FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'; EXECUTE IMMEDIATE @kill";
  t.teardown(() => sql('db1', free).catch(() => undefined));
  t.is(await stack.until(() => sql('db1', "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%' AND id <> CONNECTION_ID()"), (count) => count === '1'), '1');
  await stack.write('held back');
  refused(t, await apply(playbook('switchover'), '-e', 'mysql_new_primary=db1', '-e', 'mysql_switchover_timeout=2', '-e', 'mysql_switchover_max_lag=60'), /did not catch up within 2 s.*db2 takes the writes again/);
  t.is(await sql('db2', 'SELECT @@read_only'), '0');
  t.is((await stack.write('as before')).database, 'db2');
  await sql('db1', free);
  await lock;
  await follows('db1');
  await clean(t);
});

/** What a balancer says of a server. */
async function state(balancer: string, backend: string, server: string): Promise<string> {
  return stack.on(balancer, `perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new("/run/haproxy/admin.sock"); print $s "show stat\\n"; print grep { /^${backend},${server},/ } <$s>' | cut -d, -f18`);
}
