/** What `find` tells of each thing it found: the fields of Ansible's statinfo. */
import { Float } from '../value/value.js';
import { octal } from './attributes.js';
import type { Stat } from './look.js';

export interface FileFacts {
  path: string;
  [field: string]: unknown;
}

export function fileFacts(path: string, stat: Stat, checksum: string | undefined): FileFacts {
  const may = (bit: number): boolean => (stat.mode & bit) !== 0;
  const time = (seconds: number) => (Number.isInteger(seconds) ? new Float(seconds) : seconds);
  const named = (name: string) => (name === 'UNKNOWN' ? '' : name);
  return {
    path,
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
    atime: time(stat.atime),
    mtime: time(stat.mtime),
    ctime: time(stat.ctime),
    gr_name: named(stat.group),
    pw_name: named(stat.owner),
    rusr: may(0o400), wusr: may(0o200), xusr: may(0o100),
    rgrp: may(0o040), wgrp: may(0o020), xgrp: may(0o010),
    roth: may(0o004), woth: may(0o002), xoth: may(0o001),
    isuid: may(0o4000),
    isgid: may(0o2000),
    ...(checksum === undefined ? {} : { checksum }),
  };
}
