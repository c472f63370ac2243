import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { mask } from '../src/report/mask.js';
import { DEFAULT_ID, fromFile, known, splitIdentity, type Identity } from '../src/vault/index.js';
import { UsageError } from './exit.js';
import type { VaultFlags } from './options.js';
import { askSecret } from './prompt.js';
import type { Settings } from './settings.js';

/** Asks on the terminal; what is typed is masked from then on. */
export async function askPassword(question: string): Promise<string> {
  const typed = await askSecret(question);
  mask.add(typed);
  return typed;
}

/** The password a file of the settings holds, or prints where it is executable; masked from then on. @throws UsageError */
export function passwordIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    const password = ((statSync(file).mode & 0o111) !== 0 ? execFileSync(file) : readFileSync(file)).toString().trim();
    mask.add(password);
    return password;
  } catch (error) {
    throw new UsageError(`muster: the password file ${file} cannot be used: ${(error as Error).message}`);
  }
}

type Source = ReturnType<typeof splitIdentity>;

/**
 * The vault passwords that settings and flags name, in Ansible's order; prompts are asked at once, files and scripts are
 * looked at when a password is wanted.
 * @param fresh a password is to be made, so prompts ask twice
 * @throws UsageError where a flag names a file that is not there, or nobody can be asked
 */
export async function identitiesOf(flags: VaultFlags, settings: Settings, fresh = false): Promise<Identity[]> {
  const sources: Source[] = [...(settings.vault_identity_list ?? []).map(splitIdentity), ...flags.vaultId.map(flagged)];
  for (const file of flags.vaultPasswordFile) sources.push(flagged(`${DEFAULT_ID}@${file}`));
  if (settings.vault_password_file !== undefined) sources.push({ id: DEFAULT_ID, from: settings.vault_password_file });
  if (flags.askVaultPass ?? settings.ansible.ask_vault_pass) sources.push({ id: DEFAULT_ID, from: 'prompt' });
  const identities: Identity[] = [];
  for (const source of sources) identities.push(await identityOf(source, fresh));
  return identities;
}

/** One that a flag names. @throws UsageError */
export function flagged(text: string): Source {
  const { id, from } = splitIdentity(text);
  if (/[;\s]/.test(id)) throw new UsageError(`muster: "${id}" is no vault id: it may hold neither ";" nor white space`);
  if (from === 'prompt') return { id, from };
  const path = resolve(from.startsWith('~/') ? join(homedir(), from.slice(2)) : from);
  if (!existsSync(path)) throw new UsageError(`muster: there is no vault password file ${from}; a vault id is written ID@FILE, ID@SCRIPT or ID@prompt`);
  return { id, from: path };
}

export async function identityOf({ id, from }: Source, fresh: boolean): Promise<Identity> {
  if (from !== 'prompt') return fromFile(id, from);
  const named = id === DEFAULT_ID ? '' : ` (${id})`;
  if (!fresh) return known(id, from, await askPassword(`Vault password${named}`));
  const typed = await askPassword(`New vault password${named}`);
  if ((await askPassword(`Confirm new vault password${named}`)) !== typed) throw new UsageError('muster: the passwords differ');
  return known(id, from, typed);
}
