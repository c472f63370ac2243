import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { labDown, stateDir } from '../../src/lab/lab.js';
import { tryPorts } from './ports.js';
import { hosts, Stack } from './stack.js';

const execute = promisify(execFile);
const name = 'test';
const site = 'playbooks/site.yml';
let stack: Stack;

test.before('fresh hosts become the stack', async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.up(name);
  const plan = await stack.muster('plan', site);
  t.is(plan.code, 2, plan.told);
  for (const host of hosts) t.like(plan.recap[host], { failed: 0, unreachable: 0 });
  const first = await stack.muster('apply', site, ['--verify']);
  t.is(first.code, 0, first.told);
  for (const host of hosts) t.like(first.recap[host], { failed: 0, unreachable: 0, unknown: 0 });
});
test.after.always(() => labDown({ name }));

test.serial('a second run changes nothing, and costs each host at most four trips', async (t) => {
  const again = await stack.muster('apply', site, ['--stats']);
  t.is(again.code, 0, again.told);
  t.deepEqual(again.results('changed'), []);
  for (const host of hosts) {
    t.like(again.recap[host], { changed: 0, failed: 0, unreachable: 0, unknown: 0 });
    t.true(again.stats[host]!.trips <= 4, `${host}: ${again.stats[host]!.trips} trips`);
  }
});

test.serial('a plan finds nothing to do', async (t) => {
  const plan = await stack.muster('plan', site);
  t.is(plan.code, 0, plan.told);
  t.deepEqual(plan.results('changed', 'unknown', 'failed'), []);
});

test.serial('no host has a Python', async (t) => {
  for (const host of hosts) t.is(await stack.on(host, 'command -v python3 python || echo none'), 'none', host);
});

test.serial('a hundred requests: fifty to each web server', async (t) => {
  const counts: Record<string, number> = {};
  for (let i = 0; i < 100; i++) {
    const answer = await stack.ask('/notes');
    t.is(answer.status, 200, answer.body);
    const server = answer.headers['x-served-by'] as string;
    counts[server] = (counts[server] ?? 0) + 1;
  }
  t.deepEqual(counts, { web1: 50, web2: 50 });
});

test.serial("the application learns the client's address, whatever the client claims", async (t) => {
  const answer = JSON.parse((await stack.ask('/notes', { headers: { 'x-forwarded-for': '203.0.113.7' } })).body);
  t.is(answer.client, `${stack.lab.net}.1`);
});

test.serial('HTTP leads to HTTPS, which old protocols and ciphers do not get', async (t) => {
  const plain = await stack.ask('/notes?x=1', { host: stack.virtual });
  t.is(plain.status, 301);
  t.is(plain.headers.location, `https://${stack.virtual}/notes?x=1`);
  t.is((await stack.ask('/.well-known/acme-challenge/none', { host: stack.virtual })).status, 404);
  t.is((await stack.ask('/notes')).headers['strict-transport-security'], 'max-age=63072000');
  const weak = 'ALL:@SECLEVEL=0';
  await t.throwsAsync(stack.ask('/', { tls: true, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: weak }), { message: /alert (protocol version|handshake failure)/ });
  await t.throwsAsync(stack.ask('/', { tls: true, maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA256:@SECLEVEL=0' }), { message: /alert (protocol version|handshake failure)/ });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) t.is((await stack.ask('/notes', { minVersion: version, maxVersion: version })).status, 200);
});

test.serial('one balancer holds the virtual address', async (t) => {
  const held = await Promise.all(['lb1', 'lb2'].map(async (host) => (await stack.on(host, 'ip -4 -br address show')).includes(` ${stack.virtual}/32`)));
  t.is(held.filter(Boolean).length, 1);
});

test.serial('the check path, the statistics and the databases are not for everybody', async (t) => {
  t.is((await stack.ask('/healthz')).status, 404);
  t.deepEqual(await stack.ask('/healthz', { host: 'web1' }).then(({ status, body }) => ({ status, body })), { status: 200, body: '1.0.0\n' });
  t.regex(await stack.on('lb1', `bash -c 'exec 3<>/dev/tcp/127.0.0.1/8404; printf "GET /;csv HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'`), /^web,web1,.*,UP,/m);
  t.regex(await stack.on('db1', `mariadb -N -e "SELECT CONCAT(user, '@', host) FROM mysql.user ORDER BY 1"`), new RegExp(`^app@${stack.address('lb1')}\napp@${stack.address('lb2')}\n(mariadb.sys|mysql)@localhost`));
});

test.serial('each host answers those it works for, and from outside nobody but the balancers answers, on 80 and 443', async (t) => {
  const addresses = Object.fromEntries(hosts.map((host) => [host, stack.address(host)]));
  const from = async (host: string) => {
    const answers = await tryPorts(stack, host, addresses, '22,80,443,3306,3307,8080,8404,9090,9093,9100,9104,9200');
    return Object.fromEntries(['lb1', 'lb2', 'web2', 'db1', 'db2', 'mon1'].map((to) => [to, answers[to]!.answered]));
  };
  const [here, web, monitoring] = await Promise.all([from('here'), from('web1'), from('mon1')]);
  const visitor = [80, 443];
  // This machine is also where the administrators log in from.
  t.deepEqual(here, { lb1: [22, ...visitor], lb2: [22, ...visitor], web2: [22], db1: [22], db2: [22], mon1: [22, 443] });
  t.deepEqual(web, { lb1: [...visitor, 3306, 3307], lb2: [...visitor, 3306, 3307], web2: [], db1: [], db2: [], mon1: [] });
  delete monitoring['mon1']; // itself
  t.deepEqual(monitoring, { lb1: [...visitor, 8404, 9100], lb2: [...visitor, 8404, 9100], web2: [9100], db1: [9100, 9104], db2: [9100, 9104] });
});

test.serial('what is written on the primary is read from the replica', async (t) => {
  const text = `grüße ${Date.now()}`;
  const written = await stack.write(text);
  t.is(written.database, 'db1');
  const read = await stack.until(
    async () => JSON.parse((await stack.ask('/notes')).body) as { database: string; notes: { id: number; text: string }[] },
    ({ notes }) => notes.some(({ id }) => id === written.id),
  );
  t.is(read.database, 'db2');
  t.is(read.notes.find(({ id }) => id === written.id)?.text, text);
  const replica = await stack.replica('db2');
  t.like(replica, { Slave_IO_Running: 'Yes', Slave_SQL_Running: 'Yes', Seconds_Behind_Master: '0', Using_Gtid: 'Slave_Pos', Last_Error: '' });
});

test.serial('a marker written on :3306 is read on :3307 within a second, over TLS', async (t) => {
  const [took, wrote, read, tls] = (
    await stack.on(
      'web1',
      `php8.2 <<'EOF'
<?php
$c = json_decode(file_get_contents('/srv/app/shared/config.json'));
$open = function (int $port) use ($c) {
    $m = mysqli_init();
    $m->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, true);
    $m->ssl_set(null, null, $c->ca, null, null);
    $m->real_connect($c->hosts[0], $c->user, $c->password, $c->database, $port, null, MYSQLI_CLIENT_SSL);
    return $m;
};
[$write, $read] = [$open($c->write_port), $open($c->read_port)];
$marker = uniqid('marker ');
$write->execute_query('INSERT INTO notes (text, server) VALUES (?, ?)', [$marker, 'test']);
for ($begin = hrtime(true); !$read->execute_query('SELECT id FROM notes WHERE text = ?', [$marker])->fetch_row();) usleep(1000);
echo intdiv(hrtime(true) - $begin, 1_000_000), ' ';
foreach ([$write, $read] as $m) echo $m->query('SELECT @@hostname')->fetch_row()[0], ' ';
echo $read->query("SHOW STATUS LIKE 'Ssl_version'")->fetch_row()[1];
EOF`,
    )
  ).split(' ');
  t.true(Number(took) < 1000, `${took} ms`);
  t.deepEqual([wrote, read], ['db1', 'db2']);
  t.regex(tls!, /^TLSv1\.[23]$/);
  t.log(`${took} ms`);
});

test.serial('each database server tells the balancers what it is good for', async (t) => {
  const told = (host: string, path: string) => stack.on('lb1', `bash -c 'exec 3<>/dev/tcp/${stack.address(host)}/9200; printf "GET ${path} HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'`);
  t.regex(await told('db1', '/primary'), /200[^]*takes writes/);
  t.regex(await told('db2', '/primary'), /503[^]*takes no writes/);
  t.regex(await told('db1', '/replica'), /503[^]*takes writes/);
  t.regex(await told('db2', '/replica'), /200[^]*\d s behind/);
});

test.serial('an ordinary account cannot write on the replica', async (t) => {
  const script = `$c = json_decode(file_get_contents('/srv/app/shared/config.json'));
    try { $m = mysqli_init(); $m->ssl_set(null, null, $c->ca, null, null);
      $m->real_connect($c->hosts[0], $c->user, $c->password, $c->database, $c->PORT, null, MYSQLI_CLIENT_SSL); $m->query("INSERT INTO notes (text, server) VALUES ('x', 'y')"); echo "written"; }
    catch (mysqli_sql_exception $e) { echo $e->getCode(); }`;
  const insert = (at: string) => stack.on('web1', `php8.2 <<'EOF'\n<?php ${script.replace('PORT', at)}\nEOF`);
  t.is(await insert('read_port'), '1290'); // ER_OPTION_PREVENTS_STATEMENT: --read-only
  t.is(await insert('write_port'), 'written');
});

test.serial('the monitoring reaches every target, and shows the stack to who is on its host', async (t) => {
  const get = (path: string) => stack.on('mon1', `bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080; printf "GET ${path} HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'`);
  const targets = () => get('/prometheus/api/v1/query?query=up').then((answer) => [...answer.matchAll(/"instance":"(\w+)","job":"(\w+)"},"value":\[[^,]*,"(\d)"/g)].map(([, host, job, up]) => `${host} ${job} ${up}`).sort());
  const expected = [...hosts.map((host) => `${host} node 1`), ...['lb1', 'lb2'].map((host) => `${host} haproxy 1`), ...['db1', 'db2'].map((host) => `${host} mysql 1`), 'mon1 alertmanager 1', 'mon1 prometheus 1'].sort();
  t.deepEqual(await stack.until(targets, (seen) => seen.join() === expected.join()), expected);
  t.regex(await get('/'), /^HTTP\/1\.1 200 OK[^]*Content-Security-Policy: default-src 'self'[^]*<main>/);
});

test.serial('each alert fires on what it is for, and on nothing else', async (t) => {
  const tests = (await readFile('test/e2e/alerts.yml', 'utf8')).replaceAll('NET', stack.lab.net);
  const alerts = (await stack.on('mon1', `sed -n 's/^ *- alert: //p' /etc/prometheus/alerts.yml | sort -u`)).split('\n');
  t.deepEqual(alerts.filter((alert) => !new RegExp(`alertname="${alert}".*exp_samples: \\[\\{`).test(tests)), [], 'an alert without a test');
  t.regex(await stack.tried('mon1', `cat >/tmp/alerts.yml <<'END'\n${tests}\nEND\npromtool test rules /tmp/alerts.yml`), /SUCCESS$/);
});

test.serial('a new password is rolled out, and neither it nor the old one is told or left anywhere', async (t) => {
  const now = () => stack.on('web1', `sed -n 's/.*"password": "\\(.*\\)",/\\1/p' /srv/app/shared/config.json`);
  const old = await now();
  t.regex(old, /^\w{24}$/);
  await rm(join(stateDir(process.cwd(), name), 'secrets/app_db')); // the inventory makes up another
  const plan = await stack.muster('plan', site, ['-vvv']);
  t.is(plan.code, 2, plan.told);
  const apply = await stack.muster('apply', site, ['-vvv', '--diff']);
  t.is(apply.code, 0, apply.told);
  const fresh = await now();
  t.not(fresh, old);
  t.is((await stack.write('after the change')).database, 'db1');
  for (const password of [old, fresh]) {
    for (const run of [plan, apply]) t.false((JSON.stringify(run.events) + run.stderr).includes(password));
    for (const host of hosts) t.is(await stack.on(host, `grep -rlF '${password}' /var/log /home /root /tmp 2>/dev/null || echo clean`), 'clean', host);
    await t.throwsAsync(execute('grep', ['-rlF', password, '.muster/runs']), { code: 1 });
  }
  t.is((await stack.muster('plan', site)).code, 0);
});
