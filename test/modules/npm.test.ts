import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { npmModule as npm } from '../../src/modules/npm.js';
import { converge, inShells, look, type Place } from './harness.js';

/** An npm that keeps `name version` lines in node_modules of the folder it is in, or of HOME, and its calls beside it. */
async function fake(place: Place): Promise<() => Promise<string[]>> {
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin);
  const program = `#!/bin/sh
case $* in *--global*) cd "$HOME" ;; esac
case $1 in
  list)
    [ -e node_modules ] || { echo '{}'; exit; }
    printf '{"name": "app", "dependencies": {'
    s=; while read n v; do printf '%s"%s": {"version": "%s"}' "$s" "$n" "$v"; s=,; done <node_modules
    [ ! -e package.json ] || grep -q wanted node_modules || { printf '%s"wanted": {"required": "^1", "missing": true}' "$s"; rc=1; }
    echo '}}'; exit \${rc:-0} ;;
  outdated) grep -q ' 1$' node_modules 2>/dev/null && { echo '{"old": {"current": "1"}}'; exit 1; }; echo '{}' ;;
  *) echo "$*" >>${bin}/calls
    case $1 in
      install) case $2 in ''|-*) echo 'wanted 1.5.0' >>node_modules ;; *@*) echo "\${2%@*} \${2##*@}" >node_modules ;; *) echo "$2 3.0.0" >>node_modules ;; esac ;;
      update) echo 'old 2' >node_modules ;;
      uninstall) : >node_modules ;;
    esac
    echo 'up to date in 1s' ;;
esac
`;
  await writeFile(join(bin, 'npm'), program);
  await chmod(join(bin, 'npm'), 0o755);
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  return async () => (await readFile(join(bin, 'calls'), 'utf8')).trim().split('\n');
}

inShells(test, 'packages of Node.js', async (t, place) => {
  const calls = await fake(place);
  const path = join(place.dir, 'new app');
  t.is((await converge(t, place, npm, { name: '@a/b', version: '1.2.3', path, production: true, registry: 'https://npm.example.org' })).changes.length, 1);
  t.deepEqual((await converge(t, place, npm, { name: '@a/b', path })).changes, []);
  t.deepEqual((await look(t, place, npm, { name: '@a/b', version: '1.2.4', path })).changes, [{ field: 'packages', from: '@a/b 1.2.3', to: '@a/b@1.2.4' }]);
  t.is((await converge(t, place, npm, { name: '@a/b', version: '^1.2', path })).result['changed'], false);
  t.deepEqual((await converge(t, place, npm, { path })).changes, []);
  await writeFile(join(path, 'package.json'), '{}');
  t.deepEqual((await converge(t, place, npm, { path, ignore_scripts: true, no_bin_links: true })).changes, [{ field: 'packages', from: null, to: 'wanted' }]);
  await converge(t, place, npm, { path, ci: true });
  t.is((await converge(t, place, npm, { name: 'x', global: true })).changes.length, 1);
  await converge(t, place, npm, { name: 'x', global: true, state: 'absent' });
  t.deepEqual((await converge(t, place, npm, { name: 'x', global: true, state: 'absent', version: '9' })).changes, []);
  await writeFile(join(place.dir, 'node_modules'), 'old 1\n');
  t.deepEqual((await converge(t, place, npm, { global: true, state: 'latest' })).changes, [{ field: 'outdated', from: 'old', to: 'the latest' }]);
  t.deepEqual(await calls(), [
    'install @a/b@1.2.3 --production --registry https://npm.example.org',
    'install @a/b@^1.2',
    'install --ignore-scripts --no-bin-links',
    'ci',
    'install x --global',
    'uninstall x --global',
    'update --global',
  ]);
  await writeFile(join(place.dir, 'file'), '');
  await t.throwsAsync(look(t, place, npm, { path: join(place.dir, 'file') }), { message: /is not a directory/ });
  t.throws(() => npm.parse({ rc: 0, stdout: 'npm ERR\0{}\0', stderr: 'broken\n' }, npm.params.parse({ path: '/x' })), { message: /Failed to parse NPM output: broken/ });
  t.throws(() => npm.parse({ rc: 1, stdout: '', stderr: 'Failed to find required executable npm\n' }, npm.params.parse({ path: '/x' })), { message: /required executable npm/ });
});

test('npm: what must be given', (t) => {
  const good = (args: object) => npm.params.safeParse(args).success;
  t.deepEqual([{ name: 'x' }, { state: 'absent', global: true }, { global: true }, { path: '/x' }].map(good), [false, false, true, true]);
});
