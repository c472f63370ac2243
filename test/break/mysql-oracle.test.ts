import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { keyFile, knownHostsFile, labDown } from '../../src/lab/lab.js';
import { debianSources } from '../../src/lab/packages.js';
import { run } from '../../src/lab/run.js';
import { Outcome, Stack } from '../e2e/stack.js';

const name = 'oracle';
const site = 'playbooks/site.yml';
let stack: Stack;
let folder: string;
/** Why there is nothing to test with. */
let missing: string | undefined;

// Spaces, quotes, comment signs and backslashes: the ways from a variable to a server have a syntax each.
const passwords = { replication: `rep 'l' \\ # "x" 4711`, seed: `seed # for 'long' \\\\ " 4711`, app: 'app-4711-also' };

// Debian 12 has MariaDB only; sid has Oracle's server.
test.before(async (t) => {
  t.timeout(10 * 60_000);
  folder = await mkdtemp(join(tmpdir(), 'muster-oracle-'));
  const [, mirror] = (await debianSources('sid'))[0]!.split(' ');
  try {
    await run('/usr/lib/apt/apt-helper', ['download-file', `${mirror!.replace(/\/$/, '')}/dists/sid/InRelease`, join(folder, 'InRelease')]);
  } catch (error) {
    missing = `not tested: Oracle's server comes from Debian sid, which the configured mirror does not give: ${(error as Error).message}`;
    return;
  }
  stack = await Stack.up(name, ['db1:sid', 'db2:sid']);
  const quoted = (text: string) => JSON.stringify(text);
  await writeFile(
    join(folder, 'hosts.yml'),
    `
all:
  vars:
    ansible_user: muster
    ansible_ssh_private_key_file: ${keyFile(process.cwd(), name)}
    muster_known_hosts_file: ${knownHostsFile(process.cwd(), name)}
    firewall_admin_networks: [${stack.lab.net}.1]
    base_upgrades: false
    mysql_flavour: mysql
    mysql_client_group: web
    certificate_ca_dir: ${join(folder, 'ca')}
    mysql_innodb_buffer_pool_size: 64M
    mysql_replication_password: ${quoted(passwords.replication)}
    mysql_seed_password: ${quoted(passwords.seed)}
    app_db_password: ${quoted(passwords.app)}
db:
  hosts:
    db1: {ansible_host: ${stack.address('db1')}, mysql_server_id: 1}
    db2: {ansible_host: ${stack.address('db2')}, mysql_server_id: 2}
web: {hosts: {web1: {ansible_host: 203.0.113.1}}}
loadbalancers: {}
monitoring: {}
`,
  );
  stack.inventory = ['-i', join(folder, 'hosts.yml')];
});
test.after.always(async () => {
  if (missing === undefined) await labDown({ name });
  await rm(folder, { recursive: true });
});

const oracle = (title: string, body: (t: ExecutionContext) => Promise<void>): void =>
  test.serial(title, async (t) => {
    t.timeout(10 * 60_000);
    if (missing === undefined) return body(t);
    t.log(missing);
    t.pass();
  });

const sql = (host: string, statements: string) => stack.on(host, `mysql -N <<'END'\n${statements};\nEND\n`);
const apply = (...args: string[]) => stack.muster('apply', site, ['--limit', 'db', ...args]);
const plan = () => stack.muster('plan', site, ['--limit', 'db']);

oracle('a primary with data is copied, and no password is seen on the way', async (t) => {
  const watch = watchProcesses();
  t.teardown(watch);
  const outcomes: Outcome[] = [];
  const done = async (outcome: Outcome) => t.is(outcomes[outcomes.push(outcome) - 1]!.code, 0, outcome.told);
  await done(await apply('--limit', 'db1', '--verify', '-vvv', '--diff'));
  t.regex(await sql('db1', 'SELECT VERSION()'), /^(8|9)\.(?!.*MariaDB)/);
  await sql(
    'db1',
    String.raw`USE app; CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, text TEXT, bytes BLOB);
    CREATE TABLE log (at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, id INT);
    SET SESSION cte_max_recursion_depth = 100000;
    INSERT INTO big (text, bytes) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
      SELECT CONCAT('row ', i, ' ', CHAR(i % 128), '\\G 🐑 \'', SHA2(i, 256)), UNHEX(SHA2(i, 256)) FROM n;
    CREATE TRIGGER kept AFTER INSERT ON big FOR EACH ROW INSERT INTO log (id) VALUES (NEW.id);
    CREATE PROCEDURE count_big() SELECT COUNT(*) FROM big; CREATE VIEW few AS SELECT * FROM big WHERE id < 10;
    CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM log;
    FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY`,
  );
  await done(await apply('--verify', '-vvv', '--diff'));
  const seen = watch();

  const same = `SELECT COUNT(*) FROM app.big; CHECKSUM TABLE app.big EXTENDED;
    SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'app'; SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'app';
    SELECT event_name FROM information_schema.events WHERE event_schema = 'app'; SELECT COUNT(*) FROM app.few;
    SELECT user, host, HEX(authentication_string) FROM mysql.user WHERE user IN ('app', 'replication', 'seed') ORDER BY user`;
  await caughtUp(t);
  const [primary, replica] = [await sql('db1', same), await sql('db2', same)];
  t.regex(primary, /^100000\napp\.big\s+\d+\nkept\ncount_big\ndaily\n9\napp\t.*(\nreplication\t[^\n]*){2}$/);
  t.is(replica, primary);
  await sql('db1', "INSERT INTO app.big (text) VALUES ('later')");
  await caughtUp(t);
  t.is(await sql('db2', 'SELECT text FROM app.big WHERE id > 100000; SELECT COUNT(*) FROM app.log'), 'later\n1');

  // The copy took long enough to be seen.
  t.true(seen.some((line) => line.startsWith('mysqldump ')), seen.join('\n'));
  const words = Object.values(passwords).flatMap((password) => [password, password.replaceAll('\\', '\\\\'), JSON.stringify(password).slice(1, -1)]);
  const holds = (text: string) => words.filter((word) => text.includes(word));
  t.deepEqual(seen.filter((line) => holds(line).length > 0), []);
  for (const { events, stderr } of outcomes) t.deepEqual(holds(JSON.stringify(events).replaceAll('\\\\', '\\')).concat(holds(JSON.stringify(events)), holds(stderr)), []);
  for (const host of ['db1', 'db2']) {
    const grep = `cat <<'END' >/dev/shm/words\n${words.join('\n')}\nEND\n{ grep -rlFf /dev/shm/words /etc /home /root /run /tmp /var/log /var/tmp; journalctl | grep -Ff /dev/shm/words; rm /dev/shm/words; } 2>/dev/null || true`;
    t.is(await stack.on(host, grep), '');
  }
  // Whoever logged in came from this host or from the replica: the controller speaks through SSH alone.
  t.is(await sql('db1', 'SELECT DISTINCT host FROM performance_schema.accounts WHERE host IS NOT NULL ORDER BY host'), `${stack.address('db2')}\nlocalhost`);
});

oracle('a second run changes nothing, and accounts may do what they must and no more', async (t) => {
  const again = await apply();
  t.is(again.code, 0, again.told);
  t.deepEqual(again.results('changed'), []);
  const planned = await plan();
  t.is(planned.code, 0, JSON.stringify(planned.results('changed', 'unknown', 'failed')));
  t.is(await sql('db1', `SHOW GRANTS FOR replication@'${stack.address('db2')}'`), `GRANT REPLICATION SLAVE ON *.* TO \`replication\`@\`${stack.address('db2')}\``);
  t.regex(await sql('db1', "SHOW GRANTS FOR app@'203.0.113.1'"), /^GRANT USAGE ON \*\.\* .*\nGRANT SELECT, INSERT, UPDATE, DELETE ON `app`\.\* TO [^\n]*$/);
  t.regex(await stack.tried('db2', "mysql -e 'DELETE FROM app.big'"), /super-read-only/);
});

oracle('a stopped thread, a dropped account and a forgotten read_only are found and mended', async (t) => {
  await sql('db2', 'STOP REPLICA SQL_THREAD; SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF');
  await sql('db1', `DROP USER replication@'${stack.address('db2')}'`);
  const found = await plan();
  t.is(found.code, 2, found.told);
  t.like(found.results('changed').map(({ host, task }) => `${host}: ${task.replace(/^.* : /, '')}`), ['db1: Let the replicas read along', 'db2: Let the replica take no writes', 'db2: Replicate']);
  const applied = await apply();
  t.is(applied.code, 0, applied.told);
  t.is(await stack.until(running, (count) => count === '2'), '2');
  t.is(await sql('db2', 'SELECT @@super_read_only'), '1');
  t.is((await plan()).code, 0);
});

oracle('a replica is seeded again when told, and only then', async (t) => {
  await sql('db2', 'STOP REPLICA; RESET REPLICA ALL');
  await sql('db1', "INSERT INTO app.big (text) VALUES ('missed'); FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY");
  const refused = await apply();
  t.is(refused.code, 3);
  t.regex(refused.told, /holds app, and the logs from which it could go on are gone: \S+:\d/);
  const told = await apply('-e', 'mysql_reseed=db2');
  t.is(told.code, 0, told.told);
  await caughtUp(t);
  t.is(await sql('db2', 'CHECKSUM TABLE app.big'), await sql('db1', 'CHECKSUM TABLE app.big'));
  t.is((await plan()).code, 0);
});

oracle("the modules know MySQL's own ways", async (t) => {
  await writeFile(join(folder, 'modules.yml'), modules);
  const applied = await stack.muster('apply', join(folder, 'modules.yml'), ['--verify']);
  t.is(applied.code, 0, applied.told);
});

/** Each task is looked at again after it changed something (--verify); those named "same" must change nothing. */
const modules = String.raw`
- hosts: db1
  become: true
  gather_facts: false
  vars: {pw: "s3cr'et\\\"#x"}
  tasks:
    # The modules speak no TLS by TCP.
    - mysql_variables: {variable: require_secure_transport, value: "OFF"}

    - {mysql_db: {name: shop, encoding: utf8mb4, collation: utf8mb4_0900_ai_ci}}
    - mysql_query: {login_db: shop, query: "CREATE TABLE item (id INT PRIMARY KEY, name TEXT)"}

    # Dynamic privileges have their own grant option.
    - mysql_user: {name: dyn, host: "%", password: "{{ pw }}", priv: "*.*:SELECT,BACKUP_ADMIN,GRANT/shop.*:ALL/shop.item:SELECT(name, id)"}
    - mysql_user: {name: dyn, host: "%", password: "{{ pw }}", priv: "*.*:BACKUP_ADMIN,SELECT,GRANT/shop.*:ALL/shop.item:SELECT(id,name)"}
      register: same_account
    - mysql_user: {name: dyn, host: "%", priv: {"*.*": BACKUP_ADMIN, "shop.*": SELECT}}
    - mysql_user: {name: dyn, host: "%", priv: {"*.*": [BACKUP_ADMIN, XA_RECOVER_ADMIN, GRANT]}}
    - mysql_user: {name: dyn, host: "%", append_privs: true, subtract_privs: false, priv: "*.*:CLONE_ADMIN"}
    - mysql_query: {query: ["CREATE ROLE reader", "GRANT reader TO dyn@'%'", "SET DEFAULT ROLE ALL TO dyn@'%'"]}
    - mysql_user: {name: dyn, host: "%", append_privs: true, priv: "*.*:CLONE_ADMIN"}
      register: same_with_role
    - mysql_query: {query: "SHOW GRANTS FOR dyn@'%'"}
      register: grants
    - mysql_user: {name: boss, password: "{{ pw }}", priv: "*.*:ALL,GRANT"}
    - mysql_user: {name: boss, password: "{{ pw }}", priv: "*.*:ALL"}

    # caching_sha2_password, by the socket and by TCP, before the server has cached it and after.
    - mysql_query: {query: "SELECT CURRENT_USER() AS me", login_user: boss, login_password: "{{ pw }}"}
      register: by_socket
      loop: [1, 2]
    - mysql_user: {name: far, host: "{{ ansible_host }}", password: "{{ pw }}"}
    - mysql_query: {query: "SELECT CURRENT_USER() AS me", login_user: far, login_password: "{{ pw }}", login_host: "{{ ansible_host }}"}
      loop: [1, 2]
    - mysql_user: {name: boss, password: "other {{ pw }}"}
      register: password
    - mysql_query: {query: "SELECT authentication_string AS hash FROM mysql.user WHERE user = 'boss'"}
      register: stored
    - mysql_user: {name: twin, plugin: caching_sha2_password, plugin_hash_string: "{{ stored.query_result[0][0].hash }}"}
    - mysql_query: {query: "SELECT 1", login_user: twin, login_password: "other {{ pw }}"}
    - mysql_user: {name: boss, tls_requires: {subject: /CN=x, issuer: /CN=y}, resource_limits: {MAX_QUERIES_PER_HOUR: 100}}

    - mysql_variables: {variable: "{{ item.0 }}", value: "{{ item.1 }}", mode: "{{ item.2 | default('global') }}"}
      loop: [[slow_query_log, yes], [max_connections, "151", persist], [innodb_log_buffer_size, 16M, persist_only], [long_query_time, 2.5],
        [sql_mode, "NO_ZERO_DATE,STRICT_TRANS_TABLES"], [optimizer_switch, "index_merge=off"], [local_infile, true, persist]]
    - mysql_variables: {variable: "{{ item.0 }}", value: "{{ item.1 }}", mode: "{{ item.2 | default('global') }}"}
      loop: [[slow_query_log, "ON"], [slow_query_log, 1], [MAX_CONNECTIONS, 151, persist], [innodb_log_buffer_size, 16777216, persist_only],
        [long_query_time, "2.50"], [sql_mode, "STRICT_TRANS_TABLES,NO_ZERO_DATE"], [optimizer_switch, "index_merge=off"], [local_infile, "on", persist]]
      register: same_variables
    - mysql_query: {query: RESET PERSIST}

    - mysql_query: {login_db: shop, query: "INSERT INTO item VALUES (%(id)s, %(name)s)", named_args: {id: 1, name: "100% 'x'"}}
    - mysql_query: {login_db: shop, query: ["INSERT INTO item VALUES (2, '')", "INSERT INTO item VALUES (1, '')"], single_transaction: true}
      register: broken
      failed_when: broken is not failed
    - mysql_query: {login_db: shop, query: "UPDATE item SET name = %s WHERE id IN %s", positional_args: ["100% 'x'", [1, 2, 3]]}
      register: same_rows
    - mysql_query: {login_db: shop, query: "SELECT * FROM item"}
      register: rows
    - mysql_replication: {mode: getprimary}
      register: primary
    - assert:
        that:
          - not item.changed
        quiet: true
      loop: ["{{ same_account }}", "{{ same_with_role }}", "{{ same_variables }}", "{{ same_rows }}"]
      loop_control: {label: ""}
    - assert:
        that:
          - "grants.query_result[0] | map('dict2items') | map('first') | map(attribute='value') | select('search', 'BACKUP_ADMIN,XA_RECOVER_ADMIN .*WITH GRANT OPTION') | length == 1"
          - by_socket.results[1].query_result[0][0].me == 'boss@localhost'
          - password.password_changed
          - rows.query_result[0] | length == 1 and rows.query_result[0][0].name == "100% 'x'"
          - primary.Is_Primary and primary.File is search('^binlog') and primary.Position is number
        quiet: true

- hosts: db2
  become: true
  gather_facts: false
  tasks:
    - mysql_replication: {mode: stopreplica}
    - mysql_replication: {mode: changeprimary, primary_password: wrong, primary_delay: 5, primary_retry_count: 11, get_primary_public_key: true}
    - mysql_replication: {mode: changeprimary, primary_password: "{{ mysql_replication_password }}", primary_delay: 0, primary_retry_count: 10, get_primary_public_key: false}
    - mysql_replication: {mode: startreplica}
    - mysql_replication: {mode: changeprimary, channel: second, primary_host: 203.0.113.2, primary_user: x, primary_password: x}
    - mysql_replication: {mode: getreplica, channel: second}
      register: second
    - mysql_replication: {mode: resetreplicaall, channel: second}
    - mysql_replication: {mode: getreplica, channel: second}
      register: nobody
    - mysql_replication: {mode: getreplica}
      register: replica
    - assert:
        that:
          - second.Is_Replica and second.Source_Host == '203.0.113.2' and second.Replica_IO_Running == 'No'
          - nobody.Is_Replica == false
          - replica.Is_Replica and replica.Source_Host == hostvars.db1.ansible_host and replica.Auto_Position == 1
        quiet: true
`;

/** How many of the replica's two threads run. */
const running = () => stack.tried('db2', "mysql -E -e 'SHOW REPLICA STATUS' | grep -c '_Running: Yes'");

/** Waits until the replica has what the primary has. */
async function caughtUp(t: ExecutionContext): Promise<void> {
  const executed = 'SELECT @@gtid_executed';
  const wanted = await sql('db1', executed);
  t.is(await stack.until(() => sql('db2', executed), (now) => now === wanted), wanted);
}

/** Looks at the command lines of this machine, the lab's hosts included, again and again. @returns ends it, with what there was */
function watchProcesses(): () => string[] {
  const seen = new Set<string>();
  const timer = setInterval(() => {
    for (const id of readdirSync('/proc')) {
      if (!/^\d+$/.test(id)) continue;
      try {
        seen.add(readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {} // it ended
    }
  }, 100);
  return () => {
    clearInterval(timer);
    return [...seen];
  };
}
