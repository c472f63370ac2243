import { existsSync, readFileSync } from 'node:fs';
import ssh2, { type AnyAuthMethod, type ParsedKey } from 'ssh2';
import { ConnectionError } from './connection.js';
import type { SshSettings } from './ssh-config.js';

/**
 * What is offered to sshd, in order: the key the target names, the agent's keys, further identities, the password
 * (by both ways it can be asked for). The named key goes first, since sshd hangs up after six attempts and an agent
 * may hold more keys than that.
 */
export class Authentication {
  /** For the message when nothing was accepted. */
  readonly tried: string[] = [];
  readonly #skipped: string[] = [];
  /** Whether sshd was asked what it accepts; with `none`, which also lets in where nothing is needed. */
  #asked = false;
  #methods: { what: string; needs: string; method: AnyAuthMethod }[] = [];

  constructor(private readonly settings: SshSettings) {}

  /** Reads the keys; asks for passphrases. @throws ConnectionError when the named key cannot be used */
  async prepare(): Promise<void> {
    const { user: username, key, identities, agent, identitiesOnly, password } = this.settings;
    const keys: { path: string; key: ParsedKey }[] = [];
    for (const path of new Set(key === undefined ? identities : [key, ...identities])) {
      const parsed = await this.#read(path, path === key);
      if (parsed) keys.push({ path, key: parsed });
    }
    const offer = ({ path, key }: (typeof keys)[number]) => this.#methods.push({ what: `key ${path}`, needs: 'publickey', method: { type: 'publickey', username, key } });
    const named = keys.filter(({ path }) => path === key);
    named.forEach(offer);
    if (agent !== undefined) {
      const only = identitiesOnly ? publicKeys(key === undefined ? identities : [key, ...identities], keys.map((each) => each.key)) : undefined;
      this.#methods.push({ what: 'agent', needs: 'publickey', method: { type: 'agent', username, agent: new Agent(agent, only) } });
    }
    keys.filter((each) => !named.includes(each)).forEach(offer);
    if (password !== undefined) {
      this.#methods.push({ what: 'password', needs: 'password', method: { type: 'password', username, password } });
      this.#methods.push({
        what: 'password (keyboard-interactive)',
        needs: 'keyboard-interactive',
        method: { type: 'keyboard-interactive', username, prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)) },
      });
    }
  }

  /**
   * ssh2's authHandler. A key is shown without asking first what sshd accepts, which saves a round trip; a password is not.
   * @param left what sshd still accepts; null before it said so
   */
  next(left: string[] | null): AnyAuthMethod | false {
    if (left === null && this.#methods[0]?.needs !== 'publickey') return this.#ask();
    for (let next = this.#methods.shift(); next; next = this.#methods.shift()) {
      if (left && !left.includes(next.needs)) {
        this.#skipped.push(`${next.what} (sshd takes only ${left.join(', ')})`);
        continue;
      }
      this.tried.push(next.what);
      return next.method;
    }
    return this.#ask();
  }

  #ask(): AnyAuthMethod | false {
    if (this.#asked) return false;
    this.#asked = true;
    return { type: 'none', username: this.settings.user };
  }

  failure(): ConnectionError {
    const { name, user, host, port, password } = this.settings;
    const parts = [this.tried.length > 0 ? `tried ${this.tried.join(', ')}` : 'there was nothing to try', ...(this.#skipped.length > 0 ? [`not tried: ${this.#skipped.join('; ')}`] : [])];
    return new ConnectionError(
      'authentication',
      `${name}: ${host}:${port} lets ${user} in by none of its ways: ${parts.join('; ')}`,
      `put a public key into ~${user}/.ssh/authorized_keys there, name a key (--private-key, ansible_ssh_private_key_file)${password === undefined ? ', or give a password with -k' : ''}; is ${user} the right user?`,
    );
  }

  async #read(path: string, named: boolean): Promise<ParsedKey | undefined> {
    if (!named && !existsSync(path)) return undefined;
    let text: Buffer;
    try {
      text = readFileSync(path);
    } catch (error) {
      if (named) throw new ConnectionError('authentication', `${this.settings.name}: the key ${path} cannot be read: ${(error as Error).message}`, 'correct ansible_ssh_private_key_file or --private-key');
      return undefined;
    }
    let parsed = parseKey(text.toString('latin1'));
    if (parsed instanceof Error && /encrypted|passphrase/i.test(parsed.message)) {
      const passphrase = await this.settings.askPassphrase?.(path);
      if (passphrase !== undefined) parsed = ssh2.utils.parseKey(text, passphrase);
      else if (this.settings.agent !== undefined || !named) {
        // An agent may hold it already unlocked.
        this.#skipped.push(`key ${path} (it has a passphrase; load it into the agent: ssh-add ${path})`);
        return undefined;
      } else throw new ConnectionError('authentication', `${this.settings.name}: the key ${path} has a passphrase`, `load it into an agent: ssh-add ${path}`);
    }
    if (!(parsed instanceof Error)) return parsed;
    if (named) throw new ConnectionError('authentication', `${this.settings.name}: the key ${path} cannot be used: ${parsed.message}`, 'check the file and its passphrase');
    this.#skipped.push(`key ${path} (${parsed.message})`);
    return undefined;
  }
}

const parsedKeys = new Map<string, ParsedKey | Error>();

/** Once for each key, however many hosts it opens. */
function parseKey(text: string): ParsedKey | Error {
  let parsed = parsedKeys.get(text);
  if (parsed === undefined) parsedKeys.set(text, (parsed = ssh2.utils.parseKey(Buffer.from(text, 'latin1'))));
  return parsed;
}

/** The agent behind a socket, limited to some keys for IdentitiesOnly. */
class Agent extends ssh2.OpenSSHAgent {
  constructor(
    socket: string,
    private readonly only: Buffer[] | undefined,
  ) {
    super(socket);
  }
  override getIdentities(callback: Parameters<ssh2.OpenSSHAgent['getIdentities']>[0]): void {
    super.getIdentities((error, keys) => {
      // No agent behind the socket is no reason not to try the other ways.
      if (error) return callback(undefined, []);
      const { only } = this;
      callback(undefined, only ? (keys as ParsedKey[]).filter((key) => only.some((one) => one.equals(key.getPublicSSH()))) : keys);
    });
  }
}

/** Public halves of identity files: from `.pub` beside them, or from the key itself. */
function publicKeys(paths: string[], keys: ParsedKey[]): Buffer[] {
  const beside = paths.flatMap((path) => {
    try {
      const parsed = ssh2.utils.parseKey(readFileSync(`${path}.pub`));
      return parsed instanceof Error ? [] : [parsed.getPublicSSH()];
    } catch {
      return [];
    }
  });
  return [...beside, ...keys.map((key) => key.getPublicSSH())];
}
