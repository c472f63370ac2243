import { createServer as createHttp, type Server } from 'node:http';
import { connect, createServer as createTcp, type AddressInfo, type Server as TcpServer } from 'node:net';
import { request } from 'node:https';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { stateDir } from '../../../src/lab/lab.js';
import { run } from '../../../src/lab/run.js';
import { Stack } from '../../e2e/stack.js';

const site = 'playbooks/site.yml';
const verify = 'playbooks/verify.yml';
let stack: Stack;
let receiver: Receiver;

/** So that faults are told within seconds, to this process. */
const eager = () => ({
  prometheus_interval: '2s', prometheus_patience: '0s', prometheus_drained_patience: '0s', prometheus_disk_patience: '0s', prometheus_backup_patience: '0s',
  prometheus_latency_seconds: 0.1, prometheus_lag_seconds: 3,
  alertmanager_group_wait: '1s', alertmanager_group_interval: '2s',
  alertmanager_webhooks: [`${receiver.url}/operators`], alertmanager_watchdog_webhook: `${receiver.url}/watchdog`,
  alertmanager_mail_to: ['ops@example.org'], alertmanager_smtp: receiver.smtp, alertmanager_smtp_tls: false,
});

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.converged();
  await stack.on('db2', 'systemctl start mysql-backup');
  receiver = await Receiver.listen(`${stack.lab.net}.1`);
});
test.after.always(() => receiver?.close());

test.serial('verify.yml finds nothing wrong with the stack as it is', async (t) => {
  // Just booted, the servers are not all in service yet; and a run that waits for the first alert takes a minute.
  await stack.until(() => stack.ask('/notes'), ({ headers }) => headers['x-served-by'] === 'web1', 60);
  await stack.until(() => stack.ask('/notes'), ({ headers }) => headers['x-served-by'] === 'web2', 60);
  const healthy = await stack.until(() => stack.muster('apply', verify), ({ code }) => code === 0, 200);
  t.is(healthy.code, 0, healthy.told);
  t.deepEqual(healthy.results('changed'), []);
});

test.serial('a second run of what tells of alerts changes nothing', async (t) => {
  const told = await stack.muster('apply', site, ['--limit', 'mon1', '-e', JSON.stringify(eager())]);
  t.is(told.code, 0, told.told);
  const plan = await stack.muster('plan', site, ['--limit', 'mon1', '-e', JSON.stringify(eager())]);
  t.is(plan.code, 0, JSON.stringify(plan.results('changed')));
});

interface Provocation {
  /** What the receiver must be told. */
  summary: RegExp;
  harm: (t: ExecutionContext) => Promise<unknown>;
  mend?: () => Promise<unknown>;
  /** What verify.yml says of it. */
  verify?: RegExp;
}
const on = (host: string, command: string) => () => stack.on(host, command);
const sql = (host: string, statement: string) => on(host, `mariadb -e "${statement}"`);
const haproxy = (host: string, command: string) => on(host, `perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => "/run/haproxy/admin.sock"); print $s "${command}\\n"; print <$s>'`);
const both = (...steps: (() => Promise<unknown>)[]) => () => Promise.all(steps.map((step) => step()));
/** Runs in the background on the host, until its time is over. */
const meanwhile = (host: string, seconds: number, command: string) => on(host, `systemd-run --quiet --collect -p RuntimeMaxSec=${seconds} sh -c '${command}'`);

/** Each alert but ClockSkew (the lab's hosts share one clock): how it is provoked on hosts. The last ones leave the database broken. */
const provocations: { [alert: string]: Provocation } = {
  TargetDown: {
    summary: /^web2: its node exporter does not answer$/,
    harm: on('web2', 'systemctl stop prometheus-node-exporter'),
    mend: on('web2', 'systemctl start prometheus-node-exporter'),
    verify: /no answer from the node exporter of web2/,
  },
  DiskFull: {
    summary: /^web1: \/srv\/full is full/,
    harm: on('web1', 'mkdir -p /srv/full; mount -t tmpfs -o size=1m full /srv/full; head -c 1000000 /dev/zero > /srv/full/file'),
    mend: on('web1', 'umount /srv/full'),
  },
  CertificateExpires: {
    summary: /^web1: \/etc\/nginx\/tls\/short\.crt ends in 2d 23h/,
    harm: on('web1', 'mkdir -p /etc/nginx/tls; openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=short -days 3 -out /etc/nginx/tls/short.crt 2>/dev/null; systemctl start tell-certificates'),
    mend: on('web1', 'rm /etc/nginx/tls/short.crt; systemctl start tell-certificates'),
  },
  VirtualAddressHolders: {
    summary: /^0 hosts hold [\d.]+; it must be one$/,
    harm: both(on('lb1', 'systemctl stop keepalived'), on('lb2', 'systemctl stop keepalived')),
    mend: both(on('lb1', 'systemctl start keepalived'), on('lb2', 'systemctl start keepalived')),
    verify: /is held by nobody/,
  },
  WebServerDown: {
    summary: /^lb[12] finds web1 down$/,
    harm: on('web1', 'systemctl stop nginx'),
    mend: on('web1', 'systemctl start nginx'),
    verify: /web1 answered none of \d+ requests[^]*lb1 finds web1 DOWN[^]*lb2 finds web1 DOWN/,
  },
  WebServerDrained: {
    summary: /^lb2 has kept web2 out of service for long \(DRAIN\)$/,
    harm: haproxy('lb2', 'set server web/web2 state drain'),
    mend: haproxy('lb2', 'set server web/web2 state ready'),
    verify: /lb2 finds web2 DRAIN/,
  },
  BackendDown: {
    summary: /^lb1: no server is left for web$/,
    harm: both(on('web1', 'systemctl stop nginx'), on('web2', 'systemctl stop nginx')),
    mend: both(on('web1', 'systemctl start nginx'), on('web2', 'systemctl start nginx')),
  },
  ErrorRate: {
    summary: /% of the requests fail$/,
    harm: async () => {
      await both(on('web1', 'systemctl stop php8.2-fpm'), on('web2', 'systemctl stop php8.2-fpm'))();
      for (let i = 0; i < 40; i++) {
        await stack.ask('/notes').catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    mend: both(on('web1', 'systemctl start php8.2-fpm'), on('web2', 'systemctl start php8.2-fpm')),
  },
  Latency: {
    summary: /^lb\d: answers take \d+.*s on average$/,
    // The notes are locked for a while: who writes waits.
    harm: async (t) => {
      await stack.until(async () => (await stack.ask('/notes')).status, (status) => status === 200);
      await meanwhile('db1', 15, 'mariadb app -e "LOCK TABLES notes WRITE; SELECT SLEEP(8)"')();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const written = await Promise.allSettled(Array.from({ length: 16 }, (_, i) => stack.write(`late ${i}`)));
      t.true(written.some(({ status }) => status === 'fulfilled'));
    },
  },
  BalancerConnections: {
    summary: /^lb1: \d+% of the connections it may have are taken$/,
    harm: async () => {
      await haproxy('lb1', 'set maxconn global 12')();
      const held = Array.from({ length: 11 }, () => connect(80, stack.address('lb1')).on('error', () => {}));
      setTimeout(() => held.forEach((socket) => socket.destroy()), 9000);
    },
    mend: haproxy('lb1', 'set maxconn global 4000'),
  },
  ReplicationStopped: {
    summary: /^db2 does not replicate /,
    harm: sql('db2', 'STOP SLAVE SQL_THREAD'),
    mend: sql('db2', 'START SLAVE'),
    verify: /db2 does not replicate: its IO thread says Yes, its SQL thread No/,
  },
  ReplicationLag: {
    summary: /^db2 is \d+.*s behind$/,
    harm: async () => {
      await meanwhile('db2', 30, 'mariadb -e "FLUSH TABLES WITH READ LOCK; SELECT SLEEP(14)"')();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await sql('db1', `INSERT INTO app.notes (text, server) VALUES ('behind', 'db1')`)();
    },
  },
  SemiSyncOff: {
    summary: /^db1 acknowledges writes that no replica has$/,
    harm: async () => {
      await sql('db2', 'STOP SLAVE IO_THREAD')();
      await sql('db1', `SET GLOBAL rpl_semi_sync_master_timeout = 200; SET GLOBAL rpl_semi_sync_master_enabled = ON; INSERT INTO app.notes (text, server) VALUES ('alone', 'db1')`)();
    },
    mend: both(sql('db2', 'START SLAVE'), sql('db1', 'SET GLOBAL rpl_semi_sync_master_timeout = 10000')),
  },
  DatabaseConnections: {
    summary: /^db2: \d+.*% of the connections it may have are taken$/,
    // Some are left for the exporter and for what asks the server how it is.
    harm: both(sql('db2', 'SET GLOBAL max_connections = 30'), meanwhile('db2', 20, 'for i in $(seq 26); do mariadb -e "SELECT SLEEP(19)" & done; wait')),
    mend: sql('db2', 'SET GLOBAL max_connections = 200'),
  },
  SeveralWritable: {
    summary: /^2 databases take writes; it must be one$/,
    harm: sql('db2', 'SET GLOBAL read_only = OFF'),
    mend: sql('db2', 'SET GLOBAL read_only = ON'),
    verify: /db1 and db2 take writes; it must be exactly one/,
  },
  NoWritablePrimary: {
    summary: /^no database takes writes$/,
    harm: sql('db1', 'SET GLOBAL read_only = ON'),
    mend: sql('db1', 'SET GLOBAL read_only = OFF'),
    verify: /no database takes writes/,
  },
  BackupOld: {
    summary: /^the last backup that succeeded is older than 26 hours, or there is none$/,
    harm: both(...['db1', 'db2'].map((host) => on(host, 'grep -l backup_last_success /var/lib/prometheus/node-exporter/*.prom | xargs -r rm'))),
  },
  ErrantTransactions: {
    summary: /^db2 holds transactions that the primary does not \(origin 2\)$/,
    harm: sql('db2', 'CREATE DATABASE errant'),
  },
  ReplicationAbsent: {
    summary: /^db2 takes no writes and replicates nobody$/,
    harm: sql('db2', 'STOP SLAVE; RESET SLAVE ALL'),
    verify: /db2 takes no writes and replicates nobody/,
  },
};

for (const [alert, { summary, harm, mend, verify: says }] of Object.entries(provocations)) {
  test.serial(`told when it happens: ${alert}`, async (t) => {
    t.timeout(5 * 60_000);
    const since = receiver.alerts.length;
    const told = () => receiver.alerts.slice(since).filter(({ labels, status }) => labels['alertname'] === alert && status === 'firing');
    t.teardown(async () => void (await mend?.()));
    await harm(t);
    const found = await stack.until(async () => told().map(({ annotations }) => annotations['summary']!), (seen) => seen.some((one) => summary.test(one)));
    t.true(found.some((one) => summary.test(one)), `${found.join('\n')}; all: ${JSON.stringify(receiver.alerts.slice(since).map(({ labels }) => labels['alertname']))}`);
    if (says) {
      const checked = await stack.muster('apply', verify);
      t.is(checked.code, 3);
      t.regex(faults(checked), says);
    }
  });
}

test.serial('told when it is over; mail goes out as well; the watchdog goes its own way', async (t) => {
  const over = await stack.until(async () => receiver.alerts.filter(({ labels, status }) => labels['alertname'] === 'TargetDown' && labels['instance'] === 'web2' && status === 'resolved'), (seen) => seen.length > 0);
  t.true(over.length > 0);
  t.regex(receiver.mails.join('\n'), /^To: ops@example\.org\r?$[^]*web2: its node exporter does not answer/m);
  t.true(receiver.watchdogs > 0);
  t.false(receiver.alerts.some(({ labels }) => labels['alertname'] === 'Watchdog'));
});

test.serial('every alert is provoked here, or has its reason', async (t) => {
  const alerts = (await stack.on('mon1', `sed -n 's/^ *- alert: //p' /etc/prometheus/alerts.yml | sort -u`)).split('\n');
  t.deepEqual(alerts.filter((alert) => !(alert in provocations)), ['ClockSkew', 'Watchdog']);
});

test.serial('with users, the page is had over TLS with a password, and not without', async (t) => {
  const hash = await run('openssl', ['passwd', '-6', '-stdin'], { input: 'let me see\n' });
  const applied = await stack.muster('apply', site, ['--limit', 'mon1', '-e', JSON.stringify({ ...eager(), status_page_users: [{ name: 'ops', hash: hash.trim() }], firewall_more_flows: [{ why: 'the status page', to: 'monitoring', ports: [443], from: ['admin'] }] })]);
  t.is(applied.code, 0, applied.told);
  const ca = await readFile(join(stateDir(process.cwd(), stack.lab.name), 'ca/ca.crt'));
  const look = (auth?: string) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const asked = request({ host: stack.address('mon1'), port: 443, path: '/prometheus/api/v1/query?query=up', ca, agent: false, ...(auth === undefined ? {} : { auth }) }, async (answer) => resolve({ status: answer.statusCode!, body: await text(answer) }));
      asked.on('error', reject).end();
    });
  t.like(await look('ops:let me see'), { status: 200 });
  t.regex((await look('ops:let me see')).body, /"status":"success"/);
  for (const auth of [undefined, 'ops:guess']) t.is((await look(auth)).status, 401);
});

/** What verify.yml told of, host after host. */
function faults({ events }: { events: readonly import('../../../src/report/events.js').Event[] }): string {
  return events.flatMap((event) => (event.event === 'item' && event.result.status === 'failed' ? [String(event.result.data['msg'])] : [])).join('\n');
}

interface Alert {
  status: 'firing' | 'resolved';
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** Who is told: a webhook for operators, one for the watchdog, and a mail server, on the lab's bridge. */
class Receiver {
  readonly alerts: Alert[] = [];
  readonly mails: string[] = [];
  watchdogs = 0;

  private constructor(
    private readonly http: Server,
    private readonly mail: TcpServer,
    private readonly address: string,
  ) {}

  static async listen(address: string): Promise<Receiver> {
    const receiver: Receiver = new Receiver(
      createHttp(async (asked, answer) => {
        const { alerts } = (await json(asked)) as { alerts: Alert[] };
        if (asked.url === '/watchdog') receiver.watchdogs++;
        else receiver.alerts.push(...alerts);
        answer.end();
      }),
      createTcp((socket) => {
        let body = false;
        let said = '';
        socket.on('error', () => {});
        socket.write('220 lab ESMTP\r\n');
        socket.on('data', (piece: Buffer) => {
          said += piece.toString();
          for (let end; (end = said.indexOf(body ? '\r\n.\r\n' : '\r\n')) >= 0; ) {
            const part = said.slice(0, end);
            said = said.slice(end + (body ? 5 : 2));
            if (body) receiver.mails.push(part);
            else if (/^QUIT/i.test(part)) return void socket.end('221 bye\r\n');
            socket.write(!body && /^DATA/i.test(part) ? '354 go on\r\n' : '250 ok\r\n');
            body = !body && /^DATA/i.test(part);
          }
        });
      }),
      address,
    );
    for (const server of [receiver.http, receiver.mail]) await new Promise<void>((resolve) => server.listen(0, address, resolve));
    return receiver;
  }

  private at = (server: Server | TcpServer) => `${this.address}:${(server.address() as AddressInfo).port}`;
  get url(): string {
    return `http://${this.at(this.http)}`;
  }
  get smtp(): string {
    return this.at(this.mail);
  }
  close(): void {
    this.http.close();
    this.http.closeAllConnections();
    this.mail.close();
  }
}
