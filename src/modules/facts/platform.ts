import { interpolate, parseIni } from '../../expression/ini.js';
import { Failure } from '../../expression/undefined.js';
import { assignments, type Gathered } from './gathered.js';

type Facts = Record<string, unknown>;

/** os-release's ID -> Ansible's distribution and os_family. */
const DISTRIBUTIONS: { [id: string]: readonly [string, string] } = {
  debian: ['Debian', 'Debian'], raspbian: ['Debian', 'Debian'], ubuntu: ['Ubuntu', 'Debian'], linuxmint: ['Linux Mint', 'Debian'],
  kali: ['Kali', 'Debian'], devuan: ['Devuan', 'Debian'], pop: ['Pop!_OS', 'Debian'], rhel: ['RedHat', 'RedHat'], centos: ['CentOS', 'RedHat'],
  rocky: ['Rocky', 'RedHat'], almalinux: ['AlmaLinux', 'RedHat'], fedora: ['Fedora', 'RedHat'], ol: ['OracleLinux', 'RedHat'],
  amzn: ['Amazon', 'RedHat'], alpine: ['Alpine', 'Alpine'], arch: ['Archlinux', 'Archlinux'], manjaro: ['Manjaro', 'Archlinux'],
  'opensuse-leap': ['openSUSE Leap', 'Suse'], 'opensuse-tumbleweed': ['openSUSE Tumbleweed', 'Suse'], sles: ['SLES', 'Suse'],
  gentoo: ['Gentoo', 'Gentoo'], void: ['Void', 'Void'],
};
const FAMILIES: { [id: string]: string } = { debian: 'Debian', ubuntu: 'Debian', rhel: 'RedHat', fedora: 'RedHat', suse: 'Suse', arch: 'Archlinux' };

/** The file that Ansible tells a distribution by, and what it calls such files; of a distribution, else of its family. */
const FILES: { [name: string]: readonly [variety: string, path: string] } = {
  centos: ['CentOS', '/etc/centos-release'], ol: ['OracleLinux', '/etc/oracle-release'], amzn: ['Amazon', '/etc/os-release'],
  Debian: ['Debian', '/etc/os-release'], RedHat: ['RedHat', '/etc/redhat-release'], Suse: ['SUSE', '/etc/os-release'], Alpine: ['Alpine', '/etc/alpine-release'],
  Archlinux: ['Archlinux', '/etc/arch-release'], Gentoo: ['Gentoo', '/etc/gentoo-release'],
};

/** Package managers by the file that is there, in the order Ansible prefers them, and the families that use them. */
const MANAGERS: readonly (readonly [path: string, manager: string, family: string])[] = [
  ['/usr/bin/apt-get', 'apt', 'Debian'], ['/usr/bin/dnf5', 'dnf5', 'RedHat'], ['/usr/bin/dnf', 'dnf', 'RedHat'], ['/usr/bin/yum', 'yum', 'RedHat'],
  ['/sbin/apk', 'apk', 'Alpine'], ['/usr/bin/apk', 'apk', 'Alpine'], ['/usr/bin/pacman', 'pacman', 'Archlinux'], ['/usr/bin/zypper', 'zypper', 'Suse'],
  ['/usr/bin/emerge', 'portage', 'Gentoo'], ['/usr/bin/xbps-install', 'xbps', 'Void'],
];

/** Which system this is, as Ansible names it. */
export function distribution(host: Gathered): Facts {
  const release = assignments(host.file('/etc/os-release').length ? host.file('/etc/os-release') : host.file('/usr/lib/os-release'));
  const id = release.get('ID') ?? '';
  const like = (release.get('ID_LIKE') ?? '').split(' ').map((other) => FAMILIES[other]).find((family) => family !== undefined);
  const [name, family] = DISTRIBUTIONS[id] ?? [release.get('NAME') ?? 'NA', like ?? release.get('NAME') ?? 'NA'];
  // Debian and CentOS keep their minor version elsewhere; in testing and unstable there is none.
  const debian = /^\d+(\.\d+)*$/.exec(host.first('/etc/debian_version') ?? '')?.[0];
  const centos = /\d+(\.\d+)+/.exec(host.first('/etc/centos-release') ?? '')?.[0];
  const version = (id === 'debian' ? debian : id === 'centos' ? centos : undefined) ?? release.get('VERSION_ID') ?? 'n/a';
  const codename = release.get('VERSION_CODENAME') || /\(([^)]+)\)/.exec(release.get('VERSION') ?? '')?.[1];
  const lsb = assignments(host.file('/etc/lsb-release'));
  const major = version.split('.')[0]!;
  const [variety, path] = FILES[id] ?? FILES[family] ?? ['NA', '/etc/os-release'];
  const manager = MANAGERS.filter(([path]) => host.exists(path));
  return {
    distribution: name,
    distribution_version: version,
    distribution_major_version: major,
    distribution_minor_version: version.split('.')[1],
    distribution_release: codename ?? 'NA',
    distribution_file_path: path,
    distribution_file_parsed: true,
    distribution_file_variety: variety,
    os_family: family,
    lsb: {
      id: lsb.get('DISTRIB_ID') ?? name,
      release: lsb.get('DISTRIB_RELEASE') ?? version,
      codename: lsb.get('DISTRIB_CODENAME') ?? codename ?? 'n/a',
      description: lsb.get('DISTRIB_DESCRIPTION') ?? release.get('PRETTY_NAME') ?? name,
      major_release: (lsb.get('DISTRIB_RELEASE') ?? version).split('.')[0]!,
    },
    pkg_mgr: (manager.find(([, , of]) => of === family) ?? manager[0])?.[1] ?? 'unknown',
  };
}

/** Kernel, names of the host, and what runs it. */
export function system(host: Gathered): Facts {
  const node = host.first('/proc/sys/kernel/hostname') ?? '';
  // getent prints the address and the canonical name; hostname -f the name alone.
  const known = host.text('fqdn').trim().split('\n')[0]!.split(/\s+/);
  const fqdn = node.includes('.') ? node : (known.find((word) => /^[A-Za-z][\w-]*\.[\w.-]+$/.test(word)) ?? node);
  const machine = host.text('machine').trim();
  const bits = host.text('bits').trim() || (/64|s390x/.test(machine) ? '64' : '32');
  const architecture = /^i[3456]86$/.test(machine) ? 'i386' : machine;
  const init = host.first('/proc/1/comm') ?? '';
  return {
    system: host.first('/proc/sys/kernel/ostype') ?? 'Linux',
    kernel: host.first('/proc/sys/kernel/osrelease'),
    kernel_version: host.first('/proc/sys/kernel/version'),
    machine,
    architecture,
    userspace_bits: bits,
    userspace_architecture: architecture === 'x86_64' && bits === '32' ? 'i386' : architecture,
    nodename: node,
    hostname: node.split('.')[0],
    fqdn,
    domain: fqdn.includes('.') ? fqdn.slice(fqdn.indexOf('.') + 1) : '',
    machine_id: host.first('/etc/machine-id') ?? host.first('/var/lib/dbus/machine-id'),
    service_mgr: host.exists('/run/systemd/system') ? 'systemd' : host.exists('/run/openrc') ? 'openrc' : host.exists('/run/runit') ? 'runit' : init === 'init' ? 'sysvinit' : 'service',
    systemd: systemdFacts(host.text('systemd')),
    fips: host.first('/proc/sys/crypto/fips_enabled') === '1',
    is_chroot: host.text('root').trim() === 'other',
  };
}

/** `systemd 252 (252.30-1)`, then what it was built with: `+PAM +AUDIT …`. Undefined where the host is not run by it. */
function systemdFacts(text: string): { version: number; features: string } | undefined {
  const [, version, features] = /^systemd (\d+)[^\n]*\n([^\n]*)/.exec(text) ?? [];
  return version === undefined ? undefined : { version: Number(version), features: features! };
}

/** The user facts were gathered as. */
export function user(host: Gathered): Facts {
  const id = host.text('id');
  const number = (name: string) => new RegExp(`\\b${name}=(\\d+)`).exec(id)?.[1];
  const [name, , uid, gid, gecos, dir, shell] = host.text('passwd').split('\n')[0]!.split(':');
  const [realUid, realGid] = [number('uid'), number('gid')];
  const numeric = (text: string | undefined) => (text === undefined || text === '' ? undefined : Number(text));
  return {
    user_id: name || /\buid=\d+\(([^)]*)\)/.exec(id)?.[1],
    user_uid: numeric(uid ?? realUid),
    user_gid: numeric(gid ?? realGid),
    user_gecos: gecos,
    user_dir: dir,
    user_shell: shell,
    real_user_id: numeric(realUid),
    real_group_id: numeric(realGid),
    effective_user_id: numeric(number('euid') ?? realUid),
    effective_group_id: numeric(number('egid') ?? realGid),
  };
}

/** The host's clock. */
export function dateTime(host: Gathered): Facts {
  const [year, month, day, hour, minute, second, weekday, weekdayNumber, weeknumber, , epoch, nano, tz, offset] = host.text('date').trim().split(' ');
  if (epoch === undefined) return {};
  const micro = /^\d{9}$/.test(nano!) ? nano!.slice(0, 6) : '000000';
  const utc = new Date(Number(epoch) * 1000).toISOString().slice(0, 19);
  const basic = `${year}${month}${day}T${hour}${minute}${second}`;
  return {
    date_time: {
      year, month, day, hour, minute, second, weekday, weekday_number: weekdayNumber, weeknumber,
      date: `${year}-${month}-${day}`, time: `${hour}:${minute}:${second}`,
      epoch, epoch_int: epoch, tz, tz_dst: tz, tz_offset: offset,
      iso8601: `${utc}Z`, iso8601_micro: `${utc}.${micro}Z`, iso8601_basic: `${basic}${micro}`, iso8601_basic_short: basic,
    },
  };
}

/** Names, keys, security: settings that stand in files. */
export function settings(host: Gathered): Facts {
  const selinux = assignments(host.file('/etc/selinux/config'));
  const enforce = host.first('/sys/fs/selinux/enforce');
  const apparmor = host.exists('/sys/kernel/security/apparmor') || host.first('/sys/module/apparmor/parameters/enabled') === 'Y';
  const facts: Facts = {
    dns: dns(host.file('/etc/resolv.conf')),
    ...cmdline(host.first('/proc/cmdline') ?? ''),
    env: Object.fromEntries(
      host.lines('env').filter((line) => line.includes('=')).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).replaceAll('\x01', '\n')]),
    ),
    apparmor: { status: apparmor ? 'enabled' : 'disabled' },
    selinux:
      enforce === undefined
        ? { status: 'disabled' }
        : {
            status: 'enabled',
            mode: enforce === '1' ? 'enforcing' : 'permissive',
            config_mode: selinux.get('SELINUX') ?? 'unknown',
            type: selinux.get('SELINUXTYPE') ?? 'unknown',
            policyvers: Number(host.first('/sys/fs/selinux/policyvers') ?? NaN) || 'unknown',
          },
    selinux_python_present: false,
  };
  for (const algorithm of ['rsa', 'dsa', 'ecdsa', 'ed25519']) {
    const [type, key] = host.first(`/etc/ssh/ssh_host_${algorithm}_key.pub`)?.split(' ') ?? [];
    if (key === undefined) continue;
    facts[`ssh_host_key_${algorithm}_public`] = key;
    facts[`ssh_host_key_${algorithm}_public_keytype`] = type;
  }
  return facts;
}

/** resolv.conf(5). */
function dns(lines: readonly string[]): Facts {
  const facts: Record<string, unknown> = {};
  const servers: string[] = [];
  for (const line of lines) {
    const [key, ...rest] = line.trim().split(/\s+/);
    if (key === 'nameserver' && rest[0]) servers.push(rest[0]);
    else if (key === 'domain' && rest[0]) facts['domain'] = rest[0];
    else if (key === 'search' || key === 'sortlist') facts[key] = rest;
    else if (key === 'options') facts['options'] = Object.fromEntries(rest.map((option) => [option.split(':')[0], option.split(':')[1] ?? true]));
  }
  return servers.length ? { nameservers: servers, ...facts } : facts;
}

function cmdline(text: string): Facts {
  const last: Facts = {};
  const all: Record<string, unknown> = {};
  for (const [, key, , value] of text.matchAll(/([^\s=]+)(=((?:"[^"]*"|\S)*))?/g)) {
    const given = value ?? true;
    last[key!] = given;
    const before = all[key!];
    all[key!] = before === undefined ? given : Array.isArray(before) ? [...before, given] : [before, given];
  }
  return { cmdline: last, proc_cmdline: all };
}

/** Facts the host keeps in `*.fact`: JSON or INI. One that is neither, or a program that failed, is a text that says so, in Ansible's words. */
export function local(host: Gathered): Facts {
  const facts: Facts = {};
  for (const section of host.names()) {
    const path = /^local (.*)$/s.exec(section)?.[1];
    if (path === undefined) continue;
    const whole = host.text(section);
    const last = whole.lastIndexOf('\n');
    const text = whole.slice(0, Math.max(0, last));
    const [, status, stderr] = /^(\S+) ?(.*)$/s.exec(whole.slice(last + 1)) ?? [];
    const name = path.slice(path.lastIndexOf('/') + 1).replace('.fact', '');
    if (status === 'dangling') facts[name] = `Could not stat fact (${path}): the link leads nowhere`;
    else if (status !== '0') facts[name] = `Failure executing fact script (${path}), rc: ${status}, err: ${stderr}`;
    else facts[name] = localFact(text, path);
  }
  return { local: facts };
}

function localFact(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON.
  }
  try {
    const { DEFAULT: defaults = new Map(), ...sections } = Object.fromEntries(parseIni(text, { caseSensitive: false }));
    return Object.fromEntries(
      Object.entries(sections).map(([name, own]) => {
        const all = new Map([...defaults, ...own]);
        return [name, Object.fromEntries([...all].map(([key, value]) => [key, interpolate(value!, (other) => all.get(other))]))];
      }),
    );
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return `error loading facts as ini - please check content: ${path} (${error.message})`;
  }
}
