import { spawn } from 'node:child_process';
import type { CommandModule } from 'yargs';
import { LabError, labDown, labSnapshot, labSsh, labStatus, labUp, type LabState } from '../src/lab/lab.js';

/** The hosts of inventory/lab.yml. */
const usual = ['lb1', 'lb2', 'web1', 'web2', 'db1', 'db2', 'mon1'];

const nameOption = { name: { type: 'string', default: 'lab', describe: 'name of the lab; several can be up at once' } } as const;

/** `muster lab up|down|status|ssh|snapshot`: throwaway Debian hosts on this machine, for rehearsal and tests. */
export const lab: CommandModule = {
  command: 'lab',
  describe: 'Throwaway Debian hosts on this machine, for rehearsal and tests',
  builder: (yargs) =>
    yargs
      .command(
        'up [hosts..]',
        'Boot the hosts and wait until they answer SSH',
        (y) =>
          y
            .positional('hosts', { type: 'string', array: true, describe: `names, each with a Debian suite if you like: web1 db3:sid (${usual.join(' ')})` })
            .options({ ...nameOption, from: { type: 'string', describe: 'begin with the disks of this snapshot' } }),
        (argv) =>
          guarded(async () => {
            const started = Date.now();
            const hosts = (argv.hosts?.length ? argv.hosts : usual).map((text) => {
              const [name, suite] = text.split(':') as [string, string?];
              return suite === undefined ? { name } : { name, suite };
            });
            const state = await labUp({ name: argv.name, hosts, ...(argv.from === undefined ? {} : { from: argv.from }), say: (line) => console.error(line) });
            show(state, hosts.map(({ name }) => name));
            console.log(`up in ${((Date.now() - started) / 1000).toFixed(1)} s`);
          }),
      )
      .command('down', 'Take the hosts away, with all they hold', (y) => y.options(nameOption), (argv) => guarded(() => labDown({ name: argv.name })))
      .command('status', 'Show the hosts and what runs', (y) => y.options(nameOption), (argv) =>
        guarded(async () => {
          const state = await labStatus({ name: argv.name });
          if (state) show(state, state.running);
          else console.log(`there is no lab ${argv.name} here; muster lab up makes one`);
        }),
      )
      .command(
        'ssh <host> [command..]',
        'Log in to a host, or run a command there',
        (y) => y.positional('host', { type: 'string', demandOption: true }).positional('command', { type: 'string', array: true, default: [] }).options(nameOption),
        (argv) =>
          guarded(async () => {
            const child = spawn('ssh', labSsh(await existing(argv.name), argv.host, [...argv.command, ...((argv['--'] as string[] | undefined) ?? [])]), { stdio: 'inherit' });
            process.exitCode = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 255)));
          }),
      )
      .command(
        'snapshot <snapshot>',
        'Keep the disks of all hosts under a name, for lab up --from',
        (y) => y.positional('snapshot', { type: 'string', demandOption: true }).options(nameOption),
        (argv) => guarded(async () => void (await labSnapshot(await existing(argv.name), argv.snapshot))),
      )
      .demandCommand(1, 'say what to do with the lab: up, down, status, ssh or snapshot'),
  handler: () => {},
};

async function existing(name: string): Promise<LabState> {
  const state = await labStatus({ name });
  if (!state) throw new LabError(`there is no lab ${name} here; muster lab up makes one`);
  return state;
}

function show(state: LabState, running: readonly string[]): void {
  for (const host of state.hosts) {
    console.log(`${host.name.padEnd(10)} ${host.address.padEnd(15)} ${host.suite.padEnd(10)} ${running.includes(host.name) ? 'up' : 'down'}`);
  }
}

/** What the lab cannot do is told in a line, with exit code 1. */
async function guarded(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    console.error(`muster lab: ${error.message}`);
    process.exitCode = 1;
  }
}
