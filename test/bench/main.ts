import { didYouMean } from '../../src/value/errors.js';
import type { Case } from './case.js';
import { takeDown } from './lab.js';
import { keep, show } from './page.js';
import { ansible } from './cases/ansible.js';
import { bytes } from './cases/bytes.js';
import { converged } from './cases/converged.js';
import { first } from './cases/first.js';
import { fleet } from './cases/fleet.js';
import { inventory } from './cases/inventory.js';
import { lint } from './cases/lint.js';
import { rendering } from './cases/rendering.js';
import { stack } from './cases/stack.js';
import { startup } from './cases/startup.js';
import { trips } from './cases/trips.js';

/** In the order of the page. */
const CASES: Case[] = [converged, ansible, first, stack, trips, fleet, inventory, rendering, bytes, startup, lint];

async function main(names: string[]): Promise<number> {
  const wrong = names.find((name) => !CASES.some((found) => found.name === name));
  if (wrong !== undefined) {
    const known = CASES.map(({ name }) => name);
    console.error(`bench: there is no case "${wrong}"; ${didYouMean(wrong, known) ?? `known are ${known.join(', ')}`}`);
    return 1;
  }
  try {
    for (const chosen of CASES.filter(({ name }) => names.length === 0 || names.includes(name))) {
      console.log(`\n${chosen.name}: ${chosen.title}`);
      const figures = await chosen.run((line) => console.error(line));
      console.log(show(figures));
      keep(CASES, chosen, figures);
    }
  } finally {
    await takeDown();
  }
  return 0;
}

// What a case has made goes with the process; a lab is taken down by the next run.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
process.exit(await main(process.argv.slice(2)));
