import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { keyFile, knownHostsFile, labDown } from '../../src/lab/lab.js';
import { Stack } from '../e2e/stack.js';

const name = 'oracle';
const site = 'playbooks/site.yml';
let stack: Stack;
let folder: string;

// Debian 12 has MariaDB only; sid has Oracle's server.
test.before(async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.up(name, ['db1:sid', 'db2:sid']);
  folder = await mkdtemp(join(tmpdir(), 'muster-oracle-'));
  const host = (of: string, id: number) => `{ansible_host: ${stack.address(of)}, mysql_server_id: ${id}}`;
  await writeFile(
    join(folder, 'hosts.yml'),
    `
all:
  vars:
    ansible_user: muster
    ansible_ssh_private_key_file: ${keyFile(process.cwd(), name)}
    muster_known_hosts_file: ${knownHostsFile(process.cwd(), name)}
    mysql_flavour: mysql
    mysql_innodb_buffer_pool_size: 64M
    mysql_replication_password: with 'quotes' and \\ in it
    mysql_seed_password: "not # for 'long' \\\\ \\\""
    app_db_password: also-not
db:
  hosts:
    db1: ${host('db1', 1)}
    db2: ${host('db2', 2)}
web: {}
loadbalancers: {}
`,
  );
  stack.inventory = ['-i', join(folder, 'hosts.yml'), '--limit', 'db'];
  const applied = await stack.muster('apply', site, ['--verify']);
  t.is(applied.code, 0, applied.told);
});
test.after.always(async () => {
  await labDown({ name });
  await rm(folder, { recursive: true });
});

const sql = (host: string, statement: string) => stack.on(host, `mysql -N -e "${statement}"`);

test.serial("Oracle's server, by the same role: a second run changes nothing", async (t) => {
  t.regex(await sql('db1', 'SELECT VERSION()'), /^(8|9)\.(?!.*MariaDB)/);
  const plan = await stack.muster('plan', site);
  t.is(plan.code, 0, JSON.stringify(plan.results('changed', 'unknown', 'failed')));
});

test.serial('the replica follows and takes no writes, from nobody', async (t) => {
  await sql('db1', 'CREATE TABLE app.t (n INT PRIMARY KEY); INSERT INTO app.t VALUES (7)');
  t.is(await stack.until(() => stack.tried('db2', 'mysql -N -e "SELECT n FROM app.t"'), (n) => n === '7'), '7');
  t.regex(await stack.tried('db2', 'mysql -e "INSERT INTO app.t VALUES (8)"'), /super-read-only/);
});

test.serial('a stopped thread and a dropped account are found and mended', async (t) => {
  await sql('db2', 'STOP REPLICA SQL_THREAD');
  await sql('db1', `DROP USER replication@'${stack.address('db2')}'`);
  t.is((await stack.muster('plan', site)).code, 2);
  const apply = await stack.muster('apply', site);
  t.is(apply.code, 0, apply.told);
  const threads = () => stack.on('db2', `mysql --vertical -e 'SHOW REPLICA STATUS' | grep -c '_Running: Yes'`);
  t.is(await stack.until(threads, (count) => count === '2'), '2');
  t.is((await stack.muster('plan', site)).code, 0);
});

test.serial('a replica is seeded again when told, and only then', async (t) => {
  await sql('db2', 'STOP REPLICA; RESET REPLICA ALL');
  const refused = await stack.muster('apply', site);
  t.is(refused.code, 3);
  t.regex(refused.told, /holds app/);
  await sql('db1', "INSERT INTO app.t VALUES (9); FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY");
  const told = await stack.muster('apply', site, ['-e', 'mysql_reseed=db2']);
  t.is(told.code, 0, told.told);
  t.is(await sql('db2', 'SELECT COUNT(*) FROM app.t'), '2');
  t.is(await sql('db2', 'SELECT @@gtid_executed'), await sql('db1', 'SELECT @@gtid_executed'));
});
