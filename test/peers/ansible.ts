import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { keyFile, knownHostsFile, labDown, labSnapshot, labSsh, labStatus, labUp, type LabState } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';
import type { Event } from '../../src/report/events.js';
import { COMMANDS, OUTPUT, runOnHost } from './scripts.js';

const HOST = 'testhost';
/** The host's disk before any target: Debian with what the targets count on (the Python that their own commands call, time zones). */
const READY = 'ready';
const PYTHON = '/usr/bin/python3';
/** Seconds after which a target is given up. */
const PATIENCE = 900;

/** Targets that count on their host being the controller without saying so. */
const AT_HOME = new Set(['lookup_file', 'test_files']);

/** How a target of the suite ended. */
export interface Verdict {
  target: string;
  passed: boolean;
  /** Of one that did not pass: the first task that failed, with its place, or what was wrong with the content. */
  why: string;
  seconds: number;
  stdout: string;
  stderr: string;
}

/**
 * Targets of Ansible's integration suite: those that are roles, run by `muster apply` against a lab host as ansible-test
 * runs them by ansible-playbook, a play for `testhost` with the target as its role; those that are a script (`runme.sh`)
 * or want their controller to be the host, run there with Muster in the place of Ansible's commands. Each begins with a host as new.
 */
export class AnsibleTargets {
  private constructor(
    private readonly checkout: string,
    private readonly targets: string,
    private readonly folder: string,
    private lab: LabState,
  ) {}

  /**
   * Boots the host.
   * @param checkout folder of ansible/ansible
   * @param lab name of the lab
   * @throws Error where the folder is no checkout; LabError
   */
  static async up(checkout: string, lab: string): Promise<AnsibleTargets> {
    const targets = targetsFolder(checkout);
    const say = (line: string) => console.error(line);
    const made = await labStatus({ name: lab });
    if (made?.base.includes(READY)) return new AnsibleTargets(resolve(checkout), targets, await newFolder(), made);
    const state = await labUp({ name: lab, hosts: [{ name: HOST }], say });
    await run('ssh', labSsh(state, HOST, ['sudo sh']), { input: 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y python3 python3-jinja2 python3-yaml file bsdextrautils acl tzdata' });
    return new AnsibleTargets(resolve(checkout), targets, await newFolder(), await labSnapshot(state, READY));
  }

  async down({ keep = false } = {}): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    if (!keep) await labDown({ name: this.lab.name });
  }

  /** Runs a target on a host that no target has touched. */
  async run(target: string): Promise<Verdict> {
    this.lab = await labUp({ name: this.lab.name, hosts: [{ name: HOST }], from: READY });
    const began = Date.now();
    const aliases = lines(join(this.targets, target, 'aliases'));
    const playbook = (output: string) => [
      ...setupTargets(this.targets, aliases).map((role) => play(role, output)),
      play(target, output, !aliases.includes('gather_facts/no')),
    ];
    if (isScript(this.targets, target) || aliases.includes('context/controller') || AT_HOME.has(target)) {
      const ran = await runOnHost(this.lab, this.checkout, target, isScript(this.targets, target) ? undefined : playbook(OUTPUT), PATIENCE);
      return { ...ran, target, passed: ran.code === 0, why: ran.code === 0 ? '' : whyOnHost(ran), seconds: (Date.now() - began) / 1000 };
    }
    const output = join(this.folder, 'output');
    await rm(output, { recursive: true, force: true });
    await mkdir(output);
    await run('ssh', labSsh(this.lab, HOST, ['sudo mkdir -p', output]));
    await this.write('hosts.json', { all: { hosts: { [HOST]: this.vars } } });
    await this.write('muster.yml', { roles_path: [this.targets], journal: false, facts: false });
    await this.write('site.yml', playbook(output));
    await this.commands();
    const ran = await apply(this.folder);
    const passed = ran.code === 0;
    return { target, passed, why: passed ? '' : this.why(ran), seconds: (Date.now() - began) / 1000, stdout: ran.stdout, stderr: ran.stderr };
  }

  private get vars(): { [name: string]: unknown } {
    const { project, name } = this.lab;
    return {
      ansible_host: this.lab.hosts[0]!.address,
      ansible_user: 'root',
      ansible_ssh_private_key_file: keyFile(project, name),
      muster_known_hosts_file: knownHostsFile(project, name),
      ansible_python_interpreter: PYTHON,
    };
  }

  /** Muster under the names of Ansible's commands, which some targets call on their controller. */
  private async commands(): Promise<void> {
    const bin = join(this.folder, 'bin');
    await mkdir(bin, { recursive: true });
    const main = join(process.cwd(), 'dist', 'test', 'peers', 'as-ansible.js');
    for (const name of COMMANDS) await writeFile(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${main}' ${name} "$@"\n`, { mode: 0o755 });
  }

  private write(file: string, content: unknown): Promise<void> {
    return writeFile(join(this.folder, file), `${JSON.stringify(content, null, 2)}\n`);
  }

  private why({ code, stdout, stderr }: Applied): string {
    for (const line of stdout.split('\n').filter(Boolean)) {
      const event = JSON.parse(line) as Event;
      if (event.event !== 'result' || (event.result.status !== 'failed' && event.result.status !== 'unreachable')) continue;
      return `${relative(this.targets, event.origin.file)}:${event.origin.line} ${event.task}: ${firstLine(event.result.error?.message ?? event.result.message ?? 'failed')}`;
    }
    if (code === null) return `not done within ${PATIENCE} seconds`;
    return firstLine(stderr.replaceAll(`${this.targets}/`, '')) || `exit code ${code}`;
  }
}

/** Of a target run on the host: under `set -x` the last command is the one that failed, in a play the last task that did. */
function whyOnHost({ code, stdout }: Applied): string {
  if (code === null) return `not done within ${PATIENCE} seconds`;
  return stdout.split('\n').filter((line) => /^(\+ |fatal: )/.test(line)).at(-1)?.trim().slice(0, 200) ?? `exit code ${code}`;
}

/** The targets of a checkout that are roles, and those that are a script. @throws Error where the folder is no checkout */
export function allTargets(checkout: string): string[] {
  const folder = targetsFolder(checkout);
  return readdirSync(folder).filter((target) => isRole(folder, target) || isScript(folder, target)).sort();
}

function targetsFolder(checkout: string): string {
  const folder = resolve(checkout, 'test/integration/targets');
  if (!existsSync(folder)) throw new Error(`${checkout} is no checkout of ansible/ansible: it has no test/integration/targets`);
  return folder;
}

const isScript = (folder: string, target: string): boolean => existsSync(join(folder, target, 'runme.sh'));
const isRole = (folder: string, target: string): boolean =>
  ['main.yml', 'main.yaml'].some((file) => existsSync(join(folder, target, 'tasks', file))) && !isScript(folder, target);

/** Targets that ansible-test runs before one, by its file `aliases`. */
function setupTargets(folder: string, aliases: readonly string[]): string[] {
  return aliases.flatMap((alias) => /^setup\/(?:once|always)\/(.+)$/.exec(alias)?.slice(1) ?? []).filter((target) => isRole(folder, target));
}

const play = (role: string, output: string, facts = true) => ({ hosts: HOST, gather_facts: facts, vars: { output_dir: output }, roles: [role] });

function lines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').map((line) => line.replace(/#.*/, '').trim()) : [];
}

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'muster-peers-'));
const firstLine = (message: string): string => message.trim().split('\n')[0]!;

interface Applied {
  /** null when it was ended for lasting too long. */
  code: number | null;
  stdout: string;
  stderr: string;
}

async function apply(folder: string): Promise<Applied> {
  const main = join(process.cwd(), 'dist', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, 'apply', 'site.yml', '-i', 'hosts.json', '--output', 'json'], { cwd: folder, env: { ...process.env, OUTPUT_DIR: join(folder, 'output'), PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }, stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE * 1000, killSignal: 'SIGKILL' });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>((done, failed) => child.on('error', failed).on('close', done))]);
  return { code, stdout, stderr };
}
