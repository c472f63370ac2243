import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { need } from '../connection/shells.js';
import { Pair } from './pair.js';
import type { Outcome } from './stack.js';

const hosts = ['one', 'two'];
const state = ['files.yml', 'system.yml'];
let pair: Pair;

test.before(async (t) => {
  t.timeout(5 * 60_000);
  pair = await Pair.up('modules', 'test/e2e/modules');
});
test.after.always(() => pair?.down());

/** What a host holds: every file with owner, mode, size and time, but for what logging in and running commands leave. */
const disk = (host: string) =>
  pair.on(host, String.raw`find / -xdev \( -path /var/log -o -path /run -o -path /var/lib/systemd -o -path /tmp -o -path /var/tmp \) -prune -o -printf '%p %M %U %G %s %T@ %l\n' | sort`);
/** Changed tasks of a run, each once. */
const changed = (run: Outcome) => [...new Set(run.results('changed').map(({ task }) => task))];

async function twice(t: ExecutionContext, file: string): Promise<void> {
  const first = await pair.muster('apply', file);
  t.is(first.code, 0, first.told);
  const second = await pair.muster('apply', file);
  t.is(second.code, 0, second.told);
  t.deepEqual(second.results('changed'), []);
}

test.serial('a plan finds what is to be done, and changes nothing', async (t) => {
  const before = await Promise.all(hosts.map(disk));
  const plan = await pair.muster('plan', state);
  t.is(plan.code, 2, plan.told);
  t.deepEqual(plan.results('failed', 'unreachable'), []);
  t.true(changed(plan).length > 25);
  t.deepEqual(await Promise.all(hosts.map(disk)), before);
});

test.serial('state: the first run brings it about, the second changes nothing', async (t) => {
  const first = await pair.muster('apply', state);
  t.is(first.code, 0, first.told);
  for (const host of hosts) t.like(first.recap[host], { failed: 0, unreachable: 0, unknown: 0 });
  t.deepEqual(await Promise.all(hosts.map((host) => pair.on(host, 'cat /run/ticker.log'))), ['started\nreloaded', 'started\nreloaded']);

  const second = await pair.muster('apply', state);
  t.is(second.code, 0, second.told);
  t.deepEqual(second.results('changed'), []);
  const plan = await pair.muster('plan', state);
  t.is(plan.code, 0, plan.told);
  t.deepEqual(plan.results('changed', 'unknown'), []);
});

test.serial('files are as they were asked for', async (t) => {
  const look = (path: string) => pair.on('one', `cd /srv/files; find ${path} -printf '%p %M %u:%g %l\\n' | LC_ALL=C sort`);
  t.is(await look('sub link empty hard'), 'empty -rw-r----- nobody:nogroup \nhard -rw-r----- nobody:nogroup \nlink lrwxrwxrwx root:root sub/deeper\nsub drwxr-x--- daemon:adm \nsub/deeper drwxr-x--- daemon:adm');
  t.is(await look('whole'), ['whole drwxr-x--x', 'whole/tree drwxr-x--x', 'whole/tree/deep drwxr-x--x', 'whole/tree/deep/with space.sh -rw-r-----', 'whole/tree/plain -rw-r-----'].map((line) => `${line} root:root `).join('\n').trim());
  t.is(await look('zip'), ['zip drwxr-xr-x', 'zip/tree drwxr-xr-x', 'zip/tree/deep drwxr-xr-x', 'zip/tree/deep/with space.sh -rw-r--r--', 'zip/tree/plain -rw-r--r--'].map((line) => `${line} root:root `).join('\n').trim());
  t.is(await pair.on('one', "cd /srv/files; stat -c '%U' tar/tree/plain; cat 'web/tree/deep/with space.sh' greeting old; test ! -e gone; stat -c %a greeting; cmp large 'large copy'; cat words"),
    "daemon\n#!/bin/sh\necho deep\nGrüße von one in Debian\n- ä\n- b c\n- d'e\n1: 'ä'\n2: 'b c'\n3: 'd'\"'\"'e'\n604\nnew words, newer words");
  t.deepEqual(readFileSync(join(pair.folder, 'fetched/two/srv/files/large')), readFileSync(join(pair.folder, 'large')));
  t.is(readFileSync(join(pair.folder, 'text-two'), 'utf8'), 'héllo two\n');
});

test.serial('the system is as it was asked for', async (t) => {
  t.is(await pair.on('two', 'getent passwd alice; id -nG alice; hostname; cat /etc/hostname; systemctl is-enabled ticker cron systemd-timesyncd || :; systemctl is-active ticker tacker cron || :; cat /run/toller; ls /etc/rc3.d/S??toller'),
    'alice:x:4201:4200:Alice, from the wonderland:/srv/alice:/bin/bash\ncrew adm machines\nrenamed-two\nrenamed-two\nenabled\ndisabled\nmasked\nactive\nactive\ninactive\nloud\n/etc/rc3.d/S01toller');
  t.is(await pair.on('two', 'crontab -l; crontab -l -u alice; cat /etc/cron.d/muster-test'),
    'MAILTO="nobody@example.org"\n#Ansible: hourly\n7 * * * * date > /dev/null 2>&1\n#Ansible: as alice\n@daily true\n#Ansible: in a file\n0 3 * * * root echo 50% done');
  t.regex(await pair.on('two', 'getent shadow alice bob'), /^alice:\$6\$(rounds=\d+\$)?saltysalt\$[^:]{86}:.*\nbob:!/);
  t.regex(await pair.on('two', 'cat /srv/alice/.ssh/authorized_keys; stat -c "%a %U" /srv/alice/.ssh/authorized_keys /srv/alice/.ssh'), /^no-port-forwarding ssh-ed25519 \S+ from the test\n600 alice\n700 alice$/);
});

test.serial('settings by modules of the collections: the second run changes nothing', (t) => twice(t, 'settings.yml'));

test.serial('what runs, waits and asks; what happens on the controller; every word of meta', async (t) => {
  for (const name of ['first', 'second']) {
    const ran = await pair.muster('apply', 'running.yml');
    t.is(ran.code, 0, ran.told);
    const always = ['groups by colour', 'one more host', 'a notification'];
    t.deepEqual(changed(ran).sort(), [...always, ...(name === 'first' ? ['a command once'] : [])].sort());
    t.deepEqual([...new Set(ran.results('ignored').map(({ task }) => task))], ['a port that never opens', 'a page that is not there', 'a host that fails']);
  }
});

test.serial("modules of the project's own: in TypeScript, a program, and one in Python", async (t) => {
  need('ansible-vault', 'ansible-core');
  const first = await pair.muster('apply', 'own.yml');
  t.is(first.code, 0, first.told);
  t.deepEqual(changed(first), ['in TypeScript']);
  t.deepEqual(first.results('ignored').map(({ task }) => task), ['Python where there is none']);
});

test.serial('changes of what is there, and its removal', async (t) => {
  const settled = ['Gathering Facts', 'a unit that is no longer masked', 'a package in its latest version', 'keys'];
  for (const file of ['changes.yml', 'removals.yml']) {
    const first = await pair.muster('apply', file);
    t.is(first.code, 0, first.told);
    t.deepEqual(first.results('ok').filter(({ task }) => !settled.includes(task)), []);
    // Services whose unit is gone cannot be stopped again.
    const second = await pair.muster('apply', file, file === 'removals.yml' ? ['--start-at-task', 'their files go'] : []);
    t.is(second.code, 0, second.told);
    t.deepEqual(second.results('changed'), []);
  }
  t.is(await pair.on('one', 'hostname; ls /srv; cat /etc/cron.d/muster-test; getent passwd alice bob; getent group crew machines; systemctl --failed --no-legend; dpkg-query -W -f "\\${db:Status-Status}\\n" unzip opendoas 2>/dev/null | grep -x installed; cat /srv/files/lines'), 'one\nfiles\nonce\nport = 1\nsecond = 2');
});

test.serial('firewalld: the second run changes nothing', (t) => twice(t, 'firewalld.yml'));
