import { raw } from '../shell/sh.js';
import { applyEdit, beforeEdit, compareEdit, decode, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { join, sh } from '../shell/sh.js';
import { choice, list, params } from './params.js';
import { replaced } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';

const schema = params({
  name: list('Locales with their encoding: de_DE.UTF-8.'),
  state: choice(['present', 'absent'], 'Whether the host shall have them.').default('present'),
});
type Wanted = typeof schema._output;

interface Observed extends Edited {
  /** What `locale -a` lists, as compared by same(). */
  there: ReadonlySet<string>;
  /** Locale -> character set, of all the host could make. */
  supported: ReadonlyMap<string, string>;
}

const FILE = '/etc/locale.gen';

export const localeGen = defineModule<typeof schema, Observed, Wanted>({
  name: 'locale_gen',
  summary: 'Has locales made, or taken away, by way of /etc/locale.gen and locale-gen.',
  params: schema,
  returns: { name: 'The locales.', mechanism: 'How they are made: `glibc`.' },
  examples: ['- locale_gen:\n    name: [de_DE.UTF-8, en_GB.UTF-8]'],
  inspect: () =>
    join([
      inspectText(FILE),
      raw(`command -v locale >/dev/null || { echo 'the host has no locale command; its C library is not glibc' >&2; exit 1; }
printf '%s\\000' "$(LC_ALL=C locale -a)"
s=
for f in /usr/share/i18n/SUPPORTED /usr/local/share/i18n/SUPPORTED; do
  [ ! -f "$f" ] || s="$s
$(cat "$f")"
done
printf '%s\\000' "$s"`),
    ]),
  parse(output) {
    const all = fields(output, 'looking at the locales');
    const [there, supported] = all.splice(-2);
    const edited = parseText({ ...output, stdout: all.map((field) => `${field}\0`).join('') }, FILE);
    if (edited.content === undefined) throw new ModuleError(`the host has no ${FILE}; install the package locales first`);
    const known = supported!.split('\n').flatMap((line): [string, string][] => (/^\S+ \S+$/.test(line.trim()) ? [line.trim().split(' ') as [string, string]] : []));
    return { ...edited, there: new Set(there!.split('\n').map(same)), supported: new Map(known) };
  },
  compare(wanted, observed) {
    const due = wanted.name.filter((name) => observed.there.has(same(name)) !== (wanted.state === 'present'));
    if (due.length === 0) return [];
    const unknown = wanted.state === 'present' ? due.filter((name) => !observed.supported.has(name)) : [];
    if (unknown.length > 0) throw new ModuleError(`the host cannot make ${unknown.join(', ')}; /usr/share/i18n/SUPPORTED lists what it can (with the encoding: de_DE.UTF-8)`);
    const [from, to] = wanted.state === 'present' ? ['absent', 'present'] : ['present', 'absent'];
    return [...due.map((name): Change => ({ field: 'locale', from: `${name} ${from}`, to: `${name} ${to}` })), ...compareEdit(options, observed, edit(wanted, observed))];
  },
  apply: (wanted, observed, changes) => applyEdit(options, observed, edit(wanted, observed), changes, { after: [sh`locale-gen >&2`] }),
  touches: (_wanted, { entry }) => ({ ...touchesFile(entry), trees: [sh`/usr/lib/locale`] }),
  undo: (wanted, { entry, there }, changes) => [
    ...wanted.name.filter((name) => there.has(same(name)) !== (wanted.state === 'present')).map((name) => ({ module: 'locale_gen', args: { name: [name], state: wanted.state === 'present' ? 'absent' : 'present' } })),
    ...(changes.some(({ field }) => field === 'content') ? undoFile(entry, changes).map((back) => ({ ...back, behind: true })) : []),
  ],
  before: (_wanted, _observed, change) => beforeEdit(change),
  result({ name }, _observed, output) {
    if (output) replaced(output, 1, 'making locales');
    return { name, mechanism: 'glibc' };
  },
});
export default localeGen;

const options = { path: FILE, backup: false };

/** glibc's spelling of a locale: of the encoding only small letters and digits count. */
function same(name: string): string {
  return name.trim().replace(/\.([^@]*)/, (_all, encoding: string) => `.${encoding.toLowerCase().replace(/[^a-z0-9]/g, '')}`);
}

/** A locale stands in /etc/locale.gen with its character set behind it, in a comment where it is not to be made. */
function edit({ name, state }: Wanted, { content, supported }: Observed): Buffer {
  const codec = decode(content!);
  const found = new Set<string>();
  const lines = splitLines(codec.text).map((line) => {
    const match = /^(#?)\s*(\S+)\s+(\S+)\s*$/.exec(line);
    if (!match || !name.includes(match[2]!) || (match[1] === '#' && (state === 'absent' || supported.get(match[2]!) !== match[3]))) return line;
    found.add(match[2]!);
    return `${state === 'present' ? '' : '# '}${match[2]} ${match[3]}\n`;
  });
  for (const each of state === 'present' ? name : []) {
    if (found.has(each) || !supported.has(each)) continue;
    if (lines.length > 0 && !lines.at(-1)!.endsWith('\n')) lines.push('\n');
    lines.push(`${each} ${supported.get(each)}\n`);
  }
  return codec.encode(lines.join(''));
}
