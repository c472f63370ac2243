import { isIPv4 } from 'node:net';
import { pythonRegex } from '../expression/index.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { defineCommand, ModuleError, type Returns } from './module.js';
import { choice, int, list, params, path, str } from './params.js';
import { hostPath } from './words.js';

/** States of include/net/tcp_states.h of Linux, as /proc/net/tcp writes them. */
const STATES: { [name: string]: string } = { ESTABLISHED: '01', SYN_SENT: '02', SYN_RECV: '03', FIN_WAIT1: '04', FIN_WAIT2: '05', TIME_WAIT: '06' };

const schema = params({
  host: str('The host whose port is waited for, as seen from the managed host.').default('127.0.0.1'),
  port: int('The port.').optional(),
  path: path('The file.').optional(),
  state: choice(['started', 'present', 'stopped', 'absent', 'drained'], 'What is waited for: an open or closed port, a file that is there or gone, no connections.').default('started'),
  search_regex: str('A regular expression that must be found in the file, or in what the port says.').optional(),
  timeout: int('Most seconds to wait.').default(300),
  delay: int('Seconds before the first look.').default(0),
  sleep: int('Seconds between two looks.').default(1),
  connect_timeout: int('Most seconds for one connection.').default(5),
  active_connection_states: list('Which connections keep a port from being drained.').default(['ESTABLISHED', 'FIN_WAIT1', 'FIN_WAIT2', 'SYN_RECV', 'SYN_SENT', 'TIME_WAIT']),
  exclude_hosts: list('Addresses whose connections do not count for drained.').default([]),
  msg: str('The message when waiting was in vain.').optional(),
}).check((context) => {
  const { port, path, state, active_connection_states, exclude_hosts, search_regex } = context.value;
  const issue = (message: string, at: string) => context.issues.push({ code: 'custom', message, params: { elapsed: 0 }, input: context.value, path: [at] });
  if (port !== undefined && path !== undefined) issue('port and path parameter can not both be passed to wait_for', 'path');
  if (path !== undefined && (state === 'stopped' || state === 'drained')) issue(`state=${state} should only be used for checking a port in the wait_for module`, 'state');
  if (state === 'drained' && port === undefined && path === undefined) issue('state: drained needs a port', 'port');
  if (exclude_hosts.length && state !== 'drained') issue('exclude_hosts should only be with state=drained', 'exclude_hosts');
  for (const host of exclude_hosts) if (!isIPv4(host)) issue(`"${host}" is not an IPv4 address`, 'exclude_hosts');
  for (const name of active_connection_states) if (!(name in STATES)) issue(`there is no connection state "${name}"; there are ${Object.keys(STATES).join(', ')}`, 'active_connection_states');
  if (search_regex !== undefined && port === undefined && path === undefined) issue('search_regex needs a port or a path', 'search_regex');
  if (port !== undefined && (port < 1 || port > 65535)) issue(`${port} is not a port`, 'port');
});
type Wanted = (typeof schema)['_zod']['output'];

/**
 * Defines `speak`, which connects to $h and $p, writes what it hears and ends within $c seconds: by bash, Perl's
 * base modules or nc, whichever is there. Its exit status tells whether there was a connection.
 */
const speaker = (listen: boolean): Sh => {
  const bash = `exec 3<>"/dev/tcp/$0/$1" || exit 1${listen ? '; timeout "$2" cat <&3; :' : ''}`;
  const perl = `use IO::Socket::IP; my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Timeout => $ARGV[2]) or exit 1;${
    listen ? ' $| = 1; $SIG{ALRM} = sub { exit 0 }; alarm $ARGV[2]; print while sysread $s, $_, 4096;' : ''
  }`;
  return sh`if command -v bash >/dev/null; then speak() { timeout ${raw(listen ? '$((c * 2))' : '$c')} bash -c ${bash} "$h" "$p" "$c" 2>/dev/null; }
elif perl -MIO::Socket::IP -e 1 2>/dev/null; then speak() { perl -e ${perl} "$h" "$p" "$c" 2>/dev/null; }
elif command -v nc >/dev/null; then speak() { ${listen ? raw('{ sleep $c; } |') : sh``} timeout ${raw(listen ? '$((c * 2))' : '$c')} nc -w "$c" "$h" "$p" 2>/dev/null ${listen ? sh`` : raw('</dev/null >/dev/null')}; }
else echo 'waiting for a port takes bash, perl or nc on the host' >&2; exit 2
fi`;
};

/**
 * Defines `found`, whether the regular expression is in standard input, `^` and `$` standing for lines as with
 * Python's MULTILINE. Perl's expressions are nearest to Python's; without Perl it is grep's, line by line.
 * It prints the lines the match stands in, out of which the groups are read here.
 */
function finder(regex: string): Sh {
  const extended = regex.replace(/\\[dDwWsS]/g, (word) => CLASSES[word]!).replaceAll('(?:', '(');
  const plain = !/\(\?|[*+?}][?+]|\\[bBAZ0-9]/.test(extended);
  return sh`if command -v perl >/dev/null; then found() { R=${regex.replaceAll('(?P<', '(?<')} perl -0777 -e ${FIND}; }
elif ${raw(plain ? 'true' : 'false')}; then found() { grep -aE -m 1 -e ${extended}; }
else echo 'this regular expression takes perl on the host' >&2; exit 2
fi`;
}
const CLASSES: { [word: string]: string } = { '\\d': '[0-9]', '\\D': '[^0-9]', '\\w': '[[:alnum:]_]', '\\W': '[^[:alnum:]_]', '\\s': '[[:space:]]', '\\S': '[^[:space:]]' };
const FIND = '$_ = <STDIN> // ""; /$ENV{R}/m or exit 1; ($s, $e) = ($-[0], $+[0]); substr($_, 0, $s) =~ /[^\\n]*\\z/; $s -= length $&; substr($_, $e) =~ /\\A[^\\n]*/; print substr($_, $s, $e + length($&) - $s), "\\n"';

function check(wanted: Wanted): Sh {
  if (wanted.path !== undefined) {
    const file = hostPath(wanted.path);
    const there = sh`{ [ -e ${file} ] || [ -L ${file} ]; }`;
    const matched = wanted.search_regex === undefined ? there : sh`{ [ -r ${file} ] && found <${file}; }`;
    return ['started', 'present'].includes(wanted.state) ? matched : sh`! ${matched} >/dev/null`;
  }
  if (wanted.state === 'drained') return sh`! busy`;
  const connected = wanted.search_regex === undefined ? sh`speak` : sh`{ speak | found; }`;
  return ['started', 'present'].includes(wanted.state) ? connected : sh`! ${connected} >/dev/null`;
}

/** Defines `busy`: whether /proc/net/tcp or tcp6 has a connection of the port that counts. */
function connections(wanted: Wanted): Sh {
  const port = wanted.port!.toString(16).toUpperCase().padStart(4, '0');
  const states = [...new Set(wanted.active_connection_states.map((name) => STATES[name]!))];
  const excluded = wanted.exclude_hosts.map((host) => host.split('.').map((part) => Number(part).toString(16).padStart(2, '0')).reverse().join('').toUpperCase());
  const others = excluded.length ? raw(`case $remote in ${excluded.map((hex) => `${hex}:*|*FFFF0000${hex}:*`).join('|')}) continue ;; esac`) : sh``;
  // cat reads in large pieces: a shell that reads line by line seeks back each time, and misses lines where others come or go meanwhile.
  return sh`busy() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | (
    while read -r n own remote state rest; do
      case $own in *:${raw(port)}) ;; *) continue ;; esac
      ${others}
      case $state in ${raw(states.join('|'))}) exit 0 ;; esac
    done
    exit 1
  )
}`;
}

export default defineCommand({
  name: 'wait_for',
  summary: 'Waits until a port is open or closed, a file is there or gone, a text is found, or connections have ended.',
  params: schema,
  returns: { elapsed: 'Seconds that were waited.', state: 'What was waited for.', port: 'The port.', path: 'The file.', search_regex: 'The regular expression.', match_groups: 'What its groups matched, a list.', match_groupdict: 'What its named groups matched.' },
  examples: ['- wait_for:\n    port: 8000\n    delay: 10', '- wait_for:\n    path: /tmp/foo\n    search_regex: completed', '- wait_for:\n    host: db1\n    port: 3306\n    timeout: 60'],
  changes: false,
  run(wanted) {
    const idle = wanted.port === undefined && wanted.path === undefined;
    const parts = [sh`read b r </proc/uptime; b=\${b%.*}
spent() { read t r </proc/uptime; t=$((\${t%.*} - b)); }
h=${wanted.host} p=${wanted.port ?? 0} c=${wanted.connect_timeout}`];
    if (wanted.delay) parts.push(sh`sleep ${wanted.delay}`);
    if (idle) parts.push(sh`sleep ${wanted.timeout}`);
    else {
      if (wanted.state === 'drained') parts.push(connections(wanted));
      else if (wanted.port !== undefined) parts.push(speaker(wanted.search_regex !== undefined));
      if (wanted.search_regex !== undefined) parts.push(finder(wanted.search_regex));
      parts.push(sh`until ${check(wanted)}; do
  spent
  [ $t -lt ${wanted.timeout} ] || { echo "elapsed $t"; exit 1; }
  sleep ${wanted.sleep}
done`);
    }
    parts.push(sh`spent; echo "elapsed $t"`);
    return { script: join(parts) };
  },
  result(wanted, output) {
    const elapsed = Number(/elapsed (\d+)\n$/.exec(output.stdout)?.[1] ?? NaN);
    const what = { elapsed, state: wanted.state, port: wanted.port ?? null, path: wanted.path ?? null, search_regex: wanted.search_regex ?? null };
    if (output.rc === 0) return { ...what, ...groups(wanted.search_regex, output.stdout.replace(/\n?elapsed \d+\n$/, '')) };
    if (Number.isNaN(elapsed)) throw new ModuleError(output.stderr.trim() || `waiting ended with exit status ${output.rc}`, { rc: output.rc, stderr: output.stderr });
    throw new ModuleError(wanted.msg ?? vain(wanted), what);
  },
});

/** @param lines what `found` printed; nothing where the expression was to be absent */
function groups(regex: string | undefined, lines: string): Returns {
  const match = regex === undefined ? null : pythonRegex(regex, 'm').exec(lines);
  const orNull = (text: string | undefined): string | null => text ?? null;
  return {
    match_groups: match ? match.slice(1).map(orNull) : [],
    match_groupdict: Object.fromEntries(Object.entries(match?.groups ?? {}).map(([name, text]) => [name, orNull(text)])),
  };
}

/** In Ansible's words. */
function vain(wanted: Wanted): string {
  const place = wanted.path ?? `${wanted.host}:${wanted.port}`;
  if (wanted.state === 'drained') return `Timeout when waiting for ${place} to drain`;
  if (wanted.state === 'stopped' || wanted.state === 'absent') return `Timeout when waiting for ${place} to ${wanted.path === undefined ? 'stop' : 'be absent'}.`;
  if (wanted.search_regex !== undefined) return `Timeout when waiting for search string ${wanted.search_regex} in ${place}`;
  return `Timeout when waiting for ${wanted.path === undefined ? '' : 'file '}${place}`;
}
