import { readFileSync } from 'node:fs';
import test from 'ava';
import { compileExpression, pythonText, Record } from '../../src/expression/index.js';
import { ContentError } from '../../src/value/errors.js';
import { scopeOf } from './scope.js';

/** `expression => output`; ERROR where it is refused. */
for (const file of ['jinja', 'ansible', 'gtid']) {
  const lines = readFileSync(`test/expression/cases/${file}.txt`, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  lines.forEach((line, i) => {
    const split = line.lastIndexOf(' => ');
    const expression = line.slice(0, split);
    const wanted = line.slice(split + 4).replace(/\\(.)/g, (_, letter: string) => ({ n: '\n', t: '\t', r: '\r' })[letter] ?? letter);
    const evaluate = () => compileExpression(expression, { file: 'cases', line: 1, column: 1 }).evaluate(scopeOf(), new Record());
    test(`${file} ${i}: ${expression}`, (t) => {
      if (wanted === 'ERROR') t.throws(evaluate, { instanceOf: ContentError });
      else t.is(pythonText(evaluate()), wanted);
    });
  });
}
