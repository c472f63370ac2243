/** Owner, group, mode, SELinux context and flags: the parameters that every file module has, compared and set in one place. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { attributesParam, compareFlags, setFlags } from './flags.js';
import type { Stat } from './look.js';
import type { Change, Returns } from './module.js';
import { mode, str } from './params.js';

/** One part of a security context. What the policy has as default for a path is not known here. */
const part = (about: string, shape = /^[^\s:]+$/) =>
  str(`${about} of the SELinux context; without meaning on a host without SELinux.`)
    .refine((text) => shape.test(text) && text !== '_default', { message: 'a part of a context is one word, for example httpd_sys_content_t; _default is not supported: leave the parameter out' })
    .optional();

export const attributeParams = {
  owner: str('Name or number of the user who shall own the file, as chown takes it.').optional(),
  group: str('Name or number of the group that shall own the file, as chown takes it.').optional(),
  mode: mode('Permissions: octal ("0644") or symbolic (u=rw,g=r,o=r; u+x).').optional(),
  seuser: part('User'),
  serole: part('Role'),
  setype: part('Type'),
  selevel: part('Level', /^\S+$/),
  attributes: attributesParam,
};

const CONTEXT = ['seuser', 'serole', 'setype', 'selevel'] as const;
const LABELS = [...CONTEXT, 'attributes'] as const;

/** What a task names besides owner, group and mode: parts of a security context, and flags. All are set once the rest stands. */
export type Labels = { [part in (typeof LABELS)[number]]?: string | undefined };

/** What a task says about a file; what it does not say stays as it is. */
export interface Attributes extends Labels {
  owner?: string | undefined;
  group?: string | undefined;
  mode?: string | undefined;
}

const BITS: { [letter: string]: number } = { r: 4, w: 2, x: 1 };
const SHIFT: { [who: string]: number } = { u: 6, g: 3, o: 0 };

/**
 * The permission bits a mode gives to a file that has `current` ones (chmod(1), "symbolic modes").
 * @param text octal or symbolic, as `mode()` of params.ts lets it through
 * @param directory `X` means `x` for folders
 * @param umask what a clause without u, g, o or a leaves alone
 */
export function resolveMode(text: string, current: number, directory: boolean, umask: number): number {
  if (/^[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  let bits = current;
  for (const clause of text.split(',')) {
    const [, who = '', actions = ''] = /^([ugoa]*)(.*)$/s.exec(clause)!;
    const masked = who === '';
    const whose = who === '' || who.includes('a') ? 'ugo' : who;
    for (const [, operator, permissions] of actions.matchAll(/([-+=])([rwxXstugo]*)/g)) {
      let set = 0;
      let reach = 0;
      for (const each of new Set(whose)) {
        const shift = SHIFT[each]!;
        reach |= 7 << shift;
        for (const letter of permissions!) {
          if (letter in BITS) set |= BITS[letter]! << shift;
          else if (letter in SHIFT) set |= ((bits >> SHIFT[letter]!) & 7) << shift;
          else if (letter === 'X' && (directory || (bits & 0o111) !== 0)) set |= 1 << shift;
          else if (letter === 's' && each !== 'o') set |= each === 'u' ? 0o4000 : 0o2000;
          else if (letter === 't' && each === 'o') set |= 0o1000;
        }
        if (each === 'u') reach |= 0o4000;
        if (each === 'g') reach |= 0o2000;
        if (each === 'o') reach |= 0o1000;
      }
      if (masked) set &= ~umask;
      // chmod(1): folders keep their set-id bits unless these are named.
      if (operator === '=' && directory && !permissions!.includes('s')) reach &= ~0o6000;
      if (operator === '+') bits |= set;
      else if (operator === '-') bits &= ~set;
      else bits = (bits & ~reach) | set;
    }
  }
  return bits & 0o7777;
}

/** 0o644 -> "0644" */
export function octal(bits: number): string {
  return bits.toString(8).padStart(4, '0');
}

/** The fields that Ansible's stat and find share, less names and times, which they spell differently. */
export function statFields(stat: Stat) {
  const may = (bit: number): boolean => (stat.mode & bit) !== 0;
  return {
    mode: octal(stat.mode),
    isdir: stat.kind === 'directory',
    ischr: stat.kind === 'char',
    isblk: stat.kind === 'block',
    isreg: stat.kind === 'file',
    isfifo: stat.kind === 'fifo',
    islnk: stat.kind === 'link',
    issock: stat.kind === 'socket',
    uid: stat.uid,
    gid: stat.gid,
    size: stat.size,
    inode: stat.inode,
    dev: stat.dev,
    nlink: stat.nlink,
    rusr: may(0o400), wusr: may(0o200), xusr: may(0o100),
    rgrp: may(0o040), wgrp: may(0o020), xgrp: may(0o010),
    roth: may(0o004), woth: may(0o002), xoth: may(0o001),
    isuid: may(0o4000),
    isgid: may(0o2000),
  };
}

/** What differs of a file that is there. The mode of a symbolic link counts for nothing. */
export function compareAttributes(wanted: Attributes, stat: Stat, umask: number): Change[] {
  const changes: Change[] = [];
  for (const [field, id, name] of [['owner', stat.uid, stat.owner], ['group', stat.gid, stat.group]] as const) {
    const want = wanted[field];
    if (want !== undefined && want !== name && want !== String(id)) changes.push({ field, from: name === 'UNKNOWN' ? String(id) : name, to: want });
  }
  if (wanted.mode !== undefined && stat.kind !== 'link') {
    const want = resolveMode(wanted.mode, stat.mode, stat.kind === 'directory', umask);
    if (want !== stat.mode) changes.push({ field: 'mode', from: octal(stat.mode), to: octal(want) });
  }
  const parts = contextParts(stat);
  for (const field of CONTEXT) {
    const want = wanted[field];
    if (parts && want !== undefined && want !== parts[field]) changes.push({ field, from: parts[field] ?? null, to: want });
  }
  return [...changes, ...(stat.kind === 'link' ? [] : compareFlags(wanted.attributes, stat.flags))];
}

/** The parts of the context a file has: user:role:type, and a level that may have colons of its own; undefined without SELinux. */
export function contextParts({ context }: Pick<Stat, 'context'>): Pick<Labels, (typeof CONTEXT)[number]> | undefined {
  if (context === undefined) return undefined;
  const [seuser, serole, setype, ...level] = context.split(':');
  return { seuser, serole, setype, ...(level.length > 0 ? { selevel: level.join(':') } : {}) };
}

/** What of these is among a task's parameters. */
export function labelsOf(wanted: Labels): Labels {
  return Object.fromEntries(LABELS.flatMap((field) => (wanted[field] === undefined ? [] : [[field, wanted[field]]])));
}

/** Sets context, where the host has SELinux, and flags, where it has chattr; no text when none is named. Links are not followed. */
export function setLabels(paths: Sh | readonly Sh[], wanted: Labels): Sh {
  const parts = CONTEXT.flatMap((field) => (wanted[field] === undefined ? [] : [`--${field === 'selevel' ? 'range' : field.slice(2)}=${wanted[field]}`]));
  const context = parts.length === 0 ? join([]) : sh`{ [ ! -e /sys/fs/selinux/enforce ] || chcon -h ${parts} -- ${paths}; }`;
  return both(context, setFlags(paths, wanted.attributes));
}

/** The mode a new file or folder gets; undefined leaves it to the umask. */
export function newMode(text: string | undefined, directory: boolean, umask: number): number | undefined {
  return text === undefined ? undefined : resolveMode(text, (directory ? 0o777 : 0o666) & ~umask, directory, umask);
}

/**
 * Sets owner, group and mode; no text when there is nothing to set.
 * Five digits, since GNU chmod keeps a folder's set-id bits under fewer. chown comes first: it clears set-id bits.
 */
export function setAttributes(path: Sh, owner: string | undefined, group: string | undefined, bits: number | undefined): Sh {
  const who = ownership(owner, group);
  return join([who === '' ? join([]) : sh`chown -h -- ${who} ${path}`, bits === undefined ? join([]) : sh`chmod -- ${`0${octal(bits)}`} ${path}`], ' && ');
}

/** Makes a folder and what is missing of those above it; each new one gets owner, group, mode and context, as with Ansible. */
export function makeFolders(path: Sh, owner: string | undefined, group: string | undefined, bits: number | undefined, context: Labels): Sh {
  const set = both(setAttributes(raw('"$1"'), owner, group, bits), setLabels(raw('"$1"'), context));
  // Of `a//b` the part above is `a/`, which is there once `a` is.
  return sh`muster_mkdir() { [ -d "\${1:-/}" ] || { muster_mkdir "\${1%/*}" && { [ -d "$1" ] || { mkdir -- "$1"${set.text === '' ? join([]) : sh` && ${set}`}; }; }; }; }
muster_mkdir ${path}`;
}

/** One after the other, the second if the first went well. */
function both(first: Sh, second: Sh): Sh {
  return join([first, second].filter(({ text }) => text !== ''), ' && ');
}

/** chown's word for both; empty for neither. */
export function ownership(owner: string | undefined, group: string | undefined): string {
  return `${owner ?? ''}${group === undefined ? '' : `:${group}`}`;
}

/** Makes the changes that compareAttributes() found; a new owner has the wanted mode set again. */
export function applyAttributes(path: Sh, wanted: Attributes, stat: Stat, umask: number, changes: readonly Change[]): Sh {
  const has = (field: string): boolean => changes.some((change) => change.field === field);
  const chown = has('owner') || has('group');
  const bits = wanted.mode === undefined || stat.kind === 'link' ? undefined : resolveMode(wanted.mode, stat.mode, stat.kind === 'directory', umask);
  const set = setAttributes(path, has('owner') ? wanted.owner : undefined, has('group') ? wanted.group : undefined, chown || has('mode') ? bits : undefined);
  return both(set, LABELS.some(has) ? setLabels(path, wanted) : join([]));
}

/** Ansible's word for what is there. */
export function stateName(stat: Stat | undefined): 'absent' | 'link' | 'directory' | 'hard' | 'file' {
  if (stat === undefined) return 'absent';
  return stat.kind === 'link' || stat.kind === 'directory' ? stat.kind : stat.nlink > 1 ? 'hard' : 'file';
}

/** What changes, in two parts: Ansible's `diff` of what is no text. */
export function partsOf(changes: readonly Pick<Change, 'field' | 'from' | 'to'>[], both: Returns = {}): { before: Returns; after: Returns } {
  const side = (of: 'from' | 'to'): Returns => ({ ...both, ...Object.fromEntries(changes.map((change) => [change.field, change[of] ?? null])) });
  return { before: side('from'), after: side('to') };
}

/** The fields on a path that Ansible's file modules return. */
export function describe(path: string, stat: Stat | undefined): { [field: string]: unknown } {
  const state = stateName(stat);
  if (stat === undefined) return { path, state };
  return { path, state, owner: stat.owner, group: stat.group, uid: stat.uid, gid: stat.gid, mode: `0${stat.mode.toString(8).padStart(3, '0')}`, size: stat.size, ...(stat.context === undefined ? {} : { secontext: stat.context }) };
}
