import { dirname, extname } from 'node:path/posix';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Back, type Change } from './module.js';
import { bool, int, list, params, path, str } from './params.js';
import { expanding, hostPath } from './words.js';

const schema = params({
  repo: str('Address of the repository: git, SSH, HTTP(S), or a path on the host.').meta({ aliases: ['name'] }),
  dest: path('The folder it is checked out to; it may be left out with clone: false.').optional(),
  version: str('Branch, tag or commit (all 40 digits); HEAD is the default branch.').default('HEAD'),
  remote: str('Name of the remote.').default('origin'),
  refspec: str('What is fetched besides, such as a ref of a change under review.').optional(),
  force: bool('Throw away local modifications; otherwise they fail the task.').default(false),
  depth: int('Fetch only so many commits.').optional(),
  clone: bool('Clone where there is no repository yet; otherwise only tell, as a change, what is there to be had.').default(true),
  update: bool('Fetch what is new; otherwise whatever is there will do.').default(true),
  bare: bool('A bare repository, without a working tree.').default(false),
  recursive: bool('Check out submodules too.').default(true),
  track_submodules: bool('Submodules follow their branches instead of the commits on record.').default(false),
  single_branch: bool('Clone only the history of the one version.').default(false),
  reference: path('A repository on the host whose objects are borrowed.').optional(),
  separate_git_dir: path('Where the repository itself lies, apart from its working tree; used when it is cloned.').optional(),
  verify_commit: bool('The signature of what is checked out must be valid.').default(false),
  gpg_allowlist: list('Fingerprints of the keys that may have signed it.').meta({ aliases: ['gpg_whitelist'] }).default([]),
  accept_hostkey: bool("Take whatever key the server shows, where none is known.").default(false),
  accept_newhostkey: bool('Take the key of a server not yet known, and remember it; a changed one is refused.').default(false),
  key_file: path('Private key on the host.').optional(),
  ssh_opts: str('Options for ssh.').optional(),
  executable: path('The git to use.').optional(),
  umask: str('Mask for new files and folders, octal.').optional(),
  archive: path('A file that holds the version as an archive: .zip, .tar, .tar.gz or .tgz.').optional(),
  archive_prefix: str('What stands before each path in the archive: app-1.0/.').optional(),
}).check((context) => {
  const { value } = context;
  const issue = (message: string, at: string) => context.issues.push({ code: 'custom', message, input: value, path: [at] });
  if (value.archive !== undefined && formatOf(value.archive) === undefined) issue(`Unable to get file extension from archive file name : ${value.archive}; it can be one of .tar, .tar.gz, .tgz, .zip`, 'archive');
  if (value.archive_prefix !== undefined && value.archive === undefined) issue('archive_prefix needs archive', 'archive');
  if (value.dest === undefined && value.clone) issue('the destination directory must be specified unless clone=no', 'dest');
  if (value.separate_git_dir !== undefined && value.bare) issue('separate_git_dir makes no sense for a bare repository', 'separate_git_dir');
  if (value.umask !== undefined && !/^[0-7]{1,4}$/.test(value.umask)) issue(`"${value.umask}" is no umask: write "0022"`, 'umask');
  if (value.depth !== undefined && value.depth < 1) issue('depth is at least 1', 'depth');
  for (const name of ['version', 'remote', 'repo'] as const) if (/^-|[\n\0]/.test(value[name])) issue(`${name} cannot be "${value[name]}"`, name);
});
type Wanted = (typeof schema)['_zod']['output'];

/** The format of an archive, by the end of its name, as `git archive` calls it. */
function formatOf(archive: string): string | undefined {
  const formats: { [end: string]: string } = { '.zip': 'zip', '.gz': 'tar.gz', '.tar': 'tar', '.tgz': 'tgz' };
  return formats[extname(archive)];
}

interface Observed {
  /** The commit that is checked out; empty in a repository without commits; undefined where there is no repository. */
  before: string | undefined;
  /** Address of the remote as the repository has it. */
  url: string;
  /** Files with local modifications. */
  modified: string[];
  /** What the version is there. */
  there: { commit: string; branch: string | undefined } | undefined;
  /** Whether the archive holds what the version is in the repository now. */
  archive: 'same' | 'other' | 'none';
}

const COMMIT = /^[0-9a-f]{40}$/;

/** Defines `g`, git with nobody to ask and the wanted way of SSH. */
function git({ executable, key_file, ssh_opts, accept_hostkey, accept_newhostkey, umask }: Wanted): Sh {
  const options = ['-o BatchMode=yes', accept_hostkey ? '-o StrictHostKeyChecking=no' : accept_newhostkey ? '-o StrictHostKeyChecking=accept-new' : '', key_file === undefined ? '' : '-o IdentitiesOnly=yes -i "$MUSTER_KEY"', ssh_opts ?? ''];
  const own = key_file !== undefined || ssh_opts !== undefined || accept_hostkey || accept_newhostkey;
  return join([
    umask === undefined ? join([]) : sh`umask ${umask}`,
    sh`export LC_ALL=C.UTF-8 GIT_TERMINAL_PROMPT=0 GIT_ASKPASS=true GIT_OPTIONAL_LOCKS=0`,
    key_file === undefined ? join([]) : sh`MUSTER_KEY=${hostPath(key_file)}; export MUSTER_KEY`,
    own ? sh`export GIT_SSH_COMMAND=${`ssh ${options.filter((each) => each !== '').join(' ')}`}` : sh`export GIT_SSH_COMMAND="\${GIT_SSH_COMMAND:-ssh -o BatchMode=yes}"`,
    sh`g() { ${executable === undefined ? sh`git` : hostPath(executable)} "$@"; }`,
  ]);
}

/** The refs a version may stand for, as ls-remote names them. */
function refs(version: string): string[] {
  if (version === 'HEAD') return ['HEAD'];
  return version.startsWith('refs/') ? [version] : [`refs/heads/${version}`, `refs/tags/${version}`, `refs/tags/${version}^{}`];
}

/** A repository by its path, with `~` expanded, or its address. */
const address = (repo: string): Sh => (repo.startsWith('~') ? expanding(repo) : sh`${repo}`);

function inspect(wanted: Wanted): Sh {
  const { dest, repo, remote, version, bare, update } = wanted;
  const head = bare && version !== 'HEAD' ? version : 'HEAD';
  return sh`${git(wanted)}
command -v ${wanted.executable === undefined ? 'git' : hostPath(wanted.executable)} >/dev/null || { echo 'the host has no git; install it first' >&2; exit 1; }
d=${dest === undefined ? '' : hostPath(dest)} r=
if [ "$d" ] && [ -e "$d"${bare ? '/config' : '/.git'} ]; then
  r=y
  b=$(g -C "$d" rev-parse -q --verify ${`${head}^{commit}`}) || g -C "$d" rev-parse --git-dir >/dev/null || exit
  u=$(g -C "$d" config --get ${`remote.${remote}.url`})
  m=
${bare ? join([]) : raw('  m=$(g -C "$d" status --porcelain --untracked-files=no) || exit')}
  printf 'repository\\000%s\\000%s\\000%s\\000' "$b" "$u" "$m"
else printf 'none\\000\\000\\000\\000'
fi
l=
${COMMIT.test(version) ? join([]) : sh`${update ? join([]) : raw('[ "$r" ] || ')}l=$(g ls-remote --symref -- ${address(repo)} ${refs(version)}) || { r=$?; echo ${`cannot reach ${shown(repo)}`} >&2; exit $r; }`}
k=none
${archiving(wanted, (file) => sh`if [ -e ${file} ]; then
  k=other
  if [ "$r" ] && ( cd "$d" && ${archived(wanted)} 2>/dev/null | cmp -s - ${file} ); then k=same; fi
fi`)}
printf '%s\\000' "$l" "$k"`;
}

/** Something done with the archive, where one is wanted. */
const archiving = ({ archive }: Wanted, text: (file: Sh) => Sh): Sh => (archive === undefined ? join([]) : text(hostPath(archive)));

/** Writes the version as an archive: the same bytes for the same commit. */
const archived = ({ archive = '', archive_prefix, version }: Wanted): Sh => sh`g archive --format ${formatOf(archive)!} ${archive_prefix === undefined ? [] : ['--prefix', archive_prefix]} ${version}`;

/** An address without a password in it. */
const shown = (repo: string): string => repo.replace(/(?<=:\/\/[^/@:]*:)[^/@]*(?=@)/, '********');

function there(version: string, listing: string): Observed['there'] {
  if (COMMIT.test(version)) return { commit: version, branch: undefined };
  const of = (ref: string) => new RegExp(`^([0-9a-f]{40,64})\\t${ref.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`, 'm').exec(listing)?.[1];
  if (version === 'HEAD') {
    const commit = of('HEAD');
    return commit === undefined ? undefined : { commit, branch: /^ref: refs\/heads\/(.*)\tHEAD$/m.exec(listing)?.[1] };
  }
  const [branch] = version.startsWith('refs/') ? [of(version)] : [of(`refs/heads/${version}`)];
  if (branch !== undefined) return { commit: branch, branch: version.startsWith('refs/') ? undefined : version };
  const tag = of(`refs/tags/${version}^{}`) ?? of(`refs/tags/${version}`);
  return tag === undefined ? undefined : { commit: tag, branch: undefined };
}

export const gitModule = defineModule<typeof schema, Observed>({
  name: 'git',
  summary: 'Checks out a git repository on the host, and keeps it at a version.',
  params: schema,
  returns: { before: 'The commit before; null where there was none.', after: 'The commit now.', remote_url_changed: 'Whether the remote had another address.' },
  examples: [
    `- git:
    repo: https://git.example.org/app.git
    dest: /srv/app
    version: v1.4.2
`,
    `- git:
    repo: git@git.example.org:app.git
    dest: /srv/app
    key_file: /root/.ssh/deploy
    accept_newhostkey: true
    depth: 1
`,
  ],
  inspect,
  parse(output, wanted) {
    const [kind, before, url, modified, listing, archive] = fields(output, `looking at ${wanted.dest ?? shown(wanted.repo)}`) as [string, string, string, string, string, Observed['archive']];
    const found = there(wanted.version, listing);
    const asked = wanted.update || kind === 'none';
    // A commit written short, or one that only the refspec brings, is found when all is fetched.
    if (found === undefined && asked && wanted.refspec === undefined && !/^[0-9a-f]{7,39}$/.test(wanted.version)) throw new ModuleError(`${shown(wanted.repo)} has no version ${wanted.version}`);
    return { before: kind === 'none' ? undefined : before, url, modified: modified.split('\n').filter((line) => line !== ''), there: found, archive };
  },
  compare: differences,
  apply(wanted, observed, changes) {
    if (observed.before === undefined && !wanted.clone) return { script: raw(':') };
    const isMoved = changes.some(({ field }) => field !== 'archive');
    const bringing = !isMoved ? sh`cd ${hostPath(wanted.dest!)} || exit` : observed.before === undefined ? cloning(wanted, observed) : updating(wanted, observed, changes);
    return {
      script: join([
        git(wanted), bringing, isMoved ? finishing(wanted) : join([]),
        changes.some(({ field }) => field === 'archive') ? archiving(wanted, (file) => sh`a=${file}
trap 'rm -f -- "$a.muster.$$"' EXIT
${archived(wanted)} >"$a.muster.$$" && mv -f -- "$a.muster.$$" "$a" || { echo 'Failed to perform archive operation' >&2; exit 1; }`) : join([]),
        telling(wanted),
      ]),
    };
  },
  touches: ({ dest, separate_git_dir, archive }) => ({ ...(archive === undefined ? {} : { paths: [hostPath(archive)] }), trees: [dest, separate_git_dir].flatMap((folder) => (folder === undefined ? [] : [hostPath(folder)])) }),
  verify: ({ clone }) => clone,
  undo({ dest, repo, force, clone, archive }, { before, url, archive: had }, changes) {
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    const packed: Back[] = !has('archive') ? [] : had === 'none' ? [{ module: 'file', args: { path: archive!, state: 'absent' } }] : [{ module: 'copy', args: { dest: archive! }, old: hostPath(archive!) }];
    if (changes.every(({ field }) => field === 'archive')) return packed;
    if (before === undefined && !clone) return [];
    if (before === undefined) return [...packed, { module: 'file', args: { path: dest!, state: 'absent' }, above: hostPath(dest!) }];
    return [...packed, before === '' ? { cannot: `${dest} held no commit` } : { module: 'git', args: { repo: url || repo, dest, version: before, force } }];
  },
  result(wanted, observed, output) {
    const after = output === undefined ? undefined : /^after ([0-9a-f]+)$/m.exec(output.stdout)?.[1];
    const { before, url, there } = observed;
    const changes = differences(wanted, observed);
    const moves = before === undefined || changes.some(({ field }) => field === 'version');
    return { before: before || null, after: after ?? (moves ? (there?.commit ?? null) : before || null), remote_url_changed: before !== undefined && changes.some(({ field }) => field !== 'archive') && url !== wanted.repo };
  },
});
export default gitModule;

const only = (wanted: boolean, ...words: string[]): string[] => (wanted ? words : []);

function cloning(wanted: Wanted, { there }: Observed): Sh {
  const { dest = '', repo, remote, version, bare, depth, single_branch, reference, separate_git_dir, refspec } = wanted;
  // Only a branch or a tag can be named to clone.
  const named = version !== 'HEAD' && there !== undefined && !COMMIT.test(version) && !version.startsWith('refs/');
  const shallow = depth === undefined ? [] : ['--depth', String(depth)];
  const options = [...only(bare, '--bare'), '--origin', remote, ...(COMMIT.test(version) || refspec !== undefined ? [] : shallow), ...only(named, '--branch', version), ...only(single_branch && (named || version === 'HEAD'), '--single-branch')];
  const folder = hostPath(dest);
  return join([
    sh`mkdir -p -- ${hostPath(dirname(dest))} || exit`,
    sh`g clone -q ${options} ${reference === undefined ? [] : [sh`--reference`, hostPath(reference)]} ${separate_git_dir === undefined ? join([]) : sh`--separate-git-dir=${hostPath(separate_git_dir)}`} -- ${address(repo)} ${folder} || exit
cd ${folder} || exit`,
    // A path given to clone is kept as it is written.
    repo.startsWith('~') ? join([]) : sh`g config ${`remote.${remote}.url`} ${repo} || exit`,
    refspec === undefined ? join([]) : sh`g fetch -q ${shallow} ${remote} ${refspec} || exit`,
    bare || (named && refspec === undefined) || (version === 'HEAD' && refspec === undefined) ? join([]) : placing(wanted, there),
  ]);
}

function updating(wanted: Wanted, { there }: Observed, changes: readonly Change[]): Sh {
  const { dest = '', repo, remote, version, bare, depth, refspec } = wanted;
  const has = (field: string) => changes.some((change) => change.field === field);
  const spec = bare
    ? ['+refs/heads/*:refs/heads/*']
    : depth !== undefined && there?.branch !== undefined
      ? [`+refs/heads/${there.branch}:refs/remotes/${remote}/${there.branch}`]
      : depth !== undefined && there !== undefined && !COMMIT.test(version) && !version.startsWith('refs/')
        ? [`+refs/tags/${version}:refs/tags/${version}`]
        : [`+refs/heads/*:refs/remotes/${remote}/*`];
  return join([
    sh`cd ${hostPath(dest)} || exit`,
    has('modifications') ? sh`g reset -q --hard HEAD || exit` : join([]),
    has('remote') ? sh`if g config --get ${`remote.${remote}.url`} >/dev/null; then g remote set-url ${remote} ${repo}; else g remote add ${remote} ${repo}; fi || exit` : join([]),
    has('version') || has('remote')
      ? sh`g fetch -q --force ${depth === undefined ? ['--tags'] : ['--depth', String(depth)]} ${remote} ${spec} ${refspec === undefined ? [] : [refspec]} || exit`
      : join([]),
    bare ? join([]) : placing(wanted, there),
  ]);
}

/** Puts the working tree at the version: on its branch where it is one. */
function placing({ version, remote, depth }: Wanted, there: Observed['there']): Sh {
  const branch = there?.branch;
  if (branch !== undefined) {
    return sh`if g show-ref -q --verify ${`refs/heads/${branch}`}; then g checkout -q --force ${branch} -- && g reset -q --hard ${`${remote}/${branch}`} --
else g checkout -q --force --track -b ${branch} ${`${remote}/${branch}`} --; fi || exit`;
  }
  const at = there === undefined ? version : there.commit;
  const missing = sh`g fetch -q ${depth === undefined ? [] : ['--depth', String(depth)]} ${remote} ${version}`;
  return sh`g cat-file -e ${`${at}^{commit}`} 2>/dev/null || ${missing} || exit
g checkout -q --force ${at} -- || exit`;
}

/** Submodules and signatures. */
function finishing({ bare, recursive, track_submodules, verify_commit, gpg_allowlist, version }: Wanted): Sh {
  const modules = sh`if [ -f .gitmodules ]; then g submodule -q sync --recursive && g submodule -q update --init --recursive ${track_submodules ? ['--remote'] : []} || exit; fi`;
  const allowed = sh`case " $(printf '%s\\n' "$s" | sed -n 's/^\\[GNUPG:\\] VALIDSIG //p') " in
${gpg_allowlist.map((print) => sh`*${` ${print} `}*) ;;\n`)}
*) echo 'the signature is of a key that is not in gpg_allowlist' >&2; exit 1 ;;
esac`;
  return join([
    recursive && !bare ? modules : join([]),
    verify_commit
      ? sh`if g rev-parse -q --verify ${`refs/tags/${version}`} >/dev/null && [ "$(g cat-file -t ${`refs/tags/${version}`})" = tag ]; then s=$(g verify-tag --raw ${version} 2>&1); else s=$(g verify-commit --raw HEAD 2>&1); fi || { printf '%s\\n' "$s" >&2; echo 'the signature is not valid' >&2; exit 1; }`
      : join([]),
    verify_commit && gpg_allowlist.length > 0 ? allowed : join([]),
  ]);
}

/** The commit there is now. */
const telling = ({ bare, version }: Wanted): Sh => sh`printf 'after %s\\n' "$(g rev-parse ${bare && version !== 'HEAD' ? `${version}^{commit}` : 'HEAD'})"`;

function differences(wanted: Wanted, { before, url, modified, there, archive }: Observed): Change[] {
  const changes: Change[] = [];
  const to = there?.commit ?? wanted.version;
  const packed = (isMoved: boolean): Change[] => (wanted.archive === undefined || (archive === 'same' && !isMoved) ? [] : [{ field: 'archive', from: archive === 'none' ? null : `${wanted.archive} of another version`, to: wanted.archive }]);
  if (before === undefined) return [{ field: 'version', from: null, to }, ...(wanted.clone ? packed(true) : [])];
  if (!wanted.update) return packed(false);
  if (modified.length > 0) {
    if (!wanted.force) throw new ModuleError(`Local modifications exist in the destination: ${wanted.dest} (force=no): ${modified.map((line) => line.slice(3)).join(', ')}`);
    changes.push({ field: 'modifications', from: modified.map((line) => line.slice(3)).join(', '), to: 'none' });
  }
  if (url !== wanted.repo && !wanted.repo.startsWith('~')) changes.push({ field: 'remote', from: shown(url) || null, to: shown(wanted.repo) });
  if (there === undefined ? !(before !== '' && before.startsWith(wanted.version)) : before !== to) changes.push({ field: 'version', from: before || null, to });
  return [...changes, ...packed(changes.some(({ field }) => field === 'version'))];
}