import test from 'ava';
import fc from 'fast-check';
import { parseLine, splitWords } from '../../src/playbook/arguments.js';

const parse = (text: string, keys?: string[]) => {
  const { args, rest } = parseLine(text, keys && new Set(keys));
  return { ...Object.fromEntries(args), rest };
};

test('key=value words become arguments', (t) => {
  t.deepEqual(parse('name=nginx state=present'), { name: 'nginx', state: 'present', rest: '' });
  t.deepEqual(parse(`msg="two words" other='it''s'`), { msg: 'two words', other: "it''s", rest: '' });
  t.deepEqual(parse('msg="a \\"quoted\\" word\\n"'), { msg: 'a "quoted" word\n', rest: '' });
  t.deepEqual(parse('path=/a=b empty='), { path: '/a=b', empty: '', rest: '' });
  t.deepEqual(parse("{{ 'x' + item }}={{ item }}"), { "{{ 'x' + item }}": '{{ item }}', rest: '' });
});

test('escapes are decoded whatever quotes are around them', (t) => {
  t.deepEqual(parse(String.raw`a='\b(.+)\b' b='\\b' c=x\ty d="\x41\u00e4\U0001f600" e='"\1"\d'`), { a: '\b(.+)\b', b: '\\b', c: 'x\ty', d: 'Aä😀', e: '"\\1"\\d', rest: '' });
});

test('braces hold a word together', (t) => {
  t.deepEqual(parse('src={{ dir }}/x.conf dest={{ a | default("b c") }}'), { src: '{{ dir }}/x.conf', dest: '{{ a | default("b c") }}', rest: '' });
  t.deepEqual(parse('msg="{{ x }} and {{ y }}"'), { msg: '{{ x }} and {{ y }}', rest: '' });
});

test('free text keeps what is not a known argument, as written', (t) => {
  const keys = ['chdir', 'creates'];
  t.deepEqual(parse('ls  -l "a  b" chdir=/tmp', keys), { chdir: '/tmp', rest: 'ls  -l "a  b"' });
  t.deepEqual(parse('creates=/x FOO=1 make install', keys), { creates: '/x', rest: 'FOO=1 make install' });
  t.deepEqual(parse(`echo 'chdir=/no' # chdir="/a b"`, keys), { chdir: '/a b', rest: `echo 'chdir=/no' #` });
  t.deepEqual(parse('echo one\necho two chdir=/x\n', keys), { chdir: '/x', rest: 'echo one\necho two' });
  t.deepEqual(parse('executable="/b"\ncreates=/x\necho "test"\n', [...keys, 'executable']), { executable: '/b', creates: '/x', rest: 'echo "test"\n' });
});

test('a backslash at the end of a line joins it with the next, save in quotes', (t) => {
  t.is(parse('ls \\\n  -l \\\n/tmp\n', []).rest, 'ls -l /tmp\n');
  t.is(parse('echo "a \\\n b" c\\\nd', []).rest, 'echo "a \\\n b" c\\\nd');
});

test('words and the space between them are the whole text', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '=', ' ', '\n', '"', "'", '\\', '{{', '}}', '{%', '%}') }), (text) => {
      let at = 0;
      for (const word of splitWords(text)) {
        if (!/^\s*$/.test(text.slice(at, word.start)) || text.slice(word.start, word.end) !== word.text || word.text === '') return false;
        at = word.end;
      }
      return /^\s*$/.test(text.slice(at));
    }),
  );
  t.pass();
});
