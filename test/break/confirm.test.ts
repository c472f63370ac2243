import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { labUp } from '../../src/lab/lab.js';
import type { Event } from '../../src/report/events.js';
import { failureOf, Pair } from '../e2e/pair.js';
import { powerOff } from '../e2e/power.js';
import type { Outcome } from '../e2e/stack.js';

/** Changes that lock Muster out, and one that does not: the host puts the old state back by itself, or keeps the new one. */
let pair: Pair;

test.before(async () => {
  pair = await Pair.up('confirm', 'test/e2e/modules');
  await pair.write(
    'firewall.yml',
    `- hosts: "{{ target | default('all') }}"
  become: true
  gather_facts: false
  vars: {rules: "tcp dport 22 accept", within: 15s}
  tasks:
    - {name: nftables, apt: {name: nftables, update_cache: true, cache_valid_time: 86400}}
    - name: firewall
      confirm: "{{ within }}"
      block:
        - name: rules
          copy:
            dest: /etc/nftables.conf
            mode: "0644"
            content: |
              flush ruleset
              table inet filter {
                chain input {
                  type filter hook input priority filter; policy drop;
                  iif lo accept
                  {{ rules }}
                }
              }
            validate: /usr/sbin/nft -c -f %s
          notify: load the rules
        - {name: at boot, service: {name: nftables, state: started, enabled: true}}
      rescue:
        - {name: rescued, copy: {dest: /run/rescued, content: "{{ ansible_failed_result.msg }}"}}
        - {name: still broken, fail: {msg: the firewall stays as it was}}
    - {name: behind, file: {path: /run/behind, state: touch}}
  handlers:
    - {name: load the rules, service: {name: nftables, state: reloaded}}
`,
  );
});
test.after.always(() => pair?.down());

/** The connection at hand goes on, a new one is not let in; and nothing at all is let through. */
const SHUT = ['-e', JSON.stringify({ rules: 'ct state established accept' })];
const CUT = ['-e', JSON.stringify({ rules: 'tcp dport 23 accept' })];
const rules = (host: string) => pair.on(host, '/usr/sbin/nft list ruleset');
/** What a confirmed block leaves on a host whatever became of it. */
const leftovers = (host: string) => pair.on(host, 'ls /var/lib/muster/confirm; systemctl list-units --all --plain --no-legend "muster-confirm-*"; find /etc -name ".muster*"');

const confirms = (run: Outcome, host: string) => run.events.flatMap((event) => (event.event === 'confirm' && event.host === host ? [event.state] : []));
const told = (run: Outcome, host: string) => run.events.findLast((event) => event.event === 'confirm' && event.host === host) as Extract<Event, { event: 'confirm' }>;

function isRolledBack(t: ExecutionContext, run: Outcome, host: string): void {
  t.deepEqual(confirms(run, host), ['arming', 'unconfirmed', 'rolled-back'], run.told);
  t.is(told(run, host).message, 'the old state is back');
}

test.serial('where the first firewall shuts SSH out, there is none again', async (t) => {
  const run = await pair.muster('apply', 'firewall.yml', [...SHUT, '-e', 'target=two']);
  t.is(run.code, 3, run.told);
  isRolledBack(t, run, 'two');
  t.is(await rules('two'), '');
  t.deepEqual((await pair.on('two', 'systemctl is-active nftables; systemctl is-enabled nftables; ls /etc/nftables.conf; :')).split('\n'), ['inactive', 'disabled', '/etc/nftables.conf']);
  t.is(await leftovers('two'), '');
});

test.serial('a good change is confirmed by a new login and stays; the second run finds nothing to do', async (t) => {
  const first = await pair.muster('apply', 'firewall.yml');
  t.is(first.code, 0, first.told);
  for (const host of ['one', 'two']) {
    t.deepEqual(confirms(first, host), ['arming', 'confirmed']);
    t.regex(await rules(host), /dport 22 accept/);
    t.is(await leftovers(host), '');
  }
  const second = await pair.muster('apply', 'firewall.yml');
  t.is(second.code, 0, second.told);
  // The file that is touched each time is not part of the block.
  for (const host of ['one', 'two']) t.like(second.recap[host], { ok: 4, changed: 1 });
  t.is(second.events.filter(({ event }) => event === 'confirm').length, 0);
});

test.serial('a plan arms nothing', async (t) => {
  const plan = await pair.muster('plan', 'firewall.yml', SHUT);
  t.is(plan.code, 2, plan.told);
  t.is(plan.events.filter(({ event }) => event === 'confirm').length, 0);
  t.is(await leftovers('one'), '');
});

test.serial('a firewall that shuts SSH out is taken back by the host, and rescue knows of it', async (t) => {
  await pair.on('two', 'rm -f /run/behind');
  const run = await pair.muster('apply', 'firewall.yml', SHUT);
  t.is(run.code, 3, run.told);
  for (const host of ['one', 'two']) {
    isRolledBack(t, run, host);
    t.regex(await rules(host), /dport 22 accept/);
    t.regex(await pair.on(host, 'cat /etc/nftables.conf'), /dport 22 accept/);
    t.is(await leftovers(host), '');
    t.not(await pair.on(host, 'cat /run/rescued'), '');
  }
  t.is(failureOf(run, 'one').message, 'the firewall stays as it was');
  t.is(await pair.on('two', 'ls /run/behind 2>/dev/null || echo none'), 'none');
  const again = await pair.muster('apply', 'firewall.yml');
  t.is(again.code, 0, again.told);
  t.like(again.recap['one'], { changed: 1 });
});

test.serial('a firewall that cuts the connection at hand is taken back too', async (t) => {
  const run = await pair.muster('apply', 'firewall.yml', [...CUT, '-e', 'target=one']);
  t.is(run.code, 3, run.told);
  isRolledBack(t, run, 'one');
  t.regex(await rules('one'), /dport 22 accept/);
  t.is(await leftovers('one'), '');
});

test.serial('an sshd that listens on another port is taken back', async (t) => {
  await pair.write(
    'sshd.yml',
    `- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: sshd
      confirm: 15s
      block:
        - name: port
          lineinfile: {path: /etc/ssh/sshd_config, regexp: "^#?Port ", line: Port 2222, validate: /usr/sbin/sshd -t -f %s}
          notify: restart sshd
  handlers:
    - {name: restart sshd, service: {name: ssh, state: restarted}}
`,
  );
  const before = await pair.on('one', 'sha256sum /etc/ssh/sshd_config; stat -c "%U %G %a" /etc/ssh/sshd_config');
  const run = await pair.muster('apply', 'sshd.yml');
  t.is(run.code, 3, run.told);
  for (const host of ['one', 'two']) {
    isRolledBack(t, run, host);
    t.regex(failureOf(run, host).message, /refuses connections/);
    t.is(await leftovers(host), '');
  }
  t.is(await pair.on('one', 'sha256sum /etc/ssh/sshd_config; stat -c "%U %G %a" /etc/ssh/sshd_config'), before);
});

test.serial('sudoers that visudo likes and that forbid us sudo are taken back', async (t) => {
  await pair.write(
    'sudoers.yml',
    `- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: sudoers
      confirm: 15s
      block:
        - copy: {dest: /etc/sudoers.d/zz-nobody, mode: "0440", content: "muster ALL = !ALL\\n", validate: /usr/sbin/visudo -cf %s}
`,
  );
  const run = await pair.muster('apply', 'sudoers.yml');
  t.is(run.code, 3, run.told);
  for (const host of ['one', 'two']) {
    isRolledBack(t, run, host);
    t.regex(failureOf(run, host).message, /cannot become root/);
    t.is(await pair.on(host, 'ls /etc/sudoers.d/zz-nobody 2>/dev/null || echo none'), 'none');
    t.is(await leftovers(host), '');
  }
});

/** Whether a new connection to its sshd is let in. */
async function answers(address: string): Promise<boolean> {
  const socket = connect({ host: address, port: 22, timeout: 2000 });
  const [what] = await Promise.race(['connect', 'timeout', 'error'].map(async (event) => [event, await once(socket, event)]));
  socket.destroy();
  return what === 'connect';
}

/** Runs the firewall that shuts us out, and kills Muster as soon as its rules are loaded. */
async function killedInBetween(host: string, within: string): Promise<void> {
  const args = ['apply', 'firewall.yml', '-i', 'hosts.json', '--output', 'json', ...SHUT, '-e', `target=${host}`, '-e', `within=${within}`];
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), ...args], { cwd: pair.folder, stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  for await (const piece of child.stdout) if (/"event":"result"[^\n]*"task":"load the rules"/.test((out += String(piece)))) break;
  child.kill('SIGKILL');
}

test.serial('Muster is killed between arming and confirming: the host puts the old state back by itself', async (t) => {
  await killedInBetween('one', '10s');
  t.false(await answers(pair.address('one')!));
  await sleep(11_000);
  t.regex(await rules('one'), /dport 22 accept/);
  // What is left to be read by the run that is no more goes with the next.
  t.regex(await pair.on('one', 'ls /var/lib/muster/confirm/*'), /rolled-back/);
});

test.serial('a host whose power is cut in between comes up with the old state', async (t) => {
  await killedInBetween('two', '1h');
  await powerOff(pair.lab.name, 'two');
  await labUp({ ...pair.lab, say: (line) => console.log(line) });
  t.regex(await rules('two'), /dport 22 accept/);
  t.regex(await pair.on('two', 'cat /etc/nftables.conf'), /dport 22 accept/);
  t.regex(await pair.on('two', 'ls /var/lib/muster/confirm/*'), /rolled-back/);
  const again = await pair.muster('apply', 'firewall.yml');
  t.is(again.code, 0, again.told);
  for (const host of ['one', 'two']) t.like(again.recap[host], { ok: 4, changed: 1 });
});
