import type { z } from 'zod';
import { defineModule } from './module.js';
import { bool, choice, params, str } from './params.js';
import { applyUnit, compareUnit, inspectUnit, parseUnit, touchesUnit, undoUnit, unitParams, unitResult } from './units.js';

const schema = params({
  name: str('The unit; without an ending it is a service. A name alone asks for its status.').meta({ aliases: ['service', 'unit'] }).optional(),
  state: choice(['started', 'stopped', 'restarted', 'reloaded'], 'restarted and reloaded are done each time.').optional(),
  enabled: bool('Whether the unit starts at boot.').optional(),
  ...unitParams,
}).check((context) => {
  const { name, state, enabled, masked, daemon_reload, daemon_reexec, scope } = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [path] });
  if (name === undefined && (state ?? enabled ?? masked) !== undefined) issue('state, enabled and masked need a name', 'name');
  if (name === undefined && !daemon_reload && !daemon_reexec) issue('a unit, daemon_reload or daemon_reexec is needed', 'name');
  if (name !== undefined && /[*?[\s/]/.test(name)) issue(`"${name}" is not the name of one unit; patterns are not supported`, 'name');
  if (scope === 'global' && (state !== undefined || daemon_reload || daemon_reexec)) issue('with scope: global only enabled and masked make sense', 'scope');
});

export default defineModule({
  name: 'systemd',
  aliases: ['systemd_service'],
  summary: "Starts, stops, enables and masks systemd's units.",
  params: schema,
  returns: { name: 'The unit as it was named.', state: 'started or stopped.', enabled: 'Whether it starts at boot.', status: "systemd's properties of the unit before the change (ActiveState, SubState, …), all of them where the result is registered." },
  examples: [
    '- systemd:\n    name: nginx\n    state: started\n    enabled: true',
    '- systemd:\n    name: app.service\n    state: restarted\n    daemon_reload: true',
    '- systemd:\n    daemon_reload: true',
  ],
  verify: (wanted) => wanted.state !== 'restarted' && wanted.state !== 'reloaded' && !wanted.daemon_reexec && !wanted.no_block,
  prepare: async (args, controller): Promise<z.output<typeof schema> & { whole?: boolean }> => ({ ...args, whole: controller.registers }),
  inspect: (wanted) => inspectUnit(wanted),
  parse: (output, wanted) => parseUnit(output, wanted),
  compare: (wanted, unit) => compareUnit(wanted, unit),
  apply: (wanted, _unit, changes) => ({ script: applyUnit(wanted, changes) }),
  touches: (wanted, _unit, changes) => touchesUnit(wanted, changes),
  undo: (wanted, unit, changes) => undoUnit('systemd', wanted, unit, changes),
  result: (wanted, unit) => unitResult(wanted, unit),
});
