import { mkdtemp, mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { lstatSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LocalConnection } from '../../src/connection/local.js';
import type { Connection, Trip, TripResult } from '../../src/connection/connection.js';
import type { RunOptions, RunSummary } from '../../src/engine/options.js';
import { run } from '../../src/engine/run.js';
import type { Event } from '../../src/report/events.js';
import { sh, type Sh } from '../../src/shell/sh.js';

/** This machine with a /var/lib/muster and a /run/muster of its own, so that several can stand for several machines (where root runs the tests). */
class OwnMachine extends LocalConnection {
  constructor(
    name: string,
    private readonly state: string,
    private readonly shell: string | undefined,
    private readonly begun: (ended: Promise<unknown>) => void,
  ) {
    super(name);
  }

  protected override async exec(command: Sh) {
    const remote = await this.#exec(command);
    this.begun(remote.ended);
    return remote;
  }

  #exec(command: Sh) {
    if (process.getuid!() !== 0) return super.exec(sh`export HOME=${this.state}; ${command}`);
    const bind = (from: string, to: string) => sh`mkdir -p ${from} ${to} && mount --bind ${from} ${to}`;
    const shell = this.shell === undefined ? sh`:` : sh`mount --bind ${this.shell} "$(readlink -f /bin/sh)"`;
    const script = sh`${shell} && ${bind(this.state, '/var/lib/muster')} && ${bind(`${this.state}.run`, '/run/muster')} && exec /bin/sh -c ${command.text}`;
    return super.exec(sh`exec unshare -m /bin/sh -c ${script.text}`);
  }
}

/** A project in a temporary folder, run for real through /bin/sh on this machine under several machine names. */
export class Rig {
  readonly events: Event[] = [];
  readonly connections = new Map<string, LocalConnection>();
  /** Everything that was started on the machines. */
  readonly #begun: Promise<unknown>[] = [];
  /** What each trip carried: machine, whether an effect, how many inspections. */
  readonly trips: { machine: string; effect: boolean; inspections: number }[] = [];

  private constructor(
    readonly folder: string,
    readonly machines: { folder: string; shell: string | undefined },
  ) {}

  /**
   * @param files path -> content, relative to the project
   * @param machines where machines keep what is theirs, for several projects to share; and what is their /bin/sh
   */
  static async make(files: { [path: string]: string }, machines: { folder?: string; shell?: string } = {}): Promise<Rig> {
    const folder = await mkdtemp(path.join(tmpdir(), 'muster-engine-'));
    const rig = new Rig(folder, { folder: machines.folder ?? path.join(folder, 'muster'), shell: machines.shell });
    await rig.write(files);
    return rig;
  }

  async write(files: { [path: string]: string }): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(this.folder, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  }

  async run(more: Partial<RunOptions> = {}): Promise<RunSummary> {
    this.events.length = 0;
    this.trips.length = 0;
    return run({
      verb: 'apply',
      playbooks: [path.join(this.folder, 'site.yml')],
      inventory: [path.join(this.folder, 'hosts.yml')],
      limit: undefined,
      tags: [],
      skipTags: [],
      extraVars: new Map(),
      forks: 10,
      check: false,
      diff: false,
      verify: true,
      startAtTask: undefined,
      lockTimeout: 0,
      forceHandlers: false,
      rolesPath: [],
      verbosity: 0,
      defaults: {
        become: false,
        becomeUser: undefined,
        becomeMethod: undefined,
        remoteUser: undefined,
        connection: undefined,
        privateKeyFile: undefined,
        connectTimeout: 10,
        connectionPassword: undefined,
        becomePassword: undefined,
        hostKeyChecking: undefined,
        sshConfigFile: undefined,
        knownHostsFile: undefined,
      },
      projectDir: this.folder,
      journalDir: undefined,
      factsDir: undefined,
      emit: (event) => this.events.push(event),
      stop: new AbortController().signal,
      kill: new AbortController().signal,
      connect: (target) => this.#watched(target.host, new OwnMachine(target.name, path.join(this.machines.folder, target.host), this.machines.shell, (ended) => this.#begun.push(ended))),
      ...more,
    });
  }

  #watched(machine: string, connection: Connection): Connection {
    const trip = connection.trip.bind(connection);
    connection.trip = (what: Trip): Promise<TripResult> => {
      this.trips.push({ machine, effect: what.effect !== undefined, inspections: what.inspections.length });
      return trip(what);
    };
    return connection;
  }

  /** `host task -> status`, in the order hosts were told, sorted by task and host. */
  statuses(): string[] {
    return this.events.flatMap((event) => (event.event === 'result' ? [`${event.id} ${event.host} ${event.result.status}`] : [])).sort();
  }

  /** Results as registered, by task and host; times and temporary names left out. */
  results(): string[] {
    return this.events
      .flatMap((event) => (event.event === 'result' ? [`${event.id} ${event.host} ${JSON.stringify(event.result.data, (key, value) => (VOLATILE.has(key) ? undefined : value))}`] : []))
      .sort();
  }

  /** Every message a failed or unreachable host gave. */
  failures(): string[] {
    return this.events.flatMap((event) => (event.event === 'result' && event.result.error ? [`${event.host}: ${event.result.error.message}`] : []));
  }

  /** The pending handlers that machines keep: `machine host handler`. */
  async marks(): Promise<string[]> {
    const files = (await readdir(this.machines.folder, { recursive: true, withFileTypes: true }).catch(() => [])).filter((file) => file.isFile() && file.parentPath.includes('/pending/'));
    const marks = await Promise.all(
      files.map(async (file) => {
        const { host, handler } = JSON.parse(await readFile(path.join(file.parentPath, file.name), 'utf8')) as { host: string; handler: string };
        return `${path.relative(this.machines.folder, file.parentPath).split('/')[0]} ${host} ${handler}`;
      }),
    );
    return marks.sort();
  }

  async remove(): Promise<void> {
    // Who gives back a lock does so once the run is over.
    const impatience = new Promise((resolve) => setTimeout(resolve, 10_000).unref());
    await Promise.race([Promise.all(this.#begun), impatience]);
    // What is ending at that moment may still remove something itself.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const VOLATILE = new Set(['start', 'end', 'delta', 'elapsed', 'mtime', 'atime', 'ctime', 'inode', 'ino', 'backup_file', 'ansible_facts', 'version']);

/** A folder as text: every file with its mode and content, links with their targets. */
export async function snapshot(folder: string): Promise<string> {
  const lines: string[] = [];
  const visit = async (dir: string, prefix: string) => {
    for (const name of (await readdir(dir)).sort()) {
      const file = path.join(dir, name);
      const info = lstatSync(file);
      const shown = `${prefix}${name} ${(info.mode & 0o7777).toString(8)}`;
      if (info.isSymbolicLink()) lines.push(`${shown} -> ${await readlink(file)}`);
      else if (info.isDirectory()) {
        lines.push(`${shown}/`);
        await visit(file, `${prefix}${name}/`);
      } else lines.push(`${shown} ${JSON.stringify(await readFile(file, 'latin1'))}`);
    }
  };
  await visit(folder, '');
  return lines.join('\n');
}

export async function exists(file: string): Promise<boolean> {
  return stat(file).then(() => true, () => false);
}
