import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import type { TemplateOptions } from '../expression/index.js';
import type { Sh } from '../shell/sh.js';
import type { Output, Step } from '../shell/step.js';
import type { Origin, Rendered } from '../value/value.js';

export type { Output, Step };

/**
 * The module contract. A module is one file in this folder that exports one definition made by
 * `defineModule` (declarative), `defineCommand` (imperative) or `defineSession` (speaks a protocol).
 * `changed`, check mode, diff, notify and `no_log` belong to the engine; no module sees a flag for them.
 */
export type Module = Declarative<any, any, any> | Imperative<any, any> | Conversation<any, any, any, any>;

/** One difference between what is and what is wanted. An empty list of them means converged. */
export interface Change {
  /** The parameter or property that differs, e.g. `mode`, `content`, `packages`. */
  field: string;
  from: unknown;
  to: unknown;
  /** Never show from and to. (The engine also hides what was made from secret arguments.) */
  secret?: boolean;
  /**
   * Text of a file, for a unified diff: `after` is known here, `before` is read by `before()` when a diff is shown.
   * `source` is what the new text comes from, where that is a file.
   */
  text?: { path: string; source?: string | undefined; after: string | null };
}

/** A text that changes, as Ansible's `diff` tells it. */
export interface TextDiff {
  /** Where the old text is; missing where there is none. */
  before_header?: string;
  before: string;
  after_header: string;
  after: string;
}

/** What `register` sees, besides `changed`, `failed`, `diff`, which the engine adds. */
export type Returns = Record<string, unknown>;

/** What a module may use of the controller while it prepares. It reads; it never writes. */
export interface Controller {
  /**
   * Finds a file of the project: absolute, or in the role's, the playbook's and the project's `files/` (`templates/`).
   * @throws ContentError naming every place that was looked at
   */
  find(name: string, folder: 'files' | 'templates'): Promise<string>;
  /**
   * Renders a template with the task's variables: `.hbs` as Handlebars, any other as Jinja.
   * @param options how a Jinja template is written
   * @param dest where its text goes, for `template_destpath`
   * @throws ContentError with the template's line
   */
  render(path: string, options?: TemplateOptions, dest?: string): Promise<Rendered>;
  /** Inventory name of the host the task runs on. */
  host: string;
  /** Inventory name of the host it is delegated to, where it is. */
  delegate?: string | undefined;
  /** Facts of that host gathered so far, flat (`os_family`, `distribution`, `service_mgr`, `pkg_mgr`, …); empty if none. */
  facts: ReadonlyMap<string, unknown>;
  /** Whether the task's result is kept (`register`): what is costly to find out may be left out of it otherwise. */
  registers: boolean;
  /** A variable of the host the task goes to (`ansible_python_interpreter`), revealed; undefined where there is none. */
  variable(name: string): unknown;
  /** For modules of others, which are told: whether diffs are shown, `-v` counted, whether `no_log` hides the task. */
  diff: boolean;
  verbosity: number;
  hides: boolean;
}

interface Described<P extends z.ZodType> {
  /** Ansible's short name, e.g. `copy`. */
  name: string;
  /** Other short names that mean the same, e.g. `systemd_service`. */
  aliases?: readonly string[];
  /** One sentence for `muster doc`. */
  summary: string;
  /** Strict and documented; see params.ts for the types of Ansible's argument specs. */
  params: P;
  /** The parameter a free-form value fills: `command: ls -l` fills `cmd`. */
  freeForm?: string;
  /** For a module whose parameters are not known before: which of them are never shown. */
  isSecret?(parameter: string): boolean;
  /** Field -> one sentence, for `muster doc`. */
  returns: Readonly<Record<string, string>>;
  /** YAML texts, each a task list. */
  examples: readonly string[];
}

/** What a change touches: in a confirmed block its old state is kept, and put back if nobody confirms. */
export interface Touched {
  /** Files, links, and folders without what is in them. */
  paths?: readonly Sh[];
  /** The same, and folders with all that is in them. */
  trees?: readonly Sh[];
  /** Units or init scripts, and the harshest thing done to each. */
  services?: readonly { name: string; how: 'none' | 'reload' | 'restart' }[];
}

/** A task that leads back from a change, made as the one it takes back was: same host, same user. */
export interface Back {
  module: string;
  args: { [name: string]: unknown };
  /** `src` is to be the content of the file at this path: it is read before the change, and kept on the controller. */
  old?: Sh;
  /** Folders above this path that are not there yet go again behind it, where they are empty then. */
  above?: Sh;
  /** Done again, rather than taken back, once all else is: what was restarted reads what was put back. */
  again?: boolean;
  /** Another task of the same change stands before it: what it will find is not what the change left. */
  behind?: boolean;
}

export interface Declarative<P extends z.ZodType, Wanted, Observed> extends Described<P> {
  kind: 'declarative';
  /** Reads what is needed on the controller: src files, rendered templates. Without it, wanted = args. */
  prepare?(args: z.output<P>, controller: Controller): Promise<Wanted>;
  /** Read-only shell text, bounded in time; writes nothing, uploads nothing. */
  inspect(wanted: Wanted): Sh;
  /** Throws ModuleError when it cannot tell; never guesses "absent". */
  parse(output: Output, wanted: Wanted): Observed;
  /** Finds out on the controller what is costly and matters only given what was observed (the hash of a long file). */
  refine?(wanted: Wanted, observed: Observed): Promise<Wanted>;
  /** Pure. [] means converged. */
  compare(wanted: Wanted, observed: Observed): Change[];
  /** Makes exactly these changes. */
  apply(wanted: Wanted, observed: Observed, changes: Change[]): Step;
  /**
   * Read-only text by which the host's own tools tell what `apply` would do; its output is `result`'s in a plan, and
   * the plan fails where it fails. Undefined where they cannot tell.
   */
  rehearse?(wanted: Wanted, observed: Observed, changes: Change[]): Sh | undefined;
  /**
   * What `apply` touches, to the last path: all that has to be put back to undo it. A module without it may not stand in
   * a confirmed block. @throws ModuleError for changes that cannot be put back
   */
  touches?(wanted: Wanted, observed: Observed, changes: Change[]): Touched;
  /**
   * The tasks that lead back from `changes`, in order; `cannot` tells of what has no way back. Without it nothing has.
   * @throws ModuleError where nothing has
   */
  undo?(wanted: Wanted, observed: Observed, changes: Change[]): (Back | { cannot: string })[];
  /** Reads the present text of what `changes` will replace, for a diff: stdout is that text. */
  before?(wanted: Wanted, observed: Observed, change: Change): Sh;
  /** Asked in a plan, of what is not as wanted: prints a line for each thing that people should be warned of; read-only. */
  remarks?(wanted: Wanted): Sh | undefined;
  /**
   * `diff` of the result, where Ansible's is other than the list of the texts that change, or is there in any case.
   * @param changes what changes, or would in a plan, without secrets; none where all is right
   * @param texts those of the changes, where diffs are wanted
   */
  diff?(wanted: Wanted, observed: Observed, changes: readonly Pick<Change, 'field' | 'from' | 'to'>[], texts: readonly TextDiff[]): unknown;
  /**
   * `output` is apply's, in a plan that of `rehearse`; absent when nothing was changed or nothing was rehearsed. May throw ModuleError; may say `changed: false`
   * where only doing it, or rehearsing it, told that there was nothing to do (`pip install -U`).
   */
  result(wanted: Wanted, observed: Observed, output?: Output): Returns;
  /** False where an apply cannot be looked at again (`state: restarted`); `--verify` skips it. Default true. Ask `verifies`. */
  verify?: boolean | ((wanted: Wanted) => boolean);
  /** A module that reports what it is asked, even "changed", without a change of its own (`ping`, `stat`): default false. */
  readOnly?: boolean;
}

export interface Imperative<P extends z.ZodType, Wanted> extends Described<P> {
  kind: 'imperative';
  prepare?(args: z.output<P>, controller: Controller): Promise<Wanted>;
  /** `creates`/`removes`: read-only text; undefined when there is no guard. */
  guard?(wanted: Wanted): Sh | undefined;
  /**
   * What the result is where the guard's output says there is nothing to do: `msg` says why.
   * @param check whether the task would not run in any case
   */
  guarded?(output: Output, wanted: Wanted, check: boolean): Returns | undefined;
  /** It cannot go on by itself on the host as a job. */
  refusesAsync?: boolean;
  run(wanted: Wanted): Step;
  /** What a plan makes in place of `run`: it finds out what would change, and changes nothing. Without it, a plan cannot know. */
  plan?(wanted: Wanted): Step;
  /** What it prints is an answer for `result`, not words for people. */
  answers?: boolean;
  /** Whether this run counts as a change, e.g. `uri` and `wait_for` never do. Default true. */
  changes?: boolean;
  /** A non-zero rc fails the task unless `result` says `failed: false`; ModuleError fails it with its message. */
  result(wanted: Wanted, output: Output): Returns;
}

/** The way a conversation reaches its server, through the SSH connection of the task's host. */
export interface Channel {
  /** A stream to a Unix socket or a TCP port of the host, under the task's become user. */
  open(target: { socket: string } | { host: string; port: number }): Promise<Duplex>;
  /** A stream to the standard input and output of a script on the host; what it writes to standard error is lost. */
  program(script: Sh): Promise<Duplex>;
  /** Runs a read-only script on the host (to find a socket or a configuration file). */
  ask(script: Sh): Promise<Output>;
}

export interface Conversation<P extends z.ZodType, Wanted, Session, Observed> extends Described<P> {
  kind: 'conversation';
  prepare?(args: z.output<P>, controller: Controller): Promise<Wanted>;
  connect(wanted: Wanted, channel: Channel): Promise<Session>;
  close(session: Session): Promise<void>;
  inspect(wanted: Wanted, session: Session): Promise<Observed>;
  compare(wanted: Wanted, observed: Observed): Change[];
  /** May return `changed: false` where only doing it told that there was nothing to do (an UPDATE that found no row). */
  apply(wanted: Wanted, session: Session, observed: Observed, changes: Change[]): Promise<Returns | void>;
  /** `applied` is what apply returned; absent when nothing was changed or in a plan. */
  result(wanted: Wanted, observed: Observed, applied?: Returns): Returns;
  /** See Declarative.verify. */
  verify?: boolean | ((wanted: Wanted) => boolean);
  readOnly?: boolean;
}

/** Whether a second look after an apply must find nothing left to do. */
export function verifies(module: { verify?: boolean | ((wanted: any) => boolean) }, wanted: unknown): boolean {
  return typeof module.verify === 'function' ? module.verify(wanted) : module.verify !== false;
}

export function defineModule<P extends z.ZodType, Observed, Wanted = z.output<P>>(
  definition: Omit<Declarative<P, Wanted, Observed>, 'kind'>,
): Declarative<P, Wanted, Observed> {
  return { ...definition, kind: 'declarative' };
}

export function defineCommand<P extends z.ZodType, Wanted = z.output<P>>(
  definition: Omit<Imperative<P, Wanted>, 'kind'>,
): Imperative<P, Wanted> {
  return { ...definition, kind: 'imperative' };
}

export function defineSession<P extends z.ZodType, Session, Observed, Wanted = z.output<P>>(
  definition: Omit<Conversation<P, Wanted, Session, Observed>, 'kind'>,
): Conversation<P, Wanted, Session, Observed> {
  return { ...definition, kind: 'conversation' };
}

/** The task failed: message for people, further fields for `register` (rc, stderr, …). */
export class ModuleError extends Error {
  constructor(
    message: string,
    readonly fields: Returns = {},
    readonly origin?: Origin,
  ) {
    super(message);
    this.name = 'ModuleError';
  }
}
