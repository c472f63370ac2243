import { sh } from '../shell/sh.js';
import { defineModule, ModuleError } from './module.js';
import { choice, params, str } from './params.js';

const schema = params({
  name: str('The package.'),
  selection: choice(['install', 'hold', 'deinstall', 'purge'], 'What dpkg shall do with it: hold keeps its version.'),
}).check((context) => {
  if (!/^[a-z0-9][a-z0-9+.:-]*$/.test(context.value.name)) context.issues.push({ code: 'custom', message: `"${context.value.name}" is not the name of one package`, input: context.value, path: ['name'] });
});

export const dpkgSelections = defineModule<typeof schema, string>({
  name: 'dpkg_selections',
  summary: 'Holds packages in their version, and lets them go again; installs and removes none.',
  params: schema,
  returns: { before: 'The selection as it was.', after: 'The selection as it is now.' },
  examples: ['- dpkg_selections:\n    name: mysql-server\n    selection: hold'],
  inspect: ({ name }) => sh`LC_ALL=C dpkg --get-selections ${name}`,
  parse({ rc, stdout, stderr }, { name, selection }) {
    if (rc !== 0) throw new ModuleError(`cannot ask dpkg about ${name}: ${stderr.trim() || `exit status ${rc}`}`, { rc, stderr });
    if (stderr.includes('no packages found matching')) throw new ModuleError(`Failed to find package '${name}' to perform selection '${selection}'.`);
    return stdout.trim().split(/\s+/)[1] ?? 'not present';
  },
  compare: ({ selection }, before) => (before === selection ? [] : [{ field: 'selection', from: before, to: selection }]),
  apply: ({ name, selection }) => ({ script: sh`printf '%s %s\\n' ${name} ${selection} | dpkg --set-selections` }),
  undo: ({ name }, before) => (before === 'not present' ? [{ cannot: `dpkg had no selection of ${name}` }] : [{ module: 'dpkg_selections', args: { name, selection: before } }]),
  result: ({ selection }, before) => ({ before, after: selection }),
});
export default dpkgSelections;
