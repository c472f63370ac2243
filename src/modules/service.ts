import { Question, type Kind } from '../shell/question.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { defineModule, ModuleError, type Change, type Output } from './module.js';
import { any, bool, choice, int, params, str } from './params.js';
import { splitWords } from './words.js';
import { apartUnits, applyUnit, compareUnit, howTouched, inspectUnit, parseUnit, showUnits, touchesUnit, undoTurning, undoUnit, unitParams, unitResult, type Unit, type UnitWanted } from './units.js';

const schema = params({
  name: str('The service; it may be left out where systemd is only told to read its units again.').optional(),
  state: choice(['started', 'stopped', 'restarted', 'reloaded'], 'restarted and reloaded are done each time.').optional(),
  enabled: bool('Whether the service starts at boot.').optional(),
  sleep: int('Seconds between stop and start of a restart, where an init script does it.').optional(),
  runlevel: str('The runlevel, where OpenRC has several.').default('default'),
  pattern: str('Text in the command lines of processes that tells that the service runs, where an init script cannot.').optional(),
  arguments: str('More arguments for an init script.').meta({ aliases: ['args'] }).optional(),
  use: any('Taken for compatibility: the service manager is found on the host.').optional(),
  ...unitParams,
}).check((context) => {
  const { name, state, enabled, masked, daemon_reload, daemon_reexec } = context.value;
  if (name === undefined && ((state ?? enabled ?? masked) !== undefined || (!daemon_reload && !daemon_reexec))) context.issues.push({ code: 'custom', message: 'give the service, unless systemd is only to read its units again', input: context.value, path: ['name'] });
  if (name !== undefined && /[*?[\s/]/.test(name)) context.issues.push({ code: 'custom', message: `"${name}" is not the name of one service`, input: context.value, path: ['name'] });
});
type Wanted = (typeof schema)['_zod']['output'];
type Named = Wanted & { name: string };

/** A host with systemd, or one whose services are init scripts. */
type Observed = { manager: 'systemd'; unit: Unit } | { manager: 'openrc' | 'sysv'; name: string; running: boolean; enabled: boolean };

function asUnit(wanted: Wanted): UnitWanted {
  const { name, state, enabled, masked, force, daemon_reload, daemon_reexec, scope, no_block } = wanted;
  return { name, state, enabled, masked, force, daemon_reload, daemon_reexec, scope, no_block };
}

/** All services of a host have one manager; where that is systemd, it tells of all of them at once. */
const services: Kind<Named> = {
  name: 'services',
  key: ({ name, runlevel, pattern }) => [name, runlevel, pattern ?? ''].join(' '),
  text: (asked) => sh`if [ -d /run/systemd/system ]; then
echo 'manager systemd'
${showUnits(asked.map(({ name }) => name))}
else
${join(asked.map(askScript))}
fi`,
  apart(stdout, asked) {
    const first = 'manager systemd\n';
    if (stdout.startsWith(first)) return apartUnits(stdout.slice(first.length), asked.map(({ name }) => name))?.map((one) => first + one);
    const each = stdout.split(/(?<=^next\n)/m);
    return each.length === asked.length ? each : undefined;
  },
};

function askScript(wanted: Named): Sh {
  const script = `/etc/init.d/${wanted.name}`;
  return sh`if [ ! -e ${script} ]; then echo 'manager none'
else
  if [ -d /run/openrc ]; then
    echo 'manager openrc'
    [ -e /etc/runlevels/${wanted.runlevel}/${wanted.name} ] && echo enabled
  else
    echo 'manager sysv'
    for f in /etc/rc[2345].d/S??${wanted.name}; do if [ -e "$f" ]; then echo enabled; break; fi; done
  fi
  ${wanted.pattern === undefined ? sh`timeout 10 ${script} status </dev/null >/dev/null 2>&1` : running(wanted.pattern)}
  echo "status $?"
fi
echo next`;
}

/** Ends with 0 where a process other than this shell has the text in its command line, with 3 where none has. */
export function running(pattern: string): Sh {
  return sh`(for f in /proc/[0-9]*/cmdline; do
    if [ "$f" != /proc/$$/cmdline ] && tr '\\000' ' ' <"$f" 2>/dev/null | grep -qF -e ${pattern}; then exit 0; fi
  done 2>/dev/null
  exit 3)`;
}

export default defineModule({
  name: 'service',
  summary: 'Starts, stops and enables services, whatever manages them: systemd, OpenRC or init scripts.',
  params: schema,
  returns: { name: 'The service.', state: 'started or stopped.', enabled: 'Whether it starts at boot.', status: "systemd's properties of the unit before the change." },
  examples: ['- service:\n    name: nginx\n    state: started\n    enabled: true'],
  verify: (wanted) => wanted.state !== 'restarted' && wanted.state !== 'reloaded' && !wanted.daemon_reexec && !wanted.no_block,
  inspect(wanted) {
    const { name } = wanted;
    if (name !== undefined && !wanted.daemon_reload && wanted.scope === 'system') return new Question(services, { ...wanted, name });
    return sh`if [ -d /run/systemd/system ]; then echo 'manager systemd'
${inspectUnit(asUnit(wanted))}
else ${name === undefined ? sh`echo 'manager none'` : askScript({ ...wanted, name })}
fi`;
  },
  parse(output: Output, wanted): Observed {
    const lines = output.stdout.split('\n');
    const manager = /^manager (.*)$/.exec(lines[0]!)?.[1];
    if (manager === 'systemd') return { manager, unit: parseUnit(output, asUnit(wanted)) };
    const { name } = wanted;
    if (name === undefined) throw new ModuleError('the host has no systemd that could be told to read its units again');
    if (manager === 'none') throw new ModuleError(`Could not find the requested service ${wanted.name}: the host has neither systemd nor an init script /etc/init.d/${wanted.name}; is the package installed, the name right?`);
    const status = /^status (\d+)$/m.exec(output.stdout)?.[1];
    if ((manager !== 'openrc' && manager !== 'sysv') || status === undefined) throw new ModuleError(`cannot look at the service: ${output.stderr.trim()}`, { rc: output.rc, stderr: output.stderr });
    // LSB 3.1, 20.2: 0 running, 1 to 3 not running, anything else unknown.
    if (!['0', '1', '2', '3'].includes(status)) throw new ModuleError(`cannot tell whether ${wanted.name} runs: "/etc/init.d/${wanted.name} status" ended with exit status ${status}`);
    return { manager, name, running: status === '0', enabled: lines.includes('enabled') };
  },
  compare(wanted, observed) {
    if (observed.manager === 'systemd') return compareUnit(asUnit(wanted), observed.unit);
    const changes: Change[] = [];
    if (wanted.enabled !== undefined && wanted.enabled !== observed.enabled) changes.push({ field: 'enabled', from: observed.enabled, to: wanted.enabled });
    const from = observed.running ? 'started' : 'stopped';
    if (wanted.state === 'restarted') changes.push({ field: 'state', from, to: 'restarted' });
    else if (wanted.state === 'reloaded') changes.push({ field: 'state', from, to: observed.running ? 'reloaded' : 'started' });
    else if (wanted.state !== undefined && wanted.state !== from) changes.push({ field: 'state', from, to: wanted.state });
    return changes;
  },
  apply(wanted, observed, changes) {
    if (observed.manager === 'systemd') return { script: applyUnit(asUnit(wanted), changes) };
    const { manager, name } = observed;
    return { script: join(changes.map((change) => (change.field === 'enabled' ? enabling(name, wanted.runlevel, manager, change.to === true) : turning(wanted, name, String(change.to))))) };
  },
  touches(wanted, observed, changes) {
    if (observed.manager === 'systemd') return touchesUnit(asUnit(wanted), changes);
    // Links say what starts at boot.
    const links = ['/etc/rc0.d', '/etc/rc1.d', '/etc/rc2.d', '/etc/rc3.d', '/etc/rc4.d', '/etc/rc5.d', '/etc/rc6.d', '/etc/rcS.d', '/etc/runlevels'];
    return { services: [{ name: observed.name, how: howTouched(changes) }], trees: changes.some(({ field }) => field === 'enabled') ? links.map((path) => sh`${path}`) : [] };
  },
  undo(wanted, observed, changes) {
    if (observed.manager === 'systemd') return undoUnit('service', asUnit(wanted), observed.unit, changes);
    return undoTurning('service', observed.name, observed.running, changes);
  },
  result(wanted, observed) {
    if (observed.manager === 'systemd') return unitResult(asUnit(wanted), observed.unit);
    const state = wanted.state === undefined ? (observed.running ? 'started' : 'stopped') : wanted.state === 'stopped' ? 'stopped' : 'started';
    return { name: observed.name, state, ...(wanted.enabled === undefined ? {} : { enabled: wanted.enabled }) };
  },
});

function enabling(name: string, runlevel: string, manager: 'openrc' | 'sysv', on: boolean): Sh {
  if (manager === 'openrc') return sh`rc-update ${raw(on ? 'add' : 'del')} ${name} ${runlevel} || exit`;
  return sh`if command -v update-rc.d >/dev/null; then
  ${on ? sh`update-rc.d ${name} defaults && ` : sh``}update-rc.d ${name} ${raw(on ? 'enable' : 'disable')} || exit
elif command -v chkconfig >/dev/null; then chkconfig ${name} ${raw(on ? 'on' : 'off')} || exit
else echo "neither update-rc.d nor chkconfig is there to enable or disable "${name} >&2; exit 1
fi`;
}

function turning(wanted: Wanted, name: string, state: string): Sh {
  const script = sh`${`/etc/init.d/${name}`}`;
  const more = splitWords(wanted.arguments ?? '');
  if (state === 'restarted' && wanted.sleep !== undefined) return sh`${script} stop ${more}; sleep ${wanted.sleep}; ${script} start ${more} || exit`;
  const verb = { started: 'start', stopped: 'stop', restarted: 'restart', reloaded: 'reload' }[state]!;
  return sh`${script} ${verb} ${more} || exit`;
}
