import { basename } from 'node:path';
import { bytes, join, raw, sh } from '../shell/sh.js';
import { applyEdit, beforeEdit, compareEdit, decode, inspectText, parseText, splitLines, type EditOptions, type Edited } from './edited_file.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Output, type Returns } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { attributesOf, undoFile } from './whole_file.js';
import { hostPath } from './words.js';
import { replaced } from './replace_file.js';

const schema = params({
  name: str('What the job is called in the comment above it, or with `env` the variable.'),
  job: str('The command, or with `env` the value.').meta({ aliases: ['value'] }).optional(),
  state: choice(['present', 'absent'], 'Whether the job or variable shall be there.').default('present'),
  user: str("Whose crontab; the connecting user's unless given. With `cron_file` who runs the job.").optional(),
  cron_file: path('A file instead of a crontab: absolute, or a name in /etc/cron.d.').optional(),
  minute: str('0-59, *, */2.').default('*'),
  hour: str('0-23, *, */2.').default('*'),
  day: str('Day of the month: 1-31, *, */2.').meta({ aliases: ['dom'] }).default('*'),
  month: str('1-12, jan-dec, *, */2.').default('*'),
  weekday: str('0-6 from Sunday, sun-sat, *.').meta({ aliases: ['dow'] }).default('*'),
  special_time: choice(['annually', 'daily', 'hourly', 'monthly', 'reboot', 'weekly', 'yearly'], 'A time with a name, instead of the five fields.').optional(),
  disabled: bool('The job stands in a comment and does not run.').default(false),
  env: bool('About a variable instead of a job.').default(false),
  insertafter: str('A new variable goes behind this one.').optional(),
  insertbefore: str('A new variable goes in front of this one.').optional(),
  backup: bool('Keep the old text; `backup_file` says where.').default(false),
});

type Wanted = typeof schema._output & {
  /** The value of a variable stands as it is given, without quotation marks of its own: `cronvar`. */
  isBare?: boolean;
};

export const cron = defineModule<typeof schema, Edited, Wanted>({
  name: 'cron',
  summary: 'Puts jobs and variables into crontabs.',
  params: schema,
  returns: { jobs: 'Names of the jobs that stand there now.', envs: 'Names of the variables.', cron_file: 'The file, when one was given.', backup_file: 'Where the old text was kept, when it was.' },
  examples: [
    `- cron:
    name: correct drift
    minute: "*/5"
    job: muster drift --fix playbooks/site.yml
`,
  ],
  async prepare(args) {
    const plainTime = [args.minute, args.hour, args.day, args.month, args.weekday].every((field) => field === '*');
    if (args.cron_file === '/etc/crontab') throw new ModuleError('Will not manage /etc/crontab via cron_file, see documentation.');
    if (args.insertafter !== undefined && args.insertbefore !== undefined) throw new ModuleError('parameters are mutually exclusive: insertafter|insertbefore');
    if ((args.insertafter ?? args.insertbefore) !== undefined && !args.env && args.state === 'present') throw new ModuleError('Insertafter and insertbefore parameters are valid only with env=yes');
    if (args.env && /\s/.test(args.name)) throw new ModuleError('Invalid name for environment variable');
    if (args.special_time !== undefined && !plainTime) throw new ModuleError('You must specify time and date fields or special time.');
    if (args.state === 'present' && args.job === undefined) throw new ModuleError("You must specify 'job' to install a new cron job or variable");
    if (args.cron_file !== undefined && args.user === undefined && args.state === 'present' && !args.env) throw new ModuleError('To use cron_file=... parameter you must specify user=... as well');
    for (const [field, text] of Object.entries(args)) {
      if (typeof text === 'string' && /\n./.test(text) && field !== 'cron_file') throw new ModuleError(`cron: ${field} must be one line`);
    }
    return args;
  },
  inspect(wanted) {
    const file = fileOf(wanted);
    if (file !== undefined) return inspectText(file);
    // crontab has no exit status of its own for "none"; the messages are those of Vixie's cron and of busybox, in the C locale.
    return raw(`command -v crontab >/dev/null || { echo 'there is no crontab command on the host: install cron (package cron, cronie or busybox) first' >&2; exit 1; }
if c=$(LC_ALL=C crontab -l ${who(wanted)} 2>&1 && echo x); then
  printf 'is\\000%s\\000' "$(printf %s "\${c%x}" | base64)"
else
  case $c in *'no crontab for'* | *"can't open"*'No such file'*) printf 'none\\000\\000' ;; *) printf '%s\\n' "$c" >&2; exit 1 ;; esac
fi`);
  },
  parse(output, wanted) {
    const file = fileOf(wanted);
    if (file !== undefined) return parseText(output, file);
    const [is, encoded] = fields(output, 'reading the crontab');
    const entry = { path: `crontab${wanted.user === undefined ? '' : ` of ${wanted.user}`}`, stat: undefined, target: undefined, sha256: undefined };
    return { entry, umask: 0o022, content: is === 'is' ? withoutHeader(Buffer.from(encoded!, 'base64')) : undefined };
  },
  compare(wanted, observed) {
    const { after } = edit(wanted, observed);
    if (empties(wanted, observed)) return [{ field: 'state', from: 'present', to: 'absent', text: { path: observed.entry.path, after: null } }];
    if (fileOf(wanted) !== undefined) return compareEdit(options(wanted), observed, after);
    const text = observed.content?.toString() ?? '';
    if (after === undefined || after.toString() === text) return [];
    return [{ field: 'content', from: observed.content === undefined ? null : 'crontab', to: 'crontab', text: { path: observed.entry.path, after: after.toString() } }];
  },
  apply(wanted, observed, changes) {
    const { after } = edit(wanted, observed);
    const removed = empties(wanted, observed);
    if (fileOf(wanted) !== undefined && !removed) return applyEdit(options(wanted), observed, after, changes);
    const keep = wanted.backup && observed.content !== undefined ? sh`b=$(mktemp "\${TMPDIR:-/tmp}/crontabXXXXXX") && ${bytes(observed.content)} >"$b" && printf 'backup_file\\000%s\\000' "$b" || exit` : join([]);
    if (removed) return { script: join([keep, sh`rm -f -- ${hostPath(observed.entry.path)} || exit`, raw(`printf 'look\\0000022\\000'`)]) };
    return { script: join([keep, sh`${bytes(after!)} | crontab ${raw(who(wanted))} - || exit`, raw(`printf 'look\\0000022\\000'`)]) };
  },
  undo(wanted, observed, changes) {
    const { name, user, env, state } = wanted;
    const { path, stat: was } = observed.entry;
    if (empties(wanted, observed)) return [{ module: 'copy', args: { dest: path, ...attributesOf(was!) }, old: hostPath(path) }];
    if (fileOf(wanted) !== undefined) return undoFile(observed.entry, changes);
    const had = splitLines((observed.content ?? Buffer.alloc(0)).toString()).some((line) => (env ? VARIABLE.exec(line)?.[1] === name : line.trim() === `${MARK}${name.trim()}`));
    if (had || state === 'absent') throw new ModuleError(`what ${observed.entry.path} had for "${name}" was not kept`);
    return [{ module: 'cron', args: { name, user, env, state: 'absent' } }];
  },
  before: (wanted, _observed, change) => (fileOf(wanted) === undefined ? sh`crontab -l ${raw(who(wanted))} 2>/dev/null || :` : beforeEdit(change)),
  diff: (_wanted, _observed, _changes, texts) => texts[0],
  result(wanted, observed, output): Returns {
    const { after } = edit(wanted, observed);
    const lines = splitLines((after ?? observed.content ?? Buffer.alloc(0)).toString()).map((line) => line.trim());
    return {
      jobs: lines.filter((line) => line.startsWith(MARK)).map((line) => line.slice(MARK.length)),
      envs: lines.flatMap((line) => VARIABLE.exec(line)?.[1] ?? []),
      ...(wanted.cron_file === undefined ? {} : { cron_file: wanted.cron_file }),
      ...(wanted.cron_file === undefined || /^[\w-]+$/.test(basename(wanted.cron_file)) ? {} : { warnings: [`cron may pass over the file ${wanted.cron_file}: its name should hold only letters, digits, _ and -`] }),
      ...notes(wanted, observed, output),
    };
  },
});
export default cron;

const MARK = '#Ansible: ';
const VARIABLE = /^([A-Za-z_]\w*)\s*=/;

/** A file of cron that lost its last job, and holds nothing else, goes too. */
function empties(wanted: Wanted, observed: Edited): boolean {
  if (fileOf(wanted) === undefined || wanted.env || wanted.state === 'present' || observed.content === undefined) return false;
  const { after } = edit(wanted, observed);
  return after !== undefined && !after.equals(observed.content) && after.toString().trim() === '';
}

function notes(wanted: Wanted, observed: Edited, output: Output | undefined): Returns {
  return output ? replaced(output, fileOf(wanted) === undefined || empties(wanted, observed) ? 0 : 1, 'writing the crontab').notes : {};
}

function fileOf({ cron_file }: Wanted): string | undefined {
  return cron_file === undefined || cron_file.includes('/') ? cron_file : `/etc/cron.d/${cron_file}`;
}

function who({ user }: Wanted): string {
  return user === undefined ? '' : sh`-u ${user}`.text;
}

function options(wanted: Wanted): EditOptions {
  return { path: fileOf(wanted)!, backup: wanted.backup };
}

/** `crontab -l` of some systems shows three lines that `crontab` itself wrote; they are no part of the text. */
function withoutHeader(content: Buffer): Buffer {
  const lines = splitLines(content.toString());
  const header = [/^# DO NOT EDIT THIS FILE - edit the master and reinstall\./, /^# \(\/tmp\/.*installed on.*\)/, /^# \(.*version.*\)/];
  return Buffer.from(lines.filter((line, i) => !(i < 3 && header.some((each) => each.test(line)))).join(''));
}

function edit(wanted: Wanted, { content }: Edited): { after: Buffer | undefined } {
  if (content === undefined && wanted.state === 'absent') return { after: undefined };
  const codec = decode(content ?? Buffer.alloc(0));
  const lines = splitLines(codec.text).map((line) => line.replace(/\r?\n$/, ''));
  const own = (text: string): string => codec.own(text).trim();
  if (wanted.env) editVariable(lines, wanted, own);
  else editJob(lines, wanted, own);
  return { after: codec.encode(lines.map((line) => `${line}\n`).join('')) };
}

function editVariable(lines: string[], { name, job, state, insertafter, insertbefore, isBare }: Wanted, own: (text: string) => string): void {
  const find = (variable: string): number => lines.findIndex((line) => VARIABLE.exec(line)?.[1] === variable);
  const at = find(name);
  if (state === 'absent') {
    if (at !== -1) lines.splice(at, 1);
    return;
  }
  const line = isBare ? `${name}=${own(job!)}` : `${name}="${own(job!)}"`;
  if (isBare && at !== -1 && lines[at]!.replace(/^[^=]*=/, '').trim() === own(job!)) return;
  if (at !== -1) {
    lines[at] = line;
    return;
  }
  const neighbour = insertafter ?? insertbefore;
  const beside = neighbour === undefined ? -1 : find(neighbour);
  if (neighbour !== undefined && beside === -1) throw new ModuleError(`Variable named '${neighbour}' not found.`);
  lines.splice(insertafter === undefined ? Math.max(beside, 0) : beside + 1, 0, line);
}

function editJob(lines: string[], wanted: Wanted, own: (text: string) => string): void {
  const mark = `${MARK}${own(wanted.name)}`;
  const at = lines.findIndex((line) => line.trim() === mark);
  if (wanted.state === 'absent') {
    if (at !== -1) lines.splice(at, 2);
    return;
  }
  const line = jobLine(wanted, own(wanted.job!));
  // A job that stands there without its mark gets one.
  const bare = at === -1 ? lines.findIndex((each, i) => each === line && !lines[i - 1]?.startsWith(MARK)) : -1;
  if (at !== -1) lines.splice(at, 2, mark, line);
  else if (bare !== -1) lines.splice(bare, 0, mark);
  else lines.push(mark, line);
}

/** crontab(5); in system files the user stands in front of the command. */
function jobLine(wanted: Wanted, job: string): string {
  const { minute, hour, day, month, weekday, special_time: special, user } = wanted;
  const time = special === undefined ? `${minute} ${hour} ${day} ${month} ${weekday}` : `@${special}`;
  return `${wanted.disabled ? '#' : ''}${time} ${wanted.cron_file === undefined ? '' : `${user} `}${job}`;
}
