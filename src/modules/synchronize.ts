import { sh } from '../shell/sh.js';
import { withoutEndSlashes } from '../value/text.js';
import { defineSession, ModuleError, type Channel, type Change } from './module.js';
import { bool, choice, int, list, params, path, str } from './params.js';
import { findRsync, onHost, overChannel, type Rsync, type Transfer } from './rsync.js';

const taken = "Taken for Ansible's sake: rsync goes over the connection of the task, with its user, key, password, host key and become.";

const schema = params({
  src: path('What is copied; with a slash at the end what is in the folder. On the controller, or with `mode: pull` on the host.'),
  dest: path('Where it goes: on the host, or with `mode: pull` on the controller.'),
  mode: choice(['push', 'pull'], 'push: from the controller to the host; pull: the other way.').default('push'),
  archive: bool('Folders with all that is in them, links, permissions, times, owner, group, devices.').default(true),
  recursive: bool('Folders with all that is in them; as `archive` says unless given.').optional(),
  links: bool('Symbolic links stay links; as `archive` says unless given.').optional(),
  copy_links: bool('What a symbolic link leads to is copied in its place.').default(false),
  perms: bool('Permissions are kept; as `archive` says unless given.').optional(),
  times: bool('Times of modification are kept; as `archive` says unless given.').optional(),
  owner: bool('The owner is kept (root only); as `archive` says unless given.').optional(),
  group: bool('The group is kept; as `archive` says unless given.').optional(),
  dirs: bool('Folders without what is in them.').default(false),
  delete: bool('What dest has and src has not goes, after the transfer; needs `recursive` or `archive`.').default(false),
  existing_only: bool('Nothing is made that is not there yet.').default(false),
  checksum: bool('Files are told apart by their content, not by time and size.').default(false),
  compress: bool('Data is compressed on the way.').default(true),
  partial: bool('What arrived of a file is kept where the transfer is broken off.').default(false),
  delay_updates: bool('Files take their places at the end, all at once; .rsync-filter files count.').default(true),
  link_dest: list('Folders of the receiving side; what is the same there becomes a hard link.').optional(),
  rsync_opts: list('More options of rsync(1).').default([]),
  rsync_path: str('The rsync of the host, where it is not in the PATH.').optional(),
  rsync_timeout: int('Seconds without data after which rsync gives up; 0 is never.').default(0),
  dest_port: int(taken).optional(),
  private_key: path(taken).optional(),
  set_remote_user: bool(taken).default(true),
  use_ssh_args: bool(taken).default(false),
  ssh_connection_multiplexing: bool(taken).default(false),
  verify_host: bool(taken).default(false),
}).check((context) => {
  const { src, dest, delete: deletes, archive, recursive, rsync_opts } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  for (const [name, text] of [['src', src], ['dest', dest]] as const) {
    if (/^[^/]*:/.test(text)) issue(`${name} is a path, without a host in front: rsync goes to the host of the task`, name);
  }
  if (deletes && !(recursive ?? archive)) issue('delete needs recursive: true', 'delete');
  if (rsync_opts.includes('')) issue('rsync_opts holds an empty option', 'rsync_opts');
  if (rsync_opts.some((option) => /^(-e|--rsh)/.test(option))) issue('rsync goes over the connection of the task: leave --rsh out of rsync_opts', 'rsync_opts');
});
type Args = (typeof schema)['_zod']['output'];

interface Wanted extends Transfer {
  args: Args;
  /** Both paths are on the host: the task is delegated to the host it is about. */
  isOnHost: boolean;
}

export const synchronize = defineSession<typeof schema, Rsync, string[], Wanted>({
  name: 'synchronize',
  summary: 'Copies folders by rsync, which both the controller and the host must have, over the connection of the task.',
  params: schema,
  returns: { cmd: 'The command.', msg: 'What rsync said of each path: its itemized changes, and the name.', rc: 'Exit status of rsync.', stdout_lines: 'msg, split into lines.' },
  examples: [
    `- synchronize:
    src: site/
    dest: /var/www/site
    delete: true
    rsync_opts: ["--exclude=.git"]
`,
    `- synchronize:
    mode: pull
    src: /var/log/app/
    dest: "{{ playbook_dir }}/logs/{{ inventory_hostname }}/"
`,
  ],
  async prepare(args, { find, host, delegate }) {
    if (delegate !== undefined && delegate !== host) {
      throw new ModuleError(delegate === 'localhost' ? 'synchronize runs rsync on the controller anyway: leave delegate_to out' : `synchronize cannot copy from ${delegate} to ${host}: pull to the controller and push from there`);
    }
    const isOnHost = delegate !== undefined;
    const isPull = args.mode === 'pull';
    const slash = args.src.endsWith('/') ? '/' : '';
    const here = async (written: string): Promise<string> => (written.startsWith('/') || written.startsWith('~') ? written.replace(/^~(?=\/|$)/, process.env['HOME'] ?? '~') : await find(written, 'files'));
    const src = isOnHost || isPull ? args.src : `${withoutEndSlashes(await here(args.src))}${slash}`;
    if (isPull && !isOnHost && !/^[/~]/.test(args.dest)) throw new ModuleError(`give dest with its whole path: "{{ playbook_dir }}/${args.dest}"`);
    const dest = isPull && !isOnHost ? await here(args.dest) : args.dest;
    return { args, isOnHost, options: optionsOf(args), src, dest, isPull };
  },
  async connect(wanted, channel: Channel) {
    const { rc, stderr } = await channel.ask(sh`r=${wanted.args.rsync_path ?? 'rsync'}; command -v "\${r%% *}" >/dev/null || { echo "the host has no $r; install the package rsync on it" >&2; exit 1; }`);
    if (rc !== 0) throw new ModuleError(stderr.trim() || 'cannot look for rsync on the host', { rc, stderr });
    if (wanted.isOnHost) return onHost(channel, wanted);
    await findRsync();
    return overChannel(channel, wanted);
  },
  close: (rsync) => rsync.close(),
  inspect: async ({ args }, rsync) => itemized((await rsync.run(['--dry-run'])).stdout, args),
  compare(_wanted, lines): Change[] {
    return lines.length > 0 ? [{ field: 'files', from: null, to: lines }] : [];
  },
  async apply({ args }, rsync) {
    const { stdout, cmd } = await rsync.run([]);
    return { ...told(stdout), cmd, changed: itemized(stdout, args).length > 0 };
  },
  // Without times, what was copied looks newer than it is; a folder of links may be told of again.
  verify: ({ args }) => args.checksum || ((args.times ?? args.archive) && args.link_dest === undefined && args.rsync_opts.length === 0),
  result: (_wanted, lines, applied) => ({ ...(applied?.['cmd'] === undefined ? told(lines.map((line) => `${MARK}${line}\n`).join('')) : applied), rc: 0 }),
});
export default synchronize;

const MARK = '<<CHANGED>>';

/** The lines about what differs; with link_dest rsync tells of everything, and what it linked begins with a point. */
function itemized(stdout: string, { link_dest }: Args): string[] {
  const lines = stdout.split('\n').flatMap((line) => (line.startsWith(MARK) ? [line.slice(MARK.length)] : []));
  return link_dest === undefined ? lines : lines.filter((line) => !line.startsWith('.'));
}

function told(stdout: string): { msg: string; stdout_lines: string[] } {
  const msg = stdout.replaceAll(MARK, '');
  return { msg, stdout_lines: msg.split('\n').filter((line) => line !== '') };
}

function optionsOf(args: Args): string[] {
  const kept = (['recursive', 'links', 'perms', 'times', 'owner', 'group'] as const).flatMap((name) => (args[name] === !args.archive ? [args[name] ? `--${name}` : `--no-${name}`] : []));
  const when = (is: boolean, ...options: string[]): string[] => (is ? options : []);
  return [
    ...when(args.delay_updates, '--delay-updates', '-F'),
    ...when(args.compress, '--compress'),
    ...when(args.rsync_timeout > 0, `--timeout=${args.rsync_timeout}`),
    ...when(args.delete, '--delete-after'),
    ...when(args.existing_only, '--existing'),
    ...when(args.checksum, '--checksum'),
    ...when(args.copy_links, '--copy-links'),
    ...when(args.archive, '--archive'),
    ...kept,
    ...when(args.dirs, '--dirs'),
    ...when(args.rsync_path !== undefined, `--rsync-path=${args.rsync_path}`),
    ...args.rsync_opts,
    ...when(args.partial, '--partial'),
    ...(args.link_dest === undefined ? [] : ['-H', '-vv', ...args.link_dest.map((folder) => `--link-dest=${folder}`)]),
    `--out-format=${MARK}%i %n%L`,
  ];
}
