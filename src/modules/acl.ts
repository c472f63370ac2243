import { join, sh, type Sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, type Change } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('The file or folder.').meta({ aliases: ['name'] }),
  state: choice(['absent', 'present', 'query'], 'Whether the entry is there; query only tells what is.').default('query'),
  etype: choice(['group', 'mask', 'other', 'user'], 'What kind of entry it is.').optional(),
  entity: str('The user or group; empty for the owner, the owning group and the kinds that have none.').default(''),
  permissions: str('Of r, w, x and X, as setfacl takes them.').optional(),
  entry: str('The entry as setfacl writes it, in place of etype, entity and permissions: `user:joe:rw`, `default:group:staff:rx`.').optional(),
  default: bool('It is what files made in the folder get.').default(false),
  recursive: bool('All that is in the folder gets it too.').meta({ aliases: ['recurse'] }).default(false),
  follow: bool('Links are followed.').default(true),
  use_nfsv4_acls: bool('Not supported where true: there are POSIX lists only.').default(false),
  recalculate_mask: choice(['default', 'mask', 'no_mask'], 'Whether the mask is reckoned anew: as setfacl thinks best, in any case, or never.').default('default'),
}).check((context) => {
  const { state, etype, entity, permissions, entry, recursive, recalculate_mask } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (context.value.use_nfsv4_acls) issue('NFSv4 lists are not supported; run nfs4_setfacl with the command module', 'use_nfsv4_acls');
  if (state === 'query') {
    if (recursive) issue("'recursive' MUST NOT be set when 'state=query'.", 'recursive');
    if (recalculate_mask !== 'default') issue("'recalculate_mask' MUST NOT be set to 'mask' or 'no_mask' when 'state=query'.", 'recalculate_mask');
    if (entry !== undefined) issue("'entry' MUST NOT be set when 'state=query'.", 'entry');
  } else if (entry !== undefined) {
    if (etype !== undefined || entity !== '' || permissions !== undefined) issue("'entry' MUST NOT be set when 'entity', 'etype' or 'permissions' are set.", 'entry');
    const colons = entry.split(':').length - 1;
    if (state === 'present' ? colons < 2 || colons > 3 : colons < 1 || colons > 2) issue(`'entry' MUST have ${state === 'present' ? '3 or 4' : '2 or 3'} sections divided by ':' when 'state=${state}'.`, 'entry');
  } else {
    if (etype === undefined) issue(`'etype' MUST be set when 'state=${state}'.`, 'etype');
    if (state === 'absent' && permissions !== undefined) issue("'permissions' MUST NOT be set when 'state=absent'.", 'permissions');
    if (state === 'absent' && entity === '') issue("'entity' MUST be set when 'state=absent'.", 'entity');
  }
});
type Wanted = typeof schema._output;

const KINDS = ['user', 'group', 'mask', 'other'] as const;

/** The entry in setfacl's words, and whether it is a default one. */
function entryOf(wanted: Wanted): { text: string; isDefault: boolean } {
  let { etype = '', entity, permissions } = wanted;
  let isDefault = wanted.default;
  if (wanted.entry !== undefined) {
    const parts = wanted.entry.split(':');
    if (/^d(efault)?$/i.test(parts[0]!)) {
      isDefault = true;
      parts.shift();
    }
    [etype, entity, permissions] = [KINDS.find((kind) => parts[0]!.toLowerCase().startsWith(kind[0]!)) ?? parts[0]!, parts[1] ?? '', parts[2]];
  }
  return { text: `${etype}:${entity}${permissions && wanted.state === 'present' ? `:${permissions}` : ''}`, isDefault };
}

function setfacl(wanted: Wanted, test: boolean): Sh {
  const { state, recursive, follow, recalculate_mask } = wanted;
  const { text, isDefault } = entryOf(wanted);
  const options = [
    ...(test ? ['--test'] : []), ...(isDefault ? ['-d'] : []), ...(recursive ? ['--recursive'] : []), ...(follow ? [] : ['--physical']),
    ...(recalculate_mask === 'default' ? [] : [`--${recalculate_mask.replace('_', '-')}`]),
  ];
  return sh`setfacl ${options} ${state === 'absent' ? '-x' : '-m'} ${text} -- ${hostPath(wanted.path)}`;
}

function getfacl(wanted: Wanted): Sh {
  const options = [...(wanted.default ? ['-d'] : []), ...(wanted.recursive ? ['--recursive'] : []), ...(wanted.follow ? [] : ['--physical'])];
  return sh`g=$(getfacl --absolute-names --omit-header ${options} -- ${hostPath(wanted.path)}) || exit
printf '%s\\000' "$g"`;
}

const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter((line) => !line.startsWith('#'));

interface Observed {
  /** What there is. */
  acl: string[];
  /** What setfacl would make of the files it would change. */
  would: string[];
}

export const acl = defineModule<typeof schema, Observed>({
  name: 'acl',
  summary: 'Gives files access control lists, or tells them, by setfacl and getfacl of the host.',
  params: schema,
  returns: { acl: 'Entries of the list, as getfacl writes them.', msg: 'What is so now.' },
  examples: [
    `- acl:
    path: /srv/app/uploads
    etype: user
    entity: www-data
    permissions: rwX
    default: true
    state: present
`,
  ],
  inspect: (wanted) => join([
    sh`command -v setfacl >/dev/null || { echo 'the host has no setfacl; install the package acl on it' >&2; exit 1; }
[ -e ${hostPath(wanted.path)} ] || { echo 'Path not found or not accessible.' >&2; exit 1; }`,
    wanted.state === 'query' ? sh`printf '\\000'` : sh`t=$(${setfacl(wanted, true)}) || exit
printf '%s\\000' "$t"`,
    getfacl(wanted),
  ]),
  parse(output, { path }) {
    const [would, acl] = fields(output, `looking at ${path}`) as [string, string];
    // "path: *,*" stands for no change.
    return { would: lines(would).filter((line) => line !== '' && !line.endsWith('*,*')), acl: lines(acl) };
  },
  compare: (_wanted, { acl, would }): Change[] => (would.length === 0 ? [] : [{ field: 'acl', from: acl.filter((line) => line !== '').join(','), to: would.join('; ') }]),
  apply: (wanted) => ({ script: sh`${setfacl(wanted, false)} || exit\n${getfacl(wanted)}` }),
  result(wanted, { acl }, output) {
    const { text } = entryOf(wanted);
    const now = output ? lines(fields(output, `setting the list of ${wanted.path}`)[0]!) : acl;
    return { acl: now, msg: wanted.state === 'query' ? 'current acl' : `${text} is ${wanted.state}` };
  },
});
export default acl;
