import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { megabytes, short } from './case.js';

export const MUSTER = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const USAGE = new URL('./usage.js', import.meta.url).href;

export interface Ran {
  code: number | null;
  seconds: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. @throws when its exit code is not the expected one */
export async function run(command: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string; expect?: number } = {}): Promise<Ran> {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(MUSTER|ANSIBLE)_|^(NO|FORCE)_COLOR$/.test(key)));
  const began = performance.now();
  const ran = await new Promise<Ran>((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, env: { ...clean, ...options.env }, stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
    child.stdin.on('error', () => undefined).end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, seconds: (performance.now() - began) / 1000, stdout, stderr }));
  });
  if (ran.code !== (options.expect ?? 0)) throw new Error(`${command} ${args.join(' ').slice(0, 300)} ended with ${ran.code}:\n${(ran.stdout + ran.stderr).slice(-3000)}`);
  return ran;
}

/** What a Node program took besides time. */
export interface Usage {
  seconds: number;
  /** Seconds of processor, its own and the kernel's for it. */
  cpu: number;
  /** Bytes of memory at the highest. */
  rss: number;
  stdout: string;
}

/** Runs a Node program, which says at its end what it took. */
export async function node(args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<Usage> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  try {
    const file = join(folder, 'usage');
    const { seconds, stdout } = await run(process.execPath, ['--import', USAGE, ...args], { ...options, env: { ...options.env, BENCH_USAGE: file } });
    return { seconds, stdout, ...(JSON.parse(readFileSync(file, 'utf8')) as { cpu: number; rss: number }) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const muster = (args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<Usage> => node([MUSTER, ...args], options);

export const describeUsage = ({ cpu, rss }: Usage): string => `${short(cpu)} s of processor, ${megabytes(rss)}`;
