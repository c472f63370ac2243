/** Every folder of cases/ holds an inventory and what it means (expected.json) or the error it gives (error.txt). */
import test from 'ava';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadInventory } from '../../src/inventory/index.js';
import { ContentError } from '../../src/value/errors.js';
import { dumpInventory } from './dump.js';

const cases = 'test/inventory/cases';

for (const name of readdirSync(cases)) {
  const folder = join(cases, name);
  test(name, async (t) => {
    const source = existsSync(join(folder, 'sources'))
      ? readFileSync(join(folder, 'sources'), 'utf8').trim()
      : join(folder, readdirSync(folder).find((file) => file.startsWith('inventory'))!);
    if (existsSync(join(folder, 'error.txt'))) {
      const error = await t.throwsAsync(loadInventory([source]), { instanceOf: ContentError });
      t.is(error!.describe(), readFileSync(join(folder, 'error.txt'), 'utf8').trim());
    } else {
      const inventory = await loadInventory([source]);
      t.deepEqual(dumpInventory(inventory), JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')));
    }
  });
}
