import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { hostPath } from './words.js';

/** How a file system is made, and how its size is told and made to fill the device: $d is the device, $m where it is mounted. */
interface Kind {
  /** What blkid(8) calls it. */
  type: string;
  make: readonly string[];
  /** Options of that command which give a UUID and a label. */
  uuid?: (uuid: string) => readonly string[];
  label?: string;
  /** Gives another UUID to what is there. */
  identify?: (uuid: string) => Sh;
  /** Prints its size in bytes. */
  size?: Sh;
  grow?: Sh;
  /** It grows only while it is mounted. */
  mounted?: boolean;
  /** So many bytes at the end of the device are no reason to grow. */
  slack?: number;
}

const EXT = {
  uuid: (uuid: string) => ['-U', uuid],
  label: '-L',
  identify: (uuid: string) => sh`tune2fs -U ${uuid} "$d" </dev/null`,
  size: raw(`LC_ALL=C tune2fs -l "$d" | awk -F: '/^Block count:/ { n = $2 } /^Block size:/ { s = $2 } END { printf "%.0f", n * s }'`),
  grow: raw('resize2fs "$d"'),
};

const KINDS: { [fstype: string]: Kind } = {
  ext2: { type: 'ext2', make: ['mkfs.ext2', '-F'], ...EXT },
  ext3: { type: 'ext3', make: ['mkfs.ext3', '-F'], ...EXT },
  ext4: { type: 'ext4', make: ['mkfs.ext4', '-F'], ...EXT },
  xfs: {
    type: 'xfs',
    make: ['mkfs.xfs', '-f'],
    label: '-L',
    identify: (uuid) => sh`xfs_admin -U ${uuid} "$d"`,
    size: raw(`LC_ALL=C xfs_info "\${m:-$d}" | awk '$1 == "data" { for (i = 1; i <= NF; i++) { if ($i ~ /^bsize=/) s = substr($i, 7); if ($i ~ /^blocks=/) n = substr($i, 8) } } END { printf "%.0f", n * s }'`),
    grow: raw('xfs_growfs "$m"'),
    mounted: true,
    // A new allocation group takes 64 blocks at least.
    slack: 64 * 4096 - 1,
  },
  btrfs: {
    type: 'btrfs',
    make: ['mkfs.btrfs', '-f'],
    uuid: (uuid) => ['-U', uuid],
    label: '-L',
    size: raw(`[ -z "$m" ] || btrfs filesystem usage -b "$m" | awk '/Device size/ { print $NF; exit }'`),
    grow: raw('btrfs filesystem resize max "$m"'),
    mounted: true,
  },
  f2fs: { type: 'f2fs', make: ['mkfs.f2fs', '-f'], label: '-l' },
  vfat: { type: 'vfat', make: ['mkfs.vfat'], label: '-n' },
  swap: { type: 'swap', make: ['mkswap', '-f'], uuid: (uuid) => ['-U', uuid], label: '-L', identify: (uuid) => sh`swaplabel -U ${uuid} "$d"` },
  lvm: { type: 'LVM2_member', make: ['pvcreate', '-f'], uuid: (uuid) => ['-u', uuid, '--norestorefile'], identify: () => raw('pvchange -u "$d"'), size: raw('pvs --noheadings --nosuffix --units b -o pv_size "$d"'), grow: raw('pvresize "$d"') },
};

const schema = params({
  dev: path('The device, or a file that is used as one.').meta({ aliases: ['device'] }),
  fstype: choice(['btrfs', 'ext2', 'ext3', 'ext4', 'f2fs', 'lvm', 'swap', 'vfat', 'xfs'], 'The file system; lvm makes a physical volume.').meta({ aliases: ['type'] }).optional(),
  state: choice(['present', 'absent'], 'Whether the device has a file system; absent wipes what marks one.').default('present'),
  opts: str('Options for the command that makes it.').optional(),
  force: bool('Make it in place of another, and of the same.').default(false),
  resizefs: bool('Let it grow to fill the device.').default(false),
  uuid: str('Its UUID, or a word of the tool that gives one (random, generate), which is a change each time; lvm takes any.').optional(),
  label: str('The label it is made with; one that is there keeps its own.').optional(),
}).check((context) => {
  const { state, fstype, resizefs, uuid, label } = context.value;
  const kind = fstype === undefined ? undefined : KINDS[fstype]!;
  const issue = (message: string, path: string): unknown => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (resizefs && uuid !== undefined) issue('parameters are mutually exclusive: resizefs|uuid', 'uuid');
  if (kind && uuid !== undefined && !kind.uuid && !kind.identify) issue(`module does not support UUID option for this filesystem (${fstype}) yet.`, 'uuid');
  if (kind && label !== undefined && kind.label === undefined) issue(`${fstype} has no label`, 'label');
  if (state === 'present' && fstype === undefined) context.issues.push({ code: 'custom', message: 'state: present needs fstype', input: context.value, path: ['fstype'] });
});
type Wanted = typeof schema._output;

interface Observed {
  exists: boolean;
  /** In blkid's words; empty where there is none. */
  type: string;
  /** Bytes of the device and of what is on it; only with resizefs. */
  device: number;
  size: number;
  mountpoint: string;
  /** Only where one is asked for. */
  uuid: string;
}

const kindOf = ({ fstype }: Wanted): Kind => KINDS[fstype!]!;
const grows = ({ state, resizefs }: Wanted): boolean => state === 'present' && resizefs;

/** The command that makes it; UUID and label that stand in opts go before. */
function making(wanted: Wanted): Sh {
  const kind = kindOf(wanted);
  const opts = wanted.opts?.split(/\s+/).filter((word) => word !== '') ?? [];
  const add = (words: readonly string[] | undefined): readonly string[] => (words === undefined || opts.includes(words[0]!) ? [] : words);
  const { uuid, label } = wanted;
  return join([
    sh`${kind.make} ${opts} ${add(uuid === undefined ? undefined : kind.uuid?.(uuid))} ${add(label === undefined || kind.label === undefined ? undefined : [kind.label, label])} "$d"`,
    uuid !== undefined && !kind.uuid && kind.identify ? kind.identify(uuid) : join([]),
  ], ' && ');
}

/** Sets $d to the device and $m to where it is mounted. */
const device = ({ dev }: Wanted): Sh => sh`d=${hostPath(dev)} m=
b=$(readlink -f -- "$d"); while read -r s t _; do [ "$s" != "$d" ] && [ "$s" != "$b" ] || m=$t; done </proc/mounts
m=$(printf %b "$m")`;

export const filesystem = defineModule<typeof schema, Observed>({
  name: 'filesystem',
  summary: 'Makes a file system on a device, lets it grow, or wipes what marks one.',
  params: schema,
  returns: { msg: 'What was done about the size.' },
  examples: ['- filesystem:\n    dev: /dev/vdb1\n    fstype: ext4\n    resizefs: true'],
  inspect: (wanted) => join([
    device(wanted),
    sh`if [ ! -e "$d" ]; then printf '\\000\\000\\000\\000\\000\\000'; exit; fi
command -v blkid >/dev/null || { echo 'the host has no blkid; install util-linux on it' >&2; exit 1; }
f=$(blkid -c /dev/null -o value -s TYPE "$d"); r=$?
[ $r -eq 0 ] || [ $r -eq 2 ] || { echo "blkid cannot look at $d" >&2; exit 1; }
c= z= u=`,
    grows(wanted) && kindOf(wanted).size ? sh`if [ "$f" = ${kindOf(wanted).type} ]; then
  if [ -b "$d" ]; then c=$(blockdev --getsize64 "$d") || exit; else c=$(stat -L -c %s "$d") || exit; fi
  z=$(${kindOf(wanted).size!}) || exit
fi` : join([]),
    wanted.uuid === undefined ? join([]) : raw('u=$(blkid -c /dev/null -o value -s UUID "$d") || u='),
    raw(`printf '%s\\000' y "$f" "$c" "$z" "$m" "$u"`),
  ]),
  parse(output, { dev }) {
    const [exists, type, device, size, mountpoint, uuid = ''] = fields(output, `looking at ${dev}`) as [string, string, string, string, string, string?];
    return { exists: exists === 'y', type, device: Number(device), size: Number(size), mountpoint, uuid };
  },
  compare(wanted, { exists, type, device, size, mountpoint, uuid }): Change[] {
    const { dev, state, force, resizefs, fstype } = wanted;
    if (state === 'absent') return type === '' ? [] : [{ field: 'fstype', from: type, to: null }];
    if (!exists) throw new ModuleError(`Device ${dev} not found.`);
    const kind = kindOf(wanted);
    if (type !== kind.type || (force && !resizefs && wanted.uuid === undefined)) {
      if (type !== '' && !force) throw new ModuleError(`'${dev}' is already used as ${type}, use force=true to overwrite`);
      return [{ field: 'fstype', from: type === '' ? null : type, to: kind.type }];
    }
    if (wanted.uuid !== undefined && uuid !== wanted.uuid) {
      if (!kind.identify) throw new ModuleError(`the UUID of a ${fstype} that is there cannot be changed`);
      return [{ field: 'uuid', from: uuid || null, to: wanted.uuid }];
    }
    if (!resizefs) return [];
    if (!kind.grow) throw new ModuleError(`module does not support resizing ${fstype} filesystem yet.`);
    if (kind.mounted && mountpoint === '' && (size === 0 || size + (kind.slack ?? 0) < device)) throw new ModuleError(`${dev} needs to be mounted for ${fstype} operations`);
    if (size === 0) throw new ModuleError(`the size of the file system on ${dev} cannot be told`);
    return size + (kind.slack ?? 0) >= device ? [] : [{ field: 'size', from: size, to: device }];
  },
  apply(wanted, _observed, changes) {
    const how =
      wanted.state === 'absent' ? raw('wipefs --all "$d"')
      : changes.some(({ field }) => field === 'size') ? kindOf(wanted).grow!
      : changes.some(({ field }) => field === 'uuid') ? kindOf(wanted).identify!(wanted.uuid!)
      : making(wanted);
    return { script: join([device(wanted), how]) };
  },
  result(wanted, { exists, type, size }, output) {
    if (!exists) return { msg: `Device ${wanted.dev} not found.` };
    if (!grows(wanted) || type !== kindOf(wanted).type) return {};
    return { msg: output?.stdout.trim() ?? (size > 0 ? `${wanted.fstype} filesystem is using the whole device ${wanted.dev}` : '') };
  },
  // A physical volume and ext file systems leave a rest that is no whole block.
  verify: ({ force, resizefs, uuid, fstype }) => !force && !resizefs && (uuid === undefined || (fstype !== 'lvm' && /^[0-9a-f-]{36}$/i.test(uuid))),
});
export default filesystem;
