/** Recorded cases: stand-ins for getsebool, setsebool and semanage. */
import test from 'ava';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seboolean } from '../../src/modules/seboolean.js';
import { converge, inShells, look, type Place } from './harness.js';

const TOOLS = {
  getsebool: `n=$1; [ "$n" != allow_old ] || n=httpd_new
v=$(sed -n "s/^$n=//p" "$S/now"); [ "$v" ] || { echo "Error getting active value for $n" >&2; exit 1; }
echo "$n --> $v"`,
  setsebool: `echo "$*" >>"$S/calls"
if [ "$1" = -P ]; then shift; case $2 in on) v=1 ;; *) v=0 ;; esac; { grep -v "^$1=" "$S/local"; echo "$1=$v"; } >"$S/new"; mv "$S/new" "$S/local"; fi
sed -i "s/^$1=.*/$1=$2/" "$S/now"`,
  cat: `case $1 in /etc/selinux/config) echo 'SELINUX=enforcing'; echo 'SELINUXTYPE=targeted'; exit ;; /var/lib/selinux/targeted/active/booleans.local) set -- "$S/local" ;; esac\nexec /bin/cat "$@"`,
};
const SEMANAGE = "echo 'httpd_new                      (on   ,   on)  Allow httpd to new'; echo 'httpd_x                        (off  ,  off)  x'";

async function stand(place: Place, tools: { [name: string]: string }): Promise<() => Promise<string[]>> {
  const [bin, state] = [join(place.dir, '..', 'bin'), join(place.dir, '..', 'state')];
  await mkdir(bin);
  await mkdir(state);
  for (const [name, text] of Object.entries({ now: 'httpd_x=off\nhttpd_new=on\n', local: '# by libsemanage\n', calls: '' })) await writeFile(join(state, name), text);
  for (const [name, text] of Object.entries(tools)) await writeFile(join(bin, name), `#!/bin/sh\nS=${state}\n${text}\n`, { mode: 0o755 });
  place.env['PATH'] = `${bin}:${process.env['PATH']}`;
  return async () => (await readFile(join(state, 'calls'), 'utf8')).split('\n').filter((line) => line !== '');
}

inShells(test, 'booleans are set, now and at boot', async (t, place) => {
  const calls = await stand(place, { ...TOOLS, semanage: SEMANAGE });
  t.deepEqual((await look(t, place, seboolean, { name: 'allow_old', state: true, persistent: true })).changes, []);
  const now = await converge(t, place, seboolean, { name: 'httpd_x', state: true });
  t.deepEqual([now.changes, now.result], [[{ field: 'state', from: 'off', to: 'on' }], { name: 'httpd_x', state: true, persistent: false }]);
  const boot = await converge(t, place, seboolean, { name: 'httpd_x', state: 'yes', persistent: true });
  t.deepEqual(boot.changes, [{ field: 'persistent', from: 'off', to: 'on' }]);
  t.deepEqual(seboolean.undo!(boot.wanted, boot.observed, boot.changes), [
    { module: 'seboolean', args: { name: 'httpd_x', state: false, persistent: true } },
    { module: 'seboolean', args: { name: 'httpd_x', state: true }, behind: true },
  ]);
  t.deepEqual(await calls(), ['httpd_x on', '-P httpd_x on']);
  await t.throwsAsync(look(t, place, seboolean, { name: 'nosuch', state: true }), { message: /Error getting active value for nosuch/ });
}, ['dash', 'bash']);

inShells(test, 'without semanage a boolean that was never set is set once', async (t, place) => {
  const calls = await stand(place, TOOLS);
  t.deepEqual((await converge(t, place, seboolean, { name: 'httpd_x', state: false, persistent: true })).changes, [{ field: 'persistent', from: null, to: 'off' }]);
  t.deepEqual(await calls(), ['-P httpd_x off']);
}, ['dash', 'bash']);
