import type { z } from 'zod';
import apt from './apt.js';
import { parseArgs } from './args.js';
import dnf from './dnf.js';
import { defineModule, ModuleError, verifies, type Declarative } from './module.js';
import { any, choice, list, params, str } from './params.js';

/** The modules behind it; each answers for its own packages. */
const MODULES: { [manager: string]: Declarative<any, any, any> } = { apt, dnf, dnf5: dnf, yum: dnf };

interface Wanted {
  manager: string;
  args: unknown;
}

/** The parameters of both, none required and none with a default: which of them count the host's package manager tells. */
function bare(shape: { [name: string]: z.ZodType }): { [name: string]: z.ZodType } {
  return Object.fromEntries(Object.entries(shape).map(([name, type]) => [name, ('unwrap' in type ? (type as z.ZodOptional).unwrap() as z.ZodType : type).optional()]));
}

export default defineModule({
  name: 'package',
  summary: "Installs and removes packages by the host's own package manager: apt, or dnf and yum. It takes what their modules take.",
  params: params({
    ...bare(dnf.params.shape),
    ...bare(apt.params.shape),
    name: list('Packages, as the package manager writes them.').meta({ aliases: ['package', 'pkg'] }).optional(),
    state: choice(['present', 'installed', 'latest', 'absent', 'removed', 'fixed', 'build-dep'], 'What the packages shall be.').optional(),
    use_backend: str('Which dnf, as the dnf module takes it.').optional(),
    use: any('The package manager, where it is not to be found on the host; the variable ansible_package_use says it too.').default('auto'),
  }),
  returns: apt.returns,
  examples: ['- package:\n    name: [rsync, curl]\n    state: present'],
  async prepare({ use, ...args }, controller): Promise<Wanted> {
    const asked = use === 'auto' ? (controller.variable('ansible_package_use') ?? use) : use;
    const manager = String(asked === 'auto' ? (controller.facts.get('pkg_mgr') ?? 'apt') : asked);
    const module = MODULES[manager];
    if (module === undefined) throw new ModuleError(`Could not find a matching action for the "${manager}" package manager; supported: ${Object.keys(MODULES).join(', ')}`);
    const given = Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined)) as Parameters<typeof parseArgs>[1];
    const parsed: unknown = parseArgs(module, given);
    return { manager, args: module.prepare ? ((await module.prepare(parsed, controller)) as unknown) : parsed };
  },
  verify: ({ manager, args }) => verifies(MODULES[manager]!, args),
  inspect: ({ manager, args }) => MODULES[manager]!.inspect(args),
  parse: (output, { manager, args }) => MODULES[manager]!.parse(output, args) as unknown,
  compare: ({ manager, args }, observed) => MODULES[manager]!.compare(args, observed),
  apply: ({ manager, args }, observed, changes) => MODULES[manager]!.apply(args, observed, changes),
  rehearse: ({ manager, args }, observed, changes) => MODULES[manager]!.rehearse?.(args, observed, changes),
  undo: ({ manager, args }, observed, changes) => MODULES[manager]!.undo!(args, observed, changes),
  result: ({ manager, args }, observed, output) => MODULES[manager]!.result(args, observed, output),
});
