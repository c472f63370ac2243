import { sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError } from './module.js';
import { params, path } from './params.js';
import { hostPath } from './words.js';

const schema = params({ src: path('The file on the host.').meta({ aliases: ['path'] }) });

export const slurp = defineModule<typeof schema, { content: string }>({
  name: 'slurp',
  summary: 'Reads a file of the host.',
  params: schema,
  returns: { content: 'The content in base64; `| b64decode` gives the text.', encoding: '`base64`.', source: 'Path of the file.' },
  examples: [
    `- slurp:
    src: /etc/machine-id
  register: id
- debug:
    msg: "{{ id.content | b64decode }}"
`,
  ],
  readOnly: true,
  inspect: ({ src }) => sh`f=${hostPath(src)}
fail() { printf '%s\\n' "$1: $f" >&2; exit 1; }
d=$f
while [ ! -e "$d" ]; do case $d in */*) d=\${d%/*} ;; *) d=. ;; esac; d=\${d:-/}; done
if [ "$d" != "$f" ] && [ ! -d "$d" ]; then fail "unable to slurp file: $d is no folder"
elif [ "$d" != "$f" ] && [ -x "$d" ]; then fail 'file not found'
elif [ "$d" != "$f" ] || [ ! -r "$f" ]; then fail 'file is not readable'
elif [ -d "$f" ]; then fail 'source is a directory and must be a file'
fi
c=$(base64 <"$f") || exit
printf '%s\\000' "$c"`,
  parse(output, { src }) {
    if (output.rc !== 0) throw new ModuleError(output.stderr.trim() || `unable to slurp file: ${src}`);
    return { content: fields(output, `reading ${src}`)[0]!.replaceAll('\n', '') };
  },
  compare: () => [],
  apply() {
    throw new ModuleError('slurp changes nothing');
  },
  result: ({ src }, { content }) => ({ content, encoding: 'base64', source: src }),
});
export default slurp;
