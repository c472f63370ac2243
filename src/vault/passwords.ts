/** Where the passwords of vaults come from: files, scripts, prompts. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { ContentError } from '../value/errors.js';
import { Secret } from '../value/value.js';
import { isEncrypted } from './format.js';

/** A vault id and how its password is come by. */
export interface Identity {
  readonly id: string;
  /** Where the password comes from, for messages: a path, or `prompt`. */
  readonly from: string;
  /** The password, found out at the first call. @throws ContentError */
  password(): Buffer;
}

export const DEFAULT_ID = 'default';

/** `prod@prompt`, `prod@~/.vault-prod`, or a file alone; the id is `default` where none is named. */
export function splitIdentity(text: string): { id: string; from: string } {
  const at = text.indexOf('@');
  return at < 0 ? { id: DEFAULT_ID, from: text } : { id: text.slice(0, at) || DEFAULT_ID, from: text.slice(at + 1) };
}

/** An identity whose password is known. */
export function known(id: string, from: string, password: string): Identity {
  const bytes = usable(Buffer.from(password.trim()), `the vault password (${id}) is empty`);
  return { id, from, password: () => bytes };
}

/**
 * An identity whose password a file holds or, where the file is executable, prints; one whose name ends in `-client`
 * (an extension does not count) is called with `--vault-id ID`. Looked at when the password is wanted.
 */
export function fromFile(id: string, file: string): Identity {
  const path = resolve(file);
  let password: Buffer | undefined;
  return { id, from: file, password: () => (password ??= isExecutable(path) ? printed(path, id) : kept(path)) };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function kept(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new ContentError(`there is no vault password file ${path}`);
    throw new ContentError(`the vault password file ${path} cannot be read: ${(error as Error).message}`);
  }
  if (isEncrypted(bytes)) throw new ContentError(`the vault password file ${path} is itself encrypted`, undefined, 'a password file is plain text, readable by you alone; or a script that prints the password');
  return usable(trimmed(bytes), `the vault password file ${path} is empty`);
}

/** Its standard error and input are ours, so that it may ask for something. */
function printed(path: string, id: string): Buffer {
  const isClient = basename(path, extname(path)).endsWith('-client');
  const { stdout, status, signal, error } = spawnSync(path, isClient ? ['--vault-id', id] : [], { stdio: ['inherit', 'pipe', 'inherit'], maxBuffer: 1024 * 1024 });
  if (error) throw new ContentError(`the vault password script ${path} cannot be run: ${error.message}`, undefined, 'if it is no script, take its executable bit away: chmod -x');
  if (isClient && status === 2) throw new ContentError(`the vault password script ${path} knows no vault id "${id}"`);
  if (status !== 0) throw new ContentError(`the vault password script ${path} failed ${signal ? `by ${signal}` : `with exit status ${status}`}`);
  return usable(trimmed(stdout), `the vault password script ${path} printed nothing`);
}

/** Without white space around it, as Ansible reads it: editors put a line break at the end. */
function trimmed(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/^[ \t\n\r\v\f]+|[ \t\n\r\v\f]+$/g, ''), 'latin1');
}

function usable(password: Buffer, complaint: string): Buffer {
  if (password.length === 0) throw new ContentError(complaint);
  Secret.listener?.(password.toString());
  return password;
}
