import type { Case } from '../case.js';
import { MUSTER, run } from '../process.js';
import { race, table } from '../race.js';

export const startup: Case = {
  name: 'startup',
  title: 'Start-up',
  about: '`muster --version` next to Node itself, which does nothing.',
  async run() {
    const results = await race(
      {
        'node -e 0': async () => (await run(process.execPath, ['-e', '0'])).seconds,
        'muster --version': async () => (await run(process.execPath, [MUSTER, '--version'])).seconds,
        'muster --help': async () => (await run(process.execPath, [MUSTER, '--help'])).seconds,
      },
      15,
    );
    return { rows: table(results), goals: [{ what: 'muster --version / node -e 0', got: results['muster --version'].median / results['node -e 0'].median, atMost: 1.5 }] };
  },
};
