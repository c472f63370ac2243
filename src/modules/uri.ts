import { z } from 'zod';
import { STATUS_CODES } from 'node:http';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { attributeParams, ownership, setLabels } from './attributes.js';
import { FETCH } from './http.js';
import { SELINUX } from './look.js';
import { defineCommand, ModuleError, type Output, type Returns } from './module.js';
import { isOnHost, multipart, whole, written, type Multipart } from './multipart.js';
import { any, bool, choice, dict, int, list, params, path, secret, str } from './params.js';
import { unsafeWrites } from './replace_file.js';
import { guard, guarded, guards } from './running.js';
import { hostPath } from './words.js';

const codes = z
  .union([z.number(), z.string(), z.array(z.union([z.number(), z.string()]))])
  .transform((value, context) => {
    const all = (Array.isArray(value) ? value : String(value).split(',')).map(Number);
    if (all.every(Number.isInteger)) return all;
    context.addIssue({ code: 'custom', message: 'status_code is a list of whole numbers' });
    return z.NEVER;
  })
  .meta({ description: 'Status codes that count as success.', title: 'list' });
const redirects = z
  .union([z.boolean(), z.enum(['all', 'yes', 'safe', 'urllib2', 'none', 'no'])])
  .transform((value) => (value === true || value === 'yes' || value === 'all' || value === 'urllib2' ? 'all' : value === 'safe' ? 'safe' : 'none'))
  .meta({ description: 'Which redirects are followed: all, none, or the safe ones, of GET and HEAD.', title: 'str' });

const schema = params({
  url: str('Where to, http:// or https://.'),
  method: str('The HTTP method.').default('GET'),
  body: any('What is sent; a dict or list is written as body_format says.').optional(),
  body_format: choice(['raw', 'json', 'form-urlencoded', 'form-multipart'], 'How the body is written, and its Content-Type. A field of form-multipart is a text, or a dict with filename, content, mime_type and multipart_encoding (base64, or 7or8bit as most servers want files).').default('raw'),
  headers: dict('Header fields to send.').default({}),
  src: path('A file to send as the body: of the project, or with remote_src of the host.').optional(),
  remote_src: bool('Whether src, and the files of form-multipart, are on the host.').default(false),
  status_code: codes.default([200]),
  return_content: bool('Whether the answer is returned as content.').default(false),
  dest: path('A file or folder on the host the answer is written to.').optional(),
  timeout: int('Most seconds for the whole exchange.').default(30),
  follow_redirects: redirects.default('safe'),
  validate_certs: bool('Whether the certificate of the server is checked.').default(true),
  ciphers: list("Ciphers that may be used, in OpenSSL's names. Takes curl.").optional(),
  use_gssapi: bool('Authenticate by Kerberos, with the ticket the user has on the host. Takes a curl that can.').default(false),
  use_netrc: bool('Whether name and password may come out of ~/.netrc where none are given. Takes curl.').default(true),
  decompress: bool('Taken for compatibility: nothing compressed is asked for.').default(true),
  unredirected_headers: list('Taken for compatibility: what tells who one is goes to no other host.').default([]),
  ca_path: path('File of certificate authorities on the host.').optional(),
  client_cert: path('Client certificate on the host.').optional(),
  client_key: path('Its key.').optional(),
  url_username: str('User for basic authentication.').meta({ aliases: ['user'] }).optional(),
  url_password: secret('Password for basic authentication.').meta({ aliases: ['password'] }).optional(),
  force_basic_auth: bool('Taken for compatibility: credentials are always sent at once.').default(false),
  http_agent: str('The User-Agent.').default('ansible-httpget'),
  unix_socket: path('A Unix socket to go through.').optional(),
  use_proxy: bool("Whether the proxies of the host's environment are used.").default(true),
  force: bool('Whether caches are told to fetch anew.').default(false),
  creates: guards.creates,
  removes: guards.removes,
  ...attributeParams,
  unsafe_writes: unsafeWrites,
}).check((context) => {
  const { url, body, body_format, src, method, headers } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (!/^https?:\/\/[^\s]+$/i.test(url)) issue(`"${url}" is no http:// or https:// address`, 'url');
  if (!/^[A-Za-z]+$/.test(method)) issue(`"${method}" is no HTTP method`, 'method');
  if (body !== undefined && src !== undefined) issue('give body or src, not both', 'src');
  if (body_format === 'raw' && typeof body === 'object' && body !== null) issue('a dict or list as body needs body_format: json, form-urlencoded or form-multipart', 'body_format');
  if (body_format === 'form-multipart' && src === undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) issue('body must be a dict with form-multipart', 'body');
  for (const [name, value] of Object.entries(headers)) if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name) || /[\r\n]/.test(String(value))) issue(`"${name}" is no header field`, 'headers');
});
type Args = (typeof schema)['_zod']['output'];
interface Wanted extends Args {
  /** The file on the controller that is sent, or what is sent as one. */
  upload?: { path: string } | { content: Buffer };
  /** The form that is sent. */
  form?: Multipart;
}

const TYPES = { json: 'application/json', 'form-urlencoded': 'application/x-www-form-urlencoded', raw: undefined, 'form-multipart': undefined };

function bodyText(wanted: Wanted): string | undefined {
  const { body } = wanted;
  if (body === undefined || body === null || wanted.form) return undefined;
  if (typeof body === 'string') return body;
  if (wanted.body_format === 'form-urlencoded') {
    const pairs = Array.isArray(body) ? (body as [string, unknown][]) : Object.entries(body as object);
    return new URLSearchParams(pairs.flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((each): [string, string] => [key, String(each)]))).toString();
  }
  return JSON.stringify(body);
}

/** Header lines of the request. */
function headerLines(wanted: Wanted): string[] {
  const headers = new Map<string, [string, string]>();
  const set = (name: string, value: string) => headers.set(name.toLowerCase(), [name, value]);
  set('User-Agent', wanted.http_agent);
  const type = TYPES[wanted.body_format];
  if (type !== undefined) set('Content-Type', type);
  if (wanted.force) set('Cache-Control', 'no-cache');
  if (wanted.url_username !== undefined) set('Authorization', `Basic ${Buffer.from(`${wanted.url_username}:${wanted.url_password ?? ''}`).toString('base64')}`);
  for (const [name, value] of Object.entries(wanted.headers)) set(name, String(value));
  if (wanted.form) set('Content-Type', wanted.form.type);
  return [...headers.values()].map(([name, value]) => `${name}: ${value}`);
}

const follows = (wanted: Wanted) => wanted.follow_redirects === 'all' || (wanted.follow_redirects === 'safe' && ['GET', 'HEAD'].includes(wanted.method.toUpperCase()));

/** What curl reads as its configuration (curl(1), --config): nothing of it is in a process list. */
function curlConfig(wanted: Wanted, sends: boolean): string {
  const method = wanted.method.toUpperCase();
  const option = (name: string, value: string | number) => `${name} = "${String(value).replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}"`;
  return [
    option('url', wanted.url), option('max-time', wanted.timeout), 'silent', 'show-error', 'globoff',
    // A HEAD request shows the headers of itself.
    ...(method === 'HEAD' ? [] : [option('dump-header', '-')]),
    option('write-out', '\n@muster %{http_code} %{num_redirects} %{time_total} %{size_header} %{url_effective}'),
    // A POST that curl makes of itself becomes a GET when it is redirected, as browsers do it.
    ...(method === 'HEAD' ? ['head'] : method === 'GET' && !sends ? [] : method === 'POST' && sends ? [] : [option('request', method)]),
    ...(sends ? [option('data-binary', '@-')] : []),
    ...headerLines(wanted).map((line) => option('header', line.endsWith(': ') ? `${line.slice(0, -2)};` : line)),
    ...(sends && wanted.body_format === 'raw' && !Object.keys(wanted.headers).some((name) => name.toLowerCase() === 'content-type') ? [option('header', 'Content-Type:')] : []),
    ...(follows(wanted) ? ['location', option('max-redirs', 50)] : []),
    ...(wanted.validate_certs ? [] : ['insecure']),
    ...(wanted.ciphers === undefined ? [] : [option('ciphers', wanted.ciphers.join(':'))]),
    ...(wanted.use_gssapi ? ['negotiate', ...(wanted.url_username === undefined ? [option('user', ':')] : [])] : []),
    ...(wanted.use_netrc && wanted.url_username === undefined ? ['netrc-optional'] : []),
    ...(wanted.ca_path === undefined ? [] : [option('cacert', wanted.ca_path)]),
    ...(wanted.client_cert === undefined ? [] : [option('cert', wanted.client_cert)]),
    ...(wanted.client_key === undefined ? [] : [option('key', wanted.client_key)]),
    ...(wanted.unix_socket === undefined ? [] : [option('unix-socket', wanted.unix_socket)]),
    ...(wanted.use_proxy ? [] : [option('noproxy', '*')]),
  ].join('\n');
}

/** The same for Perl, which speaks plain HTTP with the modules Debian's base has: fields with a NUL between, which the shell puts in. */
function perlFields(wanted: Wanted): string[] {
  const head = headerLines(wanted).map((line) => `${line}\r\n`).join('');
  return [wanted.url, wanted.method.toUpperCase(), follows(wanted) ? '50' : '0', String(wanted.timeout), head, wanted.unix_socket ?? ''];
}

function exchange(wanted: Wanted): Sh {
  const text = bodyText(wanted);
  const sends = text !== undefined || wanted.src !== undefined || wanted.form !== undefined;
  const input = text !== undefined ? sh`printf %s ${text} |` : wanted.form && !wanted.upload ? sh`${written(wanted.form).body} |` : sh``;
  const from = wanted.upload ? sh`4<"$body"` : wanted.src !== undefined ? sh`4<${hostPath(wanted.src)}` : sh`4<&0`;
  const plain = wanted.url.toLowerCase().startsWith('http://');
  const out = wanted.dest === undefined ? sh`` : sh`-o "$t"`;
  const perl = plain && wanted.dest === undefined;
  const missing = plain ? 'the host has neither curl nor perl' : `the host has no curl, which ${wanted.dest === undefined ? 'https' : 'dest'} takes`;
  return sh`if command -v curl >/dev/null; then
  ${input} { printf '%s\\n' ${curlConfig(wanted, sends)} | curl -q ${out} -K /proc/self/fd/3 3<&0 0<&4 4<&-; } ${from}
elif ${raw(perl ? 'perl -MIO::Socket::IP -e 1 2>/dev/null' : 'false')}; then
  ${input} { printf '%s\\000' ${perlFields(wanted)} | perl -e ${FETCH} 3<&0 0<&4 4<&-; } ${from}
else echo ${missing}'; install curl' >&2; (exit 1)
fi`;
}

/** Gives the file its owner, group, mode and context; which of them were others counts as a change. */
function settling({ owner, group, mode, ...others }: Wanted): Sh {
  const who = ownership(owner, group);
  const set = [
    who === '' ? join([]) : sh`chown -- ${who} "$d"`,
    mode === undefined ? join([]) : sh`chmod -- ${/^\d+$/.test(mode) ? `0${mode}` : mode} "$d"`,
    setLabels(raw('"$d"'), others),
  ].filter(({ text }) => text !== '');
  if (set.length === 0) return join([]);
  return sh`${SELINUX}
muster_was() { stat -c "%u %g %a $muster_se" -- "$d"; }
case $s in same | changed) a=$(muster_was) && ${join(set, ' && ')} && { [ "$a" = "$(muster_was)" ] || s=changed; } || s=failed ;; esac`;
}

/** Writes the answer beside its destination and moves it there, if it is a good one and differs. */
function saving(wanted: Wanted): Sh {
  const name = decodeURIComponent(new URL(wanted.url).pathname.split('/').at(-1) || 'index.html');
  return sh`d=${hostPath(wanted.dest!)}
[ ! -d "$d" ] || d=\${d%/}/${name}
t=$d.muster.$$
trap 'rm -f "$t"' EXIT
r=$(${exchange(wanted)}
printf '\\n@rc %s\\n' $?)
c=\${r##*@muster }; c=\${c%% *}
case $c in ${raw(wanted.status_code.join('|'))})
  if cmp -s "$t" "$d"; then s=same; else chmod "$(printf %o $((0666 & ~$(umask))))" "$t" && mv -f "$t" "$d" && s=changed || s=failed; fi ;;
*) s=none ;; esac
${settling(wanted)}
printf '%s' "@dest $s $d
$r" | base64`;
}

export default defineCommand({
  name: 'uri',
  summary: 'Talks HTTP from the host.',
  params: schema,
  returns: {
    status: 'The status code; -1 where there was no answer.', msg: 'The message of the answer.', url: 'Where the answer came from, behind redirects.', redirected: 'Whether there were any.',
    elapsed: 'Seconds it took.', content: 'The answer, with return_content.', json: 'The answer as data, where it is JSON.', path: 'The file the answer was written to.',
  },
  examples: [
    '- uri:\n    url: http://127.0.0.1/health\n    return_content: true',
    '- uri:\n    url: https://api.example.org/login\n    method: POST\n    body: {user: me}\n    body_format: json\n    status_code: [200, 201]',
  ],
  changes: false,
  async prepare(args, controller): Promise<Wanted> {
    if (args.src !== undefined) return args.remote_src ? args : { ...args, upload: { path: await controller.find(args.src, 'files') } };
    if (args.body_format !== 'form-multipart') return args;
    const form = await multipart(args.body as { [name: string]: unknown }, args.remote_src, controller);
    return isOnHost(form) ? { ...args, form } : { ...args, form, upload: { content: whole(form) } };
  },
  guard: (wanted) => guard({ creates: wanted.creates, removes: wanted.removes }),
  guarded: (output, wanted, check) => guarded(output, { creates: wanted.creates, removes: wanted.removes }, check),
  run: (wanted) => ({
    script: join([wanted.form && !wanted.upload ? written(wanted.form).check : join([]), wanted.dest === undefined ? join([sh`{ ${exchange(wanted)}
printf '\\n@rc %s\\n' $?; } | base64`]) : saving(wanted)]),
    ...(wanted.upload === undefined ? {} : { uploads: { body: wanted.upload } }),
  }),
  result: (wanted, output) => answer(wanted, output),
});

/** Reads the answer: header blocks, body, then a line about the exchange and the exit status. */
function answer(wanted: Wanted, output: Output): Returns {
  let bytes = Buffer.from(output.stdout, 'base64');
  const saved = /^@dest (\w+) (.*)\n/.exec(bytes.subarray(0, 5000).toString());
  if (saved) bytes = bytes.subarray(Buffer.byteLength(saved[0]));
  const end = bytes.lastIndexOf('\n@muster ');
  const about = /^\n@muster (\d+) (\d+) ([\d.]+) (\d+) (.*)\n+@rc (\d+)\n*$/.exec(end < 0 ? '' : bytes.subarray(end).toString());
  const status = about && about[1] !== '000' && about[1] !== '0' ? Number(about[1]) : -1;
  const base = { status, url: about?.[5] || wanted.url, elapsed: Math.floor(Number(about?.[3] ?? 0)) };
  const expected = `[${wanted.status_code.join(', ')}]`;
  if (!about || status < 0 || about[6] !== '0') {
    const why = output.stderr.trim().split('\n').at(-1) || 'no answer';
    throw new ModuleError(`Status code was ${status} and not ${expected}: Request failed: ${why}`, { ...base, status: -1, redirected: false, stderr: output.stderr });
  }
  const headerEnd = Number(about[4]);
  const blocks = bytes.subarray(0, headerEnd).toString('latin1').split(/\r?\n\r?\n/).filter((block) => block.trim() !== '');
  const headers = headerFields(blocks.at(-1) ?? '');
  const type = headers['content_type'] ?? '';
  const body = bytes.subarray(headerEnd, end);
  const text = body.toString(/charset=["']?iso-8859-1/i.test(type) ? 'latin1' : 'utf8');
  const returns: Returns = { ...headers, ...base, redirected: about[2] !== '0', msg: `OK (${headers['content_length'] ?? body.length} bytes)` };
  if (/\bjson\b/i.test(type) && !saved) {
    try {
      returns['json'] = JSON.parse(text);
    } catch {
      // Not JSON after all: content has it.
    }
  }
  const good = wanted.status_code.includes(status);
  if ((wanted.return_content || !good) && !saved) returns['content'] = text;
  if (!good) {
    throw new ModuleError(`Status code was ${status} and not ${expected}: HTTP Error ${status}: ${STATUS_CODES[status] ?? 'unknown'}`, returns);
  }
  if (saved?.[1] === 'failed') throw new ModuleError(`cannot write ${saved[2]}: ${output.stderr.trim()}`, returns);
  return saved ? { ...returns, path: saved[2], changed: saved[1] === 'changed' } : returns;
}

/** Header fields under the names Ansible gives them: lower case, underscores; what came twice is joined by commas. */
function headerFields(block: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of block.split(/\r?\n/).slice(1)) {
    const match = /^([^:\s]+):\s*(?!\s)(.*)$/.exec(line.trimEnd());
    if (!match) continue;
    const name = match[1]!.toLowerCase().replaceAll('-', '_');
    fields[name] = name in fields ? `${fields[name]}, ${match[2]}` : match[2]!;
  }
  return fields;
}
