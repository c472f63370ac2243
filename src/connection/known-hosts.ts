import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, openSync, closeSync, existsSync, renameSync, statSync, writeFileSync, writeSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { hashedName, hostMatcher } from '../value/host-names.js';

/**
 * known_hosts files, as sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT" describes them: plain and hashed names, patterns with
 * wildcards and negation, `[host]:port`, `@revoked` and `@cert-authority`.
 */
export interface KnownHost {
  file: string;
  line: number;
  marker: 'revoked' | 'cert-authority' | undefined;
  hosts: string;
  /** Key type, e.g. `ssh-ed25519`. */
  type: string;
  /** The public key as it goes over the wire. */
  key: Buffer;
}

export type Verdict =
  | { status: 'known' }
  | { status: 'revoked'; by: KnownHost }
  /** Other keys are on record for the host, none of them this one. */
  | { status: 'changed'; known: KnownHost[] }
  | { status: 'unknown' }
  /** Only certificates are on record for it, which this client cannot check. */
  | { status: 'certificate'; by: KnownHost };

/** Entries by the names they are for. A fleet asks for each of its hosts, so plain names, which most are, are not searched for. */
export class KnownHosts {
  readonly #plain = new Map<string, number[]>();
  readonly #others: { index: number; matches: (name: string) => boolean }[] = [];

  constructor(private readonly entries: readonly KnownHost[]) {
    for (const [index, { hosts }] of entries.entries()) {
      if (/[*?!]|^\|1\|/.test(hosts)) this.#others.push({ index, matches: hostMatcher(hosts) });
      else for (const name of hosts.toLowerCase().split(',')) this.#plain.set(name, [...(this.#plain.get(name) ?? []), index]);
    }
  }

  /** Those of one host, in the order they stand in. @param name as `hostName` gives it */
  of(name: string): KnownHost[] {
    const others = this.#others.filter((other) => other.matches(name)).map(({ index }) => index);
    return [...new Set([...(this.#plain.get(name) ?? []), ...others])].sort((a, b) => a - b).map((index) => this.entries[index]!);
  }
}

const read = new Map<string, { stamp: string; hosts: KnownHosts }>();

/** Reads files in order, again only when they have changed; a missing one is empty. Lines that are none are passed over, as OpenSSH does. */
export function readKnownHosts(files: readonly string[]): KnownHosts {
  const stats = files.map((file) => statSync(file, { throwIfNoEntry: false }));
  const stamp = stats.map((stat) => (stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : '')).join();
  const before = read.get(files.join('\n'));
  if (before?.stamp === stamp) return before.hosts;
  const hosts = new KnownHosts(files.flatMap((file, i) => (stats[i] ? parseKnownHosts(readFileSync(file, 'utf8'), file) : [])));
  read.set(files.join('\n'), { stamp, hosts });
  return hosts;
}

export function parseKnownHosts(text: string, file: string): KnownHost[] {
  return text.split('\n').flatMap((line, index) => {
    const match = /^\s*(?:@(revoked|cert-authority)\s+)?([^\s@#]\S*)\s+([a-z][\w.@-]*)\s+([A-Za-z0-9+/]+=*)/.exec(line);
    if (!match) return [];
    const [, marker, hosts, type, key] = match;
    return [{ file, line: index + 1, marker: marker as KnownHost['marker'], hosts: hosts!, type: type!, key: Buffer.from(key!, 'base64') }];
  });
}

/** How a host stands in the file: `name`, or `[name]:port` where the port is not 22. */
export function hostName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/** @param mine the entries of the host that shows the key */
export function check(mine: readonly KnownHost[], key: Buffer): Verdict {
  const revoked = mine.find((entry) => entry.marker === 'revoked' && entry.key.equals(key));
  if (revoked) return { status: 'revoked', by: revoked };
  const plain = mine.filter((entry) => entry.marker === undefined);
  if (plain.some((entry) => entry.key.equals(key))) return { status: 'known' };
  if (plain.length > 0) return { status: 'changed', known: plain };
  const authority = mine.find((entry) => entry.marker === 'cert-authority');
  return authority ? { status: 'certificate', by: authority } : { status: 'unknown' };
}

/** Types of the keys on record for a host, so that it is asked for one of them. */
export function knownTypes(mine: readonly KnownHost[]): string[] {
  return [...new Set(mine.filter((entry) => entry.marker === undefined).map((entry) => entry.type))];
}

/** `SHA256:…` as ssh prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The type that stands at the beginning of a public key (RFC 4253, 6.6). */
export function keyType(key: Buffer): string {
  return key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
}

/** Adds a line by one write at the end, which no other writer can split. @param hash see ssh_config(5), HashKnownHosts */
export function remember(file: string, name: string, key: Buffer, hash: boolean): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const host = hash ? hashedName(name, randomBytes(20)) : name;
  const descriptor = openSync(file, 'a+', 0o600);
  try {
    const before = readFileSync(descriptor);
    const newline = before.length > 0 && before.at(-1) !== 10 ? '\n' : '';
    writeSync(descriptor, `${newline}${host} ${keyType(key)} ${key.toString('base64')}\n`);
  } finally {
    closeSync(descriptor);
  }
}

/** Takes a host out of a file, as `ssh-keygen -R` does: lines that name it, plainly or hashed; patterns, markers and other names of a line stay. */
export function forget(file: string, name: string): void {
  if (!existsSync(file)) return;
  const lines = readFileSync(file, 'utf8').split('\n');
  const kept = lines.flatMap((line) => {
    const [entry] = parseKnownHosts(line, file);
    if (!entry || entry.marker !== undefined || !hostMatcher(entry.hosts)(name) || /[*?!]/.test(entry.hosts)) return [line];
    const others = entry.hosts.startsWith('|1|') ? [] : entry.hosts.split(',').filter((each) => each.toLowerCase() !== name);
    return others.length > 0 ? [line.replace(entry.hosts, () => others.join(','))] : [];
  });
  if (kept.length === lines.length && kept.every((line, i) => line === lines[i])) return;
  const part = `${file}.${process.pid}`;
  writeFileSync(part, kept.join('\n'), { mode: statSync(file).mode & 0o777 });
  renameSync(part, file);
}
