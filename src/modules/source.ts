/** Files of the controller that modules send to hosts. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readFile, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { octal } from './attributes.js';
import { ModuleError } from './module.js';
import { wholeFile, type Options, type WholeFile } from './whole_file.js';

/** Files longer than this stay on disk and are uploaded from there. */
const HELD = 256 * 1024;

/** `preserve` -> the mode of the file on the controller; others as they are. */
export async function modeOf(mode: string | undefined, file: string): Promise<string | undefined> {
  return mode === 'preserve' ? octal((await stat(file)).mode & 0o7777) : mode;
}

/** Reads a file of the controller; a long one is only hashed. */
export async function sourceFile(path: string, options: Options): Promise<WholeFile> {
  const { size } = await stat(path);
  const settled = { ...options, mode: await modeOf(options.mode, path) };
  if (size <= HELD) return wholeFile(await readFile(path), settled);
  const [sha256, checksum, md5sum] = await sumsOf(path);
  return { ...wholeFile(Buffer.alloc(0), settled), content: { file: path, size }, sha256: sha256!, text: undefined, size, checksum, md5sum };
}

/** Hashes of long files, by what would change with the file: read once for all hosts and looks ahead. */
const sums = new Map<string, Promise<string[]>>();

async function sumsOf(path: string): Promise<string[]> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const key = [dev, ino, size, mtimeNs, ctimeNs].join(':');
  let known = sums.get(key);
  if (!known) sums.set(key, (known = hashed(path)));
  return known;
}

async function hashed(path: string): Promise<string[]> {
  const hashes = ['sha256', 'sha1', 'md5'].map((algorithm) => createHash(algorithm));
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) for (const hash of hashes) hash.update(piece as Buffer);
  return hashes.map((hash) => hash.digest('hex'));
}

export type Member =
  | { kind: 'directory'; name: string }
  | { kind: 'file'; name: string; path: string }
  | { kind: 'link'; name: string; target: string };

/**
 * Everything below a folder of the controller, parents before children, names relative to it.
 * @param followLinks send what links lead to instead of the links
 */
export async function members(root: string, followLinks: boolean): Promise<Member[]> {
  const found: Member[] = [];
  const visit = async (folder: string, prefix: string, above: string[]): Promise<void> => {
    for (const each of (await readdir(folder)).sort()) {
      const path = join(folder, each);
      const name = prefix + each;
      const info = await (followLinks ? stat : lstat)(path);
      if (info.isSymbolicLink()) found.push({ kind: 'link', name, target: await readlink(path) });
      else if (info.isDirectory()) {
        const id = `${info.dev}:${info.ino}`;
        if (above.includes(id)) throw new ModuleError(`${path} leads back to a folder above it`);
        found.push({ kind: 'directory', name });
        await visit(path, `${name}/`, [...above, id]);
      } else if (info.isFile()) found.push({ kind: 'file', name, path });
      else throw new ModuleError(`${path} is neither a file nor a folder`);
    }
  };
  const top = await stat(root);
  await visit(root, '', [`${top.dev}:${top.ino}`]);
  return found;
}
