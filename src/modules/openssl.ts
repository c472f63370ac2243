/** Keys, requests and certificates through the host's openssl (version 3). What is secret reaches it through pipes. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { raw, sh, type Sh } from '../shell/sh.js';
import { applyAttributes, labelsOf, describe, newMode, resolveMode, type Attributes } from './attributes.js';
import { type Entry } from './look.js';
import { ModuleError, type Change, type Output, type Returns } from './module.js';
import { bool, path, secret, str } from './params.js';
import { replaced, replaceFiles, type Replacement } from './replace_file.js';
import { hostPath } from './words.js';
import type { Step } from '../shell/step.js';

export const needsOpenssl = raw("command -v openssl >/dev/null || { echo 'the host has no openssl; install the package openssl on it' >&2; exit 1; }");

export const backend = str("Taken for Ansible's sake: openssl of the host does it.").default('auto');
export const returnContent = bool('Whether the result holds the text too.').default(false);

export const keyParams = {
  privatekey_path: path('The file of the private key.').optional(),
  privatekey_content: secret('The private key itself, instead.').optional(),
  privatekey_passphrase: secret('What the private key is encrypted with.').optional(),
};

/** Gives a command the texts on file descriptors, each through a pipe; standard input stays free. */
export function fed(inputs: readonly (readonly [number, string | undefined])[], command: Sh): Sh {
  return inputs.reduce((inner, [fd, text]) => (text === undefined ? inner : sh`printf '%s\\n' ${text} | { ${inner}; } ${raw(`${fd}<&0`)}`), command);
}

/** The file openssl is to read a key or a text from. */
export function sourceOf(file: string | undefined, content: string | undefined, fd: number): Sh {
  return content === undefined ? hostPath(file!) : sh`${`/dev/fd/${fd}`}`;
}

/**
 * The effect of a module about one file: it goes, its attributes are set, or it is made.
 * @param fields of the changes for which it is made
 * @param make writes it to "$f", and what it complains of to "$d/said"
 */
export function makeOrRemove(args: Attributes & { state: string; backup: boolean }, { entry, umask }: { entry: Entry; umask: number }, changes: readonly Change[], fields: readonly string[], make: () => Sh): Step {
  const at = hostPath(entry.path);
  if (args.state === 'absent') return replaceFiles([], [at], { after: [sh`rm -f -- ${at}`] });
  if (!changes.some(({ field }) => fields.includes(field))) return replaceFiles([], [at], { after: [applyAttributes(at, args, entry.stat!, umask, changes)] });
  const was = entry.stat?.kind === 'file' ? entry.stat : undefined;
  const mode = was && args.mode !== undefined ? resolveMode(args.mode, was.mode, false, umask) : newMode(args.mode, false, umask);
  return madeBy(make(), { path: at, was, owner: args.owner, group: args.group, mode, labels: labelsOf(args), backup: args.backup });
}

/** What `return_content` adds to a command that made the file: its text, under this name. */
export function telling(name: string, isWanted: boolean): Sh {
  return isWanted ? sh` && printf ${raw(`'${name}\\000%s\\n\\000'`)} "$(cat "$f")"` : sh``;
}

/** Writes a file of the host that a command makes. */
function madeBy(make: Sh, file: Omit<Replacement, 'content'>): Step {
  const prepare = sh`d=$(umask 077; mktemp -d) && f=$d/file || exit
trap 'rm -rf -- "$d"' EXIT
${make} || { rc=$?; cat "$d/said" >&2 2>/dev/null; exit $rc; }`;
  return replaceFiles([{ ...file, content: { host: raw('"$f"') } }], [file.path], { before: [sh`:\n${prepare}\n:`] });
}

/** What modules about one file return of it, whichever field holds its name. */
export function madeResult({ path: where, stat }: Entry, output: Output | undefined): Returns {
  const done = output ? replaced(output, 1, `writing ${where}`) : undefined;
  const { path: filename, ...rest } = describe(where, done ? done.seen.entries[0]!.stat : stat);
  return { filename, ...rest, ...done?.notes };
}

/** openssl's text of a request or certificate, less what differs each time: serial, times, signature. */
export function normalized(text: string): string {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const kept: string[] = [];
  const blocks: string[][] = [];
  let indent: number | undefined;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const depth = line.length - line.trimStart().length;
    if (/^\s*Signature (Algorithm|Value):/.test(line)) {
      indent = undefined;
      if (kept.some((each) => each.includes('Subject'))) break;
    } else if (/^\s*Serial Number:/.test(line)) {
      while (lines[i + 1] !== undefined && !/^\s*(Signature|Issuer)/.test(lines[i + 1]!)) i++;
    } else if (/^\s*(Validity|Not (Before|After)\s*:.*|Attributes:|\(none\)|Version:.*)$/.test(line)) continue;
    else if (/extensions:$/i.test(line)) indent = lines[i + 1] === undefined ? undefined : lines[i + 1]!.length - lines[i + 1]!.trimStart().length;
    else if (indent !== undefined && depth >= indent) {
      if (depth === indent) blocks.push([line]);
      else blocks.at(-1)?.push(line);
    } else if (line !== '') kept.push(line.trim());
  }
  return [...kept, ...blocks.map((block) => block.map((line) => line.trim()).join('\n')).sort()].join('\n');
}

/** Type as community.crypto calls it, size in bits, and curve. */
export function describeKey(pem: string): { type: string; size: number; curve: string | undefined; fingerprint: Record<string, string> } {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (error) {
    throw new ModuleError(`cannot read the key: ${(error as Error).message}`);
  }
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const type = { rsa: 'RSA', 'rsa-pss': 'RSA', dsa: 'DSA', ec: 'ECC', ed25519: 'Ed25519', ed448: 'Ed448', x25519: 'X25519', x448: 'X448' }[key.asymmetricKeyType as string] ?? String(key.asymmetricKeyType);
  const curve = namedCurve === undefined ? undefined : ({ prime256v1: 'secp256r1', prime192v1: 'secp192r1' }[namedCurve] ?? namedCurve);
  const size = modulusLength ?? { Ed25519: 256, Ed448: 448, X25519: 256, X448: 448 }[type] ?? Number(/\d+/.exec(curve ?? '')?.[0] ?? 0);
  const der = key.export({ type: 'spki', format: 'der' });
  const print = (algorithm: string): string => createHash(algorithm).update(der).digest('hex').match(/../g)!.join(':');
  return { type, size, curve, fingerprint: Object.fromEntries(['md5', 'sha1', 'sha256', 'sha384', 'sha512'].map((each) => [each, print(each)])) };
}

/** Names of subjects, in the order a request has them. */
export const SUBJECT = {
  country_name: 'C', state_or_province_name: 'ST', locality_name: 'L', organization_name: 'O', organizational_unit_name: 'OU', common_name: 'CN', email_address: 'emailAddress',
} as const;

/** A value in openssl's configuration (config(5ssl)). @throws ModuleError where it cannot stand there */
export function value(text: string): string {
  if (/[\r\n\0]/.test(text)) throw new ModuleError(`a name in a request is one line: ${JSON.stringify(text)}`);
  return text.replace(/[\\"'$#;]/g, '\\$&');
}

const NAMES: { [kind: string]: string } = { DNS: 'DNS', IP: 'IP', EMAIL: 'email', URI: 'URI', RID: 'RID', OTHERNAME: 'otherName' };

/** A section of alternative names: `DNS:www.example.com` -> `DNS.1 = www.example.com`. */
export function names(section: string, all: readonly string[]): string {
  const lines = all.map((written, i) => {
    const [, kind, name] = /^([A-Za-z]+):(.*)$/s.exec(written.trim()) ?? [];
    const type = kind === undefined ? undefined : NAMES[kind.toUpperCase()];
    if (type === undefined || name === undefined) throw new ModuleError(`"${written}" is no alternative name; write DNS:…, IP:…, email:…, URI:…, RID:… or otherName:…`);
    if (type === 'IP' && isIP(name) === 0) throw new ModuleError(`"${name}" is no address`);
    return `${type}.${i + 1} = ${value(name)}`;
  });
  return `[${section}]\n${lines.join('\n')}\n`;
}

