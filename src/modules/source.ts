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
  const hashes = ['sha256', 'sha1', 'md5'].map((algorithm) => createHash(algorithm));
  for await (const piece of createReadStream(path)) for (const hash of hashes) hash.update(piece as Buffer);
  const [sha256, checksum, md5sum] = hashes.map((hash) => hash.digest('hex'));
  return { ...wholeFile(Buffer.alloc(0), settled), content: { file: path, size }, sha256: sha256!, text: undefined, size, checksum, md5sum };
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
