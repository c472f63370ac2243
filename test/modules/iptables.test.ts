import test from 'ava';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { iptables } from '../../src/modules/iptables.js';
import { converge, inShells, look } from './harness.js';

const ruleOf = (args: object) => iptables.result(iptables.params.parse({ chain: 'INPUT', ...args }), { there: true })['rule'];

test('a rule has its options where iptables wants them', (t) => {
  t.is(ruleOf({ protocol: 'tcp', source: '!10.0.0.0/8', in_interface: 'eth+', destination_ports: [80, '8000:8010'], ctstate: 'NEW,RELATED', syn: 'negate', jump: 'ACCEPT', comment: '!important' }), '-p tcp ! -s 10.0.0.0/8 -j ACCEPT -m multiport --dports 80,8000:8010 -i eth+ ! --syn -m conntrack --ctstate NEW,RELATED -m comment --comment !important');
  t.is(ruleOf({ match: 'state', ctstate: 'NEW', tcp_flags: { flags: ['SYN', 'ACK'], flags_set: 'SYN' } }), '-m state --tcp-flags SYN,ACK SYN --state NEW');
  t.is(ruleOf({ reject_with: 'tcp-reset', ip_version: 'ipv6', icmp_type: '8' }), '-j REJECT --reject-with tcp-reset --icmpv6-type 8');
  t.is(ruleOf({ jump: 'REJECT', reject_with: 'tcp-reset' }), '-j REJECT --reject-with tcp-reset');
  t.is(ruleOf({ log_prefix: 'in: ', limit: '2/m', limit_burst: 5 }), '-j LOG --log-prefix in:  -m limit --limit 2/m --limit-burst 5');
  t.is(ruleOf({ jump: 'DSCP', set_dscp_mark: 8, uid_owner: '! root', fragment: '!', match_set: 'bad', match_set_flags: 'src', src_range: '10.0.0.1-10.0.0.9' }), '-j DSCP ! -f --set-dscp 8 -m iprange --src-range 10.0.0.1-10.0.0.9 -m set --match-set bad src -m owner ! --uid-owner root');
});

test('what cannot be a rule is told before', (t) => {
  const refused = (args: object, message: RegExp) => t.throws(() => ruleOf(args), { message });
  refused({ chain: undefined }, /chain is needed/);
  refused({ source: '' }, /source is empty/);
  refused({ jump: 'DROP', log_prefix: 'x' }, /LOG jump target/);
  refused({ jump: 'TEE' }, /needs gateway/);
  refused({ match_set: 'x' }, /go together/);
  refused({ flush: true, policy: 'DROP' }, /exclude/);
});

test('no rule is told from no answer', (t) => {
  const parse = (stdout: string) => iptables.parse({ rc: 0, stdout, stderr: '' }, iptables.params.parse({ chain: 'INPUT', jump: 'web' }));
  t.deepEqual(parse('status 0\n'), { there: true });
  t.deepEqual(parse('iptables: Bad rule (does a matching rule exist in that chain?).\nstatus 1\n'), { there: false });
  t.deepEqual(parse("iptables v1.8.9 (nf_tables): Chain 'web' does not exist\nTry `iptables -h' or 'iptables --help' for more information.\nstatus 2\n"), { there: false });
  t.deepEqual(parse("iptables v1.8.9 (legacy): Couldn't load target `web':No such file or directory\nstatus 2\n"), { there: false });
  t.throws(() => parse('iptables v1.8.9 (nf_tables): unknown option "--dport"\nstatus 2\n'), { message: /unknown option/ });
  t.throws(() => parse('iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)\nstatus 4\n'), { message: /must be root/ });
});

/** An iptables whose chains are files: the first line is the policy, the others are rules. */
const FAKE = (folder: string) => `#!/bin/sh
cd ${folder} || exit
while :; do case $1 in -w) shift 2 ;; -t) shift 2 ;; *) break ;; esac; done
a=$1; c=$2; shift; [ $# -eq 0 ] || shift
case "$a $*" in -[CD]*' -c '*) echo "illegal option -c" >&2; exit 2 ;; esac
case $a in
-S) for f in \${c:-*}; do [ -f $f ] || { echo "iptables: No chain/target/match by that name." >&2; exit 1; }; cat $f; done ;;
-C) [ -f $c ] && grep -qxF -e "-A $c $*" $c || { echo 'iptables: Bad rule' >&2; exit 1; } ;;
-A) echo "-A $c $*" | sed 's/ -c [0-9,]*//' >>$c ;;
-I) n=1; case $1 in [0-9]*) n=$1; shift ;; esac; sed -i "$n a -A $c $*" $c ;;
-D) grep -vxF -e "-A $c $*" $c >.new; mv .new $c ;;
-N) echo "-N $c" >$c ;;
-X) rm $c ;;
-P) sed -i "1s/.*/-P $c $1/" $c ;;
-F) for f in \${c:-*}; do sed -i 1q $f; done ;;
esac
`;

inShells(test, 'rules, chains and policies', async (t, place) => {
  const root = join(place.dir, '..');
  const [bin, state] = [join(root, 'bin'), join(root, 'state')];
  await mkdir(bin);
  await mkdir(state);
  await writeFile(join(bin, 'iptables'), FAKE(state));
  await chmod(join(bin, 'iptables'), 0o755);
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  const chain = async (name = 'INPUT') => (await readFile(join(state, name), 'utf8')).trim().split('\n');
  await writeFile(join(state, 'INPUT'), '-P INPUT ACCEPT\n');
  const changed = async (args: object) => (await converge(t, place, iptables, { chain: 'INPUT', ...args })).changes.length > 0;

  t.true(await changed({ protocol: 'tcp', jump: 'ACCEPT', wait: 5, set_counters: '3,4' }));
  t.false(await changed({ protocol: 'tcp', jump: 'ACCEPT' }));
  t.true(await changed({ protocol: 'udp', jump: 'ACCEPT', action: 'insert', comment: "it's udp" }));
  t.true(await changed({ protocol: 'icmp', jump: 'DROP', action: 'insert', rule_num: 2 }));
  t.deepEqual(await chain(), ['-P INPUT ACCEPT', "-A INPUT -p udp -j ACCEPT -m comment --comment it's udp", '-A INPUT -p icmp -j DROP', '-A INPUT -p tcp -j ACCEPT']);
  t.true(await changed({ protocol: 'icmp', jump: 'DROP', state: 'absent' }));
  t.false(await changed({ protocol: 'icmp', jump: 'DROP', state: 'absent' }));

  t.true(await changed({ policy: 'DROP' }));
  t.is((await chain())[0], '-P INPUT DROP');
  t.false(await changed({ policy: 'DROP' }));

  t.false(await changed({ chain: 'web' }));
  t.true(await changed({ chain: 'web', chain_management: true }));
  t.true(await changed({ chain: 'web', jump: 'RETURN' }));
  t.true(await changed({ chain: 'web', flush: true }));
  t.false(await changed({ chain: 'web', flush: true }));
  t.true(await changed({ chain: 'web', chain_management: true, state: 'absent' }));
  t.true(await changed({ chain: undefined, flush: true }));
  t.deepEqual(await chain(), ['-P INPUT DROP']);
  t.deepEqual((await look(t, place, iptables, { chain: 'INPUT', jump: 'ACCEPT', state: 'absent' })).changes, []);
  await t.throwsAsync(look(t, place, iptables, { chain: 'none', policy: 'DROP' }), { message: /No chain/ });
  await t.throwsAsync(look(t, place, iptables, { chain: 'INPUT', jump: 'DROP', ip_version: 'ipv6' }), { message: /no ip6tables/ });
});
