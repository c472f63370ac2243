import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ConnectionError } from '../connection/connection.js';
import type { RunOptions, RunSummary } from '../engine/options.js';
import { run } from '../engine/run.js';
import { checkProject, display } from '../playbook/index.js';
import type { Event, Recap } from '../report/events.js';
import { mask } from '../report/mask.js';
import { ContentError } from '../value/errors.js';
import type { Dict, Value } from '../value/value.js';
import { enroll, inOneLine, type Entry } from './enroll.js';
import { known, type Known, type Named } from './hosts.js';
import type { HostVars } from './insert_yaml.js';
import { loginsOf, meet, type Login, type Met } from './meet.js';

export { named } from './hosts.js';

/** What shall become of machines, as the command line says it. */
export interface Plan {
  hosts: readonly Named[];
  /** Groups they will be members of. */
  groups: readonly string[];
  /** Who administers them; undefined leaves it to the inventory, then `muster`. */
  admin: string | undefined;
  /** File of the administrator's public key; undefined takes the half of the private key that Muster logs in with. */
  key: string | undefined;
  /** The name a single host gets; undefined gives each its inventory name, an address excepted. */
  hostname: string | undefined;
  /** The port sshd shall listen on from now on; undefined leaves it. */
  port: number | undefined;
  /** Who is let in now, and with which key. */
  user: string | undefined;
  privateKey: string | undefined;
  /** `SHA256:…`: keys that the hosts may show; none takes what they show at first. */
  fingerprints: readonly string[];
  retrust: boolean;
  /** Seconds a host is waited for. */
  patience: number;
  /** Inventory files and folders the hosts are written into; one that is not there is made. */
  inventory: readonly string[];
  /** Reads a file of a public key. @throws ContentError */
  readKey(file: string): string;
}

/** A host on its way. */
interface Guest {
  named: Named;
  known: Known;
  logins: readonly Login[];
  admin: string;
  /** The administrator's public key, and the file of its private half where there is one. */
  key: string;
  keyFile: string | undefined;
  /** The port sshd shall listen on from now on. */
  port: number | undefined;
  met?: Met;
  trouble?: ConnectionError;
}

/**
 * Makes fresh machines hosts: waits for them, pins their keys, runs the playbook over those that let us in, and writes
 * those that came through into the inventory. Each can be begun again at any point of its way.
 * @param options the playbook, and the inventory as far as it is there
 * @throws ContentError for what is wrong before any host is touched
 */
export async function bootstrap(options: RunOptions, plan: Plan): Promise<RunSummary> {
  const began = performance.now();
  const playbookDir = dirname(resolve(options.playbooks[0]!));
  const guests = await invite(options, plan, playbookDir);
  await check(options);
  const emit = (event: Event): void => options.emit(mask.event(event));
  await Promise.all(guests.map((guest) => greet(guest, options, plan, emit)));
  const here = guests.filter(({ met }) => met !== undefined);
  const recaps = new Map<string, Recap>(guests.map(({ named: { name } }) => [name, { ok: 0, changed: 0, failed: 0, unreachable: here.some((each) => each.named.name === name) ? 0 : 1, skipped: 0, rescued: 0, ignored: 0, unknown: 0 }]));
  let ran = 0;
  if (here.length > 0 && !options.stop.aborted) {
    const hosts = here.map((guest) => ({ ...asHost(guest.named, plan), vars: varsOf(guest, plan) }));
    const held = (event: Event): void => {
      if (event.event !== 'recap') options.emit(event);
    };
    const summary = await run({ ...options, hosts, limit: hosts.map(({ name }) => name).join(','), emit: held });
    for (const [name, recap] of summary.hosts) recaps.set(name, recap);
    ran = summary.exitCode;
  }
  for (const guest of guests) {
    const recap = recaps.get(guest.named.name)!;
    const through = guest.met !== undefined && recap.failed + recap.unreachable === 0 && !options.stop.aborted;
    const enrolled = through ? await enrollGuest(guest, options, plan, playbookDir) : { inventory: undefined, message: undefined, failed: false };
    if (enrolled.failed) recap.failed++;
    emit(ending(guest, recap, enrolled, options.stop.aborted));
  }
  const all = [...recaps.values()];
  // What stands above a host that failed (another run holds its lock, say) stays; see cli/exit.ts.
  const exitCode = ![0, 3, 4].includes(ran) ? ran : all.some(({ failed }) => failed > 0) ? 3 : all.some(({ unreachable }) => unreachable > 0) ? 4 : 0;
  emit({ event: 'recap', hosts: Object.fromEntries(recaps), seconds: (performance.now() - began) / 1000, exitCode });
  return { hosts: recaps, exitCode };
}

/** What of it is wrong is told before any host is waited for. */
async function check({ playbooks, projectDir, rolesPath, extraVars, inventory }: RunOptions): Promise<void> {
  const folders = inventory.filter((source) => !source.includes(',')).map((source) => (statSync(source).isDirectory() ? source : dirname(source)));
  const problems = await checkProject(playbooks, { projectDir, rolesPath, extraVars, problems: [] }, folders);
  const errors = problems.filter(({ severity }) => severity === 'error').map(({ message, origin, hint }) => new ContentError(message, origin, hint));
  if (errors.length > 0) throw new AggregateError(errors, errors[0]!.message);
}

function asHost({ name, address, port }: Named, { groups }: Plan): { name: string; groups: readonly string[]; vars: Dict } {
  const vars: Dict = new Map();
  if (address !== undefined) vars.set('ansible_host', address);
  if (port !== undefined) vars.set('ansible_port', port);
  return { name, groups, vars };
}

async function invite(options: RunOptions, plan: Plan, playbookDir: string): Promise<Guest[]> {
  // Who logs in otherwise, not now: what the inventory and muster.yml say.
  const defaults = { ...options.defaults, remoteUser: undefined };
  const all = await known({ ...options, defaults }, plan.hosts.map((each) => asHost(each, plan)), playbookDir);
  return plan.hosts.map((each) => {
    const about = all.get(each.name)!;
    const { target } = about;
    if (target.connection !== 'ssh') throw new ContentError(`host ${each.name} is reached without SSH (ansible_connection)`, undefined, 'only what SSH reaches can be set up');
    const usual = [target.user, options.defaults.remoteUser].find((user) => user !== undefined && user !== 'root');
    const admin = plan.admin ?? about.variable('bootstrap_admin') ?? usual ?? 'muster';
    if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(admin) || admin === 'root') throw new ContentError(`"${admin}" cannot be the administrator of ${each.name}`, undefined, 'give --admin a user other than root: small letters, digits, _ and -, 32 at most');
    const key = plan.key ?? publicHalf(target.privateKeyFile) ?? defaultKey();
    if (key === undefined) throw new ContentError(`there is no public key for ${admin} of ${each.name}`, undefined, 'give --key FILE.pub, or make one: ssh-keygen -t ed25519');
    const keyFile = key.endsWith('.pub') && existsSync(key.slice(0, -4)) ? key.slice(0, -4) : undefined;
    const logins = loginsOf({ user: admin, key: keyFile }, plan.user, target.user, plan.privateKey ?? target.privateKeyFile, options.defaults.connectionPassword ?? target.password);
    const port = plan.port ?? (Number(about.variable('base_ssh_port') ?? 0) || undefined);
    return { named: each, known: about, logins, admin, key: plan.readKey(key), keyFile, port };
  });
}

const IDENTITIES = ['id_ed25519', 'id_ecdsa', 'id_rsa'].map((name) => join(homedir(), '.ssh', name));

function defaultKey(): string | undefined {
  return IDENTITIES.map((path) => `${path}.pub`).find((path) => existsSync(path));
}

function publicHalf(key: string | undefined): string | undefined {
  const file = key === undefined ? undefined : `${key.replace(/^~(?=\/)/, homedir())}.pub`;
  return file !== undefined && existsSync(file) ? file : undefined;
}

/** The known_hosts file that holds the key of a host from now on. */
function pinFile({ known: { target } }: Guest): string {
  return target.knownHostsFile ?? target.projectKnownHostsFile!;
}

async function greet(guest: Guest, options: RunOptions, plan: Plan, emit: (event: Event) => void): Promise<void> {
  const { named: { name }, known: { target, become }, logins } = guest;
  // One that is set up anew, or half-way, listens on either.
  const ports = guest.port === undefined ? [target.port] : [...new Set([target.port ?? 22, guest.port, 22])];
  try {
    guest.met = await meet({
      target,
      ports,
      logins,
      become,
      pins: { file: pinFile(guest), fingerprints: plan.fingerprints, retrust: plan.retrust, ports: guest.port === undefined ? [] : [guest.port] },
      patience: plan.patience,
      say: (text) => emit({ event: 'note', message: `${name}: ${text}` }),
      stop: options.stop,
      ...(options.connect ? { connect: options.connect } : {}),
    });
    const { login, key } = guest.met;
    const file = display(pinFile(guest));
    const how = { new: `pinned in ${file}`, known: 'as on record', replaced: `pinned in ${file} in the place of another` }[key.how];
    emit({ event: 'note', message: `${name}: ${key.type} ${key.fingerprint}, ${how}; let in as ${login.user}` });
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    guest.trouble = error;
  }
}

/** What the playbook is told of a host; its own variables are left as they are. */
function varsOf({ named: own, known: { target }, admin, key, keyFile, port, met }: Guest, plan: Plan): Dict {
  const hostname = plan.hostname ?? (/^[\d.]+$|:/.test(own.name) ? null : own.name);
  const vars: [Value, Value][] = [
    ['bootstrap_login', met!.login.user],
    ['bootstrap_login_key_file', met!.login.key ?? null],
    ['bootstrap_admin', admin],
    ['bootstrap_admin_key', key],
    ['bootstrap_admin_key_file', keyFile ?? target.privateKeyFile ?? null],
    ['bootstrap_hostname', hostname],
    ...(own.address === undefined ? [] : [['ansible_host', own.address] as [Value, Value]]),
    ...(met!.port === undefined ? [] : [['ansible_port', met!.port] as [Value, Value]]),
    ...(port === undefined ? [] : [['base_ssh_port', port] as [Value, Value]]),
  ];
  return new Map(vars);
}

/** Writes a host into the inventory: what it would not have anyway. */
async function enrollGuest(guest: Guest, options: RunOptions, plan: Plan, playbookDir: string): Promise<{ inventory: string | undefined; message: string; failed: boolean }> {
  const { named: { name, address, port }, admin, keyFile } = guest;
  const listens = guest.port ?? port;
  const look = async (sources: readonly string[]): Promise<Known> =>
    (await known({ ...options, inventory: [...sources], extraVars: new Map(), defaults: { ...options.defaults, remoteUser: undefined } }, [{ name, groups: plan.groups, vars: new Map() }], playbookDir)).get(name)!;
  const wanted = (now: Known): [string, string | number][] => {
    const { target } = now;
    return [
      ...(address !== undefined && target.host !== address ? [['ansible_host', address] as [string, string]] : []),
      ...(listens !== undefined && (target.port ?? 22) !== listens ? [['ansible_port', listens] as [string, number]] : []),
      ...(guest.port !== undefined && now.variable('base_ssh_port') !== String(guest.port) ? [['base_ssh_port', guest.port] as [string, number]] : []),
      ...((target.user ?? options.defaults.remoteUser) !== admin ? [['ansible_user', admin] as [string, string]] : []),
      ...(keyFile !== undefined && !IDENTITIES.includes(resolve(keyFile)) && resolve((target.privateKeyFile ?? '').replace(/^~(?=\/)/, homedir())) !== resolve(keyFile) ? [['ansible_ssh_private_key_file', resolve(keyFile)] as [string, string]] : []),
    ];
  };
  const there = plan.inventory.filter((source) => existsSync(source));
  const entry: Entry = { host: name, groups: plan.groups, vars: wanted(await look(there)) as HostVars };
  const enrolled = await enroll(plan.inventory, entry);
  if (enrolled === undefined) return { inventory: undefined, message: `in no inventory file yet; its entry: ${inOneLine(entry)}`, failed: false };
  if ('problem' in enrolled) return { inventory: undefined, message: `not written into the inventory: ${enrolled.problem}; its entry: ${inOneLine(entry)}`, failed: true };
  const lacking = wanted(await look(plan.inventory.filter((source) => existsSync(source))));
  if (lacking.length > 0) return { inventory: enrolled.file, message: `in ${enrolled.file}, but host_vars or -i further on say otherwise: ${lacking.map(([key]) => key).join(', ')}`, failed: true };
  return { inventory: enrolled.file, message: `${enrolled.changed ? 'written into' : 'in'} ${enrolled.file}`, failed: false };
}

function ending(guest: Guest, recap: Recap, { inventory, message, failed }: { inventory: string | undefined; message: string | undefined; failed: boolean }, interrupted: boolean): Extract<Event, { event: 'bootstrap' }> {
  const { named: { name }, known: { target }, admin, met, trouble } = guest;
  const port = guest.port ?? met?.port ?? target.port;
  const key = met && `${met.key.type} ${met.key.fingerprint}`;
  const common = { event: 'bootstrap' as const, host: name, key: met?.key, inventory, login: met && { user: admin, address: target.host, port } };
  const ssh = `ssh ${port === undefined || port === 22 ? '' : `-p ${port} `}${admin}@${target.host}`;
  if (message !== undefined) return { ...common, state: failed ? 'failed' : 'ready', message: `${ssh} · ${key} · ${message}` };
  if (trouble) return { ...common, state: 'unreachable', message: `${trouble.message.replace(`${name}: `, '')}${trouble.remedy === undefined ? '' : `; ${trouble.remedy}`}` };
  const why = interrupted ? 'interrupted' : recap.unreachable > 0 ? 'out of reach, see above' : 'see above';
  return { ...common, state: recap.unreachable > 0 ? 'unreachable' : 'failed', message: `${why}; run it again when that is mended${key === undefined ? '' : ` · ${key}`}` };
}
