import { join, sh, type Sh } from '../shell/sh.js';
import { lookups, NAME, needing } from './accounts.js';
import { defineModule, ModuleError, type Back, type Change, type Output } from './module.js';
import { bool, choice, float, int, list, params, path, secret, str } from './params.js';
import { hasHalfKey, inspect, keyFile, keyPath, parse, tellKey, type Account, type Observed } from './user_look.js';
import { hostPath } from './words.js';

const schema = params({
  name: str('The user.').meta({ aliases: ['user'] }),
  uid: int('Number of the user.').optional(),
  non_unique: bool('Whether another user may have the same number.').default(false),
  group: str('Primary group, by name or number.').optional(),
  groups: list('Further groups; an empty list takes the user out of all.').optional(),
  append: bool('Whether groups are only added to.').default(false),
  comment: str('Full name (GECOS).').optional(),
  shell: path('Login shell.').optional(),
  home: path('Home folder.').optional(),
  create_home: bool('Whether the home folder is made.').meta({ aliases: ['createhome'] }).default(true),
  move_home: bool('Whether the content of the old home folder goes to the new one.').default(false),
  skeleton: str('Folder whose files a new home folder starts with.').optional(),
  umask: str('Mask for the new home folder, octal.').optional(),
  password: secret('Hash of the password, as crypt(5) has it: use the filter password_hash.').optional(),
  update_password: choice(['always', 'on_create'], 'Whether the password of an existing user is changed.').default('always'),
  password_lock: bool('Whether logging in by password is locked.').optional(),
  password_expire_max: int('Most days between changes of the password.').optional(),
  password_expire_min: int('Fewest days between changes of the password.').optional(),
  password_expire_warn: int('Days of warning before a password expires.').optional(),
  expires: float('When the account expires, in seconds since the epoch; negative: never.').optional(),
  password_expire_account_disable: int('Days between the end of a password and the end of the account.').optional(),
  system: bool('Whether a new user is numbered as a system user.').default(false),
  uid_min: int('Lowest number a new user is given, instead of UID_MIN of login.defs.').optional(),
  uid_max: int('Highest number a new user is given, instead of UID_MAX of login.defs.').optional(),
  seuser: str("A new user's SELinux user.").optional(),
  state: choice(['present', 'absent'], 'Whether the user is there.').default('present'),
  remove: bool('Whether home and mail go with a removed user.').default(false),
  force: bool('Whether a user is removed even while logged in; whether an SSH key is replaced.').default(false),
  local: bool('Whether only the files of the host count, and no directory service.').default(false),
  generate_ssh_key: bool('Whether the user gets an SSH key.').default(false),
  ssh_key_type: str('Its type.').default('rsa'),
  ssh_key_bits: int('Its length; ssh-keygen decides unless given.').default(0),
  ssh_key_file: path('Its file, below the home folder unless absolute.').optional(),
  ssh_key_comment: str('Its comment.').optional(),
  ssh_key_passphrase: secret('Its passphrase; none unless given.').optional(),
  login_class: str('Taken for compatibility: only BSD has it.').optional(),
  hidden: bool('Taken for compatibility: only macOS has it.').optional(),
  profile: str('Taken for compatibility: only Solaris has it.').optional(),
  authorization: str('Taken for compatibility: only Solaris has it.').optional(),
  role: str('Taken for compatibility: only Solaris has it.').optional(),
}).check((context) => {
  const wanted = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: wanted, path: [path] });
  if (!NAME.test(wanted.name)) issue(`"${wanted.name}" cannot be the name of a user`, 'name');
  if (/[:\n]/.test(wanted.password ?? '')) issue('password must be a hash, which holds no colon or newline; write {{ password | password_hash }}', 'password');
  for (const field of ['comment', 'shell', 'home'] as const) if (/[:\n]/.test(wanted[field] ?? '')) issue(`${field} cannot hold a colon or a newline`, field);
  for (const field of ['umask', 'uid_min', 'uid_max'] as const) if (wanted.local && wanted[field] !== undefined) issue(`'${field}' can not be used with 'local'`, field);
  if (wanted.umask !== undefined && !/^0?[0-7]{1,4}$/.test(wanted.umask)) issue('umask is octal, such as 077', 'umask');
});
type Wanted = (typeof schema)['_zod']['output'];

/** How long the last part of a hash is, by its method: crypt(5). */
const LENGTHS: { [method: string]: number } = { 1: 22, 5: 43, 6: 86, y: 43, gy: 43, 7: 43, '2a': 53, '2b': 53, '2x': 53, '2y': 53 };

/** Whether it is what the field of a password holds: nothing, a lock, or a hash, locked or not. */
function isPassword(text: string): boolean {
  if (/^[!*]*$/.test(text)) return true;
  const [, method, hash] = /^!*\$(\w+)\$(?:.*\$)?([A-Za-z0-9./]+)$/.exec(text) ?? [];
  return method !== undefined && hash!.length === (LENGTHS[method] ?? hash!.length);
}

/** Days since the epoch for shadow's field of expiry; empty for never. */
const expiry = (seconds: number) => (seconds < 0 ? '' : String(Math.floor(seconds / 86400)));
const aging = [['password_expire_min', 3, '-m'], ['password_expire_max', 4, '-M'], ['password_expire_warn', 5, '-W'], ['password_expire_account_disable', 6, '-I']] as const;

/** Which of the wanted groups lack, and which there are too many; the primary group counts as neither. */
function groupsOff(wanted: Wanted, account: Account): { missing: string[]; extra: string[] } {
  if (wanted.groups === undefined) return { missing: [], extra: [] };
  const is = (written: string, group: { name: string; gid: number }) => written === group.name || written === String(group.gid);
  const further = account.groups.filter((group) => group.gid !== account.gid);
  return {
    missing: wanted.groups.filter((written) => !account.groups.some((group) => is(written, group))),
    extra: wanted.append ? [] : further.filter((group) => !wanted.groups!.some((written) => is(written, group))).map((group) => group.name),
  };
}

function compare(wanted: Wanted, { account, group, key, halfKey }: Observed): Change[] {
  if (wanted.state === 'absent') return account ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
  const changes: Change[] = [];
  const differ = (field: string, from: unknown, to: unknown) => {
    if (to !== undefined && from !== to) changes.push({ field, from, to });
  };
  const generate = wanted.generate_ssh_key && ((key === undefined && !halfKey) || wanted.force);
  if (!account) {
    changes.push({ field: 'state', from: 'absent', to: 'present' });
    if (wanted.password !== undefined) changes.push({ field: 'password', from: null, to: wanted.password, secret: true });
  } else {
    differ('uid', account.uid, wanted.uid);
    if (wanted.group !== undefined) {
      const asNumber = /^\d+$/.test(wanted.group) ? Number(wanted.group) : undefined;
      if ((group ?? asNumber) !== account.gid) changes.push({ field: 'group', from: account.groups.find((each) => each.gid === account.gid)?.name ?? account.gid, to: wanted.group });
    }
    const { missing, extra } = groupsOff(wanted, account);
    if (missing.length || extra.length) {
      const now = account.groups.filter((each) => each.gid !== account.gid).map((each) => each.name);
      changes.push({ field: 'groups', from: now, to: wanted.append ? [...now, ...missing] : wanted.groups });
    }
    differ('comment', account.comment, wanted.comment);
    differ('home', account.home, wanted.home);
    differ('shell', account.shell, wanted.shell);
    const home = wanted.home ?? account.home;
    if (wanted.create_home && !account.homeExists && !(wanted.move_home && home !== account.home) && home !== '/nonexistent') changes.push({ field: 'home folder', from: 'absent', to: home });
    compareShadow(wanted, account, changes);
  }
  if (generate) changes.push({ field: 'ssh_key', from: key?.fingerprint ?? null, to: 'new' });
  return changes;
}

function compareShadow(wanted: Wanted, account: Account, changes: Change[]): void {
  const asks = (wanted.password !== undefined && wanted.update_password === 'always') || (wanted.password_lock ?? wanted.expires ?? aging.find(([field]) => wanted[field] !== undefined)) !== undefined;
  if (!asks) return;
  if (!account.shadow) throw new ModuleError(`the password settings of ${wanted.name} cannot be read: that takes root; set "become: true"`);
  const [, hash = '', , , , , , expires = ''] = account.shadow;
  const locked = hash.startsWith('!');
  if (wanted.password !== undefined && wanted.update_password === 'always' && wanted.password.replace(/^!+/, '') !== hash.replace(/^!+/, '')) {
    changes.push({ field: 'password', from: hash, to: wanted.password, secret: true });
  }
  if (wanted.password_lock !== undefined && wanted.password_lock !== locked) changes.push({ field: 'password_lock', from: locked, to: wanted.password_lock });
  if (wanted.expires !== undefined && (expiry(wanted.expires) !== expires || account.shadow.length === 0)) changes.push({ field: 'expires', from: expires || 'never', to: expiry(wanted.expires) || 'never' });
  for (const [field, at] of aging) if (wanted[field] !== undefined && String(wanted[field]) !== account.shadow[at]) changes.push({ field, from: account.shadow[at], to: wanted[field] });
}

function apply(wanted: Wanted, observed: Observed, changes: readonly Change[]): Sh {
  const has = (field: string) => changes.some((change) => change.field === field);
  const { name } = wanted;
  if (wanted.state === 'absent') {
    return sh`if command -v userdel >/dev/null; then userdel ${wanted.force ? ['-f'] : []} ${wanted.remove ? ['-r'] : []} -- ${name}; r=$?
else deluser ${wanted.remove ? ['--remove-home'] : []} ${name}; r=$?
fi
# 12: the user is gone, but there was no home or mail to remove.
[ $r -eq 12 ] || exit $r`;
  }
  const parts: Sh[] = [observed.account ? modify(wanted, observed.account, has) : create(wanted, observed)];
  // chpasswd reads what no process list may show.
  if (has('password')) parts.push(sh`${needing('chpasswd')}
printf '%s\\n' ${`${name}:${wanted.password!}`} | chpasswd -e || exit`);
  if (has('password_lock') || (!observed.account && wanted.password_lock)) parts.push(sh`usermod ${wanted.password_lock ? '-L' : '-U'} -- ${name} || exit`);
  const ages = aging.filter(([field]) => has(field) || (!observed.account && wanted[field] !== undefined)).flatMap(([field, , option]) => [option, String(wanted[field])]);
  if (ages.length) parts.push(sh`chage ${ages} -- ${name} || exit`);
  parts.push(sh`${lookups(wanted.local)}
e=$(accounts passwd ${name}) && [ -n "$e" ] || { echo "the user "${name}" is not there after all" >&2; exit 1; }
h=\${e%:*}; h=\${h##*:}`);
  if (has('home folder')) parts.push(makeHome(wanted));
  if (has('ssh_key')) parts.push(makeKey(wanted));
  parts.push(sh`echo @passwd; printf '%s\\n' "$e"`, wanted.generate_ssh_key ? sh`${keyPath(wanted)}; ${tellKey}` : sh``);
  return join(parts);
}

function create(wanted: Wanted, observed: Observed): Sh {
  const given = (option: string, value: string | number | undefined) => (value === undefined ? [] : [option, String(value)]);
  const expires = wanted.expires === undefined || wanted.expires < 0 ? undefined : new Date(wanted.expires * 1000).toISOString().slice(0, 10);
  const shadow = [
    ...given('-u', wanted.uid),
    ...(wanted.non_unique ? ['-o'] : []),
    ...(wanted.group === undefined ? (observed.namesake ? ['-N'] : []) : ['-g', wanted.group]),
    ...(wanted.groups?.length ? ['-G', wanted.groups.join(',')] : []),
    ...given('-c', wanted.comment),
    ...given('-d', wanted.home),
    ...given('-s', wanted.shell),
    ...given('-e', expires),
    ...(wanted.create_home ? ['-m', ...given('-k', wanted.skeleton)] : ['-M']),
    ...(wanted.umask === undefined ? [] : ['-K', `UMASK=${wanted.umask}`]),
    ...(wanted.uid_min === undefined ? [] : ['-K', `UID_MIN=${wanted.uid_min}`]),
    ...(wanted.uid_max === undefined ? [] : ['-K', `UID_MAX=${wanted.uid_max}`]),
    ...given('-Z', wanted.seuser),
    ...(wanted.system ? ['-r'] : []),
  ];
  const busybox = [
    '-D',
    ...given('-u', wanted.uid), ...given('-G', wanted.group ?? (observed.namesake ? wanted.name : undefined)), ...given('-g', wanted.comment),
    ...given('-h', wanted.home), ...given('-s', wanted.shell), ...(wanted.create_home ? [] : ['-H']), ...(wanted.system ? ['-S'] : []), ...given('-k', wanted.skeleton),
  ];
  // busybox' adduser would leave out what it has no option for.
  const lacking = (['uid_min', 'uid_max', 'seuser'] as const).filter((field) => wanted[field] !== undefined);
  const refused = lacking.length ? sh`echo ${`the host's adduser has no ${lacking.join(', ')}; install shadow's tools (package passwd or shadow)`} >&2; exit 1` : sh``;
  const further = (wanted.groups ?? []).map((group) => sh`addgroup ${wanted.name} ${group} || exit`);
  return sh`if command -v useradd >/dev/null; then useradd ${shadow} -- ${wanted.name} || exit
else
  ${refused}
  adduser ${busybox} ${wanted.name} || exit
  ${join(further)}
fi`;
}

function modify(wanted: Wanted, account: Account, has: (field: string) => boolean): Sh {
  const { missing } = groupsOff(wanted, account);
  const options = [
    ...(has('uid') ? ['-u', String(wanted.uid), ...(wanted.non_unique ? ['-o'] : [])] : []),
    ...(has('group') ? ['-g', wanted.group!] : []),
    ...(has('groups') ? (wanted.append ? ['-a', '-G', missing.join(',')] : ['-G', wanted.groups!.join(',')]) : []),
    ...(has('comment') ? ['-c', wanted.comment!] : []),
    ...(has('home') ? ['-d', wanted.home!, ...(wanted.move_home ? ['-m'] : [])] : []),
    ...(has('shell') ? ['-s', wanted.shell!] : []),
    ...(has('expires') ? ['-e', wanted.expires! < 0 ? '' : new Date(wanted.expires! * 1000).toISOString().slice(0, 10)] : []),
  ];
  return options.length ? sh`${needing('usermod')}
usermod ${options} -- ${wanted.name} || exit` : sh``;
}

/** Makes $h as useradd would have made it. */
function makeHome(wanted: Wanted): Sh {
  const mode = wanted.umask === undefined ? sh`m=$(sed -n 's/^HOME_MODE[[:space:]]*//p' /etc/login.defs 2>/dev/null); m=\${m:-0755}` : sh`m=${(0o777 & ~Number.parseInt(wanted.umask, 8)).toString(8)}`;
  return sh`${mode}
mkdir -p -- "$h" && cp -R -- ${hostPath(wanted.skeleton ?? '/etc/skel')}/. "$h/" && chown -R ${wanted.name}: -- "$h" && chmod "$m" -- "$h" || exit`;
}

/** The passphrase goes in by standard input, so that it is in no process list. */
function makeKey(wanted: Wanted): Sh {
  const phrase = wanted.ssh_key_passphrase ?? '';
  const options = ['-q', '-t', wanted.ssh_key_type, ...(wanted.ssh_key_bits ? ['-b', String(wanted.ssh_key_bits)] : [])];
  const comment = wanted.ssh_key_comment === undefined ? sh`"ansible-generated on $(uname -n)"` : sh`${wanted.ssh_key_comment}`;
  return sh`${keyPath(wanted)}
d=\${k%/*}
[ -d "$d" ] || { mkdir -p -- "$d" && chmod 700 "$d" && chown ${wanted.name}: "$d"; } || exit
${wanted.force ? sh`rm -f -- "$k" "$k.pub"` : sh`[ -e "$k" ] || [ -e "$k.pub" ] ||`}
{ ${phrase === '' ? sh`ssh-keygen ${options} -C ${comment} -N '' -f "$k" </dev/null` : sh`printf '%s\\n%s\\n' ${phrase} ${phrase} | ssh-keygen ${options} -C ${comment} -f "$k" >/dev/null`} && chown ${wanted.name}: "$k" "$k.pub"; } || exit`;
}

function undo(wanted: Wanted, { account }: Observed, changes: readonly Change[]): (Back | { cannot: string })[] {
  const { name } = wanted;
  if (wanted.state === 'absent') throw new ModuleError(`the user ${name} was removed`);
  if (!account) return [{ module: 'user', args: { name, state: 'absent' } }, ...(wanted.create_home ? [{ cannot: `the home folder of ${name} stays` }] : [])];
  const was: { [field: string]: unknown } = {};
  const left: { cannot: string }[] = [];
  for (const { field, from } of changes) {
    if (field === 'home folder') left.push({ cannot: `the home folder of ${name} stays` });
    else if (field === 'ssh_key') left.push({ cannot: `the SSH key of ${name} stays` });
    else if (field === 'expires') was['expires'] = from === 'never' ? -1 : Number(from) * 86400;
    else if (field.startsWith('password_expire')) was[field] = Number(from);
    else was[field] = field === 'group' ? String(from) : from;
  }
  return [...left, ...(Object.keys(was).length > 0 ? [{ module: 'user', args: { name, create_home: false, ...was } }] : [])];
}

function result(wanted: Wanted, observed: Observed, output?: Output) {
  if (wanted.state === 'absent') return { name: wanted.name, state: 'absent', force: wanted.force, remove: wanted.remove };
  const lines = output?.stdout.split('\n') ?? [];
  const made = lines[lines.lastIndexOf('@passwd') + 1]?.split(':');
  const [, , uid, gid, comment, home, shell] = output && made?.length === 7 ? made : [];
  const { account } = observed;
  const at = lines.lastIndexOf('@key');
  const key = at >= 0 && lines[at + 1] && lines[at + 1] !== '@halfkey' ? { fingerprint: lines[at + 1]!, publicKey: lines[at + 2] ?? '' } : observed.key;
  const folder = home ?? wanted.home ?? account?.home;
  const warnings: string[] = [];
  if (wanted.append && wanted.groups === undefined) warnings.push("'append' is set, but no 'groups' are specified. Use 'groups' for appending new groups.");
  if (wanted.generate_ssh_key && !wanted.force && (observed.halfKey || (output && hasHalfKey(output)))) {
    warnings.push(`Found existing ssh key public file "${keyFile(wanted)}.pub", no force, so skipping ssh-keygen generation`);
  }
  if (wanted.password !== undefined && !isPassword(wanted.password)) {
    warnings.push("The input password appears not to have been hashed. The 'password' argument must be encrypted for this module to work properly: write {{ password | password_hash }}");
  }
  return {
    name: wanted.name,
    state: 'present',
    uid: uid === undefined ? (wanted.uid ?? account?.uid) : Number(uid),
    group: gid === undefined ? account?.gid : Number(gid),
    comment: comment ?? wanted.comment ?? account?.comment,
    home: folder,
    shell: shell ?? wanted.shell ?? account?.shell,
    groups: wanted.groups?.join(','),
    append: wanted.append,
    create_home: wanted.create_home,
    move_home: wanted.move_home,
    system: wanted.system,
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(key && wanted.generate_ssh_key
      ? { ssh_fingerprint: key.fingerprint, ssh_public_key: key.publicKey, ssh_key_file: keyFile(wanted).startsWith('/') ? keyFile(wanted) : `${folder}/${keyFile(wanted)}` }
      : {}),
  };
}

export default defineModule({
  name: 'user',
  summary: 'Creates, changes and removes users.',
  params: schema,
  returns: {
    uid: 'Number of the user.', group: 'Number of the primary group.', home: 'Home folder.', shell: 'Login shell.', comment: 'Full name.', groups: 'Further groups that were asked for.',
    ssh_public_key: 'The public key, with generate_ssh_key.', ssh_fingerprint: 'Its fingerprint.', ssh_key_file: 'Its file.', state: 'present or absent.',
  },
  examples: [
    "- user:\n    name: deploy\n    shell: /bin/bash\n    groups: [sudo, www-data]\n    append: true\n    password: \"{{ deploy_password | password_hash('sha512', 'salt') }}\"",
    '- user:\n    name: olduser\n    state: absent\n    remove: true',
  ],
  // A key that is replaced because of `force` is replaced each time.
  verify: (wanted) => !(wanted.force && wanted.generate_ssh_key),
  inspect: (wanted) => inspect(wanted),
  parse: (output, wanted) => parse(output, wanted),
  refine: async (wanted, { expanded }) => ({ ...wanted, ...expanded }),
  compare: (wanted, observed) => compare(wanted, observed),
  apply: (wanted, observed, changes) => ({ script: apply(wanted, observed, changes) }),
  undo,
  result: (wanted, observed, output) => result(wanted, observed, output),
});
