import { randomInt } from 'node:crypto';
import { raw, sh } from '../shell/sh.js';
import { describe } from './attributes.js';
import { look, seen } from './look.js';
import { defineCommand, ModuleError } from './module.js';
import { choice, params, path, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  state: choice(['directory', 'file'], 'What is made.').default('file'),
  path: path("The folder it is made in; the host's folder for temporary files unless given.").optional(),
  prefix: str('Beginning of its name.').default('ansible.'),
  suffix: str('End of its name.').default(''),
}).check((context) => {
  const { prefix, suffix } = context.value;
  if (`${prefix}${suffix}`.includes('/')) context.issues.push({ code: 'custom', message: 'prefix and suffix are parts of a name: no slash may stand in them', input: context.value, path: ['prefix'] });
});

const SIGNS = 'abcdefghijklmnopqrstuvwxyz0123456789_';

/** As long as those of Python's tempfile. */
const randomName = () => Array.from({ length: 8 }, () => SIGNS[randomInt(SIGNS.length)]).join('');

export const tempfile = defineCommand({
  name: 'tempfile',
  summary: 'Makes a file or folder of a new name, for its owner only.',
  params: schema,
  returns: { path: 'The file or folder.', state: '`file` or `directory`.', mode: 'Permissions, octal.', owner: 'Name of the owner.', group: 'Name of the group.', uid: 'Number of the owner.', gid: 'Number of the group.', size: 'Bytes.' },
  examples: [
    `- tempfile:
    state: directory
    suffix: build
  register: build
- file:
    path: "{{ build.path }}"
    state: absent
`,
  ],
  run({ state, path, prefix, suffix }) {
    const names = Array.from({ length: 10 }, () => `${prefix}${randomName()}${suffix}`);
    // Neither takes what is there already.
    const make = state === 'file' ? raw('( set -C; umask 077; : >"$f" ) 2>/dev/null') : raw('mkdir -m 0700 -- "$f" 2>/dev/null');
    return {
      script: sh`d=${path === undefined ? raw('"${TMPDIR:-/tmp}"') : hostPath(path)}
[ -d "$d" ] || { printf '%s\\n' "there is no folder $d" >&2; exit 1; }
d=$(cd -- "$d" && pwd && echo x) || exit; d=\${d%?x}; d=\${d%/}
for n in ${names}; do
  f=$d/$n
  if ${make}; then
    ${look([raw('"$f"')])}
    exit
  elif [ ! -e "$f" ]; then printf '%s\\n' "no permission to make something in $d" >&2; exit 1
  fi
done
echo 'no free name was found' >&2; exit 1`,
    };
  },
  result({ state }, output) {
    if (output.rc !== 0) throw new ModuleError(output.stderr.trim() || `exit status ${output.rc}`, { rc: output.rc });
    const { path, stat } = seen(output, 1, 'looking at what was made').entries[0]!;
    return { ...describe(path, stat), state };
  },
});
export default tempfile;
