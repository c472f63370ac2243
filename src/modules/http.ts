/**
 * A small HTTP/1.1 client in Perl for hosts without curl; it takes only what Debian's perl-base has. The request
 * is read from file descriptor 3 (address, method, redirects, seconds, header lines, Unix socket, each ended by
 * NUL), its body from standard input. It prints what curl prints: headers, body, a line about the exchange.
 */
export const FETCH = String.raw`
use strict; use IO::Socket::IP; use IO::Socket::UNIX; use Time::HiRes qw(time);
binmode STDIN; binmode STDOUT; local $/;
open my $config, "<&=", 3 or die "cannot read the request: $!\n";
my ($url, $method, $max, $timeout, $head, $unix) = split /\0/, <$config>, -1;
my $body = <STDIN>; $body = "" unless defined $body;
my ($start, $hops, $first) = (time, 0, undef);
$SIG{ALRM} = sub { die "no answer within $timeout s\n" };
alarm $timeout;
while (1) {
  my ($host, $port, $path) = $url =~ m{^http://(\[[^\]]+\]|[^/:?#]+)(?::(\d+))?([^#]*)}i or die "$url takes curl\n";
  $path = "/$path" unless $path =~ m{^/};
  my $place = $host . (defined $port ? ":$port" : "");
  $first = $place unless defined $first;
  $head =~ s/^(authorization|cookie):[^\r]*\r\n//mig if $place ne $first;
  (my $peer = $host) =~ tr/[]//d;
  my $socket = $unix ne "" ? IO::Socket::UNIX->new(Peer => $unix)
    : IO::Socket::IP->new(PeerHost => $peer, PeerPort => $port || 80, Timeout => $timeout);
  $socket or die "cannot connect to $place: " . ($@ || $!) . "\n";
  binmode $socket;
  my $own = $head =~ /^host:/mi ? "" : "Host: $place\r\n";
  my $length = length $body || $method =~ /^(POST|PUT|PATCH)$/ ? "Content-Length: " . length($body) . "\r\n" : "";
  $socket->print("$method $path HTTP/1.1\r\n${"$"}{own}Connection: close\r\n$head$length\r\n$body");
  my $reply = <$socket>; $reply = "" unless defined $reply;
  my ($headers, $content) = split /\r?\n\r?\n/, $reply, 2;
  ($headers, $content) = split /\r?\n\r?\n/, $content, 2 while defined $headers && $headers =~ m{^HTTP/\S+ 1\d\d};
  my ($code) = ($headers || "") =~ m{^HTTP/\S+ (\d+)} or die "$place does not answer in HTTP\n";
  $content = "" unless defined $content;
  if ($headers =~ /^transfer-encoding:.*chunked/mi) {
    my $whole = "";
    while ($content =~ s/^([0-9a-fA-F]+)[^\r\n]*\r\n//) {
      my $size = hex $1 or last;
      $whole .= substr $content, 0, $size, "";
      $content =~ s/^\r\n//;
    }
    $content = $whole;
  }
  if ($hops < $max && $code =~ /^30[12378]$/ && $headers =~ /^location:\s*(\S+)/mi) {
    my $to = $1;
    $url = $to =~ m{^[a-z]+://}i ? $to : $to =~ m{^/} ? "http://$place$to" : "http://$place/$to";
    $hops++;
    ($method, $body) = ("GET", "") if $code =~ /^30[123]$/ && $method !~ /^(GET|HEAD)$/;
    next;
  }
  print "$headers\r\n\r\n$content\n\@muster $code $hops ", time - $start, " ", length($headers) + 4, " $url";
  last;
}
`;
