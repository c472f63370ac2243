import type { Gathered } from './gathered.js';

type Facts = Record<string, unknown>;

const MEBI = 1024 * 1024;

/** Memory, processors, load. */
export function machine(host: Gathered): Facts {
  const memory = new Map(host.file('/proc/meminfo').map((line) => [line.split(':')[0]!, Math.floor(Number.parseInt(line.split(':')[1] ?? '0') / 1024)]));
  const mb = (name: string) => memory.get(name) ?? 0;
  const [total, free, swap, swapFree] = [mb('MemTotal'), mb('MemFree'), mb('SwapTotal'), mb('SwapFree')];
  const idle = free + mb('Cached') + mb('Buffers');
  const [one, five, fifteen] = (host.first('/proc/loadavg') ?? '').split(' ').map(Number);
  return {
    memtotal_mb: total,
    memfree_mb: free,
    swaptotal_mb: swap,
    swapfree_mb: swapFree,
    memory_mb: {
      real: { total, used: total - free, free },
      nocache: { free: idle, used: total - idle },
      swap: { total: swap, free: swapFree, used: swap - swapFree, cached: mb('SwapCached') },
    },
    uptime_seconds: Math.floor(Number.parseFloat(host.first('/proc/uptime') ?? '0')),
    loadavg: { '1m': one, '5m': five, '15m': fifteen },
    ...processors(host),
  };
}

function processors(host: Gathered): Facts {
  const list: string[] = [];
  const sockets = new Set<string>();
  let [count, cores, siblings] = [0, 0, 0];
  for (const line of host.lines('cpuinfo')) {
    const [key, value] = line.split(/\s*:\s*/) as [string, string | undefined];
    if (key === 'processor') count++;
    if (['processor', 'vendor_id', 'model name', 'Processor', 'cpu'].includes(key)) list.push(value ?? '');
    else if (key === 'physical id') sockets.add(value ?? '');
    else if (key === 'cpu cores') cores = Number(value);
    else if (key === 'siblings') siblings = Number(value);
  }
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(host.file('/proc/self/status').join('\n'))?.[1];
  const perSocket = cores || (sockets.size ? 1 : count) || 1;
  const packages = sockets.size || 1;
  const threads = cores && siblings ? Math.max(1, Math.floor(siblings / cores)) : 1;
  return {
    processor: list,
    processor_count: packages,
    processor_cores: perSocket,
    processor_threads_per_core: threads,
    processor_vcpus: packages * perSocket * threads,
    processor_nproc: allowed === undefined ? count : countOf(allowed),
  };
}

/** How many a list like `0-3,8` holds. */
function countOf(list: string): number {
  return list.split(',').reduce((sum, range) => sum + 1 + Number(range.split('-')[1] ?? range.split('-')[0]) - Number(range.split('-')[0]), 0);
}

/** What the firmware says about the machine; numbers only root may read are NA to others. */
export function firmware(host: Gathered): Facts {
  const dmi = (name: string) => host.first(`/sys/class/dmi/id/${name}`) || 'NA';
  return {
    bios_date: dmi('bios_date'),
    bios_vendor: dmi('bios_vendor'),
    bios_version: dmi('bios_version'),
    board_name: dmi('board_name'),
    board_vendor: dmi('board_vendor'),
    board_serial: dmi('board_serial'),
    chassis_vendor: dmi('chassis_vendor'),
    product_name: dmi('product_name'),
    product_serial: dmi('product_serial'),
    product_uuid: dmi('product_uuid'),
    product_version: dmi('product_version'),
    system_vendor: dmi('sys_vendor'),
  };
}

/** What is mounted from a device or another host; remote ones come without sizes, since asking them may hang. */
export function mounts(host: Gathered): Facts {
  const uuids = readUuids(host.lines('uuids'));
  const sizes = readSizes(host.lines('sizes'));
  const list = host.file('/proc/self/mounts').flatMap((line) => {
    const [device, mount, fstype, options, dump, passno] = line.split(' ').map(unescape);
    if (device === undefined || mount === undefined || !(device.startsWith('/') || device.includes(':/')) || fstype === 'none') return [];
    return [{ device, mount, fstype, options, dump: Number(dump), passno: Number(passno), uuid: uuids.get(device) ?? 'N/A', ...sizes.get(mount) }];
  });
  return { mounts: list };
}

/** Volume groups, logical and physical volumes, where root asks and the host has any of LVM's tools. */
export function lvm(host: Gathered): Facts {
  const rows = (name: string) => host.lines(name).map((line) => line.trim().split(',')).filter((row) => row.length > 1);
  const [vgs, lvs, pvs] = [rows('vgs'), rows('lvs'), rows('pvs')];
  if (vgs.length + lvs.length + pvs.length === 0) return { lvm: 'N/A' };
  return {
    lvm: {
      vgs: Object.fromEntries(vgs.map(([name, pvCount, lvCount, size, free]) => [name, { size_g: size, free_g: free, num_lvs: lvCount, num_pvs: pvCount }])),
      lvs: Object.fromEntries(lvs.map(([name, vg, size]) => [name, { size_g: size, vg }])),
      pvs: Object.fromEntries(pvs.map(([name, vg, size, free]) => [name, { size_g: size, free_g: free, vg }])),
    },
  };
}

/** UUIDs of devices, out of what `ls -l /dev/disk/by-uuid` shows. */
export function readUuids(lines: readonly string[]): Map<string, string> {
  return new Map(lines.flatMap((line) => {
    const match = /\s(\S+) -> .*\/([^/]+)$/.exec(line);
    return match ? [[`/dev/${match[2]}`, match[1]!] as const] : [];
  }));
}

/** What `stat -f` is to print of what is mounted. */
export const SIZES = '%S %b %a %c %d %n';

/** Sizes by the path they were asked of. */
export function readSizes(lines: readonly string[]): Map<string, Facts> {
  return new Map(lines.flatMap((line) => {
    const match = /^(\d+) (\d+) (\d+) (\d+) (\d+) (.*)$/.exec(line);
    if (!match) return [];
    const [block, blocks, available, inodes, inodesFree] = match.slice(1, 6).map(Number) as [number, number, number, number, number];
    const size = {
      block_size: block,
      block_total: blocks,
      block_available: available,
      block_used: blocks - available,
      size_total: block * blocks,
      size_available: block * available,
      inode_total: inodes,
      inode_available: inodesFree,
      inode_used: inodes - inodesFree,
    };
    return [[match[6]!, size] as const];
  }));
}

/** The octal escapes of /proc/mounts. */
export function unescape(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Block devices and their partitions, with what playbooks ask of them. */
export function devices(host: Gathered): Facts {
  const found: Record<string, Record<string, unknown> & { partitions: Record<string, Record<string, unknown>> }> = {};
  for (const [path, value] of host.below('/sys/block/')) {
    const [name, ...rest] = path.split('/') as [string, ...string[]];
    const device = (found[name] ??= { partitions: {} });
    const key = rest.join('/');
    if (key === 'size') Object.assign(device, { sectors: value, size: readable(Number(value) * 512) });
    else if (key === 'removable') device['removable'] = value;
    else if (key === 'queue/rotational') device['rotational'] = value;
    else if (key === 'queue/logical_block_size') device['sectorsize'] = value;
    else if (key === 'device/model') device['model'] = value;
    else if (key === 'device/vendor') device['vendor'] = value;
    else if (rest.length === 2 && ['partition', 'start', 'size'].includes(rest[1]!)) {
      const partition = (device.partitions[rest[0]!] ??= {});
      if (rest[1] === 'size') Object.assign(partition, { sectors: value, size: readable(Number(value) * 512) });
      else if (rest[1] === 'start') partition['start'] = value;
    }
  }
  return { devices: found };
}

/** Bytes as Ansible writes them: `20.00 GB`. */
function readable(bytes: number): string {
  const units = [['TB', MEBI * MEBI], ['GB', MEBI * 1024], ['MB', MEBI], ['KB', 1024]] as const;
  const [unit, size] = units.find(([, limit]) => bytes >= limit) ?? ['Bytes', 1];
  return `${(bytes / size).toFixed(2)} ${unit}`;
}

/** systemd-detect-virt's word -> Ansible's. */
const VIRTUAL: { [word: string]: string } = {
  qemu: 'kvm', amazon: 'kvm', google: 'kvm', vmware: 'VMware', oracle: 'virtualbox', microsoft: 'VirtualPC', 'lxc-libvirt': 'lxc', parallels: 'parallels', bhyve: 'bhyve', zvm: 'zvm',
};
const PRODUCTS: readonly (readonly [RegExp, string])[] = [
  [/KVM|Bochs|Standard PC|QEMU|OpenStack|Droplet|Google Compute/i, 'kvm'], [/VMware/, 'VMware'], [/VirtualBox/, 'virtualbox'], [/HVM domU/, 'xen'], [/Virtual Machine/, 'VirtualPC'],
];

/** Container or virtual machine, told by systemd, else by what those leave in the file system and firmware. */
export function virtual(host: Gathered): Facts {
  const product = `${host.first('/sys/class/dmi/id/product_name') ?? ''} ${host.first('/sys/class/dmi/id/sys_vendor') ?? ''}`;
  const container = host.first('/run/systemd/container') || (host.exists('/.dockerenv') ? 'docker' : host.exists('/run/.containerenv') ? 'podman' : undefined);
  const word = container ?? (host.text('virt').trim() || PRODUCTS.find(([pattern]) => pattern.test(product))?.[1]);
  if (word !== undefined && word !== 'none') return { virtualization_type: VIRTUAL[word] ?? word, virtualization_role: 'guest' };
  return host.exists('/dev/kvm') ? { virtualization_type: 'kvm', virtualization_role: 'host' } : { virtualization_type: 'NA', virtualization_role: 'NA' };
}
