import test from 'ava';
import { loadModule, parseArgs } from '../../src/modules/index.js';
import type { ArgumentError } from '../../src/value/errors.js';

/** Arguments that do not fit, and what Ansible's module says of them. */
const CASES: [module: string, args: { [name: string]: any }, msg: string | RegExp][] = [
  ['file', { state: 'touch' }, 'missing required arguments: path'],
  ['cron', { naem: 'x', job: 'y' }, 'missing required arguments: name'],
  ['group', { name: 'x', nmae: 1, zzz: 2 }, /^Unsupported parameters for \(group\) module: nmae, zzz\. Supported parameters include: force, gid, .*system\.$/],
  ['group', { name: 'x', state: 'there' }, 'value of state must be one of: present, absent, got: there'],
  ['group', { name: 'x', gid: 'many' }, "argument 'gid' is of type <class 'str'> and we were unable to convert to int: \"'many'\" cannot be converted to an int"],
  ['group', { name: 'x', system: 'maybe' }, /^argument 'system' is of type <class 'str'> and we were unable to convert to bool: The value 'maybe' is not a valid boolean\./],
  ['group', { name: 'x', non_unique: true }, 'non_unique needs a gid'],
  ['command', { chdir: '/' }, 'no command given'],
  ['shell', { cmd: 'x', expand_argument_vars: false }, 'Unsupported parameters for (shell) module: expand_argument_vars'],
  ['script', {}, 'one of the following is required: _raw_params, cmd'],
];

for (const [name, args, msg] of CASES) {
  test(`${name} ${JSON.stringify(args)}`, async (t) => {
    const module = await loadModule(name);
    const error = t.throws(() => parseArgs(module, args)) as ArgumentError;
    t.true(typeof msg === 'string' ? error.fields.msg === msg : msg.test(error.fields.msg), error.fields.msg);
  });
}

test('what a rule says besides', async (t) => {
  const command = await loadModule('command');
  const error = t.throws(() => parseArgs(command, {})) as ArgumentError;
  t.deepEqual(error.fields, { msg: 'no command given', rc: 256 });
});

test('a list or dict where text is wanted is its text in Python', async (t) => {
  const args = parseArgs(await loadModule('file'), { path: { a: [1, true, 'x'] }, state: 'absent' }) as { path: string };
  t.is(args.path, "{'a': [1, True, 'x']}");
});
