import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { named } from '../../src/bootstrap/hosts.js';
import { loginsOf, meet, type Meeting } from '../../src/bootstrap/meet.js';
import { ConnectionError } from '../../src/connection/index.js';
import { fingerprint, forget, parseKnownHosts, remember } from '../../src/connection/known-hosts.js';
import { freePort, keygen, startSshd, targetOf, type Sshd } from '../connection/sshd.js';

let sshd: Sshd;
test.before(async () => {
  sshd = await startSshd();
});
test.after.always(() => sshd?.stop());

/** Keys of the sshd that runs. */
const host = (of: Sshd): { key: Buffer; shown: string } => {
  const key = Buffer.from(readFileSync(join(of.folder, 'host.pub'), 'utf8').split(' ')[1]!, 'base64');
  return { key, shown: fingerprint(key) };
};

function meeting(t: ExecutionContext, of: Sshd, more: Partial<Omit<Meeting, 'pins'>> & { pins?: Partial<Meeting['pins']> } = {}): Meeting & { told: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'muster-meet-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const told: string[] = [];
  const file = join(folder, 'pins');
  const { pins, ...rest } = more;
  return {
    target: targetOf(of, { knownHostsFile: file }),
    ports: [of.port],
    logins: [{ user: 'root', key: of.key, password: undefined }],
    become: { method: 'sudo', password: undefined },
    patience: 20,
    say: (text) => void told.push(text),
    stop: new AbortController().signal,
    pins: { file, fingerprints: [], retrust: false, ports: [], ...pins },
    ...rest,
    told,
  };
}
const pinned = ({ pins: { file } }: Meeting) => parseKnownHosts(readFileSync(file, 'utf8'), file);
const refusal = async (t: ExecutionContext, wanted: Meeting): Promise<ConnectionError> => (await t.throwsAsync(meet(wanted), { instanceOf: ConnectionError }))!;

test('the key is pinned at first contact and told; the second time it is on record', async (t) => {
  const first = meeting(t, sshd);
  const met = await meet(first);
  t.like(met, { login: { user: 'root' }, port: sshd.port, key: { how: 'new', type: 'ssh-ed25519', fingerprint: host(sshd).shown } });
  t.deepEqual(pinned(first).map(({ hosts, key }) => [hosts, key.equals(host(sshd).key)]), [[`[127.0.0.1]:${sshd.port}`, true]]);
  t.is((await meet(first)).key.how, 'known');
  t.is(pinned(first).length, 1);
});

test('only the keys that were given are taken, and nothing is authenticated before', async (t) => {
  const right = meeting(t, sshd, { pins: { fingerprints: [`SHA256:${'a'.repeat(43)}`, host(sshd).shown] } });
  t.is((await meet(right)).key.how, 'new');
  const wrong = meeting(t, sshd, { pins: { fingerprints: [`SHA256:${'a'.repeat(43)}`] } });
  const error = await refusal(t, wrong);
  t.is(error.kind, 'host-key');
  t.true(error.message.includes(host(sshd).shown));
  t.throws(() => pinned(wrong), { code: 'ENOENT' });
});

test('a key other than the one on record is refused, unless told that the host was set up anew', async (t) => {
  const name = `[127.0.0.1]:${sshd.port}`;
  const other = Buffer.from(readFileSync(`${keygen(join(sshd.folder, 'other'))}.pub`, 'utf8').split(' ')[1]!, 'base64');
  const stale = meeting(t, sshd);
  remember(stale.pins.file, name, other, true);
  remember(stale.pins.file, 'elsewhere', other, false);
  const error = await refusal(t, stale);
  t.is(error.kind, 'host-key');
  t.regex(error.message, /has changed/);
  t.regex(error.remedy!, /--retrust/);
  t.is((await meet({ ...stale, pins: { ...stale.pins, retrust: true } })).key.how, 'replaced');
  t.deepEqual(pinned(stale).map(({ hosts }) => hosts), ['elsewhere', name]);
  t.is((await meet(stale)).key.how, 'known');
});

test('the first user who is let in is taken; a password is for one alone', async (t) => {
  const wanted = meeting(t, sshd, { logins: loginsOf({ user: 'muster', key: undefined }, undefined, undefined, sshd.key, undefined) });
  t.is((await meet(wanted)).login.user, 'root');
  t.deepEqual(loginsOf({ user: 'muster', key: undefined }, undefined, undefined, undefined, 'x').filter(({ password }) => password).map(({ user }) => user), ['root']);
  t.deepEqual(loginsOf({ user: 'ops', key: 'ops' }, 'cloud', 'deploy', 'first', 'x'), [
    { user: 'ops', key: 'ops', password: undefined },
    { user: 'cloud', key: 'first', password: 'x' },
    ...['deploy', 'root', 'debian', 'ubuntu', 'admin'].map((user) => ({ user, key: 'first', password: undefined })),
  ]);
  t.deepEqual(loginsOf({ user: 'root', key: undefined }, 'root', 'root', undefined, undefined).map(({ user }) => user), ['root', 'debian', 'ubuntu', 'admin']);
});

test('an image that lets root in only to name another user is understood', async (t) => {
  const closed = await startSshd();
  t.teardown(() => closed.stop());
  const file = join(closed.folder, 'authorized_keys');
  const key = readFileSync(`${closed.key}.pub`, 'utf8');
  // As cloud-init writes it (disable_root_opts).
  writeFileSync(file, `command="echo 'Please login as the user \\"nobody-here\\" rather than the user \\"root\\".';echo;exit 142" ${key}`);
  const error = await refusal(t, meeting(t, closed));
  t.regex(error.message, /tried root, nobody-here/);
});

test('a host that is not up yet is waited for, and not beyond its time', async (t) => {
  const port = await freePort();
  const late = meeting(t, { ...sshd, port });
  const started = sleep(1500).then(() => startSshd({ port, hostKey: join(sshd.folder, 'host') }));
  // Its own list of who may log in is another: what counts is that it is met.
  const error = await t.throwsAsync(meet({ ...late, patience: 8 }), { instanceOf: ConnectionError });
  (await started).stop();
  t.is(error!.kind, 'authentication');
  t.regex(late.told.join('\n'), /waiting for SSH: .*refuses connections[^]*lets nobody in yet/);
  const never = await t.throwsAsync(meet({ ...meeting(t, { ...sshd, port: await freePort() }), patience: 1 }), { instanceOf: ConnectionError });
  t.is(never!.kind, 'refused');
  t.regex(never!.message, /waited \d s/);
});

test('of two ports, the one that answers is taken', async (t) => {
  const wanted = meeting(t, sshd, { ports: [await freePort(), sshd.port], pins: { ports: [2222] } });
  t.is((await meet(wanted)).port, sshd.port);
  t.deepEqual(pinned(wanted).map(({ hosts }) => hosts), [`[127.0.0.1]:${sshd.port}`, '[127.0.0.1]:2222']);
  t.deepEqual(wanted.told, []);
});

test('an interruption ends the waiting', async (t) => {
  const stop = new AbortController();
  const waiting = refusal(t, meeting(t, { ...sshd, port: await freePort() }, { stop: stop.signal }));
  stop.abort();
  t.regex((await waiting).message, /interrupted/);
});

test('forgetting a host leaves all else in the file', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-meet-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'known_hosts');
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKzjrR7QdupLNB0bzK0X4W2r+lSMMaPFfGd/A+knzWs6';
  writeFileSync(file, `# mine\nweb1,192.0.2.1 ${key} note\nweb1 ${key}\n@revoked web1 ${key}\n*.example.com ${key}\nweb10 ${key}\n`);
  forget(file, 'web1');
  t.is(readFileSync(file, 'utf8'), `# mine\n192.0.2.1 ${key} note\n@revoked web1 ${key}\n*.example.com ${key}\nweb10 ${key}\n`);
});

test('hosts are named as in inventories, with their addresses', (t) => {
  t.deepEqual(named(['web[1:2].example.com:2222', 'db1=192.0.2.5', 'db[2:3]=192.0.2.[6:7]:22', 'x=[fe80::1]:22']), [
    { name: 'web1.example.com', address: undefined, port: 2222 },
    { name: 'web2.example.com', address: undefined, port: 2222 },
    { name: 'db1', address: '192.0.2.5', port: undefined },
    { name: 'db2', address: '192.0.2.6', port: 22 },
    { name: 'db3', address: '192.0.2.7', port: 22 },
    { name: 'x', address: 'fe80::1', port: 22 },
  ]);
  for (const words of [['a', 'a'], ['a[1:2]=192.0.2.1'], ['a b'], ['root@a'], ['$(reboot)'], ['']]) t.throws(() => named(words), undefined, words.join(' '));
});
