import test from 'ava';
import { compileExpression, compileJinja, compileText, evaluateDeep, filter, filterNames, lookupList, OMIT, Record } from '../../src/expression/index.js';
import { ContentError, NotAheadError, UndefinedError, UnknownError } from '../../src/value/errors.js';
import { Float, Secret, Source, toValue, Unknown, type Dict, type Value } from '../../src/value/value.js';
import { parseYaml } from '../../src/yaml/index.js';
import { evaluate, scopeOf, sourceOf } from './scope.js';

const vars = { one: 1, text: 'abc', list: toValue([1, 2, 3]), host: toValue({ name: 'web1', ports: [80, 443], items: 'key' }), secret: new Secret('s3cret'), later: new Unknown('make is not run in a plan') };

test('a lone expression keeps its type', (t) => {
  t.is(evaluate('{{ one }}', vars), 1);
  t.deepEqual(evaluate('{{ 4 / 2 }}'), new Float(2));
  t.deepEqual(evaluate('{{ list }}', vars), [1, 2, 3]);
  t.is(evaluate('{{ one }}{{ one }}', vars), '11');
  t.is(evaluate(' {{ one }}', vars), ' 1');
  t.is(evaluate('{{ one }}\n', vars), 1, 'the line break of a block scalar does not make it a text');
  t.is(evaluate('{{ text }}\n', vars), 'abc\n');
  t.is(evaluate('{{ lines }}\n', { lines: 'a\n' }), 'a\n', 'and comes once');
  t.is(evaluate('{{ one }}\n\n', vars), '1\n\n');
});

test('what comes to one value keeps its type, whatever statements stand around it', (t) => {
  t.deepEqual(evaluate('{% if one == 1 %}{{ list }}{% else %}{{ text }}{% endif %}', vars), [1, 2, 3]);
  t.is(evaluate('{% set x = 3 %}{{ x }}'), 3);
  t.is(evaluate('{% for i in [5] %}{{ i }}{% endfor %}'), 5);
  t.is(evaluate('{% if one == 1 %} {{ list }}{% endif %}', vars), ' [1, 2, 3]');
  t.is(evaluate('{% if one == 2 %}x{% endif %}', vars), null);
  t.deepEqual(evaluate('{% if one == 1 %}{{ secret }}{% endif %}', vars), new Secret('s3cret'));
});

test('none writes nothing into a text', (t) => {
  t.is(evaluate('{{ none }}x'), 'x');
  t.deepEqual(evaluate('{{ none }}{{ list }}', vars), [1, 2, 3]);
  t.is(evaluate("{{ 'a' ~ none }} {{ [none] }}"), 'aNone [None]');
  t.is(compileJinja('a{{ none }}b', 'x.j2').evaluate(scopeOf(), new Record()), 'ab');
});

test('a template changes its own copy of a variable in place', (t) => {
  const scope = { list: toValue([1]), host: toValue({ ports: [80] }) };
  t.deepEqual(evaluate('{{ list.append(2) }}{{ list }}', scope), [1, 2]);
  t.is(evaluate('{% set _ = host.ports.append(443) %}{% set _ = host.update({"a": 1}) %}{{ host }} ', scope), "{'ports': [80, 443], 'a': 1} ");
  t.deepEqual(evaluate('{{ [list, host] }}', scope), [[1], new Map([['ports', [80]]])] as Value);
});

test('attributes look for methods first, subscripts for keys', (t) => {
  t.is(evaluate("{{ host['items'] }}", vars), 'key');
  t.deepEqual(evaluate('{{ host.items() | first }}', vars), ['name', 'web1']);
  t.is(evaluate('{{ host.ports.1 }}', vars), 443);
});

test('in YAML the escapes are YAML\'s own; in a block, an expression or a template they are Python\'s', (t) => {
  t.is(evaluate(String.raw`{{ 'foo bar' | regex_replace('\b(\w+) (\w+)', '\2 \1') }}`), 'bar foo');
  t.is(evaluate(String.raw`{{ 'a\nb' }}`), String.raw`a\nb`);
  t.is(evaluate(String.raw`{% set x = 'a\nb' %}{{ x }}`), 'a\nb');
  const origin = { file: 'site.yml', line: 1, column: 1 };
  t.is(compileExpression(String.raw`'a\nb'`, origin).evaluate(scopeOf(), new Record()), 'a\nb');
  t.is(compileJinja(String.raw`{{ 'a\nb' }}`, 'x.j2').evaluate(scopeOf(), new Record()), 'a\nb');
});

test('what map does not find can still be chosen by', (t) => {
  const hosts = { hosts: toValue([{ port: 1 }, {}, { port: 3 }]) };
  t.deepEqual(evaluate("{{ hosts | map(attribute='port') | select('defined') | list }}", hosts), [1, 3]);
  t.deepEqual(evaluate("{{ hosts | map(attribute='port') | map('default', 2) }}", hosts), [1, 2, 3]);
  for (const rest of ['', ' | list', ' | sum', " | join(',')", ' | to_json', ' | sort', ' | unique']) {
    t.throws(() => evaluate(`{{ hosts | map(attribute='port')${rest} }}`, hosts), { instanceOf: UndefinedError }, rest);
  }
  t.throws(() => evaluate("{{ hosts | selectattr('port') }}", hosts), { instanceOf: UndefinedError });
});

test('an if without else is blank within a text, and no value by itself', (t) => {
  t.is(evaluate("a{{ 'b' if one == 2 }}c", vars), 'ac');
  t.is(evaluate("{{ 'a' ~ ('b' if one == 2) }}", vars), 'a');
  t.is(compileJinja("{{ 'b' if false }}", 'x.j2').evaluate(scopeOf(), new Record()), '');
  t.throws(() => evaluate("{{ 'b' if one == 2 }}", vars), { instanceOf: UndefinedError });
});

test('the pairs of groupby have names', (t) => {
  const list = toValue([{ k: 'b', v: 1 }, { k: 'a', v: 2 }, { k: 'b', v: 3 }]);
  t.is(evaluate("{% for g in list | groupby('k') %}{{ g.grouper }}={{ g.list | map(attribute='v') | join('+') }};{% endfor %}", { list }), 'a=2;b=1+3;');
  t.is(evaluate("{% for k, members in list | groupby('k') %}{{ k }}{{ members | length }}{% endfor %}", { list }), 'a1b2');
});

test('bool knows the words of Ansible', (t) => {
  t.deepEqual(evaluate("{{ ['y', 'Yes', 'on', '1', 1, true, 't', '2', 2, 'no'] | map('bool') }}"), [false, true, true, true, true, true, false, false, false, false]);
});

test('data is never evaluated again', (t) => t.is(evaluate('{{ raw }}', { raw: '{{ 1 + 1 }}' }), '{{ 1 + 1 }}'));

const refused: [string, string, RegExp, RegExp?][] = [
  ['{{ hots }}', '3:10', /"hots" is undefined/, /did you mean "host"/],
  ['{{ host.nam }}', '3:15', /no "nam"/, /did you mean "name"/],
  ['{{ host.a.b.c }}', '3:15', /no "a"/],
  ['{{ one + text }}', '3:14', /unsupported|concatenate/],
  ['{{ text | uper }}', '3:17', /unknown filter "uper"/, /"upper"/],
  ['{{ text is strng }}', '3:18', /unknown test "strng"/, /"string"/],
  ["{{ lookup('fil', 'x') }}", '3:17', /unknown lookup "fil"/, /"file"/],
  ['{{ list | map("uper") }}', '3:21', /unknown filter "uper"/],
  ['{{ text | replace("a") }}', '3:17', /needs "new"/, /takes s, old, new/],
  ['{{ text | join(sep=",") }}', '3:17', /no argument "sep"/],
  ['{{ one + }}', '3:16', /"}}" stands where a value is expected/],
  ['{{ (one }}', '3:15', /is expected/],
  ['{{ one', '3:7', /not closed/],
  ['{{ "abc }}', '3:10', /string is not closed/],
  ['{{ a && b }}', '3:12', /unexpected character "&"/, /and/],
  ['{% if one %}x', '3:20', /endif/],
  ['{% endif %}', '3:10', /closes nothing/],
  ['{% trans %}', '3:10', /not supported/],
  ['{{#if one}}x{{/if}}', '3:9', /Handlebars/],
  ['{{ one = 2 }}', '3:14', /"="/, /"=="/],
  ['{{ text.nope() }}', '3:15', /no attribute "nope"/],
  ['{{ one() }}', '3:13', /not callable/],
  ['{{ [] | first }}', '3:15', /empty list/],
  ["{{ 'x' | regex_replace('(?>a)', '') }}", '3:16', /atomic group/],
  ['{{ 1 / 0 }}', '3:12', /division by zero/],
  ['a {{ omit }} b', '3:9', /omit/],
];
for (const [text, place, message, hint] of refused) {
  test(`refused with its place: ${text}`, (t) => {
    const error = t.throws(() => evaluate(text, vars), { instanceOf: ContentError })!;
    t.regex(error.message, message);
    t.is(`${error.origin?.line}:${error.origin?.column}`, place);
    if (hint) t.regex(error.hint ?? '', hint);
  });
}

test('places inside folded YAML are exact', (t) => {
  const dict = parseYaml('v: >-\n  some text\n  and {{ one }}\n  {{ missing }}\n', 'site.yml') as Dict;
  const error = t.throws(() => compileText(dict.get('v') as Source).evaluate(scopeOf(vars), new Record()), { instanceOf: UndefinedError })!;
  t.deepEqual(error.origin, { file: 'site.yml', line: 4, column: 6 });
});

test('bare expressions', (t) => {
  const origin = { file: 'site.yml', line: 5, column: 9 };
  const compiled = compileExpression('one == 1 and host.name is defined', origin);
  t.true(compiled.evaluate(scopeOf(vars), new Record()));
  t.deepEqual([...compiled.mentions], ['one', 'host']);
  t.like(t.throws(() => compileExpression('one ==', origin), { instanceOf: ContentError })!.origin, { line: 5, column: 15 });
  t.regex(t.throws(() => compileExpression('{{ one }}', origin))!.message, /without braces/);
  t.regex(t.throws(() => compileExpression('', origin))!.message, /empty/);
});

test('short circuits and defaults do not touch what is undefined', (t) => {
  t.false(evaluate('{{ false and nope }}'));
  t.true(evaluate('{{ true or nope }}'));
  t.is(evaluate("{{ nope.deep['er'] | default('d') }}"), 'd');
  t.false(evaluate('{{ nope is defined and nope.x }}'));
  t.is(evaluate("{{ '' | default('d', true) }}"), 'd');
  t.throws(() => evaluate('{{ nope == 1 }}'), { instanceOf: UndefinedError });
  t.throws(() => evaluate('{{ [nope] }}'), { instanceOf: UndefinedError });
  t.throws(() => evaluate('{{ nope | upper }}'), { instanceOf: UndefinedError });
});

function read(text: string): { value: Value; secret: boolean } {
  const record = new Record();
  return { value: evaluate(text, vars, {}, record), secret: record.secret };
}

for (const text of ['{{ secret }}', 'x{{ secret }}', '{{ secret ~ "x" }}', '{{ secret | upper }}', '{{ secret[0] }}', '{{ secret[1:] }}', '{{ secret.upper() }}', '{{ "%s" % secret }}', '{{ "{}".format(secret) }}', '{{ [secret] | join }}', '{{ secret | b64encode }}', '{{ {"a": secret} | to_json }}', '{{ secret | password_hash("sha512", "salt") }}', '{% set x = secret %}{{ x }}', '{{ secret if one == 1 else 2 }}', '{{ [secret] | map("upper") | first }}', '{{ secret | regex_search(".*") }}']) {
  test(`stays secret: ${text}`, (t) => {
    const { value, secret } = read(text);
    t.true(value instanceof Secret);
    t.true(secret);
  });
}
for (const [text, wanted] of [['{{ secret == "s3cret" }}', true], ['{{ secret is match("s") }}', true], ['{{ "a" if secret == "x" else "b" }}', 'b'], ['{{ secret is defined }}', true], ['{{ "3" in secret }}', true], ['{% if secret %}yes{% endif %}', 'yes']] as [string, Value][]) {
  test(`tells nothing: ${text}`, (t) => t.deepEqual(read(text), { value: wanted, secret: false }));
}
test('members keep their own boxes', (t) => {
  const { value, secret } = read('{{ {"a": secret, "b": 1} | combine({"c": 2}) }}');
  t.true((value as Dict).get('a') instanceof Secret);
  t.is((value as Dict).get('b'), 1);
  t.true(secret);
});

test('unknown values make their reader unknown', (t) => {
  for (const text of ['{{ later }}', '{{ later.rc == 0 }}', 'x {{ later }}', '{{ later | upper }}', '{{ later ~ "" }}', '{{ later is changed }}', '{{ later == 1 }}', '{{ later | default("x") }}']) t.throws(() => evaluate(text, vars), { instanceOf: UnknownError, message: 'make is not run in a plan' }, text);
  t.true(evaluate('{{ later is defined }}', vars));
  t.is(evaluate('{{ "a" if one == 1 else later }}', vars), 'a');
});

test('what acts or is random is not evaluated ahead', (t) => {
  for (const text of ['{{ lookup("pipe", "true") }}', '{{ now() }}', '{{ 5 | random }}', '{{ [1] | shuffle }}', '{{ "x" | password_hash }}', '{{ lookup("password", "/no/such") }}', '{{ "%Y" | strftime }}']) t.throws(() => evaluate(text, {}, { ahead: true }), { instanceOf: NotAheadError }, text);
  t.is(typeof evaluate('{{ 5 | random(seed="x") }}', {}, { ahead: true }), 'number');
});

test('evaluateDeep drops members that are omitted', (t) => {
  const value = parseYaml('a: "{{ one }}"\nb: "{{ nope | default(omit) }}"\nc: [x, "{{ omit }}", {d: "{{ text }}"}]\n', 'f.yml');
  t.deepEqual(evaluateDeep(value, scopeOf(vars), new Record()), toValue({ a: 1, c: ['x', { d: 'abc' }] }));
  t.is(evaluate('{{ nope | default(omit) }}'), OMIT);
  const plain = parseYaml('a: [1]', 'f.yml');
  t.is(evaluateDeep(plain, scopeOf(), new Record()), plain);
});

const templates: [string, string][] = [
  ['{% for i in list %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}', '1, 2, 3'],
  ['{% for i in [] %}x{% else %}none{% endfor %}', 'none'],
  ['{% for k, v in {"a": 1, "b": 2}.items() %}{{ k }}={{ v }};{% endfor %}', 'a=1;b=2;'],
  ['{% for i in list if i > 1 %}{{ loop.index }}/{{ loop.length }} {% endfor %}', '1/2 2/2 '],
  ['{% for i in list %}{{ loop.cycle("a", "b") }}{{ loop.revindex }}{{ loop.first }}{% endfor %}', 'a3Trueb2Falsea1False'],
  ['{% for a in [1, 2] %}{% for b in [1, 2] %}{{ loop.index0 }}{% endfor %}{{ loop.index }}{% endfor %}', '011012'],
  ['{% if one == 2 %}a{% elif one == 1 %}b{% else %}c{% endif %}', 'b'],
  ['a\n{% if true %}\nb\n{% endif %}\nc\n', 'a\nb\nc\n'],
  ['a  {%- if true -%}  b  {%- endif -%}  c', 'abc'],
  ['{{ 1 -}}  x  {{- 2 }}', '1x2'],
  ['{# note #}a{#- trimmed -#} b', 'ab'],
  ['{% raw %}{{ x }}{% endraw %}', '{{ x }}'],
  ['a{% raw %}\nb\n{% endraw %}\nc', 'a\nb\nc'],
  ['a {%- raw -%} b {%- endraw -%} c', 'abc'],
  ['a\n{%+ if true %}b{% endif +%}\nc', 'a\nb\nc'],
  ['{% set x = 1 %}{% for i in list %}{% set x = i %}{% endfor %}{{ x }}', '1'],
  ['{% set n = namespace(x=0) %}{% for i in list %}{% set n.x = n.x + i %}{% endfor %}{{ n.x }}', '6'],
  ['{% set x %}a{{ one }}{% endset %}{{ x }}{{ x }}', 'a1a1'],
  ['{% set a, b = 1, 2 %}{{ b }}{{ a }}', '21'],
  ['{% macro m(a, b=2) %}[{{ a }},{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}{{ m(b=4, a=5) }}', '[1,2][1,3][5,4]'],
  ['{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{% endcall %}', '<x>'],
  ['{% filter upper %}a{{ text }}{% endfilter %}', 'AABC'],
  ['{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}', '3'],
  ['{% for i in list %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}', '1'],
  ['{% set l = [] %}{% for i in list %}{% set _ = l.append(i * 2) %}{% endfor %}{{ l }}', '[2, 4, 6]'],
  ['{% for n in [{"v": 1, "c": [{"v": 2, "c": []}]}] recursive %}{{ n.v }}{{ loop(n.c) }}{% endfor %}', '12'],
  ['{% do list %}x', 'x'],
  ['{{ {"a": {"b": {"c": 1}}}.a.b.c }} }}', '1 }}'],
  ["{{ '}}' }}{{ '%}' }}", '}}%}'],
];
for (const [text, wanted] of templates) test(`template: ${text}`, (t) => t.is(compileJinja(text, 'x.j2').render(scopeOf({ ...vars, list: [1, 2, 3] }), new Record()).text, wanted));

test('templates keep the ranges of secrets', (t) => {
  const record = new Record();
  const { text, secrets } = compileJinja('a={{ one }}\nb={{ secret }}\n', 'x.j2').render(scopeOf(vars), record);
  t.is(text, 'a=1\nb=s3cret\n');
  t.deepEqual(secrets, [[6, 12]]);
  t.true(record.secret);
});

test('errors of templates name file, line and column', (t) => {
  const error = t.throws(() => compileJinja('a\nb {{ nope }}\n', 'x.j2').render(scopeOf(), new Record()), { instanceOf: UndefinedError })!;
  t.deepEqual(error.origin, { file: 'x.j2', line: 2, column: 6 });
  t.deepEqual(t.throws(() => compileJinja('a\n\n{% if %}\n', 'x.j2'), { instanceOf: ContentError })!.origin, { file: 'x.j2', line: 3, column: 7 });
});

test('what a text mentions', (t) => {
  t.deepEqual([...compileJinja('{% for i in hosts %}{{ i.x }}{{ port }}{% endfor %}{% set y = z %}{{ y }}', 'x.j2').mentions].sort(), ['hosts', 'port', 'z']);
});

test('filters are functions for others', (t) => {
  t.true(filterNames().includes('regex_replace'));
  t.is(filter('join')!([['a', 'b'], '-'], new Map(), { scope: scopeOf(), record: new Record() }), 'a-b');
  t.true(filter('upper')!([new Secret('x')], new Map(), { scope: scopeOf(), record: new Record() }) instanceof Secret);
  t.throws(() => filter('upper')!([], new Map(), { scope: scopeOf(), record: new Record() }), { instanceOf: ContentError });
  t.is(filter('nope'), undefined);
});

test('loops by lookup', (t) => t.deepEqual(lookupList('sequence', ['count=2'], new Map(), { scope: scopeOf(), record: new Record() }), ['1', '2']));

test('a text is compiled once', (t) => {
  const source = sourceOf('{{ one }}');
  t.is(compileText(source), compileText(source));
});

test('a variable that reads something undefined is undefined itself', (t) => {
  const scope = scopeOf(vars);
  const lazy = { ...scope, get: (name: string, record: Record) => (name === 'lazy' ? compileText(sourceOf('{{ gone }}', 9)).evaluate(scope, record) : scope.get(name, record)) };
  const run = (text: string) => compileText(sourceOf(text)).evaluate(lazy, new Record());
  t.is(run("{{ lazy | default('d') }}"), 'd');
  t.false(run('{{ lazy is defined }}'));
  t.like(t.throws(() => run('{{ lazy }}'), { instanceOf: UndefinedError })!.origin, { line: 9 });
});

test('a secret that is only compared inside a variable does not mark the reader', (t) => {
  const scope = scopeOf(vars);
  const lazy = { ...scope, get: (name: string, record: Record) => (name === 'lazy' ? compileText(sourceOf('x{{ secret }}')).evaluate(scope, record) : scope.get(name, record)) };
  const record = new Record();
  t.true(compileText(sourceOf("{{ lazy == 'xs3cret' }}")).evaluate(lazy, record));
  t.false(record.secret);
  t.true(compileText(sourceOf('{{ lazy }}')).evaluate(lazy, record) instanceof Secret);
  t.true(record.secret);
});

test('the template lookup keeps what was secret', (t) => {
  const record = new Record();
  const render = (_path: string, inner: Record) => ((inner.secret = true), inner.hosts.add('web2'), 'text');
  t.true(evaluate("{{ lookup('template', 'x.j2') }}", {}, { render }, record) instanceof Secret);
  t.deepEqual([...record.hosts], ['web2']);
});

test('the first line of a template can set how blocks are trimmed', (t) => {
  const render = (text: string) => compileJinja(text, 'x.j2').render(scopeOf(), new Record()).text;
  t.is(render('a\n  {% if true %}\nb\n  {% endif %}\n'), 'a\n  b\n  \n');
  t.is(render('#jinja2: lstrip_blocks: True\na\n  {% if true %}\nb\n  {% endif %}\n'), 'a\nb\n');
  t.is(render('#jinja2: trim_blocks: False\n{% if true %}\nb{% endif %}\n'), '\nb\n');
  t.throws(() => render('#jinja2: variable_start_string: [%\n'), { instanceOf: ContentError });
  t.like(t.throws(() => render('#jinja2: lstrip_blocks: True\n{{ nope }}'), { instanceOf: ContentError })!.origin, { line: 2, column: 4 });
});
