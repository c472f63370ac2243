/**
 * Downloads on the host by what it has: curl, wget, or Debian's apt-helper (hosts need have none of the first two).
 * Headers and passwords go to curl through standard input, never as arguments, which anyone may list. wget reads
 * no configuration from a pipe: it gets a private file in memory (/dev/shm), gone right after.
 */
import { join, raw, sh, Sh } from '../shell/sh.js';
import { ModuleError } from './module.js';

export interface Download {
  /** The address, or what the shell makes one of inside double quotes (`https://example.org/$id`): nothing that curl would have to have escaped. */
  url: string | Sh;
  headers: Readonly<Record<string, string>>;
  user: string | undefined;
  password: string | undefined;
  /** Seconds without an answer after which it is given up. */
  timeout: number;
  validateCerts: boolean;
  useProxy: boolean;
  agent: string;
  /** Whether name and password may come out of ~/.netrc or what $NETRC names, where none are given. */
  netrc: boolean;
  /** Further options of curl(1); with any, nothing but curl will do. */
  curl?: readonly Sh[];
}

/**
 * An address without the name and password in it, which would be seen in the list of processes, and these two.
 * @throws ModuleError for what is no address
 */
export function addressOf(text: string): { url: URL; user: string | undefined; password: string | undefined } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new ModuleError(`"${text}" is no address`);
  }
  const [user, password] = [url.username, url.password].map((part) => (part === '' ? undefined : decodeURIComponent(part)));
  url.username = url.password = '';
  return { url, user, password };
}

/** Fetches to the file in "$1" of the function muster_fetch, which this defines. */
export function fetcher(download: Download): Sh {
  const local = localFile(download.url);
  return local === undefined ? remote(download) : sh`muster_fetch() { cat -- ${local} >"$1"; }`;
}

/** The path behind a `file:` address. */
function localFile(url: string | Sh): string | undefined {
  return typeof url === 'string' && /^file:/i.test(url) ? decodeURIComponent(new URL(url).pathname) : undefined;
}

function remote({ url, headers, user, password, timeout, validateCerts, useProxy, agent, netrc, curl: further = [] }: Download): Sh {
  const named = Object.entries(headers);
  const configured = named.length > 0 || user !== undefined;
  const address = url instanceof Sh ? raw(`"${url.text}"`) : sh`${url}`;
  const curlConfig = [
    url instanceof Sh ? raw(`"url = \\"${url.text}\\""`) : `url = ${curlQuote(url)}`,
    `user-agent = ${curlQuote(agent)}`,
    ...named.map(([name, value]) => `header = ${curlQuote(`${name}: ${value}`)}`),
    ...(user === undefined ? [] : [`user = ${curlQuote(`${user}:${password ?? ''}`)}`]),
    ...(validateCerts ? [] : ['insecure']),
    ...(useProxy ? [] : ['noproxy = "*"']),
    ...(netrc && user === undefined ? ['netrc-optional'] : []),
  ];
  const wgetConfig = [
    ...named.map(([name, value]) => `header = ${name}: ${value}`),
    ...(user === undefined ? [] : [`user = ${user}`, `password = ${password ?? ''}`, 'auth_no_challenge = on']),
    'hsts = off',
    ...(netrc ? [] : ['netrc = off']),
  ];
  const curl = sh`printf '%s\\n' ${curlConfig} | curl -fsSL --connect-timeout ${timeout} --speed-limit 1 --speed-time ${timeout} -K - ${netrc && user === undefined ? raw('${NETRC:+--netrc-file "$NETRC"}') : join([])} ${join(further, ' ')} -o "$1"`;
  const certs = validateCerts ? join([]) : raw('--no-check-certificate');
  const wget = configured
    ? sh`wget --version >/dev/null 2>&1 || { echo "busybox' wget takes headers and passwords only as arguments; install curl" >&2; return 1; }
    w=$(mktemp /dev/shm/.muster.XXXXXX) || return
    printf '%s\\n' ${wgetConfig} >"$w" && wget --config="$w" -q -T ${timeout} ${certs} -U ${agent} -O "$1" ${address}
    set -- $?; rm -f -- "$w"; return $1`
    : sh`wget $(wget --version >/dev/null 2>&1 && echo --no-hsts ${netrc ? '' : '--no-netrc'}) -q -T ${timeout} ${certs} -U ${agent} -O "$1" ${address}`;
  const peer = validateCerts ? [] : ['-o', 'Acquire::https::Verify-Peer=false', '-o', 'Acquire::https::Verify-Host=false'];
  const apt = configured
    ? raw(`echo "the host has neither curl nor wget; apt-helper sends no headers or passwords: install curl" >&2; return 1`)
    : sh`o=$(/usr/lib/apt/apt-helper -o Acquire::http::Timeout=${timeout} -o Acquire::https::Timeout=${timeout} ${peer} download-file ${address} "$1" 2>&1) || { printf '%s\\n' "$o" >&2; return 1; }`;
  if (further.length > 0) {
    return sh`muster_fetch() {
  command -v curl >/dev/null || { echo 'ciphers, client_cert, client_key and use_gssapi take curl on the host' >&2; return 1; }
  ${curl}
}`;
  }
  return sh`muster_fetch() {
  ${useProxy ? join([]) : raw('unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY')}
  if command -v curl >/dev/null; then
    ${curl}
  elif command -v wget >/dev/null; then
    ${wget}
  elif [ -x /usr/lib/apt/apt-helper ]; then
    ${apt}
  else
    echo 'nothing on the host can download: install curl or wget' >&2; return 1
  fi
}`;
}

/** A value of a curl configuration: curl(1), "-K, --config": within quotes \\ and \" and \t \n \r \v are escapes. */
function curlQuote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`;
}
