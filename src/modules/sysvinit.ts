import { applyScript, compareScript, inspectScript, linksTouched, parseScript, scriptParams, scriptResult } from './init_scripts.js';
import { defineModule } from './module.js';
import { params, str } from './params.js';
import { howTouched, undoTurning } from './units.js';

const schema = params({ name: str('The service: an init script in /etc/init.d, or its path.').meta({ aliases: ['service'] }), ...scriptParams }).check((context) => {
  const { state, enabled } = context.value;
  if (state === undefined && enabled === undefined) context.issues.push({ code: 'custom', message: 'one of the following is required: state, enabled', input: context.value, path: ['state'] });
});

export default defineModule({
  name: 'sysvinit',
  summary: 'Starts, stops and enables services that are init scripts of System V, on any host that has them.',
  params: schema,
  returns: { name: 'The service.', state: 'started or stopped.', enabled: 'Whether it starts at boot.', status: 'Of `enabled` and of the state that was asked for: changed, rc, stdout, stderr.' },
  examples: ['- sysvinit:\n    name: apache2\n    state: started\n    enabled: true', '- sysvinit:\n    name: apache2\n    enabled: true\n    runlevels: [3, 5]'],
  verify: (wanted) => wanted.state !== 'restarted' && wanted.state !== 'reloaded',
  inspect: inspectScript,
  parse: parseScript,
  compare: compareScript,
  apply: (wanted, _script, changes) => ({ script: applyScript(wanted, changes) }),
  touches: ({ name }, _script, changes) => ({ services: [{ name, how: howTouched(changes) }], trees: linksTouched(changes) }),
  undo: ({ name }, script, changes) => undoTurning('sysvinit', name, script.running, changes),
  result: scriptResult,
});
