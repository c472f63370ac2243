import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { members } from '../../src/lab/cgroup.js';
import { labDown, labUp, type LabState } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';
import type { Event } from '../../src/report/events.js';
import { muster, type Ran } from '../cli/muster.js';
import { Outcome } from './stack.js';

/** What a fresh machine's root is known by. */
export const PASSWORD = 'fresh from the oven';

/**
 * Machines as a provider hands them over: root is let in by a key or a password, nobody else is there. A project folder
 * beside, with the administrator's key `ops` and root's `first`. What a test does on a machine itself goes past SSH, by its namespaces.
 */
export class Fresh {
  private constructor(
    readonly lab: LabState,
    readonly folder: string,
  ) {}

  static async up(name: string, hosts: readonly string[]): Promise<Fresh> {
    const folder = await mkdtemp(join(tmpdir(), 'muster-fresh-'));
    try {
      const lab = await labUp({ name, hosts: hosts.map((host) => ({ name: host })), project: folder, say: (line) => console.log(line) });
      for (const key of ['ops', 'first']) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', join(folder, key)]);
      const fresh = new Fresh(lab, folder);
      for (const host of hosts) await fresh.freshen(host, 'key');
      return fresh;
    } catch (error) {
      await labDown({ name, project: folder }).catch(() => undefined);
      await rm(folder, { recursive: true });
      throw error;
    }
  }

  async down(): Promise<void> {
    await labDown({ name: this.lab.name, project: this.folder });
    await rm(this.folder, { recursive: true });
  }

  /** Undoes what bootstrap did for who is let in; packages stay. */
  async freshen(host: string, root: 'key' | 'password'): Promise<void> {
    const key = (await readFile(join(this.folder, 'first.pub'), 'utf8')).trim();
    await this.on(
      host,
      `for user in muster ops; do ! id $user >/dev/null 2>&1 || { pkill -KILL -u $user; userdel -rf $user 2>/dev/null; }; done
rm -f /etc/sudoers.d/* /etc/ssh/sshd_config.d/* /root/.ssh/authorized_keys
systemctl disable --now ssh.socket 2>/dev/null; rm -rf /etc/systemd/system/ssh.socket.d; systemctl daemon-reload; systemctl enable ssh.service 2>/dev/null
${root === 'key' ? `echo '${key}' >/root/.ssh/authorized_keys; usermod -p '*' root` : `echo 'root:${PASSWORD}' | chpasswd; echo 'PermitRootLogin yes' >/etc/ssh/sshd_config.d/50-cloud-init.conf`}
systemctl restart ssh.service`,
    );
    await rm(join(this.folder, 'hosts.yml'), { force: true });
  }

  address(host: string): string {
    return this.lab.hosts.find(({ name }) => name === host)!.address;
  }

  /** Output of a script on the machine, run by its root, whoever is let in by SSH. @throws LabError when it fails */
  async on(host: string, script: string): Promise<string> {
    const init = await this.init(host);
    if (init === undefined) throw new Error(`${host} is off`);
    return (await run('nsenter', ['-t', String(init), '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd', 'sh'], { input: script, env: { HOME: '/root', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' } })).trim();
  }

  /** Process of the machine's init, while it is up. */
  private async init(host: string): Promise<number | undefined> {
    return (await members(`muster-${this.lab.name}/${host}`)).find((id) => /^NSpid:\s.*\s1$/m.test(status(id)));
  }

  /** Returns when the machine is down, before it answers again. */
  async reboot(host: string): Promise<void> {
    const init = await this.init(host);
    await this.on(host, 'systemctl --no-block reboot');
    while ((await this.init(host)) === init) await sleep(50);
  }

  /** A login of the system's ssh by a key of the folder, checked by what Muster pinned. @returns output, or why not */
  async ssh(user: string, key: string, host: string, command: string, port = 22): Promise<string> {
    const options = ['-F', 'none', '-o', `UserKnownHostsFile=${join(this.folder, '.muster/known_hosts')}`, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-i', join(this.folder, key), '-p', String(port)];
    return run('ssh', [...options, `${user}@${this.address(host)}`, command]).then((said) => said.trim(), (error: Error) => error.message);
  }

  /** `NAME=ADDRESS` of hosts. */
  named(...hosts: string[]): string[] {
    return hosts.map((host) => `${host}=${this.address(host)}`);
  }

  /** Runs `muster bootstrap` in the folder; root's key and the administrator are said unless the arguments do. */
  async bootstrap(hosts: readonly string[], args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Bootstrapped> {
    return new Bootstrapped(await muster(this.arguments(hosts, args), { cwd: this.folder, env }));
  }

  /** The same on a terminal that types an answer. */
  async answering(answer: string, hosts: readonly string[], args: readonly string[]): Promise<Bootstrapped> {
    const words = [process.execPath, join(process.cwd(), 'dist/cli/main.js'), ...this.arguments(hosts, args)];
    const child = spawn('script', ['-qec', words.map((word) => `'${word}'`).join(' '), '/dev/null'], { cwd: this.folder, stdio: ['pipe', 'pipe', 'inherit'] });
    const ran: Ran = { code: null, stdout: '', stderr: '' };
    let asked = false;
    child.stdout.on('data', (piece: Buffer) => {
      ran.stdout += piece.toString();
      if (!asked && /password.*: /.test(ran.stdout)) child.stdin.write(`${answer}\n`, () => (asked = true));
    });
    ran.code = await new Promise((resolve) => child.on('close', resolve));
    return new Bootstrapped(ran);
  }

  /** What is run by `bootstrap`. */
  arguments(hosts: readonly string[], args: readonly string[]): string[] {
    const given = (flag: string, ...words: string[]): string[] => (args.includes(flag) ? [] : [flag, ...words]);
    return ['bootstrap', ...hosts, ...given('-i', 'hosts.yml'), ...given('--key', 'ops.pub'), ...given('--private-key', 'first'), ...given('--admin', 'ops'), '--output', 'json', ...args];
  }

  async write(path: string, text: string): Promise<string> {
    await writeFile(join(this.folder, path), text);
    return path;
  }
}

function status(id: number): string {
  try {
    return readFileSync(`/proc/${id}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** What a run told. */
export class Bootstrapped extends Outcome {
  constructor(readonly ran: Ran) {
    super(ran.code, ran.stdout.split(/\r?\n/).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Event), ran.stderr);
  }
  /** How it ended for a host. */
  ending(host: string): Extract<Event, { event: 'bootstrap' }> {
    const found = this.events.find((event) => event.event === 'bootstrap' && event.host === host);
    if (found?.event !== 'bootstrap') throw new Error(`nothing is told of ${host}: ${this.told}`);
    return found;
  }
  /** Names of tasks that changed a host. */
  changed(host: string): string[] {
    return this.events.flatMap((event) => (event.event === 'result' && event.host === host && event.result.status === 'changed' ? [event.task] : []));
  }
  override get told(): string {
    return [super.told, ...this.events.flatMap((event) => (event.event === 'bootstrap' ? [`${event.host}: ${event.state}: ${event.message}`] : []))].join('\n');
  }
}
