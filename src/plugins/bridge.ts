import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { findPython } from '../modules/facts/python.js';
import { defineCommand, ModuleError, type Controller, type Step } from '../modules/module.js';
import { bytes, join, sh, type Sh } from '../shell/sh.js';
import { answerOf, anyParams, argumentsFor, json, soundsSecret } from './answer.js';
import { pack, type Sources } from './pack.js';

/** Exit status where a host has none, and what is said then. */
const NO_PYTHON = 127;
const ABSENT = 'there is no Python on this host';

/** Whether a file holds a module in Python that Ansible packs with what it imports. */
export function isPythonModule(path: string): boolean {
  const text = readFileSync(path, 'latin1');
  return /^[^\S\n]*(?:from\s+(?:ansible\.module_utils|ansible_collections|\.+)|import\s+ansible(?:\.module_utils|_collections))|#<<INCLUDE_ANSIBLE_MODULE_COMMON>>/m.test(text);
}

/**
 * A Python module of Ansible's or of a collection, run as it is on a host that has Python: an effect, never looked ahead. In a
 * plan it is run in check mode, where `AnsibleModule` itself refuses for modules that do not know it.
 * @param module the dotted name it is run by
 * @throws ContentError where something it needs is not on the controller
 */
export function pythonModule(path: string, module: string, sources: Sources) {
  const name = basename(path, '.py').replace(/^_/, '');
  const { archive, version } = pack(path, module, sources);
  const step = ({ args, controller }: Wanted, check: boolean): Step => {
    const input = json(argumentsFor(args, name, controller, check, version));
    return {
      script: join([python(controller.variable('ansible_python_interpreter')), openFiles(controller.variable('ansible_python_module_rlimit_nofile')), sh`${bytes(input)} | $muster_python "$module" ${module}`]),
      uploads: { module: { content: archive } },
      hangsUp: true,
    };
  };
  return defineCommand({
    name,
    summary: `A module in Python, run on the host by Python: ${path}`,
    params: anyParams,
    isSecret: soundsSecret,
    returns: {},
    examples: [],
    answers: true,
    prepare: async (args, controller): Promise<Wanted> => ({ args, controller }),
    run: (wanted) => step(wanted, false),
    plan: (wanted) => step(wanted, true),
    result(_wanted, output) {
      if (output.rc === NO_PYTHON && output.stderr.startsWith(ABSENT)) throw new ModuleError(output.stderr.trim(), { rc: output.rc, changed: false });
      return answerOf(name, output);
    },
  });
}

interface Wanted {
  args: object;
  controller: Controller;
}

/** Sets how many files the module may have open, at most what the host lets: Ansible's PYTHON_MODULE_RLIMIT_NOFILE. */
export function openFiles(given: unknown): Sh {
  const most = Math.trunc(Number(given ?? 0));
  if (!(most > 0)) return sh``;
  return sh`n=$(ulimit -H -n)
[ "$n" != unlimited ] && [ "$n" -lt ${most} ] || n=${most}
ulimit -S -n "$n"`;
}

/** Sets `muster_python`; ends where the host has none. */
function python(given: unknown): Sh {
  return sh`${findPython(given)}
[ -n "$muster_python" ] || { echo ${`${ABSENT}: install python3, or set ansible_python_interpreter`} >&2; exit ${NO_PYTHON}; }`;
}
