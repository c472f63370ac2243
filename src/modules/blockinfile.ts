import { dirname } from 'node:path/posix';
import { pythonRegex } from '../expression/index.js';
import { sh } from '../shell/sh.js';
import { applyEdit, beforeEdit, compareEdit, decode, editDiff, editParams, editResult, editReturns, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { defineModule, ModuleError } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('The file; a link is followed.').meta({ aliases: ['dest', 'destfile', 'name'] }),
  block: str('The lines between the markers; without any, the block is removed.').meta({ aliases: ['content'] }).default(''),
  state: choice(['present', 'absent'], 'Whether the block shall be there.').default('present'),
  marker: str('The line around the block; {mark} stands for marker_begin or marker_end.').default('# {mark} ANSIBLE MANAGED BLOCK'),
  marker_begin: str('What {mark} is above the block.').default('BEGIN'),
  marker_end: str('What {mark} is below the block.').default('END'),
  insertafter: str('A new block goes behind the last line this matches: a regular expression or EOF.').optional(),
  insertbefore: str('The same, in front of it: a regular expression or BOF.').optional(),
  create: bool('Make the file, and its folder, where there is none.').default(false),
  append_newline: bool('An empty line behind the block, unless it ends the file.').default(false),
  prepend_newline: bool('An empty line in front of the block, unless it begins the file.').default(false),
  encoding: choice(['utf-8'], 'Character set of the file; others are edited byte by byte.').default('utf-8'),
  ...editParams,
});

type Wanted = typeof schema._output;

export const blockinfile = defineModule<typeof schema, Edited, Wanted>({
  name: 'blockinfile',
  summary: 'Makes sure that a block of lines between markers is in a file, or is not.',
  params: schema,
  returns: editReturns,
  examples: [
    `- blockinfile:
    path: /etc/hosts
    marker: "# {mark} lab"
    block: |
      198.18.0.11 web1
      198.18.0.12 web2
`,
  ],
  async prepare(args) {
    if (args.insertafter !== undefined && args.insertbefore !== undefined) throw new ModuleError('parameters are mutually exclusive: insertbefore|insertafter');
    return args;
  },
  inspect: (wanted) => inspectText(wanted.path, wanted),
  parse: (output, { path }) => parseText(output, path),
  compare: (wanted, observed) => compareEdit(wanted, observed, edit(wanted, observed).after),
  apply: (wanted, observed, changes) =>
    applyEdit(wanted, observed, edit(wanted, observed).after, changes, wanted.create ? { before: [sh`mkdir -p -- ${hostPath(dirname(wanted.path))}`] } : {}),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => beforeEdit(change),
  diff: (wanted, _observed, changes, texts) => editDiff(wanted, changes, texts),
  result: (wanted, observed, output) => editResult(wanted, edit(wanted, observed).msg, output),
});
export default blockinfile;

function edit(wanted: Wanted, { content }: Edited): { after: Buffer | undefined; msg: string } {
  if (content === undefined && !wanted.create) {
    if (wanted.state === 'absent') return { after: undefined, msg: `File ${wanted.path} not present` };
    throw new ModuleError(`Path ${wanted.path} does not exist !`, { rc: 257 });
  }
  const codec = decode(content ?? Buffer.alloc(0));
  const lines = splitLines(codec.text);
  const before = lines.join('');
  const [begin, end] = [wanted.marker_begin, wanted.marker_end].map((mark) => codec.own(wanted.marker.replaceAll('{mark}', mark)));
  const block = codec.own(wanted.block);
  const shown = wanted.state === 'present' && block !== '';
  const inserted = shown ? [`${begin}\n`, ...splitLines(block.endsWith('\n') ? block : `${block}\n`), `${end}\n`] : [];
  const is = (marker: string | undefined) => (line: string): boolean => line.replace(/\r?\n$/, '') === marker;
  const [first, last] = [lines.findLastIndex(is(begin)), lines.findLastIndex(is(end))];
  let at: number;
  if (first === -1 || last === -1) at = insertion(wanted, lines, codec.own);
  else {
    at = Math.min(first, last);
    lines.splice(at, Math.abs(last - first) + 1);
  }
  if (shown && at > 0 && !lines[at - 1]!.endsWith('\n')) lines[at - 1] += '\n';
  if (shown && wanted.prepend_newline && at > 0 && lines[at - 1] !== '\n') lines.splice(at++, 0, '\n');
  lines.splice(at, 0, ...inserted);
  const behind = at + inserted.length;
  if (shown && wanted.append_newline && behind < lines.length && lines[behind] !== '\n') lines.splice(behind, 0, '\n');
  const after = lines.join('');
  const msg = content === undefined ? 'File created' : after === before ? '' : inserted.length > 0 ? 'Block inserted' : 'Block removed';
  return { after: content === undefined && wanted.state === 'absent' ? undefined : codec.encode(after), msg };
}

/** Index of the line in front of which a new block goes. */
function insertion({ insertafter, insertbefore }: Wanted, lines: string[], own: (text: string) => string): number {
  const pattern = insertafter !== undefined && insertafter !== 'EOF' ? insertafter : insertbefore !== undefined && insertbefore !== 'BOF' ? insertbefore : undefined;
  if (pattern === undefined) return insertbefore === undefined ? lines.length : 0;
  const search = (text: string): RegExpExecArray | null => pythonRegex(own(pattern)).exec(text);
  if (/^\(\?[a-z]*m/.test(pattern)) {
    const match = search(lines.join(''));
    if (!match) return lines.length;
    const upTo = lines.join('').slice(0, insertafter === undefined ? match.index : match.index + match[0].length);
    return upTo.split('\n').length - (insertafter === undefined ? 1 : 0);
  }
  const found = lines.findLastIndex((line) => search(line) !== null);
  if (found === -1) return lines.length;
  return insertafter === undefined ? found : found + 1;
}
