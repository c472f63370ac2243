import test from 'ava';
import { worst } from '../../cli/exit.js';
import { parseExtraVars } from '../../cli/vars.js';
import { Source } from '../../src/value/value.js';

test('key=value pairs are text; quotes hold words together', (t) => {
  t.deepEqual(parseExtraVars([`a=1 b="two words" c='it''s' d=x\\ y e=`]), new Map([['a', '1'], ['b', 'two words'], ['c', 'its'], ['d', 'x y'], ['e', '']]));
});

test('JSON and YAML keep their types', (t) => {
  t.deepEqual(parseExtraVars(['{"a": 1, "b": [true]}', 'c: yes']), new Map<unknown, unknown>([['a', 1], ['b', [true]], ['c', true]]) as never);
});

test('later flags win', (t) => {
  t.deepEqual(parseExtraVars(['a=1', 'a=2']), new Map([['a', '2']]));
});

test('an expression is evaluated later', (t) => {
  const value = parseExtraVars(['a={{ b | upper }}']).get('a');
  t.true(value instanceof Source);
  t.is((value as Source).text, '{{ b | upper }}');
});

test('of several exit codes the first of the documented order counts', (t) => {
  t.is(worst([0, 2, 4, 3]), 3);
  t.is(worst([2, 0]), 2);
  t.is(worst([4, 130, 1]), 130);
  t.is(worst([6, 5, 1]), 5);
  t.is(worst([]), 0);
});
