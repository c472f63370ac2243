import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { labSsh, stateDir } from '../../../src/lab/lab.js';
import { LabError, run } from '../../../src/lab/run.js';
import { hosts, Stack } from '../../e2e/stack.js';

const site = 'playbooks/site.yml';
let stack: Stack;
let folder: string;

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  folder = await mkdtemp(join(tmpdir(), 'muster-break-'));
  stack = await Stack.converged();
});
test.after.always(() => rm(folder, { recursive: true }));

/** What a login said, or why there was none. */
const login = (host: string, options: readonly string[], ...command: string[]) =>
  run('ssh', [...options, ...labSsh(stack.lab, host, command)]).then(
    (said) => said.trim(),
    (error: unknown) => {
      if (error instanceof LabError) return error.message;
      throw error;
    },
  );
/** Options that log in with a key of the test's own (the lab's is offered too, and opens nobody's door but its own). */
const as = (user: string, key: string) => ['-l', user, '-i', join(folder, key)];

test.serial('neither root nor a password logs in', async (t) => {
  for (const host of hosts) {
    t.is(await stack.on(host, 'test -s /root/.ssh/authorized_keys && echo yes'), 'yes'); // a key that would do, and is the one offered
    t.regex(await login(host, ['-l', 'root'], 'true'), /Permission denied \(publickey\)/);
    // The methods that sshd offers stand in brackets.
    t.regex(await login(host, ['-o', 'PubkeyAuthentication=no'], 'true'), /Permission denied \(publickey\)/);
  }
});

test.serial("a way to the database's socket is open, ways back are not", async (t) => {
  const socket = join(folder, 'mysql.sock');
  const tunnel = spawn('ssh', ['-N', '-L', `${socket}:/run/mysqld/mysqld.sock`, '-o', 'ExitOnForwardFailure=yes', ...labSsh(stack.lab, 'db1')], { stdio: 'ignore' });
  t.teardown(() => tunnel.kill());
  const greeting = () =>
    new Promise<string>((resolve) => {
      const conversation = connect(socket).on('data', (bytes) => (conversation.destroy(), resolve(bytes.toString('latin1')))).on('error', (error) => resolve(error.message));
    });
  t.regex(await stack.until(greeting, (text) => text.includes('MariaDB')), /MariaDB/);
  t.regex(await login('db1', ['-R', '12345:127.0.0.1:22', '-o', 'ExitOnForwardFailure=yes'], 'true'), /remote port forwarding failed/);
});

test.serial('users of the list come, change and go', async (t) => {
  const key = async (name: string) => {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, name)]);
    return (await readFile(join(folder, `${name}.pub`), 'utf8')).trim();
  };
  const [anna, fresh, bert] = await Promise.all([key('anna'), key('anna-new'), key('bert')]);
  const apply = (users: unknown, verb: 'apply' | 'plan' = 'apply') => stack.muster(verb, site, ['--limit', 'web1', '-e', JSON.stringify({ base_users: users })]);
  const log = (user: string, which: string, ...command: string[]) => login('web1', as(user, which), ...command);

  const came = await apply([
    { name: 'anna', comment: 'Anna A.', ssh_keys: [anna], groups: ['adm', 'crew'], sudo: true },
    { name: 'bert', ssh_keys: [bert], groups: ['crew'] },
  ]);
  t.is(came.code, 0, came.told);
  t.is(await log('anna', 'anna', 'sudo -n id -u; id -Gn; getent passwd anna | cut -d: -f5,7'), '0\nanna adm crew\nAnna A.:/bin/bash');
  t.regex(await log('bert', 'bert', 'sudo -n id -u'), /password is required|not allowed/);

  const session = spawn('ssh', [...as('bert', 'bert'), ...labSsh(stack.lab, 'web1', ['exec sleep 1000'])], { stdio: 'ignore' });
  t.teardown(() => session.kill());
  const ended = once(session, 'exit');
  await stack.until(() => stack.tried('web1', 'pgrep -xc -u bert sleep'), (count) => count === '1');
  const changed = [
    { name: 'anna', ssh_keys: [fresh], groups: ['crew'] },
    { name: 'bert', state: 'absent', remove: true },
  ];
  const went = await apply(changed);
  t.is(went.code, 0, went.told);
  await ended;
  t.regex(await log('bert', 'bert', 'true'), /Permission denied/);
  t.regex(await log('anna', 'anna', 'true'), /Permission denied/);
  t.is(await log('anna', 'anna-new', 'id -Gn'), 'anna crew');
  t.regex(await log('anna', 'anna-new', 'sudo -n id -u'), /password is required|not allowed/);
  t.is(await stack.on('web1', 'ls /home; pgrep -x sleep || echo none'), 'anna\nmuster\nnone');
  const plan = await apply(changed, 'plan');
  t.is(plan.code, 0, JSON.stringify(plan.results('changed', 'unknown', 'failed')));
});

test.serial('what would lock Muster out is refused before anything is touched', async (t) => {
  for (const [vars, told] of [
    [{ base_users: [{ name: 'muster', state: 'absent' }] }, /base_users removes muster, whom Muster logs in as/],
    [{ ansible_password: 'not used: the key does' }, /by password, which sshd would no longer take/],
    [{ base_users: [{ name: 'anna' }] }, /give each of base_users ssh_keys/],
  ] as const) {
    const apply = await stack.muster('apply', site, ['--limit', 'lb1', '-e', JSON.stringify(vars)]);
    t.is(apply.code, 3, apply.told);
    t.regex(apply.told, told);
    t.deepEqual(apply.results('changed'), []);
  }
});

test.serial('an sshd that lets Muster in no more is taken back by the host itself', async (t) => {
  const look = () => stack.on('lb1', 'sha256sum /etc/ssh/sshd_config.d/*; sshd -T | sha256sum');
  const before = await look();
  const apply = await stack.muster('apply', site, ['--limit', 'lb1', '-e', '{"base_ssh_groups": ["games"]}']);
  t.is(apply.code, 3, apply.told);
  t.is(await look(), before);
  t.is((await stack.muster('plan', site, ['--limit', 'lb1'])).code, 0);
});

test.serial('each host has a slot of its own for upgrades; where two of a group would share one, the run says so', async (t) => {
  const times = await Promise.all(hosts.map((host) => stack.on(host, `sed -n 's/^OnCalendar=//p' /etc/systemd/system/security-upgrade.timer | xargs -0 -d '\\n' systemd-analyze calendar | sed -n 's/.*Next elapse: //p'`)));
  t.is(new Set(times).size, hosts.length, times.join('\n'));
  await writeFile(join(folder, 'more.yml'), `loadbalancers: {hosts: {lb3: {ansible_host: "${stack.lab.net}.19"}}}\n`);
  const more = ['-i', join(folder, 'more.yml'), '-e', `lab_dir=${stateDir(process.cwd(), stack.lab.name)}`, '--limit', 'lb1'];
  // One slot a night, seven nights, eight hosts.
  const crowded = await stack.muster('plan', site, [...more, '-e', '{"base_upgrade_slots": 1}']);
  t.is(crowded.code, 3);
  t.regex(crowded.told, /lb1 and lb3 would be upgraded at the same time/);
  const turns = await stack.muster('plan', site, [...more, '-e', '{"base_upgrade_slots": 2}']);
  t.is(turns.code, 2, turns.told);
  t.regex(turns.results('changed').find(({ task }) => /its time/.test(task))!.changes, /^\+OnCalendar=Mon,Fri \*-\*-\* 02:00:00 UTC$/m);
});

/** Shell text: makes a package of one program, which is sleep, in a repository with a label. */
const REPOSITORY = `
set -e
package() { # LABEL NAME VERSION
  repository=/srv/$1 work=$(mktemp -d)
  mkdir -p $repository $work/DEBIAN $work/usr/bin
  cp /bin/sleep $work/usr/bin/$2
  printf %s "$3" >>$work/usr/bin/$2
  printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: nobody <nobody@localhost>\\nDescription: test\\n' $2 $3 >$work/DEBIAN/control
  chmod 755 $work
  dpkg-deb --root-owner-group -b $work $repository/$2_$3.deb >/dev/null
  { cat $work/DEBIAN/control; cd $repository; echo "Filename: ./$2_$3.deb"; echo "Size: $(stat -c %s $2_$3.deb)"; echo "SHA256: $(sha256sum <$2_$3.deb | cut -d' ' -f1)"; echo; } >>$repository/Packages
  printf 'Label: %s\\nDate: %s\\nSHA256:\\n %s %s Packages\\n' $1 "$(date -uR)" $(sha256sum <Packages | cut -d' ' -f1) $(stat -c %s Packages) >Release
  echo "deb [trusted=yes] file:$repository ./" >/etc/apt/sources.list.d/$1.list
}
`;

test.serial('a security upgrade is installed, what runs the old code restarted; the rest is left alone', async (t) => {
  t.timeout(5 * 60_000);
  await stack.on('web2', `${REPOSITORY}
package Debian-Security worn 1; package Debian-Security mariadb-mine 1; package Other plain 1
apt-get -qq update; apt-get -qqy install worn mariadb-mine plain >/dev/null
printf '[Service]\\nExecStart=/usr/bin/worn infinity\\n' >/etc/systemd/system/worn.service
systemctl start worn
package Debian-Security worn 2; package Debian-Security mariadb-mine 2; package Other plain 2`);
  const look = () => stack.on('web2', `dpkg-query -Wf '\${Package} \${Version}\\n' worn mariadb-mine plain; systemctl show -p MainPID --value worn`);
  const before = await look();
  await stack.on('web2', 'systemctl start security-upgrade');
  const after = await look();
  t.regex(after, /^mariadb-mine 1\nplain 1\nworn 2\n\d+$/);
  t.not(after.split('\n').at(-1), before.split('\n').at(-1));
});

test.serial('a host that needs it reboots in its slot, a database host does not', async (t) => {
  const boot = (host: string) => stack.tried(host, 'cat /proc/sys/kernel/random/boot_id');
  const before = await Promise.all(['web2', 'db2'].map(boot));
  await Promise.all(['web2', 'db2'].map((host) => stack.tried(host, 'touch /run/reboot-required; systemctl start security-upgrade')));
  t.regex(await stack.until(() => boot('web2'), (id) => /^[0-9a-f-]{36}$/.test(id) && id !== before[0]), /^[0-9a-f-]{36}$/);
  t.not(await boot('web2'), before[0]!);
  t.is(await boot('db2'), before[1]!);
});
