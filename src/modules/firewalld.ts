import { z } from 'zod';
import { join, sh, type Sh } from '../shell/sh.js';
import { defineModule, ModuleError, type Back, type Change } from './module.js';
import { bool, choice, int, params, str } from './params.js';

const forward = params({
  port: str('The port that is forwarded.'),
  proto: choice(['udp', 'tcp'], 'Its protocol.'),
  toport: str('The port it goes to.'),
  toaddr: str('The address it goes to; this host without it.').optional(),
});

/** Parameters of which a task has one: what is turned on or off in a zone. */
const SUBJECTS = ['icmp_block', 'icmp_block_inversion', 'service', 'protocol', 'port', 'port_forward', 'rich_rule', 'interface', 'forward', 'masquerade', 'source', 'target'] as const;

const schema = params({
  service: str('A service that firewalld knows: https.').optional(),
  protocol: str('A protocol: ospf.').optional(),
  port: str('A port or ports with their protocol: 8081/tcp, 161-162/udp.').optional(),
  port_forward: z.array(forward).max(1, 'Only one port forward supported at a time').meta({ description: 'A port that is forwarded, as a list of one dict with port, proto, toport and toaddr.', title: 'list' }).optional(),
  rich_rule: str('A rule in the rich language: rule service name="ftp" audit limit value="1/m" accept.').optional(),
  source: str('An address, a network, a MAC or an ipset whose packets the zone is for.').optional(),
  interface: str('An interface whose packets the zone is for; needs zone. It leaves the zone it is in.').optional(),
  icmp_block: str('A type of ICMP that is blocked: echo-request.').optional(),
  icmp_block_inversion: bool('Whether all types of ICMP but those of icmp_block are blocked.').optional(),
  zone: str("The zone; without it the host's default zone.").optional(),
  permanent: bool('Whether the configuration on disk is changed; without it, what works now.').default(false),
  immediate: bool('Whether what works now is changed, besides permanent.').default(false),
  state: choice(['absent', 'disabled', 'enabled', 'present'], 'Whether it is on; present and absent are for zones and their target.'),
  timeout: int('For how many seconds it works; 0 for no end. Not for what is permanent.').default(0),
  forward: bool('Whether packets are passed on between interfaces and sources of the zone.').optional(),
  masquerade: bool('Whether packets that leave by the zone get the address of the host.').optional(),
  offline: bool('Whether immediate is passed over where firewalld does not run; needs permanent.').default(false),
  target: choice(['default', 'ACCEPT', 'DROP', '%%REJECT%%'], 'What happens to packets no rule of the zone is about; needs zone.').optional(),
}).check((context) => {
  const wanted = context.value;
  const issue = (message: string, path: string): unknown => context.issues.push({ code: 'custom', message, input: wanted, path: [path] });
  const given = SUBJECTS.filter((name) => wanted[name] !== undefined);
  if (given.length > 1) issue(`${given.join(', ')} exclude each other`, given[1]!);
  if (wanted.interface !== undefined && wanted.zone === undefined) issue('interface needs zone', 'zone');
  if (wanted.target !== undefined && wanted.zone === undefined) issue('target needs zone', 'zone');
  if (wanted.offline && !wanted.permanent) issue('offline cannot be enabled unless permanent changes are allowed', 'offline');
  if (wanted.port !== undefined && !/^[^/]+\/[^/]+$/.test(wanted.port.trim())) issue('improper port format (missing protocol?): write 8081/tcp', 'port');
  const isForZones = wanted.state === 'absent' || wanted.state === 'present';
  if (isForZones && given.length > 0 && wanted.target === undefined) issue('absent and present state can only be used in zone level operations', 'state');
  if ((wanted.target !== undefined || (isForZones && given.length === 0)) && !wanted.permanent) issue(`zone operations must be permanent`, 'permanent');
});
type Wanted = (typeof schema)['_zod']['output'];

interface Subject {
  /** As the options of firewall-cmd(1) call it: `service` of `--add-service`. */
  option: string;
  /** What stands behind the `=`; undefined for what is on or off. */
  value?: string;
  /** What Ansible calls it in its message about the change; undefined where that tells of the zone. */
  told?: string;
  /** Whether it shall be on. */
  isOn: boolean;
}

/** What the task is about; undefined where it is about nothing (`state: enabled` and no more). */
function subjectOf(wanted: Wanted): Subject | undefined {
  const isOn = wanted.state === 'enabled' || wanted.state === 'present';
  const named = (option: string, value: string, told: string | undefined = `${option} ${value}`): Subject => ({ option, value, isOn, ...(told === undefined ? {} : { told }) });
  // "masquerade: false" with "state: enabled" turns it off, as ansible.posix 2 has it.
  const flag = (option: string, value: boolean): Subject => ({ option, isOn: isOn === value });
  if (wanted.icmp_block !== undefined) return named('icmp-block', wanted.icmp_block);
  if (wanted.icmp_block_inversion !== undefined) return { ...flag('icmp-block-inversion', wanted.icmp_block_inversion), told: `icmp-block-inversion ${wanted.icmp_block_inversion ? 'True' : 'False'}` };
  if (wanted.service !== undefined) return named('service', wanted.service);
  if (wanted.protocol !== undefined) return named('protocol', wanted.protocol);
  if (wanted.port !== undefined) return named('port', wanted.port.trim());
  const to = wanted.port_forward?.[0];
  if (to) {
    const toaddr = to.toaddr ?? '';
    return named('forward-port', `port=${to.port}:proto=${to.proto}:toport=${to.toport}${toaddr === '' ? '' : `:toaddr=${toaddr}`}`, `port_forward port=${to.port}:proto=${to.proto}:toport=${to.toport}:toaddr=${toaddr}`);
  }
  if (wanted.rich_rule !== undefined) return named('rich-rule', wanted.rich_rule, `rich_rule ${wanted.rich_rule}`);
  if (wanted.interface !== undefined) return { option: 'interface', value: wanted.interface, isOn };
  if (wanted.source !== undefined) return { option: 'source', value: wanted.source, isOn };
  if (wanted.forward !== undefined) return flag('forward', wanted.forward);
  if (wanted.masquerade !== undefined) return flag('masquerade', wanted.masquerade);
  if (wanted.target !== undefined) return { option: 'target', value: wanted.target, isOn };
  return wanted.state === 'present' || wanted.state === 'absent' ? { option: 'zone', isOn } : undefined;
}

const option = (verb: string, subject: Subject): string => `--${verb}-${subject.option}${subject.value === undefined ? '' : `=${subject.value}`}`;

/**
 * The option that asks. One list of all zones answers for most, so that the tasks of a play share the question: each call
 * of firewall-cmd starts a Python. How a rule is spelled only firewalld knows, and of interfaces NetworkManager may have a say.
 */
function question(subject: Subject): string {
  if (subject.option === 'interface') return `--get-zone-of-interface=${subject.value}`;
  return subject.option === 'rich-rule' ? option('query', subject) : '--list-all-zones';
}

function change(subject: Subject, zone: string): string {
  if (subject.option === 'target') return `--set-target=${subject.isOn ? subject.value : 'default'}`;
  if (subject.option === 'zone') return `--${subject.isOn ? 'new' : 'delete'}-zone=${zone}`;
  return option(subject.isOn ? (subject.option === 'interface' ? 'change' : 'add') : 'remove', subject);
}

interface Observed {
  isRunning: boolean;
  zone: string;
  /** Whether it is on, and for an interface in which zone, for a target which one; undefined where it is not asked for. */
  permanent: Found | undefined;
  immediate: Found | undefined;
}
interface Found {
  isOn: boolean;
  value: string | null;
}

export const firewalld = defineModule<typeof schema, Observed, Wanted>({
  name: 'firewalld',
  summary: 'Turns services, ports and rules of firewalld on and off, and makes zones.',
  params: schema,
  returns: { msg: 'What was done, in words.' },
  examples: [
    '- firewalld:\n    service: https\n    state: enabled\n    permanent: true\n    immediate: true',
    "- firewalld:\n    rich_rule: rule family=ipv4 source address=192.0.2.0/24 accept\n    zone: internal\n    state: enabled\n    permanent: true",
    '- firewalld:\n    zone: custom\n    state: present\n    permanent: true',
  ],
  inspect(wanted) {
    const subject = subjectOf(wanted);
    const ask = (words: Sh): Sh => (subject === undefined ? sh`` : sh`r=0
o=$("$c" ${words} ${subject.option === 'rich-rule' ? sh`--zone="$z"` : sh``} ${question(subject)} 2>&1) || r=$?
printf '%s\\000' "$r" "$o"`);
    return join([
      sh`export LC_ALL=C
command -v firewall-cmd >/dev/null || { echo 'the host has no firewall-cmd; install firewalld' >&2; exit 1; }
c=firewall-cmd p=--permanent
z=$(firewall-cmd --get-default-zone 2>&1) || {
  [ $? = 252 ] || { printf '%s\\n' "$z" >&2; exit 1; }
  c=firewall-offline-cmd p=
  z=$(firewall-offline-cmd --get-default-zone) || exit
}`,
      sh`printf '%s\\000' "$c" "$z"`,
      wanted.zone !== undefined && subject?.option === 'rich-rule' ? sh`z=${wanted.zone}` : sh``,
      wanted.permanent ? ask(sh`$p`) : sh``,
      wanted.immediate || !wanted.permanent ? sh`if [ $c = firewall-cmd ]; then\n${ask(sh``)}\nfi` : sh``,
    ]);
  },
  parse({ rc, stdout, stderr }, wanted): Observed {
    const [program, standard, ...answers] = stdout.split('\0');
    if (rc !== 0 || answers.pop() !== '') throw new ModuleError(`cannot look at firewalld: ${stderr.trim().split('\n').at(-1)}`, { rc, stdout, stderr });
    const zone = wanted.zone ?? standard!;
    const isRunning = program === 'firewall-cmd';
    const subject = subjectOf(wanted);
    const isImmediate = (wanted.immediate || !wanted.permanent) && !(wanted.offline && !isRunning);
    if (isImmediate && !isRunning) throw new ModuleError('firewall is not currently running, unable to perform immediate actions without a running firewall daemon');
    if (isImmediate && (subject?.option === 'zone' || subject?.option === 'target')) {
      throw new ModuleError("Zone operations must be permanent. Make sure you didn't set the 'permanent' flag to 'false' or the 'immediate' flag to 'true'.");
    }
    const next = (): Found | undefined => (subject === undefined ? undefined : found(subject, zone, answers.splice(0, 2)));
    return { isRunning, zone, permanent: wanted.permanent ? next() : undefined, immediate: isImmediate ? next() : undefined };
  },
  compare,
  apply(wanted, { isRunning, zone }, changes) {
    const subject = subjectOf(wanted)!;
    return {
      script: join([
        sh`export LC_ALL=C`,
        ...changes.map(({ field }) => {
          const isPermanent = field === 'permanent';
          const words = [
            isRunning ? 'firewall-cmd' : 'firewall-offline-cmd', ...(isPermanent && isRunning ? ['--permanent'] : []), ...(subject.option === 'zone' ? [] : [`--zone=${zone}`]), change(subject, zone),
            ...(!isPermanent && subject.isOn && wanted.timeout > 0 && hasTimeout(subject) ? [`--timeout=${wanted.timeout}`] : []),
          ];
          return sh`o=$(${words} 2>&1) || { printf 'ERROR: Exception caught: %s\\n' "\${o#Error: }" >&2; exit 1; }`;
        }),
      ]),
    };
  },
  // firewalld reads what is put back; what worked only until its next start is gone then.
  touches: (_wanted, { isRunning, permanent, immediate }) => ({
    ...(permanent ? { trees: [sh`/etc/firewalld/zones`] } : {}),
    ...(immediate && isRunning ? { services: [{ name: 'firewalld', how: 'reload' as const }] } : {}),
  }),
  undo(wanted, { zone, permanent, immediate }, changes) {
    const subject = subjectOf(wanted)!;
    if (subject.option === 'zone' && !subject.isOn) throw new ModuleError('what was in the zone is gone with it (firewalld keeps a copy in /etc/firewalld/zones)');
    return changes.map(({ field }): Back => {
      const isPermanent = field === 'permanent';
      const { value } = (isPermanent ? permanent : immediate)!;
      const about = Object.fromEntries(SUBJECTS.flatMap((name) => (wanted[name] === undefined ? [] : [[name, wanted[name]]])));
      const args = { ...about, zone, permanent: isPermanent };
      if (subject.option === 'target') return { module: 'firewalld', args: { ...args, target: value, state: 'enabled' } };
      if (subject.option === 'zone') return { module: 'firewalld', args: { ...args, state: 'absent' } };
      if (subject.option === 'interface' && subject.isOn && value !== null) return { module: 'firewalld', args: { ...args, zone: value, state: 'enabled' } };
      return { module: 'firewalld', args: { ...args, state: wanted.state === 'enabled' ? 'disabled' : 'enabled' } };
    });
  },
  result(wanted, observed, output) {
    const isChanged = compare(wanted, observed).length > 0;
    if (isChanged && !output) return {};
    const { permanent, immediate, zone, isRunning } = observed;
    const subject = subjectOf(wanted);
    const kind = permanent && immediate ? 'Permanent and Non-Permanent(immediate) operation' : permanent ? 'Permanent operation' : immediate ? 'Non-permanent operation' : undefined;
    const told = subject && isChanged ? [...ofZone(subject, zone), ...(subject.told === undefined ? [] : [`Changed ${subject.told} to ${wanted.state}`])] : [];
    if (subject?.option === 'zone' && isChanged) told.push(`Changed zone ${wanted.zone ?? 'None'} to ${wanted.state}`);
    return { msg: [...(kind === undefined ? [] : [kind]), ...told, ...(isRunning ? [] : ['(offline operation: only on-disk configs were altered)'])].join(', ') };
  },
});
export default firewalld;

const hasTimeout = ({ option }: Subject): boolean => ['icmp-block', 'service', 'protocol', 'port', 'forward-port', 'rich-rule'].includes(option);

/** @throws ModuleError where the answer is an error: 1 is "no", 2 "no zone" */
function found(subject: Subject, zone: string, [code, said]: string[]): Found {
  const rc = Number(code);
  const text = said!.trim();
  const isList = question(subject) === '--list-all-zones';
  if (rc > 2 || (isList && rc > 0)) throw new ModuleError(`ERROR: Exception caught: ${text.split('\n').at(-1)!.replace(/^Error: /, '')}`);
  if (!isList) return { isOn: rc === 0 && (subject.option !== 'interface' || text === zone), value: subject.option === 'interface' && rc === 0 ? text : null };
  const settings = zones(said!).get(zone);
  if (subject.option === 'zone') return { isOn: settings !== undefined, value: null };
  if (settings === undefined) throw new ModuleError(`ERROR: Exception caught: INVALID_ZONE: ${zone}`);
  const of = (name: string): string[] => settings.get(name) ?? [];
  switch (subject.option) {
    case 'target': {
      const [value = 'default'] = of('target');
      return { isOn: value === subject.value, value };
    }
    case 'forward': case 'masquerade': case 'icmp-block-inversion':
      return { isOn: of(subject.option)[0] === 'yes', value: null };
    case 'port':
      return { isOn: of('ports').some((port) => covers(port, subject.value!)), value: null };
    case 'forward-port':
      return { isOn: of('forward-ports').some((each) => each.replace(/:toaddr=$/, '') === subject.value), value: null };
    default:
      return { isOn: of(`${subject.option}s`).includes(subject.value!), value: null };
  }
}

/** Reads `firewall-cmd --list-all-zones`: what stands behind each name, of each zone. */
function zones(text: string): Map<string, Map<string, string[]>> {
  const all = new Map<string, Map<string, string[]>>();
  let settings = new Map<string, string[]>();
  let last: string[] = [];
  for (const line of text.split('\n')) {
    const [, name, value] = /^ {2}([a-z][a-z -]*):(.*)$/.exec(line) ?? [];
    if (name !== undefined) settings.set(name, (last = value!.split(/\s+/).filter((word) => word !== '')));
    else if (line.startsWith('\t')) last.push(line.trim());
    else if (line.trim() !== '') all.set(line.split(' ')[0]!, (settings = new Map()));
  }
  return all;
}

/** Whether ports that are open (`8000-8100/tcp`) hold those that are asked for: firewalld counts them as open then. */
function covers(open: string, asked: string): boolean {
  const range = (text: string): [number, number, string] => {
    const [ports, protocol] = text.split('/');
    const [from, to = from] = ports!.split('-');
    return [Number(from), Number(to), protocol!];
  };
  const [[from, to, protocol], [first, last, wanted]] = [range(open), range(asked)];
  return open === asked || (protocol === wanted && from <= first && last <= to);
}

function compare(wanted: Wanted, { zone, permanent, immediate }: Observed): Change[] {
  const subject = subjectOf(wanted);
  if (subject === undefined) return [];
  const differs = (field: string, state: Found | undefined): Change[] => {
    if (!state || state.isOn === subject.isOn) return [];
    if (subject.option === 'target') return [{ field, from: `target ${state.value}`, to: `target ${subject.isOn ? subject.value : 'default'}` }];
    const name = subject.value === undefined ? (subject.option === 'zone' ? `zone ${zone}` : subject.option) : `${subject.option} ${subject.value}`;
    const from = subject.isOn ? (subject.option === 'interface' && state.value !== null ? `${name} in ${state.value}` : null) : `${name}${subject.option === 'zone' ? '' : ` in ${zone}`}`;
    return [{ field, from, to: subject.isOn ? `${name}${subject.option === 'zone' ? '' : ` in ${zone}`}` : null }];
  };
  return [...differs('permanent', permanent), ...differs('immediate', immediate)];
}

/** What Ansible tells of a change of the zone itself. */
function ofZone({ option, value, isOn }: Subject, zone: string): string[] {
  switch (option) {
    case 'forward': case 'masquerade': return [isOn ? `Added ${option} to zone ${zone}` : `Removed ${option} from zone ${zone}`];
    case 'interface': return [isOn ? `Changed ${value} to zone ${zone}` : `Removed ${value} from zone ${zone}`];
    case 'source': return [isOn ? `Added ${value} to zone ${zone}` : `Removed ${value} from zone ${zone}`];
    case 'target': return [isOn ? `Set zone ${zone} target to ${value}` : `Reset zone ${zone} target to default`];
    case 'zone': return [isOn ? `Added zone ${zone}` : `Removed zone ${zone}`];
    default: return [];
  }
}
