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
  /** Vault ids of which a value was opened. */
  readonly #proved = new Set<string | undefined>();
  /**
   * Whether values that nobody has read yet must be such as can be opened, so that a missing or wrong password is found
   * before any host is touched. Where values are only listed or checked they need not.
   */
  isStrict = true;

  /** Replaces the passwords; those first in the list are tried first. */
  use(identities: readonly Identity[]): void {
    this.#identities = identities;
    this.#opened.clear();
    this.#proved.clear();
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
      this.#proved.add(envelope.id);
      return opened;
    }
    const tried = candidates.map(({ id, from }) => `${id}@${from}`).join(', ');
    throw new LockedError(`${what} is encrypted${named(envelope)} and no vault password fits`, origin, [...failures, `tried ${tried}`].join('; '));
  }

  /**
   * A value of a `!vault` text, opened when it is first read. The first one of each vault id is opened at once.
   * @throws ContentError as `open` does, in a strict keyring; where the text is damaged, in any
   */
  seal(text: string, origin: Origin): Secret {
    const envelope = envelopeOf(text, 'the value', origin);
    const secret = new Secret(() => this.open(text, 'the value', origin).plain.toString());
    if (this.isStrict && !this.#proved.has(envelope.id)) secret.reveal();
    return secret;
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
