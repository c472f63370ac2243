import type { Gathered } from './gathered.js';

interface Address4 {
  address: string;
  broadcast: string;
  netmask: string;
  network: string;
  prefix: string;
}
interface Interface {
  device: string;
  macaddress?: string;
  mtu?: number;
  active: boolean;
  type: string;
  promisc: boolean;
  speed?: number;
  /** Of a bridge: its id, whether it speaks the spanning tree protocol, what is in it. */
  id?: string;
  stp?: boolean;
  interfaces?: string[];
  /** Of a bond. */
  slaves?: string[];
  mode?: string;
  miimon?: string;
  lacp_rate?: string;
  primary?: string;
  all_slaves_active?: boolean;
  /** Of a device in a bond: the address it has by itself. */
  perm_macaddress?: string;
  ipv4?: Address4;
  ipv4_secondaries?: Address4[];
  ipv6?: { address: string; prefix: string; scope: string }[];
}

/** Interfaces from /sys/class/net and the addresses `ip` names (iproute2's and busybox'), as Ansible presents them. */
export function network(host: Gathered): Record<string, unknown> {
  const interfaces = new Map<string, Interface>();
  for (const [path, value] of host.below('/sys/class/net/')) {
    const [device, ...rest] = path.split('/');
    const link = interfaces.get(device!) ?? { device: device!, active: true, type: 'unknown', promisc: false };
    interfaces.set(device!, link);
    const key = rest.join('/');
    if (key === 'address' && value !== '' && value !== '00:00:00:00:00:00') link.macaddress = value;
    else if (key === 'mtu') link.mtu = Number(value);
    else if (key === 'operstate') link.active = value !== 'down';
    else if (key === 'flags') link.promisc = (Number(value) & 0x100) !== 0;
    else if (key === 'speed' && Number(value) > 0) link.speed = Number(value);
    else if (key === 'type' && link.type === 'unknown') link.type = TYPES[value] ?? 'unknown';
    else if (key === 'bridge/bridge_id') Object.assign(link, { type: 'bridge', id: value, interfaces: link.interfaces ?? [] });
    else if (key === 'bridge/stp_state') link.stp = value === '1';
    else if (key.startsWith('brif/')) (link.interfaces ??= []).push(rest[1]!);
    else if (key === 'bonding/mode') Object.assign(link, { type: 'bonding', slaves: link.slaves ?? [], mode: word(value) });
    else if (key === 'bonding/slaves') link.slaves = value.split(/\s+/).filter(Boolean);
    else if (key === 'bonding/miimon' || key === 'bonding/lacp_rate') link[rest[1] as 'miimon' | 'lacp_rate'] = word(value);
    else if (key === 'bonding/primary' && value !== '') link.primary = value;
    else if (key === 'bonding/all_slaves_active') link.all_slaves_active = value === '1';
    else if (key === 'bonding_slave/perm_hwaddr') link.perm_macaddress = value;
  }
  const addresses = [...addressesOf(host.text('addr'))];
  for (const { device, family, address, prefix, broadcast, scope } of addresses) {
    const link = interfaces.get(device);
    if (!link) continue;
    if (family === 'inet6') (link.ipv6 ??= []).push({ address, prefix, scope });
    else if (!link.ipv4) link.ipv4 = address4(address, prefix, broadcast);
    else (link.ipv4_secondaries ??= []).push(address4(address, prefix, broadcast));
  }
  const facts: Record<string, unknown> = {
    interfaces: [...interfaces.keys()],
    default_ipv4: defaultRoute(host.text('route4'), interfaces, 'inet'),
    default_ipv6: defaultRoute(host.text('route6'), interfaces, 'inet6'),
    all_ipv4_addresses: addresses.filter(({ family, address }) => family === 'inet' && !address.startsWith('127.')).map(({ address }) => address),
    all_ipv6_addresses: addresses.filter(({ family, address }) => family === 'inet6' && address !== '::1').map(({ address }) => address),
  };
  for (const [name, link] of interfaces) facts[name.replaceAll('-', '_')] = link;
  return facts;
}

const word = (text: string): string => text.split(/\s/)[0]!;

/** ARPHRD_ numbers of linux/if_arp.h. */
const TYPES: { [number: string]: string } = { '1': 'ether', '772': 'loopback', '32': 'infiniband', '512': 'ppp', '768': 'tunnel', '776': 'sit', '65534': 'tunnel' };

function* addressesOf(text: string) {
  for (const line of text.split('\n')) {
    const match = /^\d+:\s+(\S+?)(?:@\S+)?:?\s+(inet6?)\s+([0-9a-fA-F.:]+)(?:\s+peer\s+\S+?)?(?:\/(\d+))?\s(.*)$/.exec(line);
    if (!match) continue;
    const [, device, family, address, prefix, rest] = match;
    yield {
      device: device!,
      family: family as 'inet' | 'inet6',
      address: address!,
      prefix: prefix ?? (family === 'inet' ? '32' : '128'),
      broadcast: /\bbrd\s+(\S+)/.exec(rest!)?.[1] ?? '',
      scope: /\bscope\s+(\S+)/.exec(rest!)?.[1] ?? 'global',
    };
  }
}

function address4(address: string, prefix: string, broadcast: string): Address4 {
  const mask = Number(prefix) === 0 ? 0 : (0xffffffff << (32 - Number(prefix))) >>> 0;
  const bits = address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
  return { address, broadcast, netmask: dotted(mask), network: dotted((bits & mask) >>> 0), prefix };
}

function dotted(bits: number): string {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

/**
 * Where packets to the world leave: `8.8.8.8 via 10.0.2.2 dev eth0 src 10.0.2.15 uid 0`.
 * Where there is no way out (Ansible then says nothing), the only address of the host serves, without a gateway.
 */
function defaultRoute(text: string, interfaces: ReadonlyMap<string, Interface>, family: 'inet' | 'inet6'): Record<string, unknown> {
  const word = (name: string) => new RegExp(`\\b${name}\\s+(\\S+)`).exec(text.split('\n')[0]!)?.[1];
  const [device, source] = [word('dev'), word('src')];
  const routed = device === undefined ? undefined : interfaces.get(device);
  const usable = routed && routed.type !== 'loopback' && !/^(unreachable|prohibit|blackhole)\b/.test(text);
  const link = usable ? routed : only([...interfaces.values()], family);
  if (!link) return {};
  const common = { interface: link.device, gateway: word('via'), macaddress: link.macaddress, mtu: link.mtu, type: link.type };
  if (family === 'inet') {
    const own = [link.ipv4, ...(link.ipv4_secondaries ?? [])].find((each) => each?.address === source) ?? link.ipv4;
    return own ? { ...common, ...own, alias: link.device } : {};
  }
  const own = link.ipv6?.find((each) => each.address === source) ?? link.ipv6?.find((each) => each.scope === 'global');
  return own ? { ...common, ...own } : {};
}

/** The one interface that has an address others can reach, if there is exactly one. */
function only(all: readonly Interface[], family: 'inet' | 'inet6'): Interface | undefined {
  const usable = all.filter((link) => link.type !== 'loopback' && (family === 'inet' ? link.ipv4 : link.ipv6?.some(({ scope }) => scope === 'global')));
  return usable.length === 1 ? usable[0] : undefined;
}
