/** Names of hosts: this machine's own, and those that stand first in a line of known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
import { createHmac } from 'node:crypto';
import { wildcard } from './glob.js';

/** Names of this machine. */
export const localhost: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

/** Tells whether a host is meant by them: names, patterns with wildcards and negation, or one hashed name. */
export function hostMatcher(hosts: string): (name: string) => boolean {
  if (hosts.startsWith('|1|')) {
    const [, , salt, hash] = hosts.split('|').map((part) => Buffer.from(part, 'base64'));
    return (name) => hash !== undefined && createHmac('sha1', salt!).update(name).digest().equals(hash);
  }
  const patterns = hosts.split(',').map((pattern) => ({ negated: pattern.startsWith('!'), names: wildcard(pattern.replace(/^!/, '')) }));
  return (name) => {
    const matching = patterns.filter(({ names }) => names.test(name));
    return matching.length > 0 && !matching.some(({ negated }) => negated);
  };
}

/** A name as ssh_config(5), HashKnownHosts, has it written. @param salt 20 bytes */
export function hashedName(name: string, salt: Buffer): string {
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}
