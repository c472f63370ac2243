import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { hostname, totalmem, userInfo } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Gathered } from '../../src/modules/facts/gathered.js';
import { network } from '../../src/modules/facts/network.js';
import { python } from '../../src/modules/facts/python.js';
import { system } from '../../src/modules/facts/platform.js';
import setup from '../../src/modules/setup.js';
import { converge, controller, inShells } from './harness.js';

inShells(test, 'facts of this machine', async (t, place) => {
  await mkdir(join(place.dir, 'facts'));
  await writeFile(join(place.dir, 'facts', 'plain.fact'), '{"a": [1]}');
  await writeFile(join(place.dir, 'facts', 'old.fact'), '[general]\nName = x y\n');
  await writeFile(join(place.dir, 'facts', 'run.fact'), '#!/bin/sh\necho "{\\"pwd\\": \\"it\'s\\"}"\n');
  await chmod(join(place.dir, 'facts', 'run.fact'), 0o755);
  await writeFile(join(place.dir, 'facts', 'bad.fact'), 'nonsense');
  await writeFile(join(place.dir, 'facts', 'percent.fact'), '[a]\nb = 5 % of it\n');
  await writeFile(join(place.dir, 'facts', 'failing.fact'), '#!/bin/sh\necho out; echo err >&2; exit 3\n', { mode: 0o755 });
  await symlink('nowhere', join(place.dir, 'facts', 'gone.fact'));
  place.env['ODD'] = 'two\nlines=1';
  const { result } = await converge(t, place, setup, { fact_path: '~/facts' });
  const facts = unprefixed(result['ansible_facts']);
  t.is(facts['nodename'], hostname());
  t.is(facts['system'], 'Linux');
  t.is(facts['user_id'], userInfo().username);
  t.is(facts['memtotal_mb'], Math.floor(totalmem() / 1024 / 1024));
  t.true(facts['processor_vcpus'] >= 1);
  t.true(facts['interfaces'].includes('lo'));
  t.is(facts['lo'].type, 'loopback');
  t.true(Math.abs(Number(facts['date_time'].epoch) - Date.now() / 1000) < 60);
  t.is(facts['env']['ODD'], 'two\nlines=1');
  const { bad, percent, failing, gone, ...good } = facts['local'];
  t.deepEqual(good, { plain: { a: [1] }, old: { general: { name: 'x y' } }, run: { pwd: "it's" } });
  t.regex(bad, /^error loading facts as ini - please check content: \/.*\/bad\.fact \(line 1 /);
  t.regex(percent, /^error loading facts as ini .*"%" must be followed/);
  t.regex(failing, /^Failure executing fact script \(\/.*failing\.fact\), rc: 3, err: err\n?$/);
  t.regex(gone, /^Could not stat fact/);
  t.true(facts['mounts'].every((mount: { mount: string }) => mount.mount.startsWith('/')));
  t.is(typeof facts['distribution'], 'string');
});

test('facts: bridges, bonds and what is in them', (t) => {
  const files = {
    'br0/bridge/bridge_id': '8000.000000000000', 'br0/bridge/stp_state': '1', 'br0/brif/veth0/port_no': '0x1', 'br0/brif/eth1/port_no': '0x2', 'br1/bridge/bridge_id': '8000.1', 'br1/bridge/stp_state': '0',
    'bond0/bonding/mode': '802.3ad 4', 'bond0/bonding/slaves': 'eth2 eth3', 'bond0/bonding/miimon': '100', 'bond0/bonding/lacp_rate': 'slow 0', 'bond0/bonding/primary': '', 'bond0/bonding/all_slaves_active': '0', 'eth2/bonding_slave/perm_hwaddr': '52:54:00:00:00:02',
  };
  const facts = network(new Gathered(new Map(), new Map(Object.entries(files).map(([path, text]) => [`/sys/class/net/${path}`, [text]]))));
  t.like(facts['br0'], { type: 'bridge', id: '8000.000000000000', stp: true, interfaces: ['veth0', 'eth1'] });
  t.like(facts['br1'], { type: 'bridge', stp: false, interfaces: [] });
  t.like(facts['bond0'], { type: 'bonding', mode: '802.3ad', slaves: ['eth2', 'eth3'], miimon: '100', lacp_rate: 'slow', primary: undefined, all_slaves_active: false });
  t.is((facts['eth2'] as { perm_macaddress: string }).perm_macaddress, '52:54:00:00:00:02');
});

test('facts: what runs the host', (t) => {
  const of = (text: string) => system(new Gathered(new Map([['systemd', text]]), new Map()))['systemd'];
  t.deepEqual(of('systemd 252 (252.30-1~deb12u2)\n+PAM +AUDIT -BPF_FRAMEWORK\n'), { version: 252, features: '+PAM +AUDIT -BPF_FRAMEWORK' });
  t.is(of(''), undefined);
});

test('facts: the Python of the host, where it has one', (t) => {
  const of = (text: string) => python(new Gathered(new Map([['python', text]]), new Map()));
  const version = { major: 3, minor: 11, micro: 2, releaselevel: 'final', serial: 0 };
  t.deepEqual(of('/usr/bin/python3\nPython 3.11.2\n'), { python: { executable: '/usr/bin/python3', version, version_info: [3, 11, 2, 'final', 0], type: 'cpython' }, python_version: '3.11.2', discovered_interpreter_python: '/usr/bin/python3' });
  t.like(of('/usr/local/bin/python3.14\nPython 3.14.0rc1+\n'), { python: { version: { minor: 14, releaselevel: 'candidate', serial: 1 } }, python_version: '3.14.0rc1+' });
  t.like(of('/opt/pypy3/bin/pypy3\nPython 3.10.14 (39dc8d3c85a7)\n[PyPy 7.3.17 with GCC 10.2.1]\n'), { python: { type: 'pypy' } });
  t.deepEqual(of(''), {});
  t.deepEqual(of('/bin/sh: python3: not found\n'), {});
});

inShells(test, 'subsets and filters', async (t, place) => {
  const facts = async (args: object) => Object.keys(unprefixed((await converge(t, place, setup, args)).result['ansible_facts']));
  const network = await facts({ gather_subset: '!all,network' });
  t.true(network.includes('interfaces') && network.includes('distribution') && !network.includes('memtotal_mb'));
  t.deepEqual(await facts({ gather_subset: ['!all', '!any', 'network'] }), network);
  const bare = await facts({ gather_subset: ['!all', '!min'] });
  t.deepEqual(bare, ['gather_subset', 'module_setup']);
  t.deepEqual(await facts({ filter: 'ansible_mem*_mb,os_family' }), ['os_family', 'memtotal_mb', 'memfree_mb', 'memory_mb']);
});

test('a name gather_subset does not have is an error', async (t) => {
  await t.throwsAsync(async () => setup.prepare!(setup.params.parse({ gather_subset: 'netwrok' }), controller()), { message: /no "netwrok"/ });
});

test('an answer that was cut short is an error', (t) => {
  t.throws(() => setup.parse({ rc: 0, stdout: '\0files\0/proc/1/comm:systemd\n', stderr: '' }, wanted(['all']) as never), { message: /cut short/ });
});

function wanted(subset: string[]) {
  return { groups: new Set(['min', 'hardware', 'network', 'virtual'] as const), keep: () => true, subset, factPath: '/etc/ansible/facts.d', seconds: 10, python: undefined };
}

function factsOf(sections: Record<string, string>): Record<string, any> {
  const stdout = Object.entries({ files: '', existing: '', ...sections, end: '\n' }).map(([name, text]) => `\0${name}\0${text}`).join('');
  const host = setup.parse({ rc: 0, stdout, stderr: '' }, wanted(['all']));
  return unprefixed(setup.result(wanted(['all']), host)['ansible_facts']);
}

/** Facts under the names that `ansible_facts` of a playbook gives them; all but what tells of the gathering itself have a prefix. */
function unprefixed(facts: unknown): Record<string, any> {
  const own = ['gather_subset', 'module_setup'];
  return Object.fromEntries(Object.entries(facts as object).map(([name, value]) => [own.includes(name) ? name : /^ansible_(.+)$/.exec(name)![1]!, value]));
}

const systems: [string, string, string, Record<string, string>][] = [
  ['Debian 12', '/etc/os-release:ID=debian\n/etc/os-release:VERSION_ID="12"\n/etc/os-release:VERSION_CODENAME=bookworm\n/etc/debian_version:12.5', '/usr/bin/apt-get',
    { distribution: 'Debian', distribution_version: '12.5', distribution_major_version: '12', distribution_release: 'bookworm', os_family: 'Debian', pkg_mgr: 'apt' }],
  ['Debian sid', '/etc/os-release:ID=debian\n/etc/os-release:VERSION_CODENAME=forky\n/etc/debian_version:forky/sid', '/usr/bin/apt-get',
    { distribution: 'Debian', distribution_version: 'n/a', distribution_release: 'forky', os_family: 'Debian' }],
  ['Ubuntu', '/etc/os-release:NAME="Ubuntu"\n/etc/os-release:ID=ubuntu\n/etc/os-release:VERSION_ID="22.04"\n/etc/os-release:VERSION_CODENAME=jammy\n/etc/debian_version:bookworm/sid', '/usr/bin/apt-get',
    { distribution: 'Ubuntu', distribution_version: '22.04', distribution_major_version: '22', distribution_release: 'jammy', os_family: 'Debian', distribution_file_variety: 'Debian', distribution_file_path: '/etc/os-release' }],
  ['Rocky', '/etc/os-release:ID="rocky"\n/etc/os-release:ID_LIKE="rhel centos fedora"\n/etc/os-release:VERSION="9.3 (Blue Onyx)"\n/etc/os-release:VERSION_ID="9.3"', '/usr/bin/dnf\n/usr/bin/yum',
    { distribution: 'Rocky', distribution_version: '9.3', distribution_major_version: '9', distribution_release: 'Blue Onyx', os_family: 'RedHat', distribution_file_variety: 'RedHat', distribution_file_path: '/etc/redhat-release', pkg_mgr: 'dnf' }],
  ['Alpine', '/etc/os-release:ID=alpine\n/etc/os-release:VERSION_ID=3.19.1', '/sbin/apk',
    { distribution: 'Alpine', distribution_version: '3.19.1', distribution_release: 'NA', os_family: 'Alpine', pkg_mgr: 'apk' }],
  ['an unknown child of Arch', '/etc/os-release:NAME="Endeavour"\n/etc/os-release:ID=endeavouros\n/etc/os-release:ID_LIKE=arch', '/usr/bin/pacman',
    { distribution: 'Endeavour', distribution_version: 'n/a', os_family: 'Archlinux', pkg_mgr: 'pacman' }],
];
for (const [name, files, existing, expected] of systems) {
  test(`distribution: ${name}`, (t) => void t.like(factsOf({ files, existing }), expected));
}

const net = '/sys/class/net/eth0/address:52:54:00:12:34:56\n/sys/class/net/eth0/mtu:1500\n/sys/class/net/eth0/operstate:up\n/sys/class/net/eth0/type:1\n/sys/class/net/eth0/flags:0x1003\n/sys/class/net/lo/type:772\n/sys/class/net/lo/address:00:00:00:00:00:00';
const addresses: [string, string][] = [
  ['iproute2', '1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n2: eth0    inet 10.0.2.15/24 metric 100 brd 10.0.2.255 scope global dynamic eth0\\       valid_lft 80000sec preferred_lft 80000sec\n2: eth0    inet 10.0.2.16/24 scope global secondary eth0\\ x\n2: eth0    inet6 fe80::5054:ff:fe12:3456/64 scope link \\ x\n'],
  ['busybox', '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue qlen 1000\\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n2: eth0@if7    inet 10.0.2.15/24 brd 10.0.2.255 scope global eth0\\       valid_lft forever preferred_lft forever\n2: eth0    inet 10.0.2.16/24 scope global secondary eth0\\ x\n2: eth0    inet6 fe80::5054:ff:fe12:3456/64 scope link flags 02 \\       valid_lft forever preferred_lft forever\n'],
];
for (const [name, addr] of addresses) {
  test(`network: ${name}`, (t) => {
    const facts = factsOf({ files: net, addr, route4: '8.8.8.8 via 10.0.2.2 dev eth0 src 10.0.2.15 uid 0 \n    cache \n', route6: 'unreachable 2404::1 dev lo metric 1\n' });
    t.deepEqual(facts['default_ipv4'], {
      interface: 'eth0', gateway: '10.0.2.2', macaddress: '52:54:00:12:34:56', mtu: 1500, type: 'ether', alias: 'eth0',
      address: '10.0.2.15', broadcast: '10.0.2.255', netmask: '255.255.255.0', network: '10.0.2.0', prefix: '24',
    });
    t.deepEqual(facts['default_ipv6'], {});
    t.deepEqual(facts['all_ipv4_addresses'], ['10.0.2.15', '10.0.2.16']);
    t.deepEqual(facts['eth0'].ipv6, [{ address: 'fe80::5054:ff:fe12:3456', prefix: '64', scope: 'link' }]);
    t.is(facts['lo'].ipv4.address, '127.0.0.1');
  });
}

test('memory, processors, mounts, names', (t) => {
  const facts = factsOf({
    files: [
      '/proc/meminfo:MemTotal:        2048000 kB', '/proc/meminfo:MemFree:          1024000 kB', '/proc/meminfo:Cached:           512000 kB',
      '/proc/self/status:Cpus_allowed_list:\t0-1,3', '/proc/self/mounts:/dev/sda1 /a\\040b ext4 rw 0 0', '/proc/self/mounts:proc /proc proc rw 0 0',
      '/proc/self/mounts:nas:/x /nas nfs4 ro 0 0', '/proc/sys/kernel/hostname:web1', '/sys/block/cciss!c0:d0/size:2097152', '/proc/cmdline:ro a=1 a=2',
      '/etc/resolv.conf:# x', '/etc/resolv.conf:nameserver 10.0.0.1', '/etc/resolv.conf:search a.example b.example',
    ].join('\n'),
    cpuinfo: [0, 1, 2, 3].map((n) => `processor\t: ${n}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\nphysical id\t: ${n >> 1}\nsiblings\t: 2\ncpu cores\t: 1\n`).join(''),
    sizes: '4096 1000 500 100 50 /a b\n', uuids: 'lrwxrwxrwx 1 root root 10 Jan 1 00:00 1234-ABCD -> ../../sda1\n',
    fqdn: '127.0.1.1       web1.example.com web1\n', virt: 'kvm\n', machine: 'x86_64\n',
    vgs: '  first,1,2,0.01,0.00\n', lvs: '  one,first,0.00\n', pvs: '  /dev/loop0,first,0.01,0.00\n',
  });
  t.like(facts, {
    memtotal_mb: 2000, memfree_mb: 1000, processor_count: 2, processor_cores: 1, processor_threads_per_core: 2, processor_vcpus: 4, processor_nproc: 3,
    fqdn: 'web1.example.com', domain: 'example.com', hostname: 'web1', virtualization_type: 'kvm', virtualization_role: 'guest', userspace_bits: '64',
  });
  t.deepEqual(facts['processor'].slice(0, 3), ['0', 'GenuineIntel', 'Xeon']);
  t.deepEqual(facts['mounts'].map((each: any) => [each.mount, each.uuid, each.size_total]), [['/a b', '1234-ABCD', 4096000], ['/nas', 'N/A', undefined]]);
  t.like(facts['devices'], { 'cciss!c0:d0': { size: '1.00 GB', sectors: '2097152' } });
  t.deepEqual(facts['lvm'], { vgs: { first: { size_g: '0.01', free_g: '0.00', num_lvs: '2', num_pvs: '1' } }, lvs: { one: { size_g: '0.00', vg: 'first' } }, pvs: { '/dev/loop0': { size_g: '0.01', free_g: '0.00', vg: 'first' } } });
  t.deepEqual(facts['dns'], { nameservers: ['10.0.0.1'], search: ['a.example', 'b.example'] });
  t.deepEqual(facts['cmdline'], { ro: true, a: '2' });
});
