import { readFile, readdir, stat } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { pythonRegex } from '../expression/regex.js';
import { join, sh } from '../shell/sh.js';
import { withoutEndSlashes } from '../value/text.js';
import { attributeParams } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { defineModule, ModuleError, type Output } from './module.js';
import { bool, params, path, str } from './params.js';
import { replaceParams } from './replace_file.js';
import { decrypted } from './source.js';
import { applyFile, compareFile, fileResult, fileReturns, readText, touchesFile, undoFile, wholeFile, type WholeFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  src: path('The folder with the fragments.'),
  dest: path('The file made of them.'),
  remote_src: bool('The folder is on the host; otherwise on the controller, looked for in `files/`.').default(true),
  delimiter: str('A line between two fragments; \\n and its like mean what they do in Python.').optional(),
  regexp: str('Only fragments whose name this regular expression is found in.').optional(),
  ignore_hidden: bool('Leave out fragments whose name begins with a dot.').default(false),
  decrypt: bool('Fragments of the controller that a vault encrypted are taken decrypted.').default(true),
  ...attributeParams,
  ...replaceParams,
}).check((context) => {
  const { regexp } = context.value;
  try {
    if (regexp !== undefined) pythonRegex(regexp);
  } catch (error) {
    context.issues.push({ code: 'custom', message: (error as Error).message, input: context.value, path: ['regexp'] });
  }
});

type Args = typeof schema._output;

/** Longer fragments are not put together: they travel with every look. */
const LIMIT = 10 * 1024 * 1024;

interface Fragment {
  name: string;
  content: Buffer;
}

interface Wanted {
  args: Args;
  /** Where they come from the controller. */
  file: WholeFile | undefined;
}

interface Observed {
  entry: Entry;
  umask: number;
  file: WholeFile;
}

export const assemble = defineModule<typeof schema, Observed, Wanted>({
  name: 'assemble',
  summary: 'Makes a file of the fragments in a folder, in the order of their names.',
  params: schema,
  returns: { ...fileReturns, src: 'The folder.', msg: '`OK`.' },
  examples: [
    `- assemble:
    src: /etc/app/conf.d
    dest: /etc/app/app.conf
    delimiter: "### next fragment"
    validate: app --check %s
`,
  ],
  async prepare(args, controller) {
    if (args.remote_src) return { args, file: undefined };
    const folder = await controller.find(withoutEndSlashes(args.src), 'files');
    if (!(await stat(folder)).isDirectory()) throw new ModuleError(`${folder} is not a folder`);
    const fragments: Fragment[] = [];
    for (const name of await readdir(folder)) {
      const at = joinPath(folder, name);
      if (!counts(args, name) || !(await stat(at)).isFile()) continue;
      fragments.push({ name, content: (args.decrypt ? decrypted(at) : undefined) ?? (await readFile(at)) });
    }
    return { args, file: whole(args, fragments) };
  },
  inspect: ({ args, file }) => join([look([hostPath(args.dest)], { checksum: true, ...flagsLook(args) }), file ? join([]) : readFragments(args.src)]),
  parse(output, { args, file }) {
    const what = `looking at ${args.dest} and ${args.src}`;
    const all = fields(output, what);
    const own = file ?? whole(args, fragmentsOf(all, output));
    const { entries, umask } = seenFields(all, 1, what, { checksum: true });
    return { entry: entries[0]!, umask, file: own };
  },
  compare: (_wanted, { file, entry, umask }) => compareFile(file, entry, umask),
  apply: (_wanted, { file, entry, umask }, changes) => applyFile(file, entry, umask, changes),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => readText(change),
  diff: (_wanted, _observed, _changes, texts) => texts[0],
  result: ({ args }, { file, entry, umask }, output) => ({ ...fileResult(file, entry, umask, output), src: args.src, msg: 'OK' }),
});
export default assemble;

/** Prints `fragments`, the names of the files, a field each, an empty one, their sizes, a line each, and all their bytes in base64. */
function readFragments(src: string) {
  return sh`d=${hostPath(src)}
[ -e "$d" ] || { printf '%s\\n' "Source ($d) does not exist" >&2; exit 1; }
[ -d "$d" ] || { printf '%s\\n' "Source ($d) is not a directory" >&2; exit 1; }
[ -r "$d" ] && [ -x "$d" ] || { printf '%s\\n' "$d: no permission to read it" >&2; exit 1; }
set --
for f in "$d"/* "$d"/.*; do [ ! -f "$f" ] || set -- "$@" "$f"; done
printf 'fragments\\000'
for f do printf '%s\\000' "\${f##*/}"; done
printf '\\000'
[ $# -eq 0 ] || stat -L -c %s -- "$@" || exit
printf '\\000'
[ $# -eq 0 ] || { c=$(cat -- "$@" | head -c ${LIMIT + 1} | base64) || exit; printf %s "$c"; }
printf '\\000'`;
}

/** Takes what readFragments() printed off the end of the fields. */
function fragmentsOf(all: string[], output: Output): Fragment[] {
  const [, ...mine] = all.splice(all.indexOf('fragments'));
  const [sizes, encoded] = mine.splice(-2) as [string, string];
  const names = mine.slice(0, -1);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length > LIMIT) throw new ModuleError(`the fragments are longer than ${LIMIT / 1024 / 1024} MiB: too long to be put together`);
  const lengths = sizes.split('\n').slice(0, -1).map(Number);
  if (lengths.length !== names.length || lengths.reduce((sum, size) => sum + size, 0) !== bytes.length) throw new ModuleError(`cannot read all fragments: ${output.stderr.trim() || 'they changed meanwhile'}`, { stderr: output.stderr });
  let at = 0;
  return names.map((name, i) => ({ name, content: bytes.subarray(at, (at += lengths[i]!)) }));
}

function counts({ regexp, ignore_hidden }: Args, name: string): boolean {
  return !(ignore_hidden && name.startsWith('.')) && (regexp === undefined || pythonRegex(regexp).test(name));
}

/** A fragment that does not end its last line has it ended; a delimiter is a line of its own. */
function whole(args: Args, fragments: Fragment[]): WholeFile {
  const chosen = fragments.filter(({ name }) => counts(args, name)).sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  const delimiter = unescaped(args.delimiter ?? '');
  const between = delimiter.length === 0 || delimiter.at(-1) === 10 ? [delimiter] : [delimiter, NEWLINE];
  const parts = chosen.flatMap(({ content }, i) => {
    const before = chosen[i - 1]?.content;
    return [...(before === undefined ? [] : [...(before.at(-1) === 10 ? [] : [NEWLINE]), ...between]), content];
  });
  return wholeFile(Buffer.concat(parts), { ...args, source: `the fragments in ${args.src}` });
}

const NEWLINE = Buffer.from('\n');
const ESCAPES: { [sign: string]: string } = { '\n': '', '\\': '\\', "'": "'", '"': '"', a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** Escapes of Python's bytes literals (The Python Language Reference, 2.4.1.1). */
function unescaped(text: string): Buffer {
  return Buffer.from(
    Buffer.from(text).toString('latin1').replace(/\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|([^]))/g, (written, hex: string | undefined, octal: string | undefined, sign: string | undefined) =>
      sign === undefined ? String.fromCharCode(Number.parseInt(hex ?? octal!, hex === undefined ? 8 : 16) & 255) : (ESCAPES[sign] ?? written),
    ),
    'latin1',
  );
}
