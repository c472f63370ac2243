import type { Duplex } from 'node:stream';
import type { Sh } from '../shell/sh.js';
import type { Output, Step } from '../shell/step.js';
import type { Verdict } from './known-hosts.js';

/** Who runs what on the host. */
export interface Become {
  method: 'sudo' | 'su' | 'doas';
  user: string;
  flags: string | undefined;
  /** The program, where it is not the method's own name found in the PATH. */
  exe?: string | undefined;
  password: string | undefined;
}

/** A read-only question, answered within `seconds` or failed with rc 124. */
export interface Inspection {
  script: Sh;
  become: Become | undefined;
  environment: Readonly<Record<string, string>>;
}

/** The one thing a trip may change. */
export interface Effect extends Inspection {
  step: Step;
  /** Called with pieces of stdout and stderr as they arrive (a live line). */
  onOutput?: (text: string) => void;
}

/** One round trip: at most one effect, then inspections. */
export interface Trip {
  effect: Omit<Effect, 'script'> | undefined;
  inspections: readonly Inspection[];
  /** No further trip is to be expected: nothing need be ready for one. */
  isLast?: boolean;
}

export interface TripResult {
  /** Undefined exactly when the trip had no effect. */
  effect: Output | undefined;
  /** One for each inspection, in order. An inspection that ran too long has rc 124. */
  inspections: Output[];
}

export interface Counters {
  trips: number;
  /** How often the host was waited for: a login's steps, the opening of channels that were not ready, trips. Those of conversations are not known. */
  roundTrips: number;
  bytesOut: number;
  bytesIn: number;
  /** Milliseconds spent connecting. */
  connecting: number;
  /** Milliseconds spent waiting for trips. */
  waiting: number;
  /** Milliseconds of these that the hosts' own clocks saw between the begin and the end of trips. */
  remote: number;
  /** Conversations (MySQL sessions) opened, counted apart from trips. */
  conversations: number;
}

/** A script that runs on the host beside the trips, for as long as the connection stands. */
export interface Beside {
  /** Gives it a line to read. */
  tell(line: string): void;
  /** Settles when it has ended, or the link has. */
  ended: Promise<void>;
}

/** An authenticated way to one machine as one user. Opened at the first trip, kept until `close`. */
export interface Connection {
  /** Begins what the next trip needs first: logging in, a shell. How it went that trip tells. */
  warm(): void;
  /** @throws ConnectionError; after one, the host is unreachable */
  trip(trip: Trip): Promise<TripResult>;
  /** A byte stream to a socket or port of the host. */
  open(target: { socket: string } | { host: string; port: number }, become: Become | undefined): Promise<Duplex>;
  /** A byte stream to the standard input and output of a script on the host; what it writes to standard error is lost. */
  program(script: Sh, become: Become | undefined): Promise<Duplex>;
  /** Starts a script whose standard input ends with the connection, or with Muster. @throws ConnectionError where it cannot be had */
  beside(script: Sh, become: Become | undefined): Promise<Beside>;
  /** Ends the running effect on the host (its process group), and lets go of looks and uploads, for Ctrl-C. */
  cancel(): Promise<void>;
  /** Drops the link so that the next trip makes a new one (reboot, reset_connection). */
  reset(): Promise<void>;
  close(): Promise<void>;
  readonly counters: Counters;
}

/** What was tried and why it did not work; `kind` is the class, `remedy` what to do. After `become` and `upload` the host can be reached as before. */
export class ConnectionError extends Error {
  constructor(
    readonly kind: 'name' | 'route' | 'refused' | 'timeout' | 'host-key' | 'authentication' | 'become' | 'upload' | 'lost' | 'protocol',
    message: string,
    readonly remedy?: string,
  ) {
    super(message);
    this.name = 'ConnectionError';
  }
}

/** Where and how to connect: from ansible_* variables, play keywords, flags and ssh_config, already evaluated. */
export interface Target {
  /** Inventory name, for messages. */
  name: string;
  connection: 'ssh' | 'local';
  host: string;
  port: number | undefined;
  user: string | undefined;
  password: string | undefined;
  privateKeyFile: string | undefined;
  /** Seconds until a connection attempt is given up; 0 leaves it to ssh_config, then 10. */
  connectTimeout: number;
  /** How unknown host keys are met; undefined leaves it to ssh_config, then `yes`. */
  hostKeyChecking: 'yes' | 'accept-new' | 'off' | undefined;
  /** ssh_config file instead of ~/.ssh/config, and known_hosts instead of its default. */
  sshConfigFile: string | undefined;
  knownHostsFile: string | undefined;
  /** Lines of ssh_config that count before those of the files (sshArguments). */
  sshOptions?: string | undefined;
  /** The project's own known_hosts (what `bootstrap` pinned), read beside the person's; a file named above takes the place of both. */
  projectKnownHostsFile?: string | undefined;
  /**
   * Judges the host's key before anything is authenticated, in the place of `hostKeyChecking`. A revoked key is refused
   * without asking. @param name as known_hosts has it @returns why it is refused
   */
  judgeHostKey?: ((name: string, key: Buffer, verdict: Verdict) => ConnectionError | undefined) | undefined;
  /** Asks a person for the passphrase of a key file; undefined leaves the key out. */
  askPassphrase?: (keyFile: string) => Promise<string | undefined>;
}
