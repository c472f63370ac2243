import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { stateDir } from '../../../src/lab/lab.js';
import { Stack } from '../../e2e/stack.js';

const site = 'playbooks/site.yml';
let stack: Stack;
/** For runs whose inventory is not (only) the project's. */
let labDir: string[];

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.converged();
  labDir = ['-e', `lab_dir=${stateDir(process.cwd(), stack.lab.name)}`];
  // Two releases, so that there is an old one to make current by hand.
  for (const release of ['0.9.0', '1.0.0']) {
    const applied = await stack.muster('apply', site, ['-e', `app_release=${release}`]);
    t.is(applied.code, 0, applied.told);
  }
});

/** Each: what somebody did to a host, how the plan shows it, and how the host is when it is mended. */
const drifts: Record<string, { host: string; harm: string; shows: { host: string; task: RegExp; changes: RegExp }; look: string; mended: RegExp }> = {
  'an edited haproxy.cfg': {
    host: 'lb1',
    harm: 'systemctl show -p MainPID --value haproxy > /root/pid; journalctl --cursor-file=/root/cursor -n 1 >/dev/null; sed -i s/roundrobin/leastconn/ /etc/haproxy/haproxy.cfg',
    shows: { host: 'lb1', task: /Configure HAProxy/, changes: /^-\s+balance leastconn\n\+\s+balance roundrobin$/m },
    // One reload: the master process stayed, and its workers were replaced once.
    look: 'sed -n "/^backend web$/,/^$/p" /etc/haproxy/haproxy.cfg | grep -o "balance .*"; [ "$(systemctl show -p MainPID --value haproxy)" = "$(cat /root/pid)" ] && echo same master; journalctl -u haproxy -o cat --cursor-file=/root/cursor | grep -c "^Reloaded haproxy"',
    mended: /balance roundrobin\nsame master\n1$/,
  },
  'a stopped php-fpm': {
    host: 'web1',
    harm: 'systemctl stop php8.2-fpm',
    shows: { host: 'web1', task: /Run PHP/, changes: /state/ },
    look: 'systemctl is-active php8.2-fpm',
    mended: /^active$/,
  },
  'a removed package': {
    host: 'web2',
    harm: 'DEBIAN_FRONTEND=noninteractive apt-get remove -yqq php8.2-mysql >/dev/null 2>&1',
    shows: { host: 'web2', task: /Install nginx and PHP/, changes: /php8\.2-mysql/ },
    look: 'dpkg-query -Wf \'${db:Status-Status}\' php8.2-mysql',
    mended: /^installed$/,
  },
  'a removed server': {
    host: 'web1',
    harm: 'DEBIAN_FRONTEND=noninteractive apt-get remove -yqq nginx >/dev/null 2>&1',
    shows: { host: 'web1', task: /Install nginx and PHP/, changes: /nginx absent/ },
    look: 'systemctl is-active nginx',
    mended: /^active$/,
  },
  'a changed owner and mode': {
    host: 'web1',
    harm: 'chown games /srv/app/shared/config.json; chmod 666 /srv/app/shared/config.json',
    shows: { host: 'web1', task: /where its databases are/, changes: /(owner|mode).*\n.*(owner|mode)/ },
    look: 'stat -c "%U:%G %a" /srv/app/shared/config.json',
    mended: /^root:www-data 640$/,
  },
  'a stopped replica thread': {
    host: 'db2',
    harm: 'mariadb -e "STOP SLAVE SQL_THREAD"',
    shows: { host: 'db2', task: /Replicate/, changes: /./ },
    look: "mariadb -e 'SHOW SLAVE STATUS\\G' | grep -c 'Running: Yes'",
    mended: /^2$/,
  },
  'a dropped replica account': {
    host: 'db1',
    harm: `mariadb -N -e "SELECT CONCAT('DROP USER replication@', QUOTE(host), ';') FROM mysql.user WHERE user = 'replication'" | mariadb`,
    shows: { host: 'db1', task: /replicas read along/, changes: /./ },
    look: `mariadb -N -e "SELECT COUNT(*) FROM mysql.user WHERE user = 'replication'"`,
    mended: /^2$/,
  },
  'an old release made current by hand': {
    host: 'web2',
    harm: 'ln -sfn releases/0.9.0 /srv/app/current',
    shows: { host: 'web2', task: /Switch to the release/, changes: /0\.9\.0.*1\.0\.0/s },
    look: 'readlink /srv/app/current',
    mended: /^releases\/1\.0\.0$/,
  },
};

for (const [title, { host, harm, shows, look, mended }] of Object.entries(drifts)) {
  test.serial(`found by plan, mended by apply: ${title}`, async (t) => {
    await stack.on(host, harm);
    const plan = await stack.muster('plan', site);
    t.is(plan.code, 2, plan.told);
    const shown = plan.results('changed').find((result) => result.host === shows.host && shows.task.test(result.task));
    t.truthy(shown, JSON.stringify(plan.results('changed', 'failed')));
    t.regex(shown!.changes, shows.changes);
    t.notRegex(await stack.tried(host, look), mended, 'a plan changes nothing');
    const apply = await stack.muster('apply', site);
    t.is(apply.code, 0, apply.told);
    t.true(apply.results('changed').every((result) => result.host === host), JSON.stringify(apply.results('changed')));
    t.regex(await stack.on(host, look), mended);
    const again = await stack.muster('plan', site);
    t.is(again.code, 0, JSON.stringify(again.results('changed', 'unknown', 'failed')));
  });
}

test.serial('a web server that stops is taken out, no request fails after that, and it comes back', async (t) => {
  type Seen = { at: number; status: number; server: string };
  const seen: Seen[] = [];
  let asking = true;
  const ask = async () => {
    while (asking) {
      const at = Date.now();
      const answer = await stack.ask('/notes').catch(() => undefined);
      seen.push({ at, status: answer?.status ?? 0, server: String(answer?.headers['x-served-by']) });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const clients = [ask(), ask()];
  const state = () => stack.on('lb1', `bash -c 'exec 3<>/dev/tcp/127.0.0.1/8404; printf "GET /;csv HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3' | grep '^web,web1,' | cut -d, -f18`);
  await stack.on('web1', 'systemctl stop nginx');
  t.regex(await stack.until(state, (status) => status.startsWith('DOWN')), /^DOWN/);
  const out = Date.now();
  await stack.until(async () => seen.filter(({ at }) => at > out).length, (count) => count >= 50);
  await stack.on('web1', 'systemctl start nginx');
  t.regex(await stack.until(state, (status) => status.startsWith('UP')), /^UP/);
  const back = Date.now();
  // It gets its share little by little.
  await stack.until(async () => seen.some(({ at, server }) => at > back && server === 'web1'), Boolean);
  asking = false;
  await Promise.all(clients);
  t.deepEqual(seen.filter(({ at, status }) => at > out && status !== 200), []);
  t.true(seen.filter(({ at }) => at > out && at < back - 2000).every(({ server }) => server === 'web2'));
  t.true(seen.some(({ at, server }) => at > back && server === 'web1'));
});

test.serial('a template that HAProxy refuses leaves everything as it was', async (t) => {
  const project = await mkdtemp(join(tmpdir(), 'muster-break-'));
  t.teardown(() => rm(project, { recursive: true }));
  for (const folder of ['playbooks', 'templates', 'inventory', 'muster.yml']) await cp(folder, join(project, folder), { recursive: true });
  const template = join(project, 'templates/haproxy/haproxy.cfg.hbs');
  await writeFile(template, (await readFile(template, 'utf8')).replace('balance {{haproxy_balance}}', 'balance square'));
  const look = 'sha256sum /etc/haproxy/haproxy.cfg; systemctl show -p MainPID,ActiveEnterTimestamp haproxy; ls /etc/haproxy';
  const before = await stack.on('lb1', look);
  const apply = await stack.muster('apply', site, [...labDir, '--limit', 'loadbalancers'], { cwd: project });
  t.is(apply.code, 3, apply.told);
  const line = (await stack.on('lb1', "grep -n 'balance roundrobin' /etc/haproxy/haproxy.cfg")).split(':')[0];
  t.regex(apply.told, /haproxy\.cfg\.hbs/);
  t.regex(apply.told, new RegExp(`:${line}\\]|line ${line}\\b`));
  t.regex(apply.told, /balance only supports/);
  t.is(await stack.on('lb1', look), before);
  t.is((await stack.ask('/notes')).status, 200);
});

test.serial('the application is rolled back, and forward again', async (t) => {
  const back = await stack.muster('apply', 'playbooks/rollback.yml');
  t.is(back.code, 0, back.told);
  for (const web of ['web1', 'web2']) t.is((await stack.ask('/healthz', { host: web })).body, '0.9.0\n');
  const none = await stack.muster('apply', 'playbooks/rollback.yml', ['-e', 'app_rollback_to=0.1.0']);
  t.is(none.code, 3);
  t.regex(none.told, /no such release to go back to/);
  t.is((await stack.muster('apply', site)).code, 0);
  for (const web of ['web1', 'web2']) t.is((await stack.ask('/healthz', { host: web })).body, '1.0.0\n');
});

test.serial('five releases are kept', async (t) => {
  for (const release of ['1.0.1', '1.0.2', '1.0.3', '1.0.4', '1.0.5']) {
    const apply = await stack.muster('apply', site, ['-e', `app_release=${release}`, '--limit', 'web']);
    t.is(apply.code, 0, apply.told);
  }
  t.is(await stack.on('web1', 'ls /srv/app/releases; readlink /srv/app/current'), '1.0.1\n1.0.2\n1.0.3\n1.0.4\n1.0.5\nreleases/1.0.5');
  t.is((await stack.muster('apply', site)).code, 0);
});

test.serial('a replica with data of its own is not overwritten, unless told', async (t) => {
  await stack.on('db2', `mariadb -e "STOP SLAVE; RESET SLAVE ALL; CREATE DATABASE mine"`);
  const refused = await stack.muster('apply', site, ['--limit', 'db']);
  t.is(refused.code, 3);
  t.regex(refused.told, /holds .*mine/);
  const told = await stack.muster('apply', site, ['--limit', 'db', '-e', 'mysql_reseed=db2']);
  t.is(told.code, 0, told.told);
  t.is(await stack.on('db2', `mariadb -N -e "SHOW DATABASES LIKE 'mine'" | wc -l`), '0');
  t.is((await stack.muster('plan', site)).code, 0);
});

test.serial('a replica added to a primary with 100,000 rows holds the same', async (t) => {
  t.timeout(10 * 60_000);
  // Older than the binary logs that are left, so that replication alone would never bring it.
  await stack.on('db1', `mariadb app -e "
    INSERT INTO notes (text, server) SELECT CONCAT('row ', seq, ' ', MD5(seq)), 'seed' FROM seq_1_to_100000;
    FLUSH BINARY LOGS"`);
  await stack.until(() => stack.replica('db2'), (status) => status['Seconds_Behind_Master'] === '0');
  await stack.on('db1', `mariadb -e "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY"`);
  const more = await mkdtemp(join(tmpdir(), 'muster-break-'));
  t.teardown(() => rm(more, { recursive: true }));
  await writeFile(join(more, 'db3.yml'), `db:\n  hosts:\n    db3: {ansible_host: "{{ lab_net }}.18", mysql_server_id: 3}\n`);
  const withThird = ['-i', join(more, 'db3.yml'), ...labDir];
  const apply = await stack.muster('apply', site, withThird);
  t.is(apply.code, 0, apply.told);
  const position = `mariadb -N -e "SELECT @@gtid_binlog_pos"`;
  const primary = await stack.on('db1', position);
  await stack.until(() => stack.on('db3', `mariadb -N -e "SELECT @@gtid_slave_pos"`), (at) => at === primary);
  const sums = `mariadb -N -e "SELECT COUNT(*) FROM app.notes; CHECKSUM TABLE app.notes EXTENDED"`;
  const [on1, on3] = [await stack.on('db1', sums), await stack.on('db3', sums)];
  t.true(Number(on1.split('\n')[0]) >= 100_000);
  t.is(on3, on1);
  t.like(await stack.replica('db3'), { Slave_IO_Running: 'Yes', Slave_SQL_Running: 'Yes', Seconds_Behind_Master: '0' });
  t.is(await stack.on('db1', `mariadb -N -e "SELECT COUNT(*) FROM mysql.user WHERE user = 'seed'"`), '0');
  const plan = await stack.muster('plan', site, withThird);
  t.is(plan.code, 0, JSON.stringify(plan.results('changed', 'unknown', 'failed')));
});
