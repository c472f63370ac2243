import { createHash, randomInt } from 'node:crypto';
import { dirname } from 'node:path/posix';
import { md5Crypt, shaCrypt } from '../expression/crypt.js';
import { bcrypt } from '../expression/libraries.js';
import { sh } from '../shell/sh.js';
import { attributeParams } from './attributes.js';
import { applyEdit, compareEdit, decode, inspectText, parseText, type Edited } from './edited_file.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, params, path, secret, str } from './params.js';
import { replaced, unsafeWrites } from './replace_file.js';
import { touchesFile } from './whole_file.js';
import { hostPath } from './words.js';

const SALT = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const salt = (length: number): string => Array.from({ length }, () => SALT[randomInt(SALT.length)]).join('');

/** What passlib takes for each scheme's number of rounds. */
const SCHEMES: { [name: string]: (password: string) => Promise<string> } = {
  apr_md5_crypt: async (password) => md5Crypt(password, salt(8), '$apr1$'),
  md5_crypt: async (password) => md5Crypt(password, salt(8)),
  sha256_crypt: async (password) => shaCrypt('sha256', password, salt(16), 535_000),
  sha512_crypt: async (password) => shaCrypt('sha512', password, salt(16), 656_000),
  // Apache knows bcrypt as 2y.
  bcrypt: async (password) => (await bcrypt().hash(password, 12)).replace(/^\$2[ab]\$/, '$2y$'),
  ldap_sha1: async (password) => sha1(password),
  plaintext: async (password) => password,
};
SCHEMES['portable_apache_22'] = SCHEMES['apr_md5_crypt']!;
SCHEMES['portable'] = SCHEMES['portable_apache_24'] = SCHEMES['bcrypt']!;

const sha1 = (password: string): string => `{SHA}${createHash('sha1').update(password).digest('base64')}`;

/** Whether a password is what was hashed. @throws ModuleError where the hash is of a kind that is not known here */
async function fits(password: string, hash: string): Promise<boolean> {
  const [, magic, rounds, own] = /^(\$(?:1|apr1|5|6)\$)(?:rounds=(\d+)\$)?([^$]*)\$/.exec(hash) ?? [];
  switch (magic) {
    case '$1$':
    case '$apr1$': return md5Crypt(password, own!, magic) === hash;
    case '$5$':
    case '$6$': return shaCrypt(magic === '$5$' ? 'sha256' : 'sha512', password, own!, Number(rounds ?? 5000)) === hash;
  }
  if (/^\$2[aby]\$/.test(hash)) return bcrypt().compare(password, hash);
  return hash === (hash.startsWith('{SHA}') ? sha1(password) : password);
}

const schema = params({
  path: path('The file of users and passwords.').meta({ aliases: ['dest', 'destfile'] }),
  name: str('The user.').meta({ aliases: ['username'] }),
  password: secret('The password.').optional(),
  state: choice(['absent', 'present'], 'Whether the user is in the file.').default('present'),
  hash_scheme: str(`How a new password is hashed, in passlib's words: ${Object.keys(SCHEMES).join(', ')}. An old one of any of these stays if it fits.`).meta({ aliases: ['crypt_scheme'] }).default('apr_md5_crypt'),
  create: bool('Make the file, and folders above it, where it is not there.').default(true),
  ...attributeParams,
  unsafe_writes: unsafeWrites,
}).check((context) => {
  const { name, password, state, hash_scheme } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (state === 'present' && password === undefined) issue('state: present needs password', 'password');
  if (!Object.hasOwn(SCHEMES, hash_scheme)) issue(`"${hash_scheme}" is not known here; use one of ${Object.keys(SCHEMES).join(', ')}`, 'hash_scheme');
  if (/[:\r\n]/.test(name)) issue('a name has no colon in it, and is one line', 'name');
});

type Wanted = typeof schema._output & {
  /** The text of the file as it is to be; undefined where it is to stay as it is, or away. */
  after?: Buffer | undefined;
  msg?: string;
};

export const htpasswd = defineModule<typeof schema, Edited, Wanted>({
  name: 'htpasswd',
  summary: 'Keeps users and passwords in a file for basic authentication of web servers.',
  params: schema,
  returns: { msg: 'What was done.' },
  examples: [
    `- htpasswd:
    path: /etc/nginx/htpasswd
    name: monitor
    password: "{{ monitor_password }}"
    group: www-data
    mode: "0640"
`,
  ],
  inspect: (wanted) => inspectText(wanted.path, wanted),
  parse: (output, { path }) => parseText(output, path),
  async refine(wanted, { content }) {
    const { name, password, state, hash_scheme } = wanted;
    if (content === undefined) {
      if (state === 'absent') return { ...wanted, msg: `${name} not present` };
      if (!wanted.create) throw new ModuleError(`Destination ${wanted.path} does not exist`);
    }
    const codec = decode(content ?? Buffer.alloc(0));
    const lines = codec.text.split(/\r?\n/).filter((line) => line.trim() !== '');
    const at = lines.findIndex((line) => line.startsWith(`${codec.own(name)}:`));
    let msg: string;
    if (state === 'absent') {
      msg = at < 0 ? `${name} not present` : `Remove ${name}`;
      if (at >= 0) lines.splice(at, 1);
    } else if (at >= 0 && (await fits(password!, lines[at]!.split(':')[1]!))) msg = `${name} already present`;
    else {
      msg = content === undefined ? `Created ${wanted.path} and added ${name}` : `Add/update ${name}`;
      lines.splice(at < 0 ? lines.length : at, 1, `${codec.own(name)}:${await SCHEMES[hash_scheme]!(password!)}`);
    }
    return { ...wanted, msg, after: codec.encode(lines.map((line) => `${line}\n`).join('')) };
  },
  compare: (wanted, observed) => compareEdit(options(wanted), observed, wanted.after).map(hidden),
  apply: (wanted, observed, changes) => applyEdit(options(wanted), observed, wanted.after, changes, { before: [sh`mkdir -p -- ${hostPath(dirname(wanted.path))}`] }),
  touches: (_wanted, { entry }) => touchesFile(entry),
  result({ path, msg = '' }, _observed, output) {
    return { msg, ...(output ? replaced(output, 1, `writing ${path}`).notes : {}) };
  },
});
export default htpasswd;

const options = (wanted: Wanted) => ({ ...wanted, backup: false });

/** Hashes are not shown. */
function hidden(change: Change): Change {
  if (change.field !== 'content') return change;
  const { text: _, ...rest } = change;
  return { ...rest, secret: true };
}
