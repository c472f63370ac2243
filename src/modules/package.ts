import { apply, compare, inspect, parse, result, returns, rules, bare, undo, verify, type Wanted } from './apt.js';
import { defineModule, ModuleError } from './module.js';
import { any, list, params } from './params.js';

const SUPPORTED = ['apt'];

export default defineModule({
  name: 'package',
  summary: "Installs and removes packages by the host's own package manager (apt so far).",
  params: params({
    ...bare.shape,
    use: any('The package manager, where it is not to be found on the host.').default('auto'),
    enablerepo: list('For dnf and yum: on a host with apt the task fails where it is given.').optional(),
    disablerepo: list('Likewise.').optional(),
  }).check(rules),
  returns,
  examples: ['- package:\n    name: [rsync, curl]\n    state: present'],
  async prepare({ use, enablerepo, disablerepo, ...args }, controller): Promise<Wanted> {
    const manager = use === 'auto' ? controller.facts.get('pkg_mgr') : use;
    if (manager !== undefined && !SUPPORTED.includes(String(manager))) {
      throw new ModuleError(`packages of ${String(manager)} cannot be managed yet; supported: ${SUPPORTED.join(', ')}`);
    }
    const other = enablerepo !== undefined ? 'enablerepo' : disablerepo !== undefined ? 'disablerepo' : undefined;
    if (other !== undefined) throw new ModuleError(`${other} is for dnf and yum, and this host has apt; omit it here: "{{ … | default(omit) }}"`);
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
