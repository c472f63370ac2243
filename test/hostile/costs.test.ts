import test from 'ava';
import { parseIni } from '../../cli/ini.js';
import { parseExtraVars } from '../../cli/vars.js';
import { isNobody } from '../../src/connection/become.js';
import { compileExpression, compileJinja, Record as Reads } from '../../src/expression/index.js';
import { headerOptions } from '../../src/expression/header.js';
import { splitPattern } from '../../src/inventory/index.js';
import { parseKey } from '../../src/modules/authorized_key.js';
import { debconf } from '../../src/modules/debconf.js';
import { assignments } from '../../src/modules/facts/gathered.js';
import { parseStat } from '../../src/modules/look.js';
import { clientSection } from '../../src/modules/mysql.js';
import { parsePriv } from '../../src/modules/mysql_grants.js';
import { pip } from '../../src/modules/pip.js';
import { returned } from '../../src/modules/running.js';
import { firstWord } from '../../src/modules/script.js';
import uri from '../../src/modules/uri.js';
import { parseLine } from '../../src/playbook/arguments.js';
import { durationOf } from '../../src/playbook/confirm.js';
import { embedded } from '../../src/playbook/embedded.js';
import { conditions } from '../../src/playbook/inherit.js';
import { importsOf } from '../../src/plugins/imports.js';
import { oneLine } from '../../src/report/style.js';
import { Template } from '../../src/template/compile.js';
import { spelling } from '../../src/template/hints.js';
import { ContentError } from '../../src/value/errors.js';
import { fnmatch } from '../../src/value/glob.js';
import { hostMatcher } from '../../src/value/host-names.js';
import { trimmedEnd, withoutEndSlashes } from '../../src/value/text.js';
import { Source, type Value } from '../../src/value/value.js';
import { parseYaml } from '../../src/yaml/index.js';
import { scopeOf } from '../expression/scope.js';
import { OURS } from './targets.js';

/** Milliseconds for a text of some 100 kB. Where each character costs the same that is a few; the square of them is a minute, two to their power is for ever. */
const PATIENCE = 8000;
const MANY = 100_000;

const here = { file: 'hostile', line: 1, column: 1 };
const blanks = ' '.repeat(MANY);
const many = (piece: string) => piece.repeat(MANY / piece.length);
const filtered = (value: string, filter: string) => compileExpression(`v | ${filter}`, here).evaluate(scopeOf({ v: value as Value }), new Reads());
const answered = (stdout: string) => ({ rc: 0, stdout, stderr: '' });
const header = `HTTP/1.1 200 OK\r\nA:${blanks}\rb\rc${blanks}\r\n\r\n`;
const STAT = '81a4 0 0 1 0 1 1 1 1 1';
const when = (text: string) => conditions(new Map<Value, Value>([['when', new Source(text, here)]]), 'when', here, { projectDir: '.', rolesPath: [], extraVars: new Map(), problems: [] });

const CASES: { [what: string]: () => unknown } = {
  'key=value words: expressions in a name': () => parseLine(`${many('{{a}}')}x`),
  'key=value words: what is left ends in blanks': () => parseLine(`a${blanks}x`),
  'a condition that is one expression, full of blanks': () => when(`{{${blanks}x${blanks}}`),
  'a condition that only opens braces': () => embedded(many('{{')),
  'confirm: blanks behind a number': () => durationOf(`1${blanks}x`),
  'authorized_key: escaped quotes, and none closes': () => parseKey(`"${many('\\"')}`),
  'script: escaped quotes, and none closes': () => firstWord(`"${many('\\a')}`),
  'pip: blanks in a name': () => pip.compare({ args: { state: 'present' }, names: [`a${blanks}!`] } as never, { pip: [], installed: [] }),
  'uri: blanks in a header': () => uri.result({ url: 'http://x', status_code: [200] } as never, answered(Buffer.from(`${header}\n@muster 200 0 0.1 ${header.length} http://x\n@rc 0\n`).toString('base64'))),
  'debconf: stars': () => debconf.parse(answered(`${many('*')}\nlooked\n`), { name: 'x' } as never),
  'os-release: blanks': () => assignments([`a${blanks}=${blanks}\ra\rb`]),
  'stat: colons where the context stands': () => parseStat([STAT, 'root', ` ${many(':')}\t`]),
  '.my.cnf: blanks': () => clientSection(`[client]\na=${blanks}\ra\rb`),
  'priv: blanks in the name of a table': () => parsePriv(`a.${blanks}x:ALL`, { vendor: 'mysql', numbers: [8, 0, 0] } as never),
  'the error of bash: lines that nearly are it': () => returned({ rc: 126, stdout: '', stderr: `${many(': exec: ')}x\n` }, 'x'),
  'become: lines that nearly name a user': () => isNobody(many('user x')),
  'imports of a Python module: escapes in a string that nothing closes': () => importsOf(`"""${many('\\a')}`, 'a', false),
  'imports of a Python module: dots and blanks': () => importsOf(`from ${many('.')}${blanks}${many('a.')}!`, 'a', false),
  '-e: braces that a quote follows': () => parseExtraVars([`a=${many('{{a}}')}"`]),
  'ansible.cfg: blanks': () => parseIni(`[a]\n${blanks}x\na${blanks}b\n`),
  'a host pattern of brackets': () => splitPattern(many('[')),
  'a shell pattern of stars': () => fnmatch(`${'*a'.repeat(400)}*b`).test(many('a')),
  'a shell pattern of brackets': () => fnmatch(many('[')).test(many('[')),
  'known_hosts: stars in a name': () => hostMatcher(`${'*a'.repeat(100)}*b`)('a'.repeat(255)),
  'the first line of a template': () => headerOptions(`a${blanks}:${blanks}x\ry`, here),
  'Jinja: a template of empty lines': () => compileJinja(`${many('\n')}x${many('\n')}{{ "" }}`, 'hostile.j2').render(scopeOf({}), new Reads()),
  'Handlebars: words just short enough': () => new Template(`${'x'.repeat(1999)} `.repeat(50), 'hostile.hbs', () => () => assert()),
  'Handlebars: a mustache that is refused': () => [spelling(`{{${blanks}x}}`), spelling(`{{${many('a=')} b c}}`), spelling(`{{a${many(' if a')}${many(' else a')}\n}}`)],
  'YAML: an error in a line of colons': () => parseYaml(`a: ${many(': {{')}"x\n`, 'hostile.yml'),
  'YAML: many lines left of the quotes they stand in': () => parseYaml(`a: 'x ${'---\n'.repeat(20_000)}`, 'hostile.yml'),
  'oneLine: blanks that no line break follows': () => oneLine(`a${blanks}x`),
  'to_nice_yaml of many lines': () => compileExpression('v | to_nice_yaml', here).evaluate(scopeOf({ v: Array.from({ length: 30_000 }, (_, i) => `line ${i} of an output`) }), new Reads()),
  'human_to_bytes': () => filtered(`${'1'.repeat(MANY)}${blanks}1`, 'human_to_bytes'),
  'float': () => filtered(`${'1'.repeat(MANY)}x`, 'float'),
  'striptags, nothing closes': () => filtered(many('<!--'), 'striptags'),
  'urlize, points': () => filtered(`${many('.')}x`, 'urlize'),
  'urlsplit': () => filtered(`//${many('@')}x:y`, 'urlsplit'),
  'dirname': () => filtered(`${many('/')}x/`, 'dirname'),
  'win_dirname': () => filtered(`${many('/')}x/`, 'win_dirname'),
  'regex_search, braces': () => filtered('x', `regex_search("{${'1'.repeat(MANY)}")`),
  'format, brackets in a field': () => filtered('x', `replace("x", "{a${many('[')}}".format(a=1))`),
  'password: blanks': () => compileExpression(`lookup("password", "/dev/null${blanks}x")`, here).evaluate(scopeOf({}), new Reads()),
};

function assert(): never {
  throw new Error('there is no partial');
}

for (const [what, run] of Object.entries(CASES)) {
  test.serial(`long text costs little: ${what}`, (t) => {
    const began = performance.now();
    try {
      run();
    } catch (error) {
      if (!OURS.some((kind) => error instanceof kind) && (error as Error).name !== 'UsageError') throw error;
    }
    const took = performance.now() - began;
    t.true(took < PATIENCE, `${Math.round(took)} ms`);
  });
}

test('what ends a text falls off', (t) => {
  t.is(trimmedEnd('a//b//', '/'), 'a//b');
  t.is(trimmedEnd('///', '/'), '');
  t.is(trimmedEnd('x) .,', '., '), 'x)');
  t.is(withoutEndSlashes('/a//'), '/a');
  t.is(withoutEndSlashes('///'), '/');
  t.is(withoutEndSlashes(''), '');
});

test('a text that was made to grow is not taken apart into characters; how many they are can be told', (t) => {
  const scope = scopeOf({ a: '\ud83d\ude00'.repeat(16_000_000) });
  const error = t.throws(() => compileExpression('a | list', here).evaluate(scope, new Reads()), { instanceOf: ContentError });
  t.regex(error.message, /32000000 characters is too long to be taken apart/);
  t.is(compileExpression('"x\ud83d\ude00\ud83d" | length', here).evaluate(scope, new Reads()), 3);
});

test('a path that cannot be one leads to no file', (t) => {
  for (const path of ['s'.repeat(5000), 'a\0b']) for (const what of ['file', 'directory', 'link', 'exists', 'link_exists']) t.false(compileExpression(`v is ${what}`, here).evaluate(scopeOf({ v: path }), new Reads()));
});
