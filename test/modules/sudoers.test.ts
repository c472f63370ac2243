import test from 'ava';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sudoers } from '../../src/modules/sudoers.js';
import { converge, inShells, look, modeOf } from './harness.js';

inShells(test, 'sudoers: a rule of its own, which visudo accepts', async (t, place) => {
  const at = { sudoers_path: place.dir, name: 'deploy' };
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'visudo'), '#!/bin/sh\n! grep bad "$3"\n', { mode: 0o755 });
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  await converge(t, place, sudoers, { ...at, user: 'deploy', commands: ['/bin/a b', '/bin/c'], runas: 'app', setenv: true });
  const path = join(place.dir, 'deploy');
  t.is(await readFile(path, 'utf8'), 'deploy ALL=(app)NOPASSWD:SETENV: /bin/a b, /bin/c\n');
  t.is(await modeOf(path), '0440');
  const rule = { ...at, group: 'ops', commands: 'ALL', nopassword: false, defaults: ['!targetpw'] };
  await converge(t, place, sudoers, rule);
  t.is(await readFile(path, 'utf8'), 'Defaults:%ops !targetpw\n%ops ALL= ALL\n');
  t.deepEqual((await look(t, place, sudoers, rule)).changes, []);
  await t.throwsAsync(converge(t, place, sudoers, { ...at, user: 'bad', commands: 'ALL' }), { message: /validation of .* failed/ });
  await converge(t, place, sudoers, { ...at, state: 'absent' });
  t.throws(() => sudoers.params.parse({ ...at, user: 'a' }), { message: /needs commands/ });
});
