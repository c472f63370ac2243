import { join, raw, sh } from '../shell/sh.js';
import { applyEdit, beforeEdit, compareEdit, decode, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, params, str } from './params.js';
import { touchesFile, undoFile } from './whole_file.js';

const schema = params({
  state: choice(['enforcing', 'permissive', 'disabled'], 'The mode, now and at boot. From and to disabled takes a reboot, which is yours to make.'),
  policy: str('The policy, for example targeted; it may be left out with state: disabled.').optional(),
  configfile: str('The file of settings.').meta({ aliases: ['conf', 'file'] }).default('/etc/selinux/config'),
  update_kernel_param: bool('Whether selinux=0 is taken out of the kernel command lines, or put there, by grubby.').default(false),
}).check((context) => {
  const { state, policy, configfile } = context.value;
  const issue = (message: string, where: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [where] });
  if (state !== 'disabled' && policy === undefined) issue("Policy is required if state is not 'disabled'", 'policy');
  if (policy !== undefined && !/^[\w-]+$/.test(policy)) issue(`"${policy}" is not the name of a policy`, 'policy');
  if (!configfile.startsWith('/')) issue('configfile is an absolute path', 'configfile');
});
type Args = (typeof schema)['_zod']['output'];
type Wanted = Args & { path: string; backup: boolean };

interface Observed extends Edited {
  /** The mode the kernel is in. */
  now: Args['state'];
  /** Whether all kernels are booted with SELinux; null where they differ, undefined where it does not matter. */
  kernel: boolean | null | undefined;
}

export const selinux = defineModule<typeof schema, Observed, Wanted>({
  name: 'selinux',
  summary: 'Sets the mode and the policy of SELinux.',
  params: schema,
  returns: { msg: 'What was changed.', configfile: 'The file of settings.', policy: 'The policy.', state: 'The mode.', reboot_required: 'Whether it takes a reboot to come about.' },
  examples: ['- selinux:\n    policy: targeted\n    state: enforcing'],
  prepare: async (args) => ({ ...args, path: args.configfile, backup: false }),
  inspect: (wanted) =>
    join([
      wanted.policy === undefined || wanted.state === 'disabled' ? sh`` : sh`[ -e ${`/etc/selinux/${wanted.policy}/policy`} ] || { printf '%s\\n' ${`Policy ${wanted.policy} does not exist in /etc/selinux/`} >&2; exit 1; }`,
      wanted.update_kernel_param ? sh`command -v grubby >/dev/null || { echo "'grubby' command not found on host" >&2; exit 1; }
g=$(grubby --info=ALL) || exit` : sh`g=`,
      raw(`e=; [ ! -e /sys/fs/selinux/enforce ] || e=$(cat /sys/fs/selinux/enforce) || exit
printf '%s\\000%s\\000' "$e" "$g"`),
      inspectText(wanted.path),
    ]),
  parse(output, { path, update_kernel_param }) {
    const what = 'looking at SELinux';
    const [enforce, kernels] = fields(output, what) as [string, string];
    const edited = parseText({ ...output, stdout: output.stdout.slice(`${enforce}\0${kernels}\0`.length) }, path);
    if (edited.content === undefined) throw new ModuleError(`Unable to find file ${path}: SELinux is not installed`);
    const lines = [...kernels.matchAll(/^args="(.*)"$/gm)].map(([, args]) => !args!.split(' ').includes('selinux=0'));
    const kernel = new Set(lines).size === 1 ? lines[0]! : null;
    return { ...edited, now: enforce === '' ? 'disabled' : enforce.trim() === '1' ? 'enforcing' : 'permissive', kernel: update_kernel_param ? kernel : undefined };
  },
  compare(wanted, observed) {
    const { now, kernel } = observed;
    const mode = modeNow(wanted, observed);
    const boots = wanted.state !== 'disabled';
    const running: Change[] = mode === undefined ? [] : [{ field: 'state', from: now, to: mode }];
    const lines: Change[] = kernel === undefined || kernel === boots ? [] : [{ field: 'kernel', from: kernel === null ? '<inconsistent>' : kernel ? 'enabled' : 'disabled', to: boots ? 'enabled' : 'disabled' }];
    return [...compareEdit(wanted, observed, edit(wanted, observed).after), ...running, ...lines];
  },
  apply(wanted, observed, changes) {
    const mode = modeNow(wanted, observed);
    const kernel = changes.some(({ field }) => field === 'kernel') ? [sh`grubby --update-kernel=ALL ${wanted.state === 'disabled' ? '--args' : '--remove-args'} selinux=0`] : [];
    return applyEdit(wanted, observed, edit(wanted, observed).after, changes, { after: [...(mode === undefined ? [] : [sh`setenforce ${mode === 'enforcing' ? 1 : 0}`]), ...kernel] });
  },
  undo: (_wanted, { entry, now }, changes) => [
    ...(changes.some(({ field }) => field === 'content') ? undoFile(entry, changes) : []),
    ...(changes.some(({ field }) => field === 'state') ? [{ cannot: `the kernel was ${now}: setenforce` }] : []),
  ],
  touches(_wanted, { entry }, changes) {
    if (changes.some(({ field }) => field !== 'content')) throw new ModuleError('the mode of the kernel is not put back: it may not stand in a confirmed block');
    return touchesFile(entry);
  },
  before: (_wanted, _observed, change) => beforeEdit(change),
  result(wanted, observed) {
    const { was, policy } = edit(wanted, observed);
    const { now } = observed;
    const mode = modeNow(wanted, observed);
    const toBoot = (now === 'disabled') !== (wanted.state === 'disabled');
    const said = [
      ...(was.policy === policy ? [] : [`SELinux policy configuration in '${wanted.path}' changed from '${was.policy}' to '${policy}'`]),
      ...(mode !== undefined && mode === wanted.state ? [`SELinux state changed from '${now}' to '${mode}'`] : []),
      ...(was.state === wanted.state ? [] : [`Config SELinux state changed from '${was.state}' to '${wanted.state}'`]),
    ];
    return { msg: said.join(', '), configfile: wanted.path, policy, state: wanted.state, reboot_required: toBoot, ...(toBoot ? { warnings: [`Reboot is required to set SELinux state to '${wanted.state}'`] } : {}) };
  },
});
export default selinux;

/** The mode the kernel is to be in until the next boot; undefined where it stays. What is disabled at boot is permissive till then. */
function modeNow({ state }: Wanted, { now }: Observed): 'enforcing' | 'permissive' | undefined {
  const mode = state === 'disabled' ? 'permissive' : state;
  return now === 'disabled' || now === mode ? undefined : mode;
}

/** The file with both settings, at their lines or behind all others. */
function edit({ state, policy: asked }: Wanted, { content }: Edited): { after: Buffer; was: { state?: string; policy?: string }; policy: string | undefined } {
  const { text, encode } = decode(content!);
  const value = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1]!.trim();
  const was = { state: value('SELINUX'), policy: value('SELINUXTYPE') };
  const policy = asked ?? was.policy;
  let lines = splitLines(text);
  for (const [name, wanted] of [['SELINUX', state], ['SELINUXTYPE', policy]] as const) {
    if (wanted === undefined || value(name) === wanted) continue;
    const at = new RegExp(`^${name}=`);
    if (lines.some((line) => at.test(line))) lines = lines.map((line) => (at.test(line) ? `${name}=${wanted}\n` : line));
    else lines = [...lines.slice(0, -1), ...lines.slice(-1).map((line) => `${line.trimEnd()}\n`), `${name}=${wanted}\n`];
  }
  return { after: encode(lines.join('')), was, policy };
}
