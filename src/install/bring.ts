import { execFile } from 'node:child_process';
import { cp, lstat, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ContentError } from '../value/errors.js';
import type { Requirement } from './requirements.js';

const run = promisify(execFile);

/** Bytes an archive may have that is downloaded. */
const MOST = 512 * 1024 * 1024;

/**
 * Brings what a requirement names into an empty folder, checked.
 * @returns the folder within that holds the role or collection, and the commit where it came from git
 * @throws ContentError where it cannot be had, or what came leads out of its folder
 */
export async function bring(requirement: Requirement, into: string): Promise<{ folder: string; commit: string | undefined }> {
  const { from, version, origin } = requirement;
  let commit: string | undefined;
  let folder = into;
  if ('git' in from) {
    commit = await clone(from.git, version, into, origin);
    if (from.inside !== undefined) folder = join(into, from.inside);
  } else if ('archive' in from) folder = await unpack(from.archive, into, origin);
  else {
    await cp(from.folder, into, { recursive: true, verbatimSymlinks: true, filter: (path) => basename(path) !== '.git' }).catch((error: Error) => {
      throw new ContentError(`${from.folder} cannot be copied: ${error.message}`, origin);
    });
  }
  const found = await realpath(folder).catch(() => undefined);
  // A link on the way to a folder within a repository could lead anywhere.
  if (found !== join(await realpath(into), relative(into, folder)) || !(await lstat(folder)).isDirectory()) throw new ContentError(`there is no folder ${relative(into, folder)} in it`, origin);
  await check(folder, folder, origin);
  return { folder, commit };
}

async function clone(url: string, version: string | undefined, into: string, origin: Requirement['origin']): Promise<string> {
  // No hooks, no questions, no programs named by an address.
  const git = (...args: string[]) => run('git', ['-c', 'core.hooksPath=/dev/null', '-c', 'protocol.ext.allow=never', ...args], { env: { ...process.env, GIT_TERMINAL_PROMPT: '0' }, maxBuffer: 1 << 24 });
  try {
    await git('clone', '--quiet', '--no-checkout', '--', url, into);
    await git('-C', into, 'checkout', '--quiet', '--detach', ...(version === undefined ? [] : [await commitOf(git, into, version)]));
    const { stdout } = await git('-C', into, 'rev-parse', 'HEAD');
    await rm(join(into, '.git'), { recursive: true, force: true });
    return stdout.trim();
  } catch (error) {
    const { stderr, message, code } = error as Error & { stderr?: string; code?: unknown };
    if (code === 'ENOENT') throw new ContentError('there is no git on this machine', origin, 'install it');
    throw new ContentError(`git cannot bring ${url}: ${(stderr || message).trim().split('\n').at(-1)}`, origin);
  }
}

/** A tag, a branch of the repository, or a commit. */
async function commitOf(git: (...args: string[]) => Promise<{ stdout: string }>, folder: string, version: string): Promise<string> {
  for (const name of [`refs/tags/${version}`, `refs/remotes/origin/${version}`, version]) {
    const found = await git('-C', folder, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`).catch(() => undefined);
    if (found) return found.stdout.trim();
  }
  throw new Error(`it has no tag, branch or commit "${version}"`);
}

async function unpack(archive: string, into: string, origin: Requirement['origin']): Promise<string> {
  let file = archive;
  if (!isAbsolute(archive)) {
    const answer = await fetch(archive, { signal: AbortSignal.timeout(300_000) }).catch((error: Error) => {
      throw new ContentError(`${archive} cannot be downloaded: ${error.message}`, origin);
    });
    if (!answer.ok) throw new ContentError(`${archive} cannot be downloaded: status ${answer.status}`, origin);
    if (Number(answer.headers.get('content-length') ?? 0) > MOST) throw new ContentError(`${archive} is too large`, origin);
    file = `${into}.tar`;
    await writeFile(file, Buffer.from(await answer.arrayBuffer()));
  }
  try {
    const { stdout } = await run('tar', ['-tf', file], { maxBuffer: 1 << 26 });
    const outside = stdout.split('\n').find((name) => name.startsWith('/') || name.split('/').includes('..'));
    if (outside !== undefined) throw new Error(`"${outside}" in it leads out of its folder`);
    await run('tar', ['--no-same-owner', '-xf', file, '-C', into]);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new ContentError(`${archive} cannot be unpacked: ${(stderr || message).trim().split('\n')[0]}`, origin);
  }
  // A role's archive is mostly one folder that holds it.
  const names = await readdir(into);
  const only = names.length === 1 ? join(into, names[0]!) : undefined;
  return only !== undefined && (await lstat(only)).isDirectory() && !['tasks', 'meta', 'plugins', 'roles'].includes(names[0]!) ? only : into;
}

/** Only folders, files, and links that stay inside. */
async function check(folder: string, root: string, origin: Requirement['origin']): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await check(path, root, origin);
    else if (entry.isSymbolicLink()) {
      const to = relative(root, resolve(dirname(path), await readlink(path)));
      if (to.startsWith('..') || isAbsolute(to)) throw new ContentError(`the link ${relative(root, path)} in it leads out of its folder`, origin);
    } else if (!entry.isFile()) throw new ContentError(`${relative(root, path)} in it is no file`, origin);
  }
}
