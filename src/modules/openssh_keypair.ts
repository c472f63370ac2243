import { createHash } from 'node:crypto';
import { join, sh, type Sh } from '../shell/sh.js';
import { attributeParams, compareAttributes, ownership, setLabels } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, int, params, path, secret, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('The file of the private key; the public one has .pub behind it.'),
  state: choice(['present', 'absent'], 'Whether the keys shall be there.').default('present'),
  type: choice(['rsa', 'dsa', 'rsa1', 'ecdsa', 'ed25519'], 'Kind of key. (rsa1 is not supported.)').default('rsa'),
  size: int('Bits: 4096 of rsa unless given, 1024 of dsa, 256, 384 or 521 of ecdsa; without meaning for ed25519.').optional(),
  comment: str('The comment of the public key.').optional(),
  regenerate: choice(
    ['never', 'fail', 'partial_idempotence', 'full_idempotence', 'always'],
    'When a new key takes the place of one that is there: where it differs (partial_idempotence), where it cannot be read either (full_idempotence); fail fails instead.',
  ).default('partial_idempotence'),
  force: bool('As `regenerate: always`.').default(false),
  passphrase: secret('Not supported: ssh-keygen would show it to all who are on the host.').optional(),
  private_key_format: choice(['auto', 'pkcs1', 'pkcs8', 'ssh'], "auto, that of the host's ssh-keygen; others are not supported.").default('auto'),
  backend: choice(['auto', 'cryptography', 'opensshbin'], "Taken for Ansible's sake: the host's ssh-keygen does it.").default('auto'),
  unsafe_writes: bool("Taken for Ansible's sake: the files are put in place whole.").default(false),
  ...attributeParams,
}).check((context) => {
  const { type, size, passphrase, private_key_format } = context.value;
  const issue = (message: string, at: string): unknown => context.issues.push({ code: 'custom', message, input: context.value, path: [at] });
  if (type === 'rsa1') issue('type: rsa1 is not supported', 'type');
  if (passphrase !== undefined) issue('passphrase is not supported; run ssh-keygen by the expect module', 'passphrase');
  if (private_key_format !== 'auto') issue("'auto' is the only valid option for 'private_key_format'", 'private_key_format');
  if (size === undefined) return;
  if (type === 'rsa' && size < 1024) issue('For RSA keys, the minimum size is 1024 bits and the default is 4096 bits.', 'size');
  if (type === 'dsa' && size !== 1024) issue('DSA keys must be exactly 1024 bits as specified by FIPS 186-2.', 'size');
  if (type === 'ecdsa' && ![256, 384, 521].includes(size)) issue('ECDSA keys have 256, 384 or 521 bits.', 'size');
});
type Wanted = (typeof schema)['_zod']['output'];

/** A line of a public key, taken apart. */
interface PublicKey {
  type: string;
  size: number;
  /** Name of the algorithm and the key, as they stand in the line. */
  words: string;
  comment: string;
  fingerprint: string;
}
interface Observed {
  key: Entry;
  pub: Entry;
  umask: number;
  /** The public key that belongs to the private one; undefined where that is none, or cannot be read. */
  own: PublicKey | undefined;
  /** What the file of the public key holds. */
  held: PublicKey | undefined;
}

const sizeOf = ({ type, size }: Wanted): number => (type === 'ed25519' ? 256 : (size ?? { rsa: 4096, rsa1: 4096, dsa: 1024, ecdsa: 256 }[type]));

/** Reads a public key (RFC 4253, 6.6: strings with their length before them). */
function read(line: string): PublicKey | undefined {
  const [, algorithm, base64, comment = ''] = /^(\S+) ([A-Za-z0-9+/=]+)(?: (.*))?$/.exec(line.trim()) ?? [];
  if (algorithm === undefined) return undefined;
  const blob = Buffer.from(base64!, 'base64');
  const parts: Buffer[] = [];
  for (let at = 0; at + 4 <= blob.length; ) {
    const end = at + 4 + blob.readUInt32BE(at);
    parts.push(blob.subarray(at + 4, end));
    at = end;
  }
  const bits = (number: Buffer | undefined): number => (number && number.length > 0 ? BigInt(`0x${number.toString('hex')}`).toString(2).length : 0);
  const type = algorithm.startsWith('ecdsa-') ? 'ecdsa' : ({ 'ssh-rsa': 'rsa', 'ssh-dss': 'dsa', 'ssh-ed25519': 'ed25519' }[algorithm] ?? algorithm);
  const size = type === 'rsa' ? bits(parts[2]) : type === 'dsa' ? bits(parts[1]) : type === 'ecdsa' ? Number(/\d+$/.exec(algorithm)?.[0]) : 256;
  return { type, size, words: `${algorithm} ${base64}`, comment, fingerprint: `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}` };
}

export const opensshKeypair = defineModule<typeof schema, Observed, Wanted>({
  name: 'openssh_keypair',
  summary: 'Makes pairs of keys for SSH, by the ssh-keygen of the host.',
  params: schema,
  returns: { filename: 'The file of the private key.', type: 'Kind of key.', size: 'Bits.', fingerprint: 'SHA256:…', public_key: 'The public key, without its comment.', comment: 'Its comment.' },
  examples: ['- openssh_keypair:\n    path: /home/deploy/.ssh/id_ed25519\n    type: ed25519\n    comment: deploy\n    owner: deploy'],
  inspect: (wanted) => sh`command -v ssh-keygen >/dev/null || { echo 'the host has no ssh-keygen; install openssh-client' >&2; exit 1; }
k=${hostPath(wanted.path)}
y= c=
if [ -f "$k" ]; then y=$(LC_ALL=C ssh-keygen -y -P '' -f "$k" 2>/dev/null </dev/null) || y=; fi
if [ -f "$k.pub" ]; then c=$(cat "$k.pub") || exit; fi
printf '%s\\000' "$y" "$c"
${look([hostPath(wanted.path), hostPath(`${wanted.path}.pub`)], flagsLook(wanted))}`,
  parse(output, wanted): Observed {
    const all = fields(output, `looking at ${wanted.path}`);
    const [own, held] = all.splice(0, 2) as [string, string];
    const { entries, umask } = seenFields(all, 2, `looking at ${wanted.path}`);
    const [key, pub] = entries as [Entry, Entry];
    if (key.stat?.kind === 'directory') throw new ModuleError(`${key.path} is a directory. Please specify a path to a file.`);
    return { key, pub, umask, own: read(own), held: read(held) };
  },
  compare(wanted, observed) {
    const { key, pub, umask, own, held } = observed;
    if (wanted.state === 'absent') return key.stat || pub.stat ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
    const made = due(wanted, observed);
    if (made) return [made];
    const isRight = held !== undefined && held.words === own!.words && (wanted.comment === undefined || held.comment === wanted.comment);
    const line: Change[] = isRight ? [] : [{ field: 'public_key', from: held ? `${held.words} ${held.comment}`.trim() : null, to: `${own!.words} ${wanted.comment ?? own!.comment}`.trim() }];
    const attributes = [key, pub].flatMap(({ path, stat }) => (stat ? compareAttributes(wanted, stat, umask).map((change) => ({ ...change, field: path === key.path ? change.field : `${change.field} of .pub` })) : []));
    return [...line, ...attributes];
  },
  apply(wanted, _observed, changes) {
    const { path, type, comment, state } = wanted;
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    const start = sh`k=${hostPath(path)}`;
    if (state === 'absent') return { script: join([start, sh`rm -f -- "$k" "$k.pub"`]) };
    const bits = type === 'ed25519' ? [] : ['-b', String(sizeOf(wanted))];
    const make = sh`t=$(mktemp -d "$k.XXXXXX") || exit
trap 'rm -rf -- "$t"' EXIT
ssh-keygen -q -t ${type} ${bits} -C ${comment ?? ''} -N '' -f "$t/key" </dev/null >&2 && mv -f -- "$t/key" "$k" && mv -f -- "$t/key.pub" "$k.pub" || exit`;
    const restore = sh`y=$(ssh-keygen -y -P '' -f "$k" </dev/null) || exit
m=$(stat -c %a -- "$k.pub" 2>/dev/null) || m=644
printf '%s\\n' "$y" >"$k.pub.$$" && chmod "$m" "$k.pub.$$" && mv -f -- "$k.pub.$$" "$k.pub" || exit
${comment === undefined ? join([]) : sh`ssh-keygen -q -c -C ${comment} -P '' -f "$k" </dev/null >/dev/null || exit`}`;
    return { script: join([sh`export LC_ALL=C`, start, has('key') ? make : has('public_key') ? restore : join([]), settling(wanted), sh`cat -- "$k.pub"`]) };
  },
  touches: (_wanted, { key, pub }) => ({ paths: [key, pub].map(({ path }) => hostPath(path)) }),
  undo(wanted, { key, pub }, changes) {
    if (changes.some(({ field }) => field === 'key') && !key.stat && !pub.stat) return [{ module: 'openssh_keypair', args: { path: wanted.path, state: 'absent' } }];
    // A private key is not kept on the controller.
    throw new ModuleError('the old key was not kept');
  },
  verify: ({ regenerate, force }) => regenerate !== 'always' && !force,
  result(wanted, { key, own, held }, output) {
    const told = wanted.state === 'absent' ? held : ((output && read(output.stdout)) ?? held);
    return { filename: key.path, type: wanted.type, size: sizeOf(wanted), fingerprint: (told ?? own)?.fingerprint ?? '', public_key: told?.words ?? '', comment: told?.comment ?? '' };
  },
});
export default opensshKeypair;

/** Whether a new key is to be made. */
function due(wanted: Wanted, { key, own }: Observed): Change | undefined {
  const regenerate = wanted.force ? 'always' : wanted.regenerate;
  const to = `${wanted.type} ${sizeOf(wanted)}`;
  if (!key.stat) return { field: 'key', from: null, to };
  if (regenerate === 'always') return { field: 'key', from: own ? `${own.type} ${own.size}` : 'a key', to };
  if (own === undefined) {
    if (regenerate !== 'full_idempotence') throw new ModuleError('Unable to read the key. The key is protected with a passphrase or broken. Will not proceed. To force regeneration, set regenerate to full_idempotence or always, or force to true.');
    return { field: 'key', from: 'a key that cannot be read', to };
  }
  if ((own.type === wanted.type && own.size === sizeOf(wanted)) || regenerate === 'never') return undefined;
  if (regenerate === 'fail') throw new ModuleError(`Key has wrong type and/or size: it is ${own.type} ${own.size}, not ${to}. Will not proceed. To force regeneration, set regenerate to partial_idempotence, full_idempotence or always, or force to true.`);
  return { field: 'key', from: `${own.type} ${own.size}`, to };
}

/** Gives both files what the task says of owner, group, mode and the like. */
function settling({ owner, group, mode, ...others }: Wanted): Sh {
  const who = ownership(owner, group);
  return join([
    who === '' ? join([]) : sh`chown -- ${who} "$k" "$k.pub" || exit`,
    mode === undefined ? join([]) : sh`chmod -- ${/^\d+$/.test(mode) ? `0${mode}` : mode} "$k" "$k.pub" || exit`,
    ...[setLabels([sh`"$k"`, sh`"$k.pub"`], others)].map((labels) => (labels.text === '' ? labels : sh`${labels} || exit`)),
  ]);
}
