/**
 * The expression language: Jinja's grammar with Python's semantics (ansible-core 2.19 where releases differ).
 * This file is the room's whole face; nothing outside imports deeper.
 */
import type { Origin, Source, Value } from '../value/value.js';

/** Where an expression finds its variables. */
export interface Scope {
  /**
   * The evaluated value of a variable, or undefined where there is none.
   * Evaluates lazily; notes in `record` what it read.
   * @throws ContentError when a variable refers to itself through others
   */
  get(name: string, record: Record): Value | undefined;
  /** All names, for suggestions (`did you mean …`) and the `vars`/`varnames` lookups. */
  names(): Iterable<string>;
  /** What lookups and tests use of the controller. */
  readonly services: Services;
}

/** The controller as lookups see it. */
export interface Services {
  /** Finds a project file as `copy` (files), `template` (templates) and `include_vars` (vars) do; undefined when there is none. */
  find(name: string, folder: 'files' | 'templates' | 'vars' | ''): string | undefined;
  /** Folder that relative paths of this task start from (for `fileglob`, `password`, `pipe`). */
  baseDir: string;
  /** Renders a template file for the `template` lookup. */
  render(path: string, record: Record, overrides: Map<string, Value>): string;
  /** True while the engine looks ahead: whatever has an effect or is random throws NotAheadError. */
  ahead: boolean;
}

/** What an evaluation read. One is made for each argument, condition or template rendered. */
export class Record {
  /** A secret was read into the value; tests and comparisons don't count. */
  secret = false;
  /** Inventory names of other hosts whose variables were read. */
  readonly hosts = new Set<string>();
  /** Names of facts that were read. */
  readonly facts = new Set<string>();
  /** Origins of the variables that were read, by name, for "where did this value come from". */
  readonly origins = new Map<string, Origin>();
}

/** A text or expression, parsed once and evaluated often. */
export interface Compiled {
  readonly origin: Origin;
  /** Names of variables the text mentions, for static checks. */
  readonly mentions: ReadonlySet<string>;
  /**
   * @throws UndefinedError, ContentError, UnknownError, NotAheadError
   * A result made from a secret comes back as Secret (scalars) or holds them.
   */
  evaluate(scope: Scope, record: Record): Value;
}

export declare function compileText(source: Source): Compiled;
export declare function compileExpression(text: string, origin: Origin): Compiled;
