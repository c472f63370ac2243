import test from 'ava';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { debconf } from '../../src/modules/debconf.js';
import { dpkgSelections } from '../../src/modules/dpkg_selections.js';
import { packageFacts } from '../../src/modules/package_facts.js';
import { serviceFacts } from '../../src/modules/service_facts.js';
import { converge, inShells, look, type Place } from './harness.js';

/** Puts programs in front of all others. */
async function tools(place: Place, programs: { [name: string]: string }): Promise<void> {
  const folder = join(place.dir, '..', 'bin');
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${text}`);
    await chmod(join(folder, name), 0o755);
  }
  place.env['PATH'] = `${folder}:${place.env['PATH'] ?? process.env['PATH']}`;
}

inShells(test, 'installed packages', async (t, place) => {
  const facts = async (args: object) => ((await converge(t, place, packageFacts, args)).result['ansible_facts'] as { packages: { [name: string]: unknown[] } }).packages;
  const { dpkg } = await facts({});
  t.like(dpkg, [{ name: 'dpkg', source: 'apt', category: 'admin' }]);
  await tools(place, {
    rpm: "printf 'bash\\t5.2\\t1.fc40\\t(none)\\tx86_64\\nkernel\\t6.1\\t2\\t1\\tx86_64\\nkernel\\t6.2\\t2\\t1\\tx86_64\\n'",
    apk: "printf 'musl-1.2.4-r2\\nca-certificates-bundle-20230506-r0\\n'",
    pacman: "printf 'Name            : bash\\nVersion         : 5.2.015-1\\nArchitecture    : x86_64\\nProvides        : sh  sh2=1\\n\\nName            : zlib\\nVersion         : 1\\nArchitecture    : any\\nProvides        : None\\n\\n'",
  });
  const rpm = await facts({ manager: ['dnf'] });
  t.deepEqual(rpm['bash'], [{ name: 'bash', version: '5.2', release: '1.fc40', epoch: null, arch: 'x86_64', source: 'rpm' }]);
  t.is(rpm['kernel']!.length, 2);
  t.deepEqual(await facts({ manager: 'apk' }), { musl: [{ name: 'musl', version: '1.2.4', release: 'r2', source: 'apk' }], 'ca-certificates-bundle': [{ name: 'ca-certificates-bundle', version: '20230506', release: 'r0', source: 'apk' }] });
  t.deepEqual((await facts({ manager: 'pacman' }))['bash'], [{ name: 'bash', version: '5.2.015-1', arch: 'x86_64', provides: ['sh', 'sh2'], source: 'pacman' }]);
  t.true('zlib' in (await facts({ strategy: 'all' })));
  await t.throwsAsync(facts({ manager: 'pip' }), { message: /cannot ask .*pip/ });
}, ['dash', 'bash']);

test('services, as systemd lists them', (t) => {
  const stdout = `@units
cron.service loaded active running Regular background program processing daemon
lost.service not-found inactive dead lost.service
once.service loaded active exited Once
bad.service loaded failed failed Bad
@files
cron.service enabled enabled
bad.service enabled enabled
getty@.service enabled enabled
idle.service disabled enabled
once.service static -
@end
`;
  const services = serviceFacts.parse({ rc: 0, stdout, stderr: '' }, {});
  const brief = Object.values(services).map(({ name, state, status }) => `${name} ${state} ${status}`);
  t.deepEqual(brief, ['cron.service running enabled', 'lost.service stopped not-found', 'once.service stopped static', 'bad.service stopped failed', 'getty@.service unknown enabled', 'idle.service inactive disabled']);
  t.throws(() => serviceFacts.parse({ rc: 1, stdout: '@units\n', stderr: 'no bus' }, {}), { message: /no bus/ });
});

test('services, as OpenRC and init scripts have them', (t) => {
  const openrc = serviceFacts.parse({ rc: 0, stdout: '@openrc\nRunlevel: default\n sshd  started\n crond stopped\n@levels\n  sshd | default boot\n  crond |\n@end\n', stderr: '' }, {});
  t.deepEqual(openrc['sshd'], { name: 'sshd', runlevels: ['default', 'boot'], state: 'started', source: 'openrc' });
  t.like(openrc['crond'], { runlevels: null, state: 'stopped' });
  t.deepEqual(serviceFacts.parse({ rc: 0, stdout: '@init\nrunning cron\n@end\n', stderr: '' }, {}), { cron: { name: 'cron', state: 'running', source: 'sysv' } });
});

inShells(test, 'packages on hold', async (t, place) => {
  const state = join(place.dir, '..', 'selection');
  await writeFile(state, 'install');
  await tools(place, { dpkg: `case $1 in --get-selections) [ $2 = some ] && printf 'some\\t%s\\n' "$(cat ${state})" || echo "dpkg: no packages found matching $2" >&2 ;; --set-selections) read n s; printf %s "$s" >${state} ;; esac` });
  const { result, changes } = await converge(t, place, dpkgSelections, { name: 'some', selection: 'hold' });
  t.deepEqual(result, { before: 'install', after: 'hold' });
  t.is(changes.length, 1);
  t.is(await readFile(state, 'utf8'), 'hold');
  await t.throwsAsync(look(t, place, dpkgSelections, { name: 'other', selection: 'hold' }), { message: /Failed to find package .other. to perform selection .hold./ });
  await t.throwsAsync(look(t, place, dpkgSelections, { name: 'a*', selection: 'hold' }), { message: /not the name/ });
// busybox ash prefers its own dpkg.
}, ['dash', 'bash']);

inShells(test, 'answers for packages', async (t, place) => {
  const db = join(place.dir, '..', 'answers');
  await writeFile(db, '* locales/default: None\n  tz/list: b, a\n  app/password: (password omitted)\n');
  await tools(place, {
    'debconf-show': `cat ${db}`,
    'debconf-communicate': "read v q; [ $q = app/password ] && echo '0 s3cret' || echo '10 no such'",
    'debconf-set-selections': `read n q t v; grep -v " $q:" ${db} >${db}.new; echo "* $q: $v" >>${db}.new; cat ${db}.new >${db}`,
  });
  const all = await converge(t, place, debconf, { name: 'x' });
  t.deepEqual(all.result['current'], { 'locales/default': 'None', 'tz/list': 'b, a', 'app/password': '(password omitted)' });
  const { result } = await converge(t, place, debconf, { name: 'x', question: 'locales/default', vtype: 'select', value: 'de_DE.UTF-8' });
  t.like(result, { current: { 'locales/default': 'de_DE.UTF-8' }, previous: { 'locales/default': 'None' } });
  const changes = async (args: object) => (await converge(t, place, debconf, { name: 'x', ...args })).changes;
  t.deepEqual(await changes({ question: 'tz/list', vtype: 'multiselect', value: ['a', 'b'] }), []);
  t.is((await changes({ question: 'new/one', vtype: 'boolean', value: true })).length, 1);
  t.deepEqual(await changes({ question: 'app/password', vtype: 'password', value: 's3cret' }), []);
  t.true((await look(t, place, debconf, { name: 'x', question: 'app/password', vtype: 'password', value: 'other' })).changes[0]!.secret);
  await t.throwsAsync(changes({ question: 'tz/list', vtype: 'multiselect', value: ['a', 1] }), { message: /Invalid value provided for 'multiselect': 1/ });
  await t.throwsAsync(changes({ question: 'tz/list', value: 'x' }), { message: /go together/ });
}, ['dash', 'bash']);
