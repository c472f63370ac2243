import { isIP } from 'node:net';
import { z } from 'zod';
import { sh, type Sh } from '../shell/sh.js';
import { attributeParams, compareAttributes } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, dict, int, list, params, path, str } from './params.js';
import { backend, fed, keyParams, madeResult, makeOrRemove, names, needsOpenssl, normalized, returnContent, sourceOf, SUBJECT, value, telling } from './openssl.js';
import { unsafeWrites } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const point = params({
  full_name: list('Where the list is: URI:….').optional(),
  reasons: list('What it is about: key_compromise, ca_compromise, …; all unless given.').optional(),
  crl_issuer: list('Who signs it. (Not supported.)').optional(),
  relative_name: list('Not supported.').optional(),
});

/** Serial numbers have up to 160 bits: more than a number holds, so digits. */
const serial = z.union([z.number(), z.string()]).transform((value, context) => {
  if (/^\s*\+?\d+\s*$/.test(String(value))) return BigInt(String(value).trim().replace('+', '')).toString();
  context.addIssue({ code: 'custom', message: `"${value}" is not a whole number` });
  return z.NEVER;
});

const subjectParts = z.array(z.record(z.string(), z.unknown()));

const schema = params({
  path: path('The file.'),
  state: choice(['present', 'absent'], 'Whether the request shall be there.').default('present'),
  ...keyParams,
  digest: str('Hash it is signed with.').default('sha256'),
  version: int('The only version there is.').default(1),
  subject: dict('Parts of the subject: CN, O, …; a list for several of a kind.').optional(),
  subject_ordered: subjectParts.meta({ description: 'The same, in this order: a list of dicts of one part each.', title: 'list' }).optional(),
  country_name: str('C of the subject.').meta({ aliases: ['C', 'countryName'] }).optional(),
  state_or_province_name: str('ST of the subject.').meta({ aliases: ['ST', 'stateOrProvinceName'] }).optional(),
  locality_name: str('L of the subject.').meta({ aliases: ['L', 'localityName'] }).optional(),
  organization_name: str('O of the subject.').meta({ aliases: ['O', 'organizationName'] }).optional(),
  organizational_unit_name: str('OU of the subject.').meta({ aliases: ['OU', 'organizationalUnitName'] }).optional(),
  common_name: str('CN of the subject.').meta({ aliases: ['CN', 'commonName'] }).optional(),
  email_address: str('Address of the subject.').meta({ aliases: ['E', 'emailAddress'] }).optional(),
  subject_alt_name: list('Names it stands for: DNS:…, IP:…, email:…, URI:….').meta({ aliases: ['subjectAltName'] }).optional(),
  subject_alt_name_critical: bool('Whether who does not know this extension must refuse.').meta({ aliases: ['subjectAltName_critical'] }).default(false),
  use_common_name_for_san: bool('Without subject_alt_name, common_name stands there too.').meta({ aliases: ['useCommonNameForSAN'] }).default(true),
  key_usage: list('What the key is for: digitalSignature, keyEncipherment, keyCertSign, ….').meta({ aliases: ['keyUsage'] }).optional(),
  key_usage_critical: bool('As subject_alt_name_critical.').meta({ aliases: ['keyUsage_critical'] }).default(false),
  extended_key_usage: list('Who it is for: serverAuth, clientAuth, ….').meta({ aliases: ['extKeyUsage', 'extendedKeyUsage'] }).optional(),
  extended_key_usage_critical: bool('As subject_alt_name_critical.').meta({ aliases: ['extKeyUsage_critical', 'extendedKeyUsage_critical'] }).default(false),
  basic_constraints: list('CA:TRUE or CA:FALSE, pathlen:0.').meta({ aliases: ['basicConstraints'] }).optional(),
  basic_constraints_critical: bool('As subject_alt_name_critical.').meta({ aliases: ['basicConstraints_critical'] }).default(false),
  ocsp_must_staple: bool('Whether a server must staple an answer of OCSP.').meta({ aliases: ['ocspMustStaple'] }).default(false),
  ocsp_must_staple_critical: bool('As subject_alt_name_critical.').meta({ aliases: ['ocspMustStaple_critical'] }).default(false),
  name_constraints_permitted: list('Names an authority may issue for: DNS:example.com, IP:192.0.2.0/24.').optional(),
  name_constraints_excluded: list('Names it may not.').optional(),
  name_constraints_critical: bool('As subject_alt_name_critical.').default(false),
  create_subject_key_identifier: bool('Whether it has an identifier made from the key.').default(false),
  subject_key_identifier: str('The identifier itself: 00:11:22:….').optional(),
  crl_distribution_points: z.array(point).meta({ description: 'Where lists of what was revoked are found.', title: 'list' }).optional(),
  authority_key_identifier: str('Identifier of the key of the authority that shall sign it: 00:11:22:….').optional(),
  authority_cert_issuer: list('Who issued the certificate of that authority: DNS:…, dirName:CN=…,O=….').optional(),
  authority_cert_serial_number: serial.meta({ description: 'The serial number of that certificate.', title: 'int' }).optional(),
  force: bool('Make a new one in any case.').default(false),
  return_content: returnContent,
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
  select_crypto_backend: backend,
  unsafe_writes: unsafeWrites,
  ...attributeParams,
}).check((context) => {
  const { state, privatekey_path, privatekey_content } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if ((context.value.authority_cert_issuer === undefined) !== (context.value.authority_cert_serial_number === undefined)) issue('authority_cert_issuer and authority_cert_serial_number are given together', 'authority_cert_issuer');
  if (state === 'present' && (privatekey_path === undefined) === (privatekey_content === undefined)) issue('give privatekey_path or privatekey_content', 'privatekey_path');
});
type Args = (typeof schema)['_zod']['output'];

interface Wanted extends Args {
  subjects: [string, string][];
  san: string[];
  config: string;
}

interface Observed {
  entry: Entry;
  umask: number;
  /** PEM of what is there. */
  content: string;
  /** openssl's texts of what is there, and of what would be made. */
  present: string;
  wanted: string;
}

export const opensslCsr = defineModule<typeof schema, Observed, Wanted>({
  name: 'openssl_csr',
  summary: "Makes requests for certificates, by the host's openssl.",
  params: schema,
  returns: {
    filename: 'The file.', privatekey: 'The file of the key.', subject: 'Parts of the subject, each a list of name and value.', subjectAltName: 'Names it stands for.',
    keyUsage: 'What the key is for.', extendedKeyUsage: 'Who it is for.', basicConstraints: 'Whether it is an authority.', ocsp_must_staple: 'Whether OCSP must be stapled.',
    name_constraints_permitted: 'Names an authority may issue for.', name_constraints_excluded: 'Names it may not.', csr: 'The request, with return_content.', backup_file: 'Where the old file was kept, when it was.',
  },
  examples: ['- openssl_csr:\n    path: /etc/ssl/web.csr\n    privatekey_path: /etc/ssl/private/web.key\n    common_name: www.example.com\n    subject_alt_name: [DNS:www.example.com, DNS:example.com]'],
  async prepare(args) {
    const subjects = subjectOf(args);
    const cn = subjects.find(([name]) => name === 'CN' || name === 'commonName')?.[1];
    const san = args.subject_alt_name ?? (args.use_common_name_for_san && cn !== undefined ? [`DNS:${cn}`] : []);
    return { ...args, subjects, san, config: configOf(args, subjects, san) };
  },
  inspect(wanted) {
    const { path } = wanted;
    if (wanted.state === 'absent') return sh`${look([hostPath(path)], flagsLook(wanted))}; printf '\\000\\000\\000'`;
    return sh`${needsOpenssl}
${look([hostPath(path)], flagsLook(wanted))}
c= t=
if [ $k = file ]; then c=$(cat "$p") || exit; t=$(openssl req -in "$p" -noout -text 2>/dev/null); fi
n=$(${requested(wanted)}) || exit
n=$(printf '%s\\n' "$n" | openssl req -noout -text) || exit
printf '%s\\000' "$c" "$t" "$n"`;
  },
  parse(output, { path }): Observed {
    const all = fields(output, `looking at ${path}`);
    const [content, present, wanted] = all.splice(-3) as [string, string, string];
    const { entries, umask } = seenFields(all, 1, `looking at ${path}`);
    return { entry: entries[0]!, umask, content, present: normalized(present), wanted: normalized(wanted) };
  },
  compare(args, { entry, umask, present, wanted }): Change[] {
    if (args.state === 'absent') return entry.stat ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
    const attributes = entry.stat ? compareAttributes(args, entry.stat, umask) : [];
    return present === wanted && !args.force ? attributes : [{ field: 'request', from: present === '' ? null : present, to: wanted }, ...attributes];
  },
  apply: (wanted, observed, changes) =>
    makeOrRemove(wanted, observed, changes, ['request'], () => sh`{ { ${requested(wanted)}; } >"$f" 2>"$d/said"${telling('csr', wanted.return_content)}; }`),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  verify: ({ force }) => !force,
  result(wanted, { entry, content }, output) {
    return {
      privatekey: wanted.privatekey_path, subject: wanted.subjects, subjectAltName: wanted.san, keyUsage: wanted.key_usage, extendedKeyUsage: wanted.extended_key_usage, basicConstraints: wanted.basic_constraints,
      ocsp_must_staple: wanted.ocsp_must_staple, name_constraints_permitted: wanted.name_constraints_permitted, name_constraints_excluded: wanted.name_constraints_excluded,
      ...(wanted.return_content && !output ? { csr: `${content}\n` } : {}), ...madeResult(entry, output),
    };
  },
});
export default opensslCsr;

/** A command that prints the request. */
function requested({ config, digest, privatekey_path, privatekey_content, privatekey_passphrase }: Wanted): Sh {
  const command = sh`printf %s ${config} | openssl req -new -config /dev/stdin ${`-${digest}`} -key ${sourceOf(privatekey_path, privatekey_content, 3)} -passin fd:4`;
  return fed([[3, privatekey_content], [4, privatekey_passphrase ?? '']], command);
}

function subjectOf(args: Args): [string, string][] {
  const all: [string, string][] = [];
  for (const [field, name] of Object.entries(SUBJECT)) {
    const text = args[field as keyof typeof SUBJECT];
    if (text !== undefined) all.push([name, text]);
  }
  const add = (parts: { [name: string]: unknown }): void => {
    for (const [name, text] of Object.entries(parts)) for (const each of Array.isArray(text) ? text : [text]) all.push([name, String(each)]);
  };
  if (args.subject) add(args.subject);
  for (const each of args.subject_ordered ?? []) add(each);
  return all;
}

const REASONS: { [name: string]: string } = { key_compromise: 'keyCompromise', ca_compromise: 'CACompromise', affiliation_changed: 'affiliationChanged', superseded: 'superseded', cessation_of_operation: 'cessationOfOperation', certificate_hold: 'certificateHold', privilege_withdrawn: 'privilegeWithdrawn', aa_compromise: 'AACompromise' };

/** openssl's configuration of a request (req(1ssl), x509v3_config(5ssl)). */
function configOf(args: Args, subjects: readonly [string, string][], san: readonly string[]): string {
  const extensions: string[] = [];
  const sections: string[] = [];
  const add = (name: string, isCritical: boolean, text: string): void => void extensions.push(`${name} = ${isCritical ? 'critical,' : ''}${text}`);
  const plain = (all: readonly string[]): string => {
    for (const each of all) if (!/^[\w .:-]+$/.test(each)) throw new ModuleError(`"${each}" cannot stand in a request`);
    return all.join(',');
  };
  if (san.length > 0) {
    add('subjectAltName', args.subject_alt_name_critical, '@san');
    sections.push(names('san', san));
  }
  if (args.key_usage?.length) add('keyUsage', args.key_usage_critical, plain(args.key_usage));
  if (args.extended_key_usage?.length) add('extendedKeyUsage', args.extended_key_usage_critical, plain(args.extended_key_usage));
  if (args.basic_constraints?.length) add('basicConstraints', args.basic_constraints_critical, plain(args.basic_constraints));
  if (args.ocsp_must_staple) add('tlsfeature', args.ocsp_must_staple_critical, 'status_request');
  const constraints = [...(args.name_constraints_permitted ?? []).map((each) => ['permitted', each] as const), ...(args.name_constraints_excluded ?? []).map((each) => ['excluded', each] as const)];
  if (constraints.length > 0) add('nameConstraints', args.name_constraints_critical, constraints.map(([kind, name]) => `${kind};${constraint(name)}`).join(','));
  if (args.create_subject_key_identifier) add('subjectKeyIdentifier', false, 'hash');
  else if (args.subject_key_identifier !== undefined) add('subjectKeyIdentifier', false, plain([args.subject_key_identifier]));
  const authority = authorityOf(args);
  if (authority !== undefined) {
    add('authorityKeyIdentifier', false, 'ASN1:SEQUENCE:authority');
    sections.push(authority);
  }
  for (const [i, { full_name, reasons, relative_name, crl_issuer }] of (args.crl_distribution_points ?? []).entries()) {
    if (relative_name || crl_issuer || !full_name) throw new ModuleError('crl_distribution_points takes full_name (and reasons)');
    const words = reasons?.map((reason) => REASONS[reason] ?? reason);
    sections.push(`[crl${i}]\nfullname = ${full_name.map(value).join(',')}\n${words ? `reasons = ${plain(words)}\n` : ''}`);
  }
  const points = args.crl_distribution_points?.length ?? 0;
  if (points > 0) add('crlDistributionPoints', false, [...Array(points).keys()].map((i) => `crl${i}`).join(','));
  const parts = subjects.map(([name, text], i) => {
    if (!/^[A-Za-z0-9.]+$/.test(name)) throw new ModuleError(`"${name}" is no part of a subject`);
    return `${i}.${name} = ${value(text)}`;
  });
  return `[req]\nprompt = no\nstring_mask = utf8only\nutf8 = yes\ndistinguished_name = dn\n${extensions.length > 0 ? 'req_extensions = ext\n' : ''}[dn]\n${parts.join('\n')}\n${extensions.length > 0 ? `[ext]\n${extensions.join('\n')}\n` : ''}${sections.join('')}`;
}

/** Kinds of names by their number (RFC 5280, 4.2.1.6), and how ASN1_generate_nconf(3ssl) writes them. */
const GENERAL: { [kind: string]: readonly [number, string] } = { email: [1, 'IA5STRING:'], DNS: [2, 'IA5STRING:'], URI: [6, 'IA5STRING:'], IP: [7, 'FORMAT:HEX,OCTETSTRING:'], RID: [8, 'OID:'] };

/**
 * Sections with the authority's key identifier (RFC 5280, 4.2.1.1), undefined where none is asked for: openssl makes that extension of a
 * certificate it knows only, so its parts are spelt out.
 * @throws ModuleError for what is no identifier or no name
 */
function authorityOf({ authority_key_identifier: identifier, authority_cert_issuer: issuer, authority_cert_serial_number: number }: Args): string | undefined {
  if (identifier === undefined && issuer === undefined) return undefined;
  const parts: string[] = [];
  const sections: string[] = [];
  if (identifier !== undefined) {
    const digits = identifier.replaceAll(':', '');
    if (!/^([0-9a-f]{2})+$/i.test(digits)) throw new ModuleError(`authority_key_identifier "${identifier}" is no bytes in hexadecimal; write 00:11:22:…`);
    parts.push(`key = IMPLICIT:0,FORMAT:HEX,OCTETSTRING:${digits}`);
  }
  if (issuer !== undefined) {
    parts.push('issuer = IMPLICIT:1,SEQUENCE:issuers', `serial = IMPLICIT:2,INTEGER:${number}`);
    const lines = issuer.map((written, i) => {
      const [, kind = '', name = ''] = /^([A-Za-z]+):(.+)$/s.exec(written.trim()) ?? [];
      if (kind === 'dirName') {
        // As in Ansible the last part stands first (RFC 4514).
        const names = partsOf(name).reverse();
        sections.push(`[issuer${i}]\n${names.map((_name, j) => `${j} = SET:issuer${i}_${j}\n`).join('')}`);
        sections.push(...names.map(([type, text], j) => `[issuer${i}_${j}]\n0 = SEQUENCE:issuer${i}_${j}_0\n[issuer${i}_${j}_0]\ntype = OID:${type}\nvalue = ${/^(C|countryName)$/.test(type) ? 'PRINTABLESTRING' : 'FORMAT:UTF8,UTF8String'}:${value(text)}\n`));
        return `${i} = EXPLICIT:4,SEQUENCE:issuer${i}`;
      }
      const [tag, form] = GENERAL[kind] ?? [];
      if (tag === undefined) throw new ModuleError(`"${written}" is no name of an issuer; write DNS:…, IP:…, email:…, URI:…, RID:… or dirName:CN=…`);
      if (kind === 'IP' && isIP(name) === 0) throw new ModuleError(`"${name}" is no address`);
      return `${i} = IMPLICIT:${tag},${form}${kind === 'IP' ? addressBytes(name) : value(name)}`;
    });
    sections.push(`[issuers]\n${lines.join('\n')}\n`);
  }
  return `[authority]\n${parts.join('\n')}\n${sections.join('')}`;
}

/** `CN=a, O=b` or `/CN=a/O=b`, where a backslash takes what follows as it is. @throws ModuleError where a part has no name */
function partsOf(name: string): [string, string][] {
  const isSlashed = name.startsWith('/');
  const parts = (isSlashed ? name.slice(1) : name).match(isSlashed ? /(?:\\.|[^\\/])+/gs : /(?:\\.|[^\\,])+/gs) ?? [];
  return parts.map((part) => {
    const [, type, text] = /^ *([A-Za-z0-9.]+) *= *(.+)$/s.exec(part) ?? [];
    if (type === undefined || text === undefined) throw new ModuleError(`"${name}" is no name of a directory; write CN=…,O=…`);
    return [type, text.replace(/\\(.)/gs, '$1')];
  });
}

/** The bytes of an address in hexadecimal. */
function addressBytes(address: string): string {
  if (isIP(address) === 4) return address.split('.').map((part) => Number(part).toString(16).padStart(2, '0')).join('');
  const url = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = url.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after].map((group) => group.padStart(4, '0')).join('');
}

/** A subtree of names; of addresses openssl wants the mask in full. */
function constraint(name: string): string {
  const net = /^IP:(\d+\.\d+\.\d+\.\d+)\/(\d+)$/i.exec(name);
  if (net) {
    const bits = Number(net[2]);
    const mask = [0, 1, 2, 3].map((i) => 256 - 2 ** (8 - Math.max(0, Math.min(8, bits - 8 * i))));
    return `IP:${net[1]}/${mask.join('.')}`;
  }
  if (!/^(DNS|email|URI|IP):[\w.@:/-]*$/i.test(name)) throw new ModuleError(`"${name}" is no subtree of names; write DNS:…, email:… or IP:192.0.2.0/24`);
  return name;
}
