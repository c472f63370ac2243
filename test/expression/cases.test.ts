import { readFileSync } from 'node:fs';
import test from 'ava';
import { compileExpression, compileText, pythonText, Record } from '../../src/expression/index.js';
import { ContentError } from '../../src/value/errors.js';
import { Source } from '../../src/value/value.js';
import { scopeOf } from './scope.js';

/** `expression => output`, or of templates `text => output`; ERROR where it is refused. What stands there is what ansible-core 2.19 gives. */
for (const file of ['jinja', 'ansible', 'dates', 'gtid', 'ip', 'builtin', 'collections', 'python', 'undefined', 'templates']) {
  const lines = readFileSync(`test/expression/cases/${file}.txt`, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  lines.forEach((line, i) => {
    const split = line.lastIndexOf(' => ');
    const expression = line.slice(0, split);
    const unescaped = (text: string) => text.replace(/\\(.)/g, (_, letter: string) => ({ n: '\n', t: '\t', r: '\r' })[letter] ?? letter);
    const wanted = unescaped(line.slice(split + 4));
    const origin = { file: 'cases', line: 1, column: 1 };
    const evaluate = () => (file === 'templates' ? compileText(new Source(unescaped(expression), origin)) : compileExpression(expression, origin)).evaluate(scopeOf(), new Record());
    test(`${file} ${i}: ${expression}`, (t) => {
      if (wanted === 'ERROR') t.throws(evaluate, { instanceOf: ContentError });
      else t.is(pythonText(evaluate()), wanted);
    });
  });
}
