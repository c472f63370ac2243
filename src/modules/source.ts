/** Files of the controller that modules send to hosts. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '../value/value.js';
import { isEncrypted, keyring, LockedError } from '../vault/index.js';
import { octal } from './attributes.js';
import type { Entry } from './look.js';
import { ModuleError } from './module.js';
import { wholeFile, type Options, type WholeFile } from './whole_file.js';

/** Files longer than this stay on disk and are uploaded from there. */
const HELD = 256 * 1024;

/** Encrypted files longer than this hold no keys and passwords whose lines someone might show. */
const MASKED = 64 * 1024;

/** `preserve` -> the mode of the file on the controller; others as they are. */
export async function modeOf(mode: string | undefined, file: string): Promise<string | undefined> {
  return mode === 'preserve' ? octal((await stat(file)).mode & 0o7777) : mode;
}

/** What an encrypted file of the controller holds; undefined where it is not encrypted. @throws ContentError where no password fits */
export function decrypted(path: string): Buffer | undefined {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return fstatSync(file).isFile() ? decryptedOf(file, path) : undefined;
  } finally {
    closeSync(file);
  }
}

function decryptedOf(file: number, path: string): Buffer | undefined {
  const head = Buffer.alloc(16);
  return isEncrypted(head.subarray(0, readSync(file, head, 0, head.length, 0))) ? plainOf(readFileSync(file), path) : undefined;
}

function plainOf(bytes: Buffer, path: string): Buffer {
  let plain: Buffer;
  try {
    ({ plain } = keyring.open(bytes.toString('latin1'), 'the file', { file: path, line: 1, column: 1 }));
  } catch (error) {
    // Ansible's words, which playbooks may look for.
    if (error instanceof LockedError && keyring.isEmpty) throw new LockedError(`A vault password or secret must be specified to decrypt ${path}`, error.origin, error.hint);
    throw error;
  }
  // So that whatever shows a line of it hides it.
  if (plain.length <= MASKED && isUtf8(plain)) void new Secret(plain.toString());
  return plain;
}

/**
 * Reads a file of the controller; a long one stays where it is, unhashed (see `exact`).
 * @param how.summed its hashes are wanted, whatever that costs
 * @param how.decrypt an encrypted file is sent as what it holds
 */
export async function sourceFile(path: string, options: Options, how: { summed?: boolean; decrypt?: boolean } = {}): Promise<WholeFile> {
  // At once: for a small file the way through the thread pool is most of the work.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe would keep everything waiting
  let sealed: Buffer | undefined;
  let bytes: Buffer | undefined;
  let size: number;
  let mode: number;
  try {
    const info = fstatSync(file);
    if (!info.isFile()) throw new ModuleError(`${path} is neither a file nor a folder`);
    ({ size, mode } = info);
    if (how.decrypt) sealed = decryptedOf(file, path);
    if (sealed === undefined && size <= HELD) bytes = readFileSync(file);
  } finally {
    closeSync(file);
  }
  const settled = { ...options, mode: options.mode === 'preserve' ? octal(mode & 0o7777) : options.mode };
  if (sealed) return { ...wholeFile(sealed, settled), isSecret: true };
  if (bytes) return { ...wholeFile(bytes, settled), from: path };
  const long = { ...wholeFile(Buffer.alloc(0), settled), content: { file: path, size }, sha256: undefined, text: undefined, size };
  if (!how.summed) return long;
  const [sha256, checksum, md5sum] = await sumsOf(path, ['sha256', 'sha1', 'md5']);
  return { ...long, sha256, checksum, md5sum };
}

/** The file with its hash, if that tells whether it is the one that was found: files of other sizes are others. */
export async function exact(file: WholeFile, { stat: found }: Entry): Promise<WholeFile> {
  if (file.sha256 !== undefined || !('file' in file.content) || found?.size !== file.size) return file;
  const [sha256] = await sumsOf(file.content.file, ['sha256']);
  return { ...file, sha256 };
}

/** Hashes of long files, by what would change with the file: read once for all hosts and looks ahead. */
const sums = new Map<string, Promise<string[]>>();

async function sumsOf(path: string, algorithms: readonly string[]): Promise<string[]> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const key = [dev, ino, size, mtimeNs, ctimeNs, ...algorithms].join(':');
  let known = sums.get(key);
  if (!known) sums.set(key, (known = hashed(path, algorithms)));
  return known;
}

async function hashed(path: string, algorithms: readonly string[]): Promise<string[]> {
  const hashes = algorithms.map((algorithm) => createHash(algorithm));
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) for (const hash of hashes) hash.update(piece as Buffer);
  return hashes.map((hash) => hash.digest('hex'));
}

const idOf = ({ dev, ino }: { dev: number; ino: number }): string => `${dev}:${ino}`;

export type Member =
  | { kind: 'directory'; name: string }
  | { kind: 'file'; name: string; path: string }
  | { kind: 'link'; name: string; target: string };

/**
 * Everything below a folder of the controller, parents before children, files before folders, names relative to it.
 * @param followLinks send what links lead to instead of the links
 */
export async function members(root: string, followLinks: boolean): Promise<Member[]> {
  const found: Member[] = [];
  const visit = async (folder: string, prefix: string, above: string[]): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true });
    const folders: { path: string; name: string }[] = [];
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      const name = prefix + entry.name;
      // A link that leads nowhere stays a link, also where links are followed; so does one that leads back.
      const followed = entry.isSymbolicLink() && followLinks ? await stat(path).catch(() => undefined) : undefined;
      const kind = followed?.isDirectory() && above.includes(idOf(followed)) ? entry : (followed ?? entry);
      if (kind.isSymbolicLink()) found.push({ kind: 'link', name, target: await readlink(path) });
      else if (kind.isDirectory()) folders.push({ path, name });
      else if (kind.isFile()) found.push({ kind: 'file', name, path });
      else throw new ModuleError(`${path} is neither a file nor a folder`);
    }
    for (const { path, name } of folders) {
      found.push({ kind: 'directory', name });
      await visit(path, `${name}/`, [...above, idOf(await stat(path))]);
    }
  };
  await visit(root, '', [idOf(await stat(root))]);
  return found;
}
