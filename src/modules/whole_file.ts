/** One file with known new content: how copy, template, lineinfile and their like compare and put it. */
import { createHash } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { sh, type Sh } from '../shell/sh.js';
import { applyAttributes, compareAttributes, labelsOf, contextParts, describe, newMode, octal, partsOf, resolveMode, type Attributes } from './attributes.js';
import { type Entry, type Stat } from './look.js';
import { ModuleError, type Back, type Change, type Output, type Returns, type Step, type TextDiff, type Touched } from './module.js';
import { replaced, replaceFiles, type Around, type Content, type Replacement } from './replace_file.js';
import { hostPath } from './words.js';

export interface WholeFile extends Attributes {
  content: Content;
  /** Undefined of a long file, until one of its size is found. */
  sha256: string | undefined;
  /** For a diff; undefined where the content is no text or is too long to show. */
  text: string | undefined;
  size: number;
  /** It comes from an encrypted file: neither text nor hash is shown. */
  isSecret?: boolean;
  /** Hex SHA-1 and MD5 of what is not at hand, for results. */
  checksum?: string | undefined;
  md5sum?: string | undefined;
  backup?: boolean;
  validate?: string | undefined;
  /** What the content is made from, for messages. */
  source?: string | undefined;
  /** The file of the controller it is made from. */
  from?: string | undefined;
}

export type Options = Attributes & Pick<WholeFile, 'backup' | 'validate' | 'source'>;

/** Content longer than this is not shown as a diff. */
const SHOWN = 1024 * 1024;

const hash = (algorithm: string, bytes: Buffer): string => createHash(algorithm).update(bytes).digest('hex');

export function wholeFile(bytes: Buffer, options: Options): WholeFile {
  const isText = bytes.length <= SHOWN && isUtf8(bytes) && !bytes.includes(0);
  return {
    ...pick(options),
    content: { bytes },
    sha256: hash('sha256', bytes),
    text: isText ? bytes.toString() : undefined,
    size: bytes.length,
  };
}

/** Hex SHA-1 of the content, where it is at hand or was found out. */
export function checksumOf({ content, checksum }: WholeFile): string | undefined {
  return 'bytes' in content ? hash('sha1', content.bytes) : checksum;
}

function pick({ owner, group, mode, backup, validate, source, ...others }: Options): Options {
  return { owner, group, mode, validate, source, ...labelsOf(others), ...(backup === undefined ? {} : { backup }) };
}

/** @throws ModuleError where something stands that is no file */
export function compareFile(file: WholeFile, entry: Entry, umask: number): Change[] {
  const was = regular(entry);
  const attributes = was ? compareAttributes(file, was, umask) : [];
  const { sha256, size } = file;
  if (was && sha256 !== undefined && entry.sha256 === sha256) return attributes;
  const shown = (hash: string | undefined, bytes: number): string => (sha256 === undefined ? `${bytes} bytes` : `sha256:${hash}`);
  const change: Change = { field: 'content', from: was ? shown(entry.sha256, was.size) : null, to: shown(sha256, size) };
  if (file.isSecret) change.secret = true;
  else if (file.text !== undefined && (was?.size ?? 0) <= SHOWN) change.text = { path: entry.path, source: file.from, after: file.text };
  return [change, ...attributes];
}

/** The regular file that is there; a link counts as nothing (it will be replaced). */
function regular({ path, stat }: Entry): Stat | undefined {
  if (stat === undefined || stat.kind === 'link') return undefined;
  if (stat.kind !== 'file') throw new ModuleError(`${path} is there and is no regular file but a ${stat.kind}`);
  return stat;
}

/** The replacement that gives the file its content, owner, group and mode. */
export function replacement(file: WholeFile, entry: Entry, umask: number): Replacement {
  const was = regular(entry);
  return {
    path: hostPath(entry.path),
    was,
    content: file.content,
    owner: file.owner,
    group: file.group,
    mode: was && file.mode !== undefined ? resolveMode(file.mode, was.mode, false, umask) : newMode(file.mode, false, umask),
    labels: labelsOf(file),
    validate: file.validate,
    source: file.source,
    backup: file.backup ?? false,
  };
}

/** Makes the changes of compareFile(). */
export function applyFile(file: WholeFile, entry: Entry, umask: number, changes: readonly Change[], around: Around = {}): Step {
  const path = hostPath(entry.path);
  if (changes.some(({ field }) => field === 'content')) return replaceFiles([replacement(file, entry, umask)], [path], around);
  const attributes = entry.stat === undefined ? [] : [applyAttributes(path, file, entry.stat, umask, changes)];
  return replaceFiles([], [path], { ...around, after: [...attributes, ...(around.after ?? [])] });
}

/** What applyFile() touches. */
export function touchesFile({ path }: Entry): Touched {
  return { paths: [hostPath(path)] };
}

/** The way back from changes of a file: its old content, owner and mode, the link it was, or nothing. */
export function undoFile({ path, stat, target }: Entry, changes: readonly Change[]): Back[] {
  if (stat === undefined) return [gone(path, changes)];
  if (stat.kind === 'link') return [{ module: 'file', args: { path, src: target, state: 'link', force: true, follow: false } }];
  if (!changes.some(({ field }) => field === 'content')) return [undoAttributes(path, stat, changes)];
  return [{ module: 'copy', args: { dest: path, ...attributesOf(stat) }, old: hostPath(path) }];
}

/** Takes away a file that was made, if it still is what was made. */
function gone(path: string, changes: readonly Change[]): Back {
  const made = changes.find(({ field }) => field === 'content')?.to;
  const only = typeof made === 'string' ? /^sha256:([0-9a-f]{64})$/.exec(made)?.[1] : undefined;
  return { module: 'file', args: { path, state: 'absent', ...(only === undefined ? {} : { only }) }, above: hostPath(path) };
}

/** Owner, group, mode, context and flags of what is there, as parameters. */
export function attributesOf(stat: Stat): Attributes {
  const name = (text: string, id: number) => (text === 'UNKNOWN' ? String(id) : text);
  return { owner: name(stat.owner, stat.uid), group: name(stat.group, stat.gid), mode: octal(stat.mode), ...contextParts(stat), ...(stat.flags === undefined ? {} : { attributes: `=${stat.flags}` }) };
}

/** The way back from changes of owner, group, mode, context and flags. */
export function undoAttributes(path: string, stat: Stat, changes: readonly Change[]): Back {
  const had = Object.entries(attributesOf(stat)).filter(([field]) => changes.some((change) => change.field === field));
  return { module: 'file', args: { path, ...Object.fromEntries(had) } };
}

/** The present text of a file, nothing where there is none. */
export function readText(change: Change): Sh {
  const path = hostPath(change.text!.path);
  return sh`[ ! -f ${path} ] || cat -- ${path}`;
}

/** `diff` of copy and template: a list of the text that changes; else, as of `file`, what else changes of the file. */
export function fileDiff({ path }: Entry, changes: readonly Pick<Change, 'field' | 'from' | 'to'>[], texts: readonly TextDiff[]): unknown {
  return changes.some(({ field }) => field === 'content') ? texts : partsOf(changes, { path });
}

/** What copy and its like return. Without output: what is there, or what would be. */
export function fileResult(file: WholeFile, entry: Entry, umask: number, output: Output | undefined): Returns {
  const done = output ? replaced(output, 1, `writing ${entry.path}`) : undefined;
  const stat = done ? done.seen.entries[0]!.stat : entry.stat;
  const { path, ...rest } = describe(entry.path, stat);
  const predicted = { state: 'file', ...(file.owner === undefined ? {} : { owner: file.owner }), ...(file.group === undefined ? {} : { group: file.group }) };
  const bits = newMode(file.mode, false, umask);
  return {
    dest: path,
    ...(stat === undefined ? { ...predicted, mode: octal(bits ?? 0o666 & ~umask) } : rest),
    size: file.size,
    checksum: checksumOf(file),
    md5sum: 'bytes' in file.content ? hash('md5', file.content.bytes) : file.md5sum,
    ...done?.notes,
  };
}

export const fileReturns = {
  dest: 'Path of the file on the host.',
  checksum: 'SHA-1 of the content, hexadecimal; of a file above 256 KiB where the result is registered.',
  md5sum: 'MD5 of the content, hexadecimal; likewise.',
  secontext: 'The SELinux context, where the host has SELinux.',
  size: 'Bytes.',
  mode: 'Permissions, octal: "0644".',
  owner: 'Name of the owner.',
  group: 'Name of the group.',
  uid: 'Number of the owner.',
  gid: 'Number of the group.',
  state: '`file`, `hard`, `link` or `directory`.',
  backup_file: 'Where the old file was kept, when it was.',
  written_in_place: 'Why the file was written over instead of renamed, when it was.',
  diff: 'The text before and after, where it changes and diffs are wanted.',
} as const;
