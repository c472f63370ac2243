import { ContentError } from '../value/errors.js';
import { Secret, type Origin } from '../value/value.js';
import { decrypt, FormatError, parseEnvelope, type Envelope } from './format.js';
import type { Identity } from './passwords.js';

/** What to do where no password was given. */
const GIVE = 'give its password with --vault-password-file FILE, --vault-id ID@FILE or --ask-vault-pass, or set vault_password_file in muster.yml';

/** No password fits, or none was given. Where nothing is to be run it is no more than a warning. */
export class LockedError extends ContentError {}

/** The passwords of this process, and what they have opened. Passwords are asked for and keys derived only at need. */
export class Keyring {
  #identities: readonly Identity[] = [];
  /** By encrypted text: a file that goes to a hundred hosts is opened once. */
  readonly #opened = new Map<string, { plain: Buffer; identity: Identity }>();
  /** Vault ids of which opening a value was tried. */
  readonly #tried = new Set<string | undefined>();
  #locked: LockedError[] = [];
  /**
   * Whether a missing or wrong password is looked for before values are read. Where they are only listed or checked it is not,
   * and what cannot be opened is no more than a warning.
   */
  isStrict = true;

  /** Replaces the passwords; those first in the list are tried first. */
  use(identities: readonly Identity[]): void {
    this.#identities = identities;
    this.#opened.clear();
    this.#tried.clear();
    this.#locked = [];
  }

  /** Whether no password was given. */
  get isEmpty(): boolean {
    return this.#identities.length === 0;
  }

  /**
   * What an encrypted text holds, and whose password opened it.
   * @param what for messages, e.g. `the file`
   * @throws LockedError where no password fits, ContentError where the text is damaged
   */
  open(text: string, what: string, origin?: Origin): { plain: Buffer; identity: Identity } {
    const known = this.#opened.get(text);
    if (known) return known;
    const envelope = envelopeOf(text, what, origin);
    if (this.isEmpty) throw new LockedError(`${what} is encrypted${named(envelope)} and no vault password was given`, origin, GIVE);
    // As in Ansible the id is but a hint: where its password is another one, the others are tried.
    const candidates = [...this.#identities.filter(({ id }) => id === envelope.id), ...this.#identities.filter(({ id }) => id !== envelope.id)];
    const failures: string[] = [];
    for (const identity of candidates) {
      let password: Buffer;
      try {
        password = identity.password();
      } catch (error) {
        if (!(error instanceof ContentError)) throw error;
        failures.push(error.message);
        continue;
      }
      const plain = attempt(() => decrypt(envelope, password), what, origin);
      if (plain === undefined) continue;
      const opened = { plain, identity };
      this.#opened.set(text, opened);
      this.#tried.add(envelope.id);
      return opened;
    }
    const tried = candidates.map(({ id, from }) => `${id}@${from}`).join(', ');
    throw new LockedError(`${what} is encrypted${named(envelope)} and no vault password fits`, origin, [...failures, `tried ${tried}`].join('; '));
  }

  /**
   * A value of a `!vault` text, opened when it is first read: as in Ansible one that is never read needs no password. In a strict
   * keyring the first one of each vault id is tried at once, and `locked` tells of it.
   * @throws ContentError where the text is damaged
   */
  seal(text: string, origin: Origin): Secret {
    const { id } = envelopeOf(text, 'the value', origin);
    const secret = new Secret(() => this.open(text, 'the value', origin).plain.toString(), text);
    if (!this.isStrict || this.#tried.has(id)) return secret;
    this.#tried.add(id);
    try {
      secret.reveal();
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      this.#locked.push(error);
    }
    return secret;
  }

  /** For each vault id of which a value could not be opened the first such, once. */
  takeLocked(): LockedError[] {
    return this.#locked.splice(0);
  }
}

function envelopeOf(text: string, what: string, origin: Origin | undefined): Envelope {
  return attempt(() => parseEnvelope(text), what, origin);
}

function attempt<T>(work: () => T, what: string, origin: Origin | undefined): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new ContentError(`${what} is no vault text: ${error.message}`, origin, 'encrypt it anew, or take the version before it was damaged');
  }
}

function named({ id }: Envelope): string {
  return id === undefined ? '' : ` (vault id "${id}")`;
}

/** The keyring of this process, as the mask is its sink: filled once, from flags and settings. */
export const keyring = new Keyring();
