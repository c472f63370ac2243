import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the real binary. @param options.cwd where; options.env besides this process's, without its MUSTER_* and ANSIBLE_* */
export function muster(args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv; closeStdout?: boolean } = {}): Promise<Ran> {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(MUSTER|ANSIBLE)_/.test(key) && !/^(NO|FORCE)_COLOR$/.test(key)));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(process.cwd(), 'dist', 'cli', 'main.js'), ...args], {
      cwd: options.cwd,
      env: { ...clean, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ran: Ran = { code: null, stdout: '', stderr: '' };
    child.stdout.on('data', (piece: Buffer) => (ran.stdout += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (ran.stderr += piece.toString()));
    if (options.closeStdout) child.stdout.destroy();
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...ran, code }));
  });
}
