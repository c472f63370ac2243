import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { loadInventory } from '../../src/inventory/index.js';
import { useReading } from '../../src/inventory/reading.js';
import { ContentError } from '../../src/value/errors.js';
import { folder } from '../cli/folder.js';
import { muster } from '../cli/muster.js';

const wrong: [what: string, file: string, text: string, message: RegExp][] = [
  ['a plugin in Python', 'aws.yml', 'plugin: amazon.aws.aws_ec2\nregions: [x]\n', /aws\.yml:1:9: the inventory plugin "amazon\.aws\.aws_ec2" is Python.*exec ansible-inventory -i .*aws\.yml/],
  ['a key that constructed has not', 'c.yml', 'plugin: constructed\ngroup: {}\n', /c\.yml:2:1: constructed has no key "group"; did you mean "groups"/],
  ['a keyed group without key', 'c.yml', 'plugin: constructed\nkeyed_groups:\n  - prefix: x\n', /a keyed group needs a "key"/],
  ['strict', 'c.yml', 'plugin: constructed\nstrict: yes\ncompose:\n  x: no_such + 1\n', /c\.yml:4:6: "no_such" is undefined/],
  ['a broken expression when strict', 'c.yml', 'plugin: constructed\nstrict: yes\ngroups:\n  x: 1 +\n', /c\.yml:4/],
  ['default_value with trailing_separator', 'c.yml', 'plugin: constructed\nkeyed_groups: [{key: x, default_value: y, trailing_separator: no}]\n', /exclude one another/],
  ['toml', 'hosts.toml', '[web]\n', /inventories in TOML are not read/],
];

for (const [what, file, text, message] of wrong) {
  test(`refused: ${what}`, async (t) => {
    const dir = await folder(t, { hosts: 'web1\n', [file]: text });
    const error = await t.throwsAsync(loadInventory([join(dir, 'hosts'), join(dir, file)]), { instanceOf: ContentError });
    t.regex(error!.describe(), message);
  });
}

for (const [what, answer, message] of [
  ['hosts that are no list', '{"web": {"hosts": "web1"}}', /"hosts" of group "web" is no list/],
  ['vars that are no dict', '{"web": {"vars": [1]}}', /"vars" of group "web" is no dict/],
  ['no JSON object', '[1]', /printed no JSON object/],
] as const) {
  test(`a script that prints ${what}`, async (t) => {
    const dir = await folder(t, { script: `#!/bin/sh\necho '${answer}'\n` });
    chmodSync(join(dir, 'script'), 0o755);
    t.regex((await t.throwsAsync(loadInventory([join(dir, 'script')]), { instanceOf: ContentError }))!.message, message);
  });
}

test.serial('a script without _meta is asked for each host; answers are kept for as long as is said, for the user alone', async (t) => {
  const dir = await folder(t, { script: '#!/bin/sh\necho "$1 $2" >> "$(dirname "$0")/asked"\ncase $1 in --list) echo \'{"g": ["a", "b"]}\';; *) echo "{\\"name\\": \\"$2\\"}";; esac\n' });
  const path = join(dir, 'script');
  chmodSync(path, 0o755);
  const asked = () => readFileSync(join(dir, 'asked'), 'utf8').split('\n').filter(Boolean);
  const env = { XDG_CACHE_HOME: join(dir, 'cache') };
  const list = async (more: NodeJS.ProcessEnv, ...flags: string[]) => t.regex((await muster(['inventory', '-i', path, '--host', 'b', ...flags], { env: { ...env, ...more } })).stdout, /"name": "b"/);
  await list({});
  t.deepEqual(asked(), ['--list ', '--host a', '--host b']);
  await list({ MUSTER_INVENTORY_CACHE: '600' });
  t.is(asked().length, 6, 'nothing was kept before');
  await list({ MUSTER_INVENTORY_CACHE: '600' });
  await list({ ANSIBLE_INVENTORY_CACHE: 'yes' });
  t.is(asked().length, 6);
  const kept = join(dir, 'cache/muster/inventory');
  t.deepEqual(readdirSync(kept).map((name) => statSync(join(kept, name)).mode & 0o777), [0o600, 0o600, 0o600]);
  await list({ MUSTER_INVENTORY_CACHE: '600' }, '--flush-cache');
  t.is(asked().length, 9);
  writeFileSync(path, `${readFileSync(path, 'utf8')}# another\n`);
  await list({ MUSTER_INVENTORY_CACHE: '600' });
  t.is(asked().length, 12, 'another script, other answers');
});

test.serial('in a folder files are read in order, save those that are passed over', async (t) => {
  const dir = await folder(t, { '1-hosts': 'a x=1\n', '2-hosts.yml': 'all: {hosts: {a: {x: 2}}}\n', 'notes.txt': '[\n', 'drop-me': 'b\n', 'z.yml': 'plugin: constructed\ngroups: {two: x == 2}\n' });
  t.teardown(() => useReading({ ignoreExtensions: undefined, ignorePatterns: [] }));
  useReading({ ignorePatterns: ['^drop'] });
  const inventory = await loadInventory([dir]);
  t.deepEqual([...inventory.hosts.keys()], ['a']);
  t.deepEqual(inventory.groups.get('two')!.hosts, ['a']);
  useReading({ ignoreExtensions: ['.txt', '.yml'], ignorePatterns: [] });
  t.deepEqual([...(await loadInventory([dir])).hosts.keys()], ['a', 'b']);
});
