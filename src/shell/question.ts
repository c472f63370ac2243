import { Sh } from './sh.js';

/**
 * What all questions of one kind have in common, so that a host answers many of them with the processes of one
 * (`stat`, `dpkg-query`, `systemctl show`).
 */
export interface Kind<T> {
  /** Questions of kinds with the same name may be asked together. */
  name: string;
  /** Tells a question from others of its kind. */
  key(asked: T): string;
  /** The text that asks all of them; what it prints for one alone is what the module parses. */
  text(asked: readonly T[]): Sh;
  /** What each alone would have printed, of what all together did; undefined where that cannot be told. */
  apart(stdout: string, asked: readonly T[]): string[] | undefined;
}

/** An inspection that may be asked together with others of its kind. By itself it is a text like any other, written only when it is needed. */
export class Question<T = unknown> extends Sh {
  constructor(
    readonly kind: Kind<T>,
    readonly asked: T,
  ) {
    super('');
  }
  override get text(): string {
    return this.kind.text([this.asked]).text;
  }
  override get key(): string {
    return `${this.kind.name}\0${this.kind.key(this.asked)}`;
  }
}
