/** crypt(3): MD5 (`$1$`), SHA-256 (`$5$`) and SHA-512 (`$6$`) as glibc verifies them, after Drepper's "Unix crypt using SHA-256 and SHA-512". */
import { createHash } from 'node:crypto';

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Characters for a number, its lowest six bits first. */
function encode(number: number, count: number): string {
  let text = '';
  for (let rest = number; text.length < count; rest >>>= 6) text += ALPHABET[rest & 63];
  return text;
}

/** Bytes over and over until there are enough. */
function stretched(bytes: Buffer, length: number): Buffer {
  return Buffer.alloc(length, bytes.length > 0 ? bytes : undefined);
}

const digest = (kind: string, ...parts: Buffer[]) => createHash(kind).update(Buffer.concat(parts)).digest();

/** @param rounds 1000 to 999999999; 5000 is not written into the result */
export function shaCrypt(kind: 'sha256' | 'sha512', password: string, salt: string, rounds: number): string {
  const [key, salted] = [Buffer.from(password), Buffer.from(salt)];
  const first = digest(kind, key, salted, key);
  const mixed = [key, salted, stretched(first, key.length)];
  for (let bits = key.length; bits > 0; bits >>>= 1) mixed.push(bits & 1 ? first : key);
  let state = digest(kind, ...mixed);
  const p = stretched(digest(kind, stretched(key, key.length * key.length)), key.length);
  const s = stretched(digest(kind, stretched(salted, salted.length * (16 + state[0]!))), salted.length);
  // What is hashed has one of 42 forms; only the state in it is new each time.
  const forms = Array.from({ length: 42 }, (_, i) => {
    const middle = Buffer.concat([i % 3 ? s : '', i % 7 ? p : ''].map((part) => Buffer.from(part)));
    return { at: i % 2 ? p.length + middle.length : 0, bytes: Buffer.concat(i % 2 ? [p, middle, state] : [state, middle, p]) };
  });
  for (let i = 0; i < rounds; i++) {
    const { at, bytes } = forms[i % 42]!;
    state.copy(bytes, at);
    state = createHash(kind).update(bytes).digest();
  }
  let out = '';
  if (kind === 'sha512') {
    for (let [a, b, c] = [0, 21, 42], i = 0; i < 21; i++, [a, b, c] = [b + 1, c + 1, a + 1]) out += encode((state[a]! << 16) | (state[b]! << 8) | state[c]!, 4);
    out += encode(state[63]!, 2);
  } else {
    for (let [a, b, c] = [0, 10, 20], i = 0; i < 10; i++, [a, b, c] = [c + 1, a + 1, b + 1]) out += encode((state[a]! << 16) | (state[b]! << 8) | state[c]!, 4);
    out += encode((state[31]! << 8) | state[30]!, 3);
  }
  return `$${kind === 'sha256' ? 5 : 6}$${rounds === 5000 ? '' : `rounds=${rounds}$`}${salt}$${out}`;
}

/** Poul-Henning Kamp's MD5 crypt: for systems that know no better. @param magic `$apr1$` is Apache's own */
export function md5Crypt(password: string, salt: string, magic: '$1$' | '$apr1$' = '$1$'): string {
  const [key, salted] = [Buffer.from(password), Buffer.from(salt)];
  const mixed = [key, Buffer.from(magic), salted, stretched(digest('md5', key, salted, key), key.length)];
  for (let bits = key.length; bits > 0; bits >>>= 1) mixed.push(bits & 1 ? Buffer.alloc(1) : key.subarray(0, 1));
  let state = digest('md5', ...mixed);
  const none = Buffer.alloc(0);
  for (let i = 0; i < 1000; i++) state = digest('md5', i & 1 ? key : state, i % 3 ? salted : none, i % 7 ? key : none, i & 1 ? state : key);
  const groups = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] as const;
  return `${magic}${salt}$${groups.map(([a, b, c]) => encode((state[a]! << 16) | (state[b]! << 8) | state[c]!, 4)).join('')}${encode(state[11]!, 2)}`;
}
