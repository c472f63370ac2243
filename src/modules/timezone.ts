import { raw, sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { choice, params, str } from './params.js';

const schema = params({
  name: str('The zone: Europe/Berlin, UTC.').optional(),
  hwclock: choice(['local', 'UTC'], 'The time the hardware clock keeps.').meta({ aliases: ['rtc'] }).optional(),
}).check((context) => {
  const { name, hwclock } = context.value;
  if (name === undefined && hwclock === undefined) context.issues.push({ code: 'custom', message: 'name or hwclock is needed', input: context.value, path: ['name'] });
  if (name !== undefined && (!/^[A-Za-z0-9_+/-]+$/.test(name) || name.startsWith('/'))) context.issues.push({ code: 'custom', message: `"${name}" is not the name of a time zone`, input: context.value, path: ['name'] });
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  /** Undefined where /etc/localtime is neither a link into the zones nor a copy of the wanted one. */
  zone: string | undefined;
  /** What /etc/timezone says, where there is such a file. */
  named: string | undefined;
  hwclock: 'local' | 'UTC';
}

export const timezone = defineModule<typeof schema, Observed, Wanted>({
  name: 'timezone',
  summary: "Sets the host's time zone, and what time its hardware clock keeps.",
  params: schema,
  returns: {},
  examples: ['- timezone:\n    name: Europe/Berlin'],
  // localtime(5), adjtime_config(5); /etc/timezone is Debian's.
  inspect: ({ name }) => sh`w=${name ?? ''}
[ -z "$w" ] || [ -f "/usr/share/zoneinfo/$w" ] || { echo "the host does not know the zone $w (no /usr/share/zoneinfo/$w); is the package tzdata installed, the name right?" >&2; exit 1; }
z= n= h=UTC
if [ -L /etc/localtime ]; then
  z=$(readlink /etc/localtime) || exit
  case $z in */zoneinfo/*) z=\${z#*/zoneinfo/} ;; *) z= ;; esac
elif [ ! -e /etc/localtime ]; then z=UTC
elif [ "$w" ] && [ "$(sha256sum </etc/localtime)" = "$(sha256sum <"/usr/share/zoneinfo/$w")" ]; then z=$w
fi
if [ -f /etc/timezone ]; then read -r n </etc/timezone || [ "$n" ] || n=-; fi
if [ -f /etc/adjtime ] && grep -q '^LOCAL$' /etc/adjtime; then h=local; fi
printf '%s\\000' "$z" "$n" "$h"`,
  parse(output) {
    const [zone, named, hwclock] = fields(output, 'looking at the time zone');
    if (hwclock !== 'local' && hwclock !== 'UTC') throw new ModuleError('cannot read the answer of the host');
    return { zone: zone === '' ? undefined : zone, named: named === '' ? undefined : named, hwclock };
  },
  compare(wanted, { zone, named, hwclock }) {
    const changes: Change[] = [];
    const differs = zone !== wanted.name || (named !== undefined && named !== wanted.name);
    if (wanted.name !== undefined && differs) changes.push({ field: 'name', from: (zone === wanted.name ? named : zone) ?? null, to: wanted.name });
    if (wanted.hwclock !== undefined && wanted.hwclock !== hwclock) changes.push({ field: 'hwclock', from: hwclock, to: wanted.hwclock });
    return changes;
  },
  apply(wanted, { named }, changes) {
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    const { name = '' } = wanted;
    const zone = sh`{ if [ "$s" ]; then timedatectl set-timezone ${name}
else ln -sfn ${`/usr/share/zoneinfo/${name}`} /etc/.localtime.muster && mv -fT /etc/.localtime.muster /etc/localtime 2>/dev/null || mv -f /etc/.localtime.muster /etc/localtime; fi
} || exit
${raw(named === undefined ? '[ ! -e /var/lib/dpkg/status ] ||' : '')} printf '%s\\n' ${name} >/etc/timezone || exit`;
    const isLocal = wanted.hwclock === 'local';
    const clock = sh`if [ "$s" ]; then timedatectl set-local-rtc ${isLocal ? 'yes' : 'no'} || exit
else hwclock --systohc ${isLocal ? '--localtime' : '--utc'} || exit; fi`;
    return {
      script: sh`s=; [ ! -d /run/systemd/system ] || ! command -v timedatectl >/dev/null || s=y
${has('name') ? zone : sh``}
${has('hwclock') ? clock : sh``}`,
    };
  },
  touches: () => ({ paths: [sh`/etc/localtime`, sh`/etc/timezone`, sh`/etc/adjtime`] }),
  undo(_wanted, { zone, hwclock }, changes) {
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    if (has('name') && zone === undefined) throw new ModuleError('which time zone /etc/localtime held was not kept');
    return [{ module: 'timezone', args: { ...(has('name') ? { name: zone } : {}), ...(has('hwclock') ? { hwclock } : {}) } }];
  },
  result: () => ({}),
});
export default timezone;
