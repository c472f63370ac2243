import type { Connection, Target } from './connection.js';
import { LocalConnection } from './local.js';
import { SshConnection } from './ssh.js';

export * from './connection.js';
export { sshArguments } from './ssh-args.js';

/** A way to one machine as one user. Nothing is opened before the first trip. */
export function connect(target: Target): Connection {
  return target.connection === 'local' ? new LocalConnection(target.name) : new SshConnection(target);
}
