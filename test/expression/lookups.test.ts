import { mkdtempSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { Record, type Services } from '../../src/expression/index.js';
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
  const { run, dir } = folder(t);
  t.is(run("{{ lookup('first_found', ['none.txt', 'b.txt']) }}"), join(dir, 'files/b.txt'));
  t.is(run("{{ lookup('first_found', {'files': ['none', 'a.txt'], 'paths': ['files']}) }}"), join(dir, 'files/a.txt'));
  t.deepEqual(run("{{ query('first_found', 'none', skip=true) }}"), []);
  t.throws(() => run("{{ lookup('first_found', 'none') }}"), { message: /found none/ });
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
  t.throws(() => run("{{ lookup('vars', 'none') }}", vars), { message: /no variable "none"/ });
  t.deepEqual(run("{{ query('varnames', '^web_') }}", vars), ['web_port', 'web_name']);
});

test('csvfile and ini', (t) => {
  const { run } = folder(t);
  t.is(run("{{ lookup('csvfile', 'web2', file='c.csv', delimiter=',', col=1) }}"), '10.0.0.2');
  t.is(run("{{ lookup('csvfile', 'web1 file=c.csv delimiter=, col=2') }}"), 'a, b');
  t.is(run("{{ lookup('csvfile', 'web2', file='c.csv', delimiter=',', col=2) }}"), 'say "hi"');
  t.is(run("{{ lookup('ini', 'key', section='two', file='d.ini') }}"), 'other');
  t.is(run("{{ lookup('ini', 'key section=two file=d.ini') }}"), 'other');
});

test('inventory_hostnames', (t) => {
  t.deepEqual(folder(t).run("{{ query('inventory_hostnames', 'web') }}", { groups: toValue({ web: ['web1', 'web2'] }) }), ['web1', 'web2']);
});

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
