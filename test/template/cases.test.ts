/** Every folder of cases/ holds a template, its variables, and the text (expected.txt) or the error (error.txt) it gives. */
import test from 'ava';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Templates } from '../../src/template/index.js';
import { ContentError } from '../../src/value/errors.js';
import type { Dict } from '../../src/value/value.js';
import { parseYaml } from '../../src/yaml/index.js';
import { scopeOf } from './scope.js';

const cases = 'test/template/cases';

for (const name of readdirSync(cases)) {
  const folder = join(cases, name);
  test(name, (t) => {
    const vars = join(folder, 'vars.yml');
    const scope = scopeOf(parseYaml(readFileSync(vars, 'utf8'), vars) as Dict);
    const render = () => new Templates().render(join(folder, 'template.hbs'), scope).text;
    if (existsSync(join(folder, 'error.txt'))) {
      const error = t.throws(render, { instanceOf: ContentError });
      t.is(error!.describe(), readFileSync(join(folder, 'error.txt'), 'utf8').trim());
    } else {
      t.is(render(), readFileSync(join(folder, 'expected.txt'), 'utf8'));
    }
  });
}
