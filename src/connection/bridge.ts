import { sh, type Sh } from '../shell/sh.js';

/** perl-base is in every Debian's essential set and has all that this uses. */
const PERL = `use strict; use Socket; use IO::Select;
my $s;
socket($s, PF_UNIX, SOCK_STREAM, 0) && connect($s, sockaddr_un($ARGV[0])) or die "$ARGV[0]: $!\\n";
sub put { my ($to, $b) = @_; my $o = 0; while ($o < length $b) { $o += syswrite($to, $b, length($b) - $o, $o) || exit 0 } }
put(*STDOUT, "MUSTER-BRIDGE\\n");
my $sel = IO::Select->new($s, *STDIN);
while (my @r = $sel->can_read) {
  for my $f (@r) {
    my $n = sysread($f, my $b, 65536);
    if (!$n) { exit 0 if $f == $s; shutdown($s, 1); $sel->remove($f); next }
    put($f == $s ? *STDOUT : $s, $b);
  }
}`;

/**
 * A command that connects its standard input and output to a Unix socket, and says so first by a line of its own.
 * Where there is no Perl, socat or a netcat that knows -U.
 */
export function bridge(socket: string): Sh {
  return sh`if command -v perl >/dev/null 2>&1; then exec perl -e ${PERL} ${socket}
elif [ ! -S ${socket} ]; then printf '%s: no such socket\n' ${socket} >&2; exit 1
elif command -v socat >/dev/null 2>&1; then printf 'MUSTER-BRIDGE\n'; exec socat - UNIX-CONNECT:${socket}
elif command -v nc >/dev/null 2>&1; then printf 'MUSTER-BRIDGE\n'; exec nc -U ${socket}
else printf 'perl, socat or nc is needed to reach a socket as another user\n' >&2; exit 1; fi`;
}
bridge.ready = Buffer.from('MUSTER-BRIDGE\n');
