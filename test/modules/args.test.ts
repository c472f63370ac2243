import test from 'ava';
import { z } from 'zod';
import { checkArgs, describeParams, parseArgs, secretParams, type Spec } from '../../src/modules/args.js';
import { any, bool, choice, dict, int, list, mode, params, secret, str } from '../../src/modules/params.js';
import type { ContentError } from '../../src/value/errors.js';
import { Source, toValue, type Dict } from '../../src/value/value.js';

const spec: Spec = {
  name: 'sample',
  summary: 'For tests.',
  params: params({
    name: list('What to install.').meta({ aliases: ['pkg'] }),
    state: choice(['present', 'absent', 'latest'], 'What it should be.').default('present'),
    purge: bool('Whether to purge.').default(false).meta({ aliases: ['remove_all'] }),
    mode: mode('The mode.').optional(),
    password: secret('The password.').optional(),
    count: int('How many.').optional(),
    body: any('Whatever.').optional(),
    options: dict('More.').optional(),
    comment: str('A comment.').optional(),
  }),
  returns: {},
  examples: [],
};
const loose: Spec = { ...spec, name: 'loose', params: z.looseObject({ name: str('The name.') }) };
const place = { file: 'site.yml', line: 3, column: 5 };

function wrong(args: object, of = spec): string {
  try {
    parseArgs(of, args as never);
  } catch (error) {
    return (error as ContentError).describe();
  }
  return 'nothing is wrong';
}

test('arguments are converted, defaults filled in, aliases resolved, nulls left out', (t) => {
  t.deepEqual(parseArgs(spec, { pkg: 'nginx, php', remove_all: 'yes', mode: 0o644, comment: null }), {
    name: ['nginx', 'php'], state: 'present', purge: true, mode: '0644',
  });
  t.deepEqual(parseArgs(spec, { name: 'x', pkg: null }).name, ['x']);
  t.deepEqual(parseArgs(loose, { name: 'x', more: null, other: [1] }), { name: 'x', more: null, other: [1] });
});

test('what is wrong is told in one line that names the parameter as written', (t) => {
  t.is(wrong({ name: 'x', stat: 'present' }), 'sample has no parameter "stat"; did you mean "state"?');
  t.is(wrong({ name: 'x', pkg: 'y' }), 'sample is given both "name" and "pkg", which are one parameter; leave one out');
  t.is(wrong({}), 'sample needs "name" (What to install)');
  t.is(wrong({ name: 'x', state: 'presnt' }), '"state" of sample must be present, absent or latest, not "presnt"; did you mean "present"?');
  t.is(wrong({ name: 'x', remove_all: 'maybe' }), '"remove_all" of sample: "maybe" is not a boolean (yes, no, true, false)');
  t.is(wrong({ name: 'x', count: [1] }), '"count" of sample must be a whole number, not a list');
  t.is(wrong({ name: { a: 1 } }), '"name" of sample must be a list, not a dict');
  t.is(wrong({ name: 'x', options: 'text' }), '"options" of sample must be a dict, not "text"');
  t.is(
    wrong({ nam: 'x', mode: 'rwx' }),
    'sample has no parameter "nam" (did you mean "name"?); sample needs "name" (What to install); "mode" of sample: "rwx" is not a file mode; write "0644" or u=rw,g=r,o=r',
  );
});

test('before a run, names and literal values are checked and expressions left alone', (t) => {
  const source = new Source('{{ x }}', place);
  const check = (args: object, of = spec) => checkArgs(of, toValue(args) as Dict, new Map([['count', { ...place, column: 9 }]]), place).map((error) => error.describe());
  t.deepEqual(check({ name: source, state: source }), []);
  t.deepEqual(check({ name: ['a', source], count: 'many' }), ['site.yml:3:9: "count" of sample: "many" is not a whole number']);
  t.deepEqual(check({ state: source }), ['site.yml:3:5: sample needs "name" (What to install)']);
  t.deepEqual(check({ name: 'a', state: 'gone' }), ['site.yml:3:5: "state" of sample must be present, absent or latest, not "gone"']);
  t.deepEqual(check({ name: source, sate: 'absent' }), ['sample has no parameter "sate"; did you mean "state"?']);
  t.deepEqual(check({ name: 'a', anything: source }, loose), []);
});

test('parameters are described from the schema', (t) => {
  const [name, state, purge] = describeParams(spec);
  t.like(name, { name: 'name', aliases: ['pkg'], type: 'list', required: true, description: 'What to install.' });
  t.like(state, { choices: ['present', 'absent', 'latest'], required: false, default: 'present' });
  t.like(purge, { aliases: ['remove_all'], type: 'bool', default: false, description: 'Whether to purge.' });
  t.deepEqual([...secretParams(spec)], ['password']);
});
