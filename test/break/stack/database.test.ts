import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { stateDir } from '../../../src/lab/lab.js';
import { Stack } from '../../e2e/stack.js';
import { Databases, done, refused } from '../databases.js';

let stack: Stack;
let db: Databases;
/** Arguments that add db3. */
let third: string[];
let folder: string;

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  folder = await mkdtemp(join(tmpdir(), 'muster-database-'));
  stack = await Stack.converged();
  db = new Databases(stack);
  const labDir = ['-e', `lab_dir=${stateDir(process.cwd(), stack.lab.name)}`];
  const host = 'db3: {ansible_host: "{{ lab_net }}.18", mysql_server_id: 3}';
  await writeFile(join(folder, 'third.yml'), `db:\n  hosts:\n    ${host}\n`);
  third = ['-i', join(folder, 'third.yml'), ...labDir];
});

test.after.always(() => rm(folder, { recursive: true }));

test.serial('nobody gets in without TLS, or from elsewhere', async (t) => {
  const login = (options: string) => stack.tried('web1', `php8.2 <<'EOF'\n<?php $c = json_decode(file_get_contents('/srv/app/shared/config.json')); mysqli_report(MYSQLI_REPORT_OFF); $m = mysqli_init();
    ${options}; echo $m->connect_error ?? $m->error, $m->connect_errno ?: $m->query("SHOW STATUS LIKE 'Ssl_version'")->fetch_row()[1];\nEOF`);
  const connect = (flags: string) => `@$m->real_connect($c->hosts[0], $c->user, $c->password, $c->database, 3306, null, ${flags})`;
  t.regex(await login(`$m->ssl_set(null, null, $c->ca, null, null); ${connect('MYSQLI_CLIENT_SSL')}`), /TLSv1\.[23]$/);
  t.regex(await login(connect('0')), /(3159|1045|1105)$/); // insecure transport, or the account asks for TLS
  // An authority of somebody else's.
  t.notRegex(await login(`$m->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, true); $m->ssl_set(null, null, '/etc/ssl/certs/ssl-cert-snakeoil.pem', null, null); ${connect('MYSQLI_CLIENT_SSL')}`), /TLSv1/);
  t.is(await db.sql('db1', "SELECT COUNT(*) FROM mysql.user WHERE ssl_type = '' AND host <> 'localhost'"), '0');
});

test.serial('two servers that take writes: the balancers let no write through, and a run refuses to choose', async (t) => {
  await db.sql('db2', 'STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = OFF');
  const through = () => stack.write('while two take writes').then(() => 'written', (error: Error) => error.message);
  await stack.until(async () => Promise.all(['lb1', 'lb2'].map((lb) => db.state(lb, 'mysql_write', 'db2'))), (states) => states.every((is) => is === 'UP'));
  t.regex(await through(), /503/);
  refused(t, await db.play('site', '--limit', 'db'), /db1 and db2 both take writes/, /SET GLOBAL read_only = ON/);
  await db.sql('db2', 'SET GLOBAL read_only = ON');
  await stack.until(async () => Promise.all(['lb1', 'lb2'].map((lb) => db.state(lb, 'mysql_write', 'db2'))), (states) => states.every((is) => is.startsWith('DOWN')));
  t.is(await through(), 'written');
  // It has nothing of its own: it follows again from where it was.
  done(t, await db.play('site', '--limit', 'db'));
  await db.follows('db2');
  await db.sameAs(t, 'db1', 'db2');
});

test.serial('a transaction that only the replica has is named, and nothing is done; told to, the replica is made anew', async (t) => {
  await db.sql('db2', "INSERT INTO app.notes (text, server) VALUES ('errant', 'db2')");
  const errant = (await db.sql('db2', 'SELECT @@gtid_binlog_state')).split(',').find((each) => each.startsWith('0-2-'))!;
  const before = await db.sql('db2', 'SELECT @@gtid_slave_pos; CHECKSUM TABLE app.notes');
  refused(t, await db.play('site'), new RegExp(`transactions that db1 never had: ${errant}`), /reseed\.yml -e mysql_reseed=db2/);
  t.is(await db.sql('db2', 'SELECT @@gtid_slave_pos; CHECKSUM TABLE app.notes'), before);
  const kept = await db.play('rejoin', '-e', 'mysql_rejoin=db2');
  refused(t, kept, new RegExp(errant));
  t.regex(await stack.on('db2', 'cat /root/mysql-errant/*.sql'), /INSERT INTO `app`.`notes`[^]*'errant'/);
  done(t, await db.play('reseed', '-e', 'mysql_reseed=db2'));
  t.is(await stack.on('db2', 'ls /var/backups/mysql | grep -c before-reseed'), '1');
  await db.follows('db2');
  await db.sameAs(t, 'db1', 'db2');
  await db.clean(t);
});

test.serial('an error that no start mends is told, and nothing is skipped', async (t) => {
  await db.sql('db2', "SET SESSION sql_log_bin = 0; INSERT INTO app.notes (id, text, server) VALUES (900000, 'in the way', 'db2')");
  await db.sql('db1', "INSERT INTO app.notes (id, text, server) VALUES (900000, 'the real one', 'db1')");
  await stack.until(() => stack.replica('db2'), (is) => is['Last_SQL_Errno'] === '1062');
  refused(t, await db.play('site', '--limit', 'db'), /stopped with error 1062: .*900000/, /reseed\.yml/);
  t.is(await db.sql('db2', 'SELECT text FROM app.notes WHERE id = 900000'), 'in the way');
  done(t, await db.play('reseed', '-e', 'mysql_reseed=db2'));
  await db.sameAs(t, 'db1', 'db2');
});

test.serial('a replica made under writes, of a primary whose logs do not reach back, holds the same', async (t) => {
  t.timeout(10 * 60_000);
  await db.sql('db1', "USE app; INSERT INTO notes (text, server) SELECT CONCAT('row ', seq, ' ', MD5(seq)), 'seed' FROM seq_1_to_50000; FLUSH BINARY LOGS");
  await db.follows('db2');
  await db.sql('db1', 'PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY');
  const load = db.writers(2);
  done(t, await db.play('site', '--limit', 'db', ...third));
  await load.stop();
  t.log(`${load.acknowledged.length} writes meanwhile, none refused for more than ${load.gap()} s`);
  await db.follows('db3');
  await db.sameAs(t, 'db1', 'db3');
  t.deepEqual(await load.lost('db3'), { lost: [], twice: 0 });
  await db.sql('db3', 'STOP SLAVE; RESET SLAVE ALL');
  // From here on it is no part of the stack: the others' firewalls let it in no more.
  done(t, await db.play('site'));
});

test.serial('a switchover under writes loses none of them, and a later run leaves it as it is', async (t) => {
  t.timeout(5 * 60_000);
  const load = db.writers(4);
  await load.more(50);
  const moved = await db.play('switchover', '-e', 'mysql_new_primary=db2');
  done(t, moved);
  await load.more(50);
  await load.stop();
  t.log(`${load.acknowledged.length} writes acknowledged, ${load.gap()} s without`);
  t.deepEqual(await load.lost('db2'), { lost: [], twice: 0 });
  t.is((await stack.write('after it')).database, 'db2');
  await db.follows('db1');
  await db.sameAs(t, 'db2', 'db1');
  await db.clean(t);
  refused(t, await db.play('site', '--limit', 'db', '-e', 'mysql_primary=db1'), /mysql_primary names db1, but the primary is db2/, /set mysql_primary to db2/);
  const again = await db.play('switchover', '-e', 'mysql_new_primary=db2');
  done(t, again);
  t.deepEqual(again.results('changed'), []);
});

test.serial('a switchover that cannot succeed does not begin, and one that does not catch up is undone', async (t) => {
  await db.sql('db1', 'STOP SLAVE SQL_THREAD');
  refused(t, await db.play('switchover', '-e', 'mysql_new_primary=db1'), /replication of db1 does not run/);
  t.is(await db.sql('db2', 'SELECT @@read_only'), '0');
  // The lock keeps the replica from applying what comes, though all looks well.
  await db.sql('db1', 'START SLAVE SQL_THREAD');
  await db.follows('db1');
  const lock = stack.tried('db1', `mariadb -e 'LOCK TABLES app.notes READ; SELECT SLEEP(300)'`);
  const free = "SELECT CONCAT('KILL ', MAX(id)) INTO @kill FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'; EXECUTE IMMEDIATE @kill";
  t.teardown(() => db.sql('db1', free).catch(() => undefined));
  t.is(await stack.until(() => db.sql('db1', "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%' AND id <> CONNECTION_ID()"), (count) => count === '1'), '1');
  await stack.write('held back');
  refused(t, await db.play('switchover', '-e', 'mysql_new_primary=db1', '-e', 'mysql_switchover_timeout=2', '-e', 'mysql_switchover_max_lag=60'), /did not catch up within 2 s.*db2 takes the writes again/);
  t.is(await db.sql('db2', 'SELECT @@read_only'), '0');
  t.is((await stack.write('as before')).database, 'db2');
  await db.sql('db1', free);
  await lock;
  await db.follows('db1');
  await db.clean(t);
});
