import { gathered, type Gathered } from './facts/gathered.js';
import { devices, firmware, lvm, machine, mounts, virtual } from './facts/hardware.js';
import { network } from './facts/network.js';
import { dateTime, distribution, local, settings, system, user } from './facts/platform.js';
import { python } from './facts/python.js';
import { gathering, type Group } from './facts/script.js';
import { sh } from '../shell/sh.js';
import { fnmatch } from '../value/glob.js';
import { defineModule, ModuleError } from './module.js';
import { int, list, params, path } from './params.js';

type Collect = (host: Gathered) => Record<string, unknown>;

const COLLECTORS: { [group in Group]: readonly Collect[] } = {
  min: [system, distribution, user, dateTime, settings, python, local],
  hardware: [machine, firmware, mounts, devices, lvm],
  network: [network],
  virtual: [virtual],
};
const GROUPS = Object.keys(COLLECTORS) as Group[];

/** Ansible's names of single collectors -> the group that gathers them here. */
const MEMBERS: { [group in Group]: readonly string[] } = {
  min: [
    'apparmor', 'architecture', 'caps', 'chroot', 'cmdline', 'date_time', 'distribution', 'distribution_major_version', 'distribution_release',
    'distribution_version', 'dns', 'effective_group_ids', 'effective_user_id', 'env', 'fips', 'fqdn', 'hostname', 'is_chroot', 'kernel', 'kernel_version',
    'local', 'lsb', 'machine', 'machine_id', 'os_family', 'pkg_mgr', 'platform', 'python', 'python_version', 'real_user_id', 'selinux', 'service_mgr',
    'ssh_host_key_dsa_public', 'ssh_host_key_ecdsa_public', 'ssh_host_key_ed25519_public', 'ssh_host_key_rsa_public', 'ssh_host_pub_keys', 'ssh_pub_keys',
    'system', 'system_capabilities', 'system_capabilities_enforced', 'systemd', 'user', 'user_dir', 'user_gecos', 'user_gid', 'user_id', 'user_shell', 'user_uid',
  ],
  hardware: ['devices', 'dmi', 'mounts', 'memory', 'processor', 'processor_cores', 'processor_count', 'loadavg', 'uptime_seconds', 'memtotal_mb', 'lvm'],
  network: ['interfaces', 'default_ipv4', 'default_ipv6', 'all_ipv4_addresses', 'all_ipv6_addresses', 'fibre_channel_wwn', 'iscsi'],
  virtual: ['virtualization_type', 'virtualization_role', 'virtualization_tech_guest', 'virtualization_tech_host'],
};
/** Other programs' facts, which are never gathered here. */
const NEVER = ['facter', 'ohai'];

/** Ansible's rules: `all` unless something is named; `!x` takes away; `min` is there unless `!min` (or `!all` with `!min`). */
function groupsOf(subset: readonly string[]): Set<Group> {
  const groupOf = (name: string) => GROUPS.find((group) => group === name || MEMBERS[group].includes(name));
  const [plus, minus] = [new Set<Group>(), new Set<Group>()];
  let all = !subset.some((name) => !name.startsWith('!'));
  for (const written of subset) {
    const name = written.replace(/^!/, '');
    const away = written.startsWith('!');
    if (NEVER.includes(name)) continue;
    if (name === 'all') {
      if (away) GROUPS.filter((group) => group !== 'min').forEach((group) => minus.add(group));
      else all = true;
      continue;
    }
    const group = groupOf(name);
    // What is nowhere can be left out: "!any" stands in many playbooks.
    if (group === undefined && away) continue;
    if (group === undefined) throw new ModuleError(`gather_subset has no "${name}"; it has all, ${GROUPS.join(', ')} and ${Object.values(MEMBERS).flat().join(', ')}`);
    // Leaving out one member leaves out nothing else of its group.
    if (!away) plus.add(group);
    else if (group === name) minus.add(group);
  }
  const chosen = new Set<Group>(all ? GROUPS : ['min']);
  minus.forEach((group) => chosen.delete(group));
  plus.forEach((group) => chosen.add(group));
  return chosen;
}

/** Shell patterns as Python's fnmatch has them. */
function matcher(patterns: readonly string[]): (name: string) => boolean {
  if (patterns.length === 0) return () => true;
  const all = patterns.map(fnmatch);
  return (name) => all.some((pattern) => pattern.test(name) || pattern.test(`ansible_${name}`));
}

export default defineModule({
  name: 'setup',
  aliases: ['gather_facts'],
  summary: 'Gathers facts about a host, under the names Ansible gives them.',
  params: params({
    gather_subset: list('Which groups of facts: all, min, hardware, network, virtual; with ! in front: all but that.').default(['all']),
    gather_timeout: int("Seconds that a program among the host's own facts may take; what else may hang has limits of its own.").default(10),
    filter: list('Only facts whose name fits one of these shell patterns.').default([]),
    fact_path: path("Folder of the host's own facts (`*.fact`): JSON or INI, executables are run.").default('/etc/ansible/facts.d'),
  }),
  returns: { ansible_facts: 'The facts under names with ansible_ in front; playbooks read them as ansible_facts.x or ansible_x.' },
  examples: ['- setup:\n    gather_subset: [min, network]', "- setup:\n    filter: 'ansible_mem*'"],
  readOnly: true,
  prepare: async (args, controller) => ({ groups: groupsOf(args.gather_subset), keep: matcher(args.filter), subset: args.gather_subset, factPath: args.fact_path, seconds: args.gather_timeout, python: controller.variable('ansible_python_interpreter') }),
  inspect: (wanted) => gathering(wanted.groups, wanted.factPath, wanted.seconds, wanted.python),
  parse: (output) => gathered(output),
  compare: () => [],
  apply: () => ({ script: sh`` }),
  result(wanted, host) {
    const facts: Record<string, unknown> = {};
    for (const group of wanted.groups) for (const collect of COLLECTORS[group]) Object.assign(facts, collect(host));
    const kept = Object.entries(facts).flatMap(([name, value]) => (value !== undefined && wanted.keep(name) ? [[`ansible_${name}`, value]] : []));
    const about = Object.entries({ gather_subset: wanted.subset, module_setup: true }).filter(([name]) => wanted.keep(name));
    return { ansible_facts: Object.fromEntries([...kept, ...about]) };
  },
});
