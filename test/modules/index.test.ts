import test from 'ava';
import { canonicalName, describeParams, fullName, loadModule, moduleNames } from '../../src/modules/index.js';
import { parseArgs } from '../../src/modules/args.js';
import { ContentError } from '../../src/value/errors.js';

test('names are found short, in full and by alias', (t) => {
  for (const [written, name] of [
    ['copy', 'copy'], ['ansible.builtin.copy', 'copy'], ['ansible.legacy.copy', 'copy'],
    ['systemd_service', 'systemd'], ['ansible.builtin.systemd_service', 'systemd'], ['gather_facts', 'setup'],
    ['ansible.posix.sysctl', 'sysctl'], ['community.mysql.mysql_user', 'mysql_user'], ['ansible.mysql.mysql_user', 'mysql_user'],
    ['ansible.posix.copy', undefined], ['community.general.copy', undefined], ['coppy', undefined], ['toString', undefined], ['', undefined],
  ] as const) {
    t.is(canonicalName(written), name, written);
  }
  t.is(fullName('mysql_user'), 'community.mysql.mysql_user');
  t.is(fullName('copy'), 'ansible.builtin.copy');
});

test('an unknown module is refused with a suggestion', async (t) => {
  const error = await t.throwsAsync(loadModule('coppy'), { instanceOf: ContentError });
  t.is((error as ContentError).describe(), 'there is no module "coppy"; did you mean "copy"?');
});

for (const name of moduleNames) {
  test(`${name} is described whole`, async (t) => {
    const module = await loadModule(name);
    t.is(module.name, name);
    t.is(await loadModule(fullName(name)), module);
    t.regex(module.summary, /^[A-Z].*[.]$/);
    for (const alias of module.aliases ?? []) t.is(canonicalName(alias), name);
    const params = describeParams(module);
    for (const param of params) t.regex(param.description, /\S/, `${name}: ${param.name} has no description`);
    const names = params.flatMap((param) => [param.name, ...param.aliases]);
    t.is(new Set(names).size, names.length, 'a name stands for two parameters');
    if (module.freeForm !== undefined) t.true(names.includes(module.freeForm));
    t.true(module.examples.length > 0);
    // Defaults are what the schema itself would take.
    for (const param of params) if (param.default !== undefined) t.true(param.schema.safeParse(param.default).success, `${name}: the default of ${param.name}`);
    const error = t.throws(() => parseArgs(module, { 'no such parameter': 1 }), { instanceOf: ContentError });
    t.regex(error.message, /has no parameter "no such parameter"/);
  });
}
