import { apply, compare, inspect, parse, result, returns, rules, bare, undo, verify, type Wanted } from './apt.js';
import { defineModule, ModuleError } from './module.js';
import { any, params } from './params.js';

const SUPPORTED = ['apt'];

export default defineModule({
  name: 'package',
  summary: "Installs and removes packages by the host's own package manager (apt so far).",
  params: params({ ...bare.shape, use: any('The package manager, where it is not to be found on the host.').default('auto') }).check(rules),
  returns,
  examples: ['- package:\n    name: [rsync, curl]\n    state: present'],
  async prepare({ use, ...args }, controller): Promise<Wanted> {
    const manager = use === 'auto' ? controller.facts.get('pkg_mgr') : use;
    if (manager !== undefined && !SUPPORTED.includes(String(manager))) {
      throw new ModuleError(`packages of ${String(manager)} cannot be managed yet; supported: ${SUPPORTED.join(', ')}`);
    }
    return args;
  },
  verify,
  inspect,
  parse,
  compare,
  apply,
  undo,
  result,
});
