import test from 'ava';
import fc from 'fast-check';
import { compileExpression, compileJinja, pythonText, Record } from '../../src/expression/index.js';
import { ContentError } from '../../src/value/errors.js';
import { toValue, type Value } from '../../src/value/value.js';
import { evaluate, scopeOf } from './scope.js';

const origin = { file: 'x.yml', line: 1, column: 1 };

/** Python's slice by its definition: walk from start by step. */
function reference(list: number[], from: number | null, to: number | null, step: number): number[] {
  const n = list.length;
  const at = (index: number) => (index < 0 ? index + n : index);
  const picked: number[] = [];
  for (let i = 0; i < n; i++) {
    const position = step > 0 ? i : n - 1 - i;
    const start = from === null ? (step > 0 ? 0 : n - 1) : step > 0 ? Math.max(0, at(from)) : Math.min(n - 1, at(from));
    const inside = step > 0 ? position >= start && (to === null || position < at(to)) : position <= start && (to === null || position > at(to) || (to < 0 && at(to) < 0));
    if (inside && (position - start) % step === 0) picked.push(list[position]!);
  }
  return picked;
}

test('slices agree with the definition', (t) => {
  const index = fc.option(fc.integer({ min: -8, max: 8 }));
  fc.assert(
    fc.property(fc.array(fc.integer(), { maxLength: 6 }), index, index, fc.integer({ min: -3, max: 3 }).filter((step) => step !== 0), (list, from, to, step) => {
      const got = evaluate(`{{ l[${from ?? ''}:${to ?? ''}:${step}] }}`, { l: list }) as number[];
      return JSON.stringify(got) === JSON.stringify(reference(list, from, to, step));
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

const fragment = fc.constantFrom('a', '1', '1.5', '"s"', '(', ')', '[', ']', '{', '}', '.', ',', ':', '|', '+', '-', '*', '**', '//', '%', '~', '==', '<', ' is ', ' not ', ' in ', ' if ', ' else ', ' and ', 'upper', '{{', '}}', '{%', '%}', '{#', '#}', ' for ', ' set ', '=', "'", '\\', '\n', 'endif', 'endfor');

test('whatever is written is either read or refused with a place inside it', (t) => {
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 25 }), (parts) => {
      const text = parts.join('');
      for (const compile of [() => compileExpression(text, origin), () => compileJinja(text, 'x.j2')]) {
        try {
          compile();
        } catch (error) {
          if (!(error instanceof ContentError)) throw error;
          const lines = text.split('\n');
          const { line, column } = error.origin!;
          if (line < 1 || line > lines.length || column < 1 || column > lines[line - 1]!.length + 1) throw new Error(`place ${line}:${column} is not inside`);
        }
      }
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test('deep nesting is refused, not a crash', (t) => {
  const chain = `{{ ${'1 + '.repeat(50_000)}1 }}`;
  t.throws(() => evaluate(chain), { instanceOf: ContentError });
  for (const text of ['('.repeat(5000), `${'['.repeat(5000)}${']'.repeat(5000)}`, `${'-'.repeat(5000)}1`, `${'not '.repeat(5000)}1`, `${'{% if a %}'.repeat(5000)}`]) {
    t.throws(() => compileJinja(text.startsWith('{%') ? text : `{{ ${text} }}`, 'x.j2'), { instanceOf: ContentError });
  }
});

test('JSON is written and read back the same', (t) => {
  fc.assert(fc.property(fc.jsonValue().filter((data) => !/e\+|\d{16}/.test(JSON.stringify(data))), (data) => JSON.stringify(evaluate('{{ v | to_json | from_json }}', { v: toValue(data) }), plain) === JSON.stringify(toValue(data), plain)));
  t.pass();
});
function plain(_key: string, value: unknown): unknown {
  return value instanceof Map ? { entries: [...value] } : Object.is(value, -0) ? 0 : value;
}

test('integer arithmetic agrees with exact integers', (t) => {
  const operand = fc.oneof(fc.integer(), fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }));
  fc.assert(
    fc.property(operand, operand, fc.constantFrom('+', '-', '*', '//', '%'), (a, b, operator) => {
      const [x, y] = [BigInt(a), BigInt(b)];
      if (y === 0n && (operator === '//' || operator === '%')) return true;
      const rest = y === 0n ? 0n : ((x % y) + y) % y;
      const wanted = { '+': x + y, '-': x - y, '*': x * y, '//': y === 0n ? 0n : (x - rest) / y, '%': rest }[operator];
      return pythonText(evaluate(`{{ a ${operator} b }}`, { a, b })) === String(wanted);
    }),
    { numRuns: 1000 },
  );
  t.pass();
});

test('text that was escaped for a regex matches itself', (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => evaluate('{{ v is match("^" ~ v | regex_escape ~ "$") }}', { v: text }) === true));
  t.pass();
});

test('lists sort as Python sorts', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (list) => {
      const got = evaluate('{{ l | sort }}', { l: list as Value[] }) as number[];
      return JSON.stringify(got) === JSON.stringify([...list].sort((a, b) => a - b));
    }),
  );
  t.pass();
});

test('a long template renders in one pass over its text', (t) => {
  const text = '{{ a }} some text {% if a %}x{% endif %}\n'.repeat(20_000);
  t.is(compileJinja(text, 'x.j2').render(scopeOf({ a: 1 }), new Record()).text.length, '1 some text x'.length * 20_000 + 1);
});
