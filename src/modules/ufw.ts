import { join, sh } from '../shell/sh.js';
import { defineModule, ModuleError, type Back, type Change } from './module.js';
import { bool, choice, int, params, str } from './params.js';

const DIRECTIONS = { in: 'incoming', incoming: 'incoming', out: 'outgoing', outgoing: 'outgoing', routed: 'routed' } as const;

/** To Ansible's module an empty text is none: roles write `to_port: "{{ item.to_port | default('') }}"`. */
function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

const schema = params({
  state: choice(['enabled', 'disabled', 'reloaded', 'reset'], 'Whether the firewall is on, now and at boot; reloaded reads its files again, reset takes all rules away and turns it off.').optional(),
  default: choice(['allow', 'deny', 'reject'], 'What happens to packets no rule is about.').meta({ aliases: ['policy'] }).optional(),
  direction: choice(['in', 'incoming', 'out', 'outgoing', 'routed'], 'Of a rule in or out; of a default incoming (unless given), outgoing or routed.').optional(),
  logging: choice(['on', 'off', 'low', 'medium', 'high', 'full'], 'How much is logged.').optional(),
  rule: choice(['allow', 'deny', 'limit', 'reject'], 'What the rule does.').optional(),
  delete: bool('Whether the rule shall not be there.').default(false),
  insert: int('The number a new rule gets, from 1.').optional(),
  insert_relative_to: choice(['zero', 'first-ipv4', 'last-ipv4', 'first-ipv6', 'last-ipv6'], 'What insert counts from; zero only.').default('zero'),
  route: bool('Whether the rule is about packets that are passed on.').default(false),
  interface: str('The interface; needs direction.').meta({ aliases: ['if'] }).optional(),
  interface_in: str('The interface packets come by.').meta({ aliases: ['if_in'] }).optional(),
  interface_out: str('The interface packets leave by.').meta({ aliases: ['if_out'] }).optional(),
  log: bool('Whether connections the rule is about are logged.').default(false),
  from_ip: str('Address or network packets come from.').meta({ aliases: ['from', 'src'] }).default('any'),
  from_port: str('Port they come from.').optional(),
  to_ip: str('Address or network they go to.').meta({ aliases: ['dest', 'to'] }).default('any'),
  to_port: str('Port they go to: 22, ssh, 6000:6007.').meta({ aliases: ['port'] }).optional(),
  proto: choice(['any', 'tcp', 'udp', 'ipv6', 'esp', 'ah', 'gre', 'igmp', 'vrrp'], 'The protocol.').meta({ aliases: ['protocol'] }).optional(),
  name: str('A profile of /etc/ufw/applications.d.').meta({ aliases: ['app'] }).optional(),
  comment: str('A comment of the rule.').optional(),
}).check((context) => {
  const wanted = context.value;
  const { direction } = wanted;
  const issue = (message: string, path: string): unknown => context.issues.push({ code: 'custom', message, input: wanted, path: [path] });
  if (wanted.state === undefined && wanted.default === undefined && wanted.rule === undefined && wanted.logging === undefined) issue('give state, default, rule or logging', 'rule');
  if (isGiven(wanted.interface) && direction === undefined) issue('interface needs direction', 'direction');
  if (direction !== undefined && (isGiven(wanted.interface_in) || isGiven(wanted.interface_out))) issue('give direction, or interface_in and interface_out', 'direction');
  if (wanted.rule !== undefined && direction !== undefined && direction !== 'in' && direction !== 'out') issue('of a rule the direction is in or out', 'direction');
  if (wanted.default !== undefined && (direction === 'in' || direction === 'out')) issue('of a default the direction is incoming, outgoing or routed', 'direction');
  if (!wanted.route && isGiven(wanted.interface_in) && isGiven(wanted.interface_out)) issue('interface_in and interface_out together need route: true', 'route');
  if (wanted.insert_relative_to !== 'zero') issue('insert_relative_to is not supported but for zero; give the number of the rule', 'insert_relative_to');
  if (wanted.name !== undefined && wanted.proto !== undefined && wanted.logging !== undefined) issue('name, proto and logging exclude each other', 'name');
});
type Wanted = (typeof schema)['_zod']['output'];

/** What a rule is made of: ufw(8), "RULE SYNTAX". */
function ruleOf(wanted: Wanted): string[] {
  const word = (before: string[], value: string | undefined): string[] => (isGiven(value) ? [...before, value] : []);
  return [
    ...(wanted.route ? ['route'] : []),
    ...(wanted.delete ? ['delete'] : word(['insert'], wanted.insert?.toString())),
    wanted.rule!,
    ...word([], wanted.direction), ...word(['on'], wanted.interface), ...word(['in', 'on'], wanted.interface_in), ...word(['out', 'on'], wanted.interface_out),
    ...(wanted.log ? ['log'] : []),
    ...word(['from'], wanted.from_ip), ...word(['port'], wanted.from_port), ...word(['to'], wanted.to_ip), ...word(['port'], wanted.to_port),
    ...word(['proto'], wanted.proto), ...word(['app'], wanted.name), ...word(['comment'], wanted.comment),
  ];
}

const STATES = { enabled: 'enable', disabled: 'disable', reloaded: 'reload', reset: 'reset' } as const;
const POLICIES: { [word: string]: string } = { ACCEPT: 'allow', DROP: 'deny', REJECT: 'reject' };

interface Observed {
  /** What `ufw status verbose` says. */
  status: string;
  isActive: boolean;
  policies: { [direction: string]: string | undefined };
  logging: string | undefined;
  /** The rules as ufw keeps them, of IPv4 and IPv6: one line each. */
  rules: { v4: string[]; v6: string[] };
  /** What the rules would be; undefined where nothing would change. */
  after: { v4: string[]; v6: string[] } | undefined;
}

export const ufw = defineModule<typeof schema, Observed, Wanted>({
  name: 'ufw',
  summary: 'Turns the firewall ufw on and off, and adds and deletes its rules.',
  params: schema,
  returns: { commands: 'The commands that were run, a list.', msg: 'What ufw says of its state.' },
  examples: ['- ufw:\n    rule: allow\n    port: ssh\n    proto: tcp', '- ufw:\n    state: enabled\n    policy: deny'],
  verify: ({ state }) => state !== 'reloaded' && state !== 'reset',
  inspect: (wanted) => join([
    sh`export LC_ALL=C
command -v ufw >/dev/null || { echo 'the host has no ufw; install the package' >&2; exit 1; }
s=$(ufw status verbose) || exit
printf '%s\\000' "$s"
printf '%s\\000' "$(cat /etc/default/ufw)" "$(cat /etc/ufw/ufw.conf)" "$(cat /etc/ufw/user.rules)" "$(cat /etc/ufw/user6.rules 2>/dev/null)"`,
    wanted.rule === undefined ? sh`` : sh`d=$(ufw --dry-run ${ruleOf(wanted)}) || exit\nprintf '%s' "$d"`,
    sh`printf '\\000'`,
  ]),
  parse({ rc, stdout, stderr }, wanted): Observed {
    const [status, defaults, conf, v4, v6, dry, rest] = stdout.split('\0');
    if (rc !== 0 || rest !== '' || !/^Status: /m.test(status!)) throw new ModuleError(`cannot look at ufw: ${(stderr.trim() || stdout.trim()).split('\n').at(-1)}`, { rc, stdout, stderr });
    const setting = (text: string, name: string): string | undefined => new RegExp(`^\\s*${name}=["']?(\\w+)`, 'm').exec(text)?.[1];
    const policy = (chain: string): string | undefined => POLICIES[setting(defaults!, `DEFAULT_${chain}_POLICY`) ?? ''];
    const rules = { v4: tuples(v4!), v6: tuples(v6!) };
    return {
      status: status!,
      isActive: /^Status: active$/m.test(status!),
      policies: { incoming: policy('INPUT'), outgoing: policy('OUTPUT'), routed: policy('FORWARD') },
      logging: setting(conf!, 'LOGLEVEL'),
      rules,
      after: wanted.rule === undefined ? undefined : foreseen(dry!, rules),
    };
  },
  compare,
  apply: (wanted, _observed, changes) => ({
    script: join([
      sh`export LC_ALL=C`,
      ...commandsOf(wanted, changes).map((words) => sh`o=$(ufw ${words} 2>&1) || { printf '%s\\n' "$o" >&2; exit 1; }`),
      sh`ufw status verbose`,
    ]),
  }),
  undo(wanted, { isActive, policies, logging, rules, after }, changes) {
    if (wanted.state === 'reset') throw new ModuleError('the rules before the reset are gone (ufw keeps copies in /etc/ufw)');
    const has = (field: string): boolean => changes.some((change) => change.field.split(' ')[0] === field);
    const back: (Back | { cannot: string })[] = [];
    const task = (args: { [name: string]: unknown }): void => void back.push({ module: 'ufw', args });
    if (has('state') && wanted.state !== 'reloaded') task({ state: isActive ? 'enabled' : 'disabled' });
    const direction = DIRECTIONS[wanted.direction ?? 'incoming'];
    if (has('default') && policies[direction] !== undefined) task({ default: policies[direction], direction });
    if (has('logging') && logging !== undefined) task({ logging });
    if (has('rule')) {
      const isAdded = [...rules.v4, ...rules.v6].every((line) => after!.v4.includes(line) || after!.v6.includes(line));
      if (isAdded) {
        const given = ['rule', 'direction', 'route', 'interface', 'interface_in', 'interface_out', 'log', 'from_ip', 'from_port', 'to_ip', 'to_port', 'proto', 'name'] as const;
        task({ ...Object.fromEntries(given.flatMap((name) => (wanted[name] === undefined ? [] : [[name, wanted[name]]]))), delete: true });
      } else back.push({ cannot: 'a rule was deleted or replaced, and its place among the others is not kept' });
    }
    return back;
  },
  result(wanted, observed, output) {
    const changes = compare(wanted, observed);
    return { commands: output ? commandsOf(wanted, changes).map((words) => ['ufw', ...words].join(' ')) : [], msg: (output?.stdout ?? observed.status).trimEnd() };
  },
});
export default ufw;

function compare(wanted: Wanted, { isActive, policies, logging, rules, after }: Observed): Change[] {
  const changes: Change[] = [];
  const { state } = wanted;
  const isReset = state === 'reset';
  if (isReset || state === 'reloaded' || (state !== undefined && isActive !== (state === 'enabled'))) changes.push({ field: 'state', from: isActive ? 'enabled' : 'disabled', to: state });
  const direction = DIRECTIONS[wanted.direction ?? 'incoming'];
  if (wanted.default !== undefined && (isReset || policies[direction] !== wanted.default)) changes.push({ field: `default ${direction}`, from: policies[direction] ?? null, to: wanted.default });
  const isLogged = wanted.logging === 'on' ? logging !== undefined && logging !== 'off' : logging === wanted.logging;
  if (wanted.logging !== undefined && (isReset || !isLogged)) changes.push({ field: 'logging', from: logging ?? null, to: wanted.logging });
  if (after !== undefined || (isReset && wanted.rule !== undefined && !wanted.delete)) {
    const lines = (all: Observed['rules']): string[] => [...all.v4, ...all.v6.map((line) => `${line} (v6)`)];
    const [old, fresh] = [lines(rules), lines(after ?? rules)];
    changes.push({ field: 'rule', from: old.filter((line) => !fresh.includes(line)).join(', ') || null, to: fresh.filter((line) => !old.includes(line)).join(', ') || (wanted.delete ? null : ruleOf(wanted).join(' ')) });
  }
  return changes;
}

/** Rules come before the firewall is turned on, that nobody is locked out between the two; a reset comes before all. */
function commandsOf(wanted: Wanted, changes: readonly Change[]): string[][] {
  const has = (field: string): boolean => changes.some((change) => change.field.split(' ')[0] === field);
  const state = has('state') ? [['-f', STATES[wanted.state!]]] : [];
  const others = [
    ...(has('default') ? [['default', wanted.default!, DIRECTIONS[wanted.direction ?? 'incoming']]] : []),
    ...(has('rule') ? [ruleOf(wanted)] : []),
    ...(has('logging') ? [['logging', wanted.logging!]] : []),
  ];
  return wanted.state === 'reset' ? [...state, ...others] : [...others, ...state];
}

const tuples = (text: string): string[] => [...text.matchAll(/^### tuple ### (.*)$/gm)].map(([, rule]) => rule!.trim());

/** Reads a dry run: the whole of each file of rules that would be written (its chains are called ufw6-… for IPv6), or why none would be. */
function foreseen(dry: string, rules: Observed['rules']): Observed['rules'] | undefined {
  const after = { ...rules };
  for (const file of dry.split(/^(?=\*filter$)/m).filter((part) => part.startsWith('*filter'))) after[/^:ufw6-/m.test(file) ? 'v6' : 'v4'] = tuples(file);
  const same = (a: string[], b: string[]): boolean => a.join('\n') === b.join('\n');
  return same(after.v4, rules.v4) && same(after.v6, rules.v6) ? undefined : after;
}
