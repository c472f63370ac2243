import test from 'ava';
import { compileExpression, compileText, pythonText, Record } from '../../src/expression/index.js';
import { ContentError } from '../../src/value/errors.js';
import { Source } from '../../src/value/value.js';
import { caseLines } from './lines.js';
import { scopeOf } from './scope.js';

/** `expression => output`, or of templates `text => output`; ERROR where it is refused. test/peers/differential asks ansible-core 2.19 the same. */
const origin = { file: 'cases', line: 1, column: 1 };
caseLines().forEach(({ file, text, wanted }, i) => {
  const evaluate = () => (file === 'templates' ? compileText(new Source(text, origin)) : compileExpression(text, origin)).evaluate(scopeOf(), new Record());
  test(`${file} ${i}: ${text}`, (t) => {
    if (wanted === 'ERROR') t.throws(evaluate, { instanceOf: ContentError });
    else t.is(pythonText(evaluate()), wanted);
  });
});
