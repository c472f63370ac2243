/** fstab(5) and /proc/self/mountinfo (proc(5)): what is to be mounted, and what is. */
import { withoutEndSlashes } from '../value/text.js';
import { decode, splitLines } from './edited_file.js';

export interface Row {
  src: string;
  path: string;
  fstype: string;
  opts: string;
  dump: string;
  passno: string;
}

/** Blanks, tabs and backslashes of a field are written as octal escapes (fstab(5)); `&` as Ansible writes it. */
const escape = (text: string): string => text.replace(/[\\ &\t\n]/g, (sign) => `\\${sign.charCodeAt(0).toString(8).padStart(3, '0')}`);
const unescape = (text: string): string => text.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * The text of fstab with this row in the place of the one that mounts there, or behind all others; with a path alone
 * the rows that mount there go. Of swap, whose path is `none`, the source tells.
 */
export function edit(content: Buffer, row: Row | { path: string; src?: never }): Buffer {
  const codec = decode(content);
  const line = 'fstype' in row ? `${[row.src, row.path, row.fstype, row.opts, row.dump, row.passno].map((field) => codec.own(escape(field))).join(' ')}\n` : undefined;
  let isThere = false;
  const lines = splitLines(codec.text).flatMap((each) => {
    const [src, path, fstype, opts, dump = '0', passno = '0', ...rest] = each.replace(/#.*/s, '').trim().split(/\s+/);
    const isOther = opts === undefined || rest.length > 0 || unescape(path!) !== codec.own(row.path) || (fstype === 'swap' && row.src !== undefined && unescape(src!) !== codec.own(row.src));
    if (isOther) return [each];
    if (line === undefined) return [];
    isThere = true;
    return `${[src, path, fstype, opts, dump, passno].join(' ')}\n` === line ? [each] : [line];
  });
  if (line !== undefined && !isThere) {
    if (lines.length > 0 && !lines.at(-1)!.endsWith('\n')) lines.push('\n');
    lines.push(line);
  }
  return codec.encode(lines.join(''));
}

export interface Mounted {
  source: string;
  /** Which folder of the source; `/` unless it is a bind mount. */
  root: string;
  fstype: string;
  options: string;
}

/** What is mounted at a path, by the lines of /proc/self/mountinfo. */
export function mountedAt(mountinfo: string, path: string): Mounted[] {
  const wanted = withoutEndSlashes(path);
  return mountinfo.split('\n').flatMap((line) => {
    const [own, behind] = line.split(' - ');
    const [, , , root, point, options] = own!.split(' ');
    const [fstype, source] = (behind ?? '').split(' ');
    if (point === undefined || fstype === undefined || source === undefined || unescape(point) !== wanted) return [];
    return [{ source: unescape(source), root: unescape(root!), fstype, options: options! }];
  });
}
