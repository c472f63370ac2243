import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { keyring } from '../src/vault/index.js';
import { EXIT, UsageError } from './exit.js';
import { vaultOptions, type Flags, type VaultFlags } from './options.js';
import { identitiesOf } from './passwords.js';
import { loadSettings } from './settings.js';
import { parseExtraVars } from './vars.js';

/** `muster lint [PLAYBOOK…]`: the static checks every run begins with, and their warnings, without touching a host. */
const lint: CommandModule<object, Flags & { playbook?: string[] }> = {
  builder: (argv) =>
    argv
      .positional('playbook', { type: 'string', array: true, describe: 'playbook files; without any, all in playbooks/' })
      .options({
        ...vaultOptions,
        'extra-vars': { type: 'string', array: true, alias: 'e', requiresArg: true, default: [], describe: 'variables, as in apply' },
        output: { choices: ['text', 'json'], default: 'text', describe: 'for people or programs' },
        verbose: { type: 'count', alias: 'v', describe: 'tell more' },
      }) as never,
  handler: async (flags) => {
    process.exitCode = await check(flags.playbook ?? [], flags);
  },
};
export default lint;

/** Prints every problem; exit 1 where one is an error. */
export async function check(given: string[], flags: Pick<Flags, 'extraVars' | 'output' | keyof VaultFlags>): Promise<number> {
  const named = given.length > 0 ? given : all();
  const settings = loadSettings(named[0], process.env);
  const { playbookAt } = await import('./run.js');
  const playbooks = await Promise.all(named.map((path) => playbookAt(path, settings)));
  keyring.use(await identitiesOf(flags, settings));
  keyring.isStrict = false;
  const { checkProject, renderProblem, sorted } = await import('../src/playbook/index.js');
  const { harmless, painter, wantsColour } = await import('../src/report/style.js');
  const paint = painter(wantsColour(process.stdout, process.env));
  const context = { projectDir: settings.projectDir, rolesPath: settings.roles_path ?? [], extraVars: parseExtraVars(flags.extraVars), problems: [] };
  const problems = sorted(await checkProject(playbooks, context));
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  for (const problem of problems) {
    if (flags.output === 'json') process.stdout.write(`${JSON.stringify({ event: 'problem', ...problem })}\n`);
    else {
      const [head, ...source] = harmless(renderProblem(problem)).split('\n');
      process.stdout.write(`${[paint(['bold', problem.severity === 'error' ? 'red' : 'yellow'], head!), ...source].join('\n')}\n`);
    }
  }
  if (flags.output === 'text') process.stdout.write(`${count(playbooks.length, 'playbook')} checked: ${count(errors, 'error')}, ${count(problems.length - errors, 'warning')}\n`);
  return errors > 0 ? EXIT.usage : EXIT.done;
}

function all(): string[] {
  const folder = 'playbooks';
  const found = existsSync(folder) ? readdirSync(folder).filter((name) => /\.ya?ml$/.test(name) && name !== 'muster.yml').map((name) => join(folder, name)) : [];
  if (found.length === 0) throw new UsageError('muster lint: there are no playbooks in playbooks/; name some');
  return found.sort();
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
