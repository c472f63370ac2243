import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { fnmatch, wildcard, type Glob } from '../../src/value/glob.js';

test('fnmatch finds what that of Python finds', (t) => {
  const [asked, ...patterns] = readFileSync('test/value/fnmatch.txt', 'utf8').split('\n').slice(1, -1).map((line) => JSON.parse(line) as unknown[]);
  t.is(patterns.length, 260);
  for (const [pattern, ...fitting] of patterns as [string, ...number[]][]) {
    const glob = fnmatch(pattern);
    t.deepEqual((asked as string[]).flatMap((text, i) => (glob.test(text) ? [i] : [])), fitting, pattern);
  }
});

/** The plain way: every star is `.*`. */
function naive(pattern: string, flags: string): RegExp {
  const source = pattern.replace(/[.+^${}()|[\]\\/-]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.');
  return new RegExp(`^(?:${source})$`, flags);
}

const signs = (...more: string[]) => fc.string({ unit: fc.constantFrom('a', 'b', '\u{1f600}', '.', '\n', ...more), maxLength: 12 });

for (const [name, glob, flags, more] of [['fnmatch', fnmatch, 'su', []], ['wildcard', wildcard, 'sui', ['A', '[', ']', 'É', 'é']]] as [string, (pattern: string) => Glob, string, string[]][]) {
  test(`${name}: stars and question marks are what a regular expression makes of them`, (t) => {
    fc.assert(fc.property(signs('*', '?', ...more), fc.array(signs(...more), { minLength: 20, maxLength: 20 }), fc.infiniteStream(fc.nat(1 << 16)), (pattern, texts, numbers) => {
      // Texts that were made to fit, too: few others do.
      const made = Array.from({ length: 20 }, () => pattern.replace(/\*/g, () => texts[numbers.next().value! % 20]!.slice(0, numbers.next().value! % 4)).replace(/\?/gu, 'b'));
      const [one, regex] = [glob(pattern), naive(pattern, flags)];
      for (const text of [...texts, ...made]) if (one.test(text) !== regex.test(text)) throw new Error(`${JSON.stringify(pattern)} and ${JSON.stringify(text)}: ${one.test(text)}`);
    }), { numRuns: 300 });
    t.pass();
  });
}

test('only fnmatch has sets, only wildcard passes over the case', (t) => {
  t.true(fnmatch('[ab]').test('a'));
  t.false(fnmatch('A*').test('ab'));
  t.true(wildcard('A*').test('aB'));
  t.true(wildcard('[ab]').test('[AB]'));
  t.false(wildcard('[ab]').test('a'));
});
