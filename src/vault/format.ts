/**
 * Ansible's vault format 1.1 and 1.2 (ansible-core, lib/ansible/parsing/vault): a header line
 * `$ANSIBLE_VAULT;1.1;AES256` or `$ANSIBLE_VAULT;1.2;AES256;ID`, then hexadecimal digits in lines of 80. They stand for
 * three lines, again hexadecimal: salt, MAC, ciphertext. Of password and salt PBKDF2-HMAC-SHA256 with 10000 rounds makes
 * two keys and a counter; the ciphertext is AES-256-CTR of the text padded after PKCS #7, the MAC its HMAC-SHA256.
 */
import { createCipheriv, createDecipheriv, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

const MAGIC = '$ANSIBLE_VAULT;';
const ROUNDS = 10_000;
const BLOCK = 16;
/** Digits of a line. */
const COLUMNS = 80;

/** The text is no vault's, or a damaged one. */
export class FormatError extends Error {}

/** What an encrypted text consists of. */
export interface Envelope {
  /** The vault id its header names; undefined in format 1.1. */
  id: string | undefined;
  salt: Buffer;
  mac: Buffer;
  ciphertext: Buffer;
}

/** Whether a text or file begins as an encrypted one does. */
export function isEncrypted(content: string | Buffer): boolean {
  return typeof content === 'string' ? content.startsWith(MAGIC) : content.subarray(0, MAGIC.length).toString('latin1') === MAGIC;
}

/** @throws FormatError */
export function parseEnvelope(text: string): Envelope {
  if (!isEncrypted(text)) throw new FormatError(`it does not begin with ${MAGIC}`);
  const [header, ...lines] = text.split(/\r?\n/);
  const [, version, cipher, id] = header!.split(';').map((part) => part.trim());
  if (version !== '1.1' && version !== '1.2') throw new FormatError(`its format is ${version === undefined || version === '' ? 'not named' : version}; known are 1.1 and 1.2`);
  if (cipher !== 'AES256') throw new FormatError(`its cipher is ${cipher === undefined || cipher === '' ? 'not named' : cipher}; known is AES256`);
  const inner = unhex(lines.map((line) => line.trim()).join('')).toString('latin1').split('\n');
  if (inner.length !== 3) throw new FormatError('it is not whole');
  const [salt, mac, ciphertext] = inner.map(unhex) as [Buffer, Buffer, Buffer];
  if (mac.length !== 32 || ciphertext.length === 0 || ciphertext.length % BLOCK !== 0) throw new FormatError('it is not whole');
  return { id: id === undefined || id === '' ? undefined : id, salt, mac, ciphertext };
}

function unhex(digits: string): Buffer {
  if (digits === '' || digits.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(digits)) throw new FormatError('what follows its header is not whole, or is more than hexadecimal digits');
  return Buffer.from(digits, 'hex');
}

/** What is encrypted; undefined where the password is another one (or the text was tampered with). About 10 ms. */
export function decrypt({ salt, mac, ciphertext }: Envelope, password: Buffer): Buffer | undefined {
  const { key, macKey, counter } = derive(password, salt);
  if (!timingSafeEqual(createHmac('sha256', macKey).update(ciphertext).digest(), mac)) return undefined;
  const cipher = createDecipheriv('aes-256-ctr', key, counter);
  const padded = Buffer.concat([cipher.update(ciphertext), cipher.final()]);
  const length = padded.at(-1)!;
  if (length < 1 || length > BLOCK || !padded.subarray(-length).every((byte) => byte === length)) throw new FormatError('its padding is wrong');
  return padded.subarray(0, -length);
}

/**
 * The encrypted text, with a line break at its end.
 * @param id the vault id to name; `default` and undefined give format 1.1, which names none
 * @param salt for a text that comes out the same again; a fresh one of 32 bytes otherwise
 */
export function encrypt(plain: Buffer, password: Buffer, id?: string, salt: Buffer = randomBytes(32)): string {
  const { key, macKey, counter } = derive(password, salt);
  const pad = BLOCK - (plain.length % BLOCK);
  const cipher = createCipheriv('aes-256-ctr', key, counter);
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.update(Buffer.alloc(pad, pad)), cipher.final()]);
  const mac = createHmac('sha256', macKey).update(ciphertext).digest('hex');
  const digits = Buffer.from([salt.toString('hex'), mac, ciphertext.toString('hex')].join('\n')).toString('hex');
  const header = id === undefined || id === 'default' ? `${MAGIC}1.1;AES256` : `${MAGIC}1.2;AES256;${id}`;
  return [header, ...(digits.match(new RegExp(`.{1,${COLUMNS}}`, 'g')) ?? []), ''].join('\n');
}

function derive(password: Buffer, salt: Buffer): { key: Buffer; macKey: Buffer; counter: Buffer } {
  const bytes = pbkdf2Sync(password, salt, ROUNDS, 80, 'sha256');
  return { key: bytes.subarray(0, 32), macKey: bytes.subarray(32, 64), counter: bytes.subarray(64) };
}
