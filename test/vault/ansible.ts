import { execFileSync } from 'node:child_process';
import { need } from '../connection/shells.js';

/** Runs the real ansible-vault. @param input its standard input */
export function ansibleVault(args: string[], input: Buffer | string = ''): Buffer {
  need('ansible-vault', 'ansible-core');
  return execFileSync('ansible-vault', args, { input, stdio: ['pipe', 'pipe', 'pipe'] });
}
