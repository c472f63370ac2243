import { labSsh } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';
import type { Stack } from './stack.js';

/** Ports of a host that answered an attempt at a connection: all of them, and those that took it. The others were silent. */
export interface Answers {
  answered: number[];
  open: number[];
}

/** Perl is on every Debian host. Many attempts run beside each other, each long enough for its first packet to be sent a second time. */
const SCAN = String.raw`
use strict; use Errno; use Socket qw(:all);
my ($ranges, @addresses) = @ARGV;
my @ports = map { /^(\d+)-(\d+)$/ ? ($1 .. $2) : $_ } split /,/, $ranges;
my @attempts = map { my $address = $_; map { [$address, $_] } @ports } @addresses;
while (my @some = splice @attempts, 0, 6000) {
  my ($bits, %waiting) = ('');
  my $tell = sub { my ($to, $error) = @_; print join(' ', @$to, $error ? 'refused' : 'open'), "\n" if !$error || $error == Errno::ECONNREFUSED };
  for my $to (@some) {
    my ($address, $port) = @$to;
    my ($fault, $target) = getaddrinfo($address, $port, {socktype => SOCK_STREAM, flags => AI_NUMERICHOST});
    die $fault if $fault;
    socket(my $socket, $target->{family}, SOCK_STREAM | SOCK_NONBLOCK, 0) or die "socket: $!";
    if (connect $socket, $target->{addr}) { $tell->($to, 0) }
    elsif ($!{EINPROGRESS}) { $waiting{fileno $socket} = [$to, $socket]; vec($bits, fileno($socket), 1) = 1 }
    else { $tell->($to, $! + 0) }
    # Faster, and the bridge would lose packets.
    select undef, undef, undef, 0.002 if $port % 100 == 0;
  }
  for (my $end = time + 2; %waiting && time < $end;) {
    last unless select undef, my $ready = $bits, undef, 0.5 or time < $end;
    for my $number (grep { vec($ready, $_, 1) } keys %waiting) {
      my ($to, $socket) = @{delete $waiting{$number}};
      vec($bits, $number, 1) = 0;
      $tell->($to, unpack 'i', getsockopt($socket, SOL_SOCKET, SO_ERROR));
    }
  }
}
`;

/**
 * Tries to connect from this machine (at the bridge) or from a host of the lab.
 * @param addresses what to try, by a name for it
 * @param wanted ports and ranges: `22,8000-9000`
 */
export async function tryPorts<Name extends string>(stack: Stack, from: 'here' | string, addresses: { readonly [name in Name]: string }, wanted: string): Promise<{ [name in Name]: Answers }> {
  const names = Object.keys(addresses) as Name[];
  const script = `ulimit -n "$(ulimit -H -n)"; exec perl - ${wanted} ${names.map((name) => addresses[name]).join(' ')} <<'EOF'\n${SCAN}\nEOF\n`;
  const said = from === 'here' ? await run('/bin/sh', ['-s'], { input: script }) : await run('ssh', labSsh(stack.lab, from, ['sh']), { input: script });
  const lines = said.split('\n').map((line) => line.split(' '));
  const of = (name: Name, ...how: string[]) => lines.filter(([address, , answer]) => address === addresses[name] && how.includes(answer!)).map(([, port]) => Number(port)).sort((a, b) => a - b);
  return Object.fromEntries(names.map((name) => [name, { answered: of(name, 'open', 'refused'), open: of(name, 'open') }])) as { [name in Name]: Answers };
}
