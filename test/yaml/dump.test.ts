import test from 'ava';
import fc from 'fast-check';
import { Float, toValue, type Value } from '../../src/value/value.js';
import { dumpYaml, parseData, type DumpOptions } from '../../src/yaml/index.js';

const nice: DumpOptions = { indent: 4, flow: 'none' };
/** Expected texts are what PyYAML 6 writes. */
const cases: [string, unknown, DumpOptions, string][] = [
  ['a scalar', 'a', {}, 'a\n'],
  ['an int', 5, {}, '5\n'],
  ['null', null, {}, 'null\n'],
  ['quoted scalar', 'yes', {}, "'yes'\n"],
  ['a leaf dict', { b: 1, a: 'x' }, {}, '{a: x, b: 1}\n'],
  ['leaves inline', { l: [1, 2], d: { k: 'v' } }, {}, 'd: {k: v}\nl: [1, 2]\n'],
  ['nice', { l: [1, { a: 1, b: [2] }], d: { k: 'v' } }, nice, 'd:\n    k: v\nl:\n- 1\n-   a: 1\n    b:\n    - 2\n'],
  ['nested lists', [[1, 2], [3]], nice, '-   - 1\n    - 2\n-   - 3\n'],
  ['list at the root', ['a', 'b'], nice, '- a\n- b\n'],
  ['empty', { a: [], b: {}, c: '' }, nice, "a: []\nb: {}\nc: ''\n"],
  ['special strings', ['1', '1.0', 'null', 'true', '~', '2024-01-01', '0644', 'a: b', '- a', '#x', 'a #b', '{{ x }}', "it's", '@x', 'x:', '=', '1:30'], nice,
    "- '1'\n- '1.0'\n- 'null'\n- 'true'\n- '~'\n- '2024-01-01'\n- '0644'\n- 'a: b'\n- '- a'\n- '#x'\n- 'a #b'\n- '{{ x }}'\n- it's\n- '@x'\n- 'x:'\n- '='\n- '1:30'\n"],
  ['line breaks', { a: 'x\ny\n' }, nice, "a: 'x\n\n    y\n\n    '\n"],
  ['escapes', { a: 'tab\there', b: '\x1b[0m' }, nice, 'a: "tab\\there"\nb: "\\e[0m"\n'],
  ['floats', [8.5, new Float(8), new Float(1e300), new Float(1e20), 1.5e-7, 0.0001], nice, '- 8.5\n- 8.0\n- 1.0e+300\n- 1.0e+20\n- 1.5e-07\n- 0.0001\n'],
  ['unicode', ['é', '日本'], nice, '- é\n- 日本\n'],
  ['unsorted', { b: 1, a: 2 }, { ...nice, sortKeys: false }, 'b: 1\na: 2\n'],
  ['folding', { a: `${'word '.repeat(18)}end` }, nice, `a: ${'word '.repeat(16).trimEnd()}\n    word word end\n`],
];
for (const [name, value, options, wanted] of cases) test(`dump: ${name}`, (t) => t.is(dumpYaml(toValue(value), options), wanted));

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[ -~\n]{0,200}$/), fc.constantFrom('yes', '- x', 'a: b', ' x', 'x ', '\n', ' \n ', '0644', '1:30', '---', '...', '? a', '!x', '&x', '*x', '%', '"', "'", '{', '|', '>'));
const scalar = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.double({ noNaN: true }).filter((n) => !Number.isInteger(n)));
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small' }, scalar, fc.array(tie('tree')), fc.dictionary(text, tie('tree'))),
}));
for (const options of [{}, nice, { flow: 'all' as const }, { indent: 2, flow: 'none' as const, width: 20 }]) {
  test(`what is dumped reads back the same: ${JSON.stringify(options)}`, (t) => {
    fc.assert(fc.property(tree, (data) => {
      const value: Value = toValue(data);
      return JSON.stringify(sorted(parseData(dumpYaml(value, options)))) === JSON.stringify(sorted(value));
    }), { numRuns: 300 });
    t.pass();
  });
}

function sorted(value: Value): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value instanceof Map) return [...value].map(([k, v]) => [k, sorted(v)]).sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
  return value;
}
