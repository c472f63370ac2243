import { raw } from '../shell/sh.js';
import { defineModule, ModuleError } from './module.js';
import { params } from './params.js';

type Services = { [name: string]: { name: string; state: string; status?: string; source: string; runlevels?: string[] | null } };

/** States that count more than whether a unit starts at boot. */
const BAD = ['not-found', 'masked', 'failed'];

const schema = params({});

export const serviceFacts = defineModule<typeof schema, Services>({
  name: 'service_facts',
  summary: 'Gathers the services as facts: whether they run, and whether they start at boot.',
  params: schema,
  returns: { ansible_facts: 'A dict `services`: of each name (`nginx.service` under systemd) a dict with name, state (running, stopped, …), status (enabled, disabled, static, masked, …) and source (systemd, openrc, sysv).' },
  examples: [
    `- service_facts:
- debug:
    msg: nginx runs
  when: (ansible_facts.services['nginx.service'] | default({})).state | default('') == 'running'
`,
  ],
  readOnly: true,
  // Units that have no file are listed by the first, those that are not loaded by the second; the third tells of the latter.
  inspect: () => raw(`if [ -d /run/systemd/system ]; then
  echo '@units'; systemctl list-units --no-pager --no-legend --type service --all --plain --full || exit
  echo '@files'; f=$(systemctl list-unit-files --no-pager --no-legend --type service --full) || exit
  printf '%s\\n' "$f"
elif command -v rc-status >/dev/null; then
  echo '@openrc'; rc-status -a -s -m 2>&1 | tr -d '[]'
  echo '@levels'; rc-update show -v 2>/dev/null
else
  echo '@init'
  for s in /etc/init.d/*; do
    [ -x "$s" ] || continue
    case \${s##*/} in skeleton | rc | rcS | functions | halt | reboot | single | README) continue ;; esac
    grep -q 'status' "$s" || continue
    if timeout 10 "$s" status </dev/null >/dev/null 2>&1; then echo "running \${s##*/}"; else echo "stopped \${s##*/}"; fi
  done
fi
echo @end`),
  parse({ rc, stdout, stderr }) {
    const sections = new Map<string, string[][]>();
    let current: string[][] = [];
    for (const line of stdout.split('\n')) {
      if (/^@[a-z]+$/.test(line)) sections.set(line.slice(1), (current = []));
      else if (line.trim() !== '') current.push(line.trim().split(/\s+/));
    }
    if (rc !== 0 || !sections.has('end')) throw new ModuleError(`cannot list services: ${stderr.trim() || `exit status ${rc}`}`, { rc, stderr });
    const services: Services = {};
    for (const words of sections.get('units') ?? []) {
      const [name, , active, sub] = words as [string, string, string, string];
      const bad = BAD.find((state) => words.slice(1, 4).includes(state));
      services[name] = { name, state: bad === undefined && sub === 'running' ? 'running' : 'stopped', status: bad ?? active, source: 'systemd' };
    }
    for (const [name, status] of sections.get('files') ?? []) {
      const known = services[name!];
      // What systemd has not loaded does not run.
      if (known === undefined) services[name!] = { name: name!, state: name!.includes('@.') ? 'unknown' : 'inactive', status: status!, source: 'systemd' };
      else if (!BAD.includes(known.status!)) known.status = status!;
    }
    const levels = new Map((sections.get('levels') ?? []).filter((words) => words.includes('|')).map((words) => [words[0], words.slice(words.indexOf('|') + 1)]));
    for (const [name, state] of sections.get('openrc') ?? []) {
      if (state === undefined) continue;
      const runlevels = levels.get(name) ?? [];
      services[name!] = { name: name!, runlevels: runlevels.length > 0 ? runlevels : null, state, source: 'openrc' };
    }
    for (const [state, name] of sections.get('init') ?? []) services[name!] = { name: name!, state: state!, source: 'sysv' };
    return services;
  },
  compare: () => [],
  apply() {
    throw new ModuleError('service_facts changes nothing');
  },
  result: (_wanted, services) => ({ ansible_facts: { services } }),
});
export default serviceFacts;
