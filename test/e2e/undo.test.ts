import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { keyFile, knownHostsFile, labDown, labSsh, labUp, type LabState } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';
import { muster } from '../cli/muster.js';

/** What has a way back only on a host of its own: packages, services, accounts, the kernel. */
const name = 'undo';
let project: string;
let lab: LabState;

const on = async (command: string) => (await run('ssh', labSsh(lab, 'one', ['sudo sh']), { input: command })).trim();
const ours = (args: string[]) => muster(args, { cwd: project, env: { COLUMNS: '300' } });

const UNIT = '[Service]\\nEnvironmentFile=/etc/app.conf\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n';
const SITE = `- hosts: all
  become: true
  tasks:
    - name: Settings
      copy: {content: "MOTTO={{ motto }}\\n", dest: /etc/app.conf, mode: "0600"}
      notify: restart app
    - name: Unit
      copy: {content: "${UNIT}{{ '# second' if second | bool else '' }}\\n", dest: /etc/systemd/system/app.service}
    - name: App
      systemd: {name: app, state: started, enabled: true, daemon_reload: true}
    - name: Second app's unit
      copy: {content: "${UNIT}", dest: /etc/systemd/system/other.service}
    - name: Other app
      systemd: {name: other, state: "{{ 'stopped' if second | bool else 'started' }}", enabled: "{{ not second | bool }}", daemon_reload: true}
    - when: second | bool
      block:
        - name: Packages
          apt: {name: [cron, tree], update_cache: true, install_recommends: false}
        - name: Job
          cron: {name: nightly, special_time: daily, job: /bin/true}
        - name: Group
          group: {name: team}
        - name: User
          user: {name: deploy, groups: [team], shell: /bin/sh}
        - name: Shell
          user: {name: games, shell: /bin/false, comment: nobody plays}
        - name: Forwarding
          sysctl: {name: net.ipv4.ip_forward, value: "1", sysctl_file: /etc/sysctl.d/60-app.conf, sysctl_set: true}
        - name: Name
          hostname: {name: renamed}
        - name: Migrate
          command: touch /var/tmp/migrated
  handlers:
    - name: restart app
      service: {name: app, state: restarted}
`;

/** All that the second run changes. */
const STATE = `cat /etc/app.conf /etc/systemd/system/app.service; stat -c '%a %U' /etc/app.conf
for u in app other; do systemctl is-active $u; systemctl is-enabled $u; systemctl show -p NeedDaemonReload $u; done
tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value app)/environ | grep MOTTO
dpkg-query -W -f '\${Package} \${db:Status-Abbrev}\\n' cron tree 2>/dev/null | grep ii
getent group team; getent passwd deploy games; cat /etc/sysctl.d/60-app.conf 2>&1; cat /proc/sys/net/ipv4/ip_forward
cat /etc/hostname; hostname; crontab -l 2>/dev/null | grep -v '^#'; true`;

test.before(async () => {
  project = await mkdtemp(join(tmpdir(), 'muster-undo-'));
  lab = await labUp({ name, hosts: [{ name: 'one' }], project });
  const vars = { ansible_host: lab.hosts[0]!.address, ansible_user: 'muster', ansible_ssh_private_key_file: keyFile(project, name), muster_known_hosts_file: knownHostsFile(project, name) };
  await writeFile(join(project, 'hosts.json'), JSON.stringify({ all: { hosts: { one: vars } } }));
  await writeFile(join(project, 'site.yml'), SITE);
  await writeFile(join(project, 'muster.yml'), 'inventory: hosts.json\n');
});
test.after.always(async () => {
  await labDown({ name, project });
  await rm(project, { recursive: true });
});

test.serial('packages, services, users, kernel and name go back, what was restarted is restarted with what it had', async (t) => {
  t.timeout(5 * 60_000);
  const first = await ours(['apply', 'site.yml', '-e', 'motto=first second=no']);
  t.is(first.code, 0, first.stdout);
  const before = await on(STATE);
  const second = await ours(['apply', 'site.yml', '--verify', '-e', 'motto=second second=yes']);
  t.is(second.code, 0, second.stdout);
  const after = await on(STATE);
  for (const sign of ['MOTTO=second', 'cron ii', 'team:', 'deploy:', 'nobody plays', 'net.ipv4.ip_forward=1', 'renamed', '@daily']) t.true(after.includes(sign), `${sign} in ${after}`);

  const look = await ours(['undo', 'last', '--check']);
  t.is(look.code, 2, look.stdout);
  t.is(await on(STATE), after, 'looking changes nothing');
  const undone = await ours(['undo', 'last', '--yes']);
  t.is(undone.code, 0, undone.stdout + undone.stderr);
  t.is(await on(STATE), before, undone.stdout);
  t.regex(undone.stdout, /Cannot be taken back:\n[^]*User: the home folder of deploy stays · one/);
  t.regex(undone.stdout, /Migrate: what command did is not known · one/);
  t.regex(undone.stdout, /changed +again: restart app · one/);
  t.is((await ours(['plan', 'site.yml', '-e', 'motto=first second=no'])).code, 0);
});

test.serial('what was edited on the host since stays', async (t) => {
  await ours(['apply', 'site.yml', '-e', 'motto=third second=no']);
  await on('echo MOTTO=hand >/etc/app.conf');
  const undone = await ours(['undo', 'last', '--yes']);
  t.is(undone.code, 3, undone.stdout);
  t.regex(undone.stdout, /failed +undo: Settings · one\n +not as the run left it, so it stays/);
  t.is(await on('cat /etc/app.conf'), 'MOTTO=hand');
});
