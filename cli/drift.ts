import type { CommandModule } from 'yargs';
import { loadInventory } from '../src/inventory/index.js';
import type { Event } from '../src/report/events.js';
import { EXIT, UsageError } from './exit.js';
import { Finding, breaches, checkGuards, type Guards } from './guards.js';
import { takeLock } from './lock.js';
import { type Flags, driftOptions, playbooks } from './options.js';
import { execute, prepare, reporterOf, type Prepared } from './run.js';
import { loadSettings } from './settings.js';

type DriftFlags = Flags & { playbook: string[]; fix: boolean; maxChanges?: number; maxHosts?: number };

/** `muster drift PLAYBOOK…`: for cron. Silent when clean; what drifted on which host otherwise; `--fix` brings it back. */
const drift: CommandModule<object, DriftFlags> = {
  builder: (argv) =>
    playbooks(argv)
      .options(driftOptions)
      .option('fix', { type: 'boolean', default: false, describe: 'bring back what drifted' })
      .option('max-changes', { type: 'number', requiresArg: true, describe: 'with --fix: change nothing where it were more changes than that' })
      .option('max-hosts', { type: 'number', requiresArg: true, describe: 'with --fix: change nothing where it were more hosts than that' }) as never,
  handler: async (flags) => {
    const prepared = { ...(await prepare('drift', flags.playbook, flags)), check: !flags.fix };
    const guards = guardsOf(flags);
    const release = await takeLock(prepared.playbooks, prepared.inventory);
    try {
      const held = flags.fix && guards ? await refusal(prepared, guards) : undefined;
      const reporter = await reporterOf(flags, { diff: prepared.diff, terse: true });
      if (!held) process.exitCode = await execute(prepared, reporter);
      else {
        for (const event of held.events) {
          // For programs, whose last line is the recap.
          if (event.event === 'stats' && flags.output === 'json') for (const message of held.reasons) reporter.event({ event: 'warning', message });
          reporter.event(event);
        }
        reporter.close();
        if (flags.output === 'text') for (const reason of held.reasons) process.stderr.write(`muster: ${reason}\n`);
        process.exitCode = held.exitCode;
      }
    } finally {
      release();
    }
  },
};
export default drift;

/** Flags win over muster.yml. @throws UsageError for a number that is none */
function guardsOf({ playbook, maxChanges, maxHosts }: DriftFlags): Guards | undefined {
  for (const [name, value] of [['max-changes', maxChanges], ['max-hosts', maxHosts]] as const)
    if (value !== undefined && !(Number.isInteger(value) && value >= 0)) throw new UsageError(`muster: --${name} must be a whole number, 0 or more`);
  const set = loadSettings(playbook[0], process.env).guards;
  if (set === undefined && maxChanges === undefined && maxHosts === undefined) return undefined;
  return { ...set, ...(maxChanges === undefined ? {} : { max_changes: maxChanges }), ...(maxHosts === undefined ? {} : { max_hosts: maxHosts }) };
}

/** Looks first. @returns what was found and told, where it is not to be brought back; undefined where it may be */
async function refusal(prepared: Prepared, guards: Guards): Promise<{ events: Event[]; reasons: string[]; exitCode: number } | undefined> {
  const inventory = await loadInventory(prepared.inventory);
  checkGuards(guards, inventory);
  const finding = new Finding();
  const events: Event[] = [];
  const note = (event: Event): void => {
    finding.note(event);
    events.push(event);
  };
  const exitCode = await execute({ ...prepared, check: true }, { event: note, close: () => undefined });
  if (exitCode === EXIT.interrupted) return { events, reasons: [], exitCode };
  const reasons = breaches(guards, finding, inventory).map((reason) => `guarded, nothing was changed: ${reason}`);
  return reasons.length === 0 ? undefined : { events, reasons, exitCode: EXIT.guarded };
}
