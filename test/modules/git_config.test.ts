import test from 'ava';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gitConfig } from '../../src/modules/git_config.js';
import { sh } from '../../src/shell/sh.js';
import { converge, inShells, look } from './harness.js';

inShells(test, 'settings are set, added to and taken away, in a file, for the user and in a repository', async (t, place) => {
  const file = join(place.dir, "it's config");
  const values = async (...where: string[]) => (await place.run(sh`git config ${where} --get-all push.option`)).stdout;
  const args = { name: 'push.option', scope: 'file', file };
  t.deepEqual((await converge(t, place, gitConfig, { ...args, value: 'a b' })).changes, [{ field: 'push.option', from: [], to: ['a b'] }]);
  await converge(t, place, gitConfig, { ...args, value: "c'd", add_mode: 'add' });
  t.is(await values('-f', file), "a b\nc'd\n");
  t.deepEqual((await look(t, place, gitConfig, { ...args, value: 'a b', add_mode: 'add' })).changes, []);
  const { result, wanted, observed, changes } = await converge(t, place, gitConfig, { ...args, value: 'a b' });
  t.is(result['msg'], 'setting changed');
  t.is(await values('-f', file), 'a b\n');
  for (const back of gitConfig.undo!(wanted, observed, changes)) if ('args' in back) await converge(t, place, gitConfig, back.args);
  t.is(await values('-f', file), "a b\nc'd\n");
  await converge(t, place, gitConfig, { ...args, state: 'absent' });
  t.is((await converge(t, place, gitConfig, { ...args, state: 'absent' })).result['msg'], 'no setting to unset');
  await converge(t, place, gitConfig, { name: 'push.option', scope: 'global', value: 'x' });
  t.is(await values('--global'), 'x\n');
  const repo = join(place.dir, 'repo');
  await mkdir(repo);
  await t.throwsAsync(look(t, place, gitConfig, { name: 'push.option', scope: 'local', repo, value: 'y' }), { message: /git/ });
  await place.run(sh`git init -q ${repo}`);
  await converge(t, place, gitConfig, { name: 'push.option', scope: 'local', repo, value: 'y' });
  t.is(await values('-f', join(repo, '.git/config')), 'y\n');
}, ['dash', 'bash']);

test('what does not go together is refused', (t) => {
  for (const args of [{}, { value: 'x', scope: 'local' }, { value: 'x', scope: 'file' }, { name: '--all', value: 'x' }]) t.is(gitConfig.params.safeParse({ name: 'a.b', ...args }).success, false);
});
