import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { request as secureRequest, type RequestOptions } from 'node:https';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { SecureVersion } from 'node:tls';
import { labSnapshot, labSsh, labStatus, labUp, stateDir, type LabState } from '../../src/lab/lab.js';
import { LabError, run } from '../../src/lab/run.js';
import type { Event, HostStats, Recap } from '../../src/report/events.js';
import { muster as binary } from '../cli/muster.js';

/** The hosts of inventory/lab.yml. */
export const hosts = ['lb1', 'lb2', 'web1', 'web2', 'db1', 'db2', 'mon1'];

/** The lab that the tests that break things share, and its disks as site.yml left them. */
const SHARED = 'break';
const CONVERGED = 'converged';

/** The reference stack on a lab of its own, driven as a user drives it: by the command line. */
export class Stack {
  /** Arguments that name the hosts. */
  inventory: readonly string[];

  private constructor(readonly lab: LabState) {
    this.inventory = ['-i', 'inventory/lab.yml', '-e', `lab_name=${lab.name}`, '-e', `lab_net=${lab.net}`];
  }

  /** @param hosts names, each with a Debian suite if need be: `db1:sid` */
  static async up(name: string, wanted: readonly string[] = hosts, from?: string): Promise<Stack> {
    const named = wanted.map((text) => {
      const [host, suite] = text.split(':') as [string, string?];
      return suite === undefined ? { name: host } : { name: host, suite };
    });
    return new Stack(await labUp({ name, hosts: named, say: (line) => console.log(line), ...(from === undefined ? {} : { from }) }));
  }

  /**
   * The stack as site.yml leaves it, and a bare host db3 beside it. The first that asks has it made; those after
   * begin from its disks again, whatever was broken meanwhile. `npm run test:break` takes it down at its end.
   */
  static async converged(): Promise<Stack> {
    const wanted = [...hosts, 'db3'];
    const made = await labStatus({ name: SHARED });
    let stack: Stack;
    if (made?.base.includes(CONVERGED)) stack = await Stack.up(SHARED, wanted, CONVERGED);
    else {
      stack = await Stack.up(SHARED, wanted);
      await stack.converge();
      stack = new Stack(await labSnapshot(stack.lab, CONVERGED));
    }
    // A primary that was booted takes writes only after a run.
    await stack.converge();
    return stack;
  }

  /** Boots the hosts that are off; those that run stay as they are. */
  powerOn(): Promise<Stack> {
    return Stack.up(this.lab.name, this.lab.hosts.map(({ name, suite }) => `${name}:${suite}`));
  }

  private async converge(): Promise<void> {
    const applied = await this.muster('apply', 'playbooks/site.yml');
    if (applied.code !== 0) throw new Error(applied.told);
  }

  address(host: string): string {
    const found = this.lab.hosts.find(({ name }) => name === host);
    if (!found) throw new Error(`the lab has no host ${host}`);
    return found.address;
  }

  /** Runs a verb over the lab's inventory; its events come with the exit code. */
  async muster(verb: 'apply' | 'plan' | 'drift', playbook: string, args: readonly string[] = [], options: { cwd?: string } = {}): Promise<Outcome> {
    const ran = await binary([verb, playbook, ...this.inventory, '--output', 'json', ...args], options);
    const events = ran.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Event);
    return new Outcome(ran.code, events, ran.stderr);
  }

  /** Output of a command on the host, run by root. @throws LabError when it fails */
  async on(host: string, command: string): Promise<string> {
    return (await run('ssh', labSsh(this.lab, host, ['sudo sh']), { input: command })).trim();
  }

  /** The same, where failing is an answer. */
  async tried(host: string, command: string): Promise<string> {
    return this.on(host, command).catch((error: unknown) => {
      if (error instanceof LabError) return error.message;
      throw error;
    });
  }

  /** The address that moves between the balancers, as inventory/lab.yml has it. */
  get virtual(): string {
    return `${this.lab.net}.100`;
  }

  /** The certificate by which the lab's hosts are known. */
  get authority(): Buffer {
    return readFileSync(join(stateDir(this.lab.project, this.lab.name), 'ca/ca.crt'));
  }

  /**
   * One request on a connection of its own: in HTTPS to the virtual address, whose certificate must be the lab's
   * authority's, or in HTTP to a host of the lab, or as `tls` says. A host that only balancers may ask is asked from lb1.
   */
  async ask(path: string, options: Asked = {}): Promise<Answer> {
    const { body, tls, host, port, ...rest } = options;
    const secure = tls ?? (host === undefined && port === undefined);
    const member = this.lab.hosts.find(({ name }) => name === host);
    const at = { host: member?.address ?? host ?? this.virtual, port: port ?? (secure ? 443 : 80) };
    const way = member && !member.name.startsWith('lb') ? { createConnection: () => this.#through('lb1', at.host, at.port) } : { agent: false as const };
    const common: RequestOptions = { ...at, path, timeout: 20_000, ...way, ...rest };
    return new Promise((resolve, reject) => {
      const asked = (secure ? secureRequest : request)({ ...common, ...(secure ? { ca: this.authority } : {}) }, async (answer) => {
        try {
          resolve({ status: answer.statusCode!, headers: answer.headers, body: await text(answer) });
        } catch (error) {
          reject(error as Error);
        }
      });
      asked.on('error', reject).on('timeout', () => asked.destroy(new Error(`${path} was not answered within 20 s`)));
      asked.end(body);
    });
  }

  /** A connection from a host of the lab, over SSH. */
  #through(host: string, address: string, port: number): Duplex {
    const child = spawn('ssh', ['-W', `${address}:${port}`, ...labSsh(this.lab, host)], { stdio: ['pipe', 'pipe', 'inherit'] });
    return Duplex.from({ readable: child.stdout, writable: child.stdin });
  }

  /** Writes a note through the balancers; the answer says who took it. */
  async write(note: string): Promise<{ id: number; server: string; database: string }> {
    const answer = await this.ask('/notes', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `text=${encodeURIComponent(note)}`,
    });
    if (answer.status !== 201) throw new Error(`POST /notes: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body);
  }

  /** SHOW SLAVE STATUS of a host, by field. */
  async replica(host: string): Promise<Record<string, string>> {
    const lines = (await this.on(host, `mariadb -e 'SHOW SLAVE STATUS\\G'`)).split('\n');
    return Object.fromEntries(lines.map((line) => line.trim().split(/: ?/, 2) as [string, string]));
  }

  /** Looks again until the answer pleases, for so many seconds at most; the last answer is returned. */
  async until<T>(look: () => Promise<T>, pleases: (value: T) => boolean, seconds = 30): Promise<T> {
    for (const end = Date.now() + seconds * 1000; ; ) {
      const value = await look();
      if (pleases(value) || Date.now() > end) return value;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

export interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** A host of the lab, or an address. */
  host?: string;
  port?: number;
  /** HTTPS; what is said goes to HTTPS otherwise only without host and port. */
  tls?: boolean;
  /** Milliseconds. */
  timeout?: number;
  minVersion?: SecureVersion;
  maxVersion?: SecureVersion;
  ciphers?: string;
  /** Whether the certificate must be the lab's authority's; it must, unless this says no. */
  rejectUnauthorized?: boolean;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What a run told. */
export class Outcome {
  constructor(
    readonly code: number | null,
    readonly events: readonly Event[],
    readonly stderr: string,
  ) {}

  private one<K extends Event['event']>(kind: K): Extract<Event, { event: K }> {
    const found = this.events.findLast((event): event is Extract<Event, { event: K }> => event.event === kind);
    if (!found) throw new Error(`no ${kind} among the events; exit code ${this.code}; ${this.stderr}`);
    return found;
  }
  get recap(): Record<string, Recap> {
    return this.one('recap').hosts;
  }
  get stats(): Record<string, HostStats> {
    return this.one('stats').hosts;
  }
  /** Results that are changed, failed or the like, as `host: task`, with what differs. */
  results(...statuses: string[]): { host: string; task: string; changes: string }[] {
    return this.events.flatMap((event) =>
      event.event === 'result' && statuses.includes(event.result.status)
        ? [{ host: event.host, task: event.task, changes: event.result.changes.map((change) => change.diff ?? `${change.field}: ${JSON.stringify(change.from)} -> ${JSON.stringify(change.to)}`).join('\n') }]
        : [],
    );
  }
  /** Errors, for a test that failed. */
  get told(): string {
    const failures = this.events.flatMap((event) =>
      event.event === 'result' && ['failed', 'unreachable'].includes(event.result.status)
        ? [`${event.host}: ${event.task}: ${event.result.message}\n${JSON.stringify(event.result.error)}`]
        : [],
    );
    return [this.stderr, ...failures].join('\n');
  }
}
