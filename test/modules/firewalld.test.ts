/** Recorded cases: a stand-in for firewall-cmd 1.3 keeps settings as lines "zone name value"; it runs where `running` is there. */
import test from 'ava';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { firewalld } from '../../src/modules/firewalld.js';
import { converge, inShells, look, type Place } from './harness.js';

const CMD = `f=$S/runtime zone=public
[ "$OFFLINE" ] && f=$S/permanent || [ -e "$S/running" ] || { echo 'FirewallD is not running'; exit 252; }
case $* in *--add-*|*--remove-*|*--set-*|*--new-*|*--delete-*|*--change-*) echo "\${0##*/} $*" >>"$S/calls" ;; esac
values() { sed -n "s/^$zone $1 //p" "$f" | tr '\\n' ' '; }
flag() { if grep -qx "$zone $1 yes" "$f"; then echo yes; else echo no; fi; }
for a in "$@"; do
  v=\${a#*=}
  case $a in
  --permanent) f=$S/permanent ;;
  --zone=*) zone=$v ;;
  --timeout=*) ;;
  --get-default-zone) echo public ;;
  --list-all-zones)
    for zone in $(sed -n 's/ zone yes$//p' "$f"); do
      printf '%s (active)\\n  target: %s\\n  icmp-block-inversion: %s\\n  interfaces: %s\\n' "$zone" "$(values target)" "$(flag icmp-block-inversion)" "$(values interface)"
      for n in source service port protocol; do printf '  %ss: %s\\n' $n "$(values $n)"; done
      printf '  forward: %s\\n  masquerade: %s\\n  forward-ports: \\n' "$(flag forward)" "$(flag masquerade)"
      sed -n "s/^$zone forward-port \\(.*\\)/\\t\\1:toaddr=/p" "$f"
      printf '  source-ports: \\n  icmp-blocks: %s\\n  rich rules: \\n' "$(values icmp-block)"
      sed -n "s/^$zone rich-rule /\\t/p" "$f"; echo
    done ;;
  --get-zone-of-interface=*) z=$(sed -n "s/ interface $v$//p" "$f"); [ "$z" ] || { echo 'no zone' >&2; exit 2; }; echo "$z" ;;
  --query-rich-rule=*) case $v in *bad*) echo 'Error: INVALID_RULE: unknown element bad' >&2; exit 122 ;; esac; grep -Fxq "$zone rich-rule $v" "$f" || { echo no; exit 1; } ;;
  --change-interface=*) sed -i "/ interface $v$/d" "$f"; echo "$zone interface $v" >>"$f" ;;
  --set-target=*) sed -i "/^$zone target /d" "$f"; echo "$zone target $v" >>"$f" ;;
  --new-zone=*) echo "$v zone yes" >>"$f"; echo "$v target default" >>"$f" ;;
  --delete-zone=*) sed -i "/^$v /d" "$f" ;;
  --add-service=nosuch) echo "Error: INVALID_SERVICE: Zone 'public': 'nosuch' not among existing services" >&2; exit 101 ;;
  --add-*=*) n=\${a%%=*}; echo "$zone \${n#--add-} $v" >>"$f" ;;
  --remove-*=*) n=\${a%%=*}; grep -Fxv "$zone \${n#--remove-} $v" "$f" >"$f.new"; mv "$f.new" "$f" ;;
  --add-*) echo "$zone \${a#--add-} yes" >>"$f" ;;
  --remove-*) grep -Fxv "$zone \${a#--remove-} yes" "$f" >"$f.new"; mv "$f.new" "$f" ;;
  esac
done`;

async function stand(place: Place): Promise<{ calls: () => Promise<string[]>; stop: () => Promise<void> }> {
  const [bin, state] = [join(place.dir, '..', 'bin'), join(place.dir, '..', 'state')];
  await mkdir(bin);
  await mkdir(state);
  const settings = 'dmz zone yes\ndmz target default\npublic zone yes\npublic target default\npublic service ssh\npublic forward yes\npublic port 8000-8100/tcp\n';
  for (const [name, text] of Object.entries({ permanent: settings, runtime: settings, running: '', calls: '' })) await writeFile(join(state, name), text);
  await writeFile(join(bin, 'firewall-cmd'), `#!/bin/sh\nS=${state} OFFLINE=\n${CMD}\n`, { mode: 0o755 });
  await writeFile(join(bin, 'firewall-offline-cmd'), `#!/bin/sh\nS=${state} OFFLINE=y\n${CMD}\n`, { mode: 0o755 });
  place.env['PATH'] = `${bin}:${process.env['PATH']}`;
  return {
    async calls() {
      const text = await readFile(join(state, 'calls'), 'utf8');
      await writeFile(join(state, 'calls'), '');
      return text.split('\n').filter((line) => line !== '');
    },
    stop: () => rm(join(state, 'running')),
  };
}

inShells(test, 'what is on and off in a zone', async (t, place) => {
  const { calls } = await stand(place);
  const both = { state: 'enabled', permanent: true, immediate: true };
  const { changes, result, wanted, observed } = await converge(t, place, firewalld, { service: 'https', timeout: 60, ...both });
  t.deepEqual(changes, ['permanent', 'immediate'].map((field) => ({ field, from: null, to: 'service https in public' })));
  t.deepEqual(result, { msg: 'Permanent and Non-Permanent(immediate) operation, Changed service https to enabled' });
  t.deepEqual(await calls(), ['firewall-cmd --permanent --zone=public --add-service=https', 'firewall-cmd --zone=public --add-service=https --timeout=60']);
  t.deepEqual(firewalld.undo!(wanted, observed, changes), [true, false].map((permanent) => ({ module: 'firewalld', args: { service: 'https', zone: 'public', permanent, state: 'disabled' } })));
  t.deepEqual(firewalld.touches!(wanted, observed, changes).services, [{ name: 'firewalld', how: 'reload' }]);

  t.deepEqual((await look(t, place, firewalld, { port: '8080-8081/tcp', state: 'enabled' })).changes, [], 'ports within those that are open');
  t.is((await look(t, place, firewalld, { port: '8080/udp', state: 'enabled' })).changes.length, 1);
  t.deepEqual((await look(t, place, firewalld, { service: 'nosuch', ...both, state: 'disabled' })).changes, []);
  await t.throwsAsync(converge(t, place, firewalld, { service: 'nosuch', ...both }), { message: /^ERROR: Exception caught: INVALID_SERVICE: Zone/ });
  await t.throwsAsync(look(t, place, firewalld, { rich_rule: 'rule bad', state: 'enabled' }), { message: 'ERROR: Exception caught: INVALID_RULE: unknown element bad' });
  await t.throwsAsync(look(t, place, firewalld, { service: 'ssh', zone: 'nowhere', state: 'enabled' }), { message: 'ERROR: Exception caught: INVALID_ZONE: nowhere' });
  await calls();

  const last = async (args: object): Promise<[unknown, string[]]> => [(await converge(t, place, firewalld, { permanent: true, ...args })).result['msg'], await calls()];
  const cmd = (option: string, zone = 'dmz'): string[] => [`firewall-cmd --permanent --zone=${zone} ${option}`];
  t.deepEqual(await last({ zone: 'dmz', rich_rule: 'rule protocol value="esp" accept', state: 'enabled' }), ['Permanent operation, Changed rich_rule rule protocol value="esp" accept to enabled', cmd('--add-rich-rule=rule protocol value="esp" accept')]);
  t.deepEqual(await last({ zone: 'dmz', masquerade: true, state: 'enabled' }), ['Permanent operation, Added masquerade to zone dmz', cmd('--add-masquerade')]);
  t.deepEqual(await last({ forward: false, state: 'enabled' }), ['Permanent operation, Removed forward from zone public', cmd('--remove-forward', 'public')]);
  t.deepEqual(await last({ zone: 'dmz', icmp_block: 'echo-reply', state: 'enabled' }), ['Permanent operation, Changed icmp-block echo-reply to enabled', cmd('--add-icmp-block=echo-reply')]);
  t.deepEqual(await last({ zone: 'dmz', icmp_block_inversion: true, state: 'enabled' }), ['Permanent operation, Changed icmp-block-inversion True to enabled', cmd('--add-icmp-block-inversion')]);
  t.deepEqual(await last({ zone: 'dmz', port_forward: [{ port: 443, proto: 'tcp', toport: 8443 }], state: 'enabled' }), ['Permanent operation, Changed port_forward port=443:proto=tcp:toport=8443:toaddr= to enabled', cmd('--add-forward-port=port=443:proto=tcp:toport=8443')]);
  t.deepEqual(await last({ zone: 'dmz', source: '192.0.2.0/24', state: 'enabled' }), ['Permanent operation, Added 192.0.2.0/24 to zone dmz', cmd('--add-source=192.0.2.0/24')]);
  t.deepEqual(await last({ zone: 'dmz', source: '192.0.2.0/24', state: 'disabled' }), ['Permanent operation, Removed 192.0.2.0/24 from zone dmz', cmd('--remove-source=192.0.2.0/24')]);
  t.deepEqual(await last({ zone: 'dmz', target: 'DROP', state: 'present' }), ['Permanent operation, Set zone dmz target to DROP', cmd('--set-target=DROP')]);
  t.deepEqual(await last({ zone: 'dmz', target: 'DROP', state: 'absent' }), ['Permanent operation, Reset zone dmz target to default', cmd('--set-target=default')]);
  t.deepEqual(await last({ zone: 'mine', state: 'present' }), ['Permanent operation, Added zone mine, Changed zone mine to present', ['firewall-cmd --permanent --new-zone=mine']]);
  t.deepEqual(await last({ zone: 'mine', state: 'absent' }), ['Permanent operation, Removed zone mine, Changed zone mine to absent', ['firewall-cmd --permanent --delete-zone=mine']]);

  t.deepEqual(await last({ zone: 'dmz', interface: 'eth1', state: 'enabled' }), ['Permanent operation, Changed eth1 to zone dmz', cmd('--change-interface=eth1')]);
  const moved = await converge(t, place, firewalld, { zone: 'public', interface: 'eth1', state: 'enabled', permanent: true });
  t.deepEqual(moved.changes, [{ field: 'permanent', from: 'interface eth1 in dmz', to: 'interface eth1 in public' }]);
  t.deepEqual(firewalld.undo!(moved.wanted, moved.observed, moved.changes), [{ module: 'firewalld', args: { interface: 'eth1', zone: 'dmz', permanent: true, state: 'enabled' } }]);
}, ['dash', 'busybox']);

inShells(test, 'where firewalld does not run', async (t, place) => {
  const { calls, stop } = await stand(place);
  await stop();
  const args = { service: 'http', state: 'enabled', permanent: true, immediate: true };
  await t.throwsAsync(look(t, place, firewalld, args), { message: /firewall is not currently running/ });
  const { result } = await converge(t, place, firewalld, { ...args, offline: true });
  t.deepEqual(result, { msg: 'Permanent operation, Changed service http to enabled, (offline operation: only on-disk configs were altered)' });
  t.deepEqual(await calls(), ['firewall-offline-cmd --zone=public --add-service=http']);
}, ['dash']);

test('what cannot be is said before', (t) => {
  const refused = (args: object): string => firewalld.params.safeParse({ state: 'enabled', ...args }).error!.issues.map(({ message }: { message: string }) => message).join();
  t.regex(refused({ service: 'a', port: '1/tcp' }), /exclude each other/);
  t.regex(refused({ interface: 'eth0' }), /needs zone/);
  t.regex(refused({ port: '80' }), /improper port format/);
  t.regex(refused({ offline: true }), /offline cannot be enabled/);
  t.regex(refused({ service: 'a', state: 'present' }), /zone level operations/);
  t.regex(refused({ zone: 'a', state: 'present' }), /must be permanent/);
  t.regex(refused({ port_forward: [{ port: 1, proto: 'tcp', toport: 2 }, { port: 1, proto: 'tcp', toport: 2 }] }), /Only one port forward/);
});
