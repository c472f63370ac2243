import { raw, sh } from '../shell/sh.js';
import { lookups, NAME, needing, sections } from './accounts.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, int, params, str } from './params.js';

const schema = params({
  name: str('The group.'),
  gid: int('Its number.').optional(),
  state: choice(['present', 'absent'], 'Whether it is there.').default('present'),
  system: bool('Whether a new group is numbered as a system group.').default(false),
  gid_min: int('The least number a new group is given, in place of GID_MIN of /etc/login.defs.').optional(),
  gid_max: int('The greatest number, in place of GID_MAX.').optional(),
  local: bool('Whether only the files of the host count, and no directory service.').default(false),
  non_unique: bool('Whether another group may have the same number.').default(false),
  force: bool("Whether it is removed even if it is a user's primary group.").default(false),
}).check((context) => {
  const { name, gid, non_unique } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (!NAME.test(name)) issue(`"${name}" cannot be the name of a group`, 'name');
  if (non_unique && gid === undefined) issue('non_unique needs a gid', 'gid');
});

export default defineModule({
  name: 'group',
  summary: 'Creates, renumbers and removes groups.',
  params: schema,
  returns: { name: 'The group.', gid: 'Its number.', state: 'present or absent.', system: 'Whether it was asked to be a system group.' },
  examples: ['- group:\n    name: deploy\n    gid: 1500'],
  async prepare(args) {
    if (args.local && (args.gid_min !== undefined || args.gid_max !== undefined)) throw new ModuleError('gid_min and gid_max do not go with local: true');
    return args;
  },
  inspect: (wanted) => sh`${lookups(wanted.local)}
echo @group; accounts group ${wanted.name} || exit
echo @end`,
  parse(output, wanted): { gid: number } | undefined {
    const line = sections(output, `the group ${wanted.name}`)('group')[0];
    if (line === undefined) return undefined;
    const gid = line.split(':')[2];
    if (gid === undefined || !/^\d+$/.test(gid)) throw new ModuleError(`cannot read the entry of the group: ${line}`);
    return { gid: Number(gid) };
  },
  compare(wanted, observed): Change[] {
    if (wanted.state === 'absent') return observed ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
    if (!observed) return [{ field: 'state', from: 'absent', to: 'present' }];
    return wanted.gid !== undefined && wanted.gid !== observed.gid ? [{ field: 'gid', from: observed.gid, to: wanted.gid }] : [];
  },
  apply(wanted, observed) {
    const { name, gid } = wanted;
    const unique = wanted.non_unique ? sh`-o` : sh``;
    if (wanted.state === 'absent') return { script: sh`if command -v groupdel >/dev/null; then groupdel ${raw(wanted.force ? '-f' : '')} ${name}; else delgroup ${name}; fi` };
    if (observed) return { script: sh`${needing('groupmod')}
groupmod ${unique} -g ${gid!} ${name}` };
    const number = gid === undefined ? sh`` : sh`-g ${gid}`;
    const limits = Object.entries({ GID_MIN: wanted.gid_min, GID_MAX: wanted.gid_max }).flatMap(([name, value]) => (value === undefined ? [] : ['-K', `${name}=${value}`]));
    return {
      script: sh`${limits.length > 0 ? needing('groupadd') : sh``}
if command -v groupadd >/dev/null; then groupadd ${raw(wanted.system ? '-r' : '')} ${unique} ${number} ${limits} ${name} || exit
else addgroup ${raw(wanted.system ? '-S' : '')} ${number} ${name} || exit
fi
${lookups(wanted.local)}
accounts group ${name}`,
    };
  },
  undo({ name, state }, observed) {
    if (!observed) return [{ module: 'group', args: { name, state: 'absent' } }];
    return [{ module: 'group', args: { name, gid: observed.gid } }, ...(state === 'absent' ? [{ cannot: `who was in the group ${name} was not kept` }] : [])];
  },
  result(wanted, observed, output) {
    const made = output?.stdout.split('\n').find((line) => line.startsWith(`${wanted.name}:`))?.split(':')[2];
    const gid = wanted.gid ?? observed?.gid ?? (made === undefined ? undefined : Number(made));
    return { name: wanted.name, state: wanted.state, system: wanted.system, ...(wanted.state === 'present' && gid !== undefined ? { gid } : {}) };
  },
});
