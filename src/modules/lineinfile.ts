import { dirname } from 'node:path/posix';
import { pythonRegex, replacement } from '../expression/index.js';
import { sh } from '../shell/sh.js';
import { applyEdit, beforeEdit, compareEdit, decode, editDiff, editParams, editResult, editReturns, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { defineModule, ModuleError } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { hostPath } from './words.js';
import { touchesFile, undoFile } from './whole_file.js';

const schema = params({
  path: path('The file; a link is followed.').meta({ aliases: ['dest', 'destfile', 'name'] }),
  regexp: str('The last line this matches is replaced, or with `state: absent` every one is removed.').meta({ aliases: ['regex'] }).optional(),
  search_string: str('As regexp, for a line that contains this text.').optional(),
  line: str('The line, without its end.').meta({ aliases: ['value'] }).optional(),
  state: choice(['present', 'absent'], 'Whether the line shall be there.').default('present'),
  backrefs: bool('Groups of regexp stand in line as \\1 or \\g<name>; nothing is added where regexp does not match.').default(false),
  insertafter: str('A line that is not there goes behind the last one this matches: a regular expression, EOF or BOF.').optional(),
  insertbefore: str('The same, in front of it: a regular expression or BOF.').optional(),
  firstmatch: bool('The first match counts, not the last, for regexp, insertafter and insertbefore.').default(false),
  create: bool('Make the file, and its folder, where there is none.').default(false),
  encoding: choice(['utf-8'], 'Character set of the file; others are edited byte by byte.').default('utf-8'),
  ...editParams,
});

type Wanted = typeof schema._output;

export const lineinfile = defineModule<typeof schema, Edited, Wanted>({
  name: 'lineinfile',
  summary: 'Makes sure that a line is in a file, or is not.',
  params: schema,
  returns: { ...editReturns, backup: 'The same as backup_file; empty when the old file was not kept.', found: 'How many lines were removed.' },
  examples: [
    `- lineinfile:
    path: /etc/ssh/sshd_config
    regexp: '^#?PermitRootLogin '
    line: PermitRootLogin prohibit-password
    validate: sshd -t -f %s
`,
  ],
  async prepare(args) {
    if (args.regexp !== undefined && args.search_string !== undefined) throw new ModuleError('parameters are mutually exclusive: regexp|search_string');
    if (args.insertafter !== undefined && args.insertbefore !== undefined) throw new ModuleError('parameters are mutually exclusive: insertbefore|insertafter');
    if (args.backrefs && args.search_string !== undefined) throw new ModuleError('parameters are mutually exclusive: backrefs|search_string');
    if (args.state === 'present' && args.backrefs && args.regexp === undefined) throw new ModuleError('regexp is required with backrefs=true');
    if (args.state === 'present' && args.line === undefined) throw new ModuleError('line is required with state=present');
    if (args.state === 'absent' && args.line === undefined && args.regexp === undefined && args.search_string === undefined) {
      throw new ModuleError('one of line, search_string, or regexp is required with state=absent');
    }
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
  result(wanted, observed, output) {
    const { msg, found } = edit(wanted, observed);
    const result = editResult(wanted, msg, output);
    const empty = wanted.regexp === '' ? 'regular expression' : wanted.search_string === '' ? 'search string' : undefined;
    return { ...result, ...(empty === undefined ? {} : { warnings: [matchesAll(empty)] }), backup: result['backup_file'] ?? '', ...(found === undefined ? {} : { found }) };
  },
});
export default lineinfile;

/** Ansible's words, which playbooks may look for. */
function matchesAll(what: string): string {
  const warning = `The ${what} is an empty string, which will match every line in the file. This may have unintended consequences, such as replacing the last line in the file rather than appending.`;
  return what === 'search string' ? warning : `${warning} If this is desired, use '^' to match every line in the file and avoid this warning.`;
}

interface Edit {
  after: Buffer | undefined;
  msg: string;
  /** Lines removed. */
  found?: number;
}

/** The rule is Ansible's: see the notes of its lineinfile on regexp, insertafter and firstmatch. */
function edit(wanted: Wanted, { content }: Edited): Edit {
  if (content === undefined) {
    if (wanted.state === 'absent') return { after: undefined, msg: 'file not present', found: 0 };
    if (!wanted.create) throw new ModuleError(`Destination ${wanted.path} does not exist !`, { rc: 257 });
  }
  const codec = decode(content ?? Buffer.alloc(0));
  const own = (text: string | undefined): string | undefined => (text === undefined ? undefined : codec.own(text));
  const lines = splitLines(codec.text);
  const task: Task = {
    line: own(wanted.line) ?? '',
    matches: matcher(own(wanted.regexp), own(wanted.search_string)),
    backrefs: wanted.backrefs,
    firstmatch: wanted.firstmatch,
    after: own(wanted.insertafter) ?? (wanted.insertbefore === undefined ? 'EOF' : undefined),
    before: own(wanted.insertbefore),
  };
  if (wanted.state === 'present') {
    const msg = place(lines, task);
    return { after: codec.encode(lines.join('')), msg };
  }
  const { matches, line } = task;
  const kept = lines.filter((each) => (matches ? !matches(each) : bare(each) !== line));
  const found = lines.length - kept.length;
  return { after: codec.encode(kept.join('')), msg: found === 0 ? '' : `${found} line(s) removed`, found };
}

interface Task {
  line: string;
  /** Undefined when neither regexp nor search_string is given. */
  matches: ((line: string) => RegExpExecArray | true | null) | undefined;
  backrefs: boolean;
  firstmatch: boolean;
  after: string | undefined;
  before: string | undefined;
}

function matcher(regexp: string | undefined, search: string | undefined): Task['matches'] {
  if (regexp !== undefined) {
    const compiled = pythonRegex(regexp);
    return (line) => {
      compiled.lastIndex = 0;
      return compiled.exec(line);
    };
  }
  return search === undefined ? undefined : (line) => line.includes(search) || null;
}

function bare(line: string): string {
  return line.replace(/[\r\n]+$/, '');
}

/** Puts the line where it belongs; says what was done. */
function place(lines: string[], { line, matches, backrefs, firstmatch, after, before }: Task): string {
  let at = -1;
  let match: RegExpExecArray | true | null = null;
  for (let i = 0; matches && i < lines.length; i++) {
    const found = matches(lines[i]!);
    if (!found) continue;
    [at, match] = [i, found];
    if (firstmatch) break;
  }
  const pattern = after !== undefined && after !== 'EOF' && after !== 'BOF' ? after : before !== undefined && before !== 'BOF' ? before : undefined;
  const anchor = pattern === undefined ? undefined : matcher(pattern, undefined);
  let insert = -1;
  for (let i = 0; !match && i < lines.length; i++) {
    if (bare(lines[i]!) === line) at = i;
    else if (anchor?.(lines[i]!)) {
      insert = after === undefined ? i : i + 1;
      if (firstmatch) break;
    }
  }
  const ended = `${line}\n`;
  if (at !== -1) {
    const text = backrefs && match && match !== true ? replacement(line)(match) : line;
    const next = text.endsWith('\n') ? text : `${text}\n`;
    if (lines[at] === next) return '';
    lines[at] = next;
    return 'line replaced';
  }
  if (backrefs) return '';
  if (before === 'BOF' || after === 'BOF') lines.unshift(ended);
  else if (after === 'EOF' || insert === -1) {
    if (lines.length > 0 && !/[\r\n]$/.test(lines.at(-1)!)) lines.push('\n');
    lines.push(ended);
  } else {
    // With firstmatch nobody has looked further than the match.
    if (after !== undefined && bare(lines[insert] ?? lines[insert - 1]!) === line) return '';
    if (insert > 0 && !/[\r\n]$/.test(lines[insert - 1]!)) lines[insert - 1] += '\n';
    lines.splice(insert, 0, ended);
  }
  return 'line added';
}
