import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ModuleError } from '../../src/modules/module.js';
import { clientSection } from '../../src/modules/mysql.js';
import mysqlDb from '../../src/modules/mysql_db.js';
import { bind } from '../../src/modules/mysql_query.js';
import mysqlQuery from '../../src/modules/mysql_query.js';
import mysqlReplication from '../../src/modules/mysql_replication.js';
import mysqlUser from '../../src/modules/mysql_user.js';
import mysqlVariables from '../../src/modules/mysql_variables.js';
import { connect } from '../../src/connection/index.js';
import { LocalConnection } from '../../src/connection/local.js';
import { makeUser, startSshd, targetOf } from '../connection/sshd.js';
import { channelOf, startServer, talk, type Server } from './mariadb.js';

let primary: Server;
let replica: Server;
test.before(async () => {
  [primary, replica] = await Promise.all([startServer('--server-id=1', '--log-bin=bin', '--gtid-strict-mode=1'), startServer('--server-id=2', '--log-bin=bin', '--gtid-strict-mode=1')]);
});
test.after.always(() => Promise.all([primary?.stop(), replica?.stop()]));

const login = (server: Server) => ({ login_user: 'root', login_unix_socket: server.socket });

test('databases are made, changed and removed', async (t) => {
  const { apply, plan } = talk(t);
  const args = { ...login(primary), name: ['one', 'two'], encoding: 'utf8mb4', collation: 'utf8mb4_unicode_ci' };
  t.is((await plan(mysqlDb, args)).length, 2);
  const made = await apply(mysqlDb, args);
  t.deepEqual(made.result, {
    db: 'one two',
    db_list: ['one', 'two'],
    executed_commands: ["CREATE DATABASE `one` CHARACTER SET 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'", "CREATE DATABASE `two` CHARACTER SET 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'"],
  });
  const changed = await apply(mysqlDb, { ...args, collation: 'utf8mb4_bin', name: 'one,two' });
  t.deepEqual(changed.changes.map(({ field }) => field), ['one.collation', 'two.collation']);
  await apply(mysqlDb, { ...login(primary), name: 'one', encoding: 'utf8' });
  t.is((await apply(mysqlDb, { ...args, state: 'absent' })).changes.length, 2);
  t.deepEqual((await apply(mysqlDb, { ...args, state: 'absent' })).result.executed_commands, []);
});

test('a database is dumped to a file of the host, and read from it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-dump-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { apply, plan } = talk(t);
  primary.sql("CREATE DATABASE kept; CREATE TABLE kept.a (x int); CREATE TABLE kept.b (x int); INSERT INTO kept.a VALUES (7); CREATE USER dumper@localhost IDENTIFIED BY 'it''s \\\"x\\\\'; GRANT ALL ON *.* TO dumper@localhost");
  for (const ending of ['sql', 'sql.gz', 'sql.bz2', 'sql.xz']) {
    const target = join(folder, `a dump.${ending}`);
    const args = { ...login(primary), login_user: 'dumper', login_password: `it's "x\\`, name: 'kept', target };
    t.deepEqual(await plan(mysqlDb, { ...args, state: 'dump' }), [{ field: 'dump', from: null, to: target }]);
    const dumped = await apply(mysqlDb, { ...args, state: 'dump', ignore_tables: 'kept.b', single_transaction: true });
    t.false(JSON.stringify(dumped).includes("it's"));
    const read = await apply(mysqlDb, { ...args, name: `copy_${ending.replace('.', '_')}`, state: 'import' });
    t.deepEqual(read.changes.map(({ field }) => field).at(-1), 'import');
    t.is(primary.sql(`SELECT x FROM copy_${ending.replace('.', '_')}.a; SHOW TABLES FROM copy_${ending.replace('.', '_')}`), '7\na\n');
  }
  const args = { ...login(primary), name: 'kept', target: join(folder, 'x.sql') };
  await t.throwsAsync(apply(mysqlDb, { ...args, state: 'dump', login_user: 'dumper', login_password: 'wrong' }), { message: /Access denied|cannot log in/ });
  await t.throwsAsync(apply(mysqlDb, { ...args, state: 'dump', dump_extra_args: '--no-such-option' }), { message: /no-such-option/ });
  await t.throwsAsync(apply(mysqlDb, { ...args, state: 'import' }), { message: /does not exist on the host/ });
  writeFileSync(join(folder, 'bad.sql.gz'), 'no archive');
  await t.throwsAsync(apply(mysqlDb, { ...args, state: 'import', target: join(folder, 'bad.sql.gz') }), { message: /gzip/ });
  t.deepEqual(readdirSync(folder).filter((name) => name.startsWith('x.')), []);
  await t.throwsAsync(plan(mysqlDb, { ...args, name: 'none-such', state: 'dump' }), { message: /Cannot dump database/ });
});

test('an account, its password and its privileges', async (t) => {
  const { apply, plan } = talk(t);
  primary.sql('CREATE DATABASE IF NOT EXISTS shop; CREATE TABLE IF NOT EXISTS shop.item (id int, name text)');
  const args = { ...login(primary), name: 'sh\'op', host: '127.0.0.1', password: "pa'ss", priv: 'shop.*:SELECT,INSERT/*.*:REPLICATION CLIENT,PROCESS' };
  const made = await apply(mysqlUser, args);
  t.false(JSON.stringify(made).includes("pa'ss") || JSON.stringify(made).includes("pa\\'ss"));
  t.true(made.result.password_changed);
  t.deepEqual((await apply(mysqlUser, args)).changes, []);

  const wrong = await plan(mysqlUser, { ...args, password: 'other' });
  t.deepEqual(wrong, [{ field: '127.0.0.1: password', from: null, to: null, secret: true }]);
  t.deepEqual(await plan(mysqlUser, { ...args, password: 'other', update_password: 'on_create' }), []);
  await apply(mysqlUser, { ...args, password: 'other' });
  await apply(mysqlUser, { ...args, password: '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19', encrypted: true });
  await apply(mysqlUser, { ...args, password: 'password' });

  for (const [more, expected] of [
    [{ locked: true }, 'true'], [{ locked: true, password_expire: 'never' }, 'never'], [{ password_expire: 'interval', password_expire_interval: 90 }, 'interval 90'],
    [{ locked: false, password_expire: 'default' }, 'default'], [{ password_expire: 'now' }, 'now'],
  ] as const) t.is(String((await apply(mysqlUser, { ...args, password: 'password', ...more })).changes.at(-1)!.to), expected, JSON.stringify(more));
  t.deepEqual(await plan(mysqlUser, { ...args, password: 'password', password_expire: 'never' }), []);
  t.deepEqual((await apply(mysqlUser, { ...args, name: 'definer', password: undefined, priv: undefined, locked: true })).changes.map(({ field }) => field), ['account']);
  await t.throwsAsync(plan(mysqlUser, { ...args, password: 'password', password_expire: 'interval' }), { message: /password_expire_interval/ });
  t.deepEqual(await plan(mysqlUser, { ...args, password: 'password', session_vars: { sql_mode: '', wait_timeout: 100 }, force_context: true }), []);
  await t.throwsAsync(plan(mysqlUser, { ...args, session_vars: { 'no such': 1 } }), { message: /SET SESSION `no such` = 1/ });

  const privileges: [object, number][] = [
    [{ priv: 'shop.*:SELECT' }, 2],
    [{ priv: 'shop.item:SELECT(id, name),UPDATE (name)', append_privs: true }, 1],
    [{ priv: { 'shop.*': 'ALL,GRANT', '*.*': 'USAGE' } }, 2],
    [{ priv: 'shop.*:ALL' }, 1],
    [{ priv: 'shop.*:SELECT,DELETE' }, 1],
    [{ priv: 'shop.*:DELETE', subtract_privs: true }, 1],
    [{ priv: '*.*:ALL,GRANT' }, 2],
    [{ priv: '*.*:REPLICATION SLAVE,SLAVE MONITOR,BINLOG MONITOR' }, 1],
    [{ priv: '' }, -1],
  ];
  for (const [more, expected] of privileges) {
    if (expected < 0) await t.throwsAsync(plan(mysqlUser, { ...args, password: undefined, ...more }), { instanceOf: ModuleError });
    else t.is((await apply(mysqlUser, { ...args, password: undefined, ...more })).changes.length, expected, JSON.stringify(more));
  }
  await t.throwsAsync(plan(mysqlUser, { ...args, priv: 'shop.*:SELECT; DROP TABLE x' }), { message: /not a privilege/ });

  await apply(mysqlUser, { ...args, password: undefined, priv: undefined, tls_requires: { SSL: null }, resource_limits: { MAX_USER_CONNECTIONS: 3 } });
  await apply(mysqlUser, { ...args, password: undefined, priv: undefined, tls_requires: { subject: '/CN=a', issuer: '/CN=b' } });
  await apply(mysqlUser, { ...args, password: undefined, priv: undefined, tls_requires: {} });
  await apply(mysqlUser, { ...args, host: '%', priv: undefined });
  t.is((await apply(mysqlUser, { ...args, host_all: true, state: 'absent' })).changes.length, 2);
  t.deepEqual((await apply(mysqlUser, { ...args, state: 'absent' })).changes, []);
});

test('an account that is let in by its socket', async (t) => {
  const { apply } = talk(t);
  const args = { ...login(primary), name: 'daemon', plugin: 'unix_socket', sql_log_bin: false };
  await apply(mysqlUser, args);
  await apply(mysqlUser, { ...login(primary), name: 'daemon', password: 'now by password', sql_log_bin: false });
  t.is((await apply(mysqlUser, args)).changes[0]!.field, 'localhost: plugin');
  await apply(mysqlUser, { ...args, state: 'absent' });
});

test('queries tell rows and counts, with values put in', async (t) => {
  const { apply, plan } = talk(t);
  const args = { ...login(primary) };
  await apply(mysqlDb, { ...args, name: 'query' });
  const made = await apply(mysqlQuery, { ...args, login_db: 'query', single_transaction: true, query: ['CREATE TABLE t (id int, s text)', "INSERT INTO t VALUES (1, 'a%%'), (2, %s)"], positional_args: ["it's"] });
  t.deepEqual(made.result.rowcount, [0, 2]);
  const read = { ...args, login_db: 'query', query: ['SELECT * FROM t WHERE s = %(s)s', 'SHOW TABLES'], named_args: { s: "it's" } };
  t.deepEqual(await plan(mysqlQuery, read), []);
  const { result } = await apply(mysqlQuery, read);
  t.deepEqual(result, { executed_queries: ["SELECT * FROM t WHERE s = 'it\\'s'", 'SHOW TABLES'], query_result: [[{ id: 2, s: "it's" }], [{ Tables_in_query: 't' }]], rowcount: [1, 1], changed: false });
  t.is((await plan(mysqlQuery, { ...args, query: 'WITH x AS (SELECT 1) DELETE FROM t' })).length, 1);
  const changed = async (query: string | string[]) => (await apply(mysqlQuery, { ...args, login_db: 'query', query })).result.changed;
  t.true(await changed("UPDATE t SET s = 'new' WHERE id = 1"));
  t.false(await changed("UPDATE t SET s = 'new' WHERE id = 1"), 'the row has that value');
  t.false(await changed('DELETE FROM t WHERE id = 99'));
  t.false(await changed(['USE query', 'SET @a = 1', 'VALUES (1)']));
  t.true(await changed(['SET @a = 1', 'SET GLOBAL max_connect_errors = 77']));
  const odd = "SELECT 9223372036854775807 AS big, 7 AS small, 0x00ff AS bytes, CAST('ä' AS BINARY) AS text, JSON_OBJECT('a', 1) AS json, 1.50 AS exact";
  t.deepEqual((await apply(mysqlQuery, { ...args, query: odd })).result.query_result, [[{ big: 9223372036854775807n, small: 7, bytes: '0x00FF', text: 'ä', json: '{"a": 1}', exact: '1.50' }]]);
  await apply(mysqlQuery, { ...args, login_db: 'query', query: ['CREATE PROCEDURE p() BEGIN SELECT 1 AS one; SELECT 2; END'] });
  t.deepEqual((await apply(mysqlQuery, { ...args, login_db: 'query', query: 'CALL p()' })).result.query_result, [[{ one: 1 }]]);
  await t.throwsAsync(plan(mysqlQuery, { ...args, query: 'SELECT %s', positional_args: [1], named_args: { a: 1 } }), { message: /exclude each other/ });
  const error = await t.throwsAsync(apply(mysqlQuery, { ...args, query: 'SELEKT 1' }), { instanceOf: ModuleError });
  t.is((error as ModuleError).fields.errno ?? 1064, 1064);
});

test('a login that fails says why, and shows no password', async (t) => {
  const { plan } = talk(t);
  const error = await t.throwsAsync(plan(mysqlQuery, { login_user: 'nobody', login_password: 'hunter2', login_unix_socket: primary.socket, query: 'SELECT 1' }), { instanceOf: ModuleError, message: /Access denied/ });
  t.false(JSON.stringify(error).includes('hunter2') || error!.message.includes('hunter2'));
  await t.throwsAsync(plan(mysqlQuery, { login_user: 'root', login_unix_socket: '/tmp/no-such-socket', query: 'SELECT 1' }), { instanceOf: ModuleError, message: /no-such-socket/ });
});

test('an option file of the host names account and socket', async (t) => {
  const { plan } = talk(t);
  const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  primary.sql("CREATE USER filed@localhost IDENTIFIED BY 'p#w'");
  const config_file = join(folder, 'my.cnf');
  writeFileSync(config_file, `[mysqld]\nuser=x\n[client]\nuser = filed\npassword="p#w"\nsocket=${primary.socket}\n`);
  t.deepEqual(await plan(mysqlQuery, { config_file, query: 'SELECT 1' }), []);
  t.deepEqual(clientSection("[client]\n# c\nuser=a\n[mysql]\nuser=b\n[client]\nssl-ca='/x y'\n"), { user: 'a', ssl_ca: '/x y' });
});

test('over ssh, as root by the socket: forwarded, and bridged by sudo for another user', async (t) => {
  const sshd = await startSshd();
  t.teardown(() => sshd.stop());
  const name = `mustersql${process.pid}`;
  const user = makeUser(name, 'pass word', 'ALL=(ALL) ALL');
  t.teardown(() => user.remove());
  const read = { ...login(primary), query: "SELECT REPEAT('x', 500000) AS x, CURRENT_USER() AS who" };
  const sudo = { method: 'sudo', user: 'root', flags: undefined, password: 'pass word' } as const;
  const byPassword = targetOf(sshd, { user: name, privateKeyFile: undefined, password: 'pass word' });
  for (const [target, become] of [[targetOf(sshd), undefined], [targetOf(sshd), sudo], [byPassword, sudo]] as const) {
    const { result } = await talk(t, connect(target), become).apply(mysqlQuery, read);
    const [[row]] = result.query_result as [[{ x: string; who: string }]];
    t.is(row.x.length, 500_000);
    t.is(row.who, 'root@localhost');
  }
});

test('by TCP, with a password', async (t) => {
  const { plan } = talk(t);
  primary.sql("CREATE USER tcp@'%' IDENTIFIED BY 'pw'");
  t.deepEqual(await plan(mysqlQuery, { login_user: 'tcp', login_password: 'pw', login_host: '127.0.0.1', login_port: primary.port, query: 'SELECT 1' }), []);
});

test('TLS: the authority of the server, the name in its certificate, and a certificate of its own', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-tls-'));
  const at = (name: string): string => join(folder, name);
  const openssl = (...words: string[]): void => void execFileSync('openssl', words, { stdio: 'pipe' });
  const key = ['-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-subj', '/CN=authority', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  openssl('req', '-x509', ...key, '-subj', '/CN=another', '-keyout', at('other.key'), '-out', at('other.pem'));
  for (const [name, names] of [['server', 'DNS:localhost,IP:127.0.0.1'], ['client', 'DNS:shop']] as const) {
    writeFileSync(at('ext'), `subjectAltName=${names}`);
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at('csr'));
    openssl('x509', '-req', '-in', at('csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('ext'), '-out', at(`${name}.pem`));
  }
  writeFileSync(at('both.pem'), execFileSync('cat', [at('client.pem'), at('client.key')]));
  const server = await startServer(`--ssl-ca=${at('ca.pem')}`, `--ssl-cert=${at('server.pem')}`, `--ssl-key=${at('server.key')}`);
  t.teardown(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  server.sql("CREATE USER shop@'%' IDENTIFIED BY 'p w' REQUIRE SSL; CREATE USER shown@'%' IDENTIFIED BY 'p w' REQUIRE X509; GRANT ALL ON *.* TO shop@'%'; CREATE DATABASE kept");
  const { apply, plan } = talk(t);
  const cipher = { query: "SHOW STATUS LIKE 'Ssl_cipher'" };
  const tcp = { login_user: 'shop', login_password: 'p w', login_host: '127.0.0.1', login_port: server.port };
  const socket = { login_user: 'shop', login_password: 'p w', login_unix_socket: server.socket };
  const seen = async (args: object): Promise<unknown> => ((await apply(mysqlQuery, { ...args, ...cipher })).result.query_result as any)[0][0].Value;
  await t.throwsAsync(plan(mysqlQuery, { ...tcp, ...cipher }), { message: /Access denied/ });
  for (const where of [tcp, socket]) for (const more of [{ ca_cert: at('ca.pem') }, { ca_cert: at('ca.pem'), check_hostname: true }, { check_hostname: false }, { ca_cert: at('ca.pem'), client_cert: at('client.pem'), client_key: at('client.key') }]) t.regex(String(await seen({ ...where, ...more })), /^TLS_|-/);
  const x509 = { ...tcp, login_user: 'shown', ca_cert: at('ca.pem') };
  await t.throwsAsync(plan(mysqlQuery, { ...x509, ...cipher }), { message: /Access denied/ });
  for (const more of [{ client_cert: at('client.pem'), client_key: at('client.key') }, { client_cert: at('both.pem') }]) await seen({ ...x509, ...more });
  await t.throwsAsync(plan(mysqlQuery, { ...tcp, ca_cert: at('other.pem'), check_hostname: false, ...cipher }), { message: /certificate/ });
  await t.throwsAsync(plan(mysqlQuery, { ...tcp, ca_cert: at('none.pem'), ...cipher }), { message: /cannot read .*none\.pem for TLS/ });
  // An address that the certificate does not name, and a name.
  const here = new LocalConnection('here');
  t.teardown(() => here.close());
  for (const login_host of ['127.0.0.2', 'ip6-localhost.invalid']) {
    const elsewhere = { ...channelOf(here), open: () => here.open({ host: '127.0.0.1', port: server.port }, undefined) };
    const given = mysqlQuery.params.parse({ ...tcp, login_host, ca_cert: at('ca.pem'), ...cipher });
    await t.throwsAsync(mysqlQuery.connect(given, elsewhere), { message: /does not match certificate/ });
    await mysqlQuery.close(await mysqlQuery.connect({ ...given, check_hostname: false }, elsewhere));
  }
  // The programs that dump and import are as strict.
  for (const where of [tcp, socket]) {
    const dump = { ...where, name: 'kept', target: at('dump.sql'), state: 'dump', ca_cert: at('ca.pem'), client_cert: at('both.pem') };
    t.regex(String(((await apply(mysqlDb, dump)).result.executed_commands as string[])[0]), /--ssl-ca=.*ca\.pem .*--ssl-verify-server-cert/);
    await apply(mysqlDb, { ...dump, state: 'import', check_hostname: false });
  }
  await t.throwsAsync(plan(mysqlQuery, { ...login(primary), check_hostname: true, ...cipher }), { message: /does not support secure/ });
});

test('host and port of an option file take the place of those of the task', async (t) => {
  const { apply } = talk(t);
  const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  primary.sql("CREATE USER moved@'%' IDENTIFIED BY 'pw'; GRANT ALL ON *.* TO moved@'%'");
  const config_file = join(folder, 'my.cnf');
  writeFileSync(config_file, `[client]\nhost = 127.0.0.1\nport=${primary.port}\n`);
  const args = { config_file, login_user: 'moved', login_password: 'pw', login_host: '192.0.2.1', login_port: 1, name: 'moved', config_overrides_defaults: true };
  await apply(mysqlDb, args);
  await apply(mysqlDb, { ...args, state: 'dump', target: join(folder, 'dump.sql') });
  writeFileSync(config_file, '[client]\nport=x\n');
  await t.throwsAsync(apply(mysqlDb, args), { message: /is no number: x/ });
});

test('variables', async (t) => {
  const { apply, plan } = talk(t);
  const set = (variable: string, value: unknown) => apply(mysqlVariables, { ...login(primary), variable, value });
  t.deepEqual((await set('max_connections', 123)).result.queries, ['SET GLOBAL `max_connections` = 123']);
  t.is((await set('max_connections', '123')).changes.length, 0);
  await set('slow_query_log', true);
  await set('slow_query_log', 'OFF');
  await set('tmp_table_size', '32M');
  await set('init_connect', "SET NAMES 'utf8mb4'");
  await set('init_connect', '');
  await set('sql_mode', 'NO_ZERO_DATE,STRICT_TRANS_TABLES');
  t.is((await set('sql_mode', 'STRICT_TRANS_TABLES')).changes.length, 1);
  await set('optimizer_switch', 'index_merge=off');
  t.is((await apply(mysqlVariables, { ...login(primary), variable: 'max_connections' })).result.msg, '123');
  await t.throwsAsync(set('no_such_variable', 1), { message: /has no variable/ });
  await t.throwsAsync(plan(mysqlVariables, { ...login(primary), variable: 'max_connections', value: '1', mode: 'persist' }), { message: /SET PERSIST/ });
});

test('replication is set up, found as it should be, repaired, stopped and taken away', async (t) => {
  const { apply, plan } = talk(t);
  const on = login(replica);
  await apply(mysqlUser, { ...login(primary), name: 'repl', host: '%', password: 'first', priv: '*.*:REPLICATION SLAVE' });
  t.deepEqual((await apply(mysqlReplication, { ...on, mode: 'getreplica' })).result, { Is_Replica: false, queries: [] });
  t.like((await apply(mysqlReplication, { ...login(primary), mode: 'getprimary' })).result, { Is_Primary: true });
  await t.throwsAsync(apply(mysqlReplication, { ...on, mode: 'startreplica' }), { message: /no primary is set/ });

  const args = { ...on, mode: 'changeprimary', primary_host: '127.0.0.1', primary_port: primary.port, primary_user: 'repl', primary_password: 'first', primary_use_gtid: 'slave_pos', primary_connect_retry: 1 };
  const { result } = await apply(mysqlReplication, args);
  t.is((result.queries as string[]).length, 1);
  t.false(JSON.stringify(result).includes('first'));
  t.is((await apply(mysqlReplication, { ...on, mode: 'startreplica' })).changes.length, 2);
  const status = async (column: string): Promise<string> => String((await apply(mysqlReplication, { ...on, mode: 'getreplica' })).result[column]);
  const until = async (column: string, value: string): Promise<void> => {
    while ((await status(column)) !== value) await new Promise((resolve) => setTimeout(resolve, 50));
    t.is(await status(column), value);
  };
  await until('Slave_IO_Running', 'Yes');
  t.deepEqual((await apply(mysqlReplication, args)).changes, [], 'a running replica is as it should be');

  // A running replica gets what differs, and runs on from where it was.
  const retried = await apply(mysqlReplication, { ...args, primary_connect_retry: 2, primary_delay: 0 });
  t.deepEqual(retried.result.queries, ['STOP SLAVE', 'CHANGE MASTER TO MASTER_CONNECT_RETRY = 2', 'START SLAVE']);
  await until('Slave_IO_Running', 'Yes');

  // The primary's account gets another password: the replica is told once the primary has turned it away.
  primary.sql("ALTER USER repl@'%' IDENTIFIED BY 'second'");
  replica.sql('STOP SLAVE; START SLAVE');
  await until('Last_IO_Errno', '1045');
  t.deepEqual(await plan(mysqlReplication, { ...args, primary_connect_retry: 2, primary_password: 'second' }), [{ field: 'primary_password', from: null, to: null, secret: true }]);
  await apply(mysqlReplication, { ...args, primary_connect_retry: 2, primary_password: 'second' });
  await until('Slave_IO_Running', 'Yes');

  await until('Slave_SQL_Running', 'Yes');
  t.is((await apply(mysqlReplication, { ...on, mode: 'stopreplica' })).changes.length, 2);
  t.is((await apply(mysqlReplication, { ...on, mode: 'resetreplica' })).changes.length, 1);
  t.is((await apply(mysqlReplication, { ...on, mode: 'resetreplicaall' })).changes.length, 1);
  t.is((await apply(mysqlReplication, { ...on, mode: 'resetreplicaall' })).changes.length, 0);
  await apply(mysqlReplication, { ...args, connection_name: 'other', primary_use_gtid: undefined });
  await apply(mysqlReplication, { ...on, mode: 'resetreplicaall', connection_name: 'other' });
  replica.sql('CREATE DATABASE written');
  t.is((await apply(mysqlReplication, { ...on, mode: 'resetprimary' })).changes.length, 1);
});

test('values in queries', (t) => {
  t.is(bind("a % b LIKE '50%%'", {}).text, "a % b LIKE '50%%'");
  t.is(bind('%s %% %s', { positional_args: [1, null] }).text, '1 % NULL');
  t.throws(() => bind('%s %s', { positional_args: [1] }), { instanceOf: ModuleError });
  t.throws(() => bind('%s', { positional_args: [1, 2] }), { message: /2 values/ });
  t.throws(() => bind('%(a)s', { named_args: { b: 1 } }), { instanceOf: ModuleError });
  t.throws(() => bind('%(toString)s', { named_args: { b: 1 } }), { instanceOf: ModuleError });
  t.is(bind('a IN %s', { positional_args: [["it's", 2n, true]] }).text, "a IN ('it\\'s', 2, true)");
  t.throws(() => bind('%s', { positional_args: [{ a: 1 }] }), { message: /not a dict/ });
  t.is(bind("LIKE '50%'", { positional_args: [], named_args: {} }).text, "LIKE '50%'");
});
