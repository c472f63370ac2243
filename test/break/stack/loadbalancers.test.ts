import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { stateDir } from '../../../src/lab/lab.js';
import { powerOff } from '../../e2e/power.js';
import { Stack, type Asked } from '../../e2e/stack.js';

const site = 'playbooks/site.yml';
const balancers = ['lb1', 'lb2'];
let stack: Stack;

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.converged();
});

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const socket = '/run/haproxy/admin.sock';
const haproxy = (host: string, command: string) => stack.on(host, `echo '${command}' | socat -t5 - ${socket}`);

interface Seen {
  at: number;
  status: number;
  server: string;
  why: string;
}

/** Clients that ask as fast as they are answered, each time on a new connection, until they are told to stop. */
function load(clients = 4, path = '/notes', options: Asked = {}): { seen: Seen[]; stop: () => Promise<Seen[]> } {
  const seen: Seen[] = [];
  let asking = true;
  const ask = async () => {
    while (asking) {
      const at = Date.now();
      seen.push(
        await stack.ask(path, options).then(
          ({ status, headers, body }) => ({ at, status, server: String(headers['x-served-by']), why: status === 200 ? '' : body }),
          (error: Error) => ({ at, status: 0, server: '', why: error.message }),
        ),
      );
    }
  };
  const running = Array.from({ length: clients }, ask);
  return {
    seen,
    async stop() {
      asking = false;
      await Promise.all(running);
      return seen;
    },
  };
}
const failed = (seen: readonly Seen[]) => seen.filter(({ status }) => status !== 200);

/** When the first request began that was answered after those that were not. */
function backAfter(seen: readonly Seen[], from: number): number {
  const unanswered = failed(seen.filter(({ at }) => at >= from));
  const last = Math.max(...unanswered.map(({ at }) => at));
  const back = seen.filter(({ at, status }) => at > last && status === 200).map(({ at }) => at);
  if (unanswered.length === 0 || back.length === 0) throw new Error(`${unanswered.length} requests failed, ${back.length} were answered after that`);
  return Math.min(...back);
}

/** The state of a server on a balancer, as its statistics tell it: UP, DOWN, DRAIN, … */
async function stateOf(balancer: string, server: string): Promise<string> {
  const lines = (await haproxy(balancer, 'show stat web 4 -1')).split('\n');
  return lines.find((line) => line.startsWith(`web,${server},`))!.split(',')[17]!;
}
/** Waits until a server is in a state on all balancers. */
async function settled(server: string, wanted: RegExp): Promise<void> {
  for (const balancer of balancers) {
    const state = await stack.until(() => stateOf(balancer, server), (state) => wanted.test(state));
    if (!wanted.test(state)) throw new Error(`${server} is ${state} on ${balancer}`);
  }
}

/** Hosts that have an address. */
async function holders(address: string, among = balancers): Promise<string[]> {
  const found = await Promise.all(among.map(async (host) => ((await stack.on(host, 'ip -br -4 address show')).includes(` ${address}/`) ? [host] : [])));
  return found.flat();
}
const holder = async (): Promise<string> => {
  const found = await stack.until(() => holders(stack.virtual), ({ length }) => length === 1);
  if (found.length !== 1) throw new Error(`the address is on ${found.join(' and ') || 'no balancer'}`);
  return found[0]!;
};
const other = (balancer: string) => balancers.find((name) => name !== balancer)!;

test.serial('a web server is killed under load: no request fails', async (t) => {
  const clients = load();
  await stack.until(async () => clients.seen.length, (count) => count > 50);
  await stack.on('web1', 'systemctl kill --signal=KILL nginx; sleep 1; systemctl is-active nginx || true');
  const killed = Date.now();
  await settled('web1', /^DOWN/);
  await stack.until(async () => clients.seen.filter(({ at }) => at > killed).length, (count) => count > 100);
  await stack.on('web1', 'systemctl start nginx');
  await settled('web1', /^UP/);
  const seen = await clients.stop();
  t.log(`${seen.length} requests, ${failed(seen).length} failed`);
  t.deepEqual(failed(seen), []);
});

test.serial('HAProxy is reloaded twenty times under load: no request fails', async (t) => {
  const active = await holder();
  const clients = load();
  for (let i = 0; i < 20; i++) await stack.on(active, 'systemctl reload haproxy');
  const seen = await clients.stop();
  t.log(`${seen.length} requests, ${failed(seen).length} failed`);
  t.deepEqual(failed(seen), []);
  t.true(seen.length > 100);
});

test.serial('a drained server stays drained over a reload, and a changed port counts', async (t) => {
  for (const balancer of balancers) await haproxy(balancer, 'set server web/web2 state drain');
  await stack.on('lb1', 'systemctl reload haproxy');
  t.regex(await stateOf('lb1', 'web2'), /^DRAIN/);
  const moved = await stack.muster('apply', site, ['--limit', 'web:loadbalancers', '-e', 'web_port=8081', '-e', 'app_port=8081', '-e', 'haproxy_backend_port=8081']);
  t.is(moved.code, 0, moved.told);
  for (const balancer of balancers) {
    const states = await haproxy(balancer, 'show servers state web');
    for (const server of ['web1', 'web2']) t.regex(states, new RegExp(`^\\d+ web \\d+ ${server} ${stack.address(server)} .* 8081 `, 'm'));
  }
  await settled('web1', /^UP/);
  await settled('web2', /^DRAIN/);
  const seen = [];
  for (let i = 0; i < 20; i++) seen.push((await stack.ask('/notes')).headers['x-served-by']);
  t.deepEqual([...new Set(seen)], ['web1']);
  // A restart is a new beginning: what was drained then is not known any more.
  await stack.on('lb1', 'systemctl restart haproxy');
  t.notRegex(await stateOf('lb1', 'web2'), /^DRAIN/);
  for (const balancer of balancers) await haproxy(balancer, 'set server web/web2 state ready');
  const back = await stack.muster('apply', site, ['--limit', 'web:loadbalancers']);
  t.is(back.code, 0, back.told);
  for (const server of ['web1', 'web2']) await settled(server, /^UP/);
});

test.serial('a configuration that passes the check and does not start is taken back', async (t) => {
  const look = 'sha256sum /etc/haproxy/haproxy.cfg; systemctl show -p MainPID,ActiveEnterTimestamp haproxy';
  const before = await stack.on('lb1', look);
  const clients = load(2);
  const apply = await stack.muster('apply', site, ['--limit', 'loadbalancers', '-e', 'haproxy_maxconn=2000000']);
  const seen = await clients.stop();
  t.is(apply.code, 3);
  t.regex(apply.told, /haproxy\.cfg passes the check, but does not start:\\n.*Cannot raise FD limit/);
  t.regex(apply.told, /the configuration from before is back and runs; the new one is kept as \/etc\/haproxy\/haproxy\.cfg\.refused/);
  t.is(await stack.on('lb1', look), before);
  t.deepEqual(failed(seen), []);
  // The reload that failed is owed still; nothing else is left to do for the configuration that was wanted before.
  const plan = await stack.muster('plan', site, ['--limit', 'loadbalancers']);
  t.is(plan.code, 2);
  t.deepEqual([...new Set(plan.results('changed', 'unknown', 'failed').map(({ task }) => task))], ['haproxy : Reload HAProxy']);
  t.is((await stack.muster('apply', site, ['--limit', 'loadbalancers'])).code, 0);
  const again = await stack.muster('plan', site, ['--limit', 'loadbalancers']);
  t.is(again.code, 0, JSON.stringify(again.results('changed', 'unknown', 'failed')));
  for (const balancer of balancers) await stack.on(balancer, 'rm /etc/haproxy/haproxy.cfg.refused');
});

test.serial('the algorithm, weights and servers that only wait are variables', async (t) => {
  const counts = async () => {
    const seen: Record<string, number> = {};
    for (let i = 0; i < 40; i++) {
      const server = String((await stack.ask('/notes')).headers['x-served-by']);
      seen[server] = (seen[server] ?? 0) + 1;
    }
    return seen;
  };
  const vars = async (of: object) => {
    const run = await stack.muster('apply', site, ['--limit', 'loadbalancers', '-e', JSON.stringify({ haproxy_slowstart: '1s', ...of })]);
    t.is(run.code, 0, run.told);
    for (const server of ['web1', 'web2']) await settled(server, /^UP/);
    await pause(1500);
  };
  await vars({ haproxy_weights: { web1: 3 } });
  t.deepEqual(await counts(), { web1: 30, web2: 10 });
  await vars({ haproxy_backup_servers: ['web2'] });
  t.deepEqual(await counts(), { web1: 40 });
  await stack.on('web1', 'systemctl stop nginx');
  await settled('web1', /^DOWN/);
  t.deepEqual(await counts(), { web2: 40 });
  await stack.on('web1', 'systemctl start nginx');
  await vars({ haproxy_balance: 'leastconn' });
  t.regex(await stack.on('lb1', 'cat /etc/haproxy/haproxy.cfg'), /^ {4}balance leastconn$/m);
});

test.serial('the active balancer loses its power: the address moves within 5 s, to one holder, and stays there', async (t) => {
  t.timeout(5 * 60_000);
  const active = await holder();
  const passive = other(active);
  const clients = load(2, '/notes', { timeout: 500 });
  await stack.until(async () => clients.seen.length, (count) => count > 20);
  const off = Date.now();
  await powerOff(stack.lab.name, active);
  await stack.until(() => holders(stack.virtual, [passive]), ({ length }) => length === 1);
  await stack.until(async () => clients.seen.filter(({ at, status }) => at > off && status === 200).length, (count) => count > 20);
  const seen = await clients.stop();
  const again = backAfter(seen, off);
  t.log(`answered again ${((again - off) / 1000).toFixed(1)} s after the power was cut`);
  t.true(again - off <= 5000, `${again - off} ms`);
  // It comes back, and takes nothing from the one that works.
  stack = await stack.powerOn();
  await stack.until(() => stack.tried(active, 'systemctl is-active keepalived haproxy'), (state) => state === 'active\nactive');
  await pause(5000);
  t.deepEqual(await holders(stack.virtual), [passive]);
});

test.serial('a balancer whose HAProxy does not answer gives the address up', async (t) => {
  const active = await holder();
  const clients = load(2, '/notes', { timeout: 1000 });
  const stopped = Date.now();
  // Stopped in its tracks, not ended: the process is there and nothing comes of it.
  await stack.on(active, 'systemctl kill --signal=STOP haproxy');
  t.deepEqual(await stack.until(() => holders(stack.virtual), (found) => found[0] === other(active)), [other(active)]);
  await stack.until(async () => clients.seen.at(-1)?.status, (status) => status === 200);
  const seen = await clients.stop();
  t.log(`answered again ${((backAfter(seen, stopped) - stopped) / 1000).toFixed(1)} s after HAProxy stopped`);
  await stack.on(active, 'systemctl kill --signal=CONT haproxy');
  await pause(4000);
  t.deepEqual(await holders(stack.virtual), [other(active)]);
});

test.serial('keepalived is killed: it runs again, and one balancer holds the address', async (t) => {
  const active = await holder();
  await stack.on(active, 'systemctl kill --signal=KILL keepalived');
  t.is(await stack.until(() => stack.tried(active, 'systemctl is-active keepalived'), (state) => state === 'active'), 'active');
  await pause(6000);
  t.is((await holders(stack.virtual)).length, 1);
  t.is((await stack.ask('/notes')).status, 200);
});

test.serial('both balancers are active with two addresses, and each stands in for the other', async (t) => {
  t.timeout(5 * 60_000);
  const second = `${stack.lab.net}.101`;
  const both = ['--limit', 'loadbalancers', '-e', JSON.stringify({ keepalived_addresses: [stack.virtual, second] })];
  const apply = await stack.muster('apply', site, both);
  t.is(apply.code, 0, apply.told);
  const where = async () => [await holders(stack.virtual), await holders(second)].map((found) => found.join());
  const settledAt = (wanted: string) => stack.until(where, (found) => found.join(' ') === wanted);
  t.deepEqual(await settledAt('lb1 lb2'), ['lb1', 'lb2']);
  for (const host of [stack.virtual, second]) t.is((await stack.ask('/notes', { host, tls: true })).status, 200);
  t.is((await stack.muster('plan', site, both)).code, 0);
  await stack.on('lb2', 'systemctl stop haproxy');
  t.deepEqual(await settledAt('lb1 lb1'), ['lb1', 'lb1']);
  t.is((await stack.ask('/notes', { host: second, tls: true })).status, 200);
  await stack.on('lb2', 'systemctl start haproxy');
  t.deepEqual(await settledAt('lb1 lb2'), ['lb1', 'lb2']);
  const one = await stack.muster('apply', site, ['--limit', 'loadbalancers']);
  t.is(one.code, 0, one.told);
  await stack.until(() => holders(second), ({ length }) => length === 0);
  t.deepEqual(await holders(second), []);
  t.is((await holders(stack.virtual)).length, 1);
});

test.serial('both balancers get a certificate by ACME, whichever holds the address, and renew it by themselves', async (t) => {
  t.timeout(8 * 60_000);
  const name = 'www.lab.example';
  // Debian's test authority, on a host of its own; names lead to the virtual address there.
  const project = await mkdtemp(join(tmpdir(), 'muster-acme-'));
  t.teardown(() => rm(project, { recursive: true }));
  await writeFile(join(project, 'pebble.yml'), `- hosts: pebble
  become: true
  tasks:
    - apt: {name: pebble, update_cache: true, cache_valid_time: 86400}
    - include_role: {name: certificate}
      vars: {certificate_name: pebble, certificate_dir: /etc/pebble, certificate_sans: [db3]}
    - copy:
        dest: /etc/pebble/config.json
        content:
          pebble: {listenAddress: "0.0.0.0:14000", managementListenAddress: "0.0.0.0:15000", certificate: /etc/pebble/pebble.crt, privateKey: /etc/pebble/pebble.key, httpPort: 80, tlsPort: 443, ocspResponderURL: "", externalAccountBindingRequired: false}
    - shell: |
        systemd-run --unit=names pebble-challtestsrv -defaultIPv4 ${stack.virtual} -defaultIPv6 '' -http01 '' -https01 '' -tlsalpn01 ''
        systemd-run --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_AUTHZREUSE=0 --setenv=PEBBLE_WFE_NONCEREJECT=0 pebble -config /etc/pebble/config.json -dnsserver 127.0.0.1:8053
    - wait_for: {port: 14000, timeout: 30}
`);
  await writeFile(join(project, 'hosts.yml'), `pebble: {hosts: {db3: {ansible_host: ${stack.address('db3')}}}}\n`);
  const pebble = await stack.muster('apply', join(project, 'pebble.yml'), ['-i', join(project, 'hosts.yml'), '-e', `lab_dir=${stateDir(process.cwd(), stack.lab.name)}`]);
  t.is(pebble.code, 0, pebble.told);
  const acme = ['--limit', 'loadbalancers', '-e', JSON.stringify({
    haproxy_certificate_mode: 'acme',
    haproxy_certificate_sans: [name],
    certificate_acme_directory: 'https://db3:14000/dir',
    certificate_acme_ca: stack.authority.toString(),
  })];
  const apply = await stack.muster('apply', site, acme);
  t.is(apply.code, 0, apply.told);
  t.deepEqual((await stack.muster('apply', site, acme)).results('changed'), []);
  t.is((await stack.muster('plan', site, acme)).code, 0);
  const served = (balancer: string) => stack.on('web1', `echo | openssl s_client -connect ${stack.address(balancer)}:443 -servername ${name} 2>/dev/null | openssl x509 -noout -issuer -serial -ext subjectAltName`);
  for (const balancer of balancers) t.regex(await served(balancer), new RegExp(`issuer=CN = Pebble Intermediate CA[^]*DNS:${name}$`));
  // The one without the address: its challenge is answered through the other.
  const passive = other(await holder());
  const before = await served(passive);
  const clients = load(2, '/notes', { rejectUnauthorized: false });
  t.regex(await stack.on(passive, 'dehydrated --cron --force'), /Challenge is valid/);
  const after = await stack.until(() => served(passive), (now) => now !== before);
  t.not(after, before);
  t.regex(after, /Pebble Intermediate CA/);
  t.deepEqual(failed(await clients.stop()), []);
  t.is(await stack.on(passive, 'systemctl is-enabled dehydrated.timer; systemctl is-active dehydrated.timer'), 'enabled\nactive');
  const back = await stack.muster('apply', site, ['--limit', 'loadbalancers']);
  t.is(back.code, 0, back.told);
  t.is((await stack.ask('/notes')).status, 200);
});
