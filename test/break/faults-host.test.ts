import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { failureOf, Pair } from '../e2e/pair.js';
import { converges, isClean, Running, until } from './faults.js';

/** What a host may be like: no room, read-only, noexec, a sudo that asks, an apt that is busy. */
let pair: Pair;

test.before(async () => {
  pair = await Pair.up('faultshost', 'test/e2e/modules');
});
test.after.always(() => pair?.down());

function play(...tasks: string[]): string {
  return `- hosts: one\n  become: true\n  gather_facts: false\n  tasks:\n${tasks.map((task) => `    - ${task}\n`).join('')}`;
}

test.serial('no room where files go: each fails and names its place, the old ones stand, with room the run again goes on', async (t) => {
  await pair.on('one', 'mkdir -p /srv/small; mount -t tmpfs -o size=100k tmpfs /srv/small; echo old | tee /srv/small/text >/srv/small/large');
  const files = ['{name: text, copy: {content: "{{ \'x\' * 200000 }}", dest: /srv/small/text}, ignore_errors: true}', '{name: large, copy: {content: "{{ \'y\' * 400000 }}", dest: /srv/small/large}, ignore_errors: true}', '{name: get, get_url: {url: "{{ web }}/tree.tar.gz", dest: /srv/small/tree.tar.gz}, ignore_errors: true}'];
  await pair.write('room.yml', play('{name: fill, command: dd if=/dev/zero of=/srv/small/full bs=1k count=88, when: fill is defined}', ...files));
  const ran = await pair.muster('apply', 'room.yml', ['-e', 'fill=1']);
  t.is(ran.code, 0, ran.told);
  t.like(ran.recap, { one: { unreachable: 0, failed: 0, ignored: 2 } });
  const told = ran.events.flatMap((event) => (event.event === 'result' && event.result.error ? [event.result.error.message] : []));
  t.regex(told[0]!, /\/srv\/small\/text: .*No space left on device/);
  t.regex(told[1]!, /^one: 400000 bytes could not be put into \/srv\/small: .*No space left on device/);
  t.is(await pair.on('one', 'cat /srv/small/text /srv/small/large'), 'old\nold');
  await isClean(t, pair, ['one']);
  await pair.on('one', 'mount -o remount,size=10m /srv/small');
  await converges(t, pair, 'room.yml');
  await pair.on('one', 'umount /srv/small');
});

test.serial('a host that is full everywhere can still be looked at, and says why it cannot be changed', async (t) => {
  await pair.on('one', 'for d in /etc /tmp /var/tmp /srv; do cp -a $d /run/kept; mount -t tmpfs -o size=3m tmpfs $d; cp -a /run/kept/. $d/; rm -rf /run/kept; cat /dev/zero >$d/full 2>/dev/null; done; :');
  await pair.write('full.yml', `- hosts: one\n  become: true\n  tasks:\n    - {name: look, stat: {path: /etc/passwd}}\n    - {name: change, copy: {content: "new\\n", dest: /etc/motd}}\n`);
  const ran = await pair.muster('apply', 'full.yml');
  t.is(ran.code, 3, ran.told);
  t.like(ran.recap, { one: { ok: 2, failed: 1, unreachable: 0 } });
  t.regex(failureOf(ran, 'one').message, /\/etc.*No space left on device/);
  await pair.on('one', 'for d in /etc /tmp /var/tmp /srv; do rm $d/full; done');
  await isClean(t, pair, ['one']);
  await converges(t, pair, 'full.yml');
  await pair.on('one', 'umount -l /etc /tmp /var/tmp /srv');
});

test.serial('a read-only file system: what is as it should be is, what is not says why', async (t) => {
  await pair.on('one', 'mkdir -p /srv/ro; mount -t tmpfs tmpfs /srv/ro; echo old | tee /srv/ro/lines >/srv/ro/file; mount -o remount,ro /srv/ro');
  await pair.write(
    'ro.yml',
    play(
      '{name: as it is, copy: {content: "old\\n", dest: /srv/ro/file}}',
      '{name: line, lineinfile: {path: /srv/ro/lines, line: new}, ignore_errors: true}',
      '{name: folder, file: {path: /srv/ro/folder, state: directory}, ignore_errors: true}',
      '{name: large, copy: {content: "{{ \'y\' * 400000 }}", dest: /srv/ro/large}, ignore_errors: true}',
    ),
  );
  const ran = await pair.muster('apply', 'ro.yml');
  t.is(ran.code, 0, ran.told);
  t.like(ran.recap, { one: { changed: 0, ignored: 3, unreachable: 0 } });
  for (const event of ran.events) if (event.event === 'result' && event.result.error) t.regex(event.result.error.message, /\/srv\/ro.*Read-only file system/);
  await isClean(t, pair, ['one']);
  await pair.on('one', 'mount -o remount,rw /srv/ro');
  await converges(t, pair, 'ro.yml');
  await pair.on('one', 'umount /srv/ro');
});

test.serial('/tmp mounted noexec is in nobody\'s way but that of a program sent there, which is told', async (t) => {
  await pair.on('one', 'mount -t tmpfs -o noexec,mode=1777 tmpfs /tmp');
  await pair.write('plain.sh', 'echo from a script');
  copyFileSync('/bin/true', join(pair.folder, 'program'));
  await pair.write('noexec.yml', play('{name: copy, copy: {src: plain.sh, dest: /tmp/plain.sh}}', '{name: script, script: plain.sh, changed_when: false}', '{name: shell, shell: "echo here", changed_when: false}', '{name: program, script: program, ignore_errors: true}'));
  const ran = await pair.muster('apply', 'noexec.yml');
  t.is(ran.code, 0, ran.told);
  t.like(ran.recap, { one: { changed: 2, ignored: 1 } });
  t.regex(failureOf(ran, 'one').stderr!, /programs cannot be run from \/tmp: it is mounted noexec/);
  await isClean(t, pair, ['one']);
  await pair.on('one', 'umount /tmp');
});

test.serial('sudo that lectures and asks every time, and a password that changes on the way', async (t) => {
  await pair.on(
    'one',
    `useradd -m -s /bin/sh worker; echo worker:first | chpasswd
cp -a ~muster/.ssh ~worker/; chown -R worker: ~worker/.ssh
printf 'worker ALL=(ALL) ALL\\nDefaults:worker timestamp_timeout=0, lecture=always\\n' >/etc/sudoers.d/worker`,
  );
  await pair.write(
    'sudo.yml',
    play(
      '{name: small, copy: {content: "small\\n", dest: /srv/small.txt}}',
      '{name: password, shell: "echo worker:second | chpasswd", when: turn is defined}',
      '{name: large, copy: {content: "{{ \'y\' * 400000 }}", dest: /srv/large.txt}}',
      '{name: whoami, command: id -un, changed_when: false, register: who}',
      '{name: root, assert: {that: who.stdout == "root"}}',
    ),
  );
  const as = (password: string) => ['-e', 'ansible_user=worker', '-e', `ansible_become_password=${password}`];
  const turned = await pair.muster('apply', 'sudo.yml', [...as('first'), '-e', 'turn=1']);
  t.is(turned.code, 3, turned.told);
  t.like(turned.recap, { one: { changed: 2, failed: 1, unreachable: 0 } });
  t.regex(failureOf(turned, 'one').message, /sudo cannot become root: the password is wrong/);
  t.is(await pair.on('one', 'ls /srv/large.txt 2>/dev/null || :'), '');
  await isClean(t, pair, ['one']);
  await converges(t, pair, 'sudo.yml', as('second'));
  await pair.on('one', 'rm /etc/sudoers.d/worker /srv/*.txt; pkill -u worker; userdel -r worker 2>/dev/null || :');
});

test.serial('apt locked by another process: waited for, then an error that names the holder', async (t) => {
  await pair.on('one', 'systemctl stop apt-daily.timer apt-daily-upgrade.timer; apt-get -qq update');
  await pair.write('apt.yml', play('{name: package, apt: {name: bc, lock_timeout: "{{ wait }}"}}'));
  // The lock is one of fcntl(2), which Perl can hold.
  const hold = (seconds: number) =>
    pair.on('one', `systemd-run --quiet --collect --unit=holder perl -e 'use Fcntl; open my $f, ">>", "/var/lib/dpkg/lock-frontend"; my $l = pack("s s x4 q q l x4", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die; sleep ${seconds}'; sleep 1`);
  await hold(600);
  const refused = await pair.muster('apply', 'apt.yml', ['-e', 'wait=2']);
  t.is(refused.code, 3, refused.told);
  t.regex(failureOf(refused, 'one').message, /lock.*held by process \d+ \(perl\)/);
  await isClean(t, pair, ['one']);
  await pair.on('one', 'systemctl stop holder');
  await hold(6);
  const waited = await pair.muster('apply', 'apt.yml', ['-e', 'wait=60']);
  t.is(waited.code, 0, waited.told);
  await converges(t, pair, 'apt.yml', ['-e', 'wait=60']);
  await isClean(t, pair, ['one']);
});

test.serial('Muster is killed while apt installs: it goes on to its end, and nothing is half installed', async (t) => {
  await pair.write('gdb.yml', play('{name: package, apt: {name: gdb, update_cache: true, cache_valid_time: 3600}}'));
  const unpacked = () => pair.on('one', 'grep -c "status half-installed" /var/log/dpkg.log || :');
  const before = await unpacked();
  const running = new Running(pair, 'gdb.yml');
  await until(async () => (await unpacked()) !== before, 'dpkg at work');
  running.signal('SIGKILL');
  await running.ended;
  await isClean(t, pair, ['one']);
  t.is(await pair.on('one', "dpkg --audit; dpkg-query -Wf '${db:Status-Abbrev}' gdb"), 'ii');
  await converges(t, pair, 'gdb.yml');
});
