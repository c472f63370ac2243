import { dirname } from 'node:path/posix';
import { z } from 'zod';
import { sh } from '../shell/sh.js';
import { attributeParams, describe } from './attributes.js';
import { applyEdit, beforeEdit, compareEdit, decode, editDiff, inspectText, parseText, splitLines, type Edited } from './edited_file.js';
import { defineModule, ModuleError } from './module.js';
import { bool, choice, list, params, path, str } from './params.js';
import { replaced, unsafeWrites } from './replace_file.js';
import { fileReturns, touchesFile, undoFile } from './whole_file.js';
import { hostPath } from './words.js';

const condition = params({
  option: str('An option the section must have.'),
  value: str('The value it must have.').optional(),
  values: list('The values of which it must have one.').optional(),
});

const schema = params({
  path: path('The file; a link is followed.').meta({ aliases: ['dest'] }),
  section: str('The section, without brackets; what stands in front of the first one unless given.').optional(),
  section_has_values: z.array(condition).meta({ description: 'Of several sections of that name the first is meant that has these options.', title: 'list' }).optional(),
  option: str('The option; without one the whole section is meant.').optional(),
  value: str('Its value.').optional(),
  values: list('Its values, of an option that may stand there more than once.').optional(),
  state: choice(['present', 'absent'], 'Whether the option, or the section, shall be there.').default('present'),
  exclusive: bool('Other lines of the option go; with `state: absent` all of them, whatever their value.').default(true),
  no_extra_spaces: bool('No blanks around the `=`.').default(false),
  ignore_spaces: bool('A line that differs in blanks around the `=` only stays as it is.').default(false),
  allow_no_value: bool('An option may stand there without `=` and value.').default(false),
  modify_inactive_option: bool('A line in a comment that sets the option is taken for it, and made active.').default(true),
  create: bool('Make the file, and its folder, where there is none.').default(true),
  follow: bool("Taken for Ansible's sake: a link at the path is always followed.").default(false),
  backup: bool('Keep the old file under its name with process id and time behind it.').default(false),
  unsafe_writes: unsafeWrites,
  ...attributeParams,
}).check((context) => {
  const { state, value, values, allow_no_value } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (value !== undefined && values !== undefined) issue('give value or values, not both', 'values');
  if (state === 'present' && value === undefined && !values?.length && !allow_no_value) issue('state: present needs value or values (or allow_no_value: true)', 'value');
});
type Wanted = (typeof schema)['_zod']['output'];

export const iniFile = defineModule<typeof schema, Edited, Wanted>({
  name: 'ini_file',
  summary: 'Sets options in files of sections and `option = value` lines, or takes them out.',
  params: schema,
  returns: { ...fileReturns, path: 'The file.', msg: 'What was done: `OK` when nothing.' },
  examples: [
    `- ini_file:
    path: /etc/systemd/journald.conf
    section: Journal
    option: SystemMaxUse
    value: 500M
    no_extra_spaces: true
`,
  ],
  inspect: (wanted) => inspectText(wanted.path, wanted),
  parse: (output, { path }) => parseText(output, path),
  compare: (wanted, observed) => compareEdit(wanted, observed, edit(wanted, observed).after),
  apply: (wanted, observed, changes) =>
    applyEdit({ ...wanted, validate: undefined }, observed, edit(wanted, observed).after, changes, wanted.create ? { before: [sh`mkdir -p -- ${hostPath(dirname(wanted.path))}`] } : {}),
  touches: (_wanted, { entry }) => touchesFile(entry),
  undo: (_wanted, { entry }, changes) => undoFile(entry, changes),
  before: (_wanted, _observed, change) => beforeEdit(change),
  diff: (wanted, _observed, changes, texts) => editDiff(wanted, changes, texts),
  result(wanted, observed, output) {
    const done = output ? replaced(output, 1, `writing ${wanted.path}`) : undefined;
    return { ...describe(wanted.path, done ? done.seen.entries[0]!.stat : observed.entry.stat), msg: edit(wanted, observed).msg, ...done?.notes };
  },
});
export default iniFile;

/** What a line sets. */
interface Setting {
  inComment: boolean;
  hasSign: boolean;
  value: string;
}

function reader(option: string): (line: string) => Setting | undefined {
  const pattern = new RegExp(`^[ \\t]*([#;]?)[ \\t]*${literal(option)}[ \\t]*(=|$)[ \\t]*(.*)$`, 's');
  return (line) => {
    const match = pattern.exec(line);
    return match ? { inComment: match[1] !== '', hasSign: match[2] === '=', value: match[3]! } : undefined;
  };
}

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The rules are those of community.general's ini_file: which line counts, what becomes of others, where a new one goes. */
function edit(wanted: Wanted, { content }: Edited): { after: Buffer | undefined; msg: string } {
  if (content === undefined && !wanted.create) throw new ModuleError(`${wanted.path} does not exist; create: true makes it`);
  const codec = decode(content ?? Buffer.alloc(0));
  const own = (text: string): string => codec.own(text);
  const lines = splitLines(codec.text.replace(/^\uFEFF/, '')).map((line) => line.replace(/\r?\n$/, ''));
  if (lines.length === 0) lines.push('');
  const task: Task = {
    ...wanted,
    section: wanted.section === undefined ? undefined : own(wanted.section),
    option: wanted.option === undefined ? undefined : own(wanted.option),
    values: [...new Set((wanted.value === undefined ? (wanted.values ?? []) : [wanted.value]).map(own))],
    conditions: (wanted.section_has_values ?? []).map(({ option, value, values }) => ({ option: own(option), values: (value === undefined ? (values ?? []) : [value]).map(own) })),
  };
  const range = find(lines, task);
  const { from, to } = range ?? { from: lines.length, to: lines.length };
  let section: string[];
  let msg: string;
  if (wanted.state === 'absent') [section, msg] = removed(lines.slice(from, to), task);
  else if (range) [section, msg] = settled(lines.slice(from, to), task);
  else [section, msg] = made(task);
  lines.splice(from, to - from, ...section);
  if (msg === 'OK' && (content === undefined || content.length === 0 || codec.text.endsWith('\n'))) return { after: content, msg };
  const end = codec.text.includes('\r\n') ? '\r\n' : '\n';
  return { after: codec.encode(lines.map((line) => `${line}${end}`).join('')), msg };
}

interface Task extends Omit<Wanted, 'values' | 'section' | 'option'> {
  section: string | undefined;
  option: string | undefined;
  values: readonly string[];
  conditions: readonly { option: string; values: readonly string[] }[];
}

/** The lines of the section, its head among them. */
function find(lines: readonly string[], { section, conditions }: Task): { from: number; to: number } | undefined {
  const fits = (from: number, to: number): boolean =>
    conditions.every(({ option, values }) => {
      const read = reader(option);
      return lines.slice(from, to).some((line) => {
        const setting = read(line);
        return setting && (values.length === 0 || values.includes(setting.value));
      });
    });
  const heads = lines.flatMap((line, i) => (line.startsWith('[') ? [i] : []));
  const ends = [...heads, lines.length];
  if (section === undefined || section === '') return fits(0, ends[0]!) ? { from: 0, to: ends[0]! } : undefined;
  const head = new RegExp(`^\\[\\s*${literal(section.trim())}\\s*\\]`);
  for (const [i, from] of heads.entries()) if (head.test(lines[from]!) && fits(from, ends[i + 1]!)) return { from, to: ends[i + 1]! };
  return undefined;
}

/** The section with the option set; says what was done. */
function settled(section: readonly string[], task: Task): [string[], string] {
  const { option, exclusive, allow_no_value: bareAllowed } = task;
  if (option === undefined) return [[...section], 'OK'];
  const sign = task.no_extra_spaces ? '=' : ' = ';
  const read = reader(option);
  const lines = section.map((text) => ({ text: text as string | undefined, done: false }));
  let msg = 'OK';
  let missing = [...task.values];
  let bare = missing.length > 0 || !bareAllowed;
  const settingOf = (line: { text: string | undefined }): Setting | undefined => {
    const setting = line.text === undefined ? undefined : read(line.text);
    return setting?.inComment && !task.modify_inactive_option ? undefined : setting;
  };
  const put = (line: { text: string | undefined; done: boolean }, setting: Setting, text: string, value: string): void => {
    line.done = true;
    if (line.text === text || (task.ignore_spaces && !setting.inComment && setting.value === value)) return;
    line.text = text;
    msg = 'option changed';
  };
  // First the lines that have one of the values already.
  for (const line of lines) {
    const setting = settingOf(line);
    if (!setting) continue;
    if (missing.includes(setting.value)) {
      const isBare = setting.value === '' && bareAllowed;
      put(line, setting, isBare ? option : `${option}${sign}${setting.value}`, setting.value);
      missing = missing.filter((value) => value !== setting.value);
    } else if (!bare) {
      put(line, setting, option, '');
      bare = true;
      break;
    }
  }
  // Then others of the option, which take what is left or go. Words of a comment that set nothing are left alone.
  if (exclusive && !bareAllowed) {
    for (const line of lines) {
      const setting = line.done ? undefined : settingOf(line);
      if (!setting || (setting.inComment && !setting.hasSign)) continue;
      const value = missing.shift();
      if (value !== undefined) put(line, setting, `${option}${sign}${value}`, value);
      else {
        line.text = undefined;
        msg = 'option changed';
      }
    }
  }
  const kept = lines.flatMap(({ text }) => (text === undefined ? [] : [text]));
  const added = bare ? missing.map((value) => `${option}${sign}${value}`) : [option];
  if (added.length === 0) return [kept, msg];
  const last = kept.findLastIndex((line) => !/^[ \t]*([#;].*)?$/s.test(line));
  kept.splice(last + 1, 0, ...added);
  return [kept, 'option added'];
}

/** A new section, with the options it is known by. */
function made({ section, option, values, conditions, exclusive, allow_no_value: bareAllowed, no_extra_spaces }: Task): [string[], string] {
  const sign = no_extra_spaces ? '=' : ' = ';
  const all = [...values];
  const known = conditions.flatMap((condition) => {
    if (condition.option !== option) return condition.values.length > 0 ? condition.values.map((value) => `${condition.option}${sign}${value}`) : bareAllowed ? [condition.option] : [];
    if (!exclusive) all.push(...condition.values.filter((value) => !all.includes(value)));
    return [];
  });
  const own = option === undefined ? [] : all.length > 0 ? all.map((value) => `${option}${sign}${value}`) : bareAllowed ? [option] : [];
  return [[...(section ? [`[${section}]`] : []), ...known, ...own], own.length > 0 ? 'section and option added' : 'only section added'];
}

/** The section less the option, or nothing. Lines in comments stay. */
function removed(section: readonly string[], { option, values, exclusive }: Task): [string[], string] {
  if (option === undefined) return section.length > 0 ? [[], 'section removed'] : [[], 'OK'];
  const read = reader(option);
  const kept = section.filter((line) => {
    const setting = read(line);
    return !setting || setting.inComment || !(exclusive || values.includes(setting.value));
  });
  return kept.length < section.length ? [kept, 'option changed'] : [kept, 'OK'];
}
