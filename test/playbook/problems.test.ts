import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { problem, raise, renderProblem, sorted, warning } from '../../src/playbook/problems.js';
import { ContentError } from '../../src/value/errors.js';

test('a problem is shown with its line and a caret under the column', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'problems-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'site.yml');
  writeFileSync(file, 'first\r\n\tapt:\tstat=x\n\n');
  t.is(renderProblem(problem('wrong', { file, line: 2, column: 7 }, 'mend it')), `${file}:2:7: wrong; mend it\n    \tapt:\tstat=x\n    \t    \t^`);
  t.is(renderProblem(warning('odd', { file, line: 1, column: 1 })), `${file}:1:1: warning: odd\n    first\n    ^`);
  t.is(renderProblem(problem('an empty line', { file, line: 3, column: 1 })), `${file}:3:1: an empty line`);
  t.is(renderProblem(problem('no file', { file: `${file}.gone`, line: 3, column: 1 })), `${file}.gone:3:1: no file`);
  t.is(renderProblem(problem('no place')), 'no place');
});

test('problems come once, by file, line and column', (t) => {
  const at = (file: string, line: number, column: number) => problem(`${file}${line}${column}`, { file, line, column });
  const list = [at('b', 1, 1), at('a', 10, 1), at('a', 9, 2), at('a', 9, 1), at('b', 1, 1)];
  t.deepEqual(sorted(list).map(({ message }) => message), ['a91', 'a92', 'a101', 'b11']);
});

test('errors are thrown all together, warnings are not', (t) => {
  const origin = { file: 'a', line: 1, column: 1 };
  t.notThrows(() => raise([warning('odd', origin)]));
  t.is((t.throws(() => raise([problem('one', origin), warning('odd', origin)])) as ContentError).describe(), 'a:1:1: one');
  const several = t.throws(() => raise([problem('two', { ...origin, line: 2 }), problem('one', origin)]), { instanceOf: AggregateError });
  t.deepEqual((several as AggregateError).errors.map((error: ContentError) => error.describe()), ['a:1:1: one', 'a:2:1: two']);
});
