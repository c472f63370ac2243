import { join, sh, type Sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, type Change } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('The file or folder.').meta({ aliases: ['name'] }),
  state: choice(['absent', 'all', 'keys', 'present', 'read'], 'Whether the attribute is there; or what is told: one attribute, all with their values, or their names.').default('read'),
  key: str('The name of the attribute, with or without its namespace.').optional(),
  value: str('What it is to be; given without state it is set too.').optional(),
  namespace: str('The namespace of the attribute.').default('user'),
  follow: bool('Links are followed.').default(true),
}).check((context) => {
  const { state, key, value } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (key === undefined && (state === 'absent' || state === 'present' || value !== undefined)) issue(`${state} needs a key parameter`, 'key');
  if (state === 'present' && value === undefined) issue('state: present needs value', 'value');
});
type Wanted = typeof schema._output;

type Attributes = { [key: string]: string };

function keyOf({ key, namespace }: Wanted): string | undefined {
  if (key === undefined || namespace === '') return key;
  return namespace === 'user' && key.startsWith('user.') ? key : `${namespace}.${key}`;
}

const isSet = ({ state, value }: Wanted): boolean => state === 'present' || value !== undefined;

const what = ({ path }: Wanted): string => `looking at the attributes of ${path}`;

/** The value in setfattr's quotation, in which any byte can be told. */
const quoted = (value: string): string => `0s${Buffer.from(value).toString('base64')}`;

export const xattr = defineModule<typeof schema, Attributes>({
  name: 'xattr',
  summary: 'Sets, removes or tells extended attributes of files, by setfattr and getfattr of the host.',
  params: schema,
  returns: { xattr: 'A dict of the attributes that were asked for, as they were before.', msg: 'What was done.' },
  examples: [
    `- xattr:
    path: /srv/data/big.bin
    key: checked
    value: "2024-01-01"
`,
  ],
  inspect(wanted) {
    const key = keyOf(wanted);
    const names = wanted.state === 'keys' && wanted.value === undefined;
    const asked: Sh = names ? join([]) : wanted.state === 'all' || key === undefined ? sh`-d` : sh`-n ${key}`;
    return sh`command -v getfattr >/dev/null || { echo 'the host has no getfattr; install the package attr on it' >&2; exit 1; }
[ -e ${hostPath(wanted.path)} ] || { echo 'path not found or not accessible!' >&2; exit 1; }
export LC_ALL=C
a=$(getfattr --absolute-names -e base64 ${wanted.follow ? [] : ['-h']} ${asked} -- ${hostPath(wanted.path)} 2>&1) || case $a in *'No such attribute'*) a= ;; *) printf '%s\\n' "$a" >&2; exit 1 ;; esac
printf '%s\\000' "$a"`;
  },
  parse(output, wanted) {
    const found: Attributes = {};
    for (const line of fields(output, what(wanted))[0]!.split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const [, key, value] = /^([^=]*)(?:=(?:0s)?(.*))?$/.exec(line)!;
      found[key!] = Buffer.from(value ?? '', 'base64').toString();
    }
    return found;
  },
  compare(wanted, found): Change[] {
    const key = keyOf(wanted)!;
    if (isSet(wanted)) return found[key] === wanted.value ? [] : [{ field: key, from: found[key] ?? null, to: wanted.value }];
    return wanted.state === 'absent' && key in found ? [{ field: key, from: found[key], to: null }] : [];
  },
  apply(wanted) {
    const key = keyOf(wanted)!;
    const how = isSet(wanted) ? ['-n', key, '-v', quoted(wanted.value!)] : ['-x', key];
    return { script: sh`setfattr ${wanted.follow ? [] : ['-h']} ${how} -- ${hostPath(wanted.path)}` };
  },
  result(wanted, found) {
    const key = keyOf(wanted);
    const msg = isSet(wanted) ? `${key} set to ${wanted.value}` : { absent: `${key} removed`, keys: 'returning all keys', all: 'dumping all', present: '', read: `returning ${key}` }[wanted.state];
    return { xattr: found, msg };
  },
});
export default xattr;
