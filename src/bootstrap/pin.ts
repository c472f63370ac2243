import { ConnectionError } from '../connection/connection.js';
import { fingerprint, forget, keyType, readKnownHosts, remember, type Verdict } from '../connection/known-hosts.js';

/** How the key of a host stood when it was met. */
export interface Pinned {
  /** Key type, e.g. `ssh-ed25519`. */
  type: string;
  /** `SHA256:…` as ssh prints it. */
  fingerprint: string;
  /** Pinned now, on record before, or put in the place of another that was (`--retrust`). */
  how: 'new' | 'known' | 'replaced';
}

/** What is known of the host's key beforehand, and where it is kept. */
export interface Pinning {
  /** known_hosts file that holds it from now on. */
  file: string;
  /** Those it may have, `SHA256:…`; none takes the key that the host shows at first. */
  fingerprints: readonly string[];
  /** Whether another key that is on record gives way: the host was set up anew. */
  retrust: boolean;
  /** Further ports the same sshd will answer on. */
  ports: readonly number[];
}

/**
 * Judges a host's key at first contact, before anything is authenticated, and keeps it.
 * @param host inventory name, for messages
 * @param met told how it was found
 */
export function pinning(host: string, { file, fingerprints, retrust, ports }: Pinning, met: (pinned: Pinned) => void) {
  return (name: string, key: Buffer, verdict: Verdict): ConnectionError | undefined => {
    const shown = fingerprint(key);
    const type = keyType(key);
    const refuse = (message: string, remedy: string): ConnectionError => new ConnectionError('host-key', `${host}: ${message}`, remedy);
    if (fingerprints.length > 0 && !fingerprints.includes(shown))
      return refuse(`it shows the key ${type} ${shown}, which is none of those given with --fingerprint`, `give the fingerprint of its ${type} key (on its console: ssh-keygen -lf /etc/ssh/ssh_host_${short(type)}_key.pub); if it differs, this is another host`);
    if (verdict.status === 'changed' && !retrust) {
      const places = verdict.known.map((entry) => `${entry.file}:${entry.line} (${entry.type} ${fingerprint(entry.key)})`).join(', ');
      return refuse(`its key has changed: it shows ${type} ${shown}, on record is ${places}. Somebody may be listening in`, 'if the host was set up anew, or its address belongs to another now, say so with --retrust, best with --fingerprint');
    }
    const address = name.replace(/^\[(.*)\]:\d+$/, '$1');
    for (const each of new Set([name, ...ports.map((port) => (port === 22 ? address : `[${address}]:${port}`))])) {
      const pins = readKnownHosts([file]).of(each).filter(({ marker }) => marker === undefined);
      if (pins.some((pin) => pin.key.equals(key))) continue;
      if (verdict.status === 'changed') forget(file, each);
      remember(file, each, key, false);
    }
    met({ type, fingerprint: shown, how: verdict.status === 'known' ? 'known' : verdict.status === 'changed' ? 'replaced' : 'new' });
    return undefined;
  };
}

/** `ssh-ed25519` -> `ed25519`, `ecdsa-sha2-nistp256` -> `ecdsa`, as in the names of sshd's key files. */
function short(type: string): string {
  return type.replace(/^ssh-|-.*$/g, '');
}
