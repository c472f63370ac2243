import { basename } from 'node:path/posix';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { attributeParams, compareAttributes, labelsOf, describe, newMode, resolveMode, applyAttributes } from './attributes.js';
import { candidates, inspectDestination, parseDestination, type Destination, type Found } from './destination.js';
import { addressOf, fetcher, type Download } from './download.js';
import { flagsLook } from './flags.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { any, bool, int, list, params, path, secret, str } from './params.js';
import { replaced, replaceFiles, unsafeWrites } from './replace_file.js';
import { fileReturns, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  url: str('What to fetch: http, https, or what else the host\'s tools know.'),
  dest: path('Where the file goes; in a folder it gets the last part of the address as its name.'),
  checksum: str('What the file must hash to: `sha256:…` (md5, sha1, sha224, sha256, sha384, sha512), or the address of a list of such hashes: `sha256:https://…`. A file that does is not fetched again.').default(''),
  force: bool('Fetch again a file that is there and has no checksum to be known by; where the same arrives it stays.').default(false),
  headers: any('Headers to send: a dict, or `name: value` with commas between.').optional(),
  url_username: str('User for basic authentication.').meta({ aliases: ['username'] }).optional(),
  url_password: secret('Password for basic authentication.').meta({ aliases: ['password'] }).optional(),
  force_basic_auth: bool("Taken for Ansible's sake: the password is sent with the first request always.").default(false),
  timeout: int('Seconds without an answer after which it is given up.').default(10),
  validate_certs: bool('Check the certificate of the server.').default(true),
  client_cert: path('Certificate to show the server, PEM; the key may stand in the same file. Takes curl on the host.').optional(),
  client_key: path('Its key, PEM. Takes curl.').optional(),
  ciphers: list("Ciphers that may be used, in OpenSSL's names. Takes curl.").optional(),
  use_gssapi: bool('Authenticate by Kerberos, with the ticket the user has on the host. Takes a curl that can.').default(false),
  use_netrc: bool('Whether name and password may come out of ~/.netrc, or the file $NETRC names, where none are given.').default(true),
  decompress: bool("Taken for Ansible's sake: nothing compressed is asked for, and what arrives stays as it is.").default(true),
  tmp_dest: path('Folder to fetch into, before the file goes to its place.').optional(),
  use_proxy: bool('Use the proxy the host\'s environment names.').default(true),
  http_agent: str('What to call oneself.').default('muster'),
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
  ...attributeParams,
  unsafe_writes: unsafeWrites,
});

interface Wanted extends Destination {
  args: typeof schema._output;
  download: Source;
  checksum: Checksum | undefined;
}

/** Where something is fetched from. */
type Source = Download & { url: string };

/** The hash itself, or where a list of hashes is. */
type Checksum = { algorithm: string } & ({ hex: string } | { list: Source });

interface Observed extends Found {
  /** The hash of what is there, by the algorithm of `checksum`. */
  hash: string;
  /** What it is to be. */
  expected: string | undefined;
}

export const getUrl = defineModule<typeof schema, Observed, Wanted>({
  name: 'get_url',
  summary: 'Fetches a file from the web to the host.',
  params: schema,
  returns: { ...fileReturns, url: 'What was fetched.', msg: 'How it went.', status_code: '200, where it was fetched by HTTP.', elapsed: 'Seconds that fetching took.', checksum_src: 'SHA-1 of what was fetched.', checksum_dest: 'SHA-1 of what was there before, if there was.' },
  examples: [
    `- get_url:
    url: https://example.com/tool-1.2.tar.gz
    dest: /opt/tool-1.2.tar.gz
    checksum: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
`,
  ],
  async prepare(args) {
    const { url, ...inside } = addressOf(args.url);
    const [user, password] = [args.url_username ?? inside.user, args.url_password ?? inside.password];
    const headers = readHeaders(args.headers);
    for (const text of [user ?? '', password ?? '', ...Object.entries(headers).flat()]) {
      if (/[\r\n\0]/.test(text)) throw new ModuleError('headers, user and password must be one line each');
    }
    const base = decodeURIComponent(basename(url.pathname)) || 'index.html';
    const download: Source = { url: url.href, headers, user, password, timeout: args.timeout, validateCerts: args.validate_certs, useProxy: args.use_proxy, agent: args.http_agent, netrc: args.use_netrc, curl: curlOptions(args) };
    return { args, dest: args.dest, base: base.includes('/') || base.includes('\0') ? 'index.html' : base, follow: true, checksum: readChecksum(args.checksum, download), download };
  },
  inspect(wanted) {
    const hash = wanted.checksum ? sh`for p in ${candidates(wanted)}; do if [ -f "$p" ]; then h=$(${raw(wanted.checksum.algorithm)}sum <"$p") || exit; break; fi; done` : join([]);
    const sums = wanted.checksum && 'list' in wanted.checksum ? sh`${fetched(wanted.checksum.list, wanted.args.tmp_dest)}
l=$(cat -- "$f") || exit; rm -rf -- "$d"; printf '%s\\000' "$l"` : join([]);
    return join([sums, inspectDestination(wanted, flagsLook(wanted.args)), raw('h='), hash, raw(`printf '%s\\000' "\${h%% *}"`)]);
  },
  parse(output, wanted) {
    const { checksum, download } = wanted;
    const all = fields(output, `looking at ${wanted.dest}`);
    const hash = all.pop()!;
    const expected = checksum && ('hex' in checksum ? checksum.hex : listed(all.shift()!, basename(new URL(download.url).pathname) || 'index.html', checksum.list.url));
    return { ...parseDestination({ ...output, stdout: all.map((field) => `${field}\0`).join('') }, wanted, {}), hash, expected };
  },
  compare({ args, checksum }, { entry: { path, stat }, umask, hash, expected }) {
    if (stat && stat.kind !== 'file') throw new ModuleError(`${path} is there and is no regular file but a ${stat.kind}`);
    const content: Change = { field: 'content', from: stat ? (hash === '' ? path : `${checksum!.algorithm}:${hash}`) : null, to: checksum ? `${checksum.algorithm}:${expected}` : args.url };
    const stale = stat === undefined || (checksum ? hash !== expected : args.force);
    return [...(stale ? [content] : []), ...(stat ? compareAttributes(args, stat, umask) : [])];
  },
  apply({ args, download, checksum }, { entry, umask, expected }, changes) {
    const path = hostPath(entry.path);
    const { stat } = entry;
    const asItIs = replaceFiles([], [path], { after: stat ? [applyAttributes(path, args, stat, umask, changes)] : [] });
    if (!changes.some(({ field }) => field === 'content')) return asItIs;
    const check = checksum
      ? sh`h=$(${raw(checksum.algorithm)}sum <"$f") && h=\${h%% *} && { [ "$h" = ${expected!} ] || { printf '%s\\n' ${`${download.url} does not have the checksum ${checksum.algorithm}:${expected} but `}"$h" >&2; false; }; }`
      : join([]);
    const told = sh`h=$(sha1sum <"$f") || exit; printf 'elapsed\\000%s\\000checksum_src\\000%s\\000length\\000%s\\000' "$s" "\${h%% *}" "$(wc -c <"$f")"
if [ -f ${path} ]; then
  o=$(sha1sum <${path}) || exit; printf 'checksum_dest\\000%s\\000' "\${o%% *}"
  if [ "$o" = "$h" ]; then printf 'same\\000y\\000'
${asItIs.script}
exit 0; fi
fi
:`;
    const mode = stat && args.mode !== undefined ? resolveMode(args.mode, stat.mode, false, umask) : newMode(args.mode, false, umask);
    const file = { path, was: stat, content: { host: raw('"$f"') }, owner: args.owner, group: args.group, mode, labels: labelsOf(args), backup: args.backup, source: download.url };
    return replaceFiles([file], [path], { before: [sh`:
${fetched(download, args.tmp_dest)}
:`, check, told] });
  },
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  result({ args, download }, { entry, umask }, output) {
    const done = output ? replaced(output, 1, `fetching ${args.url}`) : undefined;
    const { path: dest, ...rest } = describe(entry.path, done ? done.seen.entries[0]!.stat : entry.stat);
    const { elapsed, length, same, ...notes } = done?.notes ?? {};
    const attributes = entry.stat ? compareAttributes(args, entry.stat, umask).length > 0 : false;
    const fetchedIt = length === undefined ? { msg: `file already exists${attributes ? ' but file attributes changed' : ''}` } : { msg: `OK (${String(length).trim()} bytes)`, elapsed: Number(elapsed), ...(/^http/i.test(download.url) ? { status_code: 200 } : {}) };
    return { url: args.url, dest, checksum_src: null, checksum_dest: null, ...rest, ...(entry.stat || done ? fetchedIt : {}), ...notes, ...(same !== undefined && !attributes ? { changed: false } : {}) };
  },
  verify: ({ args, checksum }) => !args.force || checksum !== undefined,
});
export default getUrl;

/** What only curl can. `-u :` has it take the name out of the ticket (curl(1), "--negotiate"). */
function curlOptions({ ciphers, client_cert, client_key, use_gssapi, url_username }: typeof schema._output): Sh[] {
  return [
    ...(client_cert === undefined ? [] : [sh`--cert ${hostPath(client_cert)}`]),
    ...(client_key === undefined ? [] : [sh`--key ${hostPath(client_key)}`]),
    ...(ciphers === undefined ? [] : [sh`--ciphers ${ciphers.join(':')}`]),
    ...(use_gssapi ? [url_username === undefined ? sh`--negotiate -u :` : sh`--negotiate`] : []),
  ];
}

/** Fetches to $f, a file in the folder $d, which goes when the script ends; says in $s how many seconds it took. */
function fetched(download: Source, folder: string | undefined): Sh {
  return sh`d=$(${folder === undefined ? join([]) : sh`TMPDIR=${hostPath(folder)}`} mktemp -d) && f=$d/file || exit
trap 'rm -rf -- "$d"' EXIT
${fetcher(download)}
s=$(date +%s)
muster_fetch "$f" || { rc=$?; printf '%s\\n' ${`fetching ${download.url} failed`} >&2; exit $rc; }
[ -f "$f" ] || exit
s=$(($(date +%s) - s))`;
}

function readChecksum(text: string, download: Source): Checksum | undefined {
  if (text === '') return undefined;
  const [, name, what] = /^(md5|sha1|sha224|sha256|sha384|sha512):\s*(.*)$/i.exec(text) ?? [];
  if (name === undefined) throw new ModuleError(`checksum must be algorithm:hexadecimal, for example sha256:9f86…, or algorithm:address, not "${text}"`);
  const algorithm = name.toLowerCase();
  if (/^(https?|ftp|file):/.test(what!)) return { algorithm, list: { ...download, url: new URL(what!).href } };
  return { algorithm, hex: hexadecimal(what!) };
}

/** A hash less the signs that get copied along with one. @throws ModuleError where something else is left */
function hexadecimal(text: string): string {
  const hex = text.replace(/\W+/g, '').toLowerCase();
  if (!/^[0-9a-f]+$/.test(hex)) throw new ModuleError(`The checksum format is invalid: "${text}" is not hexadecimal`);
  return hex;
}

/** The hash of a file in a list as sha256sum(1) writes it, or the only word of a text. @throws ModuleError where it is in none */
function listed(text: string, name: string, address: string): string {
  const lines = text.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '');
  if (lines.length === 1 && !/\s/.test(lines[0]!)) return hexadecimal(lines[0]!);
  for (const line of lines) {
    const [, hash, file] = /^(\S+) [ *]?(.*)$/.exec(line) ?? [];
    if (file?.replace(/^[./]+/, '') === name) return hexadecimal(hash!);
  }
  throw new ModuleError(`Unable to find a checksum for file '${name}' in '${address}'`);
}

function readHeaders(headers: unknown): Record<string, string> {
  if (headers === undefined || headers === null) return {};
  if (typeof headers === 'object' && !Array.isArray(headers)) return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  if (typeof headers !== 'string') throw new ModuleError('headers must be a dict');
  return Object.fromEntries(headers.split(',').map((each) => {
    const at = each.indexOf(':');
    if (at === -1) throw new ModuleError(`headers must be name: value with commas between, not "${headers}"`);
    return [each.slice(0, at).trim(), each.slice(at + 1).trim()];
  }));
}
