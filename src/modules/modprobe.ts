import { join, raw, sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { choice, params, str } from './params.js';
import { splitWords } from './words.js';

const schema = params({
  name: str('The kernel module.'),
  state: choice(['present', 'absent'], 'Whether the kernel has it loaded.').default('present'),
  params: str('Its parameters: `numdummies=2`; they matter when it is loaded.').default(''),
  persistent: choice(['disabled', 'present', 'absent'], 'Whether it is loaded at boot, by files in /etc/modules-load.d and /etc/modprobe.d; disabled leaves these alone.').default('disabled'),
}).check((context) => {
  if (!/^[A-Za-z0-9_-]+$/.test(context.value.name)) context.issues.push({ code: 'custom', message: `"${context.value.name}" is not the name of a kernel module`, input: context.value, path: ['name'] });
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  isLoaded: boolean;
  /** Whether a file of modules-load.d names it. */
  atBoot: boolean;
  /** Parameters the files of modprobe.d give it, sorted. */
  options: string[];
}

/** What the files say: modules-load.d(5), modprobe.d(5). Dash and underscore are one sign to the kernel. */
const either = (name: string): string => name.replace(/[-_]/g, '[-_]');
const loadLine = (name: string): string => `^[[:blank:]]*${either(name)}[[:blank:]]*([#;].*)?$`;
const optionsLine = (name: string): string => `^[[:blank:]]*options[[:blank:]]+${either(name)}[[:blank:]]`;

export const modprobe = defineModule<typeof schema, Observed, Wanted>({
  name: 'modprobe',
  summary: 'Loads kernel modules and unloads them, now and at boot.',
  params: schema,
  returns: { name: 'The module.', params: 'Its parameters, as asked for.', state: 'present or absent, as asked for.' },
  examples: ['- modprobe:\n    name: ip_vs\n    persistent: present'],
  inspect: ({ name }) => sh`command -v modprobe >/dev/null || { echo 'the host has no modprobe; install the package kmod' >&2; exit 1; }
l= b=
if grep -Eq ${`^${name.replaceAll('-', '_')} `} /proc/modules; then l=y
elif [ -f "/lib/modules/$(uname -r)/modules.builtin" ] && grep -Eq ${`/${either(name)}\\.ko$`} "/lib/modules/$(uname -r)/modules.builtin"; then l=y; fi
for f in /etc/modules-load.d/*; do if [ -f "$f" ] && grep -Eq ${loadLine(name)} "$f"; then b=y; fi; done
printf '%s\\000' "$l" "$b"
for f in /etc/modprobe.d/*; do if [ -f "$f" ]; then grep -E ${optionsLine(name)} "$f"; fi; done
printf '\\000'`,
  parse(output, { name }): Observed {
    const [loaded, boot, lines] = fields(output, `looking at the module ${name}`);
    const words = lines!.split('\n').flatMap((line) => line.replace(/#.*/, '').trim().split(/\s+/).slice(2));
    return { isLoaded: loaded === 'y', atBoot: boot === 'y', options: [...new Set(words)].sort() };
  },
  compare(wanted, { isLoaded, atBoot, options }) {
    const changes: Change[] = [];
    const { state, persistent } = wanted;
    if (isLoaded !== (state === 'present')) changes.push({ field: 'state', from: isLoaded ? 'present' : 'absent', to: state });
    if (persistent !== 'disabled' && atBoot !== (persistent === 'present')) changes.push({ field: 'persistent', from: atBoot ? 'present' : 'absent', to: persistent });
    const want = persistent === 'present' ? [...new Set(splitWords(wanted.params))].sort() : [];
    if (persistent !== 'disabled' && want.join(' ') !== options.join(' ')) changes.push({ field: 'params', from: options.join(' '), to: want.join(' ') });
    return changes;
  },
  apply(wanted, _observed, changes) {
    const { name, state, persistent } = wanted;
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    const words = splitWords(wanted.params);
    const steps = [];
    if (has('state')) steps.push(state === 'present' ? sh`modprobe ${name} ${words} || exit` : sh`modprobe -r ${name} || exit`);
    const aside = (folder: string, pattern: string) => sh`for f in ${raw(folder)}/*; do if [ -f "$f" ] && grep -Eq ${pattern} "$f"; then sed -E -i ${`/${pattern}/s/^/#/`} "$f" || exit; fi; done`;
    if (has('persistent')) {
      steps.push(persistent === 'present' ? sh`mkdir -p /etc/modules-load.d && printf '%s\\n' ${name} >${`/etc/modules-load.d/${name}.conf`} || exit` : aside('/etc/modules-load.d', loadLine(name)));
    }
    if (has('params')) {
      steps.push(aside('/etc/modprobe.d', optionsLine(name)));
      if (persistent === 'present' && words.length > 0) steps.push(sh`mkdir -p /etc/modprobe.d && printf ${`options ${name} %s\\n`} ${words} >${`/etc/modprobe.d/${name}.conf`} || exit`);
    }
    return { script: join(steps) };
  },
  undo({ name, params, persistent }, { isLoaded, options }, changes) {
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    if (has('params') && persistent === 'absent' && options.length === 0) throw new ModuleError('the parameters of the module were not kept');
    const state = isLoaded ? 'present' : 'absent';
    const files = has('persistent') || has('params') ? { persistent: has('persistent') ? (persistent === 'present' ? 'absent' : 'present') : persistent, params: has('params') ? options.join(' ') : params } : {};
    return [{ module: 'modprobe', args: { name, state, ...files } }];
  },
  result: ({ name, params, state }) => ({ name, params, state }),
});
export default modprobe;
