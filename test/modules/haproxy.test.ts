import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, type Server as HttpServer, type ServerResponse } from 'node:http';
import { connect as dial, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { connect } from '../../src/connection/index.js';
import haproxy from '../../src/modules/haproxy.js';
import { ModuleError } from '../../src/modules/module.js';
import { need } from '../connection/shells.js';
import { freePort, makeUser, startSshd, targetOf } from '../connection/sshd.js';
import { talk } from './mariadb.js';

/** A web server that says its name; /slow is answered when it is told to. */
class Web {
  readonly held: ServerResponse[] = [];
  private constructor(readonly name: string, private readonly server: HttpServer) {}
  static async up(name: string, port = 0): Promise<Web> {
    const server = createServer((request, response) => (request.url === '/slow' ? void web.held.push(response) : response.end(name)));
    const web = new Web(name, server);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return web;
  }
  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }
  release(): void {
    for (const response of this.held.splice(0)) response.end(this.name);
  }
  down(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** A real HAProxy before two of them, backend `web` with checks, `plain` without; in `other` only w1. */
async function balancer(t: ExecutionContext) {
  need('haproxy', 'haproxy', 'haproxy');
  const folder = mkdtempSync(join(tmpdir(), 'muster-haproxy-'));
  const [w1, w2] = await Promise.all([Web.up('w1'), Web.up('w2')]);
  const socket = join(folder, 's');
  const port = await freePort();
  const server = (web: Web, more = '') => `    server ${web.name} 127.0.0.1:${web.port} ${more}\n`;
  const check = 'check inter 100ms rise 2 fall 2 weight 40';
  writeFileSync(
    join(folder, 'cfg'),
    `global\n    stats socket ${socket} mode 600 level admin\n    stats socket ${socket}.read mode 600 level user\n` +
      'defaults\n    mode http\n    timeout connect 2s\n    timeout client 30s\n    timeout server 30s\n' +
      `frontend front\n    bind 127.0.0.1:${port}\n    default_backend web\n` +
      `backend web\n    balance roundrobin\n${server(w1, check)}${server(w2, check)}` +
      `backend plain\n${server(w1)}    server spare 127.0.0.1:1 disabled\nbackend other\n${server(w1, 'weight 10')}`,
  );
  const process = spawn('/usr/sbin/haproxy', ['-db', '-f', join(folder, 'cfg')], { stdio: ['ignore', 'ignore', 'pipe'] });
  const log = text(process.stderr);
  t.teardown(async () => {
    process.kill('SIGKILL');
    await log;
    w1.down();
    w2.down();
    rmSync(folder, { recursive: true });
  });
  while (!existsSync(socket)) {
    if (process.exitCode !== null) throw new Error(await log);
    await sleep(20);
  }
  const say = async (commands: string): Promise<string> => {
    const stream = dial(socket);
    stream.write(`${commands}\n`);
    return text(stream);
  };
  /** Status of a server, as the statistics have it. */
  const status = async (path: string) => new RegExp(`^${path.replace('/', ',')},(?:[^,]*,){15}([^,]*),`, 'm').exec(await say('show stat'))?.[1];
  const until = async (path: string, wanted: string) => {
    while ((await status(path)) !== wanted) await sleep(20);
  };
  /** A request through the balancer: the name of who answered. */
  const ask = (path = '/') =>
    new Promise<string>((resolve, reject) => {
      get({ host: '127.0.0.1', port, path, agent: false }, (answer) => void text(answer).then(resolve, reject)).on('error', reject);
    });
  await until('web/w1', 'UP');
  await until('web/w2', 'UP');
  return { w1, w2, socket, say, status, until, ask, args: { socket, backend: 'web', host: 'w1' } };
}

const fields = (changes: { field: string; from: unknown; to: unknown }[]) => changes.map(({ field, from, to }) => `${field}: ${from} -> ${to}`);

test('a server is drained, and put back', async (t) => {
  const { args, status, ask } = await balancer(t);
  const { plan, apply } = talk(t);
  t.deepEqual(await plan(haproxy, { ...args, state: 'enabled', wait: true }), []);
  t.deepEqual(fields(await plan(haproxy, { ...args, state: 'drain' })), ['web/w1 state: enabled -> drain']);
  t.is(await status('web/w1'), 'UP', 'a plan changes nothing');

  const drained = await apply(haproxy, { ...args, state: 'drain', drain: true });
  t.like(drained.result, { changed: true, state_before: [{ backend: 'web', name: 'w1', state: 'enabled', status: 'UP', weight: 40 }], state_after: [{ state: 'drain', status: 'DRAIN', sessions: 0 }] });
  t.deepEqual(await Promise.all([1, 2, 3, 4].map(() => ask())), ['w2', 'w2', 'w2', 'w2']);
  t.deepEqual((await apply(haproxy, { ...args, state: 'drain', drain: true })).changes, []);

  await apply(haproxy, { ...args, state: 'enabled', wait: true });
  t.is(await status('web/w1'), 'UP');
  t.deepEqual((await Promise.all([1, 2, 3, 4].map(() => ask()))).sort(), ['w1', 'w1', 'w2', 'w2']);
});

test('draining waits for what is under way, with a limit', async (t) => {
  const { args, w1, w2, ask } = await balancer(t);
  const { plan, apply } = talk(t);
  const slow = [ask('/slow'), ask('/slow')];
  while (w1.held.length + w2.held.length < 2) await sleep(10);
  const drain = { ...args, state: 'drain', drain: true, wait_interval: 1 };
  t.deepEqual(fields(await plan(haproxy, drain)), ['web/w1 state: enabled -> drain', 'web/w1 sessions: 1 -> 0']);
  const error = await t.throwsAsync(apply(haproxy, { ...drain, wait_retries: 2 }), { instanceOf: ModuleError, message: 'web/w1 still has 1 session, after 2 looks 1 s apart' });
  t.like(error as ModuleError, { fields: { changed: true, state_before: [{ state: 'enabled' }], state_after: [{ state: 'drain', sessions: 1 }] } });

  t.deepEqual(fields(await plan(haproxy, drain)), ['web/w1 sessions: 1 -> 0']);
  setTimeout(() => w1.release(), 300);
  t.like((await apply(haproxy, drain)).result, { changed: false, state_after: [{ sessions: 0 }] });
  w2.release();
  t.deepEqual((await Promise.all(slow)).sort(), ['w1', 'w2']);
});

test('maintenance: at once, after draining, or ending what is under way', async (t) => {
  const { args, w1, w2, ask, status } = await balancer(t);
  const { plan, apply } = talk(t);
  await apply(haproxy, { ...args, state: 'disabled', wait: true });
  t.is(await status('web/w1'), 'MAINT');
  t.deepEqual(await plan(haproxy, { ...args, state: 'disabled' }), []);
  t.deepEqual(fields(await plan(haproxy, { ...args, state: 'drain' })), ['web/w1 state: disabled -> drain']);
  await apply(haproxy, { ...args, state: 'enabled', wait: true, wait_interval: 1 });
  t.is(await status('web/w1'), 'UP');

  const slow = [ask('/slow'), ask('/slow')].map((answer) => answer.catch((error: Error) => error.message));
  while (w1.held.length + w2.held.length < 2) await sleep(10);
  setTimeout(() => w1.release(), 300);
  await apply(haproxy, { ...args, state: 'disabled', drain: true, wait_interval: 1 });
  t.is(await status('web/w1'), 'MAINT');

  await apply(haproxy, { ...args, host: 'w2', state: 'disabled', shutdown_sessions: true });
  t.deepEqual((await Promise.all(slow)).filter((answer) => answer === 'w1' || answer === 'w2'), ['w1']);
});

test('a server that does not come up is not waited for for ever', async (t) => {
  const { args, w1, until } = await balancer(t);
  const { apply } = talk(t);
  await apply(haproxy, { ...args, state: 'disabled' });
  const { port } = w1;
  w1.down();
  const enable = { ...args, state: 'enabled', wait: true, wait_interval: 1 };
  await t.throwsAsync(apply(haproxy, { ...enable, wait_retries: 2 }), { message: /web\/w1 is (DOWN|UP 1\/2), not UP, after 2 looks/ });
  await until('web/w1', 'DOWN');
  const back = await Web.up('w1', port);
  t.teardown(() => back.down());
  t.like((await apply(haproxy, enable)).result, { changed: false });
});

test('the last that serves is not taken out', async (t) => {
  const { args, w2, until, status } = await balancer(t);
  const { plan, apply } = talk(t);
  const drain = { ...args, state: 'drain', others_up: 1 };
  t.is((await plan(haproxy, drain)).length, 1);
  w2.down();
  await until('web/w2', 'DOWN');
  await t.throwsAsync(apply(haproxy, drain), { instanceOf: ModuleError, message: 'web/w1 is not taken out: too few others would be left to serve (w2 is DOWN)' });
  t.is(await status('web/w1'), 'UP');
  await t.throwsAsync(plan(haproxy, { ...drain, backend: 'other' }), { message: /there is no other/ });
  await apply(haproxy, { ...args, state: 'drain' });
});

test('weights and checks', async (t) => {
  const { args, say } = await balancer(t);
  const { plan, apply } = talk(t);
  t.deepEqual(fields((await apply(haproxy, { ...args, state: 'enabled', weight: '50%' })).changes), ['web/w1 weight: 40 -> 20']);
  t.deepEqual(fields((await apply(haproxy, { ...args, state: 'enabled', weight: 7 })).changes), ['web/w1 weight: 20 -> 7']);
  await apply(haproxy, { ...args, state: 'enabled', weight: 0 });
  t.regex(await say('get weight web/w1'), /^0 \(initial 40\)/);
  await apply(haproxy, { ...args, state: 'enabled', weight: '100%', wait: true });
  t.deepEqual(fields((await apply(haproxy, { ...args, state: 'disabled', health: true, agent: true })).changes), ['web/w1 state: enabled -> disabled', 'web/w1 health checks: true -> false']);
  t.deepEqual(fields((await apply(haproxy, { ...args, state: 'enabled', health: true })).changes), ['web/w1 state: disabled -> enabled', 'web/w1 health checks: false -> true']);
  t.deepEqual(await plan(haproxy, { ...args, state: 'enabled', health: true, agent: true, weight: 40 }), []);
  for (const wrong of [{ weight: '101%' }, { weight: 257 }, { weight: 'much' }, { host: 'w1; set server web/w2 state maint' }, { backend: 'a b' }, { wait_retries: 0 }])
    t.false(haproxy.params.safeParse({ ...args, state: 'enabled', ...wrong }).success, JSON.stringify(wrong));
});

test('every backend that has the server, and servers that are not there', async (t) => {
  const { args, status } = await balancer(t);
  const { plan, apply } = talk(t);
  const { changes } = await apply(haproxy, { ...args, backend: undefined, state: 'drain' });
  t.deepEqual(fields(changes), ['web/w1', 'plain/w1', 'other/w1'].map((at) => `${at} state: enabled -> drain`));
  t.deepEqual(fields((await apply(haproxy, { ...args, backend: undefined, host: 'spare', state: 'enabled' })).changes), ['plain/spare state: disabled -> enabled']);
  t.is(await status('plain/spare'), 'no check');
  t.deepEqual(await plan(haproxy, { ...args, host: 'w9', state: 'drain' }), []);
  await t.throwsAsync(plan(haproxy, { ...args, host: 'w9', state: 'drain', fail_on_not_found: true }), { instanceOf: ModuleError, message: 'HAProxy has no server web/w9; it has web/w1, web/w2, plain/w1, plain/spare, other/w1' });
});

test('a socket that is not there, or may only be read', async (t) => {
  const { args, socket } = await balancer(t);
  const { plan, apply } = talk(t);
  await t.throwsAsync(plan(haproxy, { ...args, state: 'drain', socket: '/nowhere/admin.sock' }), { instanceOf: ModuleError, message: /\/nowhere\/admin\.sock/ });
  await t.throwsAsync(apply(haproxy, { ...args, state: 'drain', socket: `${socket}.read` }), { instanceOf: ModuleError, message: /^HAProxy/ });
});

test('through SSH, as another user by sudo', async (t) => {
  const { args, status } = await balancer(t);
  const sshd = await startSshd();
  t.teardown(() => sshd.stop());
  const name = `muster-ha-${process.pid}`;
  const user = makeUser(name, 'pass word', 'ALL=(ALL) ALL');
  t.teardown(() => user.remove());
  const sudo = { method: 'sudo', user: 'root', flags: undefined, password: 'pass word' } as const;
  const { apply } = talk(t, connect(targetOf(sshd, { user: name, privateKeyFile: undefined, password: 'pass word' })), sudo);
  await apply(haproxy, { ...args, state: 'drain', drain: true });
  t.is(await status('web/w1'), 'DRAIN');
});
