import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { muster } from '../cli/muster.js';
import { Fresh, PASSWORD } from './fresh.js';

/** Fresh machines become hosts: the way it goes when nothing is in the way. */
let fresh: Fresh;

test.before(async () => {
  fresh = await Fresh.up('fresh', ['one', 'two']);
  await fresh.freshen('two', 'password');
  // As a machine that was installed with little.
  await fresh.on('two', 'dpkg -P --force-all sudo >/dev/null 2>&1; sed -i /two/d /etc/hosts; hostname localhost; echo localhost >/etc/hostname; ! command -v sudo');
});
test.after.always(() => fresh?.down());

const inventory = () => readFile(join(fresh.folder, 'hosts.yml'), 'utf8');

test.serial('by a key or by a password alone, without sudo, with another name', async (t) => {
  await fresh.write('hosts.yml', '# The fleet\nall:\n  children:\n    web:   # nothing yet\n');
  const run = await fresh.answering(PASSWORD, fresh.named('one', 'two'), ['-g', 'web', '-k']);
  t.is(run.code, 0, run.told);
  for (const host of ['one', 'two']) {
    const { state, login, key } = run.ending(host);
    t.is(state, 'ready');
    t.like(login, { user: 'ops', address: fresh.address(host) });
    t.is(key!.fingerprint, (await fresh.on(host, 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1]!);
    t.is(key!.how, 'new');
    t.is(await fresh.ssh('ops', 'ops', host, 'sudo -n id -u; uname -n; systemctl is-enabled systemd-timesyncd security-upgrade.timer; grep -wc "$(uname -n)" /etc/hosts'), `0\n${host}\nenabled\nenabled\n1`);
    t.regex(await fresh.ssh('root', 'first', host, 'true'), /Permission denied \(publickey\)/);
    t.is(await fresh.on(host, "sshd -T | grep -Ei '^(permitrootlogin|passwordauthentication|kbdinteractive)'"), 'permitrootlogin no\npasswordauthentication no\nkbdinteractiveauthentication no');
  }
  t.true(run.changed('two').includes('bootstrap : Install sudo') && !run.changed('one').includes('bootstrap : Install sudo'));
  const entry = (host: string) => `        ${host}: {ansible_host: ${fresh.address(host)}, ansible_user: ops, ansible_ssh_private_key_file: ${fresh.folder}/ops}\n`;
  t.is(await inventory(), `# The fleet\nall:\n  children:\n    web:   # nothing yet\n      hosts:\n${entry('one')}${entry('two')}`);
  t.false(run.ran.stdout.replace(PASSWORD, '').includes(PASSWORD), 'the password is shown where it was typed, and nowhere else');
});

test.serial('what follows logs in as the administrator, by the pinned key, and finds all as it should be', async (t) => {
  await fresh.write('base.yml', '- {hosts: all, become: true, roles: [base]}\n');
  await symlink(join(process.cwd(), 'templates'), join(fresh.folder, 'templates'));
  const plan = await muster(['plan', 'base.yml', '-i', 'hosts.yml'], { cwd: fresh.folder, env: { MUSTER_ROLES_PATH: join(process.cwd(), 'playbooks/roles') } });
  t.is(plan.code, 0, plan.stdout + plan.stderr);
  const exec = await muster(['exec', 'web', '-i', 'hosts.yml', '-b', '--', 'id', '-un'], { cwd: fresh.folder });
  t.is(exec.code, 0, exec.stdout);
  t.regex(exec.stdout, /root/);
});

test.serial('again, though root is let in no more: nothing changes', async (t) => {
  const before = await inventory();
  const run = await fresh.bootstrap(['one', 'two'], ['-g', 'web']);
  t.is(run.code, 0, run.told);
  for (const host of ['one', 'two']) {
    t.like(run.ending(host), { state: 'ready', key: { how: 'known' } });
    t.deepEqual(run.changed(host), []);
  }
  t.is(await inventory(), before);
});

test.serial("sshd moves to another port, systemd's socket too, and the old one is closed", async (t) => {
  await fresh.freshen('one', 'key');
  await fresh.freshen('two', 'key');
  await fresh.on('two', 'systemctl disable --now ssh.service; systemctl enable --now ssh.socket');
  const run = await fresh.bootstrap(fresh.named('one', 'two'), ['--ssh-port', '2222']);
  t.is(run.code, 0, run.told);
  for (const host of ['one', 'two']) {
    t.is(run.ending(host).login!.port, 2222);
    t.is(await fresh.ssh('ops', 'ops', host, "sudo ss -Htln 'sport = 22 or sport = 2222' | awk '{print $4}' | sed 's/.*://' | sort -u", 2222), '2222');
    t.regex(await fresh.ssh('ops', 'ops', host, 'true'), /refused/);
  }
  const again = await fresh.bootstrap(['one', 'two']);
  t.is(again.code, 0, again.told);
  t.deepEqual([again.changed('one'), again.changed('two')], [[], []]);
  t.regex(await inventory(), /ansible_port: 2222, base_ssh_port: 2222/);
});
