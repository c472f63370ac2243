import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { need } from '../connection/shells.js';
import { Fresh } from '../e2e/fresh.js';

/** Fresh machines with what goes wrong on them. */
let fresh: Fresh;

test.before(async () => {
  need('faketime', 'faketime');
  fresh = await Fresh.up('freshbreak', ['one', 'two']);
});
test.after.always(() => fresh?.down());

/** Waits until a script on the machine prints something. */
async function until(host: string, script: string): Promise<string> {
  for (let tries = 0; tries < 300; tries++) {
    const said = await fresh.on(host, script).catch(() => '');
    if (said !== '') return said;
    await sleep(100);
  }
  throw new Error(`${host} never said anything to: ${script}`);
}

test.serial('a clock that differs, full and read-only file systems are told all at once, before anything is changed', async (t) => {
  t.teardown(() => fresh.on('one', 'umount /var/cache/apt; umount /home'));
  await fresh.on('one', 'mount -t tmpfs -o size=1m tmpfs /var/cache/apt; mount --bind /home /home; mount -o remount,bind,ro /home');
  const faketime = spawn('faketime', ['-f', '+2h', 'env'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let env = '';
  for await (const piece of faketime.stdout) env += String(piece);
  const fake = Object.fromEntries(env.split('\n').filter((line) => /^(LD_PRELOAD|FAKETIME\w*)=/.test(line)).map((line) => line.split(/=(.*)/s) as [string, string]));
  const run = await fresh.bootstrap(fresh.named('one'), [], { ...fake, FAKETIME_DONT_FAKE_MONOTONIC: '1' });
  t.is(run.code, 3, run.told);
  for (const words of [/clock is (7199|7200|7201) seconds behind this machine's/, /\/home is mounted read-only/, /\/var\/cache\/apt has 1 MB left, and 300 are needed/]) t.regex(run.told, words);
  t.deepEqual(run.changed('one'), []);
  t.is(run.ending('one').state, 'failed');
  await t.throwsAsync(readFile(join(fresh.folder, 'hosts.yml')), { code: 'ENOENT' });
});

test.serial("an apt that holds its lock is waited for, and named where it takes too long; /tmp and homes may be noexec", async (t) => {
  await fresh.on('one', 'mount -t tmpfs -o noexec tmpfs /tmp; mount --bind /home /home; mount -o remount,bind,noexec /home; mount --bind /root /root; mount -o remount,bind,noexec /root');
  t.teardown(() => fresh.on('one', 'touch /run/go; umount /tmp /home /root'));
  // Real apt, which holds its locks while its hook waits.
  const holding = fresh.on('one', 'apt-get -q update >/dev/null 2>&1; apt-get -qq -o DPkg::Pre-Invoke::="while [ ! -e /run/go ]; do sleep 0.2; done" install -y less >/dev/null 2>&1; echo done');
  await until('one', 'pgrep -f "run/go" || :');
  const given = await fresh.bootstrap(fresh.named('one'), ['-e', 'bootstrap_lock_timeout=3']);
  t.is(given.code, 3, given.told);
  t.regex(given.told, /apt-get \(process \d+\) holds \/var\/(lib\/dpkg|cache\/apt\/archives)\/lock/);
  t.deepEqual(given.changed('one'), []);
  const waiting = fresh.bootstrap(fresh.named('one'));
  await sleep(6000);
  await fresh.on('one', 'touch /run/go');
  const run = await waiting;
  t.is(run.code, 0, run.told);
  t.true(run.events.some(({ event }) => event === 'retry'));
  t.is(await holding, 'done');
});

test.serial('a dpkg that was killed in the middle is mended', async (t) => {
  // The larger part of it is unpacked when it is killed.
  await fresh.on('two', 'apt-get -q update; apt-get -qq install -y --download-only vim-runtime vim');
  await fresh.on(
    'two',
    `(DEBIAN_FRONTEND=noninteractive apt-get -qq install -y vim-runtime vim >/dev/null 2>&1) &
while ! dpkg --audit | grep -q vim; do :; done
pkill -KILL -x apt-get; pkill -KILL -x dpkg; pkill -KILL -x dpkg-deb; wait; sleep 0.5; ls /var/lib/dpkg/updates; dpkg --audit`,
  );
  t.regex(await fresh.on('two', 'dpkg --audit'), /vim/);
  const run = await fresh.bootstrap(fresh.named('two'));
  t.is(run.code, 0, run.told);
  t.true(run.changed('two').includes('bootstrap : Let dpkg finish what it was interrupted in'));
  t.is(await fresh.on('two', 'dpkg --audit'), '');
});

test.serial('another key than the one on record is refused; --retrust takes it, --fingerprint only the right one', async (t) => {
  await fresh.freshen('two', 'key');
  await fresh.on('two', "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh");
  const shown = (await fresh.on('two', 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1]!;
  const refused = await fresh.bootstrap(fresh.named('two'));
  t.is(refused.code, 4, refused.told);
  t.regex(refused.ending('two').message, /its key has changed.*--retrust/);
  const before = await fresh.on('two', 'date +%s');
  const wrong = await fresh.bootstrap(fresh.named('two'), ['--retrust', '--fingerprint', `SHA256:${'A'.repeat(43)}`]);
  t.is(wrong.code, 4, wrong.told);
  t.regex(wrong.ending('two').message, /none of those given/);
  // It was spoken to, and nobody tried to log in.
  t.is(await fresh.on('two', `journalctl -t sshd -o cat --since @${before} | grep -c Accepted || :`), '0');
  const right = await fresh.bootstrap(fresh.named('two'), ['--retrust', '--fingerprint', shown]);
  t.is(right.code, 0, right.told);
  t.like(right.ending('two').key, { fingerprint: shown, how: 'replaced' });
});

test.serial('killed at any point, it is begun again and comes through', async (t) => {
  t.timeout(8 * 60_000);
  await fresh.freshen('one', 'key');
  await fresh.on('one', 'dpkg -P --force-all sudo needrestart logrotate >/dev/null 2>&1; rm -rf /etc/systemd/system/security-upgrade.* /etc/systemd/journald.conf.d');
  for (const seconds of [1.2, 2, 2.8, 3.6, 5, 7]) {
    const child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), ...fresh.arguments(fresh.named('one'), [])], { cwd: fresh.folder, stdio: 'ignore' });
    await sleep(seconds * 1000);
    child.kill('SIGKILL');
  }
  const run = await fresh.bootstrap(fresh.named('one'));
  t.is(run.code, 0, run.told);
  t.is(await fresh.ssh('ops', 'ops', 'one', 'sudo -n id -u'), '0');
  t.regex(await fresh.ssh('root', 'first', 'one', 'true'), /Permission denied \(publickey\)/);
  const again = await fresh.bootstrap(['one']);
  t.is(again.code, 0, again.told);
  t.deepEqual(again.changed('one'), []);
  t.is(await fresh.on('one', 'ls /var/lib/muster/confirm; systemctl list-units --all --plain --no-legend "muster-confirm-*"; dpkg --audit'), '');
});

test.serial('a machine with a userland of busybox, and no apt, is let in and closed all the same', async (t) => {
  await fresh.freshen('two', 'key');
  // What a login finds are busybox' tools; of the rest, those that no busybox has.
  await fresh.on(
    'two',
    `apt-get -qq install -y busybox-static >/dev/null 2>&1
mkdir -p /opt/bb && /bin/busybox --install -s /opt/bb
for tool in sudo visudo sshd systemctl systemd-run chpasswd hostnamectl; do ln -sf "$(command -v $tool)" /opt/bb/$tool; done
rm -f /opt/bb/dpkg /opt/bb/dpkg-deb
echo 'Defaults secure_path="/opt/bb"' >/etc/sudoers.d/path
printf 'SetEnv PATH=/opt/bb\\nInclude /etc/ssh/sshd_config.d/*.conf\\n' | cat - /etc/ssh/sshd_config >/tmp/s && cat /tmp/s >/etc/ssh/sshd_config; systemctl restart ssh`,
  );
  const found = await fresh.ssh('root', 'first', 'two', 'readlink $(command -v ls); command -v apt-get dpkg useradd || echo none');
  t.regex(found, /busybox\nnone$/);
  const run = await fresh.bootstrap(fresh.named('two'));
  t.is(run.code, 0, run.told);
  t.is(await fresh.ssh('ops', 'ops', 'two', 'sudo -n id -u'), '0');
  t.regex(await fresh.ssh('root', 'first', 'two', 'true'), /Permission denied \(publickey\)/);
  const again = await fresh.bootstrap(['two']);
  t.is(again.code, 0, again.told);
  t.deepEqual(again.changed('two'), []);
});

test.serial('cloud-init is waited for, from the boot on; where it failed, nothing is begun', async (t) => {
  t.timeout(6 * 60_000);
  await fresh.freshen('one', 'key');
  const seed = (command: string) => `mkdir -p /var/lib/cloud/seed/nocloud && cd /var/lib/cloud/seed/nocloud && echo 'instance-id: i1' >meta-data
printf '#cloud-config\\nusers: []\\nlocale: false\\nruncmd:\\n  - [sh, -c, "%s"]\\n' '${command}' >user-data`;
  await fresh.on(
    'one',
    `apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends cloud-init >/dev/null 2>&1
# As an image for one machine has it: the lab's network stays, and so do host keys and root's key.
printf 'datasource_list: [NoCloud]\\nnetwork: {config: disabled}\\nssh_deletekeys: false\\ndisable_root: false\\n' >/etc/cloud/cloud.cfg.d/90-lab.cfg
${seed('sleep 15; touch /root/ran')}
command -v cloud-init`,
  );
  await fresh.reboot('one');
  const run = await fresh.bootstrap(fresh.named('one'));
  t.is(run.code, 0, run.told);
  t.is(await fresh.on('one', 'cloud-init status; [ /root/ran -ot /etc/sudoers.d/10-muster-ops ] && cat /etc/cloud/cloud.cfg.d/99-muster.cfg | grep -v "^#"'), 'status: done\npreserve_hostname: true\nmanage_etc_hosts: false');

  await fresh.freshen('one', 'key');
  await fresh.on('one', `cloud-init clean --logs; ${seed('exit 7')}`);
  await fresh.reboot('one');
  const failed = await fresh.bootstrap(fresh.named('one'));
  t.is(failed.code, 3, failed.told);
  t.regex(failed.told, /cloud-init failed; see[^]*status: error/);
  t.deepEqual(failed.changed('one'), []);
});
