import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { decrypt, encrypt, FormatError, isEncrypted, parseEnvelope } from '../../src/vault/format.js';
import { ansibleVault } from './ansible.js';

/** What ansible-vault of ansible-core 2.14 made: NAME.vault of NAME.plain. */
const RECORDED: { [name: string]: { password: string; id?: string } } = {
  'format-1.1': { password: 'correct horse' },
  'format-1.2': { password: 'correct horse', id: 'prod' },
  empty: { password: 'correct horse' },
  'one-block': { password: 'correct horse' },
  binary: { password: 'correct horse', id: 'prod' },
  'utf-8': { password: 'zwölf Boxkämpfer' },
};
const recorded = (name: string) => readFileSync(`test/vault/cases/${name}.vault`, 'latin1');

for (const [name, { password, id }] of Object.entries(RECORDED)) {
  test(`opens what ansible-vault made, and makes the same of it: ${name}`, (t) => {
    const plain = readFileSync(`test/vault/cases/${name}.plain`);
    const envelope = parseEnvelope(recorded(name));
    t.is(envelope.id, id);
    t.deepEqual(decrypt(envelope, Buffer.from(password)), plain);
    t.is(decrypt(envelope, Buffer.from(`${password} `)), undefined);
    t.is(encrypt(plain, Buffer.from(password), id, envelope.salt), recorded(name));
  });
}

test('ansible-vault opens what Muster makes, and the other way round', (t) => {
  t.timeout(300_000);
  const folder = mkdtempSync(join(tmpdir(), 'muster-vault-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'password');
  writeFileSync(file, 'a password\n');
  const password = Buffer.from('a password');
  for (const [id, bytes] of [['default', 0], ['prod', 15], ['prod', 16], ['default', 1000]] as const) {
    const plain = Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 37) % 256));
    const ours = join(folder, 'ours');
    writeFileSync(ours, encrypt(plain, password, id));
    t.deepEqual(ansibleVault(['decrypt', '--vault-id', `${id}@${file}`, '--output', '-', ours]), plain);
    if (bytes === 0) continue; // it takes no empty standard input
    const theirs = ansibleVault(['encrypt', '--vault-id', `${id}@${file}`, '--output', '-'], plain).toString();
    t.is(parseEnvelope(theirs).id, id === 'default' ? undefined : id);
    t.deepEqual(decrypt(parseEnvelope(theirs), password), plain);
  }
});

test('a fresh salt each time', (t) => {
  const [one, other] = [encrypt(Buffer.from('x'), Buffer.from('p')), encrypt(Buffer.from('x'), Buffer.from('p'))];
  t.not(one, other);
  t.true(one.split('\n').every((line) => line.length <= 80));
});

const whole = recorded('format-1.1');
const damaged: { [what: string]: [string, RegExp] } = {
  'no header': ['abc', /does not begin/],
  'another version': [whole.replace('1.1', '2.0'), /format is 2\.0/],
  'no version': ['$ANSIBLE_VAULT;', /format is not named/],
  'the old cipher': [whole.replace('AES256', 'AES'), /cipher is AES;/],
  'no body': ['$ANSIBLE_VAULT;1.1;AES256\n', /not whole/],
  'no hexadecimal digits': [whole.replace(/\w(?=\n$)/, 'x'), /hexadecimal/],
  'cut short': [whole.slice(0, -20), /not whole/],
  'an odd digit': [`${whole.trimEnd().slice(0, -1)}`, /not whole/],
};
for (const [what, [text, message]] of Object.entries(damaged)) {
  test(`a damaged text is refused: ${what}`, (t) => {
    t.throws(() => decrypt(parseEnvelope(text), Buffer.from('correct horse')), { instanceOf: FormatError, message });
  });
}

test('whatever is changed in it, it gives the text, nothing, or a FormatError', (t) => {
  const plain = readFileSync('test/vault/cases/format-1.1.plain');
  const password = Buffer.from('correct horse');
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.constantFrom('0', '7', 'f', '\n', ' ', ';', ''), (at, character) => {
      try {
        const found = decrypt(parseEnvelope(whole.slice(0, at) + character + whole.slice(at + 1)), password);
        return found === undefined || found.equals(plain);
      } catch (error) {
        return error instanceof FormatError;
      }
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('what begins as a vault text does, and what does not', (t) => {
  t.true(isEncrypted(whole) && isEncrypted(Buffer.from(whole)));
  t.false(isEncrypted(` ${whole}`) || isEncrypted(Buffer.from('$ANSIBLE')) || isEncrypted(''));
});
