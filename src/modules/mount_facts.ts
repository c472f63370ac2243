import { join, raw, sh } from '../shell/sh.js';
import { fnmatch } from '../value/glob.js';
import { readSizes, readUuids, SIZES, unescape } from './facts/hardware.js';
import { fields } from './look.js';
import { defineModule, ModuleError } from './module.js';
import { any, bool, choice, float, list, params } from './params.js';

const STATIC = ['/etc/fstab', '/etc/vfstab', '/etc/filesystems'];
const DYNAMIC = ['/etc/mtab', '/proc/mounts', '/etc/mnttab'];

const schema = params({
  sources: list('Where mounts are looked up: files, `mount` for the command, `static` for /etc/fstab and its like, `dynamic` for /proc/mounts and its like, `all` for both. What is the same file is read once.').default(['all']),
  devices: list('Shell patterns of devices; others are left out.').default(['*']),
  fstypes: list('Shell patterns of file systems; others are left out.').default(['*']),
  mount_binary: any('The command that lists mounts, where sources name `mount` or none of the dynamic files is there; null for none.').default('mount'),
  timeout: float('Seconds to wait for each mount, and for the command.').optional(),
  on_timeout: choice(['error', 'ignore', 'warn'], 'What comes of a mount that does not answer in time.').default('error'),
  include_aggregate_mounts: bool('Tell all mounts, those that others cover too.').optional(),
}).check((context) => {
  const { timeout, mount_binary } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (timeout !== undefined && timeout <= 0) issue(`argument 'timeout' must be a positive number or null, not ${timeout}`, 'timeout');
  if (mount_binary !== null && typeof mount_binary !== 'string') issue(`argument 'mount_binary' must be a string or null, not ${String(mount_binary)}`, 'mount_binary');
});
type Wanted = typeof schema._output;

type Mount = { mount: string; device: string; fstype: string; ansible_context: { source: string; source_data: string }; [field: string]: unknown };

const namesOf = ({ sources }: Wanted): string[] =>
  sources.flatMap((source) => (source === 'all' ? [...DYNAMIC, ...STATIC] : source === 'dynamic' ? DYNAMIC : source === 'static' ? STATIC : [source]));

export const mountFacts = defineModule<typeof schema, { mounts: Mount[]; warnings: string[] }>({
  name: 'mount_facts',
  summary: 'Gathers what is mounted, or is to be, as facts.',
  params: schema,
  returns: { ansible_facts: 'mount_points, a dict by path, and aggregate_mounts, a list of all where it is asked for: device, mount, fstype, options, dump, passno, uuid, sizes, and the line in ansible_context.' },
  examples: ['- mount_facts:\n    fstypes: [nfs, nfs4]\n    timeout: 10'],
  readOnly: true,
  inspect(wanted) {
    const wait = wanted.timeout === undefined ? join([]) : sh`timeout ${wanted.timeout}`;
    const binary = wanted.mount_binary as string | null;
    const command = binary === null ? sh`echo 'there is no mount_binary' >&2; exit 1` : sh`c=$(${wait} ${binary}) || { r=$?; [ $r -eq 124 ] || exit $r; printf 'timeout\\000%s\\000' ${`Timed out running ${binary}`}; c=; }`;
    return join([
      raw(`all= found=
tell() { printf 'source\\000%s\\000%s\\000%s\\000' "$1" "$2" "$3"; all="$all
$3"; }`),
      ...namesOf(wanted).map((name) =>
        name === 'mount'
          ? sh`${command}
tell mount mount "$c"; [ -z "$c" ] || found=y`
          : sh`c=$(cat -- ${name} 2>/dev/null); tell ${name} "$(readlink -f -- ${name})" "$c"${DYNAMIC.includes(name) ? raw('; [ -z "$c" ] || found=y') : join([])}`),
      binary === null || !namesOf(wanted).some((name) => DYNAMIC.includes(name)) ? join([]) : sh`[ "$found" ] || { ${command}
tell mount mount "$c"; }`,
      sh`printf 'uuids\\000%s\\000' "$(ls -l /dev/disk/by-uuid 2>/dev/null)"
printf 'lsblk\\000%s\\000' "$(lsblk --list --noheadings --paths --output NAME,UUID --exclude 2 2>/dev/null)"
set -f; set --
for m in $(printf '%s\\n' "$all" | awk '$2 == "on" && $4 == "type" { print $3; next } $1 !~ /^#/ && NF >= 4 { print $2 }' | grep ^/ | sort -u); do set -- "$@" "$(printf %b "$m")"; done`,
      wanted.timeout === undefined
        ? sh`printf 'sizes\\000%s\\000' "$(stat -f -c ${SIZES} -- "$@" 2>/dev/null)"`
        : sh`for m do
  z=$(${wait} stat -f -c ${SIZES} -- "$m" 2>/dev/null) || { [ $? -ne 124 ] || printf 'timeout\\000%s\\000' "Timed out getting mount size for mount $m"; continue; }
  printf 'sizes\\000%s\\000' "$z"
done`,
    ]);
  },
  parse(output, wanted) {
    const rest = fields(output, 'looking at what is mounted');
    const told: { [kind: string]: string[] } = { timeout: [], uuids: [], lsblk: [], sizes: [] };
    const sources: [string, string, string][] = [];
    while (rest.length > 0) {
      const kind = rest.shift()!;
      if (kind === 'source') sources.push(rest.splice(0, 3) as [string, string, string]);
      else told[kind]!.push(...rest.shift()!.split('\n'));
    }
    if (told['timeout']!.length > 0 && wanted.on_timeout === 'error') throw new ModuleError(told['timeout']!.join('; '));
    const warnings = wanted.on_timeout === 'warn' ? told['timeout']! : [];
    const names = namesOf(wanted);
    if (new Set(names).size < names.length) warnings.push(`mount_facts option 'sources' contains duplicate entries, repeat sources will be ignored: ${names.join(', ')}`);
    const uuids = readUuids(told['uuids']!);
    for (const line of told['lsblk']!) {
      const [device, uuid] = line.trim().split(/\s+/);
      if (uuid !== undefined && !uuids.has(device!)) uuids.set(device!, uuid);
    }
    const devices = new Map([...uuids].map(([device, uuid]) => [uuid, device]));
    const sizes = readSizes(told['sizes']!);
    const fits = (patterns: readonly string[]) => { const all = patterns.map(fnmatch); return (text: string) => all.some((pattern) => pattern.test(text)); };
    const [byDevice, byType] = [fits(wanted.devices), fits(wanted.fstypes)];
    const seen = new Set<string>();
    const mounts = sources.flatMap(([source, real, text]) => {
      if (seen.has(real)) return [];
      seen.add(real);
      return read(source, text).flatMap((mount): Mount[] => {
        const uuid = /^UUID=(.*)$/.exec(mount.device)?.[1];
        const device = uuid === undefined ? mount.device : (devices.get(uuid) ?? mount.device);
        return byDevice(device) && byType(mount.fstype) ? [{ ...mount, ...sizes.get(mount.mount), uuid: uuid ?? uuids.get(device) ?? null }] : [];
      });
    });
    return { mounts, warnings };
  },
  compare: () => [],
  apply() {
    throw new ModuleError('mount_facts changes nothing');
  },
  result({ include_aggregate_mounts }, { mounts, warnings }) {
    const points = new Map<string, Mount>();
    const repeated = new Map<string, string[]>();
    const there = new Set<string>();
    for (const mount of mounts) {
      if (!points.has(mount.mount)) points.set(mount.mount, mount);
      const { source } = mount.ansible_context;
      if (there.has(`${source}\0${mount.mount}`)) repeated.set(source, [...(repeated.get(source) ?? []), mount.mount]);
      there.add(`${source}\0${mount.mount}`);
    }
    const said = [...warnings];
    if (repeated.size > 0 && include_aggregate_mounts === undefined) {
      said.push(`mount_facts: ignoring repeat mounts in the following sources: ${[...repeated].map(([source, paths]) => `${source} (${paths.join(', ')})`).join(', ')}. You can disable this warning by configuring the 'include_aggregate_mounts' option as True or False.`);
    }
    return { ansible_facts: { mount_points: Object.fromEntries(points), aggregate_mounts: include_aggregate_mounts ? mounts : [] }, ...(said.length > 0 ? { warnings: said } : {}) };
  },
});
export default mountFacts;

/** fstab(5), /proc/mounts, or what mount(8) prints; a file that is neither tells nothing. */
function read(source: string, text: string): Mount[] {
  const found: Mount[] = [];
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const ansible_context = { source, source_data: line };
    if (source === 'mount') {
      const [, device, mount, fstype, options] = /^(\S+) on (\S+) type (\S+) \((.+)\)$/.exec(line) ?? [];
      if (mount === undefined) return [];
      found.push({ device: device!, mount, fstype: fstype!, options, ansible_context });
      continue;
    }
    const [device, mount, fstype, options, dump, passno] = line.split(/\s+/).map(unescape);
    if (options === undefined || [dump, passno].some((number) => number !== undefined && !/^\d+$/.test(number))) return [];
    found.push({ device: device!, mount: mount!, fstype: fstype!, options, ...(dump === undefined ? {} : { dump: Number(dump) }), ...(passno === undefined ? {} : { passno: Number(passno) }), ansible_context });
  }
  return found;
}
