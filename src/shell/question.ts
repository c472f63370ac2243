import { Sh } from './sh.js';

/**
 * What all questions of one kind have in common, so that a host answers many of them with the processes of one
 * (`stat`, `dpkg-query`, `systemctl show`). Kinds are told apart by identity.
 */
export interface Kind<T> {
  /** The text that asks all of them; what it prints for one alone is what the module parses. */
  text(asked: readonly T[]): Sh;
  /** What each alone would have printed, of what all together did; undefined where that cannot be told. */
  apart(stdout: string, asked: readonly T[]): string[] | undefined;
}

/** An inspection that may be asked together with others of its kind. By itself it is a text like any other. */
export class Question<T = unknown> extends Sh {
  constructor(
    readonly kind: Kind<T>,
    readonly asked: T,
  ) {
    super(kind.text([asked]).text);
  }
}
