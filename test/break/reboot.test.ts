import test from 'ava';
import { failureOf, Pair } from '../e2e/pair.js';

let pair: Pair;

test.before(async () => {
  pair = await Pair.up('reboots', 'test/e2e/modules');
});
test.after.always(() => pair?.down());

const boot = (host: string) => pair.on(host, 'cat /proc/sys/kernel/random/boot_id');

test.serial('reboot waits for another boot, and what was known of the host is asked anew', async (t) => {
  await pair.write(
    'reboot.yml',
    `- hosts: all
  become: true
  tasks:
    - {name: mark, command: touch /run/before}
    - {name: reboot, reboot: {reboot_timeout: 120}, register: done}
    - {name: look, stat: {path: /run/before}, register: mark}
    - {name: gone, assert: {that: "not mark.stat.exists and done.rebooted"}}
    - {name: wait, wait_for_connection: {timeout: 30}}
    - {name: after, command: id -un, register: me, changed_when: false}
    - {name: still root, assert: {that: me.stdout == 'root'}}
`,
  );
  const before = await Promise.all(['one', 'two'].map(boot));
  const plan = await pair.muster('plan', 'reboot.yml');
  t.deepEqual(await Promise.all(['one', 'two'].map(boot)), before);
  t.is(plan.results('failed').length, 0, plan.told);
  const ran = await pair.muster('apply', 'reboot.yml');
  t.is(ran.code, 0, ran.told);
  (await Promise.all(['one', 'two'].map(boot))).forEach((now, i) => t.not(now, before[i]));
});

test.serial('a host that goes away during a task is out of reach, the other goes on', async (t) => {
  await pair.write(
    'lost.yml',
    `- hosts: all
  become: true
  gather_facts: false
  tasks:
    - {name: away, command: systemctl --no-block reboot, when: inventory_hostname == 'one'}
    - {name: long, command: sleep 8}
    - {name: next, command: "true"}
    - {name: back, wait_for_connection: {timeout: 60}}
`,
  );
  const ran = await pair.muster('apply', 'lost.yml');
  t.is(ran.code, 4, ran.told);
  t.like(ran.recap['two'], { ok: 3, unreachable: 0, failed: 0 });
  t.like(ran.recap['one'], { unreachable: 1, failed: 0 });
  t.regex(failureOf(ran, 'one').message, /connection was lost|shell on the host was ended/);
});
