import { randomBytes } from 'node:crypto';
import { spawn, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { connect, ConnectionError, sshArguments, type Connection, type Target, type Trip } from '../../src/connection/index.js';
import { sh } from '../../src/shell/sh.js';
import { effect, inspection } from './shells.js';
import { freePort, keygen, makeUser, startSshd, targetOf, type Sshd } from './sshd.js';

let sshd: Sshd;
test.before(async () => {
  sshd = await startSshd({ config: 'PasswordAuthentication yes' });
});
test.after.always(() => sshd?.stop());

function open(t: ExecutionContext, target: Target): Connection {
  const connection = connect(target);
  t.teardown(() => connection.close());
  return connection;
}

const ask = (...scripts: string[]): Trip => ({ effect: undefined, inspections: scripts.map((script) => inspection(script)) });

async function refused(t: ExecutionContext, target: Target): Promise<ConnectionError> {
  const error = await t.throwsAsync(async () => open(t, target).trip(ask('echo in')));
  t.true(error instanceof ConnectionError, String(error));
  return error as ConnectionError;
}

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('a trip over ssh, twice over one connection', async (t) => {
  const connection = open(t, targetOf(sshd));
  const first = await connection.trip({ effect: effect('echo done; exit 4'), inspections: [inspection('id -un'), inspection('echo "$LC_ALL"')] });
  t.deepEqual(first.effect, { rc: 4, stdout: 'done\n', stderr: '' });
  t.deepEqual(first.inspections.map(({ stdout }) => stdout), ['root\n', 'C\n']);
  const { roundTrips } = connection.counters;
  const second = await connection.trip(ask('echo "$SSH_CONNECTION"'));
  const third = await connection.trip(ask('echo "$SSH_CONNECTION"'));
  t.is(second.inspections[0]!.stdout, third.inspections[0]!.stdout);
  t.is(connection.counters.trips, 3);
  // TCP, versions, algorithms, key exchange, the service, the key's offer and its proof, the channel, the shell, the script; more where sshd
  // says in two pieces what fits into one.
  t.true(roundTrips >= 9 && roundTrips <= 13, String(roundTrips));
  t.is(connection.counters.roundTrips, roundTrips + 2, 'a shell was kept ready');
  t.true(connection.counters.bytesOut > 0 && connection.counters.bytesIn > 0 && connection.counters.connecting > 0);
});

test('behind the last trip no shell is kept ready', async (t) => {
  const connection = open(t, targetOf(sshd));
  await connection.trip({ effect: effect('true'), inspections: [], isLast: true });
  const { roundTrips } = connection.counters;
  await connection.trip(ask('true'));
  t.is(connection.counters.roundTrips, roundTrips + 3);
});

test('an unknown host key is refused with its fingerprint, accepted and remembered by accept-new', async (t) => {
  const file = join(scratch(t), 'known_hosts');
  const error = await refused(t, targetOf(sshd, { knownHostsFile: file }));
  t.is(error.kind, 'host-key');
  const fingerprint = execFileSync('ssh-keygen', ['-lf', join(sshd.folder, 'host.pub')]).toString().split(' ')[1]!;
  t.true(error.message.includes(fingerprint), error.message);
  t.regex(error.remedy!, /ssh-keyscan -t ed25519 -p \d+ 127\.0\.0\.1/);
  t.false(existsSync(file));

  await open(t, targetOf(sshd, { knownHostsFile: file, hostKeyChecking: 'accept-new' })).trip(ask(':'));
  await open(t, targetOf(sshd, { knownHostsFile: file, hostKeyChecking: 'yes' })).trip(ask(':'));
  t.is(readFileSync(file, 'utf8').trim().split('\n').length, 1);
});

test('a changed key is refused, whatever is said of unknown ones, except by off', async (t) => {
  const folder = scratch(t);
  const file = join(folder, 'known_hosts');
  const other = readFileSync(`${keygen(join(folder, 'other'))}.pub`, 'utf8');
  writeFileSync(file, `[127.0.0.1]:${sshd.port} ${other}`);
  for (const hostKeyChecking of ['yes', 'accept-new'] as const) {
    const error = await refused(t, targetOf(sshd, { knownHostsFile: file, hostKeyChecking }));
    t.is(error.kind, 'host-key');
    t.regex(error.message, /has changed/);
    t.true(error.remedy!.includes(`ssh-keygen -R '[127.0.0.1]:${sshd.port}' -f ${file}`));
  }
  await open(t, targetOf(sshd, { knownHostsFile: file, hostKeyChecking: 'off' })).trip(ask(':'));
  t.pass();
});

test('a revoked key is refused', async (t) => {
  const file = join(scratch(t), 'known_hosts');
  writeFileSync(file, `@revoked * ${readFileSync(join(sshd.folder, 'host.pub'), 'utf8')}${readFileSync(sshd.knownHosts, 'utf8')}`);
  const error = await refused(t, targetOf(sshd, { knownHostsFile: file }));
  t.is(error.kind, 'host-key');
  t.regex(error.message, /revoked/);
});

test('of several host keys the one on record is asked for', async (t) => {
  const folder = scratch(t);
  const rsa = keygen(join(folder, 'rsa'), '-t', 'rsa', '-b', '2048');
  const both = await startSshd({ config: `HostKey ${rsa}` });
  t.teardown(() => both.stop());
  const file = join(folder, 'known_hosts');
  writeFileSync(file, `[127.0.0.1]:${both.port} ${readFileSync(`${rsa}.pub`, 'utf8')}`);
  await open(t, targetOf(both, { knownHostsFile: file })).trip(ask(':'));
  t.pass();
});

test('a wrong key is an authentication failure that lists what was tried', async (t) => {
  const key = keygen(join(scratch(t), 'wrong'));
  const error = await refused(t, targetOf(sshd, { privateKeyFile: key }));
  t.is(error.kind, 'authentication');
  t.true(error.message.includes(`key ${key}`), error.message);
});

test('a key is shown without asking first what sshd accepts; a password is not', async (t) => {
  const talkative = await startSshd({ config: 'LogLevel DEBUG1\nPasswordAuthentication yes' });
  t.teardown(() => talkative.stop());
  let log = '';
  talkative.process.stderr!.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const methods = (): string[] => [...log.matchAll(/userauth-request for user root .* method (\S+)/g)].map(([, method]) => method!);
  await open(t, targetOf(talkative)).trip(ask(':'));
  t.deepEqual(methods(), ['publickey', 'publickey'], 'whether the key is welcome, and its signature');
  log = '';
  await refused(t, targetOf(talkative, { privateKeyFile: undefined, password: 'wrong' }));
  t.is(methods()[0], 'none');
});

test('a key with a passphrase is used when the passphrase is told, or by the agent, and refused otherwise', async (t) => {
  const folder = scratch(t);
  const key = join(folder, 'locked');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-f', key]);
  const own = await startSshd();
  t.teardown(() => own.stop());
  writeFileSync(join(own.folder, 'authorized_keys'), readFileSync(`${key}.pub`));
  const target = targetOf(own, { privateKeyFile: key });
  const error = await refused(t, target);
  t.is(error.kind, 'authentication');
  t.regex(error.remedy!, /ssh-add/);

  const told = await open(t, { ...target, askPassphrase: async () => 'open sesame' }).trip(ask('echo in'));
  t.is(told.inspections[0]!.stdout, 'in\n');

  const socket = join(folder, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  t.teardown(() => void agent.kill());
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
  execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket, SSH_ASKPASS_REQUIRE: 'force', SSH_ASKPASS: askpass(folder, 'open sesame') }, stdio: 'ignore' });
  const config = join(folder, 'config');
  writeFileSync(config, `Host *\n  IdentityAgent ${socket}\n`);
  const byAgent = await open(t, { ...target, privateKeyFile: undefined, sshConfigFile: config }).trip(ask('echo in'));
  t.is(byAgent.inspections[0]!.stdout, 'in\n');
});

function askpass(folder: string, answer: string): string {
  const path = join(folder, 'askpass');
  writeFileSync(path, sh`#!/bin/sh\necho ${answer}\n`.text, { mode: 0o700 });
  return path;
}

test('a closed port, a name without address and a jump host that is none are told apart', async (t) => {
  const port = await freePort();
  t.is((await refused(t, targetOf(sshd, { port }))).kind, 'refused');
  t.is((await refused(t, targetOf(sshd, { host: 'no-such-host.invalid' }))).kind, 'name');
});

test('something that is not sshd is not waited for without end', async (t) => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.teardown(() => void server.close());
  const { port } = server.address() as { port: number };
  t.is((await refused(t, targetOf(sshd, { port, connectTimeout: 1 }))).kind, 'timeout');
});

test('a jump host, by ssh_config, whose link is shared', async (t) => {
  const folder = scratch(t);
  const jump = await startSshd();
  t.teardown(() => jump.stop());
  const config = join(folder, 'config');
  const known = join(folder, 'known');
  writeFileSync(known, readFileSync(sshd.knownHosts, 'utf8') + readFileSync(jump.knownHosts, 'utf8'));
  writeFileSync(config, `Host gate\n  HostName 127.0.0.1\n  Port ${jump.port}\n  User root\n  IdentityFile ${jump.key}\nHost inner*\n  HostName 127.0.0.1\n  ProxyJump gate\n`);
  const target = targetOf(sshd, { host: 'inner1', sshConfigFile: config, knownHostsFile: known });
  const [one, two] = [open(t, target), open(t, { ...target, host: 'inner2' })];
  const answers = await Promise.all([one, two].map((connection) => connection.trip(ask('echo in'))));
  t.deepEqual(answers.map(({ inspections }) => inspections[0]!.stdout), ['in\n', 'in\n']);
  const sessions = execFileSync('sh', ['-c', `cat /proc/net/tcp | awk '$4 == "01"' | grep -ci ":${jump.port.toString(16).padStart(4, '0')} "`]).toString();
  t.is(Number(sessions), 2, 'one connection to the jump host, seen from both its ends');
});

test('through a ProxyCommand, from ssh_config and from arguments of ssh', async (t) => {
  const relay = join(scratch(t), 'relay.js');
  writeFileSync(relay, `const s = require('net').connect(+process.argv[3], process.argv[2]); process.stdin.pipe(s); s.pipe(process.stdout); s.on('close', () => process.exit());`);
  const command = `${process.execPath} ${relay} 127.0.0.1 ${sshd.port}`;
  const file = join(scratch(t), 'config');
  writeFileSync(file, `ProxyCommand ${command}\n`);
  const nowhere = { host: 'nowhere.invalid', port: 1, hostKeyChecking: 'off' } as const;
  for (const more of [{ sshConfigFile: file }, { sshOptions: sshArguments(`-C -o ControlPersist=60s -o ProxyCommand="${command}"`).options }]) {
    const { inspections } = await open(t, targetOf(sshd, { ...nowhere, ...more })).trip(ask('echo in'));
    t.is(inspections[0]!.stdout, 'in\n');
  }
  const error = await refused(t, targetOf(sshd, { ...nowhere, sshOptions: 'ProxyCommand echo no such gate >&2; exit 1' }));
  t.regex(error.message, /ProxyCommand .*no such gate/);
});

test('sshd that hangs up before it has said who it is, as with MaxStartups, is tried again', async (t) => {
  let calls = 0;
  const door = createServer((client) => {
    if (++calls <= 2) return void client.destroy();
    const inside = createConnection(sshd.port, '127.0.0.1');
    for (const [from, to] of [[client, inside], [inside, client]] as const) from.on('error', () => to.destroy()).pipe(to);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => door.once('listening', resolve));
  t.teardown(() => void door.close());
  const { port } = door.address() as { port: number };
  const { inspections } = await open(t, targetOf(sshd, { port, hostKeyChecking: 'off' })).trip(ask('echo in'));
  t.is(inspections[0]!.stdout, 'in\n');
  t.is(calls, 3);
});

test('a known host is not asked for by a certificate we cannot check', async (t) => {
  const file = join(scratch(t), 'known_hosts');
  writeFileSync(file, `@cert-authority * ${readFileSync(`${sshd.key}.pub`, 'utf8')}`);
  const error = await refused(t, targetOf(sshd, { knownHostsFile: file }));
  t.is(error.kind, 'host-key');
  t.regex(error.message, /certificate authority/);
});

test('of an agent, IdentitiesOnly offers the named keys alone; PasswordAuthentication no is told', async (t) => {
  const folder = scratch(t);
  const own = await startSshd({ config: 'MaxAuthTries 2\nPasswordAuthentication no' });
  t.teardown(() => own.stop());
  const socket = join(folder, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  t.teardown(() => void agent.kill());
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
  const others = ['a', 'b', 'c'].map((name) => keygen(join(folder, name)));
  for (const key of [...others, own.key]) execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: 'ignore' });
  const config = join(folder, 'config');
  const publicOnly = join(folder, 'id');
  writeFileSync(`${publicOnly}.pub`, readFileSync(`${own.key}.pub`));
  writeFileSync(config, `Host *\n IdentityAgent ${socket}\n IdentitiesOnly yes\n IdentityFile ${publicOnly}\n`);
  const { inspections } = await open(t, targetOf(own, { privateKeyFile: undefined, sshConfigFile: config })).trip(ask('echo in'));
  t.is(inspections[0]!.stdout, 'in\n');
  const error = await refused(t, targetOf(own, { privateKeyFile: others[0], password: 'x' }));
  t.is(error.kind, 'authentication');
});

test('reset makes the next trip connect anew', async (t) => {
  const connection = open(t, targetOf(sshd));
  const before = await connection.trip(ask('echo "$SSH_CONNECTION"'));
  await connection.reset();
  const after = await connection.trip(ask('echo "$SSH_CONNECTION"'));
  t.not(before.inspections[0]!.stdout, after.inspections[0]!.stdout);
});

test('a link that breaks in the middle of a trip is lost, and the next trip connects again', async (t) => {
  const own = await startSshd();
  t.teardown(() => own.stop());
  const connection = open(t, targetOf(own));
  const { pid } = own.process;
  const kill = (): void => execFileSync('sh', ['-c', `kill -KILL $(cat /proc/${pid}/task/${pid}/children)`]) as never;
  const error = await t.throwsAsync(connection.trip({ effect: effect('echo begun; sleep 5', { onOutput: kill }), inspections: [] }));
  t.is((error as ConnectionError).kind, 'lost', String(error));
  const { inspections } = await connection.trip(ask('echo back'));
  t.is(inspections[0]!.stdout, 'back\n');
});

test('a socket and a port of the host are reached', async (t) => {
  const folder = scratch(t);
  const socket = join(folder, 'echo.sock');
  const server = createServer((client) => client.pipe(client)).listen(socket);
  const tcp = createServer((client) => client.pipe(client)).listen(0, '127.0.0.1');
  await new Promise((resolve) => tcp.once('listening', resolve));
  t.teardown(() => (server.close(), void tcp.close()));
  const connection = open(t, targetOf(sshd));
  const nobody = { method: 'sudo', user: 'nobody', flags: undefined, password: undefined } as const;
  execFileSync('chmod', ['711', folder]);
  execFileSync('chmod', ['666', socket]);
  for (const [where, become] of [[{ socket }, undefined], [{ host: '127.0.0.1', port: (tcp.address() as { port: number }).port }, undefined], [{ socket }, nobody]] as const) {
    const stream = await connection.open(where, become);
    const text = 'x'.repeat(200_000);
    stream.write(text);
    let got = '';
    for await (const chunk of stream) if ((got += chunk).length === text.length) break;
    t.true(got === text);
    stream.destroy();
  }
  t.is(connection.counters.conversations, 3);
  const error = await t.throwsAsync(connection.open({ socket: join(folder, 'none') }, undefined));
  t.regex(error!.message, /No such file|no such socket/);
});

test('cancel ends the effect and what it started', async (t) => {
  const connection = open(t, targetOf(sshd));
  let begun!: () => void;
  const running = new Promise<void>((resolve) => (begun = resolve));
  const trip = connection.trip({ effect: effect('echo $$; sleep 600; echo not reached', { onOutput: () => begun() }), inspections: [] });
  await running;
  await connection.cancel();
  const { effect: output } = await trip;
  t.not(output!.rc, 0);
  t.notRegex(output!.stdout, /not reached/);
});

test('a large file goes ahead by a channel of its own and is gone afterwards', async (t) => {
  const path = join(scratch(t), 'large');
  // More than the two buffers that it is read into.
  writeFileSync(path, randomBytes(5_000_000));
  const seen: string[] = [];
  const connection = open(t, targetOf(sshd));
  const nobody = { method: 'sudo', user: 'nobody', flags: undefined, password: undefined } as const;
  const { effect: output } = await connection.trip({
    effect: effect('cksum <"$big"; stat -c "%U %a" "$big" "${big%/*}"; echo "$big"; cat "$small"', {
      uploads: { big: { path }, small: { content: Buffer.from('small\n') } },
      become: nobody,
      onOutput: (text) => seen.push(text),
    }),
    inspections: [],
  });
  const lines = output!.stdout.trim().split('\n');
  t.is(lines[0], execFileSync('sh', ['-c', 'cksum <"$0"', path]).toString().trim());
  t.deepEqual(lines.slice(1, 3), ['nobody 600', 'nobody 700']);
  t.is(lines[4], 'small');
  t.false(existsSync(lines[3]!));
  t.true(seen.some((text) => text.includes('100 %')));
});

test('a large file is kept on the file system it goes to, as near as there is a folder', async (t) => {
  const folder = scratch(t);
  const connection = open(t, targetOf(sshd));
  for (const [near, place] of [[join(folder, 'not', 'yet', 'there'), folder], ['/proc/none', tmpdir()]] as const) {
    const big = { content: Buffer.alloc(300_000, 'x'), near: sh`${near}` };
    const { effect: output } = await connection.trip({ effect: effect('echo "$big"; mv "$big" "$big.moved"; stat -c %s "$big.moved"', { uploads: { big } }), inspections: [] });
    const [path, size] = output!.stdout.split('\n');
    t.is(join(path!, '..', '..'), place);
    t.is(size, '300000');
    t.false(existsSync(join(path!, '..')));
  }
});

test.serial('a user with a password: login, sudo with it, without it, with a wrong one, su, and what cannot be', async (t) => {
  const name = `muster${process.pid}`;
  // A lecture on every call, and a pty around the command as sudo 1.9.14 and later make one.
  const user = makeUser(name, 'pass word', `ALL=(ALL) ALL\nDefaults:${name} lecture=always,use_pty`);
  t.teardown(() => user.remove());
  const target = targetOf(sshd, { user: name, privateKeyFile: undefined, password: 'pass word' });
  const wrong = await refused(t, { ...target, password: 'guess' });
  t.is(wrong.kind, 'authentication');
  t.regex(wrong.message, /password/);

  const connection = open(t, target);
  const become = { method: 'sudo', user: 'root', flags: undefined, password: 'pass word' } as const;
  const asRoot = (more: object): Trip => ({ effect: effect('id -un; cat', { become: { ...become, ...more } }), inspections: [inspection('id -un', { ...become, ...more }), inspection('id -un')] });
  for (const [password, words] of [[undefined, /password is needed/], ['guess', /password is wrong/]] as const) {
    const error = await t.throwsAsync(connection.trip(asRoot({ password })));
    t.is((error as ConnectionError).kind, 'become');
    t.regex(error!.message, words);
    t.truthy((error as ConnectionError).remedy);
  }
  const result = await connection.trip(asRoot({}));
  t.is(result.effect!.stderr + result.inspections[0]!.stderr, '', 'the lecture is nobody\'s output');
  t.deepEqual([result.effect!.stdout, ...result.inspections.map(({ stdout }) => stdout)], ['root\n', 'root\n', `${name}\n`]);
  // The second trip knows the password and asks sudo once.
  t.is((await connection.trip(asRoot({}))).effect!.stdout, 'root\n');

  const toOther = await connection.trip({ effect: undefined, inspections: [inspection('id -un', { ...become, method: 'su', user: name }), inspection('id -un', { ...become, user: 'nobody' })] });
  t.deepEqual(toOther.inspections.map(({ stdout }) => stdout), [`${name}\n`, 'nobody\n']);
  // A wrong password fails the trip even where it is only looked ahead with, so that it is tried once.
  await t.throwsAsync(connection.trip({ effect: undefined, inspections: [inspection('id -un'), inspection('id -un', { ...become, password: 'guess' })] }), { message: /password is wrong/ });
  const doas = await t.throwsAsync(connection.trip(asRoot({ method: 'doas' })));
  t.is((doas as ConnectionError).kind, 'become');
  const nobodyThere = await t.throwsAsync(connection.trip(asRoot({ user: 'no-such-user' })));
  t.regex(nobodyThere!.message, /no user no-such-user/);

  writeFileSync(`/etc/sudoers.d/${name}`, `${name} ALL=(ALL) ALL\nDefaults:${name} requiretty\n`);
  t.regex((await t.throwsAsync(open(t, target).trip(asRoot({}))))!.message, /wants a terminal/);

  // A password that is not asked for must not run as a command.
  writeFileSync(`/etc/sudoers.d/${name}`, `${name} ALL=(ALL) NOPASSWD: ALL\n`);
  const touched = join(scratch(t), 'touched');
  const free = await open(t, target).trip({ effect: effect('id -un', { become: { ...become, password: `touch ${touched}` } }), inspections: [] });
  t.is(free.effect!.stdout, 'root\n');
  t.false(existsSync(touched));
});

test.serial('su from root needs no password, and from a user takes it from standard input', async (t) => {
  const root = open(t, targetOf(sshd));
  const su = { method: 'su', user: 'nobody', flags: undefined, password: undefined } as const;
  t.is((await root.trip({ effect: undefined, inspections: [inspection('id -un', su)] })).inspections[0]!.stdout, 'nobody\n');
  const names = [`muster${process.pid}a`, `muster${process.pid}b`] as const;
  const users = names.map((name) => makeUser(name, 'pass word'));
  t.teardown(() => users.forEach((user) => user.remove()));
  const connection = open(t, targetOf(sshd, { user: names[0], privateKeyFile: undefined, password: 'pass word' }));
  const other = { method: 'su', user: names[1], flags: undefined, password: 'pass word' } as const;
  t.is((await connection.trip({ effect: effect('id -un', { become: other }), inspections: [] })).effect!.stdout, `${names[1]}\n`);
  const error = await t.throwsAsync(connection.trip({ effect: effect('id -un', { become: { ...other, password: 'guess' } }), inspections: [] }));
  t.regex(error!.message, /password is wrong/);
});
