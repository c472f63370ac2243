import type { Connection, Target } from './connection.js';
import { LocalConnection } from './local.js';

export * from './connection.js';

/** A way to one machine as one user. Nothing is opened before the first trip. @throws ConnectionError for settings that cannot work */
export function connect(target: Target): Connection {
  return new LocalConnection(target.name);
}
