import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ConnectionError, type Target } from '../../src/connection/connection.js';
import { sshArguments } from '../../src/connection/ssh-args.js';
import { ContentError } from '../../src/value/errors.js';
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
  for (const other of ['.inc-0.conf', 'INC-0.conf', 'inc-9.conf']) writeFileSync(join(folder, other), 'Host web1\n User other\n Port 1\n');
  const result = settings(target('web1', `Host *\n Include ${folder}/*inc-[12]*.conf\n ConnectTimeout 3\nHost web1\n User second\n`));
  t.like(result, { user: 'first', port: 2201, connectTimeout: 3 });
  // As glob(3) has it, folders may be meant by patterns too.
  mkdirSync(join(folder, 'more.d'));
  writeFileSync(join(folder, 'more.d', 'own'), 'User fourth\n');
  t.is(settings(target('web1', `Include ${folder}/mo*.d/*\n`)).user, 'fourth');
});

test('arguments of ssh count before the files, and not for a jump host', (t) => {
  const { options, configFile } = sshArguments(`-C -o ControlMaster=auto -J 'gate' -oPort=2222 -o "StrictHostKeyChecking no" -vvp 2223 -F /etc/other -i ~/k`);
  t.is(configFile, '/etc/other');
  const from = target('a', 'Port 99\nUser b\nProxyJump other\n', { sshOptions: options });
  const { port, user, jumps, hostKeyChecking, identities } = settings(from);
  t.like({ port, user, jumps, hostKeyChecking, identities }, { port: 2222, user: 'b', jumps: ['gate'], hostKeyChecking: 'off', identities: [`${homedir()}/k`] });
  t.deepEqual(settings(jumpTarget('gate', from)).jumps, ['other']);
  t.is(settings(target('a', 'ProxyCommand nc -X %h %p\n')).proxyCommand, 'nc -X a 22');
  t.is(settings(target('a', 'ProxyJump j\nProxyCommand nc -X %h %p\n')).proxyCommand, undefined);
  for (const wrong of ['web1', '-o', '-o =', '-%']) t.throws(() => sshArguments(wrong), { instanceOf: ContentError });
});

test('a hop has a user and a port of its own, and not the password of the target', (t) => {
  t.like(jumpTarget('ssh://me@[::1]:2222', target('a', '', { user: 'root', password: 'x', privateKeyFile: '/k' })), { host: '::1', user: 'me', port: 2222, password: undefined, privateKeyFile: undefined });
  t.like(jumpTarget('gate', target('a', '', { user: 'root', port: 1 })), { host: 'gate', user: undefined, port: undefined });
  t.throws(() => jumpTarget('a:b:c', target('a', '')), { instanceOf: ConnectionError });
});
