import test from 'ava';
import fc from 'fast-check';
import { applyPatch } from 'diff';
import { unifiedDiff } from '../../src/report/diff.js';

test('the unified diff of two texts', (t) => {
  t.is(unifiedDiff('a\nb\nc\n', 'a\nB\nc\n', '/etc/x'), '--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n');
  t.is(unifiedDiff('same', 'same', '/x'), '');
});

test('a file that comes or goes', (t) => {
  t.is(unifiedDiff(null, 'a\n', '/x'), '--- /dev/null\n+++ /x\n@@ -0,0 +1,1 @@\n+a\n');
  t.is(unifiedDiff('a\n', null, '/x'), '--- /x\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n');
});

test('a missing newline at the end is said', (t) => {
  t.regex(unifiedDiff('a\n', 'a', '/x'), /\\ No newline at end of file/);
});

test('any diff without secrets is a patch that leads from one text to the other', (t) => {
  const texts = fc.array(fc.constantFrom('a', 'b', 'c', '-', '+', '@@', ''), { maxLength: 12 }).map((lines) => lines.map((line) => `${line}\n`).join(''));
  fc.assert(
    fc.property(texts, texts, (before, after) => {
      const diff = unifiedDiff(before, after, 'x');
      return diff === '' ? before === after : applyPatch(before, diff) === after;
    }),
  );
  t.pass();
});

test('a hunk with a secret is hidden on both sides, other hunks are shown', (t) => {
  const lines = Array.from({ length: 20 }, (_, i) => `line ${i}`);
  const before = [...lines, 'password = old-secret', ...lines, 'end'].join('\n');
  const after = ['first', ...lines, 'password = new-secret', ...lines, 'END'].join('\n');
  const start = after.indexOf('new-secret');
  const diff = unifiedDiff(before, after, '/x', [[start, start + 'new-secret'.length]]);
  t.notRegex(diff, /old-secret|new-secret/);
  t.regex(diff, /\(hidden, since it holds a secret: 1 removed, 1 added\)/);
  t.regex(diff, /\+first/);
  t.regex(diff, /-end/);
});

test('an old secret is hidden though the new one stands elsewhere', (t) => {
  const filler = Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\n');
  const before = `password = old-secret\n${filler}\n`;
  const after = `${filler}\npassword = new-secret\n`;
  const start = after.indexOf('new-secret');
  t.notRegex(unifiedDiff(before, after, '/x', [[start, start + 10]]), /secret(?!:)(?<!a secret)/);
});

test('a secret of several lines hides every hunk it touches', (t) => {
  const key = 'BEGIN\nkkk1\nkkk2\nkkk3\nEND';
  const after = `a\n${key}\nb\n`;
  t.notRegex(unifiedDiff('a\nb\n', after, '/x', [[2, 2 + key.length]]), /kkk/);
});

test('binary and huge texts are summarised', (t) => {
  t.is(unifiedDiff('a\0b', 'c', '/x'), '--- /x\n+++ /x\n(binary: 3 bytes → 1 lines, 1 bytes)\n');
  const huge = Array.from({ length: 300_000 }, (_, i) => `line ${i}\n`).join('');
  t.regex(unifiedDiff(huge, `${huge}x`, '/x'), /too much differs to show: 300000 lines/);
});
