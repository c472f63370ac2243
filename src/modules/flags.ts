/** Flags that file systems keep of files (lsattr(1), chattr(1)): the parameter `attributes`, as the names Ansible gives them. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import type { LookOptions } from './look.js';
import type { Change } from './module.js';
import { str } from './params.js';

export const attributesParam = str("Flags of the file system, as chattr takes them: `+i` sets, `-i` clears, `i` or `=i` leaves no other. Without meaning on a host without chattr.")
  .refine((text) => /^[-+=]?[A-Za-z]*$/.test(text), { message: 'attributes are letters, with +, - or = before them: +i' })
  .meta({ aliases: ['attr'] })
  .optional();

/** What belongs to a look for a task that names flags. */
export function flagsLook({ attributes }: { attributes?: string | undefined }): LookOptions {
  return attributes ? { flags: true } : {};
}

/** What lsattr(1) shows and nobody clears: chattr(1) calls E, I, N and V read-only, and `e` cannot be removed from ext4. */
const FIXED = 'EINVeh';

/**
 * What differs of a file's flags.
 * @param flags those it has; empty where its file system tells none, undefined where the host has no chattr
 */
export function compareFlags(wanted: string | undefined, flags: string | undefined): Change[] {
  if (!wanted || flags === undefined) return [];
  const [, how, letters] = /^([-+=]?)(.*)$/.exec(wanted)!;
  const some = (of: string, isIt: (letter: string) => boolean) => [...of].some((letter) => isIt(letter));
  const lacks = (have: string, named: string) => some(named, (letter) => !FIXED.includes(letter) && !have.includes(letter));
  const differs = how === '-' ? some(letters!, (letter) => flags.includes(letter)) : how === '+' ? some(letters!, (letter) => !flags.includes(letter)) : lacks(flags, letters!) || lacks(letters!, flags);
  return differs ? [{ field: 'attributes', from: flags, to: `${how || '='}${letters}` }] : [];
}

/** Sets flags where the host has chattr(1), links left alone. `=` leaves `e`, which ext4 would not part with. */
export function setFlags(paths: Sh | readonly Sh[], wanted: string | undefined): Sh {
  if (!wanted) return join([]);
  const chattr = /^[-+]/.test(wanted)
    ? sh`chattr ${wanted} "$p"`
    : sh`{ a=; case $(lsattr -d "$p" 2>/dev/null) in '' | ' '*) ;; *e*' '*) a=e ;; esac; chattr ${`=${wanted.replace('=', '')}`}"$a" "$p"; }`;
  return sh`{ ! command -v chattr >/dev/null || for p in ${paths}; do [ -L "$p" ] || ${chattr} || exit; done; }`;
}

/** lsattr(1) of $p, in $a. */
export const READ_FLAGS = raw('a=$(lsattr -d "$p" 2>/dev/null); a=${a%% *}');

/** The letters among what lsattr(1) shows. */
export const flagLetters = (shown: string): string => shown.replaceAll('-', '');

/** Letters of lsattr(1) and the names chattr(1) explains them by. */
const NAMES: { [letter: string]: string } = {
  A: 'noatime', a: 'append', c: 'compressed', C: 'nocow', d: 'nodump', D: 'dirsync', e: 'extents', E: 'encrypted', i: 'immutable', I: 'indexed',
  j: 'journalled', N: 'inline', s: 'zero', S: 'synchronous', t: 'notail', T: 'blockroot', u: 'undelete', X: 'compressedraw', Z: 'compresseddirty',
};

export function flagNames(letters: string): string[] {
  return [...letters].flatMap((letter) => NAMES[letter] ?? []);
}
