import { createHash } from 'node:crypto';

/**
 * Whether a stored authentication string belongs to a password, told without logging in.
 * @param plugin of the account; `stored` as the server keeps it, one character for each byte
 * @returns undefined for a plugin whose hash is not known here
 */
export function passwordMatches(plugin: string, stored: string, password: string): boolean | undefined {
  if (plugin === 'mysql_native_password' || plugin === '') return stored.toUpperCase() === nativeHash(password);
  if (plugin === 'caching_sha2_password') {
    if (password === '' || stored === '') return password === stored;
    // $A$005$ + 20 bytes of salt + 43 of digest; the number counts thousands of rounds, in hexadecimal.
    const match = /^\$A\$([0-9A-F]{3})\$([\s\S]{20})([\s\S]{43})$/i.exec(stored);
    if (!match) return false;
    return sha256Crypt(Buffer.from(password), Buffer.from(match[2]!, 'latin1'), parseInt(match[1]!, 16) * 1000) === match[3];
  }
  if (plugin === 'sha256_password') {
    if (password === '' || stored === '') return password === stored;
    const match = /^\$5\$([\s\S]{20})\$([\s\S]{43})$/.exec(stored);
    return match !== null && sha256Crypt(Buffer.from(password), Buffer.from(match[1]!, 'latin1'), 5000) === match[2];
  }
  return undefined;
}

/** The plugins whose hash can be made with a salt of one's own. */
export const SALTED = ['caching_sha2_password', 'sha256_password'] as const;

/** What a server keeps for a password. @param salt of 20 bytes; each plugin has its own form around it */
export function saltedHash(plugin: (typeof SALTED)[number], password: string, salt: string): string {
  const digest = sha256Crypt(Buffer.from(password), Buffer.from(salt), 5000);
  return plugin === 'sha256_password' ? `$5$${salt}$${digest}` : `$A$005$${salt}${digest}`;
}

/** `*` and SHA1(SHA1(password)); an empty password has an empty hash. */
export function nativeHash(password: string): string {
  if (password === '') return '';
  const sha1 = (data: Buffer | string): Buffer => createHash('sha1').update(data).digest();
  return `*${sha1(sha1(password)).toString('hex').toUpperCase()}`;
}

/**
 * The digest of Ulrich Drepper's "Unix crypt using SHA-256", in its own base64. MySQL's salts have 20 bytes where
 * crypt(3) takes 16, so no library that keeps to crypt(3) will do.
 */
export function sha256Crypt(password: Buffer, salt: Buffer, rounds: number): string {
  const sha = (...parts: Buffer[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
  const stretched = (source: Buffer, length: number): Buffer => Buffer.alloc(length, source);

  const b = sha(password, salt, password);
  const parts = [password, salt, stretched(b, password.length)];
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? b : password);
  let digest = sha(...parts);
  const p = stretched(sha(...Array<Buffer>(password.length).fill(password)), password.length);
  const s = stretched(sha(...Array<Buffer>(16 + digest[0]!).fill(salt)), salt.length);
  for (let round = 0; round < rounds; round++) {
    const odd = round % 2 === 1;
    digest = sha(odd ? p : digest, ...(round % 3 ? [s] : []), ...(round % 7 ? [p] : []), odd ? digest : p);
  }

  const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let text = '';
  const put = (high: number, middle: number, low: number, count: number): void => {
    let value = (high << 16) | (middle << 8) | low;
    for (; count > 0; count--, value >>= 6) text += ALPHABET[value & 63];
  };
  for (const [i, j, k] of [[0, 10, 20], [21, 1, 11], [12, 22, 2], [3, 13, 23], [24, 4, 14], [15, 25, 5], [6, 16, 26], [27, 7, 17], [18, 28, 8], [9, 19, 29]] as const)
    put(digest[i]!, digest[j]!, digest[k]!, 4);
  put(0, digest[31]!, digest[30]!, 3);
  return text;
}
