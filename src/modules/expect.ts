import { bytes, join, sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { defineCommand, ModuleError } from './module.js';
import { bool, dict, int, params, str } from './params.js';
import { COMMAND, enter, guard, guarded, guards, returned, RETURNS, timed } from './running.js';
import { splitWords } from './words.js';

const schema = params({
  command: str('The command line; it is split into words as a shell would, but no shell interprets it.'),
  responses: dict('Regular expression -> what is answered where it matches the output: a text, or a list of texts, one for each time.'),
  timeout: int('Most seconds to wait for output that is answered, or the end.').default(30),
  echo: bool('Whether the terminal shows what is answered.').default(false),
  ...guards,
}).check((context) => {
  const issue = (message: string, path: string, params = {}) => context.issues.push({ code: 'custom', message, params: { msg: message, ...params }, input: context.value, path: [path] });
  if (context.value.command.trim() === '') issue('no command given', 'command', { rc: 256 });
});
type Wanted = (typeof schema)['_zod']['output'];

/**
 * Runs a command on a terminal of its own and answers. By Perl's base modules alone: the terminal comes from /dev/ptmx
 * (pts(4), ioctl_tty(2)). Standard input: timeout, whether to echo, the words and how many they are, then of each
 * expression itself, whether its answers run out, how many they are, and they; each ended by NUL. Standard output is
 * what the terminal showed; standard error how it ended.
 */
const TALK = `use strict; use Fcntl; use POSIX (); use Errno ();
my @in = do { local $/; binmode STDIN; split /\\0/, <STDIN>, -1 };
my ($timeout, $echo, $n) = splice @in, 0, 3;
my @cmd = splice @in, 0, $n;
my @events;
while (@in > 1) {
  my ($re, $once, $many) = splice @in, 0, 3;
  push @events, { re => qr/$re/s, text => $re, once => $once, answers => [splice @in, 0, $many] };
}
sub done { print STDERR "@_\\n"; exit 0 }
sysopen(my $tty, '/dev/ptmx', O_RDWR | O_NOCTTY) or die "no terminal can be had: $!\\n";
# On PowerPC and MIPS reading and writing have each other's numbers.
my ($unlock, $number) = (pack('i', 0), pack('i', 0));
ioctl($tty, 0x40045431, $unlock) or ioctl($tty, 0x80045431, $unlock) or die "no terminal can be had: $!\\n";
ioctl($tty, 0x80045430, $number) or ioctl($tty, 0x40045430, $number) or die "no terminal can be had: $!\\n";
sysopen(my $slave, '/dev/pts/' . unpack('i', $number), O_RDWR | O_NOCTTY) or die "no terminal can be had: $!\\n";
my $termios = POSIX::Termios->new; $termios->getattr(fileno $slave);
$termios->setlflag($termios->getlflag & ~POSIX::ECHO()) unless $echo;
$termios->setattr(fileno $slave, POSIX::TCSANOW());
pipe(my $started, my $failing) or die;
my $pid = fork // die "cannot fork: $!\\n";
if ($pid == 0) {
  POSIX::setsid(); ioctl($slave, 0x540E, 0);
  POSIX::dup2(fileno $slave, $_) for 0 .. 2;
  close $tty; close $slave if fileno $slave > 2;
  { no warnings; exec { $cmd[0] } @cmd }
  syswrite $failing, "$!"; POSIX::_exit(127);
}
close $slave; close $failing;
my $why = do { local $/; <$started> };
done('absent', $why) if defined $why && $why ne '';
$| = 1; binmode STDOUT;
my ($buffer, $end) = ('', time + $timeout);
while (1) {
  my $best;
  for my $event (@events) {
    next unless $buffer =~ $event->{re} && $+[0] > 0;
    $best = { event => $event, from => $-[0], to => $+[0] } if !$best || $-[0] < $best->{from};
  }
  if ($best) {
    my $event = $best->{event};
    if ($event->{once} && !@{ $event->{answers} }) { kill 'HUP', $pid; done('answered', $event->{text}) }
    my $answer = $event->{once} ? shift @{ $event->{answers} } : $event->{answers}[0];
    substr($buffer, 0, $best->{to}) = '';
    select undef, undef, undef, 0.05;
    syswrite $tty, "$answer\\n";
    $end = time + $timeout;
    next;
  }
  my $ready = ''; vec($ready, fileno $tty, 1) = 1;
  my $left = $end - time;
  if ($left <= 0) { kill 'HUP', $pid; select undef, undef, undef, 0.1; kill 'KILL', $pid; done('late') }
  next if select($ready, undef, undef, $left) <= 0;
  my $got = sysread $tty, my $piece, 4096;
  last unless $got;
  print $piece; $buffer .= $piece;
}
waitpid $pid, 0;
done('ended', $? & 127 ? 128 + ($? & 127) : $? >> 8);`;

function spoken({ command, responses, timeout, echo }: Wanted): Buffer {
  const words = splitWords(command);
  const events = Object.entries(responses).flatMap(([expression, given]) => {
    const answers = (Array.isArray(given) ? given : [given]).map((answer) => trimmedEnd(String(answer), '\n'));
    return [expression.replaceAll('(?P<', '(?<').replace(/\(\?P=(\w+)\)/g, '\\k<$1>'), Array.isArray(given) ? '1' : '', String(answers.length), ...answers];
  });
  return Buffer.from([String(timeout), echo ? '1' : '', String(words.length), ...words, ...events].map((field) => `${field}\0`).join(''));
}

export const expect = defineCommand<typeof schema, Wanted>({
  name: 'expect',
  summary: 'Runs a command on a terminal of its own and answers what it asks.',
  params: schema,
  returns: RETURNS,
  examples: ["- expect:\n    command: passwd deploy\n    responses:\n      (?i)password: \"{{ deploy_password }}\"\n  no_log: true", '- expect:\n    command: /opt/app/install\n    responses:\n      Question:\n        - first answer\n        - second answer'],
  guard: (wanted) => guard(wanted),
  guarded: (output, wanted, check) => guarded(output, wanted, check),
  run: (wanted) => ({
    ...COMMAND,
    script: timed(join([sh`command -v perl >/dev/null || { echo 'answering takes perl on the host' >&2; exit 1; }`, enter(wanted.chdir), sh`${bytes(spoken(wanted))} | perl -e ${TALK}`])),
  }),
  result(wanted, output) {
    // A terminal has one output.
    const { stderr: _, stderr_lines: __, ...ran } = returned(output, wanted.command);
    const [, end, detail = ''] = /^(ended|late|answered|absent) ?(.*)\n$/s.exec(output.stderr) ?? [];
    const rc = end === 'ended' ? Number(detail) : null;
    const told = { ...ran, rc };
    if (rc === 0) return { ...told, msg: '' };
    if (rc !== null) throw new ModuleError('non-zero return code', told);
    if (end === 'late') throw new ModuleError('command exceeded timeout', told);
    if (end === 'answered') throw new ModuleError(`No remaining responses for '${detail}', output was '${String(ran['stdout'])}'`, told);
    if (end === 'absent') throw new ModuleError(`The command was not found or was not executable: ${splitWords(wanted.command)[0]} (${detail})`, told);
    throw new ModuleError(output.stderr.trim() || `ended with exit status ${output.rc}`, { ...told, rc: output.rc });
  },
});
export default expect;
