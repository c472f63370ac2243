import { Failure, pythonRegex, replacement, substitute } from '../expression/index.js';
import { applyEdit, beforeEdit, compareEdit, decode, editParams, editResult, editReturns, inspectText, parseText, type Edited } from './edited_file.js';
import { defineModule, ModuleError } from './module.js';
import { choice, params, path, str } from './params.js';
import { touchesFile, undoFile } from './whole_file.js';

const schema = params({
  path: path('The file; a link is followed.').meta({ aliases: ['dest', 'destfile', 'name'] }),
  regexp: str('What to look for in the whole text; ^ and $ match at every line.'),
  replace: str('What to put in its place; groups as \\1 or \\g<name>. Without it, what was found is removed.').default(''),
  after: str('Only the text behind the first match of this counts; . matches newlines.').optional(),
  before: str('Only the text in front of the first match of this counts; . matches newlines.').optional(),
  encoding: choice(['utf-8'], 'Character set of the file; others are edited byte by byte.').default('utf-8'),
  ...editParams,
});

type Wanted = typeof schema._output;

export const replace = defineModule<typeof schema, Edited>({
  name: 'replace',
  summary: 'Replaces every match of a regular expression in a file.',
  params: schema,
  returns: editReturns,
  examples: [
    `- replace:
    path: /etc/hosts
    regexp: '(\\s+)old\\.example\\.com(\\s+.*)?$'
    replace: '\\1new.example.com\\2'
`,
  ],
  async prepare(args) {
    // Before the file is looked at.
    understood(() => [pythonRegex(args.regexp, 'm'), replacement(args.replace)]);
    return args;
  },
  inspect: (wanted) => inspectText(wanted.path, wanted),
  parse: (output, { path }) => parseText(output, path),
  compare: (wanted, observed) => compareEdit(wanted, observed, edit(wanted, observed).after),
  apply: (wanted, observed, changes) => applyEdit(wanted, observed, edit(wanted, observed).after, changes),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => beforeEdit(change),
  diff: (_wanted, _observed, _changes, texts) => texts[0],
  result: (wanted, observed, output) => editResult(wanted, edit(wanted, observed).msg, output),
  // A pattern may match its own replacement (`a` -> `aa`): Ansible changes such a file with every run.
  verify: ({ regexp, replace: text }) => substitute(pythonRegex(regexp, 'm'), text, replacement(text)) === text,
});
export default replace;

function edit(wanted: Wanted, { content }: Edited): { after: Buffer; msg: string } {
  if (content === undefined) throw new ModuleError(`Path ${wanted.path} does not exist !`, { rc: 257 });
  const codec = decode(content);
  const own = (text: string | undefined): string | undefined => (text === undefined ? undefined : codec.own(text));
  const part = section(own(wanted.after), own(wanted.before));
  const [start, end] = part === undefined ? [0, codec.text.length] : find(codec.text, part);
  if (start === -1) return { after: content, msg: `Pattern for before/after params did not match the given file: ${part}` };
  let count = 0;
  // The section stands for itself: ^ matches where it begins.
  const changed = understood(() => {
    const by = replacement(codec.own(wanted.replace));
    return substitute(pythonRegex(codec.own(wanted.regexp), 'm'), codec.text.slice(start, end), (match) => {
      count++;
      return by(match);
    });
  });
  const after = codec.encode(codec.text.slice(0, start) + changed + codec.text.slice(end));
  return { after, msg: after.equals(content) ? '' : `${count} replacements made` };
}

/** @throws ModuleError where a pattern or a reference to its groups is wrong */
function understood<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof Failure ? new ModuleError(`Unable to process replace due to error: ${error.message}`) : error;
  }
}

/** The pattern of what after and before leave; undefined when that is all. */
function section(after: string | undefined, before: string | undefined): string | undefined {
  if (after === undefined && before === undefined) return undefined;
  const middle = after !== undefined && before !== undefined ? '.*?' : '.*';
  return `${after ?? ''}(?P<subsection>${middle})${before ?? ''}`;
}

/** Start and end of the part; -1 when the pattern does not match. */
function find(text: string, pattern: string): [number, number] {
  const regexp = pythonRegex(pattern, 's');
  return new RegExp(regexp.source, `${regexp.flags}d`).exec(text)?.indices?.groups?.['subsection'] ?? [-1, -1];
}
