import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, UsageError } from './exit.js';

/**
 * Takes the lock of these playbooks and this inventory on this machine, so that two runs of them don't meet. It is an
 * abstract Unix socket (unix(7)): the kernel holds it, nothing lies on disk, and it is gone when the process is. Whoever
 * finds it taken reads from it who holds it.
 * @param patience seconds to wait for it
 * @returns gives it back
 * @throws UsageError with exit code 5, naming the holder
 */
export async function takeLock(playbooks: readonly string[], inventory: readonly string[], patience = 0): Promise<() => void> {
  const key = [process.getuid?.(), ...playbooks.map(real), '--', ...inventory.map(real)].join('\0');
  const address = `\0muster-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  const holder = `process ${process.pid}, since ${new Date().toISOString()}`;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(holder);
  });
  for (const until = performance.now() + patience * 1000; ; ) {
    try {
      await listen(server, address);
      server.unref();
      return () => server.close();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      const left = until - performance.now();
      if (left <= 0) throw new UsageError(`muster: another run holds the lock of ${playbooks.join(', ')}: ${await ask(address)}; --lock-timeout SECONDS waits for it`, EXIT.locked);
      await sleep(Math.min(left, 500));
    }
  }
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** What the holder says of itself; it may have ended meanwhile, or be stopped. */
function ask(address: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(address);
    socket.setTimeout(2000, () => socket.destroy());
    socket.on('data', (piece) => (text += piece.toString()));
    socket.on('error', () => {});
    socket.on('close', () => resolve(text || 'it does not say which'));
  });
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
