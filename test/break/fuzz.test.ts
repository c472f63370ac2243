import test from 'ava';
import { fuzz } from '../hostile/fuzz.js';
import { TARGETS } from '../hostile/targets.js';

/** The long run of test/hostile/fuzz.test.ts. By hand: MUSTER_FUZZ_SECONDS=600 npx ava dist/test/break/fuzz.test.js */
const seconds = Number(process.env['MUSTER_FUZZ_SECONDS'] ?? 12);
for (const target of Object.keys(TARGETS)) {
  test.serial(`hostile text: ${target}`, async (t) => {
    t.timeout(seconds * 1000 + 120_000);
    await fuzz(t, target, seconds * 1000);
  });
}
