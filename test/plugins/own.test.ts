import { chmodSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { usePlaces } from '../../src/plugins/index.js';
import type { ContentError } from '../../src/value/errors.js';
import { Rig } from '../engine/rig.js';
import { CORE } from './support.js';

const HOSTS = 'all:\n  hosts:\n    one:\n';
const play = (tasks: string) => `- hosts: all\n  gather_facts: false\n  tasks:\n${tasks.replace(/^(?=.)/gm, '    ')}`;

const results = (rig: Rig) => rig.events.flatMap((event) => (event.event === 'result' ? [event.result] : []));
const warnings = (rig: Rig) => rig.events.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
const texts = (rig: Rig) => results(rig).map(({ status, message, error, data }) => [status, error?.message ?? message ?? data['msg']]);

test.serial('library/ in TypeScript: looked ahead, compared, changed, looked at again', async (t) => {
  const rig = await Rig.make({
    'hosts.yml': HOSTS,
    'library/motd.ts': `import { defineModule, params, sh, str, type Output } from 'muster';
import { trim } from './lib/trim';
export default defineModule({
  name: 'motd', summary: 'Writes a text.', params: params({ text: str('The text.'), path: str('The file.') }), returns: {}, examples: [],
  inspect: (wanted) => sh\`cat \${wanted.path} 2>/dev/null; :\`,
  parse: (output: Output): string => trim(output.stdout),
  compare: (wanted, seen) => (seen === wanted.text ? [] : [{ field: 'text', from: seen, to: wanted.text }]),
  apply: (wanted) => ({ script: sh\`printf '%s\\\\n' \${wanted.text} >\${wanted.path}\` }),
  result: (wanted) => ({ path: wanted.path }),
});
`,
    'library/lib/trim.ts': 'export const trim = (text: string): string => text.trimEnd();\n',
    'site.yml': '',
  });
  t.teardown(() => rig.remove());
  const file = join(rig.folder, 'motd');
  await rig.write({ 'site.yml': play(`- motd: {text: "it's", path: ${file}}\n- motd: text=other path=${file}2\n`) });
  t.is((await rig.run()).exitCode, 0);
  t.is(readFileSync(file, 'utf8'), "it's\n");
  t.deepEqual(results(rig).map(({ status }) => status), ['changed', 'changed']);
  t.is((await rig.run()).exitCode, 0);
  t.deepEqual(results(rig).map(({ status }) => status), ['ok', 'ok']);
  await rig.write({ 'site.yml': play(`- motd: {txt: x, text: y, path: ${file}}\n`) });
  await t.throwsAsync(rig.run(), { message: /motd has no parameter "txt"/ });
});

test.serial('what is wrong with a module of the project is said with its line', async (t) => {
  const rig = await Rig.make({ 'hosts.yml': HOSTS, 'library/broken.js': 'export default {\n  nonsense nonsense\n', 'library/empty.js': '\nexport const x = 1;\n', 'site.yml': play('- broken:\n') });
  t.teardown(() => rig.remove());
  const error = await t.throwsAsync(rig.run());
  t.regex((error as AggregateError).errors[0].describe(), /library\/broken\.js:2:12: Expected "}"/);
  await rig.write({ 'site.yml': play('- empty:\n') });
  t.regex(((await t.throwsAsync(rig.run())) as AggregateError).errors[0].describe(), /empty\.js:2:1: .*exports no module/);
});

test.serial('library/ in any language: words, JSON and embedded arguments, a file of its own that nobody else reads', async (t) => {
  const rig = await Rig.make({
    'hosts.yml': HOSTS,
    'library/words': '#!/bin/sh\n. "$1"\necho "{\\"changed\\": true, \\"got\\": \\"$name\\", \\"check\\": \\"$_ansible_check_mode\\"}"\n',
    'library/json.sh': '#!/usr/bin/env sh\n# WANT_JSON\necho noise\nprintf \'{"file": %s, "mode": "%s", "where": "%s", "ansible_facts": {"found": 7}, "warnings": ["careful"]}\' "$(cat "$1")" "$(stat -c %a "$1")" "$1"\n',
    'library/embedded.sh': "#!/bin/sh\ncat <<'X'\n{\"args\": <<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>}\nX\n",
    'library/fails.sh': '#!/bin/sh\necho \'{"failed": true, "msg": "not today", "code": 4}\'\n',
    'library/babbles.sh': '#!/bin/sh\necho what; echo why >&2; exit 3\n',
    'library/knows.sh': '#!/bin/sh\n# _ansible_check_mode\n. "$1"\n[ "$_ansible_check_mode" = True ] || touch "$path"\nprintf "%s\\n" \'{"changed": true, "diff": {"before": "a\\n", "after": "b\\n"}}\'\n',
    'site.yml': play(`- words: name="a b 'c'"
  register: words
- json: {list: [1, {a: b}], password: geheim}
  register: json
- embedded: {name: ä}
  register: embedded
- debug: {msg: "{{ [words.got, words.check, json.file.list, json.mode, found, embedded.args.name] | to_json(ensure_ascii=false) }}"}
- stat: {path: "{{ json.where }}"}
  register: left
- fails:
  ignore_errors: true
- babbles:
  ignore_errors: true
`),
  });
  t.teardown(() => rig.remove());
  t.is((await rig.run()).exitCode, 0);
  const [words, json, , said, left, fails, babbles] = results(rig);
  t.is(words!.status, 'changed');
  t.is(json!.status, 'ok');
  t.false(JSON.stringify(rig.events).includes('geheim'), 'what sounds like a password is hidden');
  t.is(said!.data['msg'], '["a b \'c\'", "False", [1, {"a": "b"}], "600", 7, "ä"]');
  t.is((left!.data['stat'] as { exists: boolean }).exists, false);
  t.deepEqual([fails!.error!.message, fails!.data['code']], ['not today', 4]);
  t.like(babbles!.error, { message: 'babbles gave no result (a JSON object on its standard output): why', rc: 3 });
  t.true(warnings(rig).includes('one: careful'));

  const path = join(rig.folder, 'touched');
  await rig.write({ 'site.yml': play(`- fails:\n- knows: path=${path}\n`) });
  t.is((await rig.run({ check: true, verb: 'plan' })).exitCode, 2);
  t.deepEqual(results(rig).map(({ status }) => status), ['unknown', 'changed']);
  t.regex(results(rig)[1]!.changes[0]!.diff!, /-a\n\+b\n/);
  t.false(existsSync(path));
});

test.serial('over the bridge: a Python module as it is, in a plan too where it can', async (t) => {
  const rig = await Rig.make({
    ...CORE,
    'hosts.yml': HOSTS,
    'library/careful.py': 'from ansible.module_utils.basic import AnsibleModule\nmodule = AnsibleModule(supports_check_mode=True)\nmodule.exit_json(changed=True, check=module.check_mode, n=module.params["n"])\n',
    'library/rash.py': 'from ansible.module_utils.basic import AnsibleModule\nmodule = AnsibleModule()\nmodule.fail_json(msg="it fails", n=1)\n',
    'action_plugins/half.py': '',
    'library/half.py': 'from ansible.module_utils.basic import AnsibleModule\n',
    'site.yml': play('- careful: {n: 3}\n- rash:\n'),
  });
  t.teardown(() => rig.remove());
  usePlaces({ collectionsPath: [], ansibleCore: join(rig.folder, 'core') });
  t.teardown(() => usePlaces({ collectionsPath: [], ansibleCore: undefined }));
  t.is((await rig.run()).exitCode, 3);
  t.like(results(rig)[0], { status: 'changed', data: { check: false, n: 3 } });
  t.deepEqual(texts(rig)[1], ['failed', 'it fails']);
  t.regex(warnings(rig).find((text) => text.includes('bridge')) ?? '', /library\/careful\.py goes over the bridge; its host needs Python/);
  await rig.run({ check: true, verb: 'plan' });
  t.like(results(rig)[0], { status: 'changed', data: { check: true } });
  t.deepEqual(texts(rig)[1], ['unknown', 'no check mode here']);
  await rig.write({ 'site.yml': play('- half:\n') });
  t.regex((await t.throwsAsync(rig.run()))!.message, /half cannot be run: half of it is .*action_plugins\/half\.py/);
});

test.serial('collections: modules, roles, playbooks, redirects, what is gone, and short names by collections:', async (t) => {
  const coll = 'collections/ansible_collections/my/own';
  const program = (word: string) => `#!/bin/sh\necho '{"said": "${word}"}'\n`;
  const rig = await Rig.make({
    'hosts.yml': HOSTS,
    [`${coll}/plugins/modules/thing.sh`]: program('thing'),
    [`${coll}/plugins/modules/sub/deep.sh`]: program('deep'),
    [`${coll}/plugins/modules/echoes.sh`]: '#!/bin/sh\n# WANT_JSON\ncat "$1"\n',
    [`${coll}/plugins/filter/f.js`]: 'export const filters = { loud: (text) => text.toUpperCase() };\n',
    [`${coll}/meta/runtime.yml`]: 'plugin_routing:\n  modules:\n    before: {redirect: my.own.thing}\n    older: {deprecation: {warning_text: use thing}, redirect: my.own.thing}\n    builtin_now: {redirect: ansible.builtin.ping}\n    gone: {tombstone: {warning_text: it was of no use}}\n    lost: {redirect: your.own.thing}\naction_groups:\n  all: [echoes]\n  words: [ansible.builtin.debug]\n',
    [`${coll}/roles/greet/tasks/main.yml`]: '- thing:\n',
    [`${coll}/playbooks/first.yml`]: '- hosts: all\n  gather_facts: false\n  tasks:\n    - thing:\n',
    'site.yml': `- import_playbook: my.own.first
- hosts: all
  gather_facts: false
  roles: [my.own.greet]
- hosts: all
  gather_facts: false
  collections: [my.own]
  roles: [greet]
  tasks:
    - my.own.sub.deep:
    - thing:
    - my.own.before:
    - my.own.older:
    - my.own.builtin_now:
    - debug: {msg: "{{ 'x' | my.own.loud }}"}
    - my.own.echoes: {msg: of the task}
      module_defaults: {group/my.own.all: {said: of the group, msg: no}}
    - debug:
      module_defaults: {group/my.own.words: {msg: of the group too}}
`,
  });
  t.teardown(() => rig.remove());
  t.is((await rig.run()).exitCode, 0);
  t.deepEqual(results(rig).map(({ data }) => data['said'] ?? data['ping'] ?? data['msg']), ['thing', 'thing', 'thing', 'deep', 'thing', 'thing', 'thing', 'pong', 'X', 'of the group', 'of the group too']);
  t.deepEqual(warnings(rig), ['my.own.older is deprecated: use thing']);
  for (const [name, message] of [['gone', /my\.own\.gone is gone/], ['lost', /my\.own\.lost is your\.own\.thing now, which is not on this machine/], ['missing', /there is no module "my\.own\.missing"/]] as const) {
    await rig.write({ 'site.yml': play(`- my.own.${name}:\n`) });
    await t.throwsAsync(rig.run(), { message }, name);
  }
});

test.serial('filters, tests and lookups in JavaScript; those in Python are named', async (t) => {
  const rig = await Rig.make({
    'hosts.yml': HOSTS,
    'filter_plugins/mine.js': 'export const filters = { shout: (text, named) => `${text}${named?.mark ?? "!"}`, names_of: (dict) => Object.keys(dict), bad: () => { throw new Error("no"); } };\n',
    'test_plugins/mine.mjs': 'export const tests = { tiny: (n) => n < 3 };\n',
    'lookup_plugins/mine.ts': 'export const lookups = { twice: (terms: string[], options: { by?: number }) => terms.flatMap((term) => [term, term, options.by]) };\n',
    'roles/r/filter_plugins/r.js': 'export const filters = { of_role: () => [1, { a: null }] };\n',
    'roles/r/tasks/main.yml': '- debug: {msg: "{{ 1 | of_role }}"}\n',
    'filter_plugins/old.py': '',
    'site.yml': `- hosts: all\n  gather_facts: false\n  roles: [r]\n  vars: {secret: "{{ 'x' }}"}\n  tasks:\n    - debug: {msg: "{{ ['a' | shout, 'b' | shout(mark='?'), {'k': 1} | names_of, 2 is tiny, 5 is tiny, query('twice', 'c', by=2)] }}"}\n    - debug: {msg: "{{ 1 | bad }}"}\n`,
  });
  t.teardown(() => rig.remove());
  t.is((await rig.run()).exitCode, 3);
  t.deepEqual(results(rig).map(({ data, error }) => error?.message ?? data['msg']), [[1, { a: null }], ['a!', 'b?', ['k'], true, false, ['c', 'c', 2]], 'filter "bad": no']);
  t.regex(warnings(rig)[0]!, /^Muster runs no Python of its own/);
});

test.serial('a binary gets JSON', async (t) => {
  const rig = await Rig.make({ 'hosts.yml': HOSTS, 'library/bin': '', 'site.yml': play('- bin: {a: 1}\n') });
  t.teardown(() => rig.remove());
  // One that is at hand: cat prints the file of its arguments, which is a JSON object.
  copyFileSync('/bin/cat', join(rig.folder, 'library/bin'));
  chmodSync(join(rig.folder, 'library/bin'), 0o755);
  t.is((await rig.run()).exitCode, 0);
  t.is(results(rig)[0]!.data['a'], 1);
});

test.serial('filters, tests and lookups: redirects, what is gone and what is deprecated', async (t) => {
  const own = 'collections/ansible_collections/my/own';
  const entry = (name: string, text: string) => `    ${name}: ${text}\n`;
  const rig = await Rig.make({
    'hosts.yml': HOSTS,
    [`${own}/meta/runtime.yml`]: `plugin_routing:
  filter:
${entry('big', '{redirect: ansible.builtin.upper}')}${entry('very', '{redirect: my.own.big}')}${entry('aloud', '{redirect: my.other.shout}')}${entry('combine', '{redirect: my.other.shout}')}${entry('older', '{redirect: my.other.shout, deprecation: {warning_text: shout}}')}${entry('lower', '{tombstone: {warning_text: none speaks so}}')}${entry('lost', '{redirect: my.other.python}')}${entry('about', '{redirect: my.own.about}')}  test:
${entry('whole', '{redirect: ansible.builtin.integer}')}${entry('gone', '{tombstone: {}}')}  lookup:
${entry('pairs', '{redirect: ansible.builtin.dict}')}${entry('doubled', '{redirect: my.other.twice, deprecation: {warning_text: say twice}}')}${entry('gone', '{tombstone: {warning_text: ask elsewhere}}')}`,
    'collections/ansible_collections/my/other/plugins/filter/f.js': 'export const filters = { shout: (text) => `${text}!` };\n',
    'collections/ansible_collections/my/other/plugins/filter/python.py': '',
    'collections/ansible_collections/my/other/plugins/lookup/l.js': 'export const lookups = { twice: (terms) => [...terms, ...terms] };\n',
    'templates/t.j2': "{{ 'x' | my.own.older }}\n",
    'site.yml': play(`- debug: {msg: "{{ ['a' | my.own.big, 'b' | my.own.very, 'c' | my.own.aloud, 'd' | my.own.combine, ['e'] | map('my.own.aloud') | first, 'f' | my.own.upper] }}"}
- debug: {msg: "{{ [1 is my.own.whole, 'x' is my.own.whole, query('my.own.pairs', {'k': 1})[0].key, query('my.own.doubled', 1)] }}"}
- debug: {msg: "{{ item.key }}"}
  with_my.own.pairs: {a: 1}
- debug: {msg: "{{ item }}"}
  with_my.own.doubled: [1]
- debug: {msg: "{{ lookup('template', 't.j2') }}"}
`),
  });
  t.teardown(() => rig.remove());
  t.is((await rig.run()).exitCode, 0);
  t.deepEqual(results(rig).map(({ data }) => data['results'] === undefined ? data['msg'] : (data['results'] as { msg: unknown }[]).map(({ msg }) => msg)), [['A', 'B', 'c!', 'd!', 'e!', 'F'], [true, false, 'k', [1, 1]], ['a'], [1, 1], 'x!\n']);
  t.deepEqual(warnings(rig).sort(), ['the filter "my.own.older" is deprecated: shout', ...Array<string>(2).fill('the lookup "my.own.doubled" is deprecated: say twice')]);
  for (const [text, message, hint] of [
    ["{{ 'x' | my.own.lower }}", 'the filter "my.own.lower" is gone', 'none speaks so'],
    ["{{ 'x' | my.own.lost }}", 'the filter "my.own.lost" is "my.other.python" now, which is not here'],
    ["{{ 'x' | my.own.about }}", 'the filter "my.own.about" leads round in a circle'],
    ["{{ 'x' is my.own.gone }}", 'the test "my.own.gone" is gone', 'without a reason given'],
    ["{{ lookup('my.own.gone') }}", 'the lookup "my.own.gone" is gone', 'ask elsewhere'],
  ] as const) {
    await rig.write({ 'site.yml': play(`- debug: {msg: "${text}"}\n`) });
    const [error] = ((await t.throwsAsync(rig.run())) as AggregateError).errors as ContentError[];
    t.is(error!.message, message);
    t.like(error!.origin, { line: 4 });
    if (hint !== undefined) t.is(error!.hint, hint);
  }
  await rig.write({ 'site.yml': play('- debug:\n  with_my.own.gone: [1]\n') });
  t.regex(((await t.throwsAsync(rig.run())) as AggregateError).errors[0].describe(), /site\.yml:5:7: the lookup "my\.own\.gone" is gone/);
});
