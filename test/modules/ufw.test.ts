/** Recorded cases: a stand-in for ufw keeps its rules as ufw 0.36 does, and tells of a dry run what that does. */
import test from 'ava';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ufw } from '../../src/modules/ufw.js';
import { converge, inShells, look, type Place } from './harness.js';

const UFW = `dry=
case $1 in --dry-run) dry=y; shift ;; *) case $1 in status) ;; *) echo "$*" >>"$S/calls" ;; esac ;; esac
file() { echo '*filter'; echo ":$2-user-input - [0:0]"; echo '### RULES ###'; cat "$1"; echo '### END RULES ###'; echo COMMIT; }
case $* in
'status verbose') echo "Status: $(cat "$S/status")" ;;
'-f enable') echo active >"$S/status" ;;
'-f disable') echo inactive >"$S/status" ;;
'-f reload') ;;
'default '*) case $3 in incoming) c=INPUT ;; outgoing) c=OUTPUT ;; esac; case $2 in deny) p=DROP ;; allow) p=ACCEPT ;; esac
  sed -i "s/^DEFAULT_\${c}_POLICY=.*/DEFAULT_\${c}_POLICY=\\"$p\\"/" "$S/default" ;;
'logging '*) sed -i "s/^LOGLEVEL=.*/LOGLEVEL=$2/" "$S/ufw.conf" ;;
*' to 300.0.0.1'*) echo 'ERROR: Bad destination address' >&2; exit 1 ;;
*) verb=add; [ "$1" != delete ] || { verb=delete; shift; }
  t="### tuple ### $*"
  for v in user user6; do
    n=ufw; s=; [ $v = user ] || { n=ufw6; s=' (v6)'; case $* in *10.0.0.*) continue ;; esac; }
    cp "$S/$v.rules" "$S/new"
    if [ $verb = delete ]; then
      grep -Fxq "$t" "$S/new" || { echo "Could not delete non-existent rule$s"; continue; }
      grep -Fxv "$t" "$S/$v.rules" >"$S/new"
    else
      ! grep -Fxq "$t" "$S/new" || { echo "Skipping adding existing rule$s"; continue; }
      echo "$t" >>"$S/new"
    fi
    if [ "$dry" ]; then file "$S/new" $n; else cp "$S/new" "$S/$v.rules"; echo "Rule $verb$s"; fi
  done ;;
esac`;

async function stand(place: Place): Promise<() => Promise<string[]>> {
  const [bin, state] = [join(place.dir, '..', 'bin'), join(place.dir, '..', 'state')];
  await mkdir(bin);
  await mkdir(state);
  const files = { status: 'inactive\n', calls: '', default: 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\nDEFAULT_FORWARD_POLICY="DROP"\n', 'ufw.conf': 'ENABLED=no\nLOGLEVEL=low\n', 'user.rules': '', 'user6.rules': '' };
  for (const [name, text] of Object.entries(files)) await writeFile(join(state, name), text);
  const cat = `case $1 in /etc/default/ufw) set -- "$S/default" ;; /etc/ufw/*) set -- "$S/\${1#/etc/ufw/}" ;; esac\nexec /bin/cat "$@"`;
  for (const [name, text] of Object.entries({ ufw: UFW, cat })) await writeFile(join(bin, name), `#!/bin/sh\nS=${state}\n${text}\n`, { mode: 0o755 });
  place.env['PATH'] = `${bin}:${process.env['PATH']}`;
  return async () => {
    const text = await readFile(join(state, 'calls'), 'utf8');
    await writeFile(join(state, 'calls'), '');
    return text.split('\n').filter((line) => line !== '');
  };
}

inShells(test, 'rules are added once and deleted', async (t, place) => {
  const calls = await stand(place);
  const ssh = { rule: 'allow', to_port: 'ssh', proto: 'tcp', comment: "who's in" };
  const line = "allow from any to any port ssh proto tcp comment who's in";
  const { changes, result, wanted, observed } = await converge(t, place, ufw, ssh);
  t.deepEqual(changes, [{ field: 'rule', from: null, to: `${line}, ${line} (v6)` }]);
  t.deepEqual(result, { commands: [`ufw ${line}`], msg: 'Status: inactive' });
  t.deepEqual(ufw.undo!(wanted, observed, changes), [{ module: 'ufw', args: { rule: 'allow', route: false, log: false, from_ip: 'any', to_ip: 'any', to_port: 'ssh', proto: 'tcp', delete: true } }]);
  t.deepEqual(await calls(), [line]);
  await converge(t, place, ufw, { rule: 'deny', from_ip: '10.0.0.0/8', direction: 'in', interface: 'eth0', insert: 1, log: true });
  t.deepEqual(await calls(), ['insert 1 deny in on eth0 log from 10.0.0.0/8 to any']);
  await converge(t, place, ufw, { ...ssh, delete: true });
  t.deepEqual(await calls(), [`delete ${line}`]);
  t.deepEqual((await look(t, place, ufw, { ...ssh, delete: true })).changes, []);
  await t.throwsAsync(look(t, place, ufw, { rule: 'allow', to_ip: '300.0.0.1' }), { message: /Bad destination address/ });
}, ['dash', 'bash']);

inShells(test, 'the firewall goes on behind its rules', async (t, place) => {
  const calls = await stand(place);
  t.deepEqual((await look(t, place, ufw, { default: 'deny', logging: 'on', state: 'disabled' })).changes, []);
  const { changes, wanted, observed } = await converge(t, place, ufw, { state: 'enabled', default: 'deny', direction: 'outgoing', logging: 'full' });
  t.deepEqual(changes, [{ field: 'state', from: 'disabled', to: 'enabled' }, { field: 'default outgoing', from: 'allow', to: 'deny' }, { field: 'logging', from: 'low', to: 'full' }]);
  t.deepEqual(await calls(), ['default deny outgoing', 'logging full', '-f enable']);
  t.deepEqual(ufw.undo!(wanted, observed, changes), [{ state: 'disabled' }, { default: 'allow', direction: 'outgoing' }, { logging: 'low' }].map((args) => ({ module: 'ufw', args })));
  t.deepEqual((await converge(t, place, ufw, { state: 'reloaded' })).result, { commands: ['ufw -f reload'], msg: 'Status: active' });
}, ['dash', 'bash']);

test('what cannot be is said before', (t) => {
  const refused = (args: object): string => ufw.params.safeParse(args).error!.issues.map(({ message }: { message: string }) => message).join();
  t.regex(refused({}), /give state/);
  t.regex(refused({ rule: 'allow', interface: 'eth0' }), /needs direction/);
  t.regex(refused({ rule: 'allow', direction: 'incoming' }), /in or out/);
  t.regex(refused({ rule: 'allow', interface_in: 'a', interface_out: 'b' }), /need route: true/);
});

inShells(test, 'an empty text is none, as to the module of Ansible', async (t, place) => {
  const calls = await stand(place);
  await converge(t, place, ufw, { rule: 'allow', interface: '', direction: 'in', from_port: '', to_port: '', name: '', comment: '' });
  t.deepEqual(await calls(), ['allow in from any to any']);
});
