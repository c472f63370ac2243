import type { Connection, Target } from './connection.js';
import { LocalConnection } from './local.js';
import { SshConnection } from './ssh.js';

export * from './connection.js';

/**
 * A way to one machine as one user. Nothing is opened before the first trip.
 * @throws ConnectionError where ssh_config asks for what cannot be done
 */
export function connect(target: Target): Connection {
  return target.connection === 'local' ? new LocalConnection(target.name) : new SshConnection(target);
}
