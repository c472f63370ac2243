import test from 'ava';
import { mkdir, readFile, stat, writeFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { authorizedKey, parseKey, writeKey } from '../../src/modules/authorized_key.js';
import { cron } from '../../src/modules/cron.js';
import { cronvar } from '../../src/modules/cronvar.js';
import { hostname } from '../../src/modules/hostname.js';
import { verifies } from '../../src/modules/module.js';
import { inKernel, sysctl } from '../../src/modules/sysctl.js';
import { converge, inShells, look, modeOf, type Place } from './harness.js';

const ED = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE';
const RSA = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQEXAMPLE==';

test('public keys are parsed with options and comments', (t) => {
  const lines = [ED, `${ED} who@where and more`, `no-pty,command="say \\"hi there\\"" ${RSA} x`, `from="10.0.0.1, 10.0.0.2" ${ED}`];
  for (const line of lines) t.is(writeKey(parseKey(line)!), line);
  t.is(parseKey(lines[2]!)!.options, 'no-pty,command="say \\"hi there\\""');
  for (const line of ['', '# comment', 'ssh-rsa', 'ssh-rsa not!base64', `a b ${ED}`]) t.is(parseKey(line), undefined, line);
});

inShells(test, 'keys are added, changed, made the only ones and removed', async (t, place) => {
  const path = join(place.dir, '.ssh', 'authorized_keys');
  const at = { user: 'daemon', path };
  await converge(t, place, authorizedKey, { ...at, key: `${ED} one\n${RSA} two` });
  t.is(await readFile(path, 'utf8'), `${ED} one\n${RSA} two\n`);
  t.deepEqual([await modeOf(path), await modeOf(join(place.dir, '.ssh')), (await stat(path)).uid, (await stat(path)).gid, (await stat(join(place.dir, '.ssh'))).uid], ['0600', '0700', 1, 1, 1]);
  await converge(t, place, authorizedKey, { ...at, key: ED, key_options: 'no-pty', comment: 'new' });
  t.is(await readFile(path, 'utf8'), `no-pty ${ED} new\n${RSA} two\n`);
  await chmod(path, 0o644);
  const { changes } = await converge(t, place, authorizedKey, { ...at, key: `${RSA} two` });
  t.deepEqual(changes.map(({ field }) => field), ['mode']);
  await converge(t, place, authorizedKey, { ...at, key: RSA, state: 'absent' });
  await writeFile(path, `# mine\n${RSA}\n`);
  await converge(t, place, authorizedKey, { ...at, key: ED, exclusive: true });
  t.is(await readFile(path, 'utf8'), `${ED}\n`);
  await t.throwsAsync(look(t, place, authorizedKey, { ...at, key: 'https://example.com/keys' }), { message: /does not fetch/ });
  await t.throwsAsync(look(t, place, authorizedKey, { user: 'nobody-at-all', key: ED }), { message: /no such home folder/ });
});

/** A crontab command that keeps its text in a file of the throwaway folder's parent. */
async function fakeCrontab(place: Place): Promise<string> {
  const tools = join(place.dir, '..', 'bin');
  const spool = join(place.dir, '..', 'spool');
  await mkdir(tools);
  const script = `#!/bin/sh
user=root
[ "$1" != -u ] || { user=$2; shift 2; }
case $1 in
-l) shift; [ "$1" != -u ] || user=$2; [ -e '${spool}'.$user ] || { echo "no crontab for $user" >&2; exit 1; }; cat '${spool}'.$user ;;
-) cat >'${spool}'.$user ;;
*) exit 2 ;;
esac
`;
  await writeFile(join(tools, 'crontab'), script, { mode: 0o755 });
  place.env['PATH'] = `${tools}:${place.env['PATH'] ?? process.env['PATH']}`;
  return spool;
}

inShells(test, 'cronvar sets variables as they are written', async (t, place) => {
  const spool = await fakeCrontab(place);
  const text = (): Promise<string> => readFile(`${spool}.root`, 'utf8');
  await converge(t, place, cronvar, { name: 'MAILTO', value: 'a b' });
  await converge(t, place, cronvar, { name: 'SHELL', value: '"/bin/sh"', insertafter: 'MAILTO' });
  t.is(await text(), 'MAILTO=a b\nSHELL="/bin/sh"\n');
  await writeFile(`${spool}.root`, 'MAILTO = a b\n');
  t.deepEqual((await look(t, place, cronvar, { name: 'MAILTO', value: 'a b' })).changes, []);
  const { result } = await converge(t, place, cronvar, { name: 'EMPTY', value: '' });
  t.deepEqual(result, { vars: ['EMPTY', 'MAILTO'] });
  await converge(t, place, cronvar, { name: 'MAILTO', state: 'absent' });
  t.is(await text(), 'EMPTY=""\n');
  t.is(cronvar.params.safeParse({ name: 'X' }).success, false);
}, ['dash', 'bash']);

inShells(test, 'jobs and variables come into a crontab and go', async (t, place) => {
  const spool = await fakeCrontab(place);
  const text = (): Promise<string> => readFile(`${spool}.app`, 'utf8');
  const mine = { user: 'app' };
  t.deepEqual((await look(t, place, cron, { ...mine, name: 'x', state: 'absent' })).changes, []);
  await converge(t, place, cron, { ...mine, name: "it's a job", minute: '*/5', job: `echo "100\\%" 'x' $(y) >/dev/null` });
  t.is(await text(), `#Ansible: it's a job\n*/5 * * * * echo "100\\%" 'x' $(y) >/dev/null\n`);
  await converge(t, place, cron, { ...mine, name: 'MAILTO', env: true, job: 'root' });
  await converge(t, place, cron, { ...mine, name: 'PATH', env: true, job: '/bin', insertafter: 'MAILTO' });
  const { result } = await converge(t, place, cron, { ...mine, name: "it's a job", special_time: 'reboot', job: 'true', disabled: true, backup: true });
  t.is(await text(), `MAILTO="root"\nPATH="/bin"\n#Ansible: it's a job\n#@reboot true\n`);
  t.deepEqual([result['jobs'], result['envs']], [["it's a job"], ['MAILTO', 'PATH']]);
  await converge(t, place, cron, { ...mine, name: "it's a job", state: 'absent' });
  await converge(t, place, cron, { ...mine, name: 'PATH', env: true, state: 'absent' });
  t.is(await text(), 'MAILTO="root"\n');
  await t.throwsAsync(look(t, place, cron, { ...mine, name: 'x', job: 'a\nb' }), { message: /must be one line/ });
  await t.throwsAsync(look(t, place, cron, { ...mine, name: 'x', job: 'a', special_time: 'daily', minute: '1' }), { message: /^You must specify time and date fields or special time/ });
// busybox ash prefers its own crontab to the one that stands in here.
}, ['dash', 'bash']);

inShells(test, 'a file of cron names who runs the job', async (t, place) => {
  const cron_file = join(place.dir, 'jobs');
  await converge(t, place, cron, { cron_file, user: 'app', name: 'a', hour: '3', minute: '0', job: 'true' });
  t.is(await readFile(cron_file, 'utf8'), '#Ansible: a\n0 3 * * * app true\n');
  await t.throwsAsync(look(t, place, cron, { cron_file, name: 'a', job: 'true' }), { message: /must specify user/ });
  await t.throwsAsync(look(t, place, cron, { cron_file: '/etc/crontab', user: 'root', name: 'a', job: 'true' }), { message: /^Will not manage/ });
  await t.throwsAsync(look(t, place, cron, { name: 'a', job: 'true', insertafter: 'B' }), { message: /only with env=yes/ });
  await t.throwsAsync(look(t, place, cron, { name: 'A B', job: 'true', env: true }), { message: 'Invalid name for environment variable' });
  // What is left of it by the last job goes with it; a variable keeps it.
  await converge(t, place, cron, { cron_file, name: 'B', env: true, job: 'x' });
  await converge(t, place, cron, { cron_file, name: 'a', state: 'absent' });
  t.is(await readFile(cron_file, 'utf8'), 'B="x"\n');
  await writeFile(cron_file, '#Ansible: a\n0 3 * * * app true\n\n   \n\t\n');
  const { result } = await converge(t, place, cron, { cron_file, name: 'a', state: 'absent', backup: true });
  await t.throwsAsync(readFile(cron_file), { code: 'ENOENT' });
  t.regex(await readFile(result['backup_file'] as string, 'utf8'), /^#Ansible: a\n/);
  t.deepEqual([result['jobs'], result['cron_file'], result['warnings']], [[], cron_file, undefined]);
  const odd = await converge(t, place, cron, { cron_file: `${cron_file}.bak`, user: 'app', name: 'ジョブ', job: 'echo うどん' });
  t.regex((odd.result['warnings'] as string[])[0]!, /cron may pass over/);
});

inShells(test, 'a host without cron says so', async (t, place) => {
  const tools = join(place.dir, '..', 'none');
  await mkdir(tools);
  place.env['PATH'] = tools;
  await t.throwsAsync(look(t, place, cron, { name: 'x', job: 'y' }), { message: /install cron/ });
}, ['dash', 'bash']);

inShells(test, 'kernel parameters in a file', async (t, place) => {
  const sysctl_file = join(place.dir, 'sysctl.conf');
  await converge(t, place, sysctl, { name: 'net.ipv4.ip_forward', value: 'True', sysctl_file, reload: false });
  t.is(await readFile(sysctl_file, 'utf8'), 'net.ipv4.ip_forward=1\n');
  await writeFile(sysctl_file, '# net.core.somaxconn=1\nnet.core.somaxconn = 2\nvm.swappiness=1\nnet/core/somaxconn=3');
  await converge(t, place, sysctl, { name: 'net.core.somaxconn', value: '4', sysctl_file, reload: false });
  t.is(await readFile(sysctl_file, 'utf8'), '# net.core.somaxconn=1\nvm.swappiness=1\nnet.core.somaxconn=4\n');
  await writeFile(sysctl_file, 'net.ipv4.tcp_rmem = 1\t2   3\n');
  t.deepEqual((await look(t, place, sysctl, { name: 'net.ipv4.tcp_rmem', value: '1 2 3', sysctl_file })).changes, []);
  await converge(t, place, sysctl, { name: 'net.ipv4.tcp_rmem', state: 'absent', sysctl_file, reload: false });
  t.is(await readFile(sysctl_file, 'utf8'), '');
});

inShells(test, 'the kernel is told when it has another value', async (t, place) => {
  const now = (await readFile('/proc/sys/kernel/pid_max', 'utf8')).trim();
  const sysctl_file = join(place.dir, 'f');
  await writeFile(sysctl_file, `kernel.pid_max=${now}\n`);
  t.deepEqual((await look(t, place, sysctl, { name: 'kernel.pid_max', value: now, sysctl_file, sysctl_set: true })).changes, []);
  await writeFile(sysctl_file, 'kernel.pid_max=7\n');
  t.deepEqual((await look(t, place, sysctl, { name: 'kernel.pid_max', value: '7', sysctl_file, sysctl_set: true })).changes, [{ field: 'value', from: now, to: '7' }]);
  t.deepEqual([{}, { ignoreerrors: true }].map((more) => verifies(sysctl, sysctl.params.parse({ name: 'x', value: '1', ...more }))), [true, false]);
  t.deepEqual((await look(t, place, sysctl, { name: 'no.such', value: '7', sysctl_file, sysctl_set: true, ignoreerrors: true })).changes.map(({ field }) => field), ['content']);
});

test('dots and slashes of a kernel parameter', (t) => {
  t.is(inKernel('net.ipv4.conf.eth0/1.forwarding'), '/proc/sys/net/ipv4/conf/eth0.1/forwarding');
  t.is(inKernel('net/ipv4/conf/eth0.1/forwarding'), '/proc/sys/net/ipv4/conf/eth0.1/forwarding');
  t.throws(() => inKernel('a..b'), { message: /no kernel parameter/ });
});

inShells(test, "the host's name is compared as kept and as it is", async (t, place) => {
  const now = (await readFile('/proc/sys/kernel/hostname', 'utf8')).trim();
  const looked = await look(t, place, hostname, { name: 'other-name' });
  t.is(looked.observed.live, now);
  t.deepEqual(looked.changes.at(-1), { field: 'name', from: now, to: 'other-name' });
  t.deepEqual(hostname.compare({ name: 'a.b' }, { kept: 'a.b', live: 'a.b' }), []);
  t.like(hostname.result({ name: 'a.b.c' }, { kept: '', live: '' }), { name: 'a.b.c', ansible_facts: { ansible_hostname: 'a', ansible_domain: 'b.c' } });
  await t.throwsAsync(look(t, place, hostname, { name: 'no_name' }), { message: /is no host name/ });
});
