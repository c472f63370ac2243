import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { knownHostsFile } from '../../src/lab/lab.js';
import { failureOf, Pair } from '../e2e/pair.js';
import { converges, Cut, isClean, Running, runs, until } from './faults.js';

/** What happens to the link between Muster and a host. */
let pair: Pair;
let cut: Cut | undefined;

test.before(async () => {
  pair = await Pair.up('faults', 'test/e2e/modules');
  await pair.write('impatient', 'Host *\n  ServerAliveInterval 2\n  ServerAliveCountMax 2\n');
  writeFileSync(join(pair.folder, 'new'), randomBytes(30_000_000));
  await pair.write('look.yml', play('{name: look, stat: {path: /srv/sparse, checksum_algorithm: sha256}}'));
  await pair.write('upload.yml', play('{name: upload, copy: {src: new, dest: /srv/file, mode: "0640"}}'));
  await pair.write('effect.yml', play('{name: effect, shell: "sleep {{ nap | default(15) }}; echo done >/srv/done", args: {creates: /srv/done}}'));
});
test.after.always(() => pair?.down());
test.afterEach.always(async () => {
  await cut?.heal();
  cut = undefined;
});

function play(...tasks: string[]): string {
  return `- hosts: all\n  become: true\n  gather_facts: false\n  vars: {muster_ssh_config_file: impatient}\n  tasks:\n${tasks.map((task) => `    - ${task}\n`).join('')}`;
}

for (const how of ['reset', 'drop'] as const) {
  test.serial(`${how} in the middle of an inspection: the host is out of reach, the other is looked at`, async (t) => {
    await pair.on('one', 'truncate -s 2G /srv/sparse');
    const running = new Running(pair, 'look.yml');
    await runs(pair, 'one', 'sha256sum');
    cut = await Cut.make(pair, 'one', how);
    const ran = await running.ended;
    await cut.heal().then(() => (cut = undefined));
    t.is(ran.code, 4, ran.told);
    t.like(ran.recap, { one: { unreachable: 1 }, two: { ok: 1, unreachable: 0 } });
    t.regex(failureOf(ran, 'one').message, /^one: the connection was lost/);
    await isClean(t, pair);
    await pair.on('one', 'rm /srv/sparse');
    await converges(t, pair, 'look.yml');
  });

  test.serial(`${how} in the middle of an upload: the old file stands, nothing of the new one is left`, async (t) => {
    await Promise.all(['one', 'two'].map((host) => pair.on(host, 'echo old >/srv/file')));
    cut = await Cut.make(pair, 'one', how, 10_000_000);
    const ran = await new Running(pair, 'upload.yml').ended;
    await cut.heal().then(() => (cut = undefined));
    t.is(ran.code, 4, ran.told);
    t.like(ran.recap, { one: { unreachable: 1, changed: 0 }, two: { changed: 1 } });
    t.regex(failureOf(ran, 'one').message, /^one: the connection was lost while/);
    t.is(await pair.on('one', 'cat /srv/file'), 'old');
    await isClean(t, pair);
    await converges(t, pair, 'upload.yml');
  });

  test.serial(`${how} in the middle of a command: it ends with the link, and is run again`, async (t) => {
    await Promise.all(['one', 'two'].map((host) => pair.on(host, 'rm -f /srv/done')));
    const running = new Running(pair, 'effect.yml');
    await runs(pair, 'one', 'sleep 15');
    cut = await Cut.make(pair, 'one', how);
    const ran = await running.ended;
    await cut.heal().then(() => (cut = undefined));
    t.is(ran.code, 4, ran.told);
    t.like(ran.recap, { one: { unreachable: 1 }, two: { changed: 1 } });
    t.regex(failureOf(ran, 'one').message, /^one: the connection was lost while work was under way/);
    await isClean(t, pair);
    await converges(t, pair, 'effect.yml', ['-e', 'nap=0']);
  });
}

test.serial('sshd is restarted in the middle of a run: sessions go on', async (t) => {
  await Promise.all(['one', 'two'].map((host) => pair.on(host, 'rm -f /srv/done')));
  const running = new Running(pair, 'effect.yml');
  await runs(pair, 'one', 'sleep 15');
  await pair.on('one', 'systemctl restart ssh');
  const ran = await running.ended;
  t.is(ran.code, 0, ran.told);
  await isClean(t, pair);
  await converges(t, pair, 'effect.yml', ['-e', 'nap=0']);
});

test.serial('sshd and its sessions end in the middle of a run: the host is out of reach, the next run goes on', async (t) => {
  await Promise.all(['one', 'two'].map((host) => pair.on(host, 'rm -f /srv/done')));
  const running = new Running(pair, 'effect.yml');
  await runs(pair, 'one', 'sleep 15');
  await pair.on('one', `systemd-run --quiet --collect sh -c 'systemctl stop ssh; pkill -f "^sshd: "; sleep 1; systemctl start ssh'`);
  const ran = await running.ended;
  t.is(ran.code, 4, ran.told);
  t.like(ran.recap, { one: { unreachable: 1 }, two: { changed: 1 } });
  await until(async () => (await pair.on('one', 'echo up').catch(() => '')) === 'up', 'sshd');
  await isClean(t, pair);
  await converges(t, pair, 'effect.yml', ['-e', 'nap=0']);
});

test.serial('the host reboots in the middle of a run: it is out of reach, the next run goes on', async (t) => {
  await Promise.all(['one', 'two'].map((host) => pair.on(host, 'rm -f /srv/done')));
  const boot = () => pair.on('one', 'cat /proc/sys/kernel/random/boot_id').catch(() => '');
  const before = await boot();
  const running = new Running(pair, 'effect.yml');
  await runs(pair, 'one', 'sleep 15');
  // Its own login ends with the host.
  await pair.on('one', 'systemctl --no-block reboot').catch(() => undefined);
  const ran = await running.ended;
  t.is(ran.code, 4, ran.told);
  t.like(ran.recap, { one: { unreachable: 1 }, two: { changed: 1 } });
  await until(async () => !['', before].includes(await boot()), 'another boot');
  t.is(await pair.on('one', 'ls /srv/done 2>/dev/null || :'), '');
  await isClean(t, pair);
  await converges(t, pair, 'effect.yml', ['-e', 'nap=0']);
});

test.serial('a host key that changed is refused with what to do, and the others go on', async (t) => {
  await Promise.all(['one', 'two'].map((host) => pair.on(host, 'rm -f /srv/plain')));
  await pair.write('plain.yml', play('{name: plain, copy: {content: "plain\\n", dest: /srv/plain}}'));
  const known = readFileSync(knownHostsFile(pair.folder, pair.lab.name), 'utf8').split('\n');
  const [key] = known.filter((line) => line.startsWith('two,') && line.includes('ed25519'));
  await pair.write('changed', known.filter((line) => !line.startsWith('one,')).concat(`${pair.address('one')} ${key!.split(' ').slice(1).join(' ')}`, '').join('\n'));
  const ran = await pair.muster('apply', 'plain.yml', ['-e', 'muster_known_hosts_file=changed']);
  t.is(ran.code, 4, ran.told);
  t.like(ran.recap, { one: { unreachable: 1 }, two: { changed: 1 } });
  const { message, remedy } = failureOf(ran, 'one');
  t.regex(message, /the key of \S+ has changed: it shows ssh-ed25519 SHA256:\S+, on record is changed:\d+ \(ssh-ed25519 SHA256:\S+\)/);
  t.regex(remedy!, /ssh-keygen -R '\S+' -f changed/);
  await isClean(t, pair);
  await converges(t, pair, 'plain.yml');
});
