import type { CommandModule } from 'yargs';
import type { Inventory } from '../src/inventory/types.js';
import { harmless } from '../src/report/style.js';
import { keyring } from '../src/vault/index.js';
import { toPlain, toValue } from '../src/value/value.js';
import { UsageError } from './exit.js';
import { type Flags, inventoryOptions } from './options.js';
import { identitiesOf } from './passwords.js';
import { inventoryOf } from './run.js';
import { loadSettings } from './settings.js';
import { parseExtraVars } from './vars.js';

type InventoryFlags = Flags & { pattern?: string; group?: string; host?: string; of?: string; list?: boolean; graph?: boolean; vars?: boolean; export?: boolean; yaml?: boolean };

/** The flags of `ansible-inventory`, whose output is that of `muster inventory` with them. */
const asAnsible = {
  list: { type: 'boolean', describe: 'the whole inventory as JSON, as ansible-inventory prints it' },
  host: { type: 'string', requiresArg: true, describe: 'the variables of a host as JSON' },
  graph: { type: 'boolean', describe: 'groups and hosts as a tree' },
  vars: { type: 'boolean', describe: 'with --graph: variables too' },
  export: { type: 'boolean', describe: 'with --list: variables stay with their groups' },
  yaml: { type: 'boolean', alias: 'y', describe: 'with --list and --host: as YAML' },
} as const;

/** `muster inventory list|graph|host` */
const inventory: CommandModule<object, InventoryFlags> = {
  builder: (argv) =>
    argv
      .options(inventoryOptions)
      .command('list [pattern]', 'hosts with their groups', (y) => y.positional('pattern', { type: 'string', default: 'all', describe: 'hosts and groups' }), list as never)
      .command('graph [group]', 'groups and hosts as a tree', (y) => y.positional('group', { type: 'string', default: 'all', describe: 'where to begin' }), graph as never)
      .command('host <host>', 'the variables of a host, and where each was written', (y) => y.positional('host', { type: 'string', demandOption: true }), host as never)
      .command('$0 [of]', false, (y) => y.positional('of', { type: 'string' }).options(asAnsible), told as never) as never,
  handler: () => {},
};
export default inventory;

async function load(flags: InventoryFlags): Promise<Inventory> {
  const { loadInventory } = await import('../src/inventory/index.js');
  const settings = loadSettings(undefined, process.env);
  keyring.use(await identitiesOf(flags, settings));
  keyring.isStrict = false;
  const sources = inventoryOf(flags, settings);
  if (sources.length === 0) throw new UsageError('muster: which inventory? -i FILE, or "inventory:" in muster.yml');
  return loadInventory(sources);
}

async function list(flags: InventoryFlags): Promise<void> {
  const { groupsOf, matchHosts } = await import('../src/inventory/index.js');
  const inventory = await load(flags);
  const { hosts, unmatched, limitUnmatched } = matchHosts(flags.pattern ?? 'all', inventory, { limit: flags.limit });
  for (const { pattern, hint } of [...unmatched, ...limitUnmatched]) process.stderr.write(`muster: nothing matches "${pattern}"${hint ? `; ${hint}` : ''}\n`);
  const rows = hosts.map((name) => ({ host: name, groups: groupsOf(inventory, name).map((group) => group.name).filter((group) => group !== 'all') }));
  if (flags.output === 'json') print(rows.map((row) => JSON.stringify(row)));
  else {
    const width = Math.max(0, ...hosts.map((name) => name.length));
    print(rows.map((row) => `${row.host.padEnd(width)}  ${row.groups.join(', ')}`.trimEnd()));
  }
}

async function graph(flags: InventoryFlags): Promise<void> {
  return told({ ...flags, graph: true, of: flags.group ?? 'all' });
}

/** What the flags of `ansible-inventory` ask for, in its words. */
async function told(flags: InventoryFlags): Promise<void> {
  if (!flags.list && !flags.graph && flags.host === undefined) throw new UsageError('muster inventory: say what to show: list, graph or host (or --list, --graph, --host as ansible-inventory has them)');
  const { matchHosts } = await import('../src/inventory/index.js');
  const { Variables } = await import('../src/variables/index.js');
  const { Told } = await import('./inventory-ansible.js');
  const inventory = await load(flags);
  const variables = new Variables(inventory, { extraVars: parseExtraVars(flags.extraVars) });
  await variables.load();
  const { hosts } = matchHosts('all', inventory, { limit: flags.limit });
  const tell = new Told(inventory, variables, new Set(hosts), flags.export === true && flags.list === true);
  if (flags.graph) {
    const name = flags.of ?? 'all';
    if (!inventory.groups.has(name)) throw new UsageError(`muster: there is no group "${name}"`);
    print(tell.graph(name, flags.vars === true));
  } else if (flags.host !== undefined) {
    if (!inventory.hosts.has(flags.host)) throw new UsageError(`muster: there is no host "${flags.host}"`);
    print([tell.host(flags.host, flags.yaml === true)]);
  } else print([flags.yaml ? tell.yaml() : tell.json()]);
}

async function host(flags: InventoryFlags): Promise<void> {
  const inventory = await load(flags);
  const { matchHosts } = await import('../src/inventory/index.js');
  const { Variables } = await import('../src/variables/index.js');
  const { dumpYaml } = await import('../src/yaml/index.js');
  const { noServices } = await import('../src/expression/index.js');
  const name = flags.host!;
  const { hosts, unmatched } = matchHosts(name, inventory);
  if (hosts.length !== 1) throw new UsageError(`muster: there is no host "${name}"${unmatched[0]?.hint ? `; ${unmatched[0].hint}` : ''}`);
  const variables = new Variables(inventory, { extraVars: parseExtraVars(flags.extraVars) });
  await variables.load();
  // Nothing is evaluated here, so nothing of the controller is asked.
  const services = noServices(process.cwd());
  const context = { host: name, services };
  const found = [...variables.scope(context).names()]
    .sort()
    .flatMap((key) => {
      const explained = variables.explain(context, key);
      return explained ? [{ key, ...explained }] : [];
    });
  if (flags.output === 'json') print([JSON.stringify(Object.fromEntries(found.map(({ key, value }) => [key, toPlain(value, false)])))]);
  else
    print(
      found.flatMap(({ key, value, origin, level }) => [
        `# ${origin ? `${origin.file}:${origin.line}` : level}`,
        dumpYaml(new Map([[key, toValue(toPlain(value, false))]]), { flow: 'none', width: 1000 }).trimEnd(),
      ]),
    );
}

function print(lines: string[]): void {
  if (lines.length > 0) process.stdout.write(`${harmless(lines.join('\n'))}\n`);
}
