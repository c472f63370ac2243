import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { folder } from './folder.js';
import { muster } from './muster.js';

/** Coverage would have the modules loaded one by one. */
const env = (home: string): NodeJS.ProcessEnv => ({ XDG_CACHE_HOME: home, NODE_V8_COVERAGE: '' });
const PLAY = '- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: here}\n';

test('the code of a verb is kept after its first run, and taken by the next', async (t) => {
  const cwd = await folder(t, { 'site.yml': PLAY });
  const run = () => muster(['apply', 'site.yml', '-i', 'h1,', '-c', 'local'], { cwd, env: env(cwd) });
  t.is((await run()).code, 0);
  const [kept, ...others] = readdirSync(join(cwd, 'muster'));
  t.regex(kept!, /^apply\./);
  t.is(others.length, 0);
  const before = statSync(join(cwd, 'muster', kept!));
  t.is(before.mode & 0o777, 0o600);
  t.is((await run()).code, 0);
  t.is(statSync(join(cwd, 'muster', kept!)).mtimeMs, before.mtimeMs, 'what was accepted is not written again');

  writeFileSync(join(cwd, 'muster', kept!), 'damaged');
  writeFileSync(join(cwd, 'muster', 'apply.of-an-older-bundle'), '');
  const { code, stdout, stderr } = await run();
  t.deepEqual([code, stderr], [0, '']);
  t.true(stdout.includes('here'));
  t.deepEqual(readdirSync(join(cwd, 'muster')), [kept]);
  t.true(statSync(join(cwd, 'muster', kept!)).size > 100_000);
});

test('nothing is kept of a wrong command line, and code that others may write is not run', async (t) => {
  const cwd = await folder(t, { 'site.yml': PLAY });
  t.is((await muster(['apply', 'nowhere.yml', '-i', 'h1,'], { cwd, env: env(cwd) })).code, 1);
  t.throws(() => statSync(join(cwd, 'muster')));

  await muster(['lint', 'site.yml'], { cwd, env: env(cwd) });
  const file = join(cwd, 'muster', readdirSync(join(cwd, 'muster'))[0]!);
  const { mtimeMs } = statSync(file);
  chmodSync(file, 0o666);
  t.is((await muster(['lint', 'site.yml'], { cwd, env: env(cwd) })).code, 0);
  t.not(statSync(file).mtimeMs, mtimeMs, 'it was compiled anew');
});

test('where nothing can be kept, all works the same', async (t) => {
  const cwd = await folder(t, { 'site.yml': PLAY, muster: 'a file' });
  const { code, stderr } = await muster(['lint', 'site.yml'], { cwd, env: env(cwd) });
  t.deepEqual([code, stderr], [0, '']);
});
