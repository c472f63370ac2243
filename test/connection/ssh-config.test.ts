import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ConnectionError, type Target } from '../../src/connection/connection.js';
import { jumpTarget, settings, type SshSettings } from '../../src/connection/ssh-config.js';

const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function target(host: string, config: string, more: Partial<Target> = {}): Target {
  const sshConfigFile = join(folder, `config${files++}`);
  writeFileSync(sshConfigFile, config);
  return {
    name: host,
    connection: 'ssh',
    host,
    port: undefined,
    user: undefined,
    password: undefined,
    privateKeyFile: undefined,
    connectTimeout: 0,
    hostKeyChecking: undefined,
    sshConfigFile,
    knownHostsFile: undefined,
    ...more,
  };
}

const CASES: [what: string, host: string, config: string, more: Partial<Target>, expected: Partial<SshSettings>][] = [
  ['name, user and port', 'web1', 'Host web*\n HostName 198.18.0.1\n user deploy\n PORT 2222\n', {}, { host: '198.18.0.1', user: 'deploy', port: 2222 }],
  ['what the target says wins', 'web1', 'Host web1\n User deploy\n Port 2222\n StrictHostKeyChecking no\n', { user: 'root', port: 22, hostKeyChecking: 'yes' }, { user: 'root', port: 22, hostKeyChecking: 'yes' }],
  ['the first value wins', 'web1', 'Host web1\n User a\nHost *\n User b\n ConnectTimeout 7\n', {}, { user: 'a', connectTimeout: 7 }],
  ['negated hosts', 'web1', 'Host * !web1\n Port 99\n', {}, { port: 22 }],
  ['strict modes', 'a', 'StrictHostKeyChecking accept-new\nHashKnownHosts yes\n', {}, { hostKeyChecking: 'accept-new', hashKnownHosts: true }],
  ['tokens', 'a', 'HostName %h.example.org\nUser u\nPort 77\nIdentityFile ~/.ssh/%r-%n-%h-%p-%%\n', {}, { host: 'a.example.org', identities: [`${homedir()}/.ssh/u-a-a.example.org-77-%`] }],
  ['identities add up', 'a', 'Host a\n IdentityFile /k1\n IdentitiesOnly yes\nHost *\n IdentityFile /k2\n', {}, { identities: ['/k1', '/k2'], identitiesOnly: true }],
  ['known hosts files', 'a', 'UserKnownHostsFile /a /b\nGlobalKnownHostsFile /c\n', {}, { knownHosts: ['/a', '/b'], globalKnownHosts: ['/c'] }],
  ['known hosts of the target', 'a', 'UserKnownHostsFile /a\n', { knownHostsFile: '/mine' }, { knownHosts: ['/mine'] }],
  ['jumps', 'a', 'ProxyJump one,root@two:22\n', {}, { jumps: ['one', 'root@two:22'] }],
  ['no jump', 'a', 'Host a\n ProxyJump none\nHost *\n ProxyJump gate\n', {}, { jumps: [] }],
  ['signs of life', 'a', 'ServerAliveInterval 5\nServerAliveCountMax 2\n', {}, { keepalive: { interval: 5, count: 2 } }],
  ['defaults', 'a', '', {}, { host: 'a', port: 22, hostKeyChecking: 'yes', jumps: [], connectTimeout: 10, keepalive: { interval: 15, count: 3 }, knownHosts: [`${homedir()}/.ssh/known_hosts`, `${homedir()}/.ssh/known_hosts2`] }],
];

for (const [what, host, config, more, expected] of CASES) {
  test(what, (t) => {
    t.like(settings(target(host, config, more)), expected);
  });
}

test('Include takes files in, by wildcard too, and the section around it goes on', (t) => {
  writeFileSync(join(folder, 'inc-1.conf'), 'Host web1\n User first\n');
  writeFileSync(join(folder, 'inc-2.conf'), 'Host web1\n Port 2201\n');
  const result = settings(target('web1', `Host *\n Include ${folder}/inc-*.conf\n ConnectTimeout 3\nHost web1\n User second\n`));
  t.like(result, { user: 'first', port: 2201, connectTimeout: 3 });
});

test('what cannot be done is refused with what to do instead', (t) => {
  const error = t.throws(() => settings(target('a', 'ProxyCommand nc %h %p\n')), { instanceOf: ConnectionError });
  t.regex(error.message, /ProxyCommand/);
  t.regex(error.remedy!, /ProxyJump/);
});

test('a hop has a user and a port of its own, and not the password of the target', (t) => {
  t.like(jumpTarget('ssh://me@[::1]:2222', target('a', '', { user: 'root', password: 'x', privateKeyFile: '/k' })), { host: '::1', user: 'me', port: 2222, password: undefined, privateKeyFile: undefined });
  t.like(jumpTarget('gate', target('a', '', { user: 'root', port: 1 })), { host: 'gate', user: undefined, port: undefined });
  t.throws(() => jumpTarget('a:b:c', target('a', '')), { instanceOf: ConnectionError });
});
