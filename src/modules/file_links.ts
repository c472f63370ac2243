/** Symbolic and hard links as the `file` module makes them. */
import { dirname } from 'node:path/posix';
import { sh, type Sh } from '../shell/sh.js';
import { compareAttributes, stateName, type Attributes } from './attributes.js';
import type { Entry } from './look.js';
import { ModuleError, type Change } from './module.js';
import { hostPath } from './words.js';

export interface Link extends Attributes {
  path: string;
  src?: string | undefined;
  follow: boolean;
  force: boolean;
}

interface Seen {
  entry: Entry;
  /** What src leads to. */
  source: Entry | undefined;
  umask: number;
}

/** Where src of a symbolic link stands, seen from the folder of the link. */
export function symlinkSource({ path, src }: Link): Sh {
  return src!.startsWith('/') || src!.startsWith('~') ? hostPath(src!) : hostPath(`${dirname(path)}/${src}`);
}

/** What a hard link is made to: with `follow` not to a link, but to what that leads to. */
export function hardSource({ src, follow }: Link): Sh {
  return follow ? sh`"$(readlink -f -- ${hostPath(src!)})"` : hostPath(src!);
}

/** @throws ModuleError where the link may not be made */
export function compareSymlink({ src, force, ...wanted }: Link, { entry, source, umask }: Seen): Change[] {
  const { target, stat } = entry;
  const path = wanted.path;
  if (src !== undefined && source?.stat === undefined && !force) {
    throw new ModuleError(`src file does not exist, use 'force=yes' if you really want to create the link: ${source?.path}`, { path, src });
  }
  if (target === undefined && stat !== undefined && !force) throw new ModuleError(`refusing to convert from ${stateName(stat)} to symlink for ${path}; force: true replaces it`, { path });
  if (src === undefined) {
    if (target === undefined) throw new ModuleError('src is required for creating new symlinks');
    return stat === undefined ? [] : compareAttributes(wanted, stat, umask);
  }
  const attributes = wanted.follow ? source?.stat && compareAttributes(wanted, source.stat, umask) : target !== undefined && stat && compareAttributes(wanted, stat, umask);
  if (target === src) return attributes || [];
  return [{ field: 'src', from: target ?? stat?.kind ?? null, to: src }, ...(attributes || [])];
}

/** @throws ModuleError where the link may not be made */
export function compareHardlink({ src, force, ...wanted }: Link, { entry: { path, stat }, source, umask }: Seen): Change[] {
  if (src === undefined) {
    if (stateName(stat) !== 'hard') throw new ModuleError('src is required for creating new hardlinks');
    return compareAttributes(wanted, stat!, umask);
  }
  const about = { dest: path, src };
  if (source?.stat === undefined) throw new ModuleError('src does not exist', about);
  if (stat && stat.dev === source.stat.dev && stat.inode === source.stat.inode) return compareAttributes(wanted, stat, umask);
  if (stat?.kind === 'directory') throw new ModuleError('Cannot link, a folder is at the destination', about);
  const there = stateName(stat);
  if (stat && stat.kind !== 'link' && !force) throw new ModuleError(`Cannot link, ${there === 'hard' ? 'different hard link' : there} exists at destination; force: true replaces it`, about);
  return [{ field: 'src', from: stat?.kind ?? null, to: src }, ...compareAttributes(wanted, source.stat, umask)];
}

/** Makes a link beside the old one and renames it over, so that there is no moment without one. @param make writes it to "$t" */
export function switchLink(path: Sh, make: Sh): Sh {
  return sh`{ t=${path}.muster.$$ && rm -f -- "$t" && ${make} && mv -f -T -- "$t" ${path} || { rm -f -- "$t"; false; }; }`;
}
