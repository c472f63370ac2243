/** Digests, passwords and identifiers. */
import { createHash, getHashes } from 'node:crypto';
import { NotAheadError } from '../../value/errors.js';
import { Secret, type Value } from '../../value/value.js';
import { decrypt, encrypt as seal, FormatError, isEncrypted, parseEnvelope } from '../../vault/index.js';
import { md5Crypt, shaCrypt } from '../crypt.js';
import { bcrypt } from '../libraries.js';
import { asInt, str, truthy } from '../python.js';
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

interface Scheme {
  /** How many characters a salt has at most, and when it is made here. */
  salt: number;
  /** What Ansible 2.19 takes where none are given: the number passlib has. */
  rounds: number;
  make(password: string, salt: string, rounds: number, ident: string): string;
}

const SCHEMES: { [name: string]: Scheme } = {
  sha512: { salt: 16, rounds: 656_000, make: (password, salt, rounds) => shaCrypt('sha512', password, salt, rounds) },
  sha256: { salt: 16, rounds: 535_000, make: (password, salt, rounds) => shaCrypt('sha256', password, salt, rounds) },
  md5: { salt: 8, rounds: 0, make: (password, salt) => md5Crypt(password, salt) },
  bcrypt: { salt: 22, rounds: 12, make: (password, salt, rounds, ident) => bcrypt().hashSync(password, `$${ident}$${String(rounds).padStart(2, '0')}$${salt}`) },
};
const SCHEME_NAMES: { [name: string]: string } = { sha512_crypt: 'sha512', sha256_crypt: 'sha256', md5_crypt: 'md5', blowfish: 'bcrypt' };

/** How the filter and the lookup name a way of hashing. */
export function schemeOf(kind: string): Scheme {
  return SCHEMES[SCHEME_NAMES[kind] ?? kind] ?? fail(`password_hash knows no "${kind}"`, `it knows ${Object.keys(SCHEMES).join(', ')}`);
}

/** Hashes made before in this process: one takes about a second, and looking ahead asks for each of them too. */
const made = new Map<string, string>();

/** crypt(3), with Ansible's names of its ways. @param rounds null takes what Ansible takes; of bcrypt the cost */
export function cryptPassword(env: Env, password: string, kind: string, salt: string | null, rounds: number | null, ident: string | null = null): string {
  const scheme = schemeOf(kind);
  if (salt === null && env.scope.services.ahead) throw new NotAheadError('a password hash with a random salt');
  const own = salt ?? makeSalt(env, scheme.salt);
  const exact = scheme === SCHEMES['bcrypt'];
  if (!/^[./0-9A-Za-z]+$/.test(own) || own.length > scheme.salt || (exact && own.length < scheme.salt)) fail('the salt of password_hash has characters that crypt does not allow, or the wrong length', `use letters, digits, "." and "/", ${exact ? 'just' : 'at most'} ${scheme.salt}`);
  if (Buffer.byteLength(password) > 4096) fail('password_hash takes passwords of at most 4096 bytes');
  const steps = rounds ?? scheme.rounds;
  if (exact ? steps < 4 || steps > 31 : rounds !== null && (steps < 1000 || steps > 999_999_999)) fail(`password_hash cannot take ${steps} rounds`, exact ? 'it takes 4 to 31 for bcrypt' : 'it takes 1000 to 999999999');
  if (ident !== null && (!exact || !/^2[aby]$/.test(ident))) fail(`password_hash has no ident "${ident}" for ${kind}`, 'bcrypt has 2a, 2b and 2y');
  const key = [kind, password, own, steps, ident].join('\0');
  let hash = made.get(key);
  if (hash === undefined) made.set(key, (hash = scheme.make(password, own, steps, ident ?? '2b')));
  return hash;
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
  'password_hash(password, hashtype="sha512", salt=null, salt_size=null, rounds=null, ident=null)': (env, password, kind, salt, size, rounds, ident) =>
    cryptPassword(env, str(password), str(kind), salt === null ? (size === null ? null : makeSalt(env, asInt(size, 'salt_size'))) : str(salt), rounds === null ? null : asInt(rounds, 'rounds'), ident === null ? null : str(ident)),
  'vault(data, secret, salt=null, vault_id="filter_default", wrap_object=false, vaultid=null)': (env, data, secret, salt, id, wrap, idBefore) => {
    if (salt === null && env.scope.services.ahead) throw new NotAheadError('a vault text with a random salt');
    const sealed = seal(Buffer.from(str(data)), password(secret), str(idBefore ?? id), salt === null ? undefined : Buffer.from(str(salt)));
    return truthy(wrap) ? new Secret(str(data), sealed) : sealed;
  },
  'unvault(vault, secret, vault_id="filter_default", vaultid=null)': (_, given, secret) => {
    // Of a value that stands encrypted in a file: what stands there.
    const text = given instanceof Secret && given.sealed !== undefined ? given.sealed : str(given);
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
