import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { stateDir } from '../../../src/lab/lab.js';
import { run } from '../../../src/lab/run.js';
import { tryPorts } from '../../e2e/ports.js';
import { hosts, Stack } from '../../e2e/stack.js';

const site = 'playbooks/site.yml';
const every = '1-65535';
let stack: Stack;

test.before('the stack', async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.converged();
});

const addresses = (...wanted: string[]) => Object.fromEntries(wanted.map((host) => [host, stack.address(host)]));
const rules = (host: string) => stack.on(host, 'nft -s list ruleset');

test.serial('of all TCP ports, a stranger reaches 80 and 443 of the balancers, an administrator SSH as well', async (t) => {
  // db3 is no host of the inventory.
  const to = ['lb1', 'web1', 'db1', 'mon1'];
  const [here, stranger] = await Promise.all(['here', 'db3'].map((from) => Promise.all(to.map((host) => tryPorts(stack, from, addresses(host), every).then((answers) => answers[host]!.answered)))));
  t.deepEqual(stranger, [[80, 443], [], [], []]);
  t.deepEqual(here, [[22, 80, 443], [22], [22], [22, 443]]);
});

test.serial('rules that somebody took away, or made a hole in, are found and come back', async (t) => {
  const before = await rules('web1');
  t.regex(before, /policy drop/);
  for (const harm of ['nft flush ruleset', 'nft insert rule inet firewall input tcp dport 3306 accept', 'systemctl stop nftables']) {
    await stack.on('web1', harm);
    t.not(await rules('web1'), before);
    const plan = await stack.muster('plan', site, ['--limit', 'web1']);
    t.is(plan.code, 2, plan.told);
    const found = plan.results('changed', 'failed', 'unknown').map(({ task }) => task);
    t.true(found.length > 0 && found.every((task) => task.startsWith('firewall : Load them')), found.join());
    const apply = await stack.muster('apply', site, ['--limit', 'web1']);
    t.is(apply.code, 0, apply.told);
    t.is(await rules('web1'), before);
  }
});

test.serial('a flow from nobody, a host without an address, rules that nft refuses: nothing is touched', async (t) => {
  const before = await stack.on('web1', 'sha256sum /etc/nftables.conf');
  for (const [vars, told] of [
    [{ firewall_more_flows: [{ why: 'misspelt', to: 'web', from: ['wbe'], ports: [81] }] }, /wbe/],
    [{ firewall_addresses: ['no.such.name.invalid'] }, /no\.such\.name\.invalid/],
    [{ firewall_more_flows: [{ why: 'no port', to: 'web', from: ['anywhere'], ports: [70000] }] }, /70000/],
    [{ firewall_admin_networks: [] }, /firewall_admin_networks/],
  ] as const) {
    const apply = await stack.muster('apply', site, ['--limit', 'web1', '-e', JSON.stringify(vars)]);
    t.is(apply.code, 3, JSON.stringify(vars));
    t.regex(apply.told, told);
  }
  t.is(await stack.on('web1', 'sha256sum /etc/nftables.conf'), before);
});

test.serial('rules that would shut Muster out are taken back by the host itself', async (t) => {
  const look = async () => [await rules('db2'), await stack.on('db2', 'sha256sum /etc/nftables.conf')].join('\n');
  const before = await look();
  const apply = await stack.muster('apply', site, ['--limit', 'db2', '-e', '{"firewall_admin_networks": ["203.0.113.1"]}']);
  t.is(apply.code, 3, apply.told);
  t.is(await look(), before);
  t.is((await stack.muster('plan', site, ['--limit', 'db2'])).code, 0);
});

test.serial('IPv6 is walled as IPv4 is', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-break-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const six = (n: number) => `fd00:6d75::${n}`;
  await run('ip', ['-6', 'address', 'replace', `${six(1)}/64`, 'dev', `mu-${stack.lab.name}`, 'nodad']);
  for (const [host, n] of [['lb1', 11], ['web1', 13], ['db3', 18]] as const) await stack.on(host, `ip -6 address replace ${six(n)}/64 dev host0 nodad`);
  const ports = '22,80,443,3306,3307,8404,9100';
  const lb1 = { lb1: six(11) };
  const look = async () => Promise.all(['here', 'web1', 'db3'].map((from) => tryPorts(stack, from, lb1, ports).then((answers) => answers.lb1.answered)));
  t.deepEqual(await look(), [[80, 443], [80, 443], [80, 443]]);
  await writeFile(join(folder, 'six.yml'), `web: {hosts: {web1: {firewall_addresses: [${stack.address('web1')}, "${six(13)}"]}}}\n`);
  const apply = await stack.muster('apply', site, [
    '-i', join(folder, 'six.yml'), '-e', `lab_dir=${stateDir(process.cwd(), stack.lab.name)}`,
    '-e', JSON.stringify({ firewall_admin_networks: [`${stack.lab.net}.0/28`, `${six(1)}/128`] }), '--limit', 'lb1',
  ]);
  t.is(apply.code, 0, apply.told);
  t.deepEqual(await look(), [[22, 80, 443], [80, 443, 3306, 3307], [80, 443]]);
  t.is((await stack.muster('apply', site, ['--limit', 'lb1'])).code, 0);
});

test.serial('every host rebooted: the same rules, the same state', async (t) => {
  const look = async (host: string) => [await rules(host), await stack.on(host, 'sysctl -n net.ipv4.conf.all.accept_redirects; sshd -T | grep -i permitroot; systemctl is-enabled nftables; systemctl list-units --failed --plain --no-legend')].join('\n');
  const before = await Promise.all(hosts.map(look));
  const boot = (host: string) => stack.tried(host, 'cat /proc/sys/kernel/random/boot_id');
  const boots = await Promise.all(hosts.map(boot));
  await Promise.all(hosts.map((host) => stack.tried(host, 'systemctl --no-block reboot')));
  for (const [i, host] of hosts.entries()) t.not(await stack.until(() => boot(host), (id) => /^[0-9a-f-]{36}$/.test(id) && id !== boots[i]), boots[i], host);
  await stack.until(() => Promise.all(hosts.map((host) => stack.tried(host, 'systemctl is-system-running --wait'))).then((all) => all.join()), (all) => all === hosts.map(() => 'running').join());
  t.deepEqual(await Promise.all(hosts.map(look)), before);
  // A primary takes writes again when somebody says so, and not before: that is all there is to do.
  const plan = await stack.muster('plan', site);
  t.deepEqual(plan.results('changed', 'failed', 'unknown').map(({ host, task }) => `${host}: ${task}`), ['db1: mysql : Let the primary take writes'], plan.told);
  t.is((await stack.muster('apply', site)).code, 0);
  t.is((await stack.muster('plan', site)).code, 0);
});
