import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { EXIT, UsageError } from './exit.js';
import { loadSettings } from './settings.js';

interface InstallFlags {
  requirements: string[];
  rolesPath: string | undefined;
  collectionsPath: string | undefined;
  force: boolean;
}

/** `muster install`: the roles and collections that requirements.yml names, from git, archives and folders. */
const command: CommandModule<object, InstallFlags> = {
  builder: (argv) =>
    argv.options({
      requirements: { type: 'string', array: true, alias: ['r', 'role-file'], requiresArg: true, default: [], describe: 'requirements.yml; without any, that of the project, of its roles/ and of its collections/' },
      'roles-path': { type: 'string', alias: 'p', requiresArg: true, describe: 'folder the roles go to; roles/ of the project by default' },
      'collections-path': { type: 'string', requiresArg: true, describe: 'folder the collections go to; collections/ of the project by default' },
      force: { type: 'boolean', alias: 'f', default: false, describe: 'bring anew what is there already' },
    }) as never,
  handler: async ({ requirements, rolesPath, collectionsPath, force }) => {
    const { projectDir } = loadSettings(undefined, process.env);
    const files = requirements.length > 0 ? requirements : ['requirements.yml', 'roles/requirements.yml', 'collections/requirements.yml'].map((name) => join(projectDir, name)).filter(existsSync);
    if (files.length === 0) throw new UsageError('muster install: there is no requirements.yml; name one with -r');
    for (const file of files) if (!existsSync(file)) throw new UsageError(`muster install: there is no file ${file}`);
    const { install, readRequirements } = await import('../src/install/index.js');
    const { display } = await import('../src/playbook/context.js');
    const { harmless } = await import('../src/report/style.js');
    const where = { roles: rolesPath ?? join(projectDir, 'roles'), collections: collectionsPath ?? join(projectDir, 'collections') };
    const say = (line: string) => process.stdout.write(`${harmless(line)}\n`);
    const all = await install(files.flatMap((file) => readRequirements(file, display(file))), where, force);
    for (const { kind, name, path, version, commit, kept } of all) {
      const what = [version, commit?.slice(0, 10)].filter((part) => part !== undefined && part !== '').join(', ');
      say(`${kept ? 'there already' : 'installed'}: ${kind} ${name}${what ? ` (${what})` : ''} in ${display(path)}`);
    }
    const names = new Set(all.map(({ name }) => name));
    for (const { name, needs } of all) {
      const missing = needs.filter((need) => !names.has(need) && !existsSync(join(where.roles, need)) && !existsSync(join(where.collections, 'ansible_collections', ...need.split('.'))));
      if (missing.length > 0) say(`${name} needs ${missing.join(', ')} too: name ${missing.length === 1 ? 'it' : 'them'} in requirements.yml where ${missing.length === 1 ? 'it is' : 'they are'} used`);
    }
    process.exitCode = EXIT.done;
  },
};
export default command;
