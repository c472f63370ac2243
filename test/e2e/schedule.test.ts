import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { labDown, labSsh, labUp, type LabState } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';
import { sh } from '../../src/shell/sh.js';

/** A host that manages itself: Muster is on it as a person would put it there, and systemd and cron have it run. */
const name = 'schedule';
let project: string;
let lab: LabState;

const on = async (command: string) => (await run('ssh', labSsh(lab, 'ctl', [command]))).trim();
/** Waits until a command on the host succeeds; a minute is what a timer and cron may take. */
const until = async (command: string) => on(`i=0; until { ${command}; } >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 1800 ] || { echo ${sh`${command}`.text} never came true; exit 1; }; sleep 0.1; done`);

const SITE = `- hosts: all
  become: true
  tasks:
    - name: Motto
      copy: {content: "in order\\n", dest: /etc/motto, mode: "0644"}
`;
const MUSTER = 'cd /srv/config && muster';
const ARGS = 'site.yml -i ctl, -c local --fix --every 1m --splay 0s';

test.before(async () => {
  project = await mkdtemp(join(tmpdir(), 'muster-schedule-'));
  lab = await labUp({ name, hosts: [{ name: 'ctl', suite: 'trixie' }], project });
  const ssh = ['ssh', ...labSsh(lab, 'ctl', ['sudo mkdir -p /opt/muster /srv/config && sudo tar -xz -C /opt/muster && sudo chown $(id -un) /srv/config'])].map((word) => sh`${word}`.text).join(' ');
  await run('sh', ['-c', `tar -cz package.json dist/cli | ${ssh}`]);
  await on(`sudo ln -s /opt/muster/dist/cli/main.js /usr/local/bin/muster
    sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends nodejs cron logrotate >/dev/null
    cat >/srv/config/site.yml <<'END'\n${SITE}END`);
});
test.after.always(async () => {
  await labDown({ name, project });
  await rm(project, { recursive: true });
});

test.serial('a timer mends what drifted, as the user who called sudo; twice is once, and it can be taken away', async (t) => {
  const me = await on('id -un');
  const said = await on(`${MUSTER} schedule --list; cd /srv/config && sudo muster schedule ${ARGS}`);
  t.regex(said, new RegExp(`^nothing is scheduled\\nscheduled: drift --fix of /srv/config/site\\.yml on ctl, every 1m as ${me}, by systemd \\(muster-drift-site-[0-9a-f]{8}\\.timer\\)$`));
  const unit = /muster-drift-site-[0-9a-f]{8}/.exec(said)![0];
  await on(`systemd-analyze verify /etc/systemd/system/${unit}.timer`);
  await until('grep -qx "in order" /etc/motto');
  await until(`sudo journalctl -t muster -o cat | grep -q "drift site.yml hosts=1 drifted=1 .*corrected=1 .* exit=0"`);
  t.is(await on(`stat -c %U /srv/config/.muster/drift`), me);
  t.regex(await on(`${MUSTER} schedule --list`), /every 1m as .*, by systemd\n {4}next .*, last .*, exit 0$/);
  t.regex(await on(`cd /srv/config && sudo muster schedule ${ARGS}`), /^unchanged: /);
  t.regex(await on(`sudo systemctl stop ${unit}.timer; cd /srv/config && sudo muster schedule ${ARGS}`), /^changed: /, 'a timer that somebody stopped runs again');
  t.is(await on(`systemctl is-active ${unit}.timer`), 'active');

  await on(`cd /srv/config && sudo muster drift site.yml -i ctl, --disable 'a rehearsal'; echo by hand | sudo tee /etc/motto; sudo systemctl start ${unit}.service`);
  t.is(await on('cat /etc/motto'), 'by hand');
  t.regex(await on(`${MUSTER} schedule --list`), /disabled since .*: a rehearsal$/);
  await on(`${MUSTER} drift site.yml -i ctl, --enable`);

  t.is(await on(`cd /srv/config && sudo muster schedule site.yml -i ctl, --remove`), 'removed: drift of site.yml');
  t.is(await on(`cd /srv/config && sudo muster schedule site.yml -i ctl, --remove`), 'not scheduled: drift of site.yml');
  t.is(await on(`ls /etc/systemd/system /var/lib/systemd/timers | grep -c muster || true; systemctl list-units --all --plain --no-legend 'muster-drift*'`), '0');
});

test.serial('the units of a user', async (t) => {
  const said = await run('ssh', labSsh(lab, 'ctl', [`${MUSTER} schedule ${ARGS} 2>&1`]));
  t.regex(said, /^scheduled: .* by systemd .*\nmuster: it runs only while .* is logged in, until: sudo loginctl enable-linger /);
  await on('sudo loginctl enable-linger $(id -un); echo by hand | sudo tee /etc/motto');
  t.regex(await on(`${MUSTER} schedule ${ARGS}`), /^unchanged: [^\n]*$/);
  await until('grep -qx "in order" /etc/motto');
  t.regex(await on(`${MUSTER} schedule site.yml -i ctl, --remove; ls ~/.config/systemd/user; sudo loginctl disable-linger $(id -un)`), /^removed: [^\n]*(\ntimers\.target\.wants)?$/);
});

test.serial('cron, where there is no systemd: the same, with a log that is rotated', async (t) => {
  const me = await on('id -un');
  const withoutSystemd = (command: string) => on(`sudo --preserve-env=SUDO_USER unshare -m sh -c ${sh`${`mount -t tmpfs none /run/systemd && cd /srv/config && export SUDO_USER=${me} && ${command}`}`.text}`);
  await on('echo by hand | sudo tee /etc/motto');
  const said = await withoutSystemd(`muster schedule ${ARGS}`);
  const [, job] = /^scheduled: .* as \S+, by cron \(\/etc\/cron\.d\/(muster-drift-site-[0-9a-f]{8})\)$/.exec(said) ?? [];
  t.truthy(job, said);
  t.regex(await withoutSystemd(`muster schedule ${ARGS}`), /^unchanged: /);
  await until('grep -qx "in order" /etc/motto');
  const log = `/var/log/${job}.log`;
  await until(`sudo grep -q "corrected=1 .* exit=0" ${log}`);
  t.is(await on(`stat -c '%U %a' ${log}; sudo logrotate -f /etc/logrotate.d/${job}; ls ${log}.1; stat -c '%U %a %s' ${log}`), `${me} 640\n${log}.1\n${me} 640 0`);
  // The other way takes its place.
  t.regex(await on(`cd /srv/config && sudo muster schedule ${ARGS}; ls /etc/cron.d /etc/logrotate.d | grep -c muster || true`), /^no longer by cron\nscheduled: .* by systemd .*\n0$/);
  await on(`cd /srv/config && sudo muster schedule site.yml -i ctl, --remove`);
});

test.serial("a user's crontab keeps what else is in it", async (t) => {
  await on('echo "0 4 * * * true mine" | crontab -');
  t.regex(await on(`${MUSTER} schedule ${ARGS} --with cron`), /^scheduled: .* by cron \(crontab of /);
  t.regex(await on(`${MUSTER} schedule ${ARGS} --with cron`), /^unchanged: /);
  t.regex(await on(`${MUSTER} schedule ${ARGS.replace('1m', '5m')} --with cron; crontab -l`), /^changed: [^\n]*\n0 4 \* \* \* true mine\n# muster-job: [^\n]*\n\*\/5 \* \* \* \* cd \/srv\/config && [^\n]*$/);
  t.is(await on(`${MUSTER} schedule site.yml -i ctl, --remove; crontab -l; crontab -r`), 'removed: drift of site.yml\n0 4 * * * true mine');
});

test.serial('what the user could not run is not scheduled', async (t) => {
  t.regex(await on(`cd /srv/config && sudo muster schedule ${ARGS} --run-as nobody 2>&1 || true; ls /etc/systemd/system | grep muster || true`), /^muster: nobody could not run it: [^\n]*$/);
  t.regex(await on(`umask 077; echo hush >/srv/config/vault-password; cd /srv/config && sudo muster schedule ${ARGS} --run-as daemon --vault-password-file vault-password 2>&1 || true; ls /etc/systemd/system | grep muster || true`), /^muster: daemon could not run it: [^\n]*$/);
});

test.serial('promtool finds nothing to say about the metrics', async (t) => {
  await on('sudo DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends promtool >/dev/null');
  t.is(await on(`${MUSTER} drift site.yml -i 'ctl,gone.invalid,' -c local --metrics /tmp/drift.prom >/dev/null; promtool check metrics </tmp/drift.prom 2>&1`), '');
});
