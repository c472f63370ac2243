import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compileJinja, Record, type TemplateOptions } from '../../src/expression/index.js';
import { ContentError, UndefinedError } from '../../src/value/errors.js';
import { Secret, type Value } from '../../src/value/value.js';
import { scopeOf } from './scope.js';

const FILES: { [name: string]: string } = {
  'base.j2': "<{% block title %}base{% endblock %}>\n{% block body required %}{% endblock %}\n{% set shared = 'base' %}\n[{{ self.title() }}]\n",
  'child.j2': "{% extends 'base.j2' %}\nnot written {{ nosuch }}\n{% set top = 'T' %}\n{% block title %}{{ super() }}+child {{ top }}{% endblock %}\n{% block body %}body {{ x | default('no x') }}{% endblock %}\n",
  'grandchild.j2': "{% extends 'child.j2' %}{% block title %}{{ super() }}+grand{% endblock %}",
  'unfilled.j2': "{% extends 'base.j2' %}",
  'macros.j2': "{% macro f(a, b=2) %}{{ a }}-{{ b }}-{{ x | default('unseen') }}{% endmacro %}\n{% set v = 5 %}\n{% set _p = 6 %}\n",
  'part.j2': "part {{ i | default('no i') }} {{ x | default('no x') }}\n",
  'loops.j2': '{% for i in [1, 2] %}{% block row scoped %}{{ i }}{% endblock %}{% block bare %}{{ i | default("-") }}{% endblock %}{% endfor %}',
  'sub/inner.j2': "{% include 'beside.j2' %}",
  'sub/beside.j2': 'beside',
  'itself.j2': "{% include 'itself.j2' %}",
};

function folder(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'pages-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'sub'));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(dir, name), text);
  const render = (text: string, vars: { [name: string]: Value } = {}, options?: TemplateOptions) => {
    const template = compileJinja(text, join(dir, 'main.j2'), false, options);
    return template.render(scopeOf(vars, { find: (name) => (existsSync(join(dir, name)) ? join(dir, name) : undefined), template: (path, given) => compileJinja(readFileSync(path, 'utf8'), path, path.endsWith('sealed.j2'), given) }), new Record());
  };
  return { dir, render: (text: string, vars?: { [name: string]: Value }, options?: TemplateOptions) => render(text, vars, options).text, whole: render };
}

const CASES: [template: string, wanted: string][] = [
  ["{% include 'part.j2' %}|", 'part no i X|'],
  ["{% for i in [1, 2] %}{% include 'part.j2' %};{% endfor %}", 'part 1 X;part 2 X;'],
  ["{% for i in [1, 2] %}{% include 'part.j2' without context %};{% endfor %}", 'part no i no x;part no i no x;'],
  ["{% include 'none.j2' ignore missing %}x", 'x'],
  ["{% include 'none.j2' ignore missing with context %}x", 'x'],
  ["{% include ['none.j2', 'part.j2'] %}", 'part no i X'],
  ["{% include 'sub/inner.j2' %}", 'beside'],
  ["{% import 'macros.j2' as m %}{{ m.f(1) }} {{ m.v }} {{ m._p is defined }}", '1-2-unseen 5 False'],
  ["{% import 'macros.j2' as m with context %}{{ m.f(1) }}", '1-2-X'],
  ["{% from 'macros.j2' import f as g, v %}{{ g(1, b=3) }}{{ v }}", '1-3-unseen5'],
  ["{% from 'macros.j2' import f with context %}{{ f(1) }}", '1-2-X'],
  ["{% from 'macros.j2' import nothing %}{{ nothing is defined }}", 'False'],
  ["{% include 'child.j2' %}", '<base+child T>\nbody X[base+child T]'],
  ["{% extends 'grandchild.j2' %}", '<base+child T+grand>\nbody X[base+child T+grand]'],
  ["{% extends 'base.j2' %}{% block body %}B {{ shared | default('later') }}{% endblock %}", '<base>\nB later[base]'],
  ["{% extends 'loops.j2' %}{% block row %}<{{ i }}>{% endblock %}", '<1>-<2>-'],
  ["{% extends 'base.j2' %}{% macro m() %}from a macro{% endmacro %}{% set s %}captured{% endset %}{% block body %}{{ m() }} {{ s }}{% endblock %}", '<base>\nfrom a macro captured[base]'],
];
for (const [template, wanted] of CASES) test(`of several files: ${template}`, (t) => t.is(folder(t).render(template, { x: 'X' }), wanted));

test('what is wrong between templates is told with its place', (t) => {
  const { render, dir } = folder(t);
  const wrong = (template: string, message: RegExp, line = 1) => {
    const error = t.throws(() => render(template), { instanceOf: ContentError, message })!;
    t.is(error.origin?.line, line);
  };
  wrong("\n{% include 'none.j2' %}", /no template "none.j2"/, 2);
  wrong("{% include ['a', 'b'] %}", /among "a", "b"/);
  wrong("{% extends 'unfilled.j2' %}", /block "body" is required/, 2);
  wrong('{% block a %}{% endblock %}{% block a %}{% endblock %}', /stands here twice/);
  wrong('{% block a %}{{ super() }}{% endblock %}', /no parent block/);
  wrong('{% block a %}{% endblock b %}', /"endblock b" closes the block "a"/);
  wrong("{% include 'itself.j2' %}", /too deep/);
  wrong("{% import 'macros.j2' %}", /"as" is expected/);
  wrong("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", /takes 1 arguments, not 2/);
  wrong("{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", /takes no argument "b"/);
  const inside = t.throws(() => render("{% include 'child.j2' %}{% import 'macros.j2' as m %}{{ m.f() }}"), { instanceOf: UndefinedError })!;
  t.is(inside.origin?.file, join(dir, 'macros.j2'));
});

test('a secret in an included template is known as one', (t) => {
  const { whole, dir } = folder(t);
  writeFileSync(join(dir, 'sealed.j2'), 'all of it');
  const rendered = whole("a{% include 'part.j2' %} {% include 'sealed.j2' %}", { x: new Secret('s3cret') });
  t.deepEqual(rendered.secrets.map(([from, to]) => rendered.text.slice(from, to)), ['s3cret', 'all of it']);
});

test('marks and white space as the template sets them', (t) => {
  const { render, dir } = folder(t);
  const marks: TemplateOptions = { block_start_string: '[%', block_end_string: '%]', variable_start_string: '[[', variable_end_string: ']]', comment_start_string: '[#', comment_end_string: '#]' };
  t.is(render("{{ a }} [[ [1, [2]][1] ]][# c #]\n[% raw %][[ x ]][% endraw %]\n[%- if true -%] y [%- endif %]\n", {}, marks), '{{ a }} [2][[ x ]]y\n');
  t.is(render("#jinja2: variable_start_string:'[[', variable_end_string:']]', trim_blocks: False\n[[ 1 ]]{{ }}\n{% if true %}\n{% endif %}\n"), '1{{ }}\n\n');
  t.is(render('  {% if true %}\n  x\n  {%+ if true %}y{% endif %}\n  {% endif %}\n', {}, { lstrip_blocks: true }), '  x\n  y\n');
  writeFileSync(join(dir, 'marked.j2'), '[[ 1 + 1 ]]');
  t.is(render("[% include 'marked.j2' %]", {}, marks), '2');
  t.throws(() => render('x', {}, { variable_start_string: '{%' }), { message: /begin alike/ });
  t.throws(() => render('#jinja2: newline_sequence: "x"\nx'), { message: /sets "newline_sequence"/ });
  t.throws(() => render('#jinja2: lstrip_blocks=True\nx'), { message: /failed to parse jinja2 override "lstrip_blocks=True"/ });
  t.throws(() => render('[[ x', {}, marks), { message: /"\[\[" is not closed/ });
  t.is(render('a\r\nb {{ 1 }}\r\n'), 'a\nb 1\n');
});

test('line statements and line comments, as Jinja renders them', (t) => {
  const { render } = folder(t);
  const lined = (text: string) => render(`#jinja2: line_statement_prefix: '#', line_comment_prefix: "##"\n${text}`);
  t.is(lined('# for x in [1, 2]:\n  <{{ x }}>\n\n  # endfor\nend\n'), '  <1>\n\n  <2>\n\nend\n');
  t.is(lined('a\n  # if true\n\n\nb ## c\n  ## whole\n# endif\n'), 'a\nb\n\n');
  t.is(lined('# set y = [1,\n  2]\n{{ y }} # no\n'), '[1, 2] # no\n');
  t.is(lined('a  \n#- if true\n b\n# else\n c\n# endif'), 'a b\n');
  t.is(lined("# set z = {'a': 1}\n{{ z.a }}##"), '1');
  t.is(lined('{% for x in [1]: %}{{ x }}{% endfor %}#\n'), '1#\n');
  t.throws(() => lined('# if (1\n'), { message: /"\(" is not closed/ });
  t.throws(() => render("#jinja2: line_statement_prefix: ''\nx"), { message: /a prefix of lines is empty/ });
  t.is(render('# for x in y\n## no\n'), '# for x in y\n## no\n');
});
