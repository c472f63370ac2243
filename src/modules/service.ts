import { Question, type Kind } from '../shell/question.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { applyScript, compareScript, inspectScript, linksTouched, parseScript, running, scriptParams, scriptResult, type Script } from './init_scripts.js';
import { defineModule, ModuleError, type Change, type Output } from './module.js';
import { int, params, str } from './params.js';
import { splitWords } from './words.js';
import { apartUnits, applyUnit, compareUnit, howTouched, inspectUnit, parseUnit, showUnits, touchesUnit, undoTurning, undoUnit, unitParams, unitResult, type Unit, type UnitWanted } from './units.js';

const schema = params({
  name: str('The service; it may be left out where systemd is only told to read its units again.').optional(),
  state: scriptParams.state,
  enabled: scriptParams.enabled,
  sleep: int('Seconds between stop and start of a restart, where an init script does it; 1 unless given.').optional(),
  runlevel: str('The runlevel, where OpenRC has several; `default` unless given.').optional(),
  pattern: scriptParams.pattern,
  arguments: scriptParams.arguments,
  use: str('`sysvinit` speaks to the init script whatever manages the services; anything else: what the host has.').default('auto'),
  ...unitParams,
}).check((context) => {
  const { name, state, enabled, masked, daemon_reload, daemon_reexec } = context.value;
  if (name === undefined && ((state ?? enabled ?? masked) !== undefined || (!daemon_reload && !daemon_reexec))) {
    context.issues.push({ code: 'custom', message: 'give the service, unless systemd is only to read its units again', params: { msg: 'missing required arguments: name' }, input: context.value, path: ['name'] });
  }
  if (name !== undefined && /[*?[\s/]/.test(name)) context.issues.push({ code: 'custom', message: `"${name}" is not the name of one service`, input: context.value, path: ['name'] });
});
type Wanted = (typeof schema)['_zod']['output'] & Pick<UnitWanted, 'whole'>;
type Named = Wanted & { name: string };

/** A host with systemd, or one whose services are init scripts. */
type Observed = { manager: 'systemd'; unit: Unit } | { manager: 'openrc'; name: string; running: boolean; enabled: boolean } | { manager: 'sysv'; name: string; script: Script };

function asUnit(wanted: Wanted): UnitWanted {
  const { name, state, enabled, masked, force, daemon_reload, daemon_reexec, scope, no_block, whole } = wanted;
  return { name, state, enabled, masked, force, daemon_reload, daemon_reexec, scope, no_block, ...(whole ? { whole } : {}) };
}

const asScript = (wanted: Wanted, name: string) => ({ ...wanted, name, sleep: wanted.sleep ?? 1, daemonize: false });
const runlevel = (wanted: Wanted) => wanted.runlevel ?? 'default';

/** All services of a host have one manager; where that is systemd, it tells of all of them at once. */
const services: Kind<Named> = {
  name: 'services',
  key: (wanted) => [wanted.name, runlevel(wanted), wanted.pattern ?? '', wanted.whole ? 'whole' : ''].join(' '),
  text: (asked) => sh`if [ -d /run/systemd/system ]; then
echo 'manager systemd'
${showUnits(asked.map(({ name }) => name), asked.some(({ whole }) => whole))}
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
  return sh`if [ -d /run/openrc ] && [ -e ${script} ]; then
  echo 'manager openrc'
  [ -e /etc/runlevels/${runlevel(wanted)}/${wanted.name} ] && echo enabled
  ${wanted.pattern === undefined ? sh`timeout 10 ${script} status </dev/null >/dev/null 2>&1` : running(wanted.pattern)}
  echo "status $?"
else
  echo 'manager sysv'
  ${inspectScript(wanted)}
fi
echo next`;
}

export default defineModule({
  name: 'service',
  summary: 'Starts, stops and enables services, whatever manages them: systemd, OpenRC or init scripts.',
  params: schema,
  returns: { name: 'The service.', state: 'started or stopped.', enabled: 'Whether it starts at boot.', status: "systemd's properties of the unit before the change; of an init script what `sysvinit` tells." },
  examples: ['- service:\n    name: nginx\n    state: started\n    enabled: true'],
  verify: (wanted) => wanted.state !== 'restarted' && wanted.state !== 'reloaded' && !wanted.daemon_reexec && !wanted.no_block,
  prepare: async (args, controller): Promise<Wanted> => ({ ...args, whole: controller.registers }),
  inspect(wanted) {
    const { name } = wanted;
    if (name !== undefined && wanted.use === 'sysvinit') return join([raw("echo 'manager sysv'"), inspectScript({ ...wanted, name })]);
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
    if (manager === 'sysv') return { manager, name, script: parseScript(output, { ...wanted, name }) };
    const status = /^status (\d+)$/m.exec(output.stdout)?.[1];
    if (manager !== 'openrc' || status === undefined) throw new ModuleError(`cannot look at the service: ${output.stderr.trim()}`, { rc: output.rc, stderr: output.stderr });
    // LSB 3.1, 20.2: 0 running, 1 to 3 not running, anything else unknown.
    if (!['0', '1', '2', '3'].includes(status)) throw new ModuleError(`cannot tell whether ${wanted.name} runs: "/etc/init.d/${wanted.name} status" ended with exit status ${status}`);
    return { manager, name, running: status === '0', enabled: lines.includes('enabled') };
  },
  compare(wanted, observed) {
    if (observed.manager === 'systemd') return compareUnit(asUnit(wanted), observed.unit);
    if (observed.manager === 'sysv') return compareScript(asScript(wanted, observed.name), observed.script);
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
    const { name } = observed;
    if (observed.manager === 'sysv') return { script: applyScript(asScript(wanted, name), changes) };
    return { script: join(changes.map(({ field, to }) => (field === 'enabled' ? sh`rc-update ${raw(to === true ? 'add' : 'del')} ${name} ${runlevel(wanted)} || exit` : turning(wanted, name, String(to))))) };
  },
  touches(wanted, observed, changes) {
    if (observed.manager === 'systemd') return touchesUnit(asUnit(wanted), changes);
    // Links say what starts at boot.
    const enabling = changes.some(({ field }) => field === 'enabled');
    return { services: [{ name: observed.name, how: howTouched(changes) }], trees: [...linksTouched(changes), ...(enabling ? [sh`/etc/runlevels`] : [])] };
  },
  undo(wanted, observed, changes) {
    if (observed.manager === 'systemd') return undoUnit('service', asUnit(wanted), observed.unit, changes);
    const ran = observed.manager === 'sysv' ? observed.script.running : observed.running;
    return undoTurning('service', observed.name, ran, changes, wanted.use === 'sysvinit' ? { use: wanted.use } : {});
  },
  result(wanted, observed, output) {
    if (observed.manager === 'systemd') {
      const unused = (['pattern', 'runlevel', 'sleep', 'arguments'] as const).filter((name) => wanted[name] !== undefined);
      return { ...unitResult(asUnit(wanted), observed.unit), ...(unused.length > 0 ? { warnings: unused.map((name) => `Ignoring "${name}" as it is not used in "systemd"`) } : {}) };
    }
    if (observed.manager === 'sysv') return scriptResult(asScript(wanted, observed.name), observed.script, output);
    const state = wanted.state === undefined ? (observed.running ? 'started' : 'stopped') : wanted.state === 'stopped' ? 'stopped' : 'started';
    return { name: observed.name, state, ...(wanted.enabled === undefined ? {} : { enabled: wanted.enabled }) };
  },
});

function turning(wanted: Wanted, name: string, state: string): Sh {
  const script = sh`${`/etc/init.d/${name}`}`;
  const more = splitWords(wanted.arguments ?? '');
  if (state === 'restarted' && wanted.sleep !== undefined) return sh`${script} stop ${more}; sleep ${wanted.sleep}; ${script} start ${more} || exit`;
  const verb = { started: 'start', stopped: 'stop', restarted: 'restart', reloaded: 'reload' }[state]!;
  return sh`${script} ${verb} ${more} || exit`;
}
