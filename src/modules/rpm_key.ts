import { join, raw, sh, type Sh } from '../shell/sh.js';
import { fetcher } from './download.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { FIRST_ID, readKeys, SHOW_KEYS, type Listed } from './openpgp.js';
import { bool, choice, list, params, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  key: str('Address of the key, a file of the host that holds it, or the id of a key that rpm has.'),
  state: choice(['present', 'absent'], 'Whether rpm shall trust it.').default('present'),
  fingerprint: list('Fingerprints the file must hold, blanks or not, before it is brought in.').default([]),
  validate_certs: bool('Whether the certificate of the address is checked.').default(true),
});
type Wanted = (typeof schema)['_zod']['output'];

interface Observed {
  /** Ids of the keys rpm has and of their subkeys, 16 digits each. */
  keys: string[];
  /** What is in the file. */
  own: Listed | undefined;
}

const isUrl = ({ key }: Wanted): boolean => key.includes('://');
/** The id a key is named by, in capitals; undefined of a file and an address. */
const given = (wanted: Wanted): string | undefined => (!isUrl(wanted) && /^(?:0x)?[0-9a-f]{8}/i.test(wanted.key) ? wanted.key.trim().toUpperCase().replace(/^0X/, '') : undefined);

const TOOLS = sh`command -v rpm >/dev/null || { echo 'Failed to find required executable rpm' >&2; exit 1; }
${SHOW_KEYS}`;

export const rpmKey = defineModule<typeof schema, Observed>({
  name: 'rpm_key',
  summary: 'Puts keys among those that rpm trusts, or takes them out.',
  params: schema,
  returns: {},
  examples: ['- rpm_key:\n    key: https://rpm.example.org/RPM-GPG-KEY\n    fingerprint: EBC6 E12C 62B1 C734 026B 2122 A20E 5214 6B8D 79E6'],
  inspect(wanted) {
    const file = isUrl(wanted) || given(wanted) !== undefined ? sh`` : sh`[ -f ${hostPath(wanted.key)} ] || { printf '%s\\n' ${`Not a valid key ${wanted.key}`} >&2; exit 1; }
echo @own; show -- ${hostPath(wanted.key)}`;
    return join([TOOLS, file, raw(`echo @keys; ! rpm -q gpg-pubkey >/dev/null || rpm -q gpg-pubkey --qf '%{description}\\n' | show || exit`), sh`echo @end`]);
  },
  parse(output, wanted) {
    const [, own, keys] = /^(?:@own\n((?:.*\n)*?))?@keys\n((?:.*\n)*?)@end\n$/.exec(output.stdout) ?? [];
    if (keys === undefined) throw new ModuleError(output.stderr.trim().split('\n').at(-1) || 'cannot ask rpm about its keys', { ...output });
    const found = own === undefined ? undefined : readKeys(own.split('\n'));
    if (found && found.ids.length === 0) throw new ModuleError(`Unexpected gpg output: no key in ${wanted.key}`);
    return { keys: readKeys(keys.split('\n')).ids, own: found };
  },
  compare(wanted, observed) {
    const id = given(wanted) ?? observed.own?.ids[0];
    const isThere = id !== undefined && has(observed, id);
    if (id !== undefined && isThere === (wanted.state === 'present')) return [];
    if (wanted.state === 'present' && given(wanted) !== undefined) throw new ModuleError('When importing a key, a valid file must be given');
    if (wanted.state === 'present' && observed.own) fits(wanted, observed.own.fingerprints);
    return [{ field: 'key', from: wanted.state === 'present' ? null : (id ?? wanted.key), to: wanted.state === 'present' ? (id ?? wanted.key) : null } satisfies Change];
  },
  apply(wanted, observed) {
    const drop = (id: Sh) => sh`rpm --erase --allmatches ${id} || exit`;
    if (!isUrl(wanted)) {
      const id = (given(wanted) ?? observed.own!.ids[0]!).slice(-8).toLowerCase();
      return { script: wanted.state === 'present' ? sh`rpm --import ${hostPath(wanted.key)} || exit` : drop(sh`${`gpg-pubkey-${id}`}`) };
    }
    const known = sh`case ${` ${observed.keys.join(' ')} `} in *" $i "*) true ;; *) false ;; esac`;
    const demanded = wanted.fingerprint.map(bare).map((each) => sh`printf '%s\\n' "$o" | grep -q ${`^fpr:::::::::${each}:`} || { printf '%s\\n' ${`The specified fingerprint, '${each}', does not match any key fingerprints in ${wanted.key}`} >&2; exit 1; }`);
    const doing = wanted.state === 'present' ? sh`${known} || {
${join([...demanded, sh`rpm --import "$k" || exit`])}
}` : sh`! ${known} || ${drop(raw('"gpg-pubkey-$(printf %s "$i" | cut -c 9- | tr A-F a-f)"'))}`;
    return { script: join([fetched(wanted), doing]) };
  },
  rehearse: (wanted) => (isUrl(wanted) ? fetched(wanted) : undefined),
  verify: (wanted) => !isUrl(wanted),
  undo(wanted, observed) {
    const id = given(wanted) ?? observed.own?.ids[0];
    if (wanted.state === 'absent' || id === undefined) return [{ cannot: wanted.state === 'absent' ? `the key ${id ?? wanted.key} is to be brought again from where it was` : `which key came from ${wanted.key} was not known before` }];
    return [{ module: 'rpm_key', args: { key: id, state: 'absent' } }];
  },
  result(wanted, observed, output) {
    const own = isUrl(wanted) && output ? readKeys(output.stdout.split('\n')) : undefined;
    if (own === undefined) return {};
    const isThere = has(observed, own.ids[0]!);
    if (!isThere && wanted.state === 'present') fits(wanted, own.fingerprints);
    return isThere === (wanted.state === 'present') ? { changed: false } : {};
  },
});
export default rpmKey;

const bare = (fingerprint: string): string => fingerprint.replace(/\s/g, '').toUpperCase();
const has = ({ keys }: Observed, id: string): boolean => keys.some((key) => key.includes(id));

/** @throws ModuleError where the file lacks a fingerprint that is demanded */
function fits({ fingerprint, key }: Wanted, found: readonly string[]): void {
  const missing = fingerprint.map(bare).filter((each) => !found.includes(each));
  if (missing.length > 0) throw new ModuleError(`The specified fingerprint, '${missing.join(', ')}', does not match any key fingerprints in ${key}: ${found.join(', ')}`);
}

/** Fetches the key to "$k", prints what it is, and leaves that in $o and its id in $i. */
function fetched({ key, validate_certs }: Wanted): Sh {
  return sh`${TOOLS}
d=$(mktemp -d) && k=$d/key || exit
trap 'rm -rf -- "$d"' EXIT
${fetcher({ url: key, headers: {}, user: undefined, password: undefined, timeout: 30, validateCerts: validate_certs, useProxy: true, agent: 'muster', netrc: false })}
muster_fetch "$k" || { rc=$?; printf '%s\\n' ${`failed to fetch key at ${key}`} >&2; exit $rc; }
grep -q -e '-----BEGIN PGP PUBLIC KEY BLOCK-----' "$k" || { printf '%s\\n' ${`Not a public key: ${key}`} >&2; exit 1; }
o=$(show -- "$k") && ${FIRST_ID} && [ "$i" ] || { echo 'Unexpected gpg output' >&2; exit 1; }
printf '%s\\n' "$o"`;
}
