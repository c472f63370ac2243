import { sh } from '../shell/sh.js';
import { attributeParams, compareAttributes } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { bool, choice, int, params, path } from './params.js';
import { backend, madeResult, makeOrRemove, needsOpenssl, returnContent, telling } from './openssl.js';
import { unsafeWrites } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('The file.'),
  state: choice(['present', 'absent'], 'Whether the parameters shall be there.').default('present'),
  size: int('Bits; 4096 may take minutes.').default(4096),
  force: bool('Make new ones in any case.').default(false),
  return_content: returnContent,
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
  select_crypto_backend: backend,
  unsafe_writes: unsafeWrites,
  ...attributeParams,
});
type Wanted = typeof schema._output;

interface Observed {
  entry: Entry;
  umask: number;
  /** Bits of what is there; undefined where it holds none. */
  size: number | undefined;
  content: string;
}

export const opensslDhparam = defineModule<typeof schema, Observed, Wanted>({
  name: 'openssl_dhparam',
  summary: "Makes Diffie-Hellman parameters, by the host's openssl.",
  params: schema,
  returns: { filename: 'The file.', size: 'Bits.', dhparams: 'The parameters, with return_content.', backup_file: 'Where the old file was kept, when it was.' },
  examples: ['- openssl_dhparam:\n    path: /etc/ssl/dhparam.pem\n    size: 2048'],
  inspect: (wanted) => sh`${needsOpenssl}
${look([hostPath(wanted.path)], flagsLook(wanted))}
c= s=
if [ $k = file ]; then c=$(cat "$p") || exit; s=$(openssl dhparam -in "$p" -check -noout -text 2>/dev/null); fi
printf '%s\\000' "$c" "$s"`,
  parse(output, { path }): Observed {
    const all = fields(output, `looking at ${path}`);
    const [content, text] = all.splice(-2) as [string, string];
    const { entries, umask } = seenFields(all, 1, `looking at ${path}`);
    const bits = /DH Parameters: \((\d+) bit\)/.exec(text)?.[1];
    return { entry: entries[0]!, umask, content, size: bits === undefined ? undefined : Number(bits) };
  },
  compare(wanted, { entry, umask, size }): Change[] {
    if (wanted.state === 'absent') return entry.stat ? [{ field: 'state', from: 'present', to: 'absent' }] : [];
    if (entry.stat && entry.stat.kind !== 'file' && entry.stat.kind !== 'link') throw new ModuleError(`${entry.path} is there and is no regular file but a ${entry.stat.kind}`);
    const attributes = entry.stat ? compareAttributes(wanted, entry.stat, umask) : [];
    return size === wanted.size && !wanted.force ? attributes : [{ field: 'size', from: size ?? null, to: wanted.size }, ...attributes];
  },
  apply: (wanted, observed, changes) =>
    makeOrRemove(wanted, observed, changes, ['size'], () => sh`{ openssl dhparam -out "$f" ${wanted.size} 2>"$d/said"${telling('dhparams', wanted.return_content)}; }`),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  verify: ({ force }) => !force,
  result(wanted, { entry, content }, output) {
    return { ...(wanted.return_content && !output ? { dhparams: `${content}\n` } : {}), ...madeResult(entry, output), size: wanted.size };
  },
});
export default opensslDhparam;
