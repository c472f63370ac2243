/** systemd's units: what one `systemctl show` says of them, how they differ from what is wanted, and the commands between. */
import { Question, type Kind } from '../shell/question.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { ModuleError, type Back, type Change, type Output, type Returns, type Touched } from './module.js';
import { bool, choice } from './params.js';

/** What only systemd has; `service` takes it too and hands it on where systemd is there. */
export const unitParams = {
  masked: bool('Whether the unit is masked: impossible to start.').optional(),
  force: bool('Whether existing symbolic links are replaced.').default(false),
  daemon_reload: bool('Has systemd read its unit files again, if any was touched since it last did, before all else.').meta({ aliases: ['daemon-reload'] }).default(false),
  daemon_reexec: bool('Has systemd execute itself again, before all else.').meta({ aliases: ['daemon-reexec'] }).default(false),
  scope: choice(['system', 'user', 'global'], "Whose service manager: the system's, the user's, or that of all users.").default('system'),
  no_block: bool('Whether not to wait until the unit has started or stopped.').default(false),
};

export interface UnitWanted {
  name?: string | undefined;
  state?: 'started' | 'stopped' | 'restarted' | 'reloaded' | undefined;
  enabled?: boolean | undefined;
  masked?: boolean | undefined;
  force: boolean;
  daemon_reload: boolean;
  daemon_reexec: boolean;
  scope: 'system' | 'user' | 'global';
  no_block: boolean;
  /** Whether all of systemd's properties are asked for, which playbooks may look into, and not only what is looked at here. */
  whole?: boolean;
}

export interface Unit {
  /** What `systemctl show` printed, of the properties below. Empty where no unit was named. */
  properties: ReadonlyMap<string, string>;
  /** An init script stands behind the unit: its links in /etc/rc?.d say whether it is enabled. */
  sysv: { enabled: boolean } | undefined;
  /** The units are enabled that it enables in its place. */
  others: boolean;
  /** Files of units were touched since systemd last read them. */
  stale: boolean;
}

const PROPERTIES = [
  'Id', 'Names', 'Description', 'LoadState', 'LoadError', 'ActiveState', 'SubState', 'UnitFileState', 'UnitFilePreset', 'FragmentPath', 'SourcePath',
  'DropInPaths', 'NeedDaemonReload', 'Type', 'Result', 'MainPID', 'ExecMainStatus', 'ExecMainStartTimestamp', 'ActiveEnterTimestamp', 'InactiveEnterTimestamp',
  'NRestarts', 'Restart', 'User', 'Group', 'MemoryCurrent', 'TasksCurrent', 'CanStart', 'CanStop', 'CanReload', 'RefuseManualStart',
  'NextElapseUSecRealtime', 'TriggeredBy', 'Triggers', 'Requires', 'Wants', 'WantedBy', 'After', 'Before',
];

const KINDS = /\.(service|socket|timer|target|mount|automount|path|slice|scope|swap|device)$/;

/** `nginx` -> `nginx.service`. */
export function unitName(name: string): string {
  return KINDS.test(name) ? name : `${name}.service`;
}

function systemctl(wanted: UnitWanted): Sh {
  return sh`systemctl ${raw(`--${wanted.scope}`)} --no-pager`;
}

/** Environment and folders of the service manager that is spoken to. */
function manager(wanted: UnitWanted): Sh {
  return wanted.scope === 'user' ? sh`export XDG_RUNTIME_DIR="\${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"` : sh``;
}

/** Units of the system's manager, and nothing to do beside: one `systemctl show` tells all of them. */
const units: Kind<string> = { name: 'units', key: (unit) => unit, text: (names) => showUnits(names), apart: apartUnits };
const wholeUnits: Kind<string> = { ...units, name: 'whole units', text: (names) => showUnits(names, true) };

const asked = (whole: boolean | undefined): string[] => (whole ? [] : ['-p', PROPERTIES.join(',')]);

/** What systemd says of units, in their order with an empty line between, then what their init scripts do. */
export function showUnits(names: readonly string[], whole = false): Sh {
  const shown = names.map(unitName);
  const scripts = shown.map((unit) => unit.replace(/\.service$/, '')).filter((script) => !script.includes('@') && !KINDS.test(script));
  return join([
    // "indirect" says that a unit enables others (Also=); only the list of links says whether it did: systemctl(1), is-enabled.
    sh`s=$(systemctl --system --no-pager show ${asked(whole)} -- ${shown}) || exit
printf '%s\\n' "$s"
case $s in *UnitFileState=indirect*)
  for u in ${shown}; do
    case $(systemctl --system --no-pager is-enabled --full -- "$u" 2>/dev/null) in indirect*/*) echo "others enabled $u" ;; esac
  done ;;
esac`,
    ...[...new Set(scripts)].map(
      (script) => sh`if [ -e ${`/etc/init.d/${script}`} ]; then
  echo ${`sysv script ${script}`}
  for f in /etc/rc[2345].d/S??${script}; do if [ -e "$f" ]; then echo ${`sysv enabled ${script}`}; break; fi; done
fi`,
    ),
    sh`echo looked`,
  ]);
}

export function apartUnits(stdout: string, names: readonly string[]): string[] | undefined {
  const end = /^(?:others enabled .*|sysv script .*|looked)$/m.exec(stdout);
  if (end === null) return undefined;
  const shown = stdout.slice(0, end.index).trimEnd().split('\n\n');
  const rest = stdout.slice(end.index);
  return shown.length === names.length ? shown.map((one) => `${one}\n${rest}`) : undefined;
}

export function inspectUnit(wanted: UnitWanted): Sh {
  if (wanted.name !== undefined && wanted.scope === 'system' && !wanted.daemon_reload) return new Question(wanted.whole ? wholeUnits : units, wanted.name);
  const parts = [manager(wanted)];
  if (wanted.name !== undefined) {
    const unit = unitName(wanted.name);
    // For all users' managers together nothing runs: only the files can be asked about.
    if (wanted.scope === 'global') parts.push(sh`printf UnitFileState=; ${systemctl(wanted)} is-enabled -- ${unit} || :`);
    else if (wanted.scope === 'user') parts.push(sh`${systemctl(wanted)} show ${asked(wanted.whole)} -- ${unit} || exit`);
    else parts.push(showUnits([wanted.name], wanted.whole));
  }
  if (wanted.daemon_reload) {
    const folders = wanted.scope === 'system' ? SYSTEM_FOLDERS : USER_FOLDERS;
    // The change time tells of files moved or copied with an old modification time too.
    // Only systemd 250 and later tell when they last read their units; before, there is only what each unit says of itself.
    parts.push(sh`t=$(${systemctl(wanted)} --timestamp=us+utc show -p UnitsLoadTimestamp 2>/dev/null)
t=\${t#*=}
if [ -n "$t" ]; then
  set --
  for f in ${raw(folders)}; do [ ! -e "$f" ] || set -- "$@" "$f"; done
  f=$(find -H "$@" -newerct "$t" 2>/dev/null) || f=unknown
  [ -z "$f" ] || echo 'units stale'
else
  case $(${systemctl(wanted)} show -p NeedDaemonReload '*') in *=yes*) echo 'units stale' ;; esac
fi`);
  }
  parts.push(sh`echo looked`);
  return join(parts);
}

const SYSTEM_FOLDERS =
  '/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system /etc/init.d /etc/fstab /etc/systemd/system.conf';
const USER_FOLDERS = '"$HOME/.config/systemd/user" /etc/systemd/user /run/systemd/user /usr/lib/systemd/user';

/** @throws ModuleError when systemd could not be asked or knows no such unit */
export function parseUnit(output: Output, wanted: UnitWanted): Unit {
  const lines = output.stdout.split('\n');
  if (output.rc !== 0 || !lines.includes('looked')) {
    throw new ModuleError(`cannot ask systemd: ${output.stderr.trim() || `exit status ${output.rc}`}`, { rc: output.rc, stderr: output.stderr });
  }
  const properties = new Map(lines.filter((line) => /^\w+=/.test(line)).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  const script = unitName(wanted.name ?? '').replace(/\.service$/, '');
  const unit: Unit = {
    properties,
    sysv: lines.includes(`sysv script ${script}`) ? { enabled: lines.includes(`sysv enabled ${script}`) } : undefined,
    others: lines.includes(`others enabled ${unitName(wanted.name ?? '')}`),
    stale: lines.includes('units stale') || (wanted.daemon_reload && properties.get('NeedDaemonReload') === 'yes'),
  };
  if (wanted.name === undefined) return unit;
  const load = properties.get('LoadState');
  const absent = load === 'not-found' || properties.get('UnitFileState') === 'not-found';
  // A unit that is only about to be read, or about whose status or mask alone is spoken, need not be there.
  if (absent && !unit.stale && (wanted.state !== undefined || wanted.enabled !== undefined)) {
    throw new ModuleError(`Could not find the requested service ${wanted.name}: the host has no unit ${unitName(wanted.name)}; is its package installed, its name right?`);
  }
  if (load === 'bad-setting' || load === 'error') {
    throw new ModuleError(`systemd cannot read ${unitName(wanted.name)}: ${properties.get('LoadError') || load}; see "systemd-analyze verify ${unitName(wanted.name)}"`);
  }
  return unit;
}

/** Started, and not just between two attempts at it. */
function running(unit: Unit): boolean {
  const state = unit.properties.get('ActiveState') ?? '';
  return ['active', 'reloading', 'refreshing'].includes(state) || (state === 'activating' && unit.properties.get('SubState') !== 'auto-restart');
}

function enabledState(unit: Unit): boolean {
  const state = unit.properties.get('UnitFileState') ?? '';
  if (unit.sysv && ['', 'generated', 'bad', 'disabled'].includes(state)) return unit.sysv.enabled;
  if (state === 'indirect') return unit.others;
  return ['enabled', 'static', 'generated', 'alias'].includes(state);
}

/** `inactive (dead)` */
function describe(unit: Unit): string {
  const state = unit.properties.get('ActiveState') ?? 'unknown';
  const sub = unit.properties.get('SubState');
  return sub && sub !== state ? `${state} (${sub})` : state;
}

export function compareUnit(wanted: UnitWanted, unit: Unit): Change[] {
  const changes: Change[] = [];
  const file = unit.properties.get('UnitFileState') || 'absent';
  const masked = file.startsWith('masked');
  if (wanted.daemon_reexec) changes.push({ field: 'daemon_reexec', from: null, to: 'done' });
  if (wanted.daemon_reload && unit.stale) changes.push({ field: 'daemon_reload', from: 'changed unit files not yet read', to: 'read' });
  if (wanted.name === undefined) return changes;
  if (wanted.masked !== undefined && wanted.masked !== masked) changes.push({ field: 'masked', from: masked, to: wanted.masked });
  if (wanted.enabled !== undefined) {
    if (wanted.enabled && masked && wanted.masked !== false) throw new ModuleError(`${unitName(wanted.name)} is masked and cannot be enabled; add "masked: false"`);
    // A static unit has nothing to be disabled.
    if (wanted.enabled !== enabledState(unit) && !(file === 'static' && !wanted.enabled)) changes.push({ field: 'enabled', from: enabledState(unit), to: wanted.enabled });
  }
  const active = unit.properties.get('ActiveState') ?? 'unknown';
  const change = (to: string) => changes.push({ field: 'state', from: describe(unit), to });
  if (wanted.state !== undefined && wanted.state !== 'stopped' && masked && wanted.masked !== false) {
    throw new ModuleError(`${unitName(wanted.name)} is masked and cannot be ${wanted.state}; add "masked: false"`);
  }
  if (wanted.state === 'started' && !running(unit)) change('started');
  else if (wanted.state === 'stopped' && !['inactive', 'failed'].includes(active)) change('stopped');
  else if (wanted.state === 'restarted') change('restarted');
  else if (wanted.state === 'reloaded') change(running(unit) ? 'reloaded' : 'started');
  return changes;
}

const VERBS: { [state: string]: string } = { started: 'start', stopped: 'stop', restarted: 'restart', reloaded: 'reload' };

export function applyUnit(wanted: UnitWanted, changes: readonly Change[]): Sh {
  const ctl = systemctl(wanted);
  const to = (field: string) => changes.find((change) => change.field === field)?.to;
  const parts = [manager(wanted)];
  const force = wanted.force ? sh`--force` : sh``;
  const unit = wanted.name === undefined ? '' : unitName(wanted.name);
  if (to('daemon_reexec')) parts.push(sh`${ctl} daemon-reexec || exit`);
  if (to('daemon_reload')) parts.push(sh`${ctl} daemon-reload || exit`);
  if (to('masked') === false) parts.push(sh`${ctl} unmask -- ${unit} || exit`);
  const enabled = to('enabled');
  if (enabled !== undefined) parts.push(sh`${ctl} ${raw(enabled ? 'enable' : 'disable')} ${force} -- ${unit} || exit`);
  if (to('masked') === true) parts.push(sh`${ctl} mask ${force} -- ${unit} || exit`);
  const state = to('state') as string | undefined;
  if (state !== undefined) parts.push(wanted.no_block ? sh`${ctl} ${VERBS[state]!} --no-block -- ${unit}` : turning(ctl, wanted.scope, VERBS[state]!, unit));
  return join(parts);
}

/**
 * Starts, stops, … a unit and looks whether it stays so: a program that systemd counts as started once it is forked
 * may fail a moment later. What went wrong is told by status and journal; the last line sums it up.
 */
function turning(ctl: Sh, scope: string, verb: string, unit: string): Sh {
  const journal = scope === 'user' ? sh`--user-unit` : sh`-u`;
  const stays =
    verb === 'stop'
      ? sh``
      : sh`if [ $ok = yes ]; then
  case $(${ctl} show -p Type -- ${unit}) in Type=simple|Type=exec|Type=idle) sleep 0.5 2>/dev/null || sleep 1 ;; esac
  case $(${ctl} show -p ActiveState,SubState -- ${unit}) in *ActiveState=failed*|*SubState=auto-restart*) ok=no ;; esac
fi`;
  return join([
    sh`ok=yes
${ctl} ${verb} -- ${unit} || ok=no`,
    stays,
    sh`if [ $ok = no ]; then
  ${ctl} status --full --lines=0 -- ${unit} >&2
  l=$(journalctl --no-pager -q -n 20 -o cat ${journal} ${unit} 2>/dev/null)
  printf '%s\\n' "$l" >&2
  r=$(${ctl} show -p Result,ExecMainStatus -- ${unit} | tr '\\n' ' ')
  w=$(printf %s "$l" | grep -vE '(Main process exited|Failed with result|Failed to start|Scheduled restart|Consumed .* CPU|Control process exited)' | tail -n 1)
  printf '%s of %s failed (%s): %s\\n' ${verb} ${unit} "\${r% }" "$w" >&2
  exit 1
fi`,
  ]);
}

/** What applyUnit() touches. @throws ModuleError for units of users, which cannot be put back from outside */
export function touchesUnit(wanted: UnitWanted, changes: readonly Change[]): Touched {
  if (wanted.name === undefined) return {};
  if (wanted.scope !== 'system') throw new ModuleError(`a confirmed block cannot put back units of scope ${wanted.scope}`);
  return { services: [{ name: unitName(wanted.name), how: howTouched(changes) }] };
}

/**
 * The way back from changes of a unit. What was restarted or reloaded, and what systemd was told to read, is done again
 * at the end.
 * @param ran whether the unit ran before
 * @param more parameters that name the service manager
 */
export function undoTurning(module: string, name: string | undefined, ran: boolean, changes: readonly Change[], more: { [name: string]: unknown } = {}): (Back | { cannot: string })[] {
  const change = (field: string) => changes.find((each) => each.field === field);
  const to = change('state')?.to;
  const was: { [name: string]: unknown } = {};
  for (const field of ['enabled', 'masked']) if (change(field)) was[field] = change(field)!.from;
  if (to !== undefined && ran !== (to !== 'stopped')) was['state'] = ran ? 'started' : 'stopped';
  const back: Back[] = Object.keys(was).length > 0 ? [{ module, args: { ...more, name, ...was } }] : [];
  if (change('daemon_reload')) back.push({ module: 'systemd', args: { ...more, daemon_reload: true }, again: true });
  if (ran && (to === 'restarted' || to === 'reloaded')) back.push({ module, args: { ...more, name, state: to }, again: true });
  return back;
}

export function undoUnit(module: string, wanted: UnitWanted, unit: Unit, changes: readonly Change[]): (Back | { cannot: string })[] {
  return undoTurning(module, wanted.name, running(unit), changes, wanted.scope === 'system' ? {} : { scope: wanted.scope });
}

/** The harshest thing that changes of a service do to it. */
export function howTouched(changes: readonly Change[]): 'none' | 'reload' | 'restart' {
  const state = changes.find(({ field }) => field === 'state')?.to;
  return state === undefined ? 'none' : state === 'reloaded' ? 'reload' : 'restart';
}

export function unitResult(wanted: UnitWanted, unit: Unit): Returns {
  const now = running(unit) ? 'started' : 'stopped';
  const settled = wanted.state === 'stopped' ? 'stopped' : wanted.state === undefined ? now : 'started';
  return {
    name: wanted.name ?? null,
    ...(wanted.enabled === undefined ? {} : { enabled: wanted.enabled }),
    ...(wanted.name === undefined ? {} : { state: settled }),
    status: Object.fromEntries(unit.properties),
  };
}
