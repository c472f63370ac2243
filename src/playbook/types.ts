import type { Dict, Origin, Source, Value } from '../value/value.js';
import type { LoadContext } from './context.js';

/**
 * Typed plays and tasks, as loaded: nothing here is evaluated. Any `Value` may be or hold a `Source`.
 * Keywords that tasks inherit from blocks, roles, imports and plays are flattened into each task at load,
 * so that the engine finds a task whole.
 */
export interface Playbook {
  path: string;
  plays: Play[];
}

export interface Play {
  origin: Origin;
  /** Folder of the playbook file, where `files/`, `templates/`, `group_vars/` beside it are looked up. */
  baseDir: string;
  name: Value | undefined;
  /** The pattern: text, list of texts, or Source. */
  hosts: Value;
  gatherFacts: Value | undefined;
  /** `gather_subset`, `gather_timeout` and `fact_path`: arguments for `setup` under their names. */
  gather: Dict;
  /** How the hosts of the pattern are ordered; undefined is as in the inventory. */
  order: Value | undefined;
  vars: Dict;
  /** What is asked for before the run. */
  varsPrompt: Prompt[];
  varsFiles: Value[];
  strategy: 'linear' | 'free' | 'host_pinned';
  serial: Value | undefined;
  maxFailPercentage: Value | undefined;
  anyErrorsFatal: Value | undefined;
  forceHandlers: Value | undefined;
  ignoreUnreachable: Value | undefined;
  /** In running order: pre_tasks, roles (dependencies expanded, tagged, each as a Block of its tasks), tasks, post_tasks. */
  sections: { name: 'pre_tasks' | 'roles' | 'tasks' | 'post_tasks'; entries: Entry[] }[];
  /** The play's own first, then those of its roles in order. */
  handlers: Task[];
  /** Static roles of the play, for `role_names` and for the exported defaults and vars. */
  roles: Role[];
  /** Connection and become defaults of the play: already flattened into tasks; fact gathering uses these. */
  keywords: Inherited;
  tags: Tag[];
}

/** One entry of `vars_prompt`. */
export interface Prompt {
  /** The variable that gets the answer. */
  name: string;
  /** Its keywords, not evaluated. */
  options: Dict;
  origin: Origin;
}

/** A tag, or an expression that gives one or several when the task's turn comes. */
export type Tag = string | Source;

/** What a task, block or include entry is. */
export type Entry = Task | Block;

export interface Block {
  kind: 'block';
  origin: Origin;
  name: Value | undefined;
  /**
   * Set on a role that is listed again with the same parameters: a host that ran a task (not skipped) of a block
   * with this key passes over later ones.
   */
  once?: string;
  /** A confirmed block: the old state comes back by itself unless a new login says otherwise in time. */
  confirm?: {
    within: Value;
    /** What the block touches beyond what its modules say of themselves. */
    paths: Value[];
    services: Value[];
    origin: Origin;
  } | undefined;
  block: Entry[];
  rescue: Entry[];
  always: Entry[];
}

/** One thing a task inherits or states itself; the nearest statement wins unless said otherwise. */
export interface Inherited {
  /** All conditions, outermost first; all must hold. */
  when: Condition[];
  /** Layers of `vars:`, outermost first (play vars are not among them). */
  vars: Dict[];
  /** Merged, outermost first. */
  environment: Value[];
  /** Sum of all. */
  tags: Tag[];
  /** Handlers to notify of changes: the task's own and those of the blocks around it. */
  notify: Value[];
  become: Value | undefined;
  becomeUser: Value | undefined;
  becomeMethod: Value | undefined;
  becomeFlags: Value | undefined;
  becomeExe: Value | undefined;
  remoteUser: Value | undefined;
  connection: Value | undefined;
  port: Value | undefined;
  ignoreErrors: Value | undefined;
  ignoreUnreachable: Value | undefined;
  anyErrorsFatal: Value | undefined;
  noLog: Value | undefined;
  checkMode: Value | undefined;
  diff: Value | undefined;
  runOnce: Value | undefined;
  delegateTo: Value | undefined;
  delegateFacts: Value | undefined;
  /** By module (its short name) or `group/NAME`: arguments for tasks that do not say otherwise. */
  moduleDefaults: ReadonlyMap<string, { args: Dict | Source; origin: Origin }>;
  throttle: Value | undefined;
  timeout: Value | undefined;
  /** Collections whose modules and roles may be named without them. */
  collections: Value | undefined;
}

/** A bare expression (`when: x is defined`), or a literal boolean. */
export interface Condition {
  expression: string | boolean;
  origin: Origin;
}

export interface Task extends Inherited {
  kind: 'task';
  /** What it inherited, without its own keywords: what a dynamic include passes on to its tasks. */
  around: Inherited;
  /** Unique within the loaded project: file, line, column and how it was reached. Stable between runs of the same files. */
  id: string;
  origin: Origin;
  name: Value | undefined;
  /** Short canonical name (`copy`, `include_tasks`, `debug`); collection prefixes and aliases resolved. */
  action: string;
  /** As written, for messages. */
  actionAsWritten: string;
  /**
   * Set where an expression names the module: `load` makes the task with the module's name, and complains to its
   * context about what is wrong then. Until it has, `action` is the expression, and the arguments are not taken apart.
   */
  named?: { expression: Source; load(module: string, ctx: LoadContext): Promise<Task | undefined> };
  args: Dict;
  /** Where each argument stands. */
  argOrigins: ReadonlyMap<string, Origin>;
  /** Free-form text of `command: ls` and its like. */
  freeForm: Value | undefined;
  /** How the loop was written: `loop`; `items` flattens one level (`with_items`); other lookups by name (`with_dict`, …). */
  loop: { how: string; value: Value; origin: Origin } | undefined;
  loopControl: {
    /** Names of variables, or expressions that give them. */
    loopVar: string | Source;
    indexVar: string | Source | undefined;
    label: Value | undefined;
    pause: Value | undefined;
    extended: boolean;
    /** Whether `ansible_loop` holds all items too. */
    allItems: boolean;
    /** All of them true after an item: no further one. */
    breakWhen: Condition[];
  };
  register: string | undefined;
  until: Condition[];
  /** Seconds a job of the host's own may take, and how often it is asked for. */
  async: Value | undefined;
  poll: Value | undefined;
  retries: Value | undefined;
  delay: Value | undefined;
  changedWhen: Condition[] | undefined;
  failedWhen: Condition[] | undefined;
  /** Where `notify` stands. */
  notifyOrigin?: Origin;
  /** Only handlers. */
  listen: Value[];
  /** The role whose task this is: its defaults, vars and folders count. */
  role: Role | undefined;
  /** Folder of the file the task stands in: relative includes and the search for files begin there. */
  fileDir: string;
}

/** One use of a role. The same folder used twice with other parameters is two Roles. */
export interface Role {
  /** In full, with the collection it is of. */
  name: string;
  collection: string | undefined;
  /** Without the collection. */
  shortName: string;
  /** Folder of the role. */
  path: string;
  defaults: Dict;
  vars: Dict;
  /** Parameters given where the role is used (`roles: - {role: x, port: 80}`, `include_role` vars). */
  params: Dict;
  /** Roles this use depends on, whose vars and defaults it sees. */
  dependencies: Role[];
  /** The role whose dependency this is; for `ansible_parent_role_names` and inherited vars. */
  parent: Role | undefined;
  handlers: Task[];
  allowDuplicates: boolean;
  /** Whether the rest of the play sees its variables: not those of include_role unless it says so, nor of an import_role that says no. */
  public: boolean;
}
