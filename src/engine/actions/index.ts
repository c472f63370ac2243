import { assert } from './assert.js';
import type { Outcome } from '../outcome.js';
import type { Call } from '../call.js';
import { validateArgumentSpec } from './argument_spec.js';
import { asyncStatus } from './async.js';
import { addHost, groupBy } from './inventory.js';
import { includeVars } from './include_vars.js';
import { debug, fail, setFact } from './say.js';
import { fetch } from './fetch.js';
import { setStats } from './stats.js';
import { pause, reboot, waitForConnection } from './wait.js';

/** What happens on the controller, or takes more than one module's trip. Each gets the call as it stands. */
const ACTIONS: { [name: string]: (call: Call) => Promise<Outcome> } = {
  debug,
  set_fact: setFact,
  include_vars: includeVars,
  assert,
  fail,
  add_host: addHost,
  group_by: groupBy,
  pause,
  fetch,
  async_status: asyncStatus,
  reboot,
  set_stats: setStats,
  validate_argument_spec: validateArgumentSpec,
  wait_for_connection: waitForConnection,
};

export function action(name: string): ((call: Call) => Promise<Outcome>) | undefined {
  return Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
}

/** Actions that happen once for all hosts of a task, not for each (Ansible's BYPASS_HOST_LOOP). */
export function happensOnce(name: string): boolean {
  return name === 'pause' || name === 'add_host';
}

/** Whether a task happens on the controller (includes and meta among them): nothing is inspected for it. */
export function isAction(name: string): boolean {
  return Object.hasOwn(ACTIONS, name) || name === 'meta' || name.startsWith('include_');
}
