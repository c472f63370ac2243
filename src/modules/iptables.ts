import { sh, type Sh } from '../shell/sh.js';
import { defineModule, ModuleError } from './module.js';
import { bool, choice, list, params, str } from './params.js';

const schema = params({
  table: choice(['filter', 'nat', 'mangle', 'raw', 'security'], 'The table.').default('filter'),
  chain: str('The chain; only a flush needs none.').optional(),
  state: choice(['absent', 'present'], 'Whether the rule (or, with chain_management and no rule, the chain) shall be there.').default('present'),
  action: choice(['append', 'insert'], 'Where a new rule goes: to the end, or to the top or rule_num. One that is there already stays where it is.').default('append'),
  rule_num: str('The number a rule is inserted at.').optional(),
  ip_version: choice(['ipv4', 'ipv6'], 'iptables or ip6tables.').default('ipv4'),
  protocol: str('tcp, udp, icmp, a name of /etc/protocols, a number; as in all that follows, a `!` in front means all others.').optional(),
  source: str('Address or network the packet comes from.').optional(),
  destination: str('Address or network it goes to.').optional(),
  match: list('Extensions that are asked, in this order.').default([]),
  tcp_flags: params({ flags: list('Flags to look at.'), flags_set: list('Those of them that are set.') }).meta({ description: 'Flags of TCP.', title: 'dict' }).optional(),
  jump: str('The target: ACCEPT, DROP, a chain.').optional(),
  gateway: str('Where TEE sends the copy.').optional(),
  log_prefix: str('Text in front of what LOG writes; jump is LOG then.').optional(),
  log_level: choice(['0', '1', '2', '3', '4', '5', '6', '7', 'emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug'], 'Level LOG writes at; jump is LOG then.').optional(),
  goto: str('A chain to go on in without coming back.').optional(),
  in_interface: str('Interface the packet came by; `eth+` is all whose name begins so.').optional(),
  out_interface: str('Interface it leaves by.').optional(),
  fragment: str('Second and further fragments; `!` is all others.').optional(),
  set_counters: str('First values of the counters: `packets,bytes`.').optional(),
  source_port: str('Port or range `first:last` it comes from.').optional(),
  destination_port: str('Port or range `first:last` it goes to.').optional(),
  destination_ports: list('Several of them (multiport).').default([]),
  to_ports: str('Port or range REDIRECT and MASQUERADE put in.').optional(),
  to_destination: str('Address DNAT puts in.').optional(),
  to_source: str('Address SNAT puts in.').optional(),
  syn: choice(['ignore', 'match', 'negate'], 'Only packets that open a connection, or all others.').default('ignore'),
  set_dscp_mark: str('Mark DSCP sets; jump is DSCP then.').optional(),
  set_dscp_mark_class: str('Class whose mark DSCP sets; jump is DSCP then.').optional(),
  comment: str('A comment kept with the rule.').optional(),
  ctstate: list('States of the connection: NEW, ESTABLISHED, RELATED, …').default([]),
  src_range: str('Range of addresses `first-last` it comes from.').optional(),
  dst_range: str('Range of addresses it goes to.').optional(),
  match_set: str('Name of an ipset; needs match_set_flags.').optional(),
  match_set_flags: choice(['src', 'dst', 'src,dst', 'dst,src', 'dst,dst', 'src,src'], 'Which addresses are looked for in it.').optional(),
  limit: str('Average number of matches: `5/second`.').optional(),
  limit_burst: str('Matches before the limit counts.').optional(),
  uid_owner: str('User who sends the packet.').optional(),
  gid_owner: str('Group that sends it.').optional(),
  reject_with: str('How REJECT answers; jump is REJECT unless given.').optional(),
  icmp_type: str('Type of ICMP, a number or name.').optional(),
  flush: bool('Take all rules out of the chain, without one out of the table. All but table and ip_version counts for nothing.').default(false),
  policy: choice(['ACCEPT', 'DROP', 'QUEUE', 'RETURN'], 'What happens at the end of a built-in chain. The rule counts for nothing then.').optional(),
  wait: str('Seconds to wait for another iptables.').optional(),
  chain_management: bool('Without a rule: make the chain, or take it away.').default(false),
  numeric: bool('Taken for compatibility: no name is ever looked up to list a chain.').default(false),
}).check((context) => {
  const args = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: args, path: [path] });
  for (const [name, value] of Object.entries(args)) if (value === '') issue(`${name} is empty; leave it out ("default(omit)") where there is none`, name);
  if (args.flush && args.policy !== undefined) issue('flush and policy exclude each other', 'policy');
  if (!args.flush && args.chain === undefined) issue('chain is needed unless flush is true', 'chain');
  if (args.set_dscp_mark !== undefined && args.set_dscp_mark_class !== undefined) issue('set_dscp_mark and set_dscp_mark_class exclude each other', 'set_dscp_mark');
  if (args.jump?.toLowerCase() === 'tee' && args.gateway === undefined) issue('jump TEE needs gateway', 'gateway');
  if ((args.match_set === undefined) !== (args.match_set_flags === undefined)) issue('match_set and match_set_flags go together', 'match_set');
  const other = (jump: string) => args.jump !== undefined && args.jump.toUpperCase() !== jump;
  if ((args.log_prefix !== undefined || args.log_level !== undefined) && other('LOG')) issue('Logging options can only be used with the LOG jump target.', 'jump');
  if ((args.set_dscp_mark !== undefined || args.set_dscp_mark_class !== undefined) && other('DSCP')) issue('a DSCP mark is set by jump DSCP', 'jump');
});
type Wanted = (typeof schema)['_zod']['output'];

/** Whether rule or chain is there; the policy; how many rules there are to flush. */
type Observed = { there: boolean } | { policy: string } | { rules: number };

export const iptables = defineModule<typeof schema, Observed>({
  name: 'iptables',
  summary: 'Adds rules to the packet filter of the kernel and takes them out; makes chains and sets policies.',
  params: schema,
  returns: { rule: 'The rule as arguments of iptables.', chain: 'The chain.', table: 'The table.', ip_version: '`ipv4` or `ipv6`.', state: '`present` or `absent`.', flush: 'Whether rules were to be flushed.', chain_management: 'As asked for.' },
  examples: [
    `- iptables:
    chain: INPUT
    protocol: tcp
    destination_ports: [80, 443]
    ctstate: NEW
    jump: ACCEPT
    comment: the web
- iptables:
    chain: INPUT
    policy: DROP
`,
  ],
  inspect(wanted) {
    const tool = program(wanted);
    const asked = kind(wanted) === 'rule' ? sh`${tool} -C ${wanted.chain!} ${uncounted(wanted)} 2>&1` : sh`${tool} -S ${wanted.chain ?? []} 2>&1`;
    return sh`command -v ${binary(wanted)} >/dev/null || { echo 'the host has no '${binary(wanted)}'; install the package iptables' >&2; exit 127; }
${asked}
echo "status $?"`;
  },
  parse({ rc, stdout, stderr }, wanted) {
    const [, said = '', status] = /^([^]*?)status (\d+)\n$/.exec(stdout) ?? [];
    const failed = (): never => {
      throw new ModuleError(`cannot look at chain ${wanted.chain ?? ''} of table ${wanted.table}: ${stderr.trim() || said.trim() || `exit status ${rc}`}`, { rc: status === undefined ? rc : Number(status), stderr: said });
    };
    if (status === undefined) return failed();
    // 1 is "no such rule or chain". Of a chain, set or target not there, iptables complains as of a wrong argument (2) too.
    const missing = status === '1' || (status === '2' && /does(?: not|n't) exist|No such file/.test(said));
    if (status !== '0' && !missing) return failed();
    const there = status === '0';
    const which = kind(wanted);
    if (which === 'rule' || which === 'chain') return { there };
    if (!there) return failed();
    if (which === 'flush') return { rules: said.split('\n').filter((line) => line.startsWith('-A ')).length };
    const policy = /^-P \S+ ([A-Z]+)/m.exec(said)?.[1];
    if (policy === undefined) throw new ModuleError("Can't detect current policy");
    return { policy };
  },
  compare(wanted, observed) {
    if ('rules' in observed) return observed.rules === 0 ? [] : [{ field: 'rules', from: observed.rules, to: 0 }];
    if ('policy' in observed) return observed.policy === wanted.policy ? [] : [{ field: 'policy', from: observed.policy, to: wanted.policy }];
    if (observed.there === (wanted.state === 'present')) return [];
    const isChain = kind(wanted) === 'chain';
    if (isChain && !wanted.chain_management) return [];
    const what = isChain ? wanted.chain! : rule(wanted).join(' ');
    return [{ field: isChain ? 'chain' : 'rule', from: observed.there ? what : null, to: observed.there ? null : what }];
  },
  apply(wanted) {
    const tool = program(wanted);
    const { chain, state, action, policy } = wanted;
    const which = kind(wanted);
    if (which === 'flush') return { script: sh`${tool} -F ${chain ?? []}` };
    if (which === 'policy') return { script: sh`${tool} -P ${chain!} ${policy!}` };
    if (which === 'chain') return { script: sh`${tool} ${state === 'present' ? '-N' : '-X'} ${chain!}` };
    if (state === 'absent') return { script: sh`${tool} -D ${chain!} ${uncounted(wanted)}` };
    return { script: action === 'append' ? sh`${tool} -A ${chain!} ${rule(wanted)}` : sh`${tool} -I ${chain!} ${wanted.rule_num ?? []} ${rule(wanted)}` };
  },
  undo(wanted, observed) {
    const which = kind(wanted);
    if (which === 'flush') return [{ cannot: 'the rules that were flushed were not kept' }];
    if (which === 'rule' && wanted.state === 'absent') return [{ cannot: 'the place of the rule in its chain was not kept' }];
    const back = 'policy' in observed ? { policy: observed.policy } : { state: wanted.state === 'present' ? 'absent' : 'present' };
    return [{ module: 'iptables', args: { ...wanted, ...back } }];
  },
  result(wanted) {
    const { ip_version, table, flush, state, chain_management } = wanted;
    return { ip_version, table, chain: wanted.chain ?? null, flush, rule: rule(wanted).join(' '), state, chain_management };
  },
});
export default iptables;

/** What the task speaks about. Ansible's rule: without anything of a rule it is the chain itself. */
function kind(wanted: Wanted): 'flush' | 'policy' | 'chain' | 'rule' {
  if (wanted.flush) return 'flush';
  if (wanted.policy !== undefined) return 'policy';
  return rule(wanted).length === 0 ? 'chain' : 'rule';
}

function binary({ ip_version }: Wanted): string {
  return ip_version === 'ipv4' ? 'iptables' : 'ip6tables';
}

function program(wanted: Wanted): Sh {
  return sh`LC_ALL=C ${binary(wanted)} ${wanted.wait === undefined ? [] : ['-w', wanted.wait]} -t ${wanted.table}`;
}

/** The rule without first values of counters, which iptables takes only where it makes a rule. */
function uncounted(wanted: Wanted): string[] {
  return rule({ ...wanted, set_counters: undefined });
}

/** The rule, iptables(8) and iptables-extensions(8): an option stands behind the match or target it belongs to. */
function rule(wanted: Wanted): string[] {
  const { match, tcp_flags, ctstate } = wanted;
  const not = (flag: string, value: string | undefined): string[] => (value === undefined ? [] : value.startsWith('!') ? ['!', flag, value.slice(1).trim()] : [flag, value]);
  const text = (flag: string, value: string | undefined): string[] => (value === undefined ? [] : [flag, value]);
  const extension = (name: string, ...options: string[]): string[] => (options.length === 0 ? [] : match.includes(name) ? options : ['-m', name, ...options]);
  const dscp = [...text('--set-dscp', wanted.set_dscp_mark), ...text('--set-dscp-class', wanted.set_dscp_mark_class)];
  const logging = [...text('--log-prefix', wanted.log_prefix), ...text('--log-level', wanted.log_level)];
  const jump = wanted.jump ?? (logging.length > 0 ? 'LOG' : dscp.length > 0 ? 'DSCP' : undefined);
  const states = ctstate.length === 0 ? [] : match.includes('state') && !match.includes('conntrack') ? ['--state', ctstate.join(',')] : extension('conntrack', '--ctstate', ctstate.join(','));
  const { fragment } = wanted;
  return [
    ...not('-p', wanted.protocol),
    ...not('-s', wanted.source),
    ...not('-d', wanted.destination),
    ...match.flatMap((name) => ['-m', name]),
    ...(tcp_flags === undefined ? [] : ['--tcp-flags', tcp_flags.flags.join(','), tcp_flags.flags_set.join(',')]),
    ...text('-j', jump),
    ...(jump?.toLowerCase() === 'tee' ? text('--gateway', wanted.gateway) : []),
    ...logging,
    ...not('--to-destination', wanted.to_destination),
    // Ansible names multiport even where match does; iptables takes it twice.
    ...(wanted.destination_ports.length === 0 ? [] : ['-m', 'multiport', '--dports', wanted.destination_ports.join(',')]),
    ...not('--to-source', wanted.to_source),
    ...text('-g', wanted.goto),
    ...not('-i', wanted.in_interface),
    ...not('-o', wanted.out_interface),
    ...(fragment === undefined ? [] : fragment.startsWith('!') ? ['!', '-f'] : ['-f']),
    ...text('-c', wanted.set_counters),
    ...not('--source-port', wanted.source_port),
    ...not('--destination-port', wanted.destination_port),
    ...not('--to-ports', wanted.to_ports),
    ...dscp,
    ...(wanted.syn === 'ignore' ? [] : wanted.syn === 'match' ? ['--syn'] : ['!', '--syn']),
    ...states,
    ...extension('iprange', ...not('--src-range', wanted.src_range), ...not('--dst-range', wanted.dst_range)),
    ...extension('set', ...not('--match-set', wanted.match_set), ...(wanted.match_set_flags === undefined ? [] : [wanted.match_set_flags])),
    ...(wanted.limit === undefined && wanted.limit_burst === undefined ? [] : ['-m', 'limit', ...not('--limit', wanted.limit), ...text('--limit-burst', wanted.limit_burst)]),
    ...(wanted.uid_owner === undefined ? [] : ['-m', 'owner', ...not('--uid-owner', wanted.uid_owner)]),
    ...(wanted.gid_owner === undefined ? [] : ['-m', 'owner', ...not('--gid-owner', wanted.gid_owner)]),
    ...(wanted.reject_with === undefined ? [] : [...(jump === undefined ? ['-j', 'REJECT'] : []), '--reject-with', wanted.reject_with]),
    ...not(wanted.ip_version === 'ipv4' ? '--icmp-type' : '--icmpv6-type', wanted.icmp_type),
    ...(wanted.comment === undefined ? [] : ['-m', 'comment', '--comment', wanted.comment]),
  ];
}
