import { raw, sh, type Sh } from '../shell/sh.js';
import { attributeParams, compareAttributes } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { Secret } from '../value/value.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, int, params, path, secret, str } from './params.js';
import { backend, describeKey, fed, madeResult, makeOrRemove, needsOpenssl, telling } from './openssl.js';
import { unsafeWrites } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const CURVES = [
  'secp224r1', 'secp256k1', 'secp256r1', 'secp384r1', 'secp521r1', 'secp192r1', 'brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1',
  'sect163k1', 'sect163r2', 'sect233k1', 'sect233r1', 'sect283k1', 'sect283r1', 'sect409k1', 'sect409r1', 'sect571k1', 'sect571r1',
] as const;

const schema = params({
  path: path('The file.'),
  state: choice(['present', 'absent'], 'Whether the key shall be there.').default('present'),
  type: choice(['DSA', 'ECC', 'Ed25519', 'Ed448', 'RSA', 'X25519', 'X448'], 'Kind of key.').default('RSA'),
  size: int('Bits of a key of RSA or DSA.').default(4096),
  curve: choice(CURVES, 'Curve of an ECC key.').optional(),
  passphrase: secret('What the key is encrypted with.').optional(),
  cipher: str('How it is encrypted: a cipher of openssl; aes256 for auto.').default('auto'),
  format: choice(['pkcs1', 'pkcs8', 'raw', 'auto', 'auto_ignore'], 'pkcs1 is the traditional format; auto is that for RSA, ECC and DSA, else pkcs8; auto_ignore leaves a key of another format alone. (raw is not supported.)').default('auto_ignore'),
  format_mismatch: choice(['regenerate', 'convert'], 'What becomes of a key of another format.').default('regenerate'),
  regenerate: choice(
    ['never', 'fail', 'partial_idempotence', 'full_idempotence', 'always'],
    'When a new key takes the place of one that is there: where it differs (partial_idempotence), where it cannot be read either (full_idempotence); fail fails instead.',
  ).default('full_idempotence'),
  force: bool('As `regenerate: always`.').default(false),
  return_content: bool('Whether the result holds the key too, masked wherever it would be shown.').default(false),
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
  select_crypto_backend: backend,
  unsafe_writes: unsafeWrites,
  ...attributeParams,
}).check((context) => {
  const { type, curve, format } = context.value;
  if (type === 'ECC' && curve === undefined) context.issues.push({ code: 'custom', message: 'type: ECC needs curve', input: context.value, path: ['curve'] });
  if (format === 'raw') context.issues.push({ code: 'custom', message: 'format: raw is not supported', input: context.value, path: ['format'] });
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  entry: Entry;
  umask: number;
  /** PEM of the public key; undefined where the key cannot be read. */
  publicKey: string | undefined;
  /** Why not. */
  fault: string;
  format: 'pkcs1' | 'pkcs8' | undefined;
  /** The file, where it is to be returned. */
  content: Secret | undefined;
  isEncrypted: boolean;
}

const isTraditional = (type: string): boolean => ['RSA', 'ECC', 'DSA'].includes(type);
const formatOf = ({ format, type }: Wanted): 'pkcs1' | 'pkcs8' => (format === 'pkcs1' || format === 'pkcs8' ? format : isTraditional(type) ? 'pkcs1' : 'pkcs8');

export const opensslPrivatekey = defineModule<typeof schema, Observed, Wanted>({
  name: 'openssl_privatekey',
  summary: "Makes private keys, by the host's openssl.",
  params: schema,
  returns: {
    filename: 'The file.', type: 'Kind of key.', size: 'Bits.', curve: 'Curve of an ECC key.', fingerprint: 'Hashes of the public key: md5, sha1, sha256, sha384, sha512.', privatekey: 'The key as it stands in the file, with return_content.',
    backup_file: 'Where the old key was kept, when it was.',
  },
  examples: ['- openssl_privatekey:\n    path: /etc/ssl/private/web.key\n    type: ECC\n    curve: secp256r1'],
  inspect: (wanted) => sh`${needsOpenssl}
${look([hostPath(wanted.path)], flagsLook(wanted))}
if [ $k = file ]; then
  [ -r "$p" ] || { echo "$p: no permission to read it" >&2; exit 1; }
  h=$(grep -m 1 -e '^-----BEGIN' -- "$p"; grep -m 1 '^Proc-Type: 4,ENCRYPTED' -- "$p")
  o=$(${fed([[4, wanted.passphrase ?? '']], sh`openssl pkey -in "$p" -passin fd:4 -pubout 2>&1`)})
  printf '%s\\000' "$?" "$o" "$h" "${wanted.return_content ? raw('$(cat -- "$p")') : raw('')}"
else printf '1\\000\\000\\000\\000'; fi`,
  parse(output, { path }): Observed {
    const all = fields(output, `looking at ${path}`);
    const [rc, said, head, content] = all.splice(-4) as [string, string, string, string];
    const { entries, umask } = seenFields(all, 1, `looking at ${path}`);
    const entry = entries[0]!;
    if (entry.stat && entry.stat.kind !== 'file' && entry.stat.kind !== 'link') throw new ModuleError(`${path} is there and is no regular file but a ${entry.stat.kind}`);
    const isEncrypted = /ENCRYPTED/.test(head);
    const format = /BEGIN (RSA|EC|DSA) PRIVATE KEY/.test(head) ? 'pkcs1' : /BEGIN (ENCRYPTED )?PRIVATE KEY/.test(head) ? 'pkcs8' : undefined;
    return { entry, umask, publicKey: rc === '0' ? /-----BEGIN PUBLIC KEY-----[^]*-----END PUBLIC KEY-----/.exec(said)?.[0] : undefined, fault: said.trim().split('\n')[0] ?? '', format, content: content === '' ? undefined : new Secret(`${content}\n`), isEncrypted };
  },
  compare(wanted, observed) {
    const { entry, umask } = observed;
    if (wanted.state === 'absent') return entry.stat ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
    const what = due(wanted, observed);
    const attributes = entry.stat ? compareAttributes({ ...wanted, mode: wanted.mode ?? '0600' }, entry.stat, umask) : [];
    return what === undefined ? attributes : [what, ...attributes];
  },
  apply: (wanted, observed, changes) =>
    makeOrRemove({ ...wanted, mode: wanted.mode ?? '0600' }, observed, changes, ['key', 'format'], () => making(wanted, changes.some(({ field }) => field === 'format'))),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  verify: ({ regenerate, force }) => regenerate !== 'always' && !force,
  result(wanted, observed, output) {
    const { entry, publicKey } = observed;
    if (wanted.state === 'absent') return { filename: entry.path };
    const { publickey, privatekey, ...rest } = madeResult(entry, output);
    const content = typeof privatekey === 'string' ? new Secret(privatekey) : observed.content;
    const made = typeof publickey === 'string' ? publickey : publicKey;
    const about = made === undefined ? { type: wanted.type, size: wanted.size } : describeKey(made);
    return { ...rest, ...about, ...(wanted.return_content && content && { privatekey: content }) };
  },
});
export default opensslPrivatekey;

function due(wanted: Wanted, { entry, publicKey, fault, format, isEncrypted }: Observed): Change | undefined {
  const to = `${wanted.type} ${wanted.type === 'ECC' ? wanted.curve : isTraditional(wanted.type) ? wanted.size : ''}`.trim();
  if (entry.stat?.kind !== 'file') return { field: 'key', from: null, to };
  if (wanted.force || wanted.regenerate === 'always') return { field: 'key', from: 'a key', to };
  const readable = publicKey !== undefined && isEncrypted === (wanted.passphrase !== undefined);
  if (!readable) {
    const why = publicKey !== undefined ? (isEncrypted ? 'it is encrypted, and no passphrase is given' : 'it is not encrypted, and a passphrase is given') : fault;
    if (wanted.regenerate !== 'full_idempotence') throw new ModuleError(`cannot read the key ${entry.path}: ${why}; regenerate: full_idempotence would make a new one`);
    return { field: 'key', from: 'a key that cannot be read', to };
  }
  const { type, size, curve } = describeKey(publicKey);
  const differs = type !== wanted.type || (type === 'ECC' ? curve !== wanted.curve : isTraditional(type) && size !== wanted.size);
  if (differs && wanted.regenerate !== 'never') {
    const from = `${type} ${curve ?? size}`;
    if (wanted.regenerate === 'fail') throw new ModuleError(`${entry.path} holds another key: ${from}, not ${to}`);
    return { field: 'key', from, to };
  }
  if (wanted.format === 'auto_ignore' || format === formatOf(wanted) || wanted.regenerate === 'never') return undefined;
  if (wanted.format_mismatch === 'convert') return { field: 'format', from: format, to: formatOf(wanted) };
  if (wanted.regenerate === 'fail') throw new ModuleError(`${entry.path} holds a key of another format: ${format}, not ${formatOf(wanted)}`);
  return { field: 'key', from: `${to}, ${format}`, to: `${to}, ${formatOf(wanted)}` };
}

/** Writes the key to "$f", and tells its public key. */
function making(wanted: Wanted, isConverted: boolean): Sh {
  const { type, size, curve, passphrase, cipher } = wanted;
  const algorithm = { RSA: ['RSA', '-pkeyopt', `rsa_keygen_bits:${size}`], ECC: ['EC', '-pkeyopt', `ec_paramgen_curve:${curve === 'secp256r1' ? 'prime256v1' : curve === 'secp192r1' ? 'prime192v1' : curve}`, '-pkeyopt', 'ec_param_enc:named_curve'] }[type as 'RSA' | 'ECC'] ?? [type];
  const generate =
    type === 'DSA'
      ? sh`openssl genpkey -genparam -algorithm DSA -pkeyopt ${`dsa_paramgen_bits:${size}`} -out "$d/params" && openssl genpkey -paramfile "$d/params"`
      : sh`openssl genpkey -algorithm ${algorithm}`;
  const source = isConverted ? fed([[4, passphrase ?? '']], sh`openssl pkey -in ${hostPath(wanted.path)} -passin fd:4`) : generate;
  const traditional = formatOf(wanted) === 'pkcs1' ? sh`-traditional` : sh``;
  const encrypted = passphrase === undefined ? sh`` : sh`${`-${cipher === 'auto' ? 'aes256' : cipher}`} -passout fd:4`;
  const write = fed([[4, passphrase]], sh`openssl pkey -in "$d/plain" ${traditional} ${encrypted} -out "$f" 2>>"$d/said"`);
  return sh`{ (umask 077; ${source} >"$d/plain" 2>"$d/said" && ${write}) && printf 'publickey\\000%s\\000' "$(openssl pkey -in "$d/plain" -pubout)"${telling('privatekey', wanted.return_content)}; }`;
}
