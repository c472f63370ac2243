import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { EXIT, UsageError } from './exit.js';

/**
 * Takes the lock of these playbooks and this inventory on this machine, so that two runs of `drift` don't meet. It is an
 * abstract Unix socket (unix(7)): the kernel holds it, nothing lies on disk, and it is gone when the process is. Whoever
 * finds it taken reads from it who holds it.
 * @returns gives it back
 * @throws UsageError with exit code 5, naming the holder
 */
export async function takeLock(playbooks: readonly string[], inventory: readonly string[]): Promise<() => void> {
  const key = [process.getuid?.(), ...playbooks.map(real), '--', ...inventory.map(real)].join('\0');
  const address = `\0muster-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  const holder = `process ${process.pid}, since ${new Date().toISOString()}`;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(holder);
  });
  try {
    await listen(server, address);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new UsageError(`muster: another run holds the lock of ${playbooks.join(', ')}: ${await ask(address)}`, EXIT.locked);
  }
  server.unref();
  return () => server.close();
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, resolve);
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
