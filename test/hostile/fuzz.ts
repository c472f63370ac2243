import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { Orders, Told } from './worker.js';

/** An input that takes longer is a hang. */
const PATIENCE = 30_000;

/**
 * Feeds a target with mutations of valid cases: it must refuse them with an error of ours, or take them, and neither hang
 * nor eat all memory. `MUSTER_FUZZ_SEED` repeats a run.
 */
export async function fuzz(t: ExecutionContext, target: string, milliseconds: number): Promise<void> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'muster-fuzz-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const orders: Orders = { target, milliseconds, seed: Number(process.env['MUSTER_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31)), folder };
  const worker = spawn(process.execPath, ['--max-old-space-size=1024', fileURLToPath(new URL('./worker.js', import.meta.url)), JSON.stringify(orders)], { stdio: ['ignore', 'inherit', 'pipe'] });
  let complaint = '';
  worker.stderr.on('data', (piece: Buffer) => (complaint += piece.toString()));
  const input = join(folder, 'input');
  let hangs = false;
  const watch = setInterval(() => {
    const fed = statSync(input, { throwIfNoEntry: false });
    if (fed && Date.now() - fed.mtimeMs > PATIENCE) hangs = worker.kill('SIGKILL');
  }, 500);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => worker.on('close', (...how) => resolve(how)));
  clearInterval(watch);
  if (code !== 0) {
    const fed = existsSync(input) ? JSON.stringify(readFileSync(input, 'utf8').slice(0, 3000)) : 'nothing yet';
    t.fail(`${hangs ? `it took longer than ${PATIENCE / 1000} s` : `it ended by ${signal ?? code}: ${complaint.slice(0, 1000)}`}\nseed ${orders.seed}, fed with ${fed}`);
    return;
  }
  const { runs, slowest, failure } = JSON.parse(readFileSync(join(folder, 'told'), 'utf8')) as Told;
  t.is(failure, undefined);
  t.true(runs > 0);
  t.log(`${runs} inputs, seed ${orders.seed}, the slowest ${slowest.milliseconds} ms`);
  if (process.env['MUSTER_FUZZ_SLOWEST']) t.log(JSON.stringify(slowest.text.slice(0, 5000)));
}
