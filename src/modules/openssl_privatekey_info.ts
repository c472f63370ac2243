import { createPublicKey } from 'node:crypto';
import { raw, sh } from '../shell/sh.js';
import { Secret } from '../value/value.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Returns } from './module.js';
import { backend, describeKey, fed, needsOpenssl, sourceOf } from './openssl.js';
import { bool, params, path, secret } from './params.js';

const schema = params({
  path: path('The file of the key.').optional(),
  content: secret('The key itself, instead.').optional(),
  passphrase: secret('What the key is encrypted with.').optional(),
  return_private_key_data: bool('Whether its private numbers leave the host; they are masked wherever they would be shown.').default(false),
  check_consistency: bool('Whether openssl checks that its numbers belong together; the task fails where they do not.').default(false),
  select_crypto_backend: backend,
}).check((context) => {
  const { path, content } = context.value;
  if ((path === undefined) === (content === undefined)) context.issues.push({ code: 'custom', message: 'give path or content', input: context.value, path: ['path'] });
});

interface Observed {
  publicKey: string;
  /** openssl's text of the public part, and of the private one where it is to be returned. */
  publicText: string;
  privateText: string;
  isConsistent: boolean | null;
}

export const opensslPrivatekeyInfo = defineModule<typeof schema, Observed>({
  name: 'openssl_privatekey_info',
  summary: "Tells of a private key, by the host's openssl.",
  params: schema,
  returns: {
    can_load_key: 'Whether the file could be read.', can_parse_key: 'Whether it holds a key that could be read.', key_is_consistent: 'With check_consistency whether its numbers belong together; else null.',
    public_key: 'The public key, as PEM.', public_key_fingerprints: 'Hashes of it: md5, sha1, sha256, sha384, sha512.', type: 'RSA, DSA, ECC, Ed25519, X25519, Ed448 or X448.',
    public_data: 'Its public numbers: size, modulus and exponent (RSA), size, p, q, g and y (DSA), curve, exponent_size, x and y (ECC).', private_data: 'With return_private_key_data: p, q and exponent (RSA), x (DSA), multiplier (ECC).',
  },
  examples: ['- openssl_privatekey_info:\n    path: /etc/ssl/private/web.key\n  register: key\n- assert:\n    that: key.public_data.size >= 3072'],
  readOnly: true,
  inspect({ path: file, content, passphrase, return_private_key_data, check_consistency }) {
    const key = sourceOf(file, content, 3);
    const asked = (what: string) => fed([[3, content], [4, passphrase ?? '']], sh`openssl pkey -in ${key} -passin fd:4 ${raw(what)} 2>&1`);
    return sh`${needsOpenssl}
${content === undefined ? sh`h=$(cat -- ${key}) || exit` : sh`h=${content}`}
case $h in *ENCRYPTED*) e=1;; *) e=0;; esac
printf '%s\\000' "$e"
o=$(${asked('-pubout')}); printf '%s\\000' "$?" "$o"
printf '%s\\000' "$(${asked('-text_pub -noout')})" "$(${return_private_key_data ? asked('-text -noout') : raw(':')})"
c=$(${check_consistency ? asked('-check -noout') : raw(':')}); printf '%s\\000' "$?" "$c"`;
  },
  parse(output, { path: file = 'content', passphrase, check_consistency }): Observed {
    const known = { can_load_key: output.rc === 0, can_parse_key: false, key_is_consistent: null };
    if (output.rc !== 0) throw new ModuleError(`Error while reading private key file from disk: ${output.stderr.trim()}`, known);
    const [encrypted, rc, said, publicText, privateText, checked, verdict] = fields(output, `looking at ${file}`) as [string, string, string, string, string, string, string];
    const publicKey = rc === '0' ? /-----BEGIN PUBLIC KEY-----[^]*-----END PUBLIC KEY-----/.exec(said)?.[0] : undefined;
    if (publicKey === undefined) throw new ModuleError(encrypted === '1' ? `Wrong or empty passphrase provided for private key ${file}` : `cannot read the key ${file}: ${said.trim().split('\n')[0]}`, known);
    if (encrypted === '0' && passphrase !== undefined) throw new ModuleError(`a passphrase is given, but the private key ${file} is not encrypted`, known);
    const isConsistent = !check_consistency ? null : /is invalid/.test(verdict) ? false : checked === '0' ? true : null;
    if (isConsistent === false) throw new ModuleError(`Private key ${file} is not consistent!`, { ...known, can_parse_key: true, key_is_consistent: false });
    return { publicKey: `${publicKey}\n`, publicText, privateText, isConsistent };
  },
  compare: () => [],
  apply() {
    throw new ModuleError('openssl_privatekey_info changes nothing');
  },
  result({ return_private_key_data }, { publicKey, publicText, privateText, isConsistent }) {
    const { type, size, curve, fingerprint } = describeKey(publicKey);
    return {
      can_load_key: true, can_parse_key: true, key_is_consistent: isConsistent, public_key: publicKey, public_key_fingerprints: fingerprint, type,
      public_data: publicData(publicKey, type, size, curve, publicText), ...(return_private_key_data && { private_data: privateData(type, privateText) }),
    };
  },
});
export default opensslPrivatekeyInfo;

function publicData(pem: string, type: string, size: number, curve: string | undefined, text: string): Returns {
  if (type === 'DSA') return { size, p: number(text, 'P'), q: number(text, 'Q'), g: number(text, 'G'), y: number(text, 'pub') };
  if (type !== 'RSA' && type !== 'ECC') return {};
  const { n, e, x, y } = createPublicKey(pem).export({ format: 'jwk' });
  return type === 'RSA' ? { size, modulus: integer(bytes(n)), exponent: integer(bytes(e)) } : { curve, exponent_size: size, x: integer(bytes(x)), y: integer(bytes(y)) };
}

function privateData(type: string, text: string): Returns {
  const names: { [type: string]: { [name: string]: string } } = { RSA: { p: 'prime1', q: 'prime2', exponent: 'privateExponent' }, DSA: { x: 'priv' }, ECC: { multiplier: 'priv' } };
  return Object.fromEntries(Object.entries(names[type] ?? {}).map(([name, label]) => [name, new Secret(number(text, label))]));
}

/** A number in openssl's text: a line with its name, then bytes in hexadecimal, indented. @throws ModuleError where it is not there */
function number(text: string, label: string): number | bigint {
  const block = new RegExp(`^ *${label}:\\s*\\n((?: +[0-9a-f:]+\\n?)+)`, 'm').exec(`${text}\n`)?.[1];
  if (block === undefined) throw new ModuleError(`openssl does not tell the ${label} of the key`);
  return integer(block.replace(/[^0-9a-f]/g, ''));
}

const bytes = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64url').toString('hex');

/** @param hex digits */
function integer(hex: string): number | bigint {
  const value = BigInt(`0x${hex}`);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
