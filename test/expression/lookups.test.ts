import { mkdtempSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { pythonText, Record, type Services } from '../../src/expression/index.js';
import { ContentError, NotAheadError } from '../../src/value/errors.js';
import { Secret, toValue, type Value } from '../../src/value/value.js';
import { evaluate } from './scope.js';

/** A folder of its own, gone afterwards. */
function folder(t: ExecutionContext): { dir: string; services: Partial<Services>; run(text: string, vars?: { [name: string]: Value }): Value } {
  const dir = mkdtempSync(join(tmpdir(), 'lookups-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'files'));
  writeFileSync(join(dir, 'files', 'a.txt'), 'alpha\n');
  writeFileSync(join(dir, 'files', 'b.txt'), 'beta\n\n');
  writeFileSync(join(dir, 'files', 'c.csv'), 'web1,10.0.0.1,"a, b"\nweb2,10.0.0.2,"say ""hi"""\n');
  writeFileSync(join(dir, 'files', 't.csv'), 'k\tv\n');
  writeFileSync(join(dir, 'files', 'e.ini'), '[DEFAULT]\nbase=/srv\n[one]\nKey = value\npath=%(base)s/x\nmulti = a\n  b\n  c\nempty=\n[global]\ng=1\n[nov]\nflag\n');
  writeFileSync(join(dir, 'files', 'p.properties'), 'user.name = joe\n');
  mkdirSync(join(dir, 'files', 'tree', 'sub'), { recursive: true });
  writeFileSync(join(dir, 'files', 'tree', 'sub', 'f'), 'x');
  symlinkSync('f', join(dir, 'files', 'tree', 'sub', 'link'));
  writeFileSync(join(dir, 'files', 'd.ini'), '[one]\nkey = value\n[two]\nkey=other\n');
  const services: Partial<Services> = {
    baseDir: dir,
    find: (name, kind) => [join(dir, kind, name), join(dir, name)].find(existsSync),
    render: (path, _record, overrides) => `${path.slice(dir.length + 1)} ${[...overrides.keys()]}`,
  };
  return { dir, services, run: (text, vars = {}) => evaluate(text, vars, services) };
}

test('file', (t) => {
  const { run } = folder(t);
  t.is(run("{{ lookup('file', 'a.txt') }}"), 'alpha');
  t.is(run("{{ lookup('file', 'a.txt', 'b.txt') }}"), 'alpha,beta');
  t.deepEqual(run("{{ query('file', 'a.txt', 'b.txt', rstrip=false) }}"), ['alpha\n', 'beta\n\n']);
  const error = t.throws(() => run("{{ lookup('file', 'none.txt') }}"), { instanceOf: ContentError })!;
  t.regex(error.message, /no file "none.txt"/);
  t.regex(error.hint!, /files\//);
});

test('fileglob gives files, sorted', (t) => {
  const { run, dir } = folder(t);
  t.deepEqual(run("{{ query('fileglob', '*.txt') }}"), [join(dir, 'files/a.txt'), join(dir, 'files/b.txt')]);
  t.deepEqual(run(`{{ query('fileglob', '${dir}/*/[ab].t?t') | map('basename') | list }}`), ['a.txt', 'b.txt']);
  t.deepEqual(run("{{ query('fileglob', '*.none') }}"), []);
});

test('first_found', (t) => {
  const { run, dir, services } = folder(t);
  t.is(run("{{ lookup('first_found', ['none.txt', 'b.txt']) }}"), join(dir, 'files/b.txt'));
  t.is(run("{{ lookup('first_found', {'files': ['none', 'a.txt'], 'paths': ['files']}) }}"), join(dir, 'files/a.txt'));
  t.deepEqual(run("{{ query('first_found', 'none', skip=true) }}"), []);
  t.throws(() => run("{{ lookup('first_found', 'none') }}"), { message: /found none/ });
  // Variables of one name with a task file do not stand in for it.
  for (const [kind, name] of [['vars', 'debian.yml'], ['tasks', 'default.yml']] as const) {
    mkdirSync(join(dir, kind));
    writeFileSync(join(dir, kind, name), '');
  }
  const tasks = evaluate("{{ lookup('first_found', ['debian.yml', 'default.yml']) }}", {}, { ...services, names: 'tasks' });
  t.deepEqual([tasks, run("{{ lookup('first_found', ['debian.yml', 'default.yml']) }}")], [join(dir, 'tasks/default.yml'), join(dir, 'vars/debian.yml')]);
});

test('template: text that spells data is data, unless convert_data is false', (t) => {
  const text = '{"a": [1, -2.5, null, true]}';
  const run = (options: string, rendered = text) => evaluate(`{{ lookup('template', '/x'${options}) }}`, {}, { render: () => rendered });
  t.deepEqual(run(''), toValue({ a: [1, -2.5, null, true] }));
  t.is(run(', convert_data=false'), text);
  t.is(run('', '[x]'), '[x]');
  t.is(run('', '[section]\nkey=1\n'), '[section]\nkey=1\n');
  t.throws(() => run(', nope=1'), { message: /no option "nope"/ });
});

test('template', (t) => t.is(folder(t).run("{{ lookup('template', 'files/a.txt', template_vars={'x': 1}) }}"), 'files/a.txt x'));

test('pipe runs in the base folder and says why it failed', (t) => {
  const { run } = folder(t);
  t.is(run("{{ lookup('pipe', 'cat files/a.txt') }}"), 'alpha');
  const error = t.throws(() => run("{{ lookup('pipe', 'echo no >&2; exit 3') }}"), { instanceOf: ContentError })!;
  t.regex(error.message, /exit status 3: no/);
});

test('vars and varnames', (t) => {
  const { run } = folder(t);
  const vars = { web_port: 80, web_name: 'x', db: 1 };
  t.is(run("{{ lookup('vars', 'web_' ~ 'port') }}", vars), 80);
  t.is(run("{{ lookup('vars', 'none', default=5) }}", vars), 5);
  t.is(run("{{ lookup('vars', 'nothing', default=5) }}", { nothing: null }), null);
  t.throws(() => run("{{ lookup('vars', 'none') }}", vars), { message: /No variable found with this name: none/ });
  t.deepEqual(run("{{ query('varnames', '^web_') }}", vars), ['web_port', 'web_name']);
});

/** What ansible-core 2.19 and community.general give for the same files; ERROR where they refuse. */
const CASES: [expression: string, wanted: string][] = [
  ["lookup('csvfile', 'web2', file='c.csv', delimiter=',', col=1)", '10.0.0.2'],
  ["lookup('csvfile', 'web1 file=c.csv delimiter=, col=2')", 'a, b'],
  ["lookup('csvfile', 'web2', file='c.csv', delimiter=',', col=2)", 'say "hi"'],
  ["lookup('csvfile', 'k', file='t.csv')", 'v'],
  ["query('csvfile', 'nokey', file='c.csv', delimiter=',')", '[]'],
  ["lookup('csvfile', 'nokey', file='c.csv', delimiter=',', default='d')", 'd'],
  ["lookup('csvfile', '10.0.0.2', file='c.csv', delimiter=',', keycol=1, col=0)", 'web2'],
  ["lookup('csvfile', 'web1', file='c.csv', delimiter=',', col=7)", 'ERROR'],
  ["query('csvfile', 'web1', 'web2', file='c.csv', delimiter=',')", "['10.0.0.1', '10.0.0.2']"],
  ["lookup('ini', 'key', section='two', file='d.ini')", 'other'],
  ["lookup('ini', 'KEY section=two file=d.ini')", 'other'],
  ["lookup('ini', 'key', section='one', file='e.ini')", 'ERROR'],
  ["lookup('ini', 'Key', section='one', file='e.ini', allow_no_value=true)", 'value'],
  ["lookup('ini', 'key', section='one', file='e.ini', allow_no_value=true, case_sensitive=true)", ''],
  ["lookup('ini', 'path', section='one', file='e.ini', allow_no_value=true)", '/srv/x'],
  ["lookup('ini', 'path', section='one', file='e.ini', allow_no_value=true, interpolation=false)", '%(base)s/x'],
  ["lookup('ini', 'multi', section='one', file='e.ini', allow_no_value=true)", 'a\nb\nc'],
  ["lookup('ini', 'empty', section='one', file='e.ini', allow_no_value=true)", ''],
  ["lookup('ini', 'none', section='one', file='e.ini', allow_no_value=true, default='d')", 'd'],
  ["lookup('ini', 'none', section='none', file='e.ini', allow_no_value=true)", 'ERROR'],
  ["lookup('ini', 'g', file='e.ini', allow_no_value=true)", '1'],
  ["query('ini', '.*', section='two', file='d.ini', re=true)", "['other']"],
  ["query('ini', 'flag', section='nov', file='e.ini', allow_no_value=true)", '[]'],
  ["lookup('ini', 'user.name', type='properties', file='p.properties')", 'joe'],
  ["query('filetree', 'tree') | map(attribute='path')", "['sub', 'sub/f', 'sub/link']"],
  ["query('filetree', 'tree', exclude='link') | map(attribute='state')", "['directory', 'file']"],
  ["(query('filetree', 'tree') | last).src", 'f'],
  ["query('first_found', ['none'], skip=true)", '[]'],
  ["lookup('first_found', files=['b.txt'], paths=['files'])", 'files/b.txt'],
  ["query('subelements', [{'n': 'x', 'k': ['a']}, {'n': 'y', 'k': [1], 'skipped': true}], 'k')", "[[{'n': 'x'}, 'a']]"],
  ["query('sequence', 'start=1 end=0')", 'ERROR'],
  ["query('sequence', 'start=0x0f end=0x10 format=%02x')", "['0f', '10']"],
  ["lookup('merge_variables', '^rule_', pattern_type='regex')", "{'a': [1, 2], 'b': {'x': 1, 'y': 2}}"],
  ["lookup('merge_variables', '__port', pattern_type='suffix')", 'ERROR'],
  ["lookup('merge_variables', 'bad_', pattern_type='prefix')", 'ERROR'],
  ["lookup('merge_variables', 'bad_', pattern_type='prefix', override='ignore').k", '2'],
  ["lookup('random_string', length=40, special=false) is match('^[A-Za-z0-9]{40}$')", 'True'],
  ["lookup('random_string', length=4, min_numeric=4) is match('^[0-9]{4}$')", 'True'],
  ["lookup('random_string', override_all='ab', length=3, seed='x') == lookup('random_string', override_all='ab', length=3, seed='x')", 'True'],
  ["lookup('random_string', override_all='a', length=3, base64=true)", 'YWFh'],
  ["lookup('ansible.utils.to_paths', {'a': [1]})", "{'a[0]': 1}"],
  ["lookup('ansible.utils.get_path', {'a': [1]}, 'a[0]')", '1'],
  ["lookup('lines', 'echo a; echo b', wantlist=true)", "['a', 'b']"],
  ["lookup('lines', 'exit 3')", 'ERROR'],
  ["query('inventory_hostnames', 'all:!web')", "['db1']"],
  ["query('inventory_hostnames', 'web:&w*1')", "['web1']"],
  ["query('inventory_hostnames', '~(web2|db).*')", "['web2', 'db1']"],
  ["query('inventory_hostnames', 'db1,web2')", "['db1', 'web2']"],
  ["query('inventory_hostnames', 'nothere,localhost')", "['localhost']"],
];
const VARIABLES = toValue({ groups: { all: ['web1', 'web2', 'db1'], web: ['web1', 'web2'] }, rule_1: { a: [1], b: { x: 1 } }, rule_2: { a: [2], b: { y: 2 } }, a__port: 1, b__port: 'x', bad_1: { k: 1 }, bad_2: { k: 2 } }) as Map<Value, Value>;
for (const [expression, wanted] of CASES) {
  test(`as Ansible: ${expression}`, (t) => {
    const { run, dir } = folder(t);
    const evaluated = () => pythonText(run(`{{ ${expression} }}`, Object.fromEntries(VARIABLES))).replaceAll(`${dir}/`, '');
    if (wanted === 'ERROR') t.throws(evaluated, { instanceOf: ContentError });
    else t.is(evaluated(), wanted);
  });
}

test('password is made once, kept for its owner, and secret', (t) => {
  const { run, dir, services } = folder(t);
  const text = "{{ lookup('password', 'credentials/db length=12 chars=digits') }}";
  t.throws(() => evaluate(text, {}, { ...services, ahead: true }), { instanceOf: NotAheadError });
  const first = run(text) as Secret;
  t.true(first instanceof Secret);
  t.regex(String(first.reveal()), /^\d{12}$/);
  t.is((run(text) as Secret).reveal(), first.reveal());
  t.is((evaluate(text, {}, { ...services, ahead: true }) as Secret).reveal(), first.reveal());
  t.is(statSync(join(dir, 'credentials/db')).mode & 0o777, 0o600);
  t.is(readFileSync(join(dir, 'credentials/db'), 'utf8'), `${first.reveal()}\n`);
});

test('password with encrypt keeps its salt', (t) => {
  const { run, dir } = folder(t);
  const text = "{{ lookup('password', 'p', encrypt='sha512') }}";
  const first = run(text) as Secret;
  t.regex(String(first.reveal()), /^\$6\$/);
  t.is((run(text) as Secret).reveal(), first.reveal());
  t.regex(readFileSync(join(dir, 'p'), 'utf8'), /^\S{20} salt=\S{16}\n$/);
});

test('password without a file', (t) => {
  const { run } = folder(t);
  t.is((run("{{ lookup('password', '/dev/null', length=8, seed='x') }}") as Secret).reveal(), (run("{{ lookup('password', '/dev/null', length=8, seed='x') }}") as Secret).reveal());
  t.throws(() => run("{{ lookup('password', 'p', size=8) }}"), { message: /no option "size"/ });
});

test('options of lookup itself', (t) => {
  const { run } = folder(t);
  t.deepEqual(run("{{ lookup('file', 'none', errors='ignore', wantlist=true) }}"), []);
  t.throws(() => run("{{ lookup('file', 'none', errors='no') }}"), { message: /errors="no"/ });
  t.is(new Record().secret, false);
});
