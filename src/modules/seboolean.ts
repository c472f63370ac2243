import { sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, params, str } from './params.js';

const schema = params({
  name: str('The boolean: httpd_can_network_connect.'),
  state: bool('Whether it is on.'),
  persistent: bool('Whether it stays so after the next boot.').default(false),
  ignore_selinux_state: bool('Not supported where true: run "semanage boolean" with the command module.').default(false),
}).check((context) => {
  const { name, ignore_selinux_state } = context.value;
  const issue = (message: string, path: string): unknown => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (!/^\w[\w.-]*$/.test(name)) issue(`"${name}" is not the name of a boolean`, 'name');
  if (ignore_selinux_state) issue('ignore_selinux_state is not supported; run "semanage boolean" with the command module', 'ignore_selinux_state');
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  isOn: boolean;
  /** How it will be after the next boot; undefined where it was never set and the host has no semanage to tell the policy's own value. */
  atBoot: boolean | undefined;
}

export const seboolean = defineModule<typeof schema, Observed, Wanted>({
  name: 'seboolean',
  summary: "Turns SELinux' booleans on and off.",
  params: schema,
  returns: { name: 'The boolean.', state: 'Whether it is on, as asked for.', persistent: 'As asked for.' },
  examples: ['- seboolean:\n    name: httpd_can_network_connect\n    state: true\n    persistent: true'],
  // getsebool(8) knows old names of booleans too and says the new one; booleans.local holds what setsebool -P set.
  inspect: ({ name, persistent }) => sh`export LC_ALL=C
command -v getsebool >/dev/null || { echo 'the host has no getsebool; install libselinux-utils' >&2; exit 1; }
o=$(getsebool ${name}) || exit
b=
if [ ${persistent ? 'y' : ''} ]; then
  n=\${o%% *}
  t=$(cat /etc/selinux/config | sed -n 's/^SELINUXTYPE=\\([A-Za-z0-9_-]*\\).*/\\1/p') || exit
  b=$(cat "/var/lib/selinux/$t/active/booleans.local" 2>/dev/null | sed -n "s/^$n=\\([01]\\)\\$/\\1/p")
  if [ -z "$b" ] && command -v semanage >/dev/null; then
    l=$(semanage boolean -l -n) || exit
    b=$(printf '%s\\n' "$l" | sed -n "s/^$n  *([a-z]* *, *\\([a-z]*\\)).*/\\1/p")
  fi
fi
printf '%s\\000' "$o" "$b"`,
  parse(output, { name }): Observed {
    const [now, boot] = fields(output, `looking at the boolean ${name}`);
    const found = /^\S+ --> (on|off)\b/.exec(now!);
    if (!found) throw new ModuleError(`cannot read what getsebool says of ${name}: ${now}`);
    return { isOn: found[1] === 'on', atBoot: boot === '' ? undefined : boot === '1' || boot === 'on' };
  },
  compare({ state, persistent }, { isOn, atBoot }) {
    const word = (value: boolean | undefined): string | null => (value === undefined ? null : value ? 'on' : 'off');
    const changes: Change[] = [];
    if (isOn !== state) changes.push({ field: 'state', from: word(isOn), to: word(state) });
    if (persistent && atBoot !== state) changes.push({ field: 'persistent', from: word(atBoot), to: word(state) });
    return changes;
  },
  apply: ({ name, state, persistent }) => ({ script: sh`LC_ALL=C setsebool ${persistent ? ['-P'] : []} ${name} ${state ? 'on' : 'off'}` }),
  undo({ name }, { isOn, atBoot }, changes) {
    if (changes.some(({ field }) => field === 'persistent')) {
      // What was never set stays set, to what it was.
      const boot = { module: 'seboolean', args: { name, state: atBoot ?? isOn, persistent: true } };
      return atBoot === undefined || atBoot === isOn ? [boot] : [boot, { module: 'seboolean', args: { name, state: isOn }, behind: true }];
    }
    return [{ module: 'seboolean', args: { name, state: isOn } }];
  },
  result: ({ name, state, persistent }) => ({ name, state, persistent }),
});
export default seboolean;
