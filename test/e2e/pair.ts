import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { createReadStream, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyFile, knownHostsFile, labDown, labSsh, labUp, type LabState } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';
import type { Event, Failure } from '../../src/report/events.js';
import { muster as binary } from '../cli/muster.js';
import { Outcome } from './stack.js';

/** Bytes of the large file: more than an upload holds at once. */
const LARGE = 5_500_000;

/** A value as YAML takes it (JSON is YAML). */
type Vars = { [name: string]: unknown };

/**
 * Two plain hosts, `one` and `two`, a web server on their bridge, and a project folder that holds a copy of a
 * folder of playbooks: what they make here goes with it.
 */
export class Pair {
  private constructor(
    readonly lab: LabState,
    readonly folder: string,
    readonly vars: Vars,
    private readonly server: Server,
  ) {}

  /** @param playbooks folder whose content the project begins with */
  static async up(name: string, playbooks: string): Promise<Pair> {
    const folder = await mkdtemp(join(tmpdir(), 'muster-e2e-'));
    try {
      return await Pair.make(name, folder, playbooks);
    } catch (error) {
      // A lab of that name that is somebody else's is not ours to take down.
      await labDown({ name, project: folder }).catch(() => undefined);
      await rm(folder, { recursive: true });
      throw error;
    }
  }

  private static async make(name: string, folder: string, playbooks: string): Promise<Pair> {
    const lab = await labUp({ name, hosts: [{ name: 'one' }, { name: 'two' }], project: folder, say: (line) => console.log(line) });
    await cp(playbooks, folder, { recursive: true });
    const at = (file: string) => join(folder, file);
    await run('tar', ['-czf', at('tree.tar.gz'), '-C', at('files'), 'tree']);
    await writeFile(at('large'), randomBytes(LARGE));
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-f', at('locked')]);
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('stranger')]);
    const server = await serve(`${lab.net}.1`, at('tree.tar.gz'));
    const key = keyFile(folder, name);
    const sum = (file: string) => createHash('sha256').update(readFileSync(at(file))).digest('hex');
    const vars = {
      ansible_user: 'muster',
      ansible_ssh_private_key_file: key,
      muster_known_hosts_file: knownHostsFile(folder, name),
      here: folder,
      large: at('large'),
      large_size: LARGE,
      large_sum: sum('large'),
      tar_sum: sum('tree.tar.gz'),
      login_key: readFileSync(`${key}.pub`, 'utf8').trim(),
      locked_key: readFileSync(at('locked.pub'), 'utf8').trim(),
      web: `http://${lab.net}.1:${(server.address() as { port: number }).port}`,
    };
    const pair = new Pair(lab, folder, vars, server);
    await pair.write('hosts.json', pair.inventory({ all: { one: {}, two: {} } }));
    return pair;
  }

  async down(): Promise<void> {
    this.server.close();
    await labDown({ name: this.lab.name, project: this.folder });
    await rm(this.folder, { recursive: true });
  }

  /** A file of the project. @returns its path */
  async write(path: string, text: string): Promise<string> {
    await writeFile(join(this.folder, path), text);
    return path;
  }

  /** An inventory of groups of hosts; a host that `at` does not place is at the lab host of its own name. */
  inventory(groups: { [group: string]: { [host: string]: Vars } }): string {
    const placed = (hosts: { [host: string]: Vars }) =>
      Object.fromEntries(Object.entries(hosts).map(([host, { at, ...vars }]) => [host, { ansible_host: this.address(String(at ?? host)), ...vars }]));
    const children = Object.fromEntries(Object.entries(groups).map(([group, hosts]) => [group, { hosts: placed(hosts) }]));
    return JSON.stringify({ all: { vars: this.vars, ...(children['all'] ?? {}), children: { ...children, all: undefined } } });
  }

  address(host: string): string | undefined {
    return this.lab.hosts.find(({ name }) => name === host)?.address;
  }

  /** Runs a verb in the project, as a user does. */
  async muster(verb: 'apply' | 'plan', playbooks: string | string[], args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    const inventory = args.includes('-i') ? [] : ['-i', 'hosts.json'];
    const verify = verb === 'apply' ? ['--verify'] : [];
    const ran = await binary([verb, ...[playbooks].flat(), ...inventory, ...verify, '--output', 'json', ...args], { cwd: this.folder, env });
    return new Outcome(ran.code, ran.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Event), ran.stderr);
  }

  /** Output of a script on the host, run by root. @throws LabError when it fails */
  async on(host: string, script: string): Promise<string> {
    return (await run('ssh', labSsh(this.lab, host, ['sudo sh']), { input: script })).trim();
  }
}

/** Answers what the playbooks ask: an archive, JSON, what was sent, a page there at the third attempt, one there when raised. */
async function serve(address: string, archive: string): Promise<Server> {
  const attempts = new Map<string, number>();
  const raised = new Set<string>();
  const server = createServer((request, response) => {
    const [, page, who = ''] = request.url!.split('/');
    if (page === 'json') response.setHeader('content-type', 'application/json').end(JSON.stringify({ asked: request.headers['x-asked-by'] }));
    else if (page === 'echo') request.pipe(response.writeHead(201, { 'content-type': 'application/json' }));
    else if (page === 'tree.tar.gz') createReadStream(archive).pipe(response);
    else if (page === 'flaky') {
      const attempt = (attempts.get(who) ?? 0) + 1;
      attempts.set(who, attempt);
      response.writeHead(attempt % 3 ? 503 : 200).end();
    } else if (page === 'raise') response.end(String(raised.add(who).size));
    else response.writeHead(page === 'flag' && raised.has(who) ? 200 : 404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return server;
}

/** Why the host failed or was not reached. */
export function failureOf(run: Outcome, host: string): Failure {
  const found = run.events.findLast((event) => event.event === 'result' && event.host === host && event.result.error !== undefined);
  if (found?.event !== 'result') throw new Error(`nothing went wrong on ${host}`);
  return found.result.error!;
}
