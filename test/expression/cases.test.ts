import { readFileSync } from 'node:fs';
import test from 'ava';
import { pythonText } from '../../src/expression/index.js';
import { ContentError } from '../../src/value/errors.js';
import { evaluate } from './scope.js';

/** `expression => output`; ERROR where it is refused. */
for (const file of ['jinja', 'ansible']) {
  const lines = readFileSync(`test/expression/cases/${file}.txt`, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  lines.forEach((line, i) => {
    const split = line.lastIndexOf(' => ');
    const expression = line.slice(0, split);
    const wanted = line.slice(split + 4).replace(/\\(.)/g, (_, letter: string) => ({ n: '\n', t: '\t', r: '\r' })[letter] ?? letter);
    test(`${file} ${i}: ${expression}`, (t) => {
      if (wanted === 'ERROR') t.throws(() => evaluate(`{{ ${expression} }}`), { instanceOf: ContentError });
      else t.is(pythonText(evaluate(`{{ ${expression} }}`)), wanted);
    });
  });
}
