import test from 'ava';
import { ContentError } from '../../src/value/errors.js';
import { Float, Source, toPlain, type Dict, type Value } from '../../src/value/value.js';
import { containerOrigin, keyOrigin, originOf, parseAllData, parseData, parseYaml, placeIn } from '../../src/yaml/index.js';

const scalars: [string, Value][] = [
  ['0644', 420], ['0o644', '0o644'], ['0888', '0888'], ['08', '08'], ['0x1F', 31], ['0b101', 5], ['1_000', 1000], ['-12', -12], ['+7', 7], ['0', 0],
  ['9007199254740993', 9007199254740993n], ['-9007199254740993', -9007199254740993n],
  ['1:30', 90], ['190:20:30', 685230], ['1:30.5', 90.5], ['22:22', 1342], ['08:30', '08:30'],
  ['yes', true], ['No', false], ['ON', true], ['off', false], ['y', 'y'], ['n', 'n'], ['Y', 'Y'], ['tRue', 'tRue'], ['true', true], ['False', false],
  ['8.0', new Float(8)], ['8.5', 8.5], ['1e3', '1e3'], ['1.0e+3', new Float(1000)], ['.5', 0.5], ['1.', new Float(1)], ['.inf', Infinity], ['-.INF', -Infinity],
  ['1.2.3', '1.2.3'], ['10.0.0.1', '10.0.0.1'], ['', null], ['~', null], ['null', null], ['NULL', null], ['nUll', 'nUll'],
  ['2024-01-31', '2024-01-31'], ['2024-01-31 10:00:00', '2024-01-31 10:00:00'],
  ['"0644"', '0644'], ["'yes'", 'yes'], ['!!str 0644', '0644'], ['!!int "12"', 12], ['!!float 3', new Float(3)], ['!!bool "yes"', true], ['!!null ""', null], ['!!binary aMOkIQ==', 'hä!'], ['!!binary "aMOk IQ=="', 'hä!'],
  ['=', '='], ['hello world', 'hello world'], ['a:b', 'a:b'], ['"a\\tb\\u00e9"', 'a\tbé'], ["'it''s'", "it's"],
];
for (const [text, wanted] of scalars) {
  test(`scalar ${text || '(empty)'}`, (t) => t.deepEqual((parseYaml(`v: ${text}\n`, 'f.yml') as Dict).get('v'), wanted));
}

test('NaN', (t) => t.true(Number.isNaN(((parseYaml('[.nan]', 'f.yml') as Value[])[0] as Float).value ?? NaN)));
test('an empty text is null', (t) => t.is(parseYaml('', 'f.yml'), null));
test('a comment alone is null', (t) => t.is(parseYaml('# nothing\n', 'f.yml'), null));
test('lines of a flow collection begin where they like', (t) => {
  const dict = parseYaml('a:\n  b: {\n    c: 1,\n\nd: [\n2, "x"\n]\n}\ne: 3\n', 'f.yml') as Dict;
  t.deepEqual(toPlain(dict, false), { a: { b: { c: 1, d: [2, 'x'] } }, e: 3 });
  t.like(keyOrigin((dict.get('a') as Dict).get('b') as Dict, 'd'), { line: 5, column: 1 });
  t.like(keyOrigin(dict, 'e'), { line: 9, column: 1 });
  t.throws(() => parseYaml('a: {\nb: 1\nc: [}\n', 'f.yml'), { instanceOf: ContentError, message: /YAML/ });
  const commented = parseYaml('a: { # why\n# "b": 1\n"c # d": 2, # and\n\n# so\n}\ne: 3\n', 'f.yml') as Dict;
  t.deepEqual(toPlain(commented, false), { a: { 'c # d': 2 }, e: 3 });
  t.like(keyOrigin(commented, 'e'), { line: 7, column: 1 });
});

test('a document marker', (t) => t.is(parseYaml('---\n5\n', 'f.yml'), 5));

test('dicts keep order and key types', (t) => {
  const dict = parseYaml('z: 1\na: 2\n8: x\ntrue: y\n~: n\n', 'f.yml') as Dict;
  t.deepEqual([...dict.keys()], ['z', 'a', 8, true, null]);
});

test('merge keys come first and give way', (t) => {
  const dict = parseYaml('base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nall:\n  y: 9\n  <<: [*b, *m]\n', 'f.yml') as Dict;
  t.deepEqual([...(dict.get('all') as Dict)], [['x', 1], ['y', 9], ['z', 4]]);
  t.like(originOf(dict.get('all') as Dict, 'x'), { line: 1, column: 14 });
  t.like(originOf(dict.get('all') as Dict, 'y'), { line: 4, column: 6 });
});

test('aliases share the value', (t) => {
  const dict = parseYaml('a: &l [1]\nb: *l\n', 'f.yml') as Dict;
  t.is(dict.get('a'), dict.get('b'));
});

test('templated text becomes a Source with its place', (t) => {
  const dict = parseYaml('plain: a {{ x }}\nquoted: "{{ y }}"\nblock: |\n  one\n  {{ z }}\nlist:\n  - {k: "{% if x %}a{% endif %}"}\nnone: "{ x }"\n', 'f.yml') as Dict;
  const plain = dict.get('plain') as Source;
  t.true(plain instanceof Source);
  t.deepEqual(plain.origin, { file: 'f.yml', line: 1, column: 8 });
  t.deepEqual((dict.get('quoted') as Source).origin, { file: 'f.yml', line: 2, column: 10 });
  t.deepEqual((dict.get('block') as Source).origin, { file: 'f.yml', line: 4, column: 3 });
  t.true(((dict.get('list') as Dict[])[0]!.get('k')) instanceof Source);
  t.is(dict.get('none'), '{ x }');
});

test('keys are never Sources', (t) => t.deepEqual([...(parseYaml('"{{ k }}": 1', 'f.yml') as Dict).keys()], ['{{ k }}']));
test('data is never a Source', (t) => t.is(parseData('"{{ x }}"'), '{{ x }}'));
test('several documents of data', (t) => t.deepEqual(parseAllData('--- 1\n--- [2]\n'), [1, [2]]));
test('!unsafe is plain text, also inside', (t) => {
  t.is((parseYaml('a: !unsafe "{{ x }}"', 'f.yml') as Dict).get('a'), '{{ x }}');
  t.deepEqual((parseYaml('a: !unsafe ["{{ x }}", {b: "{{ y }}"}]', 'f.yml') as Dict).get('a'), ['{{ x }}', new Map([['b', '{{ y }}']])]);
});

test('places of keys, values and containers', (t) => {
  const dict = parseYaml('- name: x\n  apt:\n    name: [a, bc]\n  when:\n', 'f.yml') as Dict[];
  const task = dict[0]!;
  t.deepEqual(containerOrigin(dict), { file: 'f.yml', line: 1, column: 1 });
  t.deepEqual(containerOrigin(task), { file: 'f.yml', line: 1, column: 3 });
  t.deepEqual(keyOrigin(task, 'apt'), { file: 'f.yml', line: 2, column: 3 });
  t.deepEqual(originOf((task.get('apt') as Dict).get('name') as Value[], 1), { file: 'f.yml', line: 3, column: 15 });
  t.deepEqual(originOf(task, 'when'), { file: 'f.yml', line: 4, column: 3 });
  t.is(originOf(task, 'absent'), undefined);
  t.is(originOf(new Map(), 'x'), undefined);
});

const placed: [string, string, number, number][] = [
  ['plain', 'v: ab {{ HERE }}', 1, 10],
  ['single quotes', "v: 'it''s {{ HERE }}'", 1, 14],
  ['double quotes', 'v: "a\\t\\u00e9\\"{{ HERE }}"', 1, 19],
  ['literal', 'v: |\n   a\n   {{ HERE }}', 3, 7],
  ['literal with a blank first line', 'v: |2\n\n  {{ HERE }}', 3, 6],
  ['folded', 'v: >-\n  aa\n  bb\n\n  cc {{ HERE }}', 5, 9],
  ['plain over lines', 'v: aa\n  bb\n  {{ HERE }}', 3, 6],
  ['double quotes over lines', 'v: "aa\n  bb \\\n   {{ HERE }}"', 3, 7],
];
for (const [name, text, line, column] of placed) {
  test(`place in a text: ${name}`, (t) => {
    const source = (parseYaml(text, 'f.yml') as Dict).get('v') as Source;
    t.like(placeIn(source, source.text.indexOf('HERE')), { line, column });
  });
}

const wrong: [string, string, RegExp, RegExp?][] = [
  ['a: 1\nb: 2\na: 3\n', '3:1', /found a duplicate dict key \(a\)/, /line 1, column 1/],
  ['a: {{ x }}\n', '1:4', /must be quoted/, /"{{ x }}"/],
  ['a: 1\n---\nb: 2\n', '3:1', /several YAML documents/],
  ['a: [1\nb: 2\n', '2:1', /YAML/],
  ['a: !vault |\n  $ANSIBLE_VAULT\n', '1:4', /vault/],
  ['a: !frob x\n', '1:4', /unknown YAML tag "!frob"/],
  ['a: !!binary x(y\n', '1:13', /"x\(y" is no binary/],
  ['a: !!int x\n', '1:10', /"x" is no int/],
  ['a: *nope\n', '1:4', /no anchor &nope/],
  ['a: &a [*a]\n', '1:8', /inside its own anchor/],
  ['? [1]\n: 2\n', '1:3', /cannot be a key/],
  ['a:\n\t- b\n', '2:1', /YAML/, /spaces, not tabs/],
  ['a: b: c\n', '1:5', /YAML/, /quote a value/],
  [`${'['.repeat(250)}${']'.repeat(250)}`, '1:200', /maxDepth/, /at most 200 deep/],
];
for (const [text, place, message, hint] of wrong) {
  test(`refused: ${text.slice(0, 30)}`, (t) => {
    const error = t.throws(() => parseYaml(text, 'f.yml'), { instanceOf: ContentError })!;
    t.regex(error.message, message);
    t.is(`${error.origin?.line}:${error.origin?.column}`, place);
    t.truthy(error.hint);
    if (hint) t.regex(error.hint!, hint);
  });
}

test('alias bombs are refused', (t) => {
  const lines = ['l0: &l0 [a, a, a, a, a, a, a, a, a, a]'];
  for (let i = 1; i < 9; i++) lines.push(`l${i}: &l${i} [${Array(10).fill(`*l${i - 1}`).join(', ')}]`);
  t.throws(() => parseYaml(lines.join('\n'), 'f.yml'), { message: /aliases expand/ });
});

test('an inventory of 10,000 hosts keeps every host', (t) => {
  const text = `all:\n  hosts:\n${Array.from({ length: 10_000 }, (_, i) => `    h${i}: {ansible_host: 10.0.0.1, n: ${i}}`).join('\n')}\n`;
  const hosts = ((parseYaml(text, 'f.yml') as Dict).get('all') as Dict).get('hosts') as Dict;
  t.is(hosts.size, 10_000);
  t.like(originOf(hosts.get('h9999') as Dict, 'n'), { line: 10_002 });
  t.deepEqual(toPlain(hosts.get('h7')!, true), { ansible_host: '10.0.0.1', n: 7 });
});
