/** Paths, in POSIX's form, and on the controller where they are resolved. */
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { posix } from 'node:path';
import { trimmedEnd } from '../../value/text.js';
import { iterate, read, str } from '../python.js';
import { table } from '../registry.js';
import { fail, type Result } from '../undefined.js';
import { globPaths } from '../../value/glob.js';

/** Python's split: everything behind the last slash is the base, even when it is empty. */
const split = (path: string) => {
  const at = path.lastIndexOf('/') + 1;
  const head = path.slice(0, at);
  return { dir: /^\/*$/.test(head) ? head : trimmedEnd(head, '/'), base: path.slice(at) };
};

/** A path of Windows, as Python's ntpath takes it apart. */
function windows(path: string): { drive: string; rest: string; dir: string; base: string } {
  const drive = /^(?:[a-zA-Z]:|[\\/]{2}[^\\/]+[\\/][^\\/]+)/.exec(path)?.[0] ?? '';
  const rest = path.slice(drive.length);
  const at = Math.max(rest.lastIndexOf('\\'), rest.lastIndexOf('/')) + 1;
  const head = rest.slice(0, at);
  return { drive, rest, dir: drive + (trimmedEnd(head, '\\/') || head), base: rest.slice(at) };
}

export const PATHS = table<Result>({
  'basename(path)': (_, path) => split(str(path)).base,
  'dirname(path)': (_, path) => split(str(path)).dir,
  'splitext(path)': (_, path) => {
    const text = str(path);
    const inner = split(text).base.replace(/^\.+/, '');
    const dot = text.lastIndexOf('.');
    return inner.includes('.') ? [text.slice(0, dot), text.slice(dot)] : [text, ''];
  },
  'path_join(paths)': (_, paths) => {
    const parts = typeof read(paths) === 'string' ? [str(paths)] : iterate(paths).map(str);
    return parts.reduce((path, part) => (part.startsWith('/') || path === '' ? part : path.endsWith('/') ? path + part : `${path}/${part}`));
  },
  'commonpath(paths)': (_, paths) => {
    const all = iterate(paths).map((path) => str(path));
    if (all.length === 0) fail('commonpath was given no paths');
    if (new Set(all.map((path) => path.startsWith('/'))).size > 1) fail('commonpath was given absolute and relative paths together');
    const parts = all.map((path) => path.split('/').filter((part) => part !== '' && part !== '.'));
    const common = parts[0]!.filter((part, i) => parts.every((other) => other[i] === part && other.slice(0, i).join('/') === parts[0]!.slice(0, i).join('/')));
    return (all[0]!.startsWith('/') ? '/' : '') + common.join('/');
  },
  'win_basename(path)': (_, path) => windows(str(path)).base,
  'win_dirname(path)': (_, path) => windows(str(path)).dir,
  'win_splitdrive(path)': (_, path) => {
    const { drive, rest } = windows(str(path));
    return [drive, rest];
  },
  'expanduser(path)': (_, path) => str(path).replace(/^~(?=\/|$)/, homedir()),
  'expandvars(path)': (_, path) => str(path).replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced, bare) => process.env[(braced ?? bare) as string] ?? whole),
  'realpath(path)': (env, path) => {
    env.scope.services.outside?.();
    const absolute = posix.resolve(str(path));
    try {
      return realpathSync(absolute);
    } catch {
      return absolute;
    }
  },
  'relpath(path, start=".")': (_, path, start) => posix.relative(posix.resolve(str(start)), posix.resolve(str(path))) || '.',
  'normpath(path)': (_, path) => posix.normalize(str(path)).replace(/(?<=.)\/$/, ''),
  'fileglob(pattern)': (env, pattern) => {
    env.scope.services.outside?.();
    return globPaths(posix.resolve(env.scope.services.baseDir, str(pattern)));
  },
});
