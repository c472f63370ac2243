import test from 'ava';
import { fuzz } from './fuzz.js';
import { TARGETS } from './targets.js';

/** A short run each time; the long one is test/break/fuzz.test.ts. */
for (const target of Object.keys(TARGETS)) {
  test.serial(`hostile text: ${target}`, async (t) => {
    t.timeout(120_000);
    await fuzz(t, target, Number(process.env['MUSTER_FUZZ_SECONDS'] ?? 0.25) * 1000);
  });
}

test('a time that is over before one input is done is no failure, and one is fed all the same', (t) => fuzz(t, 'inventory, INI', 0));
