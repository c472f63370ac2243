import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../src/lab/run.js';
import { failureOf, Pair } from './pair.js';

let pair: Pair;

test.before(async (t) => {
  t.timeout(5 * 60_000);
  pair = await Pair.up('ways', 'test/e2e/modules');
});
test.after.always(() => pair?.down());

test.serial('every way to become somebody, and why others fail', async (t) => {
  const accounts = await pair.muster('apply', 'accounts.yml');
  t.is(accounts.code, 0, accounts.told);
  const way = (ansible_user: string, vars: object = {}) => ({ at: 'one', ansible_user, whom: 'root', ...vars });
  const su = { ansible_become_method: 'su' };
  const doas = { ansible_become_method: 'doas' };
  const good = {
    sudo: way('muster'),
    'sudo-word': way('carol', { ansible_become_password: 'pw of carol' }),
    'sudo-carol': way('muster', { ansible_become_user: 'carol', whom: 'carol' }),
    'sudo-www': way('muster', { ansible_become_user: 'www-data', whom: 'www-data' }),
    su: way('dave', { ...su, ansible_become_password: 'pw of root' }),
    'su-carol': way('dave', { ...su, ansible_become_user: 'carol', ansible_become_password: 'pw of carol', whom: 'carol' }),
    doas: way('erin', doas),
    'doas-carol': way('erin', { ...doas, ansible_become_user: 'carol', whom: 'carol' }),
  };
  const bad: { [host: string]: [ReturnType<typeof way>, RegExp] } = {
    'no-word': [way('carol'), /a password is needed/],
    wrong: [way('carol', { ansible_become_password: 'open' }), /sudo cannot become root: the password is wrong/],
    'no-sudoer': [way('dave', { ansible_become_password: 'pw of dave' }), /the rules on the host forbid it/],
    'su-wrong': [way('dave', { ...su, ansible_become_password: 'open' }), /su cannot become root: the password is wrong/],
    'doas-no': [way('dave', doas), /the rules on the host forbid it/],
    'doas-word': [way('erin', { ...doas, ansible_become_password: 'x' }), /doas takes a password from a terminal only/],
    ghost: [way('muster', { ansible_become_user: 'ghost' }), /there is no user ghost/],
    'no-doas': [{ ...way('muster', doas), at: 'two' }, /the host has no doas/],
  };
  await pair.write('ways.json', pair.inventory({ ways: { ...good, ...Object.fromEntries(Object.entries(bad).map(([name, [vars]]) => [name, vars])) } }));
  const ran = await pair.muster('apply', 'become.yml', ['-i', 'ways.json', '-vv']);
  t.is(ran.code, 3, ran.told);
  for (const host of Object.keys(good)) t.like(ran.recap[host], { failed: 0, changed: 4 }, `${host}: ${ran.told}`);
  for (const [host, [, why]] of Object.entries(bad)) {
    t.like(ran.recap[host], { ok: 0, failed: 1, unreachable: 0 }, host);
    t.regex(failureOf(ran, host).message, why, host);
    t.truthy(failureOf(ran, host).remedy, host);
  }
  t.notRegex(JSON.stringify(ran.events), /pw of/);
});

test.serial('logins that fail say why, and hinder no other host', async (t) => {
  const key = { ansible_ssh_private_key_file: join(pair.folder, 'locked') };
  const none = { ansible_ssh_private_key_file: null };
  const strange = await pair.write('strange_hosts', `${pair.address('two')} ${readFileSync(join(pair.folder, 'stranger.pub'), 'utf8')}`);
  const empty = await pair.write('no_hosts', '');
  const bad: { [host: string]: [{ [name: string]: unknown }, RegExp, RegExp] } = {
    'wrong-word': [{ at: 'one', ansible_user: 'carol', ansible_password: 'open', ...none }, /lets carol in by none of its ways: tried .*password/, /right user/],
    locked: [{ at: 'one', ...key, ansible_user: 'carol' }, /locked has a passphrase/, /ssh-add/],
    'wrong-key': [{ at: 'two', ansible_ssh_private_key_file: join(pair.folder, 'stranger') }, /lets muster in by none of its ways: tried key .*stranger/, /authorized_keys/],
    'no-key': [{ at: 'two', ansible_ssh_private_key_file: '/none/key' }, /the key \/none\/key cannot be read/, /ansible_ssh_private_key_file/],
    changed: [{ at: 'two', muster_known_hosts_file: join(pair.folder, strange) }, /the key of .* has changed/, /ssh-keygen -R/],
    unknown: [{ at: 'two', muster_known_hosts_file: join(pair.folder, empty) }, /is not known: ssh-ed25519 SHA256/, /ssh-keyscan/],
    nameless: [{ ansible_host: 'no-such-host.invalid' }, /has no address/, /ansible_host/],
    closed: [{ at: 'one', ansible_port: 2 }, /:2 refuses connections/, /ansible_port/],
  };
  const good = { one: {}, 'by-word': { at: 'one', ansible_user: 'carol', ansible_password: 'pw of carol', ...none } };
  const badHosts = Object.fromEntries(Object.entries(bad).map(([name, [vars]]) => [name, vars]));
  const inventory = await pair.write('logins.json', pair.inventory({ logins: { ...badHosts, ...good } }));
  const play = await pair.write('logins.yml', '- hosts: logins\n  tasks:\n    - {name: in, command: id -un, register: me, changed_when: false}\n    - assert: {that: me.stdout == ansible_user}\n');
  const env = { SSH_AUTH_SOCK: undefined, HOME: pair.folder };
  const ran = await pair.muster('apply', play, ['-i', inventory], env);
  t.is(ran.code, 4, ran.told);
  for (const host of Object.keys(good)) t.like(ran.recap[host], { ok: 3, failed: 0, unreachable: 0 }, host);
  for (const [host, [, why, remedy]] of Object.entries(bad)) {
    t.like(ran.recap[host], { ok: 0, failed: 0, unreachable: 1 }, host);
    t.regex(failureOf(ran, host).message, why, host);
    t.regex(failureOf(ran, host).remedy!, remedy, host);
  }

  const socket = join(pair.folder, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  t.teardown(() => void agent.kill());
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
  const ask = join(pair.folder, 'ask');
  await pair.write('ask', '#!/bin/sh\necho open sesame\n');
  await chmod(ask, 0o700);
  await run('ssh-add', ['-q', join(pair.folder, 'locked')], { env: { SSH_AUTH_SOCK: socket, SSH_ASKPASS: ask, SSH_ASKPASS_REQUIRE: 'force' } });
  const unlocked = await pair.muster('apply', play, ['-i', inventory, '--limit', 'locked'], { ...env, SSH_AUTH_SOCK: socket });
  t.is(unlocked.code, 0, unlocked.told);
});
