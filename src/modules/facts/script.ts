/**
 * The one read-only text that gathers facts. Most of it is one `grep` that prints many small files with their
 * names; the rest are questions no file answers. Each answer is a section: NUL, name, NUL, text.
 */
import { hostPath } from '../words.js';
import { SIZES } from './hardware.js';
import { askPython } from './python.js';
import { join, raw, sh, type Sh } from '../../shell/sh.js';

/** What can be asked for, as Ansible's `gather_subset` groups it. */
export type Group = 'min' | 'hardware' | 'network' | 'virtual';

const FILES: { [group in Group]: string } = {
  min: `/proc/sys/kernel/ostype /proc/sys/kernel/hostname /proc/sys/kernel/osrelease /proc/sys/kernel/version
/proc/sys/crypto/fips_enabled /proc/1/comm /proc/cmdline /etc/os-release /usr/lib/os-release /etc/debian_version
/etc/centos-release /etc/lsb-release /etc/machine-id /var/lib/dbus/machine-id /etc/resolv.conf /etc/selinux/config
/sys/fs/selinux/enforce /sys/fs/selinux/policyvers /sys/module/apparmor/parameters/enabled /etc/ssh/ssh_host_*_key.pub`,
  hardware: `/proc/meminfo /proc/uptime /proc/loadavg /proc/self/status /proc/self/mounts
/sys/class/dmi/id/bios_date /sys/class/dmi/id/bios_vendor /sys/class/dmi/id/bios_version /sys/class/dmi/id/board_name
/sys/class/dmi/id/board_vendor /sys/class/dmi/id/board_serial /sys/class/dmi/id/chassis_vendor /sys/class/dmi/id/product_serial
/sys/class/dmi/id/product_uuid /sys/class/dmi/id/product_version
/sys/block/*/size /sys/block/*/removable /sys/block/*/queue/rotational /sys/block/*/queue/logical_block_size
/sys/block/*/device/model /sys/block/*/device/vendor /sys/block/*/*/partition /sys/block/*/*/start /sys/block/*/*/size`,
  network: `/sys/class/net/*/address /sys/class/net/*/mtu /sys/class/net/*/operstate /sys/class/net/*/flags
/sys/class/net/*/type /sys/class/net/*/speed /sys/class/net/*/bridge/bridge_id /sys/class/net/*/bridge/stp_state /sys/class/net/*/brif/*/port_no
/sys/class/net/*/bonding/mode /sys/class/net/*/bonding/miimon /sys/class/net/*/bonding/lacp_rate /sys/class/net/*/bonding/primary
/sys/class/net/*/bonding/slaves /sys/class/net/*/bonding/all_slaves_active /sys/class/net/*/bonding_slave/perm_hwaddr`,
  virtual: '/run/systemd/container',
};
/** Needed by more than one group. */
const ALWAYS = '/sys/class/dmi/id/product_name /sys/class/dmi/id/sys_vendor';

/** Whether these exist tells something. */
const EXISTING = `/run/systemd/system /run/openrc /run/runit /usr/bin/apt-get /usr/bin/dnf5 /usr/bin/dnf /usr/bin/yum /sbin/apk
/usr/bin/apk /usr/bin/pacman /usr/bin/zypper /usr/bin/emerge /usr/bin/xbps-install /sys/fs/selinux/enforce /sys/kernel/security/apparmor
/.dockerenv /run/.containerenv /dev/kvm /proc/vz /proc/xen`;

const SECTIONS: { [group in Group]: string } = {
  min: `s machine; uname -m
s date; date '+%Y %m %d %H %M %S %A %w %W %U %s %N %Z %z'
i=$(id); s id; echo "$i"; i=\${i#uid=}; i=\${i%%[!0-9]*}
s passwd; { getent passwd "$i" || grep "^[^:]*:[^:]*:$i:" /etc/passwd; } 2>/dev/null
s bits; getconf LONG_BIT 2>/dev/null
read n </proc/sys/kernel/hostname
case $n in
  *.*) ;;
  *) s fqdn; getent -s files hosts "$n" 2>/dev/null || timeout 1 hostname -f 2>/dev/null ;;
esac
[ -d /run/systemd/system ] && { s systemd; systemctl --version 2>/dev/null; }
[ -d /proc/1/root/. ] && { s root; [ / -ef /proc/1/root/. ] && echo same || echo other; }`,
  hardware: `s cpuinfo; grep -E '^(processor|model name|vendor_id|physical id|siblings|cpu cores|Processor|cpu|CPU implementer)[[:space:]]*:' /proc/cpuinfo
s uuids; [ ! -d /dev/disk/by-uuid ] || ls -l /dev/disk/by-uuid 2>/dev/null
if [ -w / ] && command -v vgs >/dev/null && [ -e /dev/mapper/control ]; then
  for q in 'vgs -o vg_name,pv_count,lv_count,vg_size,vg_free' 'lvs -o lv_name,vg_name,lv_size' 'pvs -o pv_name,vg_name,pv_size,pv_free'; do s "\${q%% *}"; timeout 5 $q --noheadings --nosuffix --units g --separator , 2>/dev/null; done
fi
set --
while read -r d m r; do
  case $d in /*) case $m in *\\\\*) m=$(printf %b "$m") ;; esac; set -- "$@" "$m" ;; esac
done </proc/self/mounts
s sizes; [ $# -eq 0 ] || timeout 3 stat -f -c '${SIZES}' -- "$@" 2>/dev/null`,
  network: `if command -v ip >/dev/null; then
  s addr; ip -o addr show 2>/dev/null
  s route4; ip -4 route get 8.8.8.8 2>/dev/null
  s route6; ip -6 route get 2404:6800:400a:800::1012 2>/dev/null
fi`,
  virtual: `s virt; systemd-detect-virt 2>/dev/null`,
};

/** Facts the host keeps itself: executables are run, other files read. The last line says how that ended: exit status and stderr, or `dangling`. */
function localFacts(folder: string, seconds: number): Sh {
  return sh`for f in ${hostPath(folder)}/*.fact; do
  if [ ! -f "$f" ]; then [ -L "$f" ] || continue; t=dangling
  elif [ -x "$f" ]; then t=$({ e=$(timeout ${seconds} "$f" </dev/null 2>&1 >&3); r=$?; } 3>&1; [ $r = 0 ] || e=$(printf %s "$e" | tr '\\n' ' '); printf '\\n%s %s' $r "$e")
  else t=$(cat "$f" 2>/dev/null; printf '\\n0 '); fi
  s "local $f"; printf %s "$t"
done`;
}

/**
 * @param groups what to ask for
 * @param factPath folder of the host's own facts
 * @param seconds each program among them may take
 * @param python the host's `ansible_python_interpreter`
 */
export function gathering(groups: ReadonlySet<Group>, factPath: string, seconds: number, python?: unknown): Sh {
  const asked = (['min', 'hardware', 'network', 'virtual'] as const).filter((group) => groups.has(group));
  return join([
    raw(`s() { printf '\\000%s\\000' "$1"; }
s env; cat /proc/self/environ | tr '\\000\\n' '\\n\\001'
PATH=$PATH:/usr/sbin:/sbin
s files; grep -saH '' ${[ALWAYS, ...asked.map((group) => FILES[group])].join(' ').replaceAll('\n', ' ')}
s existing; for f in ${EXISTING.replaceAll('\n', ' ')}; do [ -e $f ] && echo $f; done`),
    ...asked.map((group) => raw(SECTIONS[group])),
    groups.has('min') ? join([askPython(python), localFacts(factPath, seconds)]) : sh``,
    raw(`s end\n:`),
  ]);
}
