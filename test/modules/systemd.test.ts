import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Output } from '../../src/modules/module.js';
import { verifies } from '../../src/modules/module.js';
import { running } from '../../src/modules/init_scripts.js';
import service from '../../src/modules/service.js';
import systemd from '../../src/modules/systemd.js';
import sysvinit from '../../src/modules/sysvinit.js';
import { controller, converge, inShells } from './harness.js';

const show = (text: string, rest = ''): Output => ({ rc: 0, stdout: `${text}\n${rest}looked\n`, stderr: '' });
const active = 'Id=nginx.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNeedDaemonReload=no';
const dead = 'Id=nginx.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled';
const failed = dead.replace('inactive\nSubState=dead', 'failed\nSubState=failed');
const looping = dead.replace('inactive\nSubState=dead', 'activating\nSubState=auto-restart');
const fixed = dead.replace('disabled', 'static');
const masked = dead.replace('UnitFileState=disabled', 'UnitFileState=masked');
const generated = dead.replace('disabled', 'generated');

const cases: [string, Output, object, [string, unknown][]][] = [
  ['running and enabled', show(active), { state: 'started', enabled: true, masked: false }, []],
  ['dead', show(dead), { state: 'started', enabled: true }, [['enabled', true], ['state', 'started']]],
  ['failed is not started', show(failed), { state: 'started' }, [['state', 'started']]],
  ['failed is stopped', show(failed), { state: 'stopped' }, []],
  ['one that enables others', show(dead.replace('disabled', 'indirect')), { enabled: true }, [['enabled', true]]],
  ['one whose others are enabled', show(dead.replace('disabled', 'indirect'), 'others enabled nginx.service\n'), { enabled: true }, []],
  ['between two attempts is not started', show(looping), { state: 'started' }, [['state', 'started']]],
  ['between two attempts is not stopped', show(looping), { state: 'stopped' }, [['state', 'stopped']]],
  ['restarted each time', show(active), { state: 'restarted' }, [['state', 'restarted']]],
  ['reloaded each time', show(active), { state: 'reloaded' }, [['state', 'reloaded']]],
  ['reloaded starts what is dead', show(dead), { state: 'reloaded' }, [['state', 'started']]],
  ['static units cannot be enabled or disabled', show(fixed), { enabled: false }, []],
  ['static units count as enabled', show(fixed), { enabled: true }, []],
  ['init script without links', show(generated, 'sysv script nginx\n'), { enabled: true }, [['enabled', true]]],
  ['init script with links', show(generated, 'sysv script nginx\nsysv enabled nginx\n'), { enabled: true }, []],
  ['masked', show(masked), { masked: true }, []],
  ['unmasked, then started', show(masked), { masked: false, state: 'started' }, [['masked', false], ['state', 'started']]],
  ['its name alone', show(dead), {}, []],
  ['the name of what is not there', show('LoadState=not-found\nActiveState=inactive'), {}, []],
  ['no mask on what is not there', show('LoadState=not-found\nActiveState=inactive'), { masked: false }, []],
  ['nothing to read again', show(active), { daemon_reload: true, state: 'started' }, []],
  ['unit files were touched', show(active, 'units stale\n'), { daemon_reload: true, state: 'started' }, [['daemon_reload', 'read']]],
  ['a unit about to be read', show('LoadState=not-found\nActiveState=inactive', 'units stale\n'), { daemon_reload: true, state: 'started' }, [['daemon_reload', 'read'], ['state', 'started']]],
];
for (const [name, output, args, expected] of cases) {
  test(`systemd: ${name}`, (t) => {
    const wanted = systemd.params.parse({ name: 'nginx', ...args });
    const unit = systemd.parse(output, wanted);
    t.deepEqual(systemd.compare(wanted, unit).map(({ field, to }) => [field, to]), expected);
    t.is((systemd.result(wanted, unit)['status'] as Record<string, string>)['ActiveState'], unit.properties.get('ActiveState'));
  });
}

test('systemd: what cannot be told or done is an error', (t) => {
  const wanted = systemd.params.parse({ name: 'nginx', state: 'started' });
  t.throws(() => systemd.parse(show('LoadState=not-found\nActiveState=inactive'), wanted), { message: /^Could not find the requested service nginx: the host has no unit nginx\.service/ });
  t.throws(() => systemd.parse(show('LoadState=bad-setting\nLoadError=org.x "Invalid"'), wanted), { message: /systemd-analyze verify/ });
  t.throws(() => systemd.parse({ rc: 1, stdout: '', stderr: 'Failed to connect to bus' }, wanted), { message: /Failed to connect/ });
  t.throws(() => systemd.parse({ rc: 0, stdout: active, stderr: '' }, wanted), { message: /cannot ask systemd/ });
  t.throws(() => systemd.compare(wanted, systemd.parse(show(masked), wanted)), { message: /masked: false/ });
});

test('systemd: arguments', (t) => {
  const good = (args: object) => systemd.params.safeParse(args).success;
  t.true(good({ daemon_reload: 'yes' }));
  t.true(good({ name: 'x' }));
  t.false(good({}));
  t.false(good({ state: 'started' }));
  t.false(good({ name: 'postgres*', state: 'started' }));
  t.false(good({ name: 'x', scope: 'global', state: 'started' }));
  t.false(verifies(systemd, systemd.params.parse({ name: 'x', state: 'restarted' })));
  t.true(verifies(systemd, systemd.params.parse({ name: 'x.timer', state: 'started' })));
});

test('service: init scripts', (t) => {
  const wanted = service.params.parse({ name: 'nginx', state: 'started', enabled: true });
  const changes = (stdout: string) => service.compare(wanted, service.parse({ rc: 0, stdout, stderr: '' }, wanted)).map(({ field }) => field);
  t.deepEqual(changes('manager sysv\nscript there\nlevel 3\nstatus 0\n'), []);
  t.deepEqual(changes('manager openrc\nstatus 3\n'), ['enabled', 'state']);
  t.deepEqual(changes(`manager systemd\n${active}\nlooked\n`), []);
  t.throws(() => changes('manager sysv\nscript none\n'), { message: /^Could not find the requested service nginx: the host has no init script \/etc\/init\.d\/nginx/ });
  t.throws(() => changes('manager openrc\nstatus 4\n'), { message: /cannot tell whether nginx runs/ });
  t.throws(() => changes(''), { message: /cannot look/ });
});

test('service: without a name there is only systemd to be told something', (t) => {
  const wanted = service.params.parse({ daemon_reload: true });
  const changes = (stdout: string) => service.compare(wanted, service.parse({ rc: 0, stdout, stderr: '' }, wanted)).map(({ field }) => field);
  t.deepEqual(changes('manager systemd\nunits stale\nlooked\n'), ['daemon_reload']);
  t.deepEqual(changes('manager systemd\nlooked\n'), []);
  t.throws(() => changes('manager none\n'), { message: /no systemd/ });
  t.false(service.params.safeParse({ state: 'started' }).success);
});

test('all properties are asked for where somebody may look into them', async (t) => {
  for (const module of [systemd, service]) {
    const text = async (registers: boolean) => module.inspect((await module.prepare!(module.params.parse({ name: 'nginx', state: 'started' }) as never, controller({ registers }))) as never).text;
    t.regex(await text(false), /show -p \S*ActiveState\S* -- /);
    t.notRegex(await text(true), /show -p/);
  }
});

test('service: use sysvinit speaks to the script where systemd runs too', (t) => {
  const wanted = service.params.parse({ name: 'nginx', state: 'stopped', use: 'sysvinit' });
  t.notRegex(service.inspect(wanted).text, /systemctl/);
  const observed = service.parse({ rc: 0, stdout: 'manager sysv\nscript there\nstatus 0\n', stderr: '' }, wanted);
  const changes = service.compare(wanted, observed);
  t.regex(service.apply(wanted, observed, changes).script.text, /init\.d\/nginx.? stop/);
  t.deepEqual(service.undo!(wanted, observed, changes), [{ module: 'service', args: { use: 'sysvinit', name: 'nginx', state: 'started' } }]);
});

test('service: what systemd has no use for is told', (t) => {
  const wanted = service.params.parse({ name: 'nginx', state: 'started', sleep: 2, pattern: 'nginx' });
  const { warnings } = service.result(wanted, service.parse({ rc: 0, stdout: `manager systemd\n${active}\nlooked\n`, stderr: '' }, wanted));
  t.deepEqual(warnings, ['Ignoring "pattern" as it is not used in "systemd"', 'Ignoring "sleep" as it is not used in "systemd"']);
});

/** What `status` of init scripts ends with and says, as they do in the wild, and whether the service runs. */
const STATES: [rc: number, said: string | undefined, runs: boolean][] = [
  [0, undefined, true], [3, undefined, false], [0, 'demo is running.', true], [0, 'demo is not running', false], [0, 'demo not found', true], [0, 'demo is stopped', false], [1, 'demo dead but pid file exists', false],
  [0, 'Active: inactive', false], [0, 'Checking demo: started', true], [2, '', false], [77, 'no idea', false],
];

for (const [rc, said, runs] of STATES) {
  test(`sysvinit: status ends with ${rc} and says ${said}`, (t) => {
    const wanted = sysvinit.params.parse({ name: 'demo', state: 'started' });
    const script = sysvinit.parse({ rc: 0, stdout: `script there\nlevel 2\nstatus ${rc}\n${said === undefined ? '' : `said ${said}\n`}`, stderr: '' }, wanted);
    t.is(script.running, runs);
    t.is(script.warnings.length, rc === 77 ? 1 : 0);
  });
}

test('sysvinit: runlevels', (t) => {
  const off = (args: object, levels: string) => {
    const wanted = sysvinit.params.parse({ name: 'demo', ...args });
    const script = sysvinit.parse({ rc: 0, stdout: `script there\n${levels}status 0\n`, stderr: '' }, wanted);
    return sysvinit.apply(wanted, script, sysvinit.compare(wanted, script)).script.text;
  };
  t.is(off({ enabled: true, runlevels: [3, 5] }, 'level 3\nlevel 5\n'), '');
  t.regex(off({ enabled: true, runlevels: [3, 5] }, 'level 3\n'), /update-rc\.d demo enable 3 5 .*[^]*chkconfig --level 35 demo on/);
  t.is(off({ enabled: false, runlevels: [3] }, 'level 5\n'), '');
  t.regex(off({ enabled: false, runlevels: [3, 5] }, 'level 5\n'), /update-rc\.d demo disable 3 5/);
  t.is(off({ enabled: true }, 'level S\n'), '');
  t.regex(off({ enabled: true }, ''), /update-rc\.d demo defaults && /);
  t.throws(() => sysvinit.params.parse({ name: 'demo' }), { message: /one of the following is required: state, enabled/ });
});

const INIT_SCRIPT = `#!/bin/sh
here=$(dirname "$0")
case $1 in
  start) echo started >"$here/state"; echo "Starting demo $2" ;;
  stop) echo stopped >"$here/state" ;;
  status) s=$(cat "$here/state" 2>/dev/null); echo "demo \${s:-stopped}"; [ "$s" = started ] ;;
  reload) echo 'cannot reload' >&2; exit 6 ;;
esac
[ $1 = status ] || echo "$*" >>"$here/calls"
`;

inShells(test, 'sysvinit: a script anywhere', async (t, place) => {
  const name = join(place.dir, 'demo');
  await writeFile(name, INIT_SCRIPT, { mode: 0o755 });
  const { result, changes } = await converge(t, place, sysvinit, { name, state: 'started', arguments: "'a b' c" });
  t.deepEqual(changes.map(({ field }) => field), ['state']);
  t.like(result, { name, state: 'started', enabled: false, status: { started: { changed: true, rc: 0, stdout: 'Starting demo a b\n' }, enabled: { changed: false, rc: null } } });
  await converge(t, place, sysvinit, { name, state: 'stopped', daemonize: true });
  await converge(t, place, sysvinit, { name, state: 'restarted', sleep: 0 });
  t.is(await readFile(join(place.dir, 'calls'), 'utf8'), 'start a b c\nstop\nstop\nstart\n');
  await t.throwsAsync(converge(t, place, sysvinit, { name, state: 'reloaded' }), { message: /Failed to reload service/ });
});

test('service: what only systemd has is handed on', (t) => {
  const wanted = service.params.parse({ name: 'nginx', state: 'restarted', daemon_reload: true });
  const observed = service.parse({ rc: 0, stdout: `manager systemd\n${active}\nunits stale\nlooked\n`, stderr: '' }, wanted);
  const changes = service.compare(wanted, observed);
  t.deepEqual(changes.map(({ field }) => field), ['daemon_reload', 'state']);
  t.regex(service.apply(wanted, observed, changes).script.text, /daemon-reload.*[^]*restart -- nginx\.service/);
  t.regex(service.inspect(wanted).text, /UnitsLoadTimestamp/);
  t.true(service.params.safeParse({ name: 'x', masked: true }).success);
});

inShells(test, 'service: a pattern tells whether an init script runs', async (t, place) => {
  const stat = async (pattern: string) => (await place.run(running(pattern))).rc;
  const sleeper = spawn('sleep', ['98.7654']);
  try {
    t.is(await stat('sleep 98.7654'), 0);
    t.is(await stat('-no such process'), 3);
  } finally {
    sleeper.kill();
  }
});

const FAKE = `#!/bin/sh
echo "$@" >>"$HOME/calls"
case "$*" in
  *'show -p Type'*) echo Type=notify ;;
  *'show -p ActiveState'*) cat "$HOME/state" ;;
  *'show -p Result'*) printf 'Result=exit-code\\nExecMainStatus=1\\n' ;;
  *show*) printf 'LoadState=loaded\\nActiveState=inactive\\nSubState=dead\\nUnitFileState=disabled\\n' ;;
esac
`;
inShells(test, 'systemd: what failed a moment after its start is told with its last words', async (t, place) => {
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'systemctl'), FAKE);
  await writeFile(join(bin, 'journalctl'), "#!/bin/sh\necho 'bind() to 0.0.0.0:80 failed'\necho 'x.service: Failed with result exit-code.'\n");
  await chmod(join(bin, 'systemctl'), 0o755);
  await chmod(join(bin, 'journalctl'), 0o755);
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  await writeFile(join(place.dir, 'state'), 'ActiveState=failed\nSubState=failed\n');
  await writeFile(join(place.dir, 'calls'), '');
  const wanted = systemd.params.parse({ name: "x@a'b", state: 'started', enabled: true });
  const observed = systemd.parse(await place.run(systemd.inspect(wanted)), wanted);
  const changes = systemd.compare(wanted, observed);
  const output = await place.run(systemd.apply(wanted, observed, changes));
  t.is(output.rc, 1);
  t.regex(output.stderr.trim().split('\n').at(-1)!, /^start of x@a'b\.service failed \(Result=exit-code ExecMainStatus=1\): bind\(\) to 0\.0\.0\.0:80 failed$/);
  await writeFile(join(place.dir, 'state'), 'ActiveState=active\nSubState=running\n');
  t.is((await place.run(systemd.apply(wanted, observed, changes))).rc, 0);
  t.regex(await readFile(join(place.dir, 'calls'), 'utf8'), /--system --no-pager enable -- x@a'b\.service\n--system --no-pager start -- x@a'b\.service/);
});
