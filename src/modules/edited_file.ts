/** Text files that are edited: read whole by the inspection, the new text worked out here, put back whole. */
import { isUtf8 } from 'node:buffer';
import { join, sh, type Sh } from '../shell/sh.js';
import { attributeParams, partsOf, type Attributes } from './attributes.js';
import { flagsLook } from './flags.js';
import { fields, look, seenFields, type Entry } from './look.js';
import { ModuleError, type Change, type Output, type Returns, type Step, type TextDiff } from './module.js';
import { replaced, replaceParams, type Around } from './replace_file.js';
import { applyFile, compareFile, readText, wholeFile } from './whole_file.js';
import { hostPath } from './words.js';

/** Longer files are not edited: their content has to travel with every look. */
const LIMIT = 10 * 1024 * 1024;

export interface Edited {
  /** Links followed. */
  entry: Entry;
  umask: number;
  /** Undefined when there is no file. */
  content: Buffer | undefined;
}

export const editParams = { ...attributeParams, ...replaceParams };

export type EditOptions = Attributes & { path: string; backup: boolean; validate?: string | undefined };

/** @param path of a text file; links are followed @param attributes as the task names them */
export function inspectText(path: string, attributes: Attributes = {}): Sh {
  return join([
    look([hostPath(path)], { follow: true, ...flagsLook(attributes) }),
    sh`c=
if [ $k = file ]; then
  [ -r "$p" ] || { echo "$p: no permission to read it" >&2; exit 1; }
  c=$(head -c ${LIMIT + 1} <"$p" | base64) || exit
fi
printf '%s\\000' "$c"`,
  ]);
}

export function parseText(output: Output, path: string): Edited {
  const what = `reading ${path}`;
  const rest = fields(output, what);
  const encoded = rest.pop()!;
  const { entries, umask } = seenFields(rest, 1, what);
  const entry = entries[0]!;
  if (entry.stat === undefined) return { entry, umask, content: undefined };
  if (entry.stat.kind === 'directory') throw new ModuleError(`Path ${entry.path} is a directory !`, { rc: 256 });
  if (entry.stat.kind !== 'file') throw new ModuleError(`${entry.path} is no regular file but a ${entry.stat.kind}`);
  const content = Buffer.from(encoded, 'base64');
  if (content.length > LIMIT) throw new ModuleError(`${entry.path} is longer than ${LIMIT / 1024 / 1024} MiB: too long to be edited`);
  return { entry, umask, content };
}

/**
 * Text of a file and the way back. A file that is no UTF-8 is handled byte by byte, with what is put into it
 * taken as UTF-8, so that not a byte changes beside the edit.
 */
export interface Codec {
  text: string;
  /** A text of the task's, as it looks in this file. */
  own(text: string): string;
  encode(text: string): Buffer;
}

export function decode(content: Buffer): Codec {
  if (isUtf8(content)) return { text: content.toString(), own: (text) => text, encode: (text) => Buffer.from(text) };
  return { text: content.toString('latin1'), own: (text) => Buffer.from(text).toString('latin1'), encode: (text) => Buffer.from(text, 'latin1') };
}

/** Lines with their ends, as Python's bytes.splitlines(True). */
export function splitLines(text: string): string[] {
  return text.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
}

/** @param after the new content; undefined leaves the file, or its absence, alone */
export function compareEdit(options: EditOptions, { entry, umask, content }: Edited, after: Buffer | undefined): Change[] {
  if (after === undefined || (content && after.equals(content))) {
    return content === undefined ? [] : compareFile(wholeFile(content, options), hashed(entry, content), umask);
  }
  return compareFile(wholeFile(after, options), hashed(entry, content), umask);
}

/** The inspection brings the content itself instead of a hash. */
function hashed(entry: Entry, content: Buffer | undefined): Entry {
  return content === undefined ? entry : { ...entry, sha256: wholeFile(content, {}).sha256 };
}

export function applyEdit(options: EditOptions, { entry, umask, content }: Edited, after: Buffer | undefined, changes: readonly Change[], around: Around = {}): Step {
  return applyFile(wholeFile(after ?? content ?? Buffer.alloc(0), { ...options, source: 'the edited text' }), entry, umask, changes, around);
}

export const beforeEdit = readText;

/** `diff` of lineinfile and its like: the text, empty where no diffs are wanted, then what else changes of the file. */
export function editDiff({ path }: EditOptions, changes: readonly Pick<Change, 'field' | 'from' | 'to'>[], texts: readonly TextDiff[]): unknown {
  const headers = (what: string) => ({ before_header: `${path} (${what})`, after_header: `${path} (${what})` });
  const attributes = changes.filter(({ field }) => field !== 'content');
  return [{ before: '', after: '', ...texts[0], ...headers('content') }, { ...(attributes.length > 0 ? partsOf(attributes) : {}), ...headers('file attributes') }];
}

/** `msg` and, when there is one, the place of the backup (`backup_file`). */
export function editResult(options: EditOptions, msg: string, output: Output | undefined): Returns {
  const notes = output ? replaced(output, 1, `writing ${options.path}`).notes : {};
  return { path: options.path, msg, ...notes };
}

export const editReturns = {
  path: 'The file.',
  msg: 'What was done to the text; empty when nothing.',
  backup_file: 'Where the old file was kept, when it was.',
  diff: 'The text before and after, where diffs are wanted.',
};
