import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A port that passes on what comes to another, so many milliseconds later, both ways. */
export async function delayed(target: { host: string; port: number }, milliseconds: number): Promise<{ port: number; stop(): void }> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ ...target, allowHalfOpen: true });
    pass(near, far, milliseconds);
    pass(far, near, milliseconds);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      open.add(socket);
      socket.on('error', () => (near.destroy(), far.destroy()));
      socket.on('close', () => open.delete(socket));
    }
  });
  // At every loopback address, as the fleet's sshd.
  server.listen(0, '0.0.0.0');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Timers of one length go off in the order they were set, so nothing overtakes. */
function pass(from: Socket, to: Socket, milliseconds: number): void {
  const later = (what: () => void) => setTimeout(() => to.destroyed || what(), milliseconds);
  from.on('data', (chunk: Buffer) => later(() => to.write(chunk)));
  from.on('end', () => later(() => to.end()));
}
