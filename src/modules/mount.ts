import { join, sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { applyEdit, beforeEdit, compareEdit, inspectText, parseText, type Edited } from './edited_file.js';
import { edit, mountedAt, type Mounted, type Row } from './fstab.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Back, type Change } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { replaced } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('Where it is mounted; `none` for swap.').meta({ aliases: ['name'] }),
  src: path('What is mounted: a device, LABEL=…, UUID=…, host:/share, a folder.').optional(),
  fstype: str('Type of the file system.').optional(),
  opts: str('Options, with commas between (mount(8)); `defaults` unless given.').optional(),
  opts_no_log: bool('Whether the options are kept out of results.').default(false),
  dump: str('Whether dump(8) is to keep a copy: fifth field of fstab(5).').default('0'),
  passno: str('Order of checks at boot: sixth field of fstab(5).').default('0'),
  state: choice(
    ['absent', 'absent_from_fstab', 'mounted', 'present', 'unmounted', 'remounted', 'ephemeral'],
    'mounted: in fstab and mounted; present: in fstab; unmounted: not mounted, fstab as it is; absent: neither, and the folder goes; absent_from_fstab: not in fstab; remounted: mounted anew each time; ephemeral: mounted, fstab as it is.',
  ),
  fstab: path('The file.').default('/etc/fstab'),
  boot: bool('Whether it is mounted at boot; false adds noauto to the options.').default(true),
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
}).check((context) => {
  const { state, src, fstype, path } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (['mounted', 'present', 'ephemeral'].includes(state)) {
    if (src === undefined) issue(`state: ${state} needs src`, 'src');
    if (fstype === undefined) issue(`state: ${state} needs fstype`, 'fstype');
  }
  if (!path.startsWith('/') && !['none', 'swap'].includes(path)) issue(`path is the absolute path of a folder, not "${path}"`, 'path');
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed extends Edited {
  /** What is mounted there, in the order of mounting: the last one is seen. */
  mounts: Mounted[];
  /** Whether there is something at the path. */
  exists: boolean;
}

const inFstab = ({ state }: Wanted): boolean => ['mounted', 'present', 'absent', 'absent_from_fstab'].includes(state);

export const mount = defineModule<typeof schema, Observed, Wanted>({
  name: 'mount',
  summary: 'Mounts file systems, and says in fstab what is mounted at boot.',
  params: schema,
  returns: { name: 'Where.', src: 'What.', fstype: 'Type of the file system.', opts: 'Its options.', dump: 'Fifth field of fstab(5).', passno: 'Sixth field.', fstab: 'The file.', boot: 'yes or no.', backup_file: 'Where the old file was kept; empty when it was not.' },
  examples: [
    `- mount:
    path: /srv/shared
    src: files.example.com:/export/shared
    fstype: nfs
    opts: rw,hard
    state: mounted
`,
  ],
  inspect: (wanted) =>
    join([
      inspectText(wanted.fstab),
      // The table of a container may be long; only lines about the path are wanted, and it is escaped in them.
      sh`m=$(cat /proc/self/mountinfo) || exit; e=; [ ! -e ${hostPath(wanted.path)} ] || e=y; printf '%s\\000' "$m" "$e"`,
    ]),
  parse(output, wanted) {
    const all = fields(output, `reading ${wanted.fstab} and what is mounted`);
    const [table, exists] = all.splice(-2);
    return { ...parseText({ ...output, stdout: all.map((field) => `${field}\0`).join('') }, wanted.fstab), mounts: mountedAt(table!, wanted.path), exists: exists === 'y' };
  },
  compare(wanted, observed) {
    const { state } = wanted;
    const { mounts } = observed;
    const changes = inFstab(wanted) ? compareEdit(options(wanted), observed, edited(wanted, observed)) : [];
    const isMounted = mounts.length > 0;
    const from = mounts.at(-1)?.source ?? null;
    const told = (to: unknown): Change => ({ field: 'mount', from, to });
    if (state === 'mounted' && wanted.path.startsWith('/')) {
      if (!isMounted) changes.push(told(wanted.src));
      else if (changes.length > 0) changes.push(told('remounted'));
    } else if (state === 'ephemeral') {
      if (isMounted && !sameSource(wanted.src!, mounts.at(-1)!)) throw new ModuleError(`${from} is mounted at ${wanted.path} already; unmount it first (state: unmounted), or mount ${wanted.src} elsewhere`);
      changes.push(told(isMounted ? 'remounted' : wanted.src));
    } else if (state === 'remounted') {
      if (!isMounted) throw new ModuleError(`nothing is mounted at ${wanted.path} that could be remounted`);
      changes.push(told('remounted'));
    } else if (state === 'unmounted' && isMounted) changes.push(told(null));
    else if (state === 'absent' && changes.length > 0) {
      if (isMounted) changes.push(told(null));
      if (observed.exists) changes.push({ field: 'folder', from: wanted.path, to: null });
    }
    return changes;
  },
  apply(wanted, observed, changes) {
    const at = hostPath(wanted.path);
    const row = rowOf(wanted);
    const file = changes.filter(({ field }) => field !== 'mount' && field !== 'folder');
    const change = changes.find(({ field }) => field === 'mount');
    const after = [];
    const table = wanted.fstab === '/etc/fstab' ? [] : ['-T', wanted.fstab];
    const given = ['-t', row.fstype, ...(row.opts === 'defaults' ? [] : ['-o', row.opts]), row.src];
    if (change?.to === 'remounted') {
      const more = wanted.opts === undefined || wanted.state === 'mounted' ? '' : `,${wanted.opts}`;
      // What cannot be remounted (a bind mount, some network file systems) is unmounted and mounted, as Ansible does.
      const again = wanted.state === 'ephemeral' ? sh`mount ${given} ${at}` : sh`mount ${table} ${at}`;
      after.push(more !== '' ? sh`mount -o ${`remount${more}`} ${at}` : sh`{ mount ${table} -o remount ${at} 2>/dev/null || { umount ${at} && ${again}; }; }`);
    } else if (change?.to === null) after.push(sh`umount ${at}`);
    else if (change) {
      const mounted = wanted.state === 'ephemeral' ? sh`mount ${given} ${at}` : sh`mount ${table} ${at}`;
      // An entry that cannot be mounted may keep the host from booting: fstab is put back.
      const old = file.length > 0 ? sh`|| { rc=$?; ${observed.content === undefined ? sh`rm -f -- ${hostPath(wanted.fstab)}` : sh`printf %s ${observed.content.toString('base64')} | base64 -d >${hostPath(wanted.fstab)}`}; (exit $rc); }` : sh``;
      after.push(sh`{ mkdir -p -- ${at} && ${mounted} ${old}; }`);
    }
    if (changes.some(({ field }) => field === 'folder')) after.push(sh`rmdir -- ${at}`);
    return applyEdit(options(wanted), observed, edited(wanted, observed), file, { after });
  },
  touches(_wanted, { entry }, changes) {
    if (changes.some(({ field }) => field === 'mount')) throw new ModuleError('what was mounted or unmounted cannot be put back by a timer; use state: present in a confirmed block');
    return touchesFile(entry);
  },
  undo(wanted, { entry, mounts }, changes): (Back | { cannot: string })[] {
    const file = changes.some(({ field }) => field === 'content') ? undoFile(entry, changes) : [];
    const change = changes.find(({ field }) => field === 'mount');
    const { path, src, fstype, opts } = wanted;
    if (!change) return file;
    if (change.to === 'remounted') return [...file, { cannot: `the options ${path} was mounted with were not kept` }];
    if (change.from === null) return [{ module: 'mount', args: { path, state: 'unmounted' } }, ...file.map((back) => ({ ...back, behind: true }))];
    const was = mounts.at(-1)!;
    return [...file, { module: 'mount', args: { path, src: src ?? was.source, fstype: fstype ?? was.fstype, opts: opts ?? was.options, state: 'ephemeral' }, behind: true }];
  },
  before: (_wanted, _observed, change) => beforeEdit(change),
  verify: ({ state }) => state !== 'remounted' && state !== 'ephemeral',
  result(wanted, _observed, output) {
    const notes = output ? replaced(output, 1, `mounting ${wanted.path}`).notes : {};
    const { opts, dump, passno } = rowOf(wanted);
    const { path: name, src, fstype, fstab, boot } = wanted;
    return { name, ...(src === undefined ? {} : { src, fstype }), ...(wanted.opts_no_log ? {} : { opts }), dump, passno, fstab, boot: boot ? 'yes' : 'no', backup_file: '', ...notes };
  },
});
export default mount;

const options = ({ fstab, backup }: Wanted): { path: string; backup: boolean } => ({ path: fstab, backup });

function rowOf({ path, src, fstype, opts = 'defaults', boot, dump, passno }: Wanted): Row {
  const all = opts.split(',');
  return { src: src ?? '', path, fstype: fstype ?? '', opts: boot || all.includes('noauto') ? opts : [...all, 'noauto'].join(','), dump, passno };
}

function edited(wanted: Wanted, { content }: Observed): Buffer | undefined {
  const isAbsent = wanted.state.startsWith('absent');
  if (content === undefined && isAbsent) return undefined;
  return edit(content ?? Buffer.alloc(0), isAbsent ? { path: wanted.path } : rowOf(wanted));
}

/** Whether this is what a task calls by that name: a device is told by its path only, a bind mount by its root. */
function sameSource(src: string, { source, root }: Mounted): boolean {
  return src === source || src === root || (root !== '/' && trimmedEnd(src, '/').endsWith(root)) || /^(?:LABEL|UUID|PARTUUID|PARTLABEL|ID)=/.test(src) || src.startsWith('/dev/disk/by-');
}
