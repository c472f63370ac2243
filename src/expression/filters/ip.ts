/** The `ipaddr` family of ansible.utils. */
import type { Value } from '../../value/value.js';
import { addressText, inAny, isGlobal, LINK_LOCAL, LOOPBACK, mergeNets, Net, parseAddress, parseNet, parseNetwork, type Version } from '../addresses.js';
import { asInt, isInt, iterate, read, str, toInt, typeName } from '../python.js';
import { table } from '../registry.js';
import { fail, type Result } from '../undefined.js';

/** What a query looks at: the address with its network, whether it was written with a prefix, and the text that is given back. */
interface Asked {
  net: Net;
  isNetwork: boolean;
  value: Value;
}
type Query = (asked: Asked) => Value;

/** First and last address that a host may have. */
function usable({ first, last, size }: Net): [bigint, bigint] {
  return size === 2n ? [first, last] : [first + 1n, last - 1n];
}
/** The value itself where something holds of it. */
const when = (holds: (net: Net) => boolean): Query => (asked) => (holds(asked.net) ? asked.value : null);
const text = (net: Net, ip: bigint) => net.text(ip);
/** netaddr knows no broadcast address of a network of one or two. */
const hasBroadcast = (net: Net) => net.size > 2n;
const isHost = (net: Net) => net.ip !== net.first || !hasBroadcast(net);
const ofNetwork = (query: Query): Query => (asked) => (asked.isNetwork ? query(asked) : fail(`${str(asked.value)} is no network`, 'write its prefix behind it'));
const ofUsable = (pick: (net: Net, first: bigint, last: bigint) => Value): Query => ofNetwork(({ net }) => (net.size > 1n ? pick(net, ...usable(net)) : null));
const near = (step: bigint) => ofUsable((net, first, last) => (net.ip + step >= first && net.ip + step <= last ? text(net, net.ip + step) : null));
/** What could be taken for a mask is no public address. */
const isMask = ({ ip, bits }: Net) => [ip, ((1n << BigInt(bits)) - 1n) ^ ip].some((one) => (one & (one + 1n)) === 0n);

const addressWithPrefix: Query = ({ net }) => (net.size > 2n && (net.ip === net.first || net.ip === net.last) ? false : net.toString());
const address: Query = ({ net }) => (isHost(net) || net.version === 6 ? text(net, net.ip) : null);
const v4: Query = ({ net, value }) => {
  if (net.version === 4) return value;
  return net.ip >> 32n === 0xffffn || net.ip >> 32n === 0n ? `${addressText(4, net.ip & 0xffffffffn)}/${Math.max(0, net.prefix - 96)}` : false;
};

function peer({ net }: Asked): Value {
  if (net.size === 2n) return text(net, net.ip ^ 1n);
  if (net.size !== 4n) return fail(`${net} is no point-to-point network`, 'its prefix is /30 or /31');
  return net.ip === net.first || net.ip === net.last ? fail(`${text(net, net.ip)} has no peer: it is an address of the network itself`) : text(net, net.ip ^ 3n);
}

function sixToFour({ net, value, isNetwork }: Asked): Value {
  if (net.version === 4) {
    if (net.size > 1n && net.ip === net.first) return false;
    const hex = net.ip.toString(16).padStart(8, '0');
    return `2002:${hex.slice(0, 4)}:${hex.slice(4)}::1/48`;
  }
  const holds = parseNet('2002::/16')!.holds(new Net(6, net.ip, 128));
  return holds && (!isNetwork || net.ip !== net.first) ? value : isNetwork ? false : null;
}

function reversed({ net }: Asked): string {
  const digits = net.version === 4 ? text(net, net.ip).split('.') : [...net.ip.toString(16).padStart(32, '0')];
  return `${digits.toReversed().join('.')}.${net.version === 4 ? 'in-addr' : 'ip6'}.arpa.`;
}

const network: Query = ({ net }) => text(net, net.first);
const subnet: Query = ({ net }) => net.cidr.toString();
const hostMask: Query = ({ net }) => text(net, net.hostMask);
const loopback = when((net) => inAny(new Net(net.version, net.ip, net.bits), LOOPBACK));

const QUERIES = new Map<string, Query>(
  Object.entries<Query>({
    '': ({ net, isNetwork }) => (isNetwork ? net.toString() : text(net, net.ip)),
    '6to4': sixToFour,
    address,
    ip: address,
    'address/prefix': addressWithPrefix,
    gateway: addressWithPrefix,
    gw: addressWithPrefix,
    hostnet: addressWithPrefix,
    'host/prefix': addressWithPrefix,
    router: addressWithPrefix,
    bool: () => true,
    broadcast: ({ net }) => (hasBroadcast(net) ? text(net, net.last) : null),
    cidr: ({ net }) => net.toString(),
    first_usable: ofNetwork(({ net }) => (net.size > 1n ? text(net, usable(net)[0]) : null)),
    last_usable: ofUsable((net, _first, last) => text(net, last)),
    range_usable: ofUsable((net, first, last) => `${text(net, first)}-${text(net, last)}`),
    next_usable: near(1n),
    previous_usable: near(-1n),
    host: ({ net }) => (isHost(net) ? net.toString() : null),
    hostmask: hostMask,
    wildcard: hostMask,
    int: ({ net, isNetwork }) => (isNetwork ? `${net.ip}/${net.prefix}` : toInt(net.ip)),
    'ip/prefix': ({ net }) => (net.size === 2n || (net.size > 1n && net.ip !== net.first) ? net.toString() : null),
    ip_netmask: ({ net }) => (net.size === 2n || (net.size > 1n && net.ip !== net.first) ? `${text(net, net.ip)} ${text(net, net.netMask)}` : null),
    ipv4: v4,
    v4,
    ipv6: ({ net, value }) => (net.version === 6 ? value : `${addressText(6, (0xffffn << 32n) | net.ip)}/${net.prefix + 96}`),
    'link-local': when((net) => inAny(new Net(net.version, net.ip, net.bits), LINK_LOCAL)),
    lo: loopback,
    loopback,
    multicast: when((net) => net.isMulticast),
    unicast: when((net) => !net.isMulticast),
    net: ({ net }) => (net.size > 1n && net.ip === net.first ? net.toString() : null),
    netmask: ({ net }) => text(net, net.netMask),
    network,
    network_id: network,
    'network/prefix': subnet,
    subnet,
    network_netmask: ({ net }) => `${text(net, net.first)} ${text(net, net.netMask)}`,
    network_wildcard: ({ net }) => `${text(net, net.first)} ${text(net, net.hostMask)}`,
    peer: ofNetwork(peer),
    prefix: ({ net }) => net.prefix,
    private: when((net) => !isGlobal(new Net(net.version, net.ip, net.bits))),
    public: when((net) => {
      const one = new Net(net.version, net.ip, net.bits);
      return !one.isMulticast && isGlobal(one) && !inAny(one, LOOPBACK) && !isMask(one);
    }),
    revdns: reversed,
    size: ({ net }) => toInt(net.size),
    size_usable: ({ net }) => toInt(net.size === 1n ? 0n : net.size === 2n ? 2n : net.size - 2n),
    type: ({ net }) => (net.size > 1n && net.ip === net.first ? 'network' : 'address'),
    version: ({ net }) => net.version,
    wrap: ({ net, isNetwork, value }) => (net.version === 4 ? value : `[${text(net, net.ip)}]${isNetwork ? `/${net.prefix}` : ''}`),
  }),
);

/** An address or network in any form that is understood: text, or a number, or a number with a prefix. */
function understand(value: Value, version: Version | undefined): Asked | undefined {
  const given = str(value);
  if (/^\d+$/.test(given)) {
    const number = BigInt(given);
    const kind = version ?? (number >> 32n === 0n ? 4 : 6);
    if (number >> (kind === 4 ? 32n : 128n) !== 0n) return undefined;
    const net = new Net(kind, number, kind === 4 ? 32 : 128);
    return { net, isNetwork: false, value: net.toString() };
  }
  const net = parseNet(given);
  if (net) return { net, isNetwork: given.includes('/'), value };
  const [, number, prefix] = /^(\d+)\/(\d+)$/.exec(given) ?? [];
  if (number === undefined) return undefined;
  const kind = BigInt(number) >> 32n === 0n && Number(prefix) <= 32 ? 4 : 6;
  if (BigInt(number) >> 128n !== 0n || Number(prefix) > 128) return undefined;
  const made = new Net(kind, BigInt(number), Number(prefix));
  return { net: made, isNetwork: true, value: made.toString() };
}

/** @param version the only one that counts */
export function ipaddr(given: Value, query: string, version: Version | undefined, name: string): Value {
  const value = read(given);
  if (Array.isArray(value)) return value.map((one) => ipaddr(one, query, version, name)).filter((one) => one !== false && one !== null && one !== '' && one !== 0);
  if (typeof value !== 'string' && typeof value !== 'boolean' && !isInt(value)) return fail(`${name} takes an address, not ${typeName(value)}`, 'give it text, a number or a list of them');
  if (value === '' || typeof value === 'boolean' || value === 0) return false;
  const asked = understand(value, version);
  if (!asked || (version !== undefined && asked.net.version !== version)) return false;
  const { net } = asked;
  const known = QUERIES.get(query);
  if (known) return known(asked);
  if (!/^-?\d+$/.test(query)) {
    const around = parseNet(query);
    return around ? (around.holds(net) ? asked.value : null) : fail(`${name} knows no query "${query}"`, 'it takes a property such as "network", a network, or the number of an address in it');
  }
  if (net.size === 1n) return asked.isNetwork ? net.toString() : text(net, net.ip);
  const nth = BigInt(query) < 0n ? net.last + 1n + BigInt(query) : net.first + BigInt(query);
  return nth < net.first || nth > net.last ? false : `${text(net, nth)}/${net.prefix}`;
}

/** An address or network, with what is wrong said where it is neither. */
function must(value: Value, name: string): Net {
  return understand(read(value), undefined)?.net ?? fail(`${name} takes an IP address or network, not "${str(value)}"`);
}
/** As the helpers of the family read it: alone where it names a host, else the network. */
function hostOrNetwork(value: Value): Net | undefined {
  return understand(read(value), undefined)?.net;
}

function ipsubnet(value: Value, query: Value, index: Value): Value {
  const net = hostOrNetwork(value)?.cidr;
  if (!net) return false;
  if (query === '' || query === null) return net.toString();
  const wanted = str(query);
  if (!/^\d+$/.test(wanted)) {
    const around = must(wanted, 'ipsubnet');
    const shift = BigInt(net.bits - around.prefix);
    if (around.version !== net.version || net.ip >> shift !== around.ip >> shift) fail(`${net} is not in the subnet ${around.cidr}`);
    return `${((net.ip & around.hostMask) >> BigInt(net.bits - net.prefix)) + 1n}`;
  }
  const prefix = Number(wanted);
  if (prefix > net.bits) return false;
  const at = index === null ? undefined : asInt(index, 'index');
  if (net.size === 1n) {
    // The networks around an address, the widest first.
    const around = Array.from({ length: Math.max(0, net.bits - prefix) }, (_, i) => new Net(net.version, net.ip, prefix + i).cidr);
    if (at !== undefined && (at > net.bits + 1 - at || at < prefix - net.bits)) return false;
    return around.at(at ?? 0)?.toString() ?? fail(`there is no network with the number ${at ?? 0} around ${net}`);
  }
  const count = prefix < net.prefix ? 0n : 1n << BigInt(prefix - net.prefix);
  if (at === undefined) return count === 0n ? fail(`${net} has no subnets of /${prefix}`, `take a prefix from ${net.prefix} to ${net.bits}`) : String(count);
  const nth = at < 0 ? BigInt(at) + count : BigInt(at);
  return nth < 0n || (nth >= count && nth > 0n) ? false : new Net(net.version, net.first + (nth << BigInt(net.bits - prefix)), prefix).toString();
}

function nthUsable(value: Value, offset: Value, sign: bigint): Value {
  const net = hostOrNetwork(value);
  if (!net) return false;
  if (net.size === 1n) return null;
  const from = net.ip === net.first ? net.first : net.ip;
  const [first, last] = usable(net);
  const wanted = from + sign * BigInt(asInt(offset, 'offset'));
  return wanted >= first && wanted <= last ? text(net, wanted) : null;
}

/** Whether a value lies between two addresses of a network. */
function within(value: Value, first: bigint, last: bigint, version: Version): boolean {
  const net = must(value, 'this filter');
  return net.version === version && net.first >= first && net.last <= last;
}

const FORMATS: { [name: string]: (hex: string) => Value } = {
  bare: (hex) => hex.toUpperCase(),
  bool: () => true,
  int: (hex) => toInt(BigInt(`0x${hex}`)),
  cisco: (hex) => hex.match(/.{4}/g)!.join('.'),
  linux: (hex) => hex.match(/../g)!.join(':'),
  unix: (hex) => hex.match(/../g)!.map((byte) => byte.replace(/^0/, '')).join(':'),
  win: (hex) => hex.toUpperCase().match(/../g)!.join('-'),
  pgsql: (hex) => hex.match(/.{6}/g)!.join(':'),
};
const ALIASES: { [name: string]: string } = { eui48: 'win', postgresql: 'pgsql', psql: 'pgsql' };

/** The digits of a hardware address; undefined where it is none. */
export function macDigits(value: Value): string | undefined {
  const given = str(value).toLowerCase();
  if (/^[\da-f]{1,2}([:-])(?:[\da-f]{1,2}\1){4}[\da-f]{1,2}$/.test(given)) return given.split(/[:-]/).map((byte) => byte.padStart(2, '0')).join('');
  return /^(?:[\da-f]{12}|[\da-f]{4}([.:-])[\da-f]{4}\1[\da-f]{4}|[\da-f]{6}[:-][\da-f]{6})$/.test(given) ? given.replace(/[.:-]/g, '') : undefined;
}

function hwaddr(value: Value, query: Value, name: string): Value {
  const hex = macDigits(value);
  const wanted = str(query);
  const format = FORMATS[ALIASES[wanted] ?? wanted];
  if (!format && wanted !== '') fail(`${name} knows no format "${wanted}"`, `it knows ${[...Object.keys(FORMATS), ...Object.keys(ALIASES)].join(', ')}`);
  if (hex === undefined) return wanted === '' || wanted === 'bool' ? null : fail(`${name} takes a hardware address, not "${str(value)}"`);
  return format ? format(hex) : value;
}

/** The groups of bits as `ipcut` writes them. */
function groups(bits: string, size: number, write: (part: string) => string): string[] {
  return (bits.match(new RegExp(`.{1,${size}}`, 'g')) ?? []).map(write);
}

const MAX_ADDRESSES = 1n << 20n;

export const IPS = table<Result>({
  'ipaddr(value, query="", version=null, alias="ipaddr")': (_, value, query, version, alias) => ipaddr(value, str(query), version === null || version === false ? undefined : (asInt(version, 'version') as Version), str(alias)),
  'ipv4(value, query="")': (_, value, query) => ipaddr(value, str(query), 4, 'ipv4'),
  'ipv6(value, query="")': (_, value, query) => ipaddr(value, str(query), 6, 'ipv6'),
  'ipwrap(value, query="")': (_, given, query) => {
    const wrap = (value: Value): Value => {
      const found = understand(read(value), undefined) ? ipaddr(value, str(query), undefined, 'ipwrap') : false;
      return found === false || found === null ? value : ipaddr(found, 'wrap', undefined, 'ipwrap');
    };
    const value = read(given);
    return Array.isArray(value) ? value.map(wrap) : wrap(value);
  },
  'ipsubnet(value, query="", index=null)': (_, value, query, index) => ipsubnet(value, query, index),
  'ipmath(value, amount)': (_, value, amount) => {
    const net = must(value, 'ipmath');
    const moved = net.ip + BigInt(asInt(amount, 'amount'));
    return moved < 0n || moved >> BigInt(net.bits) !== 0n ? fail(`there is no address ${str(amount)} from ${net.text(net.ip)}`) : net.text(moved);
  },
  'ipcut(value, amount)': (_, value, amount) => {
    const { version, ip } = parseAddress(str(value)) ?? fail(`ipcut takes an IP address, not "${str(value)}"`);
    const bits = ip.toString(2).padStart(version === 4 ? 32 : 128, '0');
    const count = asInt(amount, 'amount');
    const cut = count < 0 ? bits.slice(count) : bits.slice(0, count);
    return version === 4 ? groups(cut, 8, (part) => String(parseInt(part, 2))).join('.') : groups(cut, 16, (part) => parseInt(part, 2).toString(16)).join(':');
  },
  'ip4_hex(arg, delimiter="")': (_, value, delimiter) => {
    const found = parseAddress(str(value));
    if (found?.version !== 4) return fail(`ip4_hex takes an IPv4 address, not "${str(value)}"`);
    return found.ip.toString(16).padStart(8, '0').match(/../g)!.join(str(delimiter));
  },
  'ipv6form(value, format)': (_, value, format) => {
    const found = parseAddress(str(value)) ?? fail(`ipv6form takes an IP address, not "${str(value)}"`);
    if (found.version === 4) return str(value);
    const full = found.ip.toString(16).padStart(32, '0').match(/.{4}/g)!;
    const forms: { [name: string]: () => string } = { expand: () => full.join(':'), x509: () => full.map((one) => one.replace(/^0{1,3}/, '')).join(':'), compress: () => addressText(6, found.ip) };
    return (forms[str(format)] ?? fail(`ipv6form knows no format "${str(format)}"`, 'it knows compress, expand and x509'))();
  },
  'network_in_network(value, test)': (_, value, test) => {
    const net = must(value, 'network_in_network');
    return within(test, net.first, net.last, net.version);
  },
  'network_in_usable(value, test)': (_, value, test) => {
    const net = must(value, 'network_in_usable');
    return within(test, ...(net.size > 1n ? usable(net) : ([net.ip, net.ip] as const)), net.version);
  },
  'reduce_on_network(value, network)': (_, value, network) => {
    const net = must(network, 'reduce_on_network');
    return iterate(value).filter((one) => within(one, net.first, net.last, net.version));
  },
  'next_nth_usable(value, offset)': (_, value, offset) => nthUsable(value, offset, 1n),
  'previous_nth_usable(value, offset)': (_, value, offset) => nthUsable(value, offset, -1n),
  'nthhost(value, query="")': (_, value, query) => {
    const net = hostOrNetwork(value);
    if (!net || !/^-?\d+$/.test(str(query))) return false;
    const nth = BigInt(str(query));
    const at = nth < 0n ? net.last + 1n + nth : net.first + nth;
    return str(query) !== '0' && at >= net.first && at <= net.last ? text(net, at) : false;
  },
  'slaac(value, query="")': (_, value, query) => {
    const net = hostOrNetwork(value);
    const hex = macDigits(query);
    if (net?.version !== 6 || hex === undefined) return false;
    // RFC 4291, appendix A: fffe in the middle, the universal bit turned.
    return text(net, net.first | (BigInt(`0x${hex.slice(0, 6)}fffe${hex.slice(6)}`) ^ (1n << 57n)));
  },
  'hwaddr(value, query="", alias="hwaddr")': (_, value, query, alias) => hwaddr(value, query, str(alias)),
  'macaddr(value, query="")': (_, value, query) => hwaddr(value, query, 'macaddr'),
  'cidr_merge(value, action="merge")': (_, value, action) => {
    const given = iterate(value).map((one) => must(one, 'cidr_merge'));
    if (str(action) === 'merge') return mergeNets(given).map(String);
    if (str(action) !== 'span') return fail(`cidr_merge knows no action "${str(action)}"`, 'it knows merge and span');
    if (given.length < 2) return given[0]?.toString() ?? null;
    let net = given[0]!.cidr;
    while (!given.every((one) => net.holds(one))) net = net.prefix > 0 ? new Net(net.version, net.ip, net.prefix - 1).cidr : fail('cidr_merge was given addresses of both versions');
    return net.toString();
  },
  'usable_range(ip)': (_, value) => {
    const net = parseNetwork(str(value)) ?? fail(`usable_range takes a network, not "${str(value)}"`, 'no bits of hosts may be set in it');
    if (net.size > MAX_ADDRESSES) fail(`${net} has too many addresses to list`, 'ask for those that are needed with ipaddr');
    return new Map<Value, Value>([['usable_ips', Array.from({ length: Number(net.size) }, (_none, i) => text(net, net.first + BigInt(i)))], ['number_of_ips', toInt(net.size)]]);
  },
});
