import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fetcher } from './download.js';
import { defineModule, ModuleError, type Change, type Output } from './module.js';
import { FIRST_ID, readKeys, SHOW_KEYS } from './openpgp.js';
import { bool, choice, params, path, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  id: str('Id of the key: its last 8 or 16 digits, or all of its fingerprint, 0x in front or not.').optional(),
  url: str('Where the key is fetched from; with an id only where it is not there yet.').optional(),
  data: str('The key itself.').optional(),
  file: path('A file of the host that holds the key.').optional(),
  keyserver: str('A server of keys that has it.').optional(),
  keyring: path('A file in /etc/apt/trusted.gpg.d that the key is put into, instead of /etc/apt/trusted.gpg.').optional(),
  state: choice(['present', 'absent'], 'Whether apt shall trust it.').default('present'),
  validate_certs: bool('Whether the certificate of the url is checked.').default(true),
}).check((context) => {
  const { id, url, data, file, keyserver, state } = context.value;
  const issue = (message: string, where: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [where] });
  const sources = [url, data, file, keyserver].filter((each) => each !== undefined).length;
  if (sources > 1) issue('parameters are mutually exclusive: data|file|keyserver|url', 'url');
  if (state === 'present' && sources === 0) issue('give where the key is: url, data, file or keyserver', 'url');
  if (id === undefined && (state === 'absent' || keyserver !== undefined)) issue(`Missing key_id, required with ${state === 'absent' ? 'state: absent' : 'keyserver'}.`, 'id');
  if (id !== undefined && !/^(?:[0-9A-F]{8}|[0-9A-F]{16,})$/.test(digits(id))) issue('Invalid key_id: 8, 16 or more hexadecimal digits', 'id');
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  /** Ids of the keys and subkeys that apt trusts, 16 digits each. */
  keys: string[];
  /** Id of the key in `data` or `file`. */
  own: string | undefined;
}

const digits = (id: string): string => id.toUpperCase().replace(/^0X/, '');


const command = ({ keyring }: Wanted): Sh => sh`APT_KEY_DONT_WARN_ON_DANGEROUS_USAGE=1 apt-key ${keyring === undefined ? [] : [sh`--keyring ${hostPath(keyring)}`]}`;
const list = (wanted: Wanted): Sh => sh`${command(wanted)} adv --list-public-keys --with-colons --fixed-list-mode`;

export const aptKey = defineModule<typeof schema, Observed>({
  name: 'apt_key',
  summary: "Puts keys among those that apt trusts for all repositories, or takes them out, by apt-key; deb822_repository keeps a repository's key to itself.",
  params: schema,
  returns: {
    id: 'The id as it was given, or found in the key.',
    key_id: 'The same in capitals, without 0x.',
    fp: 'Its last 16 digits.',
    short_id: 'Its last 8 digits.',
    before: 'Ids of the keys that apt trusted.',
    after: 'Ids of the keys that apt trusts now, where that changed.',
  },
  examples: [
    `- apt_key:
    id: 9FED2BCBDCD29CDF762678CBAED4B06F473041FA
    url: https://apt.example.org/archive.asc
    keyring: /etc/apt/trusted.gpg.d/example.gpg
`,
  ],
  inspect: (wanted) =>
    join([
      sh`command -v apt-key >/dev/null || { echo 'Failed to find required executable apt-key' >&2; exit 1; }`,
      SHOW_KEYS,
      wanted.data !== undefined ? sh`echo @own; printf '%s\\n' ${wanted.data} | show || { echo "Unable to extract key from 'inline data'" >&2; exit 1; }` : sh``,
      wanted.file !== undefined ? sh`echo @own; show -- ${hostPath(wanted.file)} || { printf '%s\\n' ${`Unable to extract key from '${wanted.file}'`} >&2; exit 1; }` : sh``,
      sh`echo @keys`,
      wanted.keyring === undefined ? sh`${list(wanted)} || exit` : sh`[ ! -e ${hostPath(wanted.keyring)} ] || ${list(wanted)} || exit`,
      sh`echo @end`,
    ]),
  parse(output) {
    const { own, keys, end } = sections(output);
    if (end === undefined) throw new ModuleError(output.stderr.trim().split('\n').at(-1) || 'Unable to list public keys', { ...output });
    return { keys: readKeys(keys ?? []).ids, own: own && readKeys(own).ids[0] };
  },
  compare(wanted, observed) {
    const change: Change = { field: 'key', from: wanted.state === 'absent' ? idOf(wanted, observed)! : null, to: wanted.state === 'absent' ? null : (idOf(wanted, observed) ?? wanted.url!) };
    return isThere(wanted, observed, idOf(wanted, observed)) === (wanted.state === 'present') ? [] : [change];
  },
  apply(wanted, observed) {
    const key = command(wanted);
    const doing =
      wanted.state === 'absent'
        ? sh`${key} del ${digits(wanted.id!).slice(-8)} >&2 || exit`
        : wanted.keyserver !== undefined
          ? sh`n=0; until ${key} adv --no-tty --keyserver ${wanted.keyserver} ${raw('$(p=${HTTPS_PROXY:-${https_proxy:-${HTTP_PROXY:-$http_proxy}}}; [ -z "$p" ] || printf %s "--keyserver-options http-proxy=$p")')} --recv ${digits(wanted.id!)} >&2; do
  n=$((n + 1)); [ $n -lt 5 ] || { printf '%s\\n' ${`Error fetching key ${digits(wanted.id!)} from keyserver: ${wanted.keyserver}`} >&2; exit 1; }
done`
          : wanted.file !== undefined
            ? sh`${key} add ${hostPath(wanted.file)} >&2 || exit`
            : wanted.data !== undefined
              ? sh`printf '%s\\n' ${wanted.data} | ${key} add - >&2 || exit`
              : sh`${fetched(wanted)}
case ${` ${observed.keys.join(' ')} `} in *" $i "*) ;; *) ${key} add "$k" >&2 || exit ;; esac`;
    return { script: join([doing, sh`echo @after; ${list(wanted)} || exit`]) };
  },
  rehearse: (wanted, observed) => (isUntold(wanted, observed) ? fetched(wanted) : undefined),
  verify: (wanted) => wanted.url === undefined || wanted.id !== undefined,
  touches: ({ keyring }) => ({ paths: [hostPath(keyring ?? '/etc/apt/trusted.gpg')] }),
  undo(wanted, observed) {
    const id = idOf(wanted, observed);
    if (wanted.state === 'absent' || id === undefined) return [{ cannot: wanted.state === 'absent' ? `the key ${id} is to be brought again from where it was` : `which key came from ${wanted.url} was not known before` }];
    return [{ module: 'apt_key', args: { id, state: 'absent', ...(wanted.keyring === undefined ? {} : { keyring: wanted.keyring }) } }];
  },
  result(wanted, observed, output) {
    const told = output ? sections(output) : {};
    const after = told.after && readKeys(told.after).ids;
    const id = idOf(wanted, observed) ?? (told.own && readKeys(told.own).ids[0]);
    const keyId = id && digits(id);
    const isShort = keyId?.length === 8;
    const shown = (keys: string[]) => (isShort ? keys.map((key) => key.slice(-8)) : keys);
    const returns = { id, key_id: keyId, fp: keyId?.slice(-16), short_id: keyId?.slice(-8), before: shown(observed.keys) };
    if (isUntold(wanted, observed) && isThere(wanted, observed, id)) return { ...returns, changed: false };
    if (after && isThere(wanted, { ...observed, keys: after }, id) !== (wanted.state === 'present'))
      throw new ModuleError(`apt-key did not return an error, but ${wanted.state === 'present' ? 'failed to add the key' : 'the key was not removed'} (check that the id is correct and *not* a subkey)`, returns);
    return { ...returns, ...(after ? { after: shown(after) } : {}) };
  },
});
export default aptKey;

/** The id that counts; undefined of a key that is fetched first. */
const idOf = (wanted: Wanted, { own }: Observed): string | undefined => wanted.id ?? own;
/** Only fetching it tells which key it is. */
const isUntold = (wanted: Wanted, observed: Observed): boolean => idOf(wanted, observed) === undefined;

function isThere({ data, file, id: given }: Wanted, { keys }: Observed, id: string | undefined): boolean {
  if (id === undefined) {
    if (given === undefined && (data ?? file) !== undefined) throw new ModuleError(`Unable to continue as we could not extract a valid fingerprint from ${file ?? 'inline data'}`);
    return false;
  }
  const wanted = digits(id).slice(-16);
  return keys.some((key) => key.endsWith(wanted));
}

/** Fetches the key to "$k", prints what it is and leaves its id in $i. */
function fetched({ url, validate_certs }: Wanted): Sh {
  return sh`${SHOW_KEYS}
d=$(mktemp -d) && k=$d/key || exit
trap 'rm -rf -- "$d"' EXIT
${fetcher({ url: url!, headers: {}, user: undefined, password: undefined, timeout: 30, validateCerts: validate_certs, useProxy: true, agent: 'muster', netrc: false })}
muster_fetch "$k" || { rc=$?; printf '%s\\n' ${`Failed to download key at ${url!}`} >&2; exit $rc; }
o=$(show -- "$k") || { echo "Unable to extract key from 'inline data'" >&2; exit 1; }
${FIRST_ID}
printf '@own\\n%s\\n' "$o"`;
}

/** What stands behind each line that begins with @. */
function sections({ stdout }: Output): { [name: string]: string[] | undefined } {
  const found: { [name: string]: string[] } = {};
  let current: string[] = [];
  for (const line of stdout.split('\n')) {
    if (/^@[a-z]+$/.test(line)) found[line.slice(1)] = current = [];
    else current.push(line);
  }
  return found;
}
