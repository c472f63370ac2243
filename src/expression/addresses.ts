/** IP addresses and networks as Python's netaddr and ipaddress have them: numbers of 32 or 128 bits. */
import { isIPv4, isIPv6 } from 'node:net';
import { ipAddress } from './libraries.js';

export type Version = 4 | 6;

/** An address and the length of its network's prefix. */
export class Net {
  readonly bits: number;
  /** How many addresses the network has. */
  readonly size: bigint;
  /** The bits that tell hosts apart, all set. */
  readonly hostMask: bigint;
  constructor(
    readonly version: Version,
    readonly ip: bigint,
    readonly prefix: number,
  ) {
    this.bits = version === 4 ? 32 : 128;
    this.size = 1n << BigInt(this.bits - prefix);
    this.hostMask = this.size - 1n;
  }
  get netMask(): bigint {
    return ((1n << BigInt(this.bits)) - 1n) ^ this.hostMask;
  }
  get first(): bigint {
    return this.ip & this.netMask;
  }
  get last(): bigint {
    return this.first | this.hostMask;
  }
  /** An address of this version as text. */
  text(ip: bigint): string {
    return addressText(this.version, ip);
  }
  toString(): string {
    return `${this.text(this.ip)}/${this.prefix}`;
  }
  /** The network, its host bits cleared. */
  get cidr(): Net {
    return new Net(this.version, this.first, this.prefix);
  }
  /** Whether another network lies wholly in this one. */
  holds(other: Net): boolean {
    return other.version === this.version && other.first >= this.first && other.last <= this.last;
  }
  get isMulticast(): boolean {
    return inAny(this, MULTICAST);
  }
}

/** @throws RangeError when there is no such address */
export function addressText(version: Version, ip: bigint): string {
  if (ip < 0n || ip >> (version === 4 ? 32n : 128n) !== 0n) throw new RangeError('no such address');
  if (version === 4) return ipAddress().Address4.fromBigInt(ip).correctForm();
  // Addresses that hold one of version 4 end in it.
  if (ip >> 32n === 0xffffn || (ip >> 32n === 0n && ip >> 16n !== 0n)) return `${ip >> 32n === 0n ? '::' : '::ffff:'}${addressText(4, ip & 0xffffffffn)}`;
  return ipAddress().Address6.fromBigInt(ip).correctForm();
}

/** A bare address; undefined for anything else. */
export function parseAddress(text: string): { version: Version; ip: bigint } | undefined {
  if (isIPv4(text)) return { version: 4, ip: new (ipAddress().Address4)(text).bigInt() };
  return isIPv6(text) && !text.includes('%') ? { version: 6, ip: new (ipAddress().Address6)(text).bigInt() } : undefined;
}

/** An address, alone or with a prefix (a length, a net mask or a host mask); undefined for anything else. */
export function parseNet(text: string): Net | undefined {
  const [address, length, ...more] = text.split('/') as [string, string | undefined, ...string[]];
  const found = parseAddress(address);
  if (!found || more.length > 0) return undefined;
  const bits = found.version === 4 ? 32 : 128;
  if (length === undefined) return new Net(found.version, found.ip, bits);
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : maskLength(length, found.version);
  return prefix === undefined || prefix > bits ? undefined : new Net(found.version, found.ip, prefix);
}

/** As parseNet, but of a network no host bits may be set (Python's `ip_network`). */
export function parseNetwork(text: string): Net | undefined {
  const net = parseNet(text);
  return net && net.ip === net.first ? net : undefined;
}

function maskLength(text: string, version: Version): number | undefined {
  const mask = parseAddress(text);
  if (!mask || mask.version !== version) return undefined;
  const all = (1n << (version === 4 ? 32n : 128n)) - 1n;
  for (const hosts of [all ^ mask.ip, mask.ip]) if ((hosts & (hosts + 1n)) === 0n) return (version === 4 ? 32 : 128) - (hosts === 0n ? 0 : hosts.toString(2).length);
  return undefined;
}

/** Networks by name, read when something is first held to them. */
export function netTable(...texts: string[]): () => readonly Net[] {
  let nets: readonly Net[] | undefined;
  return () => (nets ??= texts.map((text) => parseNet(text)!));
}

/** The networks of a table hold it. */
export function inAny(net: Net, table: () => readonly Net[]): boolean {
  return table().some((one) => one.holds(net));
}

export const MULTICAST = netTable('224.0.0.0/4', 'ff00::/8');
export const LOOPBACK = netTable('127.0.0.0/8', '::1/128');
export const LINK_LOCAL = netTable('169.254.0.0/16', 'fe80::/10');

/** What cannot be reached from everywhere, after IANA's registries of special-purpose addresses (RFC 6890), and its exceptions. */
const SPECIAL = netTable(
  ...['0.0.0.0/8', '10.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/4'],
  ...['::1/128', '::/128', '::ffff:0:0/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', 'fc00::/7', 'fe80::/10'],
);
const REACHABLE = netTable('192.0.0.9/32', '192.0.0.10/32', '2001:1::1/128', '2001:1::2/128', '2001:3::/32', '2001:4:112::/48', '2001:20::/28', '2001:30::/28');
const SHARED = netTable('100.64.0.0/10');

/** `is_private` of Python's ipaddress. */
export function isPrivate(net: Net): boolean {
  return inAny(net, SPECIAL) && !inAny(net, REACHABLE);
}
/** `is_global` of Python's ipaddress: neither private nor shared among a provider's customers. */
export function isGlobal(net: Net): boolean {
  return !isPrivate(net) && !inAny(net, SHARED);
}

/** What the IETF has set aside (`is_reserved` of Python's ipaddress). */
export const RESERVED = netTable('240.0.0.0/4', '::/8', '100::/8', '200::/7', '400::/6', '800::/5', '1000::/4', '4000::/3', '6000::/3', '8000::/3', 'a000::/3', 'c000::/3', 'e000::/4', 'f000::/5', 'f800::/6', 'fe00::/9');

/** The fewest networks that hold the same addresses, in order. */
export function mergeNets(given: readonly Net[]): Net[] {
  const ranges = given.map((net) => ({ version: net.version, first: net.first, last: net.last })).sort((a, b) => a.version - b.version || (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: typeof ranges = [];
  for (const range of ranges) {
    const before = merged.at(-1);
    if (before && before.version === range.version && range.first <= before.last + 1n) before.last = range.last > before.last ? range.last : before.last;
    else merged.push({ ...range });
  }
  return merged.flatMap(({ version, first, last }) => {
    const found: Net[] = [];
    for (let at = first; at <= last; ) {
      let prefix = version === 4 ? 32 : 128;
      for (;;) {
        const wider = prefix > 0 ? new Net(version, at, prefix - 1) : undefined;
        if (!wider || wider.first !== at || wider.last > last) break;
        prefix--;
      }
      const net = new Net(version, at, prefix);
      found.push(net);
      at = net.last + 1n;
    }
    return found;
  });
}
