import { basename } from 'node:path';
import { templateOptions } from '../expression/index.js';
import { attributeParams } from './attributes.js';
import { inspectDestination, makeFolder, parseDestination, type Destination, type Found } from './destination.js';
import { encoderOf } from './encode.js';
import { flagsLook } from './flags.js';
import { defineModule } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { replaceParams } from './replace_file.js';
import { modeOf } from './source.js';
import { applyFile, compareFile, fileDiff, fileResult, fileReturns, readText, touchesFile, undoFile, wholeFile, type WholeFile } from './whole_file.js';

const schema = params({
  src: path('Template on the controller: `.hbs` renders as Handlebars, any other name (`.j2`) as Jinja. Looked for in `templates/` of role, playbook and project.'),
  dest: path('Where the file goes on the host; in a folder it keeps its name.'),
  newline_sequence: choice(['\n', '\r', '\r\n', '\\n', '\\r', '\\r\\n'], 'Line ends of the file.').default('\n'),
  force: bool('Replace a file that is there and differs; otherwise only a missing one is written.').default(true),
  follow: bool('Follow a symbolic link at the destination; otherwise it is replaced by a file.').default(false),
  output_encoding: str('Character set of the file: utf-8, utf-16, ascii, iso-8859-1, windows-1252 or another of one byte a character.')
    .refine((name) => encoderOf(name) !== undefined, { message: 'this character set is not known, or has several bytes a character' })
    .default('utf-8'),
  block_start_string: str('What opens a statement of a Jinja template, in place of `{%`.').optional(),
  block_end_string: str('What closes a statement, in place of `%}`.').optional(),
  variable_start_string: str('What opens an expression, in place of `{{`.').optional(),
  variable_end_string: str('What closes an expression, in place of `}}`.').optional(),
  comment_start_string: str('What opens a comment, in place of `{#`.').optional(),
  comment_end_string: str('What closes a comment, in place of `#}`.').optional(),
  trim_blocks: bool('Drop the line break right behind a statement of a Jinja template, as is done unless this is false.').optional(),
  lstrip_blocks: bool('Drop white space before a statement at the start of its line.').optional(),
  ...attributeParams,
  ...replaceParams,
});

interface Wanted extends Destination {
  src: string;
  force: boolean;
  file: WholeFile;
}

export const template = defineModule<typeof schema, Found, Wanted>({
  name: 'template',
  summary: 'Renders a template and puts the text on the host.',
  params: schema,
  returns: { ...fileReturns, src: 'Path of the template on the controller.' },
  examples: [
    `- name: HAProxy's configuration
  template:
    src: haproxy.cfg.hbs
    dest: /etc/haproxy/haproxy.cfg
    mode: "0640"
    group: haproxy
    validate: haproxy -c -f %s
  notify: reload haproxy
`,
  ],
  async prepare(args, controller) {
    const src = await controller.find(args.src, 'templates');
    const { text } = await controller.render(src, templateOptions(new Map(Object.entries(args))), args.dest);
    const newline = args.newline_sequence.replace('\\r', '\r').replace('\\n', '\n');
    const lines = newline === '\n' ? text : text.replace(/\r?\n/g, newline);
    const encoded = encoderOf(args.output_encoding)!(lines);
    const mode = await modeOf(args.mode, src);
    return { src, dest: args.dest, base: basename(src), follow: args.follow, force: args.force, file: { ...wholeFile(encoded, { ...args, mode, source: args.src }), from: src } };
  },
  inspect: (wanted) => inspectDestination(wanted, { checksum: true, ...flagsLook(wanted.file) }),
  parse: (output, wanted) => parseDestination(output, wanted, { checksum: true }),
  compare({ file, force }, { entry, umask }) {
    const changes = compareFile(file, entry, umask);
    return force || entry.stat === undefined ? changes : changes.filter(({ field }) => field !== 'content');
  },
  apply: (wanted, { entry, umask }, changes) => applyFile(wanted.file, entry, umask, changes, { before: [makeFolder(wanted)] }),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => readText(change),
  diff: (_wanted, { entry }, changes, texts) => fileDiff(entry, changes, texts),
  result: ({ src, file }, { entry, umask }, output) => ({ ...fileResult(file, entry, umask, output), src }),
});
export default template;
