import { execFile } from 'node:child_process';

/** The lab cannot be made, or a command on this machine failed; the message says what to do. */
export class LabError extends Error {
  override name = 'LabError';
}

/**
 * Runs a command on this machine and returns its standard output.
 * @throws LabError with the command, its status and what it wrote on stderr
 */
export function run(command: string, args: readonly string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { env: { ...process.env, LC_ALL: 'C', ...options.env }, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        const said = `${command} ${args.join(' ')}`;
        reject(new LabError(`${said.length > 200 ? `${said.slice(0, 200)}…` : said} failed (${error.code ?? error.signal}): ${stderr.trim() || stdout.trim() || error.message}`));
      },
    );
    child.stdin?.on('error', () => {}); // a child that ends without reading is judged by its status
    child.stdin?.end(options.input ?? '');
  });
}

export const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
