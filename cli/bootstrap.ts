import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandModule } from 'yargs';
import { ContentError } from '../src/value/errors.js';
import { UsageError } from './exit.js';
import { type Flags, bootstrapOptions } from './options.js';
import { execute, prepare, reporterOf } from './run.js';
import { loadSettings } from './settings.js';

interface BootstrapFlags extends Flags {
  host: string[];
  group: string[];
  admin?: string;
  key?: string;
  hostname?: string;
  sshPort?: number;
  fingerprint: string[];
  retrust?: boolean;
  playbook?: string;
}

/** Where a project has its own, else Muster's. */
const PLAYBOOK = 'playbooks/bootstrap.yml';
const OWN = fileURLToPath(new URL('../..', import.meta.url));

/** `muster bootstrap HOST…`: from a fresh machine to a host of the inventory. */
const bootstrap: CommandModule<object, BootstrapFlags> = {
  builder: (argv) =>
    argv
      .positional('host', { type: 'string', array: true, describe: 'NAME, NAME=ADDRESS or NAME=ADDRESS:PORT; ranges as in inventories' })
      .options(bootstrapOptions)
      .example('$0 bootstrap web3.example.com -i inventory/production.yml --group web', '')
      .example('$0 bootstrap web3=192.0.2.23 -k --fingerprint SHA256:…', '') as never,
  handler: async (flags) => {
    const { bootstrap: setUp, named } = await import('../src/bootstrap/index.js');
    const settings = loadSettings(undefined, process.env);
    const hosts = named(flags.host);
    if (flags.hostname !== undefined && hosts.length > 1) throw new UsageError('muster: --hostname is for one host');
    const { sshPort } = flags;
    if (sshPort !== undefined && !(Number.isInteger(sshPort) && sshPort >= 1 && sshPort <= 65535)) throw new UsageError('muster: --ssh-port must be a port, 1 to 65535');
    for (const each of flags.fingerprint) if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(each)) throw new UsageError(`muster: --fingerprint "${each}" is no fingerprint; it is what ssh-keygen -l prints: SHA256: and 43 characters`);
    for (const group of flags.group) if (!/^[A-Za-z_]\w*$/.test(group) || ['all', 'ungrouped'].includes(group)) throw new UsageError(`muster: --group "${group}" is no name of a group: letters, digits and _`);
    const own = join(settings.projectDir, PLAYBOOK);
    const playbook = flags.playbook ?? (existsSync(own) ? own : join(OWN, PLAYBOOK));
    const inventory = (flags.inventory.length > 0 ? flags.inventory : (settings.inventory ?? [])).map(mayBeMade);
    const prepared = await prepare('bootstrap', [playbook], { ...flags, inventory: inventory.filter((source) => source.includes(',') || existsSync(source)) }, settings);
    const isOurs = resolve(playbook).startsWith(join(OWN, 'playbooks'));
    // Its templates stand beside it, not in the project; and the wait for a host is not the time of one login.
    const options = { ...prepared, ...(isOurs ? { projectDir: OWN } : {}), defaults: { ...prepared.defaults, remoteUser: settings.remote_user, privateKeyFile: settings.private_key_file, connectTimeout: settings.timeout ?? 0 } };
    const plan = {
      hosts,
      groups: flags.group,
      admin: flags.admin,
      key: flags.key,
      hostname: flags.hostname,
      port: sshPort,
      user: flags.user,
      privateKey: flags.privateKey,
      fingerprints: flags.fingerprint,
      retrust: flags.retrust === true,
      patience: flags.timeout ?? 300,
      inventory,
      readKey,
    };
    process.exitCode = await execute(options, await reporterOf(flags, { diff: prepared.diff, terse: false }), (run) => setUp(run, plan));
  },
};
export default bootstrap;

/** An inventory file that is not there yet is made, in a folder that is. */
function mayBeMade(source: string): string {
  if (source.includes(',') || existsSync(source)) return source;
  if (!['.yml', '.yaml', '.ini', ''].includes(extname(source)) || !existsSync(dirname(source))) throw new UsageError(`muster: there is no inventory ${source}, and none of that name can be made`);
  return source;
}

/** @throws ContentError for what is no public key, or a private one */
function readKey(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new ContentError(`the key ${file} cannot be read: ${(error as Error).message}`);
  }
  if (/PRIVATE KEY/.test(text)) throw new ContentError(`${file} is a private key`, undefined, `give the public one: --key ${file}.pub`);
  if (!/^(?:\S.*\s)?(?:ssh|ecdsa|sk)-[\w@.-]+ [A-Za-z0-9+/=]+(?: .*)?$/.test(text)) throw new ContentError(`${file} is no public key`, undefined, 'one line, as in FILE.pub');
  return text;
}
