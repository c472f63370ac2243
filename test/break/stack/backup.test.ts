import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { keyFile, stateDir } from '../../../src/lab/lab.js';
import { Stack } from '../../e2e/stack.js';
import { Databases, done, refused } from '../databases.js';
import { unseen, watchProcesses } from '../secrets.js';

let stack: Stack;
let db: Databases;
let folder: string;
/** Where backups are fetched to. */
let fetched: string;

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  folder = await mkdtemp(join(tmpdir(), 'muster-backup-'));
  stack = await Stack.converged();
  db = new Databases(stack);
  fetched = join(stateDir(process.cwd(), stack.lab.name), 'backups');
  await rm(fetched, { recursive: true, force: true });
});
test.after.always(() => rm(folder, { recursive: true }));

const secrets = () => ['replication', 'seed', 'app_db'].map((name) => readFileSync(join(stateDir(process.cwd(), stack.lab.name), 'secrets', name), 'utf8').trim());

test.serial('backups are made by a timer on the replica, and old ones go', async (t) => {
  t.is(await stack.on('db2', 'systemctl is-active mysql-backup.timer'), 'active');
  t.regex(await stack.on('db2', 'systemctl show -p TimersCalendar --value mysql-backup.timer'), /OnCalendar=\*-\*-\* 02:30:00/);
  // Three are kept however old they are.
  const old = ['20200101', '20200102', '20200103', '20200104'].map((day) => `db2-${day}T000000Z`);
  for (const name of old) await stack.on('db2', `cd /var/backups/mysql && for end in sql.gz.age counts; do install -o mysql-backup -m 600 /dev/null ${name}.$end && touch -d '${name.slice(4, 12)}' ${name}.$end; done`);
  await stack.on('db2', 'systemctl start mysql-backup');
  const kept = (await stack.on('db2', 'cd /var/backups/mysql && ls *Z.sql.gz.age')).split('\n');
  t.is(kept.length, 3, kept.join(' '));
  t.deepEqual(kept.slice(0, 2).map((file) => file.replace('.sql.gz.age', '')), old.slice(2));
  t.regex(await stack.on('db2', 'stat -c "%U %a" /var/backups/mysql'), /^mysql-backup 7[05]0$/);
  // The primary makes none.
  await stack.on('db1', 'systemctl start mysql-backup');
  t.is(await stack.on('db1', 'ls /var/backups/mysql | grep -c Z.sql.gz.age || :'), '0');
  await stack.on('db2', `cd /var/backups/mysql && rm -f ${old.map((name) => `${name}.*`).join(' ')}`);
});

test.serial('a backup made under writes is encrypted, and restored on another host with all its rows; its key is seen nowhere', async (t) => {
  t.timeout(10 * 60_000);
  const watch = watchProcesses();
  t.teardown(watch);
  await db.sql('db1', "USE app; INSERT INTO notes (text, server) SELECT CONCAT('row ', seq, ' ', MD5(seq)), 'seed' FROM seq_1_to_50000");
  const load = db.writers(2);
  t.teardown(() => load.stop());
  await load.more(10);
  const made = await db.play('backup', '-vvv', '--diff');
  done(t, made);
  await load.more(10);
  await load.stop();
  const [counts, backup, ...others] = readdirSync(fetched).sort();
  t.regex(counts!, /^db2-\d{8}T\d{6}Z\.counts$/);
  t.is(backup, counts!.replace('.counts', '.sql.gz.age'));
  t.deepEqual(others, []);
  t.is(readFileSync(join(fetched, backup!), 'latin1').split('\n', 1)[0], 'age-encryption.org/v1');

  const inventory = join(folder, 'third.yml');
  await writeFile(inventory, `restored:\n  hosts:\n    db3: {ansible_host: "{{ lab_net }}.18", mysql_server_id: 3}\n`);
  const third = ['-i', inventory, '-e', `lab_dir=${stateDir(process.cwd(), stack.lab.name)}`, '-e', 'mysql_restore_host=db3'];
  const restored = await db.play('restore', ...third, '-vvv', '--diff');
  done(t, restored);
  const seen = watch();
  const rows = readFileSync(join(fetched, counts!), 'utf8').trim().split('\n').map((line) => line.split('\t') as [string, string]);
  const [, notes] = rows.find(([table]) => table === 'app.notes')!;
  t.true(Number(notes) > 50_000);
  for (const [table, count] of rows) t.is(await db.sql('db3', `SELECT COUNT(*) FROM ${table}`), count, table);
  const sum = (host: string) => db.sql(host, `SELECT COUNT(*), SUM(CRC32(CONCAT(id, text))) FROM app.notes WHERE id <= (SELECT MAX(id) FROM app.notes WHERE server = 'seed')`);
  t.is(await sum('db3'), await sum('db1'));
  t.is(await db.sql('db3', 'SELECT @@read_only'), '1');
  t.regex(await stack.on('db3', 'cat /var/lib/prometheus/node-exporter/mysql_restore.prom'), /^backup_restored_timestamp_seconds \d+$/m);
  refused(t, await db.play('restore', ...third), /db3 holds app/, /mysql_restore_overwrite=true/);
  refused(t, await db.play('restore', ...third, '-e', 'mysql_restore_host=db1', '-e', 'mysql_restore_overwrite=true'), /db1 takes writes/);

  // Both took long enough to be seen.
  for (const word of ['age -R', 'age --decrypt']) t.true(seen.some((line) => line.startsWith(word)), word);
  // The first line of a key is that of every key.
  const key = readFileSync(keyFile(process.cwd(), stack.lab.name), 'utf8').split('\n').filter((line) => line.length === 70).slice(1);
  t.true(key.length > 2);
  await unseen(t, stack, [...key, ...secrets()], seen, [made, restored], ['db1', 'db2', 'db3']);
});
