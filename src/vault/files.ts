/** Writing the files of vaults, and editing what they hold without leaving it anywhere. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync, type Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ContentError } from '../value/errors.js';

/**
 * Replaces a file as a whole: a reader sees the old or the new one. Mode and owner stay; a new file is its owner's alone.
 * A symbolic link is followed; what is no regular file (a pipe) is written to.
 * @throws ContentError
 */
export function replaceFile(path: string, bytes: Buffer | string): void {
  try {
    const was = statSync(path, { throwIfNoEntry: false });
    if (was && !was.isFile()) return writeFileSync(path, bytes);
    put(was ? realpathSync(path) : path, bytes, was);
  } catch (error) {
    throw new ContentError(`${path} cannot be written: ${(error as Error).message}`);
  }
}

function put(path: string, bytes: Buffer | string, was: Stats | undefined): void {
  const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const file = openSync(fresh, 'wx', 0o600);
  try {
    try {
      writeFileSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (was) {
      const { uid, gid } = statSync(fresh);
      if (uid !== was.uid || gid !== was.gid) chownSync(fresh, was.uid, was.gid);
      chmodSync(fresh, was.mode & 0o7777);
    }
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

/**
 * Lets a person edit something. It lies in a folder of its own in memory (/dev/shm; where there is none in the folder for
 * temporary files), readable by its owner alone, and is gone afterwards even where Muster is killed meanwhile.
 * @param name of the file, by which editors know its kind
 * @param editor a command and its arguments; the file comes last
 * @throws ContentError where the editor fails
 */
export async function edit(name: string, bytes: Buffer, editor: readonly string[]): Promise<Buffer> {
  const folder = mkdtempSync(join(memory(), 'muster-'));
  // Whatever ends this process closes the pipe; then the folder goes, with the copies that the editor made in it.
  const keeper = spawn('/bin/sh', ['-c', 'cat >/dev/null; rm -rf -- "$1"', 'sh', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const gone = once(keeper, 'close');
  // The terminal sends its signals to editor and Muster alike; they are meant for the editor.
  const ignore = () => {};
  const signals = ['SIGINT', 'SIGQUIT'] as const;
  for (const signal of signals) process.on(signal, ignore);
  try {
    const file = join(folder, basename(name));
    writeFileSync(file, bytes, { mode: 0o600, flag: 'wx' });
    const [command, ...args] = editor;
    const [code, signal] = (await once(spawn(command!, [...args, file], { stdio: 'inherit' }), 'close').catch((error: Error) => {
      throw new ContentError(`the editor ${command} cannot be run: ${error.message}`, undefined, 'set EDITOR to one that is there');
    })) as [number | null, string | null];
    if (code !== 0) throw new ContentError(`the editor ${command} ended ${signal ? `by ${signal}` : `with exit status ${code}`}; nothing was changed`);
    return readFileSync(file);
  } finally {
    for (const signal of signals) process.off(signal, ignore);
    keeper.stdin!.end();
    await gone;
  }
}

function memory(): string {
  return statSync('/dev/shm', { throwIfNoEntry: false })?.isDirectory() ? '/dev/shm' : tmpdir();
}
