/** Digests, passwords and identifiers. */
import { createHash, getHashes } from 'node:crypto';
import { encrypt } from 'unixcrypt';
import { NotAheadError } from '../../value/errors.js';
import { Secret, type Value } from '../../value/value.js';
import { decrypt, encrypt as seal, FormatError, isEncrypted, parseEnvelope } from '../../vault/index.js';
import { asInt, str } from '../python.js';
import { random } from '../random.js';
import { table, type Env } from '../registry.js';
import { fail, type Result } from '../undefined.js';

/** Python's names of digests where OpenSSL has others. */
const KINDS: { [name: string]: string } = { blake2b: 'blake2b512', blake2s: 'blake2s256' };

const digest = (text: Value, kind: string) => createHash(kind).update(str(text)).digest('hex');

/** Characters of a crypt(3) salt. */
const SALT = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export function makeSalt(env: Env, length: number, seed: Value = null): string {
  const next = random(env, seed);
  return Array.from({ length }, () => SALT[Math.floor(next() * SALT.length)]!).join('');
}

/** crypt(3) of SHA-512 or SHA-256, as glibc verifies it. */
export function cryptPassword(env: Env, password: string, kind: string, salt: string | null, rounds: number | null): string {
  const prefix = { sha512: '$6$', sha512_crypt: '$6$', sha256: '$5$', sha256_crypt: '$5$' }[kind];
  if (!prefix) return fail(`password_hash knows no "${kind}"`, 'it knows sha512 and sha256');
  if (salt === null && env.scope.services.ahead) throw new NotAheadError('a password hash with a random salt');
  const own = salt ?? makeSalt(env, 16);
  if (!/^[./0-9A-Za-z]{1,16}$/.test(own)) fail('the salt of password_hash has characters that crypt does not allow, or more than 16', 'use letters, digits, "." and "/"');
  const steps = rounds === null || rounds === 5000 ? '' : `rounds=${rounds}$`;
  return encrypt(password, `${prefix}${steps}${own}`);
}

function password(secret: Value): Buffer {
  const text = str(secret);
  return text === '' ? fail('the password of a vault is empty') : Buffer.from(text);
}

export const HASHES = table<Result>({
  'hash(data, hashtype="sha1")': (_, data, kind) => {
    const name = KINDS[str(kind)] ?? str(kind).replace(/^sha3_/, 'sha3-');
    return getHashes().includes(name) ? digest(data, name) : fail(`unknown hash "${str(kind)}"`, 'known are md5, sha1, sha256 and sha512');
  },
  'checksum|sha1(data)': (_, data) => digest(data, 'sha1'),
  'md5(data)': (_, data) => digest(data, 'md5'),
  'sha256(data)': (_, data) => digest(data, 'sha256'),
  'sha512(data)': (_, data) => digest(data, 'sha512'),
  'password_hash(password, hashtype="sha512", salt=null, salt_size=null, rounds=null, ident=null)': (env, password, kind, salt, size, rounds, _ident) =>
    cryptPassword(env, str(password), str(kind), salt === null ? (size === null ? null : makeSalt(env, asInt(size, 'salt_size'))) : str(salt), rounds === null ? null : asInt(rounds, 'rounds')),
  'vault(data, secret, salt=null, vault_id="filter_default", wrap_object=false, vaultid=null)': (env, data, secret, salt, id, _wrap, idBefore) => {
    if (salt === null && env.scope.services.ahead) throw new NotAheadError('a vault text with a random salt');
    return seal(Buffer.from(str(data)), password(secret), str(idBefore ?? id), salt === null ? undefined : Buffer.from(str(salt)));
  },
  'unvault(vault, secret, vault_id="filter_default", vaultid=null)': (_, given, secret) => {
    const text = str(given);
    if (!isEncrypted(text)) return given;
    try {
      const plain = decrypt(parseEnvelope(text), password(secret));
      return plain === undefined ? fail('the password of "unvault" does not fit') : new Secret(plain.toString());
    } catch (error) {
      if (error instanceof FormatError) return fail(`"unvault" was given no vault text: ${error.message}`);
      throw error;
    }
  },
  'to_uuid(string, namespace="361E6D51-FAEC-444A-9079-341386DA8E2E")': (_, text, namespace) => {
    const bytes = createHash('sha1').update(Buffer.from(str(namespace).replaceAll('-', ''), 'hex')).update(str(text)).digest().subarray(0, 16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x50;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  },
});
