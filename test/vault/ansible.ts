import { execFileSync, spawnSync } from 'node:child_process';

/** Whether the real ansible-vault is on this machine. */
export const hasAnsible = spawnSync('ansible-vault', ['--version'], { stdio: 'ignore' }).status === 0;

/** Runs it. @param input its standard input */
export function ansibleVault(args: string[], input: Buffer | string = ''): Buffer {
  return execFileSync('ansible-vault', args, { input, stdio: ['pipe', 'pipe', 'pipe'] });
}
