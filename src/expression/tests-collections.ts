/** Tests of addresses and networks, of ansible.utils, and those of community.general. What is no address is false. */
import type { Value } from '../value/value.js';
import { inAny, isGlobal, isPrivate, LOOPBACK, MULTICAST, Net, netTable, parseAddress, parseNet, parseNetwork, RESERVED } from './addresses.js';
import { revealed } from './filters/community.js';
import { macDigits } from './filters/ip.js';
import { asDict, iterate, read, str, truthy } from './python.js';
import { table } from './registry.js';

const lone = (value: Value): Net | undefined => {
  const found = parseAddress(str(value));
  return found && new Net(found.version, found.ip, found.version === 4 ? 32 : 128);
};
const is = (holds: (net: Net) => boolean) => (_: unknown, value: Value) => {
  const net = lone(value);
  return net !== undefined && holds(net);
};
const inside = (net: Value, around: Value): boolean => {
  const [inner, outer] = [parseNetwork(str(net)), parseNetwork(str(around))];
  return inner !== undefined && outer !== undefined && outer.holds(inner);
};
const inTable = (...networks: string[]) => {
  const table = netTable(...networks);
  return is((net) => inAny(net, table));
};
const mask = (value: Value, ofHosts: boolean) => {
  const net = parseNet(`10.0.0.0/${str(value)}`);
  return net !== undefined && net.text(ofHosts ? net.hostMask : net.netMask) === str(value);
};
/** A label of a domain name (RFC 1123), and with underscores where they are allowed. */
const label = (underscores: boolean) => (underscores ? /^(?!-)[a-z\d_-]{1,63}(?<!-)$/i : /^(?!-)[a-z\d-]{1,63}(?<!-)$/i);

export const MORE_TESTS = table<boolean>({
  'ip(value)': (_, value) => parseNetwork(str(value)) !== undefined,
  'ip_address(value)': is(() => true),
  'ipv4(value)': (_, value) => parseNetwork(str(value))?.version === 4,
  'ipv6(value)': (_, value) => parseNetwork(str(value))?.version === 6,
  'ipv4_address(value)': is((net) => net.version === 4),
  'ipv6_address(value)': is((net) => net.version === 6),
  'ipv4_netmask(value)': (_, value) => mask(value, false),
  'ipv4_hostmask(value)': (_, value) => mask(value, true),
  'ipv6_ipv4_mapped(value)': inTable('::ffff:0:0/96'),
  'ipv6_sixtofour(value)': inTable('2002::/16'),
  'ipv6_teredo(value)': inTable('2001::/32'),
  'loopback(value)': is((net) => inAny(net, LOOPBACK)),
  'mac(value)': (_, value) => /^(?:[\da-f]{2}[:-]){5}[\da-f]{2}$|^[\da-f]{4}\.[\da-f]{4}\.[\da-f]{4}$|^[\da-f]{12}$/i.test(str(value)) && macDigits(value) !== undefined,
  'multicast(value)': is((net) => inAny(net, MULTICAST)),
  'private(value)': is(isPrivate),
  'public(value)': is(isGlobal),
  'reserved(value)': is((net) => inAny(net, RESERVED)),
  'unspecified(value)': is((net) => net.ip === 0n),
  'in_network|subnet_of(value, network)': (_, value, network) => inside(value, network),
  'supernet_of(value, network)': (_, value, network) => inside(network, value),
  'in_any_network(value, networks)': (_, value, networks) => iterate(networks).some((one) => inside(value, one)),
  'in_one_network(value, networks)': (_, value, networks) => iterate(networks).filter((one) => inside(value, one)).length === 1,
  'ansible_type(data, dtype, alias={})': (_, data, types, alias) => {
    const found = revealed(data, alias === null ? new Map() : asDict(alias, 'alias'));
    return (Array.isArray(read(types)) ? iterate(types).map(str) : [str(types)]).includes(found);
  },
  'fqdn_valid(fqdn, min_labels=1, allow_underscores=false)': (_, fqdn, least, underscores) => {
    const name = str(fqdn).replace(/\.$/, '');
    const labels = name.split('.');
    return name.length <= 253 && labels.length >= Number(least) && labels.every((one) => label(truthy(underscores)).test(one)) && !/^\d+$/.test(labels.at(-1)!);
  },
});
