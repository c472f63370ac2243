import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import Handlebars from 'handlebars';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Record } from '../../src/expression/index.js';
import { Templates } from '../../src/template/index.js';
import { ContentError, UndefinedError, UnknownError } from '../../src/value/errors.js';
import { Secret, Unknown, toValue, type Dict, type Rendered, type Value } from '../../src/value/value.js';
import { scopeOf } from './scope.js';

/** A folder with these templates, gone after the test. */
function folder(t: ExecutionContext, files: { [name: string]: string }): string {
  const root = mkdtempSync(join(tmpdir(), 'muster-template-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
  return root;
}

function render(t: ExecutionContext, text: string, vars: { [name: string]: Value }, record = new Record(), name = 't.hbs'): Rendered {
  return new Templates().render(join(folder(t, { [name]: text }), name), scopeOf(new Map(Object.entries(vars))), record);
}

/** What the ranges cover. */
function hidden({ text, secrets }: Rendered): string[] {
  return secrets.map(([from, to]) => text.slice(from, to));
}

test('exactly what was made from secrets is marked', (t) => {
  const vars = { password: new Secret('s3cr3t'), user: 'app', accounts: [new Map<Value, Value>([['name', 'a'], ['password', new Secret('one')]])] };
  const record = new Record();
  const rendered = render(t, 'user={{user}}\npassword={{password}}\n{{#each accounts}}\n{{name}}:{{password}}\n{{/each}}\n{{upper (concat user password)}} {{#if password}}set{{/if}} {{eq password "x"}} {{accounts}}\n', vars, record);
  t.is(rendered.text, "user=app\npassword=s3cr3t\na:one\nAPPS3CR3T set False [{'name': 'a', 'password': 'one'}]\n");
  t.deepEqual(hidden(rendered), ['s3cr3t', 'one', 'APPS3CR3T', "[{'name': 'a', 'password': 'one'}]"]);
  t.true(record.secret);
});

test('secrets in an indented partial keep their place', (t) => {
  const root = folder(t, { 't.hbs': 'x\n    {{> key}}\ny\n', 'key.hbs': 'begin\n{{key}}\nend {{user}}\n' });
  const rendered = new Templates().render(join(root, 't.hbs'), scopeOf(new Map<Value, Value>([['key', new Secret('line one\nline two')], ['user', 'u']])));
  t.is(rendered.text, 'x\n    begin\n    line one\n    line two\n    end u\ny\n');
  t.deepEqual(hidden(rendered), ['line one\n', 'line two']);
});

test('without secrets nothing is marked, and what was read is noted', (t) => {
  const record = new Record();
  t.deepEqual(render(t, '{{#if on}}{{name}}{{/if}}', { on: true, name: 'x', other: 1 }, record), { text: 'x', secrets: [] });
  t.false(record.secret);
  t.deepEqual([...record.hosts].sort(), ['name', 'on']);
});

test('what only a real run could tell makes the rendering unknown', (t) => {
  const later = new Unknown('make is not run in a plan');
  for (const text of ['{{later}}', '{{#if later}}x{{/if}}', '{{#each later}}x{{/each}}', '{{later.rc}}', '{{upper later}}', '{{default later.rc 1}}']) {
    t.throws(() => render(t, text, { later }), { instanceOf: UnknownError, message: 'make is not run in a plan' }, text);
  }
});

test('.j2 is Jinja on the same engine, with secrets marked', (t) => {
  const rendered = render(t, '{% for s in servers %}\nserver {{ s }}\n{% endfor %}\npw {{ pw }}\n', { servers: ['a', 'b'], pw: new Secret('hush') }, new Record(), 't.j2');
  t.is(rendered.text, 'server a\nserver b\npw hush\n');
  t.deepEqual(hidden(rendered), ['hush']);
  const error = t.throws(() => render(t, 'x\n{{ nothing }}\n', {}, new Record(), 't.j2'), { instanceOf: UndefinedError });
  t.regex(error!.describe(), /t\.j2:2:4: /);
});

test('as a value, one expression keeps its type', (t) => {
  const root = folder(t, { 'a.j2': '{{ [1, pw] }}\n', 'b.j2': 'x{{ 1 }}\n', 'c.hbs': '{{pw}}', 'd.j2': '' });
  const value = (name: string) => new Templates().value(join(root, name), scopeOf(new Map<Value, Value>([['pw', new Secret('hush')]])), new Record());
  const [one, secret] = value('a.j2') as [Value, Secret];
  t.is(one, 1);
  t.is(secret.reveal(), 'hush');
  t.is(value('b.j2'), 'x1\n');
  t.is((value('c.hbs') as Secret).reveal(), 'hush');
  t.is(value('d.j2'), '');
});

test('any other name is Jinja', (t) => {
  t.is(render(t, 'port {{ port }}\n', { port: 80 }, new Record(), 'haproxy.cfg').text, 'port 80\n');
  const root = folder(t, { 'a.cfg': "{% include 'b.hbs' %}", 'b.hbs': '' });
  t.throws(() => new Templates().jinja(join(root, 'b.hbs')), { instanceOf: ContentError, message: /is Handlebars/ });
});

test('a check finds what is wrong whatever the values, also in branches and partials', (t) => {
  const root = folder(t, {
    'fine.hbs': '{{#if x}}{{missing}}{{/if}}{{> part}}',
    'part.hbs': '{{#each y}}{{this}}{{/each}}',
    'helper.hbs': '{{#if x}}\n{{else}}{{uper x}}{{/if}}',
    'partial.hbs': 'a\n{{> broken}}',
    'broken.hbs': 'b\n{{#if x}}',
    'itself.hbs': '{{#if x}}{{> itself}}{{/if}}',
  });
  t.notThrows(() => new Templates().check(join(root, 'fine.hbs')));
  t.notThrows(() => new Templates().check(join(root, 'itself.hbs')));
  t.regex(t.throws(() => new Templates().check(join(root, 'helper.hbs')), { instanceOf: ContentError })!.describe(), /helper\.hbs:2:9: there is no helper "uper"/);
  t.regex(t.throws(() => new Templates().check(join(root, 'partial.hbs')), { instanceOf: ContentError })!.describe(), /broken\.hbs:2:\d+: /);
});

test('a file is compiled anew when it changed', (t) => {
  const root = folder(t, { 't.hbs': 'one {{x}}' });
  const [path, templates, scope] = [join(root, 't.hbs'), new Templates(), scopeOf(new Map([['x', 1]]))];
  t.is(templates.render(path, scope).text, 'one 1');
  writeFileSync(path, 'two {{x}}');
  utimesSync(path, 1, 1);
  t.is(templates.render(path, scope).text, 'two 1');
});

/** Random templates that misspell nothing: Handlebars itself must give the same text. */
const piece = fc.letrec<{ body: string; node: string }>((tie) => ({
  body: fc.array(tie('node'), { maxLength: 5 }).map((nodes) => nodes.join('')),
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('text', ' ', '\n', '\n\n  ', 'a\n', '<&"', '{{name}}', '{{~name}}', '{{ name ~}}', '{{{name}}}', '{{! note }}', '\n{{!-- note --}}\n', '{{user.shell}}', '{{@root.name}}', '{{list.[1]}}', '\\{{name}}'),
    fc.tuple(fc.constantFrom('#if yes', '#if none', '#unless none', '#unless yes', '^if none', '#with user', '#each list', '#each none', '#each people as |p i|'), fc.boolean(), fc.boolean(), tie('body'), tie('body')).map(([open, left, right, body, other]) => {
      const name = /(if|unless|with|each)/.exec(open)![0];
      // Inside blocks of their own context, names must be reached by @root: bare ones would be missing there.
      const inner = name === 'with' || name === 'each' ? body.replaceAll(/\{(~? ?)(name|user\.shell|list\.\[1\])/g, '{$1@root.$2') : body;
      const nested = inner.replaceAll(/([#^])(if|unless|with|each) (?!@)(\w)/g, name === 'with' || name === 'each' ? '$1$2 @root.$3' : '$1$2 $3');
      return `{{${left ? '~' : ''}${open}}}${nested}{{else${right ? '~' : ''}}}${other}{{/${name}${left ? '~' : ''}}}`;
    }),
  ),
}));

test('where nothing is missing, the text is the one Handlebars itself renders', (t) => {
  const data = { name: 'N', yes: true, none: [], user: { shell: 'sh' }, list: ['x', 'y'], people: [{ n: 1 }, { n: 2 }] };
  const root = folder(t, {});
  const path = join(root, 't.hbs');
  const scope = scopeOf(toValue(data) as Dict);
  fc.assert(
    fc.property(piece.body, (text) => {
      writeFileSync(path, text);
      t.is(new Templates().render(path, scope).text, Handlebars.compile(text, { noEscape: true })(data), text);
    }),
    { numRuns: 500 },
  );
});
