import { sh, type Sh } from '../shell/sh.js';
import { attributeParams, compareAttributes } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, int, params, path, secret, str } from './params.js';
import { backend, fed, keyParams, madeResult, makeOrRemove, needsOpenssl, normalized, returnContent, sourceOf, telling } from './openssl.js';
import { unsafeWrites } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const IDENTIFIER = ['create_if_not_provided', 'always_create', 'never_create'] as const;
const time = (which: string, more: string) => str(`When it ${which}: from now on (+3650d; w, d, h, m, s), or a time as 20301231235959Z. ${more}`);

const schema = params({
  path: path('The file.'),
  state: choice(['present', 'absent'], 'Whether the certificate shall be there.').default('present'),
  provider: choice(['selfsigned', 'ownca'], "Who signs it: its own key, or an authority's. (For ACME see the role certificate.)").optional(),
  csr_path: path('The file of the request.').optional(),
  csr_content: str('The request itself, instead.').optional(),
  ...keyParams,
  selfsigned_digest: str('Hash it is signed with.').default('sha256'),
  selfsigned_version: int('The only version there is.').default(3),
  selfsigned_not_before: time('begins', 'Other times than +0s need OpenSSL 3.4 on the host.').meta({ aliases: ['selfsigned_notBefore'] }).default('+0s'),
  selfsigned_not_after: time('ends', 'Others than whole days need OpenSSL 3.4 on the host.').meta({ aliases: ['selfsigned_notAfter'] }).default('+3650d'),
  selfsigned_create_subject_key_identifier: choice(IDENTIFIER, 'Whether it has an identifier made from its key.').default('create_if_not_provided'),
  ownca_path: path('The file of the certificate of the authority.').optional(),
  ownca_content: str('The certificate itself, instead.').optional(),
  ownca_privatekey_path: path('The file of the private key of the authority.').optional(),
  ownca_privatekey_content: secret('The key itself, instead.').optional(),
  ownca_privatekey_passphrase: secret('What the key is encrypted with.').optional(),
  ownca_digest: str('Hash it is signed with.').default('sha256'),
  ownca_version: int('The only version there is.').default(3),
  ownca_not_before: time('begins', 'Other times than +0s need OpenSSL 3.4 on the host.').default('+0s'),
  ownca_not_after: time('ends', 'Others than whole days need OpenSSL 3.4 on the host.').default('+3650d'),
  ownca_create_subject_key_identifier: choice(IDENTIFIER, 'Whether it has an identifier made from its key.').default('create_if_not_provided'),
  ownca_create_authority_key_identifier: bool("Whether it has the identifier of the authority's key.").default(true),
  ignore_timestamps: bool('A certificate of other times counts as right. (false is not supported: renew by `force` or by a check of your own.)').default(true),
  force: bool('Make a new one in any case.').default(false),
  return_content: returnContent,
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
  select_crypto_backend: backend,
  unsafe_writes: unsafeWrites,
  ...attributeParams,
}).check((context) => {
  const args = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: args, path: [path] });
  if (args.state === 'absent') return;
  if (args.provider === undefined) issue('state: present needs provider', 'provider');
  if (!args.ignore_timestamps) issue('ignore_timestamps: false is not supported', 'ignore_timestamps');
  const one = (...names: ('csr_path' | 'csr_content' | 'ownca_path' | 'ownca_content' | 'ownca_privatekey_path' | 'ownca_privatekey_content' | 'privatekey_path' | 'privatekey_content')[]): boolean => names.filter((name) => args[name] !== undefined).length === 1;
  if (args.provider === 'selfsigned' && !one('privatekey_path', 'privatekey_content')) issue('provider: selfsigned needs privatekey_path or privatekey_content', 'privatekey_path');
  if (args.provider !== undefined && !one('csr_path', 'csr_content')) issue('give csr_path or csr_content', 'csr_path');
  if (args.provider === 'ownca' && !one('ownca_path', 'ownca_content')) issue('provider: ownca needs ownca_path or ownca_content', 'ownca_path');
  if (args.provider === 'ownca' && !one('ownca_privatekey_path', 'ownca_privatekey_content')) issue('provider: ownca needs ownca_privatekey_path or ownca_privatekey_content', 'ownca_privatekey_path');
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  entry: Entry;
  umask: number;
  /** PEM of what is there. */
  content: string;
  /** openssl's texts of what is there, and of what would be made. */
  present: string;
  wanted: string;
  /** Whether the one who is to sign it signed what is there. */
  isSigned: boolean;
}

export const x509Certificate = defineModule<typeof schema, Observed, Wanted>({
  name: 'x509_certificate',
  summary: "Signs certificates, by the host's openssl (version 3).",
  params: schema,
  returns: { filename: 'The file.', privatekey: 'The file of the key.', csr: 'The file of the request.', ca_cert: 'The file of the authority.', certificate: 'The certificate, with return_content.', backup_file: 'Where the old file was kept, when it was.' },
  examples: [
    `- x509_certificate:
    path: /etc/ssl/web.crt
    provider: ownca
    csr_path: /etc/ssl/web.csr
    ownca_path: /etc/ssl/ca.crt
    ownca_privatekey_path: /etc/ssl/private/ca.key
    ownca_not_after: +397d
`,
  ],
  inspect(wanted) {
    const { path } = wanted;
    if (wanted.state === 'absent') return sh`${look([hostPath(path)], flagsLook(wanted))}; printf '\\000\\000\\000\\000'`;
    const verified = fed(
      [[5, wanted.ownca_content]],
      wanted.provider === 'ownca'
        ? sh`openssl verify -partial_chain -no_check_time -trusted ${sourceOf(wanted.ownca_path, wanted.ownca_content, 5)} "$p"`
        : sh`openssl verify -partial_chain -no_check_time -check_ss_sig -trusted "$p" "$p"`,
    );
    return sh`${needsOpenssl}
${look([hostPath(path)], flagsLook(wanted))}
c= t= s=
if [ $k = file ]; then
  c=$(cat "$p") || exit
  t=$(openssl x509 -in "$p" -noout -text 2>/dev/null)
  { ${verified}; } >/dev/null 2>&1 && s=y
fi
n=$(${signed(wanted, true)}) || exit
n=$(printf '%s\\n' "$n" | openssl x509 -noout -text) || exit
printf '%s\\000' "$c" "$t" "$n" "$s"`;
  },
  parse(output, { path }): Observed {
    const all = fields(output, `looking at ${path}`);
    const [content, present, wanted, signed] = all.splice(-4) as [string, string, string, string];
    const { entries, umask } = seenFields(all, 1, `looking at ${path}`);
    return { entry: entries[0]!, umask, content, present: normalized(present), wanted: normalized(wanted), isSigned: signed === 'y' };
  },
  compare(args, { entry, umask, present, wanted, isSigned }): Change[] {
    if (args.state === 'absent') return entry.stat ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
    const attributes = entry.stat ? compareAttributes(args, entry.stat, umask) : [];
    if (present === wanted && isSigned && !args.force) return attributes;
    const from = present === '' ? null : present === wanted ? 'signed by another key' : present;
    return [{ field: 'certificate', from, to: wanted }, ...attributes];
  },
  apply: (wanted, observed, changes) =>
    makeOrRemove(wanted, observed, changes, ['certificate'], () => sh`{ { ${signed(wanted, false)}; } >"$f" 2>"$d/said"${telling('certificate', wanted.return_content)}; }`),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  verify: ({ force }) => !force,
  result(wanted, { entry, content }, output) {
    return {
      privatekey: wanted.privatekey_path, csr: wanted.csr_path, ...(wanted.provider === 'ownca' ? { ca_cert: wanted.ownca_path } : {}),
      ...(wanted.return_content && !output ? { certificate: `${content}\n` } : {}), ...madeResult(entry, output),
    };
  },
});
export default x509Certificate;

/**
 * A command that prints the certificate.
 * @param isTrial only its subject, key and extensions count
 */
function signed(wanted: Wanted, isTrial: boolean): Sh {
  const own = wanted.provider === 'ownca';
  const [digest, from, to, identifier] = own
    ? [wanted.ownca_digest, wanted.ownca_not_before, wanted.ownca_not_after, wanted.ownca_create_subject_key_identifier]
    : [wanted.selfsigned_digest, wanted.selfsigned_not_before, wanted.selfsigned_not_after, wanted.selfsigned_create_subject_key_identifier];
  // What the request has stays; `always` is what openssl does with a hash of its own behind it.
  const extensions = `subjectKeyIdentifier = ${identifier === 'never_create' ? 'none' : 'hash'}\nauthorityKeyIdentifier = ${own && wanted.ownca_create_authority_key_identifier ? 'keyid' : 'none'}\n`;
  const signer = own
    ? sh`-CA ${sourceOf(wanted.ownca_path, wanted.ownca_content, 5)} -CAkey ${sourceOf(wanted.ownca_privatekey_path, wanted.ownca_privatekey_content, 6)} -passin fd:4`
    : sh`-key ${sourceOf(wanted.privatekey_path, wanted.privatekey_content, 3)} -passin fd:4`;
  const serial = isTrial ? sh`1` : sh`0x$(openssl rand -hex 19)`;
  const command = sh`printf %s ${extensions} | openssl x509 -req -in ${sourceOf(wanted.csr_path, wanted.csr_content, 7)} ${signer} ${`-${digest}`} -set_serial ${serial} -copy_extensions copyall -extfile /dev/stdin ${isTrial ? [] : validity(from, to)}`;
  const passphrase = own ? wanted.ownca_privatekey_passphrase : wanted.privatekey_passphrase;
  return fed([[3, own ? undefined : wanted.privatekey_content], [4, passphrase ?? ''], [5, wanted.ownca_content], [6, wanted.ownca_privatekey_content], [7, wanted.csr_content]], command);
}

const UNITS: { [unit: string]: number } = { w: 604800, d: 86400, h: 3600, m: 60, s: 1 };

/** `+32w1d2h` in seconds; undefined of an absolute time. */
function relative(text: string): number | undefined {
  const match = /^([+-])((?:\d+[wdhms])+)$/.exec(text);
  if (!match) return undefined;
  const seconds = [...match[2]!.matchAll(/(\d+)([wdhms])/g)].reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit!]!, 0);
  return match[1] === '-' ? -seconds : seconds;
}

function validity(from: string, to: string): string[] {
  const [begin, end] = [relative(from), relative(to)];
  if (begin === 0 && end !== undefined && end > 0 && end % 86400 === 0) return ['-days', String(end / 86400)];
  const absolute = (text: string, seconds: number | undefined): string => {
    if (seconds !== undefined) return `${new Date(Date.now() + seconds * 1000).toISOString().replace(/[-:T]|\.\d+/g, '')}`;
    if (!/^\d{14}Z$/.test(text)) throw new ModuleError(`"${text}" is no time; write +365d or 20301231235959Z`);
    return text;
  };
  return ['-not_before', absolute(from, begin), '-not_after', absolute(to, end)];
}
