import type { Connection, Target } from '../connection/connection.js';
import type { Inventory } from '../inventory/index.js';
import type { Retention } from '../journal/index.js';
import type { Change } from '../modules/module.js';
import type { LoadContext } from '../playbook/context.js';
import type { Play, Task } from '../playbook/types.js';
import type { Event, Recap } from '../report/events.js';
import type { Dict } from '../value/value.js';

/** What a run is told: flags, environment and muster.yml, already merged by the command line. */
export interface RunOptions {
  verb: 'apply' | 'plan' | 'drift' | 'exec' | 'facts' | 'undo' | 'bootstrap';
  playbooks: string[];
  inventory: string[];
  /** The inventory where it was read already. The run has it for its own: plays may add to it. */
  inventoryRead?: Inventory;
  /** Hosts put into the inventory for this run alone, or more variables and groups for those it has (`bootstrap`). */
  hosts?: readonly { name: string; groups: readonly string[]; vars: Dict }[];
  limit: string | undefined;
  tags: string[];
  skipTags: string[];
  /** `-e`, already parsed; wins over everything. */
  extraVars: Dict;
  /** Hosts with a trip in flight. */
  forks: number;
  /** A plan: the same walk without effects. */
  check: boolean;
  /** Read old texts for unified diffs. */
  diff: boolean;
  /** Look again after each apply and expect no change. */
  verify: boolean;
  startAtTask: string | undefined;
  /** The run to go on with: its folder in the journal, and its name. */
  resume?: { folder: string; run: string };
  /** Seconds to wait for a host that another run holds. */
  lockTimeout: number;
  /** Plays that stand in no file (`exec`, `facts`). */
  plays?: Play[];
  /** Further folders of roles. */
  rolesPath: string[];
  /** `-v` counted: what `debug: verbosity` compares with. */
  verbosity: number;
  forceHandlers: boolean;
  /** What holds for plays that do not say otherwise. */
  playDefaults?: LoadContext['playDefaults'];
  /** `-b`, `--become-user`, `--become-method`, `-u`, `-c`, `--private-key`, `-T`: below what playbook and inventory say. */
  defaults: {
    become: boolean;
    becomeUser: string | undefined;
    becomeMethod: string | undefined;
    remoteUser: string | undefined;
    connection: string | undefined;
    privateKeyFile: string | undefined;
    /** Seconds; 0 leaves it to ssh_config. */
    connectTimeout: number;
    connectionPassword: string | undefined;
    becomePassword: string | undefined;
    /** Asked for an encrypted key that no agent holds; undefined gives the key up. */
    askPassphrase?: ((keyFile: string) => Promise<string | undefined>) | undefined;
    hostKeyChecking: 'yes' | 'accept-new' | 'off' | undefined;
    sshConfigFile: string | undefined;
    /** Arguments of ssh that `ansible_ssh_args`, `ansible_ssh_common_args` and `ansible_ssh_extra_args` may replace, one by one. */
    sshArgs?: { args?: string | undefined; common?: string | undefined; extra?: string | undefined };
    /** Port where neither inventory nor play nor ssh_config says one. */
    port?: number | undefined;
    becomeFlags?: string | undefined;
    knownHostsFile: string | undefined;
    /** The project's own known_hosts, see Target. */
    projectKnownHostsFile?: string | undefined;
  };
  /** Folder of the project (where muster.yml stands, else the first playbook's parent): templates/, .muster/. */
  projectDir: string;
  /** Folder runs are journalled under; undefined keeps no journal. */
  journalDir: string | undefined;
  /** What is kept there of earlier runs; all, where it is not given. */
  journalKeep?: Retention;
  /** Folder the facts of hosts are kept in for the next run's looking ahead; undefined keeps none. */
  factsDir: string | undefined;
  /** Seconds for which facts kept there, and facts set to be kept, are those of the host; undefined keeps them out of the variables. */
  factCaching?: number | undefined;
  /** `--flush-cache`: what is kept of the hosts' facts so far does not count, and goes. */
  flushCache?: boolean | undefined;
  /** Asks a question of `vars_prompt`; undefined where nobody can be asked. */
  ask?: (question: string, hidden: boolean) => Promise<string | undefined>;
  emit: (event: Event) => void;
  /** What is to be told (and journalled) besides, when all plays are through; not asked when the run is interrupted. */
  closing?: () => Event[];
  /** First abort: finish what is in flight, start nothing. */
  stop: AbortSignal;
  /** Second abort: cancel what is in flight. */
  kill: AbortSignal;
  /** Told of each effect before it is made, or would be in a plan. @throws ModuleError where it is not to be made */
  review?: (of: Reviewed, changes: readonly Change[] | undefined) => void;
  /** Each play is for itself: a host that failed one takes part in the next. */
  apart?: boolean;
  /** For tests: another way to reach machines. */
  connect?: (target: Target) => Connection;
  /** For the property test: one inspection or effect per trip, nothing looked ahead. */
  oneAtATime?: boolean;
}

/** What is reviewed: a task, or an item of its loop, on its way to one host. */
export interface Reviewed {
  host: string;
  task: Task;
  /** Its place in the loop; undefined without one. */
  index: number | undefined;
  check: boolean;
}

export interface RunSummary {
  hosts: Map<string, Recap>;
  /** 0, 2 (plan and drift: changes pending), 3, 4, 5 (another run holds a host) or 130; content errors are thrown as ContentErrors (1). */
  exitCode: number;
}
