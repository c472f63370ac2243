import { z } from 'zod';
import { join, sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import { attributeParams } from './attributes.js';
import { applyEdit, beforeEdit, compareEdit, decode, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { defineModule, type Change } from './module.js';
import { bool, choice, list, params, path, secret, str } from './params.js';
import { replaced, replaceFiles, unsafeWrites } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const oneOf = (choices: readonly string[], about: string) => str(`${about} One of ${choices.join(', ')}.`).refine((value) => choices.includes(value), { message: `one of ${choices.join(', ')}` });

/** Options of a repository by dnf.conf(5) and yum.conf(5), "[repository] OPTIONS". */
const options = {
  async: bool('Without meaning to dnf.'),
  bandwidth: str('Bytes a second there are, for a throttle in per cent.'),
  baseurl: list('Addresses of the folder that holds repodata.'),
  cost: str('Cost next to other repositories.'),
  countme: bool('Whether the host counts itself once a week.'),
  deltarpm_metadata_percentage: str('Without meaning to dnf.'),
  deltarpm_percentage: str('Size of differences, in per cent of a package, above which the package is fetched.'),
  description: str('Name for people: `name` in the file.'),
  enabled: bool('Whether the repository is used.'),
  enablegroups: bool('Whether its groups of packages are used.'),
  exclude: list('Packages that are left out.').meta({ aliases: ['excludepkgs'] }),
  failovermethod: choice(['roundrobin', 'priority'], 'Which address is tried first.'),
  gpgcakey: str('Without meaning to dnf.'),
  gpgcheck: bool("Whether packages' signatures are checked."),
  gpgkey: list('Addresses of keys.'),
  http_caching: choice(['all', 'packages', 'none'], 'Without meaning to dnf.'),
  include: str('A further file of settings.'),
  includepkgs: list('The only packages that are taken.'),
  ip_resolve: oneOf(['4', '6', 'IPv4', 'IPv6', 'whatever'], 'Kind of addresses.'),
  keepalive: bool('Without meaning to dnf.'),
  keepcache: oneOf(['0', '1'], 'Whether what was fetched is kept.'),
  metadata_expire: str('How long what is known of the repository is valid: seconds, or a number with d, h or m, or never.'),
  metadata_expire_filter: choice(['never', 'read-only:past', 'read-only:present', 'read-only:future'], 'Without meaning to dnf.'),
  metalink: str('Address of a metalink file with the mirrors.'),
  mirrorlist: str('Address of a list of mirrors.'),
  mirrorlist_expire: str('Without meaning to dnf.'),
  module_hotfixes: bool('Whether all packages are taken, whatever streams of modules are enabled.'),
  password: secret('Password for the repository.'),
  priority: str('The lower, the sooner packages are taken from here.'),
  protect: bool('Without meaning to dnf.'),
  proxy: str('Address of a proxy; _none_ for none.'),
  proxy_password: secret('Password for the proxy.'),
  proxy_username: str('User of the proxy.'),
  repo_gpgcheck: bool("Whether the signature of the repository's metadata is checked."),
  retries: str('How often fetching is tried again.'),
  s3_enabled: bool('Whether the plugin for S3 is used.'),
  skip_if_unavailable: bool('Whether a repository that cannot be reached is passed over.'),
  ssl_check_cert_permissions: bool('Without meaning to dnf.'),
  sslcacert: str('Folder or file of the certificates that are trusted.').meta({ aliases: ['ca_cert'] }),
  sslclientcert: str('Certificate the host shows.').meta({ aliases: ['client_cert'] }),
  sslclientkey: str('Its key.').meta({ aliases: ['client_key'] }),
  sslverify: bool('Whether certificates are checked.').meta({ aliases: ['validate_certs'] }),
  throttle: str('Most bytes a second, or per cent of bandwidth.'),
  timeout: str('Seconds to wait for a connection.'),
  ui_repoid_vars: str('Without meaning to dnf.'),
  username: str('User of the repository.'),
};
type Name = keyof typeof options;

const schema = params({
  name: str('The id of the repository: the section of the file.'),
  file: str('Name of the file without .repo; that of the repository unless given.').optional(),
  reposdir: path('Folder of the files.').default('/etc/yum.repos.d'),
  state: choice(['present', 'absent'], 'Whether the repository shall be there.').default('present'),
  ...(Object.fromEntries(Object.entries(options).map(([name, type]) => [name, type.optional()])) as { [name in Name]: z.ZodOptional<(typeof options)[name]> }),
  ...attributeParams,
  unsafe_writes: unsafeWrites,
}).check((context) => {
  const { state, baseurl, mirrorlist, metalink, description } = context.value;
  const issue = (message: string) => context.issues.push({ code: 'custom', message, input: context.value, path: ['state'] });
  if (state === 'absent') return;
  if (baseurl === undefined && mirrorlist === undefined && metalink === undefined) issue('state is present but any of the following are missing: baseurl, mirrorlist, metalink');
  if (description === undefined) issue('state is present but all of the following are missing: description');
});
type Args = (typeof schema)['_zod']['output'];
type Wanted = Args & { path: string; backup: boolean };

type Section = { name: string; options: Map<string, string> };

export const yumRepository = defineModule<typeof schema, Edited, Wanted>({
  name: 'yum_repository',
  summary: 'Gives dnf and yum a repository, in a file of their folder, or takes it away.',
  params: schema,
  returns: { repo: 'The id of the repository.', state: '`present` or `absent`.' },
  examples: [
    `- yum_repository:
    name: epel
    description: Extra packages
    baseurl: https://mirror.example.org/epel/$releasever/$basearch/
    gpgkey: https://mirror.example.org/epel/RPM-GPG-KEY-EPEL
`,
  ],
  prepare: async (args) => ({ ...args, path: `${trimmedEnd(args.reposdir, '/')}/${args.file ?? args.name}.repo`, backup: false }),
  inspect: ({ path, reposdir }) => join([sh`[ -d ${hostPath(reposdir)} ] || { printf '%s\\n' ${`Repo directory '${reposdir}' does not exist.`} >&2; exit 1; }`, inspectText(path)]),
  parse: (output, { path }) => parseText(output, path),
  compare(wanted, observed) {
    const after = textOf(wanted, observed);
    if (after !== null) return compareEdit(wanted, observed, after);
    const { path } = observed.entry;
    return [{ field: 'content', from: path, to: null, text: { path, after: null } } satisfies Change];
  },
  apply(wanted, observed, changes) {
    const after = textOf(wanted, observed);
    if (after === null) return replaceFiles([], [], { after: [sh`rm -f -- ${hostPath(observed.entry.path)}`] });
    return applyEdit(wanted, observed, after, changes);
  },
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => beforeEdit(change),
  result(wanted, observed, output) {
    if (output && textOf(wanted, observed) !== null) replaced(output, 1, `writing ${wanted.path}`);
    return { repo: wanted.name, state: wanted.state };
  },
});
export default yumRepository;

/** Sections as Python's configparser reads them: names in lower case, lines that begin with blanks go on with the value before. */
function parseIni(text: string): Section[] {
  const sections: Section[] = [];
  let last: string | undefined;
  for (const line of splitLines(text).map((each) => each.trimEnd())) {
    const section = sections.at(-1);
    if (/^\s*([#;]|$)/.test(line)) continue;
    const [, head] = /^\[(.+)\]/.exec(line) ?? [];
    if (head !== undefined) {
      sections.push({ name: head, options: new Map() });
      last = undefined;
    } else if (section && last !== undefined && /^\s/.test(line)) section.options.set(last, `${section.options.get(last)}\n${line.trim()}`);
    else if (section) {
      const [, name, value] = /^([^=:]+)[=:]\s*(?!\s)(.*)$/.exec(line) ?? [];
      if (name !== undefined) section.options.set((last = name.trim().toLowerCase()), value!);
    }
  }
  return sections;
}

/** The new text; undefined where all is right, null where no repository is left and the file goes. Comments go with the first change, as with Ansible. */
function textOf(wanted: Wanted, { content }: Edited): Buffer | undefined | null {
  const { text, encode } = decode(content ?? Buffer.alloc(0));
  const sections = parseIni(text);
  const there = sections.find(({ name }) => name === wanted.name);
  const others = sections.filter(({ name }) => name !== wanted.name);
  if (wanted.state === 'absent') {
    if (!there) return undefined;
    return others.length === 0 ? null : encode(written(others));
  }
  const made = optionsOf(wanted);
  const isSame = there !== undefined && there.options.size === made.size && [...made].every(([name, value]) => there.options.get(name) === value);
  return isSame ? undefined : encode(written([...others, { name: wanted.name, options: made }]));
}

function optionsOf(wanted: Wanted): Map<string, string> {
  const all = (Object.keys(options) as Name[]).flatMap((name): [string, string][] => {
    const value = wanted[name];
    if (value === undefined) return [];
    const text = typeof value === 'boolean' ? String(Number(value)) : Array.isArray(value) ? value.join(name === 'baseurl' || name === 'gpgkey' ? '\n' : ' ') : String(value);
    return [[name === 'description' ? 'name' : name, text]];
  });
  return new Map(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const written = (sections: readonly Section[]): string =>
  sections.map(({ name, options: all }) => `[${name}]\n${[...all].map(([option, value]) => `${option} = ${value.replaceAll('\n', '\n\t')}\n`).join('')}\n`).join('');
