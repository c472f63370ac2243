import { bytes, join, raw, sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { replaced, replaceFiles } from './replace_file.js';
import { choice, params, str } from './params.js';

const schema = params({
  name: str('The name the host shall have.'),
  use: choice(['systemd', 'generic', 'debian', 'alpine', 'redhat'], 'How it is set: by hostnamectl (`systemd`), or by /etc/hostname and `hostname` (all others); chosen by what the host runs unless given.').optional(),
});

interface Observed {
  /** First line of /etc/hostname; undefined where there is none. */
  kept: string | undefined;
  /** What the kernel says. */
  live: string;
}

export const hostname = defineModule<typeof schema, Observed>({
  name: 'hostname',
  summary: "Sets the host's name, now and at every boot.",
  params: schema,
  returns: { name: 'The name.', ansible_facts: 'ansible_hostname, ansible_nodename, ansible_fqdn and ansible_domain, as they are now.' },
  examples: [
    `- hostname:
    name: "{{ inventory_hostname }}"
`,
  ],
  async prepare(args) {
    // hostname(7) and RFC 1123, section 2.1.
    if (args.name.length > 64 || !/^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(args.name)) {
      throw new ModuleError(`"${args.name}" is no host name: letters, digits, hyphens and dots, 64 at most`);
    }
    return args;
  },
  inspect: () =>
    raw(`k= n=
if [ -e /etc/hostname ]; then
  [ -r /etc/hostname ] || { echo 'no permission to read /etc/hostname' >&2; exit 1; }
  k=is; read -r n </etc/hostname || :
fi
read -r l </proc/sys/kernel/hostname || exit
printf '%s\\000' "$k" "$n" "$l"`),
  parse(output) {
    const [is, kept, live] = fields(output, "reading the host's name");
    return { kept: is === '' ? undefined : kept!.trim(), live: live! };
  },
  compare({ name }, { kept, live }) {
    const changes: Change[] = [];
    if (kept !== name) changes.push({ field: 'name at boot', from: kept ?? null, to: name });
    if (live !== name) changes.push({ field: 'name', from: live, to: name });
    return changes;
  },
  apply({ name, use }) {
    const write = join([sh`${bytes(`${name}\n`)} >/etc/hostname || exit`, sh`hostname ${name} 2>/dev/null || printf '%s\\n' ${name} >/proc/sys/kernel/hostname`]);
    const ctl = sh`hostnamectl set-hostname ${name}`;
    if (use !== undefined) return replaceFiles([], [], { after: [use === 'systemd' ? ctl : sh`{ ${write}; }`] });
    return replaceFiles([], [], { after: [sh`if [ -d /run/systemd/system ] && command -v hostnamectl >/dev/null; then ${ctl}\nelse\n${write}\nfi`] });
  },
  undo: (_wanted, { kept, live }) => [{ module: 'hostname', args: { name: kept ?? live } }],
  result({ name }, _observed, output) {
    if (output) replaced(output, 0, 'setting the name of the host');
    const [short, ...domain] = name.split('.');
    return { name, ansible_facts: { ansible_hostname: short, ansible_nodename: name, ansible_fqdn: name, ansible_domain: domain.join('.') } };
  },
});
export default hostname;
