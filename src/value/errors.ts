import type { Origin } from './value.js';

/** What to do, or what finds that out: most missing names are asked for with `default` or `is defined`, and never told. */
type Hint = string | (() => string | undefined) | undefined;

/**
 * The project's content is wrong: shown like a compiler's message, `file:line:column: message`, exit code 1.
 * The message says what is wrong; `hint` says what to do.
 */
export class ContentError extends Error {
  readonly #hint: Hint;
  constructor(
    message: string,
    readonly origin?: Origin,
    hint?: Hint,
  ) {
    super(message);
    this.name = 'ContentError';
    this.#hint = hint;
  }
  get hint(): string | undefined {
    return typeof this.#hint === 'function' ? this.#hint() : this.#hint;
  }
  /** `playbooks/site.yml:14:9: apt has no parameter "stat"; did you mean "state"?` */
  describe(): string {
    const place = this.origin ? `${this.origin.file}:${this.origin.line}:${this.origin.column}: ` : '';
    return `${place}${this.message}${this.hint ? `; ${this.hint}` : ''}`;
  }
}

/** Arguments that a module does not take. */
export class ArgumentError extends ContentError {
  /** @param fields what `register` sees of it besides `failed`: `msg` in Ansible's words, which playbooks look into, `rc` */
  constructor(
    message: string,
    origin: Origin | undefined,
    hint: Hint,
    readonly fields: { readonly [name: string]: unknown; readonly msg: string },
  ) {
    super(message, origin, hint);
  }
}

/**
 * Runs what reads a text that may be secret (from an encrypted file): then what an error quotes of it is left out.
 * @throws what the work throws
 */
export function discreetly<T>(isSecret: boolean, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isSecret || !(error instanceof ContentError)) throw error;
    throw new ContentError(error.message.replace(/".*"/gs, '"…"'), error.origin, 'the line is that of the decrypted text: muster vault edit shows it');
  }
}

/** An expression read a name or attribute that does not exist. `| default(…)` and `is defined` catch it. */
export class UndefinedError extends ContentError {
  constructor(message: string, origin?: Origin, hint?: Hint) {
    // Far more are caught than told, and a stack trace is most of what one costs.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message, origin, hint);
    Error.stackTraceLimit = limit;
    this.name = 'UndefinedError';
  }
}

/** A value only a real run can tell was needed: in a plan, the reader becomes unknown too. */
export class UnknownError extends Error {
  constructor(readonly why: string) {
    super(why);
    this.name = 'UnknownError';
  }
}

/** Evaluation came upon something that may only happen in earnest (a pipe, a random value) while looking ahead. */
export class NotAheadError extends Error {
  constructor(what: string) {
    super(`${what} is not evaluated ahead of its task`);
    this.name = 'NotAheadError';
  }
}

/** `did you mean "state"?` for the nearest of the known names, or undefined where none is near. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name, candidate, bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best === undefined ? undefined : `did you mean "${best}"?`;
}

/** Optimal string alignment distance (insert, delete, replace, swap of neighbours), given up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
