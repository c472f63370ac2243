/** Secrets of the project, encrypted in Ansible's format. */
import { readFileSync } from 'node:fs';
import { isEncrypted } from './format.js';
import { keyring } from './keyring.js';

export { decrypt, encrypt, FormatError, isEncrypted, parseEnvelope } from './format.js';
export { edit, replaceFile } from './files.js';
export { keyring, LockedError } from './keyring.js';
export { DEFAULT_ID, fromFile, known, splitIdentity, type Identity } from './passwords.js';

/** A file of the project: as it is, or what it holds where it is encrypted. */
export interface Read {
  text: string;
  /** Whether it was encrypted: then nothing of it may be shown. */
  isSecret: boolean;
}

/**
 * Reads a text file that may be encrypted.
 * @param shown its name in messages
 * @throws LockedError where no password fits; what readFileSync throws where it cannot be read
 */
export function readText(path: string, shown = path): Read {
  return opened(readFileSync(path, 'utf8'), shown);
}

/** The same for a text that was read already. */
export function opened(text: string, shown: string): Read {
  if (!isEncrypted(text)) return { text, isSecret: false };
  return { text: keyring.open(text, 'the file', { file: shown, line: 1, column: 1 }).plain.toString(), isSecret: true };
}
