import { execFileSync } from 'node:child_process';
import test from 'ava';
import { need } from '../connection/shells.js';
import { dialect, parseVersion } from '../../src/modules/mysql_dialect.js';
import { parseGrants } from '../../src/modules/mysql_grants.js';
import mysqlReplication from '../../src/modules/mysql_replication.js';
import mysqlUser from '../../src/modules/mysql_user.js';
import { nativeHash, passwordMatches, saltedHash, sha256Crypt } from '../../src/modules/mysql_password.js';

const STATEMENTS: [version: string, replicaStatus: string, primaryStatus: string, change: string, resetPrimary: string][] = [
  ['5.7.44-log', 'SHOW SLAVE STATUS', 'SHOW MASTER STATUS', 'CHANGE MASTER TO', 'RESET MASTER'],
  ['8.0.21', 'SHOW SLAVE STATUS', 'SHOW MASTER STATUS', 'CHANGE MASTER TO', 'RESET MASTER'],
  ['8.0.22', 'SHOW REPLICA STATUS', 'SHOW MASTER STATUS', 'CHANGE MASTER TO', 'RESET MASTER'],
  ['8.0.36', 'SHOW REPLICA STATUS', 'SHOW MASTER STATUS', 'CHANGE REPLICATION SOURCE TO', 'RESET MASTER'],
  ['8.4.3', 'SHOW REPLICA STATUS', 'SHOW BINARY LOG STATUS', 'CHANGE REPLICATION SOURCE TO', 'RESET BINARY LOGS AND GTIDS'],
  ['9.7.0-1', 'SHOW REPLICA STATUS', 'SHOW BINARY LOG STATUS', 'CHANGE REPLICATION SOURCE TO', 'RESET BINARY LOGS AND GTIDS'],
  ['10.11.6-MariaDB-0+deb12u1', 'SHOW SLAVE STATUS', 'SHOW MASTER STATUS', 'CHANGE MASTER TO', 'RESET MASTER'],
  ['5.5.5-10.3.39-MariaDB', 'SHOW SLAVE STATUS', 'SHOW MASTER STATUS', 'CHANGE MASTER TO', 'RESET MASTER'],
  ['11.8.2-MariaDB', 'SHOW SLAVE STATUS', 'SHOW MASTER STATUS', 'CHANGE MASTER TO', 'RESET MASTER'],
];

for (const [version, ...expected] of STATEMENTS) {
  test(`the words of ${version}`, (t) => {
    const { replicaStatus, primaryStatus, change, resetPrimary } = dialect(parseVersion(version));
    t.deepEqual([replicaStatus, primaryStatus, change, resetPrimary], expected as never);
  });
}

test('a replica goes on from a place in its relay log', async (t) => {
  const wanted = mysqlReplication.params.parse({ mode: 'changeprimary', primary_host: 'db1', relay_log_file: "relay'1", relay_log_pos: 4 });
  const observed = { dialect: dialect(parseVersion('10.11.6-MariaDB')), replica: undefined, primary: undefined, password: undefined };
  const changes = mysqlReplication.compare(wanted, observed);
  t.deepEqual(changes.map(({ field }) => field), ['primary_host', 'relay_log_file', 'relay_log_pos']);
  const said: string[] = [];
  const session = { run: async ({ text }: { text: string }) => (said.push(text), { rows: [] }) };
  await mysqlReplication.apply(wanted, session as never, observed, changes);
  t.deepEqual(said, ["CHANGE MASTER TO MASTER_HOST = 'db1', RELAY_LOG_FILE = 'relay\\'1', RELAY_LOG_POS = 4"]);
});

test('named connections and channels', (t) => {
  const mariadb = dialect(parseVersion('10.11.6-MariaDB'));
  t.is(mariadb.named('SHOW SLAVE STATUS', 'a'), "SHOW SLAVE 'a' STATUS");
  t.is(mariadb.named('RESET SLAVE ALL', 'a'), "RESET SLAVE 'a' ALL");
  const mysql = dialect(parseVersion('8.4.0'));
  t.is(mysql.named('RESET REPLICA ALL', 'a'), "RESET REPLICA ALL FOR CHANNEL 'a'");
  t.throws(() => parseVersion('eight'));
});

const GRANTS: [version: string, lines: string[], expected: Record<string, string[]>][] = [
  [
    '8.0.36',
    [
      'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, SHUTDOWN, PROCESS, FILE, REFERENCES, INDEX, ALTER, SHOW DATABASES, SUPER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE TABLESPACE, CREATE ROLE, DROP ROLE ON *.* TO `root`@`localhost` WITH GRANT OPTION',
      'GRANT APPLICATION_PASSWORD_ADMIN,BACKUP_ADMIN ON *.* TO `root`@`localhost` WITH GRANT OPTION',
      'GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION',
    ],
    { '*.*': ['ALL', 'GRANT'] },
  ],
  ['8.0.36', ['GRANT USAGE ON *.* TO `a`@`%`', 'GRANT SELECT (`b`, `a`), UPDATE ON `d`.`t` TO `a`@`%`', 'GRANT EXECUTE ON PROCEDURE `d`.`p` TO `a`@`%`', 'GRANT `r`@`%` TO `a`@`%`'], { 'd.t': ['SELECT (a, b)', 'UPDATE'], 'PROCEDURE d.p': ['EXECUTE'] }],
  [
    '10.11.6-MariaDB',
    ['GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD \'*AB\' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3', 'GRANT ALL PRIVILEGES ON `app\\_x`.* TO `r`@`%` WITH GRANT OPTION'],
    { '*.*': ['BINLOG MONITOR', 'REPLICATION SLAVE'], 'app\\_x.*': ['ALL', 'GRANT'] },
  ],
];

GRANTS.forEach(([version, lines, expected], i) => {
  test(`grants as ${version} shows them (${i})`, (t) => {
    const grants = parseGrants(lines, parseVersion(version));
    t.deepEqual(Object.fromEntries([...grants].map(([on, names]) => [on, [...names]])), expected);
  });
});

test('password hashes', (t) => {
  need('openssl', 'openssl');
  t.is(nativeHash('password'), '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19');
  t.true(passwordMatches('mysql_native_password', '', ''));
  t.false(passwordMatches('mysql_native_password', nativeHash('a'), 'b'));
  for (const [password, salt] of [['pass', 'saltsalt'], ['z', 'x'], ['a longer password than a digest has bytes, by far', 'sixteen.chars.sa']] as const) {
    const expected = execFileSync('openssl', ['passwd', '-5', '-salt', salt, '-stdin'], { input: `${password}\n` }).toString().trim().split('$').at(-1)!;
    t.is(sha256Crypt(Buffer.from(password), Buffer.from(salt), 5000), expected);
  }
  const salt = Buffer.from('0123456789abcdefghij');
  const stored = `$A$005$${salt.toString()}${sha256Crypt(Buffer.from('secret'), salt, 5000)}`;
  t.true(passwordMatches('caching_sha2_password', stored, 'secret'));
  t.false(passwordMatches('caching_sha2_password', stored, 'other'));
  t.is(passwordMatches('ed25519', 'x', 'y'), undefined);
  for (const plugin of ['caching_sha2_password', 'sha256_password'] as const) {
    t.true(passwordMatches(plugin, saltedHash(plugin, 'secret', 'abcdefghijklmnopqrst'), 'secret'));
    t.false(passwordMatches(plugin, saltedHash(plugin, 'secret', 'abcdefghijklmnopqrst'), 'other'));
  }
});

test('salt and attributes of an account, as MySQL takes them', async (t) => {
  const salt = "1234567890abcdefgh'j";
  const given = { name: 'bob', plugin: 'caching_sha2_password', plugin_auth_string: 'secret', salt, attributes: { team: 'web', gone: null, nested: { a: [1] } } };
  /** A server that holds this account, or none; it keeps what it was told. */
  const ask = async (account: { stored: string; attribute: string | null } | undefined, args: object, version = '8.4.3') => {
    const told: { text: string; shown: string }[] = [];
    const run = async ({ text, shown }: { text: string; shown: string }) => {
      told.push({ text, shown });
      if (text.includes('USER_ATTRIBUTES')) return { rows: [{ attribute: account?.attribute }], affected: 0 };
      if (text.startsWith('SELECT Host') && account) return { rows: [{ host: 'localhost', plugin: 'caching_sha2_password', auth: Buffer.from(account.stored).toString('hex') }], affected: 0 };
      return { rows: [], affected: 0 };
    };
    const session = { dialect: dialect(parseVersion(version)), run, close: async () => undefined };
    const wanted = mysqlUser.params.parse(args);
    const observed = await mysqlUser.inspect(wanted, session);
    const changes = mysqlUser.compare(wanted, observed);
    told.splice(0);
    if (changes.length > 0) await mysqlUser.apply(wanted, session, observed, changes);
    return { changes: changes.map(({ field }) => field), told, attributes: mysqlUser.result(wanted, observed).attributes };
  };
  const stored = saltedHash('caching_sha2_password', 'secret', salt);
  t.regex(stored, /^\$A\$005\$1234567890abcdefgh'j.{43}$/);
  const made = await ask(undefined, given);
  t.deepEqual(made.told.map(({ text }) => text), [
    `CREATE USER 'bob'@'localhost' IDENTIFIED WITH caching_sha2_password AS '${stored.replace("'", "\\'")}'`,
    String.raw`ALTER USER 'bob'@'localhost' ATTRIBUTE '{\"team\":\"web\",\"nested\":{\"a\":[1]}}'`,
  ]);
  t.false(made.told.some(({ shown }) => shown.includes('$A$')));
  t.deepEqual(made.attributes, { team: 'web', nested: { a: [1] } });
  // It is as it should be, and what others said of it stays.
  const right = await ask({ stored, attribute: '{"nested": {"a": [1]}, "team": "web", "other": 1}' }, given);
  t.deepEqual([right.changes, right.attributes], [[], { team: 'web', nested: { a: [1] }, other: 1 }]);
  const differs = await ask({ stored: saltedHash('caching_sha2_password', 'secret', '1234567890abcdefghij'), attribute: '{"gone": 1, "team": "db"}' }, given);
  t.deepEqual(differs.changes, ['localhost: password', 'localhost: attributes.team', 'localhost: attributes.gone', 'localhost: attributes.nested']);
  t.is(differs.told[1]!.text, String.raw`ALTER USER 'bob'@'localhost' ATTRIBUTE '{\"team\":\"web\",\"gone\":null,\"nested\":{\"a\":[1]}}'`);
  t.is((await ask({ stored, attribute: null }, { name: 'bob', attributes: {} })).attributes, null);
  await t.throwsAsync(ask(undefined, given, '10.11.6-MariaDB'), { message: /10\.11\.6.*does not support user attributes/ });
  for (const [wrong, message] of [[{ salt: 'short' }, /20 characters/], [{ plugin: 'ed25519' }, /requires caching_sha2_password/], [{ plugin_auth_string: undefined }, /requires plugin_auth_string/]] as const) t.throws(() => mysqlUser.params.parse({ ...given, ...wrong }), { message });
});
