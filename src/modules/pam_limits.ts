import { applyEdit, beforeEdit, compareEdit, decode, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { defineModule } from './module.js';
import { bool, choice, params, str } from './params.js';
import { replaced } from './replace_file.js';
import { touchesFile, undoFile } from './whole_file.js';

const UNLIMITED = ['unlimited', 'infinity', '-1'];

const schema = params({
  domain: str('Whom it is about: a user, @group, *, or a range of ids (limits.conf(5)).'),
  limit_type: choice(['hard', 'soft', '-'], 'Which of the two limits; `-` is both.'),
  limit_item: choice(
    ['core', 'data', 'fsize', 'memlock', 'nofile', 'rss', 'stack', 'cpu', 'nproc', 'as', 'maxlogins', 'maxsyslogins', 'priority', 'locks', 'sigpending', 'msgqueue', 'nice', 'rtprio', 'chroot'],
    'What is limited.',
  ),
  value: str('The limit: a number, or unlimited, infinity or -1.'),
  use_max: bool('A higher value that stands there stays.').default(false),
  use_min: bool('A lower value that stands there stays.').default(false),
  dest: str('The file.').default('/etc/security/limits.conf'),
  comment: str('Comment behind the line.').default(''),
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
}).check((context) => {
  const { limit_item: item, value, use_max, use_min } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (use_max && use_min) issue('give use_max or use_min, not both', 'use_min');
  if (item === 'nice' || item === 'priority') {
    if (!/^-?\d+$/.test(value) || Number(value) < -20 || Number(value) > 19) issue(`${item} is a number from -20 to 19, not "${value}"`, 'value');
  } else if (item !== 'chroot' && !UNLIMITED.includes(value) && !/^\d+$/.test(value)) issue(`"${value}" is no limit: a number, unlimited, infinity or -1`, 'value');
});
type Wanted = (typeof schema)['_zod']['output'];

export const pamLimits = defineModule<typeof schema, Edited, Wanted>({
  name: 'pam_limits',
  summary: 'Sets limits of users and groups in limits.conf.',
  params: schema,
  returns: { msg: 'The line.', backup_file: 'Where the old file was kept, when it was.' },
  examples: [
    `- pam_limits:
    domain: haproxy
    limit_type: "-"
    limit_item: nofile
    value: "64000"
`,
  ],
  inspect: ({ dest }) => inspectText(dest),
  parse: (output, { dest }) => parseText(output, dest),
  compare: (wanted, observed) => compareEdit(options(wanted), observed, edit(wanted, observed).after),
  apply: (wanted, observed, changes) => applyEdit(options(wanted), observed, edit(wanted, observed).after, changes),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => beforeEdit(change),
  diff: (_wanted, _observed, _changes, texts) => texts[0],
  result: (wanted, observed, output) => ({ msg: edit(wanted, observed).line, ...(output ? replaced(output, 1, `writing ${wanted.dest}`).notes : {}) }),
});
export default pamLimits;

const options = ({ dest, backup }: Wanted): { path: string; backup: boolean } => ({ path: dest, backup });

/** limits.conf(5): four words to a line; what follows a # is a comment. */
function edit(wanted: Wanted, { content }: Edited): { after: Buffer; line: string } {
  const { domain, limit_type: type, limit_item: item, value, comment } = wanted;
  const codec = decode(content ?? Buffer.alloc(0));
  let line: string | undefined;
  const lines = splitLines(codec.text).map((each) => {
    const [text, ...rest] = each.trimEnd().split('#');
    const words = text!.trim().split(/\s+/);
    if (words.length !== 4 || words[0] !== codec.own(domain) || words[1] !== type || words[2] !== item) return each;
    const next = chosen(wanted, words[3]!);
    line = next === words[3] ? each : written(next, codec.own(comment) || rest.join('#'));
    return line;
  });
  if (line === undefined) {
    line = written(value, codec.own(comment));
    if (lines.length > 0 && !lines.at(-1)!.endsWith('\n')) lines.push('\n');
    lines.push(line);
  }
  return { after: codec.encode(lines.join('')), line };

  function written(limit: string, behind: string): string {
    return `${codec.own(domain)}\t${type}\t${item}\t${limit}${behind === '' ? '' : `\t#${behind}`}\n`;
  }
}

/** The higher or lower of two values where the task asks for that. -1 is a number to nice and priority only. */
function chosen({ limit_item: item, value, use_max, use_min }: Wanted, present: string): string {
  if (!use_max && !use_min) return value;
  const size = (limit: string): number => (UNLIMITED.includes(limit) && item !== 'nice' && item !== 'priority' ? Infinity : Number(limit));
  return (use_max ? size(present) >= size(value) : size(present) <= size(value)) ? present : value;
}
