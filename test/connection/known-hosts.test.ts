import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { check, fingerprint, hostName, keyType, KnownHosts, knownTypes, parseKnownHosts, readKnownHosts, remember, type Verdict } from '../../src/connection/known-hosts.js';
import { keygen } from './sshd.js';

const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const pub = (name: string, ...options: string[]): string => readFileSync(`${keygen(join(folder, name), ...options)}.pub`, 'utf8').trim().split(' ').slice(0, 2).join(' ');
const mine = pub('mine');
const other = pub('other');
const rsa = pub('rsa', '-t', 'rsa', '-b', '2048');
const key = Buffer.from(mine.split(' ')[1]!, 'base64');

/** Each with the verdict on `mine` shown by a host. */
const CASES: [what: string, text: string, host: string, port: number, status: Verdict['status']][] = [
  ['plain name', `web1,198.18.0.1 ${mine}`, 'web1', 22, 'known'],
  ['address of the same line', `web1,198.18.0.1 ${mine} comment here`, '198.18.0.1', 22, 'known'],
  ['names know no case', `web1 ${mine}`, 'WEB1', 22, 'known'],
  ['another port is another host', `web1 ${mine}`, 'web1', 2222, 'unknown'],
  ['port', `[web1]:2222 ${mine}`, 'web1', 2222, 'known'],
  ['wildcard', `*.example.org ${mine}`, 'a.example.org', 22, 'known'],
  ['question mark', `web? ${mine}`, 'web12', 22, 'unknown'],
  ['negation', `*.example.org,!b.example.org ${mine}`, 'b.example.org', 22, 'unknown'],
  ['a dot is a dot', `a.b ${mine}`, 'axb', 22, 'unknown'],
  ['changed', `web1 ${other}`, 'web1', 22, 'changed'],
  ['one of two', `web1 ${other}\nweb1 ${mine}`, 'web1', 22, 'known'],
  ['another type on record', `web1 ${rsa}`, 'web1', 22, 'changed'],
  ['revoked wins', `web1 ${mine}\n@revoked * ${mine}`, 'web1', 22, 'revoked'],
  ['another key revoked', `web1 ${mine}\n@revoked * ${other}`, 'web1', 22, 'known'],
  ['authority only', `@cert-authority *.example.org ${other}`, 'a.example.org', 22, 'certificate'],
  ['a name and a pattern, in their order', `w* ${other}\nweb1 ${mine}`, 'web1', 22, 'known'],
  ['comments and rubbish', `# web1 ${other}\n\nweb1\nweb1 ${mine}`, 'web1', 22, 'known'],
];

for (const [what, text, host, port, status] of CASES) {
  test(what, (t) => {
    t.is(check(new KnownHosts(parseKnownHosts(text, 'f')).of(hostName(host, port)), key).status, status);
  });
}

test('names that ssh-keygen hashed are found, and where they stand', (t) => {
  const file = join(folder, 'hashed');
  writeFileSync(file, `web1 ${mine}\n[web2]:2222 ${other}\n`);
  execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
  t.regex(readFileSync(file, 'utf8'), /^\|1\|/);
  const entries = readKnownHosts([file, join(folder, 'missing')]);
  t.is(check(entries.of('web1'), key).status, 'known');
  const verdict = check(entries.of('[web2]:2222'), key);
  t.true(verdict.status === 'changed' && verdict.known[0]!.line === 2 && verdict.known[0]!.file === file);
});

test('a file that has changed is read again', (t) => {
  const file = join(folder, 'changing');
  writeFileSync(file, `web1 ${other}\n`);
  t.is(check(readKnownHosts([file]).of('web1'), key).status, 'changed');
  writeFileSync(file, `web1 ${other}\nweb1 ${mine}\n`);
  t.is(check(readKnownHosts([file]).of('web1'), key).status, 'known');
  rmSync(file);
  t.is(check(readKnownHosts([file]).of('web1'), key).status, 'unknown');
});

test('what is remembered is what ssh-keygen finds, plain and hashed, behind a file without a last newline', (t) => {
  for (const hash of [false, true]) {
    const file = join(folder, `new-${hash}`, 'known_hosts');
    remember(file, '[web1]:2222', key, hash);
    writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
    remember(file, 'web2', key, hash);
    t.is(statSync(file).mode & 0o777, 0o600);
    for (const name of ['[web1]:2222', 'web2']) t.regex(execFileSync('ssh-keygen', ['-F', name, '-f', file]).toString(), /found: line/);
    t.is(readFileSync(file, 'utf8').includes('web2'), !hash);
    t.is(check(readKnownHosts([file]).of('[web1]:2222'), key).status, 'known');
  }
});

test('types, fingerprint and type of a key', (t) => {
  t.deepEqual(knownTypes(parseKnownHosts(`web1 ${rsa}\nweb1 ${mine}\n@revoked web1 ${other}`, 'f')), ['ssh-rsa', 'ssh-ed25519']);
  t.is(fingerprint(key), execFileSync('ssh-keygen', ['-lf', join(folder, 'mine.pub')]).toString().split(' ')[1]!);
  t.is(keyType(key), 'ssh-ed25519');
});
