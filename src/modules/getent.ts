import { sh } from '../shell/sh.js';
import { defineModule, ModuleError } from './module.js';
import { bool, params, str } from './params.js';

const schema = params({
  database: str('The database: passwd, group, hosts, services, …'),
  key: str('The entry; all of them unless given.').optional(),
  service: str('The one source to ask (`files`, `dns`), instead of those of nsswitch.conf.').optional(),
  split: str('What stands between the fields; unless given a colon for passwd, shadow, group and gshadow, blanks for the others.').optional(),
  fail_key: bool('Fail where there is no such entry; otherwise it is null.').default(true),
});

type Entries = { [key: string]: string[] | string[][] | null };

/** getent(1), "EXIT STATUS". */
const FAILURES: { [rc: number]: string } = {
  1: 'Missing arguments, or database unknown.',
  2: 'One or more supplied key could not be found in the database.',
  3: 'Enumeration not supported on this database.',
};

export const getent = defineModule<typeof schema, { entries: Entries; msg: string | undefined }>({
  name: 'getent',
  summary: "Reads entries of the system's databases: users, groups, hosts, services.",
  params: schema,
  returns: { ansible_facts: 'A dict getent_DATABASE: of each key the list of its other fields, or a list of such lists where the key stands several times.' },
  examples: [
    `- getent:
    database: passwd
    key: root
- debug:
    msg: "{{ ansible_facts.getent_passwd.root[4] }} is the home of root"
`,
  ],
  readOnly: true,
  inspect: ({ database, key, service }) =>
    sh`command -v getent >/dev/null || { echo 'the host has no getent' >&2; exit 127; }
timeout 60 getent ${service === undefined ? [] : ['-s', service]} ${[database, ...(key === undefined ? [] : [key])]}`,
  parse({ rc, stdout, stderr }, { database, key, split, fail_key }) {
    if (rc === 2 && key !== undefined && !fail_key) return { entries: { [key]: null }, msg: FAILURES[2] };
    if (rc !== 0) throw new ModuleError(FAILURES[rc] ?? (stderr.trim() || `getent ended with exit status ${rc}`), { rc, stderr });
    const sign = split ?? (['passwd', 'shadow', 'group', 'gshadow'].includes(database) ? ':' : undefined);
    if (sign === '') throw new ModuleError('split is empty');
    const all = new Map<string, string[][]>();
    for (const line of stdout.split('\n').filter((one) => one !== '')) {
      const [first = '', ...others] = sign === undefined ? line.trim().split(/\s+/) : line.split(sign);
      all.set(first, [...(all.get(first) ?? []), others]);
    }
    return { entries: Object.fromEntries([...all].map(([name, found]) => [name, found.length === 1 ? found[0]! : found])), msg: undefined };
  },
  compare: () => [],
  apply() {
    throw new ModuleError('getent changes nothing');
  },
  result: ({ database }, { entries, msg }) => ({ ansible_facts: { [`getent_${database}`]: entries }, ...(msg === undefined ? {} : { msg }) }),
});
export default getent;
